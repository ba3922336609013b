//! `bench stream`

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, SocketAddrV4, TcpStream};
use std::time::{Duration, Instant};

use crate::bounded::within;
use crate::pattern::{PERIOD, Pattern};
use crate::stats::megabits_per_second;
use clap::Args;
use serde::Serialize;

use super::streams;
use crate::cli::{Context, Error, Outcome, Result, value};

/// Bytes of one read or write.
pub const CHUNK: usize = 16 << 10;

/// Measure TCP connections of the system's own stack.
///
/// With --seconds, all connections of --receivers and --senders move bytes at once for that time. Each begins with one
/// byte, "r" or "s", which tells the server whether to send or to receive. The exit status is 0 if each of them has moved
/// something and what came is what should.
///
/// Otherwise one connection sends one byte, then the bytes of --send, then receives those of --receive, and closes. Both directions carry the
/// first 16411 pseudo-random bytes of seed 1 again and again: these cost nothing to make and little to compare, while
/// the hash of "system tcp" takes as long as the transport on an emulated processor. The exit status is 0 if everything
/// was sent and received as it should.
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    /// IPv4 address and port of the server.
    #[arg(value_name = "ADDRESS:PORT")]
    server: SocketAddrV4,

    /// How many bytes to send.
    #[arg(long, value_name = "BYTES[K|M|G]", default_value = "0", value_parser = value::size, conflicts_with = "seconds")]
    send: u64,

    /// How many bytes to receive.
    #[arg(long, value_name = "BYTES[K|M|G]", default_value = "0", value_parser = value::size, conflicts_with = "seconds")]
    receive: u64,

    /// Move bytes for this time, however many.
    #[arg(long, value_name = "TIME[ms|s|m]", value_parser = value::duration)]
    seconds: Option<Duration>,

    /// Move bytes for this time before that, which do not count.
    #[arg(long, value_name = "TIME[ms|s|m]", default_value = "0", requires = "seconds", value_parser = value::duration)]
    lead: Duration,

    /// How many connections receive for --seconds.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "seconds", value_parser = clap::value_parser!(u16).range(..=64))]
    receivers: u16,

    /// How many connections send for --seconds.
    #[arg(long, value_name = "N", default_value_t = 0, requires = "seconds", value_parser = clap::value_parser!(u16).range(..=64))]
    senders: u16,

    /// How long everything may take.
    #[arg(long, value_name = "TIME[ms|s|m]", default_value = "60s", value_parser = value::duration)]
    timeout: Duration,
}

#[derive(Serialize)]
struct Report {
    server: SocketAddrV4,
    sent: u64,
    received: u64,
    /// From the first byte until the stack has taken or given the last one.
    seconds: f64,
    megabits_per_second: f64,
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} bytes sent, {} received in {:.3} s, {:.2} Mbit/s",
            self.sent, self.received, self.seconds, self.megabits_per_second
        )
    }
}

pub fn run(arguments: &Arguments, context: &Context<'_>) -> Outcome {
    if let Some(time) = arguments.seconds {
        let (receivers, senders) = (arguments.receivers.into(), arguments.senders.into());
        let connections =
            streams::Connections::start(arguments.server, receivers, senders, arguments.lead, time);
        connections.wait();
        let report = connections.report();
        context.output.result(&report);
        return Ok(report.is_good());
    }
    let work = arguments.clone();
    let report = within(arguments.timeout, move || exchange(&work))
        .ok_or_else(|| Error::Other(format!("not done within {:?}", arguments.timeout)))?
        .map_err(|error| Error::Other(format!("{}: {error}", arguments.server)))?;
    context.output.result(&report);
    Ok(true)
}

fn exchange(arguments: &Arguments) -> Result<Report, std::io::Error> {
    let stream_bytes = stream_bytes();
    let mut stream = TcpStream::connect(SocketAddr::V4(arguments.server))?;
    // Redox's stack does not wait until the connection is there; a write does, a read finds the end of the stream.
    stream.write_all(&[0])?;
    let start = Instant::now();
    let mut sent = 0;
    while sent < arguments.send {
        let data = expected(&stream_bytes, sent, arguments.send - sent);
        stream.write_all(data)?;
        sent += data.len() as u64;
    }
    let mut buffer = vec![0; CHUNK];
    let mut received = 0;
    while received < arguments.receive {
        let expected = expected(&stream_bytes, received, arguments.receive - received);
        let length = stream.read(&mut buffer[..expected.len()])?;
        if length == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if expected[..length] != buffer[..length] {
            return Err(std::io::Error::other("other bytes than were sent"));
        }
        received += length as u64;
    }
    let time = start.elapsed();
    // June's stack answers the last read with an error where others see the end; neither is of interest.
    let _ = stream.shutdown(Shutdown::Write);
    while stream.read(&mut buffer).is_ok_and(|length| length > 0) {}
    Ok(Report {
        server: arguments.server,
        sent,
        received,
        seconds: time.as_secs_f64(),
        megabits_per_second: megabits_per_second(sent + received, time),
    })
}

/// The stream, long enough for a chunk from anywhere in its first period.
pub fn stream_bytes() -> Vec<u8> {
    let mut bytes = vec![0; PERIOD];
    Pattern::new(1).fill(&mut bytes);
    bytes.extend_from_within(..CHUNK);
    bytes
}

/// The next bytes of the stream, at most a chunk and at most `left`.
pub fn expected(stream_bytes: &[u8], position: u64, left: u64) -> &[u8] {
    // Less than the period, which fits.
    let start = (position % PERIOD as u64) as usize;
    let length = usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK));
    &stream_bytes[start..start + length]
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};
    use std::thread;

    use super::*;

    /// A server that sends back what comes, changed by `change`.
    fn report(change: fn(&mut [u8])) -> Result<Report, std::io::Error> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let SocketAddr::V4(server) = listener.local_addr().unwrap() else {
            panic!("an IPv4 listener has an IPv4 address");
        };
        let echo = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut data = vec![0; 1 + 40_000];
            stream.read_exact(&mut data).unwrap();
            change(&mut data);
            stream.write_all(&data[1..]).unwrap();
        });
        let report = exchange(&Arguments {
            server,
            send: 40_000,
            receive: 40_000,
            seconds: None,
            lead: Duration::ZERO,
            receivers: 1,
            senders: 0,
            timeout: Duration::from_secs(10),
        });
        echo.join().unwrap();
        report
    }

    #[test]
    fn both_directions_are_counted() {
        let report = report(|_| {}).unwrap();
        assert_eq!((report.sent, report.received), (40_000, 40_000));
        assert!(report.megabits_per_second > 0.0);
    }

    #[test]
    fn stream_is_the_same_however_it_is_cut() {
        let bytes = stream_bytes();
        assert_eq!(expected(&bytes, PERIOD as u64 + 5, 10), &bytes[5..15]);
        assert_eq!(expected(&bytes, 0, u64::MAX).len(), CHUNK);
    }

    #[test]
    fn other_bytes_are_a_failure() {
        assert!(report(|data| data[30_000] ^= 1).is_err());
    }
}
