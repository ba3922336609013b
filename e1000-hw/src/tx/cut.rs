//! Splitting of a frame into pieces, one for each descriptor.

use super::by_address::Segment;

/// Most bytes of one descriptor. The first one of a frame must not have more than 2015 on 82545 and 82546 in PCI-X mode
/// (erratum 10; Linux e1000, `e1000_tx_map`).
pub(super) const PIECE_LEN: usize = 1984;
/// Bytes of a sentinel, see [`crate::chip::Quirks::PREMATURE_TSO_WRITE_BACK`].
const SENTINEL_LEN: usize = 4;

/// Bytes of a dword, half of a quadword.
const DWORD_LEN: usize = 4;

/// Rules for splitting a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// Most bytes of a piece.
    pub piece_len: usize,
    /// The last [`SENTINEL_LEN`] bytes are a piece of their own.
    pub sentinel: bool,
    /// A piece of more than 4 bytes has to end in the upper dword of a quadword, or 82544 in PCI-X mode waits for its
    /// last bytes for ever. The last 4 bytes of any other piece become a piece of their own, as in Linux e1000
    /// (`e1000_tx_map`), FreeBSD lem (`lem_fill_descriptors`) and illumos (`e1000g_fill_82544_desc`, which explains
    /// it).
    pub upper_dword: bool,
}

impl Cut {
    /// Returns true if a contiguous frame of `len` bytes takes one descriptor, at any address.
    pub fn is_whole(self, len: usize) -> bool {
        len <= self.piece_len && !self.sentinel && !self.upper_dword
    }

    /// Bytes of the next piece, when `segment` contiguous bytes are left from `address` on, and `rest` of the frame.
    pub fn piece(self, address: u64, segment: usize, rest: usize) -> usize {
        let most = if self.sentinel && rest > SENTINEL_LEN {
            rest - SENTINEL_LEN
        } else {
            rest
        };
        let len = most.min(segment).min(self.piece_len);
        if self.upper_dword && len > DWORD_LEN {
            let last = (address as usize).wrapping_add(len - 1);
            if last & DWORD_LEN == 0 {
                return len - DWORD_LEN;
            }
        }
        len
    }

    /// Number of descriptors for a frame of `len` bytes that is copied into buffers that begin on a quadword.
    pub fn count(self, len: usize) -> u32 {
        let (mut rest, mut count) = (len, 0);
        while rest > 0 {
            rest -= self.piece(0, rest, rest);
            count += 1;
        }
        count
    }

    /// Number of descriptors for a frame of `len` bytes in these segments.
    pub fn count_segments(self, segments: &[Segment], len: usize) -> u32 {
        let (mut rest, mut count) = (len, 0);
        for Segment { mut address, mut len } in segments.iter().copied() {
            while len > 0 {
                let piece = self.piece(address, len, rest);
                address = address.wrapping_add(piece as u64);
                len -= piece;
                rest -= piece;
                count += 1;
            }
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use super::*;

    const WHOLE: Cut = Cut {
        piece_len: PIECE_LEN,
        sentinel: false,
        upper_dword: false,
    };

    fn pieces(cut: Cut, mut address: u64, mut len: usize) -> Vec<usize> {
        let mut pieces = vec![];
        while len > 0 {
            let piece = cut.piece(address, len, len);
            pieces.push(piece);
            (address, len) = (address + piece as u64, len - piece);
        }
        pieces
    }

    #[test]
    fn pieces_are_as_long_as_a_descriptor_takes() {
        for (len, expected) in [
            (14, vec![14]),
            (1984, vec![1984]),
            (1985, vec![1984, 1]),
            (5000, vec![1984, 1984, 1032]),
        ] {
            assert_eq!(pieces(WHOLE, 0, len), expected);
            assert_eq!(WHOLE.count(len), expected.len() as u32);
            assert_eq!(WHOLE.is_whole(len), expected.len() == 1);
        }
    }

    #[test]
    fn sentinel_is_the_last_four_bytes() {
        let cut = Cut {
            sentinel: true,
            ..WHOLE
        };
        assert_eq!(pieces(cut, 0, 60), [56, 4]);
        assert_eq!(pieces(cut, 0, 1988), [1984, 4]);
        assert_eq!(pieces(cut, 0, 4), [4]);
        assert!(!cut.is_whole(60));
        // Pieces of the owner's are cut where they end, too.
        let segments = [10, 0, 50].map(|len| Segment { address: 0, len });
        assert_eq!(cut.count_segments(&segments, 60), 3);
        assert_eq!(WHOLE.count_segments(&segments, 60), 2);
        let segments = [58, 2].map(|len| Segment { address: 0, len });
        assert_eq!(cut.count_segments(&segments, 60), 3, "56, 2, 2");
    }

    #[test]
    fn pieces_end_in_the_upper_half_of_a_quadword_if_they_must() {
        let cut = Cut {
            upper_dword: true,
            ..WHOLE
        };
        for (address, len, expected) in [
            (0, 60, vec![56, 4]),
            (0, 64, vec![64]),
            (4, 60, vec![60]),
            (3, 62, vec![58, 4]),
            (0, 4, vec![4]),
        ] {
            assert_eq!(pieces(cut, address, len), expected, "{len} bytes at {address}");
        }
    }
}
