//! Measures, and the comparison of drivers by them.

use std::collections::BTreeMap;

use serde::Serialize;

use super::statistics::Summary;

/// Duration of a measure's load.
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

/// The target.
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

/// All values of one driver, by measure.
pub type Values = BTreeMap<&'static str, Vec<f64>>;

/// Standing of a driver to a target.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// In words: "at most 1.06 x floor".
    pub target: String,
    /// Value that is compared with the limit; none if something was not measured.
    pub reached: Option<f64>,
    pub met: Option<bool>,
}

/// Values that a driver is compared with.
pub struct References<'a> {
    /// Values of the stock driver, or of the first one.
    pub stock: &'a Values,
    /// Values of the driver that is called [`BEFORE`].
    pub before: Option<&'a Values>,
    /// Processors of the machine.
    pub smp: u32,
    /// True if the clock counted instructions where it could.
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
            Target::AtLeast(_) | Target::AtMost(_) => self.target,
            _ if references.smp > 1 => Target::OfStock(self.no_worse(references.icount)),
            target => target,
        };
        let (target, limit, reached) = match target {
            Target::None => return None,
            Target::OfFloor(limit, floor) => (
                format!("{bound} {limit} x floor"),
                limit,
                ratio(median(own, floor)),
            ),
            Target::OfStock(limit) => (
                format!("{bound} {limit} x stock"),
                limit,
                ratio(median(references.stock, self.name)),
            ),
            Target::OfBefore(limit) => (
                format!("{bound} {limit} x {BEFORE}"),
                limit,
                ratio(median(references.before?, self.name)),
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

    /// Differences that mean nothing, as a part of the value.
    pub fn tolerance(&self, icount: bool) -> f64 {
        if self.unit(icount) == "instr" {
            COUNT_TOLERANCE
        } else {
            CLOCK_TOLERANCE
        }
    }

    /// Limit for another driver's value at worst, as a part of it.
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
    use super::super::table::{MEASURES, find};
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

    /// Values that are compared with, on one processor.
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
