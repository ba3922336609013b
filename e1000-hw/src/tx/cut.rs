//! The cut of a frame: which bytes of it go into which descriptor.

use super::by_address::Segment;

/// Bytes that one descriptor takes at most. The first descriptor of a frame must not have more than 2015 on 82545 and
/// 82546 on PCI-X (erratum 10; Linux e1000, `e1000_tx_map`).
pub(super) const PIECE_LEN: usize = 1984;
/// Bytes of a sentinel, see [`crate::chip::Quirks::PREMATURE_TSO_WRITE_BACK`].
const SENTINEL_LEN: usize = 4;

/// Bytes of a dword, half of a quadword.
const DWORD_LEN: usize = 4;

/// The way in which a frame is spread over descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// Bytes that one takes at most.
    pub piece_len: usize,
    /// The last [`SENTINEL_LEN`] bytes have one of their own.
    pub sentinel: bool,
    /// A piece of more than 4 bytes has to end in the upper dword of a quadword: 82544 in PCI-X mode otherwise waits
    /// for its last bytes for ever. What it is too long by gets a descriptor of its own, as in Linux e1000
    /// (`e1000_tx_map`), FreeBSD lem (`lem_fill_descriptors`) and illumos (`e1000g_fill_82544_desc`, which tells why).
    pub upper_dword: bool,
}

impl Cut {
    /// Returns true if a frame of `len` bytes, in one piece, takes one descriptor, wherever it is.
    pub fn is_whole(self, len: usize) -> bool {
        len <= self.piece_len && !self.sentinel && !self.upper_dword
    }

    /// Bytes that the next descriptor takes when `segment` are left in one piece from `address` on, and `rest` of the
    /// frame.
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

    /// Descriptors that a frame of `len` bytes takes that begins on a quadword and is copied into buffers that do.
    pub fn count(self, len: usize) -> u32 {
        let (mut rest, mut count) = (len, 0);
        while rest > 0 {
            rest -= self.piece(0, rest, rest);
            count += 1;
        }
        count
    }

    /// Descriptors that a frame in these pieces takes.
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
