//! `system tcp`

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, SocketAddrV4, TcpStream};
use std::time::{Duration, Instant};

use crate::bounded::within;
use crate::pattern::Pattern;
use clap::Args;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::super::direction::Direction;
use super::super::{Context, Outcome, Result, value};
use super::{failed, other};

/// Bytes of one read or write.
const CHUNK: usize = 16 * 1024;

/// Exchange bytes over a TCP connection of the system's stack and measure the throughput.
///
/// First sends pseudo-random bytes, the same ones as "tcp" for the same --seed, then receives. At the end it closes
/// its direction and waits until the server does. The exit status is 0 if everything was sent and received.
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    /// IPv4 address and port of the server.
    #[arg(value_name = "ADDRESS:PORT")]
    server: SocketAddrV4,

    /// Bytes to send.
    #[arg(long, value_name = "BYTES[K|M|G]", default_value = "0", value_parser = value::size)]
    send: u64,

    /// Bytes to receive.
    #[arg(long, value_name = "BYTES[K|M|G]", default_value = "0", value_parser = value::size)]
    receive: u64,

    /// Send this text first; it is not counted. Redox's stack does not wait until the connection is established, and a
    /// read before that finds the end of the stream. A write before the first read avoids this.
    #[arg(long, value_name = "TEXT")]
    hello: Option<String>,

    /// Seed of the pseudo-random bytes.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,

    /// Time limit for connecting and both transfers.
    #[arg(long, value_name = "TIME[ms|s|m]", default_value = "60s", value_parser = value::duration)]
    timeout: Duration,
}

#[derive(Serialize)]
struct Report {
    server: SocketAddrV4,
    connect_ms: f64,
    /// Until the stack has accepted the last byte.
    sent: Direction,
    /// Until the stack has delivered the last byte.
    received: Direction,
    /// Reason for an early end.
    failure: Option<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "connected to {} in {:.3} ms",
            self.server, self.connect_ms
        )?;
        writeln!(formatter, "sent      {}", self.sent)?;
        write!(formatter, "received  {}", self.received)?;
        match &self.failure {
            Some(failure) => write!(formatter, "\nincomplete: {failure}"),
            None => Ok(()),
        }
    }
}

pub fn run(arguments: &Arguments, context: &Context<'_>) -> Outcome {
    let work = arguments.clone();
    // The limit of each call on the socket does not bound their sum.
    let report = within(arguments.timeout, move || exchange(&work))
        .ok_or_else(|| other(format_args!("not done within {:?}", arguments.timeout)))??;
    let complete = report.failure.is_none();
    context.output.result(&report);
    Ok(complete)
}

fn exchange(arguments: &Arguments) -> Result<Report> {
    let server = SocketAddr::V4(arguments.server);
    let start = Instant::now();
    let mut stream = TcpStream::connect(server).map_err(failed(format_args!("connect to {server}")))?;
    let connect_ms = start.elapsed().as_secs_f64() * 1e3;
    let mut failure = None;
    let mut note = |result: std::io::Result<()>, doing: &str| {
        if let Err(error) = result
            && failure.is_none()
        {
            failure = Some(format!("cannot {doing}: {error}"));
        }
    };
    if let Some(hello) = &arguments.hello {
        note(stream.write_all(hello.as_bytes()), "greet");
    }
    let mut sent = Flow::new();
    note(sent.send(&mut stream, arguments), "send");
    let sent = sent.end();
    let mut received = Flow::new();
    note(received.receive(&mut stream, arguments.receive), "receive");
    let received = received.end();
    // The stack of June 2026 may answer the last read with an error instead of the end; both are ignored.
    let _ = stream.shutdown(Shutdown::Write);
    let mut rest = vec![0; CHUNK];
    while stream.read(&mut rest).is_ok_and(|length| length > 0) {}
    Ok(Report {
        server: arguments.server,
        connect_ms,
        sent,
        received,
        failure,
    })
}

/// Progress of one direction.
struct Flow {
    bytes: u64,
    hash: Sha256,
    start: Instant,
}

impl Flow {
    fn new() -> Self {
        Self {
            bytes: 0,
            hash: Sha256::new(),
            start: Instant::now(),
        }
    }

    fn send(&mut self, stream: &mut TcpStream, arguments: &Arguments) -> std::io::Result<()> {
        let mut pattern = Pattern::new(arguments.seed);
        let mut buffer = vec![0; CHUNK];
        while self.bytes < arguments.send {
            let data = chunk(&mut buffer, arguments.send - self.bytes);
            pattern.fill(data);
            stream.write_all(data)?;
            self.count(data);
        }
        Ok(())
    }

    fn receive(&mut self, stream: &mut TcpStream, size: u64) -> std::io::Result<()> {
        let mut buffer = vec![0; CHUNK];
        while self.bytes < size {
            let data = chunk(&mut buffer, size - self.bytes);
            match stream.read(data)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                length => self.count(&data[..length]),
            }
        }
        Ok(())
    }

    fn count(&mut self, data: &[u8]) {
        self.hash.update(data);
        self.bytes += data.len() as u64;
    }

    fn end(self) -> Direction {
        let time = self.start.elapsed();
        Direction::new(self.bytes, time, self.hash)
    }
}

/// The part of the buffer for `left` bytes.
fn chunk(buffer: &mut [u8], left: u64) -> &mut [u8] {
    let length = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
    &mut buffer[..length]
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};
    use std::thread;

    use super::*;

    #[test]
    fn both_directions_arrive_as_they_were_sent() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let SocketAddr::V4(server) = listener.local_addr().unwrap() else {
            panic!("an IPv4 listener has an IPv4 address");
        };
        let echo = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut hello = [0; 2];
            stream.read_exact(&mut hello).unwrap();
            assert_eq!(&hello, b"go");
            let mut data = vec![0; 100_000];
            stream.read_exact(&mut data).unwrap();
            stream.write_all(&data).unwrap();
        });
        let report = exchange(&Arguments {
            server,
            send: 100_000,
            receive: 100_000,
            hello: Some("go".to_owned()),
            seed: 3,
            timeout: Duration::from_secs(10),
        })
        .unwrap();
        echo.join().unwrap();
        assert_eq!(report.failure, None);
        assert_eq!((report.sent.bytes, report.received.bytes), (100_000, 100_000));
        assert_eq!(report.sent.sha256, report.received.sha256);
    }

    #[test]
    fn early_end_is_reported_with_what_came() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let SocketAddr::V4(server) = listener.local_addr().unwrap() else {
            panic!("an IPv4 listener has an IPv4 address");
        };
        let short = thread::spawn(move || listener.accept().unwrap().0.write_all(&[1; 10]).unwrap());
        let report = exchange(&Arguments {
            server,
            send: 0,
            receive: 11,
            hello: None,
            seed: 1,
            timeout: Duration::from_secs(10),
        })
        .unwrap();
        short.join().unwrap();
        assert_eq!(report.received.bytes, 10);
        assert!(report.failure.unwrap().starts_with("cannot receive: "));
    }
}
