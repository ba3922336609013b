//! One direction of a TCP transfer, as the commands that make one report it.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::stats::megabits_per_second;

/// One direction of a TCP connection.
#[derive(Debug, Deserialize, Serialize)]
pub struct Direction {
    /// Number of bytes.
    pub bytes: u64,
    /// Time of the transfer.
    pub seconds: f64,
    /// Bytes over this time, in millions of bits a second.
    pub megabits_per_second: f64,
    /// SHA-256 of the bytes, in hexadecimal.
    pub sha256: String,
}

impl Direction {
    /// A direction in which `bytes` bytes with this hash were moved in a time.
    pub(super) fn new(bytes: u64, time: Duration, hash: Sha256) -> Self {
        Self {
            bytes,
            seconds: time.as_secs_f64(),
            megabits_per_second: megabits_per_second(bytes, time),
            sha256: hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            bytes,
            seconds,
            megabits_per_second,
            sha256,
        } = self;
        write!(
            formatter,
            "{bytes:>12} bytes {seconds:>9.3} s {megabits_per_second:>9.2} Mbit/s  sha256 {sha256}"
        )
    }
}
