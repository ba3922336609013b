//! One boot of a system with scripts of the agent, and their results.

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

/// Name of the result of a system that has come to a standstill.
pub const STUCK: &str = "boot";
/// Longest silence of a system: longer than any command takes.
const SILENCE: Duration = Duration::from_secs(120);

/// This machine, as seen from QEMU's user-mode network.
pub const HOST: &str = "10.0.2.2";
/// Interval in which the machine's console is checked.
const PATIENCE: Duration = Duration::from_millis(20);
/// Time limit until a system starts a driver, and number of attempts.
const START_LIMIT: Duration = Duration::from_secs(40);
const STARTS: u32 = 3;

/// Options of a boot.
pub struct Setup<'a> {
    pub nic: &'a str,
    /// Processors.
    pub smp: u32,
    /// Let the clock count instructions.
    pub icount: bool,
    /// Accelerator, unless instructions are counted.
    pub accelerator: Accelerator,
    pub limit: Duration,
    pub log: &'a Path,
}

/// Results of one boot by name: objects that the commands printed, and observations of the host.
pub type Results = BTreeMap<String, Value>;

/// Boots the system, and calls `each` with each event of its scripts, and with `None` at intervals without one.
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
                // Time is up, or an overloaded system has come to a standstill. Its results so far count.
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
            // No event: a callback that waits for a time can check the clock.
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

/// Boots the system, and boots it again if it stands still before it starts any driver, which it sometimes does without
/// a driver's fault.
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
            // A system that misses its time limit has results, too.
            Ok(()) | Err(system::Error::Stuck { .. }) => return Ok(machine),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Errors, by step.
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
