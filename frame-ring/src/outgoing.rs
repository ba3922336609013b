//! Frames into a ring: what both ends do that produce.

use crate::copy::{Pieces, Writer};
use crate::entry::{Details, Entry, MORE};
use crate::error::{ProtocolError, SendError};
use crate::layout::Layout;
use crate::memory::{Area, AreaError, Buffers, ReadOnly, ReadWrite};
use crate::queue::Producer;

/// Zeroes behind frames that are too short.
const PADDING: [u8; 64] = [0; 64];

/// A ring of frames, and their buffers.
#[derive(Debug)]
pub(crate) struct Outgoing<'m> {
    queue: Producer<'m>,
    buffers: Buffers<'m, ReadWrite>,
    buffer_len: usize,
    entries: usize,
}

impl<'m> Outgoing<'m> {
    /// Takes the control area of this end, that of the other one, and the buffers of this end.
    pub fn new(
        own: &Area<'m, ReadWrite>,
        other: &Area<'m, ReadOnly>,
        buffers: &Area<'m, ReadWrite>,
        layout: &Layout,
    ) -> Result<Self, AreaError> {
        let (entries, buffer_len) = (layout.entries() as usize, layout.buffer_len() as usize);
        Ok(Self {
            queue: Producer::new(own, other, layout.entries())?,
            buffers: buffers.buffers(entries, buffer_len)?,
            buffer_len,
            entries,
        })
    }

    /// Finds room for a frame of `len` bytes, padded to `min`.
    pub fn make_room(&mut self, len: usize, min: usize) -> Result<(), SendError> {
        let needed = len.max(min).div_ceil(self.buffer_len);
        if len == 0 || needed > self.entries {
            return Err(SendError::Len(self.entries.saturating_mul(self.buffer_len)));
        }
        if self.queue.free(needed as u32)? < needed as u32 {
            return Err(SendError::Full);
        }
        Ok(())
    }

    /// Puts a frame of `len` bytes into the ring, for which there is room, with the flags and details of its first
    /// entry.
    pub fn put(&mut self, parts: &[&[u8]], len: usize, min: usize, (flags, details): (u16, Details)) {
        let (mut pieces, mut flags) = (Pieces::new(parts), flags);
        let mut left = len.max(min);
        while left > 0 {
            let len = left.min(self.buffer_len);
            left = left.saturating_sub(len);
            let slot = self.queue.slot();
            let mut writer = Writer::new(self.buffers.target(slot));
            let mut room = len;
            while let Some(piece) = pieces.next(room) {
                writer.write(piece);
                room = room.saturating_sub(piece.len());
                if room == 0 {
                    break;
                }
            }
            while room > 0 {
                let padding = PADDING.get(..room).unwrap_or(&PADDING);
                writer.write(padding);
                room = room.saturating_sub(padding.len());
            }
            writer.finish();
            if left > 0 {
                flags |= MORE;
            }
            let entry = Entry {
                buffer: slot as u16,
                offset: 0,
                len: len as u16,
                flags,
            };
            self.queue.put(entry, &details);
            flags = 0;
        }
    }

    /// Publishes what was put; returns true if the other end is to be woken.
    pub fn publish(&mut self) -> bool {
        self.queue.publish()
    }

    /// See [`Producer::arm`].
    pub fn arm(&mut self, entries: u32) -> Result<bool, ProtocolError> {
        self.queue.arm(entries)
    }

    /// See [`Producer::used`].
    pub fn used(&self) -> u32 {
        self.queue.used()
    }
}
