//! Names: paths, the namespace and its restricted form.

use std::collections::HashMap;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::{fs, io};

use syscall::data::Stat;
use syscall::dirent::{DirEntry, DirentBuf, DirentHeader, DirentKind};
use syscall::error::{EBADF, EEXIST, EINVAL, EISDIR, ENODEV, ENOENT, Error, Result};
use syscall::flag::{MODE_DIR, O_DIRECTORY, O_STAT};

use crate::error::{fail, from_linux};
use crate::kernel::event::EventQueue;
use crate::kernel::null::Null;
use crate::kernel::{irq, memory, pipe, time};
use crate::object::{Object, Opened, downcast};
use crate::scheme::address::Address;
use crate::scheme::client::ClientFile;
use crate::scheme::daemon::root::RootFd;
use crate::scheme::daemon::socket::CreationCap;
use crate::{sys, table};

/// Schemes of the kernel that the shim plays.
const BUILTIN: [&str; 7] = ["event", "irq", "memory", "namespace", "null", "pipe", "time"];

/// Those of them that a restricted namespace keeps.
const RESTRICTED: [&str; 2] = ["memory", "pipe"];

static DIRECTORY: RwLock<Option<PathBuf>> = RwLock::new(None);

/// Sets the directory whose sockets are the schemes, for this process; before, it is `REDOX_SHIM_DIR`.
pub fn set_directory(path: impl Into<PathBuf>) {
    *DIRECTORY.write().unwrap_or_else(PoisonError::into_inner) = Some(path.into());
}

/// The directory whose sockets are the schemes; `ENODEV` if nobody named one.
fn directory() -> Result<PathBuf> {
    let set = DIRECTORY.read().unwrap_or_else(PoisonError::into_inner).clone();
    set.or_else(|| std::env::var_os("REDOX_SHIM_DIR").map(PathBuf::from))
        .ok_or(Error::new(ENODEV))
}

/// Takes the name of a scheme out of the namespace, as `unlink("/scheme/<name>")` does on Redox.
///
/// # Errors
///
/// `NotFound` if there is no such scheme.
pub fn unlink_scheme(name: &str) -> io::Result<()> {
    let path = check_name(name)
        .and_then(|()| directory())
        .map(|directory| directory.join(name));
    fs::remove_file(path.map_err(|error| io::Error::from_raw_os_error(error.errno))?)
}

fn check_name(name: &str) -> Result<()> {
    if name.is_empty() || name.starts_with('.') || name.contains(['/', '\0']) {
        return fail(EINVAL);
    }
    Ok(())
}

/// A mapping from names to schemes.
pub enum Namespace {
    /// Everything: the kernel's schemes and the sockets in the directory.
    Full,
    /// The remains after `setrens(0, 0)`: `memory`, `pipe`, and all that is registered in here afterwards.
    Restricted(Mutex<HashMap<String, Address>>),
}

fn lock(names: &Mutex<HashMap<String, Address>>) -> MutexGuard<'_, HashMap<String, Address>> {
    names.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Namespace {
    /// An empty restricted namespace.
    fn restricted() -> Self {
        Namespace::Restricted(Mutex::default())
    }

    fn has_builtin(&self, name: &str) -> bool {
        match self {
            Namespace::Full => BUILTIN.contains(&name),
            Namespace::Restricted(_) => RESTRICTED.contains(&name),
        }
    }

    fn address(&self, name: &str) -> Result<Address> {
        check_name(name).map_err(|_| Error::new(ENODEV))?;
        match self {
            Namespace::Full => Ok(Address::Path(directory()?.join(name))),
            Namespace::Restricted(names) => lock(names).get(name).cloned().ok_or(Error::new(ENODEV)),
        }
    }

    fn register(&self, name: &str, root: &RootFd) -> Result<()> {
        static PRIVATE: AtomicUsize = AtomicUsize::new(0);
        check_name(name)?;
        if self.has_builtin(name) {
            return fail(EEXIST);
        }
        match self {
            Namespace::Full => root.listen(Address::Path(directory()?.join(name)).listen()?),
            Namespace::Restricted(names) => {
                let mut names = lock(names);
                if names.contains_key(name) {
                    return fail(EEXIST);
                }
                let number = PRIVATE.fetch_add(1, Ordering::Relaxed);
                let address = Address::Private(format!("redox-shim-{}-{number}", std::process::id()));
                root.listen(address.listen()?)?;
                names.insert(name.into(), address);
                Ok(())
            }
        }
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = match self {
            Namespace::Full => BUILTIN.map(String::from).into_iter().chain(sockets()).collect(),
            Namespace::Restricted(names) => RESTRICTED
                .map(String::from)
                .into_iter()
                .chain(lock(names).keys().cloned())
                .collect(),
        };
        names.sort();
        names
    }
}

