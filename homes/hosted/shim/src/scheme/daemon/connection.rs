//! Connections of clients: messages in, SQEs out.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use syscall::error::{EBADF, EINVAL, ENODEV, ENOMEM};
use syscall::flag::MapFlags;
use syscall::schemev2::{Opcode, Sqe, SqeFlags};

use super::buffer::Buffer;
use super::request::{Answer, Connection, Mapping, Pending};
use super::state::{ROOT, Scheme, Watcher};
use crate::scheme::wire::{Header, Kind, Reply, TO_DAEMON};
use crate::subscription::Subscription;
use crate::sys;

/// Takes connections until the scheme is closed.
pub fn accept(scheme: &Arc<Scheme>, listener: &UnixListener) {
    while let Ok((stream, _)) = listener.accept() {
        let connection = {
            let mut state = scheme.state();
            if state.closed {
                return;
            }
            let connection = Arc::new(Connection {
                id: state.id(),
                pid: sys::peer_pid(&stream),
                stream,
            });
            state.connections.insert(connection.id, Arc::clone(&connection));
            connection
        };
        let scheme = Arc::clone(scheme);
        let id = connection.id;
        let serving = Arc::clone(&scheme);
        if sys::spawn("shim-client", move || serve(&serving, &connection)).is_err() {
            disconnect(&scheme, id);
        }
    }
}

fn serve(scheme: &Scheme, connection: &Arc<Connection>) {
    while let Ok((header, fds)) = Header::receive(&connection.stream) {
        match header.kind {
            Kind::Request | Kind::Open => {
                if submit_with_buffer(scheme, connection, &header).is_err() {
                    break;
                }
            }
            Kind::Cancel => scheme.cancel(&mut scheme.state(), connection.id),
            Kind::Map | Kind::Unmap => submit_mapping(scheme, connection, &header),
            Kind::Close => {
                scheme.close_description(&mut scheme.state(), header.key, connection.pid);
                connection.reply(Reply::default(), &[]);
            }
            Kind::Subscribe => subscribe(scheme, connection, &header, fds),
            Kind::Unsubscribe => unsubscribe(scheme, connection, &header),
        }
    }
    disconnect(scheme, connection.id);
}

/// The client is gone, or closed one of its connections.
fn disconnect(scheme: &Scheme, id: u64) {
    let mut state = scheme.state();
    let caller = state
        .connections
        .remove(&id)
        .map_or(0, |connection| connection.pid);
    state.watchers.retain(|watcher| watcher.connection != id);
    if state.closed {
        return;
    }
    scheme.cancel(&mut state, id);
    let owned = state
        .descriptions
        .iter()
        .filter(|(_, description)| description.owner == id);
    let keys: Vec<u64> = owned.map(|(key, _)| *key).collect();
    for key in keys {
        scheme.close_description(&mut state, key, caller);
    }
}

/// Receives the bytes that belong to the header and queues the request. Fails if the connection did.
fn submit_with_buffer(scheme: &Scheme, connection: &Arc<Connection>, header: &Header) -> std::io::Result<()> {
    let mut stream = &connection.stream;
    let mut buffer = None;
    if usize::from(header.pointer) < header.args.len() {
        let Some(mut fresh) = Buffer::new(header.page_offset, header.length) else {
            if header.transfer & TO_DAEMON != 0 {
                std::io::copy(&mut stream.take(header.length), &mut std::io::sink())?;
            }
            connection.refuse(ENOMEM);
            return Ok(());
        };
        if header.transfer & TO_DAEMON != 0 {
            stream.read_exact(fresh.bytes())?;
        }
        buffer = Some(fresh);
    }
    let answer = match header.kind {
        Kind::Open => Answer::Description,
        _ if header.opcode == Opcode::OpenAt as u8 || header.opcode == Opcode::Dup as u8 => Answer::Orphan,
        _ => Answer::Plain,
    };
    submit(scheme, connection, header, buffer, answer);
    Ok(())
}

fn submit(
    scheme: &Scheme,
    connection: &Arc<Connection>,
    header: &Header,
    buffer: Option<Buffer>,
    answer: Answer,
) {
    let mut state = scheme.state();
    if state.closed {
        return connection.refuse(ENODEV);
    }
    let Some(number) = state.number(header.key) else {
        return connection.refuse(EBADF);
    };
    let mut args = header.args;
    args[0] = number;
    if let (Some(buffer), Some(arg)) = (&buffer, args.get_mut(usize::from(header.pointer))) {
        *arg = buffer.address();
    }
    let request = Pending {
        connection: Some(Arc::clone(connection)),
        key: header.key,
        buffer,
        transfer: header.transfer,
        answer,
        cancelled: false,
    };
    let sqe = Sqe {
        opcode: header.opcode,
        sqe_flags: SqeFlags::from_bits_retain(header.sqe_flags),
        args,
        caller: connection.pid,
        ..Sqe::default()
    };
    scheme.push_request(&mut state, request, sqe);
}

/// Asks the daemon for memory to map, or lets it know that a client has unmapped some.
fn submit_mapping(scheme: &Scheme, connection: &Arc<Connection>, header: &Header) {
    let [_, length, flags, offset, ..] = header.args;
    if header.kind == Kind::Map {
        let flags = MapFlags::from_bits_retain(flags as usize);
        let mapping = Mapping {
            offset,
            length,
            writable: flags.contains(MapFlags::PROT_WRITE),
        };
        return submit(scheme, connection, header, None, Answer::Memory(mapping));
    }
    if let Some(description) = scheme.state().descriptions.get_mut(&header.key) {
        let same = |mapping: &Mapping| mapping.offset == offset && mapping.length == length;
        if let Some(index) = description.mappings.iter().position(same) {
            description.mappings.remove(index);
        }
    }
    submit(scheme, connection, header, None, Answer::Plain);
}

/// Records the registration first, then asks the daemon, as the kernel does.
fn subscribe(scheme: &Scheme, connection: &Arc<Connection>, header: &Header, fds: Vec<OwnedFd>) {
    let Some(subscription) = Subscription::from_fds(header.args[1] as usize, fds) else {
        return connection.refuse(EINVAL);
    };
    {
        let mut state = scheme.state();
        let Some(number) = state.number(header.key).filter(|_| header.key != ROOT) else {
            return connection.refuse(EBADF);
        };
        state.watchers.push(Watcher {
            connection: connection.id,
            number,
            subscription,
        });
    }
    ask_fevent(scheme, connection, header);
}

fn unsubscribe(scheme: &Scheme, connection: &Arc<Connection>, header: &Header) {
    scheme
        .state()
        .watchers
        .retain(|watcher| watcher.connection != connection.id);
    if header.args[1] == 1 {
        ask_fevent(scheme, connection, header);
    } else {
        connection.reply(Reply::default(), &[]);
    }
}

/// Sends Fevent with everything that anybody wants to know about the handle.
fn ask_fevent(scheme: &Scheme, connection: &Arc<Connection>, header: &Header) {
    let interest = {
        let state = scheme.state();
        let number = state.number(header.key);
        let watchers = state
            .watchers
            .iter()
            .filter(|watcher| Some(watcher.number) == number);
        watchers.fold(0, |flags, watcher| flags | watcher.subscription.mask())
    };
    let mut request = Header::new(Kind::Request, Opcode::Fevent as u8, header.key);
    request.args[1] = interest as u64;
    submit(scheme, connection, &request, None, Answer::Events);
}
