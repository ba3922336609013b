//! What the fake NIC does: registers with effects, frames between rings and wire, PHY and EEPROM.

use core::mem;
use core::ptr::NonNull;
use std::vec;
use std::vec::Vec;

use super::{FakeEeprom, Inner, NEGOTIATION};
use crate::chip::{Media, PhyAccess, Quirks};
use crate::nvm::CHECKSUM;
use crate::phy::{Bmcr, Bmsr, register};
use crate::pool::BUFFER_LEN;
use crate::recorder::Access;
use crate::regs::{self, Causes, Ctrl, Rctl, Status, Tctl};
use crate::ring::DESCRIPTOR_LEN;

/// Transmit descriptors: DEXT and the field DTYP, and the command TSE.
const DEXT: u32 = 1 << 29;
const DTYP: u32 = 0xF << 20;
const TSE: u32 = 1 << 26;

impl Inner {
    pub(super) fn get(&self, offset: u32) -> u32 {
        self.registers.get(&offset).copied().unwrap_or(0)
    }

    pub(super) fn pair(&self, low: u32, high: u32) -> u64 {
        u64::from(self.get(low)) | u64::from(self.get(high)) << 32
    }

    /// CPU address of `len` bytes at a bus address. Panics when the driver never allocated them: DMA into foreign
    /// memory is the worst thing that a driver can cause.
    fn dma(&self, address: u64, len: usize) -> NonNull<u8> {
        let regions = self.regions.borrow();
        let (base, (pointer, region_len)) = regions
            .0
            .range(..=address)
            .next_back()
            .expect("DMA below every region");
        let offset = (address - base) as usize;
        assert!(
            offset + len <= *region_len,
            "DMA to {address:#x}+{len} leaves its region"
        );
        // SAFETY: offset + len lies inside the allocation, checked above.
        unsafe { pointer.add(offset) }
    }

    pub(super) fn load(&self, address: u64, len: usize) -> Vec<u8> {
        let source = self.dma(address, len);
        // SAFETY: `dma` checked that len bytes are inside a live allocation; they were zeroed at the start.
        unsafe { core::slice::from_raw_parts(source.as_ptr(), len) }.to_vec()
    }

    pub(super) fn store(&self, address: u64, bytes: &[u8]) {
        let target = self.dma(address, bytes.len());
        // SAFETY: `dma` checked the length; `bytes` is an ordinary slice outside DMA memory.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), target.as_ptr(), bytes.len()) };
    }

    pub(super) fn store_words(&self, ring: u64, slot: u32, low: u32, high: u32) {
        let address = ring + u64::from(slot) * DESCRIPTOR_LEN as u64 + 8;
        self.store(address, &low.to_le_bytes());
        self.store(address + 4, &high.to_le_bytes());
    }

    pub(super) fn descriptor(&self, ring: u64, slot: u32) -> (u64, u32, u32) {
        let bytes = self.load(ring + u64::from(slot) * DESCRIPTOR_LEN as u64, DESCRIPTOR_LEN);
        let word = |n: usize| {
            u32::from_le_bytes([bytes[4 * n], bytes[4 * n + 1], bytes[4 * n + 2], bytes[4 * n + 3]])
        };
        (u64::from(word(0)) | u64::from(word(1)) << 32, word(2), word(3))
    }

