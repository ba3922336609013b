//! Loopback: transmitted frames are received without leaving the NIC.
//!
//! Copper parts loop in the PHY, fiber and serdes of 8254x in the transceiver interface (RCTL.LBM), those of 82571 and
//! 82572 in the serdes. As Linux e1000 and e1000e do it (`e1000_setup_loopback_test`); QEMU's models honour BMCR's
//! loopback bit (`e1000_send_packet`, `e1000e_tx_pkt_send`).

use core::fmt;
use core::time::Duration;

use crate::chip::{Chip, MacType, Media, PhyAccess};
use crate::ethernet::{MIN_FRAME_LEN, MacAddress, STANDARD_FRAME_LEN, ether_type};
use crate::phy::{Phy, PhyError, PhyType, register};
use crate::platform::{Clock, Registers};
use crate::regs::{self, Ctrl, Rctl, Status};

/// Lengths of the frames, without FCS.
pub(crate) const LENGTHS: [usize; 3] = [MIN_FRAME_LEN, 256, STANDARD_FRAME_LEN];
/// The longest of them.
const LONGEST: usize = STANDARD_FRAME_LEN;

/// BMCR: 1000 Mbit/s, full duplex, no negotiation, loop.
const BMCR_LOOP: u16 = 0x4140;
const BMCR_LOOP_BIT: u16 = 1 << 14;
/// BMCR: software reset; with and without negotiation.
const BMCR_RESET_NEGOTIATE: u16 = 0x9140;
const BMCR_RESET_FORCED: u16 = 0x8140;
/// BMCR: negotiate, from the beginning.
const BMCR_RENEGOTIATE: u16 = 0x1340;
/// 88E1000, register 16: no automatic crossover, CRS while sending.
const M88_CONTROL: u8 = 16;
const M88_NO_CROSSOVER: u16 = 0x0808;
/// 88E1000, registers 29 and 30: the receiver towards the cable off, so that a cable that is plugged in does not start
/// a negotiation.
const M88_RECEIVER_OFF: [(u8, u16); 4] = [(29, 0x001F), (30, 0x8FFC), (29, 0x001A), (30, 0x8FF0)];
/// BM (82574, 82583): page, register, bits to clear and to set: the MAC side at 1000 Mbit/s, full duplex and link
/// forced, early link.
const BM_FORCE_LINK: [(u16, u8, u16, u16); 4] = [
    (2, 21, 0x0007, 0x0006),
    (769, 16, 0, 0x004C),
    (776, 16, 0, 0x0040),
    (769, 20, 0, 0x0400),
];
/// BM: the register that selects a page.
const BM_PAGE: u8 = 22;

/// Place in which a part loops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Phy,
    Transceiver,
    Serdes,
}

/// Returns the place in which this part loops, or the reason why it cannot be tested.
fn way(chip: &Chip) -> Result<Way, &'static str> {
    match (chip.media, chip.limits.phy) {
        (Media::Copper, PhyAccess::Mdic) => Ok(Way::Phy),
        (Media::Copper, PhyAccess::BitBang) => Err("the PHY of 82543 is not integrated"),
        (Media::Copper, PhyAccess::Firmware) => Err("the PHY belongs to firmware"),
        _ if matches!(chip.mac(), MacType::I82571 | MacType::I82572) => Ok(Way::Serdes),
        _ => Ok(Way::Transceiver),
    }
}

/// A PHY register and the value to restore.
#[derive(Clone, Copy, Debug)]
struct Saved {
    page: u16,
    register: u8,
    value: u16,
}

/// Loopback that is on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Loopback {
    way: Way,
    /// Value of CTRL to restore: QEMU's `e1000` keeps it over a reset (`set_ctrl`).
    ctrl: u32,
    saved: [Option<Saved>; BM_FORCE_LINK.len()],
}

