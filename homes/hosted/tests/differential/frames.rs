//! Frames for both directions.

use e1000_hw::fake::FAKE_MAC;
use e1000_hw::offload::{Ip, Transport};

use crate::random::Random;

const HOST: [u8; 6] = [0x02, 0, 0, 0, 0, 0x01];

/// Addresses of groups. The first two have the same hash.
pub const GROUPS: [[u8; 6]; 6] = [
    [0x01, 0x00, 0x5E, 0x00, 0x00, 0x01],
    [0x33, 0x33, 0xFF, 0x00, 0x0F, 0x01],
    [0x01, 0x00, 0x5E, 0x7F, 0xFF, 0xFA],
    [0x33, 0x33, 0x00, 0x00, 0x00, 0xFB],
    [0x01, 0x80, 0xC2, 0x00, 0x00, 0x0E],
    [0x33, 0x33, 0xFF, 0x12, 0x34, 0x56],
];

/// VLANs: several in one register of the table, some alone in theirs, and those that stand for none.
pub const VLANS: [u16; 7] = [0, 1, 5, 37, 1000, 4094, 4095];

/// Whom a frame is for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum To {
    /// The NIC; for a frame that it sends, the host.
    Other,
    /// Somebody else. With a number, an address whose last bytes are those of a group.
    Foreign(Option<u8>),
    Broadcast,
    Group(u8),
}

/// Contents of a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Body {
    /// An EtherType for experiments, and bytes that depend on this.
    Plain(u8),
    /// IP, with checksums as they should be or not.
    Packet {
        ip: Ip,
        transport: Transport,
        bad_ip: bool,
        bad_transport: bool,
    },
}

/// A frame, as a script tells of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame {
    pub to: To,
    /// A VLAN tag that is bytes of the frame.
    pub tag: Option<u16>,
    pub body: Body,
    /// Bytes without a tag; of packets, those of the payload.
    pub len: usize,
}

impl Frame {
    /// A frame of no more than `longest` bytes, of all kinds.
    pub fn random(random: &mut Random, longest: usize) -> Self {
        let group = random.below(GROUPS.len()) as u8;
        let to = match random.below(8) {
            0 => To::Broadcast,
            1 => To::Group(group),
            2 => To::Foreign(random.one_in(2).then_some(group)),
            _ => To::Other,
        };
        let tag = random
            .one_in(4)
            .then(|| random.pick(&VLANS) | (random.below(8) as u16) << 13);
        let packet = random.one_in(4);
        let body = if packet {
            Body::Packet {
                ip: random.pick(&[Ip::V4, Ip::V6]),
                transport: random.pick(&[Transport::Tcp, Transport::Udp]),
                bad_ip: random.one_in(5),
                bad_transport: random.one_in(5),
            }
        } else {
            Body::Plain(random.next() as u8)
        };
        let len = match random.below(10) {
            0 => random.within(14, 59),
            1 => 60,
            2 => random.within(1510, 1530),
            3 => longest,
            4 => random.within(14, longest),
            5 => random.pick(&[2044, 2045, 2047, 2048, 2049, 4096, 4092]),
            _ => random.within(60, 1514),
        };
        let len = if packet { len.min(1400) } else { len.min(longest) };
        Self { to, tag, body, len }
    }

