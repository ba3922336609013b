//! Register offsets and bits, with Intel's names.
//!
//! Source: Intel, *PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual* (8254x), section
//! 13, and *82574 GbE Controller Family Datasheet*, section 10. Offsets are byte offsets into BAR 0.

mod bits;

pub use bits::{Causes, Ctrl, Rctl, Status, Tctl};

/// Device control.
pub const CTRL: u32 = 0x0000;
/// Device status, read only.
pub const STATUS: u32 = 0x0008;
/// EEPROM control; [`EECD_AUTO_RD`] tells when 8257x parts have loaded their NVM.
pub const EECD: u32 = 0x0010;
/// EEPROM read, one 16-bit word at a time.
pub const EERD: u32 = 0x0014;
/// Serdes control (82571, 82572).
pub const SCTL: u32 = 0x0024;
/// Future extended NVM 4 (ICH/PCH): among others the duration of the beacon.
pub const FEXTNVM4: u32 = 0x0024;
/// Future extended NVM 6 (I217 and later): among others K1. The same offset as [`EECD`].
pub const FEXTNVM6: u32 = 0x0010;
/// Access to the registers of Kumeran, the link between MAC and PHY (ICH/PCH).
pub const KMRNCTRLSTA: u32 = 0x0034;
/// Extended device control.
pub const CTRL_EXT: u32 = 0x0018;
/// VLAN EtherType.
pub const VET: u32 = 0x0038;
/// Interrupt cause, cleared by reading.
pub const ICR: u32 = 0x00C0;
/// Interrupt throttling, in units of 256 ns between interrupts.
pub const ITR: u32 = 0x00C4;
/// Interrupt cause set: raises causes by software.
pub const ICS: u32 = 0x00C8;
/// Interrupt mask set.
pub const IMS: u32 = 0x00D0;
/// Interrupt mask clear.
pub const IMC: u32 = 0x00D8;
/// Extended interrupt auto clear (82574): causes that clear themselves when their MSI-X vector fires.
pub const EIAC: u32 = 0x00DC;
/// Interrupt vector allocation (82574).
pub const IVAR: u32 = 0x00E4;
/// Interrupt throttling of MSI-X vector 0 (82574), in units of 256 ns; the others follow.
pub const EITR: u32 = 0x00E8;
/// Receive control.
pub const RCTL: u32 = 0x0100;
/// Flow control transmit timer value.
pub const FCTTV: u32 = 0x0170;
/// Transmit control.
pub const TCTL: u32 = 0x0400;
/// Transmit inter-packet gap.
pub const TIPG: u32 = 0x0410;
/// Packet buffer allocation: receive KiB in bits 15:0.
pub const PBA: u32 = 0x1000;
/// Flow control receive threshold low.
pub const FCRTL: u32 = 0x2160;
/// Flow control receive threshold high.
pub const FCRTH: u32 = 0x2168;
/// Receive descriptor base, low half.
pub const RDBAL: u32 = 0x2800;
/// Receive descriptor base, high half.
pub const RDBAH: u32 = 0x2804;
/// Receive descriptor ring length in bytes, a multiple of 128.
pub const RDLEN: u32 = 0x2808;
/// Receive descriptor head.
pub const RDH: u32 = 0x2810;
/// Receive descriptor tail.
pub const RDT: u32 = 0x2818;
/// Receive interrupt delay timer.
pub const RDTR: u32 = 0x2820;
/// Receive descriptor control: prefetch and write-back thresholds.
pub const RXDCTL: u32 = 0x2828;
/// Receive interrupt absolute delay.
pub const RADV: u32 = 0x282C;
/// Transmit descriptor base, low half.
pub const TDBAL: u32 = 0x3800;
/// Transmit descriptor base, high half.
pub const TDBAH: u32 = 0x3804;
/// Transmit descriptor ring length in bytes, a multiple of 128.
pub const TDLEN: u32 = 0x3808;
/// Transmit descriptor head.
pub const TDH: u32 = 0x3810;
/// Transmit descriptor tail.
pub const TDT: u32 = 0x3818;
/// Transmit interrupt delay value.
pub const TIDV: u32 = 0x3820;
/// Transmit descriptor control.
pub const TXDCTL: u32 = 0x3828;
/// Transmit interrupt absolute delay.
pub const TADV: u32 = 0x382C;
/// Transmit arbitration counter, queue 0 (8257x).
pub const TARC0: u32 = 0x3840;
/// Transmit descriptor control of queue 1 (8257x).
pub const TXDCTL1: u32 = 0x3928;
/// Receive checksum control.
pub const RXCSUM: u32 = 0x5000;
/// Receive filter control (8257x).
pub const RFCTL: u32 = 0x5008;
/// Multicast table array, [`crate::chip::Limits::mta_registers`] registers of 32 bits.
pub const MTA: u32 = 0x5200;
/// Receive address low of entry 0; entry n is 8 bytes further each.
pub const RAL: u32 = 0x5400;
/// Receive address high of entry 0.
pub const RAH: u32 = 0x5404;
/// VLAN filter table array, [`VFTA_REGISTERS`] registers of 32 bits.
pub const VFTA: u32 = 0x5600;
/// Registers in the VLAN filter table.
pub const VFTA_REGISTERS: u32 = 128;
/// Multiple receive queues command (8257x).
pub const MRQC: u32 = 0x5818;
/// Management control.
pub const MANC: u32 = 0x5820;
/// PCIe control (8257x).
pub const GCR: u32 = 0x5B00;
/// PCIe control 2 (82574, 82583).
pub const GCR2: u32 = 0x5B64;

