//! Flow control: pause frames, what both ends agreed on, and the registers that do it (IEEE 802.3, annexes 28B and 31B).
//!
//! A NIC that honours pause frames (`rx`) stops sending while its partner asks for it. One that sends them (`tx`) asks
//! its partner to stop while its packet buffer is nearly full. That happens, too, when nobody reads: a client that
//! hangs would then hold up the port of the switch, and with a simple switch everybody on it. So a NIC does not send
//! them unless it is told to ([`crate::nic::LinkControl::set_pause`]); what finds no room is dropped.

use core::fmt;
use core::str::FromStr;

use crate::chip::{Chip, Media, PhyAccess};
use crate::link::change;
use crate::packet_buffer;
use crate::phy::{AnAdvertise, Bmsr, Phy, PhyError, register};
use crate::platform::{Clock, Registers};
use crate::regs::{self, Ctrl};

/// Pause frames, by direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pause {
    /// The NIC stops sending when it is asked to.
    pub rx: bool,
    /// The NIC asks the partner to stop when its packet buffer fills.
    pub tx: bool,
}

impl Pause {
    /// In no direction.
    pub const NONE: Self = Self { rx: false, tx: false };
    /// Honoured, not sent: what is wanted after bring-up.
    pub const RX: Self = Self { rx: true, tx: false };
    /// Sent, not honoured.
    pub const TX: Self = Self { rx: false, tx: true };
    /// In both directions.
    pub const BOTH: Self = Self { rx: true, tx: true };

    /// What autonegotiation has to offer for it.
    ///
    /// There is no offer that means `rx` alone: it is that of both, and what is not wanted is left off afterwards, as
    /// Linux does (e1000, `e1000_config_fc_after_link_up`).
    pub fn offer(self) -> PauseOffer {
        PauseOffer {
            symmetric: self.rx,
            asymmetric: self.rx || self.tx,
        }
    }

    /// What is in both.
    fn and(self, other: Self) -> Self {
        Self {
            rx: self.rx && other.rx,
            tx: self.tx && other.tx,
        }
    }
}

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.rx, self.tx) {
            (false, false) => "none",
            (true, false) => "rx",
            (false, true) => "tx",
            (true, true) => "both",
        })
    }
}

/// Not the name of a [`Pause`]: `none`, `rx`, `tx` or `both`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownPause;

impl fmt::Display for UnknownPause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("pause is none, rx, tx or both")
    }
}

impl core::error::Error for UnknownPause {}

impl FromStr for Pause {
    type Err = UnknownPause;

    fn from_str(name: &str) -> Result<Self, UnknownPause> {
        match name {
            "none" => Ok(Self::NONE),
            "rx" => Ok(Self::RX),
            "tx" => Ok(Self::TX),
            "both" => Ok(Self::BOTH),
            _ => Err(UnknownPause),
        }
    }
}

/// What one side offers of pause: the bits PAUSE and ASM_DIR of its autonegotiation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PauseOffer {
    /// PAUSE: bit 10 of PHY registers 4 and 5, bit 7 of TXCW and RXCW.
    pub symmetric: bool,
    /// ASM_DIR: bit 11, bit 8.
    pub asymmetric: bool,
}

impl PauseOffer {
    /// From the value of PHY register 4 or 5.
    fn from_phy(value: u16) -> Self {
        let bits = AnAdvertise::from_bits_retain(value);
        Self {
            symmetric: bits.contains(AnAdvertise::PAUSE),
            asymmetric: bits.contains(AnAdvertise::ASM_DIR),
        }
    }

    /// As bits of PHY register 4.
    pub(crate) fn phy(self) -> AnAdvertise {
        let mut bits = AnAdvertise::empty();
        bits.set(AnAdvertise::PAUSE, self.symmetric);
        bits.set(AnAdvertise::ASM_DIR, self.asymmetric);
        bits
    }

    /// From the value of TXCW or RXCW.
    fn from_code_word(value: u32) -> Self {
        Self {
            symmetric: value & regs::TXCW_PAUSE != 0,
            asymmetric: value & regs::TXCW_ASM_DIR != 0,
        }
    }

    /// As bits of TXCW.
    fn code_word(self) -> u32 {
        let bit = |offered, bit| if offered { bit } else { 0 };
        bit(self.symmetric, regs::TXCW_PAUSE) | bit(self.asymmetric, regs::TXCW_ASM_DIR)
    }
}

