//! The receive ring: its counters, and writes of RDT.
//!
//! Hardware owns the descriptors from RDH up to, not including, RDT (8254x manual, 3.2.6). Counters are free-running
//! (they do not wrap at the ring's size): `consumed` is the next descriptor to look at, `provided` the next one to get
//! a buffer, `tail` the value last written to RDT. All descriptors may have a buffer, but only `size - 1` belong to the
//! hardware, because equal head and tail mean that it owns none.

use core::sync::atomic::{Ordering, fence};

use crate::offload::ChecksumResult;
use crate::platform::{DmaRegion, Registers};
use crate::pool::BUFFER_LEN;
use crate::regs;
use crate::ring::{DescriptorRing, DescriptorStatus, RingSize};

/// Status byte, bits 7:0 of the high word: descriptor done.
const DD: u32 = 1 << 0;
/// Status byte: last descriptor of the frame.
const EOP: u32 = 1 << 1;
/// Status byte: the frame carried a VLAN tag, which was stripped and is in bits 31:16 of the high word.
const VP: u32 = 1 << 3;
/// Error byte, bits 15:8 of the high word: CE, SE, SEQ, CXE and RXE make a frame bad. TCPE and IPE only report a wrong
/// checksum of the payload.
const FRAME_ERRORS: u32 = (1 << 0 | 1 << 1 | 1 << 2 | 1 << 4 | 1 << 7) << 8;
/// Buffers that are posted with one write of RDT.
const TAIL_BATCH: u32 = 16;

/// Buffers that a ring of `size` posts with one write of RDT.
fn batch(size: RingSize) -> u32 {
    TAIL_BATCH.min(size.get() / 2)
}

/// Longest frame that a ring of `size` can always receive. For a longer one, the hardware could wait for ever for
/// buffers that are not posted because their batch is not complete.
pub(crate) fn capacity(size: RingSize) -> usize {
    (size.get() - batch(size)) as usize * BUFFER_LEN
}

/// A descriptor that the device reports as done: a copy, which the device cannot change while it is decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Done {
    /// Bytes in the buffer, as the device reports.
    pub len: usize,
    high: u32,
}

impl Done {
    /// A descriptor with this length and this high word.
    #[cfg(test)]
    pub fn new(len: usize, high: u32) -> Self {
        Self { len, high }
    }

    /// Returns true if the frame ends in this buffer.
    pub fn end_of_frame(self) -> bool {
        self.high & EOP != 0
    }

    /// Returns true if the frame that ends here has an error.
    pub fn is_bad(self) -> bool {
        self.high & FRAME_ERRORS != 0
    }

    /// The VLAN tag that was stripped from the frame that ends here.
    pub fn tag(self) -> Option<u16> {
        (self.high & VP != 0).then_some((self.high >> 16) as u16)
    }

    /// Result of the checksum checks of the frame that ends here; `pcie` is true for PCIe parts.
    pub fn checksums(self, pcie: bool) -> ChecksumResult {
        ChecksumResult::from_descriptor(self.high, pcie)
    }
}

/// The receive ring.
pub(super) struct RxRing<D: DmaRegion> {
    descriptors: DescriptorRing<D>,
    consumed: u32,
    provided: u32,
    tail: u32,
    /// Value of `tail` when the device was last known to have seen it.
    seen_tail: u32,
}

impl<D: DmaRegion> RxRing<D> {
    pub fn new(descriptors: DescriptorRing<D>) -> Self {
        Self {
            descriptors,
            consumed: 0,
            provided: 0,
            tail: 0,
            seen_tail: 0,
        }
    }

    /// Programs base, length, head and tail. No descriptor has a buffer afterwards.
    pub fn program(&mut self, registers: &impl Registers) {
        for slot in 0..self.size().get() {
            self.descriptors.fill(slot, 0, DescriptorStatus::default());
        }
        (self.consumed, self.provided, self.tail, self.seen_tail) = (0, 0, 0, 0);
        let base = self.descriptors.bus_address();
        registers.write(regs::RDBAL, base as u32);
        registers.write(regs::RDBAH, (base >> 32) as u32);
        registers.write(regs::RDLEN, self.descriptors.byte_len());
        registers.write(regs::RDH, 0);
        registers.write(regs::RDT, 0);
    }

