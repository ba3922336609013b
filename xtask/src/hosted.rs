//! The hosted daemon and its client as processes of this machine.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use e1000_hosted::machine::NicModel;
use e1000_hosted::platform::Report as Counters;
use indicatif::ProgressBar;
use serde::de::DeserializeOwned;

use crate::process::{build as build_command, cargo, output, run as run_command, target};

/// The machine that runs QEMU, as seen from the emulated network.
pub const HOST: &str = "10.0.2.2";
/// Environment variable with the directory in which the client looks for schemes.
pub const SCHEMES: &str = "REDOX_SHIM_DIR";
/// Longest wait for the daemon to be ready, and for it to end.
const DAEMON_LIMIT: Duration = Duration::from_secs(30);

/// QEMU's names of the NICs that the driver knows.
pub fn nics() -> [&'static str; NicModel::ALL.len()] {
    NicModel::ALL.map(NicModel::name)
}

/// Builds daemon and client, optimised.
pub fn build(bar: &ProgressBar) -> Result<()> {
    let mut command = cargo();
    command.args(["build", "--release", "--locked", "--package", "e1000-hosted"]);
    build_command(&mut command, bar)
}

/// Path of a program that [`build`] has built.
pub fn binary(name: &str) -> PathBuf {
    target().join("release").join(name)
}

/// The hosted daemon, with QEMU below it.
pub struct Daemon {
    child: Child,
    /// Name of its scheme.
    pub scheme: String,
    counters: PathBuf,
}

impl Daemon {
    /// Starts the daemon, with its scheme and its counters in the directory `place`. With `quiet`, its log does not go
    /// to the terminal.
    pub fn start(nic: &str, capture: Option<&Path>, place: &Path, quiet: bool) -> Result<Self> {
        let counters = place.join("counters.json");
        let mut command = Command::new(binary("e1000d-hosted"));
        command
            .args(["--nic", nic, "--netdev", "user", "--scheme-dir"])
            .arg(place);
        command.arg("--counters").arg(&counters);
        if let Some(file) = capture {
            command.arg("--capture").arg(file);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        if quiet {
            command.stderr(Stdio::null());
        }
        let mut child = command.spawn().context("cannot start e1000d-hosted")?;
        let stdout = child.stdout.take().context("no output of e1000d-hosted")?;
        let mut daemon = Self {
            child,
            scheme: String::new(),
            counters,
        };
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Some(name) = line.strip_prefix("ready ") {
                    let _ = sender.send(name.to_owned());
                }
            }
        });
        // If the daemon ends, its output does, the sender is dropped, and this fails at once.
        daemon.scheme = receiver
            .recv_timeout(DAEMON_LIMIT)
            .context("the daemon did not become ready")?;
        Ok(daemon)
    }

    /// Ends the daemon as init would, by SIGTERM, and reads its counters.
    pub fn stop(&mut self) -> Result<Counters> {
        run_command(Command::new("kill").args(["-TERM", &self.child.id().to_string()]))?;
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if start.elapsed() > DAEMON_LIMIT {
                bail!("the daemon does not end");
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        ensure!(status.success(), "the daemon ended with {status}");
        let counters = std::fs::read(&self.counters).context("the daemon left no counters")?;
        Ok(serde_json::from_slice(&counters)?)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // After `stop` it has ended already. QEMU ends with its parent.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `netstack-client`, a process for each command.
pub struct Client<'a> {
    place: &'a Path,
}

impl<'a> Client<'a> {
    /// A client of the schemes in the directory `place`.
    pub fn new(place: &'a Path) -> Self {
        Self { place }
    }

    /// Runs a command, and parses the object that it prints.
    pub fn ask<T: DeserializeOwned>(&self, arguments: &[&str]) -> Result<T> {
        let mut command = Command::new(binary("netstack-client-hosted"));
        command.arg("--json").args(arguments).env(SCHEMES, self.place);
        let answer = output(&mut command)?;
        serde_json::from_str(&answer).with_context(|| format!("netstack-client printed {answer:?}"))
    }
}
