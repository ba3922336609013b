//! Driver daemon for Intel Gigabit Ethernet on Redox OS.
//!
//! pcid hands over a PCI function; the daemon maps its registers, brings the chip up (crate `e1000-hw`) and serves
//! the scheme `network.pci-SSSS-BB-DD.F_e1000`, through which the network stack reads and writes frames.
//!
//! From the outside to the inside:
//!
//! * [`daemon`]: the process. Start, its two threads, end.
//! * [`driver`]: the state that both threads work on. Requests come in, answers and events go out, requests that have
//!   to wait are pending here.
//! * [`scheme`]: the files that clients open, and the meaning of each operation on them. Nothing waits here.
//! * [`overload`]: rules for more frames than the clients can read.
//! * [`redox`]: the kernel, its schemes and pcid: DMA memory, interrupts, timer, signals, log.
//!
//! [`platform`] contains the differences to Linux, where the hosted mode (`homes/hosted/`) runs the same code against
//! QEMU's device models. [`error`] has the errors that keep the daemon from starting, or end it.
#![warn(
    clippy::allow_attributes_without_reason,
    clippy::expect_used,
    clippy::panic,
    clippy::todo,
    clippy::unimplemented,
    clippy::unreachable,
    clippy::unwrap_used
)]

pub mod daemon;
pub mod driver;
pub mod error;
pub mod options;
pub mod overload;
pub mod platform;
pub mod redox;
pub mod scheme;

// The unit tests run on Linux: the crate carries the redox_* symbols for the linker.
#[cfg(all(test, not(target_os = "redox")))]
use redox_shim as _;

pub use daemon::run;
pub use error::DaemonError;
