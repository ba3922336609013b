//! A Redox system in QEMU, and its console.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use qemu_process::{Launch, Monitor, PROGRAM, Qemu, QemuError};

use super::accelerator::Accelerator;
use super::console::{Findings, plain};
use super::error::{Error, Result};
use super::hardware::{Hardware, Nic, nic_id};
use crate::file::FileError;

/// Lines of the console that a message repeats.
const LAST_LINES: usize = 15;
/// Beginning of each line of the kernel's log. From there on the boot loader asks no more.
const KERNEL: &str = "kernel::";
/// Interval of pressing Enter for the boot loader, which asks for a resolution and waits for ever.
const KEY_INTERVAL: Duration = Duration::from_secs(2);
/// Longest time until QEMU's monitor is there. A busy machine takes long.
const MONITOR_LIMIT: Duration = Duration::from_secs(60);
/// Longest time until QEMU ends when its console has.
const END_LIMIT: Duration = Duration::from_secs(10);

/// QEMU's version, as it says it; `None` if it cannot be started.
pub fn version() -> Option<String> {
    let output = Command::new(PROGRAM).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().next().map(str::to_owned)
}

/// Which machine, with one network card.
pub struct Configuration<'a> {
    /// The image. What the system writes is thrown away.
    pub image: &'a Path,
    /// QEMU's name of the NIC.
    pub nic: &'a str,
    /// QEMU's name of the machine.
    pub machine: &'a str,
    /// Processors.
    pub smp: u32,
    /// Network of the card: QEMU's `-netdev` without the id.
    pub netdev: &'a str,
    /// Let the clock count instructions.
    pub icount: bool,
    /// Its accelerator, unless instructions are counted.
    pub accelerator: Accelerator,
    /// Where everything on the console is kept.
    pub log: &'a Path,
}

/// A running machine. It ends with this value.
pub struct Machine {
    qemu: Qemu,
    lines: Receiver<String>,
    last: VecDeque<String>,
    findings: Findings,
    start: Instant,
    spawned: Option<Duration>,
    monitor: Monitor,
    accelerator: Accelerator,
    /// True if the boot loader may ask.
    loading: bool,
}

impl Machine {
    /// Starts QEMU with one network card.
    pub fn start(configuration: &Configuration<'_>, place: &Path) -> Result<Self> {
        let nic = Nic {
            model: configuration.nic,
            netdev: configuration.netdev,
            link: true,
            slot: None,
        };
        let hardware = Hardware {
            qemu: Path::new(PROGRAM),
            image: configuration.image,
            machine: configuration.machine,
            smp: configuration.smp,
            nics: &[nic],
            icount: configuration.icount,
            accelerator: configuration.accelerator,
            log: configuration.log,
        };
        Self::boot(&hardware, place)
    }

    /// Starts QEMU.
    pub fn boot(hardware: &Hardware<'_>, place: &Path) -> Result<Self> {
        let mut log = File::create(hardware.log).map_err(FileError::new("create", hardware.log))?;
        let mut qemu = Launch::of_program(hardware.qemu)
            .args(hardware.arguments())
            .monitor(place.join("monitor"))
            .console()
            .start()?;
        let console = qemu.take_console();
        let monitor = qemu.monitor(MONITOR_LIMIT)?;
        let (sender, lines) = mpsc::channel();
        let mut machine = Self {
            qemu,
            lines,
            last: VecDeque::with_capacity(LAST_LINES),
            findings: Findings::default(),
            start: Instant::now(),
            spawned: None,
            monitor,
            accelerator: hardware.accelerator(),
            loading: true,
        };
        if let Some(console) = console {
            std::thread::spawn(move || {
                for line in BufReader::new(console).split(b'\n').map_while(|line| line.ok()) {
                    let line = plain(&line);
                    // The log is a help only; the run goes on without.
                    let _ = writeln!(log, "{line}");
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        if hardware.links_down().next().is_some() {
            // It waits for that, stopped.
            for number in hardware.links_down() {
                machine.set_link(number, false)?;
            }
            machine.monitor.go_on().map_err(QemuError::from)?;
        }
        Ok(machine)
    }

    /// Connects the card with that number, or pulls the plug.
    pub fn set_link(&mut self, number: usize, up: bool) -> Result<()> {
        let done = self.monitor.set_link(&nic_id(number), up);
        Ok(done.map_err(QemuError::from)?)
    }

    /// When pcid-spawner started a driver for a NIC, since the start.
    pub fn spawned(&self) -> Option<Duration> {
        self.spawned
    }

    /// All that is known by now.
    pub fn findings(&self) -> &Findings {
        &self.findings
    }

    /// Since the start.
    pub fn time(&self) -> Duration {
        self.start.elapsed()
    }

    /// Reads the console until it has said what is waited for.
    ///
    /// # Errors
    ///
    /// [`Error::Stuck`] if that does not happen until `limit` after the start, [`Error::Died`] if it cannot.
    pub fn wait(
        &mut self,
        limit: Duration,
        what: &'static str,
        done: impl Fn(&Findings) -> bool,
    ) -> Result<()> {
        while !done(&self.findings) {
            if let Some(panic) = &self.findings.panic {
                return Err(self.died(panic.clone()));
            }
            let left = limit.saturating_sub(self.time());
            if left.is_zero() {
                return Err(Error::Stuck {
                    what,
                    seconds: limit.as_secs(),
                    accelerator: self.accelerator,
                    console: self.console(),
                });
            }
            match self.lines.recv_timeout(left.min(KEY_INTERVAL)) {
                Ok(line) => self.line(line),
                Err(RecvTimeoutError::Timeout) => {
                    if self.loading {
                        // Most systems do not ask. That QEMU is gone is seen at the end of its console.
                        let _ = self.monitor.press("ret");
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return Err(self.ended()),
            }
        }
        Ok(())
    }

    fn line(&mut self, line: String) {
        if line.contains(KERNEL) {
            self.loading = false;
        }
        self.findings.line(&line);
        if self.findings.spawned.is_some() && self.spawned.is_none() {
            self.spawned = Some(self.time());
        }
        if self.last.len() == LAST_LINES {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }

    /// The last lines of the console.
    fn console(&self) -> String {
        if self.last.is_empty() {
            return "    (nothing)".to_owned();
        }
        let lines: Vec<_> = self.last.iter().map(|line| format!("    {line}")).collect();
        lines.join("\n")
    }

    /// An error that ends the run, with what the console said last.
    pub fn died(&self, what: String) -> Error {
        Error::Died {
            what,
            console: self.console(),
        }
    }

    /// QEMU's output is at its end, and so is QEMU.
    fn ended(&mut self) -> Error {
        let status = match self.qemu.wait(END_LIMIT) {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        let what = format!("QEMU ended ({status}) {}", self.qemu.messages());
        self.died(what.trim_end().to_owned())
    }
}
