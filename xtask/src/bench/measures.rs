//! What is measured, and what is wanted of it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::network::Step;
use super::statistics::Summary;

/// Part of the benchmark: what is done in one boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Calls on the driver's scheme, without a network stack: one after the other, and bursts.
    Calls,
    /// Readers of a sender that never lets up and is held back, without a network stack.
    Sustained,
    /// The same with one that overruns the ring.
    Overrun,
    /// What can be counted in instructions of the network: exchanges, with nothing to wait for in between.
    Exchanges,
    /// Exchanges through the system's own network stack. In wall time, as everything that follows.
    Ping,
    /// Connections, 1 to 16 at once, in each direction and in both.
    Tcp,
    /// Datagrams to the system, at rates below and above what it can take.
    Udp,
    /// A connection beside a flood, and pings beside a connection.
    Mixed,
}

impl Part {
    /// Whether the clock may count instructions.
    pub fn is_counted(self) -> bool {
        matches!(
            self,
            Self::Calls | Self::Sustained | Self::Overrun | Self::Exchanges
        )
    }

    /// What is done once the system's network is up.
    pub fn steps(self) -> Vec<Step> {
        let tcp = |receivers, senders| Step::Tcp { receivers, senders };
        match self {
            Self::Calls | Self::Sustained | Self::Overrun | Self::Exchanges => Vec::new(),
            Self::Ping => vec![Step::Ping],
            Self::Tcp => vec![
                tcp(1, 0),
                tcp(2, 0),
                tcp(4, 0),
                tcp(8, 0),
                tcp(16, 0),
                tcp(0, 1),
                tcp(0, 4),
                tcp(0, 8),
                tcp(1, 1),
                tcp(4, 4),
            ],
            Self::Udp => {
                let quiet = [1000, 2000, 3000, 4000].map(|rate| (rate, false));
                let flood = [5000, 8000, 20_000].map(|rate| (rate, true));
                let step = |(rate, pings)| Step::Udp { rate, pings };
                quiet.into_iter().chain(flood).map(step).collect()
            }
            Self::Mixed => vec![tcp(1, 0), Step::TcpBesideFlood, Step::PingUnderTcp],
        }
    }
}

/// How long the load of a measure lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// One call or exchange after the other: there is no load.
    Single,
    /// Frames for some groups of reads, then a pause.
    Burst,
    /// As much as is taken, or at a rate, for as long as it is measured.
    Sustained,
}

impl Kind {
    /// For the table.
    pub fn word(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Burst => "burst",
            Self::Sustained => "sustained",
        }
    }
}

/// Something that is measured.
#[derive(Debug)]
pub struct Measure {
    pub name: &'static str,
    pub title: &'static str,
    pub unit: &'static str,
    pub kind: Kind,
    pub lower_is_better: bool,
    pub target: Target,
}

/// What is wanted.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    None,
    /// At most so much of the same call on `/scheme/null`, which is another measure.
    OfFloor(f64, &'static str),
    /// At most, or at least where more is better, so much of the stock driver.
    OfStock(f64),
    /// The same of the driver that is called [`BEFORE`]; no target without one.
    OfBefore(f64),
    /// At least so many.
    AtLeast(f64),
    /// At most so many.
    AtMost(f64),
}

/// The label of an earlier driver of this project, for what must not become worse.
pub const BEFORE: &str = "before";

/// Differences that mean nothing: the clock on the wall depends on what else this machine does.
pub const CLOCK_TOLERANCE: f64 = 0.10;
/// Counted instructions depend on when interrupts come.
pub const COUNT_TOLERANCE: f64 = 0.04;

const fn call(name: &'static str, title: &'static str, kind: Kind, target: Target) -> Measure {
    Measure {
        name,
        title,
        unit: "ns",
        kind,
        lower_is_better: true,
        target,
    }
}

/// Of exchanges, in that unit.
const fn exchange(name: &'static str, title: &'static str, unit: &'static str, target: Target) -> Measure {
    Measure {
        name,
        title,
        unit,
        kind: Single,
        lower_is_better: true,
        target,
    }
}