    /// Its bytes; `to_nic` says which way it goes.
    pub fn bytes(&self, to_nic: bool) -> Vec<u8> {
        let (other, source) = if to_nic {
            (FAKE_MAC, HOST)
        } else {
            (HOST, FAKE_MAC)
        };
        let destination = match self.to {
            To::Other => other,
            To::Broadcast => [0xFF; 6],
            To::Group(n) => GROUPS[usize::from(n)],
            To::Foreign(None) => [0x02, 0, 0, 0, 0, 0x77],
            To::Foreign(Some(n)) => {
                let [.., b4, b5] = GROUPS[usize::from(n)];
                [0x02, 0, 0, 0, b4, b5]
            }
        };
        let mut frame = destination.to_vec();
        frame.extend(source);
        match self.body {
            Body::Plain(seed) => {
                frame.extend([0x88, 0xB5]);
                frame.extend((14..self.len).map(|n| (n as u8).wrapping_mul(31).wrapping_add(seed)));
            }
            Body::Packet {
                ip,
                transport,
                bad_ip,
                bad_transport,
            } => {
                frame.extend(packet(ip, transport, self.len));
                if bad_ip && ip == Ip::V4 {
                    frame[25] ^= 1;
                }
                if bad_transport {
                    let at = 14 + header_len(ip) + checksum_at(transport);
                    frame[at] ^= 0x55;
                }
                if frame.len() < 60 {
                    frame.resize(60, 0);
                }
            }
        }
        if let Some(tag) = self.tag {
            let [high, low] = tag.to_be_bytes();
            frame.splice(12..12, [0x81, 0x00, high, low]);
        }
        frame
    }
}

fn header_len(ip: Ip) -> usize {
    match ip {
        Ip::V4 => 20,
        Ip::V6 => 40,
    }
}

fn checksum_at(transport: Transport) -> usize {
    match transport {
        Transport::Tcp => 16,
        Transport::Udp => 6,
    }
}

fn sum(bytes: &[u8]) -> u16 {
    let mut sum: u64 = bytes
        .chunks(2)
        .map(|pair| u64::from(pair[0]) << 8 | u64::from(pair.get(1).copied().unwrap_or(0)))
        .sum();
    while sum > 0xFFFF {
        sum = (sum >> 16) + (sum & 0xFFFF);
    }
    sum as u16
}

/// EtherType and packet with good checksums and so many bytes of payload.
pub fn packet(ip: Ip, transport: Transport, payload: usize) -> Vec<u8> {
    let mut segment = vec![0x1F, 0x90, 0xC0, 0x01];
    let protocol = match transport {
        Transport::Tcp => {
            segment.extend([
                0xFF, 0xFF, 0xF0, 0, 1, 2, 3, 4, 0x50, 0x19, 0xFA, 0xF0, 0, 0, 0, 0,
            ]);
            6
        }
        Transport::Udp => {
            segment.extend((8 + payload as u16).to_be_bytes());
            segment.extend([0; 2]);
            17
        }
    };
    segment.extend((0..payload).map(|n| (n * 131 + n / 251) as u8));
    let (mut packet, addresses) = match ip {
        Ip::V4 => {
            let mut packet = vec![0x08, 0x00, 0x45, 0];
            packet.extend((20 + segment.len() as u16).to_be_bytes());
            packet.extend([0xFF, 0xFD, 0x40, 0, 64, protocol, 0, 0, 10, 0, 2, 15, 10, 0, 2, 2]);
            let checksum = !sum(&packet[2..]);
            packet[12..14].copy_from_slice(&checksum.to_be_bytes());
            let addresses = packet[14..22].to_vec();
            (packet, addresses)
        }
        Ip::V6 => {
            let mut packet = vec![0x86, 0xDD, 0x60, 0, 0, 0];
            packet.extend((segment.len() as u16).to_be_bytes());
            packet.extend([protocol, 64]);
            packet.extend((0..32).map(|n| 0xFD ^ n));
            let addresses = packet[10..42].to_vec();
            (packet, addresses)
        }
    };
    let mut summed = addresses;
    summed.extend((segment.len() as u32).to_be_bytes());
    summed.extend([0, 0, 0, protocol]);
    summed.extend(&segment);
    let at = checksum_at(transport);
    let checksum = match !sum(&summed) {
        // Of UDP, 0 is no checksum (RFC 768).
        0 if transport == Transport::Udp => 0xFFFF,
        checksum => checksum,
    };
    segment[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
    packet.extend(segment);
    packet
}
