//! Event queues, as redox_event uses them.

use std::sync::Arc;

use syscall::data::Event;
use syscall::error::{EBADF, EFAULT, Error, Result};

use super::{mux, mux_unit};
use crate::error::fail;
use crate::kernel::event::EventQueue;
use crate::object::downcast;
use crate::table;

/// redox_event's record of one event.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct RawEventV1 {
    fd: usize,
    user_data: usize,
    flags: u32,
}

fn queue(fd: usize) -> Result<Arc<EventQueue>> {
    table::get(fd).and_then(downcast).ok_or(Error::new(EBADF))
}

/// A new queue: `open("/scheme/event")`.
#[unsafe(no_mangle)]
pub extern "C" fn redox_event_queue_create_v1(_flags: u32) -> usize {
    mux(EventQueue::new(0).and_then(|queue| table::insert(Arc::new(queue))))
}

/// Takes up to `count` events. Timeout and signal set are ignored, as relibc does.
///
/// # Safety
///
/// `buffer` has room for `count` records.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn redox_event_queue_get_events_v1(
    fd: usize,
    buffer: *mut RawEventV1,
    count: usize,
    _flags: u32,
    _timeout: *const libc::timespec,
    _signals: *const u64,
) -> usize {
    let mut events = vec![Event::default(); count];
    let taken = match queue(fd).and_then(|queue| queue.take(&mut events)) {
        Ok(_) if buffer.is_null() => return mux(fail(EFAULT)),
        Ok(taken) => taken,
        Err(error) => return mux(Err(error)),
    };
    for (index, event) in events[..taken].iter().enumerate() {
        let record = RawEventV1 {
            fd: event.id,
            user_data: event.data,
            flags: event.flags.bits() as u32,
        };
        // SAFETY: `index` is below `count`, for which the caller promised room.
        let slot = unsafe { buffer.add(index) };
        // SAFETY: as above.
        unsafe { slot.write(record) };
    }
    taken
}

/// Registers, changes or (no flags) removes the interest in `fd`.
#[unsafe(no_mangle)]
pub extern "C" fn redox_event_queue_ctl_v1(
    queue_fd: usize,
    fd: usize,
    flags: u32,
    user_data: usize,
) -> usize {
    mux_unit(queue(queue_fd).and_then(|queue| queue.register(fd, flags as usize, user_data)))
}

/// Closes the queue.
#[unsafe(no_mangle)]
pub extern "C" fn redox_event_queue_destroy_v1(fd: usize) -> usize {
    super::file::redox_close_v1(fd)
}
