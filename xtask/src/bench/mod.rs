//! `cargo xtask bench`: compares drivers on a real system, or counts what frames cost against QEMU's device models.

pub mod counts;
mod source;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use lab_host::bench::{self, Options, Part};
use lab_host::system::accelerator::Accelerator;

use crate::hosted;
use crate::process::target;
use crate::programs::{self, Programs};
use crate::steps::Steps;
use crate::tools;
use source::Choice;

/// Options of `cargo xtask bench`.
#[derive(Args)]
pub struct Arguments {
    /// The disk image of a Redox system. It is only read: everything is done to copies.
    #[arg(long, value_name = "FILE", required_unless_present = "hosted")]
    image: Option<PathBuf>,

    /// Count register accesses and instructions against QEMU's models instead, without a Redox system.
    #[arg(long, conflicts_with = "image")]
    hosted: bool,

    /// Baseline of --hosted: to need more is a failure [default: xtask/bench-baseline.json].
    #[arg(long, value_name = "FILE", requires = "hosted")]
    baseline: Option<PathBuf>,

    /// Do not compare, but write what was counted into that file.
    #[arg(long, requires = "hosted")]
    write_baseline: bool,

    /// A driver to compare, again for each one: "stock" for the one of the image, "build" for the one of this
    /// workspace, or a file [default: stock and build].
    #[arg(long = "driver", value_name = "stock|build|[NAME=]FILE")]
    drivers: Vec<Choice>,

    /// The lab's agent, already built for the image's architecture [default: build it].
    #[arg(long, value_name = "FILE")]
    agent: Option<PathBuf>,

    /// Count the instructions of calls on the driver, and not their time, and those of exchanges through the network
    /// stack: the clock of the emulated machine then counts instructions, and other load on this machine does not
    /// matter. The rest of the network is measured in time always.
    #[arg(long)]
    icount: bool,

    /// Number of times that each driver is measured. The drivers take turns.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    repeats: u32,

    /// Measure only these parts.
    #[arg(long, value_enum, value_name = "PART", num_args = 1..)]
    only: Vec<Only>,

    /// Processors of the machine. With more than one, the target of each row is not to be worse than the stock driver.
    /// They take turns where instructions are counted.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    smp: u32,

    /// QEMU's name of the NIC.
    #[arg(long, default_value = "e1000", value_parser = hosted::nics())]
    nic: String,

    /// Execution by QEMU of systems whose instructions are not counted: on the processor, or by translation [default:
    /// kvm if it works, otherwise tcg].
    #[arg(long, value_enum, conflicts_with = "hosted")]
    accel: Option<Accelerator>,

    /// Longest time of a boot with all its benchmarks.
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 300,
        value_parser = clap::value_parser!(u64).range(1..=86_400)
    )]
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

/// Carries the command out.
pub fn run(arguments: &Arguments) -> Result<()> {
    let steps = Steps::new(arguments.json);
    steps.step("QEMU", || tools::qemu().map(|()| ((), String::new())))?;
    let Some(image) = &arguments.image else {
        let baseline = arguments.baseline.clone().unwrap_or_else(counts::baseline);
        return counts::check(&baseline, arguments.write_baseline);
    };
    let accelerator = Accelerator::choose(arguments.accel, steps.lab())?;
    let place = arguments.output.clone().unwrap_or_else(|| target().join("bench"));
    fs::create_dir_all(&place).with_context(|| format!("cannot create {}", place.display()))?;
    let kind = programs::inspect(image, &place.join("scratch.img"), &steps)?;
    if !kind.target.architecture.is_x86() {
        bail!(
            "QEMU for x86 cannot boot an image for {}",
            kind.target.architecture
        );
    }
    let choices = if arguments.drivers.is_empty() {
        Choice::usual()
    } else {
        arguments.drivers.clone()
    };
    let programs = Programs::new(kind.target, &steps);
    let sources = choices
        .iter()
        .map(|choice| choice.source(&programs))
        .collect::<Result<Vec<_>>>()?;
    let agent = programs.get("lab-agent", arguments.agent.as_deref())?;
    let options = Options {
        image,
        sources: &sources,
        agent: &agent,
        parts: &arguments.parts(),
        repeats: arguments.repeats,
        nic: &arguments.nic,
        smp: arguments.smp,
        icount: arguments.icount,
        accelerator,
        limit: Duration::from_secs(arguments.timeout),
        place: &place,
    };
    let report = bench::run(&options, steps.lab())?;

    let json = serde_json::to_string_pretty(&report)?;
    for (name, text) in [
        ("bench.json", &json),
        ("bench.svg", &bench::draw(&report)),
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