    /// Number of descriptors.
    pub fn size(&self) -> RingSize {
        self.descriptors.size()
    }

    /// End of the descriptors' memory.
    pub fn end_address(&self) -> u64 {
        self.descriptors.end_address()
    }

    /// Next descriptor to look at, and the value last written to RDT.
    pub fn position(&self) -> (u32, u32) {
        (self.consumed, self.tail)
    }

    /// The second half of descriptor `counter`.
    pub fn status(&self, counter: u32) -> DescriptorStatus {
        self.descriptors.status(counter)
    }

    /// Returns true if each descriptor has a buffer.
    pub fn is_full(&self) -> bool {
        self.provided.wrapping_sub(self.consumed) >= self.size().get()
    }

    /// Points the next descriptor at a buffer of [`BUFFER_LEN`] bytes. The ring must not be full.
    pub fn provide(&mut self, address: u64) {
        self.descriptors
            .fill(self.provided, address, DescriptorStatus::default());
        self.provided = self.provided.wrapping_add(1);
    }

    /// The descriptor `ahead` of the next one, if the device has filled it.
    pub fn done(&self, ahead: u32) -> Option<Done> {
        let position = self.consumed.wrapping_add(ahead);
        if position == self.tail {
            return None;
        }
        let high = self.descriptors.high(position);
        if high & DD == 0 {
            return None;
        }
        // Bits 31:16 of the low word are the packet checksum, which is not used.
        let len = usize::from(self.descriptors.low(position) as u16);
        Some(Done { len, high })
    }

    /// Returns true if at least `count` filled descriptors are waiting. Reads one of them.
    pub fn has_done(&self, count: u32) -> bool {
        let last = self.consumed.wrapping_add(count.saturating_sub(1));
        self.tail.wrapping_sub(self.consumed) >= count && self.descriptors.high(last) & DD != 0
    }

    /// Consumes the next descriptor, whose buffer goes back to its owner.
    pub fn consume(&mut self) {
        self.consumed = self.consumed.wrapping_add(1);
    }

    /// Consumes the next descriptor and provides it again with the same buffer. Every descriptor has to have a buffer.
    pub fn recycle(&mut self) {
        // The address survives write-back of a legacy descriptor; everything else must be cleared: QEMU leaves the
        // error byte as it was when it writes a descriptor back (hw/net/e1000.c, `e1000_receive_iov`).
        self.descriptors
            .set_status(self.consumed, DescriptorStatus::default());
        self.consumed = self.consumed.wrapping_add(1);
        self.provided = self.provided.wrapping_add(1);
    }

    /// End of the descriptors that may be posted.
    fn published(&self) -> u32 {
        let size = self.size().get();
        let outstanding = self.provided.wrapping_sub(self.consumed).min(size - 1);
        self.consumed.wrapping_add(outstanding)
    }

    /// Posts new buffers if they make a batch.
    pub fn publish_batch(&mut self, registers: &impl Registers) {
        let published = self.published();
        if published.wrapping_sub(self.tail) >= batch(self.size()) {
            self.write_tail(registers, published);
        }
    }

    /// Posts all new buffers; touches no register if there are none.
    pub fn publish(&mut self, registers: &impl Registers) {
        let published = self.published();
        if published != self.tail {
            self.write_tail(registers, published);
        }
    }

    fn write_tail(&mut self, registers: &impl Registers, tail: u32) {
        self.tail = tail;
        fence(Ordering::Release);
        registers.write(regs::RDT, self.size().slot(tail));
    }

    /// Records an access to a register that no hypervisor delays: the device has seen all earlier writes.
    pub fn note_flush(&mut self) {
        self.seen_tail = self.tail;
    }

    /// Returns true if the device may not have seen all posted buffers.
    ///
    /// KVM delays writes of some registers, RDT among them, until the next access of another one (coalesced MMIO; QEMU,
    /// hw/net/e1000.c, `e1000_mmio_setup`).
    pub fn has_unseen(&self) -> bool {
        self.tail != self.seen_tail
    }

    /// Returns true if the device may run out of buffers because it has not seen those.
    pub fn may_starve(&self) -> bool {
        self.has_unseen() && self.seen_tail.wrapping_sub(self.consumed) <= self.size().get() / 2
    }

