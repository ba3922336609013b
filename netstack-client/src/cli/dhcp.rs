//! `dhcp`

use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::Lease;
use clap::Args;
use serde::Serialize;

use super::{Context, Error, Outcome, value};

/// Ask for an address by DHCP and show what the server grants.
///
/// The request is repeated until a server answers or the time is over. The system's own address does not change.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Time to wait for an answer.
    #[arg(long, value_name = "TIME[ms|s|m]", default_value = "10s", value_parser = value::duration)]
    timeout: Duration,
}

#[derive(Serialize)]
struct Report {
    adapter: String,
    address: String,
    router: Option<Ipv4Addr>,
    dns: Vec<Ipv4Addr>,
    server: Ipv4Addr,
    lease_seconds: Option<u64>,
    time_ms: f64,
}

impl Report {
    fn new(adapter: String, lease: Lease) -> Self {
        Self {
            adapter,
            address: lease.address.to_string(),
            router: lease.router,
            dns: lease.dns,
            server: lease.server,
            lease_seconds: lease.duration.map(|duration| duration.as_secs()),
            time_ms: lease.time.as_secs_f64() * 1e3,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "none".to_owned());
        let dns: Vec<_> = self.dns.iter().map(Ipv4Addr::to_string).collect();
        writeln!(formatter, "adapter  {}", self.adapter)?;
        writeln!(formatter, "address  {}", self.address)?;
        writeln!(
            formatter,
            "router   {}",
            or_none(self.router.map(|router| router.to_string()))
        )?;
        writeln!(
            formatter,
            "dns      {}",
            or_none((!dns.is_empty()).then(|| dns.join(" ")))
        )?;
        writeln!(formatter, "server   {}", self.server)?;
        writeln!(
            formatter,
            "lease    {}",
            or_none(self.lease_seconds.map(|seconds| format!("{seconds} s")))
        )?;
        write!(formatter, "took     {:.1} ms", self.time_ms)
    }
}

pub fn run(arguments: &Arguments, context: &Context<'_>) -> Outcome {
    let name = context.adapter()?;
    let mut stack = context.stack()?;
    match stack.dhcp(arguments.timeout)? {
        Some(lease) => {
            context.output.result(&Report::new(name.to_string(), lease));
            Ok(true)
        }
        None => Err(Error::Other(format!(
            "no DHCP server answered within {:?}",
            arguments.timeout
        ))),
    }
}
