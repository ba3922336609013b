//! `cargo xtask redox`: swaps the driver into an image of Redox, or back, and tries it there.

mod acceptance;
mod report;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use lab_host::image::locate::{self, Location};
use lab_host::image::volume::Volume;
use lab_host::image::{Kind, copy, swap};
use lab_host::system;
use lab_host::system::accelerator::Accelerator;
use lab_host::system::boot::{Configuration, Machine};
use lab_host::system::console::Findings;
use lab_host::units::mebibytes;

use crate::hosted;
use crate::process::target;
use crate::programs::{self, Programs};
use crate::steps::Steps;
use crate::tools;
use report::{Report, Run};

/// Number of times that load is measured unless told otherwise.
const LOAD_REPEATS: u32 = 3;
/// Time for which the console is watched for dhcpd where there is no client to ask.
const DHCP_LIMIT: Duration = Duration::from_secs(15);

/// Options of `cargo xtask redox`.
#[derive(Args)]
pub struct Arguments {
    /// The disk image of a Redox system. It is only read: everything is done to a copy.
    #[arg(long, value_name = "FILE")]
    image: PathBuf,

    /// Where the copy goes [default: a file in target/redox/images].
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Take the driver off again, so that the stock driver is used.
    #[arg(long, conflicts_with = "driver")]
    undo: bool,

    /// The driver, already built for the image's architecture [default: build it].
    #[arg(long, value_name = "FILE")]
    driver: Option<PathBuf>,

    /// Boot the copy in QEMU and report what the system's network says. Nothing that the system writes is kept.
    #[arg(long)]
    run: bool,

    /// netstack-client for --run, already built for the image's architecture [default: build it].
    #[arg(long, value_name = "FILE")]
    client: Option<PathBuf>,

    /// The lab's agent for --report, already built for the image's architecture [default: build it].
    #[arg(long, value_name = "FILE", requires = "report")]
    agent: Option<PathBuf>,

    /// QEMU's name of the NIC.
    #[arg(long, default_value = "e1000", value_parser = hosted::nics())]
    nic: String,

    /// Which of QEMU's machines.
    #[arg(long, default_value = "pc", value_parser = ["pc", "q35"])]
    machine: String,

    /// Processors of the machine.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    smp: u32,

    /// Execution by QEMU: on the processor, or by translation [default: kvm if it works, otherwise tcg].
    #[arg(long, value_enum)]
    accel: Option<Accelerator>,

    /// Longest time until the system has reported.
    #[arg(long, value_name = "SECONDS", default_value_t = 180,
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,

    /// Keep the copy after a run also if no --output is given.
    #[arg(long)]
    keep: bool,

    /// Print one JSON object and nothing else; with --report it may go to a file.
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    #[expect(clippy::option_option, reason = "absent, without and with a file")]
    json: Option<Option<PathBuf>>,

    /// Boot copies of the image many times, with the stock driver and with ours on all of QEMU's NICs, play through
    /// what a driver has to survive, and make a table of it. It takes about 45 minutes.
    #[arg(long, conflicts_with_all = ["run", "undo", "output", "keep"])]
    report: bool,

    /// Where the table goes, as Markdown [default: standard output].
    #[arg(long, value_name = "FILE", requires = "report")]
    markdown: Option<PathBuf>,

    /// Also 10 minutes of frames between two NICs.
    #[arg(long, requires = "report")]
    soak: bool,

    /// Only these parts of the report: parts of the names that are shown, such as "boot" or "e1000e/contract".
    #[arg(long, value_name = "NAME", num_args = 1.., requires = "report")]
    only: Vec<String>,

    /// Number of boots of each driver and NIC for the report's part on load, of which medians are shown. With 0
    /// there is no such part.
    #[arg(long, value_name = "N", default_value_t = LOAD_REPEATS, requires = "report")]
    load_repeats: u32,