    /// Frees the memory.
    ///
    /// # Safety
    ///
    /// As for [`DescriptorRing::free`].
    pub unsafe fn free(&mut self) {
        // SAFETY: as the caller promises.
        unsafe { self.descriptors.free() };
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::chip::find;
    use crate::fake::{FakeMachine, FakeRegion, FakeRegisters};

    fn ring(size: u32) -> (FakeMachine, FakeRegisters, RxRing<FakeRegion>) {
        let machine = FakeMachine::new(find(0x8086, 0x100E).expect("82540EM"));
        let size = RingSize::new(size).expect("a ring size");
        let mut ring = RxRing::new(DescriptorRing::new(&mut machine.dma(), size).expect("memory"));
        let registers = machine.registers();
        ring.program(&registers);
        machine.take_accesses();
        (machine, registers, ring)
    }

    /// Values written to RDT since the last time; nothing else was accessed.
    fn tails(machine: &FakeMachine) -> Vec<u32> {
        let accesses = machine.take_accesses();
        assert_eq!(accesses.reads, []);
        let tail = |(offset, value)| {
            assert_eq!(offset, regs::RDT);
            value
        };
        accesses.writes.into_iter().map(tail).collect()
    }

    #[test]
    fn one_buffer_less_than_there_are_descriptors_is_with_the_hardware() {
        let (machine, registers, mut ring) = ring(8);
        for n in 0..8 {
            assert!(!ring.is_full());
            ring.provide(0x1000 * (n + 1));
        }
        assert!(ring.is_full());
        ring.publish(&registers);
        ring.publish(&registers);
        assert_eq!(tails(&machine), [7]);
        machine.poke_rx_descriptor(0, 60, DD);
        assert_eq!(ring.done(0), Some(Done { len: 60, high: DD }));
        ring.consume();
        ring.publish(&registers);
        assert_eq!(tails(&machine), [0], "the eighth");
        ring.provide(0x9000);
        assert!(ring.is_full());
    }

    #[test]
    fn tail_is_written_once_for_a_batch() {
        let (machine, registers, mut ring) = ring(64);
        for n in 1..=64 {
            ring.provide(0x1000 * n);
            ring.publish_batch(&registers);
        }
        assert_eq!(tails(&machine), [16, 32, 48]);
        ring.publish(&registers);
        assert_eq!(tails(&machine), [63]);
        for slot in 0..63 {
            machine.poke_rx_descriptor(slot, 60, DD | EOP);
            assert!(ring.done(0).is_some_and(Done::end_of_frame));
            ring.recycle();
            ring.publish_batch(&registers);
        }
        assert_eq!(tails(&machine), [15, 31, 47]);
        let (consumed, tail) = ring.position();
        assert_eq!((consumed, tail), (63, 64 + 47));
    }

    #[test]
    fn nothing_beyond_the_tail_is_done_whatever_the_device_writes() {
        let (machine, registers, mut ring) = ring(8);
        for n in 1..=4 {
            ring.provide(0x1000 * n);
        }
        ring.publish(&registers);
        for slot in 0..8 {
            machine.poke_rx_descriptor(slot, u32::MAX, u32::MAX);
        }
        assert_eq!((0..8).filter(|ahead| ring.done(*ahead).is_some()).count(), 7);
        assert_eq!(ring.done(4), None, "the first that the hardware does not have");
        assert!(ring.has_done(4) && !ring.has_done(5));
        assert_eq!(ring.done(0).map(|done| done.len), Some(0xFFFF));
    }

    #[test]
    fn status_and_errors_are_those_of_the_manual() {
        // 8254x manual, 3.2.3.1 and 3.2.3.2.
        let done = |high| Done { len: 60, high };
        assert!(done(1 << 1).end_of_frame() && !done(1 << 0).end_of_frame());
        let bad: Vec<u32> = (0..8).filter(|bit| done(1 << (8 + bit)).is_bad()).collect();
        assert_eq!(bad, [0, 1, 2, 4, 7], "CE, SE, SEQ, CXE, RXE");
        assert_eq!(done(0x2005 << 16 | 1 << 3).tag(), Some(0x2005));
        assert_eq!(done(0x2005 << 16).tag(), None);
    }
}
