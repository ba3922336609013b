//! Errors of this crate.

use std::io;

use crate::name::{AdapterName, NameError};

/// The result of everything that reaches a scheme.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure, with what was being done and on which path.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The system refused an operation on a scheme's file.
    #[error("cannot {action} {path}: {source}")]
    Scheme {
        /// The operation, as a verb phrase: "open", "read a frame from".
        action: &'static str,
        /// The file.
        path: String,
        /// The system's reason.
        source: io::Error,
    },

    /// The scheme accepted only a part of a frame; the network has seen a truncated one.
    #[error("{path} accepted only {written} of the {length} bytes of a frame")]
    ShortWrite {
        /// The adapter.
        path: String,
        /// Bytes accepted.
        written: usize,
        /// Bytes offered.
        length: usize,
    },

    /// A read returned no bytes. A frame is never empty, so the adapter is gone.
    #[error("{path} is at its end: the adapter is gone")]
    EndOfFile {
        /// The adapter.
        path: String,
    },

    /// The `mac` file is not six bytes long.
    #[error("{path} has {length} bytes, a MAC address has 6")]
    MacLength {
        /// The `mac` file.
        path: String,
        /// Bytes read.
        length: usize,
    },

    /// A directory listing of `/scheme` is malformed.
    #[error("the listing of {path} is malformed")]
    Listing {
        /// The directory.
        path: String,
    },

    /// No scheme whose name begins with `network.` exists.
    #[error("no network adapter: no name in /scheme begins with \"network.\"")]
    NoAdapter,

    /// Several adapters exist and none was chosen.
    #[error("several network adapters, choose one of: {}", join(.0))]
    SeveralAdapters(Vec<AdapterName>),

    /// A string that cannot name a scheme.
    #[error(transparent)]
    AdapterName(#[from] NameError),
}

impl Error {
    /// Wraps what `libredox` reports; both its error numbers and Rust's are the system's.
    pub fn scheme(action: &'static str, path: impl Into<String>, source: libredox::error::Error) -> Self {
        Self::Scheme {
            action,
            path: path.into(),
            source: io::Error::from_raw_os_error(source.errno()),
        }
    }

    /// The error number, if the system gave one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Scheme { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }

    /// Returns true if the operation would succeed later: the adapter's queue is full or empty just now.
    pub fn is_would_block(&self) -> bool {
        self.errno().is_some_and(is_would_block)
    }
}

/// Returns true for both of Redox's numbers: clients get EAGAIN (11), but a scheme may also answer EWOULDBLOCK (41).
pub(crate) fn is_would_block(errno: i32) -> bool {
    matches!(errno, syscall::error::EAGAIN | syscall::error::EWOULDBLOCK)
}

fn join(names: &[AdapterName]) -> String {
    names
        .iter()
        .map(AdapterName::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_numbers_of_would_block_count() {
        for errno in [11, 41] {
            assert!(Error::scheme("read", "/scheme/x", libredox::error::Error::new(errno)).is_would_block());
        }
        assert!(!Error::scheme("read", "/scheme/x", libredox::error::Error::new(5)).is_would_block());
        assert!(!Error::NoAdapter.is_would_block());
    }

    #[test]
    fn message_says_operation_path_and_choices() {
        let error = Error::scheme("open", "/scheme/network.a", libredox::error::Error::new(2));
        assert!(
            error.to_string().starts_with("cannot open /scheme/network.a: "),
            "{error}"
        );

        let names = ["network.a", "network.b"].map(|name| name.parse().unwrap());
        assert!(
            Error::SeveralAdapters(names.into())
                .to_string()
                .ends_with("network.a, network.b")
        );
    }
}
