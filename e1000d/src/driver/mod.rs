//! The driver of one NIC: the state that both threads of the daemon work on, under a lock.
//!
//! Requests come in batches. All answers and events of a batch go out with one write, and all frames to transmit are
//! posted with one register write. A request that has to wait is pending: a read until a frame arrives, a write until
//! the ring has room, each in order of arrival. Every request is answered.

mod answers;
mod pending;
mod timing;
mod validate;

use std::time::Duration;

use e1000_hw::nic::Nic;
use e1000_hw::platform::{Clock, DmaRegion, Registers};
use redox_scheme::scheme::{Op, SchemeResponse, SchemeState, SchemeSync};
use redox_scheme::{Id, Request, RequestKind, Response};
use syscall::error::{EAGAIN, EINTR, ENODEV, EOPNOTSUPP, EWOULDBLOCK, Error};

use crate::scheme::{NetworkScheme, Occasion};
use answers::Answers;
use pending::{Call, Pending, PendingWrite};
use timing::Timing;

pub use answers::AnswerSink;
pub use timing::WATCH_INTERVAL;
pub use validate::validate;

/// Most requests that are read at once.
pub const BATCH: usize = 64;
/// Time after which a frame for which there is no room is dropped and its write succeeds. The transmitter is stuck
/// then, and a client that waits for ever is worse off than one that loses a frame.
const WRITE_LIMIT: Duration = Duration::from_secs(2);

/// Next step of the thread that serves requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Wait for requests.
    Wait,
    /// Yield the processor, then wait for requests.
    Yield,
    /// Yield the processor, then poll for requests, during a yield to others ([`crate::overload::Yield`]).
    YieldAndPoll,
}

/// Drives one NIC for the clients of its scheme.
pub struct Driver<R: Registers, D: DmaRegion, C: Clock, S: AnswerSink> {
    scheme: NetworkScheme<R, D, C>,
    state: SchemeState,
    pending: Pending,
    answers: Answers<S>,
    timing: Timing,
}

impl<R: Registers, D: DmaRegion, C: Clock, S: AnswerSink> Driver<R, D, C, S> {
    /// Makes the driver behind `scheme`, whose answers go to `sink`.
    pub fn new(sink: S, scheme: NetworkScheme<R, D, C>) -> Self {
        Self {
            scheme,
            state: SchemeState::new(),
            pending: Pending::default(),
            answers: Answers::new(sink),
            timing: Timing::default(),
        }
    }

    /// The scheme.
    pub fn scheme(&mut self) -> &mut NetworkScheme<R, D, C> {
        &mut self.scheme
    }

    /// Number of reads that wait for a frame.
    pub fn pending_reads(&self) -> usize {
        self.pending.reads.len()
    }

    /// Number of writes that wait for room.
    pub fn pending_writes(&self) -> usize {
        self.pending.writes.len()
    }

    /// Serves a batch of requests.
    pub fn serve(&mut self, requests: &mut Vec<Request>) {
        self.scheme.count_requests(requests.len());
        for request in requests.drain(..) {
            self.dispatch(request);
        }
        self.finish(Occasion::Served);
    }

    /// Serves the rings after [`NetworkScheme::acknowledge_interrupt`]. A line has to be unmasked before this call, so
    /// that no frame that arrives in between is missed.
    pub fn serve_interrupt(&mut self) {
        if self.scheme.nic().state().is_gone() {
            return self.flush();
        }
        self.finish(Occasion::Served);
        self.scheme.hold_off_interrupts();
    }

    /// Counts a poll that found no request. Returns the next step.
    pub fn note_idle_poll(&mut self) -> Next {
        if self.scheme.note_idle_poll() {
            self.deliver_frames(Occasion::Served);
            self.flush();
        } else if self.scheme.yields_to_others() {
            return Next::YieldAndPoll;
        }
        Next::Wait
    }

    /// Next step of the thread that serves requests, after a batch.
    pub fn next_step(&mut self) -> Next {
        match (self.scheme.yields_to_others(), self.scheme.take_cpu_yield()) {
            (true, _) => Next::YieldAndPoll,
            (false, true) => Next::Yield,
            (false, false) => Next::Wait,
        }
    }

    /// Answers all pending requests with `errno`, and gives the NIC back.
    pub fn stop(mut self, errno: i32) -> Nic<R, D> {
        self.fail_pending(errno);
        self.answers.flush();
        self.scheme.into_nic()
    }

    /// Ends a step of either thread: frames out, frames in, answers.
    fn finish(&mut self, occasion: Occasion) {
        self.send_frames();
        self.deliver_frames(occasion);
        self.flush();
    }

    /// Posts new frames to the NIC, and carries out pending writes as far as there is room.
    fn send_frames(&mut self) {
        self.scheme.nic().tx().post();
        if self.pending.writes.is_empty() {
            return;
        }
        let now = self.scheme.now();
        while let Some(PendingWrite { call, since }) = self.pending.writes.pop_front() {
            let Some(call) = self.attempt(call) else {
                continue;
            };
            if now.saturating_sub(since) < WRITE_LIMIT {
                self.pending.writes.push_front(PendingWrite { call, since });
                break;
            }
            let len = match &call.op {
                Op::Write(write) => write.buf().len(),
                _ => 0,
            };
            self.scheme.nic().tx().count_dropped();
            self.answers.push(Response::ok(len, call.op));
        }
        self.scheme.nic().tx().post();
        if self.pending.writes.is_empty() {
            self.end_pending_writes();
        }
    }

