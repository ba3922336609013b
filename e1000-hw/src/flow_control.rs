//! Flow control: its negotiation, and the registers for it (IEEE 802.3, annex 31B; 8254x manual, 13.4.8 to 13.4.12).
//!
//! A NIC that honours pause frames (`rx`) stops sending while its partner asks for it. One that sends them (`tx`) asks
//! its partner to stop while its packet buffer is nearly full. This also happens when no client reads: a client that
//! hangs would then block the port of the switch, and with a simple switch all other stations on it. So a NIC sends no
//! pause frames unless its owner asks for it ([`crate::nic::LinkControl::set_pause`]); frames for which there is no
//! room are dropped.

use crate::chip::{Chip, Media, PhyAccess};
use crate::modify::modify;
use crate::packet_buffer;
use crate::phy::{AnAdvertise, Bmsr, Phy, PhyError, register};
use crate::platform::{Clock, Registers};
use crate::regs::{self, Ctrl};

pub use crate::pause::{Pause, PauseOffer, UnknownPause, resolve};

/// Offer in the value of TXCW or RXCW.
fn from_code_word(value: u32) -> PauseOffer {
    PauseOffer {
        symmetric: value & regs::TXCW_PAUSE != 0,
        asymmetric: value & regs::TXCW_ASM_DIR != 0,
    }
}

/// Bits of TXCW for an offer.
fn code_word(offer: PauseOffer) -> u32 {
    let bit = |offered, bit| if offered { bit } else { 0 };
    bit(offer.symmetric, regs::TXCW_PAUSE) | bit(offer.asymmetric, regs::TXCW_ASM_DIR)
}

/// The value of TXCW: the MAC of fiber and serdes parts negotiates, full duplex only.
pub(crate) fn txcw(wanted: Pause) -> u32 {
    regs::TXCW_ANE | regs::TXCW_FD | code_word(wanted.offer())
}

/// Offers `wanted` from now on, on fiber and serdes. A link that is forced, because its partner does not negotiate,
/// stays forced.
pub(crate) fn offer(registers: &impl Registers, wanted: Pause) {
    let mask = regs::TXCW_PAUSE | regs::TXCW_ASM_DIR;
    modify(registers, regs::TXCW, mask, code_word(wanted.offer()));
}

/// Returns the part of `wanted` that a link in full duplex has negotiated; none if the partner does not negotiate.
///
/// Reads registers 1, 4 and 5 of the PHY, or TXCW and RXCW. The PHY of PCH belongs to firmware and is not read.
///
/// # Errors
///
/// When the PHY does not answer, or its semaphore is not released, within the limits of [`Phy`].
pub(crate) fn negotiated(
    registers: &impl Registers,
    chip: &Chip,
    clock: &impl Clock,
    wanted: Pause,
) -> Result<Pause, PhyError> {
    let (local, partner) = if chip.media != Media::Copper {
        let (local, partner) = (registers.read(regs::TXCW), registers.read(regs::RXCW));
        if local & regs::TXCW_ANE == 0 || partner & regs::RXCW_ANC == 0 || partner == regs::ALL_ONES {
            return Ok(Pause::NONE);
        }
        (from_code_word(local), from_code_word(partner))
    } else if chip.limits.phy == PhyAccess::Firmware {
        return Ok(Pause::NONE);
    } else {
        let phy = Phy::open(registers, chip, clock)?;
        let status = phy.read(register::BMSR)?;
        // An absent PHY reads as all ones on 82543.
        if status == u16::MAX {
            return Err(PhyError::NoAnswer);
        }
        if !Bmsr::from_bits_retain(status).contains(Bmsr::NEGOTIATED) {
            return Ok(Pause::NONE);
        }
        let read = |number| Ok(AnAdvertise::from_bits_retain(phy.read(number)?).pause_offer());
        (read(register::AN_ADVERTISE)?, read(register::AN_PARTNER)?)
    };
    Ok(resolve(local, partner).and(wanted))
}

/// Programs pause in both directions; `max_frame` is in bytes with VLAN tag and FCS.
pub fn program(registers: &impl Registers, chip: &Chip, pause: Pause, max_frame: u32) {
    let levels = packet_buffer::thresholds(chip, max_frame);
    let (low, high, time) = if pause.tx {
        let low = levels.low | regs::FCRTL_XONE;
        (low, levels.high, u32::from(levels.pause_time))
    } else {
        (0, 0, 0)
    };
    registers.write(regs::FCTTV, time);
    registers.write(regs::FCRTL, low);
    registers.write(regs::FCRTH, high);
    let mut flags = Ctrl::empty();
    flags.set(Ctrl::RFCE, pause.rx);
    flags.set(Ctrl::TFCE, pause.tx);
    // If the reset bits read as ones, writing them back would reset the device.
    let resets = Ctrl::RST | Ctrl::PHY_RST;
    modify(
        registers,
        regs::CTRL,
        (Ctrl::RFCE | Ctrl::TFCE | resets).bits(),
        flags.bits(),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{FakeMachine, chip};

    #[test]
    fn offer_comes_back_from_the_bits_that_it_is_sent_as() {
        for wanted in [Pause::NONE, Pause::RX, Pause::TX, Pause::BOTH] {
            assert_eq!(from_code_word(code_word(wanted.offer())), wanted.offer());
            let bits = AnAdvertise::for_pause(wanted.offer());
            assert_eq!(bits.pause_offer(), wanted.offer());
        }
    }

    #[test]
    fn pause_is_programmed_by_direction() {
        // 8254x manual, 13.4.1, 13.4.23 and 13.4.24; Linux e1000, `e1000_force_mac_fc` and `e1000_setup_link`.
        let of = |id, rx, tx| {
            let recorder = FakeMachine::recorded(chip(id));
            recorder.inner.poke(regs::CTRL, 0x1800_0040);
            program(&recorder, chip(id), Pause { rx, tx }, 1522);
            [regs::FCTTV, regs::FCRTL, regs::FCRTH, regs::CTRL].map(|register| recorder.inner.peek(register))
        };
        assert_eq!(of(0x100E, true, true), [0xFFFF, 0x8000_ACC0, 0xACC8, 0x1800_0040]);
        assert_eq!(of(0x100E, true, false), [0, 0, 0, 0x0800_0040]);
        assert_eq!(of(0x100E, false, false), [0, 0, 0, 0x0000_0040]);
        assert_eq!(of(0x10D3, false, true)[0], 0x0680);
        assert_eq!(
            of(0x153A, false, true),
            [0xFFFF, 0x8000_5048, 0x5C20, 0x1000_0040]
        );
    }
}
