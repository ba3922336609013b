//! Pause frames: the directions in which they are used, and what autonegotiation offers for them (IEEE 802.3, annex
//! 28B).

use core::fmt;
use core::str::FromStr;

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
    /// Honoured, not sent: wanted after bring-up.
    pub const RX: Self = Self { rx: true, tx: false };
    /// Sent, not honoured.
    pub const TX: Self = Self { rx: false, tx: true };
    /// In both directions.
    pub const BOTH: Self = Self { rx: true, tx: true };

    /// Bits that autonegotiation has to advertise for it.
    ///
    /// `rx` alone cannot be advertised. It advertises both directions, and `tx` is left off afterwards, as Linux does
    /// (e1000, `e1000_config_fc_after_link_up`).
    pub fn offer(self) -> PauseOffer {
        PauseOffer {
            symmetric: self.rx,
            asymmetric: self.rx || self.tx,
        }
    }

    /// Directions that are in both.
    pub(crate) fn and(self, other: Self) -> Self {
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

/// Text that is not the name of a [`Pause`]: `none`, `rx`, `tx` or `both`.
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

/// Offer of one side: the bits PAUSE and ASM_DIR of its autonegotiation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PauseOffer {
    /// PAUSE: bit 10 of PHY registers 4 and 5, bit 7 of TXCW and RXCW.
    pub symmetric: bool,
    /// ASM_DIR: bit 11, bit 8.
    pub asymmetric: bool,
}

/// Pause frames of the local side that result from two offers (IEEE 802.3, annex 28B, table 28B-3).
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
        }
        assert_eq!("full".parse::<Pause>(), Err(UnknownPause));
    }
}
