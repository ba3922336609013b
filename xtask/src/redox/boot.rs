//! A Redox system in QEMU, and its console.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::console::{Findings, plain};
use super::error::{Error, Result};

const QEMU: &str = "qemu-system-x86_64";
/// Memory of the machine, in MiB.
const MEMORY: &str = "1024";
/// How many lines of the console a message repeats.
const LAST_LINES: usize = 15;
/// What each line of the kernel's log begins with. From there on the boot loader asks no more.
const KERNEL: &str = "kernel::";
/// How often Enter is pressed for the boot loader, which asks for a resolution and waits for ever.
const KEY_INTERVAL: Duration = Duration::from_secs(2);
/// How long QEMU may take until its monitor is there.
const MONITOR_LIMIT: Duration = Duration::from_secs(10);

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
    /// What the card is connected to: QEMU's `-netdev` without the id.
    pub netdev: &'a str,
    /// Let the clock count instructions.
    pub icount: bool,
    /// Where everything on the console is kept.
    pub log: &'a Path,
}

/// Which machine, with any number of network cards.
pub struct Hardware<'a> {
    /// The image. What the system writes is thrown away.
    pub image: &'a Path,
    /// QEMU's name of the machine.
    pub machine: &'a str,
    /// Processors.
    pub smp: u32,
    /// Its network cards.
    pub nics: &'a [Nic<'a>],
    /// Let the clock count instructions.
    pub icount: bool,
    /// Where everything on the console is kept.
    pub log: &'a Path,
}

/// A network card.
#[derive(Clone, Copy, Debug)]
pub struct Nic<'a> {
    /// QEMU's name of the model.
    pub model: &'a str,
    /// What it is connected to: QEMU's `-netdev` without the id.
    pub netdev: &'a str,
    /// Whether the link is up from the start.
    pub link: bool,
    /// Its slot on the PCI bus, where that matters.
    pub slot: Option<u8>,
}

/// QEMU's network, with DHCP and a router that answers.
pub const USER: &str = "user";
/// A hub, to which all cards with this are connected, and nothing else.
pub const HUB: &str = "hubport,hubid=0";

impl Hardware<'_> {
    /// QEMU's command line.
    fn arguments(&self, accelerator: &str, monitor: &Path) -> Vec<String> {
        let mut arguments: Vec<String> = [
            &["-machine", self.machine, "-accel", accelerator, "-cpu", "max"][..],
            &["-m", MEMORY, "-smp", &self.smp.to_string()],
            // A screen that nobody sees: boot loader and system expect one.
            &["-nodefaults", "-display", "none", "-vga", "std", "-no-reboot"],
            &["-serial", "stdio", "-monitor"],
        ]
        .concat()
        .into_iter()
        .map(str::to_owned)
        .collect();
        let (image, monitor) = (escape(self.image), escape(monitor));
        arguments.push(format!("unix:{monitor},server,nowait"));
        let mut add = |option: &str, value: String| arguments.extend([option.to_owned(), value]);
        add(
            "-drive",
            format!("file={image},format=raw,if=none,id=disk,snapshot=on"),
        );
        add("-device", "ide-hd,drive=disk,bus=ide.0".to_owned());
        for (number, nic) in self.nics.iter().enumerate() {
            add("-netdev", format!("{},id=net{number}", nic.netdev));
            let slot = nic
                .slot
                .map_or_else(String::new, |slot| format!(",addr={slot:#x}"));
            add(
                "-device",
                format!("{},netdev=net{number},id={}{slot}", nic.model, nic_id(number)),
            );
        }
        if self.icount {
            add("-icount", "shift=0,sleep=off".to_owned());
        }
        if self.links_down().next().is_some() {
            arguments.push("-S".to_owned());
        }
        arguments
    }

    /// Numbers of the cards whose link is down from the start.
    fn links_down(&self) -> impl Iterator<Item = usize> {
        let down = |(number, nic): (usize, &Nic<'_>)| (!nic.link).then_some(number);
        self.nics.iter().enumerate().filter_map(down)
    }
}

fn nic_id(number: usize) -> String {
    format!("nic{number}")
}