/// Of a load that lasts, where more is better.
const fn load(name: &'static str, title: &'static str, unit: &'static str, target: Target) -> Measure {
    Measure {
        name,
        title,
        unit,
        kind: Sustained,
        lower_is_better: false,
        target,
    }
}

/// Of a load that lasts, where less is better.
const fn cost(name: &'static str, title: &'static str, unit: &'static str, target: Target) -> Measure {
    Measure {
        lower_is_better: true,
        ..load(name, title, unit, target)
    }
}

use Kind::{Burst, Single, Sustained};
use Target::{AtLeast, AtMost, OfBefore, OfFloor, OfStock};

/// Everything, in the order of the table.
pub const MEASURES: [Measure; 54] = [
    call(
        "floor-write-60",
        "write 60 B to /scheme/null",
        Single,
        Target::None,
    ),
    call(
        "floor-write-1514",
        "write 1514 B to /scheme/null",
        Single,
        Target::None,
    ),
    call(
        "floor-read",
        "read /scheme/null into 2048 B",
        Single,
        Target::None,
    ),
    call(
        "write-60",
        "write one 60 B frame",
        Single,
        OfFloor(1.06, "floor-write-60"),
    ),
    call(
        "write-1514",
        "write one 1514 B frame",
        Single,
        OfFloor(1.06, "floor-write-1514"),
    ),
    call(
        "read-60",
        "read one 60 B frame, blocking",
        Burst,
        OfFloor(1.15, "floor-read"),
    ),
    call(
        "read-1514",
        "read one 1514 B frame, blocking",
        Burst,
        OfFloor(1.15, "floor-read"),
    ),
    call(
        "read-60-events",
        "read one 60 B frame, event queue",
        Burst,
        OfFloor(1.25, "floor-read"),
    ),
    call(
        "read-1514-events",
        "read one 1514 B frame, event queue",
        Burst,
        OfFloor(1.25, "floor-read"),
    ),
    call(
        "sustained-60-events",
        "read 60 B frames, held back: event queue",
        Sustained,
        OfStock(0.8),
    ),
    call(
        "sustained-1514-events",
        "read 1514 B frames, held back: event queue",
        Sustained,
        OfStock(0.8),
    ),
    call(
        "sustained-60-alone",
        "read 60 B frames, held back: event queue, alone",
        Sustained,
        OfFloor(1.25, "floor-read"),
    ),
    call(
        "sustained-1514-alone",
        "read 1514 B frames, held back: event queue, alone",
        Sustained,
        OfFloor(1.25, "floor-read"),
    ),
    call(
        "sustained-60-blocking",
        "read 60 B frames, held back: blocking",
        Sustained,
        OfFloor(1.2, "floor-read"),
    ),
    call(
        "sustained-1514-blocking",
        "read 1514 B frames, held back: blocking",
        Sustained,
        OfFloor(1.2, "floor-read"),
    ),
    cost(
        "sustained-dropped",
        "lost or dropped by the driver meanwhile",
        "frames",
        AtMost(0.0),
    ),
    cost(
        "sustained-waited",
        "groups of 64 in which readers were told of no frame",
        "%",
        Target::None,
    ),
    call(
        "overrun-60-events",
        "read 60 B frames, overrun: event queue",
        Sustained,
        OfStock(0.8),
    ),
    call(
        "overrun-1514-events",
        "read 1514 B frames, overrun: event queue",
        Sustained,
        OfStock(0.8),
    ),
    call(
        "overrun-60-alone",
        "read 60 B frames, overrun: event queue, alone",
        Sustained,
        OfFloor(1.25, "floor-read"),
    ),
    call(
        "overrun-1514-alone",
        "read 1514 B frames, overrun: event queue, alone",
        Sustained,
        OfFloor(1.25, "floor-read"),
    ),
    call(
        "overrun-60-blocking",
        "read 60 B frames, overrun: blocking",
        Sustained,
        OfFloor(1.2, "floor-read"),
    ),
    call(
        "overrun-1514-blocking",
        "read 1514 B frames, overrun: blocking",
        Sustained,
        OfFloor(1.2, "floor-read"),
    ),
    cost(
        "overrun-dropped",
        "dropped by the driver meanwhile",
        "frames",
        AtMost(0.0),
    ),
    cost(
        "overrun-waited",
        "groups of 64 in which readers were told of no frame",
        "%",
        Target::None,
    ),
    Measure {
        name: "faults",
        title: "frames received twice or damaged",
        unit: "frames",
        kind: Burst,
        lower_is_better: true,
        target: AtMost(0.0),
    },
    exchange(
        "rtt",
        "ARP there and back, without netstack, median",
        "us",
        Target::None,
    ),
    exchange("ping", "ping through smolnetd, median", "us", OfStock(0.75)),
    exchange(
        "rtt-counted",
        "ARP there and back, without netstack",
        "instr",
        Target::None,
    ),
    exchange("ping-counted", "ping through smolnetd", "instr", Target::None),
    load(
        "tcp-in",
        "TCP, host to guest, 1 connection",
        "Mbit/s",
        OfStock(2.0),
    ),
    load(
        "tcp-in-2",
        "TCP, host to guest, 2 connections",
        "Mbit/s",
        OfStock(1.1),
    ),
    load(
        "tcp-in-4",
        "TCP, host to guest, 4 connections",
        "Mbit/s",
        OfStock(1.1),
    ),
    load(
        "tcp-in-8",
        "TCP, host to guest, 8 connections",
        "Mbit/s",
        OfStock(1.1),
    ),
    load(
        "tcp-in-16",
        "TCP, host to guest, 16 connections",
        "Mbit/s",
        OfStock(1.1),
    ),
    load(
        "tcp-in-8-of-1",
        "of it 8 connections over 1: no less, with 10 % tolerance",
        "",
        AtLeast(1.0 - CLOCK_TOLERANCE),
    ),
    load(
        "tcp-out",
        "TCP, guest to host, 1 connection",
        "Mbit/s",
        OfStock(1.3),
    ),
    load(
        "tcp-out-4",
        "TCP, guest to host, 4 connections",
        "Mbit/s",
        OfStock(1.3),
    ),
    load(
        "tcp-out-8",
        "TCP, guest to host, 8 connections",
        "Mbit/s",
        OfStock(1.3),
    ),
    load(
        "tcp-both-1",
        "TCP both ways at once, 1 connection each, sum",
        "Mbit/s",
        OfStock(1.5),
    ),
    load(
        "tcp-both-4",
        "TCP both ways at once, 4 connections each, sum",
        "Mbit/s",
        OfStock(1.5),
    ),
    load(
        "udp-1000-share",
        "UDP in, 1 000/s offered: delivered",
        "%",
        OfStock(1.0),
    ),
    load(
        "udp-2000-share",
        "UDP in, 2 000/s offered: delivered",
        "%",
        OfStock(1.0),
    ),
    load(
        "udp-3000-share",
        "UDP in, 3 000/s offered: delivered",
        "%",
        OfStock(1.0),
    ),
    load(
        "udp-4000-share",
        "UDP in, 4 000/s offered: delivered",
        "%",
        OfStock(1.0),
    ),
    load(
        "udp-5000",
        "UDP in, 5 000/s offered: delivered",
        "/s",
        OfBefore(1.0),
    ),
    load("udp-5000-ping", "meanwhile pings answered", "%", AtLeast(50.0)),
    load(
        "udp-8000",
        "UDP in, 8 000/s offered: delivered",
        "/s",
        OfBefore(1.0),
    ),
    load("udp-8000-ping", "meanwhile pings answered", "%", AtLeast(50.0)),
    load(
        "udp-20000",
        "UDP in, 20 000/s offered: delivered",
        "/s",
        OfBefore(1.0),
    ),
    load("udp-20000-ping", "meanwhile pings answered", "%", AtLeast(50.0)),
    load(
        "tcp-beside-flood",
        "TCP, host to guest, beside UDP at 20 000/s",
        "Mbit/s",
        Target::None,
    ),
    load(
        "tcp-beside-flood-share",
        "that as a share of the rate alone",
        "",
        AtLeast(0.25),
    ),
    cost(
        "ping-under-tcp",
        "ping beside a TCP transfer to the guest, median",
        "us",
        OfStock(1.0),
    ),
];

