//! The system's own network stack above the driver, by the clock on the wall.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use lab_protocol::Event;
use serde_json::{Value, json};

use super::follow::{HOST, Results, STUCK, Setup, follow};
use super::load::{self, Load};
use super::script::{Moment, Script};
use super::server::Server;
use super::subject::Subject;
use crate::error::Result;

/// The port of the system to which datagrams go.
const SINK: u16 = 5000;
/// Data of each of them: with its headers it fills the smallest frame.
const DATAGRAM: usize = 18;
/// Time for which TCP connections move bytes, in seconds.
const TCP_TIME: u32 = 5;
/// Longest time until the system listens for datagrams.
const BIND_TIME: Duration = Duration::from_millis(500);
/// Time for which they are sent: with pings meanwhile, and without.
const UDP_TIME: Duration = Duration::from_secs(6);
const UDP_TIME_QUIET: Duration = Duration::from_secs(4);
/// Datagrams in a second beside a transfer.
const FLOOD: u32 = 20_000;
/// A transfer goes on for a while before it counts, and in the middle of that the flood begins.
const LEAD: u32 = 2;
const FLOOD_DELAY: Duration = Duration::from_secs(1);
/// The flood goes on until the transfer is over, but no longer than this: then the transfer stands still.
const FLOOD_LIMIT: Duration = Duration::from_secs(8);
/// Boots for one list of steps, if the system comes to a standstill.
const BOOTS: u32 = 4;

/// Something that is done in a system whose network is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Requests with nothing else to do.
    Ping,
    /// So many connections that receive, and so many that send, at once.
    Tcp { receivers: u16, senders: u16 },
    /// Datagrams to the system, so many in a second, and pings meanwhile.
    Udp { rate: u32, pings: bool },
    /// A connection that receives, and datagrams meanwhile.
    TcpBesideFlood,
    /// Requests, and a connection that receives meanwhile.
    PingUnderTcp,
}

impl Step {
    /// Of its results, and of most measures.
    pub fn name(self) -> String {
        match self {
            Self::Ping => "ping".to_owned(),
            Self::Tcp {
                receivers: 1,
                senders: 0,
            } => "tcp-in".to_owned(),
            Self::Tcp {
                receivers: 0,
                senders: 1,
            } => "tcp-out".to_owned(),
            Self::Tcp {
                receivers,
                senders: 0,
            } => format!("tcp-in-{receivers}"),
            Self::Tcp {
                receivers: 0,
                senders,
            } => format!("tcp-out-{senders}"),
            Self::Tcp { receivers, .. } => format!("tcp-both-{receivers}"),
            Self::Udp { rate, .. } => format!("udp-{rate}"),
            Self::TcpBesideFlood => "tcp-beside-flood".to_owned(),
            Self::PingUnderTcp => "ping-under-tcp".to_owned(),
        }
    }

    /// The command that talks to a server here, if there is one.
    fn stream(self) -> Option<String> {
        Some(match self {
            Self::Tcp { .. } | Self::TcpBesideFlood | Self::PingUnderTcp => self.name(),
            Self::Ping | Self::Udp { .. } => return None,
        })
    }

    /// Lines of the system's script. `port` is that of the server here.
    fn lines(self, port: u16) -> Vec<String> {
        let name = self.name();
        let server = format!("{HOST}:{port}");
        let stream = |options: String| format!("stream {server} {options}");
        match self {
            Self::Ping => vec![format!("{name} system ping {HOST} -c 300 -i 10ms")],
            Self::Tcp { receivers, senders } => vec![format!(
                "{name} {}",
                stream(format!(
                    "--seconds {TCP_TIME} --receivers {receivers} --senders {senders}"
                ))
            )],
            Self::Udp { pings: false, .. } => {
                vec![format!("{name} sink {SINK} --seconds 6")]
            }
            Self::Udp { pings: true, .. } => vec![
                format!("{name}& sink {SINK} --seconds 9"),
                "sleep 1s".to_owned(),
                format!("{name}-ping system ping {HOST} -c 10 -i 200ms --timeout 400ms"),
                "wait".to_owned(),
            ],
            Self::TcpBesideFlood => vec![
                format!("{name}-sink& sink {SINK} --seconds 10"),
                "sleep 500ms".to_owned(),
                format!("{name} {}", stream(format!("--lead {LEAD} --seconds 4"))),
                "wait".to_owned(),
            ],
            Self::PingUnderTcp => vec![format!(
                "{name} {}",
                stream(format!("--seconds 10 --ping {HOST}"))
            )],
        }
    }

