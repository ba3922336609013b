//! Headers of a frame: their positions and contents.

use crate::ethernet::{HEADER_LEN, TAG_LEN, ether_type};

/// Version of IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ip {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// The protocol that IP carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// Bytes of an IPv6 header.
const IPV6_LEN: usize = 40;
/// Bytes of a TCP header without options.
const TCP_LEN: usize = 20;
/// Bytes of a UDP header.
const UDP_LEN: usize = 8;
/// IP protocol numbers.
const PROTOCOL_TCP: u8 = 6;
const PROTOCOL_UDP: u8 = 17;

/// Positions of the headers of a frame. Offsets are bytes from its beginning; hardware has eight bits for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers {
    /// Version of IP.
    pub ip: Ip,
    /// Offset of the IP header: 14, or 18 after a VLAN tag.
    pub ip_start: u8,
    /// The protocol that IP carries.
    pub transport: Transport,
    /// Offset of its header, after all options or extension headers of IP.
    pub transport_start: u8,
}

impl Headers {
    /// Finds the headers of a frame with at most one VLAN tag. `None` for anything but TCP and UDP, for fragments, and
    /// for IPv6 with extension headers.
    pub fn find(frame: &[u8]) -> Option<Self> {
        let type_at = |at: usize| frame.get(at..)?.first_chunk().copied();
        let ip_start = if type_at(12)? == ether_type::VLAN {
            HEADER_LEN + TAG_LEN
        } else {
            HEADER_LEN
        };
        let header = frame.get(ip_start..)?;
        let (ip, len, protocol) = match type_at(ip_start - 2)? {
            ether_type::IPV4 => {
                // More fragments, or an offset.
                if header.get(6)? & 0x3F | header.get(7)? != 0 {
                    return None;
                }
                (Ip::V4, usize::from(header.first()? & 0xF) * 4, *header.get(9)?)
            }
            ether_type::IPV6 => (Ip::V6, IPV6_LEN, *header.get(6)?),
            _ => return None,
        };
        let transport = match protocol {
            PROTOCOL_TCP => Transport::Tcp,
            PROTOCOL_UDP => Transport::Udp,
            _ => return None,
        };
        let headers = Self {
            ip,
            ip_start: u8::try_from(ip_start).ok()?,
            transport,
            transport_start: u8::try_from(ip_start + len).ok()?,
        };
        headers.fit(frame).then_some(headers)
    }

    /// Returns true if there is a VLAN tag between the Ethernet header and that of IP.
    pub(super) fn is_tagged(&self) -> bool {
        usize::from(self.ip_start) > HEADER_LEN
    }

    fn starts(&self) -> (usize, usize) {
        (self.ip_start.into(), self.transport_start.into())
    }

    /// Returns true if the headers lie inside `frame`, in order, and are of the version and length that this says.
    pub(super) fn fit(&self, frame: &[u8]) -> bool {
        let (start, end) = self.starts();
        let Some(header) = frame.get(start..end).filter(|_| start >= HEADER_LEN) else {
            return false;
        };
        let Some(first) = header.first() else {
            return false;
        };
        let ip_fits = match self.ip {
            Ip::V4 => first >> 4 == 4 && first & 0xF >= 5 && usize::from(first & 0xF) * 4 == header.len(),
            Ip::V6 => first >> 4 == 6 && header.len() >= IPV6_LEN,
        };
        let shortest = match self.transport {
            Transport::Tcp => TCP_LEN,
            Transport::Udp => UDP_LEN,
        };
        ip_fits && end + shortest <= frame.len() && self.checksum_at() <= usize::from(u8::MAX)
    }

    /// Offset of TCP's payload, by the length in its header.
    pub(super) fn tcp_end(&self, frame: &[u8]) -> Option<usize> {
        let (_, start) = self.starts();
        let len = usize::from(frame.get(start + 12)? >> 4) * 4;
        (self.transport == Transport::Tcp && len >= TCP_LEN).then_some(start + len)
    }

    /// Offset of the checksum of TCP or UDP.
    fn checksum_at(&self) -> usize {
        let (_, start) = self.starts();
        match self.transport {
            Transport::Tcp => start + 16,
            Transport::Udp => start + 6,
        }
    }

    /// Bytes of TCP or UDP with its payload, without padding of the frame.
    pub(super) fn transport_len(&self, frame: &[u8]) -> usize {
        let (start, end) = self.starts();
        let number = |at: usize| {
            frame.get(at..at + 2).map_or(0, |bytes| {
                bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte))
            })
        };
        let ip_len = match self.ip {
            Ip::V4 => number(start + 2),
            Ip::V6 => number(start + 4) + IPV6_LEN,
        };
        ip_len.saturating_sub(end - start)
    }

    pub(super) fn clear_ip_checksum(&self, frame: &mut [u8]) {
        let (start, _) = self.starts();
        store(frame, start + 10, 0);
    }

    /// Zeroes the length and the checksum of IPv4, as segmentation requires.
    pub(super) fn clear_ip_len(&self, frame: &mut [u8]) {
        let (start, _) = self.starts();
        match self.ip {
            Ip::V4 => {
                store(frame, start + 2, 0);
                self.clear_ip_checksum(frame);
            }
            Ip::V6 => store(frame, start + 4, 0),
        }
    }

    /// Stores the sum of the pseudo header, not its complement, where the checksum of TCP or UDP goes.
    pub(super) fn store_pseudo_sum(&self, frame: &mut [u8], len: usize) {
        let (start, _) = self.starts();
        let addresses = match self.ip {
            Ip::V4 => start + 12..start + 20,
            Ip::V6 => start + 8..start + 40,
        };
        let protocol = match self.transport {
            Transport::Tcp => PROTOCOL_TCP,
            Transport::Udp => PROTOCOL_UDP,
        };
        let words = frame.get(addresses).unwrap_or_default().chunks_exact(2);
        let sum: u32 = words
            .map(|word| word.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)))
            .sum();
        // At most 16 words, a protocol and a length: it takes two folds.
        let sum = sum + u32::from(protocol) + (len as u32 >> 16) + (len as u32 & 0xFFFF);
        let folded = (sum >> 16) + (sum & 0xFFFF);
        let folded = (folded >> 16) + (folded & 0xFFFF);
        store(frame, self.checksum_at(), folded as u16);
    }
}

/// Stores a number in network order, if its place is inside the bytes.
fn store(frame: &mut [u8], at: usize, value: u16) {
    if let Some(bytes) = frame.get_mut(at..at + 2) {
        bytes.copy_from_slice(&value.to_be_bytes());
    }
}
