//! Ethernet frames as the tools build and read them.

use std::net::Ipv4Addr;

use smoltcp::wire::{ArpOperation, ArpPacket, ArpRepr, EthernetFrame, EthernetProtocol, EthernetRepr};

use crate::MacAddress;

/// Destination, source and type.
pub const HEADER: usize = 14;
/// Shortest frame on the wire, without frame check sequence. Adapters pad shorter ones.
pub const MIN_FRAME: usize = 60;
/// The longest frame without VLAN tag, without frame check sequence.
pub const MAX_FRAME: usize = 1514;
/// An ARP packet for IPv4 over Ethernet, in its frame, unpadded.
pub const ARP_FRAME: usize = HEADER + 28;

/// An ARP request for the MAC address of `target`.
///
/// With an `own_address` of 0.0.0.0 it is an ARP probe (RFC 5227). A probe adds no entry to the receivers' ARP caches,
/// but some systems, such as those that use smoltcp, do not answer it.
pub fn arp_request(own_mac: MacAddress, own_address: Ipv4Addr, target: Ipv4Addr) -> [u8; ARP_FRAME] {
    let mut bytes = [0; ARP_FRAME];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    EthernetRepr {
        src_addr: own_mac,
        dst_addr: MacAddress::BROADCAST,
        ethertype: EthernetProtocol::Arp,
    }
    .emit(&mut frame);
    ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Request,
        source_hardware_addr: own_mac,
        source_protocol_addr: own_address,
        target_hardware_addr: MacAddress([0; 6]),
        target_protocol_addr: target,
    }
    .emit(&mut ArpPacket::new_unchecked(frame.payload_mut()));
    bytes
}

/// The sender of an ARP reply, or `None` if the frame is anything else.
pub fn arp_reply(frame: &[u8]) -> Option<(Ipv4Addr, MacAddress)> {
    let frame = EthernetFrame::new_checked(frame).ok()?;
    if frame.ethertype() != EthernetProtocol::Arp {
        return None;
    }
    match ArpRepr::parse(&ArpPacket::new_checked(frame.payload()).ok()?).ok()? {
        ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Reply,
            source_protocol_addr,
            source_hardware_addr,
            ..
        } => Some((source_protocol_addr, source_hardware_addr)),
        _ => None,
    }
}

/// Reads a frame written in hexadecimal. White space, `:` and `-` between bytes are ignored.
///
/// # Errors
///
/// A sentence that says what is wrong with the text.
pub fn from_hex(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut high = None;
    for character in text.chars() {
        match (character.to_digit(16), high) {
            (Some(digit), None) => high = Some(digit),
            (Some(digit), Some(half)) => {
                // Two hexadecimal digits are at most 0xff.
                bytes.push((half << 4 | digit) as u8);
                high = None;
            }
            (None, None) if character.is_whitespace() || matches!(character, ':' | '-') => {}
            (None, None) => return Err(format!("{character:?} is not a hexadecimal digit")),
            (None, Some(_)) => return Err(format!("byte {} has only one digit", bytes.len() + 1)),
        }
    }
    match high {
        None => Ok(bytes),
        Some(_) => Err(format!("byte {} has only one digit", bytes.len() + 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: MacAddress = MacAddress([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
    const REPLY: &str = "525400123456 52550a000202 0806 0001 0800 06 04 0002 \
                         52550a000202 0a000202 525400123456 0a00020f";

    #[test]
    fn arp_request_is_the_standard_one() {
        let frame = arp_request(OWN, Ipv4Addr::new(10, 0, 2, 15), Ipv4Addr::new(10, 0, 2, 2));
        let expected = "ffffffffffff 525400123456 0806 0001 0800 06 04 0001 \
                        525400123456 0a00020f 000000000000 0a000202";
        assert_eq!(frame.as_slice(), from_hex(expected).unwrap());
        assert_eq!(arp_reply(&frame), None, "a request is no reply");
    }

    #[test]
    fn arp_reply_is_read_padded_or_not() {
        let mut frame = from_hex(REPLY).unwrap();
        let expected = Some((Ipv4Addr::new(10, 0, 2, 2), MacAddress([0x52, 0x55, 10, 0, 2, 2])));
        assert_eq!(arp_reply(&frame), expected);
        frame.resize(MIN_FRAME, 0);
        assert_eq!(arp_reply(&frame), expected);
    }

    #[test]
    fn arp_reply_cut_anywhere_is_none() {
        let frame = from_hex(REPLY).unwrap();
        for length in 0..frame.len() {
            assert_eq!(arp_reply(&frame[..length]), None, "{length} bytes");
        }
    }

    #[test]
    fn hex_allows_separators_between_bytes_only() {
        assert_eq!(from_hex("01:02-0a 0B\n0c"), Ok(vec![1, 2, 10, 11, 12]));
        assert_eq!(from_hex(""), Ok(vec![]));
        assert!(from_hex("0 1").unwrap_err().contains("byte 1 has only one digit"));
        assert!(from_hex("012").unwrap_err().contains("byte 2"));
        assert!(from_hex("0g").is_err() && from_hex("xx").unwrap_err().contains("'x'"));
    }
}
