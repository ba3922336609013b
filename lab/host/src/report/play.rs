//! Carrying a job out: the image is prepared, the machine booted, its console followed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lab_protocol::{Outcome, STEP_MARKER, Step};
use qemu_process::PROGRAM;

use super::matrix::{Cell, Figure, Mark};
use super::plan::{Group, Host, Job};
use crate::bench::measures::CLOCK_TOLERANCE;
use crate::error::{Error, Result};
use crate::image::{self, Copied, swap};
use crate::system;
use crate::system::accelerator::Accelerator;
use crate::system::boot::Machine;
use crate::system::console::Findings;
use crate::system::hardware::Hardware;

/// From QEMU's start to the first step.
const BOOT_LIMIT: Duration = Duration::from_secs(60);
/// From QEMU's start to the driver's: a system that does not get there hangs by itself, and is booted again.
const START_LIMIT: Duration = Duration::from_secs(40);
const MAX_STARTS: usize = 3;
/// In addition to the job's own time, for a step: more than the client's own limits.
const STEP_LIMIT: Duration = Duration::from_secs(100);
/// A boot without a link goes on: the driver waits for some seconds, and others are started behind it.
const LATE_LIMIT: Duration = Duration::from_secs(10);
/// Time without link when it comes late, and times on and off when it flaps: in all less than the
/// 8 s of the client's step.
const LATE: Duration = Duration::from_secs(3);
const FLAP: Duration = Duration::from_millis(300);
const FLAPS: usize = 10;
/// Boots for one contract: a driver may stop its whole system.
const MAX_BOOTS: usize = 8;
const QEMU_ENDED: &str = "QEMU ended";
/// Steps of each boot before the scenario proper.
const PRELUDE: [&str; 4] = ["driver", "mac", "address", "ping"];

/// Plays jobs on one copy of the image.
pub struct Player<'a> {
    pub copied: Copied,
    pub image: PathBuf,
    pub driver: &'a [u8],
    pub agent: &'a [u8],
    pub accelerator: Accelerator,
    /// Where consoles are kept.
    pub logs: PathBuf,
}

/// Result of a job.
pub struct Played {
    /// Titles and cells.
    pub rows: Vec<(String, Cell)>,
    /// Name that the system gives itself.
    pub system: Option<String>,
    /// Boots before that which did not get as far as a driver.
    pub repeated: usize,
}

/// Result of one boot.
struct Boot {
    steps: Vec<Step>,
    driver: Option<String>,
    panicked: Option<String>,
    /// True if the system got as far as starting a driver.
    spawned: bool,
    /// True if QEMU ended by itself.
    qemu_ended: bool,
    /// The step that never ended, and why.
    stuck: Option<(String, String)>,
    /// From the driver's start to the first step.
    late: Option<Duration>,
}

