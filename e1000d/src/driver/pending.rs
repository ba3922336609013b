//! Requests that wait: reads for a frame, writes for room in the transmit ring, each in order of arrival.

use std::collections::VecDeque;
use std::time::Duration;

use redox_scheme::scheme::{IntoTag, Op};
use redox_scheme::{CallerCtx, Id};

/// A request of a client.
pub(super) struct Call {
    /// The process that asked.
    pub(super) caller: CallerCtx,
    /// The operation.
    pub(super) op: Op,
}

/// A write of a frame that waits for room.
pub(super) struct PendingWrite {
    /// The write.
    pub(super) call: Call,
    /// Time since which it waits.
    pub(super) since: Duration,
}

/// All requests that wait.
#[derive(Default)]
pub(super) struct Pending {
    /// Reads that wait for a frame.
    pub(super) reads: VecDeque<Call>,
    /// Writes that wait for room.
    pub(super) writes: VecDeque<PendingWrite>,
}

impl Pending {
    /// Takes out the read with that tag.
    pub(super) fn take_read(&mut self, id: Id) -> Option<Call> {
        let n = self.reads.iter().position(|call| call.op.req_id() == id)?;
        self.reads.remove(n)
    }

    /// Takes out the write with that tag.
    pub(super) fn take_write(&mut self, id: Id) -> Option<Call> {
        let n = (self.writes.iter()).position(|write| write.call.op.req_id() == id)?;
        self.writes.remove(n).map(|write| write.call)
    }

    /// Takes out all.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Call> {
        let writes = self.writes.drain(..).map(|write| write.call);
        self.reads.drain(..).chain(writes)
    }
}
