//! `arp`

use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::arp::Resolver;
use clap::Args;
use serde::Serialize;

use super::{Context, Error, Outcome, value};

/// Ask which MAC address an IPv4 address of the local network has.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The IPv4 address.
    target: Ipv4Addr,

    /// Own address in the request. The default suits QEMU's user-mode network. 0.0.0.0 makes it a probe
    /// (RFC 5227), which adds no entry to ARP caches, but some systems, such as Redox, do not answer it.
    #[arg(long, value_name = "ADDRESS", default_value = "10.0.2.15")]
    address: Ipv4Addr,

    /// Largest number of requests.
    #[arg(short, long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,

    /// Time to wait for each answer.
    #[arg(long, value_name = "TIME[ms|s|m]", default_value = "1s", value_parser = value::duration)]
    timeout: Duration,
}

#[derive(Serialize)]
struct Report {
    address: Ipv4Addr,
    mac: String,
    time_ms: f64,
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} is at {}, time={:.3} ms",
            self.address, self.mac, self.time_ms
        )
    }
}

pub fn run(arguments: &Arguments, context: &Context<'_>) -> Outcome {
    let (adapter, readiness) = context.open()?;
    let mac = adapter.mac()?;
    let mut resolver = Resolver::new(adapter, readiness, mac, arguments.address, arguments.target);
    for _ in 0..arguments.count {
        if let Some(answer) = resolver.ask(arguments.timeout)? {
            context.output.result(&Report {
                address: arguments.target,
                mac: crate::adapter::mac_text(answer.mac),
                time_ms: answer.time.as_secs_f64() * 1e3,
            });
            return Ok(true);
        }
    }
    Err(Error::Other(format!(
        "{} did not answer {} ARP requests",
        arguments.target, arguments.count
    )))
}
