//! The client's side of a scheme: an open file of a daemon.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use syscall::data::{Stat, StatVfs};
use syscall::dirent::DirentHeader;
use syscall::error::{EINVAL, ENODEV, ESPIPE, Error, Result};
use syscall::flag::{CallFlags, F_GETFL, F_SETFL, O_ACCMODE, O_FCNTL_MASK, StdFsCallKind};
use syscall::schemev2::{NewFdFlags, Opcode};

use crate::error::fail;
use crate::object::Object;
use crate::scheme::address::Address;
use crate::scheme::wire::{BUFFER_BACK, Header, Kind, POINTER, RESULT_BACK, Reply, TO_DAEMON};
use crate::subscription::{Registration, Subscription};
use crate::{identity, sys};

/// Time in ms that a closing client waits for the daemon's shim to take note, so that the daemon sees the close before
/// whatever this client does next.
const CLOSE_WAIT_MS: i32 = 2000;

/// The bytes of a request.
enum Payload<'a> {
    None,
    ToDaemon(&'a [u8]),
    FromDaemon(&'a mut [u8]),
    Both(&'a mut [u8]),
}

impl Payload<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Payload::None => &[],
            Payload::ToDaemon(bytes) => bytes,
            Payload::FromDaemon(bytes) | Payload::Both(bytes) => bytes,
        }
    }
}

/// Sends one request and waits for its reply, without limit, as the kernel does. A signal becomes a Cancel, and the
/// wait goes on: the daemon has to answer.
fn exchange(stream: &UnixStream, mut header: Header, payload: Payload<'_>) -> Result<Reply> {
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
    let reply = receive_reply(stream, header.key)?;
    let length = reply.length as usize;
    if let Payload::FromDaemon(buffer) | Payload::Both(buffer) = payload {
        let target = buffer.get_mut(..length).ok_or(Error::new(ENODEV))?;
        (&mut &*stream).read_exact(target).map_err(gone)?;
    }
    Ok(reply)
}

fn receive_reply(mut stream: &UnixStream, key: u64) -> Result<Reply> {
    let mut bytes = [0; Reply::LEN];
    let (mut done, mut cancelled) = (0, false);
    while done < bytes.len() {
        match stream.read(&mut bytes[done..]) {
            Ok(0) => return fail(ENODEV),
            Ok(count) => done += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {
                if !cancelled {
                    cancelled = true;
                    let _ = Header::new(Kind::Cancel, Opcode::Cancel as u8, key).send(stream, &[]);
                }
            }
            Err(_) => return fail(ENODEV),
        }
    }
    Ok(Reply::decode(&bytes))
}

fn value(reply: &Reply) -> Result<usize> {
    Error::demux(reply.result as usize)
}

/// An open file of a scheme.
pub struct ClientFile {
    address: Address,
    key: u64,
    positioned: bool,
    offset: Mutex<u64>,
    flags: AtomicUsize,
    /// Idle connections. The first one made keeps the description alive; all of them live as long as the file.
    idle: Mutex<Vec<UnixStream>>,
}

impl ClientFile {
    /// Opens `path` of the scheme at `address`.
    pub fn open_root(address: Address, path: &str, flags: usize, fcntl_flags: usize) -> Result<Arc<Self>> {
        Self::open(address, 0, path, flags, fcntl_flags)
    }

    fn open(address: Address, key: u64, path: &str, flags: usize, fcntl_flags: usize) -> Result<Arc<Self>> {
        let mut header = Header::new(Kind::Open, Opcode::OpenAt as u8, key);
        header.args = [
            0,
            0,
            path.len() as u64,
            flags as u64,
            fcntl_flags as u64,
            identity::packed(),
        ];
        Self::open_with(address, header, path.as_bytes(), flags)
    }

    fn open_with(address: Address, header: Header, argument: &[u8], flags: usize) -> Result<Arc<Self>> {
        let stream = address.connect()?;
        let reply = exchange(&stream, header, Payload::ToDaemon(argument))?;
        value(&reply)?;
        Ok(Arc::new(Self {
            address,
            key: reply.key,
            positioned: reply.extra & NewFdFlags::POSITIONED.bits() != 0,
            offset: Mutex::new(0),
            flags: AtomicUsize::new(flags),
            idle: Mutex::new(vec![stream]),
        }))
    }

