//! Load that this machine sends to the system that is measured: bursts of frames, and datagrams at a rate.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use netstack_client::MacAddress;
use netstack_client::benchmark::Generator as Frames;
use netstack_client::system::datagram::Generator as Datagrams;

use crate::error::{Error, Result};

/// QEMU's address for its NIC.
pub const MAC: MacAddress = MacAddress([0x52, 0x54, 0x00, 0x12, 0x34, 0x56]);
/// This end of the cable.
pub const OURS: MacAddress = MacAddress([0x02, 0, 0, 0, 0, 0x01]);
/// Frames of a burst: as many as a receive ring of the usual size takes, and several groups of
/// `netstack-client bench rx`.
const BURST: u32 = 256;
/// They are sent in pieces that fit the buffer of QEMU's socket, with a pause that lets QEMU take them.
const PIECE: u32 = 32;
const PAUSE: Duration = Duration::from_millis(1);

/// A UDP port of the loopback that is free now; QEMU binds it a moment later.
pub fn free_port() -> Result<u16> {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|socket| socket.local_addr())
        .map(|address| address.port())
        .map_err(Error::host("find a free UDP port"))
}

/// The other end of the NIC's cable: one datagram is one frame.
pub struct Cable {
    socket: UdpSocket,
    nic: SocketAddr,
}

impl Cable {
    pub fn new() -> Result<Self> {
        let any = (Ipv4Addr::LOCALHOST, 0);
        let socket = UdpSocket::bind(any).map_err(Error::host("bind a UDP port"))?;
        let nic = (Ipv4Addr::LOCALHOST, free_port()?).into();
        Ok(Self { socket, nic })
    }

    /// QEMU's option.
    pub fn netdev(&self) -> Result<String> {
        let ours = self
            .socket
            .local_addr()
            .map_err(Error::host("ask for a UDP port"))?;
        Ok(format!("socket,udp={ours},localaddr={}", self.nic))
    }

    /// Sends benchmark frames until the load is dropped, in bursts, one in each `interval`. While a burst is read,
    /// there is always a next frame; a system that is offered more than it can read for good would stand still
    /// instead.
    pub fn bursts(&self, run: u32, size: usize, interval: Duration) -> Result<Load> {
        let socket = self.socket.try_clone().map_err(Error::host("share a UDP port"))?;
        let nic = self.nic;
        let mut frames = Frames::new(MAC, OURS, run, size);
        Ok(Load::start(interval, move || {
            for sent in 1..=BURST {
                // Fails while QEMU is not there.
                let _ = socket.send_to(frames.next_frame(), nic);
                if sent.is_multiple_of(PIECE) {
                    thread::sleep(PAUSE);
                }
            }
        }))
    }
}

/// Datagrams for a port of this machine, at that many in a second.
pub fn datagrams(port: u16, run: u32, size: usize, rate: u32) -> Result<Load> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|socket| socket.connect((Ipv4Addr::LOCALHOST, port)).map(|()| socket))
        .map_err(Error::host("send datagrams to the system"))?;
    let mut datagrams = Datagrams::new(run, size);
    Ok(Load::start(Duration::from_secs(1) / rate, move || {
        let _ = socket.send(datagrams.next_datagram());
    }))
}

/// Something that is sent again and again by a thread, until this value is dropped or stopped.
pub struct Load {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: Option<JoinHandle<Duration>>,
}

impl Load {
    fn start(interval: Duration, mut send: impl FnMut() + Send + 'static) -> Self {
        Self::spawn(move |stopped, count| {
            let start = Instant::now();
            let mut sent = 0;
            while !stopped.load(Ordering::Relaxed) {
                // As many as are due; this machine's scheduler makes small groups of them.
                let due = (start.elapsed().as_nanos() / interval.as_nanos().max(1)) as u64 + 1;
                while sent < due && !stopped.load(Ordering::Relaxed) {
                    send();
                    sent += 1;
                    count.store(sent, Ordering::Relaxed);
                }
                let next = interval.mul_f64(sent as f64);
                thread::sleep(next.saturating_sub(start.elapsed()));
            }
        })
    }

    /// Calls `send` again and again, which waits as long as it must, but for no more than a moment at once, and says
    /// whether it has sent something.
    pub fn unpaced(mut send: impl FnMut() -> bool + Send + 'static) -> Self {
        Self::spawn(move |stopped, count| {
            while !stopped.load(Ordering::Relaxed) {
                count.fetch_add(u64::from(send()), Ordering::Relaxed);
            }
        })
    }

    fn spawn(work: impl FnOnce(&AtomicBool, &AtomicU64) + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let sent = Arc::new(AtomicU64::new(0));
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&sent));
        let thread = thread::spawn(move || {
            let start = Instant::now();
            work(&stopped, &count);
            start.elapsed()
        });
        Self {
            stop,
            sent,
            thread: Some(thread),
        }
    }

    /// Number of those sent until now.
    #[cfg(test)]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Number of those sent, and the time that it took.
    pub fn stop(mut self) -> (u64, Duration) {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take();
        let time = thread.and_then(|thread| thread.join().ok()).unwrap_or_default();
        (self.sent.load(Ordering::Relaxed), time)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_keeps_its_rate() {
        let load = Load::start(Duration::from_millis(1), || {});
        thread::sleep(Duration::from_millis(200));
        let (sent, time) = load.stop();
        let due = time.as_secs_f64() * 1000.0;
        assert!(
            (due * 0.5..due + 2.0).contains(&(sent as f64)),
            "{sent} in {time:?}"
        );
    }
}
