//! Bits of registers that have more than a few.

use bitflags::bitflags;

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
        /// Which port of the chip: 0 or 1.
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