    fn idle(&self) -> MutexGuard<'_, Vec<UnixStream>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn transact(&self, header: Header, payload: Payload<'_>) -> Result<Reply> {
        let idle = self.idle().pop();
        let stream = match idle {
            Some(stream) => stream,
            None => self.address.connect()?,
        };
        let reply = exchange(&stream, header, payload);
        self.idle().push(stream);
        reply
    }

    fn request(&self, opcode: Opcode, args: [u64; 6], transfer: u8, payload: Payload<'_>) -> Result<usize> {
        let mut header = Header::new(Kind::Request, opcode as u8, self.key);
        header.args = args;
        header.transfer = transfer;
        value(&self.transact(header, payload)?)
    }

    fn position(&self) -> u64 {
        if self.positioned { *self.offset() } else { u64::MAX }
    }

    fn offset(&self) -> MutexGuard<'_, u64> {
        self.offset.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn advance(&self, count: usize) {
        if self.positioned {
            let mut offset = self.offset();
            *offset = offset.saturating_add(count as u64);
        }
    }

    fn transfer_args(&self, length: usize, offset: u64) -> [u64; 6] {
        let flags = self.flags.load(Ordering::Relaxed) as u64;
        [0, 0, length as u64, offset, flags, identity::packed()]
    }

    /// Moves the kept offset.
    pub fn seek(&self, offset: u64) -> Result<()> {
        if !self.positioned {
            return fail(ESPIPE);
        }
        *self.offset() = offset;
        Ok(())
    }

    /// Sends any request; the handle id and the address of the buffer are filled in on the way.
    pub fn raw_request(
        &self,
        opcode: u8,
        sqe_flags: u8,
        args: [u64; 6],
        buffer: Option<(&mut [u8], u8)>,
    ) -> Result<usize> {
        let mut header = Header::new(Kind::Request, opcode, self.key);
        header.sqe_flags = sqe_flags;
        header.args = args;
        let payload = match buffer {
            None => Payload::None,
            Some((buffer, index)) => {
                header.pointer = index;
                header.transfer = BUFFER_BACK;
                Payload::Both(buffer)
            }
        };
        value(&self.transact(header, payload)?)
    }

    /// Reads at `offset`, whatever the kept offset is.
    pub fn read_from(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let args = self.transfer_args(buffer.len(), offset);
        self.request(Opcode::Read, args, RESULT_BACK, Payload::FromDaemon(buffer))
    }

    fn std_call(&self, kind: StdFsCallKind, payload: Payload<'_>, first: u64, second: u64) -> Result<usize> {
        let transfer = match (kind, &payload) {
            (_, Payload::None | Payload::ToDaemon(_)) => 0,
            (StdFsCallKind::Getdents, _) => RESULT_BACK,
            _ => BUFFER_BACK,
        };
        let args = [0, 0, payload.bytes().len() as u64, kind as u64, first, second];
        // A call without payload still has a payload pointer: the dangling one.
        let payload = if matches!(payload, Payload::None) {
            Payload::ToDaemon(&[])
        } else {
            payload
        };
        self.request(Opcode::StdFsCall, args, transfer, payload)
    }
}

impl Drop for ClientFile {
    fn drop(&mut self) {
        let Some(mut stream) = self.idle().pop() else {
            return;
        };
        if Header::new(Kind::Close, 0, self.key).send(&stream, &[]).is_ok()
            && sys::wait_readable(stream.as_raw_fd(), CLOSE_WAIT_MS).unwrap_or(false)
        {
            let _ = stream.read_exact(&mut [0; Reply::LEN]);
        }
    }
}

impl Object for ClientFile {
    fn copy_path(&self, buffer: &mut [u8]) -> Result<usize> {
        let args = [0, 0, buffer.len() as u64, 0, 0, 0];
        self.request(Opcode::Fpath, args, RESULT_BACK, Payload::FromDaemon(buffer))
    }

    fn read(&self, buffer: &mut [u8]) -> Result<usize> {
        let count = self.read_from(buffer, self.position())?;
        self.advance(count);
        Ok(count)
    }

    fn write(&self, bytes: &[u8]) -> Result<usize> {
        let args = self.transfer_args(bytes.len(), self.position());
        let count = self.request(Opcode::Write, args, 0, Payload::ToDaemon(bytes))?;
        self.advance(count);
        Ok(count)
    }

    fn open_at(&self, path: &str, flags: usize, fcntl_flags: usize) -> Result<Arc<dyn Object>> {
        Ok(Self::open(
            self.address.clone(),
            self.key,
            path,
            flags,
            fcntl_flags,
        )?)
    }

