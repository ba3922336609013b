//! Schemes of the kernel that the shim plays, each a file. [`crate::namespace`] opens them by name.

pub mod blocks;
pub mod event;
pub mod irq;
pub mod memory;
pub mod null;
pub mod pipe;
pub mod time;
