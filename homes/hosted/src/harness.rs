//! Starts `e1000d-hosted` for a test and stands at the other end of its cable.

mod wire;

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use std::{fmt, thread};

use e1000_hw::ethernet::MacAddress;
use tempfile::TempDir;

use crate::machine::{self, MachineError, Netdev, NicModel};
use crate::platform::Report;

pub use wire::Wire;

/// Longest wait for a daemon to end after SIGTERM.
const STOP_LIMIT: Duration = Duration::from_secs(15);

/// Attempts to find a UDP port that nobody else takes before QEMU does.
const PORT_ATTEMPTS: usize = 5;

/// The offset of a poke that removes the device.
pub const REMOVE_DEVICE: u32 = u32::MAX;

/// The offset of a poke at which a thread of the daemon panics.
pub const PANIC: u32 = u32::MAX - 1;

/// The daemon to start.
#[derive(Clone, Debug)]
pub struct HostedOptions {
    /// The program: `env!("CARGO_BIN_EXE_e1000d-hosted")` in a test of this package.
    pub program: PathBuf,
    /// The NIC.
    pub nic: NicModel,
    /// The other end of its cable; the [`Wire`] if not said.
    pub netdev: Option<Netdev>,
    /// Its address; QEMU's usual one if not said.
    pub mac: Option<[u8; 6]>,
    /// A pcap file of all frames.
    pub capture: Option<PathBuf>,
    /// Start with the cable pulled out.
    pub link_down: bool,
    /// Longest wait for readiness.
    pub ready_limit: Duration,
    /// Further arguments of the program.
    pub arguments: Vec<String>,
    /// Further environment of the daemon.
    pub environment: Vec<(String, String)>,
}

impl HostedOptions {
    /// A daemon for that NIC at a [`Wire`].
    pub fn new(program: impl Into<PathBuf>, nic: NicModel) -> Self {
        Self {
            program: program.into(),
            nic,
            netdev: None,
            mac: None,
            capture: None,
            link_down: false,
            ready_limit: Duration::from_secs(40),
            arguments: Vec::new(),
            environment: Vec::new(),
        }
    }
}

/// A daemon that did not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum HarnessError {
    /// A file, a socket or the program itself made trouble.
    #[error("cannot {doing}: {source}")]
    System {
        /// The action that failed.
        doing: &'static str,
        /// The reason.
        source: io::Error,
    },
    /// The daemon ended before it was ready.
    #[error("the daemon ended before it was ready; it said:\n{log}")]
    Ended {
        /// Its standard error.
        log: String,
    },
    /// The daemon was not ready in time.
    #[error("the daemon was not ready after {} s; it said:\n{log}", limit.as_secs())]
    NotReady {
        /// The limit.
        limit: Duration,
        /// Its standard error.
        log: String,
    },
    /// The daemon did not end in time, or not well.
    #[error("the daemon did not stop well ({status}); it said:\n{log}")]
    BadEnd {
        /// Its end.
        status: End,
        /// Its standard error.
        log: String,
    },
}

/// The end of a daemon.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// With this status.
    Status(ExitStatus),
    /// Not at all.
    Hung,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Status(status) => status.fmt(f),
            End::Hung => write!(f, "still running {STOP_LIMIT:?} after SIGTERM"),
        }
    }
}

trait Doing<T> {
    fn doing(self, doing: &'static str) -> Result<T, HarnessError>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, doing: &'static str) -> Result<T, HarnessError> {
        self.map_err(|source| HarnessError::System { doing, source })
    }
}

/// The directory of schemes: one for all daemons of a process, since its clients can only look in one.
fn scheme_directory() -> io::Result<Arc<TempDir>> {
    static SHARED: Mutex<Weak<TempDir>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(directory) = shared.upgrade() {
        return Ok(directory);
    }
    let directory = Arc::new(tempfile::Builder::new().prefix("e1000-schemes-").tempdir()?);
    redox_shim::set_directory(directory.path());
    *shared = Arc::downgrade(&directory);
    Ok(directory)
}

/// A slot of its own for each daemon, and thereby a scheme name of its own.
fn next_slot() -> u8 {
    static NEXT: AtomicU8 = AtomicU8::new(0);
    3 + NEXT.fetch_add(1, Ordering::Relaxed) % 29
}

/// A running daemon; killed when dropped, and by the system when the thread that started it ends.
pub struct Hosted {
    child: Child,
    name: String,
    wire: Option<Wire>,
    files: TempDir,
    schemes: Arc<TempDir>,
}

