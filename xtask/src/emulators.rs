//! `cargo xtask emulators`: demo, hosted tests and Redox systems on several QEMUs and on Bochs, and one table of it.

mod arguments;
mod bochs;
mod debian;
mod echo;
mod emulator;
mod hosted_tests;
mod results;
mod systems;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use lab_host::system::accelerator::Accelerator;

use crate::demo;
use crate::hosted::nics;
use crate::process::{output, path_with, sources, target};
use crate::steps::Steps;
use crate::tools::{self, QEMU};
use arguments::Column;
use emulator::Emulator;
use systems::{Host, Image};
use table::{Cell, DEMO, TESTS, Table};

pub use arguments::Arguments;

/// State of a run.
struct Run<'a> {
    arguments: &'a Arguments,
    place: PathBuf,
    steps: Steps,
    /// Programs of the hosted tests.
    tests: Vec<PathBuf>,
    images: Vec<Image>,
    host: Host,
    sources: String,
}

/// Tries every emulator. Fails at the end if anything failed on any of them; an emulator that cannot be fetched is no
/// failure.
pub fn run(arguments: &Arguments) -> Result<()> {
    let given = arguments.images()?;
    tools::qemu()?;
    let place = std::path::absolute(target().join("emulators")).context("no directory for emulators")?;
    fs::create_dir_all(place.join("logs")).with_context(|| format!("cannot create {}", place.display()))?;
    let mut run = Run {
        host: Host {
            port: echo::start()?,
            patience: arguments.patience,
            logs: place.join("logs"),
        },
        steps: Steps::new(false),
        tests: Vec::new(),
        images: Vec::new(),
        sources: sources(),
        arguments,
        place,
    };
    Table::change(&run.file(), |table| {
        if !arguments.resume {
            *table = Table::default();
        }
    })?;
    let emulators = run.emulators()?;
    if arguments.wants(Column::Tests) && emulators.iter().any(|emulator| emulator.bochs.is_none()) {
        run.tests = hosted_tests::build()?;
    }
    if arguments.wants(Column::Redox) {
        for given in &given {
            run.images.push(Image::prepare(given, &run.place, &run.steps)?);
        }
    }
    for emulator in &emulators {
        match &emulator.bochs {
            Some(tree) => run.bochs(emulator, tree)?,
            None => run.qemu(emulator)?,
        }
    }
    let table = Table::read(&run.file())?;
    println!("\n{}", table.rows());
    if let Some(file) = &arguments.markdown {
        fs::write(file, table.markdown()).with_context(|| format!("cannot write {}", file.display()))?;
    }
    match table.failures().count() {
        0 => Ok(()),
        failures => bail!(
            "{failures} cells of the table are failures; the output is in {}",
            run.host.logs.display()
        ),
    }
}

