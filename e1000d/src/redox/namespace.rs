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
    /// June's namespace manager opens files of a scheme itself, synchronously (base, bootstrap/src/initnsmgr.rs). A
    /// driver that is registered and makes a namespace call before it serves can wait for the manager while the
    /// manager waits for the driver, and the whole system with both. So everything that needs the namespace happens
    /// here, before [`Registration::register`]. That uses a duplicate of the old namespace: a name in the null
    /// namespace is invisible to others.
    ///
    /// # Errors
    ///
    /// When the kernel or the namespace manager refuses.
    pub fn prepare(socket: &Socket, root_id: usize) -> Result<Self> {
        let root = Fd::new(socket.create_this_scheme_fd(0, root_id, 0, 0)?);
        let namespace = Fd::new(call::dup(call::getns()?, [])?);
        // It keeps the schemes `memory` and `pipe` only (relibc, src/platform/redox/libredox.rs, `redox_setrens_v1`).
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
