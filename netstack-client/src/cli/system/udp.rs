//! `system udp-sink` and `system udp-source`

use std::fmt;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use crate::benchmark::SequenceTracker;
use crate::bounded::within;
use crate::stack::random;
use crate::stats::Throughput;
use crate::system::datagram::{Generator, MAX_SIZE, MIN_SIZE, parse};
use clap::Args;
use serde::Serialize;

use super::super::{Context, Outcome, Result, value};
use super::{failed, other};

/// Time limit of each read; the end of the run is noticed between reads.
const READ_LIMIT: Duration = Duration::from_millis(100);
/// Time beyond the requested one after which the command gives up.
const GRACE: Duration = Duration::from_secs(5);

/// Count the datagrams that arrive from "udp-source".
///
/// The exit status is 0 if any came and none was lost.
#[derive(Clone, Debug, Args)]
pub struct SinkArguments {
    /// The port to listen on.
    port: u16,

    /// Time to listen.
    #[arg(long, value_name = "TIME[ms|s|m]", default_value = "10s", value_parser = value::duration)]
    seconds: Duration,
}

/// Send numbered datagrams at an even rate, as far as the system's clock and stack allow.
///
/// The exit status is 0 if the stack has taken all of them.
#[derive(Clone, Debug, Args)]
pub struct SourceArguments {
    /// IPv4 address and port to send to.
    #[arg(value_name = "ADDRESS:PORT")]
    target: SocketAddrV4,

    /// Datagrams in a second.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,

    /// Time to send.
    #[arg(long, value_name = "TIME[ms|s|m]", default_value = "10s", value_parser = value::duration)]
    seconds: Duration,

    /// Data in each datagram, in bytes, from 16 to 1472. Redox's stack, whose MTU is 1486, takes more than 1458 and
    /// silently drops it.
    #[arg(long, value_name = "BYTES", default_value_t = 1000,
          value_parser = clap::value_parser!(u16).range(MIN_SIZE as i64..=MAX_SIZE as i64))]
    size: u16,
}

#[derive(Serialize)]
struct SinkReport {
    port: u16,
    #[serde(flatten)]
    throughput: Throughput,
    lost: u64,
    duplicates: u64,
    reordered: u64,
    /// Datagrams that "udp-source" did not send.
    foreign: u64,
}

impl fmt::Display for SinkReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}\n{} lost, {} duplicate, {} out of order, {} of others",
            self.throughput, self.lost, self.duplicates, self.reordered, self.foreign
        )
    }
}

#[derive(Serialize)]
struct SourceReport {
    target: SocketAddrV4,
    #[serde(flatten)]
    throughput: Throughput,
    /// Datagrams that the stack refused.
    refused: u64,
    /// Error of the first refusal.
    error: Option<String>,
}

impl fmt::Display for SourceReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}\n{} refused", self.throughput, self.refused)?;
        match &self.error {
            Some(error) => write!(formatter, " ({error})"),
            None => Ok(()),
        }
    }
}

pub fn sink(arguments: &SinkArguments, context: &Context<'_>) -> Outcome {
    let work = arguments.clone();
    let limit = arguments.seconds + GRACE;
    let report = within(limit, move || receive(&work)).ok_or_else(|| {
        other(format_args!(
            "the stack did not return from a read within {limit:?}"
        ))
    })??;
    let good = report.throughput.frames > 0 && report.lost == 0;
    context.output.result(&report);
    Ok(good)
}