/// What two offers come to, for the local side (IEEE 802.3, annex 28B; HF 6).
pub fn resolve(local: PauseOffer, partner: PauseOffer) -> Pause {
    let asymmetric = local.asymmetric && partner.asymmetric;
    match (local.symmetric, partner.symmetric) {
        (true, true) => Pause::BOTH,
        (false, true) => Pause {
            rx: false,
            tx: asymmetric,
        },
        (true, false) => Pause {
            rx: asymmetric,
            tx: false,
        },
        (false, false) => Pause::NONE,
    }
}

/// The value of TXCW: the MAC of fiber and serdes parts negotiates, full duplex only.
pub(crate) fn txcw(wanted: Pause) -> u32 {
    regs::TXCW_ANE | regs::TXCW_FD | wanted.offer().code_word()
}

/// Offers what is `wanted` from now on, on fiber and serdes. A link that is forced, for want of a partner that negotiates,
/// stays so.
pub(crate) fn offer(registers: &impl Registers, wanted: Pause) {
    let mask = regs::TXCW_PAUSE | regs::TXCW_ASM_DIR;
    change(registers, regs::TXCW, mask, wanted.offer().code_word());
}

/// What a link that is up in full duplex has negotiated of what is `wanted`. Nothing, if the partner does not negotiate.
///
/// Reads registers 1, 4 and 5 of the PHY, or TXCW and RXCW. The PHY of ICH/PCH belongs to firmware and is not asked.
///
/// # Errors
///
/// When the PHY does not answer, or is not given up, within the bounds of [`Phy`].
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
        (
            PauseOffer::from_code_word(local),
            PauseOffer::from_code_word(partner),
        )
    } else if chip.limits.phy == PhyAccess::Firmware {
        return Ok(Pause::NONE);
    } else {
        let phy = Phy::open(registers, chip, clock)?;
        let status = phy.read(register::BMSR)?;
        // What nobody answers reads as all ones on 82543.
        if status == u16::MAX {
            return Err(PhyError::NoAnswer);
        }
        if !Bmsr::from_bits_retain(status).contains(Bmsr::NEGOTIATED) {
            return Ok(Pause::NONE);
        }
        (
            PauseOffer::from_phy(phy.read(register::AN_ADVERTISE)?),
            PauseOffer::from_phy(phy.read(register::AN_PARTNER)?),
        )
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
    // A device that says that it is being reset must not be reset by that.
    let resets = Ctrl::RST | Ctrl::PHY_RST;
    change(
        registers,
        regs::CTRL,
        (Ctrl::RFCE | Ctrl::TFCE | resets).bits(),
        flags.bits(),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFERS: [(u8, u8); 4] = [(0, 0), (0, 1), (1, 0), (1, 1)];

    fn offer((symmetric, asymmetric): (u8, u8)) -> PauseOffer {
        PauseOffer {
            symmetric: symmetric != 0,
            asymmetric: asymmetric != 0,
        }
    }

    #[test]
    fn all_sixteen_pairs_of_offers_are_resolved_as_in_annex_28b() {
        // One row for each local (PAUSE, ASM_DIR), one column for each of the partner, both in the order of OFFERS.
        let table = [
            ["none", "none", "none", "none"],
            ["none", "none", "none", "tx"],
            ["none", "none", "both", "both"],
            ["none", "rx", "both", "both"],
        ];
        for (local, row) in OFFERS.into_iter().zip(table) {
            for (partner, want) in OFFERS.into_iter().zip(row) {
                let pause = resolve(offer(local), offer(partner));
                assert_eq!(pause, want.parse().expect("a name"), "{local:?} {partner:?}");
                // The other side comes to the mirror image.
                let mirrored = resolve(offer(partner), offer(local));
                assert_eq!((mirrored.rx, mirrored.tx), (pause.tx, pause.rx));
            }
        }
    }

    #[test]
    fn offers_never_lead_to_more_than_is_wanted() {
        for wanted in [Pause::NONE, Pause::RX, Pause::TX, Pause::BOTH] {
            let best = resolve(wanted.offer(), offer((1, 1)));
            assert_eq!(best.and(wanted), wanted, "a partner that offers all gives it");
            let word = wanted.offer().code_word();
            assert_eq!(PauseOffer::from_code_word(word), wanted.offer());
            assert_eq!(PauseOffer::from_phy(wanted.offer().phy().bits()), wanted.offer());
        }
        assert_eq!("full".parse::<Pause>(), Err(UnknownPause));
    }
}
