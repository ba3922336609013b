//! Errors of images, one line each.

use std::path::PathBuf;

use crate::file::FileError;
use crate::program;
use crate::units::mebibytes;

/// The result of everything about images.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure that the user can do something about.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such file.
    #[error("{}: no such image", .0.display())]
    Missing(PathBuf),
    /// A directory, for example.
    #[error("{}: not a disk image ({why})", path.display())]
    NotADisk {
        /// The file.
        path: PathBuf,
        /// Its description.
        why: &'static str,
    },
    /// No file system fits into it.
    #[error("{}: too small for a disk image ({length} bytes)", path.display())]
    TooSmall {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        length: u64,
    },
    /// Another program writes to the file.
    #[error("{}: in use by another program ({lock}); a QEMU that runs on it, perhaps", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
        /// The kind of lock by which that is known.
        lock: &'static str,
    },
    /// The copy would replace the original.
    #[error("{}: the copy cannot take the place of the image itself", .0.display())]
    SameFile(PathBuf),
    /// The operating system of this machine refused something.
    #[error(transparent)]
    File(#[from] FileError),
    /// No space for the copy.
    #[error(
        "{}: no space: the copy needs {}, {} are free; --output puts it elsewhere",
        place.display(),
        mebibytes(*needed),
        mebibytes(*free)
    )]
    HostFull {
        /// The copy.
        place: PathBuf,
        /// Bytes that it needs.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// Nothing that looks like RedoxFS.
    #[error("no RedoxFS in the image: looked at {searched}")]
    NoFileSystem {
        /// The places that were looked at.
        searched: String,
    },
    /// A RedoxFS of a format that the `redoxfs` crate does not read.
    #[error("the RedoxFS at byte {offset} has format version {found}; this tool reads version {known}")]
    Version {
        /// The header's place in the image.
        offset: u64,
        /// Its version.
        found: u64,
        /// The version that can be read.
        known: u64,
    },
    /// The image asks for a password at boot.
    #[error("the RedoxFS at byte {offset} is encrypted; this tool works on images without password only")]
    Encrypted {
        /// The file system's place in the image.
        offset: u64,
    },
    /// The file system refused something.
    #[error("cannot {doing} {path} in the image: {reason}")]
    FileSystem {
        /// The operation, as a verb: "read".
        doing: &'static str,
        /// The file in the image.
        path: String,
        /// The file system's reason.
        reason: String,
    },
    /// A damaged or crafted file, or none that this tool has to do with.
    #[error(
        "{path} in the image has {}, it says; no more than {} are read",
        mebibytes(*size),
        mebibytes(*limit)
    )]
    FileTooLarge {
        /// The file in the image.
        path: String,
        /// The size that the file system says.
        size: u64,
        /// The largest that is read.
        limit: u64,
    },
    /// No space in the file system.
    #[error("no space in the image's file system: {} are needed, {} are free", mebibytes(*needed), mebibytes(*free))]
    FileSystemFull {
        /// Bytes that are needed.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// Not one of the programs by which the architecture is told.
    #[error("cannot tell the architecture of the image: it has none of {0}")]
    NoProgram(String),
    /// A program that is none of Redox's, or for another architecture.
    #[error(transparent)]
    Program(#[from] program::Error),
    /// Somebody else's match file is where ours would go.
    #[error("{0} is on the image already and not from this tool; remove it there first")]
    ForeignOverride(&'static str),
    /// A match file keeps the stock driver from being started.
    #[error("{0} is on the image: it does not start its stock driver")]
    Overridden(&'static str),
    /// The image has the stock driver already.
    #[error("nothing to undo: this tool has not swapped a driver in on the image")]
    NothingToUndo,
}
