//! `stream`: several TCP connections at once, for some time.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use lab_protocol::stream::{RECEIVER, SENDER, Stream};
use netstack_client::cli::{Context, Error, Outcome, value};
use netstack_client::pattern::Pattern;
use netstack_client::stats::{Latency, megabits_per_second};
use netstack_client::system::echo::Echo;
use serde::Serialize;

/// Bytes of one read or write.
const CHUNK: usize = 16 << 10;

/// Time from one echo request to the next.
const PING_INTERVAL: Duration = Duration::from_millis(100);
/// Time without progress after which a transfer counts as stalled.
const MOVING: Duration = Duration::from_millis(20);
/// Longest wait for a reply.
const PING_LIMIT: Duration = Duration::from_millis(500);
/// Bytes of data in a request.
const PING_SIZE: usize = 56;

/// Measure TCP connections of the system's own stack.
///
/// All connections of --receivers and --senders move bytes at once for some time. Each begins with one byte, "r" or
/// "s", by which the server knows whether to send or to receive. The exit status is 0 if each connection has moved some
/// bytes and the received ones are correct.
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    /// IPv4 address and port of the server.
    #[arg(value_name = "ADDRESS:PORT")]
    server: SocketAddrV4,

    /// Time for which bytes are moved and counted.
    #[arg(long, value_name = "TIME[ms|s|m]", value_parser = value::duration)]
    seconds: Duration,

    /// Time before that for which bytes are moved and not counted.
    #[arg(long, value_name = "TIME[ms|s|m]", default_value = "0", value_parser = value::duration)]
    lead: Duration,

    /// Number of connections that receive.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(..=64))]
    receivers: u16,

    /// Number of connections that send.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=64))]
    senders: u16,

    /// Send echo requests to this address meanwhile, whenever bytes have moved just before.
    #[arg(long, value_name = "ADDRESS")]
    ping: Option<Ipv4Addr>,
}

pub fn run(arguments: &Arguments, context: &Context<'_>) -> Outcome {
    let connections = Connections::start(
        arguments.server,
        arguments.receivers.into(),
        arguments.senders.into(),
        arguments.lead,
        arguments.seconds,
    );
    let pings = arguments.ping.map(|target| connections.ping(target)).transpose();
    connections.wait();
    let report = Report {
        pings: pings.map_err(|error| Error::Other(error.to_string()))?,
        ..connections.report()
    };
    context.output.result(&report);
    Ok(report.is_good())
}

/// Echo requests beside connections.
///
/// When the connections have stalled, because the driver has lost their segments, the system is idle, and the
/// round-trip time of a request says nothing about a system under load. Such requests are counted and not sent.
#[derive(Debug, Default, Serialize)]
pub struct Pings {
    /// Requests that were sent while bytes moved.
    transmitted: usize,
    /// Number of replies.
    received: usize,
    /// Round trips.
    latency: Option<Latency>,
    /// Number of requests that were due while the connections had stalled.
    standstills: usize,
}

/// Bytes moved, as counted on this side of the connections.
#[derive(Serialize)]
pub struct Report {
    server: SocketAddrV4,
    /// Connections that receive, and those that send.
    receivers: usize,
    senders: usize,
    received: u64,
    /// Bytes that the stack has accepted, of which some may not have arrived yet.
    sent: u64,
    seconds: f64,
    /// Time from the start to this report, including the part that is not counted.
    elapsed_seconds: f64,
    megabits_per_second: f64,
    /// The least and the most that one connection has moved.
    least: u64,
    most: u64,
    /// Errors of connections before the time was over.
    errors: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pings: Option<Pings>,
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} bytes sent over {} connection(s), {} received over {}, in {:.3} s, {:.2} Mbit/s",
            self.sent, self.senders, self.received, self.receivers, self.seconds, self.megabits_per_second
        )?;
        for error in &self.errors {
            write!(formatter, "\n{error}")?;
        }
        if let Some(pings) = &self.pings {
            let median = pings.latency.map_or(0.0, |latency| latency.p50_us);
            write!(
                formatter,
                "\n{} of {} pings answered, median {median:.0} us; the transfer stood still {} times",
                pings.received, pings.transmitted, pings.standstills
            )?;
        }
        Ok(())
    }
}

impl Report {
    /// Returns true if each connection has moved some bytes, and none has failed.
    pub fn is_good(&self) -> bool {
        self.errors.is_empty() && self.least > 0
    }
}

/// State of a connection that its thread shares with the one that reports.
struct Connection {
    receives: bool,
    bytes: AtomicU64,
}

