//! Requests in, answers and events out.
//!
//! Requests arrive in batches; what they lead to (answers, events) is written with one write, and the NIC is told
//! of all frames to transmit with one register write. A request that has to wait is parked: reads in order of
//! arrival until frames come, writes until the ring has room. Every request is answered.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use e1000_hw::platform::{Clock, DmaRegion, Registers};
use redox_scheme::scheme::{IntoTag, Op, SchemeResponse, SchemeState};
use redox_scheme::{CallerCtx, Id, Request, RequestKind, Response, SignalBehavior, Socket};
use syscall::EventFlags;
use syscall::error::{EAGAIN, EINTR, ENODEV, EOPNOTSUPP, EWOULDBLOCK, Error};

use crate::redox::clock::SystemClock;
use crate::scheme::NetworkScheme;
use crate::scheme::notify::Occasion;
use crate::scheme::validate::screen;

/// Requests read at once, at most.
pub const BATCH: usize = 64;
/// A frame that finds no room for this long is dropped, and its sender told that it was sent: the transmitter is
/// stuck, and a client that waits for ever is worse off than one that loses a frame.
const WRITE_LIMIT: Duration = Duration::from_secs(2);

/// Where answers and events go.
pub trait Answers {
    /// Takes answers from the front of `out`, as many as it can: all, normally.
    ///
    /// # Errors
    ///
    /// When it does not take the first one.
    fn write(&mut self, out: &mut VecDeque<Response>) -> syscall::Result<()>;
}

impl Answers for Arc<Socket> {
    fn write(&mut self, out: &mut VecDeque<Response>) -> syscall::Result<()> {
        // Only what lies in one piece is written.
        out.make_contiguous();
        self.write_responses(out, SignalBehavior::Restart)
    }
}

/// A request that waits.
struct Parked {
    caller: CallerCtx,
    op: Op,
    /// When it was parked. None while it is attempted for the first time: reading the clock is a system call,
    /// which a request that need not wait should not pay for.
    since: Option<Duration>,
}

/// Serves one scheme on one socket.
pub struct Server<R: Registers, D: DmaRegion, C: Clock = SystemClock, A: Answers = Arc<Socket>> {
    answers: A,
    scheme: NetworkScheme<R, D, C>,
    state: SchemeState,
    out: VecDeque<Response>,
    reads: VecDeque<Parked>,
    writes: VecDeque<Parked>,
}

impl<R: Registers, D: DmaRegion, C: Clock, A: Answers> Server<R, D, C, A> {
    /// Serves `scheme`; its answers go to `answers`, the socket.
    pub fn new(answers: A, scheme: NetworkScheme<R, D, C>) -> Self {
        Self {
            answers,
            scheme,
            state: SchemeState::new(),
            out: VecDeque::with_capacity(2 * BATCH),
            reads: VecDeque::new(),
            writes: VecDeque::new(),
        }
    }

    /// The scheme.
    pub fn scheme(&mut self) -> &mut NetworkScheme<R, D, C> {
        &mut self.scheme
    }

    /// Whether reads wait for frames.
    pub fn reads_wait(&self) -> bool {
        !self.reads.is_empty()
    }

    /// Whether frames to transmit wait for room.
    pub fn writes_wait(&self) -> bool {
        !self.writes.is_empty()
    }

    /// Serves `requests`, then does what they and the NIC have made possible.
    ///
    /// # Errors
    ///
    /// When the socket fails.
    pub fn serve(&mut self, requests: &mut Vec<Request>) -> syscall::Result<()> {
        self.scheme.count_requests(requests.len());
        for request in requests.drain(..) {
            self.request(request);
        }
        self.settle(Occasion::Served)
    }

