//! Registration of the scheme, and the null namespace.

use libredox::error::Result;
use libredox::{Fd, call};
use redox_scheme::Socket;

/// A scheme that has a root but no name yet.
pub struct Registration {
    namespace: Fd,
    root: Fd,
}

impl Registration {
    /// Prepares to register the scheme whose root handle is `root_id`, and enters the null namespace.
    ///
    /// The namespace manager of June 2026 opens files of a scheme itself, synchronously (base,
    /// bootstrap/src/initnsmgr.rs). If a driver registers its scheme and then makes a namespace call before it serves
    /// requests, driver and manager can wait for each other, and every process that opens a file waits with them. So
    /// everything that needs the namespace happens here, before [`Registration::register`]. That uses a duplicate of
    /// the old namespace, because names in the null namespace are invisible to others.
    ///
    /// # Errors
    ///
    /// When the kernel or the namespace manager refuses.
    pub fn prepare(socket: &Socket, root_id: usize) -> Result<Self> {
        let root = Fd::new(socket.create_this_scheme_fd(0, root_id, 0, 0)?);
        let namespace = Fd::new(call::dup(call::getns()?, [])?);
        // The null namespace has the schemes `memory` and `pipe` only (relibc, src/platform/redox/libredox.rs,
        // `redox_setrens_v1`).
        call::setrens(0, 0)?;
        Ok(Self { namespace, root })
    }

    /// Gives the scheme its name: from now on it can be opened, and requests must be served.
    ///
    /// # Errors
    ///
    /// `EEXIST` when the name is taken.
    pub fn register(self, name: &str) -> Result<()> {
        // The descriptor of the root moves to the namespace manager.
        call::register_scheme_to_ns(self.namespace.raw(), name, self.root.into_raw())
    }
}
