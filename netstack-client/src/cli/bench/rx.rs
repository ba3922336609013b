//! `bench rx`

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use clap::Args;
use netstack_client::adapter::READ_BUFFER;
use netstack_client::benchmark::{self, Parsed, SequenceTracker};
use netstack_client::stats::Throughput;
use netstack_client::{FrameIo, Result, Wait, bounded};
use serde::Serialize;

use super::IoMode;
use crate::cli::{Context, Outcome, value};

/// How much longer than its time a receiver in mode "blocking" is waited for.
const GRACE: Duration = Duration::from_millis(100);

/// Count received frames, and check those of "bench tx".
///
/// The rate is that of the time between the first and the last frame. Frames are lost if their number lies
/// between others that came. The exit status is 0 if frames came and none was damaged.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Stop after so many frames; fewer are a failure.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    frames: Option<u64>,

    /// Stop after this time.
    #[arg(long, value_name = "TIME[ms|s|m]", default_value = "10s", value_parser = value::duration)]
    seconds: Duration,

    /// How the adapter is used.
    #[arg(long, value_enum, default_value_t = IoMode::Events)]
    mode: IoMode,
}

#[derive(Serialize)]
struct Report {
    mode: &'static str,
    #[serde(flatten)]
    throughput: Throughput,
    /// Frames of "bench tx" among them.
    benchmark: u64,
    lost: u64,
    duplicated: u64,
    reordered: u64,
    damaged: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{:<10} {:>12}", "mode", self.mode)?;
        write!(formatter, "{}", self.throughput)?;
        for (name, value) in [
            ("benchmark", self.benchmark),
            ("lost", self.lost),
            ("duplicated", self.duplicated),
            ("reordered", self.reordered),
            ("damaged", self.damaged),
        ] {
            write!(formatter, "\n{name:<10} {value:>12}")?;
        }
        Ok(())
    }
}

/// What was received so far.
#[derive(Clone, Default)]
struct Counts {
    frames: u64,
    bytes: u64,
    /// When the first and the last frame came.
    span: Option<(Instant, Instant)>,
    benchmark: u64,
    damaged: u64,
    sequence: SequenceTracker,
}

impl Counts {
    fn add(&mut self, frame: &[u8], now: Instant) {
        self.frames += 1;
        self.bytes += frame.len() as u64;
        self.span = Some((self.span.map_or(now, |(first, _)| first), now));
        match benchmark::parse(frame) {
            Parsed::Foreign => {}
            Parsed::Damaged => self.damaged += 1,
            Parsed::Intact { run, sequence } => {
                self.benchmark += 1;
                self.sequence.observe(run, sequence);
            }
        }
    }

    fn report(&self, mode: IoMode) -> Report {
        let time = self.span.map_or(Duration::ZERO, |(first, last)| last - first);
        Report {
            mode: mode.name(),
            throughput: Throughput::new(self.frames, self.bytes, time),
            benchmark: self.benchmark,
            lost: self.sequence.lost(),
            duplicated: self.sequence.duplicates(),
            reordered: self.sequence.reordered(),
            damaged: self.damaged,
        }
    }
}

pub fn run(arguments: &Arguments, context: &Context<'_>) -> Outcome {
    let (mut adapter, mut waiter) = arguments.mode.open(context)?;
    let counts = Arc::new(Mutex::new(Counts::default()));
    let deadline = Instant::now() + arguments.seconds;
    let count = arguments.frames.unwrap_or(u64::MAX);
    let shared = Arc::clone(&counts);
    // A read that blocks for good is the normal end of mode "blocking".
    let result = bounded::within(arguments.seconds + GRACE, move || {
        receive(&mut adapter, &mut waiter, &shared, count, deadline)
    });
    result.transpose()?;
    let counts = lock(&counts).clone();
    context.output.result(&counts.report(arguments.mode));
    Ok(counts.frames >= arguments.frames.unwrap_or(1) && counts.damaged == 0)
}

fn receive(
    adapter: &mut impl FrameIo,
    waiter: &mut impl Wait,
    counts: &Mutex<Counts>,
    count: u64,
    deadline: Instant,
) -> Result<()> {
    let mut buffer = [0; READ_BUFFER];
    loop {
        let read = adapter.read_frame(&mut buffer)?;
        let now = Instant::now();
        let remaining = deadline.saturating_duration_since(now);
        if remaining.is_zero() {
            return Ok(());
        }
        match read.and_then(|length| buffer.get(..length)) {
            Some(frame) => {
                let mut counts = lock(counts);
                counts.add(frame, now);
                if counts.frames >= count {
                    return Ok(());
                }
            }
            None => {
                waiter.wait(Some(remaining))?;
            }
        }
    }
}

fn lock(counts: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    // Counts are whole after every frame, whatever happened to the thread that made them.
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use netstack_client::MacAddress;
    use netstack_client::benchmark::Generator;

    use super::*;

    #[test]
    fn counts_tell_own_frames_from_others() {
        let mut generator = Generator::new(MacAddress::BROADCAST, MacAddress([2; 6]), 1, 100);
        let mut counts = Counts::default();
        let start = Instant::now();
        counts.add(generator.next_frame(), start);
        generator.next_frame();
        let mut damaged = generator.next_frame().to_vec();
        damaged[99] ^= 1;
        counts.add(&damaged, start);
        counts.add(generator.next_frame(), start);
        counts.add(&[0; 60], start + Duration::from_secs(2));

        let report = counts.report(IoMode::Events);
        assert_eq!((report.throughput.frames, report.throughput.bytes), (4, 360));
        assert!((report.throughput.seconds - 2.0).abs() < 1e-9);
        assert_eq!(
            (report.benchmark, report.damaged, report.lost, report.duplicated),
            (2, 1, 2, 0)
        );
    }
}
