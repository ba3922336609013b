//! Chip core for the Intel 8254x and 8257x Gigabit Ethernet controllers.
//!
//! It knows the chips and nothing else: no operating system, no allocator, no logging. Its owner implements three small
//! traits ([`platform`]): registers, DMA memory, time.
//!
//! # Use
//!
//! [`nic::Nic::bring_up`] takes a device from any state to sending and receiving, [`nic::Nic::stop`] ends that. The
//! methods for everything in between are in groups:
//!
//! | group | of | for example |
//! |---|---|---|
//! | [`rx()`](nic::Nic::rx) | frames in | `nic.rx().receive(&mut buffer)` |
//! | [`tx()`](nic::Nic::tx) | frames out | `nic.tx().send(&frame)`, then `nic.tx().post()` |
//! | [`interrupts()`](nic::Nic::interrupts) | interrupts | `nic.interrupts().acknowledge(0)` |
//! | [`link()`](nic::Nic::link) | the link, pause frames | `nic.link().refresh(&clock)` |
//! | [`settings()`](nic::Nic::settings) | filter, VLAN tags, MTU, offloads | `nic.settings().set_mtu(9000, &clock)` |
//! | [`recovery()`](nic::Nic::recovery) | the watchdog, resets | `nic.recovery().watch(&clock)` |
//! | [`diagnostics()`](nic::Nic::diagnostics) | counters, registers, the self-test | `nic.diagnostics().collect_statistics()` |
//! | [`state()`](nic::Nic::state) | what is known without a register access | `nic.state().mac()` |
//!
//! A method that takes a clock may sleep. One that takes none never sleeps: an interrupt handler may call it.
//!
//! Frames are copied into and out of the core's own buffers, or sent from and received into the owner's memory, by bus
//! address ([`nic::Tx::send_segments`], [`nic::Rx::provide`]). Where the stack is small, a NIC is built in place
//! ([`nic::Nic::bring_up_in`]); `examples/kernel.rs` shows both.
//!
//! # A complete example
//!
//! `examples/minimal.rs`, on the fake NIC that tests use:
//!
//! ```
#![doc = include_str!("../examples/minimal.rs")]
//! ```
//!
//! # Inside
//!
//! `ring` has the descriptors, which take any address; `pool`, a layer above, the buffers through which frames are
//! copied; `rx` and `tx` the two directions. [`chip`] is the table of parts, [`regs`] that of registers. Bring-up uses
//! [`reset`], [`firmware`], [`nvm`], [`phy`] and [`packet_buffer`]. [`filter`], [`stats`], [`watchdog`], [`self_test`],
//! [`offload`] and [`moderation`] are what their names say. [`nic`] puts all of it together.
#![warn(
    clippy::allow_attributes_without_reason,
    clippy::expect_used,
    clippy::panic,
    clippy::todo,
    clippy::unimplemented,
    clippy::unreachable,
    clippy::unwrap_used
)]
#![no_std]

#[cfg(any(test, feature = "recorder"))]
extern crate std;

mod bring_up;
pub mod chip;
mod errata;
pub mod ethernet;
#[cfg(any(test, feature = "fake"))]
pub mod fake;
mod fiber;
pub mod filter;
pub mod firmware;
pub mod flow_control;
pub mod interrupt;
mod k1;
pub mod link;
pub mod moderation;
mod modify;
pub mod nic;
pub mod nvm;
pub mod offload;
pub mod packet_buffer;
pub mod pause;
pub mod phy;
pub mod platform;
mod pool;
#[cfg(any(test, feature = "recorder"))]
pub mod recorder;
pub mod regs;
pub mod reset;
mod ring;
mod rx;
pub mod self_test;
pub mod stats;
mod token;
mod transmit_error;
mod tx;
mod wait;
pub mod warnings;
pub mod watchdog;

pub use pool::BUFFER_LEN;
pub use ring::{DescriptorStatus, MAX_DESCRIPTORS, MIN_DESCRIPTORS, OutOfDmaMemory, RingSize};
pub use rx::{BufferStatus, ProvideError, ReceivedBuffer, RxCounters};
pub use token::Token;
pub use transmit_error::TransmitError;
pub use tx::{Segment, SentFrame, TxCounters};
pub use wait::TimedOut;
