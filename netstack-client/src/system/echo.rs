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

use super::{Error, Result};
use crate::bounded::within;
use crate::pattern::Pattern;
use crate::stats::Latency;

/// More than a reply can have.
const BUFFER: usize = 2048;
/// How long the stack may take to open a file.
const OPEN_LIMIT: Duration = Duration::from_secs(5);

/// A request on its way to the stack.
struct Request {
    sequence: u16,
    bytes: Vec<u8>,
}

/// What came of a request.
enum Event {
    /// The stack did not take it.
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

/// The sequence number of the request last sent, and when that was.
type Sent = Mutex<Option<(u16, Instant)>>;

impl Echo {
    /// Prepares for a target. Two threads, one that writes and one that waits for replies, keep blocking calls, which
    /// know no limit, from the caller, and the caller's work out of the time that is measured: the writer tells nobody
    /// when all is well, so that nobody wakes up before the reply. They may be left behind at the end, until the process
    /// ends.
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

    /// Sends a request and waits for its reply. `None`: none came in time, or it had other data, or the stack did
    /// not take the request in time.
    pub fn ask(&self, sequence: u16, data: &[u8], limit: Duration) -> Result<Option<Duration>> {
        let bytes = [&sequence.to_be_bytes(), data].concat();
        // Fails when the writer has ended, which the events tell.
        let _ = self.requests.send(Request { sequence, bytes });
        let start = Instant::now();
        loop {
            let left = limit.saturating_sub(start.elapsed());
            let Ok(event) = self.events.recv_timeout(left) else {
                return Ok(None);
            };
            match event {
                Event::Refused(error) => return Err(Error::new("write to", &self.path)(error)),
                // Others belong to earlier requests.
                Event::Reply {
                    sequence: of,
                    data: reply,
                    at,
                } if of == sequence => {
                    let sent = *self.sent.lock().unwrap_or_else(PoisonError::into_inner);
                    let sent = sent.filter(|&(of, _)| of == sequence && reply == data);
                    return Ok(sent.map(|(_, sent)| at.saturating_duration_since(sent)));
                }
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

/// What many requests are like.
#[derive(Clone, Copy, Debug)]
pub struct Series {
    /// How many.
    pub count: u16,
    /// From one to the next.
    pub interval: Duration,
    /// Bytes of data in each.
    pub size: u16,
    /// How long each waits for its reply.
    pub timeout: Duration,
}

/// What came of them.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Outcome {
    /// Where they went.
    pub target: Ipv4Addr,
    /// Requests.
    pub transmitted: u16,
    /// Replies with the data that was sent.
    pub received: usize,
    /// How long these took.
    pub latency: Option<Latency>,
}

/// Sends a series of requests; `each` is told about every one.
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