impl Player<'_> {
    /// Carries it out. What the system does wrong is in the result; errors are those of this machine.
    pub fn play(&self, job: &Job) -> Result<Played> {
        let mut all = self.boot(job, None, 0)?;
        let mut repeated = 0;
        while repeated + 1 < MAX_STARTS && (!all.spawned || all.qemu_ended) {
            repeated += 1;
            all = self.boot(job, None, 0)?;
        }
        if job.group == Group::Contract {
            for number in 1..MAX_BOOTS {
                let Some(last) = resume_after(&all) else { break };
                let more = self.boot(job, Some(&last), number)?;
                let died = all
                    .stuck
                    .take()
                    .map(|(step, reason)| stuck_step(&all.steps, &step, &reason));
                all.steps.extend(died.flatten());
                all.steps
                    .retain(|step| !["after", "revive"].contains(&step.step.as_str()));
                all.steps.extend(more.steps);
                all.stuck = more.stuck;
            }
        }
        Ok(Played {
            system: all.steps.iter().find_map(|step| {
                (step.step == "driver" && step.outcome == Outcome::Ok).then(|| {
                    step.detail
                        .split_once(", on ")
                        .map(|(_, system)| system.to_owned())
                })?
            }),
            rows: rows(job, &all),
            repeated,
        })
    }

    fn boot(&self, job: &Job, after: Option<&str>, number: usize) -> Result<Boot> {
        self.prepare(job, after)?;
        let log = self
            .logs
            .join(format!("{}.{number}.log", job.name().replace('/', ".")));
        let place = tempfile::tempdir().map_err(Error::host("create a directory"))?;
        let mut machine = Machine::boot(
            &Hardware {
                qemu: Path::new(PROGRAM),
                image: &self.image,
                machine: job.machine,
                smp: job.smp,
                nics: &job.nics,
                icount: false,
                accelerator: self.accelerator,
                log: &log,
            },
            place.path(),
        )?;
        let mut late = None;
        let mut stuck = None;
        let mut seen = 0;
        let started = |findings: &Findings| findings.spawned.is_some() || !findings.steps.is_empty();
        if let Err(error) = machine.wait(START_LIMIT, "no driver", started) {
            stuck = Some(stopped(&machine, &error));
        }
        while stuck.is_none() {
            let limit = if seen == 0 {
                BOOT_LIMIT
            } else {
                machine.time() + job.time + STEP_LIMIT
            };
            let more = |findings: &Findings| findings.steps.len() > seen;
            if let Err(error) = machine.wait(limit, "no step", more) {
                stuck = Some(stopped(&machine, &error));
                break;
            }
            let Some(step) = machine.findings().steps.get(seen).cloned() else {
                break;
            };
            if seen == 0 {
                late = machine
                    .spawned()
                    .map(|spawned| machine.time().saturating_sub(spawned));
            }
            seen += 1;
            if step.outcome == Outcome::End {
                break;
            }
            if let Err(error) = act(job.host, &step, &mut machine) {
                stuck = Some(stopped(&machine, &error));
            }
        }
        let findings = machine.findings();
        Ok(Boot {
            steps: findings.steps.clone(),
            driver: findings
                .driver
                .as_ref()
                .and_then(|driver| driver.interrupt.clone()),
            panicked: findings.panicked.clone(),
            spawned: started(findings),
            qemu_ended: stuck.as_ref().is_some_and(|(_, reason)| reason == QEMU_ENDED),
            stuck,
            late,
        })
    }

    /// Puts on the image what the job needs, and nothing else.
    fn prepare(&self, job: &Job, after: Option<&str>) -> image::Result<()> {
        let mut volume = self.copied.open()?;
        if job.stock {
            swap::make_stock(&mut volume)?;
        } else {
            swap::install_with(&mut volume, self.driver, &job.arguments)?;
        }
        let time = format!("{}s", job.time.as_secs());
        let mut arguments = vec!["scenario", job.scenario, "--time", &time, "--marker", STEP_MARKER];
        arguments.extend(after.iter().flat_map(|after| ["--after", *after]));
        swap::install_agent(&mut volume, self.agent, &arguments)?;
        Ok(())
    }
}

/// Where the system has stopped, and how.
fn stopped(machine: &Machine, error: &system::Error) -> (String, String) {
    let findings = machine.findings();
    let step = findings.steps.last().map_or("", |step| &step.step).to_owned();
    let reason = match (&findings.panic, error) {
        (Some(panic), _) => format!("kernel panic: {panic}"),
        (None, system::Error::Stuck { .. }) => "hangs".to_owned(),
        _ => QEMU_ENDED.to_owned(),
    };
    (step, reason)
}

/// The host's part when the scenario comes to a step.
fn act(host: Host, step: &Step, machine: &mut Machine) -> system::Result<()> {
    match (host, step.step.as_str(), step.outcome) {
        (Host::LateLink, "address", Outcome::Begin) => {
            std::thread::sleep(LATE);
            machine.set_link(0, true)
        }
        (Host::Link, "flaps", Outcome::Begin) => {
            // The scenario sends traffic by now.
            std::thread::sleep(FLAP * 3);
            for _ in 0..FLAPS {
                machine.set_link(0, false)?;
                std::thread::sleep(FLAP);
                machine.set_link(0, true)?;
                std::thread::sleep(FLAP);
            }
            Ok(())
        }
        (Host::Link, "down", Outcome::Begin) => machine.set_link(0, false),
        (Host::Link, "down", _) => machine.set_link(0, true),
        _ => Ok(()),
    }
}

