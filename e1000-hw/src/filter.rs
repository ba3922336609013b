//! The receive filter: the own address and broadcast always pass, other frames on request (8254x manual, 3.2.1 and
//! 13.5).
//!
//! Shadow copies of the registers are kept, and only changes are written, because QEMU's `e1000` receives nothing for a
//! second after each write of RCTL (`set_rx_control`). Single groups change the multicast table (MTA) only; all groups,
//! promiscuous mode and the VLAN filter change RCTL. For all groups, a table full of ones would do on hardware, but
//! QEMU also looks up unicast addresses in it (`e1000x_rx_group_filter`).

use crate::chip::{Chip, Quirks};
use crate::ethernet::MacAddress;
use crate::platform::Registers;
use crate::regs;

/// Registers of the VLAN table.
const VFTA_REGISTERS: usize = regs::VFTA_REGISTERS as usize;
/// Registers of the largest multicast table.
const MTA_REGISTERS: usize = 128;

/// Position of a group address in a multicast table of `registers` registers (128, or 32 on ICH and PCH parts): the
/// number of a bit, counted from bit 0 of the first register.
///
/// `offset` is RCTL.MO: it selects 12 (or 10) of the address' last 16 bits. This driver leaves it at 0.
pub fn hash(address: MacAddress, offset: u8, registers: u32) -> u32 {
    let [.., b4, b5] = address.0;
    let shift = match offset & 0b11 {
        0 => 4,
        1 => 3,
        2 => 2,
        _ => 0,
    };
    // The smaller table takes the bits from two further up.
    let shift = if registers < MTA_REGISTERS as u32 {
        shift + 2
    } else {
        shift
    };
    let bits = u32::from(b5) << 8 | u32::from(b4);
    bits >> shift & (registers * 32 - 1)
}

/// The receive filter, as programmed.
pub struct Filter {
    promiscuous: bool,
    all_multicast: bool,
    multicast: [u32; MTA_REGISTERS],
    /// One bit for each VLAN id, as in VFTA; kept while the VLAN filter is off, too.
    vlans: [u32; VFTA_REGISTERS],
    /// Tagged frames of other VLANs are dropped.
    vlan_filter: bool,
    /// The device does not keep the bit of some group or VLAN, so all of them pass.
    groups_lost: bool,
    vlans_lost: bool,
}

impl Filter {
    /// Own address and broadcast, all VLANs: as after bring-up.
    pub(crate) const fn new() -> Self {
        Self {
            promiscuous: false,
            all_multicast: false,
            multicast: [0; MTA_REGISTERS],
            vlans: [0; VFTA_REGISTERS],
            vlan_filter: false,
            groups_lost: false,
            vlans_lost: false,
        }
    }

    /// Returns whether everything passes.
    pub fn promiscuous(&self) -> bool {
        self.promiscuous
    }

    /// Returns whether tagged frames pass of some VLANs only.
    pub fn vlan_filter(&self) -> bool {
        self.vlan_filter && !self.promiscuous
    }

    /// Returns whether frames to all groups pass.
    pub fn all_multicast(&self) -> bool {
        self.promiscuous || self.all_multicast
    }

    /// Returns true if a frame to `group` passes, possibly because of another group with the same hash.
    pub fn accepts(&self, chip: &Chip, group: MacAddress) -> bool {
        let bit = hash(group, 0, chip.limits.mta_registers);
        let word = self.multicast.get((bit / 32) as usize);
        self.all_multicast() || word.is_some_and(|word| word >> (bit % 32) & 1 != 0)
    }

    /// Returns whether the device has to let frames to all groups pass (RCTL.MPE).
    pub(crate) fn needs_all_multicast(&self) -> bool {
        self.all_multicast() || self.groups_lost
    }

    /// Returns whether the device has to drop tagged frames by the VLAN table (RCTL.VFE).
    pub(crate) fn needs_vlan_filter(&self) -> bool {
        self.vlan_filter() && !self.vlans_lost
    }

    /// Sets promiscuous and all-multicast mode. The caller writes RCTL.
    pub(crate) fn set_modes(&mut self, promiscuous: bool, all_multicast: bool) {
        (self.promiscuous, self.all_multicast) = (promiscuous, all_multicast);
    }

    /// Lets frames to `groups` pass.
    pub(crate) fn set_multicast(
        &mut self,
        registers: &impl Registers,
        chip: &Chip,
        groups: impl IntoIterator<Item = MacAddress>,
    ) {
        let mut table = [0; MTA_REGISTERS];
        for group in groups {
            let bit = hash(group, 0, chip.limits.mta_registers);
            if let Some(word) = table.get_mut((bit / 32) as usize) {
                *word |= 1 << (bit % 32);
            }
        }
        let old = core::mem::replace(&mut self.multicast, table);
        if old != table {
            self.write_multicast(registers, chip, &old);
            self.groups_lost = !keeps(registers, regs::MTA, &table);
        }
    }

