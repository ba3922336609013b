//! What the operations on the scheme mean.
//!
//! Errors are the answer to whatever a client does wrong; nothing a client does through the file of frames changes more
//! than its own handle, but that opening it may end the VLAN filter ([`crate::scheme::receive_mode`]). Blocking is the business of [`crate::driver`]: an operation that has to wait answers
//! `EWOULDBLOCK` here, which is not the `EAGAIN` (11) that clients see.

use e1000_hw::TransmitError;
use e1000_hw::nic::MtuError;
use e1000_hw::platform::{Clock, DmaRegion, Registers};
use redox_scheme::scheme::SchemeSync;
use redox_scheme::{CallerCtx, OpenResult};
use syscall::dirent::{DirEntry, DirentBuf, DirentKind};
use syscall::error::{
    EACCES, EAGAIN, EBADF, EBUSY, EINVAL, EIO, EISDIR, EMSGSIZE, ENODEV, ENOENT, ENOTDIR, EWOULDBLOCK,
};
use syscall::flag::{EventFlags, MODE_DIR, MODE_FILE, O_DIRECTORY, O_NONBLOCK};
use syscall::schemev2::NewFdFlags;
use syscall::{Error, Result, Stat};

use super::{Handle, NetworkScheme};
use crate::overload::{BEHIND, BudgetUse};
use crate::scheme::files::{self, File};
use crate::scheme::notify::Subscriber;
use crate::scheme::open_file::OpenFile;

/// Most bytes that can be written to a file at once: more than the longest list of groups has.
const MAX_TEXT: usize = 16 << 10;

/// Copies `bytes` from `offset` on; nothing from the end on, whatever the offset.
fn read_at(bytes: &[u8], offset: u64, out: &mut [u8]) -> usize {
    let rest = usize::try_from(offset)
        .ok()
        .and_then(|offset| bytes.get(offset..))
        .unwrap_or_default();
    let len = rest.len().min(out.len());
    let (Some(out), Some(rest)) = (out.get_mut(..len), rest.get(..len)) else {
        return 0;
    };
    out.copy_from_slice(rest);
    len
}

impl<R: Registers, D: DmaRegion, C: Clock> NetworkScheme<R, D, C> {
    /// Reads an open file. From the beginning, it reads what there is now.
    fn read_file(&mut self, id: usize, offset: u64, buf: &mut [u8]) -> usize {
        let is_fresh = |handle: &Handle| matches!(handle, Handle::File(open) if open.fresh);
        if offset == 0 && !self.handles.get(&id).is_some_and(is_fresh) {
            self.refresh(id);
        }
        let Some(Handle::File(open)) = self.handles.get_mut(&id) else {
            return 0;
        };
        open.fresh = false;
        read_at(&open.content, offset, buf)
    }

    /// Whether a read that does not wait is told that there is nothing though there may be: it is the others' turn, or the
    /// end of the reader's budget ([`crate::overload`]).
    fn refuses_read(&mut self, id: usize) -> bool {
        let Some(Handle::Data(subscriber)) = self.handles.get(&id) else {
            return false;
        };
        let (has_budget, at_end) = (subscriber.has_budget(), subscriber.is_at_end_of_budget());
        let refuse = if has_budget && self.overload.refuses(|| self.clock.now()) {
            if self.overload.is_turn_used() {
                self.fair_drop.make_room(&mut self.nic);
            }
            true
        } else if at_end && self.frames_pending() {
            if self.fair_drop.is_flood() && self.nic.rx().has_filled(BEHIND) {
                self.overload.begin_turn(self.clock.now());
            }
            true
        } else {
            false
        };
        if refuse && let Some(Handle::Data(subscriber)) = self.handles.get_mut(&id) {
            subscriber.refuse();
        }
        refuse
    }