/// Interval in which bytes count. Each thread checks it for itself, because in a busy system the thread that waits for
/// the end may be late.
#[derive(Clone, Copy, Debug)]
struct Window {
    from: Instant,
    to: Instant,
}

/// Connections that move bytes, even if some of them fail. Their threads end when this is dropped; those that are
/// blocked in a call end with the process.
pub struct Connections {
    server: SocketAddrV4,
    start: Instant,
    lead: Duration,
    time: Duration,
    connections: Vec<Arc<Connection>>,
    over: Arc<AtomicBool>,
    errors: Arc<Mutex<Vec<String>>>,
}

/// Interval at which a thread checks whether all have been started.
const LOOK: Duration = Duration::from_millis(1);

impl Connections {
    /// Starts all connections at once. No thread begins before all exist, because starting one may take very long in a
    /// system that is busy with the others.
    ///
    /// Bytes count for `time`, after a `lead`.
    pub fn start(
        server: SocketAddrV4,
        receivers: usize,
        senders: usize,
        lead: Duration,
        time: Duration,
    ) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let errors = Arc::new(Mutex::new(Vec::new()));
        let stream = Arc::new(Stream::new(CHUNK));
        let ready = Arc::new(OnceLock::<Window>::new());
        let connections = (0..receivers + senders)
            .map(|number| {
                let connection = Arc::new(Connection {
                    receives: number < receivers,
                    bytes: AtomicU64::new(0),
                });
                let of_thread = Arc::clone(&connection);
                let (over, errors, stream) = (Arc::clone(&over), Arc::clone(&errors), Arc::clone(&stream));
                let ready = Arc::clone(&ready);
                thread::spawn(move || {
                    let window = loop {
                        match ready.get() {
                            Some(window) => break *window,
                            None => thread::sleep(LOOK),
                        }
                    };
                    if let Err(error) = of_thread.move_bytes(server, &stream, window, &over)
                        && !over.load(Ordering::Relaxed)
                    {
                        let text = format!("connection {number}: {error}");
                        errors.lock().unwrap_or_else(PoisonError::into_inner).push(text);
                    }
                });
                connection
            })
            .collect();
        let start = Instant::now();
        let from = start + lead;
        ready.get_or_init(|| Window {
            from,
            to: from + time,
        });
        Self {
            server,
            start,
            lead,
            time,
            connections,
            over,
            errors,
        }
    }

    /// Waits until the time is over.
    pub fn wait(&self) {
        thread::sleep((self.lead + self.time).saturating_sub(self.start.elapsed()));
    }

    /// Bytes that were moved until now.
    fn moved(&self) -> u64 {
        let bytes = |connection: &Arc<Connection>| connection.bytes.load(Ordering::Relaxed);
        self.connections.iter().map(bytes).sum()
    }

    /// Sends echo requests until the time is over, each only if bytes have moved just before.
    fn ping(&self, target: Ipv4Addr) -> netstack_client::system::Result<Pings> {
        let echo = Echo::open(target)?;
        let mut data = [0; PING_SIZE];
        Pattern::new(1).fill(&mut data);
        let mut pings = Pings::default();
        let mut times = Vec::new();
        for sequence in 1..=u16::MAX {
            thread::sleep(PING_INTERVAL - MOVING);
            let before = self.moved();
            thread::sleep(MOVING);
            let left = (self.lead + self.time).saturating_sub(self.start.elapsed());
            if left < PING_LIMIT {
                break;
            }
            if self.moved() == before {
                // Before the first byte there is no transfer yet.
                pings.standstills += usize::from(before > 0);
                continue;
            }
            pings.transmitted += 1;
            times.extend(echo.ask(sequence, &data, PING_LIMIT)?);
        }
        pings.received = times.len();
        pings.latency = Latency::of(&mut times);
        Ok(pings)
    }

    /// Report on the bytes moved so far.
    pub fn report(&self) -> Report {
        let elapsed = self.start.elapsed();
        let counted = elapsed.saturating_sub(self.lead).min(self.time);
        let (mut received, mut sent) = (Vec::new(), Vec::new());
        for connection in &self.connections {
            let side = if connection.receives {
                &mut received
            } else {
                &mut sent
            };
            side.push(connection.bytes.load(Ordering::Relaxed));
        }
        let sum = |side: &[u64]| side.iter().sum::<u64>();
        let all = || received.iter().chain(&sent).copied();
        Report {
            server: self.server,
            receivers: received.len(),
            senders: sent.len(),
            received: sum(&received),
            sent: sum(&sent),
            seconds: counted.as_secs_f64(),
            elapsed_seconds: elapsed.as_secs_f64(),
            megabits_per_second: megabits_per_second(sum(&received) + sum(&sent), counted),
            least: all().min().unwrap_or(0),
            most: all().max().unwrap_or(0),
            pings: None,
            errors: self.errors.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

impl Connection {
    fn move_bytes(
        &self,
        server: SocketAddrV4,
        bytes: &Stream,
        window: Window,
        over: &AtomicBool,
    ) -> io::Result<()> {
        let mut stream = TcpStream::connect(SocketAddr::V4(server))?;
        // Redox's stack does not wait until the connection is established. A write does; a read would find the end of
        // the stream.
        stream.write_all(&[if self.receives { RECEIVER } else { SENDER }])?;
        let mut buffer = vec![0; CHUNK];
        let mut moved = 0;
        while !over.load(Ordering::Relaxed) {
            let expected = bytes.at(moved, CHUNK);
            let length = if self.receives {
                let length = stream.read(&mut buffer[..expected.len()])?;
                if expected[..length] != buffer[..length] {
                    return Err(io::Error::other("other bytes than were sent"));
                }
                length
            } else {
                stream.write(expected)?
            };
            if length == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            moved += length as u64;
            let now = Instant::now();
            if now >= window.to {
                break;
            }
            if now >= window.from {
                self.bytes.fetch_add(length as u64, Ordering::Relaxed);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use lab_protocol::stream::PERIOD;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    /// Serves each connection with the stream, changed by `change`, or reads from it.
    fn server(change: fn(&mut [u8])) -> SocketAddrV4 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let SocketAddr::V4(address) = listener.local_addr().unwrap() else {
            panic!("an IPv4 listener has an IPv4 address");
        };
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(io::Result::ok) {
                thread::spawn(move || {
                    let mut hello = [0];
                    stream.read_exact(&mut hello).unwrap();
                    let mut bytes = Stream::new(PERIOD).at(0, PERIOD).to_vec();
                    change(&mut bytes);
                    if hello == [RECEIVER] {
                        while stream.write_all(&bytes).is_ok() {}
                    } else {
                        while stream.read(&mut bytes).is_ok_and(|length| length > 0) {}
                    }
                });
            }
        });
        address
    }

    /// The report when it is as wanted, or after a minute.
    fn reported(connections: &Connections, is_it: impl Fn(&Report) -> bool) -> Report {
        let start = Instant::now();
        loop {
            let report = connections.report();
            if is_it(&report) || start.elapsed() > Duration::from_secs(60) {
                return report;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn all_connections_are_counted_in_both_directions() {
        let connections = Connections::start(server(|_| {}), 3, 2, Duration::ZERO, HOUR);
        // More than a period, so that the stream has begun again.
        let report = reported(&connections, |report| report.least > 20_000);
        assert!(report.is_good() && report.least > 20_000, "{report}");
        assert_eq!((report.receivers, report.senders), (3, 2));
        assert!(report.received >= 3 * report.least && report.sent >= 2 * report.least);
        assert!(report.received + report.sent <= 5 * report.most);
    }

    #[test]
    fn what_comes_before_and_after_its_time_does_not_count() {
        let early = Connections::start(server(|_| {}), 1, 1, HOUR, HOUR);
        let late = Connections::start(server(|_| {}), 1, 1, Duration::ZERO, Duration::ZERO);
        let counted = Connections::start(server(|_| {}), 1, 1, Duration::ZERO, HOUR);
        reported(&counted, |report| report.least > 20_000);
        late.wait();
        let (early, late) = (early.report(), late.report());
        assert_eq!((early.received, early.sent, early.seconds), (0, 0, 0.0));
        assert_eq!((late.received, late.sent, late.seconds), (0, 0, 0.0));
        assert!(early.elapsed_seconds > 0.0 && late.errors.is_empty(), "{late}");
    }

    #[test]
    fn damage_is_found() {
        let connections = Connections::start(server(|bytes| bytes[99] ^= 1), 1, 0, Duration::ZERO, HOUR);
        let report = reported(&connections, |report| !report.errors.is_empty());
        assert!(!report.is_good());
        assert_eq!(report.errors, ["connection 0: other bytes than were sent"]);
    }

    #[test]
    fn server_that_does_nothing_does_not_hold_anything_up() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let SocketAddr::V4(address) = listener.local_addr().unwrap() else {
            panic!("an IPv4 listener has an IPv4 address");
        };
        let report = Connections::start(address, 2, 0, Duration::ZERO, HOUR).report();
        assert_eq!((report.received, report.errors.len()), (0, 0));
        assert!(!report.is_good(), "nothing was moved");
    }
}
