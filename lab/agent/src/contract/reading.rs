//! Frames in, for one reader.

use libredox::flag::O_RDWR;

use super::Outcome;
use super::peer::Peer;
use super::subject::{Broken, Reader, SOON, Subject, Verdict, answered, ensure, expect_ok, try_read};
use netstack_client::frame::{MAX_FRAME, MIN_FRAME};

pub fn arp(subject: &Subject) -> Verdict {
    Peer::find(subject)?;
    Ok(Outcome::Pass)
}

pub fn would_block(subject: &Subject) -> Verdict {
    // Whatever is there is read; the last read finds nothing.
    let data = subject.nonblocking()?;
    answered("non-blocking reads", move || {
        let mut buffer = [0; 2048];
        while try_read(&data, &mut buffer)?.is_some() {}
        Ok(Outcome::Pass)
    })?
}

pub fn whole_frames(subject: &Subject) -> Verdict {
    let (mut peer, mut reader) = (Peer::find(subject)?, Reader::open(subject)?);
    for size in [MIN_FRAME, 61, 63, 64, 590, 1500, MAX_FRAME - 1, MAX_FRAME] {
        let sequence = peer.provoke(size)?;
        let length = peer.await_reply(&mut reader, sequence, SOON)?;
        ensure(length == size, || format!("{length} bytes instead of {size}"))?;
    }
    Ok(Outcome::Pass)
}

pub fn short_buffer(subject: &Subject) -> Verdict {
    const ROOM: usize = 20;
    let (mut peer, mut reader) = (Peer::find(subject)?, Reader::open(subject)?);
    reader.drain()?;
    peer.provoke(200)?;
    let mut buffer = [0xA5; 64];
    let length = loop {
        match try_read(&reader.data, &mut buffer[..ROOM])? {
            Some(length) => break length,
            None => ensure(reader.wait(SOON)?, || "no frame came".to_owned())?,
        }
    };
    ensure(length == ROOM, || {
        format!("a read of 200 bytes into {ROOM} returned {length}")
    })?;
    ensure(buffer[ROOM..].iter().all(|byte| *byte == 0xA5), || {
        "wrote behind the buffer".to_owned()
    })?;
    // Had the rest not been dropped, it would come now.
    let second = peer.provoke(100)?;
    while let Some(frame) = reader.next(SOON)? {
        if peer.recognise(&frame)? == Some(second) {
            return Ok(Outcome::Pass);
        }
        ensure(
            frame.get(12..14) != Some(&[0, 0][..]) && frame.len() != 200 - ROOM,
            || "the rest of the frame came as one of its own".to_owned(),
        )?;
    }
    ensure(false, || "the next frame did not come".to_owned())?;
    Ok(Outcome::Pass)
}

pub fn empty_buffer(subject: &Subject) -> Verdict {
    let data = subject.nonblocking()?;
    // Any answer will do: nobody can want one.
    answered("read of 0 bytes", move || data.read(&mut []).is_ok())?;
    if subject.peer.is_some() {
        let (mut peer, mut reader) = (Peer::find(subject)?, Reader::open(subject)?);
        reader.drain()?;
        peer.provoke(100)?;
        ensure(reader.wait(SOON)?, || "no event for a frame".to_owned())?;
        let data = subject.nonblocking()?;
        answered("read of 0 bytes with a frame there", move || {
            data.read(&mut []).is_ok()
        })?;
        reader.drain()?;
    }
    Ok(Outcome::Pass)
}

pub fn blocking_handle_reads_what_is_there(subject: &Subject) -> Verdict {
    let (mut peer, mut reader) = (Peer::find(subject)?, Reader::open(subject)?);
    reader.drain()?;
    let sequence = peer.provoke(100)?;
    ensure(reader.wait(SOON)?, || "no event for a frame".to_owned())?;
    let blocking = expect_ok("open", subject.open("", O_RDWR))?;
    let frame = answered("blocking read with a frame there", move || {
        let mut buffer = vec![0; 2048];
        let length = expect_ok("blocking read", blocking.read(&mut buffer))?;
        buffer.truncate(length);
        Ok::<_, Broken>(buffer)
    })??;
    if peer.recognise(&frame)? != Some(sequence) {
        // Somebody else's frame came first.
        peer.await_reply(&mut reader, sequence, SOON)?;
    }
    Ok(Outcome::Pass)
}
