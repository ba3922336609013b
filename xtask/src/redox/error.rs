//! What can go wrong while a driver is swapped in, one line each.

use std::io;
use std::path::{Path, PathBuf};

use super::accelerator::Accelerator;
use super::elf::Architecture;

/// The result of everything in this module's directory.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure that the user can do something about.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such file.
    #[error("{}: no such image", .0.display())]
    ImageMissing(PathBuf),
    /// A directory, for example.
    #[error("{}: not a disk image ({why})", path.display())]
    NotADisk { path: PathBuf, why: &'static str },
    /// No file system fits into it.
    #[error("{}: too small for a disk image ({length} bytes)", path.display())]
    TooSmall { path: PathBuf, length: u64 },
    /// Another program writes to the file.
    #[error("{}: in use by another program ({lock}); a QEMU that runs on it, perhaps", path.display())]
    InUse { path: PathBuf, lock: &'static str },
    /// The copy would replace the original.
    #[error("{}: the copy cannot take the place of the image itself", .0.display())]
    SameFile(PathBuf),
    /// The operating system of this machine refused something.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// No space for the copy.
    #[error(
        "{}: no space: the copy needs {}, {} are free; --output puts it elsewhere",
        place.display(),
        mebibytes(*needed),
        mebibytes(*free)
    )]
    HostFull { place: PathBuf, needed: u64, free: u64 },
    /// Nothing that looks like RedoxFS.
    #[error("no RedoxFS in the image: looked at {searched}")]
    NoFileSystem { searched: String },
    /// A RedoxFS of a format that the `redoxfs` crate does not read.
    #[error("the RedoxFS at byte {offset} has format version {found}; this tool reads version {known}")]
    Version { offset: u64, found: u64, known: u64 },
    /// The image asks for a password at boot.
    #[error("the RedoxFS at byte {offset} is encrypted; this tool works on images without password only")]
    Encrypted { offset: u64 },
    /// The file system refused something.
    #[error("cannot {doing} {path} in the image: {reason}")]
    FileSystem {
        doing: &'static str,
        path: String,
        reason: String,
    },
    /// A damaged or crafted file, or none that this tool has to do with.
    #[error(
        "{path} in the image has {}, it says; no more than {} are read",
        mebibytes(*size),
        mebibytes(*limit)
    )]
    FileTooLarge { path: String, size: u64, limit: u64 },
    /// No space in the file system.
    #[error("no space in the image's file system: {} are needed, {} are free", mebibytes(*needed), mebibytes(*free))]
    FileSystemFull { needed: u64, free: u64 },
    /// Not one of the programs by which the architecture is told.
    #[error("cannot tell the architecture of the image: it has none of {0}")]
    NoProgram(String),
    /// A program of another format or architecture.
    #[error("{name}: not a program for Redox: {why}")]
    NotAProgram { name: String, why: String },
    /// A program that the image cannot run.
    #[error("{name} is for {found}, the image for {wanted}")]
    Architecture {
        name: String,
        found: Architecture,
        wanted: Architecture,
    },
    /// Somebody else's match file is where ours would go.
    #[error("{0} is on the image already and not from this tool; remove it there first")]
    ForeignOverride(&'static str),
    /// The image has the stock driver already.
    #[error("nothing to undo: this tool has not swapped a driver in on the image")]
    NothingToUndo,
    /// Nothing that could build for Redox.
    #[error(
        "no way to build for {triple}: set {linker} (and the RUSTFLAGS that its sysroot needs), or put redoxer \
         into PATH, or give a driver built elsewhere with --driver"
    )]
    NoToolchain { triple: &'static str, linker: String },
    /// QEMU of another architecture would be needed.
    #[error("--run can boot x86_64 and i586 images, this one is for {0}")]
    NotBootable(Architecture),
    /// KVM was asked for.
    #[error("KVM {0}; --accel tcg, or no --accel, does without")]
    NoKvm(String),
    /// The system did not get as far as it should.
    #[error("{what} within {seconds} s under {accelerator}; the console ended with:\n{console}")]
    Stuck {
        what: &'static str,
        seconds: u64,
        accelerator: Accelerator,
        console: String,
    },
    /// The system or QEMU failed.
    #[error("{what}; the console ended with:\n{console}")]
    Died { what: String, console: String },
}

impl Error {
    /// For `map_err` on what the operating system answered about a path.
    pub fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }
}

/// For people: mebibytes, or kibibytes below one.
pub fn mebibytes(bytes: u64) -> String {
    match bytes {
        ..0x10_0000 => format!("{} KiB", bytes.div_ceil(1 << 10)),
        _ => format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20)),
    }
}
