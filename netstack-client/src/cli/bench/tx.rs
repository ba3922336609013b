//! `bench tx`

use std::fmt;
use std::time::{Duration, Instant};

use crate::benchmark::Generator;
use crate::frame::{MAX_FRAME, MIN_FRAME};
use crate::stack::random;
use crate::stats::Throughput;
use crate::{FrameIo, MacAddress, Result, bounded};
use clap::Args;
use serde::Serialize;

use super::{GRACE, IoMode};
use crate::benchmark::groups::{GROUP, Groups};
use crate::benchmark::slots::Slots;
use crate::cli::{Context, Error, Outcome, value};

/// The time limit if only a number of frames is given.
const LONGEST: Duration = Duration::from_secs(60);

/// Send benchmark frames as fast as the driver takes them.
///
/// They are numbered and hashed, and carry the EtherType 0x88b5, which IEEE 802 leaves to local experiments;
/// "bench rx" on another adapter counts them.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Stop after so many frames (at the latest after 60 s).
    #[arg(long, value_name = "N", conflicts_with = "seconds")]
    frames: Option<u64>,

    /// Stop after this time [default: 5s]
    #[arg(long, value_name = "TIME[ms|s|m]", value_parser = value::duration)]
    seconds: Option<Duration>,

    /// Length of each frame in bytes, 60 to 1514, without frame check sequence.
    #[arg(long, value_name = "BYTES", default_value_t = MAX_FRAME as u16,
          value_parser = clap::value_parser!(u16).range(MIN_FRAME as i64..=MAX_FRAME as i64))]
    size: u16,

    /// Destination. A broadcast reaches every receiver, and loads every machine of the network.
    #[arg(long, value_name = "MAC", default_value = "ff:ff:ff:ff:ff:ff", value_parser = value::mac)]
    to: MacAddress,

    /// Mode in which the adapter is used.
    #[arg(long, value_enum, default_value_t = IoMode::Blocking)]
    mode: IoMode,
}

#[derive(Serialize)]
struct Report {
    mode: &'static str,
    size: u16,
    run: u32,
    #[serde(flatten)]
    throughput: Throughput,
    /// Time of a write: the median over groups of writes.
    nanoseconds: Option<f64>,
    /// Frames that the driver refused because it was busy.
    refused: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{:<10} {:>12}", "mode", self.mode)?;
        writeln!(formatter, "{:<10} {:>12} bytes", "size", self.size)?;
        write!(formatter, "{}", self.throughput)?;
        if let Some(nanoseconds) = self.nanoseconds {
            write!(formatter, "\n{:<10} {nanoseconds:>12.0} ns", "a frame")?;
        }
        if self.refused > 0 {
            write!(formatter, "\n{:<10} {:>12}", "refused", self.refused)?;
        }
        Ok(())
    }
}

pub fn run(arguments: &Arguments, context: &Context<'_>) -> Outcome {
    let (mut adapter, _) = arguments.mode.open(context)?;
    // Any number will do, so the upper half is dropped.
    let run = random() as u32;
    let mut frames = Generator::new(arguments.to, adapter.mac()?, run, arguments.size.into());
    let time = match (arguments.frames, arguments.seconds) {
        (Some(_), _) => LONGEST,
        (None, time) => time.unwrap_or(Duration::from_secs(5)),
    };
    let count = arguments.frames.unwrap_or(u64::MAX);
    let sent = bounded::within(time + GRACE, move || {
        transmit(&mut adapter, &mut frames, count, time)
    });
    let Some(sent) = sent else {
        return Err(Error::Other(format!(
            "the driver did not take a frame within {GRACE:?}"
        )));
    };
    let Sent {
        frames,
        refused,
        time,
        groups,
    } = sent?;
    let throughput = Throughput::new(frames, frames * u64::from(arguments.size), time);
    context.output.result(&Report {
        mode: arguments.mode.name(),
        size: arguments.size,
        run,
        throughput,
        nanoseconds: groups.median(),
        refused,
    });
    Ok(refused == 0 && arguments.frames.is_none_or(|count| frames == count))
}

struct Sent {
    frames: u64,
    refused: u64,
    /// Time spent in the driver.
    time: Duration,
    groups: Groups,
}

fn transmit(adapter: &mut impl FrameIo, frames: &mut Generator, count: u64, limit: Duration) -> Result<Sent> {
    // Frames are made in advance, so that only the driver is measured.
    let mut slots = Slots::new(GROUP);
    let mut sent = Sent {
        frames: 0,
        refused: 0,
        time: Duration::ZERO,
        groups: Groups::default(),
    };
    let mut left = count;
    while left > 0 && sent.time < limit {
        let batch = left.min(GROUP as u64) as usize;
        let mut length = 0;
        for index in 0..batch {
            let frame = frames.next_frame();
            length = frame.len();
            slots.get(index, length).copy_from_slice(frame);
        }
        left -= batch as u64;
        let start = Instant::now();
        for index in 0..batch {
            match adapter.write_frame(slots.get(index, length)) {
                Ok(()) => sent.frames += 1,
                Err(error) if error.is_would_block() => sent.refused += 1,
                Err(error) => return Err(error),
            }
        }
        let time = start.elapsed();
        sent.groups.add(batch, time);
        sent.time += time;
    }
    Ok(sent)
}