/// All values of one driver, by measure.
pub type Values = BTreeMap<&'static str, Vec<f64>>;

/// The measure of that name.
pub fn find(name: &str) -> Option<&'static Measure> {
    MEASURES.iter().find(|measure| measure.name == name)
}

/// How a driver stands to a target.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// In words: "at most 1.06 x floor".
    pub target: String,
    /// What is compared with the limit; none if something was not measured.
    pub reached: Option<f64>,
    pub met: Option<bool>,
}

/// What a driver is compared with.
pub struct References<'a> {
    /// Values of the stock driver, or of the first one.
    pub stock: &'a Values,
    /// Values of the driver that is called [`BEFORE`].
    pub before: Option<&'a Values>,
    /// Processors of the machine.
    pub smp: u32,
    /// Whether the clock counted instructions where it could.
    pub icount: bool,
}

impl Measure {
    /// Compares the medians of a driver with the target. On more than one processor it is always the same: not to be
    /// worse than the stock driver.
    pub fn verdict(&self, own: &Values, references: &References<'_>) -> Option<Verdict> {
        let median = |values: &Values, name: &str| {
            let summary = Summary::of(values.get(name)?)?;
            Some(summary.median)
        };
        let value = median(own, self.name);
        let ratio = |to: Option<f64>| Some(value? / to.filter(|to| *to > 0.0)?);
        let bound = if self.lower_is_better {
            "at most"
        } else {
            "at least"
        };
        let target = match self.target {
            Target::None => return None,
            AtLeast(_) | AtMost(_) => self.target,
            _ if references.smp > 1 => OfStock(self.no_worse(references.icount)),
            target => target,
        };
        let (target, limit, reached) = match target {
            Target::None => return None,
            OfFloor(limit, floor) => (
                format!("{bound} {limit} x floor"),
                limit,
                ratio(median(own, floor)),
            ),
            OfStock(limit) => (
                format!("{bound} {limit} x stock"),
                limit,
                ratio(median(references.stock, self.name)),
            ),
            OfBefore(limit) => (
                format!("{bound} {limit} x {BEFORE}"),
                limit,
                ratio(median(references.before?, self.name)),
            ),
            AtLeast(limit) | AtMost(limit) => (format!("{bound} {limit} {}", self.unit), limit, value),
        };
        let met = reached.map(|reached| {
            if self.lower_is_better {
                reached <= limit
            } else {
                reached >= limit
            }
        });
        Some(Verdict {
            target: target.trim_end().to_owned(),
            reached,
            met,
        })
    }

