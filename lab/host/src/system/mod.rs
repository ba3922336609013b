//! A Redox system in QEMU: the machine, its console, its monitor.

pub mod accelerator;
pub mod boot;
pub mod console;
mod error;
pub mod hardware;

pub use error::{Error, Result};
