//! Files of a RedoxFS, through Redox's own crate: nothing is mounted, nobody needs to be root.

use std::fs::File;
use std::time::{SystemTime, UNIX_EPOCH};

use redoxfs::{BLOCK_SIZE, Disk, DiskCache, DiskIo, FileSystem, Node, Transaction, TreeData, TreePtr};
use syscall::error::{EIO, ENOENT, ENOSPC, ENOTDIR};

use super::error::{Error, Result};
use super::locate::{Location, Window};

/// Mode of a directory and of a program.
const EXECUTABLE: u16 = 0o755;
/// Mode of a file that is only read.
const READABLE: u16 = 0o644;
/// Space that changed directories and the file system's own lists may take, at most.
const OVERHEAD: u64 = 64 * BLOCK_SIZE;

/// No file that is read is larger: programs are some MiB. What an image says is not to be believed.
const LARGEST: u64 = 256 << 20;

type Reason = syscall::error::Error;

/// A file system in an image.
pub struct Volume {
    fs: FileSystem<DiskCache<DiskIo<Window>>>,
}

/// A file to be.
pub struct NewFile<'a> {
    /// From the root directory, with a `/` at the start. Directories are made as needed.
    pub path: &'a str,
    /// Its content.
    pub data: &'a [u8],
    /// True if it is a program.
    pub executable: bool,
}

impl Volume {
    /// Opens the file system that was found in `image`.
    pub fn open(image: File, place: &Location) -> Result<Self> {
        let disk = DiskCache::new(DiskIo(Window::new(image, place.start, place.length)));
        FileSystem::open(disk, None, Some(place.header), true)
            .map(|fs| Self { fs })
            .map_err(|reason| failure("open", "the file system", reason))
    }

    /// Bytes that are free.
    pub fn free(&self) -> u64 {
        self.fs.allocator().free() * BLOCK_SIZE
    }

    /// The content of a file, or `None` if there is no such file.
    ///
    /// # Errors
    ///
    /// [`Error::FileTooLarge`] for one that is larger than 256 MiB, or says so.
    pub fn read(&mut self, path: &str) -> Result<Option<Vec<u8>>> {
        let result = self.fs.tx(|tx| {
            let Some(node) = find(tx, path)?.filter(|node| node.data().is_file()) else {
                return Ok(Ok(None));
            };
            let length = node.data().size();
            let size = usize::try_from(length).ok().filter(|_| length <= LARGEST);
            let Some(size) = size else {
                return Ok(Err(length));
            };
            let mut content = vec![0; size];
            let count = tx.read_node(node.ptr(), 0, &mut content, 0, 0)?;
            content.truncate(count);
            Ok(Ok(Some(content)))
        });
        result
            .map_err(|reason| failure("read", path, reason))?
            .map_err(|size| Error::FileTooLarge {
                path: path.to_owned(),
                size,
                limit: LARGEST,
            })
    }

    /// Writes files, which replace others of the same path. All of them or, if anything fails, none.
    ///
    /// # Errors
    ///
    /// [`Error::FileSystemFull`] says how much is free.
    pub fn write(&mut self, files: &[NewFile<'_>]) -> Result<()> {
        let blocks = |file: &NewFile<'_>| (file.data.len() as u64).div_ceil(BLOCK_SIZE) * BLOCK_SIZE;
        let needed = files.iter().map(blocks).sum::<u64>() + OVERHEAD;
        let free = self.free();
        let full = Error::FileSystemFull { needed, free };
        if needed > free {
            return Err(full);
        }
        let mut at = "";
        let result = self.fs.tx(|tx| {
            files.iter().try_for_each(|file| {
                at = file.path;
                write(tx, file)
            })
        });
        match result {
            Ok(()) => self.settle(),
            Err(reason) if reason.errno == ENOSPC => Err(full),
            Err(reason) => Err(failure("write", at, reason)),
        }
    }

    /// Removes those of the files that exist.
    pub fn remove(&mut self, paths: &[&str]) -> Result<()> {
        let mut at = "";
        self.fs
            .tx(|tx| {
                paths.iter().try_for_each(|path| {
                    at = path;
                    remove(tx, path)
                })
            })
            .map_err(|reason| failure("remove", at, reason))?;
        self.settle()
    }

    /// Gives back the space of removed files, as unmounting does.
    fn settle(&mut self) -> Result<()> {
        self.fs
            .cleanup()
            .map_err(|reason| failure("clean up", "the file system", reason))
    }

    /// Makes a file say that it has another size than it has.
    #[cfg(test)]
    pub fn forge_size(&mut self, path: &str, size: u64) {
        let forge = |tx: &mut Transaction<'_, _>| {
            let mut node = find(tx, path)?.ok_or(Reason::new(ENOENT))?;
            node.data_mut().set_size(size);
            tx.sync_tree(node)
        };
        self.fs.tx(forge).unwrap();
    }

