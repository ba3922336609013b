//! `cargo xtask emulators`: the demo and the hosted tests on several QEMUs, and one table of it.

mod debian;
mod results;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::process::{cargo, output, path_with, target};
use crate::tools::{self, QEMU};

/// QEMU's NICs that the driver knows.
const NICS: [&str; 4] = ["e1000", "e1000-82544gc", "e1000-82545em", "e1000e"];

/// Options of `cargo xtask emulators`.
#[derive(Args)]
pub struct Arguments {
    /// Debian suites whose QEMU is fetched and unpacked under target/emulators; nothing is installed.
    #[arg(
        long,
        value_name = "SUITE",
        value_delimiter = ',',
        default_value = "trixie,sid"
    )]
    suites: Vec<String>,

    /// Debian's packages are fetched from here; if not said, from where apt does on this machine.
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,

    /// Further QEMUs: programs, or directories with a qemu-system-x86_64 in them.
    #[arg(long, value_name = "PATH")]
    qemu: Vec<PathBuf>,

    /// Only the demo on each NIC, and no tests.
    #[arg(long)]
    no_tests: bool,

    /// Write the table to this file, too.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

/// A QEMU to try: what to call it, and the directory that goes first in PATH, or why it cannot be had.
struct Emulator {
    name: String,
    directory: Result<PathBuf>,
}

/// Tries every emulator. Fails at the end if anything failed on any; what cannot be had is no failure.
pub fn run(arguments: &Arguments) -> Result<()> {
    tools::qemu()?;
    let place = target().join("emulators");
    let place = std::path::absolute(place).context("no directory for emulators")?;
    fs::create_dir_all(&place).with_context(|| format!("cannot create {}", place.display()))?;
    // Built once, before any of them waits for it.
    run_logged(
        cargo().args(["test", "--locked", "--package", "e1000-hosted", "--no-run"]),
        None,
    )?;

    let mut emulators = vec![Emulator {
        name: "installed".into(),
        directory: tools::qemu_directory(Path::new(QEMU), &place.join("installed")),
    }];
    for (index, path) in arguments.qemu.iter().enumerate() {
        emulators.push(Emulator {
            name: path.display().to_string(),
            directory: tools::qemu_directory(path, &place.join(format!("given-{index}"))),
        });
    }
    for suite in &arguments.suites {
        eprintln!("== {suite}: Debian's packages");
        emulators.push(Emulator {
            name: suite.clone(),
            directory: debian::fetch(suite, arguments.mirror.as_deref(), &place),
        });
    }

    let mut table = String::from("| QEMU | NIC | demo | hosted tests |\n|---|---|---|---|\n");
    let mut failures = 0;
    for emulator in emulators {
        let found = emulator.directory.and_then(|directory| {
            let version = version(&directory)?;
            Ok((directory, version))
        });
        let (directory, version) = match found {
            Ok(found) => found,
            Err(reason) => {
                eprintln!("== {}: SKIPPED: {reason:#}", emulator.name);
                table += &format!("| {} | all | SKIPPED: {} | |\n", emulator.name, one_line(&reason));
                continue;
            }
        };
        eprintln!("== {}: QEMU {version}", emulator.name);
        let log = place.join(format!("{}.log", emulator.name.replace('/', "_")));
        let tests = if arguments.no_tests {
            None
        } else {
            Some(hosted_tests(&directory, &log)?)
        };
        for nic in NICS {
            let demo = demo(&directory, nic);
            let tests = tests.as_ref().map(|tests| tests.cell(nic));
            failures += usize::from(demo.is_err()) + usize::from(tests.as_ref().is_some_and(|(ok, _)| !ok));
            let demo = demo.unwrap_or_else(|error| format!("FAIL: {}", one_line(&error)));
            let tests = tests.map_or("not run".into(), |(_, cell)| cell);
            eprintln!("   {nic:<14} demo {demo}; tests {tests}");
            table += &format!("| {version} ({}) | `{nic}` | {demo} | {tests} |\n", emulator.name);
        }
    }
    println!("\n{table}");
    if let Some(file) = &arguments.markdown {
        let text = format!(
            "# Emulators\n\nThe output of a command; do not edit it. Versions that are not named were not tried.\n\n    \
             cargo xtask emulators --markdown {}\n\n{table}",
            file.display()
        );
        fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    if failures > 0 {
        bail!(
            "{failures} cells of the table are failures; what the tests said is in {}",
            place.display()
        );
    }
    Ok(())
}

/// An error in a cell of a table.
fn one_line(error: &anyhow::Error) -> String {
    let text = format!("{error:#}").replace(['\n', '\r'], " ").replace('|', "/");
    text.chars().take(200).collect()
}

/// What the QEMU in the directory says it is: `10.0.13`.
fn version(directory: &Path) -> Result<String> {
    let said = output(Command::new(directory.join(QEMU)).arg("--version"))?;
    let words = said.split_whitespace().skip_while(|word| *word != "version");
    words
        .skip(1)
        .map(str::to_owned)
        .next()
        .with_context(|| format!("it says no version: {said}"))
}

/// Leases, pings and moves TCP both ways. The cell of the table.
fn demo(directory: &Path, nic: &str) -> Result<String> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["demo", "--json", "--nic", nic])
        .env("PATH", path_with(directory)?);
    let report: serde_json::Value = serde_json::from_str(&output(&mut command)?)?;
    Ok(format!(
        "ok: {} of {} pings, TCP equal",
        report["ping_received"], report["ping_sent"]
    ))
}

/// Runs all tests of the hosted machine; what they say goes to `log`.
fn hosted_tests(directory: &Path, log: &Path) -> Result<results::Results> {
    let mut command = cargo();
    command
        .args(["test", "--locked", "--package", "e1000-hosted", "--no-fail-fast"])
        .env("PATH", path_with(directory)?);
    // That tests fail is a result.
    let _ = run_logged(&mut command, Some(log));
    let said = fs::read_to_string(log).with_context(|| format!("cannot read {}", log.display()))?;
    results::parse(&said).with_context(|| format!("no test ran; see {}", log.display()))
}

/// Runs the command with its output in the file, or on the terminal.
fn run_logged(command: &mut Command, log: Option<&Path>) -> Result<()> {
    if let Some(log) = log {
        let file = File::create(log).with_context(|| format!("cannot create {}", log.display()))?;
        command
            .stdin(Stdio::null())
            .stderr(file.try_clone()?)
            .stdout(file);
    }
    crate::process::run(command)
}
