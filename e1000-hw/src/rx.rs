//! The receive ring.
//!
//! Hardware owns the descriptors from RDH up to, not including, RDT (8254x manual, 3.2.6). Counters run free and
//! never wrap at the ring's size: `consumed` is the next descriptor to look at, `tail` the value last written to
//! RDT; `tail - consumed` descriptors are with the hardware, at most `size - 1`, because equal head and tail mean
//! that hardware owns nothing.
//!
//! A frame longer than a buffer takes several descriptors, all but the last full and without EOP (hardware-facts
//! 8.3). It is put together while it is copied out, or dropped whole. Legacy descriptors do not mark the first one,
//! so what a broken device leaves without EOP can only be stopped by the limit.

use core::sync::atomic::{Ordering, fence};

use crate::chip::{Chip, Quirks};
use crate::ethernet::{FCS_LEN, HEADER_LEN};
use crate::offload::ChecksumResult;
use crate::platform::{DmaAllocator, DmaRegion, Registers};
use crate::regs;
use crate::ring::{BUFFER_LEN, Buffers, DescriptorRing, OutOfDmaMemory, RingSize, Words};

/// Status byte, bits 7:0 of the high word: descriptor done.
const DD: u32 = 1 << 0;
/// Status byte: last descriptor of the frame.
const EOP: u32 = 1 << 1;
/// Status byte: the frame carried a VLAN tag, which was stripped and is in bits 31:16 of the high word.
const VP: u32 = 1 << 3;
/// Error byte, bits 15:8 of the high word: CE, SE, SEQ, CXE and RXE make a frame bad. TCPE and IPE do not, they
/// only say that a checksum is not good.
const FRAME_ERRORS: u32 = (1 << 0 | 1 << 1 | 1 << 2 | 1 << 4 | 1 << 7) << 8;
/// Buffers returned to the hardware with one write of RDT.
const TAIL_BATCH: u32 = 16;

/// What became of received frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RxCounters {
    /// Frames copied out.
    pub frames: u64,
    /// Their bytes, without FCS, before a short reader's truncation.
    pub bytes: u64,
    /// Frames longer than the MTU allows, dropped whole.
    pub oversized: u64,
    /// Frames with an error bit (CE, SE, SEQ, CXE, RXE).
    pub errors: u64,
    /// Frames whose length no frame can have: below 14 bytes, above the buffer, or a gap in the middle.
    pub bad_length: u64,
    /// Good frames that the owner dropped.
    pub dropped: u64,
}

/// The receive ring with its buffers.
pub struct RxRing<D: DmaRegion> {
    descriptors: DescriptorRing<D>,
    buffers: Buffers<D>,
    size: RingSize,
    fcs_len: usize,
    consumed: u32,
    tail: u32,
    /// Full descriptors from `consumed` on that are the beginning of a frame whose end has not been seen.
    chained: u32,
    /// In the middle of a frame that is being dropped.
    discarding: bool,
    /// Longest frame, with FCS where the part cannot strip it, that is not dropped.
    limit: usize,
    /// Value of `tail` when the device was last known to have seen it.
    seen_tail: u32,
    /// High word of the last descriptor of the frame that [`Self::next_len`] found.
    last: u32,
    counters: RxCounters,
}

/// What a descriptor that is done means.
enum Verdict {
    /// The end of a good frame of this length without FCS.
    Frame(usize),
    /// The beginning or the middle of a frame.
    More,
    /// Nothing to keep, counted.
    Drop,
}

/// Buffers that are returned to a ring of `size` at once.
fn batch(size: RingSize) -> u32 {
    TAIL_BATCH.min(size.get() / 2)
}

/// Longest frame that a ring of `size` can always take: hardware with fewer descriptors than a frame needs waits
/// for more, and would wait for ever.
pub(crate) fn capacity(size: RingSize) -> usize {
    (size.get() - batch(size)) as usize * BUFFER_LEN
}

