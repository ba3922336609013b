//! Register offsets and bits, with Intel's names.
//!
//! Source: Intel, *PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual* (8254x), section
//! 13, and *82574 GbE Controller Family Datasheet*, section 10. Offsets are byte offsets into BAR 0.

use bitflags::bitflags;

/// Device control.
pub const CTRL: u32 = 0x0000;
/// Device status, read only.
pub const STATUS: u32 = 0x0008;
/// EEPROM control; [`EECD_AUTO_RD`] tells when 8257x parts have loaded their NVM.
pub const EECD: u32 = 0x0010;
/// EEPROM read, one 16-bit word at a time.
pub const EERD: u32 = 0x0014;
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

/// Bytes of BAR 0 that hold registers.
pub const BAR_LEN: usize = 0x20000;
/// What every register of a device that is gone reads as.
pub const ALL_ONES: u32 = u32::MAX;

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

bitflags! {
    /// Bits of [`CTRL`].
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Ctrl: u32 {
        /// PCIe: stop issuing requests as a bus master.
        const GIO_MASTER_DISABLE = 1 << 2;
        /// Link reset.
        const LRST = 1 << 3;
        /// Auto-speed detection.
        const ASDE = 1 << 5;
        /// Set link up.
        const SLU = 1 << 6;
        /// Invert loss of signal.
        const ILOS = 1 << 7;
        /// Force speed.
        const FRCSPD = 1 << 11;
        /// Force duplex.
        const FRCDPX = 1 << 12;
        /// Device reset, self-clearing.
        const RST = 1 << 26;
        /// Receive flow control.
        const RFCE = 1 << 27;
        /// Transmit flow control.
        const TFCE = 1 << 28;
        /// Reserved on 82573, 82574: must be zero.
        const RESERVED_29 = 1 << 29;
        /// VLAN mode: strip and insert tags.
        const VME = 1 << 30;
        /// PHY reset.
        const PHY_RST = 1 << 31;
    }

    /// Bits of [`STATUS`].
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Status: u32 {
        /// Full duplex.
        const FD = 1 << 0;
        /// Link up.
        const LU = 1 << 1;
        /// PCIe: requests as a bus master are enabled.
        const GIO_MASTER_ENABLE = 1 << 19;
    }

    /// Bits of [`RCTL`].
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Rctl: u32 {
        /// Receiver enable.
        const EN = 1 << 1;
        /// Store bad packets. Never set: a hostile wire would reach the descriptors.
        const SBP = 1 << 2;
        /// Unicast promiscuous.
        const UPE = 1 << 3;
        /// Multicast promiscuous.
        const MPE = 1 << 4;
        /// Long packets, above 1522 bytes with FCS.
        const LPE = 1 << 5;
        /// Broadcast accept.
        const BAM = 1 << 15;
        /// Strip the FCS. Not on 82543 and 82544.
        const SECRC = 1 << 26;
        // BSIZE 17:16 and BSEX 25 zero: buffers of 2048 bytes.
    }

    /// Bits of [`TCTL`].
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Tctl: u32 {
        /// Transmitter enable.
        const EN = 1 << 1;
        /// Pad short packets.
        const PSP = 1 << 3;
        /// Collision threshold 15.
        const CT_15 = 15 << 4;
        /// Collision distance 63, full duplex.
        const COLD_FULL_DUPLEX = 0x3F << 12;
        /// Retransmit on late collision.
        const RTLC = 1 << 24;
        /// 8257x: several outstanding read requests.
        const MULR = 1 << 28;
    }

    /// Interrupt causes: bits of [`ICR`], [`ICS`], [`IMS`] and [`IMC`].
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Causes: u32 {
        /// A transmit descriptor was written back.
        const TXDW = 1 << 0;
        /// The transmit queue is empty.
        const TXQE = 1 << 1;
        /// Link status change.
        const LSC = 1 << 2;
        /// Receive sequence error.
        const RXSEQ = 1 << 3;
        /// Receive descriptors are running low.
        const RXDMT0 = 1 << 4;
        /// Receiver overrun: a frame found no descriptor.
        const RXO = 1 << 6;
        /// Receiver timer: frames arrived.
        const RXT0 = 1 << 7;
        /// 82574 with MSI-X: frames arrived in queue 0.
        const RXQ0 = 1 << 20;
        /// 82574 with MSI-X: frames of queue 0 were sent.
        const TXQ0 = 1 << 22;
        /// 82574 with MSI-X: one of the causes without a queue.
        const OTHER = 1 << 24;
        /// 8257x: the interrupt line is asserted for one of the other bits.
        const INT_ASSERTED = 1 << 31;
    }
}

/// Offset of receive address entry `entry`, low register.
pub const fn ral(entry: u32) -> u32 {
    RAL + 8 * entry
}

/// Offset of receive address entry `entry`, high register.
pub const fn rah(entry: u32) -> u32 {
    RAH + 8 * entry
}
