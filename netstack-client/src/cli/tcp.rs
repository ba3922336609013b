//! `tcp`

use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use crate::Stack;
use crate::pattern::Pattern;
use crate::stack::random;
use clap::Args;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use smoltcp::iface::SocketHandle;
use smoltcp::socket::tcp;

use super::address::AddressArguments;
use super::direction::Direction;
use super::{Context, Error, Outcome, Result, value};

/// Size of each socket buffer, and so of the largest window.
const BUFFER: usize = 512 * 1024;
/// Time to wait for the server to close its direction.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// First port of the ephemeral range (RFC 6335, section 6), and number of ports in it.
const EPHEMERAL: (u16, u16) = (49_152, 16_384);

/// Exchange bytes over a TCP connection and measure the throughput.
///
/// Sends pseudo-random bytes, the same for the same --seed, and then closes its direction. Receives at the same
/// time. With neither --send nor --receive it only connects. The exit status is 0 if everything was sent,
/// acknowledged and received.
#[derive(Debug, Args)]
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

    /// Seed of the pseudo-random bytes.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,

    /// Time limit for connecting and all transfers.
    #[arg(long, value_name = "TIME[ms|s|m]", default_value = "60s", value_parser = value::duration)]
    timeout: Duration,

    #[command(flatten)]
    address: AddressArguments,
}

/// Result of `tcp`.
#[derive(Debug, Deserialize, Serialize)]
pub struct Report {
    /// IPv4 address and port of the server.
    pub server: SocketAddrV4,
    /// Own address.
    pub address: Ipv4Addr,
    /// Time until the connection was established.
    pub connect_ms: f64,
    /// Bytes sent, from the connection to the acknowledgement of the last one.
    pub sent: Direction,
    /// Bytes received, from the connection to the arrival of the last one.
    pub received: Direction,
    /// Reason for an early end.
    pub failure: Option<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "connected {} to {} in {:.3} ms",
            self.address, self.server, self.connect_ms
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
    let mut stack = context.stack()?;
    let address = arguments.address.apply(&mut stack)?;
    let start = Instant::now();
    let deadline = start + arguments.timeout;
    let handle = connect(&mut stack, arguments.server, deadline)?;
    let connected = Instant::now();

    let mut exchange = Exchange::new(arguments);
    let end = stack.poll_until(deadline, |sockets| exchange.advance(sockets.get_mut(handle)))?;
    let failure = end.unwrap_or(Some("time is over"));

    let socket = stack.sockets().get_mut::<tcp::Socket>(handle);
    if failure.is_some() {
        socket.abort()
    } else {
        socket.close()
    }
    stack.poll_until(Instant::now() + CLOSE_TIMEOUT, |sockets| {
        let state = sockets.get::<tcp::Socket>(handle).state();
        matches!(state, tcp::State::Closed | tcp::State::TimeWait).then_some(())
    })?;

    context.output.result(&Report {
        server: arguments.server,
        address,
        connect_ms: (connected - start).as_secs_f64() * 1e3,
        sent: exchange.sending.report(connected),
        received: exchange.receiving.report(connected),
        failure: failure.map(str::to_owned),
    });
    Ok(failure.is_none())
}

/// Opens a connection.
fn connect(stack: &mut Stack, server: SocketAddrV4, deadline: Instant) -> Result<SocketHandle> {
    let buffer = || tcp::SocketBuffer::new(vec![0; BUFFER]);
    let handle = stack.sockets().add(tcp::Socket::new(buffer(), buffer()));
    // The remainder is below the number of ports, which fits.
    let local_port = EPHEMERAL.0 + (random() % u64::from(EPHEMERAL.1)) as u16;
    let (interface, sockets) = stack.parts();
    sockets
        .get_mut::<tcp::Socket>(handle)
        .connect(interface.context(), (*server.ip(), server.port()), local_port)
        .map_err(|error| Error::Other(format!("cannot connect to {server}: {error}")))?;
    let state = stack.poll_until(deadline, |sockets| {
        let state = sockets.get::<tcp::Socket>(handle).state();
        (state != tcp::State::SynSent).then_some(state)
    })?;
    match state {
        Some(tcp::State::Closed) => Err(Error::Other(format!("{server} refused the connection"))),
        Some(_) => Ok(handle),
        None => Err(Error::Other(format!("{server} did not answer in time"))),
    }
}

