//! One boot of a system, and what the benchmarks in it say.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::redox::boot::{Configuration, Machine};
use crate::redox::console::BENCHMARK_MARKER;

use super::drivers::Subject;
use super::load::{self, Cable, Load, Server};
use super::measures::Part;

/// Where a script is on the image, with a number behind it.
pub const SCRIPT: &str = "/etc/e1000d-bench.";
/// What the lines for us begin with.
pub const MARKER: &str = BENCHMARK_MARKER;

/// This machine, as seen from QEMU's user-mode network.
const HOST: &str = "10.0.2.2";
/// Calls of each kind.
const CALLS: u32 = 5000;
/// Bytes of a TCP transfer.
const TCP_OUT: u64 = 8 << 20;
const TCP_IN: u64 = 8 << 20;
/// The port of the system to which datagrams go.
const SINK: u16 = 5000;
/// Data of each of them: with its headers it fills the smallest frame.
const DATAGRAM: usize = 18;
/// How long the system may take until it listens for them.
const BIND_TIME: Duration = Duration::from_millis(500);
/// How long they are sent.
const UDP_TIME: Duration = Duration::from_secs(6);
/// Time from burst to burst: a little more than an emulated processor needs to read one. It is slower where it counts.
const BURSTS: Duration = Duration::from_millis(80);
const BURSTS_ICOUNT: Duration = Duration::from_millis(400);
/// How long the machine is watched for a word between two reports.
const PATIENCE: Duration = Duration::from_millis(20);

/// When a script runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Drivers are there, and no network stack that would take their frames.
    BeforeNetwork,
    /// The network stack is there.
    AfterNetwork,
}

impl Moment {
    /// Its unit.
    pub fn unit(self) -> &'static str {
        match self {
            Self::BeforeNetwork => "/etc/init.d/05_e1000d-bench.service",
            Self::AfterNetwork => "/etc/init.d/20_e1000d-bench.service",
        }
    }

    /// The unit that comes before.
    ///
    /// Init carries units out in the order of their names, but puts one whose requirements are still to come behind all
    /// others. The target of the basic services is such a one, so what requires it comes behind the network stack.
    pub fn after(self) -> &'static str {
        match self {
            Self::BeforeNetwork => "00_pcid-spawner.service",
            Self::AfterNetwork => "10_net.target",
        }
    }

    pub fn number(self) -> u8 {
        match self {
            Self::BeforeNetwork => 1,
            Self::AfterNetwork => 2,
        }
    }
}

/// Commands for `netstack-client bench script`.
pub struct Script {
    pub moment: Moment,
    pub lines: Vec<String>,
}

/// How to boot.
pub struct Setup<'a> {
    pub nic: &'a str,
    /// Let the clock count instructions.
    pub icount: bool,
    pub limit: Duration,
    pub log: &'a Path,
}

/// What `netstack-client bench script` prints.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Event {
    Begin(String),
    End {
        step: String,
        result: Value,
        error: String,
    },
    Done(#[allow(dead_code, reason = "always true")] bool),
}

/// Everything that one boot has shown: what the commands printed, by name, and what was seen from here.
pub type Results = BTreeMap<String, Value>;

/// Boots the system once for a part of the benchmark.
pub fn run(subject: &Subject, part: Part, setup: &Setup<'_>) -> Result<Results> {
    match part {
        Part::Calls => calls(subject, setup),
        Part::Network => network(subject, setup),
        Part::Exchanges => exchanges(subject, setup),
    }
}

/// QEMU's user-mode network answers while the frame is being sent, so the time of an exchange is that of instructions.
fn exchanges(subject: &Subject, setup: &Setup<'_>) -> Result<Results> {
    let script = |moment, lines| Script { moment, lines };
    let ping = format!("ping-counted system ping {HOST} -c 300 -i 10ms");
    subject.install(&[
        script(
            Moment::BeforeNetwork,
            vec![format!("rtt-counted bench rtt --frames 300 --target {HOST}")],
        ),
        script(
            Moment::AfterNetwork,
            vec!["report system report --wait 20".to_owned(), ping],
        ),
    ])?;
    follow(subject, setup, "user", 2, |_, _| Ok(()))
}

