//! Comparison of drivers on a real system: the cost of calls, and the throughput of the network stack.

mod calls;
mod chart;
mod follow;
mod load;
pub(crate) mod measures;
pub(crate) mod network;
pub(crate) mod part;
pub(crate) mod report;
mod script;
mod sender;
mod server;
mod statistics;
mod subject;
pub(crate) mod table;
pub(crate) mod values;

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

pub use chart::draw;
pub(crate) use follow::{Results, Setup, failures};
pub use part::Part;
pub use report::Report;
use report::{Boot, Driver};
pub(crate) use statistics::Summary;
pub use subject::Source;
pub(crate) use subject::{STOCK, Subject};

use crate::date::date;
use crate::error::{Error, Result};
use crate::steps::Steps;
use crate::system::accelerator::Accelerator;
use crate::system::boot::version;

/// A comparison.
pub struct Options<'a> {
    /// The image. It is only read.
    pub image: &'a Path,
    /// The drivers.
    pub sources: &'a [Source],
    /// The lab's agent, for the image.
    pub agent: &'a [u8],
    /// Parts to measure.
    pub parts: &'a [Part],
    /// Number of measurements of each driver.
    pub repeats: u32,
    /// QEMU's name of the NIC.
    pub nic: &'a str,
    /// Processors of the machine.
    pub smp: u32,
    /// Let the clock count instructions where a part allows it.
    pub icount: bool,
    /// Accelerator of systems whose instructions are not counted.
    pub accelerator: Accelerator,
    /// Time limit of a boot.
    pub limit: Duration,
    /// Directory for copies and consoles.
    pub place: &'a Path,
}

/// Boots the system once for a part of the benchmark.
pub(crate) fn boot(subject: &Subject, part: Part, setup: &Setup<'_>) -> Result<Results> {
    match part {
        Part::Calls => calls::bursts(subject, setup),
        Part::Sustained => calls::sustained(subject, setup),
        Part::Overrun => calls::overrun(subject, setup),
        Part::Exchanges => calls::exchanges(subject, setup),
        Part::Ping | Part::Tcp | Part::Udp | Part::Mixed => network::run(subject, setup, &part.steps()),
    }
}

/// Compares the drivers.
pub fn run(options: &Options<'_>, steps: &Steps) -> Result<Report> {
    let sources = options.sources;
    for (index, source) in sources.iter().enumerate() {
        let same = sources[..index].iter().any(|other| other.label == source.label);
        if same {
            return Err(Error::SameLabel(source.label.clone()));
        }
    }
    let prepare = |source: &Source| {
        steps.step(&format!("copy for {}", source.label), || {
            let subject = Subject::prepare(source, options.image, options.agent, options.place)?;
            Ok((subject, String::new()))
        })
    };
    let subjects: Vec<_> = sources.iter().map(prepare).collect::<Result<_>>()?;
    let result = compare(options, steps, &subjects);
    for subject in &subjects {
        // The results are complete, so the copies can go.
        let _ = fs::remove_file(&subject.image);
    }
    result
}

/// Boots all drivers in turn, as often as wanted.
fn compare(options: &Options<'_>, steps: &Steps, subjects: &[Subject]) -> Result<Report> {
    let mut drivers: Vec<_> = subjects
        .iter()
        .map(|subject| Driver {
            label: subject.label.clone(),
            sha256: subject.sha256.clone(),
            values: Default::default(),
        })
        .collect();
    let mut boots = Vec::new();
    let log = options.place.join("console.log");
    for &part in options.parts {
        for round in 1..=options.repeats {
            for (subject, driver) in subjects.iter().zip(&mut drivers) {
                let setup = Setup {
                    nic: options.nic,
                    smp: options.smp,
                    icount: options.icount && part.is_counted(),
                    accelerator: options.accelerator,
                    limit: options.limit,
                    log: &log,
                };
                let name = format!("{part:?} {round}/{}: {}", options.repeats, subject.label);
                let results = steps.step(&name, || {
                    let results = boot(subject, part, &setup)?;
                    let mut words = failures(&results);
                    words.extend(values::incomplete(&results));
                    Ok::<_, Error>((results, words.join("; ")))
                })?;
                for (name, value) in values::values(&results) {
                    driver.values.entry(name).or_default().push(value);
                }
                boots.push(Boot {
                    driver: subject.label.clone(),
                    results,
                });
            }
        }
    }
    Ok(Report {
        date: date(SystemTime::now()),
        qemu: format!("{}, {}", version().unwrap_or_default(), options.accelerator),
        nic: options.nic.to_owned(),
        icount: options.icount,
        smp: options.smp,
        repeats: options.repeats,
        rows: report::rows(&drivers, options.icount, options.smp),
        drivers,
        boots,
    })
}
