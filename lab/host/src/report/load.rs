//! Load: the most significant rows of the benchmark, with the stock driver and with ours on every NIC.
//!
//! Readers that are alone with the driver are measured in instructions. Everything through the network stack is
//! measured in wall time, so drivers take turns, one machine at a time, and nothing else runs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::again;
use super::matrix::{Cell, Figure, Mark};
use super::plan::{self, Load};
use crate::bench::measures::Measure;
use crate::bench::network::{self, Step};
use crate::bench::part::Part;
use crate::bench::report::summary_text;
use crate::bench::values::values;
use crate::bench::{self, Results, STOCK, Setup, Subject, Summary, table};
use crate::error::{Error, Result};
use crate::image::{self, Copied, swap};
use crate::system::accelerator::Accelerator;
use crate::{FileError, system};

/// Time limit of a boot with everything that is done in it: about twice the usual time.
const BOOT_LIMIT: Duration = Duration::from_secs(200);

/// Measures that are shown, in this order.
const ROWS: [&str; 20] = [
    "sustained-60-events",
    "sustained-1514-events",
    "sustained-60-blocking",
    "sustained-1514-blocking",
    "sustained-dropped",
    "tcp-in",
    "tcp-in-4",
    "tcp-in-8",
    "tcp-out",
    "tcp-out-4",
    "tcp-both-1",
    "udp-2000-share",
    "udp-4000-share",
    "udp-20000",
    "udp-20000-ping",
    "tcp-beside-flood",
    "tcp-beside-flood-share",
    "ping-under-tcp",
    "ping-under-tcp-standstill",
    "ping-under-tcp-rate",
];

/// Steps in a system with its network.
const STEPS: [Step; 11] = [
    Step::Tcp {
        receivers: 1,
        senders: 0,
    },
    Step::Tcp {
        receivers: 4,
        senders: 0,
    },
    Step::Tcp {
        receivers: 8,
        senders: 0,
    },
    Step::Tcp {
        receivers: 0,
        senders: 1,
    },
    Step::Tcp {
        receivers: 0,
        senders: 4,
    },
    Step::Tcp {
        receivers: 1,
        senders: 1,
    },
    Step::Udp {
        rate: 2000,
        pings: false,
    },
    Step::Udp {
        rate: 4000,
        pings: false,
    },
    Step::Udp {
        rate: 20_000,
        pings: true,
    },
    Step::TcpBesideFlood,
    Step::PingUnderTcp,
];

/// Resources for the part on load.
pub struct Loader<'a> {
    pub original: &'a Path,
    pub driver: &'a [u8],
    pub agent: &'a [u8],
    /// Directory for copies of the image and consoles.
    pub accelerator: Accelerator,
    pub place: PathBuf,
    pub repeats: u32,
}

/// Results of one column.
#[derive(Default)]
struct Seen {
    values: BTreeMap<&'static str, Vec<f64>>,
    failures: Vec<String>,
}

