//! Frames to the wire: descriptors, checksums, segmentation, VLAN tags.

use core::mem;
use std::vec;
use std::vec::Vec;

use super::checksums::{Place, sum};
use super::{Inner, Oddities};
use crate::regs::{self, BPTC, Causes, Ctrl, MPTC, Rctl, Tctl};
use crate::ring::DESCRIPTOR_LEN;

// Commands of a transmit descriptor, in its third word (8254x manual, 3.3).
const EOP: u32 = 1 << 24;
const IFCS: u32 = 1 << 25;
const TSE: u32 = 1 << 26;
const RS: u32 = 1 << 27;
const DEXT: u32 = 1 << 29;
const VLE: u32 = 1 << 30;
/// Field DTYP: 0 is a context, 1 is data.
const DTYP: u32 = 0xF << 20;

// TUCMD of a context descriptor, at the same place.
const TUCMD_TCP: u32 = 1 << 24;
const TUCMD_IPV4: u32 = 1 << 25;

// POPTS of a data descriptor, in its last word.
const IXSM: u32 = 1 << 8;
const TXSM: u32 = 1 << 9;

// Flags of TCP, which only the last segment keeps.
const FIN: u8 = 1 << 0;
const PSH: u8 = 1 << 3;

/// The last context descriptor.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Context {
    ip: Place,
    transport: Place,
    command: u32,
    header_len: usize,
    mss: usize,
}

impl Context {
    fn new(words: [u32; 4]) -> Self {
        Self {
            ip: Place::from_word(words[0]),
            transport: Place::from_word(words[1]),
            command: words[2],
            header_len: (words[3] >> 8 & 0xFF) as usize,
            mss: (words[3] >> 16) as usize,
        }
    }

    /// Fills in the checksums that a data descriptor asks for.
    fn fill_in(&self, frame: &mut [u8], options: u32) {
        // That of the IP header is in no sum of the transport's.
        if options & IXSM != 0 {
            self.ip.fill_in(frame);
        }
        if options & TXSM != 0 {
            self.transport.fill_in(frame);
        }
    }

    /// Cuts a frame (8254x manual, 3.5): headers are repeated, and what differs between the parts is filled in.
    fn cut(&self, frame: &[u8], options: u32, oddities: Oddities) -> Vec<Vec<u8>> {
        let (headers, payload) = frame.split_at(self.header_len.min(frame.len()));
        let mss = self.mss.max(1);
        let last = payload.len().div_ceil(mss) - 1;
        let mut pieces: Vec<&[u8]> = payload.chunks(mss).collect();
        if oddities.headers_follow_full_segment && payload.len().is_multiple_of(mss) {
            pieces.push(&[]);
        }
        let mut parts = vec![];
        for (n, piece) in pieces.into_iter().enumerate() {
            let mut part = headers.to_vec();
            part.extend(piece);
            let (ip, transport) = (self.ip.start, self.transport.start);
            if self.command & TUCMD_IPV4 != 0 {
                let len = (part.len() - ip) as u16;
                part[ip + 2..ip + 4].copy_from_slice(&len.to_be_bytes());
                add(&mut part[ip + 4..ip + 6], n as u32);
            } else {
                let len = (part.len() - ip - 40) as u16;
                part[ip + 4..ip + 6].copy_from_slice(&len.to_be_bytes());
            }
            if self.command & TUCMD_TCP != 0 {
                add(&mut part[transport + 4..transport + 8], (n * self.mss) as u32);
                if n < last || oddities.last_segment_loses_flags {
                    part[transport + 13] &= !(FIN | PSH);
                }
            }
            // The driver's sum of the pseudo header is without the length, which differs from part to part.
            let at = self.transport.stored;
            let len = ((part.len() - transport) as u16).to_be_bytes();
            let pseudo = sum(&[&part[at..at + 2], &len]);
            part[at..at + 2].copy_from_slice(&pseudo.to_be_bytes());
            self.fill_in(&mut part, options);
            parts.push(part);
        }
        parts
    }
}

/// Adds to a number in network order, two or four bytes.
fn add(bytes: &mut [u8], more: u32) {
    let mut carry = u64::from(more);
    for byte in bytes.iter_mut().rev() {
        carry += u64::from(*byte);
        *byte = carry as u8;
        carry >>= 8;
    }
}

