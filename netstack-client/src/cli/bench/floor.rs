//! `bench floor`

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use clap::Args;
use libredox::Fd;
use libredox::flag::{O_CLOEXEC, O_RDWR};
use netstack_client::bounded;
use netstack_client::frame::MAX_FRAME;
use serde::Serialize;

use super::slots::Slots;
use crate::cli::{Context, Error, Outcome, Result};

/// A scheme in the kernel that does nothing.
const PATH: &str = "/scheme/null";
/// How long all calls may take.
const LONGEST: Duration = Duration::from_secs(60);

/// Measure calls that do nothing, for comparison.
///
/// Reads from and writes to /scheme/null, which the kernel serves itself: what remains is the cost of a system
/// call, below which no driver can get.
#[derive(Debug, Args)]
pub struct Arguments {
    /// How many calls of each kind.
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    frames: u32,

    /// Bytes in each call.
    #[arg(long, value_name = "BYTES", default_value_t = MAX_FRAME as u16)]
    size: u16,
}

#[derive(Serialize)]
struct Report {
    calls: u32,
    size: u16,
    write: Cost,
    read: Cost,
}

#[derive(Serialize)]
struct Cost {
    nanoseconds: f64,
    per_second: f64,
}

impl Cost {
    fn new(calls: u32, time: Duration) -> Self {
        let seconds = time.as_secs_f64().max(1e-9) / f64::from(calls);
        Self {
            nanoseconds: seconds * 1e9,
            per_second: 1.0 / seconds,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{:<10} {:>12}", "calls", self.calls)?;
        writeln!(formatter, "{:<10} {:>12} bytes", "size", self.size)?;
        writeln!(formatter, "{:<10} {}", "write", self.write)?;
        write!(formatter, "{:<10} {}", "read", self.read)
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{:>12.0} ns {:>13.0} calls/s",
            self.nanoseconds, self.per_second
        )
    }
}

pub fn run(arguments: &Arguments, context: &Context<'_>) -> Outcome {
    let Arguments {
        frames: calls, size, ..
    } = *arguments;
    let measured = bounded::within(LONGEST, move || measure(calls, size));
    let Some(report) = measured else {
        return Err(Error::Other(format!("{PATH} took longer than {LONGEST:?}")));
    };
    context.output.result(&report?);
    Ok(true)
}

fn measure(calls: u32, size: u16) -> Result<Report> {
    let failed = |error: libredox::error::Error| Error::File {
        path: PATH.to_owned(),
        source: io::Error::from_raw_os_error(error.errno()),
    };
    let null = Fd::open(PATH, O_RDWR | O_CLOEXEC, 0).map_err(failed)?;
    let mut slots = Slots::new(256);
    let start = Instant::now();
    for call in 0..calls as usize {
        null.write(slots.get(call, size.into())).map_err(failed)?;
    }
    let write = start.elapsed();
    let start = Instant::now();
    for call in 0..calls as usize {
        null.read(slots.get(call, size.into())).map_err(failed)?;
    }
    Ok(Report {
        calls,
        size,
        write: Cost::new(calls, write),
        read: Cost::new(calls, start.elapsed()),
    })
}
