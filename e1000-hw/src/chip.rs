//! Which chips there are, what they can do, and what is odd about each: one table of data.
//!
//! Code never asks for a device id; it asks for a [`Limits`] field or a [`Quirks`] flag.

mod quirks;
mod table;

use crate::offload::Offloads;

pub use quirks::Quirks;
pub use table::CHIPS;

/// PCI vendor id of every chip in [`CHIPS`].
pub const VENDOR_INTEL: u16 = 0x8086;

/// One PCI device id.
#[derive(Debug, PartialEq, Eq)]
pub struct Chip {
    /// PCI device id, vendor [`VENDOR_INTEL`].
    pub device_id: u16,
    /// Intel's name of the part.
    pub name: &'static str,
    /// What the cable is.
    pub media: Media,
    /// Limits of the MAC type.
    pub limits: &'static Limits,
    /// What is odd about it.
    pub quirks: Quirks,
}

impl Chip {
    /// The value of ITR (or EITR) closest to `interval`, in units of 256 ns between interrupts, that this part
    /// takes: 82547 hangs at zero and may not do more than 75 000 a second (HF 10.4).
    pub fn throttle(&self, interval: u32) -> u32 {
        /// 1e9 / (75 000 * 256), rounded up.
        const SHORTEST_82547: u32 = 53;
        if self.quirks.contains(Quirks::ITR_NONZERO) {
            interval.max(SHORTEST_82547)
        } else {
            interval
        }
    }
}

impl Chip {
    /// Reason not to drive this part as it is now, for lack of a workaround without which it is known to hang or to reach
    /// into memory that is not its own. `None` if there is none, as for almost all.
    ///
    /// Nobody could try these workarounds on the parts; better none than a wrong one.
    pub fn hazard(&self) -> Option<&'static str> {
        if self.quirks.intersects(Quirks::ME_ARBITER | Quirks::K1_OFF) {
            return Some(
                "82579 needs K1 off at 100 and 1000 Mbit/s, and loses register writes while its firmware is busy; \
                 neither is handled",
            );
        }
        None
    }
}

/// What a part is connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// Twisted pair, through a PHY.
    Copper,
    /// Optical fiber: no PHY, code words in TXCW and RXCW.
    Fiber,
    /// A backplane: as fiber.
    Serdes,
}

/// Limits that all parts with the same MAC share (HF 1.2).
#[derive(Debug, PartialEq, Eq)]
pub struct Limits {
    /// MAC type, as Linux calls it.
    pub mac: &'static str,
    /// Descriptors that a ring may have at most.
    pub max_descriptors: u32,
    /// The packet buffer, receive and transmit together, in KiB.
    pub packet_buffer_kib: u32,
    /// Share of the packet buffer that receive gets, in KiB, for standard frames; the value of PBA.
    pub rx_packet_buffer_kib: u32,
    /// How the packet buffer is split for longer frames.
    pub jumbo_split: JumboSplit,
    /// Longest frame with FCS and VLAN tag, in bytes.
    pub max_frame: u32,
    /// Bits of a bus address that the part drives: 32 or 64. Parts of 32 here drive 64 on PCI-X only.
    pub dma_bits: u32,
    /// Entries of the receive address table that a driver may write.
    pub receive_addresses: u32,
    /// Registers of the multicast table.
    pub mta_registers: u32,
    /// How the NVM is read.
    pub nvm: Nvm,
    /// How the PHY is reached.
    pub phy: PhyAccess,
    /// How the MAC is reset.
    pub reset: Reset,
    /// What has to be held for PHY and NVM, and around a reset.
    pub semaphore: Semaphore,
    /// Where firmware learns that a driver is loaded.
    pub driver_load: DriverLoad,
    /// Which moderation registers there are.
    pub moderation: Moderation,
    /// Which interrupts a driver may use.
    pub interrupts: Interrupts,
    /// What it can take off a TCP/IP stack. IPv6 is not cut by 8254x (Linux e1000, `e1000_probe`).
    pub offloads: Offloads,
}

/// How the packet buffer is split for frames above 1522 bytes (HF 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JumboSplit {
    /// So many KiB for receive once frames are above 8192 bytes (8254x: Linux e1000, `e1000_reset`).
    Above8192(u32),
    /// Computed: two frames on the transmit side, at least one on the receive side.
    Computed,
    /// So many KiB for receive for any jumbo frame (PCH2 and later: Linux e1000e, `e1000e_reset`).
    AboveStandard(u32),
}

/// How the NVM is read (HF 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nvm {
    /// 82543, 82544: no EERD; a microwire EEPROM behind the pins of EECD.
    Microwire,
    /// 82540, 82545, 82546: EERD with DONE in bit 4 and the address from bit 8.
    EerdSmall,
    /// 82541, 82547, 8257x: EERD with DONE in bit 1 and the address from bit 2.
    EerdLarge,
    /// ICH/PCH: in the SPI flash of the chipset. Not read.
    Flash,
}

/// How the PHY is reached (HF 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PhyAccess {
    /// 82543: MDIO by hand, on pins of CTRL.
    BitBang,
    /// Through MDIC.
    Mdic,
    /// ICH/PCH: through MDIC, but firmware has configured the PHY and shares it. Left alone.
    Firmware,
}

