//! Ethernet frames through memory that a driver and a network stack share: the layout, and both ends.
//!
//! It knows no operating system, no NIC and no protocol stack: its users bring four areas of shared memory and a way to
//! wake the other end. The normative description of what lies in that memory, and who may do what when, is
//! `docs/frame-ring.md`.
//!
//! | module | has |
//! |---|---|
//! | [`setup`] | the call by which a client attaches, the names of files |
//! | [`layout`] | sizes and places of the four areas |
//! | [`memory`] | an area of shared memory, seen as atomics: the only unsafe code |
//! | [`client`] | the client's end: `send`, `flush`, `recv`, `arm` |
//! | [`driver`] | the driver's end: `peek`, `take`, `complete`, `push`, `publish` |
//!
//! Neither end trusts the other: what is read from shared memory is read once and checked. A client that breaks the
//! rules breaks its own ring, a driver that does gets an error out of each call; nothing panics.
#![no_std]
#![warn(
    clippy::allow_attributes_without_reason,
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::todo,
    clippy::unimplemented,
    clippy::unreachable,
    clippy::unwrap_used
)]
#![deny(unsafe_code)]

#[cfg(test)]
extern crate std;

#[forbid(unsafe_code)]
pub mod client;
#[forbid(unsafe_code)]
mod copy;
#[forbid(unsafe_code)]
pub mod driver;
#[forbid(unsafe_code)]
mod entry;
#[forbid(unsafe_code)]
mod error;
#[forbid(unsafe_code)]
mod features;
#[forbid(unsafe_code)]
pub mod layout;
#[allow(unsafe_code, reason = "shared memory is reached through a pointer")]
pub mod memory;
#[forbid(unsafe_code)]
mod offload;
#[forbid(unsafe_code)]
mod outgoing;
#[forbid(unsafe_code)]
mod queue;
#[forbid(unsafe_code)]
pub mod setup;
#[forbid(unsafe_code)]
mod status;

pub use error::{AttachError, FrameError, ProtocolError, RecvError, SendError};
pub use features::Features;
pub use offload::{Checksum, Ip, Offload, RxInfo, Segmentation, TxInfo};
pub use status::{Counters, Link, State, Status};
