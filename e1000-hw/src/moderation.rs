//! Interrupt moderation: the shortest time between two interrupts.
//!
//! With any interval, the first frame after a pause raises its interrupt at once; only the frames that follow wait. A
//! short interval suits requests and answers, where the next frame comes only after an answer. A long one suits
//! streams, where each interrupt then brings more frames. [`Policy::Adaptive`] classifies the traffic by the frames and
//! bytes since the previous interrupt, as Linux does (e1000, `e1000_update_itr`). It reads no register, and writes one
//! only when the class changes: to a shorter interval at once, to a longer one after two interrupts in a row that ask
//! for it, so that a single burst does not delay the frames after it.

use core::fmt;
use core::str::FromStr;

use crate::chip::{Chip, Quirks};

/// Kind of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Single small frames, such as requests and their answers: 70 000 interrupts a second at most.
    Lowest,
    /// Other traffic of low volume: 20 000.
    Low,
    /// Streams: 4000.
    Bulk,
}

impl Class {
    /// The interval, in units of 256 ns.
    pub const fn interval(self) -> u32 {
        match self {
            Self::Lowest => 55,
            Self::Low => 195,
            Self::Bulk => 976,
        }
    }

    /// The class after an interval with that number of frames and bytes. Without frames it is unchanged.
    #[must_use]
    pub fn next(self, frames: u64, bytes: u64) -> Self {
        if frames == 0 {
            return self;
        }
        let mean = bytes / frames;
        match self {
            Self::Lowest if mean > 8000 => Self::Bulk,
            Self::Lowest if frames < 5 && bytes > 512 => Self::Low,
            // Not in Linux: hardware cannot receive that much in an interval of this class, but QEMU can.
            Self::Lowest if bytes > 10_000 && mean > 1200 => Self::Low,
            Self::Low if bytes > 10_000 => {
                if mean > 1200 || frames < 10 {
                    Self::Bulk
                } else if frames > 35 {
                    Self::Lowest
                } else {
                    Self::Low
                }
            }
            Self::Low if mean > 2000 => Self::Bulk,
            Self::Low if frames <= 2 && bytes < 512 => Self::Lowest,
            // Linux leaves it with full frames, too, and is back with the next interrupt.
            Self::Bulk if bytes > 25_000 && frames > 35 && mean <= 1200 => Self::Low,
            Self::Bulk if bytes < 6000 => Self::Low,
            same => same,
        }
    }
}

/// Choice of the interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// A fixed interval, in units of 256 ns; 0 for none, which 82547 does not support.
    Fixed(u32),
    /// The interval of the traffic's [`Class`].
    Adaptive,
}

/// Text that is not the name of a [`Policy`]: `off`, `lowest`, `low`, `bulk` or `adaptive`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownPolicy;

impl fmt::Display for UnknownPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("moderation is off, lowest, low, bulk or adaptive")
    }
}

impl core::error::Error for UnknownPolicy {}

impl FromStr for Policy {
    type Err = UnknownPolicy;

    fn from_str(name: &str) -> Result<Self, UnknownPolicy> {
        match name {
            "off" => Ok(Self::Fixed(0)),
            "lowest" => Ok(Self::Fixed(Class::Lowest.interval())),
            "low" => Ok(Self::Fixed(Class::Low.interval())),
            "bulk" => Ok(Self::Fixed(Class::Bulk.interval())),
            "adaptive" => Ok(Self::Adaptive),
            _ => Err(UnknownPolicy),
        }
    }
}

/// The policy after bring-up: at most 20 000 interrupts a second. Measurements and the reason are in
/// `docs/hardware.md`.
pub const DEFAULT_POLICY: Policy = Policy::Fixed(Class::Low.interval());

/// Returns the value of ITR (or EITR) closest to `interval`, in units of 256 ns between interrupts, that this part
/// takes.
pub fn for_chip(chip: &Chip, interval: u32) -> u32 {
    /// 75 000 interrupts a second: 1e9 / (75 000 * 256), rounded up.
    const SHORTEST: u32 = 53;
    if chip.quirks.contains(Quirks::ITR_ZERO_HANGS) {
        interval.max(SHORTEST)
    } else {
        interval
    }
}

/// Traffic of one direction.
#[derive(Clone, Copy, Debug)]
struct Direction {
    class: Class,
    /// Frames and bytes up to the last interrupt.
    seen: (u64, u64),
}

impl Direction {
    const fn new() -> Self {
        Self {
            class: Class::Low,
            seen: (0, 0),
        }
    }

    /// Takes the total frames and bytes so far. Returns the class, or `None` if there were no frames since the last
    /// call.
    fn update(&mut self, (frames, bytes): (u64, u64)) -> Option<Class> {
        let (frames_before, bytes_before) = core::mem::replace(&mut self.seen, (frames, bytes));
        let (frames, bytes) = (
            frames.saturating_sub(frames_before),
            bytes.saturating_sub(bytes_before),
        );
        self.class = self.class.next(frames, bytes);
        (frames != 0).then_some(self.class)
    }
}

/// Chooses the interval.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moderator {
    policy: Policy,
    rx: Direction,
    tx: Direction,
    /// Class of the current interval, with [`Policy::Adaptive`].
    class: Class,
    /// The last interrupt asked for a longer interval.
    rising: bool,
    interval: u32,
}

