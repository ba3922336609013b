//! `cargo xtask play`: the daemon on one of QEMU's NICs, and a shell in which `netstack-client` finds it.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::hosted::{self, Daemon, SCHEMES, binary};
use crate::steps::Steps;
use crate::tools;

/// The client's name on PATH.
const CLIENT: &str = "netstack-client";
const HELP: &str = "
  netstack-client list                 the adapters: this one
  netstack-client info | stats | link  what the driver says of it
  netstack-client ping 10.0.2.2        through it; 10.0.2.2 is this machine
  netstack-client watch | selftest | capture | --help

  exit, or Ctrl-D, ends shell and driver
";

/// Options of `cargo xtask play`.
#[derive(Args)]
pub struct Arguments {
    /// QEMU's name of the NIC.
    #[arg(long, default_value = "e1000", value_parser = hosted::nics())]
    nic: String,

    /// Write every frame on the emulated wire to this file (pcap).
    #[arg(long, value_name = "FILE")]
    capture: Option<PathBuf>,
}

/// Starts the daemon and a shell, and ends the daemon with the shell.
///
/// # Errors
///
/// Those of the daemon; and, if a script and not a terminal is on standard input, that the shell failed.
pub fn run(arguments: &Arguments) -> Result<()> {
    let steps = Steps::new(false);
    steps.step("QEMU", || tools::qemu().map(|()| ((), String::new())))?;
    steps.build("build", |bar| hosted::build(bar).map(|()| ((), String::new())))?;
    let place = tempfile::tempdir()?;
    let (schemes, programs) = (place.path().join("schemes"), place.path().join("bin"));
    for directory in [&schemes, &programs] {
        std::fs::create_dir(directory).with_context(|| format!("creating {}", directory.display()))?;
    }
    // PATH gets a directory with the client alone, not with everything that was built.
    let client = binary("netstack-client-hosted");
    let client = client
        .canonicalize()
        .with_context(|| format!("nothing was built at {}", client.display()))?;
    symlink(client, programs.join(CLIENT)).context("linking netstack-client")?;
    let mut daemon = steps.step(&format!("e1000d on QEMU's {}", arguments.nic), || {
        let daemon = Daemon::start(&arguments.nic, arguments.capture.as_deref(), &schemes, false)?;
        let name = daemon.scheme.clone();
        Ok((daemon, name))
    })?;
    let terminal = std::io::stdin().is_terminal();
    if terminal {
        eprintln!("{HELP}");
    }
    let program = std::env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into());
    let status = shell(program, &schemes, &programs)?
        .status()
        .context("cannot start the shell that SHELL names")?;
    steps.step("stop", || {
        let counters = daemon.stop()?;
        let word = format!("{} frames in, {} out", counters.rx_frames, counters.tx_frames);
        Ok(((), word))
    })?;
    if let Some(file) = &arguments.capture {
        eprintln!("  frames on the wire: {}", file.display());
    }
    // At a terminal the status is that of the last command, which its user has seen.
    ensure!(terminal || status.success(), "the shell ended with {status}");
    Ok(())
}

/// A shell in which the client is found, and finds the scheme.
fn shell(program: OsString, schemes: &Path, programs: &Path) -> Result<Command> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::iter::once(programs.to_owned()).chain(std::env::split_paths(&path));
    let mut command = Command::new(program);
    command
        .env("PATH", std::env::join_paths(places)?)
        .env(SCHEMES, schemes);
    Ok(command)
}
