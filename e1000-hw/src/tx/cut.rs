//! The cut of a frame: which bytes of it go into which descriptor.

/// Bytes that one descriptor takes at most. The first descriptor of a frame must not have more than 2015 on 82545 and
/// 82546 on PCI-X (erratum 10; Linux e1000, `e1000_tx_map`).
pub(super) const PIECE_LEN: usize = 1984;
/// Bytes of a sentinel, see [`crate::chip::Quirks::PREMATURE_TSO_WRITE_BACK`].
const SENTINEL_LEN: usize = 4;

/// The way in which a frame is spread over descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// Bytes that one takes at most.
    pub piece_len: usize,
    /// The last [`SENTINEL_LEN`] bytes have one of their own.
    pub sentinel: bool,
}

impl Cut {
    /// Returns true if a frame of `len` bytes, in one piece, takes one descriptor.
    pub fn is_whole(self, len: usize) -> bool {
        len <= self.piece_len && !self.sentinel
    }

    /// Bytes that the next descriptor takes when `rest` are left of the frame.
    pub fn piece(self, rest: usize) -> usize {
        let most = if self.sentinel && rest > SENTINEL_LEN {
            rest - SENTINEL_LEN
        } else {
            rest
        };
        most.min(self.piece_len)
    }

    /// Descriptors that a frame of `len` bytes in one piece takes.
    pub fn count(self, len: usize) -> u32 {
        self.count_segments(core::iter::once(len))
    }

    /// Descriptors that a frame in pieces of these lengths takes.
    pub fn count_segments(self, lengths: impl Iterator<Item = usize> + Clone) -> u32 {
        let (mut rest, mut count) = (lengths.clone().sum::<usize>(), 0);
        for mut len in lengths {
            while len > 0 {
                let piece = self.piece(rest).min(len);
                len -= piece;
                rest -= piece;
                count += 1;
            }
        }
        count
    }
}