fn calls(subject: &Subject, setup: &Setup<'_>) -> Result<Results> {
    let mut lines = Vec::new();
    for size in [60, 1514] {
        lines.push(format!("floor-{size} bench floor --frames {CALLS} --size {size}"));
        lines.push(format!("tx-{size} bench tx --frames {CALLS} --size {size}"));
    }
    for mode in ["blocking", "events"] {
        for size in [60, 1514] {
            // An idle system whose clock counts instructions skips from tick to tick: a minute is nothing to it.
            lines.push(format!(
                "rx-{size}-{mode} bench rx --frames {CALLS} --mode {mode} --seconds 86400"
            ));
        }
    }
    subject.install(&[Script {
        moment: Moment::BeforeNetwork,
        lines,
    }])?;
    let cable = Cable::new()?;
    let interval = if setup.icount { BURSTS_ICOUNT } else { BURSTS };
    let mut flood: Option<Load> = None;
    let mut runs = 0;
    follow(subject, setup, &cable.netdev()?, 1, |event, _| {
        let Some(event) = event else { return Ok(()) };
        flood = None;
        if let Event::Begin(step) = event
            && let Some(size) = step.strip_prefix("rx-").and_then(|step| step.split('-').next())
        {
            runs += 1;
            flood = Some(cable.bursts(runs, size.parse()?, interval)?);
        }
        Ok(())
    })
}

fn network(subject: &Subject, setup: &Setup<'_>) -> Result<Results> {
    let outgoing = Server::start(TCP_OUT, 0)?;
    let incoming = Server::start(0, TCP_IN)?;
    let mut late = vec![
        "report system report --wait 20".to_owned(),
        format!("ping system ping {HOST} -c 300 -i 10ms"),
        format!(
            "tcp-out bench stream {HOST}:{} --send {TCP_OUT} --timeout 100s",
            outgoing.port()
        ),
        format!(
            "tcp-in bench stream {HOST}:{} --receive {TCP_IN} --timeout 100s",
            incoming.port()
        ),
    ];
    for rate in [5000, 20_000] {
        late.push(format!("udp-{rate}& bench sink {SINK} --seconds 9"));
        late.push("sleep 1s".to_owned());
        late.push(format!(
            "udp-{rate}-ping system ping {HOST} -c 10 -i 200ms --timeout 400ms"
        ));
        late.push("wait".to_owned());
    }
    let early = vec![format!("rtt bench rtt --frames 300 --target {HOST}")];
    subject.install(&[
        Script {
            moment: Moment::BeforeNetwork,
            lines: early,
        },
        Script {
            moment: Moment::AfterNetwork,
            lines: late,
        },
    ])?;
    // Free now; QEMU binds it a moment later.
    let port = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let netdev = format!("user,hostfwd=udp:127.0.0.1:{port}-:{SINK}");
    let mut listening: Option<(String, u32, Instant)> = None;
    let mut datagrams: Option<(String, Load, Instant)> = None;
    let mut results = follow(subject, setup, &netdev, 2, |event, results| {
        if let Some(Event::Begin(step)) = &event
            && let Some(rate) = step.strip_prefix("udp-").and_then(|rate| rate.parse().ok())
        {
            listening = Some((step.clone(), rate, Instant::now()));
        }
        if let Some((step, rate, _)) = listening.take_if(|(_, _, start)| start.elapsed() >= BIND_TIME) {
            let load = load::datagrams(port, rate, DATAGRAM, rate)?;
            datagrams = Some((step, load, Instant::now()));
        }
        if let Some((step, load, _)) = datagrams.take_if(|(_, _, start)| start.elapsed() >= UDP_TIME) {
            let (sent, time) = load.stop();
            let answered_in_time = results.contains_key(&format!("{step}-ping"));
            results.insert(
                format!("{step}-host"),
                json!({
                    "sent": sent,
                    "seconds": time.as_secs_f64(),
                    "pings_in_time": answered_in_time,
                }),
            );
        }
        Ok(())
    })?;
    for (name, server) in [("tcp-out-host", outgoing), ("tcp-in-host", incoming)] {
        if server.is_finished() {
            let rate = server.finish();
            results.insert(
                name.to_owned(),
                match rate {
                    Ok(rate) => json!({ "megabits_per_second": rate }),
                    Err(error) => json!({ "error": format!("{error:#}") }),
                },
            );
        }
    }
    Ok(results)
}