    /// Mode and owner (user, group) of a file or directory.
    #[cfg(test)]
    pub fn attributes(&mut self, path: &str) -> Option<(u16, u32, u32)> {
        let node = self.fs.tx(|tx| find(tx, path)).unwrap()?;
        Some((node.data().mode(), node.data().uid(), node.data().gid()))
    }
}

fn failure(doing: &'static str, path: &str, reason: Reason) -> Error {
    Error::FileSystem {
        doing,
        path: path.to_owned(),
        reason: match reason.errno {
            EIO => "its data is damaged, or this machine's disk is full".to_owned(),
            // Error numbers below 40 are the same on Redox and Linux.
            errno => std::io::Error::from_raw_os_error(errno).to_string(),
        },
    }
}

fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|name| !name.is_empty())
}

fn child<D: Disk>(
    tx: &mut Transaction<'_, D>,
    parent: TreePtr<Node>,
    name: &str,
) -> Result<Option<TreeData<Node>>, Reason> {
    match tx.find_node(parent, name) {
        Ok(node) => Ok(Some(node)),
        Err(reason) if reason.errno == ENOENT => Ok(None),
        Err(reason) => Err(reason),
    }
}

fn find<D: Disk>(tx: &mut Transaction<'_, D>, path: &str) -> Result<Option<TreeData<Node>>, Reason> {
    let mut node = tx.read_tree(TreePtr::<Node>::root())?;
    for name in names(path) {
        if !node.data().is_dir() {
            return Ok(None);
        }
        match child(tx, node.ptr(), name)? {
            Some(next) => node = next,
            None => return Ok(None),
        }
    }
    Ok(Some(node))
}

/// Creates a node that belongs to root.
fn create<D: Disk>(
    tx: &mut Transaction<'_, D>,
    parent: TreePtr<Node>,
    name: &str,
    mode: u16,
) -> Result<TreePtr<Node>, Reason> {
    let (seconds, nanoseconds) = now();
    let mut node = tx.create_node(parent, name, mode, seconds, nanoseconds)?;
    let ptr = node.ptr();
    // A new node has its directory's owner.
    if (node.data().uid(), node.data().gid()) != (0, 0) {
        node.data_mut().set_uid(0);
        node.data_mut().set_gid(0);
        tx.sync_tree(node)?;
    }
    Ok(ptr)
}

fn write<D: Disk>(tx: &mut Transaction<'_, D>, file: &NewFile<'_>) -> Result<(), Reason> {
    remove(tx, file.path)?;
    let (directories, name) = file.path.rsplit_once('/').ok_or(Reason::new(ENOENT))?;
    let mut parent = TreePtr::root();
    for directory in names(directories) {
        parent = match child(tx, parent, directory)? {
            Some(node) if node.data().is_dir() => node.ptr(),
            Some(_) => return Err(Reason::new(ENOTDIR)),
            None => create(tx, parent, directory, Node::MODE_DIR | EXECUTABLE)?,
        };
    }
    let mode = if file.executable { EXECUTABLE } else { READABLE };
    let node = create(tx, parent, name, Node::MODE_FILE | mode)?;
    let (seconds, nanoseconds) = now();
    let count = tx.write_node(node, 0, file.data, seconds, nanoseconds)?;
    if count == file.data.len() {
        Ok(())
    } else {
        Err(Reason::new(EIO))
    }
}

fn remove<D: Disk>(tx: &mut Transaction<'_, D>, path: &str) -> Result<(), Reason> {
    let Some((directory, name)) = path.rsplit_once('/') else {
        return Ok(());
    };
    let Some(parent) = find(tx, directory)?.filter(|node| node.data().is_dir()) else {
        return Ok(());
    };
    if child(tx, parent.ptr(), name)?.is_some() {
        tx.remove_node(parent.ptr(), name, Node::MODE_FILE)?;
    }
    Ok(())
}

/// Now, in seconds and nanoseconds.
fn now() -> (u64, u32) {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (time.as_secs(), time.subsec_nanos())
}