impl Moderator {
    pub(crate) const fn new() -> Self {
        Self {
            policy: DEFAULT_POLICY,
            rx: Direction::new(),
            tx: Direction::new(),
            class: Class::Low,
            rising: false,
            interval: Class::Low.interval(),
        }
    }

    /// Current interval, in units of 256 ns.
    pub(crate) fn interval(&self) -> u32 {
        self.interval
    }

    /// Sets the policy, and forgets the traffic so far.
    pub(crate) fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
        (self.rx.class, self.tx.class, self.class) = (Class::Low, Class::Low, Class::Low);
        self.rising = false;
        self.interval = match policy {
            Policy::Fixed(interval) => interval,
            Policy::Adaptive => Class::Low.interval(),
        };
    }

    /// Takes the total frames and bytes so far, received and sent. To be called after an interrupt. Returns the
    /// interval if it has changed. Of the directions that had frames, the one with the longer interval counts.
    pub(crate) fn update(&mut self, rx: (u64, u64), tx: (u64, u64)) -> Option<u32> {
        if self.policy != Policy::Adaptive {
            return None;
        }
        let class = self.rx.update(rx).max(self.tx.update(tx))?;
        let rising = core::mem::replace(&mut self.rising, class > self.class);
        if class == self.class || class > self.class && !rising {
            return None;
        }
        (self.class, self.rising) = (class, false);
        self.interval = class.interval();
        Some(self.interval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Class::{Bulk, Low, Lowest};

    #[test]
    fn classes_change_as_the_table_says() {
        // Linux e1000, `e1000_update_itr`, branch by branch, with values just inside and just outside.
        for (class, frames, bytes, next) in [
            (Lowest, 1, 8001, Bulk),
            (Lowest, 20, 30_280, Low),
            (Lowest, 100, 10_001, Lowest),
            (Lowest, 4, 513, Low),
            (Lowest, 4, 512, Lowest),
            (Lowest, 5, 7500, Lowest),
            (Low, 2, 16_002, Bulk),
            (Low, 9, 10_001, Bulk),
            (Low, 10, 10_001, Low),
            (Low, 9, 10_809, Bulk),
            (Low, 10, 12_010, Bulk),
            (Low, 36, 10_001, Lowest),
            (Low, 35, 10_001, Low),
            (Low, 1, 2001, Bulk),
            (Low, 1, 2000, Low),
            (Low, 2, 511, Lowest),
            (Low, 2, 512, Low),
            (Low, 3, 180, Low),
            (Bulk, 36, 25_001, Low),
            (Bulk, 100, 120_000, Low),
            (Bulk, 100, 121_000, Bulk),
            (Bulk, 35, 25_001, Bulk),
            (Bulk, 36, 25_000, Bulk),
            (Bulk, 4, 5999, Low),
            (Bulk, 4, 6000, Bulk),
        ] {
            assert_eq!(
                class.next(frames, bytes),
                next,
                "{class:?}, {frames} frames, {bytes} bytes"
            );
            assert_eq!(class.next(0, 0), class);
        }
    }

    #[test]
    fn intervals_are_those_of_the_rates() {
        for (class, rate) in [(Lowest, 70_000), (Low, 20_000), (Bulk, 4000)] {
            assert_eq!(class.interval(), 1_000_000_000 / (rate * 256), "{class:?}");
        }
    }

    #[test]
    fn idle_traffic_ends_in_the_lowest_class_and_a_stream_in_the_highest() {
        let mut moderator = Moderator::new();
        moderator.set_policy(Policy::Adaptive);
        let (mut frames, mut bytes) = (0, 0);
        let mut interrupt = |moderator: &mut Moderator, more, len| {
            (frames, bytes) = (frames + more, bytes + more * len);
            moderator.update((frames, bytes), (0, 0))
        };
        assert_eq!(
            interrupt(&mut moderator, 1, 98),
            Some(Lowest.interval()),
            "a ping"
        );
        assert_eq!(interrupt(&mut moderator, 1, 98), None);
        // 20 full frames each interrupt, as at 1000 Mbit/s with 4000 interrupts a second.
        assert_eq!(interrupt(&mut moderator, 4, 1514), None, "one burst");
        assert_eq!(interrupt(&mut moderator, 1, 98), None, "is over");
        assert_eq!(interrupt(&mut moderator, 4, 1514), None);
        assert_eq!(interrupt(&mut moderator, 20, 1514), Some(Bulk.interval()));
        assert_eq!(interrupt(&mut moderator, 20, 1514), None);
        assert_eq!(interrupt(&mut moderator, 0, 0), None);
        assert_eq!(interrupt(&mut moderator, 1, 98), Some(Low.interval()));
        assert_eq!(interrupt(&mut moderator, 1, 98), Some(Lowest.interval()));
    }

    #[test]
    fn fixed_interval_stays() {
        let mut moderator = Moderator::new();
        moderator.set_policy(Policy::Fixed(0));
        assert_eq!(moderator.update((100, 150_000), (0, 0)), None);
        assert_eq!(moderator.interval(), 0);
    }

    #[test]
    fn interval_of_82547_is_never_zero() {
        let of = |id| {
            let chip = crate::chip::find(0x8086, id)?;
            Some((for_chip(chip, 0), for_chip(chip, 195)))
        };
        assert_eq!(of(0x1019), Some((53, 195)));
        assert_eq!(of(0x100E), Some((0, 195)));
    }
}