    /// Datagrams that are sent when one of its commands begins.
    fn flood(self) -> Option<Flood> {
        match self {
            Self::Udp { rate, pings } => Some(Flood {
                rate,
                delay: BIND_TIME,
                time: if pings { UDP_TIME } else { UDP_TIME_QUIET },
                until_end: false,
            }),
            Self::TcpBesideFlood => Some(Flood {
                rate: FLOOD,
                delay: FLOOD_DELAY,
                time: FLOOD_LIMIT,
                until_end: true,
            }),
            Self::Ping | Self::Tcp { .. } | Self::PingUnderTcp => None,
        }
    }
}

/// When datagrams are sent, counted from the beginning of the command that has the step's name.
#[derive(Clone, Copy)]
struct Flood {
    rate: u32,
    delay: Duration,
    time: Duration,
    /// Stop when the command ends, if that is earlier.
    until_end: bool,
}

/// A flood that is to come, or is there.
struct Due {
    step: String,
    flood: Flood,
    start: Instant,
    load: Option<Load>,
}

/// This machine's part while the system carries its script out.
struct Host {
    /// The port to which datagrams for the system go.
    port: u16,
    floods: BTreeMap<String, Flood>,
    due: Option<Due>,
    servers: BTreeMap<String, Server>,
    /// Commands that have begun and not ended.
    begun: BTreeSet<String>,
}

impl Host {
    fn react(&mut self, event: Option<Event>, results: &mut Results) -> Result<()> {
        match &event {
            Some(Event::Begin(step)) => {
                self.begun.insert(step.clone());
                if let Some(flood) = self.floods.get(step) {
                    self.due = Some(Due {
                        step: step.clone(),
                        flood: *flood,
                        start: Instant::now(),
                        load: None,
                    });
                }
            }
            Some(Event::End { step, .. }) => {
                self.begun.remove(step);
                if let Some(server) = self.servers.remove(step) {
                    merge(results, step, json!(server.finish()));
                }
                if let Some(due) = self.due.take_if(|due| due.flood.until_end && due.step == *step) {
                    due.finish(true, results);
                }
            }
            Some(Event::Done(_)) | None => {}
        }
        if let Some(due) = &mut self.due
            && due.load.is_none()
            && due.start.elapsed() >= due.flood.delay
        {
            let rate = due.flood.rate;
            due.load = Some(load::datagrams(self.port, rate, DATAGRAM, rate)?);
        }
        let over = |due: &mut Due| due.start.elapsed() >= due.flood.delay + due.flood.time;
        if let Some(due) = self.due.take_if(over) {
            due.finish(false, results);
        }
        Ok(())
    }

    /// Adds the servers' view of commands in the middle of which the system has come to a standstill.
    fn give_up(mut self, results: &mut Results) {
        for step in self.begun {
            if let Some(server) = self.servers.remove(&step) {
                merge(results, &step, json!(server.finish()));
            }
        }
    }
}

impl Due {
    /// Stops it and takes note of what it was. `outlasted`: it went on until its command's end.
    fn finish(self, outlasted: bool, results: &mut Results) {
        let (sent, time) = self.load.map(Load::stop).unwrap_or_default();
        let answered = results.contains_key(&format!("{}-ping", self.step));
        let value = json!({
            "sent": sent,
            "flood_seconds": time.as_secs_f64(),
            "pings_in_time": answered,
            "flooded_until_end": outlasted && sent > 0,
        });
        merge(results, &self.step, value);
    }
}

/// Adds to what was seen of a step from here.
fn merge(results: &mut Results, step: &str, value: Value) {
    let place = results.entry(format!("{step}-host")).or_insert_with(|| json!({}));
    if let (Some(place), Value::Object(value)) = (place.as_object_mut(), value) {
        place.extend(value);
    }
}

