//! The messages between the shim of a client and the shim of a scheme daemon.
//!
//! A connection is a Unix stream that carries one request at a time: a header, the bytes for the daemon if there
//! are any, then the reply with the bytes for the client. Only [`Kind::Cancel`] may come in between.

use std::io::{self, Write};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use crate::sys;

/// Kinds of messages from a client's shim to the daemon's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Pass a request on to the daemon.
    Request,
    /// The same, and the answer is a new description that belongs to this connection.
    Open,
    /// A signal came: tell the daemon to give up the request of this connection. Has no reply.
    Cancel,
    /// The last descriptor of the description is closed.
    Close,
    /// Register a subscription (its counters come along), then send Fevent.
    Subscribe,
    /// Remove the subscription of this connection; `args[1]` = 1 sends Fevent with what remains.
    Unsubscribe,
    /// Pass MmapPrep on to the daemon; the answer brings the file along, and the offset in it.
    Map,
    /// The client has unmapped what it got by [`Kind::Map`] with the same offset and length.
    Unmap,
}

const KINDS: [Kind; 8] = [
    Kind::Request,
    Kind::Open,
    Kind::Cancel,
    Kind::Close,
    Kind::Subscribe,
    Kind::Unsubscribe,
    Kind::Map,
    Kind::Unmap,
];

/// Bytes travel to the daemon.
pub const TO_DAEMON: u8 = 1;
/// Bytes travel back: as many as the result says.
pub const RESULT_BACK: u8 = 2;
/// Bytes travel back: the whole buffer.
pub const BUFFER_BACK: u8 = 4;

/// Index of the argument that holds the buffer's address, in all requests that libredox can make.
pub const POINTER: usize = 1;

/// A request.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// Kind of the message.
    pub kind: Kind,
    /// Opcode of the SQE.
    pub opcode: u8,
    /// Flags of the SQE.
    pub sqe_flags: u8,
    /// [`TO_DAEMON`], [`RESULT_BACK`], [`BUFFER_BACK`].
    pub transfer: u8,
    /// Index of the argument that takes the address of the buffer; 255 if there is no buffer.
    pub pointer: u8,
    /// The low 12 bits of the client's buffer address.
    pub page_offset: u16,
    /// Length of the buffer.
    pub length: u64,
    /// The description the request is about; 0 is the root of the scheme.
    pub key: u64,
    /// Arguments of the SQE; the daemon's shim fills in the handle id and the address of the buffer.
    pub args: [u64; 6],
}

impl Header {
    /// Length of an encoded header.
    pub const LEN: usize = 72;

    /// A header without buffer.
    pub fn new(kind: Kind, opcode: u8, key: u64) -> Self {
        Self {
            kind,
            opcode,
            sqe_flags: 0,
            transfer: 0,
            pointer: u8::MAX,
            page_offset: 0,
            length: 0,
            key,
            args: [0; 6],
        }
    }

    /// The bytes on the wire.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let kind = KINDS.iter().position(|kind| *kind == self.kind).unwrap_or(0);
        bytes[0] = kind as u8;
        bytes[1] = self.opcode;
        bytes[2] = self.sqe_flags;
        bytes[3] = self.transfer;
        bytes[4] = self.pointer;
        bytes[6..8].copy_from_slice(&self.page_offset.to_le_bytes());
        let words = [self.length, self.key].into_iter().chain(self.args);
        for (slot, word) in bytes[8..].chunks_exact_mut(8).zip(words) {
            slot.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8; Self::LEN]) -> Option<Self> {
        let mut args = [0; 6];
        for (index, arg) in args.iter_mut().enumerate() {
            *arg = word(bytes, 24 + 8 * index);
        }
        Some(Self {
            kind: *KINDS.get(usize::from(bytes[0]))?,
            opcode: bytes[1],
            sqe_flags: bytes[2],
            transfer: bytes[3],
            pointer: bytes[4],
            page_offset: u16::from_le_bytes([bytes[6], bytes[7]]) & 0xFFF,
            length: word(bytes, 8),
            key: word(bytes, 16),
            args,
        })
    }

    /// Sends the header with `fds` attached.
    pub fn send(&self, stream: &UnixStream, fds: &[RawFd]) -> io::Result<()> {
        sys::send_with_fds(stream, &self.encode(), fds)
    }

    /// Receives a header and the descriptors that came along.
    pub fn receive(stream: &UnixStream) -> io::Result<(Self, Vec<OwnedFd>)> {
        let mut bytes = [0; Self::LEN];
        let mut fds = Vec::new();
        sys::receive_with_fds(stream, &mut bytes, &mut fds)?;
        Ok((Self::decode(&bytes).ok_or(io::ErrorKind::InvalidData)?, fds))
    }
}

