//! The system's own network stack, as programs on Redox use it: below `/scheme/netcfg` and `/scheme/icmp`.
//!
//! Everything else in this crate talks to the driver, beside that stack; this module talks through it. TCP and UDP
//! need nothing of it: `std::net` reaches the stack on every system.

use std::io;

pub mod datagram;
pub mod echo;
pub mod netcfg;

/// The result of what reaches the stack.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Failure of the stack, or a system without one.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {path}: {source}{}", hint(source))]
pub struct Error {
    /// The action that failed.
    pub action: &'static str,
    /// The file.
    pub path: String,
    /// The system's reason.
    pub source: io::Error,
}

impl Error {
    /// For `map_err`.
    pub fn new(action: &'static str, path: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self { action, path, source }
    }
}

fn hint(source: &io::Error) -> &'static str {
    if source.kind() != io::ErrorKind::NotFound {
        ""
    } else if cfg!(target_os = "redox") {
        " (does the network stack run?)"
    } else {
        " (only Redox has it)"
    }
}

#[cfg(all(test, not(target_os = "redox")))]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;

    #[test]
    fn other_systems_are_told_what_is_missing() {
        let ping = echo::Echo::open(Ipv4Addr::LOCALHOST).err().unwrap().to_string();
        assert!(
            ping.starts_with("cannot open /scheme/icmp/echo/127.0.0.1: ")
                && ping.ends_with("(only Redox has it)"),
            "{ping}"
        );
        let netcfg = netcfg::Netcfg::default();
        let address = netcfg.wait_for_address("eth0", Duration::ZERO).unwrap_err();
        assert!(address.to_string().ends_with("(only Redox has it)"), "{address}");
    }
}
