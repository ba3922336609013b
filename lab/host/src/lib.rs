//! The lab's host: boots Redox systems in QEMU, with the stock driver and with ours, and compares what it sees.
//!
//! [`image`] puts drivers and the lab's agent on copies of a disk image, [`system`] boots one and follows its console,
//! [`report`] plays through what a driver has to survive, [`mod@bench`] measures.

#![forbid(unsafe_code)]

pub mod bench;
mod date;
mod error;
mod file;
pub mod image;
pub mod program;
pub mod report;
pub mod steps;
pub mod system;
pub mod units;

pub use error::{Error, Result};
pub use file::FileError;
