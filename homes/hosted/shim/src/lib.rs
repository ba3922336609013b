//! The `redox_*` C symbols on Linux, so that a Redox scheme daemon and its clients run as Linux processes.
//!
//! libredox and redox_event declare these symbols; on Redox relibc defines them. Here a scheme is a Unix socket in a
//! directory ([`set_directory`] or `REDOX_SHIM_DIR`), an event queue is an epoll descriptor, an interrupt line is
//! whatever [`irq::line`] says, the memory scheme hands out pieces of a file ([`memory::set_arena`]), and pipes are
//! Linux's. A program links the symbols by naming this crate:
//!
//! ```
//! use redox_shim as _;
//!
//! let null = libredox::Fd::open("/scheme/null", libredox::flag::O_RDWR, 0).unwrap();
//! assert_eq!(null.write(b"gone").unwrap(), 4);
//! assert_eq!(libredox::Fd::open("/scheme/nobody", 0, 0).err().unwrap().errno(), libredox::errno::ENODEV);
//! ```
//!
//! # What differs from Redox
//!
//! * Descriptors are close-on-exec without exception, and a descriptor of a scheme must be closed through libredox:
//!   closing its number with libc leaves a stale entry behind. After `fork` without `execve` parent and child share
//!   a description, and the first to close it closes it for both.
//! * Flags, clock numbers and `struct stat` are Linux's at this ABI, because libredox takes them from libc; requests
//!   carry Redox's.
//! * A client whose daemon dies gets `ENODEV` for the request in flight. On Redox it waits for ever.
//! * Client buffers are copied, whole pages too: what a daemon writes beyond its result is not seen by the client,
//!   nor is anything written before an error.
//! * Memory of a daemon can be mapped, shared, if it is in a block of `/scheme/memory`; a mapping is unmapped whole. A
//!   private one is `EOPNOTSUPP` if the daemon allows it; the kernel then blocks the client at its first write. Daemon
//!   and client may be one process, which the kernel refuses.
//! * A daemon can answer with a descriptor (`RespondWithFd`) if it is one of Linux, the end of a pipe for example:
//!   descriptors of schemes do not leave their process (`ENOSYS`). Its own number stays open until redox-scheme closes
//!   it after the answer; the kernel has taken it out of the daemon's table by then (`handle_parsed` in its
//!   src/scheme/user.rs), and another thread may have got the same number. Detach requests are never sent.
//! * Events of different descriptors come in epoll's order, a post with READ and WRITE at once may overtake a post
//!   with one of them, and unsubscribing drops what is queued. Plain Linux descriptors report edges, and one queue
//!   holds each of them once.
//! * `redox_event_queue_get_events_v1` returns as many events as fit; relibc's returns one. Both ignore the timeout.
//! * The caller in a request is the process, not the thread, and every process is root until it calls
//!   [`set_identity`].
//! * There is no `unlink`: [`unlink_scheme`] does it. Namespaces have no permissions; opening a file outside
//!   `/scheme` opens the Linux file, and needs the full namespace.
//! * `/scheme/memory/physical` exists in name only; of `/scheme/irq` there are the sixteen legacy lines and `bsp`. A
//!   pipe may be given its other end more than once.

mod abi;
pub mod client;
mod error;
mod flags;
mod identity;
mod kernel;
mod mapping;
mod namespace;
mod object;

mod scheme;
mod subscription;
mod sys;
mod table;

pub use identity::set_identity;
pub use kernel::{blocks, irq, memory};
pub use namespace::{set_directory, unlink_scheme};
pub use sys::spawn as spawn_without_signals;
