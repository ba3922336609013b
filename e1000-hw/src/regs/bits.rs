//! Bits of registers: as flags where there are more than a few, else as constants.

use bitflags::bitflags;

use crate::ethernet::ether_type;

bitflags! {
    /// Bits of [`CTRL`](super::CTRL).
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
        /// 82543: the MDIO pin, SWDPIN2.
        const MDIO = 1 << 20;
        /// 82543: the clock of MDIO, SWDPIN3.
        const MDC = 1 << 21;
        /// 82543: the MDIO pin is an output.
        const MDIO_OUT = 1 << 24;
        /// 82543: the clock of MDIO is an output.
        const MDC_OUT = 1 << 25;
        /// Full duplex, where it is forced.
        const FD = 1 << 0;
        /// Speed, where it is forced: 0 is 10, 1 is 100, 2 is 1000 Mbit/s.
        const SPEED = 0b11 << 8;
        /// Forced to 1000 Mbit/s.
        const SPEED_1000 = 0b10 << 8;
        /// Fiber: the signal of the optics, SWDPIN1; of 82543 and 82544 inverted. The same bit as MEHE.
        const SIGNAL = 1 << 19;
        /// 82579 and later: memory errors are handled.
        const MEHE = 1 << 19;
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

    /// Bits of [`STATUS`](super::STATUS).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Status: u32 {
        /// Full duplex.
        const FD = 1 << 0;
        /// Link up.
        const LU = 1 << 1;
        /// The other side asked for a pause.
        const TXOFF = 1 << 4;
        /// Port of the chip: 0 or 1.
        const FUNC = 0b11 << 2;
        /// 8254x: the bus runs in PCI-X mode.
        const PCIX_MODE = 1 << 13;
        /// PCIe: requests as a bus master are enabled.
        const GIO_MASTER_ENABLE = 1 << 19;
    }

    /// Bits of [`RCTL`](super::RCTL).
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
        /// Loop in the transceiver interface.
        const LBM_TRANSCEIVER = 0b11 << 6;
        /// Broadcast accept.
        const BAM = 1 << 15;
        /// VLAN filter enable: tagged frames must be in [`VFTA`](super::VFTA).
        const VFE = 1 << 18;
        /// Strip the FCS. Not on 82543 and 82544.
        const SECRC = 1 << 26;
        // BSIZE 17:16 and BSEX 25 zero: buffers of 2048 bytes.
    }

    /// Bits of [`TCTL`](super::TCTL).
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
        /// Collision distance 64, half duplex at 10 and 100 Mbit/s.
        const COLD_HALF_DUPLEX = 0x40 << 12;
        /// Collision distance 512, half duplex at 1000 Mbit/s.
        const COLD_HALF_DUPLEX_GIGABIT = 0x200 << 12;
        /// Collision distance, the whole field.
        const COLD = 0x3FF << 12;
        /// Retransmit on late collision.
        const RTLC = 1 << 24;
        /// 8257x: several outstanding read requests.
        const MULR = 1 << 28;
    }

    /// Interrupt causes: bits of [`ICR`](super::ICR), [`ICS`](super::ICS), [`IMS`](super::IMS) and [`IMC`](super::IMC).
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