impl Loader<'_> {
    /// Boots all columns in turn and makes cells: column, title and cell.
    pub fn run(&self, loads: &[Load]) -> Result<Vec<(usize, String, Cell)>> {
        let mut seen: Vec<Seen> = loads.iter().map(|_| Seen::default()).collect();
        let subjects = self.subjects(loads)?;
        for round in 1..=self.repeats {
            self.round(loads, &subjects, &mut seen, round, &vec![true; loads.len()])?;
        }
        let again = worse(loads, &seen);
        for round in self.repeats + 1..=self.repeats + again::BOOTS {
            self.round(loads, &subjects, &mut seen, round, &again)?;
        }
        for subject in subjects {
            fs::remove_file(&subject.image).map_err(FileError::new("remove", &subject.image))?;
        }
        let cells = |(load, seen): (&Load, &Seen)| {
            let cells = measures().map(|measure| (load.column, title(measure), cell(measure, seen)));
            cells.collect::<Vec<_>>()
        };
        Ok(loads.iter().zip(&seen).flat_map(cells).collect())
    }

    /// Boots the columns that are meant.
    fn round(
        &self,
        loads: &[Load],
        subjects: &[Subject],
        seen: &mut [Seen],
        round: u32,
        meant: &[bool],
    ) -> Result<()> {
        for ((load, seen), _) in loads.iter().zip(seen).zip(meant).filter(|(_, meant)| **meant) {
            let is_its = |subject: &&Subject| (subject.label == STOCK) == load.stock;
            let Some(subject) = subjects.iter().find(is_its) else {
                continue;
            };
            let start = Instant::now();
            let failures = self.boot(subject, load, round, seen)?;
            let word = if failures.is_empty() { "ok  " } else { "FAIL" };
            let name = format!("{} {round}/{}", load.name, self.repeats);
            let seconds = start.elapsed().as_secs_f64();
            eprintln!("  {word} {name:<34} {seconds:>7.1} s  {}", failures.join("; "));
            seen.failures.extend(failures);
        }
        Ok(())
    }

    /// Boots once for readers and once with the network. Returns the errors.
    fn boot(&self, subject: &Subject, load: &Load, round: u32, seen: &mut Seen) -> Result<Vec<String>> {
        let mut failures = Vec::new();
        for icount in [true, false] {
            let kind = if icount { "readers" } else { "network" };
            let log = format!("{}.{kind}.{round}.log", load.name.replace('/', "."));
            let setup = Setup {
                nic: load.model,
                smp: 1,
                icount,
                accelerator: self.accelerator,
                limit: BOOT_LIMIT,
                log: &self.place.join(log),
            };
            let results = if icount {
                bench::boot(subject, Part::Sustained, &setup)
            } else {
                network::run(subject, &setup, &STEPS)
            };
            match results {
                Ok(results) => {
                    failures.extend(unexpected(&results));
                    for (name, value) in values(&results) {
                        seen.values.entry(name).or_default().push(value);
                    }
                }
                // A system that dies is a result.
                Err(Error::System(error @ (system::Error::Stuck { .. } | system::Error::Died { .. }))) => {
                    let text = error.to_string();
                    failures.push(text.lines().next().unwrap_or_default().to_owned());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(failures)
    }

    /// Copies of the image with the stock driver and with ours, as far as they are needed.
    fn subjects(&self, loads: &[Load]) -> Result<Vec<Subject>> {
        let kinds = [true, false].map(|stock| loads.iter().any(|load| load.stock == stock).then_some(stock));
        let subject = |stock: bool| {
            let label = if stock { STOCK } else { "ours" };
            let image = self.place.join(format!("load-{label}.img"));
            let copied = Copied::make(self.original, &image)?;
            let mut volume = copied.open()?;
            if stock {
                swap::make_stock(&mut volume)?;
            } else {
                swap::install(&mut volume, self.driver)?;
            }
            drop(volume);
            Ok(Subject::new(
                label,
                self.driver,
                image,
                copied,
                self.agent.to_vec(),
            ))
        };
        Ok(kinds
            .into_iter()
            .flatten()
            .map(subject)
            .collect::<image::Result<_>>()?)
    }
}

/// Columns to be measured again: those with a row that is worse than with the stock driver, and the stock driver's.
fn worse(loads: &[Load], seen: &[Seen]) -> Vec<bool> {
    let Some((_, stock)) = loads.iter().zip(seen).find(|(load, _)| load.stock) else {
        return vec![false; loads.len()];
    };
    let is_worse = |seen: &Seen| {
        measures().any(|measure| cell(measure, seen).has_worse_figure_than(&cell(measure, stock)))
    };
    let mut again: Vec<_> = seen.iter().map(is_worse).collect();
    let any = again.contains(&true);
    for (load, again) in loads.iter().zip(&mut again) {
        *again |= any && load.stock;
    }
    again
}

/// Measures that are shown.
fn measures() -> impl Iterator<Item = &'static Measure> {
    ROWS.iter().filter_map(|name| table::find(name))
}

/// Errors that no row shows, since readers alone have no rows.
fn unexpected(results: &Results) -> Vec<String> {
    let mut failures = bench::failures(results);
    failures.retain(|failure| {
        let step = failure.split(':').next().unwrap_or_default();
        !step.ends_with("-alone")
    });
    failures
}

fn title(measure: &Measure) -> String {
    let better = if measure.lower_is_better { "less" } else { "more" };
    format!("{}; {}, {better} is better", measure.title, measure.kind.word())
}

fn cell(measure: &Measure, seen: &Seen) -> Cell {
    let Some(summary) = seen
        .values
        .get(measure.name)
        .and_then(|values| Summary::of(values))
    else {
        return Cell::new(Mark::Fail, &format!("not measured: {}", seen.failures.join("; ")));
    };
    // Readers' instructions are counted.
    let icount = true;
    Cell::new(Mark::Ok, &summary_text(&summary, measure.unit(icount))).with(Some(Figure {
        value: summary.median,
        lower_is_better: measure.lower_is_better,
        tolerance: measure.tolerance(icount),
    }))
}

/// Line for the header: the columns with load.
pub fn jobs(only: &[String], repeats: u32) -> Vec<Load> {
    if repeats == 0 {
        return Vec::new();
    }
    plan::loads(only)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::measures::COUNT_TOLERANCE;

    #[test]
    fn rows_are_measures_of_what_is_done() {
        assert_eq!(measures().count(), ROWS.len());
        for name in ROWS.iter().filter(|name| !name.starts_with("sustained")) {
            let step = STEPS
                .iter()
                .map(|step| step.name())
                .find(|step| name.starts_with(step.as_str()));
            assert!(step.is_some(), "{name}");
        }
    }

    #[test]
    fn cells_have_medians_and_compare_them() {
        let measure = table::find("sustained-60-events").unwrap();
        let mut seen = Seen::default();
        seen.values
            .insert(measure.name, vec![30_000.0, 20_000.0, 25_000.0]);
        let shown = cell(measure, &seen);
        assert_eq!(shown.to_string(), "ok: 25 000 instr (20 000 - 30 000)");
        let figure = shown.figure.unwrap();
        assert_eq!(
            (figure.value, figure.lower_is_better, figure.tolerance),
            (25_000.0, true, COUNT_TOLERANCE)
        );
        seen.failures.push("it hangs".to_owned());
        let missing = cell(table::find("tcp-in").unwrap(), &seen);
        assert_eq!(missing.to_string(), "FAIL: not measured: it hangs");
        assert_eq!(missing.figure, None);
    }

    #[test]
    fn columns_with_a_worse_row_are_measured_again_beside_the_stock_driver() {
        let loads = plan::loads(&["stock".to_owned(), "e1000".to_owned()]);
        let with = |value: f64| {
            let mut seen = Seen::default();
            seen.values.insert("tcp-in", vec![value]);
            seen
        };
        let mut seen: Vec<_> = loads.iter().map(|_| with(20.0)).collect();
        assert!(!worse(&loads, &seen).contains(&true));
        seen[2] = with(17.0);
        assert_eq!(worse(&loads, &seen), [true, false, true, false, false]);
        assert!(
            !worse(&loads[1..], &seen[1..]).contains(&true),
            "there is nothing to compare with"
        );
    }

    #[test]
    fn load_can_be_left_out() {
        assert!(jobs(&[], 0).is_empty());
        assert!(jobs(&["contract".to_owned()], 3).is_empty());
        assert!(!jobs(&[], 3).is_empty());
    }

    #[test]
    fn titles_say_what_is_better_and_how_long_it_lasts() {
        let title = |name| title(table::find(name).unwrap());
        assert!(title("tcp-in").ends_with("; sustained, more is better"));
        assert!(title("sustained-dropped").ends_with("; sustained, less is better"));
    }
}
