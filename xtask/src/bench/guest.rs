//! One boot of a system with scripts of `netstack-client`, and what they say.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::redox::accelerator::Accelerator;
use crate::redox::boot::{Configuration, Machine};
use crate::redox::console::{BENCHMARK_MARKER, Findings};

use super::drivers::Subject;

/// Where a script is on the image, with a number behind it.
pub const SCRIPT: &str = "/etc/e1000d-bench.";
/// The result that says that a system has come to a standstill.
pub const STUCK: &str = "boot";
/// How long a system may say nothing: longer than any command takes.
const SILENCE: Duration = Duration::from_secs(120);
/// What the lines for us begin with.
pub const MARKER: &str = BENCHMARK_MARKER;

/// This machine, as seen from QEMU's user-mode network.
pub const HOST: &str = "10.0.2.2";
/// How long the machine is watched for a word between two reports.
const PATIENCE: Duration = Duration::from_millis(20);
/// How long a system may take until it starts a driver, and how often it is tried.
const START_LIMIT: Duration = Duration::from_secs(40);
const STARTS: u32 = 3;

/// When a script runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Drivers are there, and no network stack that would take their frames.
    BeforeNetwork,
    /// The network stack is there.
    AfterNetwork,
}

impl Moment {
    /// Its unit.
    pub fn unit(self) -> &'static str {
        match self {
            Self::BeforeNetwork => "/etc/init.d/05_e1000d-bench.service",
            Self::AfterNetwork => "/etc/init.d/20_e1000d-bench.service",
        }
    }

    /// The unit that comes before.
    ///
    /// Init carries units out in the order of their names, but puts one whose requirements are still to come behind all
    /// others. The target of the basic services is such a one, so what requires it comes behind the network stack.
    pub fn after(self) -> &'static str {
        match self {
            Self::BeforeNetwork => "00_pcid-spawner.service",
            Self::AfterNetwork => "10_net.target",
        }
    }

    pub fn number(self) -> u8 {
        match self {
            Self::BeforeNetwork => 1,
            Self::AfterNetwork => 2,
        }
    }
}

/// Commands for `netstack-client bench script`.
pub struct Script {
    pub moment: Moment,
    pub lines: Vec<String>,
}

/// How to boot.
pub struct Setup<'a> {
    pub nic: &'a str,
    /// Processors.
    pub smp: u32,
    /// Let the clock count instructions.
    pub icount: bool,
    /// How it is executed, unless instructions are counted.
    pub accelerator: Accelerator,
    pub limit: Duration,
    pub log: &'a Path,
}

/// What `netstack-client bench script` prints.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    Begin(String),
    End {
        step: String,
        result: Value,
        error: String,
        /// By the system's clock.
        #[serde(default)]
        seconds: f64,
    },
    Done(#[allow(dead_code, reason = "always true")] bool),
}

/// Everything that one boot has shown: what the commands printed, by name, and what was seen from here.
pub type Results = BTreeMap<String, Value>;

