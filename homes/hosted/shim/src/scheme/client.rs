//! The client's side of a scheme: an open file of a daemon.

use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use syscall::data::{Stat, StatVfs};
use syscall::dirent::DirentHeader;
use syscall::error::{EINVAL, ENODEV, ENOMEM, EOPNOTSUPP, ESPIPE, Error, Result};
use syscall::flag::{CallFlags, F_GETFL, F_SETFL, O_ACCMODE, O_FCNTL_MASK, StdFsCallKind};
use syscall::schemev2::{NewFdFlags, Opcode};

use crate::error::{fail, from_linux};
use crate::object::{MapRequest, Object, Opened};
use crate::scheme::address::Address;
use crate::scheme::exchange::{Answer, Payload, exchange, receive};
use crate::scheme::wire::{BUFFER_BACK, Header, Kind, RESULT_BACK, Reply};
use crate::subscription::{Registration, Subscription};
use crate::{flags, identity, mapping, sys};

/// Time in ms that a closing client waits for the daemon's shim to take note, so that the daemon sees the close before
/// whatever this client does next.
const CLOSE_WAIT_MS: i32 = 2000;

const PAGE: usize = 4096;

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
    pub fn open_root(address: Address, path: &str, flags: usize, fcntl_flags: usize) -> Result<Opened> {
        Self::open(address, 0, path, flags, fcntl_flags)
    }

    fn open(address: Address, key: u64, path: &str, flags: usize, fcntl_flags: usize) -> Result<Opened> {
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

    fn open_with(address: Address, header: Header, argument: &[u8], flags: usize) -> Result<Opened> {
        let stream = address.connect()?;
        let answer = exchange(&stream, header, Payload::ToDaemon(argument))?;
        answer.value()?;
        if let Some(descriptor) = answer.descriptor {
            return Ok(Opened::Descriptor(descriptor));
        }
        let file = Arc::new(Self {
            address,
            key: answer.reply.key,
            positioned: answer.reply.extra & NewFdFlags::POSITIONED.bits() != 0,
            offset: Mutex::new(0),
            flags: AtomicUsize::new(flags),
            idle: Mutex::new(vec![stream]),
        });
        Ok(file.into())
    }

    fn idle(&self) -> MutexGuard<'_, Vec<UnixStream>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn transact(&self, header: Header, payload: Payload<'_>) -> Result<Answer> {
        let idle = self.idle().pop();
        let stream = match idle {
            Some(stream) => stream,
            None => self.address.connect()?,
        };
        let answer = exchange(&stream, header, payload);
        self.idle().push(stream);
        answer
    }

    fn request(&self, opcode: Opcode, args: [u64; 6], transfer: u8, payload: Payload<'_>) -> Result<usize> {
        let mut header = Header::new(Kind::Request, opcode as u8, self.key);
        header.args = args;
        header.transfer = transfer;
        self.transact(header, payload)?.value()
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
        self.transact(header, payload)?.value()
    }

    /// Reads at `offset`, whatever the kept offset is.
    pub fn read_from(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let args = self.transfer_args(buffer.len(), offset);
        self.request(Opcode::Read, args, RESULT_BACK, Payload::FromDaemon(buffer))
    }

    /// Lets the daemon know that a mapping is gone. One that is gone itself need not know.
    fn unmapped(&self, offset: u64, length: usize) {
        let mut header = Header::new(Kind::Unmap, Opcode::Munmap as u8, self.key);
        header.args = [0, length as u64, 0, offset, 0, identity::packed()];
        let _ = self.transact(header, Payload::None);
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

/// Maps a part of a daemon's memory.
fn map_shared(memory: &OwnedFd, offset: usize, length: usize, protection: i32) -> Result<usize> {
    let (fd, offset) = (memory.as_raw_fd(), offset as libc::off_t);
    // SAFETY: a new mapping at an address of the kernel's choice touches no memory that is in use.
    let address = unsafe { libc::mmap(ptr::null_mut(), length, protection, libc::MAP_SHARED, fd, offset) };
    if address == libc::MAP_FAILED {
        return Err(from_linux(std::io::Error::last_os_error()));
    }
    // As on Redox, a child made by fork has no mapping.
    // SAFETY: the range was mapped a moment ago; the advice changes nothing for this process.
    unsafe { libc::madvise(address, length, libc::MADV_DONTFORK) };
    Ok(address as usize)
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

    fn open_at(&self, path: &str, flags: usize, fcntl_flags: usize) -> Result<Opened> {
        Self::open(self.address.clone(), self.key, path, flags, fcntl_flags)
    }

    fn dup(&self, argument: &[u8]) -> Result<Opened> {
        let mut header = Header::new(Kind::Open, Opcode::Dup as u8, self.key);
        header.args = [0, 0, argument.len() as u64, 0, 0, identity::packed()];
        let flags = self.flags.load(Ordering::Relaxed);
        Self::open_with(self.address.clone(), header, argument, flags)
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

    fn map(self: Arc<Self>, request: &MapRequest) -> Result<usize> {
        if request.length == 0 || !request.offset.is_multiple_of(PAGE as u64) {
            return fail(EINVAL);
        }
        let length = request
            .length
            .checked_next_multiple_of(PAGE)
            .ok_or(Error::new(ENOMEM))?;
        let mut header = Header::new(Kind::Map, Opcode::MmapPrep as u8, self.key);
        let flags = request.flags.bits() as u64;
        header.args = [
            0,
            request.length as u64,
            flags,
            request.offset,
            0,
            identity::packed(),
        ];
        let answer = self.transact(header, Payload::None)?;
        let offset = answer.value()?;
        let memory = answer.descriptor.ok_or(Error::new(ENODEV))?;
        let (file, offset_in_file, given) = (Arc::clone(&self), request.offset, request.length);
        let unmapped = move || file.unmapped(offset_in_file, given);
        // The daemon took a copy for possible. There is none: the memory stays its own.
        let address = if request.is_shared() {
            map_shared(&memory, offset, length, flags::protection(request.flags))
        } else {
            fail(EOPNOTSUPP)
        };
        match address {
            Ok(address) => mapping::insert(address, length, Box::new(unmapped)),
            Err(_) => unmapped(),
        }
        address
    }

    fn subscribe(&self, subscription: &Arc<Subscription>) -> Result<Option<Box<dyn Registration>>> {
        let stream = self.address.connect()?;
        let mut header = Header::new(Kind::Subscribe, Opcode::Fevent as u8, self.key);
        header.args[1] = subscription.mask() as u64;
        header
            .send(&stream, &subscription.fds())
            .map_err(|_| Error::new(ENODEV))?;
        receive(&stream, self.key)?.value()?;
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
        exchange(&self.stream, header, Payload::None)?.value().map(drop)
    }
}
