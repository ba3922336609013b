//! What is odd about a part, as flags named after the reason.

use bitflags::bitflags;

bitflags! {
    /// What is odd about a part, named after the reason.
    ///
    /// Each flag names its parts and where the fact comes from: HF is `e1000-hardware-facts.md`, L1 Linux e1000,
    /// L2 Linux e1000e, F FreeBSD em. Flags marked *not the core's* are facts for whoever owns PCI configuration
    /// space; the core only carries them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Quirks: u64 {
        /// Parts on conventional PCI (all 8254x): rings and buffers belong below 4 GiB, 64-bit addresses hang the
        /// transmitter (L1, `pci_using_dac` only with PCI-X).
        const DMA32 = 1 << 0;
        /// 82543, 82544: RCTL.SECRC does not exist; lengths include the FCS (8254x manual, 13.4.22).
        const NO_SECRC = 1 << 1;
        /// 82544: in PCI-X mode a write to an odd register of MTA or VFTA, or to FCAH, may reach the register before it,
        /// too (erratum 9; L1, `e1000_set_rx_mode`; NetBSD, `wm_set_filter`): both tables are written from high to low with
        /// a flush after each.
        const MTA_REVERSE = 1 << 2;
        /// 8254x before revision 3 of 82545 and 82546: BIOSes set the longest read of PCI-X (MMRBC) too high; more than
        /// 2 KiB is not safe (L1, `e1000_reset`; F, `e1000_pcix_mmrbc_workaround_generic`). *Not the core's*: PCI
        /// configuration space.
        const PCIX_READ_2048 = 1 << 3;
        /// 82543: no usable auto-speed detection; speed and duplex are copied from the PHY (HF 5.2).
        const FORCE_SPEED = 1 << 4;
        /// MACs from 82540 on, but not ICH/PCH: firmware may answer ARP for the host; MANC.ARP_EN must go (L1,
        /// `e1000_reset_hw`).
        const MANAGED_ARP = 1 << 5;
        /// 8257x and later: PCIe registers exist (RFCTL, MRQC, TARC0, second queue), TXDCTL bit 22 and TCTL.MULR
        /// must be one.
        const PCIE = 1 << 6;
        /// 82574, 82583: once set, RCTL.EN may only be cleared by a reset (L2, FLAG2_NO_DISABLE_RX).
        const NO_RX_DISABLE = 1 << 7;
        /// 82573, 82574, 82583: CTRL bit 29 and CTRL_EXT bit 23 must be zero, CTRL_EXT bit 22 one (L2,
        /// `e1000_initialize_hw_bits_82571`).
        const HW_BITS_82573 = 1 << 8;
        /// 82574, 82583: GCR bit 22, GCR2 bit 0 and TARC0 bit 26 one, against lost PCIe completions (HF 3.3).
        const LOST_COMPLETIONS = 1 << 9;
        /// 82571 to 82573: malformed IPv6 extension headers hang the receiver; RFCTL bits 16 and 17 turn the
        /// parser off (HF 3.3).
        const IPV6_EXT_DIS = 1 << 10;
        /// 82573: RDTR 0x20 against latency (F, DPDK).
        const RDTR_20 = 1 << 11;
        /// 8254x: bridges may make one burst of writes to consecutive registers, of which revision 3 takes only every other
        /// word; each write to a table is flushed (L1, `e1000_clear_vfta`; F, `e1000_init_hw_82540`).
        const FLUSH_TABLES = 1 << 12;
        /// 82545, 82546 before revision 3: no ring and no receive buffer may cross a 64 KiB boundary (L1,
        /// `e1000_check_64k_bound`). Kept by construction on every part: regions are aligned to their size up to
        /// 64 KiB, buffers to 2 KiB.
        const NO_64K_CROSS = 1 << 13;
        /// 82545, 82546 on PCI-X (erratum 10): the first descriptor of a frame holds at most 2015 bytes (L1).
        /// Kept by construction for standard frames, which are one buffer of at most 1518 bytes; the MTU stays at 1500
        /// there.
        const PCIX_TX_2015 = 1 << 14;
        /// 82544 on PCI-X: transmit buffers of more than 4 bytes have to end in the upper dword of a quadword, or the last
        /// bytes never arrive (L1, `e1000_tx_map`; illumos, `e1000g_fill_82544_desc`).
        const PCIX_82544_END = 1 << 15;
        /// 8254x: descriptors of a segmented frame, and of the frame after it, may be reported as done before they were
        /// fetched; the last 4 bytes get a descriptor of their own. No descriptor of a segmented frame may have more than
        /// 4 MSS of bytes (L1, `e1000_tx_map` and `e1000_xmit_frame`).
        const TSO_SENTINEL = 1 << 16;
        /// 82543, 82547: no TSO (HF 1.2).
        const NO_TSO = 1 << 17;
        /// 8254x: hardware padding corrupts short frames on PCI and PCI-X; pad to 60 bytes in software (HF 9.4).
        const PAD_60 = 1 << 18;
        /// 8257x and later: hardware copes with no less than 17 bytes (HF 9.4). The core pads to 60 everywhere.
        const PAD_17 = 1 << 19;
        /// 82547: a frame that wraps the transmit FIFO locks the MAC in half duplex; half duplex is not advertised
        /// (HF 9.7).
        const HD_FIFO = 1 << 20;
        /// 82547: ITR may never be zero, and not faster than 75 000 a second (HF 10.4).
        const ITR_NONZERO = 1 << 21;
        /// 82543 copper: a TBI-compatible partner may leave a carrier extension symbol in the frame (L1,
        /// `TBI_ACCEPT`). Such frames come with CE and are dropped.
        const TBI = 1 << 22;
        /// 82541, 82547 first revision: reset the PHY, and wait 5 ms, before the MAC (L1, `e1000_reset_hw`).
        const PHY_FIRST = 1 << 23;
        /// 82544, 82540, 82545, 82546, 82541: may not acknowledge the write that resets them; Linux writes it
        /// through the I/O BAR (HF 3.2). *Not the core's*: it has no I/O BAR, and uses memory.
        const IO_RESET = 1 << 24;
        /// 82545GM, 82546GB (revision 3): the reset is written to the shadow of CTRL (L1, `CTRL_DUP`).
        const SHADOW_RESET = 1 << 25;
        /// 82546GB quad: relaxed ordering causes parity errors in a PCI slot; CTRL_EXT.RO_DIS (L1,
        /// `e1000_init_hw`). ICH/PCH: the same bit (L2, `e1000_init_hw_ich8lan`).
        const RELAXED_ORDERING = 1 << 26;
        /// 82546, 82571: the address of function 1 is that of the NVM with the lowest bit of the last byte
        /// inverted (HF 4).
        const DUAL_PORT_MAC = 1 << 27;
        /// 82571: a reset of the other port reloads RAR0; a second copy of the address stays in entry 14 (HF 13).
        const LAA_RESTORE = 1 << 28;
        /// 82571: error correction of the packet buffer is off after reset (L2, `PBA_ECC`).
        const PACKET_BUFFER_ECC = 1 << 29;
        /// 82571, 82572, 82573: CTRL_EXT.DMA_DYN_CLK_EN must be off, or DMA may hang (L2,
        /// `e1000_initialize_hw_bits_82571`; 82573 specification update, erratum 15).
        const DMA_CLOCK = 1 << 30;
        /// 82571 to 82583: bits 30:27 of TARC0 must be zero (L2, `e1000_initialize_hw_bits_82571`).
        const TARC_8257X = 1 << 31;
        /// 82571, 82572: TARC0 bits 26:23 one; TARC1 bits 30:29 zero, 26:24 and 22 one, 28 the opposite of
        /// TCTL.MULR (HF 3.3).
        const TARC_82571 = 1 << 32;
        /// 82571, 82572: TARC0 bit 21 one at 1000 Mbit/s, zero at 10 and 100 (L2, FLAG_TARC_SPEED_MODE_BIT).
        const TARC_SPEED_MODE = 1 << 33;
        /// PCH: TARC0 bits 27, 26, 24, 23 and TARC1 bits 30, 26, 24 one, TARC1 bit 28 the opposite of TCTL.MULR,
        /// CTRL_EXT bits 22 and 20 one (L2, `e1000_initialize_hw_bits_ich8lan`).
        const HW_BITS_PCH = 1 << 34;
        /// I217, I218: error correction of the packet buffer on, memory errors are handled (L2, PBECCSTS and
        /// CTRL.MEHE).
        const PBECCSTS = 1 << 35;
        /// All ICH/PCH: the NFS parser hangs; RFCTL.NFSW_DIS and NFSR_DIS (HF 13).
        const NFS_DIS = 1 << 36;
        /// 82573, 82574, 82583: GCR.L1_ACT_WITHOUT_L0S_RX (L2, `e1000_init_hw_82571`).
        const L1_WITHOUT_L0S = 1 << 37;
        /// 82571, 82572: PCIe ASPM L1 must be off (L2, FLAG2_DISABLE_ASPM_L1). *Not the core's*: PCI configuration space.
        const NO_ASPM_L1 = 1 << 38;
        /// 82573, 82574, 82583: PCIe ASPM L0s and L1 must be off, or the link hangs and the transmitter times out
        /// (L2, FLAG2_DISABLE_ASPM_L0S). *Not the core's*: PCI configuration space.
        const NO_ASPM = 1 << 39;
        /// 82574: the PHY may hang; a watchdog asks [`HangCheck`](crate::phy::HangCheck) (L2,
        /// FLAG2_CHECK_PHY_HANG).
        const PHY_HANG_CHECK = 1 << 40;
        /// 82579, I217, I218: a PHY reset breaks them; trust the configuration of the firmware (iPXE,
        /// INTEL_NO_PHY_RST).
        const NO_PHY_RST = 1 << 41;
        /// ICH/PCH: the offsets of FCAL, FCAH and FCT are FEXTNVM registers; never write them (HF 6).
        const FEXTNVM = 1 << 42;
        /// ICH/PCH: "unit hangs" in the field end with TSO off: off unless asked for (HF 9.5), as everywhere.
        const NO_TSO_DEFAULT = 1 << 43;
        /// I217, I218: low-power idle freezes the transmitter; do not advertise EEE (HF 13). Kept by not touching
        /// the PHY.
        const EEE_OFF = 1 << 44;
        /// 82579 with management firmware: register writes may be lost while FWSM bit 24 says that it is busy (L2,
        /// FLAG2_PCIM2PCI_ARBITER_WA, `e1000_get_variants_ich8lan`). Not handled: refused
        /// ([`Chip::hazard`](crate::chip::Chip::hazard)).
        const ME_ARBITER = 1 << 45;
        /// 82543, 82544 with fiber: SWDPIN1 is low, not high, when the optics have a signal (L1,
        /// `e1000_check_for_link`).
        const SIGNAL_INVERTED = 1 << 46;
        /// 82541, 82547: the analog part of the PHY needs settings before it negotiates (L1,
        /// `e1000_phy_init_script`).
        const PHY_SETTINGS = 1 << 47;
        /// I218 (155A, 1559, 15A2, 15A3): with K1 at 1000 Mbit/s the MAC misses DMA completions and stops receiving (L2,
        /// `e1000_k1_workaround_lpt_lp`).
        const K1_LOSES_COMPLETIONS = 1 << 48;
        /// I217, I218: frames are lost unless the beacon lasts 8 us (L2, FEXTNVM4,
        /// `e1000_check_for_copper_link_ich8lan`).
        const BEACON_8_US = 1 << 49;
        /// 82579: K1 has to be off at 100 and 1000 Mbit/s (L2, `e1000_k1_workaround_lv`). Not handled: refused
        /// ([`Chip::hazard`](crate::chip::Chip::hazard)).
        const K1_OFF = 1 << 50;
        /// 82543, 82544: TXDCTL.WTHRESH has to be zero, or descriptors are written back to wrong places (82543GC
        /// specification update, erratum 35; L1, `e1000_init_hw`, leaves TXDCTL alone there).
        const NO_TX_WTHRESH = 1 << 51;
    }
}
