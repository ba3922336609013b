//! `bench`

mod losses;
mod rtt;
mod rx;
mod tx;

use std::time::Duration;

use crate::{Adapter, Mode, Readiness, Result, Wait, Woken};
use clap::{Subcommand, ValueEnum};

use super::{Context, Outcome};

/// Measure the path between a program and the NIC.
#[derive(Debug, Subcommand)]
#[allow(missing_docs, reason = "each command is described where its arguments are")]
pub enum Command {
    Tx(tx::Arguments),
    Rx(rx::Arguments),
    Rtt(rtt::Arguments),
}

pub fn run(command: &Command, context: &Context<'_>) -> Outcome {
    match command {
        Command::Tx(arguments) => tx::run(arguments, context),
        Command::Rx(arguments) => rx::run(arguments, context),
        Command::Rtt(arguments) => rtt::run(arguments, context),
    }
}

/// Mode in which the adapter is used.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum IoMode {
    /// Reads wait for frames in the driver.
    Blocking,
    /// Reads return at once; an event queue reports when to read, as for smolnetd.
    Events,
}

impl IoMode {
    fn name(self) -> &'static str {
        match self {
            Self::Blocking => "blocking",
            Self::Events => "events",
        }
    }

    /// An adapter in this mode and a way to wait for it.
    fn open(self, context: &Context<'_>) -> super::Result<(Adapter, AnyWait)> {
        let mode = match self {
            Self::Blocking => Mode::Blocking,
            Self::Events => Mode::NonBlocking,
        };
        let adapter = Adapter::open(&context.adapter()?, mode)?;
        let waiter = match self {
            Self::Blocking => AnyWait::InRead,
            Self::Events => AnyWait::Events(Readiness::new(&adapter)?),
        };
        Ok((adapter, waiter))
    }
}

/// Way to wait for frames.
enum AnyWait {
    /// Reads block until there is a frame, so there is nothing else to wait for.
    InRead,
    Events(Readiness),
}

impl Wait for AnyWait {
    fn wait(&mut self, timeout: Option<Duration>) -> Result<Woken> {
        match self {
            Self::InRead => Ok(Woken::Frames),
            Self::Events(readiness) => readiness.wait(timeout),
        }
    }
}

/// Time beyond that of a benchmark after which the driver counts as stuck.
const GRACE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::cli::Arguments;

    fn is_accepted(line: &str) -> bool {
        Arguments::try_parse_from(line.split(' ')).is_ok()
    }

    #[test]
    fn documented_arguments_are_accepted() {
        for line in [
            "x bench rx --frames 5000 --mode blocking --warm-up 600 --check-last",
            "x --json bench rx --frames 5000 --alone",
        ] {
            assert!(is_accepted(line), "{line}");
        }
    }

    #[test]
    fn late_checks_need_a_number_of_frames() {
        assert!(!is_accepted("x bench rx --check-last"));
    }
}
