//! Open file descriptions: the things that a file descriptor stands for.

use std::any::Any;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use syscall::data::{Stat, StatVfs};
use syscall::error::{EBADF, EINVAL, ENOTDIR, EOPNOTSUPP, Result};
use syscall::flag::{CallFlags, F_GETFL, F_SETFL, MapFlags, O_RDWR, StdFsCallKind};

use crate::error::fail;
use crate::subscription::{Registration, Subscription};

/// Outcome of opening something.
pub enum Opened {
    /// An object of a scheme.
    Object(Arc<dyn Object>),
    /// A descriptor of the Linux system.
    Descriptor(OwnedFd),
}

impl<T: Object> From<Arc<T>> for Opened {
    fn from(object: Arc<T>) -> Self {
        Opened::Object(object)
    }
}

/// A request to map memory of an object.
#[derive(Clone, Copy, Debug)]
pub struct MapRequest {
    /// Length in bytes, not yet that of whole pages.
    pub length: usize,
    /// Offset in the file, in bytes.
    pub offset: u64,
    /// Protection and kind.
    pub flags: MapFlags,
}

impl MapRequest {
    /// Tells if writes are for all to see.
    pub fn is_shared(&self) -> bool {
        self.flags.contains(MapFlags::MAP_SHARED)
    }
}

/// An open file description.
///
/// Flags are Redox's everywhere here. The defaults answer as the kernel does for an operation that an object does
/// not have.
pub trait Object: Any + Send + Sync {
    /// Path of the object, for `fpath`.
    fn path(&self) -> Result<String> {
        fail(EOPNOTSUPP)
    }

    /// Reads at the position of the description.
    fn read(&self, _buffer: &mut [u8]) -> Result<usize> {
        fail(EBADF)
    }

    /// Writes at the position of the description.
    fn write(&self, _bytes: &[u8]) -> Result<usize> {
        fail(EBADF)
    }

    /// Opens `path` relative to this description.
    fn open_at(&self, _path: &str, _flags: usize, _fcntl_flags: usize) -> Result<Opened> {
        fail(ENOTDIR)
    }

    /// Duplicates with an argument, which makes something new. (Without one, the table does it.)
    fn dup(&self, _argument: &[u8]) -> Result<Opened> {
        fail(EINVAL)
    }

    /// Status of the file.
    fn stat(&self) -> Result<Stat> {
        fail(EBADF)
    }

    /// Status of the file system.
    fn stat_vfs(&self) -> Result<StatVfs> {
        fail(EBADF)
    }

    /// Directory entries after the one whose opaque id is `opaque`, as packed `DirentHeader` records.
    fn entries(&self, _buffer: &mut [u8], _opaque: u64) -> Result<usize> {
        fail(ENOTDIR)
    }

    /// The remaining calls that relibc makes as `StdFsCall`.
    fn std_fs_call(
        &self,
        kind: StdFsCallKind,
        _payload: &mut [u8],
        _first: u64,
        _second: u64,
    ) -> Result<usize> {
        match kind {
            StdFsCallKind::Fsync => Ok(0),
            _ => fail(EOPNOTSUPP),
        }
    }

    /// `SYS_CALL`.
    fn call(&self, _payload: &mut [u8], _flags: CallFlags, _metadata: &[u64]) -> Result<usize> {
        fail(EOPNOTSUPP)
    }

    /// `F_GETFL` and `F_SETFL` in Redox flags; other commands never get here.
    fn fcntl(&self, command: usize, _argument: usize) -> Result<usize> {
        match command {
            F_GETFL => Ok(O_RDWR),
            F_SETFL => Ok(0),
            _ => fail(EINVAL),
        }
    }

    /// Maps memory of the object. Returns the address.
    fn map(self: Arc<Self>, _request: &MapRequest) -> Result<usize> {
        fail(EOPNOTSUPP)
    }

    /// Posts events to `subscription` from now on, beginning with those of what is ready already.
    fn subscribe(&self, _subscription: &Arc<Subscription>) -> Result<Option<Box<dyn Registration>>> {
        fail(EOPNOTSUPP)
    }

    /// `fpath` into a buffer, truncated.
    fn copy_path(&self, buffer: &mut [u8]) -> Result<usize> {
        let path = self.path()?;
        let length = path.len().min(buffer.len());
        buffer[..length].copy_from_slice(&path.as_bytes()[..length]);
        Ok(length)
    }
}

/// The object as a `T`, if it is one.
pub fn downcast<T: Object>(object: Arc<dyn Object>) -> Option<Arc<T>> {
    let any: Arc<dyn Any + Send + Sync> = object;
    any.downcast().ok()
}
