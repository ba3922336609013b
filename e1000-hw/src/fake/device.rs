//! Behaviour of the fake NIC: registers with effects, DMA, PHY and EEPROM.

use core::mem;
use core::ptr::NonNull;
use core::time::Duration;
use std::vec::Vec;

use super::{FakeEeprom, Inner};
use crate::chip::{Media, PhyAccess};
use crate::nvm::CHECKSUM;
use crate::phy::{Bmcr, Bmsr, register};
use crate::recorder::Access;
use crate::regs::{self, Causes, Ctrl, MPC, RNBC, Status};
use crate::ring::DESCRIPTOR_LEN;

impl Inner {
    pub(super) fn get(&self, offset: u32) -> u32 {
        self.registers.get(&offset).copied().unwrap_or(0)
    }

    pub(super) fn pair(&self, low: u32, high: u32) -> u64 {
        u64::from(self.get(low)) | u64::from(self.get(high)) << 32
    }

    /// CPU address of `len` bytes at a bus address. Panics when the driver never allocated them: DMA into foreign
    /// memory is the worst thing that a driver can cause.
    #[expect(clippy::expect_used, reason = "a test must end where DMA leaves its memory")]
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

    /// Raises causes of an interrupt.
    pub(super) fn raise(&mut self, causes: Causes) {
        *self.registers.entry(regs::ICR).or_default() |= causes.bits();
    }

    /// Counts one in the counter at `offset`, which stops at its end.
    pub(super) fn count(&mut self, offset: u32) {
        if self.oddities.absent_counters >> ((offset - 0x4000) / 4) & 1 != 0 {
            return;
        }
        let counter = self.registers.entry(offset).or_default();
        *counter = counter.saturating_add(1);
    }

    pub(super) fn read(&mut self, offset: u32) -> u32 {
        self.log.add(Access::Read(offset));
        if self.faults.gone {
            return regs::ALL_ONES;
        }
        match offset {
            regs::ICR => {
                let asserted = self.interrupts() || self.oddities.masked_causes_are_asserted;
                match self.registers.insert(offset, 0).unwrap_or(0) {
                    causes if causes != 0 && asserted && self.chip.mac().is_pcie() => {
                        causes | Causes::INT_ASSERTED.bits()
                    }
                    causes => causes,
                }
            }
            MPC | RNBC if self.oddities.missed_stay => self.get(offset),
            // Counters.
            _ if self.cleared_by_reading.binary_search(&offset).is_ok() => {
                self.registers.insert(offset, 0).unwrap_or(0)
            }
            regs::STATUS if !self.shows_link() => self.get(offset) & !Status::LU.bits(),
            _ => self.get(offset),
        }
    }

    /// Returns true if a cause is pending that is not masked.
    pub(super) fn interrupts(&self) -> bool {
        self.get(regs::ICR) & self.get(regs::IMS) != 0
    }

    /// Returns true if the PHY has a link.
    fn has_link(&self) -> bool {
        self.get(regs::STATUS) & Status::LU.bits() != 0 && self.time >= self.negotiated
    }

    /// Returns true if a link of the PHY is seen in STATUS: CTRL.SLU lets it through (8254x manual, 13.4.1).
    pub(super) fn shows_link(&self) -> bool {
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
            // A transmitter that is turned on sends what is there.
            regs::TDT | regs::TCTL => {
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

    /// Time passes.
    pub(super) fn pass(&mut self, duration: Duration) {
        let before = self.time;
        self.time += duration;
        if before < self.negotiated && self.has_link() {
            self.link_is_up();
        }
    }

    /// The link has come up, or has negotiated anew.
    pub(super) fn link_is_up(&mut self) {
        self.raise(Causes::LSC);
        if self.oddities.link_sets_flow_control {
            *self.registers.entry(regs::CTRL).or_default() |= (Ctrl::RFCE | Ctrl::TFCE).bits();
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
            self.negotiated = self.time + self.negotiation;
            self.link_was_lost = true;
            if self.has_link() {
                self.link_is_up();
            }
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