impl Hosted {
    /// Starts a daemon and waits until it is ready. From then on libredox in this process finds its scheme.
    ///
    /// # Errors
    ///
    /// [`HarnessError`], with what the daemon said.
    pub fn start(options: &HostedOptions) -> Result<Self, HarnessError> {
        let mut attempt = 1;
        loop {
            match Self::start_once(options) {
                Err(HarnessError::Ended { log })
                    if attempt < PORT_ATTEMPTS && log.contains("Address already in use") =>
                {
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    fn start_once(options: &HostedOptions) -> Result<Self, HarnessError> {
        let schemes = scheme_directory().doing("make a directory for schemes")?;
        let files = tempfile::Builder::new()
            .prefix("e1000d-hosted-")
            .tempdir()
            .doing("make a directory")?;
        let (netdev, wire) = match &options.netdev {
            Some(netdev) => (netdev.clone(), None),
            None => {
                let wire = Wire::bind().doing("bind a UDP port")?;
                (wire.netdev().doing("name a UDP port")?, Some(wire))
            }
        };
        let mut command = Command::new(&options.program);
        command
            .args(["--nic", options.nic.name(), "--slot", &next_slot().to_string()])
            .args(["--netdev", &netdev.to_string()])
            .arg("--scheme-dir")
            .arg(schemes.path())
            .arg("--monitor")
            .arg(files.path().join("monitor"))
            .arg("--pokes")
            .arg(files.path().join("pokes"))
            .arg("--counters")
            .arg(files.path().join("counters.json"));
        if let Some(mac) = options.mac {
            command.args(["--mac", &MacAddress(mac).to_string()]);
        }
        if let Some(capture) = &options.capture {
            command.arg("--capture").arg(capture);
        }
        if options.link_down {
            command.arg("--link-down");
        }
        command.args(&options.arguments);
        let log = File::create(files.path().join("log")).doing("create the log")?;
        command.envs(options.environment.iter().map(|(key, value)| (key, value)));
        // Its temporary files go with ours, even if it is killed.
        command.env("TMPDIR", files.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        qemu_process::die_with_parent(&mut command);
        let child = command.spawn().doing("start the daemon")?;
        let mut hosted = Self {
            child,
            name: String::new(),
            wire,
            files,
            schemes,
        };
        hosted.name = hosted.wait_ready(options.ready_limit)?;
        Ok(hosted)
    }

    fn wait_ready(&mut self, limit: Duration) -> Result<String, HarnessError> {
        let missing = || io::Error::from(io::ErrorKind::BrokenPipe);
        let stdout = self
            .child
            .stdout
            .take()
            .ok_or_else(missing)
            .doing("read from the daemon")?;
        let (sender, lines) = channel();
        // Reads on after readiness, so that a daemon that prints does not block.
        let read = move || {
            BufReader::new(stdout)
                .lines()
                .map_while(Result::ok)
                .for_each(|line| drop(sender.send(line)))
        };
        thread::Builder::new()
            .name("hosted-stdout".into())
            .spawn(read)
            .doing("start a thread")?;
        let end = Instant::now() + limit;
        loop {
            match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    if let Some(name) = line.strip_prefix("ready ") {
                        return Ok(name.to_string());
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    return Err(HarnessError::NotReady {
                        limit,
                        log: self.log(),
                    });
                }
                Err(RecvTimeoutError::Disconnected) => return Err(HarnessError::Ended { log: self.log() }),
            }
        }
    }

    /// The name of the scheme, `network.pci-0000-00-05.0_e1000` for example.
    pub fn scheme(&self) -> &str {
        &self.name
    }

    /// The directory to hand to client processes as `REDOX_SHIM_DIR`.
    pub fn scheme_directory(&self) -> &Path {
        self.schemes.path()
    }

    /// The other end of the cable.
    ///
    /// # Panics
    ///
    /// If the daemon was started with another network.
    pub fn wire(&self) -> &Wire {
        self.wire.as_ref().expect("the daemon was started with a wire")
    }

    /// Process id of the daemon.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The daemon's standard error until now.
    pub fn log(&self) -> String {
        fs::read_to_string(self.files.path().join("log")).unwrap_or_default()
    }

    /// Plugs in (`true`) or pulls out the cable.
    ///
    /// # Errors
    ///
    /// When QEMU's monitor does not do it.
    pub fn set_link(&self, up: bool) -> Result<(), MachineError> {
        machine::set_link(&self.files.path().join("monitor"), up)
    }

    /// Writes a register behind the daemon's back, soon.
    ///
    /// # Errors
    ///
    /// When the daemon does not take it.
    pub fn poke(&self, offset: u32, value: u32) -> io::Result<()> {
        let mut poke = [0; 8];
        poke[..4].copy_from_slice(&offset.to_ne_bytes());
        poke[4..].copy_from_slice(&value.to_ne_bytes());
        UnixDatagram::unbound()?
            .send_to(&poke, self.files.path().join("pokes"))
            .map(|_| ())
    }

    /// Removes the NIC from the machine, without warning, soon.
    ///
    /// # Errors
    ///
    /// When the daemon does not take it.
    pub fn remove_device(&self) -> io::Result<()> {
        self.poke(REMOVE_DEVICE, 0)
    }

    /// Makes a thread of the daemon panic, soon. The others go on; where a panic aborts they would not.
    ///
    /// # Errors
    ///
    /// When the daemon does not take it.
    pub fn panic(&self) -> io::Result<()> {
        self.poke(PANIC, 0)
    }

    /// Kills the daemon without warning. Its scheme's name stays.
    ///
    /// # Errors
    ///
    /// When the system cannot.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(|_| ())
    }

    /// Ends the daemon with SIGTERM; what it counted.
    ///
    /// # Errors
    ///
    /// [`HarnessError::BadEnd`] if it ends with an error or not at all.
    pub fn stop(mut self) -> Result<Report, HarnessError> {
        // SAFETY: takes integers. The child was not waited for, so its id is still its own.
        unsafe { libc::kill(self.child.id() as libc::pid_t, libc::SIGTERM) };
        let start = Instant::now();
        let end = loop {
            match self.child.try_wait().doing("wait for the daemon")? {
                Some(status) => break End::Status(status),
                None if start.elapsed() > STOP_LIMIT => break End::Hung,
                None => thread::sleep(Duration::from_millis(5)),
            }
        };
        if !matches!(end, End::Status(status) if status.success()) {
            return Err(HarnessError::BadEnd {
                status: end,
                log: self.log(),
            });
        }
        let report = fs::read(self.files.path().join("counters.json")).doing("read the counters")?;
        serde_json::from_slice(&report)
            .map_err(io::Error::from)
            .doing("understand the counters")
    }
}

impl Drop for Hosted {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