    pub(super) fn receive(&mut self, frame: &[u8]) -> bool {
        let rctl = self.get(regs::RCTL);
        if self.faults.gone || rctl & Rctl::EN.bits() == 0 {
            return false;
        }
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
            *self.registers.entry(regs::ICR).or_default() |= Causes::RXO.bits();
            return false;
        }
        let ring = self.pair(regs::RDBAL, regs::RDBAH);
        for (n, piece) in pieces.iter().enumerate() {
            let slot = (head + n as u32) % size;
            let (address, _, old) = self.descriptor(ring, slot);
            self.store(address, piece);
            let end_of_packet = u32::from(n + 1 == pieces.len()) << 1;
            // Like QEMU: the error byte stays as the driver left it.
            self.store_words(ring, slot, piece.len() as u32, old & 0xFF00 | end_of_packet | 1);
        }
        self.registers
            .insert(regs::RDH, (head + pieces.len() as u32) % size);
        *self.registers.entry(regs::ICR).or_default() |= Causes::RXT0.bits();
        true
    }

    pub(super) fn transmit(&mut self) {
        if self.faults.transmitter_stalled || self.get(regs::TCTL) & Tctl::EN.bits() == 0 {
            return;
        }
        let size = self.get(regs::TDLEN) / DESCRIPTOR_LEN as u32;
        let ring = self.pair(regs::TDBAL, regs::TDBAH);
        let mut head = self.get(regs::TDH);
        let (mut frame, mut out) = (vec![], vec![]);
        while head != self.get(regs::TDT) {
            let (address, command, high) = self.descriptor(ring, head);
            let extended = command & DEXT != 0;
            if extended && command & DTYP == 0 {
                // A context: there is nothing to fetch, and nobody asked for a report.
                head = (head + 1) % size;
                continue;
            }
            let options = if extended { (DEXT | TSE) >> 24 } else { 0 };
            assert_eq!(
                command >> 24 & !0x41 & !options,
                0b1010,
                "IFCS and RS on every descriptor"
            );
            frame.extend(self.load(address, (command & 0xFFFF) as usize));
            if command >> 24 & 1 != 0 {
                if command >> 30 & 1 != 0 && self.get(regs::CTRL) & Ctrl::VME.bits() != 0 {
                    let tag = (high >> 16) as u16;
                    frame.splice(12..12, [0x81, 0x00].into_iter().chain(tag.to_be_bytes()));
                }
                out.push(mem::take(&mut frame));
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
        *self.registers.entry(regs::ICR).or_default() |= Causes::TXDW.bits();
        if self.loops() {
            out.into_iter().for_each(|frame| self.loop_back(frame));
        } else {
            self.sent.append(&mut out);
        }
    }

    /// Whether PHY, transceiver or serdes give back what is sent.
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

    pub(super) fn read(&mut self, offset: u32) -> u32 {
        self.log.add(Access::Read(offset));
        if self.faults.gone {
            return regs::ALL_ONES;
        }
        match offset {
            // Causes and statistics.
            _ if self.cleared_by_reading.binary_search(&offset).is_ok() => {
                self.registers.insert(offset, 0).unwrap_or(0)
            }
            regs::STATUS if !self.shows_link() => self.get(offset) & !Status::LU.bits(),
            _ => self.get(offset),
        }
    }

    /// Whether the PHY has a link.
    fn has_link(&self) -> bool {
        self.get(regs::STATUS) & Status::LU.bits() != 0 && self.time >= self.negotiated
    }

    /// Whether a link of the PHY is seen in STATUS: CTRL.SLU lets it through (8254x manual, 13.4.1).
    fn shows_link(&self) -> bool {
        self.chip.media != Media::Copper || self.has_link() && self.get(regs::CTRL) & Ctrl::SLU.bits() != 0
    }

    pub(super) fn write(&mut self, offset: u32, value: u32) {
        self.log.add(Access::Write(offset, value));
        if self.faults.gone {
            return;
        }
        let stuck = self.faults.stuck_bits.filter(|(register, _)| *register == offset);
        let value = value & !stuck.map_or(0, |(_, bits)| bits);
        match offset {
            regs::STATUS => {}
            regs::CTRL | regs::CTRL_DUP if value & Ctrl::RST.bits() != 0 => self.reset(value),
            regs::MDIC => {
                let answer = self.access_phy(value);
                self.registers.insert(regs::MDIC, answer);
            }
            regs::IMC => *self.registers.entry(regs::IMS).or_default() &= !value,
            regs::IMS => *self.registers.entry(regs::IMS).or_default() |= value,
            regs::ICR => *self.registers.entry(regs::ICR).or_default() &= !value,
            regs::ICS => *self.registers.entry(regs::ICR).or_default() |= value,
            regs::EERD => {
                let answer = self.read_eeprom(value);
                self.registers.insert(regs::EERD, answer);
            }
            regs::TDT => {
                self.registers.insert(offset, value);
                self.transmit();
            }
            regs::TIDV if value & regs::TIDV_FPD != 0 => {
                for (ring, slot, low) in mem::take(&mut self.late) {
                    self.store_words(ring, slot, low, 1);
                }
            }
            _ => {
                self.registers.insert(offset, value);
            }
        }
    }

    fn reset(&mut self, ctrl: u32) {
        self.late.clear();
        if self.faults.reset_stuck {
            self.registers.insert(regs::CTRL, ctrl);
            return;
        }
        if !self.faults.reset_ignored {
            for register in [
                regs::RCTL,
                regs::TCTL,
                regs::IMS,
                regs::ICR,
                regs::RDH,
                regs::RDT,
                regs::TDH,
                regs::TDT,
            ] {
                self.registers.insert(register, 0);
            }
        }
        let ctrl = if self.faults.reset_ignored {
            ctrl & !Ctrl::RST.bits()
        } else {
            0
        };
        self.registers.insert(regs::CTRL, ctrl);
    }

    fn read_eeprom(&self, request: u32) -> u32 {
        let (done, shift) = match self.eeprom {
            FakeEeprom::None => return 0,
            FakeEeprom::Small => (1 << 4, 8),
            FakeEeprom::Large => (1 << 1, 2),
        };
        let sum = self
            .eeprom_words
            .iter()
            .fold(0u16, |sum, word| sum.wrapping_add(*word));
        let word = match (request >> shift & 0xFF) as usize {
            n @ 0..3 => self.eeprom_words[n],
            0x3F => CHECKSUM
                .wrapping_sub(sum)
                .wrapping_sub(self.init_control_2())
                .wrapping_add(u16::from(self.faults.nvm_checksum_wrong)),
            0x0F => self.init_control_2(),
            _ => 0,
        };
        u32::from(word) << 16 | done
    }

    /// Word 0x0F of the NVM: bit 0 says that deep smart power down is off.
    fn init_control_2(&self) -> u16 {
        u16::from(!self.faults.deep_smart_power_down)
    }

    /// One access through MDIC, which ends at once, like QEMU's.
    fn access_phy(&mut self, command: u32) -> u32 {
        let address = match self.chip.limits.phy {
            PhyAccess::Firmware => 2,
            PhyAccess::BitBang | PhyAccess::Mdic => 1,
        };
        let number = (command >> 16 & 31) as u8;
        if self.chip.limits.phy == PhyAccess::Firmware && command >> 21 & 31 == 1 {
            return self.access_phy_page(number, command);
        }
        if command >> 21 & 31 != address {
            return command | regs::MDIC_READY | regs::MDIC_ERROR;
        }
        if command & regs::MDIC_OP_WRITE != 0 {
            self.write_phy(number, command as u16);
        }
        command & !0xFFFF | u32::from(self.read_phy(number)) | regs::MDIC_READY
    }

    /// One access to a PHY register at the pages' address.
    fn access_phy_page(&mut self, number: u8, command: u32) -> u32 {
        let write = command & regs::MDIC_OP_WRITE != 0;
        if number == register::PAGE_SELECT {
            if write {
                self.phy_page = command as u16 >> 5;
            }
            return command | regs::MDIC_READY;
        }
        let value = self.phy_pages.entry((self.phy_page, number)).or_default();
        if write {
            *value = command as u16;
        }
        command & !0xFFFF | u32::from(*value) | regs::MDIC_READY
    }

    fn write_phy(&mut self, number: u8, value: u16) {
        self.phy[usize::from(number)] = value;
        if number == register::BMCR && value & Bmcr::RESTART.bits() != 0 {
            self.negotiated = self.time + NEGOTIATION;
            self.link_was_lost = true;
        }
    }

    fn read_phy(&mut self, number: u8) -> u16 {
        let value = self.phy[usize::from(number)];
        if number == register::BMSR && (mem::take(&mut self.link_was_lost) || !self.has_link()) {
            value & !Bmsr::LINK.bits()
        } else {
            value
        }
    }
}