    /// Does what was written to `mtu`, `filter` or `selftest`.
    fn write_file(&mut self, id: usize, file: File, buf: &[u8]) -> Result<()> {
        if self.nic.state().is_gone() {
            return Err(Error::new(ENODEV));
        }
        if self.nic.state().is_testing() {
            return Err(Error::new(EBUSY));
        }
        if let Some(Handle::File(open)) = self.handles.get_mut(&id) {
            open.fresh = false;
        }
        if buf.len() > MAX_TEXT {
            return Err(Error::new(EMSGSIZE));
        }
        // A copy, because the client still has the pages and may change them while they are looked at: what was found
        // to be UTF-8 has to stay so.
        let text = buf.to_vec();
        if file == File::SelfTest {
            return self.start_self_test(&text);
        }
        if file == File::Mtu {
            let mtu = files::parse_mtu(&text).ok_or(Error::new(EINVAL))?;
            let result = self.nic.settings().set_mtu(mtu, &self.clock);
            self.look_at_link();
            return result.map_err(|error| {
                log::warn!("MTU {mtu}: {error}");
                Error::new(match error {
                    MtuError::OutOfRange { .. } => EINVAL,
                    MtuError::Reset(_) => EIO,
                })
            });
        }
        let Some(Handle::File(open)) = self.handles.get_mut(&id) else {
            return Err(Error::new(EBADF));
        };
        open.demand = open.demand.with(&text)?;
        self.apply_demand();
        Ok(())
    }
}

impl<R: Registers, D: DmaRegion, C: Clock> SchemeSync for NetworkScheme<R, D, C> {
    fn scheme_root(&mut self) -> Result<usize> {
        Ok(self.insert(Handle::Root))
    }

    fn openat(
        &mut self,
        dir: usize,
        path: &str,
        flags: usize,
        _fcntl_flags: u32,
        caller: &CallerCtx,
    ) -> Result<OpenResult> {
        if caller.uid != 0 || !matches!(self.handle(dir)?, Handle::Root) {
            return Err(Error::new(EACCES));
        }
        let path = path.trim_matches('/');
        let directory = flags & O_DIRECTORY == O_DIRECTORY;
        let (handle, new) = if path.is_empty() && directory {
            (Handle::Root, NewFdFlags::POSITIONED)
        } else if path.is_empty() {
            (Handle::Data(Subscriber::default()), NewFdFlags::empty())
        } else {
            let file = File::find(path).ok_or(Error::new(ENOENT))?;
            if directory {
                return Err(Error::new(ENOTDIR));
            }
            let open = OpenFile::new(file, flags, self.activity.link_changes);
            (Handle::File(open), NewFdFlags::POSITIONED)
        };
        let is_data = matches!(handle, Handle::Data(_));
        if is_data && std::mem::take(&mut self.deserted) {
            // They came while nobody was there, however long ago.
            self.drop_unclaimed_frames();
        }
        let number = self.insert(handle);
        self.owners.insert(number, caller.pid);
        if is_data {
            self.apply_demand();
        }
        self.refresh(number);
        Ok(OpenResult::ThisScheme { number, flags: new })
    }

    fn read(
        &mut self,
        id: usize,
        buf: &mut [u8],
        offset: u64,
        fcntl_flags: u32,
        _caller: &CallerCtx,
    ) -> Result<usize> {
        match self.handle(id)? {
            Handle::Data(_) => {}
            Handle::File(_) => return Ok(self.read_file(id, offset, buf)),
            Handle::Root => return Err(Error::new(EISDIR)),
        }
        // 0 would mean the end of the file, and smolnetd would take it for a frame.
        if buf.is_empty() {
            return Err(Error::new(EINVAL));
        }
        if self.nic.state().is_gone() {
            return Err(Error::new(ENODEV));
        }
        let nonblocking = fcntl_flags as usize & O_NONBLOCK == O_NONBLOCK;
        if nonblocking && self.refuses_read(id) {
            return Err(Error::new(EAGAIN));
        }
        let frame = self.take_frame(buf);
        let Some(Handle::Data(subscriber)) = self.handles.get_mut(&id) else {
            return Err(Error::new(EBADF));
        };
        match frame {
            Some(len) => {
                let used = subscriber.read_frame();
                if used != BudgetUse::Few && subscriber.has_budget() {
                    self.overload.note_reading(|| self.clock.now());
                    self.fair_drop.count(buf.get(..len).unwrap_or_default());
                }
                self.must_yield |= used == BudgetUse::Spent;
                Ok(len)
            }
            None => {
                subscriber.found_none();
                self.overload.find_end();
                Err(Error::new(if nonblocking { EAGAIN } else { EWOULDBLOCK }))
            }
        }
    }

