//! An entry: one buffer of a frame. `docs/frame-ring.md` has its bits.

use crate::offload::{Checksum, Ip, Offload, RxInfo, Segmentation, TxInfo};

/// The frame goes on in the next entry.
pub(crate) const MORE: u16 = 1 << 0;
/// TX: a checksum is to be filled in.
pub(crate) const NEEDS_CSUM: u16 = 1 << 1;
/// RX: the checksums were found to be right.
pub(crate) const CSUM_VALID: u16 = 1 << 2;
/// TX: a TCP segment of IPv4 is to be cut.
pub(crate) const TSO4: u16 = 1 << 3;
/// TX: a TCP segment of IPv6 is to be cut.
pub(crate) const TSO6: u16 = 1 << 4;
/// TX: a VLAN tag is to be inserted; RX: it was stripped.
pub(crate) const VLAN: u16 = 1 << 5;

/// The first two words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    pub buffer: u16,
    pub offset: u16,
    pub len: u16,
    pub flags: u16,
}

impl Entry {
    pub fn from_words([place, rest]: [u32; 2]) -> Self {
        let [(buffer, offset), (len, flags)] = [halves(place), halves(rest)];
        Self {
            buffer,
            offset,
            len,
            flags,
        }
    }

    pub fn words(self) -> [u32; 2] {
        [word(self.buffer, self.offset), word(self.len, self.flags)]
    }

    pub fn has(self, flag: u16) -> bool {
        self.flags & flag != 0
    }
}

/// The three words behind, which a frame's first entry has if its flags say so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Details {
    pub csum_start: u16,
    pub csum_offset: u16,
    pub header_len: u16,
    pub mss: u16,
    pub vlan: u16,
}

impl Details {
    /// Flags whose meaning is in these words.
    pub const FLAGS: u16 = NEEDS_CSUM | TSO4 | TSO6 | VLAN;

    pub fn from_words([checksum, segmentation, vlan]: [u32; 3]) -> Self {
        let (csum_start, csum_offset) = halves(checksum);
        let (header_len, mss) = halves(segmentation);
        let (vlan, _) = halves(vlan);
        Self {
            csum_start,
            csum_offset,
            header_len,
            mss,
            vlan,
        }
    }

    pub fn words(self) -> [u32; 3] {
        [
            word(self.csum_start, self.csum_offset),
            word(self.header_len, self.mss),
            word(self.vlan, 0),
        ]
    }

    /// Facts about a frame to be sent, by the flags of its first entry; none if these contradict each other.
    pub fn tx_info(self, flags: u16) -> Option<TxInfo> {
        let checksum = Checksum {
            start: self.csum_start,
            offset: self.csum_offset,
        };
        let segmentation = |ip| {
            Offload::Segmentation(Segmentation {
                ip,
                checksum,
                header_len: self.header_len,
                mss: self.mss,
            })
        };
        let offload = match flags & (NEEDS_CSUM | TSO4 | TSO6) {
            0 => None,
            NEEDS_CSUM => Some(Offload::Checksum(checksum)),
            bits if bits == NEEDS_CSUM | TSO4 => Some(segmentation(Ip::V4)),
            bits if bits == NEEDS_CSUM | TSO6 => Some(segmentation(Ip::V6)),
            _ => return None,
        };
        let vlan = (flags & VLAN != 0).then_some(self.vlan);
        Some(TxInfo { offload, vlan })
    }

    /// Facts about a received frame, by the flags of its first entry.
    pub fn rx_info(self, flags: u16) -> RxInfo {
        RxInfo {
            checksum_valid: flags & CSUM_VALID != 0,
            vlan: (flags & VLAN != 0).then_some(self.vlan),
        }
    }
}

impl From<&TxInfo> for (u16, Details) {
    fn from(info: &TxInfo) -> Self {
        let mut details = Details::default();
        let mut flags = 0;
        if let Some(offload) = info.offload {
            let checksum = match offload {
                Offload::Checksum(checksum) => checksum,
                Offload::Segmentation(segmentation) => {
                    details.header_len = segmentation.header_len;
                    details.mss = segmentation.mss;
                    flags |= match segmentation.ip {
                        Ip::V4 => TSO4,
                        Ip::V6 => TSO6,
                    };
                    segmentation.checksum
                }
            };
            flags |= NEEDS_CSUM;
            details.csum_start = checksum.start;
            details.csum_offset = checksum.offset;
        }
        if let Some(vlan) = info.vlan {
            flags |= VLAN;
            details.vlan = vlan;
        }
        (flags, details)
    }
}

impl From<&RxInfo> for (u16, Details) {
    fn from(info: &RxInfo) -> Self {
        let mut details = Details::default();
        let mut flags = if info.checksum_valid { CSUM_VALID } else { 0 };
        if let Some(vlan) = info.vlan {
            flags |= VLAN;
            details.vlan = vlan;
        }
        (flags, details)
    }
}

/// Bits 15:0 and 31:16.
fn halves(word: u32) -> (u16, u16) {
    (word as u16, (word >> 16) as u16)
}

fn word(low: u16, high: u16) -> u32 {
    u32::from(low) | u32::from(high) << 16
}
