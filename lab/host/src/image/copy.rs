//! The copy of the image that everything is done to. The original is only read.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use indicatif::ProgressBar;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use nix::sys::statvfs::statvfs;

use super::error::{Error, Result};
use crate::file::FileError;

/// Less cannot hold a boot loader and a file system.
const SMALLEST: u64 = 1 << 20;
/// Unit of copying. A unit of zeros is left out: it becomes a hole.
const CHUNK: usize = 1 << 20;
/// QEMU marks a file that it writes to by a lock on this byte (its block/file-posix.c: RAW_LOCK_PERM_BASE plus
/// the number of BLK_PERM_WRITE).
const QEMU_WRITES: (i64, i64) = (101, 1);
/// The whole file.
const EVERYTHING: (i64, i64) = (0, 0);

/// Opens the original for reading, after a look at whether it can be an image and is at rest.
pub fn open_original(path: &Path) -> Result<File> {
    let metadata = fs::metadata(path).map_err(|source| match source.kind() {
        ErrorKind::NotFound => Error::Missing(path.to_owned()),
        _ => FileError::new("look at", path)(source).into(),
    })?;
    let kind = metadata.file_type();
    if !(kind.is_file() || kind.is_block_device()) {
        return Err(Error::NotADisk {
            path: path.to_owned(),
            why: if kind.is_dir() {
                "a directory"
            } else {
                "neither a file nor a block device"
            },
        });
    }
    let mut file = File::open(path).map_err(FileError::new("open", path))?;
    let length = file
        .seek(SeekFrom::End(0))
        .map_err(FileError::new("read", path))?;
    if length < SMALLEST {
        return Err(Error::TooSmall {
            path: path.to_owned(),
            length,
        });
    }
    let in_use = |lock| Error::InUse {
        path: path.to_owned(),
        lock,
    };
    if file.try_lock_shared().is_err() {
        return Err(in_use("flock"));
    }
    if is_locked(&file, QEMU_WRITES) {
        return Err(in_use("QEMU's write lock"));
    }
    Ok(file)
}

/// Copies the image and returns the copy, locked. A copy of an earlier time is replaced; an unfinished one is
/// removed.
pub fn copy(mut from: &File, original: &Path, to: &Path, bar: &ProgressBar) -> Result<File> {
    if same_file(original, to) {
        return Err(Error::SameFile(to.to_owned()));
    }
    let length = from
        .seek(SeekFrom::End(0))
        .map_err(FileError::new("read", original))?;
    from.seek(SeekFrom::Start(0))
        .map_err(FileError::new("read", original))?;
    let mut copy = create(to)?;
    check_space(from, length, to)?;

    bar.set_length(length);
    let mut buffer = vec![0; CHUNK];
    let mut transfer = || -> Result<()> {
        loop {
            let count = from.read(&mut buffer).map_err(FileError::new("read", original))?;
            let Some(data) = buffer.get(..count).filter(|data| !data.is_empty()) else {
                break;
            };
            let result = if data.iter().all(|byte| *byte == 0) {
                copy.seek_relative(count as i64)
            } else {
                copy.write_all(data)
            };
            result.map_err(|source| full(source, length, to))?;
            bar.inc(count as u64);
        }
        // What was left out at the end.
        copy.set_len(length).map_err(|source| full(source, length, to))
    };
    let result = transfer();
    if result.is_err() {
        // Half an image is of no use to anybody.
        let _ = fs::remove_file(to);
    }
    result.map(|()| copy)
}

/// An empty file, locked by us.
fn create(to: &Path) -> Result<File> {
    if let Some(directory) = to.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        fs::create_dir_all(directory).map_err(FileError::new("create", directory))?;
    }
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(to)
        .map_err(FileError::new("create", to))?;
    let in_use = |lock| Error::InUse {
        path: to.to_owned(),
        lock,
    };
    if file.try_lock().is_err() {
        return Err(in_use("flock"));
    }
    if is_locked(&file, EVERYTHING) {
        return Err(in_use("a record lock"));
    }
    // Only now that nobody uses it. Old content must not show through the holes.
    file.set_len(0).map_err(FileError::new("empty", to))?;
    Ok(file)
}

/// Returns true if another program has a record lock on a range of the file.
fn is_locked(file: &File, (start, length): (i64, i64)) -> bool {
    let mut lock = libc::flock {
        // A write lock would meet every lock of others.
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: start,
        l_len: length,
        l_pid: 0,
    };
    // This is a question only; where it cannot be asked nothing is known.
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut lock)).is_ok() && i32::from(lock.l_type) != libc::F_UNLCK
}

