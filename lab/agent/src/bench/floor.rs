//! `floor`

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use clap::Args;
use libredox::Fd;
use libredox::flag::{O_CLOEXEC, O_RDWR};
use netstack_client::adapter::READ_BUFFER;
use netstack_client::benchmark::groups::{GROUP, Groups};
use netstack_client::benchmark::slots::Slots;
use netstack_client::bounded;
use netstack_client::frame::MAX_FRAME;
use serde::Serialize;

use netstack_client::cli::{Context, Error, Outcome, Result};

/// A scheme that does nothing.
const PATH: &str = "/scheme/null";
/// Time limit for all calls.
const LONGEST: Duration = Duration::from_secs(60);

/// Measure calls that do nothing, for comparison.
///
/// Writes to and reads from /scheme/null, with the buffers of "bench tx" and "bench rx". This is the cost of a call on
/// a scheme, which no driver can undercut.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Number of calls of each kind.
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    frames: u32,

    /// Bytes in each write.
    #[arg(long, value_name = "BYTES", default_value_t = MAX_FRAME as u16)]
    size: u16,

    /// Bytes of the buffer of each read.
    #[arg(long, value_name = "BYTES", default_value_t = READ_BUFFER as u16)]
    buffer: u16,
}

#[derive(Serialize)]
struct Report {
    calls: u32,
    size: u16,
    buffer: u16,
    write: Cost,
    read: Cost,
}

#[derive(Serialize)]
struct Cost {
    /// Median over groups of calls.
    nanoseconds: f64,
    /// Time of all calls divided by their number.
    per_second: f64,
}

impl Cost {
    /// Number of calls.
    fn measure<E>(calls: u32, mut call: impl FnMut(usize) -> Result<usize, E>) -> Result<Self, E> {
        let mut groups = Groups::default();
        let mut time = Duration::ZERO;
        let mut left = calls as usize;
        while left > 0 {
            let count = left.min(GROUP);
            let start = Instant::now();
            for index in 0..count {
                call(index)?;
            }
            let group = start.elapsed();
            groups.add(count, group);
            time += group;
            left -= count;
        }
        Ok(Self {
            nanoseconds: groups.median().unwrap_or(0.0),
            per_second: f64::from(calls) / time.as_secs_f64().max(1e-9),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{:<10} {:>12}", "calls", self.calls)?;
        writeln!(formatter, "{:<10} {:>12} bytes", "size", self.size)?;
        writeln!(formatter, "{:<10} {:>12} bytes", "buffer", self.buffer)?;
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
        frames: calls,
        size,
        buffer,
    } = *arguments;
    let measured = bounded::within(LONGEST, move || measure(calls, size, buffer));
    let Some(report) = measured else {
        return Err(Error::Other(format!("{PATH} took longer than {LONGEST:?}")));
    };
    context.output.result(&report?);
    Ok(true)
}

fn measure(calls: u32, size: u16, buffer: u16) -> Result<Report> {
    let failed = |error: libredox::error::Error| Error::File {
        path: PATH.to_owned(),
        source: io::Error::from_raw_os_error(error.errno()),
    };
    let null = Fd::open(PATH, O_RDWR | O_CLOEXEC, 0).map_err(failed)?;
    let mut slots = Slots::new(GROUP);
    Ok(Report {
        calls,
        size,
        buffer,
        write: Cost::measure(calls, |index| null.write(slots.get(index, size.into()))).map_err(failed)?,
        read: Cost::measure(calls, |index| null.read(slots.get(index, buffer.into()))).map_err(failed)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_each_kind_are_measured() {
        let report = measure(10, 60, 2048).unwrap();
        assert!(report.write.nanoseconds > 0.0 && report.read.per_second > 0.0);
    }
}
