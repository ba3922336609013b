//! Events for frames: which clients get them, and when.

use std::thread;
use std::time::{Duration, Instant};

use event::EventFlags;

use super::Outcome;
use super::peer::Peer;
use super::subject::{A_WHILE, Broken, Reader, SOON, Subject, Verdict, ensure, expect_ok, try_read};
use netstack_client::adapter::READ_BUFFER;
use netstack_client::readiness::TimedQueue;

/// Longest time that a reader that stopped with frames left may wait for its event: an interrupt, or a short timer.
const REMINDER_LIMIT: Duration = Duration::from_secs(1);

/// Attempts at a check that frames arrived too slowly for.
const ATTEMPTS: usize = 10;

/// Frames that smolnetd reads at most before it looks at its event queue again.
const SMOLNETD_LIMIT: usize = 128;

pub fn pending_at_subscription(subject: &Subject) -> Verdict {
    let (mut peer, mut first) = (Peer::find(subject)?, Reader::open(subject)?);
    first.drain()?;
    let sequence = peer.provoke(100)?;
    ensure(first.wait(SOON)?, || "no event for a frame".to_owned())?;
    // Nothing comes in any more; the frame is still there.
    thread::sleep(A_WHILE);
    let mut second = Reader::open(subject)?;
    ensure(second.wait(SOON)?, || {
        "no event for a subscriber that came after the frame".to_owned()
    })?;
    peer.await_reply(&mut second, sequence, SOON)?;
    Ok(Outcome::Pass)
}

pub fn edge_after_eagain(subject: &Subject) -> Verdict {
    let (mut peer, mut reader) = (Peer::find(subject)?, Reader::open(subject)?);
    for round in 0..10 {
        reader.drain()?;
        let sequence = peer.provoke(100)?;
        ensure(reader.wait(SOON)?, || format!("no event in round {round}"))?;
        peer.await_reply(&mut reader, sequence, SOON)?;
    }
    Ok(Outcome::Pass)
}

pub fn edge_after_others_read(subject: &Subject) -> Verdict {
    let (mut peer, mut reader) = (Peer::find(subject)?, Reader::open(subject)?);
    let mut other = Reader::open(subject)?;
    for round in 0..3 {
        reader.drain()?;
        let sequence = peer.provoke(100)?;
        ensure(reader.wait(SOON)?, || format!("no event in round {round}"))?;
        peer.await_reply(&mut other, sequence, SOON)?;
        let mut buffer = [0; READ_BUFFER];
        while let Some(length) = try_read(&reader.data, &mut buffer)? {
            let again = peer.recognise(&buffer[..length])? == Some(sequence);
            ensure(!again, || "a frame came twice".to_owned())?;
        }
    }
    Ok(Outcome::Pass)
}

/// Takes all events that are queued.
fn forget_events(reader: &mut Reader) -> Result<(), Broken> {
    while reader.wait(Duration::from_millis(1))? {}
    Ok(())
}

/// Reads `count` of more frames that are there, without meeting EAGAIN, and looks at the event queue as smolnetd
/// does: an event must be waiting, or come. A reader that meets EAGAIN before, because frames arrive too slowly or the
/// driver gives others a turn, must be told of the rest, too.
fn stop_after(subject: &Subject, count: usize) -> Verdict {
    let (mut peer, mut reader) = (Peer::find(subject)?, Reader::open(subject)?);
    for _ in 0..ATTEMPTS {
        reader.drain()?;
        let mut last = 0;
        for _ in 0..count + 16 {
            last = peer.provoke(60)?;
        }
        ensure(reader.wait(SOON)?, || "no event for frames".to_owned())?;
        // Nothing is read while they arrive, so that no read is too early.
        thread::sleep(A_WHILE);
        let mut buffer = [0; READ_BUFFER];
        let mut read = 0;
        while read < count && try_read(&reader.data, &mut buffer)?.is_some() {
            read += 1;
        }
        if read < count {
            ensure(reader.wait(REMINDER_LIMIT)?, || {
                format!("no event within {REMINDER_LIMIT:?} after EAGAIN with frames to come")
            })?;
            peer.await_reply(&mut reader, last, SOON)?;
            continue;
        }
        let stopped = Instant::now();
        ensure(reader.wait(REMINDER_LIMIT)?, || {
            format!("no event within {REMINDER_LIMIT:?} after {count} frames without EAGAIN")
        })?;
        let waited = stopped.elapsed();
        peer.await_reply(&mut reader, last, SOON)?;
        forget_events(&mut reader)?;
        ensure(waited <= REMINDER_LIMIT, || format!("{waited:?}"))?;
        return Ok(Outcome::Pass);
    }
    Ok(Outcome::Pass)
}

pub fn after_smolnetds_limit(subject: &Subject) -> Verdict {
    stop_after(subject, SMOLNETD_LIMIT)
}

pub fn after_a_few(subject: &Subject) -> Verdict {
    stop_after(subject, 3)
}

pub fn not_to_other_files(subject: &Subject) -> Verdict {
    const DATA: usize = 0;
    const MAC: usize = 1;
    let mut peer = Peer::find(subject)?;
    let (data, mac) = (subject.nonblocking()?, subject.mac_file()?);
    let mut queue = TimedQueue::new()?;
    while try_read(&data, &mut [0; READ_BUFFER])?.is_some() {}
    expect_ok(
        "subscribe data",
        queue.subscribe(data.raw(), DATA, EventFlags::READ),
    )?;
    if let Err(error) = queue.subscribe(mac.raw(), MAC, EventFlags::READ) {
        return Ok(Outcome::Skip(format!("mac cannot be subscribed to: {error}")));
    }
    peer.provoke(100)?;
    let mut told = false;
    while let Some(event) = queue.wait(Some(if told { A_WHILE } else { SOON }))? {
        if event == MAC {
            return Ok(Outcome::AsStock("the file mac gets events, too".to_owned()));
        }
        told = true;
        while try_read(&data, &mut [0; READ_BUFFER])?.is_some() {}
    }
    ensure(told, || "no event for a frame".to_owned())?;
    Ok(Outcome::Pass)
}

pub fn room_to_write(subject: &Subject) -> Verdict {
    let data = subject.nonblocking()?;
    let mut queue = TimedQueue::new()?;
    expect_ok("subscribe", queue.subscribe(data.raw(), 0, EventFlags::WRITE))?;
    Ok(match queue.wait(Some(A_WHILE * 2))? {
        Some(_) => Outcome::Pass,
        None => Outcome::AsStock("there are no EVENT_WRITE".to_owned()),
    })
}

pub fn every_subscriber(subject: &Subject) -> Verdict {
    let mut peer = Peer::find(subject)?;
    let mut readers = (0..4)
        .map(|_| Reader::open(subject))
        .collect::<Result<Vec<_>, _>>()?;
    for reader in &mut readers {
        reader.drain()?;
    }
    peer.provoke(100)?;
    for (number, reader) in readers.iter_mut().enumerate() {
        ensure(reader.wait(SOON)?, || format!("subscriber {number} was not told"))?;
    }
    readers.iter_mut().try_for_each(Reader::drain)?;
    Ok(Outcome::Pass)
}