/// The names of the sockets in the directory, those of dead daemons too: a namespace does not know which live.
fn sockets() -> Vec<String> {
    let Some(entries) = directory().ok().and_then(|path| fs::read_dir(path).ok()) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_socket()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

/// A descriptor on a namespace.
pub struct NamespaceFd(Arc<Namespace>);

impl Object for NamespaceFd {}

/// The current namespace of the process and the descriptor that stands for it.
struct Current {
    namespace: Arc<Namespace>,
    fd: Option<usize>,
}

static CURRENT: Mutex<Option<Current>> = Mutex::new(None);

fn with_current<T>(change: impl FnOnce(&mut Current) -> T) -> T {
    let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
    change(current.get_or_insert_with(|| Current {
        namespace: Arc::new(Namespace::Full),
        fd: None,
    }))
}

fn current() -> Arc<Namespace> {
    with_current(|current| Arc::clone(&current.namespace))
}

/// The descriptor of the current namespace: the same number each time, closed when the namespace is replaced.
pub fn current_fd() -> Result<usize> {
    with_current(|current| match current.fd {
        Some(fd) => Ok(fd),
        None => {
            let fd = table::insert(Arc::new(NamespaceFd(Arc::clone(&current.namespace))))?;
            current.fd = Some(fd);
            Ok(fd)
        }
    })
}

/// Replaces the current namespace by a restricted one and closes the old one's descriptor.
pub fn restrict() -> Result<usize> {
    let old = with_current(|current| {
        current.namespace = Arc::new(Namespace::restricted());
        current.fd.take()
    });
    drop(old.and_then(table::remove));
    Ok(0)
}

/// Makes the namespace behind `fd` the current one; returns the descriptor of the previous one, now the caller's.
pub fn set(fd: usize) -> Result<usize> {
    let previous = current_fd()?;
    let namespace: Arc<NamespaceFd> = table::get(fd).and_then(downcast).ok_or(Error::new(EBADF))?;
    with_current(|current| {
        current.namespace = Arc::clone(&namespace.0);
        current.fd = Some(fd);
    });
    Ok(previous)
}

/// Registers the scheme behind the root descriptor `root` as `name`; takes the descriptor if that works.
pub fn register(namespace: usize, name: &str, root: usize) -> Result<()> {
    let namespace: Arc<NamespaceFd> = table::get(namespace)
        .and_then(downcast)
        .ok_or(Error::new(EBADF))?;
    let object: Arc<RootFd> = table::get(root).and_then(downcast).ok_or(Error::new(EBADF))?;
    namespace.0.register(name, &object)?;
    drop(table::remove(root));
    Ok(())
}

/// Opens an absolute path.
pub fn open(path: &str, flags: usize, mode: u16) -> Result<Opened> {
    let namespace = current();
    let Some(rest) = path
        .strip_prefix("/scheme")
        .filter(|rest| rest.is_empty() || rest.starts_with('/'))
    else {
        return match &*namespace {
            Namespace::Full => open_plain(path, flags, mode),
            Namespace::Restricted(_) => fail(ENODEV),
        };
    };
    let rest = rest.trim_start_matches('/');
    if rest.is_empty() {
        return Ok(Arc::new(Listing(namespace)).into());
    }
    let (name, path) = rest.split_once('/').unwrap_or((rest, ""));
    if !namespace.has_builtin(name) {
        let address = namespace.address(name)?;
        return ClientFile::open_root(address, path, flags, flags & syscall::flag::O_FCNTL_MASK);
    }
    Ok(match (name, path) {
        ("event", "") => Arc::new(EventQueue::new(flags)?).into(),
        ("irq", path) => Opened::Object(irq::open(path)?),
        ("memory", path) => Opened::Object(memory::open(path)?),
        ("namespace", "scheme-creation-cap") => Arc::new(CreationCap).into(),
        ("null", "") => Arc::new(Null).into(),
        ("pipe", "") => Opened::Descriptor(pipe::open(flags)?),
        ("time", path) => Opened::Object(time::open(path)?),
        _ => return fail(ENOENT),
    })
}

fn open_plain(path: &str, flags: usize, mode: u16) -> Result<Opened> {
    let path = std::ffi::CString::new(path).map_err(|_| Error::new(EINVAL))?;
    let flags = crate::flags::to_linux(flags) | libc::O_CLOEXEC;
    // SAFETY: `path` is a terminated string that outlives the call.
    let fd = unsafe { libc::open(path.as_ptr(), flags, libc::c_uint::from(mode)) };
    let fd = sys::check(fd).map_err(from_linux)?;
    // SAFETY: open just returned this descriptor, nobody else owns it.
    Ok(Opened::Descriptor(unsafe { OwnedFd::from_raw_fd(fd) }))
}

/// `/scheme`: a listing of the namespace.
struct Listing(Arc<Namespace>);

impl Object for Listing {
    fn path(&self) -> Result<String> {
        Ok("/scheme/".into())
    }

    fn read(&self, _buffer: &mut [u8]) -> Result<usize> {
        fail(EISDIR)
    }

    fn open_at(&self, path: &str, flags: usize, _fcntl_flags: usize) -> Result<Opened> {
        let path = Path::new("/scheme").join(path.trim_start_matches('/'));
        let path = path.to_str().filter(|path| path.starts_with("/scheme"));
        open(path.ok_or(Error::new(EINVAL))?, flags, 0)
    }

    fn stat(&self) -> Result<Stat> {
        Ok(Stat {
            st_mode: MODE_DIR | 0o755,
            st_nlink: 1,
            ..Stat::default()
        })
    }

    fn entries(&self, buffer: &mut [u8], opaque: u64) -> Result<usize> {
        let names = self.0.names();
        let skip = usize::try_from(opaque).unwrap_or(usize::MAX);
        let header_size = size_of::<DirentHeader>() as u16;
        let mut entries = DirentBuf::new(buffer, header_size).ok_or(Error::new(EINVAL))?;
        for (index, name) in names.iter().enumerate().skip(skip) {
            let next_opaque_id = index as u64 + 1;
            let entry = DirEntry {
                inode: 0,
                next_opaque_id,
                name,
                kind: DirentKind::Unspecified,
            };
            if let Err(error) = entries.entry(entry) {
                // Full. Nothing at all means that the buffer is too small for one entry.
                return if index == skip {
                    Err(error)
                } else {
                    Ok(entries.finalize())
                };
            }
        }
        Ok(entries.finalize())
    }

    fn fcntl(&self, command: usize, _argument: usize) -> Result<usize> {
        match command {
            syscall::flag::F_GETFL => Ok(syscall::flag::O_RDONLY | O_DIRECTORY | O_STAT),
            _ => Ok(0),
        }
    }
}