    /// Machines of the report that run at the same time, except for what is compared by its pace.
    #[arg(long, value_name = "N", default_value_t = 2, requires = "report")]
    jobs: usize,
}

impl Arguments {
    /// The command that makes the report, without the places of this machine.
    fn report_command(&self) -> String {
        let name = |path: &Path| {
            let name = if path.is_absolute() {
                path.file_name()
            } else {
                None
            };
            name.unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
        };
        let mut command = format!("cargo xtask redox --image {} --report", name(&self.image));
        if self.soak {
            command.push_str(" --soak");
        }
        if self.load_repeats != LOAD_REPEATS {
            command.push_str(&format!(" --load-repeats {}", self.load_repeats));
        }
        if !self.only.is_empty() {
            command.push_str(&format!(" --only {}", self.only.join(" ")));
        }
        if let Some(path) = &self.markdown {
            command.push_str(&format!(" --markdown {}", name(path)));
        }
        command
    }

    fn output(&self) -> PathBuf {
        self.output.clone().unwrap_or_else(|| {
            let name = self.image.file_name().unwrap_or("image".as_ref());
            target().join("redox/images").join(name)
        })
    }
}

/// Carries the command out. It fails as soon as one step does.
pub fn run(arguments: &Arguments) -> Result<()> {
    if arguments.report {
        return acceptance::run(arguments);
    }
    if let Some(Some(_)) = arguments.json {
        bail!("--json names a file with --report only");
    }
    if arguments.client.is_some() && !arguments.run {
        bail!("--client is for --run");
    }
    let json = arguments.json.is_some();
    let steps = Steps::new(json);
    let accelerator = if arguments.run {
        steps.step("QEMU", || tools::qemu().map(|()| ((), String::new())))?;
        Some(Accelerator::choose(arguments.accel, steps.lab())?)
    } else {
        None
    };
    let output = arguments.output();
    let original = copy::open_original(&arguments.image)?;
    let copy = steps.bytes("copy", |bar| {
        let copy = copy::copy(&original, &arguments.image, &output, bar)?;
        Ok((copy, output.display().to_string()))
    })?;
    drop(original);
    let result = on_copy(arguments, accelerator, &steps, &copy, &output);
    // A copy that nobody asked for has done its service; after a failed boot it may tell why.
    let failed_early = matches!(&result, Err(error) if !is_boot_failure(error));
    let unasked = arguments.output.is_none() && !arguments.keep;
    let removed = unasked && (failed_early || (arguments.run && result.is_ok()));
    if removed {
        fs::remove_file(&output).with_context(|| format!("removing {}", output.display()))?;
    }
    let mut report = result?;
    report.output = (!removed).then_some(output);
    report.print(json)?;
    report.verdict()
}

fn is_boot_failure(error: &anyhow::Error) -> bool {
    matches!(
        error.downcast_ref::<system::Error>(),
        Some(system::Error::Stuck { .. } | system::Error::Died { .. })
    )
}