    /// Differences that mean nothing, as a part of the value.
    pub fn tolerance(&self, icount: bool) -> f64 {
        if self.unit(icount) == "instr" {
            COUNT_TOLERANCE
        } else {
            CLOCK_TOLERANCE
        }
    }

    /// What another driver's value may become at worst, as a part of it.
    fn no_worse(&self, icount: bool) -> f64 {
        let tolerance = self.tolerance(icount);
        if self.lower_is_better {
            1.0 + tolerance
        } else {
            1.0 - tolerance
        }
    }

    /// The unit; a nanosecond is an instruction where the clock counts instructions.
    pub fn unit(&self, icount: bool) -> &'static str {
        if self.unit == "ns" && icount {
            "instr"
        } else {
            self.unit
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&'static str, f64)]) -> Values {
        pairs.iter().map(|(name, value)| (*name, vec![*value])).collect()
    }

    #[test]
    fn names_are_unique_and_floors_exist() {
        for measure in &MEASURES {
            let same = MEASURES.iter().filter(|other| other.name == measure.name);
            assert_eq!(same.count(), 1, "{}", measure.name);
            if let OfFloor(_, floor) = measure.target {
                assert!(find(floor).is_some());
            }
        }
    }

    /// What is compared with, on one processor.
    fn references<'a>(stock: &'a Values, before: Option<&'a Values>) -> References<'a> {
        References {
            stock,
            before,
            smp: 1,
            icount: false,
        }
    }

