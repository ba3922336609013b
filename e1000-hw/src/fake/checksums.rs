//! Checksums of the Internet protocols, as hardware finds and fills them in. Written without a look at the code of the
//! driver, [`crate::offload`]: a test of the one against the other is worth something.

/// The outcome of checking a checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// There is none.
    None,
    Good,
    Bad,
}

impl Verdict {
    fn of(sum: u16) -> Self {
        if sum == 0xFFFF { Self::Good } else { Self::Bad }
    }
}

/// The outcome of checking a frame with an IP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) ip: Verdict,
    pub(super) transport: Verdict,
    /// The transport is UDP.
    pub(super) udp: bool,
    /// It is TCP with an acknowledgement.
    pub(super) ack: bool,
}

/// The sum of 16-bit words in one's complement; an odd byte is the high half of the last one.
pub(super) fn sum(parts: &[&[u8]]) -> u16 {
    let mut total = 0_u64;
    for part in parts {
        for pair in part.chunks(2) {
            total += u64::from(pair[0]) << 8 | u64::from(pair.get(1).copied().unwrap_or(0));
        }
    }
    while total > 0xFFFF {
        total = (total >> 16) + (total & 0xFFFF);
    }
    total as u16
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..at + 2)?;
    Some(usize::from(u16::from_be_bytes([bytes[0], bytes[1]])))
}

/// Examines a frame, with a VLAN tag of that type or without. `None` if it has no IP header.
pub(super) fn examine(frame: &[u8], vlan_type: u16) -> Option<Found> {
    let mut start = 14;
    if number(frame, 12)? == usize::from(vlan_type) {
        start += 4;
    }
    let packet = frame.get(start..)?;
    let (ip, header_len, protocol, end, addresses) = match number(frame, start - 2)? {
        0x0800 => {
            let first = *packet.first()?;
            let header_len = usize::from(first & 0xF) * 4;
            if first >> 4 != 4 || header_len < 20 {
                return None;
            }
            let ip = Verdict::of(sum(&[packet.get(..header_len)?]));
            let fragment = number(packet, 6)? & 0x3FFF != 0;
            let protocol = if fragment { 0 } else { packet[9] };
            (ip, header_len, protocol, number(packet, 2)?, &packet[12..20])
        }
        0x86DD => {
            if packet.len() < 40 || packet[0] >> 4 != 6 {
                return None;
            }
            let end = 40 + number(packet, 4)?;
            (Verdict::None, 40, packet[6], end, &packet[8..40])
        }
        _ => return None,
    };
    let segment = packet.get(header_len..end).unwrap_or_default();
    let udp = protocol == 17;
    let shortest = if udp { 8 } else { 20 };
    let no_checksum = udp && number(segment, 6) == Some(0);
    let transport = if (protocol != 6 && !udp) || segment.len() < shortest || no_checksum {
        Verdict::None
    } else {
        let len = (segment.len() as u32).to_be_bytes();
        Verdict::of(sum(&[addresses, &len, &[0, protocol], segment]))
    };
    let ack = protocol == 6 && segment.get(13).is_some_and(|flags| flags & 0x10 != 0);
    Some(Found {
        ip,
        transport,
        udp,
        ack,
    })
}

/// Where a context descriptor has checksums begin, end and stored.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    pub(super) start: usize,
    pub(super) stored: usize,
    /// The last byte; 0 for the end of the packet.
    pub(super) end: usize,
}

impl Place {
    /// From a word of a context descriptor.
    pub(super) fn from_word(word: u32) -> Self {
        Self {
            start: (word & 0xFF) as usize,
            stored: (word >> 8 & 0xFF) as usize,
            end: (word >> 16) as usize,
        }
    }

    /// Fills the checksum in: the complement of the sum, over whatever is in its place.
    pub(super) fn fill_in(self, frame: &mut [u8]) {
        let end = if self.end == 0 {
            frame.len()
        } else {
            (self.end + 1).min(frame.len())
        };
        let Some(bytes) = frame.get(self.start..end) else {
            return;
        };
        let checksum = !sum(&[bytes]);
        if let Some(place) = frame.get_mut(self.stored..self.stored + 2) {
            place.copy_from_slice(&checksum.to_be_bytes());
        }
    }
}
