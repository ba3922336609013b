//! Requests at a daemon, from the client's message to the answer.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use super::buffer::Buffer;
use crate::scheme::wire::{Reply, send_reply, send_reply_with};

/// One connection of a client.
pub struct Connection {
    pub id: u64,
    pub pid: u64,
    pub stream: UnixStream,
}

impl Connection {
    pub fn reply(&self, reply: Reply, payload: &[u8]) {
        send_reply(&self.stream, reply.encode(payload));
    }

    pub fn refuse(&self, errno: i32) {
        self.reply(Reply::error(errno), &[]);
    }

    pub fn reply_with(&self, reply: Reply, descriptor: BorrowedFd<'_>) {
        let reply = Reply {
            descriptor: true,
            ..reply
        };
        send_reply_with(&self.stream, &reply, descriptor);
    }
}

/// Meaning of the answer to a request.
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum Answer {
    Plain,
    /// The result is the handle id of a new description, which belongs to the connection.
    Description,
    /// The result is a handle id that gets no description: close it.
    Orphan,
    /// The result is a set of events that are ready.
    Events,
    /// The result is the address of memory, which the client wants to map.
    Memory(Mapping),
}

/// Memory of the daemon that a client has mapped: the range of the file, as the client named it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Mapping {
    pub offset: u64,
    pub length: u64,
    pub writable: bool,
}

/// A daemon's answer.
pub enum Outcome {
    /// The result of the CQE, and its first extra byte.
    Value(u64, u8),
    /// A descriptor, which is the client's from now on.
    Descriptor(OwnedFd),
}

/// A request that the daemon has not answered.
pub struct Pending {
    /// None for a request that the shim makes by itself.
    pub connection: Option<Arc<Connection>>,
    pub key: u64,
    pub buffer: Option<Buffer>,
    pub transfer: u8,
    pub answer: Answer,
    pub cancelled: bool,
}