impl<D: DmaRegion> RxRing<D> {
    /// Allocates the ring and its buffers and fills every descriptor. Touches no register.
    pub fn new<A>(allocator: &mut A, size: RingSize, chip: &Chip) -> Result<Self, OutOfDmaMemory>
    where
        A: DmaAllocator<Region = D>,
    {
        let descriptors = DescriptorRing::new(allocator, size)?;
        let buffers = match Buffers::new(allocator, size) {
            Ok(buffers) => buffers,
            Err(error) => {
                descriptors.quiesced();
                return Err(error);
            }
        };
        for slot in 0..size.get() {
            descriptors.set_address(slot, buffers.bus_address(slot));
        }
        let fcs_len = if chip.quirks.contains(Quirks::NO_SECRC) {
            FCS_LEN
        } else {
            0
        };
        Ok(Self {
            descriptors,
            buffers,
            size,
            fcs_len,
            consumed: 0,
            tail: 0,
            seen_tail: 0,
            chained: 0,
            discarding: false,
            limit: BUFFER_LEN,
            last: 0,
            counters: RxCounters::default(),
        })
    }

    /// Programs base, length, head and tail, and forgets what was received. The receiver must be disabled, its DMA
    /// ended.
    pub fn program(&mut self, registers: &impl Registers) {
        for slot in 0..self.size.get() {
            self.descriptors.set_words(slot, Words::default());
        }
        (self.consumed, self.tail, self.chained, self.discarding) = (0, 0, 0, false);
        self.seen_tail = 0;
        let base = self.descriptors.bus_address();
        registers.write(regs::RDBAL, base as u32);
        registers.write(regs::RDBAH, (base >> 32) as u32);
        registers.write(regs::RDLEN, self.descriptors.byte_len());
        registers.write(regs::RDH, 0);
        registers.write(regs::RDT, 0);
    }

    /// Hands all but one descriptor to the hardware: the first write of RDT.
    pub fn start(&mut self, registers: &impl Registers) {
        self.write_tail(registers, self.size.get() - 1);
    }

    /// A register was accessed that no hypervisor holds back, so that the device has seen all that was written before.
    pub fn note_flush(&mut self) {
        self.seen_tail = self.tail;
    }

    /// Whether buffers were given back that a hypervisor may not have told the device of.
    ///
    /// KVM collects writes of registers that QEMU names (coalesced MMIO; hw/net/e1000.c, `e1000_mmio_setup`), RDT among
    /// them, and hands them over at the next access of another one.
    pub fn has_unseen(&self) -> bool {
        self.tail != self.seen_tail
    }

    /// Whether the device may run out of buffers for want of those.
    pub fn may_starve(&self) -> bool {
        self.has_unseen() && self.seen_tail.wrapping_sub(self.consumed) <= self.size.get() / 2
    }

    /// What became of received frames so far.
    pub fn counters(&self) -> RxCounters {
        self.counters
    }

    /// Number of descriptors.
    pub fn size(&self) -> RingSize {
        self.size
    }

    /// Highest address that the device is given, exclusive.
    pub fn end_address(&self) -> u64 {
        self.buffers
            .end_address()
            .max(self.descriptors.bus_address() + u64::from(self.descriptors.byte_len()))
    }

