//! `cargo xtask emulators`: demo, hosted tests and Redox systems on several QEMUs and on Bochs, and one table of it.

mod bochs;
mod debian;
mod echo;
mod results;
mod systems;
mod table;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use lab_host::system::accelerator::Accelerator;

use crate::process::{cargo, output, path_with, root, sources, target};
use crate::steps::Steps;
use crate::tools::{self, QEMU};
use systems::{Given, Host, Image};
use table::{Cell, DEMO, TESTS, Table};

/// QEMU's NICs that the driver knows.
const NICS: [&str; 4] = ["e1000", "e1000-82544gc", "e1000-82545em", "e1000e"];
/// How much longer than on an idle machine everything may take.
const PATIENCE: u32 = 3;

/// Options of `cargo xtask emulators`.
#[derive(Args)]
pub struct Arguments {
    /// Debian suites whose QEMU and Bochs are fetched and unpacked under target/emulators; nothing is installed. Suites
    /// of backports are understood.
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

    /// The disk image of a Redox system, to be booted on each emulator with each NIC, and what to call it [default: the
    /// file's name]. It is only read. May be given several times.
    #[arg(long, value_name = "[NAME=]FILE")]
    image: Vec<String>,

    /// The driver for each image, in the same order, already built [default: build it].
    #[arg(long, value_name = "FILE")]
    driver: Vec<PathBuf>,

    /// The lab's agent for each image, in the same order, already built [default: build it].
    #[arg(long, value_name = "FILE")]
    agent: Vec<PathBuf>,

    /// How QEMU executes Redox: on the processor, or by translation [default: kvm if it works, otherwise tcg].
    #[arg(long, value_enum)]
    accel: Option<Accelerator>,

    /// Multiplies all limits of time for Redox systems, for a machine that has a lot else to do.
    #[arg(long, value_name = "N", default_value_t = PATIENCE, value_parser = clap::value_parser!(u32).range(1..=100))]
    patience: u32,

    /// Only these columns.
    #[arg(long, value_enum, value_name = "COLUMN", num_args = 1..)]
    only: Vec<Column>,

    /// Only emulators with one of these texts in their names, such as "10.0", "sid" or "Bochs".
    #[arg(long, value_name = "TEXT", num_args = 1..)]
    emulator: Vec<String>,

    /// Only these NICs, for demo and Redox.
    #[arg(long, value_name = "NIC", num_args = 1.., value_parser = NICS)]
    nic: Vec<String>,

    /// Keep the good results of earlier runs (target/emulators/table.json), and try only what is not among them.
    /// Several commands with this may run at the same time.
    #[arg(long)]
    resume: bool,

    /// Write the table to this file, too.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

/// A column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Column {
    /// `cargo xtask demo` on each NIC.
    Demo,
    /// The tests of the hosted machine.
    Tests,
    /// The systems of --image.
    Redox,
}

impl Arguments {
    fn wants(&self, column: Column) -> bool {
        self.only.is_empty() || self.only.contains(&column)
    }

    fn wants_emulator(&self, name: &str) -> bool {
        self.emulator.is_empty() || self.emulator.iter().any(|text| name.contains(text.as_str()))
    }

    fn nics(&self) -> impl Iterator<Item = &'static str> {
        let wanted = |nic: &&str| self.nic.is_empty() || self.nic.iter().any(|name| name == nic);
        NICS.into_iter().filter(wanted)
    }

    /// The images, with what goes on each.
    fn images(&self) -> Result<Vec<Given<'_>>> {
        for (files, option) in [(&self.driver, "--driver"), (&self.agent, "--agent")] {
            if !files.is_empty() && files.len() != self.image.len() {
                bail!("{option} is given for some images, and not for others");
            }
        }
        let given = |(index, image): (usize, &String)| {
            let (name, path) = named(image);
            Given {
                name,
                path,
                driver: self.driver.get(index).map(PathBuf::as_path),
                agent: self.agent.get(index).map(PathBuf::as_path),
            }
        };
        Ok(self.image.iter().enumerate().map(given).collect())
    }

    /// The command, without the places of this machine.
    fn command(&self) -> String {
        let mut command = "cargo xtask emulators".to_owned();
        if self.suites != ["trixie", "sid"] {
            command += &format!(" --suites {}", self.suites.join(","));
        }
        for (name, path) in self.image.iter().map(|image| named(image)) {
            let file = path
                .file_name()
                .unwrap_or(path.as_os_str())
                .to_string_lossy()
                .into_owned();
            command += &format!(" --image {name}={file}");
        }
        let lists = [
            (
                "--only",
                self.only
                    .iter()
                    .filter_map(ValueEnum::to_possible_value)
                    .map(|value| value.get_name().to_owned())
                    .collect(),
            ),
            ("--emulator", self.emulator.clone()),
            ("--nic", self.nic.clone()),
        ];
        for (option, values) in lists {
            if !values.is_empty() {
                command += &format!(" {option} {}", values.join(" "));
            }
        }
        if self.patience != PATIENCE {
            command += &format!(" --patience {}", self.patience);
        }
        if self.resume {
            command += " --resume";
        }
        command
    }
}

