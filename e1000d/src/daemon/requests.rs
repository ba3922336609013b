//! The thread that serves requests.

use e1000_hw::platform::Registers;
use libredox::call::fcntl;
use libredox::flag::O_NONBLOCK;
use redox_scheme::{Request, RequestKind, Response, SignalBehavior, Socket};
use syscall::error::{EAGAIN, ENODEV};
use syscall::{F_GETFL, F_SETFL};

use super::shared::{Lock, Shared};
use crate::driver::{BATCH, Next, validate};
use crate::error::{DaemonError, Doing};
use crate::redox::signals;

/// Reads and serves requests until the socket fails, is closed, or the daemon stops.
///
/// # Errors
///
/// When the socket fails or is closed.
pub(super) fn serve_requests<R: Registers>(
    socket: &Socket,
    shared: &Lock<Shared<R>>,
) -> Result<(), DaemonError> {
    let mut requests = Vec::with_capacity(BATCH);
    let mut next = Next::Wait;
    loop {
        if next != Next::Wait || signals::terminating() {
            // The scheduler of June 2026 (kernel, context/switch.rs, select_next_context) charges a thread only when it
            // uses up its time slice. This thread and its clients always block before that, so they are preferred to
            // every thread that was preempted once, such as the main thread, which could then never end the daemon.
            std::thread::yield_now();
        }
        if next == Next::YieldAndPoll && !poll_requests(socket, &mut requests)? {
            let after = shared.lock().step(|driver| driver.note_idle_poll())?;
            next = after.unwrap_or(Next::Wait);
            if next == Next::YieldAndPoll {
                continue;
            }
        }
        if requests.is_empty() {
            socket
                .read_requests(&mut requests, SignalBehavior::Restart)
                .doing("read requests")?;
        }
        if requests.is_empty() {
            return Err(DaemonError::SchemeClosed);
        }
        let after = shared.lock().step(|driver| {
            driver.serve(&mut requests);
            driver.next_step()
        })?;
        next = after.unwrap_or_else(|| {
            refuse(socket, &mut requests);
            Next::Yield
        });
    }
}

/// Reads requests without waiting. Returns true if there were some, or if the scheme is closed.
fn poll_requests(socket: &Socket, requests: &mut Vec<Request>) -> Result<bool, DaemonError> {
    let fd = socket.inner().raw();
    let flags = fcntl(fd, F_GETFL, 0).doing("read flags")?;
    fcntl(fd, F_SETFL, flags | O_NONBLOCK as usize).doing("set flags")?;
    let result = socket.read_requests(requests, SignalBehavior::Restart);
    fcntl(fd, F_SETFL, flags).doing("set flags")?;
    match result {
        Err(error) if error.errno == EAGAIN => Ok(false),
        result => result.map(|()| true).doing("read requests"),
    }
}

/// Answers `requests` with `ENODEV`: the daemon has stopped and is about to end.
fn refuse(socket: &Socket, requests: &mut Vec<Request>) {
    for mut request in requests.drain(..) {
        // After this even an invalid request can be answered.
        let _ = validate(&mut request);
        let answer = match request.kind() {
            RequestKind::Call(request) => Response::err(ENODEV, request),
            RequestKind::SendFd(request) => Response::err(ENODEV, request),
            RequestKind::RecvFd(request) => Response::err(ENODEV, request),
            _ => continue,
        };
        // A failure means that the caller is gone.
        let _ = socket.write_response(answer, SignalBehavior::Restart);
    }
}
