//! A Redox system in QEMU, and its console.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
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

/// Which machine.
pub struct Configuration<'a> {
    /// The image. What the system writes is thrown away.
    pub image: &'a Path,
    /// QEMU's name of the NIC.
    pub nic: &'a str,
    /// QEMU's name of the machine.
    pub machine: &'a str,
    /// Processors.
    pub smp: u32,
    /// Where everything on the console is kept.
    pub log: &'a Path,
}

/// A running machine. It ends with this value.
pub struct Machine {
    child: Child,
    stderr: Option<JoinHandle<String>>,
    lines: Receiver<String>,
    last: VecDeque<String>,
    findings: Findings,
    start: Instant,
    keyboard: Option<Keyboard>,
}

impl Machine {
    /// Starts QEMU.
    pub fn start(configuration: &Configuration<'_>, place: &Path) -> Result<Self> {
        let monitor = place.join("monitor");
        let mut command = Command::new(QEMU);
        command.args([
            "-machine",
            configuration.machine,
            "-accel",
            accelerator(),
            "-cpu",
            "max",
        ]);
        command.args(["-m", MEMORY, "-smp", &configuration.smp.to_string()]);
        // A screen that nobody sees: boot loader and system expect one.
        command.args(["-nodefaults", "-display", "none", "-vga", "std", "-no-reboot"]);
        command.args(["-serial", "stdio", "-monitor"]);
        command.arg(format!("unix:{},server,nowait", escape(&monitor)));
        command.arg("-drive").arg(format!(
            "file={},format=raw,if=none,id=disk,snapshot=on",
            escape(configuration.image)
        ));
        command.args(["-device", "ide-hd,drive=disk,bus=ide.0", "-netdev", "user,id=net"]);
        command
            .arg("-device")
            .arg(format!("{},netdev=net", configuration.nic));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().map_err(Error::io("start", Path::new(QEMU)))?;
        let log = File::create(configuration.log).map_err(Error::io("create", configuration.log));
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
            keyboard: Some(Keyboard::new(&monitor)),
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
        Ok(machine)
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
                    if let Some(keyboard) = &mut self.keyboard {
                        keyboard.press_enter();
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return Err(self.ended()),
            }
        }
        Ok(())
    }

    fn line(&mut self, line: String) {
        if line.contains(KERNEL) {
            self.keyboard = None;
        }
        self.findings.line(&line);
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

/// Keys, through QEMU's monitor.
struct Keyboard {
    monitor: std::path::PathBuf,
    connection: Option<UnixStream>,
}

impl Keyboard {
    fn new(monitor: &Path) -> Self {
        Self {
            monitor: monitor.to_owned(),
            connection: None,
        }
    }

    /// Failures do not matter: most systems do not ask.
    fn press_enter(&mut self) {
        if self.connection.is_none() {
            self.connection = UnixStream::connect(&self.monitor).ok();
        }
        if let Some(connection) = &mut self.connection {
            let _ = connection.write_all(b"sendkey ret\n");
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
