//! Frames from the wire: which of them pass, what the MAC finds out of them, and how they get into the ring.

use std::vec::Vec;

use super::checksums::Verdict;
use super::{Arrival, Inner, Oddities, checksums};
use crate::chip::Quirks;
use crate::ethernet::MacAddress;
use crate::filter::hash;
use crate::pool::BUFFER_LEN;
use crate::regs::{self, BPRC, Causes, Ctrl, MPC, MPRC, RNBC, ROC, RUC, Rctl};
use crate::ring::DESCRIPTOR_LEN;

/// Shortest frame without FCS; shorter ones are fragments of collisions.
const SHORTEST: usize = 60;
/// Longest frame without FCS unless RCTL.LPE is set (8254x manual, 13.4.22).
const LONGEST: usize = 1518;
/// Longest frame without FCS with RCTL.LPE.
const LONGEST_LPE: usize = 16_380;
/// Bits 11:0 of a VLAN tag.
const VLAN_ID: u16 = 0xFFF;

// Status and error bytes of a receive descriptor, bits 15:0 of its last word (8254x manual, 3.2.3; UDPCS: 82574
// datasheet, 7.1.4).
const DD: u32 = 1 << 0;
const EOP: u32 = 1 << 1;
const IXSM: u32 = 1 << 2;
const VP: u32 = 1 << 3;
const UDPCS: u32 = 1 << 4;
const TCPCS: u32 = 1 << 5;
const IPCS: u32 = 1 << 6;
const TCPE: u32 = 1 << 13;
const IPE: u32 = 1 << 14;

/// Cause: TCP with an acknowledgement arrived (8257x).
const ACK: Causes = Causes::from_bits_retain(1 << 17);

// RXCSUM: checksums of IPv4 headers, and of TCP and UDP.
const IPOFL: u32 = 1 << 8;
const TUOFL: u32 = 1 << 9;

/// The filter that lets a frame in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Passed {
    /// The multicast table.
    Table,
    Other,
}

impl Inner {
    /// A frame on the wire, as the MAC meets it: carrier, receiver, filter, length, ring.
    pub(super) fn arrive(&mut self, arrived: &[u8]) -> Arrival {
        let frame = arrived;
        let rctl = Rctl::from_bits_retain(self.get(regs::RCTL));
        if self.faults.gone || !self.shows_link() || !rctl.contains(Rctl::EN) {
            return Arrival::Off;
        }
        // Counted only if they pass the filter (8254x manual, 13.7.27 and 13.7.29).
        let early = self.oddities.lengths_before_filter;
        if early && let Some(refused) = self.check_len(frame.len(), rctl) {
            return refused;
        }
        let Some(passed) = self.passes(frame, rctl) else {
            return Arrival::Filtered;
        };
        if !early && let Some(refused) = self.check_len(frame.len(), rctl) {
            return refused;
        }
        let (mut frame, mut high) = (frame.to_vec(), self.verdict(frame));
        frame.resize(frame.len().max(SHORTEST), 0);
        if let Some(tag) = tag_of(&frame, self.vlan_type())
            && self.get(regs::CTRL) & Ctrl::VME.bits() != 0
        {
            frame.drain(12..16);
            high |= VP | u32::from(tag) << 16;
        }
        let group = frame[0] & 1 != 0;
        let mixed_up = self.oddities.everybody_is_a_group && rctl.contains(Rctl::MPE);
        let broadcast = frame[..6] == [0xFF; 6] && !mixed_up;
        let counter = match (broadcast, group) {
            (true, _) => Some(BPRC),
            (false, true) => Some(MPRC),
            (false, false) => None,
        };
        if passed == Passed::Table && self.oddities.table_counts {
            self.count(MPRC);
        } else if self.oddities.filter_counts {
            counter.into_iter().for_each(|counter| self.count(counter));
        }
        if !self.store_frame(&frame, high) {
            if !self.oddities.frames_without_room_wait {
                self.count(RNBC);
                self.count(MPC);
            }
            return Arrival::NoBuffer;
        }
        // RFCTL.ACKD_DIS, which bring-up leaves 0, would leave out those with data (82574 datasheet, 10.2.5.16).
        let acknowledges = checksums::examine(arrived, self.vlan_type()).is_some_and(|found| found.ack);
        let heeded = self.chip.mac().is_pcie() && self.get(regs::RFCTL) & regs::RFCTL_ACK_DIS == 0;
        if acknowledges && heeded {
            self.raise(ACK);
        }
        if !self.oddities.filter_counts {
            counter.into_iter().for_each(|counter| self.count(counter));
        }
        Arrival::Received
    }

    /// Counts a frame that is too short or too long, and refuses it.
    fn check_len(&mut self, len: usize, rctl: Rctl) -> Option<Arrival> {
        if len < SHORTEST {
            self.count(RUC);
            return (!self.oddities.short_frames_are_padded).then_some(Arrival::TooShort);
        }
        let longest = if rctl.contains(Rctl::LPE) {
            LONGEST_LPE
        } else {
            LONGEST
        };
        let fcs = if self.oddities.limits_without_fcs { 4 } else { 0 };
        if len <= longest + fcs {
            return None;
        }
        self.count(ROC);
        Some(Arrival::TooLong)
    }

    /// EtherType of a VLAN tag.
    fn vlan_type(&self) -> u16 {
        self.get(regs::VET) as u16
    }

