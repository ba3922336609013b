//! What is measured, and what is wanted of it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::statistics::Summary;

/// Part of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Calls on the driver's scheme, without a network stack.
    Calls,
    /// The system's own network stack above the driver. Always in wall time.
    Network,
    /// What can be counted in instructions of it: exchanges, with nothing to wait for in between.
    Exchanges,
}

/// Something that is measured.
#[derive(Debug)]
pub struct Measure {
    pub name: &'static str,
    pub title: &'static str,
    pub unit: &'static str,
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
    /// At least so many.
    AtLeast(f64),
    /// At most so many.
    AtMost(f64),
}

const fn call(name: &'static str, title: &'static str, target: Target) -> Measure {
    Measure {
        name,
        title,
        unit: "ns",
        lower_is_better: true,
        target,
    }
}

const fn network(
    name: &'static str,
    title: &'static str,
    unit: &'static str,
    lower_is_better: bool,
    target: Target,
) -> Measure {
    Measure {
        name,
        title,
        unit,
        lower_is_better,
        target,
    }
}

/// Everything, in the order of the table.
pub const MEASURES: [Measure; 20] = [
    call("floor-write-60", "write 60 B to /scheme/null", Target::None),
    call("floor-write-1514", "write 1514 B to /scheme/null", Target::None),
    call("floor-read", "read /scheme/null into 2048 B", Target::None),
    call(
        "write-60",
        "write one 60 B frame",
        Target::OfFloor(1.06, "floor-write-60"),
    ),
    call(
        "write-1514",
        "write one 1514 B frame",
        Target::OfFloor(1.06, "floor-write-1514"),
    ),
    call(
        "read-60",
        "read one 60 B frame, blocking",
        Target::OfFloor(1.15, "floor-read"),
    ),
    call(
        "read-1514",
        "read one 1514 B frame, blocking",
        Target::OfFloor(1.15, "floor-read"),
    ),
    call(
        "read-60-events",
        "read one 60 B frame, event queue",
        Target::OfFloor(1.25, "floor-read"),
    ),
    call(
        "read-1514-events",
        "read one 1514 B frame, event queue",
        Target::OfFloor(1.25, "floor-read"),
    ),
    Measure {
        name: "faults",
        title: "frames received twice or damaged",
        unit: "frames",
        lower_is_better: true,
        target: Target::AtMost(0.0),
    },
    network(
        "rtt",
        "ARP there and back, without netstack, median",
        "us",
        true,
        Target::None,
    ),
    network(
        "ping",
        "ping through smolnetd, median",
        "us",
        true,
        Target::OfStock(0.75),
    ),
    network(
        "rtt-counted",
        "ARP there and back, without netstack",
        "instr",
        true,
        Target::None,
    ),
    network(
        "ping-counted",
        "ping through smolnetd",
        "instr",
        true,
        Target::None,
    ),
    network(
        "tcp-in",
        "TCP, host to guest",
        "Mbit/s",
        false,
        Target::OfStock(2.0),
    ),
    network(
        "tcp-out",
        "TCP, guest to host",
        "Mbit/s",
        false,
        Target::OfStock(1.3),
    ),
    network(
        "udp-5000",
        "UDP in, 5 000/s offered: delivered",
        "/s",
        false,
        Target::AtLeast(3000.0),
    ),
    network(
        "udp-5000-ping",
        "meanwhile pings answered",
        "%",
        false,
        Target::AtLeast(50.0),
    ),
    network(
        "udp-20000",
        "UDP in, 20 000/s offered: delivered",
        "/s",
        false,
        Target::AtLeast(3000.0),
    ),
    network(
        "udp-20000-ping",
        "meanwhile pings answered",
        "%",
        false,
        Target::AtLeast(50.0),
    ),
];

/// All values of one driver, by measure.
pub type Values = BTreeMap<&'static str, Vec<f64>>;

/// The measure of that name.
#[cfg(test)]
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

impl Measure {
    /// Compares the medians of a driver with the target. `stock` are the values of the driver to compare with.
    pub fn verdict(&self, own: &Values, stock: &Values) -> Option<Verdict> {
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
        let (target, limit, reached) = match self.target {
            Target::None => return None,
            Target::OfFloor(limit, floor) => (
                format!("{bound} {limit} x floor"),
                limit,
                ratio(median(own, floor)),
            ),
            Target::OfStock(limit) => (
                format!("{bound} {limit} x stock"),
                limit,
                ratio(median(stock, self.name)),
            ),
            Target::AtLeast(limit) | Target::AtMost(limit) => {
                (format!("{bound} {limit} {}", self.unit), limit, value)
            }
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
            if let Target::OfFloor(_, floor) = measure.target {
                assert!(find(floor).is_some());
            }
        }
    }

    #[test]
    fn targets_compare_with_the_floor_the_stock_driver_or_nothing() {
        let stock = values(&[("tcp-in", 50.0), ("ping", 400.0)]);
        let own = values(&[
            ("write-60", 10_500.0),
            ("floor-write-60", 10_000.0),
            ("tcp-in", 99.0),
            ("ping", 300.0),
            ("udp-5000", 3000.0),
        ]);
        let met = |name: &str| find(name).unwrap().verdict(&own, &stock).unwrap().met;
        assert_eq!(met("write-60"), Some(true));
        assert_eq!(met("tcp-in"), Some(false));
        assert_eq!(met("ping"), Some(true));
        assert_eq!(met("udp-5000"), Some(true));
        assert_eq!(met("read-60"), None, "not measured");
        assert_eq!(find("floor-read").unwrap().verdict(&own, &stock), None);
    }

    #[test]
    fn words_of_a_target_say_which_way() {
        let words = |name: &str| {
            let none = Values::default();
            find(name).unwrap().verdict(&none, &none).unwrap().target
        };
        assert_eq!(words("write-60"), "at most 1.06 x floor");
        assert_eq!(words("tcp-in"), "at least 2 x stock");
        assert_eq!(words("udp-5000"), "at least 3000 /s");
    }
}
