//! Checks an adapter against what its clients may rely on.
//!
//! The contract is what smolnetd needs from a driver's scheme, plus what no client may do to it: one frame per read
//! and write, `EAGAIN` and events at the right moments, an answer to every request, however odd. [`checks`] lists its
//! points, from harmless to harmful: drivers of Redox of 2026 do not survive the last ones. [`run`] carries them out.
//!
//! Received frames are provoked: a peer on the network answers ARP requests and pings.

mod abuse;
mod events;
mod files;
mod open;
mod peer;
mod raw;
mod reading;
mod sharing;
mod subject;
mod table;
mod writing;

use std::net::Ipv4Addr;
use std::process::Command;
use std::time::{Duration, Instant};

use libredox::Fd;
use libredox::flag::{O_CLOEXEC, O_RDWR};
use serde::{Serialize, Serializer};

use netstack_client::adapter::READ_BUFFER;
use netstack_client::{AdapterName, Error, Result, bounded};

use subject::{Subject, Verdict};

/// Longest time for one check. A check that takes longer waits for an answer that does not come.
pub const CHECK_LIMIT: Duration = Duration::from_secs(30);

/// Text that [`read_until_killed`] prints when it is about to read.
pub const READING: &str = "reading";

/// The checks to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// The adapter.
    pub adapter: AdapterName,
    /// Own address in what is sent to the peer.
    pub address: Ipv4Addr,
    /// Address that answers ARP requests and pings; `None` if there is none.
    pub peer: Option<Ipv4Addr>,
    /// Makes a process that calls [`read_until_killed`] on this adapter.
    pub reader: Option<fn(&AdapterName) -> Command>,
}

/// Result of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", content = "detail", rename_all = "kebab-case")]
pub enum Outcome {
    /// The adapter keeps the promise.
    Pass,
    /// It does what Redox's own drivers do instead, which clients have to live with.
    AsStock(String),
    /// It breaks the promise.
    Fail(String),
    /// It could not be checked here.
    Skip(String),
}

/// One check that was carried out.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// The point of the contract, `mac.offset-7` for instance.
    pub name: &'static str,
    /// The outcome.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Time that it took.
    #[serde(rename = "ms", serialize_with = "milliseconds")]
    pub duration: Duration,
}

fn milliseconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64() * 1e3)
}

/// Needs of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    Nothing,
    /// Somebody who answers.
    Peer,
    /// A peer, and a process that reads until it is killed.
    Reader,
}

impl Needs {
    /// Reason why the check has to be left out, if it has to.
    fn missing(self, subject: &Subject) -> Option<&'static str> {
        match self {
            Self::Peer | Self::Reader if subject.peer.is_none() => Some("needs a peer that answers"),
            Self::Reader if subject.reader.is_none() => Some("needs a process to kill"),
            _ => None,
        }
    }
}

/// One point of the contract.
pub struct Check {
    name: &'static str,
    promise: &'static str,
    needs: Needs,
    run: fn(&Subject) -> Verdict,
}

impl Check {
    /// Its name: a group, a dot, and what it is about.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The adapter's promise, in a few words.
    pub fn promise(&self) -> &'static str {
        self.promise
    }

    /// Returns true if the check is meant by `selection`, which is its name or that of its group.
    pub fn is_meant_by(&self, selection: &str) -> bool {
        self.name == selection
            || self
                .name
                .strip_prefix(selection)
                .is_some_and(|rest| rest.starts_with('.'))
    }

    fn find(&self, subject: &Subject) -> Outcome {
        if let Some(reason) = self.needs.missing(subject) {
            return Outcome::Skip(reason.to_owned());
        }
        let (run, subject) = (self.run, subject.clone());
        match bounded::within(CHECK_LIMIT, move || run(&subject)) {
            Some(Ok(outcome)) => outcome,
            Some(Err(broken)) => Outcome::Fail(broken.0),
            None => Outcome::Fail(format!("not over after {CHECK_LIMIT:?}")),
        }
    }
}

/// All checks, in the order in which they are carried out.
pub fn checks() -> &'static [Check] {
    table::CHECKS
}

/// Carries out `chosen` checks, one after the other, and calls `finished` after each.
pub fn run<'a>(
    options: &Options,
    chosen: impl IntoIterator<Item = &'a Check>,
    mut finished: impl FnMut(&Finding),
) -> Vec<Finding> {
    let subject = Subject::new(options);
    let find = |check: &Check| {
        let start = Instant::now();
        let outcome = check.find(&subject);
        let finding = Finding {
            name: check.name,
            outcome,
            duration: start.elapsed(),
        };
        finished(&finding);
        finding
    };
    chosen.into_iter().map(find).collect()
}

/// Reads frames, blocking, and drops them, until the process is killed: what the check `sharing.reader-killed` needs.
///
/// # Errors
///
/// When the adapter cannot be opened or read.
pub fn read_until_killed(name: &AdapterName) -> Result<std::convert::Infallible> {
    let failed = |action| move |error| Error::scheme(action, name.path(), error);
    let data = Fd::open(&name.path(), O_RDWR | O_CLOEXEC, 0).map_err(failed("open"))?;
    println!("{READING}");
    loop {
        data.read(&mut [0; READ_BUFFER]).map_err(failed("read"))?;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_have_a_group() {
        let mut names = HashSet::new();
        for check in checks() {
            assert!(names.insert(check.name), "{}", check.name);
            assert!(check.name.split('.').count() == 2, "{}", check.name);
            assert!(!check.promise.is_empty());
        }
    }

    #[test]
    fn selection_is_a_name_or_a_group() {
        let meant = |selection: &str| {
            checks()
                .iter()
                .filter(|check| check.is_meant_by(selection))
                .count()
        };
        assert_eq!(meant("mac.offset-7"), 1);
        assert!(meant("mac") > 3);
        assert_eq!(meant("ma") + meant("mac.") + meant(""), 0);
    }

    #[test]
    fn finding_is_one_flat_object() {
        let finding = Finding {
            name: "a.b",
            outcome: Outcome::Fail("why".to_owned()),
            duration: Duration::from_millis(2),
        };
        assert_eq!(
            serde_json::to_value(&finding).unwrap(),
            serde_json::json!({"name": "a.b", "outcome": "fail", "detail": "why", "ms": 2.0})
        );
        let finding = Finding {
            outcome: Outcome::Pass,
            ..finding
        };
        assert_eq!(serde_json::to_value(&finding).unwrap()["outcome"], "pass");
    }
}