/// One direction of a connection.
struct Flow {
    remaining: u64,
    bytes: u64,
    hash: Sha256,
    /// Time at which the last byte was received or acknowledged.
    done: Instant,
}

impl Flow {
    fn new(size: u64) -> Self {
        Self {
            remaining: size,
            bytes: 0,
            hash: Sha256::new(),
            done: Instant::now(),
        }
    }

    /// Bytes of a buffer that belong to this flow.
    fn limit(&self, length: usize) -> usize {
        usize::try_from(self.remaining).map_or(length, |remaining| remaining.min(length))
    }

    fn add(&mut self, data: &[u8]) {
        self.hash.update(data);
        self.bytes += data.len() as u64;
        self.remaining = self.remaining.saturating_sub(data.len() as u64);
        self.done = Instant::now();
    }

    fn report(self, start: Instant) -> Direction {
        let time = if self.bytes == 0 {
            Duration::ZERO
        } else {
            self.done.saturating_duration_since(start)
        };
        Direction::new(self.bytes, time, self.hash)
    }
}

/// Progress of both directions.
struct Exchange {
    pattern: Pattern,
    sending: Flow,
    /// Bytes sent but not acknowledged at the last call.
    unacknowledged: usize,
    receiving: Flow,
    /// The sending direction has to be closed once everything is sent.
    close_after_sending: bool,
}

impl Exchange {
    fn new(arguments: &Arguments) -> Self {
        Self {
            pattern: Pattern::new(arguments.seed),
            sending: Flow::new(arguments.send),
            unacknowledged: 0,
            receiving: Flow::new(arguments.receive),
            close_after_sending: arguments.send > 0,
        }
    }

    /// Moves as many bytes as the socket takes and has. Returns `None` while the exchange goes on, then the reason for
    /// an early end, if it was one.
    fn advance(&mut self, socket: &mut tcp::Socket<'_>) -> Option<Option<&'static str>> {
        self.send(socket);
        self.receive(socket);
        let sent = self.sending.remaining == 0 && self.unacknowledged == 0;
        let received = self.receiving.remaining == 0;
        if sent && received {
            Some(None)
        } else if !socket.is_open() {
            Some(Some("the server broke the connection off"))
        } else if !received && !socket.may_recv() {
            Some(Some("the server closed before everything was received"))
        } else {
            None
        }
    }

    fn send(&mut self, socket: &mut tcp::Socket<'_>) {
        while self.sending.remaining > 0 && socket.can_send() {
            let moved = socket.send(|buffer| {
                let limit = self.sending.limit(buffer.len());
                let data = &mut buffer[..limit];
                self.pattern.fill(data);
                self.sending.add(data);
                (data.len(), ())
            });
            if moved.is_err() {
                break;
            }
        }
        if self.sending.remaining == 0 && self.close_after_sending {
            socket.close();
            self.close_after_sending = false;
        }
        let unacknowledged = socket.send_queue();
        if unacknowledged != self.unacknowledged {
            self.unacknowledged = unacknowledged;
            self.sending.done = Instant::now();
        }
    }

    fn receive(&mut self, socket: &mut tcp::Socket<'_>) {
        while self.receiving.remaining > 0 && socket.can_recv() {
            let moved = socket.recv(|buffer| {
                let data = &buffer[..self.receiving.limit(buffer.len())];
                self.receiving.add(data);
                (data.len(), ())
            });
            if moved.is_err() {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flow_takes_no_more_than_it_wants_and_hashes_it() {
        let mut flow = Flow::new(5);
        assert_eq!(flow.limit(3), 3);
        flow.add(b"abc");
        assert_eq!(flow.limit(3), 2);
        let report = flow.report(Instant::now());
        assert_eq!(report.bytes, 3);
        assert!(
            report.sha256.starts_with("ba7816bf"),
            "the SHA-256 of abc, not {}",
            report.sha256
        );
    }
}
