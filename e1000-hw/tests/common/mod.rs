//! What several tests of the core share.

#![allow(dead_code, reason = "each test file uses a part of it")]

pub mod mdio;

use std::time::Duration;

use e1000_hw::chip::{Chip, find};
use e1000_hw::fake::FakeMachine;
use e1000_hw::recorder::Access;

/// A fake machine, with everything that is done to it recorded.
pub type Recorder = e1000_hw::recorder::Recorder<FakeMachine>;

/// The chip with this id.
pub fn chip(id: u16) -> &'static Chip {
    find(0x8086, id).expect("a chip of the table")
}

/// A wait of so many microseconds.
pub const fn us(micros: u64) -> Access {
    Access::Wait(Duration::from_micros(micros))
}