    /// Sets the VLANs whose tagged frames pass; with `None` all do. Untagged frames always pass. Writes only changes.
    /// The caller writes RCTL.
    pub(crate) fn set_vlans(
        &mut self,
        registers: &impl Registers,
        chip: &Chip,
        vlans: Option<impl IntoIterator<Item = u16>>,
    ) {
        self.vlan_filter = vlans.is_some();
        let Some(vlans) = vlans else {
            return;
        };
        let mut table = [0; VFTA_REGISTERS];
        // Frames with a priority and no VLAN have the id 0.
        for id in core::iter::once(0).chain(vlans) {
            if let Some(word) = table.get_mut(usize::from(id >> 5)) {
                *word |= 1 << (id & 31);
            }
        }
        let old = core::mem::replace(&mut self.vlans, table);
        if old != table {
            self.write_vlans(registers, chip, &old);
            self.vlans_lost = !keeps(registers, regs::VFTA, &table);
        }
    }

    /// Writes all of it into a device whose tables are empty.
    pub(crate) fn restore(&self, registers: &impl Registers, chip: &Chip) {
        let empty = [0; MTA_REGISTERS];
        if self.multicast != empty {
            self.write_multicast(registers, chip, &empty);
        }
        self.write_vlans(registers, chip, &[0; VFTA_REGISTERS]);
    }

    fn write_multicast(&self, registers: &impl Registers, chip: &Chip, old: &[u32; MTA_REGISTERS]) {
        let words = self.multicast.iter().zip(old);
        let words = words.take(chip.limits.mta_registers as usize);
        write_changes(registers, chip, regs::MTA, words);
    }

    fn write_vlans(&self, registers: &impl Registers, chip: &Chip, old: &[u32; VFTA_REGISTERS]) {
        write_changes(registers, chip, regs::VFTA, self.vlans.iter().zip(old));
    }
}

/// Clears the multicast and the VLAN table, whatever is in them.
pub(crate) fn clear_tables(registers: &impl Registers, chip: &Chip) {
    for (table, count) in [
        (regs::MTA, chip.limits.mta_registers),
        (regs::VFTA, regs::VFTA_REGISTERS),
    ] {
        let down = chip.quirks.contains(Quirks::TABLE_WRITES_SPILL);
        for n in 0..count {
            let n = if down { count - 1 - n } else { n };
            write_word(registers, chip, table, n, 0);
        }
    }
}

/// Writes the changes in `words`, pairs of the new and the old word of the table at `table`.
fn write_changes<'a>(
    registers: &impl Registers,
    chip: &Chip,
    table: u32,
    words: impl DoubleEndedIterator<Item = (&'a u32, &'a u32)> + ExactSizeIterator + Clone,
) {
    let words = words.enumerate();
    if chip.quirks.contains(Quirks::TABLE_WRITES_SPILL) {
        if words.clone().any(|(_, (new, old))| new != old) {
            // A write may change the register before it, which is written after it here.
            for (n, (new, _)) in words.rev() {
                write_word(registers, chip, table, n as u32, *new);
            }
        }
        return;
    }
    for (n, (new, _)) in words.filter(|(_, (new, old))| new != old) {
        write_word(registers, chip, table, n as u32, *new);
    }
}

/// Writes word `n` of the table at `table`.
fn write_word(registers: &impl Registers, chip: &Chip, table: u32, n: u32, value: u32) {
    registers.write(table + 4 * n, value);
    if chip.quirks.contains(Quirks::WRITE_BURSTS_LOST) {
        registers.read(regs::STATUS);
    }
}

/// Returns true if the device keeps every bit of a table. Reads each register that has bits. Bochs has only the first
/// 32 registers of each table (`bx_e1000_c::mem_write` compares with 127 bytes instead of registers), and drops the
/// frames of groups and VLANs beyond.
fn keeps(registers: &impl Registers, first: u32, table: &[u32]) -> bool {
    let mut words = (0..).zip(table).filter(|(_, word)| **word != 0);
    words.all(|(n, word)| registers.read(first + 4 * n) & word == *word)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An address of which only the last two bytes matter.
    fn ending(b4: u8, b5: u8) -> MacAddress {
        MacAddress([1, 0, 0x5E, 0, b4, b5])
    }

    #[test]
    fn hash_takes_the_bits_that_mo_says() {
        // The last 16 bits are 0xBCAA, highest byte last; bits 47:36, 46:35, 45:34 and 43:32 of the address
        // (8254x manual, 13.4.22).
        for (offset, large, small) in [
            (0, 0xBCA, 0x2F2),
            (1, 0x795, 0x1E5),
            (2, 0xF2A, 0x3CA),
            (3, 0xCAA, 0x32A),
        ] {
            assert_eq!(hash(ending(0xAA, 0xBC), offset, 128), large, "MO {offset}");
            assert_eq!(
                hash(ending(0xAA, 0xBC), offset, 32),
                small,
                "MO {offset}, small table"
            );
        }
    }

    #[test]
    fn hash_stays_inside_the_table() {
        for registers in [32, 128] {
            for offset in 0..=u8::MAX {
                for byte in 0..=u8::MAX {
                    assert!(hash(ending(byte, !byte), offset, registers) < registers * 32);
                    assert!(hash(ending(byte, 0xFF), offset, registers) < registers * 32);
                }
            }
        }
    }
}