/// What has to happen around CTRL.RST (HF 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// 82543, 82544: 10 us after RST reload the EEPROM (CTRL_EXT.EE_RST), then 2 ms.
    ReloadEeprom,
    /// 82540, 82545, 82546: the EEPROM reloads by itself within 5 ms.
    Eeprom,
    /// 82541, 82547: the EEPROM reloads by itself within 20 ms.
    EepromSlow,
    /// 82571, 82572: stop bus mastering first; wait for EECD.AUTO_RD; give the EEPROM back (EECD.REQ, GNT).
    Pcie,
    /// 82573, 82574, 82583: as [`Reset::Pcie`], but the NVM may be flash and needs CTRL_EXT.EE_RST, and the PHY is
    /// configured from it: 25 ms.
    PciePhyFromNvm,
    /// 82579, I217, I218: stop bus mastering first; no register access for 20 ms after RST, or the part hangs.
    Pch,
}

impl Reset {
    /// Whether bus mastering is stopped with CTRL.GIO_MASTER_DISABLE first.
    pub fn stops_bus_master(self) -> bool {
        matches!(self, Self::Pcie | Self::PciePhyFromNvm | Self::Pch)
    }
}

/// What firmware, the other port and software pass each other (HF 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Semaphore {
    /// 8254x: nothing.
    None,
    /// 82571, 82572: SWSM.SMBI between ports, then SWESMBI with firmware. Nothing around a reset.
    Swsm,
    /// 82573: as [`Semaphore::Swsm`] for PHY and NVM, EXTCNF_CTRL.MDIO_SW_OWNERSHIP around a reset.
    SwsmMdio,
    /// 82574, 82583: EXTCNF_CTRL.MDIO_SW_OWNERSHIP.
    Mdio,
    /// ICH/PCH: EXTCNF_CTRL.SWFLAG, which is the same bit, with firmware as a contender.
    SwFlag,
}

/// Where firmware learns that a driver is loaded (HF 3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriverLoad {
    /// 8254x: nowhere.
    None,
    /// CTRL_EXT bit 28.
    CtrlExt,
    /// 82573: SWSM bit 3.
    Swsm,
}

/// Which moderation registers there are (HF 1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moderation {
    /// 82543, 82544: the packet timers RDTR and TIDV only; no ITR, RADV and TADV.
    Delays,
    /// ITR, RADV and TADV too.
    Itr,
    /// 82574: an EITR for each MSI-X vector besides.
    Eitr,
}

/// Which interrupts a driver may use (HF 1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupts {
    /// INTx. Some 82545 and 82546 advertise MSI; no driver uses it.
    Line,
    /// INTx, or one MSI.
    Msi,
    /// INTx, MSI, or MSI-X with causes routed by IVAR.
    MsiX,
}

/// The chip with this PCI id, if this driver knows it.
pub fn find(vendor: u16, device: u16) -> Option<&'static Chip> {
    if vendor != VENDOR_INTEL {
        return None;
    }
    CHIPS.iter().find(|chip| chip.device_id == device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_listed_once() {
        for (i, chip) in CHIPS.iter().enumerate() {
            let mut rest = CHIPS[i + 1..].iter();
            assert!(
                rest.all(|other| other.device_id != chip.device_id && other.name != chip.name),
                "{}",
                chip.name
            );
        }
    }

    #[test]
    fn qemu_models_are_known() {
        for (id, name) in [
            (0x100E, "82540EM"),
            (0x100C, "82544GC"),
            (0x100F, "82545EM"),
            (0x10D3, "82574L"),
        ] {
            assert_eq!(find(VENDOR_INTEL, id).map(|chip| chip.name), Some(name));
        }
        assert_eq!(find(0x10EC, 0x100E), None);
    }

    #[test]
    fn limits_and_quirks_agree() {
        for chip in CHIPS {
            let (limits, quirks, name) = (chip.limits, chip.quirks, chip.name);
            assert_eq!(quirks.contains(Quirks::DMA32), limits.dma_bits == 32, "{name}");
            assert_eq!(
                quirks.contains(Quirks::PCIE),
                limits.reset.stops_bus_master(),
                "{name}"
            );
            assert_ne!(
                quirks.contains(Quirks::PAD_60),
                quirks.contains(Quirks::PAD_17),
                "{name}"
            );
            assert!(limits.rx_packet_buffer_kib < limits.packet_buffer_kib, "{name}");
            assert!(limits.max_frame >= 1522, "{name}");
            assert!(limits.max_descriptors.is_multiple_of(8), "{name}");
            assert_eq!(
                quirks.contains(Quirks::FEXTNVM),
                limits.reset == Reset::Pch,
                "{name}"
            );
            assert_eq!(
                quirks.contains(Quirks::NO_TSO),
                !limits.offloads.contains(Offloads::TSO_IPV4),
                "{name}"
            );
            // Entry 14 is taken where it holds the copy of the address.
            if quirks.contains(Quirks::LAA_RESTORE) {
                assert_eq!(limits.receive_addresses, 14, "{name}");
            }
        }
    }

    #[test]
    fn throttle_of_82547_is_never_zero() {
        let of = |id| find(VENDOR_INTEL, id).map(|chip| (chip.throttle(0), chip.throttle(195)));
        assert_eq!(of(0x1019), Some((53, 195)));
        assert_eq!(of(0x100E), Some((0, 195)));
    }
}