fn receive(arguments: &SinkArguments) -> Result<SinkReport> {
    let port = arguments.port;
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port))
        .map_err(failed(format_args!("listen on UDP port {port}")))?;
    socket
        .set_read_timeout(Some(READ_LIMIT))
        .map_err(failed("set a time limit"))?;
    let mut buffer = [0; 2048];
    let mut tracker = SequenceTracker::default();
    let (mut datagrams, mut bytes, mut foreign) = (0, 0, 0);
    // The time from the first to the last datagram.
    let mut span: Option<(Instant, Instant)> = None;
    let start = Instant::now();
    while start.elapsed() < arguments.seconds {
        match socket.recv(&mut buffer) {
            Ok(length) => {
                let Some((run, sequence)) = buffer.get(..length).and_then(parse) else {
                    foreign += 1;
                    continue;
                };
                let now = Instant::now();
                span = Some((span.map_or(now, |(first, _)| first), now));
                tracker.observe(run, sequence);
                datagrams += 1;
                bytes += length as u64;
            }
            Err(error) if is_timeout(error.kind()) => {}
            Err(error) => return Err(failed("receive")(error)),
        }
    }
    let time = span.map_or(Duration::ZERO, |(first, last)| last - first);
    Ok(SinkReport {
        port,
        throughput: Throughput::new(datagrams, bytes, time),
        lost: tracker.lost(),
        duplicates: tracker.duplicates(),
        reordered: tracker.reordered(),
        foreign,
    })
}

fn is_timeout(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

pub fn source(arguments: &SourceArguments, context: &Context<'_>) -> Outcome {
    let work = arguments.clone();
    let limit = arguments.seconds + GRACE;
    let report = within(limit, move || send(&work)).ok_or_else(|| {
        other(format_args!(
            "the stack did not return from a write within {limit:?}"
        ))
    })??;
    let good = report.refused == 0 && report.throughput.frames > 0;
    context.output.result(&report);
    Ok(good)
}

fn send(arguments: &SourceArguments) -> Result<SourceReport> {
    let target = arguments.target;
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).map_err(failed("open a UDP socket"))?;
    socket
        .connect(target)
        .map_err(failed(format_args!("send to {target}")))?;
    // Any number will do, so the upper half is dropped.
    let mut generator = Generator::new(random() as u32, usize::from(arguments.size));
    let (mut sent, mut refused, mut error) = (0_u64, 0, None);
    let start = Instant::now();
    loop {
        let elapsed = start.elapsed();
        if elapsed >= arguments.seconds {
            break;
        }
        // Datagrams due by now. With a coarse clock they go out in small groups.
        let due = (elapsed.as_secs_f64() * f64::from(arguments.rate)) as u64 + 1;
        while sent + refused < due && start.elapsed() < arguments.seconds {
            match socket.send(generator.next_datagram()) {
                Ok(_) => sent += 1,
                Err(reason) => {
                    refused += 1;
                    error.get_or_insert_with(|| reason.to_string());
                }
            }
        }
        let next = Duration::from_secs_f64((sent + refused) as f64 / f64::from(arguments.rate));
        thread::sleep(next.min(arguments.seconds).saturating_sub(start.elapsed()));
    }
    let throughput = Throughput::new(sent, sent * u64::from(arguments.size), start.elapsed());
    Ok(SourceReport {
        target,
        throughput,
        refused,
        error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_source_sends_arrives_at_the_sink() {
        // A port that is free now will be so a moment later.
        let port = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let sink = thread::spawn(move || {
            receive(&SinkArguments {
                port,
                seconds: Duration::from_secs(2),
            })
            .unwrap()
        });
        thread::sleep(Duration::from_millis(300));
        let source = send(&SourceArguments {
            target: SocketAddrV4::new(Ipv4Addr::LOCALHOST, port),
            rate: 200,
            seconds: Duration::from_millis(500),
            size: 100,
        })
        .unwrap();
        let sink = sink.join().unwrap();
        assert_eq!(source.refused, 0);
        assert!((1..=101).contains(&source.throughput.frames));
        assert_eq!(sink.throughput.frames, source.throughput.frames);
        assert_eq!((sink.lost, sink.duplicates, sink.foreign), (0, 0, 0));
    }

    #[test]
    fn silent_port_is_an_empty_report() {
        let report = receive(&SinkArguments {
            port: 0,
            seconds: Duration::from_millis(20),
        })
        .unwrap();
        assert_eq!((report.throughput.frames, report.lost), (0, 0));
    }
}