impl Inner {
    pub(super) fn transmit(&mut self) {
        if self.faults.transmitter_stalled || self.get(regs::TCTL) & Tctl::EN.bits() == 0 {
            return;
        }
        let size = self.get(regs::TDLEN) / DESCRIPTOR_LEN as u32;
        let ring = self.pair(regs::TDBAL, regs::TDBAH);
        let mut head = self.get(regs::TDH);
        if head == self.get(regs::TDT) {
            if self.oddities.empty_queue_is_told_again {
                self.raise(Causes::TXQE);
            }
            return;
        }
        let (mut frame, mut out, mut done) = (vec![], vec![], Causes::TXQE);
        while head != self.get(regs::TDT) {
            let (address, command, high) = self.descriptor(ring, head);
            let extended = command & DEXT != 0;
            if extended && command & DTYP == 0 {
                // A context: there is nothing to fetch, and nobody asked for a report.
                let words = [address as u32, (address >> 32) as u32, command, high];
                self.context = Context::new(words);
                head = (head + 1) % size;
                continue;
            }
            let options = if extended { DEXT | TSE } else { 0 };
            assert_eq!(
                command & 0xFF00_0000 & !(EOP | VLE) & !options,
                IFCS | RS,
                "IFCS and RS on every descriptor"
            );
            done |= Causes::TXDW;
            if extended && frame.is_empty() {
                // Those of the first descriptor count for the whole frame.
                self.options = high & (IXSM | TXSM);
            }
            frame.extend(self.load(address, (command & 0xFFFF) as usize));
            if command & EOP != 0 {
                let tag = (command & VLE != 0).then_some((high >> 16) as u16);
                let whole = mem::take(&mut frame);
                out.extend(self.finish(whole, extended, command, tag));
            }
            if self.faults.writes_back_late {
                self.late.push((ring, head, command));
            } else {
                self.store_words(ring, head, command, 1);
            }
            head = (head + 1) % size;
        }
        assert!(frame.is_empty(), "the tail is in the middle of a frame");
        self.registers.insert(regs::TDH, head);
        self.raise(done);
        if self.loops() {
            out.into_iter().for_each(|frame| self.loop_back(frame));
            return;
        }
        let goes_out = self.shows_link();
        if goes_out || self.oddities.lost_frames_are_counted {
            for frame in &out {
                self.count_sent(frame);
            }
        }
        self.sent.extend(out.into_iter().map(|frame| (frame, goes_out)));
    }

    /// Completes or cuts a frame.
    fn finish(&self, mut frame: Vec<u8>, extended: bool, command: u32, tag: Option<u16>) -> Vec<Vec<u8>> {
        let mut frames = if extended && command & TSE != 0 {
            self.context.cut(&frame, self.options, self.oddities)
        } else {
            if extended {
                self.context.fill_in(&mut frame, self.options);
            }
            vec![frame]
        };
        if let Some(tag) = tag
            && self.get(regs::CTRL) & Ctrl::VME.bits() != 0
        {
            let vlan_type = (self.get(regs::VET) as u16).to_be_bytes();
            for frame in &mut frames {
                frame.splice(12..12, vlan_type.into_iter().chain(tag.to_be_bytes()));
            }
        }
        frames
    }

    fn count_sent(&mut self, frame: &[u8]) {
        if frame[..6] == [0xFF; 6] {
            self.count(BPTC);
        } else if frame[0] & 1 != 0 {
            self.count(MPTC);
        }
    }

    /// Returns true if PHY, transceiver or serdes give back what is sent.
    fn loops(&self) -> bool {
        const BMCR_LOOPBACK: u16 = 1 << 14;
        self.phy[0] & BMCR_LOOPBACK != 0
            || self.get(regs::RCTL) & Rctl::LBM_TRANSCEIVER.bits() != 0
            || self.get(regs::SCTL) == regs::SCTL_LOOP
    }

    fn loop_back(&mut self, mut frame: Vec<u8>) {
        if self.faults.loopback_damages
            && let Some(last) = frame.last_mut()
        {
            *last ^= 1;
        }
        if !self.faults.loopback_loses {
            self.receive(&frame);
        }
    }
}