    fn write(
        &mut self,
        id: usize,
        buf: &[u8],
        _offset: u64,
        _fcntl_flags: u32,
        caller: &CallerCtx,
    ) -> Result<usize> {
        match self.handle(id)? {
            Handle::Data(_) => {}
            Handle::File(open) if open.is_writable() && caller.uid == 0 => {
                let file = open.file;
                return self.write_file(id, file, buf).map(|()| buf.len());
            }
            Handle::Root | Handle::File(_) => return Err(Error::new(EINVAL)),
        }
        if self.nic.state().is_gone() {
            return Err(Error::new(ENODEV));
        }
        match self.nic.tx().send(buf) {
            Ok(()) => {
                self.count_sent();
                Ok(buf.len())
            }
            Err(TransmitError::TooShort) => Err(Error::new(EINVAL)),
            Err(
                TransmitError::TooLong { .. } | TransmitError::TooManySegments | TransmitError::NoBuffers,
            ) => Err(Error::new(EMSGSIZE)),
            // Non-blocking or not: smolnetd drops a frame for good on any error.
            Err(TransmitError::Full) => Err(Error::new(EWOULDBLOCK)),
        }
    }

    fn fcntl(&mut self, id: usize, _cmd: usize, _arg: usize, _caller: &CallerCtx) -> Result<usize> {
        // The kernel keeps the flags and passes them with each read and write.
        self.handle(id).map(|_| 0)
    }

    fn fevent(&mut self, id: usize, flags: EventFlags, _caller: &CallerCtx) -> Result<EventFlags> {
        let frames = self.frames_pending();
        let room = self.nic.tx().has_room();
        match self.handles.get_mut(&id).ok_or(Error::new(EBADF))? {
            Handle::Data(subscriber) => Ok(subscriber.subscribe(flags, frames, room)),
            Handle::File(open) => Ok(open.subscribe(flags, self.activity.link_changes)),
            Handle::Root => Ok(EventFlags::empty()),
        }
    }

    fn fpath(&mut self, id: usize, buf: &mut [u8], _caller: &CallerCtx) -> Result<usize> {
        let file = match self.handle(id)? {
            Handle::Root | Handle::Data(_) => "",
            Handle::File(open) => open.file.name(),
        };
        let path = format!("/scheme/{}/{file}", self.name);
        Ok(read_at(path.as_bytes(), 0, buf))
    }

    fn fstat(&mut self, id: usize, stat: &mut Stat, _caller: &CallerCtx) -> Result<()> {
        let (mode, size) = match self.handle(id)? {
            Handle::Root => (MODE_DIR | 0o500, 0),
            Handle::Data(_) => (MODE_FILE | 0o700, 0),
            Handle::File(open) => {
                let write = if open.file.is_writable() { 0o200 } else { 0 };
                (MODE_FILE | 0o400 | write, open.content.len() as u64)
            }
        };
        *stat = Stat {
            st_mode: mode,
            st_size: size,
            st_nlink: 1,
            ..Stat::default()
        };
        Ok(())
    }

    fn fsync(&mut self, id: usize, _caller: &CallerCtx) -> Result<()> {
        self.handle(id).map(|_| ())
    }

    fn getdents<'buf>(
        &mut self,
        id: usize,
        mut buf: DirentBuf<&'buf mut [u8]>,
        opaque_offset: u64,
    ) -> Result<DirentBuf<&'buf mut [u8]>> {
        if !matches!(self.handle(id)?, Handle::Root) {
            return Err(Error::new(ENOTDIR));
        }
        let first = usize::try_from(opaque_offset).unwrap_or(usize::MAX);
        for (n, file) in File::ALL.into_iter().enumerate().skip(first) {
            let next = n as u64 + 1;
            let entry = DirEntry {
                inode: next,
                next_opaque_id: next,
                name: file.name(),
                kind: DirentKind::Regular,
            };
            match buf.entry(entry) {
                Ok(()) => {}
                // The rest comes with the next call; only a buffer too small for one entry is an error.
                Err(_) if n > first => break,
                Err(error) => return Err(error),
            }
        }
        Ok(buf)
    }

    fn on_close(&mut self, id: usize) {
        self.owners.remove(&id);
        // What it asked for ends with it, and what others asked for may count now.
        match self.handles.remove(&id) {
            Some(Handle::Data(_)) => {
                if !self.has_readers() {
                    self.deserted = true;
                    self.drop_unclaimed_frames();
                }
                self.apply_demand();
            }
            Some(Handle::File(open)) if open.file == File::Filter => self.apply_demand(),
            _ => {}
        }
    }
}
