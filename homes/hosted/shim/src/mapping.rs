//! Mappings of schemes' memory in this process: the scheme is notified when one ends.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Function that is called when a mapping is gone.
type Notify = Box<dyn FnOnce() + Send>;

struct Mapping {
    length: usize,
    notify: Notify,
}

/// By address.
static MAPPINGS: Mutex<BTreeMap<usize, Mapping>> = Mutex::new(BTreeMap::new());

fn mappings() -> MutexGuard<'static, BTreeMap<usize, Mapping>> {
    MAPPINGS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Remembers the mapping of `length` bytes at `address`; `notify` is called after it was unmapped.
pub fn insert(address: usize, length: usize, notify: Notify) {
    mappings().insert(address, Mapping { length, notify });
}

/// Unmaps, whole, the mapping that begins at `address`. `None` if it is none of these.
pub fn unmap(address: usize) -> Option<()> {
    let mapping = mappings().remove(&address)?;
    // SAFETY: the range is a mapping of ours, removed from the table a moment ago; that nobody uses it any more is
    // the contract of munmap.
    unsafe { libc::munmap(address as *mut libc::c_void, mapping.length) };
    (mapping.notify)();
    Some(())
}
