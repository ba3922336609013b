//! Packets of IP, TCP and UDP, made and taken apart without the driver's code.

use e1000_hw::offload::{Ip, Transport};

use crate::common::OTHER;

/// Sequence number and IPv4 id of the first segment: the id overflows on the way.
pub const SEQUENCE: u32 = 0xFFFF_F000;
pub const ID: u16 = 0xFFFD;
pub const FIN: u8 = 1;
pub const PSH: u8 = 8;
pub const ACK: u8 = 16;

/// A sum of 16-bit words with the carries added back in: 0xFFFF over bytes with a good checksum.
pub fn sum(bytes: &[u8]) -> u16 {
    let words = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum = words.fold(0_u64, |sum, word| sum + u64::from(word));
    while sum > 0xFFFF {
        sum = (sum >> 16) + (sum & 0xFFFF);
    }
    sum as u16
}

pub fn number(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

pub fn header_len(ip: Ip) -> usize {
    match ip {
        Ip::V4 => 20,
        Ip::V6 => 40,
    }
}

/// The pseudo header over `transport`.
pub fn pseudo(ip: Ip, frame: &[u8], protocol: u8, len: usize) -> Vec<u8> {
    let addresses = match ip {
        Ip::V4 => &frame[26..34],
        Ip::V6 => &frame[22..54],
    };
    let mut pseudo = addresses.to_vec();
    pseudo.extend((len as u32).to_be_bytes());
    pseudo.extend([0, 0, 0, protocol]);
    pseudo
}

/// A frame for `destination` whose checksums are good, with a 20 (or 32) byte header of TCP or an 8 byte one of UDP.
pub fn packet(destination: [u8; 6], ip: Ip, transport: Transport, options: usize, payload: usize) -> Vec<u8> {
    let mut segment = vec![0x1F, 0x90, 0xC0, 0x01];
    let protocol = match transport {
        Transport::Tcp => {
            segment.extend(SEQUENCE.to_be_bytes());
            segment.extend([
                1,
                2,
                3,
                4,
                ((20 + options) as u8 / 4) << 4,
                ACK | PSH | FIN,
                0xFA,
                0xF0,
            ]);
            segment.extend([0; 4]);
            segment.resize(20 + options, 1);
            6
        }
        Transport::Udp => {
            segment.extend((8 + payload as u16).to_be_bytes());
            segment.extend([0; 2]);
            17
        }
    };
    segment.extend((0..payload).map(|n| (n * 131 + n / 251) as u8));

    let mut frame = destination.to_vec();
    frame.extend(OTHER);
    match ip {
        Ip::V4 => {
            frame.extend([0x08, 0x00, 0x45, 0]);
            frame.extend((20 + segment.len() as u16).to_be_bytes());
            frame.extend(ID.to_be_bytes());
            frame.extend([0x40, 0, 64, protocol, 0, 0, 10, 0, 2, 15, 10, 0, 2, 2]);
            let checksum = !sum(&frame[14..34]);
            frame[24..26].copy_from_slice(&checksum.to_be_bytes());
        }
        Ip::V6 => {
            frame.extend([0x86, 0xDD, 0x60, 0, 0, 0]);
            frame.extend((segment.len() as u16).to_be_bytes());
            frame.extend([protocol, 64]);
            frame.extend((0..32).map(|n| 0xFD ^ n));
        }
    }
    let mut summed = pseudo(ip, &frame, protocol, segment.len());
    summed.extend(&segment);
    let at = if transport == Transport::Tcp { 16 } else { 6 };
    segment[at..at + 2].copy_from_slice(&(!sum(&summed)).to_be_bytes());
    frame.extend(segment);
    frame
}

/// A TCP segment as it was found on the wire, all of whose checksums and lengths are good.
#[derive(Debug, PartialEq)]
pub struct Segment {
    pub id: Option<u16>,
    pub sequence: u32,
    pub flags: u8,
    pub options: Vec<u8>,
    pub payload: Vec<u8>,
}

pub fn parse(frame: &[u8], ip: Ip) -> Segment {
    let start = 14 + header_len(ip);
    let (id, end) = match ip {
        Ip::V4 => {
            assert_eq!(sum(&frame[14..34]), 0xFFFF, "the checksum of IPv4");
            (Some(number(frame, 18)), 14 + usize::from(number(frame, 16)))
        }
        Ip::V6 => (None, start + usize::from(number(frame, 18))),
    };
    assert!(frame[end..].iter().all(|byte| *byte == 0) && frame.len() <= end.max(60));
    let segment = &frame[start..end];
    let mut summed = pseudo(ip, frame, 6, segment.len());
    summed.extend(segment);
    assert_eq!(sum(&summed), 0xFFFF, "the checksum of TCP");
    let offset = usize::from(segment[12] >> 4) * 4;
    assert_eq!(
        (&segment[..4], &segment[8..12]),
        (&[0x1F, 0x90, 0xC0, 0x01][..], &[1, 2, 3, 4][..])
    );
    Segment {
        id,
        sequence: u32::from_be_bytes([segment[4], segment[5], segment[6], segment[7]]),
        flags: segment[13],
        options: segment[20..offset].to_vec(),
        payload: segment[offset..].to_vec(),
    }
}
