//! Ethernet frames: addresses, EtherTypes, and the lengths of header, VLAN tag and frame check sequence.
//!
//! Sources: IEEE 802.3, clause 3 (frames), IEEE 802.1Q, clause 9 (tags), IEEE 802, clause 9 (EtherTypes).

use core::fmt;
use core::str::FromStr;

/// Bytes of a header: two addresses and the EtherType.
pub const HEADER_LEN: usize = 14;
/// Bytes of a VLAN tag.
pub const TAG_LEN: usize = 4;
/// Bytes of the frame check sequence.
pub const FCS_LEN: usize = 4;
/// Bytes of the shortest frame, without the frame check sequence. Shorter ones are padded.
pub const MIN_FRAME_LEN: usize = 60;
/// Payload of the longest frame that every station takes.
pub const STANDARD_MTU: usize = 1500;
/// Bytes of the longest frame with that payload, without VLAN tag and frame check sequence.
pub const STANDARD_FRAME_LEN: usize = HEADER_LEN + STANDARD_MTU;
/// Bytes of the same frame with VLAN tag and frame check sequence: what a MAC takes without RCTL.LPE.
pub const STANDARD_WIRE_LEN: usize = STANDARD_FRAME_LEN + TAG_LEN + FCS_LEN;

/// EtherTypes, in the order of transmission.
pub mod ether_type {
    /// IPv4.
    pub const IPV4: [u8; 2] = [0x08, 0x00];
    /// IPv6.
    pub const IPV6: [u8; 2] = [0x86, 0xDD];
    /// VLAN tag (IEEE 802.1Q).
    pub const VLAN: [u8; 2] = [0x81, 0x00];
    /// Outer VLAN tag of two (IEEE 802.1ad).
    pub const OUTER_VLAN: [u8; 2] = [0x88, 0xA8];
    /// Local experiments.
    pub const LOCAL_EXPERIMENT: [u8; 2] = [0x88, 0xB5];
}

/// Address of a station or of a group, in the order of transmission.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MacAddress(pub [u8; 6]);

impl MacAddress {
    /// Returns whether a NIC may have this address: it is no group's and not all zeroes.
    pub fn is_valid(self) -> bool {
        !self.is_group() && self.0 != [0; 6]
    }

    /// Returns whether this is the address of a group; broadcast is one.
    pub fn is_group(self) -> bool {
        self.0[0] & 1 != 0
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that is not six bytes in hexadecimal, separated by colons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidMacAddress;

impl fmt::Display for InvalidMacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a MAC address is six bytes, as in 52:54:00:12:34:56")
    }
}

impl core::error::Error for InvalidMacAddress {}

impl FromStr for MacAddress {
    type Err = InvalidMacAddress;

    fn from_str(text: &str) -> Result<Self, InvalidMacAddress> {
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts.next().ok_or(InvalidMacAddress)?;
            // `from_str_radix` would take a sign.
            if part.len() != 2 || !part.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(InvalidMacAddress);
            }
            *byte = u8::from_str_radix(part, 16).map_err(|_| InvalidMacAddress)?;
        }
        match parts.next() {
            None => Ok(Self(bytes)),
            Some(_) => Err(InvalidMacAddress),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn address_is_printed_as_it_is_parsed() {
        let address = MacAddress([0x52, 0x54, 0, 0x12, 0x34, 0x5A]);
        assert_eq!(address.to_string(), "52:54:00:12:34:5a");
        assert_eq!("52:54:00:12:34:5a".parse(), Ok(address));
        assert_eq!("52:54:00:12:34:5A".parse(), Ok(address));
    }

    #[test]
    fn text_that_is_no_address_is_refused() {
        for text in [
            "",
            ":::::",
            "52:54:00:12:34",
            "52:54:00:12:34:56:78",
            "52:54:00:12:34:5",
            "52:54:00:12:34:+5",
            "52:54:00:12:34:5g",
            "525400123456",
            "52-54-00-12-34-56",
            "52:54:00:12:34:56 ",
        ] {
            assert_eq!(text.parse::<MacAddress>(), Err(InvalidMacAddress), "{text:?}");
        }
    }

    #[test]
    fn nic_has_neither_a_group_address_nor_zeroes() {
        assert!(MacAddress([0x52, 0x54, 0, 0, 0, 0]).is_valid());
        assert!(!MacAddress([0; 6]).is_valid());
        assert!(!MacAddress([0xFF; 6]).is_valid());
        assert!(MacAddress([0x33, 0x33, 0, 0, 0, 1]).is_group());
    }
}
