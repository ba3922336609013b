//! Frames out.

use core::error::Error;
use core::fmt;

use super::Areas;
use crate::copy::copy_out;
use crate::entry::{Details, Entry, MORE, NEEDS_CSUM, TSO4, TSO6, VLAN};
use crate::error::{FrameError, ProtocolError};
use crate::features::Features;
use crate::layout::{Layout, MAX_SEGMENTED_LEN, MAX_SEGMENTS, MIN_FRAME_LEN};
use crate::memory::{AreaError, Buffers, ReadOnly, ReadWrite};
use crate::offload::{Checksum, Offload, TxInfo};
use crate::queue::Consumer;
use crate::status::{Count, StatusWords};

/// Most entries of a ring that [`Tx`] keeps account of.
pub const CAPACITY: usize = 256;

/// Mark, in [`Tx::spans`], of a frame that was refused. The rest is its number of entries.
const REFUSED: u8 = 1 << 7;

/// Reason why there is no frame to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeekError {
    /// The next frame cannot be sent. It was refused and counted; the one behind it is next.
    Frame(FrameError),
    /// The client broke the rules: its ring is to be marked as broken, and the client detached.
    Protocol(ProtocolError),
}

impl fmt::Display for PeekError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(error) => write!(f, "a frame was refused: {error}"),
            Self::Protocol(error) => write!(f, "{error}"),
        }
    }
}

impl Error for PeekError {}

impl From<FrameError> for PeekError {
    fn from(error: FrameError) -> Self {
        Self::Frame(error)
    }
}

impl From<ProtocolError> for PeekError {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error)
    }
}

/// A piece of a frame: bytes of the area of TX buffers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// First byte, from the beginning of the area on.
    pub offset: usize,
    /// Number of bytes.
    pub len: usize,
}

/// A frame that the client has published, checked.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    segments: &'a [Segment],
    /// Number of its bytes.
    pub len: usize,
    /// Facts about it.
    pub info: TxInfo,
    entries: &'a [Entry],
    buffers: Buffers<'a, ReadOnly>,
}

impl<'a> Frame<'a> {
    /// Its pieces, in order; there is at least one.
    pub fn segments(&self) -> &'a [Segment] {
        self.segments
    }

    /// Copies the beginning of the frame, as far as it is in the first segment; returns the number of bytes. The client
    /// may change them at any time, and the NIC then reads other ones.
    pub fn copy_head(&self, head: &mut [u8]) -> usize {
        let Some(first) = self.entries.first() else {
            return 0;
        };
        let len = head.len().min(first.len.into());
        let cells = self.buffers.source(first.buffer.into());
        copy_out(
            cells,
            first.offset.into(),
            head.get_mut(..len).unwrap_or_default(),
        );
        len
    }
}

/// The frame that was read and not yet taken.
#[derive(Clone, Copy, Debug, Default)]
struct Peeked {
    count: u32,
    len: usize,
    info: TxInfo,
}

/// The half of the driver's end through which frames go out.
#[derive(Debug)]
pub struct Tx<'m> {
    queue: Consumer<'m>,
    buffers: Buffers<'m, ReadOnly>,
    buffer_len: u32,
    known_flags: u16,
    /// Bytes of the longest frame that the NIC is not to cut.
    max_len: usize,
    refused: Count<'m>,
    lost: Count<'m>,
    peeked: Option<Peeked>,
    /// The frame that was peeked: private copies of its entries, and what comes of them.
    entries: [Entry; MAX_SEGMENTS],
    segments: [Segment; MAX_SEGMENTS],
    /// Numbers of entries of the frames that were taken or refused, by the place of the first one.
    spans: [u8; CAPACITY],
}

