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
    /// June's namespace manager opens files of a scheme itself, synchronously, for whoever asks: a driver that
    /// is registered and then makes a namespace call, before it serves, can block it while it blocks the driver,
    /// and all of the system with both. So everything that takes the namespace happens here, before
    /// [`Registration::register`], which uses a duplicate of the old one: what is registered in the null
    /// namespace, nobody else sees.
    ///
    /// # Errors
    ///
    /// When the kernel or the namespace manager refuses.
    pub fn prepare(socket: &Socket, root_id: usize) -> Result<Self> {
        let root = Fd::new(socket.create_this_scheme_fd(0, root_id, 0, 0)?);
        let namespace = Fd::new(call::dup(call::getns()?, [])?);
        // Keeps nothing but `memory` and `pipe`.
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