impl Run<'_> {
    /// The file that keeps the table.
    fn file(&self) -> PathBuf {
        self.place.join("table.json")
    }

    /// The emulators that are wanted and can be fetched.
    fn emulators(&self) -> Result<Vec<Emulator>> {
        let installed = tools::qemu_directory(Path::new(QEMU), &self.place.join("installed"))?;
        let mut emulators = vec![emulator::qemu(installed, "installed")?];
        for (index, path) in self.arguments.qemu.iter().enumerate() {
            let directory = tools::qemu_directory(path, &self.place.join(format!("given-{index}")))?;
            emulators.push(emulator::qemu(directory, &path.display().to_string())?);
        }
        for name in &self.arguments.suites {
            let suite = debian::Suite::new(name, self.arguments.mirror.as_deref(), &self.place)?;
            for (program, title) in [(&debian::SYSTEM_QEMU, "QEMU"), (&debian::BOCHS, "Bochs")] {
                eprintln!("== {title} of {name}");
                let found = suite.fetch(program).and_then(|bin| match title {
                    "QEMU" => emulator::qemu(bin, name),
                    _ => emulator::bochs(bin, suite.tree(), name),
                });
                match found {
                    Ok(emulator) => emulators.push(emulator),
                    Err(reason) => {
                        eprintln!("   SKIPPED: {reason:#}");
                        Table::change(&self.file(), |table| {
                            table.add_missing(&format!("{title} of {name}"), one_line(&reason));
                        })?;
                    }
                }
            }
        }
        emulators.retain(|emulator| self.arguments.wants_emulator(&emulator.name));
        Ok(emulators)
    }

    /// Returns true if the cell is still to be filled.
    fn is_open(&self, emulator: &Emulator, nic: &str, column: &str) -> Result<bool> {
        let table = Table::read(&self.file())?;
        Ok(table
            .get(&emulator.name, nic, column)
            .is_none_or(|cell| !cell.good))
    }

    /// Fills a cell and shows it.
    fn record(&self, emulator: &Emulator, nic: &str, column: &str, result: Result<String>) -> Result<()> {
        let (good, text) = match result {
            Ok(text) => (true, text),
            Err(error) => {
                // The table has the first line only; here is the whole error, with the end of a console.
                eprintln!("   {error:#}");
                (false, format!("FAIL: {}", one_line(&error)))
            }
        };
        eprintln!("   {} {nic}, {column}: {text}", emulator.name);
        let cell = Cell {
            emulator: emulator.name.clone(),
            nic: nic.to_owned(),
            column: column.to_owned(),
            good,
            text,
            sources: self.sources.clone(),
        };
        Table::change(&self.file(), |table| {
            table.set(cell);
            table.add_command(self.arguments.command());
        })
        .map(drop)
    }

    fn qemu(&self, emulator: &Emulator) -> Result<()> {
        eprintln!("== {}", emulator.name);
        let program = emulator.bin.join(QEMU);
        for nic in self.arguments.nics() {
            if self.arguments.wants(Column::Demo) && self.is_open(emulator, nic, DEMO)? {
                self.record(emulator, nic, DEMO, demo(&emulator.bin, nic))?;
            }
        }
        if self.arguments.wants(Column::Tests) {
            self.tests(emulator)?;
        }
        if self.images.is_empty() {
            return Ok(());
        }
        let accelerator = Accelerator::choose_for(&program, self.arguments.accel, self.steps.lab())?;
        for image in &self.images {
            for nic in self.arguments.nics() {
                if self.is_open(emulator, nic, &image.name)? {
                    let log = log_name(&[&emulator.name, nic, &image.name]);
                    let result = image.in_qemu(&program, nic, accelerator, &self.host, &log);
                    self.record(emulator, nic, &image.name, result)?;
                }
            }
        }
        Ok(())
    }

    /// Runs the hosted tests, all NICs at once, if any cell of theirs is open.
    fn tests(&self, emulator: &Emulator) -> Result<()> {
        let mut open = false;
        for nic in nics() {
            open |= self.is_open(emulator, nic, TESTS)?;
        }
        if !open {
            return Ok(());
        }
        let log = self.host.logs.join(log_name(&[&emulator.name, "tests"]));
        let results = hosted_tests::run(&self.tests, &emulator.bin, &log)?;
        for nic in nics() {
            let result = results.cell(nic).map_err(anyhow::Error::msg);
            self.record(emulator, nic, TESTS, result)?;
        }
        Ok(())
    }

    fn bochs(&self, emulator: &Emulator, tree: &Path) -> Result<()> {
        eprintln!("== {}", emulator.name);
        for image in &self.images {
            if self.is_open(emulator, bochs::NIC, &image.name)? {
                let log = log_name(&[&emulator.name, &image.name]);
                let result = image.in_bochs(&emulator.bin, tree, &self.host, &log);
                self.record(emulator, bochs::NIC, &image.name, result)?;
            }
        }
        Ok(())
    }
}

/// Name of the log file of a cell.
fn log_name(parts: &[&str]) -> String {
    let letter = |letter: char| {
        if letter.is_alphanumeric() || letter == '.' {
            letter
        } else {
            '-'
        }
    };
    parts.join(" ").chars().map(letter).collect()
}

/// An error in a cell of a table: its first line.
fn one_line(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    let text = text
        .lines()
        .next()
        .unwrap_or_default()
        .replace('\r', " ")
        .replace('|', "/");
    text.chars().take(200).collect()
}

/// Runs `cargo xtask demo`: a lease, pings, and TCP in both directions. Returns the cell of the table.
fn demo(directory: &Path, nic: &str) -> Result<String> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["demo", "--json", "--nic", nic])
        .env("PATH", path_with(directory)?);
    let report: demo::Report = serde_json::from_str(&output(&mut command)?)?;
    Ok(format!(
        "ok: {} of {} pings, TCP equal",
        report.ping_received, report.ping_sent
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_is_its_first_line_in_a_cell() {
        let error = anyhow::anyhow!("a | b\nconsole").context("in boot/ping");
        assert_eq!(one_line(&error), "in boot/ping: a / b");
        assert_eq!(log_name(&["Bochs 3.0 (sid)", "a/b"]), "Bochs-3.0--sid--a-b");
    }
}
