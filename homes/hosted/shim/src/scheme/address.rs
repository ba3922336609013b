//! Addresses of schemes: Unix sockets, in the shim's directory or known to one namespace only.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::PathBuf;

use syscall::error::{EEXIST, ENODEV, Error, Result};

use crate::error::from_linux;

/// Address of a scheme.
#[derive(Clone, Debug)]
pub enum Address {
    /// A socket in the shim directory: everybody sees it.
    Path(PathBuf),
    /// An abstract socket, known to one namespace only.
    Private(String),
}

impl Address {
    fn socket_address(&self) -> io::Result<SocketAddr> {
        match self {
            Address::Path(path) => SocketAddr::from_pathname(path),
            Address::Private(name) => SocketAddr::from_abstract_name(name),
        }
    }

    /// A connection to the scheme. No socket and a socket without a listener are the same: `ENODEV`.
    pub fn connect(&self) -> Result<UnixStream> {
        let address = self.socket_address().map_err(|_| Error::new(ENODEV))?;
        UnixStream::connect_addr(&address).map_err(|_| Error::new(ENODEV))
    }

    /// Listens at the address; `EEXIST` if the name is taken, be it by a scheme whose daemon is dead.
    pub fn listen(&self) -> Result<UnixListener> {
        let listener = self
            .socket_address()
            .and_then(|address| UnixListener::bind_addr(&address));
        listener.map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => Error::new(EEXIST),
            _ => from_linux(error),
        })
    }
}
