//! The other end of a NIC's cable.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

use crate::machine::Netdev;

/// Longest datagram, hence longest frame.
const DATAGRAM_LIMIT: usize = 1 << 16;

/// The other end of the cable: one datagram is one frame.
#[derive(Debug)]
pub struct Wire {
    socket: UdpSocket,
    nic: SocketAddr,
}

impl Wire {
    /// A wire with a port of its own and a port for QEMU.
    ///
    /// # Errors
    ///
    /// When the system has no port to give.
    pub fn bind() -> io::Result<Self> {
        let any = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);
        let socket = UdpSocket::bind(any)?;
        // The system names a port that is free now; QEMU binds it a moment later, or else we try again.
        let nic = UdpSocket::bind(any)?.local_addr()?;
        Ok(Self { socket, nic })
    }

    /// The value of QEMU's `-netdev`.
    ///
    /// # Errors
    ///
    /// When the system does not know the port.
    pub fn netdev(&self) -> io::Result<Netdev> {
        Ok(Netdev::Udp {
            local: self.nic.port(),
            peer: self.socket.local_addr()?.port(),
        })
    }

    /// Sends a frame to the NIC.
    ///
    /// # Errors
    ///
    /// When the system does not take the datagram.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        self.socket.send_to(frame, self.nic).map(|_| ())
    }

    /// The next frame from the NIC; `None` if there is none for `limit`.
    ///
    /// # Errors
    ///
    /// When the socket fails.
    pub fn receive(&self, limit: Duration) -> io::Result<Option<Vec<u8>>> {
        let end = Instant::now() + limit;
        let mut frame = vec![0; DATAGRAM_LIMIT];
        loop {
            let left = end
                .saturating_duration_since(Instant::now())
                .max(Duration::from_millis(1));
            self.socket.set_read_timeout(Some(left))?;
            match self.socket.recv_from(&mut frame) {
                Ok((length, from)) if from == self.nic => {
                    frame.truncate(length);
                    return Ok(Some(frame));
                }
                Ok(_) => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                }
                // QEMU is not there yet, or not any more.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if Instant::now() >= end {
                return Ok(None);
            }
        }
    }
}