/// A running machine. It ends with this value.
pub struct Machine {
    child: Child,
    stderr: Option<JoinHandle<String>>,
    lines: Receiver<String>,
    last: VecDeque<String>,
    findings: Findings,
    start: Instant,
    spawned: Option<Duration>,
    monitor: Monitor,
    /// Whether the boot loader may ask.
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
            image: configuration.image,
            machine: configuration.machine,
            smp: configuration.smp,
            nics: &[nic],
            icount: configuration.icount,
            log: configuration.log,
        };
        Self::boot(&hardware, place)
    }

    /// Starts QEMU.
    pub fn boot(hardware: &Hardware<'_>, place: &Path) -> Result<Self> {
        let monitor = place.join("monitor");
        let mut command = Command::new(QEMU);
        // Instructions can be counted only where they are translated.
        let accelerator = if hardware.icount { "tcg" } else { accelerator() };
        command.args(hardware.arguments(accelerator, &monitor));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().map_err(Error::io("start", Path::new(QEMU)))?;
        let log = File::create(hardware.log).map_err(Error::io("create", hardware.log));
        let stderr = child.stderr.take().map(collect);
        let (sender, lines) = mpsc::channel();
        let stdout = child.stdout.take();
        let mut machine = Self {
            child,
            stderr,
            lines,
            last: VecDeque::new(),
            findings: Findings::default(),
            start: Instant::now(),
            spawned: None,
            monitor: Monitor::new(&monitor),
            loading: true,
        };
        let mut log = log?;
        if let Some(stdout) = stdout {
            std::thread::spawn(move || {
                for line in BufReader::new(stdout).split(b'\n').map_while(|line| line.ok()) {
                    let line = plain(&line);
                    // The log is a help only; the run goes on without.
                    let _ = writeln!(log, "{line}");
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        machine.last.reserve(LAST_LINES);
        if hardware.links_down().next().is_some() {
            // It waits for that, stopped.
            machine.monitor.connect(MONITOR_LIMIT);
            hardware
                .links_down()
                .for_each(|number| machine.set_link(number, false));
            machine.monitor.command("cont");
        }
        Ok(machine)
    }

    /// Connects the card with that number, or pulls the plug.
    pub fn set_link(&mut self, number: usize, up: bool) {
        let state = if up { "on" } else { "off" };
        self.monitor
            .command(&format!("set_link {} {state}", nic_id(number)));
    }

    /// When pcid-spawner started a driver for a NIC, since the start.
    pub fn spawned(&self) -> Option<Duration> {
        self.spawned
    }

    /// What is known by now.
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
                    console: self.console(),
                });
            }
            match self.lines.recv_timeout(left.min(KEY_INTERVAL)) {
                Ok(line) => self.line(line),
                Err(RecvTimeoutError::Timeout) => {
                    if self.loading {
                        // Most systems do not ask.
                        self.monitor.command("sendkey ret");
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
        let status = self
            .child
            .wait()
            .map_or_else(|error| error.to_string(), |status| status.to_string());
        let reason = self
            .stderr
            .take()
            .and_then(|thread| thread.join().ok())
            .unwrap_or_default();
        self.died(
            format!("QEMU ended ({status}) {}", reason.trim())
                .trim_end()
                .to_owned(),
        )
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // What the system wrote goes with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// QEMU's monitor.
struct Monitor {
    path: PathBuf,
    connection: Option<UnixStream>,
}

impl Monitor {
    fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            connection: None,
        }
    }

    /// Waits until it is there.
    fn connect(&mut self, limit: Duration) {
        let start = Instant::now();
        while self.connection.is_none() && start.elapsed() < limit {
            self.connection = UnixStream::connect(&self.path).ok();
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Has QEMU do something. Failures are seen by what does not happen.
    fn command(&mut self, line: &str) {
        if self.connection.is_none() {
            self.connection = UnixStream::connect(&self.path).ok();
        }
        if let Some(connection) = &mut self.connection {
            let _ = connection.write_all(format!("{line}\n").as_bytes());
        }
    }
}

/// How QEMU executes the system: on the processor if that works, which it does not in every virtual machine that has
/// the device file, and by translation otherwise.
fn accelerator() -> &'static str {
    let probe = || {
        let mut child = Command::new(QEMU)
            .args(["-machine", "pc", "-accel", "kvm", "-cpu", "max", "-S"])
            .args(["-nodefaults", "-display", "none", "-monitor", "stdio"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        if let Some(mut monitor) = child.stdin.take() {
            // Fails if QEMU is gone already, and then its status says so.
            let _ = monitor.write_all(b"quit\n");
        }
        child.wait()
    };
    match probe() {
        Ok(status) if status.success() => "kvm",
        _ => "tcg",
    }
}

/// In QEMU's options a comma ends a value unless it is doubled.
fn escape(path: &Path) -> String {
    path.to_string_lossy().replace(',', ",,")
}

/// Reads to the end, on a thread of its own so that QEMU is not held up.
fn collect(mut stderr: ChildStderr) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = stderr.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(nics: &[Nic<'_>]) -> String {
        let hardware = Hardware {
            image: Path::new("a,b.img"),
            machine: "q35",
            smp: 4,
            nics,
            icount: false,
            log: Path::new("log"),
        };
        hardware.arguments("tcg", Path::new("place/monitor")).join(" ")
    }

    #[test]
    fn card_is_on_the_user_network() {
        let arguments = arguments(&[Nic {
            model: "e1000e",
            netdev: USER,
            link: true,
            slot: None,
        }]);
        for part in [
            "-machine q35 -accel tcg -cpu max -m 1024 -smp 4 ",
            "-monitor unix:place/monitor,server,nowait ",
            "file=a,,b.img,",
            "-netdev user,id=net0 -device e1000e,netdev=net0,id=nic0",
        ] {
            assert!(arguments.contains(part), "{arguments}");
        }
        assert!(!arguments.ends_with("-S"));
    }

    #[test]
    fn cards_of_a_hub_may_have_slots() {
        let nic = |model, slot| Nic {
            model,
            netdev: HUB,
            link: true,
            slot: Some(slot),
        };
        let arguments = arguments(&[nic("e1000", 4), nic("e1000e", 8)]);
        assert!(
            arguments.ends_with(
                "-netdev hubport,hubid=0,id=net0 -device e1000,netdev=net0,id=nic0,addr=0x4 \
                 -netdev hubport,hubid=0,id=net1 -device e1000e,netdev=net1,id=nic1,addr=0x8"
            ),
            "{arguments}"
        );
    }

    #[test]
    fn machine_whose_link_is_down_waits_for_that() {
        let arguments = arguments(&[Nic {
            model: "e1000",
            netdev: USER,
            link: false,
            slot: None,
        }]);
        assert!(arguments.ends_with(" -S"), "{arguments}");
    }
}
