//! One request of a client and its reply, over a connection to the daemon's shim.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use syscall::error::{ENODEV, Error, Result};
use syscall::schemev2::Opcode;

use super::wire::{Header, Kind, POINTER, Reply, TO_DAEMON};
use crate::sys;

/// The bytes of a request.
pub enum Payload<'a> {
    /// None, and no buffer.
    None,
    /// Bytes for the daemon.
    ToDaemon(&'a [u8]),
    /// A buffer for bytes of the daemon's.
    FromDaemon(&'a mut [u8]),
    /// Bytes for the daemon, which it may change.
    Both(&'a mut [u8]),
}

impl Payload<'_> {
    /// The bytes as they are before the request.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Payload::None => &[],
            Payload::ToDaemon(bytes) => bytes,
            Payload::FromDaemon(bytes) | Payload::Both(bytes) => bytes,
        }
    }
}

/// The reply to a request.
pub struct Answer {
    /// Without the bytes for the client: they are in the request's payload.
    pub reply: Reply,
    /// The descriptor that came along.
    pub descriptor: Option<OwnedFd>,
}

impl Answer {
    /// The daemon's result.
    ///
    /// # Errors
    ///
    /// The error that the daemon answered with.
    pub fn value(&self) -> Result<usize> {
        Error::demux(self.reply.result as usize)
    }
}

/// Sends one request and waits for its reply, without limit, as the kernel does. A signal becomes a Cancel, and the
/// wait goes on: the daemon has to answer.
///
/// # Errors
///
/// `ENODEV` if the daemon is gone. An error of the daemon's is an answer.
pub fn exchange(stream: &UnixStream, mut header: Header, payload: Payload<'_>) -> Result<Answer> {
    let bytes = payload.bytes();
    if !matches!(payload, Payload::None) {
        header.page_offset = (bytes.as_ptr() as usize & 0xFFF) as u16;
        header.length = bytes.len() as u64;
        if usize::from(header.pointer) >= header.args.len() {
            header.pointer = POINTER as u8;
        }
    }
    let sends = matches!(payload, Payload::ToDaemon(_) | Payload::Both(_));
    header.transfer |= if sends { TO_DAEMON } else { 0 };
    let gone = |_| Error::new(ENODEV);
    header.send(stream, &[]).map_err(gone)?;
    if sends {
        (&mut &*stream).write_all(bytes).map_err(gone)?;
    }
    let answer = receive(stream, header.key)?;
    let length = answer.reply.length as usize;
    if let Payload::FromDaemon(buffer) | Payload::Both(buffer) = payload {
        let target = buffer.get_mut(..length).ok_or(Error::new(ENODEV))?;
        (&mut &*stream).read_exact(target).map_err(gone)?;
    }
    Ok(answer)
}

/// Receives the reply to a request about the description `key`.
///
/// # Errors
///
/// As of [`exchange`].
pub fn receive(stream: &UnixStream, key: u64) -> Result<Answer> {
    let mut bytes = [0; Reply::LEN];
    let mut rest = bytes.as_mut_slice();
    let mut descriptors = Vec::new();
    let mut cancelled = false;
    while !rest.is_empty() {
        match sys::receive_some(stream, rest, &mut descriptors) {
            Ok(count) => rest = rest.get_mut(count..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {
                if !cancelled {
                    cancelled = true;
                    let _ = Header::new(Kind::Cancel, Opcode::Cancel as u8, key).send(stream, &[]);
                }
            }
            Err(_) => return Err(Error::new(ENODEV)),
        }
    }
    let reply = Reply::decode(&bytes);
    let descriptor = if reply.descriptor { descriptors.pop() } else { None };
    Ok(Answer { reply, descriptor })
}