impl<'m> Tx<'m> {
    pub(super) fn new(
        areas: &Areas<'m>,
        layout: &Layout,
        features: Features,
        status: &StatusWords<'m, ReadWrite>,
    ) -> Result<Self, AreaError> {
        let (size, buffer_len) = (layout.entries(), layout.buffer_len());
        let flags = [
            (Features::TX_CHECKSUM, NEEDS_CSUM),
            (Features::TSO4, TSO4),
            (Features::TSO6, TSO6),
            (Features::TX_VLAN, VLAN),
        ];
        let known = flags.iter().filter(|(feature, _)| features.contains(*feature));
        let client = areas.client.read_only();
        let buffers = areas.tx_buffers.read_only();
        Ok(Self {
            queue: Consumer::new(&areas.driver, &client, size)?,
            buffers: buffers.buffers(size as usize, buffer_len as usize)?,
            buffer_len,
            known_flags: known.fold(MORE, |all, (_, flag)| all | flag),
            max_len: 0,
            refused: Count::new(status.tx_refused),
            lost: Count::new(status.tx_lost),
            peeked: None,
            entries: [Entry::default(); MAX_SEGMENTS],
            segments: [Segment::default(); MAX_SEGMENTS],
            spans: [0; CAPACITY],
        })
    }

    pub(super) fn set_max_len(&mut self, len: u32) {
        self.max_len = len as usize;
    }

