//! Is the network there, after a boot or after it was started again?

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::process;
use crate::services::{self, DRIVERS};
use netstack_client::adapter;
use netstack_client::system::echo::{self, Series};
use netstack_client::system::netcfg::{INTERFACE, Netcfg};

use super::steps::{Flow, Seen, Steps, Verdict, text};

/// More than dhcpd waits for an answer.
const ADDRESS_LIMIT: Duration = Duration::from_secs(40);
const ROUTE_LIMIT: Duration = Duration::from_secs(5);
const PINGS: Series = Series {
    count: 4,
    interval: Duration::from_millis(200),
    size: 56,
    timeout: Duration::from_secs(2),
};

pub fn boot(steps: &mut Steps<'_>) -> Flow {
    let limit = ADDRESS_LIMIT * steps.patience;
    steps.step("driver", "a driver runs", Duration::from_secs(10), driver)?;
    steps.step(
        "mac",
        "the adapter says its MAC address",
        Duration::from_secs(15),
        mac,
    )?;
    steps.step(
        "address",
        "an address by DHCP",
        ADDRESS_LIMIT + Duration::from_secs(5),
        move || address(limit),
    )?;
    pings(steps, "ping", "4 of 4 pings are answered")
}

/// Whoever plays the host gives the link back when "address" begins.
pub fn late_link(steps: &mut Steps<'_>) -> Flow {
    let limit = ADDRESS_LIMIT * steps.patience;
    steps.step("boot", "the boot has gone on", Duration::from_secs(10), driver)?;
    steps.step(
        "address",
        "DHCP works once the link comes",
        ADDRESS_LIMIT + Duration::from_secs(5),
        move || address(limit),
    )?;
    pings(steps, "ping", "then 4 of 4 pings are answered")
}

fn driver() -> Verdict {
    let drivers = process::find(&DRIVERS).map_err(text)?;
    match drivers.first() {
        Some(driver) => Ok(Seen::Good(format!("{}, on {}", driver.program(), system()))),
        None => Err("there is none".to_owned()),
    }
}

/// Name that the system gives itself.
fn system() -> String {
    let text = std::fs::read_to_string("/scheme/sys/uname").unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn mac() -> Verdict {
    let names = services::living_adapters();
    let name = names.first().ok_or("there is no adapter that answers")?;
    let mac = adapter::mac(name).map_err(text)?;
    Ok(Seen::Good(adapter::mac_text(mac)))
}

fn address(limit: Duration) -> Verdict {
    match Netcfg::default()
        .wait_for_address(INTERFACE, limit)
        .map_err(text)?
    {
        Some(address) => Ok(Seen::Good(address.to_string())),
        None => Err(format!("none after {} s", limit.as_secs())),
    }
}

/// The router that was given, or that of the default route, which dhcpd sets a moment after the address.
pub fn gateway(given: Option<Ipv4Addr>) -> Result<Ipv4Addr, String> {
    if let Some(router) = given {
        return Ok(router);
    }
    let (_, gateway) = Netcfg::default().wait_for_routes(ROUTE_LIMIT).map_err(text)?;
    gateway.ok_or_else(|| "there is no default route".to_owned())
}

pub fn pings(steps: &mut Steps<'_>, name: &str, title: &str) -> Flow {
    let router = steps.router;
    steps.step(name, title, Duration::from_secs(25), move || {
        let outcome = echo::ping(gateway(router)?, &PINGS, |_, _| {}).map_err(text)?;
        if outcome.received == usize::from(PINGS.count) {
            Ok(Seen::Good(String::new()))
        } else {
            Err(format!("{} of {} were answered", outcome.received, PINGS.count))
        }
    })
}

/// Starts the stack anew and sees whether it gets anywhere. What is left of an earlier one is taken away.
pub fn fresh_stack(steps: &mut Steps<'_>, name: &str, title: &str) -> Flow {
    let services = steps.services.clone();
    let (patience, router) = (steps.patience, steps.router);
    let limit = ADDRESS_LIMIT + Duration::from_secs(40);
    steps.step(name, title, limit, move || {
        services.stop_stack().map_err(text)?;
        services.start_stack().map_err(text)?;
        address(ADDRESS_LIMIT * patience)?;
        let outcome = echo::ping(gateway(router)?, &PINGS, |_, _| {}).map_err(text)?;
        if outcome.received == usize::from(PINGS.count) {
            Ok(Seen::Good(String::new()))
        } else {
            Err(format!(
                "{} of {} pings were answered",
                outcome.received, PINGS.count
            ))
        }
    })
}