/// Shadow of [`CTRL`] (8254x): the way to reset revision 3 parts.
pub const CTRL_DUP: u32 = 0x0004;
/// MDI control: one access to the PHY.
pub const MDIC: u32 = 0x0020;
/// Flow control address low: of the frames that pause.
pub const FCAL: u32 = 0x0028;
/// Flow control address high.
pub const FCAH: u32 = 0x002C;
/// Flow control EtherType.
pub const FCT: u32 = 0x0030;
/// Transmit configuration word (fiber): what autonegotiation sends.
pub const TXCW: u32 = 0x0178;
/// Receive configuration word (fiber): what the partner sends, its bits 15:0 as in [`TXCW`].
pub const RXCW: u32 = 0x0180;
/// Extended configuration control: who owns the MDIO pins (82573 and later, ICH/PCH).
pub const EXTCNF_CTRL: u32 = 0x0F00;
/// Packet buffer ECC status and control (I217 and later).
pub const PBECCSTS: u32 = 0x100C;
/// Packet buffer ECC (82571).
pub const PBA_ECC: u32 = 0x1100;
/// Analog control of the gigabit block (ICH/PCH).
pub const KABGTXD: u32 = 0x3004;
/// Transmit arbitration counter, queue 1 (8257x).
pub const TARC1: u32 = 0x3940;
/// Software semaphore (82571 to 82573).
pub const SWSM: u32 = 0x5B50;

/// Bytes of BAR 0 that hold registers.
pub const BAR_LEN: usize = 0x20000;
/// What every register of a device that is gone reads as.
pub const ALL_ONES: u32 = u32::MAX;

/// [`TIDV`]: write back at once what is cached of descriptors (8257x).
pub const TIDV_FPD: u32 = 1 << 31;
/// [`RAH`]: the entry takes part in address filtering.
pub const RAH_AV: u32 = 1 << 31;
/// [`EECD`] of 8257x: the NVM was loaded.
pub const EECD_AUTO_RD: u32 = 1 << 9;
/// [`EERD`]: start a read.
pub const EERD_START: u32 = 1;
/// [`CTRL_EXT`]: reload the EEPROM.
pub const CTRL_EXT_EE_RST: u32 = 1 << 13;
/// [`CTRL_EXT`]: [`EIAC`] is in force.
pub const CTRL_EXT_EIAME: u32 = 1 << 24;
/// [`CTRL_EXT`]: reading ICR masks all causes.
pub const CTRL_EXT_IAME: u32 = 1 << 27;
/// [`CTRL_EXT`]: MSI-X pending bits clear when their vector fires.
pub const CTRL_EXT_PBA_CLR: u32 = 1 << 31;
/// [`RFCTL`]: no interrupts for ACK frames.
pub const RFCTL_ACK_DIS: u32 = 1 << 12;
/// [`MANC`]: answer ARP requests on behalf of the host.
pub const MANC_ARP_EN: u32 = 1 << 13;
/// [`VET`]: IEEE 802.1Q.
pub const VET_8021Q: u32 = 0x8100;
/// [`TIPG`] for copper: IPGT 8, IPGR1 8, IPGR2 6.
pub const TIPG_COPPER: u32 = 8 | 8 << 10 | 6 << 20;
/// [`TXDCTL`], [`RXDCTL`]: thresholds count descriptors (GRAN), write back each one (WTHRESH 1).
pub const DCTL_EACH_DESCRIPTOR: u32 = 1 << 24 | 1 << 16;
/// [`TXDCTL`] of 8257x: must be one.
pub const TXDCTL_COUNT_DESC: u32 = 1 << 22;
/// [`RFCTL`]: IPV6_EX_DIS and NEW_IPV6_EXT_DIS.
pub const RFCTL_IPV6_EXT_DIS: u32 = 1 << 16 | 1 << 17;

