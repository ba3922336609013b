//! `sink`

use std::fmt;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use netstack_client::system::datagram::parse;
use serde::Serialize;

use netstack_client::cli::{Context, Error, Outcome, value};

/// Count datagrams that the system's own stack delivers, even if the last read never returns.
///
/// Unlike "system udp-sink", this does not rely on time limits of reads, which the stack may exceed under load, and it
/// checks nothing. The exit status is 0 if any datagram came.
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    /// The port to listen on.
    port: u16,

    /// Time to listen.
    #[arg(long, value_name = "TIME[ms|s|m]", default_value = "10s", value_parser = value::duration)]
    seconds: Duration,
}

#[derive(Clone, Copy, Default, Serialize)]
struct Report {
    /// Number of datagrams, from "system udp-source" and others.
    datagrams: u64,
    foreign: u64,
    /// Time from the first datagram to the last.
    seconds: f64,
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} datagrams, {} of others, in {:.3} s",
            self.datagrams, self.foreign, self.seconds
        )
    }
}

pub fn run(arguments: &Arguments, context: &Context<'_>) -> Outcome {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, arguments.port))
        .map_err(|error| Error::Other(format!("cannot listen on UDP port {}: {error}", arguments.port)))?;
    let report = Arc::new(Mutex::new(Report::default()));
    let shared = Arc::clone(&report);
    // The thread may be blocked in its last read; it ends with the process.
    thread::spawn(move || {
        let mut buffer = [0; 2048];
        let mut first = None;
        while let Ok(length) = socket.recv(&mut buffer) {
            let own = buffer.get(..length).and_then(parse).is_some();
            let seconds = first.get_or_insert_with(Instant::now).elapsed().as_secs_f64();
            let mut report = shared.lock().unwrap_or_else(PoisonError::into_inner);
            *(if own {
                &mut report.datagrams
            } else {
                &mut report.foreign
            }) += 1;
            report.seconds = seconds;
        }
    });
    thread::sleep(arguments.seconds);
    let report = *report.lock().unwrap_or_else(PoisonError::into_inner);
    context.output.result(&report);
    Ok(report.datagrams > 0)
}
