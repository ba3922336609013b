//! ICMP echo through the stack.
//!
//! A file below `/scheme/icmp/echo` sends an echo request for each write and gives an echo reply for each read. Both
//! begin with the sequence number, in network byte order; the rest is the data.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::net::Ipv4Addr;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{Error, Result};
use crate::bounded::within;
use crate::pattern::Pattern;
use crate::stats::Latency;

/// Size of the read buffer; no reply is longer.
const BUFFER: usize = 2048;
/// Time limit for opening a file of the stack.
const OPEN_LIMIT: Duration = Duration::from_secs(5);

/// A request on its way to the stack.
struct Request {
    sequence: u16,
    bytes: Vec<u8>,
}

/// Outcome of a request.
enum Event {
    /// The stack refused the request.
    Refused(io::Error),
    /// A reply.
    Reply {
        sequence: u16,
        data: Vec<u8>,
        at: Instant,
    },
}

/// Echo requests to one address.
pub struct Echo {
    path: String,
    requests: Sender<Request>,
    events: Receiver<Event>,
    sent: Arc<Sent>,
}

/// Sequence number of the last request sent, and the time of sending.
type Sent = Mutex<Option<(u16, Instant)>>;

impl Echo {
    /// Opens the echo file of a target and starts two threads, one that writes requests and one that reads replies.
    ///
    /// Calls of the stack have no time limit, so they are made by these threads and never by the caller. The writer
    /// reports errors only: no other thread of this process wakes up between a request and its reply, which would
    /// lengthen the time measured. A thread that is blocked in a call lives until the process ends.
    pub fn open(target: Ipv4Addr) -> Result<Self> {
        let path = format!("/scheme/icmp/echo/{target}");
        let name = path.clone();
        let file = within(OPEN_LIMIT, || {
            OpenOptions::new().read(true).write(true).open(name)
        })
        .unwrap_or_else(|| Err(io::Error::new(ErrorKind::TimedOut, "the stack does not answer")))
        .map_err(Error::new("open", &path))?;
        let file = Arc::new(file);
        let (requests, inbox) = mpsc::channel();
        let (outbox, events) = mpsc::channel();
        let (writer, written) = (Arc::clone(&file), outbox.clone());
        let sent = Arc::new(Sent::default());
        let noted = Arc::clone(&sent);
        thread::spawn(move || write(&writer, &inbox, &written, &noted));
        thread::spawn(move || read(&file, &outbox));
        Ok(Self {
            path,
            requests,
            events,
            sent,
        })
    }

    /// Sends a request and waits for its reply. Returns the round-trip time; `None` if no reply came in time, its data
    /// differs, or the stack did not accept the request in time.
    pub fn ask(&self, sequence: u16, data: &[u8], limit: Duration) -> Result<Option<Duration>> {
        let bytes = [&sequence.to_be_bytes(), data].concat();
        // Fails only if the writer has ended; then an event says why.
        let _ = self.requests.send(Request { sequence, bytes });
        let start = Instant::now();
        loop {
            let left = limit.saturating_sub(start.elapsed());
            let Ok(event) = self.events.recv_timeout(left) else {
                return Ok(None);
            };
            match event {
                Event::Refused(error) => return Err(Error::new("write to", &self.path)(error)),
                Event::Reply {
                    sequence: of,
                    data: reply,
                    at,
                } if of == sequence => {
                    let sent = *self.sent.lock().unwrap_or_else(PoisonError::into_inner);
                    let sent = sent.filter(|&(of, _)| of == sequence && reply == data);
                    return Ok(sent.map(|(_, sent)| at.saturating_duration_since(sent)));
                }
                // A late reply to an earlier request.
                Event::Reply { .. } => {}
            }
        }
    }
}

fn write(mut file: &File, requests: &Receiver<Request>, events: &Sender<Event>, sent: &Sent) {
    while let Ok(Request { sequence, bytes }) = requests.recv() {
        *sent.lock().unwrap_or_else(PoisonError::into_inner) = Some((sequence, Instant::now()));
        if let Err(error) = file.write_all(&bytes)
            && events.send(Event::Refused(error)).is_err()
        {
            return;
        }
    }
}

fn read(mut file: &File, events: &Sender<Event>) {
    let mut buffer = vec![0; BUFFER];
    while let Ok(length) = file.read(&mut buffer) {
        let at = Instant::now();
        let Some((sequence, data)) = buffer.get(..length).and_then(<[u8]>::split_first_chunk) else {
            return;
        };
        let reply = Event::Reply {
            sequence: u16::from_be_bytes(*sequence),
            data: data.to_vec(),
            at,
        };
        if events.send(reply).is_err() {
            return;
        }
    }
}

/// Parameters of a series of requests.
#[derive(Clone, Copy, Debug)]
pub struct Series {
    /// Number of requests.
    pub count: u16,
    /// Time between two requests.
    pub interval: Duration,
    /// Bytes of data in each.
    pub size: u16,
    /// Time to wait for each reply.
    pub timeout: Duration,
}

/// Outcome of a series of requests.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Outcome {
    /// Address that was asked.
    pub target: Ipv4Addr,
    /// Number of requests.
    pub transmitted: u16,
    /// Number of replies with the data that was sent.
    pub received: usize,
    /// Round-trip times of these replies.
    pub latency: Option<Latency>,
}

/// Sends a series of requests; calls `each` with the sequence number and the time, if there was one, of every request.
pub fn ping(
    target: Ipv4Addr,
    series: &Series,
    mut each: impl FnMut(u16, Option<Duration>),
) -> Result<Outcome> {
    let echo = Echo::open(target)?;
    let mut times = Vec::new();
    let mut pattern = Pattern::new(1);
    let mut data = vec![0; usize::from(series.size)];
    for sequence in 1..=series.count {
        let start = Instant::now();
        pattern.fill(&mut data);
        let time = echo.ask(sequence, &data, series.timeout)?;
        times.extend(time);
        each(sequence, time);
        if sequence < series.count {
            thread::sleep(series.interval.saturating_sub(start.elapsed()));
        }
    }
    Ok(Outcome {
        target,
        transmitted: series.count,
        received: times.len(),
        latency: Latency::of(&mut times),
    })
}
