//! `/scheme/memory`: memory whose physical address is known, taken from a file that is a machine's RAM.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use syscall::error::{EINVAL, ENODEV, ENOENT, ENOMEM, EOPNOTSUPP, EPERM, Error, Result};
use syscall::flag::CallFlags;

use super::blocks::Blocks;
use crate::error::fail;
use crate::object::{MapRequest, Object, Opened};
use crate::sys;

const PAGE: u64 = 4096;

/// The largest block of the kernel's buddy allocator: 1024 pages.
const LARGEST: u64 = 4 << 20;

struct Arena {
    file: File,
    physical_base: u64,
    /// Offsets in the file.
    blocks: Blocks,
}

struct Mapping {
    length: u64,
    offset: u64,
    physical: u64,
}

struct State {
    arena: Option<Arena>,
    /// By virtual address.
    mappings: BTreeMap<usize, Mapping>,
}

static STATE: Mutex<State> = Mutex::new(State {
    arena: None,
    mappings: BTreeMap::new(),
});

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Names the memory that `/scheme/memory` hands out: the bytes `start..end` of `file`, where byte 0 of the file has
/// the physical address `physical_base`. Without it there is no memory.
///
/// Blocks handed out earlier stay valid, but the new arena does not know of them.
pub fn set_arena(file: File, physical_base: u64, start: u64, end: u64) {
    state().arena = Some(Arena {
        file,
        physical_base,
        blocks: Blocks::new(start, end),
    });
}

/// Bytes that are mapped now.
pub fn in_use() -> u64 {
    state().mappings.values().map(|mapping| mapping.length).sum()
}

fn map(length: usize) -> Result<usize> {
    let length = u64::try_from(length).map_err(|_| Error::new(ENOMEM))?;
    if length == 0 {
        return fail(EINVAL);
    }
    let length = length
        .max(PAGE)
        .checked_next_power_of_two()
        .filter(|length| *length <= LARGEST);
    let length = length.ok_or(Error::new(ENOMEM))?;
    let mut state = state();
    let arena = state.arena.as_mut().ok_or(Error::new(ENOMEM))?;
    let offset = arena.blocks.take(length).ok_or(Error::new(ENOMEM))?;
    let physical = arena.physical_base + offset;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let fd = arena.file.as_raw_fd();
    // SAFETY: a new mapping at an address of the kernel's choice touches no memory that is in use.
    let address = unsafe {
        libc::mmap(
            ptr::null_mut(),
            length as usize,
            protection,
            libc::MAP_SHARED,
            fd,
            offset as libc::off_t,
        )
    };
    if address == libc::MAP_FAILED {
        arena.blocks.give_back(offset);
        return fail(ENOMEM);
    }
    // SAFETY: `length` bytes from `address` on were mapped for writing a moment ago and are nobody else's yet.
    unsafe { address.cast::<u8>().write_bytes(0, length as usize) };
    state.mappings.insert(
        address as usize,
        Mapping {
            length,
            offset,
            physical,
        },
    );
    Ok(address as usize)
}

/// Frees a block by the address it was mapped at. `None` if it is no block of ours.
pub(crate) fn unmap(address: usize) -> Option<()> {
    let mut state = state();
    let mapping = state.mappings.remove(&address)?;
    // SAFETY: the range is a mapping of ours, removed from the table a moment ago; that nobody uses it any more is
    // the contract of munmap.
    unsafe { libc::munmap(address as *mut libc::c_void, mapping.length as usize) };
    if let Some(arena) = &mut state.arena {
        arena.blocks.give_back(mapping.offset);
    }
    Some(())
}

/// The file behind `length` bytes of a block from `address` on, opened for reading or for reading and writing, and
/// the offset in it. `None` if no block of ours holds all of them.
pub(crate) fn share(address: usize, length: u64, writable: bool) -> Option<(OwnedFd, u64)> {
    let state = state();
    let (base, mapping) = state.mappings.range(..=address).next_back()?;
    let within = (address - base) as u64;
    if within.checked_add(length)? > mapping.length {
        return None;
    }
    // Of its own access mode, for which the kernel then stands: a mapping of a file that is open for reading only
    // cannot be made writable.
    let access = if writable { libc::O_RDWR } else { libc::O_RDONLY };
    let file = sys::reopen(state.arena.as_ref()?.file.as_fd(), access).ok()?;
    Some((file, mapping.offset + within))
}

fn translate(address: usize) -> Result<u64> {
    let state = state();
    let (base, mapping) = state
        .mappings
        .range(..=address)
        .next_back()
        .ok_or(Error::new(ENOENT))?;
    let within = (address - base) as u64;
    if within >= mapping.length {
        return fail(ENOENT);
    }
    // The kernel answers with the page frame and does not add the offset in the page.
    Ok(mapping.physical + within / PAGE * PAGE)
}

/// Opens `path` under `/scheme/memory/`.
pub(crate) fn open(path: &str) -> Result<Arc<dyn Object>> {
    let path = path.trim_start_matches('/');
    let (kind, rest) = path.split_once('@').unwrap_or((path, ""));
    let (memory_type, options) = rest.split_once('?').unwrap_or((rest, ""));
    if !["", "wb", "wc", "uc", "dev"].contains(&memory_type) {
        return fail(EINVAL);
    }
    match (kind, options) {
        ("scheme-root", _) => Ok(Arc::new(Root)),
        ("translation", _) => Ok(Arc::new(Translation)),
        ("" | "zeroed", "") => Ok(Arc::new(Zeroed {
            path: path.into(),
            contiguous: false,
        })),
        ("" | "zeroed", "phys_contiguous") => Ok(Arc::new(Zeroed {
            path: path.into(),
            contiguous: true,
        })),
        ("physical", _) => fail(EPERM),
        _ => fail(EINVAL),
    }
}

struct Root;

impl Object for Root {
    fn path(&self) -> Result<String> {
        Ok("/scheme/memory/scheme-root".into())
    }

    fn open_at(&self, path: &str, _flags: usize, _fcntl_flags: usize) -> Result<Opened> {
        open(path).map(Opened::Object)
    }
}

struct Zeroed {
    path: String,
    contiguous: bool,
}

impl Object for Zeroed {
    fn path(&self) -> Result<String> {
        Ok(format!("/scheme/memory/{}", self.path))
    }

    fn map(self: Arc<Self>, request: &MapRequest) -> Result<usize> {
        if request.is_shared() {
            fail(if self.contiguous { EOPNOTSUPP } else { ENODEV })
        } else {
            map(request.length)
        }
    }
}

struct Translation;

impl Object for Translation {
    fn path(&self) -> Result<String> {
        Ok("/scheme/memory/translation".into())
    }

    fn call(&self, payload: &mut [u8], _flags: CallFlags, _metadata: &[u64]) -> Result<usize> {
        let Some(word) = payload.first_chunk_mut() else {
            return fail(EINVAL);
        };
        *word = translate(usize::from_ne_bytes(*word))?.to_ne_bytes();
        Ok(0)
    }
}