    /// Gives frames to pending reads, then notifies subscribers of others.
    fn deliver_frames(&mut self, occasion: Occasion) {
        self.serve_pending_reads();
        let answers = &mut self.answers;
        self.scheme
            .notify_of_frames(occasion, |id, flags| answers.post(id, flags));
    }

    fn serve_pending_reads(&mut self) {
        while !self.pending.reads.is_empty() && self.scheme.has_frame() {
            let Some(call) = self.pending.reads.pop_front() else {
                return;
            };
            if let Some(call) = self.attempt(call) {
                return self.pending.reads.push_front(call);
            }
        }
    }

    /// Reports the removal of the NIC and a change of the link, and writes all answers and events.
    fn flush(&mut self) {
        let answers = &mut self.answers;
        let removed = (self.scheme).report_removal(|id, flags| answers.post(id, flags));
        self.scheme.notify_of_link(|id, flags| answers.post(id, flags));
        if removed {
            self.fail_pending(ENODEV);
        }
        self.answers.flush();
    }

    fn fail_pending(&mut self, errno: i32) {
        for call in self.pending.drain() {
            self.answers.push(Response::err(errno, call.op));
        }
    }

    /// Serves one request.
    fn dispatch(&mut self, mut request: Request) {
        let refused = validate(&mut request).err();
        let call = match request.kind() {
            RequestKind::Call(call) => call,
            RequestKind::Cancellation(request) => return self.cancel(request.id),
            RequestKind::OnClose { id } => {
                self.state.on_close(id);
                return self.scheme.on_close(id);
            }
            RequestKind::SendFd(request) => return self.answers.push(Response::err(EOPNOTSUPP, request)),
            RequestKind::RecvFd(request) => return self.answers.push(Response::err(EOPNOTSUPP, request)),
            // One-way messages without an answer. `validate` has turned those that need one into calls.
            RequestKind::MsyncMsg
            | RequestKind::MunmapMsg
            | RequestKind::MmapMsg
            | RequestKind::OnDetach { .. } => return,
        };
        if let Some(error) = refused {
            return self.answers.push(Response::err(error.errno, call));
        }
        let caller = call.caller();
        match call.op() {
            Ok(op) => self.call(Call { caller, op }),
            Err(call) => self.answers.push(Response::err(EOPNOTSUPP, call)),
        }
    }

    /// Carries an operation out, or keeps it if it has to wait.
    fn call(&mut self, call: Call) {
        // Requests are served in order of arrival, so new frames go to pending reads first.
        let behind_others = match &call.op {
            Op::Read(read) if self.pending_reads() > 0 && self.scheme.is_for_frames(read.fd) => {
                self.serve_pending_reads();
                self.pending_reads() > 0 && !call.op.is_explicitly_nonblock()
            }
            Op::Write(write) => self.pending_writes() > 0 && self.scheme.is_for_frames(write.fd),
            _ => false,
        };
        if behind_others {
            self.keep(call);
        } else if let Some(call) = self.attempt(call) {
            self.keep(call);
        }
    }

    /// Carries an operation out and answers it, or gives it back if it has to wait.
    fn attempt(&mut self, mut call: Call) -> Option<Call> {
        let result = call
            .op
            .handle_sync_dont_consume(&call.caller, &mut self.scheme, &mut self.state);
        let answer = match result {
            SchemeResponse::Regular(Err(Error { errno: EWOULDBLOCK })) => return Some(call),
            SchemeResponse::Regular(result) => Response::new(result, call.op),
            SchemeResponse::RegularAndNotifyOnDetach(result) => {
                Response::new_notify_on_detach(result, call.op)
            }
            SchemeResponse::Opened(result) => Response::open_dup_like(result, call.op),
        };
        self.answers.push(answer);
        None
    }

    /// Keeps an operation that has to wait.
    fn keep(&mut self, call: Call) {
        match call.op {
            Op::Read(_) => self.pending.reads.push_back(call),
            Op::Write(_) => {
                if self.pending.writes.is_empty() {
                    self.scheme.nic().interrupts().set_transmit(true);
                }
                let since = self.scheme.now();
                self.pending.writes.push_back(PendingWrite { call, since });
            }
            // No other operation can wait.
            _ => self.answers.push(Response::err(EAGAIN, call.op)),
        }
    }

    /// The last pending write was answered: no interrupt for room is needed, and subscribers are notified of room.
    fn end_pending_writes(&mut self) {
        self.scheme.nic().interrupts().set_transmit(false);
        let answers = &mut self.answers;
        self.scheme.notify_of_room(|id, flags| answers.post(id, flags));
    }

    /// Answers a pending request whose caller got a signal. If it is not pending, it was already answered.
    fn cancel(&mut self, id: Id) {
        if let Some(read) = self.pending.take_read(id) {
            self.answers.push(Response::err(EINTR, read.op));
        } else if let Some(write) = self.pending.take_write(id) {
            self.answers.push(Response::err(EINTR, write.op));
            if self.pending.writes.is_empty() {
                self.end_pending_writes();
            }
        }
    }
}
