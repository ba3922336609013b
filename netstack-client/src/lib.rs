//! Client of Redox's network schemes.
//!
//! A network driver daemon on Redox serves a scheme whose name begins with `network.`, for example
//! `/scheme/network.pci-0000-00-03.0_e1000`. One read takes one received Ethernet frame, one write sends one.
//! This crate opens such an adapter ([`Adapter`]), waits for its frames with a time limit ([`Readiness`]),
//! offers it as a smoltcp device ([`SchemeDevice`]) and runs a small IP stack on it ([`Stack`]).
//!
//! It does not talk to `netstack`, the system's own consumer of the adapter: both would compete for the same
//! frames, because a scheme delivers each frame once.
//!
//! The smallest real use: take an address by DHCP.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use netstack_client::{Stack, adapter};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let name = adapter::select(None)?; // the only adapter, or an error that names the choices
//! let mut stack = Stack::open(&name)?;
//! match stack.dhcp(Duration::from_secs(10))? {
//!     Some(lease) => println!("{} is {} via {:?}", name, lease.address, lease.router),
//!     None => println!("no DHCP server answered"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Everything reaches the system through `libredox` and `redox_event`. The same code runs on Linux in a program that
//! brings the C symbols below those crates along, as `netstack-client-hosted` in `homes/hosted` does.
#![warn(
    clippy::allow_attributes_without_reason,
    clippy::expect_used,
    clippy::panic,
    clippy::todo,
    clippy::unimplemented,
    clippy::unreachable,
    clippy::unwrap_used
)]
#![forbid(unsafe_code)]

pub mod adapter;
pub mod arp;
pub mod benchmark;
pub mod bounded;
#[cfg(feature = "cli")]
pub mod cli;
pub mod device;
mod dhcp;
mod error;
pub mod frame;
mod name;
pub mod pattern;
pub mod readiness;
pub mod stack;
pub mod stats;
pub mod system;
#[cfg(test)]
mod testing;

// The unit tests run on Linux: the crate carries the redox_* symbols for the linker.
#[cfg(all(test, not(target_os = "redox")))]
use redox_shim as _;

pub use adapter::{Adapter, AdapterName, FrameIo, MacAddress, Mode};
pub use device::SchemeDevice;
pub use dhcp::Lease;
pub use error::{Error, Result};
pub use name::NameError;
pub use readiness::{Readiness, Wait, Woken};
pub use stack::Stack;