/// [`STATUS`]: the value of [`Status::FUNC`] on the second port.
pub const STATUS_FUNC_1: u32 = 1 << 2;
/// [`EECD`]: clock of the EEPROM.
pub const EECD_SK: u32 = 1 << 0;
/// [`EECD`]: chip select of the EEPROM.
pub const EECD_CS: u32 = 1 << 1;
/// [`EECD`]: data to the EEPROM.
pub const EECD_DI: u32 = 1 << 2;
/// [`EECD`]: data from the EEPROM.
pub const EECD_DO: u32 = 1 << 3;
/// [`EECD`]: software asks for the EEPROM.
pub const EECD_REQ: u32 = 1 << 6;
/// [`EECD`]: software has the EEPROM.
pub const EECD_GNT: u32 = 1 << 7;
/// [`EECD`] of 8254x: the EEPROM has 8 address bits, else 6. The same bit as [`EECD_AUTO_RD`].
pub const EECD_SIZE: u32 = 1 << 9;
/// [`EECD`] of 82573, 82574 and 82583: both bits set when the NVM is flash (Linux e1000e,
/// `e1000_init_nvm_params_82571`).
pub const EECD_FLASH: u32 = 0b11 << 15;
/// [`MDIC`]: write.
pub const MDIC_OP_WRITE: u32 = 1 << 26;
/// [`MDIC`]: read.
pub const MDIC_OP_READ: u32 = 1 << 27;
/// [`MDIC`]: the access has ended.
pub const MDIC_READY: u32 = 1 << 28;
/// [`MDIC`]: the PHY did not answer, or has no such register.
pub const MDIC_ERROR: u32 = 1 << 30;
/// [`CTRL_EXT`]: software owns the port.
pub const CTRL_EXT_DRV_LOAD: u32 = 1 << 28;
/// [`EXTCNF_CTRL`]: software owns the MDIO pins (82573 and later); on ICH/PCH the flag SWFLAG.
pub const EXTCNF_CTRL_OWNED: u32 = 1 << 5;
/// [`SWSM`]: one of the ports has the semaphore. Reading sets it.
pub const SWSM_SMBI: u32 = 1 << 0;
/// [`SWSM`]: software, not firmware, has the semaphore.
pub const SWSM_SWESMBI: u32 = 1 << 1;
/// [`SWSM`] of 82573: software owns the port.
pub const SWSM_DRV_LOAD: u32 = 1 << 3;
/// [`KABGTXD`]: what a reset of ICH/PCH loses (Linux e1000e, `E1000_KABGTXD_BGSQLBIAS`).
pub const KABGTXD_BIAS: u32 = 0x0005_0000;
/// [`TXCW`]: autonegotiation.
pub const TXCW_ANE: u32 = 1 << 31;
/// [`RXCW`]: invalid code words were seen; sticky.
pub const RXCW_IV: u32 = 1 << 27;
/// [`RXCW`]: the partner sends configuration words: it negotiates.
pub const RXCW_C: u32 = 1 << 29;
/// [`RXCW`]: the receiver is in step with the partner; sticky.
pub const RXCW_SYNCH: u32 = 1 << 30;
/// [`SCTL`]: the serdes loops (Linux e1000e, `E1000_SCTL_ENABLE_SERDES_LOOPBACK`).
pub const SCTL_LOOP: u32 = 0x0410;
/// [`SCTL`]: it does not.
pub const SCTL_NO_LOOP: u32 = 0x0400;
/// [`TXCW`]: full duplex is offered.
pub const TXCW_FD: u32 = 1 << 5;
/// [`TXCW`], [`RXCW`]: PAUSE is offered.
pub const TXCW_PAUSE: u32 = 1 << 7;
/// [`TXCW`], [`RXCW`]: ASM_DIR is offered.
pub const TXCW_ASM_DIR: u32 = 1 << 8;
/// [`RXCW`]: autonegotiation has ended.
pub const RXCW_ANC: u32 = 1 << 31;
/// [`FCAL`]: 01:80:C2:00, of the address that pause frames go to.
pub const FCAL_PAUSE: u32 = 0x00C2_8001;
/// [`FCAH`]: 00:01.
pub const FCAH_PAUSE: u32 = 0x0100;
/// [`FCT`]: EtherType of pause frames.
pub const FCT_PAUSE: u32 = 0x8808;
/// [`FCRTL`]: send XON below the threshold.
pub const FCRTL_XONE: u32 = 1 << 31;
/// [`TIPG`] for fiber: IPGT 9, IPGR1 8, IPGR2 6.
pub const TIPG_FIBER: u32 = 9 | 8 << 10 | 6 << 20;
/// [`TIPG`]: the field IPGT, the gap between two frames sent one after the other.
pub const TIPG_IPGT: u32 = 0x3FF;
/// [`TARC0`] of 82571 and 82572: speed mode, one at 1000 Mbit/s.
pub const TARC0_SPEED_MODE: u32 = 1 << 21;
/// [`RXCSUM`]: checksums of IPv4 headers (IPOFL) and of TCP and UDP (TUOFL) are checked.
pub const RXCSUM_CHECK: u32 = 0b11 << 8;
/// [`FEXTNVM4`]: duration of the beacon; 8 us.
pub const FEXTNVM4_BEACON: u32 = 0b111;
/// [`FEXTNVM6`]: the PLL's clock is requested.
pub const FEXTNVM6_REQ_PLL_CLK: u32 = 1 << 8;
/// [`FEXTNVM6`]: K1 is entered later.
pub const FEXTNVM6_K1_ENTRY_CONDITION: u32 = 1 << 9;
/// [`KMRNCTRLSTA`]: read the register whose number is in bits 20:16.
pub const KMRNCTRLSTA_REN: u32 = 1 << 21;
/// [`RFCTL`]: NFSW_DIS and NFSR_DIS.
pub const RFCTL_NFS_DIS: u32 = 1 << 6 | 1 << 7;

