//! The transmit ring: its counters, the ends of frames, and writes of TDT.
//!
//! Hardware owns the descriptors from TDH up to, not including, TDT (8254x manual, 3.4). Counters are free-running:
//! descriptors from `reclaimed` to `posted` belong to the hardware, those from `posted` to `filled` wait for the next
//! write of TDT. One slot stays unused, because equal head and tail mean empty.
//!
//! A frame may have several descriptors. All are posted with the same write of TDT, and reclaimed together when the
//! last one is done.

use core::sync::atomic::{Ordering, fence};

use crate::platform::{DmaRegion, Registers};
use crate::regs;
use crate::ring::{DescriptorRing, DescriptorStatus, MAX_DESCRIPTORS, RingSize};

/// Command byte, bits 31:24 of the low word: end of packet.
const EOP: u32 = 1 << 24;
/// Command byte: insert the FCS. Real parts send no FCS without it; QEMU never appends one.
const IFCS: u32 = 1 << 25;
/// Command byte: report status, so that the device sets DD. On every data descriptor.
const RS: u32 = 1 << 27;
/// Status, bits 3:0 of the high word: descriptor done.
const DD: u32 = 1 << 0;

/// Options of all data descriptors of a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    /// Bits of the low word.
    pub command: u32,
    /// The high word.
    pub high: u32,
}

/// Place of a descriptor in its frame, and kind of the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// Not the last one.
    Middle,
    /// The last one of a frame that was copied.
    CopiedEnd,
    /// The last one of a frame in the owner's memory.
    ByAddressEnd,
}

/// Marks of all descriptors, two bits each. They are not in the ring, where the device could change them.
struct Marks([u32; MAX_DESCRIPTORS as usize / 16]);

impl Marks {
    fn set(&mut self, slot: u32, mark: Mark) {
        if let Some(word) = self.0.get_mut((slot / 16) as usize) {
            let shift = slot % 16 * 2;
            *word = *word & !(0b11 << shift) | (mark as u32) << shift;
        }
    }

    fn get(&self, slot: u32) -> Mark {
        let word = self.0.get((slot / 16) as usize).copied().unwrap_or_default();
        match word >> (slot % 16 * 2) & 0b11 {
            0 => Mark::Middle,
            1 => Mark::CopiedEnd,
            _ => Mark::ByAddressEnd,
        }
    }
}

/// The transmit ring.
pub(super) struct TxRing<D: DmaRegion> {
    descriptors: DescriptorRing<D>,
    reclaimed: u32,
    posted: u32,
    filled: u32,
    /// Frames, not descriptors, from `posted` to `filled`.
    pending: u32,
    marks: Marks,
}

impl<D: DmaRegion> TxRing<D> {
    pub fn new(descriptors: DescriptorRing<D>) -> Self {
        Self {
            descriptors,
            reclaimed: 0,
            posted: 0,
            filled: 0,
            pending: 0,
            marks: Marks([0; MAX_DESCRIPTORS as usize / 16]),
        }
    }

    /// Programs base, length, head and tail. The ring is empty afterwards.
    pub fn program(&mut self, registers: &impl Registers) {
        (self.reclaimed, self.posted, self.filled, self.pending) = (0, 0, 0, 0);
        let base = self.descriptors.bus_address();
        registers.write(regs::TDBAL, base as u32);
        registers.write(regs::TDBAH, (base >> 32) as u32);
        registers.write(regs::TDLEN, self.descriptors.byte_len());
        registers.write(regs::TDH, 0);
        registers.write(regs::TDT, 0);
    }

    /// Number of descriptors.
    pub fn size(&self) -> RingSize {
        self.descriptors.size()
    }

    /// Highest address of the descriptors, exclusive.
    pub fn end_address(&self) -> u64 {
        self.descriptors.end_address()
    }

    /// Counters: the oldest descriptor that was not reclaimed, the first that was not posted, the first that is free.
    pub fn position(&self) -> (u32, u32, u32) {
        (self.reclaimed, self.posted, self.filled)
    }

