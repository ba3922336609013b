//! `ping`

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use crate::Stack;
use crate::frame::MAX_FRAME;
use crate::pattern::Pattern;
use crate::stack::random;
use crate::stats::{Latency, microseconds};
use clap::Args;
use serde::{Deserialize, Serialize};
use smoltcp::iface::SocketHandle;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::socket::icmp;
use smoltcp::wire::{Icmpv4Packet, Icmpv4Repr, IpAddress};

use super::address::AddressArguments;
use super::output::Output;
use super::{Context, Error, Outcome, Result, value};

/// The headers of Ethernet, IPv4 and ICMP.
const HEADERS: usize = 14 + 20 + 8;
/// The most that fits into a frame: fragments are not supported.
const MAX_SIZE: i64 = (MAX_FRAME - HEADERS) as i64;

/// Send ICMP echo requests and show the replies.
///
/// The exit status is 0 only if every request was answered.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The IPv4 address.
    target: Ipv4Addr,

    /// Number of requests.
    #[arg(short, long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    count: u16,

    /// Time between two requests.
    #[arg(short, long, value_name = "TIME[ms|s|m]", default_value = "1.0", value_parser = value::duration)]
    interval: Duration,

    /// Data in each request, in bytes, up to 1472.
    #[arg(short, long, value_name = "BYTES", default_value_t = 56,
          value_parser = clap::value_parser!(u16).range(..=MAX_SIZE))]
    size: u16,

    /// Time to wait for each reply.
    #[arg(long, value_name = "TIME[ms|s|m]", default_value = "2s", value_parser = value::duration)]
    timeout: Duration,

    #[command(flatten)]
    address: AddressArguments,
}

/// Result of `ping`.
#[derive(Debug, Deserialize, Serialize)]
pub struct Report {
    /// Address that was asked.
    pub target: Ipv4Addr,
    /// Own address.
    pub address: Ipv4Addr,
    /// Bytes of data in each request.
    pub size: u16,
    /// Number of requests.
    pub transmitted: u16,
    /// Number of replies in time.
    pub received: usize,
    /// Part of the requests without a reply.
    pub loss_percent: f64,
    /// Duplicate replies, and replies after the timeout.
    pub surplus: u64,
    /// Replies whose data differs from the request's.
    pub damaged: u64,
    /// Round-trip times; `None` without a reply.
    pub latency: Option<Latency>,
    /// The replies, by sequence number.
    pub replies: Vec<Reply>,
}

/// A reply to an echo request.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Reply {
    /// Sequence number of the request.
    pub sequence: u16,
    /// Round-trip time.
    pub time_us: f64,
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "--- {} ---", self.target)?;
        write!(
            formatter,
            "{} transmitted, {} received, {:.1}% loss",
            self.transmitted, self.received, self.loss_percent
        )?;
        for (number, what) in [(self.surplus, "late or duplicate"), (self.damaged, "damaged")] {
            if number > 0 {
                write!(formatter, ", {number} {what}")?;
            }
        }
        if let Some(latency) = &self.latency {
            write!(formatter, "\n{}", latency.round_trips())?;
        }
        Ok(())
    }
}

pub fn run(arguments: &Arguments, context: &Context<'_>) -> Outcome {
    let mut stack = context.stack()?;
    let address = arguments.address.apply(&mut stack)?;
    let Arguments { target, size, .. } = *arguments;
    context
        .output
        .progress(format_args!("PING {target} from {address}: {size} data bytes"));

    let mut pinger = Pinger::new(&mut stack, arguments, context.output)?;
    let mut replies = pinger.run(&mut stack)?;
    replies.sort_by_key(|(sequence, _)| *sequence);

    let mut times: Vec<_> = replies.iter().map(|(_, time)| *time).collect();
    let report = Report {
        target,
        address,
        size,
        transmitted: arguments.count,
        received: replies.len(),
        loss_percent: 100.0 * (1.0 - replies.len() as f64 / f64::from(arguments.count)),
        surplus: pinger.surplus,
        damaged: pinger.damaged,
        latency: Latency::of(&mut times),
        replies: replies
            .into_iter()
            .map(|(sequence, time)| Reply {
                sequence,
                time_us: microseconds(time),
            })
            .collect(),
    };
    context.output.result(&report);
    Ok(report.received == usize::from(report.transmitted) && report.damaged == 0)
}

