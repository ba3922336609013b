//! The command line.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use netstack_client::AdapterName;
use netstack_client::cli::Context;
use netstack_client::cli::output::Output;

use crate::bench::{floor, sink, stream};
use crate::{check, scenario, script};

/// Check, play and measure inside a system under test. For a test system: processes are killed.
///
/// All commands of netstack-client are there, too.
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

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::Arguments),
    Scenario(scenario::Arguments),
    Script(script::Arguments),
    Floor(floor::Arguments),
    Sink(sink::Arguments),
    Stream(stream::Arguments),
    #[command(flatten)]
    Client(netstack_client::cli::Command),
}

/// Runs a command. Its exit status is 0 if the command did what it is for, 1 otherwise, and 2 for a command
/// line that makes no sense.
pub fn run(arguments: Arguments) -> ExitCode {
    let output = Output::new("lab-agent", arguments.json);
    let context = Context {
        adapter: arguments.adapter,
        output: &output,
    };
    output.finish(match &arguments.command {
        Command::Check(arguments) => check::run(arguments, &context),
        Command::Scenario(arguments) => scenario::run(arguments),
        Command::Script(arguments) => script::run(arguments),
        Command::Floor(arguments) => floor::run(arguments, &context),
        Command::Sink(arguments) => sink::run(arguments, &context),
        Command::Stream(arguments) => stream::run(arguments, &context),
        Command::Client(command) => command.run(&context),
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    fn is_accepted(line: &str) -> bool {
        Arguments::try_parse_from(line.split(' ')).is_ok()
    }

    #[test]
    fn commands_of_the_host_are_accepted() {
        for line in [
            "x check --only mac write.0 --json",
            "x check --peer none --list",
            "x check --target 10.0.2.2 --address 10.0.2.15",
            "x scenario boot contract --after mac.offset-7 --marker STEP",
            "x scenario pair --time 10m",
            "x scenario boot transfer restart --port 5001 --router 10.0.2.2 --patience 3 --marker STEP",
            "x script /etc/script --marker X --wait 20",
            "x --json floor --frames 5000 --size 60",
            "x sink 5000 --seconds 6",
            "x stream 10.0.2.2:5001 --seconds 5 --receivers 8",
            "x stream 10.0.2.2:5001 --lead 2 --seconds 5 --receivers 4 --senders 4",
            "x --json bench rx --frames 5000 --alone --warm-up 600 --check-last",
            "x system report --wait 20",
        ] {
            assert!(is_accepted(line), "{line}");
        }
    }

    #[test]
    fn senseless_arguments_are_refused() {
        for line in [
            "x",
            "x check --peer nobody",
            "x scenario",
            "x scenario nothing",
            "x scenario boot --patience 0",
            "x stream 10.0.2.2:5001",
            "x stream 10.0.2.2:5001 --seconds 5 --receivers 65",
        ] {
            assert!(!is_accepted(line), "{line}");
        }
    }
}
