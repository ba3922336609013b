//! Fair drop: choice of the frames to drop when the receive ring fills up during a yield to others.
//!
//! When the ring is full, the NIC drops every frame that arrives, and an emulator or a switch that pauses instead
//! queues all other frames behind the flood. So while readers yield to others ([`super::Yield`]), frames of the one
//! flow that makes up most of the received frames are dropped here, oldest first. The few others are kept for the next
//! reader. Without such a flow nothing is dropped. TCP is never dropped, because its senders wait for acknowledgements
//! and so slow down by themselves. The flow is found while a reader reads many frames in a row. Readers get frames in
//! order of arrival.

use std::collections::VecDeque;

use e1000_hw::nic::Nic;
use e1000_hw::platform::{DmaRegion, Registers};

use super::flow::{Flows, HEAD};

/// Most frames that are kept: more than two windows of 64 KiB.
const KEPT: usize = 128;

/// The receive ring as readers see it: frames that were kept come first.
#[derive(Debug, Default)]
pub struct FairDrop {
    flows: Flows,
    kept: VecDeque<Vec<u8>>,
}

impl FairDrop {
    /// Returns true if a frame can be read. If not, interrupts for frames are no longer held off.
    pub fn has_frame<R: Registers, D: DmaRegion>(&self, nic: &mut Nic<R, D>) -> bool {
        let mut rx = nic.rx();
        !self.kept.is_empty() || rx.next_len().is_some() || rx.complete() && rx.next_len().is_some()
    }

    /// Copies the next frame into `out` and returns its length. The part that does not fit is lost. If there is none,
    /// interrupts for frames are no longer held off.
    pub fn receive<R: Registers, D: DmaRegion>(
        &mut self,
        nic: &mut Nic<R, D>,
        out: &mut [u8],
    ) -> Option<usize> {
        let Some(frame) = self.kept.pop_front() else {
            let mut rx = nic.rx();
            return match rx.receive(out) {
                None if rx.complete() => rx.receive(out),
                received => received,
            };
        };
        let len = frame.len().min(out.len());
        out.get_mut(..len)?.copy_from_slice(frame.get(..len)?);
        Some(len)
    }

    /// Drops all frames, and counts them.
    pub fn discard_all<R: Registers, D: DmaRegion>(&mut self, nic: &mut Nic<R, D>) {
        for _ in self.kept.drain(..) {
            nic.rx().count_dropped();
        }
        nic.rx().discard_all();
        nic.rx().complete();
    }

    /// Counts the frame that begins with `head`, which a reader got.
    pub fn count(&mut self, head: &[u8]) {
        self.flows.count(head);
    }

    /// Returns true if most received frames are not TCP, whose senders would wait for the reader.
    pub fn is_flood(&self) -> bool {
        self.flows.is_flood()
    }

    /// Empties the receive ring down to a quarter if it is three quarters full, as far as one flow makes up most of it.
    pub fn make_room<R: Registers, D: DmaRegion>(&mut self, nic: &mut Nic<R, D>) {
        let size = nic.state().config().rx.get();
        if !nic.rx().has_filled(size / 4 * 3) {
            return;
        }
        let mut head = [0; HEAD];
        // Bounded, in case the device fills descriptors as fast as they are emptied.
        for _ in 0..size {
            if !nic.rx().has_filled(size / 4) {
                return;
            }
            let Some(seen) = nic.rx().peek(&mut head) else {
                return;
            };
            let head = head.get(..seen).unwrap_or_default();
            let drop = self.flows.is_of_majority(head);
            if !drop && self.kept.len() >= KEPT {
                return;
            }
            self.count(head);
            if drop {
                nic.rx().discard();
            } else if let Some(len) = nic.rx().next_len() {
                let mut frame = vec![0; len];
                nic.rx().receive(&mut frame);
                self.kept.push_back(frame);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use e1000_hw::RingSize;
    use e1000_hw::chip::find;
    use e1000_hw::fake::{FakeMachine, FakeRegion, FakeRegisters};
    use e1000_hw::nic::Config;

    use super::super::flow::{MAJORITY, datagram};
    use super::*;

    fn nic(ring: u32) -> (FakeMachine, Nic<FakeRegisters, FakeRegion>) {
        let chip = find(0x8086, 0x100E).unwrap();
        let machine = FakeMachine::new(chip);
        let size = RingSize::new(ring).unwrap();
        let sizes = Config::with_rings(size, size);
        let nic = Nic::bring_up(machine.registers(), chip, sizes, &mut machine.dma(), &machine).unwrap();
        (machine, nic)
    }

    #[test]
    fn flood_is_dropped_and_what_comes_beside_it_is_kept_in_order() {
        let (machine, mut nic) = nic(64);
        let mut fair_drop = FairDrop::default();
        let ping = |number| {
            let mut frame = datagram(0, number);
            frame[23] = 1;
            frame
        };
        // A reader had many of them before.
        (0..=MAJORITY).for_each(|_| fair_drop.count(&datagram(7, 0)));
        let mut expected = vec![];
        for number in 0..250 {
            assert!(
                machine.deliver(&datagram(7, number)),
                "the ring is full at {number}"
            );
            if number % 50 == 9 {
                assert!(machine.deliver(&ping(number)));
                expected.push(number);
            }
            fair_drop.make_room(&mut nic);
        }
        let mut out = [0; 2048];
        let mut got = vec![];
        let mut next = |fair_drop: &mut FairDrop| {
            let len = fair_drop.receive(&mut nic, &mut out)?;
            assert_eq!(len, 60);
            Some((out[23], out[50]))
        };
        let mut floods = vec![];
        while let Some((protocol, number)) = next(&mut fair_drop) {
            match protocol {
                1 => got.push(number),
                _ => floods.push(number),
            }
        }
        assert_eq!(got, expected);
        assert!(floods.is_sorted() && floods.len() < 64, "{floods:?}");
        assert_eq!(floods.last(), Some(&249), "the newest are not the ones to go");
        let counters = nic.state().rx_counters();
        assert_eq!(counters.dropped as usize, 250 - floods.len());
        nic.stop(&machine);
    }

    #[test]
    fn nothing_is_dropped_while_there_is_room() {
        let (machine, mut nic) = nic(64);
        let mut fair_drop = FairDrop::default();
        for number in 0..47 {
            assert!(machine.deliver(&datagram(7, number)));
            fair_drop.make_room(&mut nic);
        }
        assert_eq!(nic.state().rx_counters().dropped, 0);
        assert!(fair_drop.kept.is_empty());
        nic.stop(&machine);
    }

    #[test]
    fn many_flows_of_one_size_lose_nothing() {
        let (machine, mut nic) = nic(256);
        let mut fair_drop = FairDrop::default();
        let mut delivered = 0;
        for port in 0..2000 {
            delivered += u64::from(machine.deliver(&datagram(port % 16, 0)));
            fair_drop.make_room(&mut nic);
        }
        assert_eq!(fair_drop.kept.len(), KEPT);
        assert_eq!(nic.state().rx_counters().dropped, 0);
        let returned = KEPT as u64 / 16 * 16;
        assert_eq!(delivered, 255 + returned, "the NIC drops the rest");
        nic.stop(&machine);
    }

    #[test]
    fn tcp_is_not_dropped() {
        let (machine, mut nic) = nic(256);
        let mut fair_drop = FairDrop::default();
        let mut segment = datagram(80, 0);
        segment[23] = 6;
        for _ in 0..255 {
            assert!(machine.deliver(&segment));
            fair_drop.make_room(&mut nic);
        }
        assert_eq!(nic.state().rx_counters().dropped, 0);
        nic.stop(&machine);
    }
}
