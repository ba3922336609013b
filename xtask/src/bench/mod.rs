//! `cargo xtask bench`: compares drivers on a real system, or counts what frames cost against QEMU's device models.

mod calls;
mod chart;
mod drivers;
mod guest;
pub mod hosted;
mod load;
pub mod measures;
pub mod network;
pub mod part;
mod report;
mod sender;
mod server;
mod statistics;
mod table;
mod values;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};

use crate::process::{output, target};
use crate::redox::accelerator::Accelerator;
use crate::redox::boot::QEMU;
use crate::steps::Steps;
use crate::tools;
use drivers::Source;
pub use drivers::{STOCK, Subject};
pub use guest::{Results, Setup, failures};
use part::Part;
pub use report::summary_text;
use report::{Boot, Driver, Report};
pub use statistics::Summary;
pub use values::values;

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

    /// Measure only these parts.
    #[arg(long, value_enum, value_name = "PART", num_args = 1..)]
    only: Vec<Only>,

    /// Processors of the machine. With more than one, the target of each row is not to be worse than the stock driver.
    /// They take turns where instructions are counted.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    smp: u32,

    /// Which of QEMU's NICs.
    #[arg(long, default_value = "e1000", value_parser = ["e1000", "e1000-82544gc", "e1000-82545em", "e1000e"])]
    nic: String,

    /// How QEMU executes systems whose instructions are not counted: on the processor, or by translation [default: kvm if it
    /// works, otherwise tcg].
    #[arg(long, value_enum, conflicts_with = "hosted")]
    accel: Option<Accelerator>,

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
    /// Calls on the driver's scheme, one after the other and in bursts.
    Calls,
    /// Readers of a sender that never lets up and is held back.
    Sustained,
    /// Readers of a sender that never lets up and overruns the ring.
    Overrun,
    /// Everything through the system's network stack: the parts that follow.
    Network,
    /// Exchanges; with --icount also in instructions.
    Ping,
    /// Connections, 1 to 16 at once.
    Tcp,
    /// Datagrams to the system.
    Udp,
    /// A connection beside a flood, and pings beside a connection.
    Mixed,
}

impl Arguments {
    fn parts(&self) -> Vec<Part> {
        let is_meant = |part: Part| {
            let network = !matches!(part, Part::Calls | Part::Sustained | Part::Overrun);
            self.only.is_empty()
                || self.only.iter().any(|only| match only {
                    Only::Calls => part == Part::Calls,
                    Only::Sustained => part == Part::Sustained,
                    Only::Overrun => part == Part::Overrun,
                    Only::Network => network,
                    Only::Ping => matches!(part, Part::Ping | Part::Exchanges),
                    Only::Tcp => part == Part::Tcp,
                    Only::Udp => part == Part::Udp,
                    Only::Mixed => part == Part::Mixed,
                })
        };
        let all = [
            Part::Calls,
            Part::Sustained,
            Part::Overrun,
            Part::Exchanges,
            Part::Ping,
            Part::Tcp,
            Part::Udp,
            Part::Mixed,
        ];
        let exists = |part: &Part| *part != Part::Exchanges || self.icount;
        all.into_iter()
            .filter(|part| exists(part) && is_meant(*part))
            .collect()
    }
}

/// Boots the system once for a part of the benchmark.
pub fn boot(subject: &Subject, part: Part, setup: &Setup<'_>) -> Result<Results> {
    match part {
        Part::Calls => calls::bursts(subject, setup),
        Part::Sustained => calls::sustained(subject, setup),
        Part::Overrun => calls::overrun(subject, setup),
        Part::Exchanges => calls::exchanges(subject, setup),
        Part::Ping | Part::Tcp | Part::Udp | Part::Mixed => network::run(subject, setup, &part.steps()),
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
    let accelerator = Accelerator::choose(arguments.accel, QEMU, &steps)?;
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
    let result = compare(arguments, accelerator, &steps, &subjects, &place);
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
fn compare(
    arguments: &Arguments,
    accelerator: Accelerator,
    steps: &Steps,
    subjects: &[Subject],
    place: &Path,
) -> Result<Report> {
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
                    smp: arguments.smp,
                    icount: arguments.icount && part.is_counted(),
                    accelerator,
                    limit: Duration::from_secs(arguments.timeout),
                    log: &log,
                };
                let name = format!("{part:?} {round}/{}: {}", arguments.repeats, subject.label);
                let results = steps.step(&name, || {
                    let results = boot(subject, part, &setup)?;
                    let mut words = failures(&results);
                    words.extend(values::incomplete(&results));
                    Ok((results, words.join("; ")))
                })?;
                for (name, value) in values(&results) {
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
        qemu: format!("{}, {accelerator}", version.lines().next().unwrap_or_default()),
        nic: arguments.nic.clone(),
        icount: arguments.icount,
        smp: arguments.smp,
        repeats: arguments.repeats,
        rows: report::rows(&drivers, arguments.icount, arguments.smp),
        drivers,
        boots,
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn parts(line: &str) -> Vec<Part> {
        let words = "bench --image x".split(' ').chain(line.split_whitespace());
        Line::try_parse_from(words)
            .unwrap_or_else(|error| panic!("{line}: {error}"))
            .arguments
            .parts()
    }

    #[test]
    fn parts_can_be_chosen() {
        assert_eq!(parts("--only sustained"), [Part::Sustained]);
        assert_eq!(parts("--only tcp udp"), [Part::Tcp, Part::Udp]);
        assert_eq!(
            parts("--only tcp --only ping --icount"),
            [Part::Exchanges, Part::Ping, Part::Tcp]
        );
        assert_eq!(
            parts("--only network"),
            [Part::Ping, Part::Tcp, Part::Udp, Part::Mixed]
        );
        assert_eq!((parts("").len(), parts("--icount").len()), (7, 8));
    }
}
