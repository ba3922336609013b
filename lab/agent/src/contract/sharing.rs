//! Frames in, for several readers, and for readers that wait.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Instant;

use super::peer::Peer;
use super::subject::{A_WHILE, Broken, Reader, SOON, Subject, Verdict, ensure, expect_ok, try_read};
use super::{Outcome, READING};
use netstack_client::adapter::READ_BUFFER;

/// Attempts at a check in which other traffic got in the way.
const ATTEMPTS: usize = 5;

pub fn exactly_once(subject: &Subject) -> Verdict {
    const ROUNDS: usize = 20;
    const AT_ONCE: usize = 10;
    let mut peer = Peer::find(subject)?;
    let readers = [subject.nonblocking()?, subject.nonblocking()?];
    let mut seen = HashSet::new();
    let mut share = [0; 2];
    let mut take = |reader: usize, peer: &Peer, seen: &mut HashSet<u16>| {
        let mut buffer = [0; READ_BUFFER];
        let Some(length) = try_read(&readers[reader], &mut buffer)? else {
            return Ok(());
        };
        if let Some(sequence) = peer.recognise(&buffer[..length])? {
            share[reader] += 1;
            ensure(seen.insert(sequence), || format!("frame {sequence} came twice"))?;
        }
        Ok::<_, Broken>(())
    };
    for round in 1..=ROUNDS {
        for _ in 0..AT_ONCE {
            peer.provoke(100)?;
        }
        let start = Instant::now();
        while seen.len() < round * AT_ONCE {
            take(0, &peer, &mut seen)?;
            take(1, &peer, &mut seen)?;
            ensure(start.elapsed() < SOON, || {
                format!("{} of {} frames came", seen.len(), round * AT_ONCE)
            })?;
        }
    }
    thread::sleep(A_WHILE);
    take(0, &peer, &mut seen)?;
    take(1, &peer, &mut seen)?;
    ensure(share[0] > 0 && share[1] > 0, || {
        format!("one reader got everything: {share:?}")
    })?;
    Ok(Outcome::Pass)
}

/// A thread in a blocking read.
struct Parked {
    result: Receiver<Result<Vec<u8>, Broken>>,
}

impl Parked {
    /// Starts it and gives it time to get there.
    fn start(subject: &Subject) -> Result<Self, Broken> {
        let data = subject.blocking()?;
        let (sender, result) = sync_channel(1);
        thread::spawn(move || {
            let mut buffer = vec![0; READ_BUFFER];
            let read = expect_ok("blocking read", data.read(&mut buffer)).map(|length| {
                buffer.truncate(length);
                buffer
            });
            // Fails if the check is over: then nobody wants the result.
            let _ = sender.send(read);
        });
        thread::sleep(A_WHILE);
        Ok(Self { result })
    }

    fn frame(&self) -> Result<Vec<u8>, Broken> {
        let frame = match self.result.recv_timeout(SOON) {
            Ok(read) => read?,
            Err(RecvTimeoutError::Timeout) => {
                return Err(Broken("a blocking read was not answered".to_owned()));
            }
            Err(RecvTimeoutError::Disconnected) => return Err(Broken("the reader is gone".to_owned())),
        };
        ensure(!frame.is_empty(), || "a blocking read returned 0".to_owned())?;
        Ok(frame)
    }

    /// Nothing should have come yet.
    fn is_waiting(&self) -> bool {
        self.result.try_recv().is_err()
    }
}

pub fn parked_read(subject: &Subject) -> Verdict {
    let mut peer = Peer::find(subject)?;
    for _ in 0..ATTEMPTS {
        Reader::open(subject)?.drain()?;
        let parked = Parked::start(subject)?;
        if !parked.is_waiting() {
            continue;
        }
        let sequence = peer.provoke(100)?;
        if peer.recognise(&parked.frame()?)? == Some(sequence) {
            return Ok(Outcome::Pass);
        }
    }
    Err(Broken("other frames came each time".to_owned()))
}

pub fn parked_beside_nonblocking(subject: &Subject) -> Verdict {
    let mut peer = Peer::find(subject)?;
    for _ in 0..ATTEMPTS {
        let mut other = Reader::open(subject)?;
        other.drain()?;
        let parked = Parked::start(subject)?;
        for _ in 0..20 {
            if try_read(&other.data, &mut [0; READ_BUFFER])?.is_some() && parked.is_waiting() {
                return Err(Broken("overtook a reader that waited".to_owned()));
            }
        }
        if !parked.is_waiting() {
            continue;
        }
        let sequence = peer.provoke(100)?;
        if peer.recognise(&parked.frame()?)? == Some(sequence) {
            return Ok(Outcome::Pass);
        }
    }
    Err(Broken("other frames came each time".to_owned()))
}

pub fn parked_in_order(subject: &Subject) -> Verdict {
    const READERS: usize = 3;
    let mut peer = Peer::find(subject)?;
    let mut order = Vec::new();
    for _ in 0..ATTEMPTS {
        Reader::open(subject)?.drain()?;
        let parked = (0..READERS)
            .map(|_| Parked::start(subject))
            .collect::<Result<Vec<_>, _>>()?;
        let mut expected = Vec::new();
        for _ in 0..READERS {
            expected.push(Some(peer.provoke(100)?));
        }
        order = parked
            .iter()
            .map(|parked| peer.recognise(&parked.frame()?))
            .collect::<Result<Vec<_>, _>>()?;
        if order == expected {
            return Ok(Outcome::Pass);
        }
        // Frames of others came in between: what the readers did not get is still there.
        if order.iter().all(Option::is_some) {
            break;
        }
    }
    Err(Broken(format!("readers in order of arrival got {order:?}")))
}

pub fn reader_killed(subject: &Subject) -> Verdict {
    let Some(command) = subject.reader else {
        return Ok(Outcome::Skip("needs a process to kill".to_owned()));
    };
    let mut peer = Peer::find(subject)?;
    for _ in 0..3 {
        let system = |error: std::io::Error| Broken(format!("cannot start a reader: {error}"));
        let mut child = command(&subject.name)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(system)?;
        let lines = child
            .stdout
            .take()
            .map(BufReader::new)
            .into_iter()
            .flat_map(BufRead::lines);
        let reading = lines.map_while(Result::ok).any(|line| line.ends_with(READING));
        thread::sleep(A_WHILE);
        let killed = child.kill().and_then(|()| child.wait());
        ensure(reading, || "the reader did not get as far as reading".to_owned())?;
        killed.map_err(system)?;
    }
    // None of these may go to the dead.
    thread::sleep(A_WHILE);
    let mut reader = Reader::open(subject)?;
    for _ in 0..10 {
        let sequence = peer.provoke(100)?;
        peer.await_reply(&mut reader, sequence, SOON)?;
    }
    Ok(Outcome::Pass)
}