/// Boots the system and hands on each event of its scripts, and a moment without any as well.
fn follow(
    subject: &Subject,
    setup: &Setup<'_>,
    netdev: &str,
    scripts: u32,
    mut react: impl FnMut(Option<Event>, &mut Results) -> Result<()>,
) -> Result<Results> {
    let place = tempfile::tempdir()?;
    let mut machine = Machine::start(
        &Configuration {
            image: &subject.image,
            nic: setup.nic,
            // HPET interrupts twice at times, and the clock of the system then jumps by 4 ms.
            machine: if setup.icount { "pc,hpet=off" } else { "pc" },
            smp: 1,
            netdev,
            icount: setup.icount,
            log: setup.log,
        },
        place.path(),
    )?;
    let mut results = Results::new();
    let (mut seen, mut done) = (0, 0);
    while done < scripts {
        let more = |machine: &Machine| machine.findings().benchmarks.len() > seen;
        if !more(&machine) {
            let soon = (machine.time() + PATIENCE).min(setup.limit);
            let waited = machine.wait(soon, "the benchmarks did not end", |findings| {
                findings.benchmarks.len() > seen
            });
            match waited {
                // Time is up, or an overloaded system has come to a standstill: what it has shown so far counts.
                Err(error @ crate::redox::Error::Stuck { .. }) if machine.time() >= setup.limit => {
                    let reason = error.to_string();
                    let reason = reason.lines().next().unwrap_or_default();
                    results.insert("boot".to_owned(), json!({ "error": reason }));
                    break;
                }
                Err(crate::redox::Error::Stuck { .. }) | Ok(()) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let Some(line) = machine.findings().benchmarks.get(seen) else {
            // Nothing new: whoever waits for a moment to pass may look at the clock.
            react(None, &mut results)?;
            continue;
        };
        seen += 1;
        // A line that others wrote into is of no use; what it said is missing then.
        let Ok(event) = serde_json::from_str(line) else {
            continue;
        };
        match &event {
            Event::End { step, result, error } => {
                let value = if result.is_null() {
                    json!({ "error": error })
                } else {
                    result.clone()
                };
                results.insert(step.clone(), value);
            }
            Event::Done(_) => done += 1,
            Event::Begin(_) => {}
        }
        react(Some(event), &mut results)?;
    }
    Ok(results)
}

/// The measures that are in the results.
pub fn values(results: &Results) -> Vec<(&'static str, f64)> {
    let number = |step: &str, pointer: &str| results.get(step)?.pointer(pointer)?.as_f64();
    let nanoseconds = |step: &str| Some(number(step, "/latency/p50_us")? * 1000.0);
    // Those that come when the load is over, from some queue on the way, lengthen the time that they took.
    let delivered = |step: &str| {
        let seconds = number(step, "/seconds")?.max(number(&format!("{step}-host"), "/seconds")?);
        Some(number(step, "/datagrams")? / seconds)
    };
    let answered = |step: &str| {
        let ping = format!("{step}-ping");
        let in_time = results
            .get(&format!("{step}-host"))?
            .get("pings_in_time")?
            .as_bool()?;
        let share = number(&ping, "/received")? / number(&ping, "/transmitted")?;
        // Answers that come when the load is over are none.
        Some(if in_time { share * 100.0 } else { 0.0 })
    };
    let faults = || {
        let received: Vec<_> = results
            .iter()
            .filter(|(step, _)| step.starts_with("rx-"))
            .collect();
        let of = |name: &str| {
            received
                .iter()
                .filter_map(|(_, value)| value.get(name)?.as_f64())
                .sum::<f64>()
        };
        (!received.is_empty()).then(|| of("duplicated") + of("damaged"))
    };
    let all = [
        ("floor-write-60", number("floor-60", "/write/nanoseconds")),
        ("floor-write-1514", number("floor-1514", "/write/nanoseconds")),
        ("floor-read", number("floor-60", "/read/nanoseconds")),
        ("write-60", number("tx-60", "/nanoseconds")),
        ("write-1514", number("tx-1514", "/nanoseconds")),
        ("read-60", number("rx-60-blocking", "/nanoseconds")),
        ("read-1514", number("rx-1514-blocking", "/nanoseconds")),
        ("read-60-events", number("rx-60-events", "/nanoseconds")),
        ("read-1514-events", number("rx-1514-events", "/nanoseconds")),
        ("faults", faults()),
        ("rtt", number("rtt", "/latency/p50_us")),
        ("rtt-counted", nanoseconds("rtt-counted")),
        ("ping-counted", nanoseconds("ping-counted")),
        ("ping", number("ping", "/latency/p50_us")),
        ("tcp-in", number("tcp-in-host", "/megabits_per_second")),
        ("tcp-out", number("tcp-out-host", "/megabits_per_second")),
        ("udp-5000", delivered("udp-5000")),
        ("udp-5000-ping", answered("udp-5000")),
        ("udp-20000", delivered("udp-20000")),
        ("udp-20000-ping", answered("udp-20000")),
    ];
    all.into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

/// What went wrong, by step.
pub fn failures(results: &Results) -> Vec<String> {
    results
        .iter()
        .filter_map(|(step, value)| Some(format!("{step}: {}", value.get("error")?.as_str()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::measures;

    fn results(value: Value) -> Results {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn events_are_understood() {
        let parse = |text: &str| serde_json::from_str::<Event>(text).unwrap();
        assert!(matches!(parse(r#"{"begin":"a"}"#), Event::Begin(step) if step == "a"));
        assert!(matches!(parse(r#"{"done":true}"#), Event::Done(true)));
        let end = r#"{"end":{"step":"a","result":null,"error":"no","success":false}}"#;
        assert!(matches!(parse(end), Event::End { error, .. } if error == "no"));
    }

    #[test]
    fn values_are_found_and_are_measures() {
        let results = results(json!({
            "floor-60": { "write": { "nanoseconds": 1.0 }, "read": { "nanoseconds": 2.0 } },
            "rx-60-blocking": { "nanoseconds": 3.0, "duplicated": 1, "damaged": 2 },
            "rx-60-events": { "duplicated": 0, "damaged": 1 },
            "tx-60": { "error": "the driver did not take a frame" },
            "udp-5000": { "datagrams": 3000, "seconds": 1.5 },
            "udp-20000": { "datagrams": 4000, "seconds": 8.0 },
            "udp-5000-host": { "seconds": 6.0, "pings_in_time": true },
            "udp-5000-ping": { "received": 5, "transmitted": 10 },
            "udp-20000-host": { "seconds": 6.0, "pings_in_time": false },
            "udp-20000-ping": { "received": 10, "transmitted": 10 },
        }));
        let values: BTreeMap<_, _> = values(&results).into_iter().collect();
        let expected = [
            ("faults", 4.0),
            ("floor-read", 2.0),
            ("floor-write-60", 1.0),
            ("read-60", 3.0),
            ("udp-20000", 500.0),
            ("udp-20000-ping", 0.0),
            ("udp-5000", 500.0),
            ("udp-5000-ping", 50.0),
        ];
        assert_eq!(values, expected.into());
        assert!(values.keys().all(|name| measures::find(name).is_some()));
        assert_eq!(failures(&results), ["tx-60: the driver did not take a frame"]);
    }
}
