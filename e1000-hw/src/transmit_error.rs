//! Reasons why a frame was not taken.

use core::fmt;

/// Reason why a frame was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransmitError {
    /// Fewer bytes than a header has; of a frame that is not copied, fewer than
    /// [`MIN_FRAME_LEN`](crate::ethernet::MIN_FRAME_LEN).
    TooShort,
    /// More bytes than a frame may have with this MTU; a VLAN tag may come on top.
    TooLong {
        /// The most that would have been taken.
        limit: usize,
    },
    /// More pieces than the ring has descriptors.
    TooManySegments,
    /// No free descriptor; try again when the hardware has sent some.
    Full,
    /// The NIC has no buffers of its own to copy the frame into.
    NoBuffers,
}

impl fmt::Display for TransmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort => f.write_str("the frame is too short"),
            Self::TooLong { limit } => write!(f, "the frame is longer than {limit} bytes"),
            Self::TooManySegments => f.write_str("the frame is in more pieces than the ring has descriptors"),
            Self::Full => f.write_str("the transmit ring is full"),
            Self::NoBuffers => f.write_str("the NIC has no buffers to copy frames into"),
        }
    }
}

impl core::error::Error for TransmitError {}
