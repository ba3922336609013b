//! Flows: the flow that a frame belongs to, and the flow that makes up most of the received frames.

use std::hash::{DefaultHasher, Hasher};

use e1000_hw::ethernet::{HEADER_LEN, ether_type};

/// Votes from which on a flow counts as the one that makes up most of the received frames.
pub(super) const MAJORITY: u32 = 32;
/// Most votes of a flow. With more, a flow would count as the largest for longer after its end.
const MAX_VOTES: u32 = 64;
/// Bytes of a frame that say which flow it belongs to: up to the ports, also after IPv4 options.
pub(super) const HEAD: usize = 96;

/// Statistics on the flows of received frames.
#[derive(Debug, Default)]
pub(super) struct Flows {
    /// Probably the largest flow, and its lead over all others (majority vote of Boyer and Moore).
    largest: u64,
    votes: u32,
    /// Excess of recent frames other than TCP over those of TCP.
    other_than_tcp: u32,
}

impl Flows {
    /// Counts the frame that begins with `head`.
    pub(super) fn count(&mut self, head: &[u8]) {
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

    /// Returns true if the frame that begins with `head` is of the one flow that makes up most of the received frames.
    pub(super) fn is_of_majority(&self, head: &[u8]) -> bool {
        self.votes > MAJORITY && flow(head) == Some(self.largest)
    }

    /// Returns true if most received frames are not TCP, whose senders would wait for the reader.
    pub(super) fn is_flood(&self) -> bool {
        self.other_than_tcp > MAJORITY
    }
}

/// Number of the flow that a frame belongs to: a hash of sender and ethertype, for IP also of addresses, protocol and
/// UDP's ports. Fragments after the first have no ports. Returns `None` for TCP.
fn flow(frame: &[u8]) -> Option<u64> {
    /// IP protocols.
    const TCP: [u8; 1] = [6];
    const UDP: [u8; 1] = [17];
    /// Offset of the network header.
    const NETWORK: usize = HEADER_LEN;
    let bytes = |from: usize, len: usize| frame.get(from..from + len).unwrap_or_default();
    let mut hasher = DefaultHasher::new();
    let ethertype = bytes(12, 2);
    hasher.write(bytes(6, 8));
    let ports_of = |protocol: &[u8], at: usize| if protocol == UDP { bytes(at, 4) } else { &[] };
    if ethertype == ether_type::IPV4 {
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
    } else if ethertype == ether_type::IPV6 {
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

/// A frame with IPv4, UDP and a number in its data.
#[cfg(test)]
pub(super) fn datagram(port: u16, number: u8) -> Vec<u8> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
