//! Disk images of Redox systems: copies of them, the file system in them, and the driver on it.

pub mod copy;
mod error;
pub mod locate;
pub mod swap;
#[cfg(test)]
mod tests;
pub mod volume;

use std::path::Path;

use indicatif::ProgressBar;

use crate::file::FileError;
use crate::program::Target;
pub use error::{Error, Result};
use locate::Location;
use volume::Volume;

/// A copy of an image, and where the file system is in it.
pub struct Copied {
    /// The copy, locked.
    pub file: std::fs::File,
    /// Its file system.
    pub place: Location,
}

impl Copied {
    /// Copies an image, without showing it.
    pub fn make(original: &Path, to: &Path) -> Result<Self> {
        let from = copy::open_original(original)?;
        let file = copy::copy(&from, original, to, &ProgressBar::hidden())?;
        let place = locate::locate(&file)?;
        Ok(Self { file, place })
    }

    /// Opens the file system.
    pub fn open(&self) -> Result<Volume> {
        let file = self
            .file
            .try_clone()
            .map_err(FileError::new("open", Path::new("the copy")))?;
        Volume::open(file, &self.place)
    }
}

/// Kind of an image.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Its file system.
    pub place: Location,
    /// The programs that it runs.
    pub target: Target,
}

/// Looks at an image by way of a copy, since a file system is changed by being opened.
pub fn inspect(original: &Path, scratch: &Path) -> Result<Kind> {
    let copied = Copied::make(original, scratch)?;
    let target = swap::target(&mut copied.open()?)?;
    Ok(Kind {
        place: copied.place,
        target,
    })
}
