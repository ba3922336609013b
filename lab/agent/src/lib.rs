//! The lab's agent: what is done inside a system under test, on Redox or on Linux with the hosted home.
//!
//! [`contract`] checks an adapter against what its clients may rely on, `scenario` plays through what a driver has to
//! survive, `script` carries out commands for the host of the lab. The program `lab-agent` has all commands of
//! `netstack-client` besides, so that a system under test needs one program.

#![deny(unsafe_code)]

mod bench;
mod check;
pub mod cli;
pub mod contract;
mod process;
mod scenario;
mod script;
mod services;

// Nothing is called by name: the crate carries the redox_* symbols for the linker.
#[cfg(not(target_os = "redox"))]
use redox_shim as _;
