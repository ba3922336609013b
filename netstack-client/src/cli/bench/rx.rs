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
use super::groups::{GROUP, Groups};
use super::slots::Slots;
use crate::cli::{Context, Outcome, value};

/// How much longer than its time a receiver in mode "blocking" is waited for.
const GRACE: Duration = Duration::from_millis(100);

/// Count received frames, and check those of "bench tx".
///
/// The rate is that of the time between the first and the last frame. Frames are lost if their number lies
/// between others that came. The exit status is 0 if frames came and none was damaged.
///
/// With --frames, groups of frames are read and then checked. The time for a frame that is printed at the end is the
/// median over the groups: it is that of reading, with waiting where a group had to, and without checking.
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
    /// What a read takes: the median over groups of frames for which there was no need to wait, if there are such,
    /// else over all of them. In mode "blocking" nobody knows which had to.
    nanoseconds: Option<f64>,
    /// How many groups there were.
    groups: usize,
    /// How many of them had to wait, in mode "events".
    groups_that_waited: usize,
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
        if let Some(nanoseconds) = self.nanoseconds {
            write!(formatter, "\n{:<10} {nanoseconds:>12.0} ns", "a frame")?;
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
    /// Groups of frames that came without waiting, and the others.
    ready: Groups,
    waited: Groups,
}

impl Counts {
    /// Takes note of when frames came.
    fn came(&mut self, first: Instant, last: Instant) {
        self.span = Some((self.span.map_or(first, |(first, _)| first), last));
    }

    fn add(&mut self, frame: &[u8]) {
        self.frames += 1;
        self.bytes += frame.len() as u64;
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
            nanoseconds: self.ready.median().or_else(|| self.waited.median()),
            groups: self.ready.len() + self.waited.len(),
            groups_that_waited: self.waited.len(),
        }
    }
}

pub fn run(arguments: &Arguments, context: &Context<'_>) -> Outcome {
    let (mut adapter, mut waiter) = arguments.mode.open(context)?;
    let counts = Arc::new(Mutex::new(Counts::default()));
    let deadline = Instant::now() + arguments.seconds;
    let count = arguments.frames;
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
    count: Option<u64>,
    deadline: Instant,
) -> Result<()> {
    // Without a number to reach, the next frame may be long in coming: each one counts at once.
    let most = if count.is_some() { GROUP } else { 1 };
    let mut left = count.unwrap_or(u64::MAX);
    let mut slots = Slots::new(GROUP);
    while left > 0 {
        let wanted = left.min(most as u64) as usize;
        let group = Group::read(adapter, waiter, &mut slots, wanted, deadline)?;
        let mut counts = lock(counts);
        if let Some((first, last)) = group.span {
            counts.came(first, last);
        }
        for (index, length) in group.lengths.iter().enumerate() {
            counts.add(slots.get(index, *length));
        }
        if group.lengths.len() < wanted {
            break;
        }
        let groups = if group.waited {
            &mut counts.waited
        } else {
            &mut counts.ready
        };
        groups.add(wanted, group.time);
        left -= wanted as u64;
    }
    Ok(())
}

/// Frames that were read one after the other into slots.
struct Group {
    lengths: Vec<usize>,
    /// When the first and the last of them came.
    span: Option<(Instant, Instant)>,
    time: Duration,
    /// Whether there was nothing to read at some time.
    waited: bool,
}

impl Group {
    /// Reads `count` frames, or fewer if the deadline is earlier.
    fn read(
        adapter: &mut impl FrameIo,
        waiter: &mut impl Wait,
        slots: &mut Slots,
        count: usize,
        deadline: Instant,
    ) -> Result<Self> {
        let start = Instant::now();
        let mut group = Self {
            lengths: Vec::with_capacity(count),
            span: None,
            time: Duration::ZERO,
            waited: false,
        };
        // The clock is read where a frame was waited for, and at the end: not for every frame.
        let mut last = start;
        while group.lengths.len() < count {
            match adapter.read_frame(slots.get(group.lengths.len(), READ_BUFFER))? {
                Some(length) => {
                    if group.lengths.is_empty() {
                        last = Instant::now();
                        group.span = Some((last, last));
                    }
                    group.lengths.push(length.min(READ_BUFFER));
                }
                None => {
                    let now = Instant::now();
                    let remaining = deadline.saturating_duration_since(now);
                    if remaining.is_zero() {
                        group.span = group.span.map(|(first, _)| (first, last));
                        return Ok(group);
                    }
                    last = now;
                    group.waited = true;
                    waiter.wait(Some(remaining))?;
                }
            }
        }
        let end = Instant::now();
        group.time = end - start;
        group.span = group.span.map(|(first, _)| (first, end));
        Ok(group)
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
        counts.came(start, start);
        counts.add(generator.next_frame());
        generator.next_frame();
        let mut damaged = generator.next_frame().to_vec();
        damaged[99] ^= 1;
        counts.add(&damaged);
        counts.add(generator.next_frame());
        counts.came(start + Duration::from_secs(1), start + Duration::from_secs(2));
        counts.add(&[0; 60]);

        let report = counts.report(IoMode::Events);
        assert_eq!((report.throughput.frames, report.throughput.bytes), (4, 360));
        assert!((report.throughput.seconds - 2.0).abs() < 1e-9);
        assert_eq!(
            (report.benchmark, report.damaged, report.lost, report.duplicated),
            (2, 1, 2, 0)
        );
    }
}