/// Everything that is done to the copy. It is run if there is an accelerator.
fn on_copy(
    arguments: &Arguments,
    accelerator: Option<Accelerator>,
    steps: &Steps,
    copy: &fs::File,
    output: &Path,
) -> Result<Report> {
    let open = |place: &Location| Ok::<_, anyhow::Error>(Volume::open(copy.try_clone()?, place)?);
    let (kind, mut volume) = steps.step("RedoxFS", || {
        let place = locate::locate(copy)?;
        let mut volume = open(&place)?;
        let target = swap::target(&mut volume)?;
        let kind = Kind { place, target };
        let word = format!("{}, {} free", programs::describe(&kind), mebibytes(volume.free()));
        Ok(((kind, volume), word))
    })?;
    let Kind { place, target } = kind;
    if arguments.run && !target.architecture.is_x86() {
        bail!(
            "--run can boot x86_64 and i586 images, this one is for {}",
            target.architecture
        );
    }
    let programs = Programs::new(target, steps);
    let driver = if arguments.undo {
        None
    } else {
        Some(programs.get("e1000d", arguments.driver.as_deref())?)
    };
    let client = if arguments.run {
        programs.find("netstack-client", arguments.client.as_deref())?
    } else {
        None
    };

    if let Some(driver) = &driver {
        steps.step("swap", || {
            swap::install(&mut volume, driver)?;
            let word = format!(
                "{} ({}), {}",
                swap::DRIVER,
                mebibytes(driver.len() as u64),
                swap::MATCH_FILE
            );
            Ok(((), word))
        })?;
    } else {
        steps.step("undo", || {
            swap::undo(&mut volume)?;
            Ok(((), "the stock driver is back".to_owned()))
        })?;
    }
    let mut report = Report {
        image: arguments.image.clone(),
        output: None,
        layout: place.layout.name(),
        offset: place.start,
        architecture: target.architecture.to_string(),
        abi: target.abi,
        driver: if driver.is_some() {
            swap::DRIVER_NAME
        } else {
            "e1000d"
        },
        free_bytes: volume.free(),
        run: None,
    };
    if let Some(accelerator) = accelerator {
        let before = match &client {
            // The report may take a part of the whole time.
            Some(client) => Some(swap::install_report(
                &mut volume,
                client,
                arguments.timeout.div_ceil(4).min(30),
            )?),
            None => None,
        };
        drop(volume);
        let run = try_out(arguments, accelerator, steps, output, before.is_some());
        if let Some(before) = before {
            // Also after a failure: the copy is to be what it would be without a run.
            swap::remove_report(&mut open(&place)?, &before)?;
        }
        report.run = Some(run?);
    }
    Ok(report)
}

/// Boots the copy and follows it until the network has been tried.
fn try_out(
    arguments: &Arguments,
    accelerator: Accelerator,
    steps: &Steps,
    image: &Path,
    client: bool,
) -> Result<Run> {
    let limit = Duration::from_secs(arguments.timeout);
    let log = image.with_extension("console.log");
    let place = tempfile::tempdir()?;
    let mut machine = Machine::start(
        &Configuration {
            image,
            nic: &arguments.nic,
            machine: &arguments.machine,
            smp: arguments.smp,
            netdev: "user",
            icount: false,
            accelerator,
            log: &log,
        },
        place.path(),
    )?;
    steps.step(&format!("boot with {}", arguments.nic), || {
        let here = |findings: &Findings| findings.spawned.is_some() || findings.network.is_some();
        machine.wait(limit, "pcid-spawner started no driver for the NIC", here)?;
        let program = machine.findings().spawned.clone().unwrap_or_default();
        Ok(((), program))
    })?;
    steps.step("driver", || {
        let here = |findings: &Findings| {
            findings.driver.is_some() || findings.failure.is_some() || findings.network.is_some()
        };
        machine.wait(limit, "the driver did not say that it is up", here)?;
        let findings = machine.findings();
        if let Some(reason) = &findings.failure {
            return Err(machine.died(format!("the driver did not start: {reason}")).into());
        }
        Ok((
            (),
            findings
                .driver
                .as_ref()
                .map_or_else(String::new, |driver| driver.scheme.clone()),
        ))
    })?;
    if client {
        steps.step("network, reported from within", || {
            machine.wait(limit, "the system did not report", |findings| {
                findings.network.is_some()
            })?;
            Ok(((), Run::address(machine.findings()).unwrap_or_default()))
        })?;
    } else {
        steps.step("DHCP, from the console", || {
            let limit = limit.min(machine.time() + DHCP_LIMIT);
            // dhcpd is silent unless told otherwise: that nothing is seen means nothing.
            let _ = machine.wait(limit, "dhcpd said nothing", |findings| findings.lease.is_some());
            let address = Run::address(machine.findings());
            Ok(((), address.unwrap_or_else(|| "not seen".to_owned())))
        })?;
    }
    Ok(Run::new(arguments, accelerator, &machine, log))
}