    /// Drops frames of more than `limit` bytes without FCS. Those that fit one buffer always pass: it is the MAC that
    /// drops what is longer than 1522 bytes unless RCTL.LPE is set.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = (limit + self.fcs_len).clamp(BUFFER_LEN, capacity(self.size));
    }

    /// The VLAN tag that was stripped from the frame last found, if it had one and CTRL.VME is set.
    pub fn tag(&self) -> Option<u16> {
        (self.last & VP != 0).then_some((self.last >> 16) as u16)
    }

    /// What the hardware found out of the checksums of the frame last found, if RXCSUM is set; `pcie` is the part's.
    pub(crate) fn checksums(&self, pcie: bool) -> ChecksumResult {
        ChecksumResult::from_descriptor(self.last, pcie)
    }

    /// Descriptor that is looked at next, and the value last written to RDT: free-running.
    pub fn position(&self) -> (u32, u32) {
        (self.consumed, self.tail)
    }

    /// The second half of descriptor `counter`, for a report.
    pub fn words(&self, counter: u32) -> Words {
        Words {
            low: self.descriptors.low(counter),
            high: self.descriptors.high(counter),
        }
    }

    /// Length without FCS of the frame that [`Self::take`] will give next, if one is there.
    ///
    /// Drops what is no good frame on the way, at most one ring full of it, so that a device that reports
    /// descriptors as done for ever cannot keep the caller.
    pub fn next_len(&mut self, registers: &impl Registers) -> Option<usize> {
        for _ in 0..self.size.get() {
            let position = self.consumed.wrapping_add(self.chained);
            if position == self.tail {
                return None;
            }
            let high = self.descriptors.high(position);
            if high & DD == 0 {
                return None;
            }
            let len = usize::from(self.descriptors.low(position) as u16);
            match self.judge(high, len) {
                Verdict::Frame(len) => {
                    self.last = high;
                    return Some(len);
                }
                Verdict::More => self.chained += 1,
                Verdict::Drop => self.recycle(registers),
            }
        }
        None
    }

    /// What a descriptor that is done means.
    fn judge(&mut self, high: u32, len: usize) -> Verdict {
        let end_of_packet = high & EOP != 0;
        if self.discarding {
            self.discarding = !end_of_packet;
            return Verdict::Drop;
        }
        let before = self.chained as usize * BUFFER_LEN;
        if !end_of_packet {
            if before + BUFFER_LEN >= self.limit {
                self.counters.oversized += 1;
            } else if len == BUFFER_LEN {
                return Verdict::More;
            } else {
                self.counters.bad_length += 1;
            }
            self.discarding = true;
            return Verdict::Drop;
        }
        if high & FRAME_ERRORS != 0 {
            self.counters.errors += 1;
            return Verdict::Drop;
        }
        match (before + len).checked_sub(self.fcs_len) {
            Some(frame) if frame >= HEADER_LEN && len <= BUFFER_LEN => {
                if before + len <= self.limit {
                    return Verdict::Frame(frame);
                }
                self.counters.oversized += 1;
            }
            _ => self.counters.bad_length += 1,
        }
        Verdict::Drop
    }

    /// Copies the frame, whose length [`Self::next_len`] just gave, into `out`, and returns how many bytes that were:
    /// `len`, or `out`'s length if that is smaller; the rest of the frame is lost then.
    ///
    /// The length is not read again: the device could have changed it.
    pub fn take(&mut self, registers: &impl Registers, len: usize, out: &mut [u8]) -> usize {
        let mut copied = self.buffers.copy_out(self.consumed, len, out);
        for n in 1..=self.chained {
            let (rest, counter) = (len.saturating_sub(copied), self.consumed.wrapping_add(n));
            let out = out.get_mut(copied..).unwrap_or_default();
            copied += self.buffers.copy_out(counter, rest, out);
        }
        self.counters.frames += 1;
        self.counters.bytes += len as u64;
        self.recycle(registers);
        copied
    }

    /// Whether the hardware has filled at least `count` descriptors that were not taken yet. Looks at one of them.
    pub fn holds(&self, count: u32) -> bool {
        let last = self.consumed.wrapping_add(count.saturating_sub(1));
        self.tail.wrapping_sub(self.consumed) >= count && self.descriptors.high(last) & DD != 0
    }

    /// Copies the beginning of the frame, whose length [`Self::next_len`] just gave, into `out`, and returns how many
    /// bytes that were: no more than its first buffer has.
    pub fn peek(&self, len: usize, out: &mut [u8]) -> usize {
        self.buffers.copy_out(self.consumed, len, out)
    }

    /// Drops the frame that [`Self::next_len`] just found.
    pub fn discard(&mut self, registers: &impl Registers) {
        self.count_dropped();
        self.recycle(registers);
    }

    /// Counts a good frame that the owner dropped.
    pub fn count_dropped(&mut self) {
        self.counters.dropped += 1;
    }

    /// Gives the buffers of the frame just looked at back, telling the hardware once a batch is together.
    fn recycle(&mut self, registers: &impl Registers) {
        for _ in 0..=self.chained {
            // The address survives write-back; everything else must be cleared: QEMU leaves the error byte as it
            // was when it writes a descriptor back.
            self.descriptors.set_words(self.consumed, Words::default());
            self.consumed = self.consumed.wrapping_add(1);
        }
        self.chained = 0;
        let returned = self.consumed.wrapping_add(self.size.get() - 1);
        if returned.wrapping_sub(self.tail) >= batch(self.size) {
            self.write_tail(registers, returned);
        }
    }

    fn write_tail(&mut self, registers: &impl Registers, tail: u32) {
        self.tail = tail;
        fence(Ordering::Release);
        registers.write(regs::RDT, self.size.slot(tail));
    }

    /// Frees the memory. The caller has stopped the device.
    pub fn quiesced(self) {
        self.descriptors.quiesced();
        self.buffers.quiesced();
    }
}
