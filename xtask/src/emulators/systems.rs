//! A Redox system in an emulator: a copy of its image with the driver and the lab's agent, booted, and what came of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use lab_host::image::{Copied, swap};
use lab_host::system::accelerator::Accelerator;
use lab_host::system::boot;
use lab_host::system::console::Findings;
use lab_host::system::hardware::{Hardware, Nic, USER};
use lab_protocol::{Outcome, STEP_MARKER, Step};
use tempfile::TempDir;

use super::bochs;
use crate::programs::Programs;
use crate::steps::Steps;

/// Longest time until the system has started a driver, and from one line of the scenario to the next. Both are
/// multiplied by the patience.
const START_LIMIT: Duration = Duration::from_secs(120);
const STEP_LIMIT: Duration = Duration::from_secs(100);
/// Boots of one system that does not get as far as a driver: some hang by themselves.
const BOOTS: usize = 3;
/// What the agent plays in QEMU; what a restart does there is in docs/compatibility.md.
const IN_QEMU: &[&str] = &["boot", "transfer"];
/// What it plays in Bochs.
const IN_BOCHS: &[&str] = &["boot", "transfer", "restart"];
/// The router of Bochs's network, which its DHCP server names only if asked (iodev/network/slirp/bootp.cc,
/// bootp_reply). dhcpd does not ask.
const ROUTER: &str = "10.0.2.2";

/// The image of a system, and what to put on it.
pub struct Given<'a> {
    /// What to call it.
    pub name: String,
    /// The image, which is only read.
    pub path: PathBuf,
    /// The driver, or `None` to build it.
    pub driver: Option<&'a Path>,
    /// The lab's agent, or `None` to build it.
    pub agent: Option<&'a Path>,
}

/// A copy of an image, with the driver on it.
pub struct Image {
    /// What to call it.
    pub name: String,
    /// Holds the copy.
    place: TempDir,
    copied: Copied,
    agent: Vec<u8>,
}

/// What the systems need of this machine.
pub struct Host {
    /// The port of the echo server.
    pub port: u16,
    /// Multiplies all limits of time.
    pub patience: u32,
    /// Where consoles are kept.
    pub logs: PathBuf,
}

impl Image {
    /// Copies the image, and puts the driver on the copy.
    pub fn prepare(given: &Given<'_>, place: &Path, steps: &Steps) -> Result<Self> {
        let place = TempDir::new_in(place).context("cannot make a directory for the copy")?;
        let copied = Copied::make(&given.path, &place.path().join("image"))?;
        let mut volume = copied.open()?;
        let target = swap::target(&mut volume)?;
        if !target.architecture.is_x86() {
            bail!(
                "{} is for {}; emulators of PCs do not boot it",
                given.path.display(),
                target.architecture
            );
        }
        let programs = Programs::new(target, steps);
        swap::install(&mut volume, &programs.get("e1000d", given.driver)?)?;
        let agent = programs.get("lab-agent", given.agent)?;
        Ok(Self {
            name: given.name.clone(),
            place,
            copied,
            agent,
        })
    }

    fn path(&self) -> PathBuf {
        self.place.path().join("image")
    }

    /// Has the agent play these scenarios at the next start, with these arguments besides the usual ones.
    fn play(&self, scenarios: &[&str], more: &[&str], host: &Host) -> Result<()> {
        let (port, patience) = (host.port.to_string(), host.patience.to_string());
        let mut arguments = vec!["scenario"];
        arguments.extend(scenarios);
        arguments.extend(["--port", &port, "--patience", &patience, "--marker", STEP_MARKER]);
        arguments.extend(more);
        swap::install_agent(&mut self.copied.open()?, &self.agent, &arguments)?;
        Ok(())
    }

    /// Boots it in a QEMU with a NIC: lease, pings, TCP.
    pub fn in_qemu(
        &self,
        qemu: &Path,
        nic: &str,
        accelerator: Accelerator,
        host: &Host,
        log: &str,
    ) -> Result<String> {
        self.play(IN_QEMU, &[], host)?;
        let image = self.path();
        again(|number| {
            let log = host.logs.join(format!("{log}.{number}.console"));
            let place = tempfile::tempdir()?;
            let machine = boot::Machine::boot(
                &Hardware {
                    qemu,
                    image: &image,
                    machine: if nic == "e1000e" { "q35" } else { "pc" },
                    smp: 1,
                    nics: &[Nic {
                        model: nic,
                        netdev: USER,
                        link: true,
                        slot: None,
                    }],
                    icount: false,
                    accelerator,
                    log: &log,
                },
                place.path(),
            )?;
            follow(&mut Qemu(machine), host.patience)
        })
    }

    /// Boots it in Bochs: lease, pings, TCP, and a driver that is ended and started again.
    pub fn in_bochs(&self, bin: &Path, tree: &Path, host: &Host, log: &str) -> Result<String> {
        self.play(IN_BOCHS, &["--router", ROUTER], host)?;
        let disk = self.place.path().join("disk");
        let result = again(|number| {
            fs::copy(self.path(), &disk).context("cannot copy the image")?;
            let place = host.logs.join(format!("{log}.{number}"));
            let mut machine = bochs::Machine::start(bin, tree, &disk, &place)?;
            let seen = follow(&mut machine, host.patience)?;
            let (out, into) = machine.frames()?;
            Ok(seen.map(|text| format!("{text}; Bochs logged {out} frames out, {into} in")))
        });
        let _ = fs::remove_file(&disk);
        result
    }
}

