//! Fair drop: which frames go while readers have to wait and the receive ring fills up.
//!
//! When the ring is full the NIC drops what comes, whatever it is, and an emulator or a switch that is held back by it
//! queues everything behind the flood. So while readers are kept from reading ([`super::Overload`]), frames of the one
//! flow that makes up most of what comes are dropped here, oldest first, and the few others are kept for the next
//! reader. Without such a flow nothing is dropped, nor are frames of TCP: a sender that waits for acknowledgements slows
//! down by itself. Which flow it is shows while a reader reads many frames in a row. What is read later is in order.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hasher};

use e1000_hw::nic::Nic;
use e1000_hw::platform::{DmaRegion, Registers};

/// Frames that are kept, at most: more than two windows of 64 KiB.
const KEPT: usize = 128;
/// Votes at which a flow is taken for the one that makes up most of what comes.
const MAJORITY: u32 = 32;
/// Votes that a flow can collect. The more, the longer it is still taken for the largest when it has ended.
const MAX_VOTES: u32 = 64;
/// Bytes of a frame that say which flow it belongs to: those up to the ports, after IPv4 options as well.
const HEAD: usize = 96;

/// Drops frames of the flow that makes up most, and keeps those of others.
#[derive(Debug, Default)]
pub struct FairDrop {
    /// What is probably the largest flow, and by how much (the majority vote of Boyer and Moore).
    largest: u64,
    votes: u32,
    /// Frames of something else than TCP in excess of those of TCP, lately.
    other_than_tcp: u32,
    kept: VecDeque<Vec<u8>>,
}

impl FairDrop {
    /// If the receive ring is three quarters full, empties it down to a quarter, as far as one flow makes up most of it.
    pub fn make_room<R: Registers, D: DmaRegion>(&mut self, nic: &mut Nic<R, D>) {
        let size = nic.state().config().rx.get();
        if !nic.rx().has_filled(size / 4 * 3) {
            return;
        }
        let mut head = [0; HEAD];
        // A device that fills descriptors for ever must not keep us.
        for _ in 0..size {
            if !nic.rx().has_filled(size / 4) {
                return;
            }
            let Some(seen) = nic.rx().peek(&mut head) else {
                return;
            };
            let head = head.get(..seen).unwrap_or_default();
            let drop = self.votes > MAJORITY && flow(head) == Some(self.largest);
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

    /// Whether most of what comes is something else than TCP, and so does not wait for its reader.
    pub fn is_flood(&self) -> bool {
        self.other_than_tcp > MAJORITY
    }

    /// Whether frames are kept.
    pub fn has_kept(&self) -> bool {
        !self.kept.is_empty()
    }

    /// Copies the oldest frame that was kept into `out` and returns how many bytes that were; what does not fit is lost.
    pub fn take(&mut self, out: &mut [u8]) -> Option<usize> {
        let frame = self.kept.pop_front()?;
        let len = frame.len().min(out.len());
        out.get_mut(..len)?.copy_from_slice(frame.get(..len)?);
        Some(len)
    }

    /// Counts the frame that begins with `head`, which leaves the ring.
    pub fn count(&mut self, head: &[u8]) {
        let flow = flow(head.get(..HEAD).unwrap_or(head));
        self.other_than_tcp = match flow {
            Some(_) => (self.other_than_tcp + 1).min(MAX_VOTES),
            None => self.other_than_tcp.saturating_sub(1),
        };
        if flow == Some(self.largest) {
            self.votes = (self.votes + 1).min(MAX_VOTES);
        } else if let Some(votes) = self.votes.checked_sub(1) {
            self.votes = votes;
        } else if let Some(flow) = flow {
            (self.largest, self.votes) = (flow, 1);
        }
    }
}

/// A number for the flow that a frame belongs to: sender, ethertype, and for IP addresses, protocol and ports. Fragments
/// but the first have no ports; anything unknown or cut short is a flow by sender. `None` for TCP.
fn flow(frame: &[u8]) -> Option<u64> {
    /// IP protocols.
    const TCP: [u8; 1] = [6];
    const UDP: [u8; 1] = [17];
    /// Ethertypes.
    const IPV4: [u8; 2] = [0x08, 0x00];
    const IPV6: [u8; 2] = [0x86, 0xDD];
    /// Offset of the network header.
    const NETWORK: usize = 14;
    let bytes = |from: usize, len: usize| frame.get(from..from + len).unwrap_or_default();
    let mut hasher = DefaultHasher::new();
    let ethertype = bytes(12, 2);
    hasher.write(bytes(6, 8));
    let ports_of = |protocol: &[u8], at: usize| if protocol == UDP { bytes(at, 4) } else { &[] };
    if ethertype == IPV4 {
        let protocol = bytes(NETWORK + 9, 1);
        if protocol == TCP {
            return None;
        }
        hasher.write(protocol);
        hasher.write(bytes(NETWORK + 12, 8));
        let first = bytes(NETWORK + 6, 2).first().is_some_and(|byte| byte & 0x1F == 0)
            && bytes(NETWORK + 7, 1) == [0];
        if let (true, [version_and_length]) = (first, bytes(NETWORK, 1)) {
            let header = usize::from(version_and_length & 0xF) * 4;
            hasher.write(ports_of(protocol, NETWORK + header));
        }
    } else if ethertype == IPV6 {
        let protocol = bytes(NETWORK + 6, 1);
        if protocol == TCP {
            return None;
        }
        hasher.write(protocol);
        hasher.write(bytes(NETWORK + 8, 32));
        hasher.write(ports_of(protocol, NETWORK + 40));
    }
    Some(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use e1000_hw::RingSize;
    use e1000_hw::chip::find;
    use e1000_hw::fake::{FakeMachine, FakeRegion, FakeRegisters};
    use e1000_hw::nic::Config;

    /// A frame with IPv4, UDP and a number in its data.
    fn datagram(port: u16, number: u8) -> Vec<u8> {
        let mut frame = vec![0; 60];
        frame[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
        frame[12..14].copy_from_slice(&[8, 0]);
        frame[14] = 0x45;
        frame[23] = 17;
        frame[26..34].copy_from_slice(&[10, 0, 2, 2, 10, 0, 2, 15]);
        frame[36..38].copy_from_slice(&port.to_be_bytes());
        frame[50] = number;
        frame
    }

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
            let len = fair_drop.take(&mut out).or_else(|| nic.rx().receive(&mut out))?;
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
        assert!(!fair_drop.has_kept());
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

    #[test]
    fn flows_are_told_apart() {
        let base = datagram(7, 1);
        let changed = |at: usize| {
            let mut frame = base.clone();
            frame[at] ^= 1;
            flow(&frame)
        };
        for at in [6, 13, 23, 26, 33, 35, 37] {
            assert_ne!(changed(at), flow(&base), "byte {at}");
        }
        for at in [0, 16, 18, 22, 50] {
            assert_eq!(changed(at), flow(&base), "byte {at}");
        }
        let mut fragment = base.clone();
        fragment[21] = 1;
        let mut other = fragment.clone();
        other[37] ^= 1;
        assert_eq!(flow(&fragment), flow(&other), "those are no ports");
        for len in 0..60 {
            flow(&base[..len]);
        }
    }
}
