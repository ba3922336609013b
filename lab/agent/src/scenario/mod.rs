//! `scenario`: what a driver has to survive, played through on a running Redox system without a shell.
//!
//! Each scenario is a series of steps. For each of them a line says that it begins, and one what came of it: whoever
//! reads the console knows at which step a system has stopped.

mod boot;
mod contract;
mod link;
mod pair;
mod restart;
mod steps;
mod transfer;

use std::net::Ipv4Addr;
use std::time::Duration;

use clap::{Args, ValueEnum};
use netstack_client::cli::{Error, Outcome, value};

use steps::{Reporter, Steps};

/// Play through what the driver has to survive, and print a JSON object for each step. For a test system: processes
/// are killed.
///
/// The exit status is 0 if no step failed. Exists on Redox only.
#[derive(Debug, Args)]
pub struct Arguments {
    /// One after the other.
    #[arg(required = true, value_enum, value_name = "NAME")]
    scenarios: Vec<Scenario>,

    /// Print each JSON object on a line that begins with this, to be found among the lines of others.
    #[arg(long, value_name = "TEXT", default_value = "")]
    marker: String,

    /// Time for which scenarios move frames, if they do.
    #[arg(long, value_name = "TIME[ms|s|m]", default_value = "20s", value_parser = value::duration)]
    time: Duration,

    /// The port of the host's echo server, for "transfer".
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,

    /// The router, if DHCP names none: Bochs's server names only what was asked for, and dhcpd asks for nothing.
    #[arg(long, value_name = "ADDRESS")]
    router: Option<Ipv4Addr>,

    /// Multiplies all limits of time, for a host that has a lot else to do.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    patience: u32,

    /// Of "contract", only the checks behind this one.
    #[arg(long, value_name = "CHECK")]
    after: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Scenario {
    /// Driver, MAC address, address by DHCP, pings through the stack.
    Boot,
    /// All points of "check", with the stack stopped; then the stack again.
    Contract,
    /// TCP to an echo server on the host, both ways.
    Transfer,
    /// The driver is killed under traffic, and started again.
    Restart,
    /// Frames in both directions at once between two NICs that are connected to each other.
    Pair,
    /// The system was started without a link, which comes while this waits for an address.
    LateLink,
    /// The link fails while the system sends: some times shortly (step "flaps"), once for long (step "down").
    Link,
}

impl Scenario {
    fn run(self, steps: &mut Steps<'_>, arguments: &Arguments) -> steps::Flow {
        match self {
            Self::Boot => boot::boot(steps),
            Self::Contract => contract::contract(steps, arguments.after.as_deref()),
            Self::Transfer => transfer::transfer(steps, arguments.port),
            Self::Restart => restart::restart(steps),
            Self::Pair => pair::pair(steps, arguments.time),
            Self::LateLink => boot::late_link(steps),
            Self::Link => link::link(steps, arguments.time),
        }
    }
}

pub fn run(arguments: &Arguments) -> Outcome {
    if cfg!(not(target_os = "redox")) {
        return Err(Error::Other(
            "scenarios are for a running Redox system; `cargo xtask redox --report` plays them there"
                .to_owned(),
        ));
    }
    let mut reporter = Reporter::new(&arguments.marker);
    for scenario in &arguments.scenarios {
        let name = scenario.to_possible_value();
        let name = name.as_ref().map_or("", |value| value.get_name());
        let mut steps = Steps::new(&mut reporter, name, arguments.patience, arguments.router);
        // A step that failed and without which the others make no sense has ended the scenario.
        let _ = scenario.run(&mut steps, arguments);
    }
    Ok(reporter.end())
}