/// `NAME=FILE`, or a file that is called as it is.
fn named(image: &str) -> (String, PathBuf) {
    match image.split_once('=') {
        Some((name, path)) if !name.contains('/') && !Path::new(image).exists() => {
            (name.to_owned(), PathBuf::from(path))
        }
        _ => {
            let path = PathBuf::from(image);
            let name = path
                .file_stem()
                .unwrap_or(path.as_os_str())
                .to_string_lossy()
                .into_owned();
            (name, path)
        }
    }
}

/// An emulator to try.
struct Emulator {
    /// Its name in the table, with its version.
    name: String,
    /// A directory with the program, or a script that starts it.
    bin: PathBuf,
    /// Of Bochs, its files.
    bochs: Option<PathBuf>,
}

/// Everything that a run has to do with.
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

/// Tries every emulator. Fails at the end if anything failed on any; what cannot be had is no failure.
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
        run.tests = build_tests()?;
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
            "{failures} cells of the table are failures; what was said is in {}",
            run.host.logs.display()
        ),
    }
}

impl Run<'_> {
    /// The file that keeps the table.
    fn file(&self) -> PathBuf {
        self.place.join("table.json")
    }

    /// The emulators that can be had and are wanted.
    fn emulators(&self) -> Result<Vec<Emulator>> {
        let installed = tools::qemu_directory(Path::new(QEMU), &self.place.join("installed"))?;
        let mut emulators = vec![qemu(installed, "installed")?];
        for (index, path) in self.arguments.qemu.iter().enumerate() {
            let directory = tools::qemu_directory(path, &self.place.join(format!("given-{index}")))?;
            emulators.push(qemu(directory, &path.display().to_string())?);
        }
        for name in &self.arguments.suites {
            let suite = debian::Suite::new(name, self.arguments.mirror.as_deref(), &self.place)?;
            for (program, title) in [(&debian::SYSTEM_QEMU, "QEMU"), (&debian::BOCHS, "Bochs")] {
                eprintln!("== {title} of {name}");
                let found = suite.fetch(program).and_then(|bin| match title {
                    "QEMU" => qemu(bin, name),
                    _ => bochs_of(bin, suite.tree(), name),
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

    /// Whether the cell is still to be filled.
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
                // All of it, with the end of a console, is for whoever looks into it.
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
        for nic in NICS {
            open |= self.is_open(emulator, nic, TESTS)?;
        }
        if !open {
            return Ok(());
        }
        let log = self.host.logs.join(log_name(&[&emulator.name, "tests"]));
        let results = hosted_tests(&self.tests, &emulator.bin, &log)?;
        for nic in NICS {
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

/// The QEMU in the directory, by the version that it says.
fn qemu(bin: PathBuf, origin: &str) -> Result<Emulator> {
    let said = output(Command::new(bin.join(QEMU)).arg("--version"))?;
    let version = word_behind(&said, "version").with_context(|| format!("it says no version: {said}"))?;
    Ok(Emulator {
        name: format!("QEMU {version} ({origin})"),
        bin,
        bochs: None,
    })
}

/// The Bochs in the directory, by the version that it says.
fn bochs_of(bin: PathBuf, tree: PathBuf, origin: &str) -> Result<Emulator> {
    // On standard output or error; and how it ends after that tells nothing.
    let said = Command::new(bin.join("bochs"))
        .arg("--help")
        .stdin(Stdio::null())
        .output();
    let said = said.context("cannot start Bochs")?;
    let text = [said.stdout, said.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let version = word_behind(&text, "Emulator").with_context(|| format!("it says no version: {text}"))?;
    Ok(Emulator {
        name: format!("Bochs {version} ({origin})"),
        bin,
        bochs: Some(tree),
    })
}

/// The word behind another one.
fn word_behind<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    text.split_whitespace().skip_while(|found| *found != word).nth(1)
}

/// A file's name for the parts of a cell's place.
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

/// Builds the tests of the hosted machine, once for all emulators: the programs.
fn build_tests() -> Result<Vec<PathBuf>> {
    let mut command = cargo();
    command
        .args(["test", "--locked", "--package", "e1000-hosted", "--no-run"])
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit());
    let output = command.output().context("cannot start cargo")?;
    if !output.status.success() {
        bail!("the hosted tests cannot be built");
    }
    let programs = test_programs(&String::from_utf8_lossy(&output.stdout));
    if programs.is_empty() {
        bail!("there are no hosted tests");
    }
    Ok(programs)
}

/// Programs of tests among cargo's messages, in their order.
fn test_programs(messages: &str) -> Vec<PathBuf> {
    let program = |line: &str| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        (message["profile"]["test"] == true).then_some(())?;
        message["executable"].as_str().map(PathBuf::from)
    };
    let mut programs: Vec<_> = messages.lines().filter_map(program).collect();
    programs.sort_unstable();
    programs
}

/// Runs all tests of the hosted machine; what they say goes to `log`.
fn hosted_tests(programs: &[PathBuf], directory: &Path, log: &Path) -> Result<results::Results> {
    let failed = || format!("cannot write {}", log.display());
    let file = File::create(log).with_context(failed)?;
    for program in programs {
        let mut command = Command::new(program);
        // As cargo does it, but without building anew what has changed meanwhile. That tests fail is a result.
        command
            .current_dir(root().join("homes/hosted"))
            .env("PATH", path_with(directory)?)
            .stdin(Stdio::null())
            .stdout(file.try_clone().with_context(failed)?)
            .stderr(file.try_clone().with_context(failed)?)
            .status()
            .with_context(|| format!("cannot start {}", program.display()))?;
    }
    let said = fs::read(log).with_context(|| format!("cannot read {}", log.display()))?;
    results::parse(&String::from_utf8_lossy(&said))
        .with_context(|| format!("no test ran; see {}", log.display()))
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

    fn arguments(line: &str) -> Arguments {
        Line::try_parse_from(line.split(' ')).unwrap().arguments
    }

    #[test]
    fn images_have_names_and_programs_in_their_order() {
        let line = "x --image June=/a/redox.img --driver /a/d --image /b/august.img --driver /b/d";
        let both = arguments(line);
        let images = both.images().unwrap();
        let seen: Vec<_> = images
            .iter()
            .map(|image| (image.name.as_str(), image.path.to_str(), image.driver))
            .collect();
        assert_eq!(
            seen,
            [
                ("June", Some("/a/redox.img"), Some(Path::new("/a/d"))),
                ("august", Some("/b/august.img"), Some(Path::new("/b/d")))
            ]
        );
        assert!(arguments("x --image a --image b --agent c").images().is_err());
    }

    #[test]
    fn command_in_the_document_has_no_place_of_this_machine() {
        let line = "x --image June=/home/me/redox.img --driver /d --only redox tests --emulator Bochs --patience 9 \
                    --resume";
        assert_eq!(
            arguments(line).command(),
            "cargo xtask emulators --image June=redox.img --only redox tests --emulator Bochs --patience 9 --resume"
        );
        assert_eq!(arguments("x").command(), "cargo xtask emulators");
    }

    #[test]
    fn selections_are_by_column_emulator_and_nic() {
        let arguments = arguments("x --only demo --emulator 10.0 Bochs --nic e1000e");
        assert!(arguments.wants(Column::Demo) && !arguments.wants(Column::Redox));
        assert!(arguments.wants_emulator("Bochs 3.0 (trixie)") && !arguments.wants_emulator("QEMU 7.2.22"));
        assert_eq!(arguments.nics().collect::<Vec<_>>(), ["e1000e"]);
    }

    #[test]
    fn programs_of_tests_are_found_among_what_cargo_says() {
        let messages = r#"{"reason":"compiler-artifact","profile":{"test":false},"executable":"/t/bin"}
            {"reason":"compiler-artifact","profile":{"test":true},"executable":"/t/b"}
            {"reason":"compiler-artifact","profile":{"test":true},"executable":"/t/a"}
            {"reason":"build-finished","success":true}"#;
        assert_eq!(test_programs(messages), [Path::new("/t/a"), Path::new("/t/b")]);
    }

    #[test]
    fn error_is_its_first_line_in_a_cell() {
        let error = anyhow::anyhow!("a | b\nconsole").context("in boot/ping");
        assert_eq!(one_line(&error), "in boot/ping: a / b");
        assert_eq!(
            word_behind("QEMU emulator version 10.0.13 (Debian)", "version"),
            Some("10.0.13")
        );
        assert_eq!(log_name(&["Bochs 3.0 (sid)", "a/b"]), "Bochs-3.0--sid--a-b");
    }
}
