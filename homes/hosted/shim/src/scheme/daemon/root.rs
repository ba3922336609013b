//! The root of a scheme, by which its daemon makes it reachable.

use std::os::unix::net::UnixListener;
use std::sync::Arc;

use syscall::data::Stat;
use syscall::error::{EBUSY, ENODEV, ENOSYS, Result};
use syscall::flag::MODE_DIR;

use super::connection;
use super::state::Scheme;
use crate::error::{fail, from_linux};
use crate::object::{Object, Opened};
use crate::sys;

/// The root of a scheme before it is registered.
pub struct RootFd {
    scheme: Arc<Scheme>,
    number: u64,
}

impl RootFd {
    /// The root of `scheme`, with the daemon's handle id of it.
    pub(super) fn new(scheme: Arc<Scheme>, number: u64) -> Self {
        Self { scheme, number }
    }

    /// Opens the scheme for clients at `listener`.
    pub fn listen(&self, listener: UnixListener) -> Result<()> {
        let mut state = self.scheme.state();
        if state.closed {
            return fail(ENODEV);
        }
        if state.listener.is_some() {
            return fail(EBUSY);
        }
        state.root = Some(self.number);
        state.listener = Some(listener.try_clone().map_err(from_linux)?);
        let scheme = Arc::clone(&self.scheme);
        sys::spawn("shim-accept", move || connection::accept(&scheme, &listener)).map_err(from_linux)
    }
}

impl Object for RootFd {
    fn open_at(&self, _path: &str, _flags: usize, _fcntl_flags: usize) -> Result<Opened> {
        fail(ENOSYS)
    }

    fn stat(&self) -> Result<Stat> {
        Ok(Stat {
            st_mode: MODE_DIR,
            st_nlink: 1,
            ..Stat::default()
        })
    }
}
