//! All points of the contract, one after the other. A driver that does not survive one of them is started again.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use crate::contract::{self, Check, Options, Outcome};
use crate::process::{self, KILL};
use crate::services::{self, DRIVERS, Services};
use netstack_client::{AdapterName, adapter};

use super::boot::fresh_stack;
use super::steps::{Flow, Seen, Steps, Verdict, text};
use crate::check;

/// Addresses of QEMU's user-mode network.
const PEER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
const OWN: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
/// Longest time until a driver that was started again is there.
const REVIVAL_LIMIT: Duration = Duration::from_secs(10);
/// A driver that sleeps is found so by now: what it does between two looks is no work.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

pub fn contract(steps: &mut Steps<'_>, after: Option<&str>) -> Flow {
    let services = steps.services.clone();
    steps.step(
        "stop",
        "the stack can be stopped",
        Duration::from_secs(20),
        move || {
            services.stop_stack().map_err(text)?;
            Ok(Seen::Good(String::new()))
        },
    )?;
    let mut adapter = adapter::list().unwrap_or_default().into_iter().next();
    let checks = contract::checks();
    let first = after
        .and_then(|after| checks.iter().position(|check| check.name() == after))
        .map_or(0, |position| position + 1);
    for check in checks.iter().skip(first) {
        let Some(name) = adapter.clone() else {
            // Whoever plays the host boots again for the rest.
            let title = "the driver can be started again";
            return steps.step("revive", title, REVIVAL_LIMIT, || {
                Err("there is no adapter that answers".to_owned())
            });
        };
        let limit = contract::CHECK_LIMIT + Duration::from_secs(20);
        let of_check = name.clone();
        let flow = steps.step(check.name(), check.promise(), limit, move || {
            carry_out(check, &of_check)
        });
        if flow.is_break() || !is_alive(&name) {
            adapter = revive(&steps.services, &name);
        }
    }
    fresh_stack(
        steps,
        "after",
        "after all that: DHCP, and 4 of 4 pings are answered",
    )
}

fn carry_out(check: &'static Check, adapter: &AdapterName) -> Verdict {
    let options = Options {
        adapter: adapter.clone(),
        address: OWN,
        peer: Some(PEER),
        reader: Some(check::reader),
    };
    let findings = contract::run(&options, [check], |_| {});
    let outcome = findings.into_iter().next().map(|finding| finding.outcome);
    let alive = is_alive(adapter);
    match outcome {
        Some(Outcome::Fail(reason)) if process::find(&DRIVERS).is_ok_and(|found| found.is_empty()) => {
            Err(format!("the driver died: {reason}"))
        }
        Some(Outcome::Fail(reason)) if !alive => {
            Err(format!("the driver answers nothing any more: {reason}"))
        }
        Some(Outcome::Fail(reason)) => Err(reason),
        _ if !alive => Err("the driver did not survive it".to_owned()),
        Some(Outcome::Pass) => Ok(Seen::Good(String::new())),
        Some(Outcome::AsStock(detail)) => Ok(Seen::Other(detail)),
        Some(Outcome::Skip(reason)) => Ok(Seen::Nothing(reason)),
        None => Err("not carried out".to_owned()),
    }
}

fn is_alive(name: &AdapterName) -> bool {
    services::living_adapters().contains(name)
}

/// Starts the driver again, also one that would find its own name taken.
fn revive(services: &Services, name: &AdapterName) -> Option<AdapterName> {
    if is_alive(name) {
        return Some(name.clone());
    }
    // If it does not end, neither will a new one get its device: that is seen below.
    let _ = services.end(&DRIVERS, KILL);
    services::remove_scheme(name.as_str());
    services.spawn_drivers().ok().filter(|there| *there)?;
    let start = Instant::now();
    while start.elapsed() < REVIVAL_LIMIT {
        if is_alive(name) {
            return Some(name.clone());
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
    None
}
