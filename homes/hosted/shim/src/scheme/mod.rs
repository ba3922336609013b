//! Schemes of daemons: a client and a daemon, each a process, and the Unix sockets between them.
//!
//! A scheme is at an [`address`]. The [`client`]'s shim turns calls into messages ([`exchange`], [`wire`]), the
//! [`daemon`]'s shim turns messages into the entries of a scheme socket.

pub mod address;
pub mod client;
pub mod daemon;
mod exchange;
mod wire;
