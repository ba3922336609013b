//! ICMP echo through the stack.
//!
//! A file below `/scheme/icmp/echo` sends an echo request for each write and gives an echo reply for each read. Both
//! begin with the sequence number, in network byte order; the rest is the data.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
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

/// A reply.
struct Reply {
    sequence: u16,
    data: Vec<u8>,
    arrived: Instant,
}

/// Echo requests to one address.
pub struct Echo {
    file: Arc<File>,
    path: String,
    replies: Receiver<Reply>,
}

impl Echo {
    /// Prepares for a target. A thread waits for replies; it is left behind at the end, blocked in its read, until
    /// the process ends.
    pub fn open(target: Ipv4Addr) -> Result<Self> {
        let path = format!("/scheme/icmp/echo/{target}");
        let name = path.clone();
        let file = within(OPEN_LIMIT, || {
            OpenOptions::new().read(true).write(true).open(name)
        })
        .unwrap_or_else(|| Err(io::Error::new(ErrorKind::TimedOut, "the stack does not answer")))
        .map_err(Error::new("open", &path))?;
        let file = Arc::new(file);
        let (sender, replies) = mpsc::channel();
        let mut reader = Arc::clone(&file);
        thread::spawn(move || {
            let mut buffer = vec![0; BUFFER];
            while let Ok(length) = reader.read(&mut buffer) {
                let arrived = Instant::now();
                let Some((sequence, data)) = buffer.get(..length).and_then(<[u8]>::split_first_chunk) else {
                    break;
                };
                let reply = Reply {
                    sequence: u16::from_be_bytes(*sequence),
                    data: data.to_vec(),
                    arrived,
                };
                if sender.send(reply).is_err() {
                    break;
                }
            }
        });
        Ok(Self { file, path, replies })
    }

    /// Sends a request and waits for its reply. `None`: none came in time, or it had other data, or the stack did
    /// not take the request in time.
    pub fn ask(&self, sequence: u16, data: &[u8], limit: Duration) -> Result<Option<Duration>> {
        let request = [&sequence.to_be_bytes(), data].concat();
        let mut writer = Arc::clone(&self.file);
        let written = within(limit, move || {
            let sent = Instant::now();
            writer.write_all(&request).map(|()| sent)
        });
        let Some(sent) = written.transpose().map_err(Error::new("write to", &self.path))? else {
            return Ok(None);
        };
        loop {
            let left = limit.saturating_sub(sent.elapsed());
            let Ok(reply) = self.replies.recv_timeout(left) else {
                return Ok(None);
            };
            // Others are late replies to earlier requests.
            if reply.sequence == sequence {
                return Ok((reply.data == data).then(|| reply.arrived.saturating_duration_since(sent)));
            }
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