    /// Does what has become possible: sends, serves parked requests, posts events, writes all answers.
    ///
    /// # Errors
    ///
    /// When the socket fails.
    pub fn settle(&mut self, occasion: Occasion) -> syscall::Result<()> {
        self.scheme.nic().tx().post();
        self.retry_writes();
        self.retry_reads();
        let out = &mut self.out;
        self.scheme
            .tell_readers(occasion, |id, flags| out.push_back(event(id, flags)));
        self.scheme.tell_link(|id, flags| out.push_back(event(id, flags)));
        self.write_out()
    }

    /// Answers everything that is parked with `errno`, for a daemon that stops.
    ///
    /// # Errors
    ///
    /// When the socket fails.
    pub fn answer_all(&mut self, errno: i32) -> syscall::Result<()> {
        for parked in self.reads.drain(..).chain(self.writes.drain(..)) {
            self.out.push_back(Response::err(errno, parked.op));
        }
        self.write_out()
    }

    /// The NIC is gone: tells everybody who waits, once.
    ///
    /// # Errors
    ///
    /// When the socket fails.
    pub fn lose_device(&mut self) -> syscall::Result<()> {
        let out = &mut self.out;
        if self
            .scheme
            .lose_device(|id, flags| out.push_back(event(id, flags)))
        {
            self.answer_all(ENODEV)?;
        }
        Ok(())
    }

    /// Ends service and gives the scheme back.
    pub fn into_scheme(self) -> NetworkScheme<R, D, C> {
        self.scheme
    }

    fn request(&mut self, mut request: Request) {
        let refused = screen(&mut request);
        let call = match request.kind() {
            RequestKind::Call(call) => call,
            RequestKind::Cancellation(request) => return self.cancel(request.id),
            RequestKind::OnClose { id } => {
                self.state.on_close(id);
                return redox_scheme::scheme::SchemeSync::on_close(&mut self.scheme, id);
            }
            RequestKind::SendFd(request) => {
                return self.out.push_back(Response::err(EOPNOTSUPP, request));
            }
            RequestKind::RecvFd(request) => {
                return self.out.push_back(Response::err(EOPNOTSUPP, request));
            }
            // One-way: nobody waits for an answer. `screen` turned those that do wait into calls.
            RequestKind::MsyncMsg
            | RequestKind::MunmapMsg
            | RequestKind::MmapMsg
            | RequestKind::OnDetach { .. } => return,
        };
        if let Some(errno) = refused {
            return self.out.push_back(Response::err(errno, call));
        }
        let caller = call.caller();
        match call.op() {
            Ok(op) => self.call(caller, op),
            Err(call) => self.out.push_back(Response::err(EOPNOTSUPP, call)),
        }
    }

    fn call(&mut self, caller: CallerCtx, op: Op) {
        let parked = Parked {
            caller,
            op,
            since: None,
        };
        // In order of arrival: frames that have just come belong to those who wait already.
        let wait = match &parked.op {
            Op::Read(read) if !self.reads.is_empty() && self.scheme.is_data(read.fd) => {
                self.retry_reads();
                !self.reads.is_empty() && !parked.op.is_explicitly_nonblock()
            }
            Op::Write(write) => !self.writes.is_empty() && self.scheme.is_data(write.fd),
            _ => false,
        };
        if wait {
            self.park(parked);
        } else if let Some(parked) = self.attempt(parked) {
            self.park(parked);
        }
    }

    /// Carries the operation out and answers it, or gives it back if it has to wait.
    fn attempt(&mut self, mut parked: Parked) -> Option<Parked> {
        let result = parked
            .op
            .handle_sync_dont_consume(&parked.caller, &mut self.scheme, &mut self.state);
        let response = match result {
            SchemeResponse::Regular(Err(Error { errno: EWOULDBLOCK })) => return Some(parked),
            SchemeResponse::Regular(result) => Response::new(result, parked.op),
            SchemeResponse::RegularAndNotifyOnDetach(result) => {
                Response::new_notify_on_detach(result, parked.op)
            }
            SchemeResponse::Opened(result) => Response::open_dup_like(result, parked.op),
        };
        self.out.push_back(response);
        None
    }

