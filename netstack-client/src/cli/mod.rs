//! The command line: one module per command, and what they share.

mod address;
mod arp;
mod bench;
mod capture;
mod dhcp;
mod direction;
mod info;
mod keyed;
mod link;
mod list;
pub mod output;
mod ping;
mod selftest;
mod send;
mod stats;
mod system;
mod tcp;
pub mod value;
mod watch;

use std::process::ExitCode;

use crate::{Adapter, AdapterName, Mode, Readiness, Stack, adapter};
use clap::{Parser, Subcommand};

use output::Output;

/// Results of commands, as `--json` prints them.
pub mod reports {
    pub use super::dhcp::Report as Dhcp;
    pub use super::direction::Direction as TcpDirection;
    pub use super::info::Report as Info;
    pub use super::ping::{Reply as PingReply, Report as Ping};
    pub use super::system::report::{Adapter as SystemAdapter, Report as System};
    pub use super::tcp::Report as Tcp;
}

/// Try out, measure and watch a network adapter.
///
/// Talks to the adapter's driver directly, beside the system's own network stack. The driver delivers each
/// received frame once, so while both are at work, each of them misses what the other one takes.
///
/// Durations are seconds unless they have a unit: 500ms, 10s, 2m. Sizes are bytes unless they have a unit: 64K,
/// 10M, 1G (powers of 1024).
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
pub struct Arguments {
    /// The adapter: a name from "list". Not needed if there is only one.
    #[arg(long, global = true, value_name = "NAME")]
    adapter: Option<AdapterName>,

    /// Print one JSON object instead of text.
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    command: Command,
}

/// A command.
#[derive(Debug, Subcommand)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each command is described where its arguments are")]
pub enum Command {
    List(list::Arguments),
    Info(info::Arguments),
    Link(link::Arguments),
    Stats(stats::Arguments),
    Watch(watch::Arguments),
    Selftest(selftest::Arguments),
    Dhcp(dhcp::Arguments),
    Ping(ping::Arguments),
    Arp(arp::Arguments),
    Capture(capture::Arguments),
    Send(send::Arguments),
    Tcp(tcp::Arguments),
    #[command(subcommand)]
    Bench(bench::Command),
    #[command(subcommand)]
    System(system::Command),
}

/// Runs a command. Its exit status is 0 if the command did what it is for, 1 otherwise, and 2 for a command
/// line that makes no sense.
pub fn run(arguments: Arguments) -> ExitCode {
    let output = Output::new("netstack-client", arguments.json);
    let context = Context {
        adapter: arguments.adapter,
        output: &output,
    };
    output.finish(arguments.command.run(&context))
}

impl Command {
    /// Runs the command and prints its result to standard output.
    pub fn run(&self, context: &Context<'_>) -> Outcome {
        match self {
            Self::List(arguments) => list::run(arguments, context),
            Self::Info(arguments) => info::run(arguments, context),
            Self::Link(arguments) => link::run(arguments, context),
            Self::Stats(arguments) => stats::run(arguments, context),
            Self::Watch(arguments) => watch::run(arguments, context),
            Self::Selftest(arguments) => selftest::run(arguments, context),
            Self::Dhcp(arguments) => dhcp::run(arguments, context),
            Self::Ping(arguments) => ping::run(arguments, context),
            Self::Arp(arguments) => arp::run(arguments, context),
            Self::Capture(arguments) => capture::run(arguments, context),
            Self::Send(arguments) => send::run(arguments, context),
            Self::Tcp(arguments) => tcp::run(arguments, context),
            Self::Bench(command) => bench::run(command, context),
            Self::System(command) => system::run(command, context),
        }
    }
}

/// The global options, for every command.
pub struct Context<'a> {
    /// The adapter that was chosen, if one was.
    pub adapter: Option<AdapterName>,
    /// Output for results.
    pub output: &'a Output,
}

impl Context<'_> {
    /// The adapter that the command is about.
    pub fn adapter(&self) -> Result<AdapterName> {
        Ok(adapter::select(self.adapter.as_ref())?)
    }

    fn stack(&self) -> Result<Stack> {
        Ok(Stack::open(&self.adapter()?)?)
    }

    fn open(&self) -> Result<(Adapter, Readiness)> {
        let adapter = Adapter::open(&self.adapter()?, Mode::NonBlocking)?;
        let readiness = Readiness::new(&adapter)?;
        Ok((adapter, readiness))
    }
}

/// Result of a command, which has printed its output. True means success, exit status 0.
pub type Outcome = Result<bool>;

/// The result of a part of a command.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Failure that kept a command from producing a result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The adapter refused something.
    #[error(transparent)]
    Adapter(#[from] crate::Error),

    /// The system refused something about a file.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: String,
        /// The system's reason.
        source: std::io::Error,
    },

    /// Any other failure, as one sentence.
    #[error("{0}")]
    Other(String),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn global_options_are_taken_before_and_after_the_command() {
        for line in [
            ["x", "--json", "--adapter", "network.a", "list"],
            ["x", "list", "--adapter", "network.a", "--json"],
        ] {
            let arguments = Arguments::try_parse_from(line).unwrap();
            assert!(arguments.json && arguments.adapter.is_some());
        }
    }

    #[test]
    fn senseless_arguments_are_refused() {
        for line in [
            "x",
            "x nothing",
            "x --adapter a/b list",
            "x ping",
            "x ping host.example",
            "x ping 10.0.2.2 -s 1473",
            "x ping 10.0.2.2 -i fast",
            "x ping 10.0.2.2 --gateway 10.0.2.2",
            "x ping 10.0.2.2 --address 10.0.2.15",
            "x tcp 10.0.2.2",
            "x send",
            "x send 0g",
            "x send 00 --file frame.bin",
            "x bench",
            "x bench tx --frames 1 --seconds 1",
            "x bench tx --size 59",
            "x bench tx --mode slow",
            "x capture",
            "x selftest --last --force",
        ] {
            assert!(Arguments::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }

    #[test]
    fn documented_arguments_are_accepted() {
        for line in [
            "x info",
            "x link --wait 5s --json",
            "x stats --nonzero",
            "x watch --seconds 1m --interval 500ms",
            "x selftest --force --json",
            "x selftest --last",
            "x dhcp --timeout 500ms",
            "x ping 10.0.2.2 -c 4 -i 0.2 -s 1472 --timeout 2s",
            "x ping 10.0.2.2 --address 10.0.2.15/24 --gateway 10.0.2.2",
            "x arp 10.0.2.3",
            "x capture -w out.pcap -c 10 --timeout 1m --snaplen 96",
            "x send ffffffffffff 52:54:00:12:34:56 0806 --count 3 --pad",
            "x send --file frame.bin",
            "x tcp 10.0.2.2:80",
            "x tcp 10.0.2.2:7 --send 1M --receive 1M",
            "x bench tx --seconds 2 --size 1514 --mode events",
            "x bench rx --frames 100 --seconds 3",
            "x bench rtt --target 10.0.2.2 --address 10.0.2.15 --mode blocking",
        ] {
            let parsed = Arguments::try_parse_from(line.split(' '));
            assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
        }
    }
}
