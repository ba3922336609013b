//! Chip core for the Intel 8254x and 8257x Gigabit Ethernet controllers.
//!
//! It knows the chips and nothing else: no operating system, no allocator, no logging. Whoever uses it brings
//! three small traits ([`platform`]): registers, DMA memory, time.
//!
//! ```
//! use e1000_hw::chip;
//! use e1000_hw::fake::FakeMachine;
//! use e1000_hw::nic::{Config, Nic};
//!
//! let chip = chip::find(0x8086, 0x100E).expect("82540EM is in the table");
//! let machine = FakeMachine::new(chip);
//! let mut nic = Nic::bring_up(machine.registers(), chip, Config::default(), &mut machine.dma(), &machine)?;
//!
//! nic.tx().send(b"\xff\xff\xff\xff\xff\xff\x52\x54\x00\x12\x34\x56\x88\xb5hello").expect("the ring is empty");
//! nic.tx().post(); // one write of TDT for all frames taken
//!
//! machine.deliver(&[0xFF; 60]); // a broadcast frame comes in
//! let mut frame = [0; 2048];
//! assert_eq!(nic.rx().receive(&mut frame), Some(60));
//! nic.stop(&machine);
//! # Ok::<(), e1000_hw::nic::BringUpError>(())
//! ```
//!
//! From the inside out: `ring` and `pool` are the DMA memory, `rx` and `tx` the two directions, [`chip`] the table of
//! parts, [`reset`], [`firmware`], [`nvm`], [`phy`] and [`packet_buffer`] what bring-up needs, [`nic`] the whole;
//! [`filter`], [`stats`], [`watchdog`] and [`self_test`] are what it does besides frames, [`offload`] what it can do to
//! them, [`moderation`] how often it interrupts.
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
