//! Numbers about many frames.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The distribution of some latencies. Percentiles are measured values (nearest rank), not interpolated.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
pub struct Latency {
    /// Number of samples.
    pub count: usize,
    /// The shortest, in microseconds.
    pub min_us: f64,
    /// The mean, in microseconds.
    pub mean_us: f64,
    /// Half of all are at most this, in microseconds.
    pub p50_us: f64,
    /// Nine of ten are at most this, in microseconds.
    pub p90_us: f64,
    /// 99 of 100 are at most this, in microseconds.
    pub p99_us: f64,
    /// The longest, in microseconds.
    pub max_us: f64,
}

impl Latency {
    /// Text in the form of `ping`: `rtt min/avg/max/p50 = 0.588/2.737/8.101/0.648 ms`.
    pub fn round_trips(&self) -> String {
        let [min, mean, max, p50] =
            [self.min_us, self.mean_us, self.max_us, self.p50_us].map(|time| time / 1e3);
        format!("rtt min/avg/max/p50 = {min:.3}/{mean:.3}/{max:.3}/{p50:.3} ms")
    }

    /// Sorts the samples and summarises them; `None` if there are none.
    pub fn of(samples: &mut [Duration]) -> Option<Self> {
        samples.sort_unstable();
        let (min, max) = (samples.first()?, samples.last()?);
        let total: Duration = samples.iter().sum();
        Some(Self {
            count: samples.len(),
            min_us: microseconds(*min),
            mean_us: microseconds(total) / samples.len() as f64,
            p50_us: microseconds(percentile(samples, 50)?),
            p90_us: microseconds(percentile(samples, 90)?),
            p99_us: microseconds(percentile(samples, 99)?),
            max_us: microseconds(*max),
        })
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = [
            ("min", self.min_us),
            ("mean", self.mean_us),
            ("p50", self.p50_us),
            ("p90", self.p90_us),
            ("p99", self.p99_us),
            ("max", self.max_us),
        ];
        for (index, (name, value)) in rows.into_iter().enumerate() {
            if index > 0 {
                writeln!(formatter)?;
            }
            write!(formatter, "{name:<10} {value:>12.1} µs")?;
        }
        Ok(())
    }
}

/// The value that `percent` of all sorted samples do not exceed.
fn percentile(sorted: &[Duration], percent: usize) -> Option<Duration> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

/// Microseconds with fraction.
pub fn microseconds(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / 1e3
}

/// Frames and bytes moved over a period of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Throughput {
    /// Frames.
    pub frames: u64,
    /// Bytes of these frames, without what the wire adds (frame check sequence, preamble, gap).
    pub bytes: u64,
    /// Length of the period.
    pub seconds: f64,
    /// Frames in a second.
    pub frames_per_second: f64,
    /// Millions of bits in a second.
    pub megabits_per_second: f64,
}

impl Throughput {
    /// Frames and bytes over a time; the rates are zero if the time is.
    pub fn new(frames: u64, bytes: u64, time: Duration) -> Self {
        let seconds = time.as_secs_f64();
        Self {
            frames,
            bytes,
            seconds,
            frames_per_second: per_second(frames as f64, seconds),
            megabits_per_second: megabits_per_second(bytes, time),
        }
    }
}

impl fmt::Display for Throughput {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{:<10} {:>12}", "frames", self.frames)?;
        writeln!(formatter, "{:<10} {:>12} bytes", "volume", self.bytes)?;
        writeln!(formatter, "{:<10} {:>12.3} s", "time", self.seconds)?;
        write!(
            formatter,
            "{:<10} {:>12.0} frames/s {:>10.2} Mbit/s",
            "rate", self.frames_per_second, self.megabits_per_second
        )
    }
}

/// Bytes over a time as millions of bits in a second; zero if the time is.
pub fn megabits_per_second(bytes: u64, time: Duration) -> f64 {
    per_second(bytes as f64 * 8e-6, time.as_secs_f64())
}

fn per_second(amount: f64, seconds: f64) -> f64 {
    if seconds > 0.0 { amount / seconds } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(microseconds: impl IntoIterator<Item = u64>) -> Vec<Duration> {
        microseconds.into_iter().map(Duration::from_micros).collect()
    }

    #[test]
    fn percentiles_of_one_to_hundred_are_their_ranks() {
        let latency = Latency::of(&mut samples((1..=100).rev())).unwrap();
        assert_eq!(latency.count, 100);
        let values = [
            latency.min_us,
            latency.p50_us,
            latency.p90_us,
            latency.p99_us,
            latency.max_us,
        ];
        for (value, expected) in values.into_iter().zip([1.0, 50.0, 90.0, 99.0, 100.0]) {
            assert!((value - expected).abs() < 1e-6, "{value} instead of {expected}");
        }
        assert!((latency.mean_us - 50.5).abs() < 1e-6);
    }

    #[test]
    fn percentiles_of_few_samples_are_samples() {
        assert_eq!(Latency::of(&mut []), None);
        let one = Latency::of(&mut samples([7])).unwrap();
        assert!(
            [one.min_us, one.p50_us, one.p99_us, one.max_us]
                .iter()
                .all(|v| (v - 7.0).abs() < 1e-6)
        );
        let two = samples([1, 9]);
        assert_eq!(percentile(&two, 50), Some(two[0]));
        assert_eq!(percentile(&two, 51), Some(two[1]));
    }

    #[test]
    fn throughput_over_no_time_is_zero() {
        let throughput = Throughput::new(10, 10_000, Duration::ZERO);
        assert_eq!(
            (throughput.frames_per_second, throughput.megabits_per_second),
            (0.0, 0.0)
        );
        let throughput = Throughput::new(10, 1_000_000, Duration::from_secs(2));
        assert!((throughput.megabits_per_second - 4.0).abs() < 1e-9);
        assert!((throughput.frames_per_second - 5.0).abs() < 1e-9);
    }
}
