//! `cargo xtask bench`: compares drivers on a real system, or counts what frames cost against QEMU's device models.

mod chart;
mod drivers;
mod guest;
pub mod hosted;
mod load;
mod measures;
mod report;
mod statistics;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};

use crate::process::{output, target};
use crate::steps::Steps;
use crate::tools;
use drivers::{Source, Subject};
use guest::Setup;
use measures::Part;
use report::{Boot, Driver, Report};

/// Options of `cargo xtask bench`.
#[derive(Args)]
pub struct Arguments {
    /// The disk image of a Redox system. It is only read: everything is done to copies.
    #[arg(long, value_name = "FILE", required_unless_present = "hosted")]
    image: Option<PathBuf>,

    /// Count register accesses and instructions against QEMU's models instead, without a Redox system.
    #[arg(long, conflicts_with = "image")]
    hosted: bool,

    /// What --hosted compares with: to need more is a failure [default: xtask/bench-baseline.json].
    #[arg(long, value_name = "FILE", requires = "hosted")]
    baseline: Option<PathBuf>,

    /// Do not compare, but write what was counted into that file.
    #[arg(long, requires = "hosted")]
    write_baseline: bool,

    /// A driver to compare, again for each one: "stock" for the one of the image, "build" for the one of this
    /// workspace, or a file [default: stock and build].
    #[arg(long = "driver", value_name = "stock|build|[NAME=]FILE")]
    drivers: Vec<Source>,

    /// netstack-client, already built for the image's architecture [default: build it].
    #[arg(long, value_name = "FILE")]
    client: Option<PathBuf>,

    /// Count the instructions of calls on the driver, and not their time, and those of exchanges through the network
    /// stack: the clock of the emulated machine then counts instructions, and other load on this machine does not matter.
    /// The rest of the network is measured in time always.
    #[arg(long)]
    icount: bool,

    /// How often each driver is measured. The drivers take turns.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    repeats: u32,

    /// Measure only this part.
    #[arg(long, value_enum)]
    only: Option<Only>,

    /// Which of QEMU's NICs.
    #[arg(long, default_value = "e1000", value_parser = ["e1000", "e1000-82544gc", "e1000-82545em", "e1000e"])]
    nic: String,

    /// How long a boot may take with all its benchmarks.
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,

    /// Where results go [default: target/bench].
    #[arg(long, value_name = "DIRECTORY")]
    output: Option<PathBuf>,

    /// Print one JSON object and nothing else.
    #[arg(long)]
    json: bool,
}

/// A part of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Only {
    /// Calls on the driver's scheme.
    Calls,
    /// The system's network stack above the driver.
    Network,
}

impl Arguments {
    fn parts(&self) -> &'static [Part] {
        match (self.only, self.icount) {
            (None, false) => &[Part::Calls, Part::Network],
            (None, true) => &[Part::Calls, Part::Exchanges, Part::Network],
            (Some(Only::Calls), _) => &[Part::Calls],
            (Some(Only::Network), false) => &[Part::Network],
            (Some(Only::Network), true) => &[Part::Exchanges, Part::Network],
        }
    }
}

/// Carries the command out.
pub fn run(arguments: &Arguments) -> Result<()> {
    let steps = Steps::new(arguments.json);
    steps.step("QEMU", || tools::qemu().map(|()| ((), String::new())))?;
    let Some(image) = &arguments.image else {
        let baseline = arguments.baseline.clone().unwrap_or_else(hosted::baseline);
        return hosted::check(&baseline, arguments.write_baseline);
    };
    let place = arguments.output.clone().unwrap_or_else(|| target().join("bench"));
    fs::create_dir_all(&place).with_context(|| format!("cannot create {}", place.display()))?;
    let sources = if arguments.drivers.is_empty() {
        Source::usual()
    } else {
        arguments.drivers.clone()
    };
    let subjects: Vec<_> = sources
        .iter()
        .enumerate()
        .map(|(index, source)| {
            let same = sources[..index].iter().any(|other| other.label == source.label);
            ensure!(!same, "two drivers are called {:?}: give NAME=FILE", source.label);
            Subject::prepare(source, image, arguments.client.as_deref(), &place, &steps)
        })
        .collect::<Result<_>>()?;
    let result = compare(arguments, &steps, &subjects, &place);
    for subject in &subjects {
        // They have done their service; what they showed is in the results.
        let _ = fs::remove_file(&subject.image);
    }
    let report = result?;

    let json = serde_json::to_string_pretty(&report)?;
    for (name, text) in [
        ("bench.json", &json),
        ("bench.svg", &chart::draw(&report)),
        ("bench.md", &report.table()),
    ] {
        let path = place.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if arguments.json {
        println!("{json}");
    } else {
        let (met, targets) = report.met();
        println!("\n{}\n{met} of {targets} targets are met", report.table());
        println!("results: {}/bench.{{json,svg,md}}", place.display());
    }
    Ok(())
}

/// Boots all drivers in turn, as often as wanted.
fn compare(arguments: &Arguments, steps: &Steps, subjects: &[Subject], place: &Path) -> Result<Report> {
    let mut drivers: Vec<_> = subjects
        .iter()
        .map(|subject| Driver {
            label: subject.label.clone(),
            sha256: subject.sha256.clone(),
            values: Default::default(),
        })
        .collect();
    let mut boots = Vec::new();
    let log = place.join("console.log");
    for part in arguments.parts() {
        for round in 1..=arguments.repeats {
            for (subject, driver) in subjects.iter().zip(&mut drivers) {
                let setup = Setup {
                    nic: &arguments.nic,
                    icount: arguments.icount && *part != Part::Network,
                    limit: Duration::from_secs(arguments.timeout),
                    log: &log,
                };
                let name = format!("{part:?} {round}/{}: {}", arguments.repeats, subject.label);
                let results = steps.step(&name, || {
                    let results = guest::run(subject, *part, &setup)?;
                    let word = guest::failures(&results).join("; ");
                    Ok((results, word))
                })?;
                for (name, value) in guest::values(&results) {
                    driver.values.entry(name).or_default().push(value);
                }
                boots.push(Boot {
                    driver: subject.label.clone(),
                    results,
                });
            }
        }
    }
    let version = output(Command::new("qemu-system-x86_64").arg("--version"))?;
    Ok(Report {
        date: output(Command::new("date").args(["-u", "+%Y-%m-%d"]))?
            .trim()
            .to_owned(),
        qemu: version.lines().next().unwrap_or_default().to_owned(),
        nic: arguments.nic.clone(),
        icount: arguments.icount,
        repeats: arguments.repeats,
        rows: report::rows(&drivers, arguments.icount),
        drivers,
        boots,
    })
}
