//! Errors.

use core::error::Error;
use core::fmt;

use crate::memory::AreaError;

/// Reason why a driver cannot begin a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachError {
    /// It cannot keep account of that many entries.
    Entries(u32),
    /// An area is not as the layout says.
    Area(AreaError),
}

impl fmt::Display for AttachError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entries(entries) => write!(f, "{entries} entries are too many for this driver"),
            Self::Area(error) => write!(f, "{error}"),
        }
    }
}

impl Error for AttachError {}

impl From<AreaError> for AttachError {
    fn from(error: AreaError) -> Self {
        Self::Area(error)
    }
}

/// Breach of the protocol by the other end. The ring cannot be used any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// The tail went back, or further than there are entries.
    Tail(u32),
    /// The head went back, or past the tail.
    Head(u32),
    /// The tail is inside of a frame, or a frame has more than [`crate::layout::MAX_SEGMENTS`] entries.
    Unfinished,
    /// A received frame's entry names a place outside of the buffers, or no byte at all.
    Entry,
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tail(tail) => write!(f, "the other end's tail cannot be {tail:#x}"),
            Self::Head(head) => write!(f, "the other end's head cannot be {head:#x}"),
            Self::Unfinished => f.write_str("a frame does not end"),
            Self::Entry => f.write_str("an entry names no bytes of a buffer"),
        }
    }
}

impl Error for ProtocolError {}

/// Reason why the driver does not send a frame of the client's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// No such buffer.
    Buffer,
    /// Bytes outside of the buffer, or none.
    Range,
    /// Shorter than [`crate::layout::MIN_FRAME_LEN`].
    TooShort,
    /// Longer than that.
    TooLong(usize),
    /// Flags that are unknown, contradict each other, or are of a feature that was not agreed on.
    Flags(u16),
    /// The checksum's field is outside of the frame.
    Checksum,
    /// The headers are not all in the first entry, or the MSS is 0.
    Segmentation,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Buffer => f.write_str("no such buffer"),
            Self::Range => f.write_str("no bytes of the buffer"),
            Self::TooShort => f.write_str("too short for a frame"),
            Self::TooLong(limit) => write!(f, "longer than {limit} bytes"),
            Self::Flags(flags) => write!(f, "flags {flags:#x} cannot be"),
            Self::Checksum => f.write_str("the checksum is outside of the frame"),
            Self::Segmentation => f.write_str("the headers are not in the first entry, or the MSS is 0"),
        }
    }
}

impl Error for FrameError {}

/// Reason why a frame was not taken for sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// There is no room; later there will be.
    Full,
    /// It is empty, or longer than that.
    Len(usize),
    /// The driver broke the rules.
    Protocol(ProtocolError),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the ring is full"),
            Self::Len(limit) => write!(f, "a frame has 1 to {limit} bytes"),
            Self::Protocol(error) => write!(f, "{error}"),
        }
    }
}

impl Error for SendError {}

impl From<ProtocolError> for SendError {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error)
    }
}

/// Reason why a frame was not received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecvError {
    /// The frame has that many bytes, more than the caller's buffer. It was dropped.
    TooLong(usize),
    /// The driver broke the rules.
    Protocol(ProtocolError),
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(len) => write!(f, "a frame of {len} bytes did not fit the buffer"),
            Self::Protocol(error) => write!(f, "{error}"),
        }
    }
}

impl Error for RecvError {}

impl From<ProtocolError> for RecvError {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error)
    }
}