struct Pinger<'a> {
    arguments: &'a Arguments,
    output: &'a Output,
    handle: SocketHandle,
    ident: u16,
    data: Vec<u8>,
    /// Requests without reply so far, with the time when each was sent.
    outstanding: BTreeMap<u16, Instant>,
    surplus: u64,
    damaged: u64,
}

impl<'a> Pinger<'a> {
    fn new(stack: &mut Stack, arguments: &'a Arguments, output: &'a Output) -> Result<Self> {
        let buffer = || {
            let metadata = vec![icmp::PacketMetadata::EMPTY; 64];
            icmp::PacketBuffer::new(metadata, vec![0; 64 * 1024])
        };
        // Any number will do, so the upper bits are dropped.
        let ident = random() as u16;
        let mut socket = icmp::Socket::new(buffer(), buffer());
        socket
            .bind(icmp::Endpoint::Ident(ident))
            .map_err(|error| Error::Other(format!("cannot bind an ICMP socket: {error}")))?;
        let mut data = vec![0; arguments.size.into()];
        Pattern::new(ident.into()).fill(&mut data);
        Ok(Self {
            arguments,
            output,
            handle: stack.sockets().add(socket),
            ident,
            data,
            outstanding: BTreeMap::new(),
            surplus: 0,
            damaged: 0,
        })
    }

    /// Sends all requests, each at its time, and returns the replies with their times.
    fn run(&mut self, stack: &mut Stack) -> Result<Vec<(u16, Duration)>> {
        let mut replies = Vec::new();
        let mut sent = 0;
        let mut next_send = Instant::now();
        loop {
            let now = Instant::now();
            if sent < self.arguments.count && now >= next_send {
                sent += 1;
                self.send(stack, sent);
                next_send = now + self.arguments.interval;
            }
            self.give_up_waiting(now);

            let oldest = self
                .outstanding
                .values()
                .min()
                .map(|time| *time + self.arguments.timeout);
            let next_send = (sent < self.arguments.count).then_some(next_send);
            let Some(deadline) = [oldest, next_send].into_iter().flatten().min() else {
                return Ok(replies);
            };
            let reply = stack.poll_until(deadline, |sockets| {
                let packet = sockets.get_mut::<icmp::Socket>(self.handle).recv().ok()?.0;
                Some(self.receive(packet))
            })?;
            replies.extend(reply.flatten());
        }
    }

    fn send(&mut self, stack: &mut Stack, sequence: u16) {
        let request = Icmpv4Repr::EchoRequest {
            ident: self.ident,
            seq_no: sequence,
            data: &self.data,
        };
        let socket = stack.sockets().get_mut::<icmp::Socket>(self.handle);
        // Requests queue up while the target's MAC address is unknown. One that finds the queue full counts as lost.
        if let Ok(packet) = socket.send(request.buffer_len(), IpAddress::Ipv4(self.arguments.target)) {
            request.emit(
                &mut Icmpv4Packet::new_unchecked(packet),
                &ChecksumCapabilities::default(),
            );
        }
        self.outstanding.insert(sequence, Instant::now());
    }

    /// Counts a received packet; returns sequence number and round-trip time if it is a reply.
    fn receive(&mut self, packet: &[u8]) -> Option<(u16, Duration)> {
        let packet = Icmpv4Packet::new_checked(packet).ok()?;
        let reply = Icmpv4Repr::parse(&packet, &ChecksumCapabilities::default()).ok()?;
        let Icmpv4Repr::EchoReply {
            seq_no: sequence,
            data,
            ..
        } = reply
        else {
            return None;
        };
        let Some(sent) = self.outstanding.remove(&sequence) else {
            self.surplus += 1;
            return None;
        };
        let time = sent.elapsed();
        if data != self.data {
            self.damaged += 1;
        }
        self.output.progress(format_args!(
            "{} bytes from {}: icmp_seq={sequence} time={:.3} ms",
            packet.as_ref().len(),
            self.arguments.target,
            time.as_secs_f64() * 1e3
        ));
        Some((sequence, time))
    }

    fn give_up_waiting(&mut self, now: Instant) {
        let Arguments { timeout, .. } = *self.arguments;
        self.outstanding.retain(|sequence, sent| {
            let waiting = now.duration_since(*sent) < timeout;
            if !waiting {
                self.output
                    .progress(format_args!("no reply to icmp_seq={sequence} within {timeout:?}"));
            }
            waiting
        });
    }
}
