//! Registers and their bits, with Intel's names.
//!
//! Every register stands once, in [`REGISTERS`]: name, offset, way of access, the MAC types that have it, and what the
//! dump and the self-test do with it. The macro also makes a constant of each offset.
//!
//! Sources: Intel, *PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual* (8254x), section 13;
//! *82574 GbE Controller Family Datasheet*, section 10; for the others Linux e1000e, `regs.h`. Offsets are byte offsets
//! into BAR 0.

mod bits;
mod register;

use crate::chip::{Chip, MacType, MacTypes};

pub use bits::*;
use register::Array;
pub use register::{Access, PatternTest, Register};

/// Bytes of BAR 0 that hold registers.
pub const BAR_LEN: usize = 0x20000;
/// Value that every register of a device that is gone reads as.
pub const ALL_ONES: u32 = u32::MAX;
/// Registers in the VLAN filter table.
pub const VFTA_REGISTERS: u32 = 128;

/// Declares registers: a constant with the offset of each, and [`REGISTERS`].
macro_rules! registers {
    ($($(#[doc = $doc:literal])+ $name:ident: $offset:literal, $access:ident, $types:expr
        $(=> $($method:ident($($argument:expr),*)),+)?;)+) => {
        $($(#[doc = $doc])+ pub const $name: u32 = $offset;)+

        /// All registers that the driver knows, by offset.
        pub static REGISTERS: &[Register] = &[
            $(Register::new(stringify!($name), $offset, Access::$access, $types)$($(.$method($($argument),*))+)?),+
        ];
    };
}

const ALL: MacTypes = MacTypes::ALL;
const PCI: MacTypes = MacTypes::PCI;
const PCIE: MacTypes = MacTypes::PCIE;
const DISCRETE: MacTypes = MacTypes::DISCRETE;
const PCH: MacTypes = MacTypes::PCH;
const BEFORE_LPT: MacTypes = MacTypes::range(MacType::I82543, MacType::Pch2);
const LPT: MacTypes = MacTypes::only(MacType::Lpt);
const FROM_82544: MacTypes = MacTypes::range(MacType::I82544, MacType::Lpt);
const FROM_82540: MacTypes = MacTypes::range(MacType::I82540, MacType::Lpt);
const FROM_82573: MacTypes = MacTypes::range(MacType::I82573, MacType::Lpt);
const ONLY_82571: MacTypes = MacTypes::only(MacType::I82571);
const I82571_AND_82572: MacTypes = MacTypes::range(MacType::I82571, MacType::I82572);
const I82571_TO_82573: MacTypes = MacTypes::range(MacType::I82571, MacType::I82573);
const ONLY_82574: MacTypes = MacTypes::only(MacType::I82574);
const I82574_AND_82583: MacTypes = MacTypes::range(MacType::I82574, MacType::I82583);

// Masks of the self-test are those of Linux e1000 and e1000e (`e1000_reg_test`), without what enables receiver or
// transmitter.
registers! {
    /// Device control.
    CTRL: 0x0000, ReadWrite, ALL => dumped();
    /// Shadow of [`CTRL`]: the way to reset revision 3 of 82545 and 82546.
    CTRL_DUP: 0x0004, ReadWrite, PCI;
    /// Device status.
    STATUS: 0x0008, ReadOnly, ALL => dumped();
    /// EEPROM control; [`EECD_AUTO_RD`] tells when 8257x parts have loaded their NVM.
    EECD: 0x0010, ReadWrite, BEFORE_LPT => dumped();
    /// Future extended NVM 6: among others K1.
    FEXTNVM6: 0x0010, ReadWrite, LPT => dumped();
    /// EEPROM read, one 16-bit word at a time.
    EERD: 0x0014, ReadWrite, DISCRETE;
    /// Extended device control.
    CTRL_EXT: 0x0018, ReadWrite, ALL => dumped();
    /// MDI control: one access to the PHY.
    MDIC: 0x0020, ReadWrite, FROM_82544;
    /// Serdes control.
    SCTL: 0x0024, ReadWrite, I82571_AND_82572;
    /// Future extended NVM 4: among others the duration of the beacon.
    FEXTNVM4: 0x0024, ReadWrite, PCH;
    /// Flow control address low: of the frames that pause. On PCH another register.
    FCAL: 0x0028, ReadWrite, DISCRETE => tested_if_present(0xFFFF_FFFF);
    /// Flow control address high. On PCH another register.
    FCAH: 0x002C, ReadWrite, DISCRETE => tested_if_present(0xFFFF);
    /// Flow control EtherType. On PCH another register.
    FCT: 0x0030, ReadWrite, DISCRETE => tested_if_present(0xFFFF);
    /// Access to the registers of Kumeran, the link between MAC and PHY.
    KMRNCTRLSTA: 0x0034, ReadWrite, PCH;
    /// VLAN EtherType.
    VET: 0x0038, ReadWrite, ALL => dumped(), tested_on(DISCRETE, 0xFFFF);
    /// Interrupt causes.
    ICR: 0x00C0, ReadClearWriteOneClear, ALL;
    /// Interrupt throttling, in units of 256 ns between interrupts.
    ITR: 0x00C4, ReadWrite, FROM_82540 => dumped();
    /// Interrupt cause set: raises causes by software.
    ICS: 0x00C8, WriteOneSet, ALL;
    /// Interrupt mask set.
    IMS: 0x00D0, WriteOneSet, ALL => dumped();
    /// Interrupt mask clear.
    IMC: 0x00D8, WriteOneClear, ALL;
    /// Extended interrupt auto clear: causes that clear themselves when their MSI-X vector fires.
    EIAC: 0x00DC, ReadWrite, ONLY_82574 => dumped();
    /// Interrupt vector allocation.
    IVAR: 0x00E4, ReadWrite, ONLY_82574 => dumped();
    /// Interrupt throttling of MSI-X vectors, in units of 256 ns.
    EITR: 0x00E8, ReadWrite, ONLY_82574 => array(Array::Vectors);
    /// Receive control. On PCH fewer bits keep what is written.
    RCTL: 0x0100, ReadWrite, ALL => dumped(), tested(0x06DF_B3FC);
    /// Flow control transmit timer value.
    FCTTV: 0x0170, ReadWrite, ALL => dumped(), tested_if_present(0xFFFF);
    /// Transmit configuration word (fiber): what autonegotiation sends.
    TXCW: 0x0178, ReadWrite, ALL => tested(0xFFFF);
    /// Receive configuration word (fiber): what the partner sends, its bits 15:0 as in [`TXCW`].
    RXCW: 0x0180, ReadOnly, ALL;
    /// Transmit control. Tested are PSP and the two collision fields.
    TCTL: 0x0400, ReadWrite, ALL => dumped(), tested(0x003F_FFF8);
    /// Transmit inter-packet gap.
    TIPG: 0x0410, ReadWrite, ALL => dumped(), tested_if_present(0x3FFF_FFFF);
    /// Extended configuration control: who owns the MDIO pins.
    EXTCNF_CTRL: 0x0F00, ReadWrite, FROM_82573;
    /// Packet buffer allocation: receive KiB in bits 15:0.
    PBA: 0x1000, ReadWrite, ALL => dumped();
    /// Packet buffer ECC status and control.
    PBECCSTS: 0x100C, ReadWrite, LPT;
    /// Packet buffer ECC.
    PBA_ECC: 0x1100, ReadWrite, ONLY_82571;
    /// Flow control receive threshold low.
    FCRTL: 0x2160, ReadWrite, ALL => dumped();
    /// Flow control receive threshold high.
    FCRTH: 0x2168, ReadWrite, ALL => dumped(), tested_if_present(0xFFF8);
    /// Receive descriptor base, low half.
    RDBAL: 0x2800, ReadWrite, ALL => dumped(), tested(0xFFFF_FFF0);
    /// Receive descriptor base, high half.
    RDBAH: 0x2804, ReadWrite, ALL => dumped(), tested(0xFFFF_FFFF);
    /// Receive descriptor ring length in bytes, a multiple of 128.
    RDLEN: 0x2808, ReadWrite, ALL => dumped(), tested(0x000F_FF80);
    /// Receive descriptor head.
    RDH: 0x2810, ReadWrite, ALL => dumped(), tested(0xFFFF);
    /// Receive descriptor tail.
    RDT: 0x2818, ReadWrite, ALL => dumped(), tested(0xFFFF);
    /// Receive interrupt delay timer.
    RDTR: 0x2820, ReadWrite, ALL => dumped(), tested(0xFFFF);
    /// Receive descriptor control: prefetch and write-back thresholds.
    RXDCTL: 0x2828, ReadWrite, ALL => dumped();
    /// Receive interrupt absolute delay.
    RADV: 0x282C, ReadWrite, FROM_82540 => dumped();
    /// Analog control of the gigabit block.
    KABGTXD: 0x3004, ReadWrite, PCH;
    /// Transmit descriptor base, low half.
    TDBAL: 0x3800, ReadWrite, ALL => dumped(), tested(0xFFFF_FFF0);
    /// Transmit descriptor base, high half.
    TDBAH: 0x3804, ReadWrite, ALL => dumped(), tested(0xFFFF_FFFF);
    /// Transmit descriptor ring length in bytes, a multiple of 128.
    TDLEN: 0x3808, ReadWrite, ALL => dumped(), tested(0x000F_FF80);
    /// Transmit descriptor head.
    TDH: 0x3810, ReadWrite, ALL => dumped();
    /// Transmit descriptor tail.
    TDT: 0x3818, ReadWrite, ALL => dumped();
    /// Transmit interrupt delay value.
    TIDV: 0x3820, ReadWrite, ALL => dumped();
    /// Transmit descriptor control.
    TXDCTL: 0x3828, ReadWrite, ALL => dumped();
    /// Transmit interrupt absolute delay.
    TADV: 0x382C, ReadWrite, FROM_82540 => dumped();
    /// Transmit arbitration counter, queue 0.
    TARC0: 0x3840, ReadWrite, PCIE => dumped();
    /// Transmit descriptor control of queue 1.
    TXDCTL1: 0x3928, ReadWrite, PCIE;
    /// Transmit arbitration counter, queue 1.
    TARC1: 0x3940, ReadWrite, PCIE;
    /// Frames with a bad FCS.
    CRCERRS: 0x4000, ReadClear, ALL;
    /// Frames that end in the middle of a byte.
    ALGNERRC: 0x4004, ReadClear, ALL;
    /// Frames in which the PHY signalled an error.
    RXERRC: 0x400C, ReadClear, ALL;
    /// Frames lost because the packet buffer was full.
    MPC: 0x4010, ReadClear, ALL;
    /// Frames given up after 16 collisions.
    ECOL: 0x4018, ReadClear, ALL;
    /// Collisions too late to be legal.
    LATECOL: 0x4020, ReadClear, ALL;
    /// Frames whose length field is wrong.
    RLEC: 0x4040, ReadClear, ALL;
    /// Pauses that the other side ended early.
    XONRXC: 0x4048, ReadClear, ALL;
    /// Pauses that this side ended early.
    XONTXC: 0x404C, ReadClear, ALL;
    /// Pauses that the other side asked for.
    XOFFRXC: 0x4050, ReadClear, ALL;
    /// Pauses that this side asked for.
    XOFFTXC: 0x4054, ReadClear, ALL;
    /// Good frames received that were sent to everybody.
    BPRC: 0x4078, ReadClear, ALL;
    /// Good frames received that were sent to groups.
    MPRC: 0x407C, ReadClear, ALL;
    /// Times that a frame found no descriptor; it may have waited for one.
    RNBC: 0x40A0, ReadClear, ALL;
    /// Frames below 64 bytes with a good FCS.
    RUC: 0x40A4, ReadClear, ALL;
    /// Frames above the limit with a good FCS.
    ROC: 0x40AC, ReadClear, ALL;
    /// Frames sent to groups.
    MPTC: 0x40F0, ReadClear, ALL;
    /// Frames sent to everybody.
    BPTC: 0x40F4, ReadClear, ALL;
    /// Receive checksum control.
    RXCSUM: 0x5000, ReadWrite, ALL => dumped();
    /// Receive filter control.
    RFCTL: 0x5008, ReadWrite, PCIE => dumped();
    /// Multicast table array.
    MTA: 0x5200, ReadWrite, ALL => array(Array::Multicast), tested(0xFFFF_FFFF);
    /// Receive address low.
    RAL: 0x5400, ReadWrite, ALL => array(Array::ReceiveAddresses), dumped_as("RAL0"), tested(0xFFFF_FFFF);
    /// Receive address high. Tested are the address bits and AV.
    RAH: 0x5404, ReadWrite, ALL => array(Array::ReceiveAddresses), dumped_as("RAH0"), tested(0x8000_FFFF);
    /// VLAN filter table array.
    VFTA: 0x5600, ReadWrite, ALL => array(Array::Vlans);
    /// Multiple receive queues command.
    MRQC: 0x5818, ReadWrite, PCIE => dumped();
    /// Management control.
    MANC: 0x5820, ReadWrite, FROM_82540 => dumped();
    /// PCIe control.
    GCR: 0x5B00, ReadWrite, PCIE => dumped();
    /// Software semaphore.
    SWSM: 0x5B50, ReadTakes, I82571_TO_82573;
    /// PCIe control 2.
    GCR2: 0x5B64, ReadWrite, I82574_AND_82583 => dumped();
}

/// Name and offset of the registers in a dump of this part. Reading them changes nothing.
pub fn dump(chip: &Chip) -> impl Iterator<Item = (&'static str, u32)> {
    let dumped = REGISTERS.iter().filter(move |register| register.is_on(chip));
    dumped.filter_map(|register| Some((register.dump_name?, register.offset)))
}

/// Name of the register at `offset`; of an array, that of the first.
pub const fn name(offset: u32) -> &'static str {
    let mut n = 0;
    while n < REGISTERS.len() {
        if REGISTERS[n].offset == offset {
            return REGISTERS[n].name;
        }
        n += 1;
    }
    "unknown"
}

/// Offset of receive address entry `entry`, low register.
pub const fn ral(entry: u32) -> u32 {
    RAL + 8 * entry
}

/// Offset of receive address entry `entry`, high register.
pub const fn rah(entry: u32) -> u32 {
    RAH + 8 * entry
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chip::CHIPS;

    #[test]
    fn each_part_has_one_register_at_an_offset() {
        for chip in CHIPS {
            let mut used: std::vec::Vec<u32> = REGISTERS
                .iter()
                .filter(|register| register.is_on(chip))
                .flat_map(|register| register.offsets(chip))
                .collect();
            let count = used.len();
            used.sort_unstable();
            used.dedup();
            assert_eq!(used.len(), count, "{}", chip.name);
            assert!(
                used.iter()
                    .all(|offset| offset.is_multiple_of(4) && (*offset as usize) < BAR_LEN)
            );
        }
    }

    #[test]
    fn registers_are_sorted_and_named_once() {
        assert!(REGISTERS.is_sorted_by_key(|register| register.offset));
        for (n, register) in REGISTERS.iter().enumerate() {
            let mut rest = REGISTERS[n + 1..].iter();
            assert!(rest.all(|other| other.name != register.name), "{}", register.name);
        }
        assert_eq!((name(RDT), name(MTA), name(0x1_0000)), ("RDT", "MTA", "unknown"));
    }

    #[test]
    fn dump_and_self_test_have_registers_that_they_do_not_disturb() {
        for chip in CHIPS {
            for register in REGISTERS {
                let tested = register.pattern_test(chip).is_some();
                assert!(
                    !tested || register.access == Access::ReadWrite,
                    "{}",
                    register.name
                );
            }
            for (name, offset) in dump(chip) {
                let mut at = REGISTERS.iter().filter(|register| register.offset == offset);
                assert!(at.all(|register| register.access.is_harmless_to_read()), "{name}");
            }
            assert!(dump(chip).count() > 25, "{}", chip.name);
        }
    }
}