/// Reason why loopback is not on.
#[derive(Debug)]
pub(crate) enum NotOn {
    /// The part has no usable loopback.
    Unsupported(&'static str),
    /// An access to the PHY failed.
    Phy(PhyError),
}

impl fmt::Display for NotOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported(why) => f.write_str(why),
            Self::Phy(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for NotOn {}

impl From<PhyError> for NotOn {
    fn from(error: PhyError) -> Self {
        Self::Phy(error)
    }
}

impl Loopback {
    /// Turns loopback on, on a device that is programmed.
    pub(crate) fn enable(registers: &impl Registers, chip: &Chip, clock: &impl Clock) -> Result<Self, NotOn> {
        let way = way(chip).map_err(NotOn::Unsupported)?;
        let mut loopback = Self {
            way,
            ctrl: registers.read(regs::CTRL),
            saved: [None; BM_FORCE_LINK.len()],
        };
        match way {
            Way::Phy => loopback.enable_phy(registers, chip, clock)?,
            Way::Transceiver => {
                let rctl = registers.read(regs::RCTL);
                registers.write(regs::RCTL, rctl | Rctl::LBM_TRANSCEIVER.bits());
            }
            Way::Serdes => {
                let set_link = registers.read(regs::CTRL) | Ctrl::SLU.bits();
                registers.write(regs::CTRL, set_link);
                registers.write(regs::TXCW, registers.read(regs::TXCW) & !regs::TXCW_ANE);
                if registers.read(regs::STATUS) & Status::LU.bits() == 0 {
                    registers.write(regs::CTRL, set_link | Ctrl::ILOS.bits());
                }
                registers.write(regs::SCTL, regs::SCTL_LOOP);
                clock.sleep(Duration::from_millis(10));
            }
        }
        Ok(loopback)
    }

    fn enable_phy(
        &mut self,
        registers: &impl Registers,
        chip: &Chip,
        clock: &impl Clock,
    ) -> Result<(), PhyError> {
        let phy = Phy::open(registers, chip, clock)?;
        let id = phy.id()?;
        if !id.is_present() {
            return Err(PhyError::NoAnswer);
        }
        let m88 = id.phy_type().is_some_and(PhyType::is_m88);
        if m88 {
            self.saved[0] = save(&phy, 0, M88_CONTROL);
            phy.write(M88_CONTROL, M88_NO_CROSSOVER)?;
            phy.write(register::BMCR, BMCR_RESET_NEGOTIATE)?;
            phy.write(register::BMCR, BMCR_RESET_FORCED)?;
        } else if id.phy_type() == Some(PhyType::Bm) {
            self.force_link_of_bm(&phy);
        }
        phy.write(register::BMCR, BMCR_LOOP)?;
        // The MAC has to run at the speed of the PHY.
        let mut ctrl = registers.read(regs::CTRL) & !(Ctrl::SPEED | Ctrl::ASDE).bits();
        ctrl |= (Ctrl::FRCSPD | Ctrl::FRCDPX | Ctrl::SPEED_1000 | Ctrl::FD).bits();
        if m88 {
            ctrl |= Ctrl::ILOS.bits();
        } else if registers.read(regs::STATUS) & Status::FD.bits() == 0 {
            ctrl |= (Ctrl::ILOS | Ctrl::SLU).bits();
        }
        registers.write(regs::CTRL, ctrl);
        if m88 {
            for (number, value) in M88_RECEIVER_OFF {
                // A failure is ignored: emulators lack these registers, and loop without them.
                let _ = phy.write(number, value);
            }
        }
        clock.sleep(Duration::from_millis(1));
        Ok(())
    }

    /// Forces the link of a BM. Emulators lack these pages, and loop without them.
    fn force_link_of_bm<R: Registers, C: Clock>(&mut self, phy: &Phy<'_, R, C>) {
        for ((page, number, clear, set), saved) in BM_FORCE_LINK.into_iter().zip(&mut self.saved) {
            *saved = save(phy, page, number);
            if let Some(Saved { value, .. }) = *saved {
                write_page(phy, page, number, value & !clear | set);
            }
        }
    }

    /// Turns loopback off. A PHY then negotiates again; the caller has to reset the MAC.
    ///
    /// # Errors
    ///
    /// When the PHY does not answer. Then it remains in loopback.
    pub(crate) fn disable(
        self,
        registers: &impl Registers,
        chip: &Chip,
        clock: &impl Clock,
    ) -> Result<(), PhyError> {
        registers.write(regs::CTRL, self.ctrl);
        match self.way {
            Way::Phy => {
                let phy = Phy::open(registers, chip, clock)?;
                for saved in self.saved.into_iter().flatten() {
                    write_page(&phy, saved.page, saved.register, saved.value);
                }
                phy.write(register::BMCR, BMCR_RESET_NEGOTIATE)?;
                clock.sleep(Duration::from_millis(1));
                phy.write(register::BMCR, BMCR_RENEGOTIATE)
            }
            Way::Transceiver => {
                let rctl = registers.read(regs::RCTL);
                registers.write(regs::RCTL, rctl & !Rctl::LBM_TRANSCEIVER.bits());
                Ok(())
            }
            Way::Serdes => {
                registers.write(regs::SCTL, regs::SCTL_NO_LOOP);
                registers.read(regs::STATUS);
                clock.sleep(Duration::from_millis(10));
                Ok(())
            }
        }
    }
}

/// Ends the loopback of an earlier driver that was killed during a self-test, which survives a reset of the MAC: resets
/// the PHY and makes it negotiate. `ctrl` is CTRL before bring-up: except on 82543, the speed is forced in loopback
/// only.
///
/// Takes 20 ms if there is such a loopback, and no time otherwise.
pub(crate) fn end_of_others(registers: &impl Registers, chip: &Chip, clock: &impl Clock, ctrl: u32) {
    if way(chip) != Ok(Way::Phy) || ctrl & Ctrl::FRCSPD.bits() == 0 {
        return;
    }
    let loops = |phy: &Phy<'_, _, _>| {
        phy.read(register::BMCR)
            .is_ok_and(|control| control & BMCR_LOOP_BIT != 0)
    };
    let Ok(phy) = Phy::open(registers, chip, clock) else {
        return;
    };
    if !loops(&phy) {
        return;
    }
    let ctrl = registers.read(regs::CTRL);
    for ctrl in [ctrl | Ctrl::PHY_RST.bits(), ctrl & !Ctrl::PHY_RST.bits()] {
        registers.write(regs::CTRL, ctrl);
        registers.read(regs::STATUS);
        clock.sleep(Duration::from_millis(10));
    }
    // Emulators ignore that reset.
    if loops(&phy) {
        // If the PHY no longer answers, its bring-up warns.
        let _ = phy.write(register::BMCR, BMCR_RESET_NEGOTIATE);
        let _ = phy.write(register::BMCR, BMCR_RENEGOTIATE);
    }
}

/// Reads a register of a page, to be restored later. Every PHY has page 0.
fn save<R: Registers, C: Clock>(phy: &Phy<'_, R, C>, page: u16, register: u8) -> Option<Saved> {
    let read = || phy.read(register).ok();
    let value = on_page(phy, page, read)?;
    Some(Saved {
        page,
        register,
        value,
    })
}

fn write_page<R: Registers, C: Clock>(phy: &Phy<'_, R, C>, page: u16, register: u8, value: u16) {
    on_page(phy, page, || phy.write(register, value).ok());
}

/// Runs `work` with a page of a BM selected; does nothing if the page cannot be selected.
fn on_page<R: Registers, C: Clock, T>(
    phy: &Phy<'_, R, C>,
    page: u16,
    work: impl FnOnce() -> Option<T>,
) -> Option<T> {
    if page == 0 {
        return work();
    }
    phy.write(BM_PAGE, page).ok()?;
    let result = work();
    // Also after a failure, because everything else is on page 0.
    phy.write(BM_PAGE, 0).ok()?;
    result
}

/// A frame of the test, to and from the NIC itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TestFrame {
    mac: MacAddress,
    index: usize,
    len: usize,
}

