//! The kernel, its schemes and pcid, as the daemon uses them. The hosted mode runs the same code on Linux.

pub mod clock;
pub mod config_space;
pub mod dma;
pub mod events;
pub mod irq;
pub mod logger;
pub mod mmio;
pub mod namespace;
pub mod signals;
pub mod timer;
