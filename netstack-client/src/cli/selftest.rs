//! `selftest`

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use crate::{AdapterName, adapter};
use clap::Args;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use syscall::error::EBUSY;

use super::keyed::Keyed;
use super::{Context, Error, Outcome, Result};

/// The driver's file.
const FILE: &str = "selftest";
/// The parts of the test, in their order.
const PARTS: [&str; 5] = ["link", "registers", "nvm", "loopback", "interrupt"];
/// Polling interval.
const INTERVAL: Duration = Duration::from_millis(50);
/// The driver's own limit is 12 s.
const LIMIT: Duration = Duration::from_secs(30);

/// Have the driver test its adapter: registers, NVM, loopback, interrupt, link.
///
/// The adapter passes no frame meanwhile, and is reset at the end: some seconds in all. So the driver refuses while
/// anybody has the adapter open, the system's network stack included. The exit status is 1 if something failed.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Test an adapter that is in use.
    #[arg(long)]
    force: bool,
    /// Show the result of the last test, and start none.
    #[arg(long, conflicts_with = "force")]
    last: bool,
}

struct Report(Keyed);

impl Report {
    fn passed(&self) -> bool {
        self.0.get("result") == Some("passed")
    }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut json: Map<String, Value> = self.0.json();
        json.insert("passed".to_owned(), Value::from(self.passed()));
        json.serialize(serializer)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in PARTS {
            write!(formatter, "{part:<10} {}", self.0.get(part).unwrap_or("unknown"))?;
            let absent = self.0.number("absent_registers");
            if part == "registers" && absent > 0 {
                write!(formatter, " ({absent} that emulators lack are not there)")?;
            }
            writeln!(formatter)?;
        }
        let result = self.0.get("result").unwrap_or("unknown");
        let seconds = self.0.number("milliseconds") as f64 / 1e3;
        write!(formatter, "self-test {result} after {seconds:.1} s")
    }
}

pub fn run(arguments: &Arguments, context: &Context<'_>) -> Outcome {
    let name = context.adapter()?;
    if !arguments.last {
        start(&name, arguments.force)?;
        wait_until_done(&name)?;
    }
    let report = Report(Keyed::read(&name, FILE)?);
    if report.0.get("result").is_none() {
        return Err(Error::Other(format!("{name} was not tested yet")));
    }
    let passed = report.passed();
    context.output.result(&report);
    Ok(passed)
}

fn start(name: &AdapterName, force: bool) -> Result<()> {
    // This read fails with an error that says so if the driver has no self-test.
    Keyed::read(name, FILE)?;
    let text = if force { "run force" } else { "run" };
    match adapter::write_file(name, FILE, text) {
        Err(error) if error.errno() == Some(EBUSY) => Err(Error::Other(if force {
            format!("a self-test of {name} is under way")
        } else {
            format!("{name} is in use: --force tests it all the same, and its frames are lost meanwhile")
        })),
        result => Ok(result?),
    }
}

fn wait_until_done(name: &AdapterName) -> Result<()> {
    let start = Instant::now();
    while Keyed::read(name, FILE)?.get("state") == Some("running") {
        if start.elapsed() > LIMIT {
            return Err(Error::Other(format!(
                "the self-test of {name} did not end within {} s",
                LIMIT.as_secs()
            )));
        }
        thread::sleep(INTERVAL);
    }
    Ok(())
}