/// Registers that tell something and that reading does not change: name, offset, and whether only PCIe parts have it.
/// Not among them: ICR and the statistics, which reading clears, and SWSM, of which reading takes a lock.
pub const DUMP: [(&str, u32, bool); 41] = [
    ("CTRL", CTRL, false),
    ("STATUS", STATUS, false),
    ("EECD", EECD, false),
    ("CTRL_EXT", CTRL_EXT, false),
    ("VET", VET, false),
    ("ITR", ITR, false),
    ("IMS", IMS, false),
    ("EIAC", EIAC, true),
    ("IVAR", IVAR, true),
    ("RCTL", RCTL, false),
    ("FCTTV", FCTTV, false),
    ("TCTL", TCTL, false),
    ("TIPG", TIPG, false),
    ("PBA", PBA, false),
    ("FCRTL", FCRTL, false),
    ("FCRTH", FCRTH, false),
    ("RDBAL", RDBAL, false),
    ("RDBAH", RDBAH, false),
    ("RDLEN", RDLEN, false),
    ("RDH", RDH, false),
    ("RDT", RDT, false),
    ("RDTR", RDTR, false),
    ("RXDCTL", RXDCTL, false),
    ("RADV", RADV, false),
    ("TDBAL", TDBAL, false),
    ("TDBAH", TDBAH, false),
    ("TDLEN", TDLEN, false),
    ("TDH", TDH, false),
    ("TDT", TDT, false),
    ("TIDV", TIDV, false),
    ("TXDCTL", TXDCTL, false),
    ("TADV", TADV, false),
    ("TARC0", TARC0, true),
    ("RXCSUM", RXCSUM, false),
    ("RFCTL", RFCTL, true),
    ("RAL0", RAL, false),
    ("RAH0", RAH, false),
    ("MRQC", MRQC, true),
    ("MANC", MANC, false),
    ("GCR", GCR, true),
    ("GCR2", GCR2, true),
];

/// Offset of receive address entry `entry`, low register.
pub const fn ral(entry: u32) -> u32 {
    RAL + 8 * entry
}

/// Offset of receive address entry `entry`, high register.
pub const fn rah(entry: u32) -> u32 {
    RAH + 8 * entry
}
