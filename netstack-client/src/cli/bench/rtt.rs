//! `bench rtt`

use std::fmt;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::arp::Resolver;
use crate::stats::Latency;
use crate::{FrameIo, Result, Wait, bounded};
use clap::Args;
use serde::Serialize;

use super::{GRACE, IoMode};
use crate::cli::{Context, Outcome, value};

/// Measure round-trip times of single frames.
///
/// Asks a neighbour for its MAC address (ARP) again and again; each request waits for the reply to the one
/// before. The defaults suit QEMU's user-mode network. The exit status is 0 if every request was answered.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The neighbour.
    #[arg(long, value_name = "ADDRESS", default_value = "10.0.2.2")]
    target: Ipv4Addr,

    /// Own address in the requests.
    #[arg(long, value_name = "ADDRESS", default_value = "10.0.2.15")]
    address: Ipv4Addr,

    /// Number of requests [default: 1000]
    #[arg(long, value_name = "N", conflicts_with = "seconds", value_parser = clap::value_parser!(u32).range(1..))]
    frames: Option<u32>,

    /// Stop after this time instead.
    #[arg(long, value_name = "TIME[ms|s|m]", value_parser = value::duration)]
    seconds: Option<Duration>,

    /// Time to wait for each reply. In mode "blocking" the first late reply ends the command.
    #[arg(long, value_name = "TIME[ms|s|m]", default_value = "1s", value_parser = value::duration)]
    timeout: Duration,

    /// Mode in which the adapter is used.
    #[arg(long, value_enum, default_value_t = IoMode::Events)]
    mode: IoMode,
}

#[derive(Serialize)]
struct Report {
    mode: &'static str,
    target: Ipv4Addr,
    requests: u64,
    replies: usize,
    latency: Option<Latency>,
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{:<10} {:>12}", "mode", self.mode)?;
        writeln!(formatter, "{:<10} {:>12}", "target", self.target.to_string())?;
        writeln!(formatter, "{:<10} {:>12}", "requests", self.requests)?;
        write!(formatter, "{:<10} {:>12}", "replies", self.replies)?;
        match &self.latency {
            Some(latency) => write!(formatter, "\n{latency}"),
            None => Ok(()),
        }
    }
}

/// Measurements so far.
#[derive(Default)]
struct Samples {
    requests: u64,
    times: Vec<Duration>,
}

/// Conditions for the end.
#[derive(Clone, Copy)]
struct Limits {
    requests: u64,
    deadline: Instant,
    /// For each reply.
    timeout: Duration,
}

pub fn run(arguments: &Arguments, context: &Context<'_>) -> Outcome {
    let (adapter, waiter) = arguments.mode.open(context)?;
    let mac = adapter.mac()?;
    let mut resolver = Resolver::new(adapter, waiter, mac, arguments.address, arguments.target);

    let (requests, time) = match (arguments.frames, arguments.seconds) {
        (None, Some(time)) => (u32::MAX, time),
        (frames, _) => {
            let frames = frames.unwrap_or(1000);
            (
                frames,
                arguments
                    .timeout
                    .saturating_mul(frames)
                    .min(Duration::from_secs(60)),
            )
        }
    };
    let limits = Limits {
        requests: requests.into(),
        deadline: Instant::now() + time,
        timeout: arguments.timeout,
    };
    let samples = Arc::new(Mutex::new(Samples::default()));
    let shared = Arc::clone(&samples);
    let result = bounded::within(time + arguments.timeout.min(GRACE), move || {
        measure(&mut resolver, limits, &shared)
    });
    result.transpose()?;

    let mut samples = samples.lock().unwrap_or_else(PoisonError::into_inner);
    let report = Report {
        mode: arguments.mode.name(),
        target: arguments.target,
        requests: samples.requests,
        replies: samples.times.len(),
        latency: Latency::of(&mut samples.times),
    };
    context.output.result(&report);
    Ok(report.replies > 0 && report.replies as u64 == report.requests)
}

fn measure<A: FrameIo, W: Wait>(
    resolver: &mut Resolver<A, W>,
    limits: Limits,
    samples: &Mutex<Samples>,
) -> Result<()> {
    let mut count = 0;
    while count < limits.requests && Instant::now() < limits.deadline {
        count += 1;
        // Counted before the answer, because a blocking read may never return.
        samples.lock().unwrap_or_else(PoisonError::into_inner).requests = count;
        if let Some(answer) = resolver.ask(limits.timeout)? {
            samples
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .times
                .push(answer.time);
        }
    }
    Ok(())
}
