//! All that concerns Redox's pcid: the match file and the driver channel protocol.
//!
//! pcid owns PCI configuration space. pcid-spawner reads [match files](MATCH_FILE), starts a driver for each
//! function that matches and leaves it an open *channel* to pcid, whose descriptor number is in the
//! environment ([`environment`]). Over it the driver asks for what it needs of its function:
//!
//! * [`protocol`]: the messages, as bytes and as types, in both directions (a test double of pcid uses the
//!   same types). No operating system in it, no `unsafe`.
//! * [`Channel`]: the client: one request, one answer, every error typed.
//! * [`MappedBar`]: a memory BAR in our address space.
//! * [`IrqLine`]: the function's INTx line in the kernel's irq scheme, and the rule for acknowledging it.
//! * [`message`]: MSI and MSI-X: vectors of their own, in the order of preference before the line.
//!
//! Nothing here panics on what pcid or the kernel answers.
//!
//! # Example
//!
//! The answer to "which function am I to drive?", for the network card of a default QEMU machine, without
//! the length prefix of the channel:
//!
//! ```
//! use pcid_config::protocol::{Bar, Response};
//!
//! let body = [
//!     1, 0, 0, 0, // Config
//!     0, 0, 0, 3, 0, // 0000:00:03.0
//!     1, 0, 0, 0, 0, 0, 0xb8, 0xfe, 0, 0, 2, 0, // BAR 0: 32-bit memory at feb8_0000, 128 KiB
//!     3, 0, 0, 0, 0, 0xc0, // BAR 1: I/O port c000
//!     0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // BARs 2 to 5: none
//!     0, // no option ROM
//!     1, 11, 0, // interrupt line 11, not described by a device tree
//!     0x86, 0x80, 0x0e, 0x10, 2, 0, 0, 3, // 8086:100e, class 02.00.00, revision 3
//! ];
//! let Response::Config(function) = Response::decode(&body)? else {
//!     panic!("the first word says Config");
//! };
//! assert_eq!(function.address.to_string(), "0000:00:03.0");
//! assert_eq!((function.id.vendor, function.id.device), (0x8086, 0x100e));
//! assert_eq!(function.bars[0], Bar::Memory32 { address: 0xfeb8_0000, size: 0x2_0000 });
//! # Ok::<(), pcid_config::protocol::DecodeError>(())
//! ```
//!
//! The start of a driver:
//!
//! ```no_run
//! use pcid_config::environment::{self, PCID_CLIENT_CHANNEL};
//! use pcid_config::{Channel, IrqLine, MappedBar};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let variable = std::env::var_os(PCID_CLIENT_CHANNEL);
//! let fd = environment::parse_fd(PCID_CLIENT_CHANNEL, variable.as_deref())?.ok_or("not started by pcid")?;
//! let channel = Channel::from_raw(fd);
//! let function = channel.config()?;
//! let registers = MappedBar::map(&channel, &function, 0, 0x2_0000)?;
//! let irq = function.legacy_interrupt.as_ref().map(IrqLine::open).transpose()?;
//! # Ok(())
//! # }
//! ```
#![warn(
    clippy::allow_attributes_without_reason,
    clippy::expect_used,
    clippy::panic,
    clippy::todo,
    clippy::unimplemented,
    clippy::unreachable,
    clippy::unwrap_used
)]

pub mod bar;
pub mod channel;
pub mod environment;
pub mod handle;
pub mod interrupt;
mod match_file;
pub mod message;
pub mod protocol;

// The unit tests run on Linux: the crate carries the redox_* symbols for the linker.
#[cfg(all(test, not(target_os = "redox")))]
use redox_shim as _;

pub use bar::{BarError, MappedBar};
pub use channel::{Channel, ChannelError};
pub use environment::EnvironmentError;
pub use handle::Handle;
pub use interrupt::{InterruptError, IrqLine, Serviced};
pub use match_file::MATCH_FILE;
pub use message::{MessageError, MessageVector, MsiX};
