//! Frames out: which lengths are taken, and what a write returns.

use syscall::error::{EINVAL, EMSGSIZE};

use super::Outcome;
use super::subject::{Broken, Subject, Verdict, answered, ensure, expect_ok};
use netstack_client::benchmark::ETHERTYPE;
use netstack_client::frame::{HEADER, MAX_FRAME, MIN_FRAME};

/// EtherType of an IEEE 802.1Q tag.
const VLAN: [u8; 2] = [0x81, 0x00];

/// The beginning of a broadcast frame that nobody takes for anything, of this length.
fn frame(subject: &Subject, ethertype: [u8; 2], length: usize) -> Result<Vec<u8>, Broken> {
    let mut frame = vec![0xFF; 6];
    frame.extend_from_slice(subject.mac()?.as_bytes());
    frame.extend_from_slice(&ethertype);
    if ethertype == VLAN {
        // The tag of VLAN 1, and the type of what is inside.
        frame.extend_from_slice(&[0, 1, ETHERTYPE[0], ETHERTYPE[1]]);
    }
    frame.resize(length, 0);
    Ok(frame)
}

fn write(subject: &Subject, frame: Vec<u8>) -> Result<Result<usize, i32>, Broken> {
    let data = subject.nonblocking()?;
    answered(&format!("write of {} bytes", frame.len()), move || {
        data.write(&frame).map_err(|error| error.errno())
    })
}

fn taken(subject: &Subject, ethertype: [u8; 2], length: usize) -> Verdict {
    match write(subject, frame(subject, ethertype, length)?)? {
        Ok(written) if written == length => Ok(Outcome::Pass),
        Ok(written) => Err(Broken(format!("returned {written}"))),
        Err(errno) => Err(Broken(format!("errno {errno}"))),
    }
}

fn refused(subject: &Subject, length: usize, expected: i32) -> Verdict {
    match write(subject, frame(subject, ETHERTYPE, length)?)? {
        Err(errno) if errno == expected => Ok(Outcome::Pass),
        Err(errno) => Err(Broken(format!("errno {errno} instead of {expected}"))),
        Ok(written) => Ok(Outcome::AsStock(format!("taken, returned {written}"))),
    }
}

pub fn header_only(subject: &Subject) -> Verdict {
    taken(subject, ETHERTYPE, HEADER)
}

pub fn shortest_arp(subject: &Subject) -> Verdict {
    taken(subject, ETHERTYPE, 42)
}

pub fn minimum(subject: &Subject) -> Verdict {
    taken(subject, ETHERTYPE, MIN_FRAME)
}

pub fn maximum(subject: &Subject) -> Verdict {
    taken(subject, ETHERTYPE, MAX_FRAME)
}

pub fn tagged(subject: &Subject) -> Verdict {
    taken(subject, VLAN, MAX_FRAME + 4)
}

pub fn nothing(subject: &Subject) -> Verdict {
    refused(subject, 0, EINVAL)
}

pub fn too_short(subject: &Subject) -> Verdict {
    refused(subject, HEADER - 1, EINVAL)
}

pub fn too_long(subject: &Subject) -> Verdict {
    refused(subject, MAX_FRAME + 1, EMSGSIZE)
}

pub fn much_too_long(subject: &Subject) -> Verdict {
    refused(subject, 20_000, EMSGSIZE)
}

pub fn burst(subject: &Subject) -> Verdict {
    let (data, frame) = (subject.nonblocking()?, frame(subject, ETHERTYPE, MIN_FRAME)?);
    for number in 0..1000 {
        let written = expect_ok(&format!("write {number}"), data.write(&frame))?;
        ensure(written == frame.len(), || {
            format!("write {number} returned {written}")
        })?;
    }
    Ok(Outcome::Pass)
}