/// A booted system and its console.
trait System {
    fn wait(&mut self, limit: Duration, what: &'static str, done: &dyn Fn(&Findings) -> bool) -> Result<()>;
    fn findings(&self) -> &Findings;
    fn time(&self) -> Duration;
}

struct Qemu(boot::Machine);

impl System for Qemu {
    fn wait(&mut self, limit: Duration, what: &'static str, done: &dyn Fn(&Findings) -> bool) -> Result<()> {
        Ok(self.0.wait(limit, what, done)?)
    }

    fn findings(&self) -> &Findings {
        self.0.findings()
    }

    fn time(&self) -> Duration {
        self.0.time()
    }
}

impl System for bochs::Machine {
    fn wait(&mut self, limit: Duration, what: &'static str, done: &dyn Fn(&Findings) -> bool) -> Result<()> {
        Self::wait(self, limit, what, done)
    }

    fn findings(&self) -> &Findings {
        Self::findings(self)
    }

    fn time(&self) -> Duration {
        Self::time(self)
    }
}

/// Boots until there is a result, and says how often it took. No result is a system that has started no driver.
fn again(mut boot: impl FnMut(usize) -> Result<Option<String>>) -> Result<String> {
    for number in 1..=BOOTS {
        match (boot(number)?, number) {
            (Some(text), 1) => return Ok(text),
            (Some(text), _) => {
                return Ok(format!(
                    "{text}, at boot {number}: those before started no driver"
                ));
            }
            (None, _) => {}
        }
    }
    bail!("{BOOTS} boots started no driver")
}

/// Follows the scenarios to their end. `None` if the system did not get as far as a driver.
fn follow(system: &mut dyn System, patience: u32) -> Result<Option<String>> {
    let started = |findings: &Findings| findings.spawned.is_some() || !findings.steps.is_empty();
    let begun = system.wait(START_LIMIT * patience, "no driver was started", &started);
    if begun.is_err() && !started(system.findings()) {
        return Ok(None);
    }
    let mut seen = 0;
    loop {
        let limit = system.time() + STEP_LIMIT * patience;
        if let Err(error) = system.wait(limit, "no step ended", &|findings| findings.steps.len() > seen) {
            let step = system.findings().steps.last();
            return Err(match step {
                Some(step) => error.context(format!("in {}/{}", step.scenario, step.step)),
                None => error,
            });
        }
        seen += 1;
        let steps = &system.findings().steps;
        if steps
            .get(seen - 1)
            .is_some_and(|step| step.outcome == Outcome::End)
        {
            break;
        }
    }
    let findings = system.findings();
    let interrupt = findings
        .driver
        .as_ref()
        .and_then(|driver| driver.interrupt.clone());
    judge(&findings.steps, interrupt.as_deref()).map(Some)
}

/// What the steps of all scenarios came to.
fn judge(steps: &[Step], interrupt: Option<&str>) -> Result<String> {
    if let Some(step) = steps.iter().find(|step| step.outcome == Outcome::Fail) {
        bail!("{}: {}", step.title, step.detail);
    }
    let ended = |scenario: &str, step: &str| {
        steps.iter().any(|found| {
            found.scenario == scenario
                && found.step == step
                && matches!(found.outcome, Outcome::Ok | Outcome::Differs)
        })
    };
    let parts = [
        ("boot", "address", "lease"),
        ("boot", "ping", "4 of 4 pings"),
        ("transfer", "tcp", "TCP equal"),
        ("restart", "kill-ping", "restart after kill -9"),
        ("restart", "terminate-ping", "restart after SIGTERM"),
    ];
    let parts: Vec<_> = parts
        .iter()
        .filter_map(|(scenario, step, words)| ended(scenario, step).then_some(*words))
        .collect();
    if parts.is_empty() {
        bail!("no step of the scenario was reported");
    }
    let interrupt = interrupt.map_or_else(String::new, |interrupt| format!("; {interrupt}"));
    Ok(format!("ok: {}{interrupt}", parts.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(scenario: &str, name: &str, outcome: Outcome) -> Step {
        Step {
            outcome,
            detail: "reason".to_owned(),
            ..Step::begin(scenario, name, name)
        }
    }

    #[test]
    fn steps_that_ended_well_are_named_and_the_first_failure_is_all_that_counts() {
        let mut steps = vec![
            step("boot", "address", Outcome::Ok),
            step("boot", "ping", Outcome::Begin),
            step("transfer", "tcp", Outcome::Ok),
        ];
        assert_eq!(judge(&steps, Some("INTx")).unwrap(), "ok: lease, TCP equal; INTx");
        steps.push(step("restart", "kill", Outcome::Fail));
        assert_eq!(judge(&steps, None).unwrap_err().to_string(), "kill: reason");
        assert!(judge(&[Step::end()], None).is_err());
    }

    #[test]
    fn system_that_starts_no_driver_is_booted_again_but_not_for_ever() {
        let answer = |number| Ok((number == 2).then(|| "ok".to_owned()));
        assert!(again(answer).unwrap().starts_with("ok, at boot 2"));
        let mut boots = 0;
        let never = again(|_| {
            boots += 1;
            Ok(None)
        });
        assert!(never.is_err());
        assert_eq!(boots, BOOTS);
    }
}
