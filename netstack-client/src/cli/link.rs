//! `link`

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use serde::{Serialize, Serializer};

use super::keyed::Keyed;
use super::{Context, Outcome, value};

/// Polling interval.
const INTERVAL: Duration = Duration::from_millis(100);

/// Show the link.
///
/// The exit status is 1 if there is none.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Wait so long for a link, if there is none.
    #[arg(long, value_name = "DURATION", value_parser = value::duration, default_value = "0")]
    wait: Duration,
}

struct Report(Keyed);

impl Report {
    fn is_up(&self) -> bool {
        self.0.get("state") == Some("up")
    }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.json().serialize(serializer)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&describe(&self.0))
    }
}

/// Text such as `up, 1000 Mbit/s, full duplex`, with everything else in the driver's file.
pub fn describe(link: &Keyed) -> String {
    let words = link.pairs().map(|(key, value)| match key {
        "state" => value.to_owned(),
        "speed" => format!("{value} Mbit/s"),
        "duplex" => format!("{value} duplex"),
        _ => format!("{key} {value}"),
    });
    words.collect::<Vec<_>>().join(", ")
}

pub fn run(arguments: &Arguments, context: &Context<'_>) -> Outcome {
    let name = context.adapter()?;
    let start = Instant::now();
    loop {
        let report = Report(Keyed::read(&name, "link")?);
        if report.is_up() || start.elapsed() >= arguments.wait {
            context.output.result(&report);
            return Ok(report.is_up());
        }
        thread::sleep(INTERVAL);
    }
}
