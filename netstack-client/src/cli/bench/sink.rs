//! `bench sink`

use std::fmt;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use clap::Args;
use netstack_client::system::datagram::parse;
use serde::Serialize;

use crate::cli::{Context, Error, Outcome, value};

/// Count datagrams that the system's own stack delivers, whatever becomes of the last read.
///
/// Unlike "system udp-sink" it does not need reads with a time limit, which the stack may not keep under load; it counts
/// and does nothing else. The exit status is 0 if any came.
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    /// The port to listen on.
    port: u16,

    /// How long to listen.
    #[arg(long, value_name = "TIME[ms|s|m]", default_value = "10s", value_parser = value::duration)]
    seconds: Duration,
}

#[derive(Serialize)]
struct Report {
    /// Datagrams of "system udp-source" and those of others.
    datagrams: u64,
    foreign: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} datagrams, {} of others",
            self.datagrams, self.foreign
        )
    }
}

pub fn run(arguments: &Arguments, context: &Context<'_>) -> Outcome {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, arguments.port))
        .map_err(|error| Error::Other(format!("cannot listen on UDP port {}: {error}", arguments.port)))?;
    let counts = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
    let shared = Arc::clone(&counts);
    // Left behind in its last read; the end of the process ends it.
    thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok(length) = socket.recv(&mut buffer) {
            let own = buffer.get(..length).and_then(parse).is_some();
            shared[usize::from(!own)].fetch_add(1, Ordering::Relaxed);
        }
    });
    thread::sleep(arguments.seconds);
    let [datagrams, foreign] = [&counts[0], &counts[1]].map(|count| count.load(Ordering::Relaxed));
    context.output.result(&Report { datagrams, foreign });
    Ok(datagrams > 0)
}