    /// The next frame to be sent, if there is one. Its entries were read once, into private memory: it stays the same
    /// until [`Self::take`] or [`Self::refuse`].
    ///
    /// # Errors
    ///
    /// When it cannot be sent; then the next call looks at the one behind it. Or when the client broke the rules, which
    /// is said again by every call that follows.
    pub fn peek(&mut self) -> Result<Option<Frame<'_>>, PeekError> {
        let peeked = match self.peeked {
            Some(peeked) => peeked,
            None => match self.read()? {
                Some(peeked) => *self.peeked.insert(peeked),
                None => return Ok(None),
            },
        };
        let count = peeked.count as usize;
        Ok(Some(Frame {
            segments: self.segments.get(..count).unwrap_or_default(),
            len: peeked.len,
            info: peeked.info,
            entries: self.entries.get(..count).unwrap_or_default(),
            buffers: self.buffers,
        }))
    }

    /// Reads the next frame; one that cannot be sent is refused.
    fn read(&mut self) -> Result<Option<Peeked>, PeekError> {
        let available = self.queue.available()?;
        if available == 0 {
            return Ok(None);
        }
        let mut count = 0;
        for entry in &mut self.entries {
            if count == available {
                break;
            }
            *entry = self.queue.entry(count);
            count = count.wrapping_add(1);
            if !entry.has(MORE) {
                return match self.check(count) {
                    Ok(peeked) => Ok(Some(peeked)),
                    Err(error) => {
                        self.leave_behind(count, REFUSED);
                        Err(error.into())
                    }
                };
            }
        }
        Err(self.queue.fail(ProtocolError::Unfinished).into())
    }

    /// Checks the frame of so many entries.
    fn check(&mut self, count: u32) -> Result<Peeked, FrameError> {
        let entries = self.entries.get(..count as usize).unwrap_or_default();
        let (mut flags, mut len, mut first_len) = (0, 0usize, 0usize);
        for (at, (entry, segment)) in entries.iter().zip(&mut self.segments).enumerate() {
            let known = match at {
                0 => self.known_flags,
                _ => MORE,
            };
            if entry.flags & !known != 0 {
                return Err(FrameError::Flags(entry.flags));
            }
            if self.buffers.source(entry.buffer.into()).is_empty() {
                return Err(FrameError::Buffer);
            }
            let (offset, piece) = (u32::from(entry.offset), u32::from(entry.len));
            if piece == 0 || offset.wrapping_add(piece) > self.buffer_len {
                return Err(FrameError::Range);
            }
            let start = u32::from(entry.buffer).wrapping_mul(self.buffer_len);
            *segment = Segment {
                offset: start.wrapping_add(offset) as usize,
                len: piece as usize,
            };
            if at == 0 {
                (flags, first_len) = (entry.flags, piece as usize);
            }
            len = len.saturating_add(piece as usize);
        }
        let info = match flags & Details::FLAGS {
            0 => TxInfo::default(),
            _ => self
                .queue
                .details()
                .tx_info(flags)
                .ok_or(FrameError::Flags(flags))?,
        };
        let limit = match info.offload {
            Some(Offload::Segmentation(_)) => MAX_SEGMENTED_LEN,
            _ => self.max_len,
        };
        if len < MIN_FRAME_LEN {
            return Err(FrameError::TooShort);
        }
        if len > limit {
            return Err(FrameError::TooLong(limit));
        }
        let fits = |checksum: Checksum, end: usize| {
            let field = usize::from(checksum.start).saturating_add(checksum.offset.into());
            field.saturating_add(2) <= end
        };
        match info.offload {
            None => {}
            Some(Offload::Checksum(checksum)) if fits(checksum, len) => {}
            Some(Offload::Checksum(_)) => return Err(FrameError::Checksum),
            Some(Offload::Segmentation(segmentation)) => {
                let header_len = usize::from(segmentation.header_len);
                if header_len > first_len || header_len >= len || segmentation.mss == 0 {
                    return Err(FrameError::Segmentation);
                }
                if !fits(segmentation.checksum, header_len) {
                    return Err(FrameError::Checksum);
                }
            }
        }
        Ok(Peeked { count, len, info })
    }

    /// Takes the frame that was peeked: the NIC has it now. Without one, this does nothing.
    pub fn take(&mut self) {
        if let Some(peeked) = self.peeked.take() {
            self.leave_behind(peeked.count, 0);
        }
    }

    /// Refuses the frame that was peeked: it is counted and not sent. Without one, this does nothing.
    pub fn refuse(&mut self) {
        if let Some(peeked) = self.peeked.take() {
            self.leave_behind(peeked.count, REFUSED);
        }
    }

    /// Goes past the next frame.
    fn leave_behind(&mut self, count: u32, mark: u8) {
        if let Some(span) = self.spans.get_mut(self.queue.next_slot()) {
            *span = count as u8 | mark;
        }
        self.queue.advance(count);
        if mark == REFUSED {
            self.refused.add_one();
            self.give_back_refused();
        }
    }

    /// Gives back frames that were refused, up to the first that was taken.
    fn give_back_refused(&mut self) {
        while self.queue.held() != 0 {
            match self.spans.get(self.queue.done_slot()) {
                Some(span) if span & REFUSED != 0 => self.queue.give_back((span & !REFUSED).into()),
                _ => break,
            }
        }
    }

    /// Gives back the oldest frame that was taken: the NIC has done with it. Returns false if there is none. The client
    /// learns of it with the next [`Self::publish`].
    pub fn complete(&mut self, was_sent: bool) -> bool {
        if self.queue.held() == 0 {
            return false;
        }
        if !was_sent {
            self.lost.add_one();
        }
        let span = self
            .spans
            .get(self.queue.done_slot())
            .copied()
            .unwrap_or_default();
        self.queue.give_back(span.into());
        self.give_back_refused();
        true
    }

    /// Returns true if frames that were taken are not complete.
    pub fn is_in_flight(&self) -> bool {
        self.queue.held() != 0
    }

    /// Tells the client of all frames that were given back; returns true if it is to get an event.
    #[must_use = "the client may be asleep"]
    pub fn publish(&mut self) -> bool {
        self.queue.publish_and_look()
    }

    /// Returns true if the client waits for room: the NIC should then say when it has done with a frame.
    pub fn is_room_wanted(&self) -> bool {
        self.queue.room_is_wanted()
    }

    /// Asks the client to ring the doorbell for its next frame; returns true if one is there, so that nobody should
    /// sleep.
    ///
    /// # Errors
    ///
    /// When the client broke the rules.
    pub fn arm(&mut self) -> Result<bool, ProtocolError> {
        Ok(self.peeked.is_some() || self.queue.arm()?)
    }
}
