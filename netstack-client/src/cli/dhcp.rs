//! `dhcp`

use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::Lease;
use clap::Args;
use serde::{Deserialize, Serialize};

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

/// Result of `dhcp`.
#[derive(Debug, Deserialize, Serialize)]
pub struct Report {
    /// Name of the adapter.
    pub adapter: String,
    /// Address and length of the network's prefix.
    pub address: String,
    /// Router to other networks.
    pub router: Option<Ipv4Addr>,
    /// Name servers.
    pub dns: Vec<Ipv4Addr>,
    /// The server that granted the lease.
    pub server: Ipv4Addr,
    /// Duration of the lease, if the server named one.
    pub lease_seconds: Option<u64>,
    /// Time from the first request to the lease.
    pub time_ms: f64,
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