    #[test]
    fn targets_compare_with_the_floor_other_drivers_or_nothing() {
        let stock = values(&[("tcp-in", 50.0), ("ping", 400.0)]);
        let before = values(&[("udp-5000", 3000.0)]);
        let own = values(&[
            ("write-60", 10_500.0),
            ("floor-write-60", 10_000.0),
            ("tcp-in", 99.0),
            ("ping", 300.0),
            ("udp-5000", 2999.0),
            ("udp-5000-ping", 50.0),
        ]);
        let references = references(&stock, Some(&before));
        let met = |name: &str| find(name).unwrap().verdict(&own, &references).unwrap().met;
        assert_eq!(met("write-60"), Some(true));
        assert_eq!(met("tcp-in"), Some(false));
        assert_eq!(met("ping"), Some(true));
        assert_eq!(met("udp-5000"), Some(false));
        assert_eq!(met("udp-5000-ping"), Some(true));
        assert_eq!(met("read-60"), None, "not measured");
        assert_eq!(find("floor-read").unwrap().verdict(&own, &references), None);
    }

    #[test]
    fn without_an_earlier_driver_there_is_nothing_to_compare_with() {
        let values = values(&[("udp-5000", 3000.0)]);
        let measure = find("udp-5000").unwrap();
        assert_eq!(measure.verdict(&values, &references(&values, None)), None);
    }

    #[test]
    fn on_several_processors_nothing_may_be_worse_than_stock() {
        let stock = values(&[("tcp-in", 50.0), ("sustained-60-alone", 100.0)]);
        let own = values(&[
            ("tcp-in", 45.1),
            ("sustained-60-alone", 105.0),
            ("tcp-in-8-of-1", 0.91),
        ]);
        let references = References {
            smp: 4,
            icount: true,
            ..references(&stock, None)
        };
        let verdict = |name: &str| find(name).unwrap().verdict(&own, &references).unwrap();
        assert_eq!(verdict("tcp-in").target, "at least 0.9 x stock");
        assert_eq!(verdict("tcp-in").met, Some(true));
        assert_eq!(verdict("sustained-60-alone").target, "at most 1.04 x stock");
        assert_eq!(verdict("sustained-60-alone").met, Some(false));
        assert_eq!(verdict("tcp-in-8-of-1").met, Some(true));
    }

    #[test]
    fn words_of_a_target_say_which_way() {
        let words = |name: &str| {
            let none = Values::default();
            let references = references(&none, Some(&none));
            find(name).unwrap().verdict(&none, &references).unwrap().target
        };
        assert_eq!(words("write-60"), "at most 1.06 x floor");
        assert_eq!(words("tcp-in"), "at least 2 x stock");
        assert_eq!(words("udp-5000"), "at least 1 x before");
        assert_eq!(words("tcp-beside-flood-share"), "at least 0.25");
    }

    #[test]
    fn each_step_has_a_measure() {
        for part in [Part::Ping, Part::Tcp, Part::Udp, Part::Mixed] {
            for step in part.steps() {
                let name = step.name();
                let found = find(&name).or_else(|| find(&format!("{name}-share")));
                assert!(found.is_some(), "{name}");
            }
        }
    }

    #[test]
    fn loads_of_rows_are_named() {
        let kind = |name: &str| find(name).unwrap().kind.word();
        assert_eq!(
            [
                kind("write-60"),
                kind("read-60"),
                kind("sustained-60-alone"),
                kind("tcp-in")
            ],
            ["single", "burst", "sustained", "sustained"]
        );
    }
}
