//! Faults of single parts that the driver works around.

use bitflags::bitflags;

bitflags! {
    /// Faults that the driver works around, each named after its reason.
    ///
    /// A flag is here only if code outside this folder consults it (`tests/quirks.rs`). Bits that Intel's drivers set
    /// in registers of a MAC type are steps of `errata.rs` instead. Faults that this driver never triggers have no flag
    /// and are mentioned in the code that avoids them: rings and buffers that cross no 64 KiB boundary (`pool.rs`),
    /// frames padded by software (`tx.rs`), PHYs left to firmware
    /// ([`PhyAccess::Firmware`](super::PhyAccess::Firmware)).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Quirks: u32 {
        /// 8254x: on conventional PCI, addresses above 4 GiB hang the transmitter (Linux e1000, `e1000_probe`:
        /// `pci_using_dac` with PCI-X only).
        const DMA32 = 1 << 0;
        /// 82543, 82544: RCTL.SECRC does not exist; lengths include the FCS (8254x manual, 13.4.22).
        const NO_SECRC = 1 << 1;
        /// 82544 on PCI-X: a write to an odd register of a table, or to FCAH, may change the one before it (erratum 9;
        /// Linux e1000, `e1000_write_vfta`; NetBSD, `wm_set_filter`).
        const TABLE_WRITES_SPILL = 1 << 2;
        /// 8254x before revision 3 of 82545 and 82546: BIOSes set the longest read of PCI-X (MMRBC) too high; more than
        /// 2 KiB is not safe (Linux e1000, `e1000_init_hw`; FreeBSD, `e1000_pcix_mmrbc_workaround_generic`). Handled by
        /// the owner, in PCI configuration space.
        const PCIX_READ_2048 = 1 << 3;
        /// 82543: the MAC cannot detect the speed of its PHY (Linux e1000, `e1000_config_mac_to_phy`).
        const NO_SPEED_DETECTION = 1 << 4;
        /// 82574, 82583: once set, RCTL.EN may only be cleared by a reset (Linux e1000e, `FLAG2_NO_DISABLE_RX`).
        const NO_RX_DISABLE = 1 << 5;
        /// 82573: frames arrive late unless RDTR is 0x20 (FreeBSD em, `em_initialize_receive_unit`).
        const LONG_RECEIVE_LATENCY = 1 << 6;
        /// 8254x: a bridge may join writes to consecutive registers into one burst, of which revision 3 of 82545 and
        /// 82546 takes only every other word (Linux e1000, `e1000_init_hw`; FreeBSD, `e1000_init_hw_82540`).
        const WRITE_BURSTS_LOST = 1 << 7;
        /// 82545, 82546 on PCI-X: the first descriptor of a frame may have 2015 bytes at most (erratum 10 of 82545 and
        /// 82546; Linux e1000, `e1000_tx_map`).
        const PCIX_TX_2015 = 1 << 8;
        /// 82544 on PCI-X: transmit buffers of more than 4 bytes that end in the lower dword of a quadword hang the
        /// part (Linux e1000, `e1000_tx_map`; illumos, `e1000g_fill_82544_desc`).
        const PCIX_BUFFER_END_HANGS = 1 << 9;
        /// 8254x: descriptors of a segmented frame, and of the frame after it, may be reported as done before they were
        /// fetched; no descriptor of a segmented frame may have more than 4 MSS of bytes (Linux e1000, `e1000_tx_map`
        /// and `e1000_xmit_frame`).
        const PREMATURE_TSO_WRITE_BACK = 1 << 10;
        /// 8254x: padding by the MAC (TCTL.PSP) corrupts short frames on PCI and PCI-X (Linux e1000,
        /// `e1000_xmit_frame`).
        const PADDING_CORRUPTS = 1 << 11;
        /// 82547: a frame that wraps the transmit FIFO locks the MAC in half duplex (Linux e1000,
        /// `e1000_82547_fifo_workaround`).
        const HALF_DUPLEX_LOCKS_FIFO = 1 << 12;
        /// 82547: hangs if ITR is zero, or allows more than 75 000 interrupts a second (`e1000.rst` of
        /// Linux, InterruptThrottleRate).
        const ITR_ZERO_HANGS = 1 << 13;
        /// 82541, 82547, first revision: the PHY has to be reset 5 ms before the MAC (Linux e1000, `e1000_reset_hw`).
        const PHY_RESET_FIRST = 1 << 14;
        /// 82545, 82546, revision 3: CTRL.RST is taken from the shadow of CTRL only (Linux e1000, `e1000_reset_hw`).
        const SHADOW_RESET = 1 << 15;
        /// 82546GB quad: relaxed ordering causes parity errors in a PCI slot (Linux e1000, `e1000_init_hw`). PCH: not
        /// supported (Linux e1000e, `e1000_init_hw_ich8lan`).
        const RELAXED_ORDERING = 1 << 16;
        /// 82546, 82571: the NVM has one address for two ports; that of function 1 is the same with the lowest bit
        /// inverted (8254x manual, 12.3.1; Linux e1000, `e1000_read_mac_addr`).
        const ONE_ADDRESS_FOR_TWO_PORTS = 1 << 17;
        /// 82571: a reset of the other port reloads entry 0 of the receive addresses (Linux e1000e,
        /// `e1000_set_laa_state_82571`).
        const OTHER_PORT_RESETS_ADDRESS = 1 << 18;
        /// 82571, 82572: a bit of TARC0 has to be set at 1000 Mbit/s and clear otherwise (Linux e1000e,
        /// `FLAG_TARC_SPEED_MODE_BIT`).
        const TARC_SPEED_MODE = 1 << 19;
        /// 82571, 82572: PCIe ASPM L1 must be off (Linux e1000e, `FLAG2_DISABLE_ASPM_L1`). Handled by the owner, in PCI
        /// configuration space.
        const NO_ASPM_L1 = 1 << 20;
        /// 82573, 82574, 82583: with PCIe ASPM L0s or L1 the link hangs and the transmitter times out (Linux e1000e,
        /// `FLAG2_DISABLE_ASPM_L0S`). Handled by the owner, in PCI configuration space.
        const NO_ASPM = 1 << 21;
        /// 82574: the PHY may hang (Linux e1000e, `FLAG2_CHECK_PHY_HANG`).
        const PHY_HANGS = 1 << 22;
        /// 82579 with management firmware: register writes may be lost while FWSM bit 24 says that it is busy (Linux
        /// e1000e, `FLAG2_PCIM2PCI_ARBITER_WA`).
        const FIRMWARE_LOSES_WRITES = 1 << 23;
        /// 82579: K1 has to be off at 100 and 1000 Mbit/s (Linux e1000e, `e1000_k1_workaround_lv`).
        const K1_UNSTABLE = 1 << 24;
        /// 82543, 82544 with fiber: SWDPIN1 is low, not high, when the optics have a signal (Linux e1000,
        /// `e1000_check_for_link`).
        const SIGNAL_INVERTED = 1 << 25;
        /// 82541, 82547: the analog part of the PHY needs settings before it negotiates (Linux e1000,
        /// `e1000_phy_init_script`).
        const PHY_NEEDS_SETTINGS = 1 << 26;
        /// I218 (155A, 1559, 15A2, 15A3): with K1 at 1000 Mbit/s the MAC misses DMA completions and stops receiving
        /// (Linux e1000e, `e1000_k1_workaround_lpt_lp`).
        const K1_LOSES_COMPLETIONS = 1 << 27;
    }
}