/// Boots the system and hands on each event of its scripts, and a moment without any as well.
pub fn follow(
    subject: &Subject,
    setup: &Setup<'_>,
    netdev: &str,
    scripts: u32,
    mut react: impl FnMut(Option<Event>, &mut Results) -> Result<()>,
) -> Result<Results> {
    let place = tempfile::tempdir()?;
    let mut machine = start(subject, setup, netdev, place.path())?;
    let mut results = Results::new();
    let (mut seen, mut done) = (0, 0);
    let mut begun = BTreeMap::new();
    let mut limit = setup.limit.min(machine.time() + SILENCE);
    while done < scripts {
        let more = |machine: &Machine| machine.findings().benchmarks.len() > seen;
        if !more(&machine) {
            let soon = (machine.time() + PATIENCE).min(limit);
            let waited = machine.wait(soon, "the benchmarks did not end", |findings| {
                findings.benchmarks.len() > seen
            });
            match waited {
                // Time is up, or an overloaded system has come to a standstill: what it has shown so far counts.
                Err(error @ crate::redox::Error::Stuck { .. }) if machine.time() >= limit => {
                    let reason = error.to_string();
                    let reason = reason.lines().next().unwrap_or_default();
                    let reason = reason.split(';').next().unwrap_or_default();
                    results.insert(STUCK.to_owned(), json!({ "error": reason }));
                    break;
                }
                Err(crate::redox::Error::Stuck { .. }) | Ok(()) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let Some(line) = machine.findings().benchmarks.get(seen) else {
            // Nothing new: whoever waits for a moment to pass may look at the clock.
            react(None, &mut results)?;
            continue;
        };
        seen += 1;
        limit = setup.limit.min(machine.time() + SILENCE);
        // A line that others wrote into is of no use; what it said is missing then.
        let Ok(event) = serde_json::from_str(line) else {
            continue;
        };
        match &event {
            Event::End {
                step,
                result,
                error,
                seconds,
            } => {
                if let Some(here) = begun.remove(step).map(|begin: Instant| begin.elapsed()) {
                    let clocks = json!({ "system": seconds, "here": here.as_secs_f64() });
                    results.insert(format!("{step}-clocks"), clocks);
                }
                let value = if result.is_null() {
                    json!({ "error": error })
                } else {
                    result.clone()
                };
                results.insert(step.clone(), value);
            }
            Event::Done(_) => done += 1,
            Event::Begin(step) => {
                begun.insert(step.clone(), Instant::now());
            }
        }
        react(Some(event), &mut results)?;
    }
    Ok(results)
}

/// Boots the system, again if it comes to a standstill before it starts any driver: it does so by itself now and then.
fn start(subject: &Subject, setup: &Setup<'_>, netdev: &str, place: &Path) -> Result<Machine> {
    let configuration = Configuration {
        image: &subject.image,
        nic: setup.nic,
        // HPET interrupts twice at times, and the clock of the system then jumps by 4 ms.
        machine: if setup.icount { "pc,hpet=off" } else { "pc" },
        smp: setup.smp,
        netdev,
        icount: setup.icount,
        accelerator: setup.accelerator,
        log: setup.log,
    };
    let started = |findings: &Findings| findings.spawned.is_some() || !findings.benchmarks.is_empty();
    let mut left = STARTS;
    loop {
        left -= 1;
        let mut machine = Machine::start(&configuration, place)?;
        match machine.wait(START_LIMIT.min(setup.limit), "no driver", started) {
            Err(crate::redox::Error::Stuck { .. }) if left > 0 => {}
            // What it does not say within its whole time is a result.
            Ok(()) | Err(crate::redox::Error::Stuck { .. }) => return Ok(machine),
            Err(error) => return Err(error.into()),
        }
    }
}

/// What went wrong, by step.
pub fn failures(results: &Results) -> Vec<String> {
    results
        .iter()
        .filter_map(|(step, value)| Some(format!("{step}: {}", value.get("error")?.as_str()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_understood() {
        let parse = |text: &str| serde_json::from_str::<Event>(text).unwrap();
        assert!(matches!(parse(r#"{"begin":"a"}"#), Event::Begin(step) if step == "a"));
        assert!(matches!(parse(r#"{"done":true}"#), Event::Done(true)));
        let end = r#"{"end":{"step":"a","result":null,"error":"no","success":false}}"#;
        assert!(matches!(parse(end), Event::End { error, .. } if error == "no"));
    }

    #[test]
    fn failures_are_named() {
        let results = serde_json::from_value(json!({
            "tx-60": { "error": "the driver did not take a frame" },
            "tcp-in-host": { "received": 5, "error": null },
        }));
        let results: Results = results.unwrap();
        assert_eq!(failures(&results), ["tx-60: the driver did not take a frame"]);
    }
}