/// Boots the system and carries the steps out. Behind one at which the system comes to a standstill, others are carried
/// out in another boot.
pub fn run(subject: &Subject, setup: &Setup<'_>, steps: &[Step]) -> Result<Results> {
    let mut results = Results::new();
    let mut left = steps;
    for number in 1..=BOOTS {
        let mut seen = boot(subject, setup, left)?;
        let stuck = seen.remove(STUCK);
        results.extend(seen);
        let Some(stuck) = stuck else { break };
        results.insert(format!("{STUCK}-{number}"), stuck);
        left = behind(left, &results);
        if left.is_empty() {
            break;
        }
    }
    Ok(results)
}

/// Steps behind the one that did not end. If the system did not get to the first one, all of them.
fn behind<'a>(steps: &'a [Step], results: &Results) -> &'a [Step] {
    let ended = |step: &&Step| results.contains_key(&step.name());
    let done = steps.iter().take_while(ended).count();
    let begun = done > 0 || results.contains_key("report");
    steps.get(done + usize::from(begun)..).unwrap_or_default()
}

fn boot(subject: &Subject, setup: &Setup<'_>, steps: &[Step]) -> Result<Results> {
    let mut servers = BTreeMap::new();
    let mut late = vec!["report system report --wait 20".to_owned()];
    for step in steps {
        let mut port = 0;
        if let Some(stream) = step.stream() {
            let server = Server::start()?;
            port = server.port();
            servers.insert(stream, server);
        }
        late.extend(step.lines(port));
        // What is on the way yet of one step does not come into the next.
        late.push("sleep 300ms".to_owned());
    }
    let mut scripts = vec![Script {
        moment: Moment::AfterNetwork,
        lines: late,
    }];
    if steps.contains(&Step::Ping) {
        scripts.push(Script {
            moment: Moment::BeforeNetwork,
            lines: vec![format!("rtt bench rtt --frames 300 --target {HOST}")],
        });
    }
    subject.install(&scripts)?;
    // Free now; QEMU binds it a moment later.
    let port = load::free_port()?;
    let netdev = format!("user,hostfwd=udp:127.0.0.1:{port}-:{SINK}");
    let mut host = Host {
        port,
        floods: steps
            .iter()
            .filter_map(|step| Some((step.name(), step.flood()?)))
            .collect(),
        due: None,
        servers,
        begun: BTreeSet::new(),
    };
    let number = u32::try_from(scripts.len()).unwrap_or(u32::MAX);
    let mut results = follow(subject, setup, &netdev, number, |event, results| {
        host.react(event, results)
    })?;
    if results.contains_key(STUCK) {
        host.give_up(&mut results);
    }
    Ok(results)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(step: Step) -> Host {
        let server = Server::start().unwrap();
        Host {
            // Nobody listens there.
            port: 9,
            floods: step
                .flood()
                .map(|flood| (step.name(), flood))
                .into_iter()
                .collect(),
            due: None,
            begun: BTreeSet::new(),
            servers: step.stream().map(|stream| (stream, server)).into_iter().collect(),
        }
    }

    fn begin(step: &str) -> Option<Event> {
        Some(Event::Begin(step.to_owned()))
    }

    fn end(step: &str) -> Option<Event> {
        Some(Event::End {
            step: step.to_owned(),
            result: Value::Null,
            error: String::new(),
            success: true,
            seconds: 0.0,
        })
    }

    #[test]
    fn connections_are_counted_until_their_command_ends() {
        let step = Step::Tcp {
            receivers: 4,
            senders: 0,
        };
        let mut host = host(step);
        let mut results = Results::new();
        host.react(begin("tcp-in-4"), &mut results).unwrap();
        host.react(None, &mut results).unwrap();
        assert!(results.is_empty());
        host.react(end("tcp-in-4"), &mut results).unwrap();
        assert_eq!(results["tcp-in-4-host"]["connections"], 0);
        assert!(host.servers.is_empty() && host.due.is_none());
    }

    #[test]
    fn connections_of_a_system_that_stands_still_have_moved_what_came() {
        let mut host = host(Step::Tcp {
            receivers: 1,
            senders: 0,
        });
        let mut results = Results::new();
        host.react(begin("tcp-in"), &mut results).unwrap();
        host.give_up(&mut results);
        assert_eq!(results["tcp-in-host"]["received"], 0);
        let values: BTreeMap<_, _> = crate::bench::values::values(&results).into_iter().collect();
        assert_eq!(values["tcp-in"], 0.0);
    }

    #[test]
    fn steps_behind_a_standstill_are_carried_out_in_another_boot() {
        let tcp = |receivers| Step::Tcp {
            receivers,
            senders: 0,
        };
        let steps = [Step::Ping, tcp(1), tcp(2), tcp(4)];
        let mut results = Results::new();
        assert_eq!(behind(&steps, &results), steps, "it did not get that far");
        results.insert("report".to_owned(), Value::Null);
        assert_eq!(behind(&steps, &results), &steps[1..]);
        results.insert("ping".to_owned(), Value::Null);
        results.insert("tcp-in".to_owned(), Value::Null);
        results.insert("tcp-in-2-host".to_owned(), Value::Null);
        assert_eq!(behind(&steps, &results), [tcp(4)]);
        results.insert("tcp-in-2".to_owned(), Value::Null);
        assert!(behind(&steps, &results).is_empty());
    }

    #[test]
    fn flood_beside_a_transfer_ends_with_it() {
        let mut host = host(Step::TcpBesideFlood);
        let mut results = Results::new();
        host.react(begin("tcp-beside-flood-sink"), &mut results).unwrap();
        assert!(host.due.is_none());
        host.react(begin("tcp-beside-flood"), &mut results).unwrap();
        // As if the delay were over.
        host.due.as_mut().unwrap().flood.delay = Duration::ZERO;
        host.react(None, &mut results).unwrap();
        assert!(host.due.as_ref().unwrap().load.is_some());
        let start = Instant::now();
        while host.due.as_ref().unwrap().load.as_ref().unwrap().sent() == 0 {
            assert!(start.elapsed() < Duration::from_secs(60));
            std::thread::yield_now();
        }
        // As if it were to go on for ever.
        host.due.as_mut().unwrap().flood.time = Duration::MAX / 2;
        host.react(end("tcp-beside-flood"), &mut results).unwrap();
        let seen = &results["tcp-beside-flood-host"];
        assert_eq!(seen["flooded_until_end"], true);
        assert_eq!(seen["connections"], 0, "what the server saw is there, too");
    }

    #[test]
    fn flood_that_outlasts_its_time_stops_before() {
        let mut host = host(Step::TcpBesideFlood);
        let mut results = Results::new();
        host.react(begin("tcp-beside-flood"), &mut results).unwrap();
        let due = host.due.as_mut().unwrap();
        (due.flood.delay, due.flood.time) = (Duration::ZERO, Duration::ZERO);
        host.react(None, &mut results).unwrap();
        assert_eq!(results["tcp-beside-flood-host"]["flooded_until_end"], false);
        host.react(end("tcp-beside-flood"), &mut results).unwrap();
        assert_eq!(results["tcp-beside-flood-host"]["flooded_until_end"], false);
    }

    #[test]
    fn steps_have_names_and_time_limits_of_their_own() {
        let tcp = |receivers, senders| Step::Tcp { receivers, senders };
        let names = [tcp(1, 0), tcp(16, 0), tcp(0, 1), tcp(0, 8), tcp(1, 1), tcp(4, 4)].map(Step::name);
        let expected = [
            "tcp-in",
            "tcp-in-16",
            "tcp-out",
            "tcp-out-8",
            "tcp-both-1",
            "tcp-both-4",
        ];
        assert_eq!(names, expected);
        let steps = [
            tcp(1, 1),
            Step::TcpBesideFlood,
            Step::PingUnderTcp,
            Step::Udp {
                rate: 5,
                pings: false,
            },
        ];
        for step in steps {
            let lines = step.lines(1);
            let bench = lines
                .iter()
                .filter(|line| line.contains(" stream ") || line.contains(" sink "));
            assert!(bench.clone().count() > 0);
            assert!(bench.clone().all(|line| line.contains("--seconds")), "{lines:?}");
        }
    }
}
