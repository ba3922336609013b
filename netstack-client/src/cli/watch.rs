//! `watch`

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use crate::AdapterName;
use clap::Args;
use serde::Serialize;

use super::keyed::Keyed;
use super::{Context, Error, Outcome, Result, link, value};

/// Show the rates of an adapter and its link, a line each time.
///
/// Reads counters only, so it takes no frame from other readers. With --json, each line is an object.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Duration.
    #[arg(long, value_name = "DURATION", value_parser = value::duration, default_value = "10")]
    seconds: Duration,
    /// Time between two lines, at least 100ms.
    #[arg(long, short, value_name = "DURATION", value_parser = value::duration, default_value = "1")]
    interval: Duration,
}

/// Counters at one moment.
struct Sample {
    time: Instant,
    counters: Keyed,
    link: String,
}

impl Sample {
    fn take(name: &AdapterName) -> Result<Self> {
        Ok(Self {
            time: Instant::now(),
            counters: Keyed::read(name, "stats")?,
            link: link::describe(&Keyed::read(name, "link")?),
        })
    }
}

/// Changes between two samples.
#[derive(Serialize)]
struct Line {
    seconds: f64,
    rx_packets_per_second: f64,
    rx_bytes_per_second: f64,
    tx_packets_per_second: f64,
    tx_bytes_per_second: f64,
    rx_lost: u64,
    tx_lost: u64,
    link: String,
}

/// Counters of received frames that reached no client.
const RX_LOST: [&str; 5] = [
    "rx_errors",
    "rx_length_errors",
    "rx_over_errors",
    "rx_crc_errors",
    "rx_missed_errors",
];
/// Counters of frames that clients sent and that did not reach the wire.
const TX_LOST: [&str; 2] = ["tx_dropped", "tx_aborted_errors"];

impl Line {
    fn between(start: Instant, before: &Sample, after: Sample) -> (Self, Sample) {
        let grown = |key: &str| {
            after
                .counters
                .number(key)
                .saturating_sub(before.counters.number(key))
        };
        let seconds = (after.time - before.time).as_secs_f64().max(1e-3);
        let rate = |key| grown(key) as f64 / seconds;
        let line = Self {
            seconds: (after.time - start).as_secs_f64(),
            rx_packets_per_second: rate("rx_packets"),
            rx_bytes_per_second: rate("rx_bytes"),
            tx_packets_per_second: rate("tx_packets"),
            tx_bytes_per_second: rate("tx_bytes"),
            rx_lost: RX_LOST.into_iter().map(grown).sum(),
            tx_lost: TX_LOST.into_iter().map(grown).sum(),
            link: after.link.clone(),
        };
        (line, after)
    }
}

impl fmt::Display for Line {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let megabit = |bytes: f64| bytes * 8.0 / 1e6;
        write!(
            formatter,
            "{:>7.1} s  rx {:>8.0}/s {:>8.2} Mbit/s lost {:<4}  tx {:>8.0}/s {:>8.2} Mbit/s lost {:<4}  link {}",
            self.seconds,
            self.rx_packets_per_second,
            megabit(self.rx_bytes_per_second),
            self.rx_lost,
            self.tx_packets_per_second,
            megabit(self.tx_bytes_per_second),
            self.tx_lost,
            self.link,
        )
    }
}

pub fn run(arguments: &Arguments, context: &Context<'_>) -> Outcome {
    if arguments.interval < Duration::from_millis(100) {
        return Err(Error::Other("the interval is at least 100ms".to_owned()));
    }
    let name = context.adapter()?;
    let mut before = Sample::take(&name)?;
    let start = before.time;
    loop {
        let left = arguments.seconds.saturating_sub(start.elapsed());
        if left.is_zero() {
            return Ok(true);
        }
        thread::sleep(left.min(arguments.interval));
        let (line, after) = Line::between(start, &before, Sample::take(&name)?);
        context.output.result(&line);
        before = after;
    }
}
