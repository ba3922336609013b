//! The daemon's side of a scheme: the kernel's part between clients and the scheme socket.
//!
//! A thread per [`connection`] turns messages into SQEs, the daemon takes them from the scheme [`socket`] and answers
//! with CQEs. [`state`] is what they share: [`request`]s by tag, descriptions, registrations for events. The [`root`]
//! makes the scheme reachable.

mod buffer;
mod connection;
mod request;
pub mod root;
pub mod socket;
mod state;
