//! `system`: the commands that use the system's own network stack, and not the driver.

mod ping;
pub(super) mod report;
mod tcp;
mod udp;

use clap::Subcommand;

use super::{Context, Error, Outcome};

/// Use the system's own network stack, as any program does, and not the adapter.
///
/// "report" and "ping" exist on Redox only; "tcp" and the two of UDP use the stack of whatever system this runs on.
#[derive(Debug, Subcommand)]
pub enum Command {
    Report(report::Arguments),
    Ping(ping::Arguments),
    Tcp(tcp::Arguments),
    UdpSink(udp::SinkArguments),
    UdpSource(udp::SourceArguments),
}

pub fn run(command: &Command, context: &Context<'_>) -> Outcome {
    match command {
        Command::Report(arguments) => report::run(arguments, context),
        Command::Ping(arguments) => ping::run(arguments, context),
        Command::Tcp(arguments) => tcp::run(arguments, context),
        Command::UdpSink(arguments) => udp::sink(arguments, context),
        Command::UdpSource(arguments) => udp::source(arguments, context),
    }
}

/// An error with what was being done.
fn failed(doing: impl std::fmt::Display) -> impl FnOnce(std::io::Error) -> Error {
    move |error| Error::Other(format!("cannot {doing}: {error}"))
}

fn other(error: impl std::fmt::Display) -> Error {
    Error::Other(error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::cli::Arguments;

    #[test]
    fn documented_arguments_are_accepted() {
        for line in [
            "x system report",
            "x system report --wait 20 --target 10.0.2.2 --marker REPORT",
            "x system ping 10.0.2.2 -c 10 -i 0.2",
            "x --json system tcp 10.0.2.2:5001 --send 1M --receive 1M --hello go",
            "x system udp-sink 5000 --seconds 3",
            "x system udp-source 10.0.2.2:5000 --rate 100 --seconds 3 --size 1000",
        ] {
            let parsed = Arguments::try_parse_from(line.split(' '));
            assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
        }
    }

    #[test]
    fn senseless_arguments_are_refused() {
        for line in [
            "x system",
            "x system ping",
            "x system ping 10.0.2.2 -c 0",
            "x system tcp 10.0.2.2",
            "x system udp-sink",
            "x system udp-source 10.0.2.2:5000 --rate 0",
            "x system udp-source 10.0.2.2:5000 --size 15",
            "x system udp-source 10.0.2.2:5000 --size 1473",
        ] {
            assert!(Arguments::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
