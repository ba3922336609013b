//! An address by DHCP.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use smoltcp::iface::SocketSet;
use smoltcp::phy::Device;
use smoltcp::socket::dhcpv4;
use smoltcp::wire::{DhcpRepr, Ipv4Cidr};

use crate::device::TakeError;
use crate::{Result, Stack, Wait};

/// Time to wait for an answer before asking again. The first request is lost if the link is still negotiating.
const RETRY: smoltcp::time::Duration = smoltcp::time::Duration::from_secs(2);

/// An address that a server gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Address and length of the network's prefix.
    pub address: Ipv4Cidr,
    /// Router to other networks.
    pub router: Option<Ipv4Addr>,
    /// Name servers.
    pub dns: Vec<Ipv4Addr>,
    /// The server that gave the address.
    pub server: Ipv4Addr,
    /// Time for which the address may be used, if the server said.
    pub duration: Option<Duration>,
    /// Time from the first request to the lease.
    pub time: Duration,
}

impl<D: Device + TakeError, W: Wait> Stack<D, W> {
    /// Asks for an address until a server grants one, and uses it; `None` if none does in time.
    ///
    /// The lease is not renewed.
    pub fn dhcp(&mut self, timeout: Duration) -> Result<Option<Lease>> {
        // The largest message that a client must be able to take is 576 bytes, the largest possible one
        // fills a frame.
        let mut message = [0; 1500];
        let mut socket = dhcpv4::Socket::new();
        let mut retry = socket.get_retry_config();
        retry.discover_timeout = RETRY;
        retry.initial_request_timeout = RETRY;
        socket.set_retry_config(retry);
        socket.set_receive_packet_buffer(&mut message);

        let mut sockets = SocketSet::new(Vec::with_capacity(1));
        let handle = sockets.add(socket);
        let start = Instant::now();
        let lease = self.driver.poll_until(&mut sockets, start + timeout, |sockets| {
            match sockets.get_mut::<dhcpv4::Socket>(handle).poll()? {
                dhcpv4::Event::Deconfigured => None,
                dhcpv4::Event::Configured(config) => Some(lease(&config, start.elapsed())),
            }
        })?;
        if let Some(lease) = &lease {
            self.set_address(lease.address, lease.router);
        }
        Ok(lease)
    }
}

fn lease(config: &dhcpv4::Config<'_>, time: Duration) -> Lease {
    let seconds = config
        .packet
        .as_ref()
        .and_then(|packet| DhcpRepr::parse(packet).ok()?.lease_duration);
    Lease {
        address: config.address,
        router: config.router,
        dns: config.dns_servers.to_vec(),
        server: config.server.address,
        duration: seconds.map(|seconds| Duration::from_secs(seconds.into())),
        time,
    }
}
