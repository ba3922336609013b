//! Driver daemon for Intel Gigabit Ethernet on Redox OS.
//!
//! pcid hands over a PCI function; the daemon maps its registers, brings the chip up (crate `e1000-hw`) and serves
//! the scheme `network.pci-SSSS-BB-DD.F_e1000`, through which the netstack reads and writes frames.
//!
//! By whom it talks to: [`daemon`] is start, event loop and end ([`error`]: why), [`service`] what its threads share;
//! [`server`] the scheme socket, [`scheme`] and [`files`] what
//! the operations mean ([`open_file`] and [`demand`] are what a client may hold open), [`screen`] what clients must not
//! be able to do, [`subscriber`] who is told of frames, [`overload`] what happens when more come than it can read;
//! [`interrupts`] how the NIC's interrupts get here, [`proof`] whether they do, [`events`] what is waited for;
//! [`config_space`] what is set there, [`namespace`], [`dma`], [`mmio`], [`alarm`], [`clock`], [`signals`] the kernel and
//! its schemes; [`platform`] what differs
//! on Linux, where the hosted mode (`homes/hosted/`) runs the same code against QEMU's device models.

pub mod alarm;
pub mod clock;
pub mod config_space;
pub mod daemon;
pub mod demand;
pub mod dma;
pub mod error;
pub mod events;
pub mod files;
pub mod interrupts;
pub mod logger;
pub mod mmio;
pub mod namespace;
pub mod open_file;
pub mod overload;
pub mod platform;
pub mod proof;
pub mod scheme;
pub mod screen;
pub mod server;
pub mod service;
pub mod signals;
pub mod subscriber;

// The unit tests run on Linux: the crate carries the redox_* symbols for the linker.
#[cfg(all(test, not(target_os = "redox")))]
use redox_shim as _;

pub use daemon::run;
pub use error::DaemonError;
