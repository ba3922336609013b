//! A small IP stack on one adapter.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use smoltcp::iface::{Config, Interface, PollIngressSingleResult, PollResult, SocketSet};
use smoltcp::phy::Device;
use smoltcp::wire::{IpCidr, Ipv4Cidr};

use crate::device::TakeError;
use crate::{Adapter, AdapterName, MacAddress, Mode, Readiness, Result, SchemeDevice, Wait};

/// Most frames that are received before frames are sent and sockets served again, so that a flood of received frames
/// cannot block the rest.
const INGRESS_BATCH: usize = 64;

/// A smoltcp interface with its sockets, its device and a way to wait for the device.
///
/// The device may be a [`SchemeDevice`] or smoltcp's middleware around one.
pub struct Stack<D = SchemeDevice<Adapter>, W = Readiness> {
    pub(crate) driver: Driver<D, W>,
    sockets: SocketSet<'static>,
}

/// Everything but the sockets, so that a function can use a socket set of its own.
pub(crate) struct Driver<D, W> {
    device: D,
    waiter: W,
    interface: Interface,
    epoch: Instant,
}

impl Stack {
    /// Opens an adapter. The stack has no address yet: see [`dhcp`](Self::dhcp) and
    /// [`set_address`](Self::set_address).
    pub fn open(name: &AdapterName) -> Result<Self> {
        let adapter = Adapter::open(name, Mode::NonBlocking)?;
        let mac = adapter.mac()?;
        let readiness = Readiness::new(&adapter)?;
        Ok(Self::new(SchemeDevice::new(adapter), readiness, mac))
    }
}

impl<D: Device + TakeError, W: Wait> Stack<D, W> {
    /// A stack on a device, which must be an Ethernet one.
    pub fn new(mut device: D, waiter: W, mac: MacAddress) -> Self {
        let mut config = Config::new(mac.into());
        config.random_seed = random();
        let interface = Interface::new(config, &mut device, smoltcp::time::Instant::ZERO);
        let driver = Driver {
            device,
            waiter,
            interface,
            epoch: Instant::now(),
        };
        Self {
            driver,
            sockets: SocketSet::new(Vec::new()),
        }
    }

    /// Gives the interface one address, instead of what it had, and a router to everywhere else.
    pub fn set_address(&mut self, address: Ipv4Cidr, router: Option<Ipv4Addr>) {
        self.driver.interface.update_ip_addrs(|addresses| {
            addresses.clear();
            // Cannot be full: it has room for at least one.
            let _ = addresses.push(IpCidr::Ipv4(address));
        });
        let routes = self.driver.interface.routes_mut();
        routes.remove_default_ipv4_route();
        if let Some(router) = router {
            // Cannot be full either.
            let _ = routes.add_default_ipv4_route(router);
        }
    }

    /// The address that outgoing packets carry.
    pub fn address(&self) -> Option<Ipv4Addr> {
        self.driver.interface.ipv4_addr()
    }

    /// The sockets. Only [`poll_until`](Self::poll_until) makes them work.
    pub fn sockets(&mut self) -> &mut SocketSet<'static> {
        &mut self.sockets
    }

    /// The interface and the sockets, for operations that need both.
    pub fn parts(&mut self) -> (&mut Interface, &mut SocketSet<'static>) {
        (&mut self.driver.interface, &mut self.sockets)
    }

    /// Moves frames until `done` returns something, or until the deadline: then the result is `None`.
    ///
    /// `done` is called after every batch of frames. What it puts into sockets is sent at once.
    ///
    /// # Errors
    ///
    /// Failures of the adapter. A frame that it refused because it was busy counts as lost on the wire and is no error.
    pub fn poll_until<T>(
        &mut self,
        deadline: Instant,
        done: impl FnMut(&mut SocketSet<'static>) -> Option<T>,
    ) -> Result<Option<T>> {
        self.driver.poll_until(&mut self.sockets, deadline, done)
    }
}

impl<D: Device + TakeError, W: Wait> Driver<D, W> {
    /// Same as [`Stack::poll_until`], for any sockets.
    pub(crate) fn poll_until<'s, T>(
        &mut self,
        sockets: &mut SocketSet<'s>,
        deadline: Instant,
        mut done: impl FnMut(&mut SocketSet<'s>) -> Option<T>,
    ) -> Result<Option<T>> {
        loop {
            let more_frames = self.poll(sockets);
            if let Some(error) = self.device.take_error()
                && !error.is_would_block()
            {
                return Err(error);
            }
            if let Some(result) = done(sockets) {
                return Ok(Some(result));
            }
            let remaining = deadline.saturating_duration_since(Instant::now());
            if remaining.is_zero() {
                return Ok(None);
            }
            if more_frames {
                continue;
            }
            let now = self.now();
            let delay = self.interface.poll_delay(now, sockets).map(Duration::from);
            let timeout = delay.map_or(remaining, |delay| delay.min(remaining));
            if !timeout.is_zero() {
                self.waiter.wait(Some(timeout))?;
            }
        }
    }

    /// Receives a batch of frames and sends what is queued. Returns true if there may be more received frames.
    fn poll(&mut self, sockets: &mut SocketSet<'_>) -> bool {
        let now = self.now();
        self.interface.poll_maintenance(now);
        let more_frames = (0..INGRESS_BATCH).all(|_| {
            let result = self.interface.poll_ingress_single(now, &mut self.device, sockets);
            !matches!(result, PollIngressSingleResult::None)
        });
        while self.interface.poll_egress(now, &mut self.device, sockets) == PollResult::SocketStateChanged {}
        more_frames
    }

    /// The time as smoltcp counts it here, monotonic and from the stack's beginning.
    fn now(&self) -> smoltcp::time::Instant {
        let elapsed = self.epoch.elapsed();
        smoltcp::time::Instant::from_micros(i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX))
    }
}

/// An unpredictable number, from the random keys of the standard library's hash maps.
pub fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher};

    std::hash::RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests;
