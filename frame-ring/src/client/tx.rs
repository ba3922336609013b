//! Frames out.

use core::fmt;

use super::Areas;
use crate::error::{ProtocolError, SendError};
use crate::layout::{Layout, MAX_SEGMENTED_LEN, MIN_FRAME_LEN};
use crate::memory::AreaError;
use crate::offload::TxInfo;
use crate::outgoing::Outgoing;

/// Bytes of the longest frame that [`Tx::send`] takes.
pub const SCRATCH_LEN: usize = 2048;

/// The half of the client's end through which frames go out.
pub struct Tx<'m> {
    queue: Outgoing<'m>,
    scratch: [u8; SCRATCH_LEN],
}

impl fmt::Debug for Tx<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tx")
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}

impl<'m> Tx<'m> {
    pub(super) fn new(areas: &Areas<'m>, layout: &Layout) -> Result<Self, AreaError> {
        Ok(Self {
            queue: Outgoing::new(&areas.client, &areas.driver, &areas.tx_buffers, layout)?,
            scratch: [0; SCRATCH_LEN],
        })
    }

    /// Puts a frame of `len` bytes into the ring, which `fill` writes: into private memory of this end's, which is
    /// copied then. Whoever has the frame somewhere already uses [`Self::send_parts`]. The bytes are those of an
    /// earlier frame. Frames shorter than 60 bytes are padded.
    ///
    /// The driver learns of it with the next [`Self::flush`].
    ///
    /// # Errors
    ///
    /// When there is no room, or `len` is 0 or more than [`SCRATCH_LEN`]: `fill` was not called then. Or when the
    /// driver broke the rules.
    pub fn send<R>(&mut self, len: usize, fill: impl FnOnce(&mut [u8]) -> R) -> Result<R, SendError> {
        let frame = self.scratch.get_mut(..len).ok_or(SendError::Len(SCRATCH_LEN))?;
        self.queue.make_room(len, MIN_FRAME_LEN)?;
        let filled = fill(frame);
        self.queue
            .put(&[frame], len, MIN_FRAME_LEN, (0, Default::default()));
        Ok(filled)
    }

    /// Puts a frame into the ring that consists of those parts, with facts about it. Frames shorter than 60 bytes are
    /// padded, those longer than a buffer take several.
    ///
    /// The driver learns of it with the next [`Self::flush`].
    ///
    /// # Errors
    ///
    /// When there is no room, when it is empty or longer than 65 535 bytes, or when the driver broke the rules.
    pub fn send_parts(&mut self, parts: &[&[u8]], info: &TxInfo) -> Result<(), SendError> {
        let len = parts
            .iter()
            .fold(0usize, |len, part| len.saturating_add(part.len()));
        if len > MAX_SEGMENTED_LEN {
            return Err(SendError::Len(MAX_SEGMENTED_LEN));
        }
        self.queue.make_room(len, MIN_FRAME_LEN)?;
        self.queue.put(parts, len, MIN_FRAME_LEN, info.into());
        Ok(())
    }

    /// Tells the driver of all frames in the ring; returns true if the doorbell is to be rung.
    #[must_use = "the driver may be asleep"]
    pub fn flush(&mut self) -> bool {
        self.queue.publish()
    }

    /// Returns true if there is room for a frame of `len` bytes.
    ///
    /// # Errors
    ///
    /// When the driver broke the rules.
    pub fn has_room(&mut self, len: usize) -> Result<bool, ProtocolError> {
        match self.queue.make_room(len, MIN_FRAME_LEN) {
            Ok(()) => Ok(true),
            Err(SendError::Protocol(error)) => Err(error),
            Err(SendError::Full | SendError::Len(_)) => Ok(false),
        }
    }

    /// Asks for an event when so many entries are free (a frame takes one for each 2 KiB that it has); returns true if
    /// they are, so that nobody should sleep. Only what was flushed comes back.
    ///
    /// # Errors
    ///
    /// When the driver broke the rules.
    pub fn arm(&mut self, entries: u32) -> Result<bool, ProtocolError> {
        self.queue.arm(entries)
    }

    /// Number of entries that are not known to have come back.
    pub fn in_flight(&self) -> u32 {
        self.queue.used()
    }
}
