//! The other end of a NIC's cable, for QEMU.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::str::FromStr;

use qemu_process::escape;

use super::NETDEV;

/// The other end of the cable.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Netdev {
    /// QEMU's own network with DHCP server, DNS and gateway 10.0.2.2. The string holds further options, such as
    /// `hostfwd=tcp::8080-:80`; it may be empty.
    User(String),
    /// A pair of UDP ports on the loopback interface: one datagram is one frame.
    Udp {
        /// The port that QEMU binds.
        local: u16,
        /// The port that it sends to.
        peer: u16,
    },
    /// A Unix socket that somebody listens at: frames follow each other, each behind its length in four bytes, in
    /// network order.
    Stream(PathBuf),
}

impl Netdev {
    /// The value of QEMU's `-netdev`.
    pub(super) fn argument(&self) -> String {
        match self {
            Netdev::User(options) if options.is_empty() => format!("user,id={NETDEV}"),
            Netdev::User(options) => format!("user,id={NETDEV},{options}"),
            Netdev::Udp { local, peer } => {
                let address = |port| SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
                format!(
                    "socket,id={NETDEV},udp={},localaddr={}",
                    address(*peer),
                    address(*local)
                )
            }
            Netdev::Stream(path) => {
                let path = escape(path);
                format!("stream,id={NETDEV},server=off,addr.type=unix,addr.path={path}")
            }
        }
    }
}

impl fmt::Display for Netdev {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Netdev::User(options) if options.is_empty() => f.write_str("user"),
            Netdev::User(options) => write!(f, "user,{options}"),
            Netdev::Udp { local, peer } => write!(f, "udp:{local}:{peer}"),
            Netdev::Stream(path) => write!(f, "stream:{}", path.display()),
        }
    }
}

/// Not a network description: `user`, `user,OPTIONS`, `udp:LOCALPORT:PEERPORT` or `stream:SOCKET`.
#[derive(Debug, thiserror::Error)]
#[error("not a network: {0} (user, user,OPTIONS, udp:LOCALPORT:PEERPORT or stream:SOCKET)")]
pub struct UnknownNetdev(String);

impl FromStr for Netdev {
    type Err = UnknownNetdev;

    fn from_str(text: &str) -> Result<Self, UnknownNetdev> {
        let unknown = || UnknownNetdev(text.into());
        if let Some(options) = text.strip_prefix("user") {
            return match options.strip_prefix(',') {
                Some(options) => Ok(Netdev::User(options.into())),
                None if options.is_empty() => Ok(Netdev::User(String::new())),
                None => Err(unknown()),
            };
        }
        if let Some(path) = text.strip_prefix("stream:").filter(|path| !path.is_empty()) {
            return Ok(Netdev::Stream(path.into()));
        }
        let (local, peer) = text
            .strip_prefix("udp:")
            .and_then(|ports| ports.split_once(':'))
            .ok_or_else(unknown)?;
        let port = |text: &str| text.parse().map_err(|_| unknown());
        Ok(Netdev::Udp {
            local: port(local)?,
            peer: port(peer)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_spelled_for_qemu() {
        let argument = |text: &str| text.parse::<Netdev>().unwrap().argument();
        assert_eq!(argument("user"), "user,id=n0");
        assert_eq!(
            argument("user,hostfwd=tcp::80-:80"),
            "user,id=n0,hostfwd=tcp::80-:80"
        );
        assert_eq!(
            argument("udp:1000:2000"),
            "socket,id=n0,udp=127.0.0.1:2000,localaddr=127.0.0.1:1000"
        );
        assert_eq!(
            argument("stream:/tmp/a,b"),
            "stream,id=n0,server=off,addr.type=unix,addr.path=/tmp/a,,b"
        );
        for text in ["user", "user,restrict=on", "udp:1000:2000", "stream:/tmp/a"] {
            assert_eq!(text.parse::<Netdev>().unwrap().to_string(), text);
        }
        for wrong in ["", "tap", "users", "stream:", "udp:1", "udp:1:x", "udp:1:70000"] {
            assert!(wrong.parse::<Netdev>().is_err(), "{wrong}");
        }
    }
}