impl TestFrame {
    /// Bytes of the longest one.
    pub const LONGEST: usize = LONGEST;

    /// Frame number `index` of [`LENGTHS`], at most `limit` bytes.
    pub fn new(mac: MacAddress, index: usize, limit: usize) -> Self {
        let len = LENGTHS.get(index).copied().unwrap_or(LONGEST);
        Self {
            mac,
            index,
            len: len.min(limit).max(LENGTHS[0]),
        }
    }

    /// Length without FCS.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Its bytes.
    pub fn bytes(&self) -> impl Iterator<Item = u8> {
        let addresses = self.mac.0.into_iter().chain(self.mac.0);
        let header = addresses.chain(ether_type::LOCAL_EXPERIMENT);
        let payload = (header.clone().count()..).map(|n| (n * 31 + self.index * 7) as u8);
        header.chain(payload).take(self.len)
    }

    /// Compares a received frame of `len` bytes, of which `received` is the beginning.
    pub fn compare(&self, received: &[u8], len: usize) -> Match {
        /// Addresses, EtherType and the first byte, which depends on the frame's number.
        const SIGNATURE: usize = 15;
        let begins = |count| received.iter().copied().take(count).eq(self.bytes().take(count));
        if len == self.len && begins(len) {
            Match::Same
        } else if begins(SIGNATURE) {
            Match::Damaged
        } else {
            Match::Foreign
        }
    }
}

/// Relation of a received frame to the expected one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Match {
    /// It is the expected frame.
    Same,
    /// It is the expected frame, but damaged.
    Damaged,
    /// It is another frame.
    Foreign,
}
