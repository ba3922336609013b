//! `check`

use std::fmt;
use std::net::Ipv4Addr;
use std::process::Command;

use crate::contract::{self, Check, Finding, Options, Outcome as Found};
use clap::{Args, ValueEnum};
use netstack_client::AdapterName;
use netstack_client::cli::{Context, Error, Outcome, Result};
use serde::Serialize;

/// Check whether the adapter's driver does what clients rely on.
///
/// Some checks need received frames: they ask the target for its MAC address and ping it. The system's own network
/// stack takes frames from the same adapter, so stop it before, or see checks fail that expect a frame.
///
/// The last checks stop drivers that are not prepared for them, Redox's own of 2026 among them. Use --only to choose.
///
/// The exit status is 1 if a check fails.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Only these checks: names or their groups, "mac.offset-7" or "mac".
    #[arg(long, value_name = "NAME", num_args = 1..)]
    only: Vec<String>,

    /// Print the names of the checks and what they promise, and do nothing.
    #[arg(long)]
    list: bool,

    /// The peer that makes frames come in.
    #[arg(long, value_enum, default_value_t = Peer::Echo)]
    peer: Peer,

    /// Address that answers. The default is the gateway of QEMU's user-mode network.
    #[arg(long, value_name = "ADDRESS", default_value = "10.0.2.2")]
    target: Ipv4Addr,

    /// Own address.
    #[arg(long, value_name = "ADDRESS", default_value = "10.0.2.15")]
    address: Ipv4Addr,

    /// Read frames until killed: the reader that a check kills.
    #[arg(long, hide = true)]
    read_until_killed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Peer {
    /// The target answers ARP requests and pings.
    Echo,
    /// Nobody answers: leave out the checks that need it.
    None,
}

/// An array for programs, the numbers for people, who have seen the rest.
#[derive(Serialize)]
#[serde(transparent)]
struct Report(Vec<Finding>);

impl Report {
    fn failed(&self) -> bool {
        self.0
            .iter()
            .any(|finding| matches!(finding.outcome, Found::Fail(_)))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |word| {
            let same = |finding: &&Finding| describe(&finding.outcome).0 == word;
            self.0.iter().filter(same).count()
        };
        write!(
            formatter,
            "{} passed, {} as stock, {} failed, {} skipped",
            count(PASS),
            count(STOCK),
            count(FAIL),
            count(SKIP)
        )
    }
}

const PASS: &str = "pass";
const STOCK: &str = "as stock";
const FAIL: &str = "FAIL";
const SKIP: &str = "skip";

fn describe(outcome: &Found) -> (&'static str, &str) {
    match outcome {
        Found::Pass => (PASS, ""),
        Found::AsStock(detail) => (STOCK, detail),
        Found::Fail(detail) => (FAIL, detail),
        Found::Skip(detail) => (SKIP, detail),
    }
}

/// One line of the table.
struct Line<'a>(&'a Finding);

impl fmt::Display for Line<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, detail) = describe(&self.0.outcome);
        let milliseconds = self.0.duration.as_secs_f64() * 1e3;
        let (name, space) = (self.0.name, if detail.is_empty() { "" } else { "  " });
        write!(
            formatter,
            "{name:<22} {word:<8} {milliseconds:>8.1} ms{space}{detail}"
        )
    }
}

fn chosen(only: &[String]) -> Result<Vec<&'static Check>> {
    let checks = contract::checks();
    let unknown = |selection: &&String| !checks.iter().any(|check| check.is_meant_by(selection));
    if let Some(selection) = only.iter().find(unknown) {
        return Err(Error::Other(format!(
            "there is no check {selection:?}; see --list"
        )));
    }
    let is_chosen =
        |check: &&Check| only.is_empty() || only.iter().any(|selection| check.is_meant_by(selection));
    Ok(checks.iter().filter(is_chosen).collect())
}

pub fn run(arguments: &Arguments, context: &Context<'_>) -> Outcome {
    let chosen = chosen(&arguments.only)?;
    if arguments.list {
        for check in chosen {
            context
                .output
                .progress(format_args!("{:<22} {}", check.name(), check.promise()));
        }
        return Ok(true);
    }
    let adapter = context.adapter()?;
    if arguments.read_until_killed {
        match contract::read_until_killed(&adapter)? {}
    }
    let options = Options {
        adapter,
        address: arguments.address,
        peer: (arguments.peer == Peer::Echo).then_some(arguments.target),
        reader: Some(reader),
    };
    let findings = contract::run(&options, chosen, |finding| context.output.progress(Line(finding)));
    let report = Report(findings);
    context.output.result(&report);
    Ok(!report.failed())
}

/// This program, as the reader that a check kills.
pub fn reader(adapter: &AdapterName) -> Command {
    let program = std::env::current_exe().unwrap_or_else(|_| "lab-agent".into());
    let mut command = Command::new(program);
    command.args(["check", "--read-until-killed", "--adapter", adapter.as_str()]);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_chosen_by_name_or_group() {
        let names = |only: &[&str]| {
            let only: Vec<_> = only.iter().map(|name| (*name).to_owned()).collect();
            chosen(&only).map(|checks| checks.iter().map(|check| check.name()).collect::<Vec<_>>())
        };
        assert_eq!(names(&["mac.offset-7"]).unwrap(), ["mac.offset-7"]);
        assert_eq!(names(&[]).unwrap().len(), contract::checks().len());
        assert!(
            names(&["write"])
                .unwrap()
                .iter()
                .all(|name| name.starts_with("write."))
        );
        let error = names(&["mac", "mac.offset-8"]).unwrap_err().to_string();
        assert!(
            error.contains("mac.offset-8") && error.contains("--list"),
            "{error}"
        );
    }

    #[test]
    fn report_counts_what_was_found() {
        let finding = |outcome| Finding {
            name: "a.b",
            outcome,
            duration: std::time::Duration::ZERO,
        };
        let mut report = Report(vec![finding(Found::Pass), finding(Found::AsStock(String::new()))]);
        assert!(!report.failed());
        report.0.push(finding(Found::Fail("no".to_owned())));
        assert!(report.failed());
        assert_eq!(report.to_string(), "1 passed, 1 as stock, 1 failed, 0 skipped");
    }
}
