//! The kernel, its schemes and pcid, as the daemon uses them. The hosted mode runs the same code on Linux.

pub mod clock;
pub mod config_space;
pub mod dma;
pub mod events;
pub mod irq;
pub mod logger;
#[cfg(target_os = "redox")]
pub mod machine;
pub mod mmio;
pub mod namespace;
pub mod pipe;
pub mod signals;
pub mod timer;
