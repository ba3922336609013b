//! The scheme: `` (frames: a write queues one, a read takes one), `mac` (positioned), the root as a directory.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use redox_scheme::scheme::SchemeSync;
use redox_scheme::{CallerCtx, OpenResult};
use syscall::Stat;
use syscall::dirent::{DirEntry, DirentBuf, DirentKind};
use syscall::error::{
    EACCES, EAGAIN, EBADF, EINVAL, ENOENT, ENOTDIR, EOPNOTSUPP, EWOULDBLOCK, Error, Result,
};
use syscall::flag::{EventFlags as Flags, MODE_FILE, O_DIRECTORY, O_NONBLOCK};
use syscall::schemev2::NewFdFlags;

const ROOT: usize = 1;

/// Requests that the daemon saw.
#[derive(Default)]
pub struct Seen {
    pub closed: Vec<usize>,
    pub cancelled: usize,
    pub parked: usize,
    pub fevents: Vec<(usize, usize)>,
    pub addresses: Vec<usize>,
    pub open_flags: Vec<(usize, u32)>,
    pub transfer_flags: Vec<u32>,
    pub callers: Vec<(usize, u32, u32)>,
    pub batches: usize,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum File {
    Root,
    Data,
    Mac,
    Directory,
}

pub struct TestScheme {
    files: HashMap<usize, File>,
    next: usize,
    frames: VecDeque<Vec<u8>>,
    seen: Arc<Mutex<Seen>>,
}

impl TestScheme {
    pub fn new(seen: Arc<Mutex<Seen>>) -> Self {
        Self {
            files: HashMap::new(),
            next: ROOT,
            frames: VecDeque::new(),
            seen,
        }
    }
}

impl SchemeSync for TestScheme {
    fn scheme_root(&mut self) -> Result<usize> {
        self.files.insert(ROOT, File::Root);
        Ok(ROOT)
    }

    fn openat(
        &mut self,
        dir: usize,
        path: &str,
        flags: usize,
        fcntl: u32,
        ctx: &CallerCtx,
    ) -> Result<OpenResult> {
        let mut seen = self.seen.lock().unwrap();
        seen.open_flags.push((flags, fcntl));
        seen.callers.push((ctx.pid, ctx.uid, ctx.gid));
        if ctx.uid != 0 || !matches!(self.files.get(&dir), Some(File::Root | File::Directory)) {
            return Err(Error::new(EACCES));
        }
        let (file, new) = match path {
            "" if flags & O_DIRECTORY != 0 => (File::Directory, NewFdFlags::empty()),
            "" => (File::Data, NewFdFlags::empty()),
            "mac" => (File::Mac, NewFdFlags::POSITIONED),
            _ => return Err(Error::new(ENOENT)),
        };
        self.next += 1;
        self.files.insert(self.next, file);
        Ok(OpenResult::ThisScheme {
            number: self.next,
            flags: new,
        })
    }

    fn read(
        &mut self,
        id: usize,
        buffer: &mut [u8],
        offset: u64,
        flags: u32,
        _ctx: &CallerCtx,
    ) -> Result<usize> {
        let mut seen = self.seen.lock().unwrap();
        seen.addresses.push(buffer.as_ptr() as usize);
        seen.transfer_flags.push(flags);
        drop(seen);
        assert!(buffer.iter().all(|byte| *byte == 0), "read buffers come zeroed");
        match self.files.get(&id).ok_or(Error::new(EBADF))? {
            File::Mac => {
                let mac = [1, 2, 3, 4, 5, 6];
                let rest = mac.get(offset.min(6) as usize..).unwrap_or_default();
                let count = rest.len().min(buffer.len());
                buffer[..count].copy_from_slice(&rest[..count]);
                Ok(count)
            }
            File::Data => {
                assert_eq!(offset, u64::MAX);
                let Some(frame) = self.frames.pop_front() else {
                    let would_block = if flags as usize & O_NONBLOCK != 0 {
                        EAGAIN
                    } else {
                        EWOULDBLOCK
                    };
                    return Err(Error::new(would_block));
                };
                let count = frame.len().min(buffer.len());
                buffer[..count].copy_from_slice(&frame[..count]);
                Ok(count)
            }
            _ => Err(Error::new(EINVAL)),
        }
    }

    fn write(
        &mut self,
        id: usize,
        bytes: &[u8],
        _offset: u64,
        _flags: u32,
        _ctx: &CallerCtx,
    ) -> Result<usize> {
        match self.files.get(&id) {
            Some(File::Data) => {
                self.frames.push_back(bytes.to_vec());
                Ok(bytes.len())
            }
            _ => Err(Error::new(EINVAL)),
        }
    }

    fn fevent(&mut self, id: usize, flags: Flags, _ctx: &CallerCtx) -> Result<Flags> {
        self.seen.lock().unwrap().fevents.push((id, flags.bits()));
        Ok(if self.frames.is_empty() {
            Flags::empty()
        } else {
            Flags::EVENT_READ & flags
        })
    }

    fn fcntl(&mut self, id: usize, _cmd: usize, _arg: usize, _ctx: &CallerCtx) -> Result<usize> {
        if self.files.get(&id) == Some(&File::Mac) {
            Err(Error::new(EOPNOTSUPP))
        } else {
            Ok(0)
        }
    }

    fn fpath(&mut self, _id: usize, buffer: &mut [u8], _ctx: &CallerCtx) -> Result<usize> {
        let path = b"/scheme/test/";
        let count = path.len().min(buffer.len());
        buffer[..count].copy_from_slice(&path[..count]);
        Ok(count)
    }

    fn fstat(&mut self, _id: usize, stat: &mut Stat, _ctx: &CallerCtx) -> Result<()> {
        *stat = Stat {
            st_mode: MODE_FILE | 0o400,
            st_size: 6,
            ..Stat::default()
        };
        Ok(())
    }

    fn fsync(&mut self, _id: usize, _ctx: &CallerCtx) -> Result<()> {
        Ok(())
    }

    fn dup(&mut self, id: usize, argument: &[u8], _ctx: &CallerCtx) -> Result<OpenResult> {
        if argument != b"again" {
            return Err(Error::new(EINVAL));
        }
        self.next += 1;
        self.files.insert(self.next, self.files[&id]);
        Ok(OpenResult::ThisScheme {
            number: self.next,
            flags: NewFdFlags::empty(),
        })
    }

    fn call(&mut self, _id: usize, payload: &mut [u8], metadata: &[u64], _ctx: &CallerCtx) -> Result<usize> {
        payload.reverse();
        Ok(metadata[0] as usize)
    }

    fn getdents<'b>(
        &mut self,
        id: usize,
        mut buffer: DirentBuf<&'b mut [u8]>,
        opaque: u64,
    ) -> Result<DirentBuf<&'b mut [u8]>> {
        if self.files.get(&id) != Some(&File::Directory) {
            return Err(Error::new(ENOTDIR));
        }
        for (index, name) in ["mac", "stats"].into_iter().enumerate().skip(opaque as usize) {
            let next_opaque_id = index as u64 + 1;
            buffer.entry(DirEntry {
                inode: 0,
                next_opaque_id,
                name,
                kind: DirentKind::Regular,
            })?;
        }
        Ok(buffer)
    }

    fn on_close(&mut self, id: usize) {
        self.files.remove(&id);
        self.seen.lock().unwrap().closed.push(id);
    }
}
