//! Frames in.

use super::Areas;
use crate::copy::copy_out;
use crate::entry::{Details, MORE};
use crate::error::{ProtocolError, RecvError};
use crate::layout::{Layout, MAX_SEGMENTS};
use crate::memory::{AreaError, Buffers, ReadOnly};
use crate::offload::RxInfo;
use crate::queue::Consumer;

/// A frame that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Number of its bytes, which are at the beginning of the caller's buffer.
    pub len: usize,
    /// Facts about it.
    pub info: RxInfo,
}

/// The half of the client's end through which frames come in.
#[derive(Debug)]
pub struct Rx<'m> {
    queue: Consumer<'m>,
    buffers: Buffers<'m, ReadOnly>,
    buffer_len: u32,
    /// Entries that are given back at once.
    batch: u32,
}

impl<'m> Rx<'m> {
    pub(super) fn new(areas: &Areas<'m>, layout: &Layout) -> Result<Self, AreaError> {
        let (size, buffer_len) = (layout.entries(), layout.buffer_len());
        Ok(Self {
            queue: Consumer::new(&areas.client, &areas.driver, size)?,
            buffers: areas.rx_buffers.buffers(size as usize, buffer_len as usize)?,
            buffer_len,
            batch: size.div_ceil(4),
        })
    }

    /// Copies the next frame into `buffer`, if there is one.
    ///
    /// Its entries are given back to the driver a quarter of the ring at a time, or when no more frames are there.
    ///
    /// # Errors
    ///
    /// When the frame does not fit, which drops it, or when the driver broke the rules, which is said again by every
    /// call that follows.
    pub fn recv(&mut self, buffer: &mut [u8]) -> Result<Option<Received>, RecvError> {
        if self.queue.has_read_all() {
            self.queue.publish();
        }
        let available = self.queue.available()?;
        if available == 0 {
            return Ok(None);
        }
        let first = self.queue.entry(0);
        let details = match first.has(Details::FLAGS) {
            true => self.queue.details(),
            false => Details::default(),
        };
        let (mut entry, mut count, mut len) = (first, 1u32, 0usize);
        loop {
            let (offset, piece) = (u32::from(entry.offset), usize::from(entry.len));
            let cells = self.buffers.source(entry.buffer.into());
            if piece == 0 || cells.is_empty() || offset.wrapping_add(entry.len.into()) > self.buffer_len {
                return Err(self.queue.fail(ProtocolError::Entry).into());
            }
            let end = len.saturating_add(piece);
            if let Some(out) = buffer.get_mut(len..end) {
                copy_out(cells, offset as usize, out);
            }
            len = end;
            if !entry.has(MORE) {
                break;
            }
            if count >= available || count as usize >= MAX_SEGMENTS {
                return Err(self.queue.fail(ProtocolError::Unfinished).into());
            }
            entry = self.queue.entry(count);
            count = count.wrapping_add(1);
        }
        self.queue.advance(count);
        self.queue.give_back(count);
        if self.queue.unpublished() >= self.batch {
            self.queue.publish();
        }
        if len > buffer.len() {
            return Err(RecvError::TooLong(len));
        }
        let info = details.rx_info(first.flags);
        Ok(Some(Received { len, info }))
    }

    /// Returns true if a frame is there.
    ///
    /// # Errors
    ///
    /// When the driver broke the rules.
    pub fn can_recv(&mut self) -> Result<bool, ProtocolError> {
        Ok(self.queue.available()? != 0)
    }

    /// Asks for an event when the next frame comes; returns true if one is there, so that nobody should sleep.
    ///
    /// # Errors
    ///
    /// When the driver broke the rules.
    pub fn arm(&mut self) -> Result<bool, ProtocolError> {
        self.queue.publish();
        self.queue.arm()
    }
}
