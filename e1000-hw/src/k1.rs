//! The K1 workaround of I218: the link between MAC and PHY sleeps (K1) while nothing is sent.
//!
//! At 1000 Mbit/s with K1 on, the MAC can miss DMA completions. It then writes nothing to memory any more and stops
//! receiving. Requesting the PLL's clock prevents that. At 10 Mbit/s and in half duplex, the timeout of the PHY and the
//! time to enter K1 have to be changed. Sources: Linux e1000e and FreeBSD em, `e1000_k1_workaround_lpt_lp`, for 155A,
//! 1559, 15A2 and 15A3.

use core::time::Duration;

use crate::chip::{Chip, Quirks};
use crate::link::Link;
use crate::modify::modify;
use crate::phy::{Phy, PhyError};
use crate::platform::{Clock, Registers};
use crate::regs;

/// Kumeran register: K1 configuration; its bit that turns K1 on.
const K1_CONFIG: u32 = 7;
const K1_ENABLE: u16 = 1 << 1;
/// Time that a Kumeran access takes.
const KUMERAN_DELAY: Duration = Duration::from_micros(2);
/// Time between turning K1 off and the request for the clock.
const K1_DELAY: Duration = Duration::from_micros(10);
/// PHY: in-band control, page and register; the field for the timeout of the link's state, in units of 10 us.
const INBAND_CTRL: (u16, u8) = (770, 18);
const TX_TIMEOUT: u16 = 0x3F << 8;
/// Last revision of the PHY that needs other times.
const LAST_REVISION: u32 = 5;

/// Applies the workaround for `link`, up or down; nothing on parts without [`Quirks::K1_LOSES_COMPLETIONS`].
///
/// # Errors
///
/// When firmware does not release the PHY, or the PHY does not answer. Then the workaround is not in effect.
pub(crate) fn link_changed(
    registers: &impl Registers,
    chip: &Chip,
    clock: &impl Clock,
    link: Link,
) -> Result<(), PhyError> {
    if !chip.quirks.contains(Quirks::K1_LOSES_COMPLETIONS) {
        return Ok(());
    }
    let (mbit_s, full_duplex) = match link {
        Link::Up { mbit_s: 1000, .. } => return request_clock(registers, chip, clock),
        Link::Up {
            mbit_s, full_duplex, ..
        } => (mbit_s, full_duplex),
        Link::Down => (100, true),
    };
    let request = regs::FEXTNVM6_REQ_PLL_CLK;
    if mbit_s == 100 && full_duplex {
        modify(registers, regs::FEXTNVM6, request, 0);
        return Ok(());
    }
    let phy = Phy::open(registers, chip, clock)?;
    if phy.id()?.revision() > LAST_REVISION {
        modify(registers, regs::FEXTNVM6, request, 0);
        return Ok(());
    }
    // 10 Mbit/s waits longer before it enters K1.
    let (timeout, entry) = if mbit_s == 100 {
        (5, 0)
    } else {
        (50, regs::FEXTNVM6_K1_ENTRY_CONDITION)
    };
    let (page, number) = INBAND_CTRL;
    let inband = phy.read_page(page, number)?;
    phy.write_page(page, number, inband & !TX_TIMEOUT | timeout << 8)?;
    let mask = request | regs::FEXTNVM6_K1_ENTRY_CONDITION;
    modify(registers, regs::FEXTNVM6, mask, entry);
    Ok(())
}

/// Turns K1 off, requests the clock, and restores K1.
fn request_clock(registers: &impl Registers, chip: &Chip, clock: &impl Clock) -> Result<(), PhyError> {
    // The semaphore of the PHY is that of the Kumeran registers.
    let phy = Phy::open(registers, chip, clock)?;
    let config = kumeran(registers, clock, regs::KMRNCTRLSTA_REN);
    kumeran(registers, clock, u32::from(config & !K1_ENABLE));
    clock.sleep(K1_DELAY);
    let request = regs::FEXTNVM6_REQ_PLL_CLK;
    modify(registers, regs::FEXTNVM6, request, request);
    kumeran(registers, clock, u32::from(config));
    drop(phy);
    Ok(())
}

/// Accesses the K1 configuration once; returns its value if `command` says to read.
fn kumeran(registers: &impl Registers, clock: &impl Clock, command: u32) -> u16 {
    registers.write(regs::KMRNCTRLSTA, K1_CONFIG << 16 | command);
    registers.read(regs::STATUS);
    clock.sleep(KUMERAN_DELAY);
    if command & regs::KMRNCTRLSTA_REN != 0 {
        registers.read(regs::KMRNCTRLSTA) as u16
    } else {
        0
    }
}
