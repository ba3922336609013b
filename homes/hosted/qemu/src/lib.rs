//! QEMU as a child process: the one launcher and the one monitor of everything that runs a QEMU.
//!
//! [`Launch`] collects a command line and starts it. [`Qemu`] is the running process: it is killed when the value is
//! dropped, and by the system when the thread that started it ends, however that happens. Every wait for it
//! ([`Qemu::wait_for`], [`Qemu::wait`], [`Qemu::monitor`]) has a limit, and ends early, with what QEMU wrote on its
//! standard error, when QEMU ends. [`Monitor`] speaks QMP; another process may open it, too, by its path.
//!
//! The machine to start is the caller's choice: hosted mode takes one without a guest and drives it by QEMU's test
//! protocol (`e1000_hosted::machine`), a test of a whole system takes one with an image and reads its console.
//!
//! ```no_run
//! use std::io::{BufRead, BufReader};
//! use std::time::Duration;
//!
//! use qemu_process::{Launch, escape};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let place = tempfile::tempdir()?;
//! let image = std::path::Path::new("redox.img");
//! let mut launch = Launch::new();
//! launch
//!     .args(["-machine", "pc", "-m", "1024", "-nodefaults", "-display", "none", "-serial", "stdio"])
//!     .args(["-drive", &format!("file={},format=raw,snapshot=on", escape(image))])
//!     .args(["-netdev", "user,id=net0", "-device", "e1000,netdev=net0,id=nic0"])
//!     .monitor(place.path().join("monitor"))
//!     .console();
//! let mut qemu = launch.start()?;
//! let console = qemu.take_console().expect("asked for, and not yet taken");
//! std::thread::spawn(move || {
//!     for line in BufReader::new(console).lines().map_while(Result::ok) {
//!         println!("{line}");
//!     }
//! });
//! let mut monitor = qemu.monitor(Duration::from_secs(10))?;
//! monitor.press("ret")?;
//! monitor.set_link("nic0", false)?;
//! # Ok(())
//! # }
//! ```

mod launch;
mod monitor;
mod process;

pub use launch::{Launch, PROGRAM, escape};
pub use monitor::{Monitor, MonitorError};
pub use process::{Qemu, QemuError, die_with_parent};
