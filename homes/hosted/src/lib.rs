//! Hosted mode: the e1000d daemon as an unprivileged Linux process, driving one of QEMU's emulated NICs.
//!
//! No guest runs. QEMU (crate `qemu-process`) is started with a processor that halts at once ([`machine`]); the NIC's
//! registers are reached through QEMU's test protocol ([`qtest`], [`registers`]), guest RAM is a file that both map
//! and serves as DMA memory ([`memory`]), the NIC's interrupt pin is intercepted at the IOAPIC and becomes an
//! interrupt line of the Redox shim. [`pci`] does what firmware does, [`pcid`] what Redox's pcid does, and
//! [`platform`] hands the rest to the daemon.
//!
//! The program `e1000d-hosted` puts it together; [`harness`] starts that program for tests.
//!
//! ```no_run
//! use e1000_hosted::machine::{Machine, MachineOptions, NicModel};
//! use e1000_hosted::pci;
//! use e1000_hw::platform::Registers;
//!
//! let machine = Machine::start(MachineOptions::new(NicModel::E1000))?;
//! let nic = pci::configure(machine.qtest(), machine.slot())?;
//! let registers = nic.registers(machine.qtest())?;
//! println!("STATUS = {:08x}", registers.read(8));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod harness;
pub mod machine;
pub mod memory;
pub mod pci;
pub mod pcid;
pub mod platform;
pub mod qtest;
pub mod registers;
