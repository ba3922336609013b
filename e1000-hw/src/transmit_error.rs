//! Refusals of frames to transmit.

use core::fmt;

/// Refusal of a frame to transmit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransmitError {
    /// The frame is shorter than a header, or, if it is not copied, shorter than
    /// [`MIN_FRAME_LEN`](crate::ethernet::MIN_FRAME_LEN).
    TooShort,
    /// The frame is longer than this MTU allows.
    TooLong {
        /// Longest frame that would be accepted here.
        limit: usize,
    },
    /// The frame has more segments than the ring has descriptors.
    TooManySegments,
    /// There are not enough free descriptors until the hardware has sent some frames.
    Full,
    /// The NIC has no buffers to copy the frame into.
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
