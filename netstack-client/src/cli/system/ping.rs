//! `system ping`

use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::system::echo::{self, Series};
use clap::Args;
use serde::Serialize;

use super::super::{Context, Outcome, value};
use super::other;

/// Send ICMP echo requests through the system's stack.
///
/// The exit status is 0 only if every request was answered.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The IPv4 address.
    target: Ipv4Addr,

    /// Number of requests.
    #[arg(short, long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    count: u16,

    /// Time between two requests.
    #[arg(short, long, value_name = "TIME[ms|s|m]", default_value = "1.0", value_parser = value::duration)]
    interval: Duration,

    /// Data in each request, in bytes, up to 1458: the MTU of Redox's stack is 1486.
    #[arg(short, long, value_name = "BYTES", default_value_t = 56,
          value_parser = clap::value_parser!(u16).range(..=1458))]
    size: u16,

    /// Time to wait for each reply.
    #[arg(long, value_name = "TIME[ms|s|m]", default_value = "2s", value_parser = value::duration)]
    timeout: Duration,
}

#[derive(Serialize)]
struct Report {
    size: u16,
    #[serde(flatten)]
    outcome: echo::Outcome,
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let echo::Outcome {
            target,
            transmitted,
            received,
            latency,
        } = &self.outcome;
        write!(
            formatter,
            "--- {target} ---\n{transmitted} transmitted, {received} received"
        )?;
        if let Some(latency) = latency {
            write!(formatter, "\n{}", latency.round_trips())?;
        }
        Ok(())
    }
}

pub fn run(arguments: &Arguments, context: &Context<'_>) -> Outcome {
    let Arguments { target, size, .. } = *arguments;
    let series = Series {
        count: arguments.count,
        interval: arguments.interval,
        size,
        timeout: arguments.timeout,
    };
    let outcome = echo::ping(target, &series, |sequence, time| match time {
        Some(time) => context.output.progress(format_args!(
            "{size} bytes from {target}: seq={sequence} time={:.3} ms",
            time.as_secs_f64() * 1e3
        )),
        None => context
            .output
            .progress(format_args!("no answer from {target}: seq={sequence}")),
    })
    .map_err(other)?;
    let complete = outcome.received == usize::from(outcome.transmitted);
    context.output.result(&Report { size, outcome });
    Ok(complete)
}
