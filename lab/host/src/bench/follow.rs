//! One boot of a system with scripts of the agent, and what they say.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use lab_protocol::Event;
use serde_json::{Value, json};

use super::subject::Subject;
use crate::error::{Error, Result};
use crate::system;
use crate::system::accelerator::Accelerator;
use crate::system::boot::{Configuration, Machine};
use crate::system::console::Findings;

/// The result that says that a system has come to a standstill.
pub const STUCK: &str = "boot";
/// How long a system may say nothing: longer than any command takes.
const SILENCE: Duration = Duration::from_secs(120);

/// This machine, as seen from QEMU's user-mode network.
pub const HOST: &str = "10.0.2.2";
/// How long the machine is watched for a word between two reports.
const PATIENCE: Duration = Duration::from_millis(20);
/// How long a system may take until it starts a driver, and how often it is tried.
const START_LIMIT: Duration = Duration::from_secs(40);
const STARTS: u32 = 3;

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
    let place = tempfile::tempdir().map_err(Error::host("create a directory"))?;
    let mut machine = start(subject, setup, netdev, place.path())?;
    let mut results = Results::new();
    let (mut seen, mut done) = (0, 0);
    let mut begun = BTreeMap::new();
    let mut limit = setup.limit.min(machine.time() + SILENCE);
    while done < scripts {
        let more = |machine: &Machine| machine.findings().events.len() > seen;
        if !more(&machine) {
            let soon = (machine.time() + PATIENCE).min(limit);
            let waited = machine.wait(soon, "the benchmarks did not end", |findings| {
                findings.events.len() > seen
            });
            match waited {
                // Time is up, or an overloaded system has come to a standstill: what it has shown so far counts.
                Err(error @ system::Error::Stuck { .. }) if machine.time() >= limit => {
                    let reason = error.to_string();
                    let reason = reason.lines().next().unwrap_or_default();
                    let reason = reason.split(';').next().unwrap_or_default();
                    results.insert(STUCK.to_owned(), json!({ "error": reason }));
                    break;
                }
                Err(system::Error::Stuck { .. }) | Ok(()) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let Some(event) = machine.findings().events.get(seen).cloned() else {
            // Nothing new: whoever waits for a moment to pass may look at the clock.
            react(None, &mut results)?;
            continue;
        };
        seen += 1;
        limit = setup.limit.min(machine.time() + SILENCE);
        match &event {
            Event::End {
                step,
                result,
                error,
                seconds,
                ..
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
    let started = |findings: &Findings| findings.spawned.is_some() || !findings.events.is_empty();
    let mut left = STARTS;
    loop {
        left -= 1;
        let mut machine = Machine::start(&configuration, place)?;
        match machine.wait(START_LIMIT.min(setup.limit), "no driver", started) {
            Err(system::Error::Stuck { .. }) if left > 0 => {}
            // What it does not say within its whole time is a result.
            Ok(()) | Err(system::Error::Stuck { .. }) => return Ok(machine),
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
    fn failures_are_named() {
        let results = serde_json::from_value(json!({
            "tx-60": { "error": "the driver did not take a frame" },
            "tcp-in-host": { "received": 5, "error": null },
        }));
        let results: Results = results.unwrap();
        assert_eq!(failures(&results), ["tx-60: the driver did not take a frame"]);
    }
}
