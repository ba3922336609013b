//! Errors of the lab.

use std::io;

use crate::file::FileError;
use crate::{image, system};

/// The result of reports and benchmarks.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure of the lab itself. What a driver does wrong is a result and no error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something about the image.
    #[error(transparent)]
    Image(#[from] image::Error),
    /// Something about a system.
    #[error(transparent)]
    System(#[from] system::Error),
    /// Something about a file of this machine.
    #[error(transparent)]
    File(#[from] FileError),
    /// A socket or a directory for one that could not be had.
    #[error("cannot {doing}: {source}")]
    Host {
        /// The operation, as a verb phrase.
        doing: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// A selection that selects nothing.
    #[error("--only leaves nothing to do")]
    NothingToDo,
    /// Two drivers with one name.
    #[error("two drivers are called \"{0}\": give NAME=FILE")]
    SameLabel(String),
    /// A thread of the lab ended by a panic.
    #[error("a thread of the lab panicked")]
    Panicked,
}

impl Error {
    /// For `map_err` on what the operating system answered.
    pub(crate) fn host(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Host { doing, source }
    }
}
