//! The file descriptor table: numbers of this process that stand for Redox objects.
//!
//! Every number is a real Linux descriptor, so that it collides with nothing and is gone after `execve`. A number
//! that is not in the table is a plain Linux descriptor.

use std::collections::HashMap;
use std::os::fd::{IntoRawFd, RawFd};
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use syscall::error::{EBADF, EMFILE, Error, Result};

use crate::error::from_linux;
use crate::object::{Object, Opened};
use crate::sys::{self, Counter};

type Entries = HashMap<usize, Arc<dyn Object>>;

static ENTRIES: LazyLock<RwLock<Entries>> = LazyLock::new(RwLock::default);

/// Descriptor of which all numbers are duplicates; it carries no meaning.
static PLACEHOLDER: LazyLock<Option<Counter>> = LazyLock::new(|| Counter::new(true).ok());

fn write<T>(change: impl FnOnce(&mut Entries) -> T) -> T {
    change(&mut ENTRIES.write().unwrap_or_else(PoisonError::into_inner))
}

/// Gives `object` a number, the lowest free one from `minimum` on.
pub fn insert_from(object: Arc<dyn Object>, minimum: usize) -> Result<usize> {
    let placeholder = PLACEHOLDER.as_ref().ok_or(Error::new(EMFILE))?;
    let minimum = i32::try_from(minimum.max(3)).map_err(|_| Error::new(EMFILE))?;
    let number = sys::duplicate(placeholder.as_raw_fd(), minimum).map_err(from_linux)? as usize;
    // An entry that is there already belongs to a number that was closed without libredox.
    let stale = write(|entries| entries.insert(number, object));
    drop(stale);
    Ok(number)
}

/// Gives `object` a number.
pub fn insert(object: Arc<dyn Object>) -> Result<usize> {
    insert_from(object, 3)
}

/// Gives what was opened a number.
pub fn insert_opened(opened: Opened) -> Result<usize> {
    match opened {
        Opened::Object(object) => insert(object),
        Opened::Descriptor(descriptor) => {
            let number = descriptor.into_raw_fd() as usize;
            // An entry that is there already belongs to a number that was closed without libredox.
            forget(number);
            Ok(number)
        }
    }
}

/// Makes `number` stand for `object`, whatever it was before.
pub fn insert_at(object: Arc<dyn Object>, number: usize) -> Result<usize> {
    let placeholder = PLACEHOLDER.as_ref().ok_or(Error::new(EMFILE))?;
    let raw = RawFd::try_from(number).map_err(|_| Error::new(EBADF))?;
    // SAFETY: takes no pointers.
    sys::check(unsafe { libc::dup3(placeholder.as_raw_fd(), raw, libc::O_CLOEXEC) }).map_err(from_linux)?;
    let previous = write(|entries| entries.insert(number, object));
    drop(previous);
    Ok(number)
}

/// Object of `number`; `None` if it is a plain descriptor.
pub fn get(number: usize) -> Option<Arc<dyn Object>> {
    ENTRIES
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .get(&number)
        .cloned()
}

/// Frees `number` and returns its object; `None` (and the number untouched) if it is a plain descriptor.
pub fn remove(number: usize) -> Option<Arc<dyn Object>> {
    // The entry goes first: once the number is closed another thread may get it.
    let object = write(|entries| entries.remove(&number))?;
    if let Ok(raw) = RawFd::try_from(number) {
        let _ = sys::close(raw);
    }
    Some(object)
}

/// Forgets `number` without closing it, because a plain descriptor took its place.
pub fn forget(number: usize) {
    let object = write(|entries| entries.remove(&number));
    drop(object);
}