/// [`TIDV`](super::TIDV): write back at once what is cached of descriptors (8257x).
pub const TIDV_FPD: u32 = 1 << 31;
/// [`RAH`](super::RAH): the entry takes part in address filtering.
pub const RAH_AV: u32 = 1 << 31;
/// [`EECD`](super::EECD) of 8257x: the NVM was loaded.
pub const EECD_AUTO_RD: u32 = 1 << 9;
/// [`EERD`](super::EERD): start a read.
pub const EERD_START: u32 = 1;
/// [`CTRL_EXT`](super::CTRL_EXT): reload the EEPROM.
pub const CTRL_EXT_EE_RST: u32 = 1 << 13;
/// [`CTRL_EXT`](super::CTRL_EXT): [`EIAC`](super::EIAC) is in force.
pub const CTRL_EXT_EIAME: u32 = 1 << 24;
/// [`CTRL_EXT`](super::CTRL_EXT): reading ICR masks all causes.
pub const CTRL_EXT_IAME: u32 = 1 << 27;
/// [`CTRL_EXT`](super::CTRL_EXT): MSI-X pending bits clear when their vector fires.
pub const CTRL_EXT_PBA_CLR: u32 = 1 << 31;
/// [`RFCTL`](super::RFCTL): no interrupts for ACK frames.
pub const RFCTL_ACK_DIS: u32 = 1 << 12;
/// [`MANC`](super::MANC): answer ARP requests on behalf of the host.
pub const MANC_ARP_EN: u32 = 1 << 13;
/// [`VET`](super::VET): IEEE 802.1Q.
pub const VET_8021Q: u32 = u16::from_be_bytes(ether_type::VLAN) as u32;
/// [`TIPG`](super::TIPG) for copper: IPGT 8, IPGR1 8, IPGR2 6.
pub const TIPG_COPPER: u32 = 8 | 8 << 10 | 6 << 20;
/// [`TXDCTL`](super::TXDCTL), [`RXDCTL`](super::RXDCTL): thresholds count descriptors (GRAN), write back each one
/// (WTHRESH 1).
pub const DCTL_EACH_DESCRIPTOR: u32 = 1 << 24 | 1 << 16;
/// [`TXDCTL`](super::TXDCTL) of 8257x: must be one.
pub const TXDCTL_COUNT_DESC: u32 = 1 << 22;
/// [`RFCTL`](super::RFCTL): IPV6_EX_DIS and NEW_IPV6_EXT_DIS.
pub const RFCTL_IPV6_EXT_DIS: u32 = 1 << 16 | 1 << 17;