    fn park(&mut self, mut parked: Parked) {
        parked.since = Some(self.scheme.now());
        match parked.op {
            Op::Read(_) => self.reads.push_back(parked),
            Op::Write(_) => {
                if self.writes.is_empty() {
                    self.scheme.nic().interrupts().set_transmit(true);
                }
                self.writes.push_back(parked);
            }
            // Nothing else waits.
            _ => self.out.push_back(Response::err(EAGAIN, parked.op)),
        }
    }

    fn retry_reads(&mut self) {
        while !self.reads.is_empty() && self.scheme.frames_pending() {
            let Some(parked) = self.reads.pop_front() else {
                return;
            };
            if let Some(parked) = self.attempt(parked) {
                return self.reads.push_front(parked);
            }
        }
    }

    fn retry_writes(&mut self) {
        if self.writes.is_empty() {
            return;
        }
        let now = self.scheme.now();
        while let Some(parked) = self.writes.pop_front() {
            let Some(parked) = self.attempt(parked) else {
                continue;
            };
            let waited = |since| now.saturating_sub(since);
            if parked.since.is_none_or(|since| waited(since) < WRITE_LIMIT) {
                self.writes.push_front(parked);
                break;
            }
            let len = match &parked.op {
                Op::Write(write) => write.buf().len(),
                _ => 0,
            };
            self.scheme.nic().tx().count_dropped();
            self.out.push_back(Response::ok(len, parked.op));
        }
        self.scheme.nic().tx().post();
        if self.writes.is_empty() {
            self.no_write_waits();
        }
    }

    /// The last write that waited was answered: needs no interrupt for room, and tells who wants to know.
    fn no_write_waits(&mut self) {
        self.scheme.nic().interrupts().set_transmit(false);
        let out = &mut self.out;
        self.scheme
            .tell_writers(|id, flags| out.push_back(event(id, flags)));
    }

    fn cancel(&mut self, id: Id) {
        // Not found: it was answered already, and the answer is under way.
        let waits = |parked: &Parked| parked.op.req_id() == id;
        if let Some(n) = self.reads.iter().position(waits) {
            let parked = self.reads.remove(n);
            return self.interrupted(parked);
        }
        if let Some(n) = self.writes.iter().position(waits) {
            let parked = self.writes.remove(n);
            self.interrupted(parked);
            if self.writes.is_empty() {
                self.no_write_waits();
            }
        }
    }

    fn interrupted(&mut self, parked: Option<Parked>) {
        self.out
            .extend(parked.map(|parked| Response::err(EINTR, parked.op)));
    }

    /// Writes all answers and events, normally with one system call.
    fn write_out(&mut self) -> syscall::Result<()> {
        while !self.out.is_empty() {
            let before = self.out.len();
            match self.answers.write(&mut self.out) {
                Ok(()) if self.out.len() < before => {}
                // The kernel stops at the first answer that it does not take: its caller is gone. The others
                // still wait for theirs.
                Ok(()) | Err(_) => {
                    self.out.pop_front();
                    log::debug!("the kernel did not take an answer");
                }
            }
        }
        Ok(())
    }
}

/// Answers `requests` with `errno`: for a daemon that has stopped and is about to end.
pub fn refuse(socket: &Socket, requests: &mut Vec<Request>, errno: i32) {
    for mut request in requests.drain(..) {
        screen(&mut request);
        let answer = match request.kind() {
            RequestKind::Call(request) => Response::err(errno, request),
            RequestKind::SendFd(request) => Response::err(errno, request),
            RequestKind::RecvFd(request) => Response::err(errno, request),
            _ => continue,
        };
        // Nobody is left to whom a failure would matter.
        let _ = socket.write_response(answer, SignalBehavior::Restart);
    }
}

fn event(id: usize, flags: EventFlags) -> Response {
    Response::post_fevent(id, flags.bits())
}