    fn dup(&self, argument: &[u8]) -> Result<Arc<dyn Object>> {
        let mut header = Header::new(Kind::Open, Opcode::Dup as u8, self.key);
        header.args = [0, 0, argument.len() as u64, 0, 0, identity::packed()];
        let flags = self.flags.load(Ordering::Relaxed);
        Ok(Self::open_with(self.address.clone(), header, argument, flags)?)
    }

    fn stat(&self) -> Result<Stat> {
        let mut stat = Stat::default();
        self.std_call(StdFsCallKind::Fstat, Payload::FromDaemon(&mut stat), 0, 0)?;
        Ok(stat)
    }

    fn stat_vfs(&self) -> Result<StatVfs> {
        let mut stat = StatVfs::default();
        self.std_call(StdFsCallKind::Fstatvfs, Payload::FromDaemon(&mut stat), 0, 0)?;
        Ok(stat)
    }

    fn entries(&self, buffer: &mut [u8], opaque: u64) -> Result<usize> {
        let header_size = size_of::<DirentHeader>() as u64;
        self.std_call(
            StdFsCallKind::Getdents,
            Payload::FromDaemon(buffer),
            opaque,
            header_size,
        )
    }

    fn std_fs_call(&self, kind: StdFsCallKind, payload: &mut [u8], first: u64, second: u64) -> Result<usize> {
        let payload = if payload.is_empty() {
            Payload::None
        } else {
            Payload::ToDaemon(payload)
        };
        self.std_call(kind, payload, first, second)
    }

    fn call(&self, payload: &mut [u8], flags: CallFlags, metadata: &[u64]) -> Result<usize> {
        let word = |index: usize| metadata.get(index).copied().unwrap_or(0);
        let length = payload.len() as u64;
        if flags.contains(CallFlags::FD) {
            let count = length / size_of::<usize>() as u64;
            return if flags.contains(CallFlags::WRITE) {
                self.request(Opcode::Sendfd, [0, 0, word(0), count, 0, 0], 0, Payload::None)
            } else {
                self.request(
                    Opcode::Recvfd,
                    [0, 0, count, word(0), word(1), 0],
                    0,
                    Payload::None,
                )
            };
        }
        let opcode = if flags.contains(CallFlags::STD_FS) {
            Opcode::StdFsCall
        } else {
            Opcode::Call
        };
        let args = [0, 0, length, word(0), word(1), word(2)];
        if flags.contains(CallFlags::READ) {
            let payload = if flags.contains(CallFlags::WRITE) {
                Payload::Both(payload)
            } else {
                Payload::FromDaemon(payload)
            };
            self.request(opcode, args, BUFFER_BACK, payload)
        } else {
            self.request(opcode, args, 0, Payload::ToDaemon(payload))
        }
    }

    fn fcntl(&self, command: usize, argument: usize) -> Result<usize> {
        let args = [0, command as u64, argument as u64, 0, 0, identity::packed()];
        self.request(Opcode::Fcntl, args, 0, Payload::None)?;
        let flags = self.flags.load(Ordering::Relaxed);
        match command {
            F_GETFL => Ok(flags),
            F_SETFL => {
                self.flags
                    .store((flags & O_ACCMODE) | (argument & O_FCNTL_MASK), Ordering::Relaxed);
                Ok(0)
            }
            _ => fail(EINVAL),
        }
    }

    fn subscribe(&self, subscription: &Arc<Subscription>) -> Result<Option<Box<dyn Registration>>> {
        let stream = self.address.connect()?;
        let mut header = Header::new(Kind::Subscribe, Opcode::Fevent as u8, self.key);
        header.args[1] = subscription.mask() as u64;
        header
            .send(&stream, &subscription.fds())
            .map_err(|_| Error::new(ENODEV))?;
        value(&receive_reply(&stream, self.key)?)?;
        Ok(Some(Box::new(RemoteRegistration {
            stream,
            key: self.key,
        })))
    }
}

/// A subscription at a daemon lives as long as this connection.
struct RemoteRegistration {
    stream: UnixStream,
    key: u64,
}

impl Registration for RemoteRegistration {
    fn end(&self, notify: bool) -> Result<()> {
        let mut header = Header::new(Kind::Unsubscribe, Opcode::Fevent as u8, self.key);
        header.args[1] = u64::from(notify);
        value(&exchange(&self.stream, header, Payload::None)?).map(drop)
    }
}