/// [`STATUS`](super::STATUS): the value of [`Status::FUNC`] on the second port.
pub const STATUS_FUNC_1: u32 = 1 << 2;
/// [`EECD`](super::EECD): clock of the EEPROM.
pub const EECD_SK: u32 = 1 << 0;
/// [`EECD`](super::EECD): chip select of the EEPROM.
pub const EECD_CS: u32 = 1 << 1;
/// [`EECD`](super::EECD): data to the EEPROM.
pub const EECD_DI: u32 = 1 << 2;
/// [`EECD`](super::EECD): data from the EEPROM.
pub const EECD_DO: u32 = 1 << 3;
/// [`EECD`](super::EECD): software asks for the EEPROM.
pub const EECD_REQ: u32 = 1 << 6;
/// [`EECD`](super::EECD): software has the EEPROM.
pub const EECD_GNT: u32 = 1 << 7;
/// [`EECD`](super::EECD) of 8254x: the EEPROM has 8 address bits, else 6. The same bit as [`EECD_AUTO_RD`].
pub const EECD_SIZE: u32 = 1 << 9;
/// [`EECD`](super::EECD) of 82573, 82574 and 82583: both bits set when the NVM is flash (Linux e1000e,
/// `e1000_init_nvm_params_82571`).
pub const EECD_FLASH: u32 = 0b11 << 15;
/// [`MDIC`](super::MDIC): write.
pub const MDIC_OP_WRITE: u32 = 1 << 26;
/// [`MDIC`](super::MDIC): read.
pub const MDIC_OP_READ: u32 = 1 << 27;
/// [`MDIC`](super::MDIC): the access has ended.
pub const MDIC_READY: u32 = 1 << 28;
/// [`MDIC`](super::MDIC): the PHY did not answer, or has no such register.
pub const MDIC_ERROR: u32 = 1 << 30;
/// [`CTRL_EXT`](super::CTRL_EXT): software owns the port.
pub const CTRL_EXT_DRV_LOAD: u32 = 1 << 28;
/// [`EXTCNF_CTRL`](super::EXTCNF_CTRL): software owns the MDIO pins (82573 and later); on ICH/PCH the flag SWFLAG.
pub const EXTCNF_CTRL_OWNED: u32 = 1 << 5;
/// [`SWSM`](super::SWSM): one of the ports has the semaphore. Reading sets it.
pub const SWSM_SMBI: u32 = 1 << 0;
/// [`SWSM`](super::SWSM): software, not firmware, has the semaphore.
pub const SWSM_SWESMBI: u32 = 1 << 1;
/// [`SWSM`](super::SWSM) of 82573: software owns the port.
pub const SWSM_DRV_LOAD: u32 = 1 << 3;
/// [`KABGTXD`](super::KABGTXD): what a reset of ICH/PCH loses (Linux e1000e, `E1000_KABGTXD_BGSQLBIAS`).
pub const KABGTXD_BIAS: u32 = 0x0005_0000;
/// [`TXCW`](super::TXCW): autonegotiation.
pub const TXCW_ANE: u32 = 1 << 31;
/// [`RXCW`](super::RXCW): invalid code words were seen; sticky.
pub const RXCW_IV: u32 = 1 << 27;
/// [`RXCW`](super::RXCW): the partner sends configuration words: it negotiates.
pub const RXCW_C: u32 = 1 << 29;
/// [`RXCW`](super::RXCW): the receiver is in step with the partner; sticky.
pub const RXCW_SYNCH: u32 = 1 << 30;
/// [`SCTL`](super::SCTL): the serdes loops (Linux e1000e, `E1000_SCTL_ENABLE_SERDES_LOOPBACK`).
pub const SCTL_LOOP: u32 = 0x0410;
/// [`SCTL`](super::SCTL): it does not.
pub const SCTL_NO_LOOP: u32 = 0x0400;
/// [`TXCW`](super::TXCW): full duplex is offered.
pub const TXCW_FD: u32 = 1 << 5;
/// [`TXCW`](super::TXCW), [`RXCW`](super::RXCW): PAUSE is offered.
pub const TXCW_PAUSE: u32 = 1 << 7;
/// [`TXCW`](super::TXCW), [`RXCW`](super::RXCW): ASM_DIR is offered.
pub const TXCW_ASM_DIR: u32 = 1 << 8;
/// [`RXCW`](super::RXCW): autonegotiation has ended.
pub const RXCW_ANC: u32 = 1 << 31;
/// [`FCAL`](super::FCAL): 01:80:C2:00, of the address that pause frames go to.
pub const FCAL_PAUSE: u32 = 0x00C2_8001;
/// [`FCAH`](super::FCAH): 00:01.
pub const FCAH_PAUSE: u32 = 0x0100;
/// [`FCT`](super::FCT): EtherType of pause frames.
pub const FCT_PAUSE: u32 = 0x8808;
/// [`FCRTL`](super::FCRTL): send XON below the threshold.
pub const FCRTL_XONE: u32 = 1 << 31;
/// [`TIPG`](super::TIPG) for fiber: IPGT 9, IPGR1 8, IPGR2 6.
pub const TIPG_FIBER: u32 = 9 | 8 << 10 | 6 << 20;
/// [`TIPG`](super::TIPG): the field IPGT, the gap between two frames sent one after the other.
pub const TIPG_IPGT: u32 = 0x3FF;
/// [`TARC0`](super::TARC0) of 82571 and 82572: speed mode, one at 1000 Mbit/s.
pub const TARC0_SPEED_MODE: u32 = 1 << 21;
/// [`RXCSUM`](super::RXCSUM): checksums of IPv4 headers (IPOFL) and of TCP and UDP (TUOFL) are checked.
pub const RXCSUM_CHECK: u32 = 0b11 << 8;
/// [`FEXTNVM4`](super::FEXTNVM4): duration of the beacon; 8 us.
pub const FEXTNVM4_BEACON: u32 = 0b111;
/// [`FEXTNVM6`](super::FEXTNVM6): the PLL's clock is requested.
pub const FEXTNVM6_REQ_PLL_CLK: u32 = 1 << 8;
/// [`FEXTNVM6`](super::FEXTNVM6): K1 is entered later.
pub const FEXTNVM6_K1_ENTRY_CONDITION: u32 = 1 << 9;
/// [`KMRNCTRLSTA`](super::KMRNCTRLSTA): read the register whose number is in bits 20:16.
pub const KMRNCTRLSTA_REN: u32 = 1 << 21;
/// [`RFCTL`](super::RFCTL): NFSW_DIS and NFSR_DIS.
pub const RFCTL_NFS_DIS: u32 = 1 << 6 | 1 << 7;