/// The check behind which a contract goes on with another boot, if it has to.
fn resume_after(boot: &Boot) -> Option<String> {
    let begun = |step: &&Step| step.outcome == Outcome::Begin && step.step.contains('.');
    let last = boot.steps.iter().rev().find(begun)?.step.clone();
    let unrevived = boot.steps.iter().any(|step| step.step == "revive");
    let stuck = boot.stuck.as_ref().is_some_and(|(step, _)| *step == last);
    (unrevived || stuck).then_some(last)
}

/// The result of a step that has begun and never ended.
fn stuck_step(steps: &[Step], name: &str, reason: &str) -> Option<Step> {
    let begun = steps.iter().rev().find(|step| step.step == name)?;
    Some(Step {
        outcome: Outcome::Fail,
        detail: reason.to_owned(),
        ..begun.clone()
    })
}

fn cell(step: &Step) -> Cell {
    let mark = match step.outcome {
        Outcome::Ok | Outcome::Begin | Outcome::End => Mark::Ok,
        Outcome::Differs => Mark::Differs,
        Outcome::Skip => Mark::Untried,
        Outcome::Fail => Mark::Fail,
    };
    Cell::new(mark, &step.detail).with(step.figure.map(|figure| clocked(figure as f64, false)))
}

/// A number that depends on the clock on the wall.
fn clocked(value: f64, lower_is_better: bool) -> Figure {
    Figure {
        value,
        lower_is_better,
        tolerance: CLOCK_TOLERANCE,
    }
}

