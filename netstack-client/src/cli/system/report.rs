//! `system report`

use std::fmt;
use std::io::Write;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use crate::adapter;
use crate::bounded::within;
use crate::system::echo::{self, Series};
use crate::system::netcfg::{INTERFACE, Netcfg};
use clap::Args;
use serde::{Deserialize, Serialize};

use super::super::{Context, Outcome, value};
use super::other;

/// Time between the address and the default route: dhcpd sets them one after the other.
const ROUTE_LIMIT: Duration = Duration::from_secs(5);
/// Time limit for everything else.
const LIMIT: Duration = Duration::from_secs(20);
const PINGS: Series = Series {
    count: 4,
    interval: Duration::from_millis(200),
    size: 56,
    timeout: Duration::from_secs(2),
};

/// Say whether the network works: address, routes, adapters, and four pings to the router.
///
/// Failures are part of the report. The exit status is 0 if there is an address and every ping was answered.
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    /// Time to wait for an address.
    #[arg(long, value_name = "TIME[ms|s|m]", default_value = "10s", value_parser = value::duration)]
    wait: Duration,

    /// Address to ping [default: the router of the default route].
    #[arg(long, value_name = "ADDRESS")]
    target: Option<Ipv4Addr>,

    /// Print the JSON object on one line after this text, so that it can be found on a shared console.
    #[arg(long, value_name = "TEXT")]
    marker: Option<String>,
}

/// Result of `system report`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Report {
    /// Name of the interface.
    pub interface: String,
    /// Its address and the length of the network's prefix.
    pub address: Option<String>,
    /// Time until there was an address.
    pub address_ms: f64,
    /// MAC address as the stack reports it.
    pub mac: Option<String>,
    /// Router of the default route.
    pub gateway: Option<Ipv4Addr>,
    /// The routing table, a line for each route.
    pub routes: Vec<String>,
    /// All network schemes, with the MAC address that each reports.
    pub adapters: Vec<Adapter>,
    /// Pings to the router or to --target.
    pub ping: Option<echo::Outcome>,
    /// First failure.
    pub error: Option<String>,
}

/// A network scheme.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Adapter {
    /// Its name.
    pub name: String,
    /// Its MAC address, if its driver reports one.
    pub mac: Option<String>,
}

impl Report {
    fn new(arguments: &Arguments) -> Self {
        let work = arguments.clone();
        let report = within(arguments.wait + LIMIT, move || {
            let mut report = Self::empty(None);
            if let Err(error) = report.fill(&work) {
                report.error = Some(error.to_string());
            }
            report
        });
        report.unwrap_or_else(|| Self::empty(Some("the system does not answer".to_owned())))
    }

    fn empty(error: Option<String>) -> Self {
        Self {
            interface: INTERFACE.to_owned(),
            error,
            ..Self::default()
        }
    }

    /// Fills in one field after the other, up to the first failure.
    fn fill(&mut self, arguments: &Arguments) -> Result<(), super::Error> {
        let netcfg = Netcfg::default();
        let start = Instant::now();
        let address = netcfg.wait_for_address(INTERFACE, arguments.wait);
        self.address_ms = start.elapsed().as_secs_f64() * 1e3;
        // The adapters are worth reporting even if the stack has no address.
        let names = adapter::list()?;
        self.adapters = names
            .into_iter()
            .map(|name| Adapter {
                mac: adapter::mac(&name).ok().map(adapter::mac_text),
                name: name.to_string(),
            })
            .collect();
        let Some(address) = address.map_err(other)? else {
            return Err(other(format_args!(
                "{INTERFACE} has no address after {:?}",
                arguments.wait
            )));
        };
        self.address = Some(address.to_string());
        self.mac = netcfg.mac(INTERFACE).map_err(other)?.map(adapter::mac_text);
        (self.routes, self.gateway) = netcfg.wait_for_routes(ROUTE_LIMIT).map_err(other)?;
        let Some(target) = arguments.target.or(self.gateway) else {
            return Err(other("there is no default route, and no --target"));
        };
        self.ping = Some(echo::ping(target, &PINGS, |_, _| {}).map_err(other)?);
        Ok(())
    }

    fn is_good(&self) -> bool {
        let answered = |ping: &echo::Outcome| ping.received == usize::from(ping.transmitted);
        self.error.is_none() && self.ping.as_ref().is_some_and(answered)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.address.as_deref().unwrap_or("none");
        write!(formatter, "{:<8} {address}", self.interface)?;
        if let Some(mac) = &self.mac {
            write!(formatter, ", MAC address {mac}")?;
        }
        for route in &self.routes {
            write!(formatter, "\nroute    {route}")?;
        }
        for Adapter { name, mac } in &self.adapters {
            write!(
                formatter,
                "\nadapter  {name} {}",
                mac.as_deref().unwrap_or_default()
            )?;
        }
        if let Some(ping) = &self.ping {
            write!(
                formatter,
                "\nping     {}: {} of {} answered",
                ping.target, ping.received, ping.transmitted
            )?;
            if let Some(latency) = &ping.latency {
                write!(formatter, ", median {:.0} µs", latency.p50_us)?;
            }
        }
        match &self.error {
            Some(error) => write!(formatter, "\nfailed   {error}"),
            None => Ok(()),
        }
    }
}

pub fn run(arguments: &Arguments, context: &Context<'_>) -> Outcome {
    let report = Report::new(arguments);
    match &arguments.marker {
        Some(marker) => {
            let json = serde_json::to_string(&report).map_err(other)?;
            // Written in one piece, because others write to the same console.
            let line = format!("{marker}{json}\n");
            let mut stdout = std::io::stdout().lock();
            let _ = stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush());
        }
        None => context.output.result(&report),
    }
    Ok(report.is_good())
}
