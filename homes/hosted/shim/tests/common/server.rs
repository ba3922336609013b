//! The daemon's loop: redox_event, a nonblocking socket, batches of requests and of responses, parked requests.

use std::collections::VecDeque;
use std::os::fd::AsRawFd;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use event::{EventFlags, EventQueue};
use redox_scheme::scheme::{Op, SchemeResponse, SchemeState, SchemeSync, register_sync_scheme};
use redox_scheme::{CallerCtx, Request, RequestKind, Response, SignalBehavior, Socket};
use syscall::error::{EAGAIN, EINTR, EOPNOTSUPP, EWOULDBLOCK, Error};

use super::scheme::{Seen, TestScheme};

/// Orders from the test to the daemon's thread.
pub enum Order {
    Post(usize, usize),
    Stop,
}

/// Serves a scheme until told to stop.
pub fn serve(
    name: &str,
    seen: Arc<Mutex<Seen>>,
    inbox: &mpsc::Receiver<Order>,
    wake: std::fs::File,
    ready: &mpsc::Sender<()>,
) {
    let queue = EventQueue::<usize>::new().unwrap();
    let socket = Socket::nonblock().unwrap();
    queue
        .subscribe(socket.inner().raw(), 0, EventFlags::READ)
        .unwrap();
    queue
        .subscribe(wake.as_raw_fd() as usize, 1, EventFlags::READ)
        .unwrap();
    let mut scheme = TestScheme::new(Arc::clone(&seen));
    register_sync_scheme(&socket, name, &mut scheme).unwrap();
    ready.send(()).unwrap();
    let mut state = SchemeState::new();
    let mut parked: Vec<(CallerCtx, Op)> = Vec::new();
    for event in queue.iter() {
        let event = event.unwrap();
        let mut responses = VecDeque::new();
        if event.user_data == 1 {
            std::io::Read::read(&mut &wake, &mut [0; 64]).unwrap();
            for order in inbox.try_iter() {
                match order {
                    Order::Post(id, flags) => responses.push_back(Response::post_fevent(id, flags)),
                    Order::Stop => return,
                }
            }
        } else {
            let mut requests: Vec<Request> = Vec::with_capacity(16);
            match socket.read_requests(&mut requests, SignalBehavior::Restart) {
                Ok(()) => seen.lock().unwrap().batches += 1,
                Err(error) => assert_eq!(error.errno, EAGAIN),
            }
            for request in requests {
                handle(
                    request,
                    &mut scheme,
                    &mut state,
                    &mut parked,
                    &mut responses,
                    &seen,
                );
            }
            retry(&mut scheme, &mut state, &mut parked, &mut responses);
        }
        while !responses.is_empty() {
            socket
                .write_responses(&mut responses, SignalBehavior::Restart)
                .unwrap();
        }
    }
}

type Responses = VecDeque<Response>;

fn handle(
    request: Request,
    scheme: &mut TestScheme,
    state: &mut SchemeState,
    parked: &mut Vec<(CallerCtx, Op)>,
    responses: &mut Responses,
    seen: &Arc<Mutex<Seen>>,
) {
    match request.kind() {
        RequestKind::Call(call) => {
            let caller = call.caller();
            match call.op() {
                Ok(op) => step(caller, op, scheme, state, parked, responses, Some(seen)),
                Err(call) => responses.push_back(Response::err(EOPNOTSUPP, call)),
            }
        }
        RequestKind::Cancellation(cancel) => {
            seen.lock().unwrap().cancelled += 1;
            let found = parked
                .iter()
                .position(|(caller, _): &(CallerCtx, Op)| caller.id == cancel.id);
            if let Some(index) = found {
                responses.push_back(Response::err(EINTR, parked.remove(index).1));
            }
        }
        RequestKind::OnClose { id } => scheme.on_close(id),
        RequestKind::SendFd(request) => responses.push_back(Response::err(EOPNOTSUPP, request)),
        RequestKind::RecvFd(request) => responses.push_back(Response::err(EOPNOTSUPP, request)),
        _ => {}
    }
}

fn step(
    caller: CallerCtx,
    mut op: Op,
    scheme: &mut TestScheme,
    state: &mut SchemeState,
    parked: &mut Vec<(CallerCtx, Op)>,
    responses: &mut Responses,
    seen: Option<&Arc<Mutex<Seen>>>,
) {
    responses.push_back(match op.handle_sync_dont_consume(&caller, scheme, state) {
        SchemeResponse::Regular(Err(Error { errno: EWOULDBLOCK })) => {
            if let Some(seen) = seen {
                seen.lock().unwrap().parked += 1;
            }
            return parked.push((caller, op));
        }
        SchemeResponse::Regular(result) => Response::new(result, op),
        SchemeResponse::RegularAndNotifyOnDetach(result) => Response::new_notify_on_detach(result, op),
        SchemeResponse::Opened(result) => Response::open_dup_like(result, op),
    });
}

fn retry(
    scheme: &mut TestScheme,
    state: &mut SchemeState,
    parked: &mut Vec<(CallerCtx, Op)>,
    responses: &mut Responses,
) {
    for (caller, op) in std::mem::take(parked) {
        step(caller, op, scheme, state, parked, responses, None);
    }
}