/// Cells that a job puts into the table.
fn rows(job: &Job, boot: &Boot) -> Vec<(String, Cell)> {
    let mut results: Vec<_> = boot
        .steps
        .iter()
        .filter(|step| !matches!(step.outcome, Outcome::Begin | Outcome::End))
        .cloned()
        .collect();
    if let Some((step, reason)) = &boot.stuck {
        results.extend(stuck_step(&boot.steps, step, reason));
    }
    let nothing = results.is_empty();
    if nothing && !boot.spawned && job.row.is_none() {
        // Whatever the rows would be, nothing is known about them.
        return Vec::new();
    }
    let failed = results.iter().find(|step| step.outcome == Outcome::Fail);
    if let Some(row) = &job.row {
        let cell = match (failed, results.last()) {
            _ if boot.qemu_ended => Cell::new(Mark::Untried, QEMU_ENDED),
            (Some(step), _) => Cell::new(Mark::Fail, &format!("{}: {}", step.title, step.detail)),
            (None, None) if !boot.spawned => {
                Cell::new(Mark::Untried, "the system hangs before it starts drivers")
            }
            (None, None) => Cell::new(Mark::Fail, "hangs: the boot does not get there"),
            (None, Some(last)) if job.group == Group::Pair => cell(last),
            (None, Some(_)) => Cell::new(Mark::Ok, boot.driver.as_deref().unwrap_or_default()),
        };
        return vec![(row.clone(), cell)];
    }
    let mut rows: Vec<_> = results
        .iter()
        .filter(|step| {
            let prelude = job.host != Host::LateLink && PRELUDE.contains(&step.step.as_str());
            !prelude || step.outcome == Outcome::Fail
        })
        .map(|step| (step.title.clone(), cell(step)))
        .collect();
    if job.host == Host::LateLink {
        let late = match boot.late {
            Some(late) if late <= LATE_LIMIT => {
                let seconds = late.as_secs_f64();
                Cell::new(Mark::Ok, &format!("{seconds:.1} s")).with(Some(clocked(seconds, true)))
            }
            Some(late) => Cell::new(Mark::Fail, &format!("{:.1} s", late.as_secs_f64())),
            None => Cell::new(Mark::Fail, "hangs: the boot waits for the link"),
        };
        let title = "without a link, the boot goes on".to_owned();
        rows.retain(|(title, _)| title != "the boot has gone on");
        rows.insert(0, (title, late));
    } else if nothing {
        let title = boot.steps.last().map_or("the boot", |step| &step.title);
        rows.push((title.to_owned(), Cell::new(Mark::Fail, "hangs")));
    }
    if matches!(job.group, Group::Restart) {
        let cell = match &boot.panicked {
            None => Cell::new(Mark::Ok, ""),
            Some(line) => Cell::new(Mark::Fail, line),
        };
        rows.push(("no panic on the console".to_owned(), cell));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::super::plan::jobs;
    use super::*;

    fn step(name: &str, outcome: Outcome, detail: &str) -> Step {
        Step {
            outcome,
            detail: detail.to_owned(),
            ..Step::begin("scenario", name, &format!("title of {name}"))
        }
    }

    fn boot(steps: Vec<Step>) -> Boot {
        Boot {
            steps,
            driver: Some("INTx".to_owned()),
            panicked: None,
            spawned: true,
            qemu_ended: false,
            stuck: None,
            late: None,
        }
    }

    fn job(name: &str) -> Job {
        let mut jobs = jobs(Duration::from_secs(20), None);
        jobs.retain(|job| job.name() == name);
        jobs.remove(0)
    }

    fn shown(job: &Job, boot: &Boot) -> Vec<String> {
        rows(job, boot)
            .into_iter()
            .map(|(title, cell)| format!("{title}: {cell}"))
            .collect()
    }

    #[test]
    fn boot_is_one_row() {
        let job = job("e1000/boot/machine-pc-1-processor");
        let mut boot = boot(vec![
            step("driver", Outcome::Ok, "x"),
            step("ping", Outcome::Ok, ""),
        ]);
        assert_eq!(shown(&job, &boot), ["machine pc, 1 processor: ok: INTx"]);
        boot.steps[1] = step("ping", Outcome::Fail, "3 of 4");
        assert_eq!(
            shown(&job, &boot),
            ["machine pc, 1 processor: FAIL: title of ping: 3 of 4"]
        );
        boot.steps.clear();
        assert!(shown(&job, &boot)[0].ends_with("FAIL: hangs: the boot does not get there"));
        boot.spawned = false;
        assert!(shown(&job, &boot)[0].contains("not tried: the system hangs"));
    }

    #[test]
    fn figure_of_a_step_is_in_its_cell() {
        let mut frames = step("frames", Outcome::Ok, "10 + 20 frames");
        frames.figure = Some(30);
        let cells = rows(&job("e1000/pair/the-same-model-20-s"), &boot(vec![frames]));
        let figure = cells[0].1.figure.unwrap();
        assert_eq!((figure.value, figure.lower_is_better), (30.0, false));
    }

    #[test]
    fn steps_are_rows_and_the_prelude_is_none() {
        let boot = boot(vec![
            step("ping", Outcome::Ok, ""),
            step("kill", Outcome::Begin, ""),
            step("kill", Outcome::Ok, ""),
        ]);
        assert_eq!(
            shown(&job("e1000/restart"), &boot),
            ["title of kill: ok", "no panic on the console: ok"]
        );
    }

    #[test]
    fn contract_goes_on_behind_the_check_that_stops_the_system() {
        let mut boot = boot(vec![
            step("mac.a", Outcome::Begin, ""),
            step("mac.a", Outcome::Ok, ""),
            step("mac.b", Outcome::Begin, ""),
        ]);
        assert_eq!(resume_after(&boot), None, "unless it is over");
        boot.stuck = Some(("mac.b".to_owned(), "hangs".to_owned()));
        assert_eq!(resume_after(&boot).as_deref(), Some("mac.b"));
        assert_eq!(
            shown(&job("stock/contract"), &boot),
            ["title of mac.a: ok", "title of mac.b: FAIL: hangs"]
        );
    }

    #[test]
    fn late_link_is_measured_by_the_host() {
        let job = job("stock/link/late-link");
        let mut boot = boot(Vec::new());
        assert!(shown(&job, &boot)[0].ends_with("FAIL: hangs: the boot waits for the link"));
        boot.late = Some(Duration::from_millis(4200));
        boot.steps = vec![step("address", Outcome::Ok, "10.0.2.15/24")];
        assert_eq!(
            shown(&job, &boot),
            [
                "without a link, the boot goes on: ok: 4.2 s",
                "title of address: ok: 10.0.2.15/24"
            ]
        );
    }
}