fn same_file(a: &Path, b: &Path) -> bool {
    let id = |path| fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino()));
    matches!((id(a), id(b)), (Ok(a), Ok(b)) if a == b)
}

/// Says before the copy begins that it would not fit.
fn check_space(from: &File, length: u64, to: &Path) -> Result<()> {
    // Holes of the original stay holes. Block devices report no blocks.
    let blocks = from.metadata().map_or(0, |metadata| metadata.blocks());
    let needed = if blocks == 0 {
        length
    } else {
        length.min(blocks * 512)
    };
    let free = free_space(to).unwrap_or(u64::MAX);
    if needed <= free {
        return Ok(());
    }
    let _ = fs::remove_file(to);
    Err(Error::HostFull {
        place: to.to_owned(),
        needed,
        free,
    })
}

fn free_space(path: &Path) -> Option<u64> {
    let statistics = statvfs(path).ok()?;
    statistics
        .blocks_available()
        .checked_mul(statistics.fragment_size())
}

fn full(source: std::io::Error, needed: u64, to: &Path) -> Error {
    if source.raw_os_error() == Some(Errno::ENOSPC as i32) {
        Error::HostFull {
            place: to.to_owned(),
            needed,
            free: free_space(to).unwrap_or(0),
        }
    } else {
        FileError::new("write", to)(source).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(length: u64) -> (tempfile::TempDir, std::path::PathBuf) {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("image");
        File::create(&path).unwrap().set_len(length).unwrap();
        (place, path)
    }

    #[test]
    fn copy_is_equal_and_has_holes_where_nothing_is() {
        let (place, path) = image(16 << 20);
        let mut original = OpenOptions::new().write(true).open(&path).unwrap();
        original.seek(SeekFrom::Start(5 << 20)).unwrap();
        original.write_all(b"something").unwrap();
        drop(original);

        let to = place.path().join("new/copy");
        let original = open_original(&path).unwrap();
        let copy = copy(&original, &path, &to, &ProgressBar::hidden()).unwrap();
        assert!(fs::read(&path).unwrap() == fs::read(&to).unwrap());
        assert!(copy.metadata().unwrap().blocks() * 512 <= 4 << 20);
    }

    #[test]
    fn copy_of_an_earlier_time_does_not_show_through() {
        let (place, path) = image(2 << 20);
        let to = place.path().join("copy");
        fs::write(&to, vec![7; 4 << 20]).unwrap();
        copy(&open_original(&path).unwrap(), &path, &to, &ProgressBar::hidden()).unwrap();
        assert!(fs::read(&to).unwrap() == vec![0; 2 << 20]);
    }

    #[test]
    fn what_is_no_image_is_told_apart() {
        let (place, path) = image(1000);
        assert!(matches!(
            open_original(&path),
            Err(Error::TooSmall { length: 1000, .. })
        ));
        assert!(matches!(open_original(place.path()), Err(Error::NotADisk { .. })));
        let missing = place.path().join("missing");
        assert!(matches!(open_original(&missing), Err(Error::Missing(_))));
    }

    #[test]
    fn original_is_never_overwritten() {
        let (place, path) = image(2 << 20);
        let link = place.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let original = open_original(&path).unwrap();
        assert!(matches!(
            copy(&original, &path, &link, &ProgressBar::hidden()),
            Err(Error::SameFile(_))
        ));
    }

    #[test]
    fn file_in_use_is_left_alone() {
        let (place, path) = image(2 << 20);
        let user = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        user.lock().unwrap();
        assert!(matches!(
            open_original(&path),
            Err(Error::InUse { lock: "flock", .. })
        ));
        drop(user);

        let original = open_original(&path).unwrap();
        let to = place.path().join("copy");
        let first = copy(&original, &path, &to, &ProgressBar::hidden()).unwrap();
        assert!(matches!(
            copy(&original, &path, &to, &ProgressBar::hidden()),
            Err(Error::InUse { .. })
        ));
        drop(first);
        copy(&original, &path, &to, &ProgressBar::hidden()).unwrap();
    }

    #[test]
    fn writing_qemu_is_noticed() {
        let (_place, path) = image(2 << 20);
        let qemu = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let lock = libc::flock {
            l_type: libc::F_RDLCK as libc::c_short,
            l_whence: libc::SEEK_SET as libc::c_short,
            l_start: QEMU_WRITES.0,
            l_len: QEMU_WRITES.1,
            l_pid: 0,
        };
        fcntl(&qemu, FcntlArg::F_OFD_SETLK(&lock)).unwrap();
        assert!(matches!(
            open_original(&path),
            Err(Error::InUse {
                lock: "QEMU's write lock",
                ..
            })
        ));
    }
}