    /// The filter that lets a frame in, if one does (8254x manual, 3.2.1).
    fn passes(&self, frame: &[u8], rctl: Rctl) -> Option<Passed> {
        let &destination = frame.first_chunk::<6>()?;
        if let Some(tag) = tag_of(frame, self.vlan_type())
            && rctl.contains(Rctl::VFE)
        {
            let id = u32::from(tag & VLAN_ID);
            if self.get(regs::VFTA + 4 * (id / 32)) >> (id % 32) & 1 == 0 {
                return None;
            }
        }
        if destination == [0xFF; 6] {
            return rctl.contains(Rctl::BAM).then_some(Passed::Other);
        }
        let group = destination[0] & 1 != 0;
        if rctl.contains(if group { Rctl::MPE } else { Rctl::UPE }) || self.is_own(destination) {
            return Some(Passed::Other);
        }
        let bit = hash(MacAddress(destination), 0, self.chip.limits.mta_registers);
        let looked_up = group || self.oddities.multicast_table_is_for_all;
        (looked_up && self.get(regs::MTA + 4 * (bit / 32)) >> (bit % 32) & 1 != 0).then_some(Passed::Table)
    }

    /// Returns true if an entry of the receive addresses has this address.
    fn is_own(&self, address: [u8; 6]) -> bool {
        let [a, b, c, d, e, f] = address;
        let (low, high) = (u32::from_le_bytes([a, b, c, d]), u16::from_le_bytes([e, f]));
        (0..16).any(|entry| {
            let found = self.get(regs::rah(entry));
            found & regs::RAH_AV != 0 && found as u16 == high && self.get(regs::ral(entry)) == low
        })
    }

    /// Results of the checks of checksums that RXCSUM asks for, as bits of the descriptor.
    fn verdict(&self, frame: &[u8]) -> u32 {
        let rxcsum = self.get(regs::RXCSUM);
        if rxcsum & (IPOFL | TUOFL) == 0 || self.oddities.checksums_are_not_checked {
            return IXSM;
        }
        let Some(found) = checksums::examine(frame, self.vlan_type()) else {
            return IXSM;
        };
        let mut high = 0;
        if rxcsum & IPOFL != 0 {
            high |= match found.ip {
                Verdict::None => 0,
                Verdict::Good => IPCS,
                Verdict::Bad => IPCS | IPE,
            };
        }
        if rxcsum & TUOFL != 0 {
            // One bit for both protocols on PCI parts, UDP has its own on PCIe parts.
            let pcie = self.chip.mac().is_pcie();
            let checked = if found.udp && pcie { UDPCS } else { TCPCS };
            high |= match found.transport {
                Verdict::None => 0,
                Verdict::Good => checked,
                Verdict::Bad => checked | TCPE,
            };
        }
        high
    }

    /// A frame that passed gets into the ring, as it is.
    pub(super) fn receive(&mut self, frame: &[u8]) -> bool {
        if self.faults.gone || self.get(regs::RCTL) & Rctl::EN.bits() == 0 {
            return false;
        }
        self.store_frame(frame, 0)
    }

    /// Stores a frame in as many buffers as it takes; `high` goes into the last descriptor. False, and an overrun, if
    /// there are too few.
    fn store_frame(&mut self, frame: &[u8], high: u32) -> bool {
        let rctl = self.get(regs::RCTL);
        let size = self.get(regs::RDLEN) / DESCRIPTOR_LEN as u32;
        let strip = rctl & Rctl::SECRC.bits() != 0 && !self.chip.quirks.contains(Quirks::NO_SECRC);
        let mut wire = frame.to_vec();
        if !strip {
            wire.extend([0xFC; 4]);
        }
        let head = self.get(regs::RDH);
        let free = (self.get(regs::RDT) + size - head) % size;
        let pieces: Vec<&[u8]> = wire.chunks(BUFFER_LEN).collect();
        if (free as usize) < pieces.len() {
            self.raise(Causes::RXO);
            return false;
        }
        let ring = self.pair(regs::RDBAL, regs::RDBAH);
        for (n, piece) in pieces.iter().enumerate() {
            let slot = (head + n as u32) % size;
            let (address, _, old) = self.descriptor(ring, slot);
            self.store(address, piece);
            let last = n + 1 == pieces.len();
            let found = if last { EOP | high } else { 0 };
            // Like QEMU: the error byte stays as the driver left it.
            self.store_words(ring, slot, piece.len() as u32, old & 0xFF00 | found | DD);
        }
        let head = (head + pieces.len() as u32) % size;
        self.registers.insert(regs::RDH, head);
        let left = free - pieces.len() as u32;
        // RCTL.RDMTS, 0: it is told when the number of free descriptors becomes half of the ring (8254x manual,
        // 13.4.22).
        let threshold = size >> ((rctl >> 8 & 3) + 1);
        let is_low = match self.oddities {
            Oddities {
                low_ring_is_told_again: true,
                ..
            } => left <= threshold,
            Oddities {
                low_ring_is_missed: true,
                ..
            } => left == threshold,
            _ => left <= threshold && threshold < free,
        };
        let low = if is_low { Causes::RXDMT0 } else { Causes::empty() };
        self.raise(Causes::RXT0 | low);
        true
    }
}

/// The VLAN tag of a frame, if it has one.
fn tag_of(frame: &[u8], vlan_type: u16) -> Option<u16> {
    let bytes = frame.get(12..16)?;
    (u16::from_be_bytes([bytes[0], bytes[1]]) == vlan_type).then(|| u16::from_be_bytes([bytes[2], bytes[3]]))
}