/// An answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reply {
    /// The result of the CQE: a value or -errno.
    pub result: u64,
    /// First extra byte of the CQE: `NewFdFlags` of an open.
    pub extra: u8,
    /// The new description of an open.
    pub key: u64,
    /// Number of bytes that follow.
    pub length: u64,
    /// A descriptor comes along.
    pub descriptor: bool,
}

impl Reply {
    /// Length of an encoded reply.
    pub const LEN: usize = 32;

    /// A reply that is an error.
    pub fn error(errno: i32) -> Self {
        Self {
            result: negated(errno),
            ..Self::default()
        }
    }

    /// Tells if the result is an error.
    pub fn is_error(&self) -> bool {
        (1..4096).contains(&self.result.wrapping_neg())
    }

    /// The bytes on the wire, followed by the payload.
    pub fn encode(&self, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::LEN + payload.len());
        let flags = u64::from(self.extra) | u64::from(self.descriptor) << 8;
        for word in [self.result, flags, self.key, payload.len() as u64] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.extend_from_slice(payload);
        bytes
    }

    /// The reply in `bytes`.
    pub fn decode(bytes: &[u8; Self::LEN]) -> Self {
        Self {
            result: word(bytes, 0),
            extra: word(bytes, 8) as u8,
            key: word(bytes, 16),
            length: word(bytes, 24),
            descriptor: word(bytes, 8) & 0x100 != 0,
        }
    }
}

/// An error as the result of a CQE.
pub fn negated(errno: i32) -> u64 {
    (errno as u64).wrapping_neg()
}

fn word(bytes: &[u8], offset: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[offset..offset + 8]);
    u64::from_le_bytes(word)
}

/// Sends a reply that brings a descriptor along. There is room for it: it is the only one on its way.
pub fn send_reply_with(stream: &UnixStream, reply: &Reply, descriptor: BorrowedFd<'_>) {
    // A client that is gone does not miss it.
    let _ = sys::send_with_fds(stream, &reply.encode(&[]), &[descriptor.as_raw_fd()]);
}

/// Sends a reply without ever blocking the calling thread, which is the daemon's: what does not fit in the socket
/// (a client that does not read) is left to a thread of its own.
pub fn send_reply(stream: &UnixStream, bytes: Vec<u8>) {
    let sent = match sys::send_nonblocking(stream, &bytes) {
        Ok(sent) => sent,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
        Err(_) => return, // the client is gone
    };
    if sent < bytes.len()
        && let Ok(mut stream) = stream.try_clone()
    {
        let _ = sys::spawn("shim-reply", move || {
            let _ = stream.write_all(&bytes[sent..]);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_survives_the_wire() {
        let mut header = Header::new(Kind::Subscribe, 11, 7);
        header.args = [1, 2, 3, 4, 5, u64::MAX];
        header.page_offset = 0xABC;
        header.length = 1 << 40;
        let copy = Header::decode(&header.encode()).unwrap();
        assert_eq!((copy.kind, copy.opcode, copy.key), (Kind::Subscribe, 11, 7));
        assert_eq!(
            (copy.args, copy.page_offset, copy.length),
            (header.args, 0xABC, 1 << 40)
        );
    }

    #[test]
    fn unknown_kind_is_refused() {
        assert!(Header::decode(&[0xFF; Header::LEN]).is_none());
    }
}
