//! Frames in.

use core::error::Error;
use core::fmt;

use super::Areas;
use crate::error::{ProtocolError, SendError};
use crate::layout::Layout;
use crate::memory::AreaError;
use crate::offload::RxInfo;
use crate::outgoing::Outgoing;
use crate::status::Count;

/// Reason why a frame was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushError {
    /// The client has not made room.
    Full,
    /// It is empty, or longer than the ring.
    Len,
    /// The client broke the rules.
    Protocol(ProtocolError),
}

impl fmt::Display for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the ring is full"),
            Self::Len => f.write_str("the frame is empty, or longer than the ring"),
            Self::Protocol(error) => write!(f, "{error}"),
        }
    }
}

impl Error for PushError {}

/// The half of the driver's end through which frames come in.
#[derive(Debug)]
pub struct Rx<'m> {
    queue: Outgoing<'m>,
    dropped: Count<'m>,
}

impl<'m> Rx<'m> {
    pub(super) fn new(areas: &Areas<'m>, layout: &Layout, dropped: Count<'m>) -> Result<Self, AreaError> {
        let client = areas.client.read_only();
        Ok(Self {
            queue: Outgoing::new(&areas.driver, &client, &areas.rx_buffers, layout)?,
            dropped,
        })
    }

    /// Copies a frame that consists of those parts into the ring, with facts about it. The client learns of it with the
    /// next [`Self::publish`].
    ///
    /// # Errors
    ///
    /// When the client has not made room, which is counted, or broke the rules; or when the frame cannot be one.
    pub fn push(&mut self, parts: &[&[u8]], info: &RxInfo) -> Result<(), PushError> {
        let len = parts
            .iter()
            .fold(0usize, |len, part| len.saturating_add(part.len()));
        match self.queue.make_room(len, 0) {
            Ok(()) => {
                self.queue.put(parts, len, 0, info.into());
                Ok(())
            }
            Err(SendError::Full) => {
                self.dropped.add_one();
                Err(PushError::Full)
            }
            Err(SendError::Len(_)) => Err(PushError::Len),
            Err(SendError::Protocol(error)) => Err(PushError::Protocol(error)),
        }
    }

    /// Returns true if there is room for a frame of `len` bytes.
    ///
    /// # Errors
    ///
    /// When the client broke the rules.
    pub fn has_room(&mut self, len: usize) -> Result<bool, ProtocolError> {
        match self.queue.make_room(len, 0) {
            Ok(()) => Ok(true),
            Err(SendError::Protocol(error)) => Err(error),
            Err(SendError::Full | SendError::Len(_)) => Ok(false),
        }
    }

    /// Tells the client of all frames in the ring; returns true if it is to get an event.
    #[must_use = "the client may be asleep"]
    pub fn publish(&mut self) -> bool {
        self.queue.publish()
    }
}