    /// The second half of descriptor `counter`.
    pub fn status(&self, counter: u32) -> DescriptorStatus {
        self.descriptors.status(counter)
    }

    /// Descriptors that are free now.
    pub fn space(&self) -> u32 {
        self.size().get() - 1 - self.filled.wrapping_sub(self.reclaimed)
    }

    /// Descriptors that were posted and not reclaimed.
    pub fn in_flight(&self) -> u32 {
        self.posted.wrapping_sub(self.reclaimed)
    }

    /// Frames that were posted and not reclaimed.
    pub fn frames_in_flight(&self) -> u32 {
        let ends = |n: &u32| self.mark(self.reclaimed.wrapping_add(*n)) != Mark::Middle;
        (0..self.in_flight()).filter(ends).count() as u32
    }

    /// Frames that were not posted.
    pub fn pending(&self) -> u32 {
        self.pending
    }

    fn mark(&self, counter: u32) -> Mark {
        self.marks.get(self.size().slot(counter))
    }

    /// Puts `len` bytes of a frame at `address` into descriptor `counter`, which is free.
    pub fn put(&mut self, counter: u32, address: u64, len: usize, options: Options, mark: Mark) {
        let end = if mark == Mark::Middle { 0 } else { EOP };
        let status = DescriptorStatus {
            low: len as u32 | IFCS | RS | options.command | end,
            high: options.high,
        };
        self.descriptors.fill(counter, address, status);
        self.marks.set(self.size().slot(counter), mark);
    }

    /// Puts a context into descriptor `counter`, which is free.
    pub fn put_raw(&mut self, counter: u32, first: u64, second: DescriptorStatus) {
        self.descriptors.fill(counter, first, second);
        self.marks.set(self.size().slot(counter), Mark::Middle);
    }

    /// Ends a frame before descriptor `end`.
    pub fn commit(&mut self, end: u32) {
        self.filled = end;
        self.pending = self.pending.wrapping_add(1);
    }

    /// Posts all frames, with at most one write of TDT. Returns true if it was written.
    pub fn post(&mut self, registers: &impl Registers) -> bool {
        if self.posted == self.filled {
            return false;
        }
        self.posted = self.filled;
        self.pending = 0;
        fence(Ordering::Release);
        registers.write(regs::TDT, self.size().slot(self.posted));
        true
    }

    /// Reclaims the descriptors of frames whose last one the hardware reports as done. The others do not count, because
    /// 8254x may report them before it has fetched them (segmentation). Only posted descriptors are looked at, whatever
    /// the device writes elsewhere. Returns the number of frames in the owner's memory among them.
    pub fn reclaim(&mut self) -> u32 {
        let (mut next, mut by_address) = (self.reclaimed, 0);
        while next != self.posted {
            let mark = self.mark(next);
            if mark != Mark::Middle && self.descriptors.high(next) & DD == 0 {
                break;
            }
            next = next.wrapping_add(1);
            if mark != Mark::Middle {
                self.reclaimed = next;
                by_address += u32::from(mark == Mark::ByAddressEnd);
            }
        }
        by_address
    }

