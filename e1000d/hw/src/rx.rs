//! The receive ring.
//!
//! Hardware owns the descriptors from RDH up to, not including, RDT (8254x manual, 3.2.6). Counters run free and
//! never wrap at the ring's size: `consumed` is the next descriptor to look at, `tail` the value last written to
//! RDT; `tail - consumed` descriptors are with the hardware, at most `size - 1`, because equal head and tail mean
//! that hardware owns nothing.

use core::sync::atomic::{Ordering, fence};

use crate::chip::{Chip, Quirks};
use crate::platform::{DmaAllocator, DmaRegion, Registers};
use crate::regs;
use crate::ring::{BUFFER_LEN, Buffers, DescriptorRing, OutOfDmaMemory, RingSize, Words};

/// Status byte, bits 7:0 of the high word: descriptor done.
const DD: u32 = 1 << 0;
/// Status byte: last descriptor of the frame.
const EOP: u32 = 1 << 1;
/// Error byte, bits 15:8 of the high word: CE, SE, SEQ, CXE and RXE make a frame bad. TCPE and IPE do not, they
/// only say that a checksum is not good.
const FRAME_ERRORS: u32 = (1 << 0 | 1 << 1 | 1 << 2 | 1 << 4 | 1 << 7) << 8;
/// Bytes of an Ethernet header; less is no frame.
const HEADER_LEN: usize = 14;
/// Bytes of the frame check sequence, on parts that cannot strip it.
const FCS_LEN: usize = 4;
/// Buffers returned to the hardware with one write of RDT.
const TAIL_BATCH: u32 = 16;

/// What became of received frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RxCounters {
    /// Frames copied out.
    pub frames: u64,
    /// Their bytes, without FCS, before a short reader's truncation.
    pub bytes: u64,
    /// Frames that spanned more than one buffer, dropped whole.
    pub oversized: u64,
    /// Frames with an error bit (CE, SE, SEQ, CXE, RXE).
    pub errors: u64,
    /// Frames whose length no frame can have: below 14 bytes or above the buffer.
    pub bad_length: u64,
}

/// The receive ring with its buffers.
pub struct RxRing<D: DmaRegion> {
    descriptors: DescriptorRing<D>,
    buffers: Buffers<D>,
    size: RingSize,
    fcs_len: usize,
    consumed: u32,
    tail: u32,
    /// In the middle of a frame that does not fit one buffer.
    discarding: bool,
    counters: RxCounters,
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
            descriptors.set_words(slot, Words::default());
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
            discarding: false,
            counters: RxCounters::default(),
        })
    }

    /// Programs base, length, head and tail. The receiver must be disabled.
    pub fn program(&mut self, registers: &impl Registers) {
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

    /// Length without FCS of the frame that [`Self::take`] will give next, if one is there.
    ///
    /// Drops what is no good frame on the way, at most one ring full of it, so that a device that reports
    /// descriptors as done for ever cannot keep the caller.
    pub fn next_len(&mut self, registers: &impl Registers) -> Option<usize> {
        for _ in 0..self.size.get() {
            if self.consumed == self.tail {
                return None;
            }
            let high = self.descriptors.high(self.consumed);
            if high & DD == 0 {
                return None;
            }
            let len = usize::from(self.descriptors.low(self.consumed) as u16);
            match self.judge(high, len) {
                Some(len) => return Some(len),
                None => self.recycle(registers),
            }
        }
        None
    }

    /// Length of the frame in a descriptor that is done, or `None` for one to drop, counted.
    fn judge(&mut self, high: u32, len: usize) -> Option<usize> {
        let end_of_packet = high & EOP != 0;
        if !end_of_packet || self.discarding {
            // Legacy descriptors have no start-of-packet mark: everything up to and with EOP is one frame.
            if !self.discarding {
                self.counters.oversized += 1;
            }
            self.discarding = !end_of_packet;
            return None;
        }
        if high & FRAME_ERRORS != 0 {
            self.counters.errors += 1;
            return None;
        }
        match len.checked_sub(self.fcs_len) {
            Some(frame) if frame >= HEADER_LEN && len <= BUFFER_LEN => Some(frame),
            _ => {
                self.counters.bad_length += 1;
                None
            }
        }
    }

    /// Copies the frame, whose length [`Self::next_len`] just gave, into `out`, and returns how many bytes that were:
    /// `len`, or `out`'s length if that is smaller; the rest of the frame is lost then.
    ///
    /// The length is not read again: the device could have changed it.
    pub fn take(&mut self, registers: &impl Registers, len: usize, out: &mut [u8]) -> usize {
        let copied = self.buffers.copy_out(self.consumed, len, out);
        self.counters.frames += 1;
        self.counters.bytes += len as u64;
        self.recycle(registers);
        copied
    }

    /// Gives the buffer of the descriptor just looked at back, telling the hardware once a batch is together.
    fn recycle(&mut self, registers: &impl Registers) {
        // The address survives write-back; everything else must be cleared: QEMU leaves the error byte as it
        // was when it writes a descriptor back.
        self.descriptors.set_words(self.consumed, Words::default());
        self.consumed = self.consumed.wrapping_add(1);
        let returned = self.consumed.wrapping_add(self.size.get() - 1);
        let batch = TAIL_BATCH.min(self.size.get() / 2);
        if returned.wrapping_sub(self.tail) >= batch {
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