    /// Drops the frames that were not posted. Returns their number, and the number of those in the owner's memory.
    pub fn drop_pending(&mut self) -> (u32, u32) {
        let unposted = self.filled.wrapping_sub(self.posted);
        let by_address = |n: &u32| self.mark(self.posted.wrapping_add(*n)) == Mark::ByAddressEnd;
        let by_address = (0..unposted).filter(by_address).count() as u32;
        self.filled = self.posted;
        (core::mem::take(&mut self.pending), by_address)
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
    use super::*;
    use crate::chip::find;
    use crate::fake::{FakeMachine, FakeRegion, FakeRegisters};

    const PLAIN: Options = Options { command: 0, high: 0 };

    /// A ring whose frames the device does not send by itself.
    fn ring(size: u32) -> (FakeMachine, FakeRegisters, TxRing<FakeRegion>) {
        let machine = FakeMachine::new(find(0x8086, 0x100E).expect("82540EM"));
        let size = RingSize::new(size).expect("a ring size");
        let mut ring = TxRing::new(DescriptorRing::new(&mut machine.dma(), size).expect("memory"));
        let registers = machine.registers();
        ring.program(&registers);
        machine.take_accesses();
        (machine, registers, ring)
    }

    /// Puts a frame of so many descriptors into the ring.
    fn put(ring: &mut TxRing<FakeRegion>, count: u32, end: Mark) {
        let (.., first) = ring.position();
        for n in 0..count {
            let mark = if n + 1 == count { end } else { Mark::Middle };
            ring.put(first.wrapping_add(n), 0x1000, 60, PLAIN, mark);
        }
        ring.commit(first.wrapping_add(count));
    }

    fn done(machine: &FakeMachine, slot: u32) {
        let [_, _, low, _] = machine.peek_tx_descriptor(slot);
        machine.poke_tx_descriptor(slot, low, DD);
    }

    #[test]
    fn marks_of_neighbours_do_not_touch() {
        let mut marks = Marks([0; MAX_DESCRIPTORS as usize / 16]);
        let all = [Mark::Middle, Mark::CopiedEnd, Mark::ByAddressEnd];
        for round in 0..3 {
            let mark = |slot: u32| all[(slot + round) as usize % 3];
            (0..MAX_DESCRIPTORS).for_each(|slot| marks.set(slot, mark(slot)));
            assert!((0..MAX_DESCRIPTORS).all(|slot| marks.get(slot) == mark(slot)));
        }
        marks.set(MAX_DESCRIPTORS, Mark::CopiedEnd);
        assert_eq!(marks.get(MAX_DESCRIPTORS), Mark::Middle, "there is no such slot");
    }

    #[test]
    fn frames_are_told_of_at_once_and_taken_back_when_their_last_descriptor_is_done() {
        let (machine, registers, mut ring) = ring(8);
        assert!(!ring.post(&registers), "there is nothing");
        put(&mut ring, 3, Mark::ByAddressEnd);
        put(&mut ring, 2, Mark::CopiedEnd);
        assert_eq!((ring.space(), ring.pending(), ring.in_flight()), (2, 2, 0));
        assert!(ring.post(&registers) && !ring.post(&registers));
        assert_eq!(machine.take_accesses().writes, [(regs::TDT, 5)]);
        assert_eq!((ring.frames_in_flight(), ring.pending()), (2, 0));
        // In the middle of a frame, and after one that is not done.
        for slot in [0, 1, 3, 4] {
            done(&machine, slot);
        }
        assert_eq!((ring.reclaim(), ring.space()), (0, 2));
        done(&machine, 2);
        assert_eq!((ring.reclaim(), ring.space()), (1, 7));
        assert_eq!(ring.position(), (5, 5, 5));
    }

    #[test]
    fn only_what_was_posted_is_taken_back_whatever_the_device_writes() {
        let (machine, registers, mut ring) = ring(8);
        put(&mut ring, 1, Mark::CopiedEnd);
        ring.post(&registers);
        put(&mut ring, 1, Mark::CopiedEnd);
        (0..8).for_each(|slot| done(&machine, slot));
        ring.reclaim();
        assert_eq!(ring.position(), (1, 1, 2));
    }

    #[test]
    fn pending_frames_are_dropped_and_those_of_the_owner_counted() {
        let (_machine, registers, mut ring) = ring(16);
        put(&mut ring, 2, Mark::ByAddressEnd);
        ring.post(&registers);
        for (count, mark) in [
            (2, Mark::ByAddressEnd),
            (1, Mark::CopiedEnd),
            (3, Mark::ByAddressEnd),
        ] {
            put(&mut ring, count, mark);
        }
        assert_eq!(ring.drop_pending(), (3, 2));
        assert_eq!(ring.position(), (0, 2, 2));
        assert_eq!(ring.drop_pending(), (0, 0));
    }
}
