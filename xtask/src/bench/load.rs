//! What this machine sends to the system that is measured, and the servers that it talks to.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use netstack_client::MacAddress;
use netstack_client::benchmark::Generator as Frames;
use netstack_client::pattern::Pattern;
use netstack_client::system::datagram::Generator as Datagrams;

/// QEMU's address for its NIC.
const MAC: MacAddress = MacAddress([0x52, 0x54, 0x00, 0x12, 0x34, 0x56]);
/// This end of the cable.
const OURS: MacAddress = MacAddress([0x02, 0, 0, 0, 0, 0x01]);
/// Frames of a burst: as many as a receive ring of the usual size takes, and several groups of `netstack-client bench rx`.
const BURST: u32 = 256;
/// They are sent in pieces that fit the buffer of QEMU's socket, with a pause that lets QEMU take them.
const PIECE: u32 = 32;
const PAUSE: Duration = Duration::from_millis(1);
/// After so many bytes the stream of `netstack-client bench stream` repeats.
const PERIOD: usize = 16_411;
/// How long the other side of a TCP connection may be silent.
const SILENCE: Duration = Duration::from_secs(60);

/// The other end of the NIC's cable: one datagram is one frame.
pub struct Cable {
    socket: UdpSocket,
    nic: SocketAddr,
}

impl Cable {
    pub fn new() -> Result<Self> {
        let any = (Ipv4Addr::LOCALHOST, 0);
        let socket = UdpSocket::bind(any).context("cannot bind a UDP port")?;
        // The system names a port that is free now; QEMU binds it a moment later.
        let nic = UdpSocket::bind(any)?.local_addr()?;
        Ok(Self { socket, nic })
    }

    /// What to tell QEMU.
    pub fn netdev(&self) -> Result<String> {
        let ours = self.socket.local_addr()?;
        Ok(format!("socket,udp={ours},localaddr={}", self.nic))
    }

    /// Sends benchmark frames until the load is dropped, in bursts, one in each `interval`. While a burst is read, there
    /// is always a next frame; a system that is offered more than it can read for good would stand still instead.
    pub fn bursts(&self, run: u32, size: usize, interval: Duration) -> Result<Load> {
        let socket = self.socket.try_clone()?;
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
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect((Ipv4Addr::LOCALHOST, port))?;
    let mut datagrams = Datagrams::new(run, size);
    Ok(Load::start(Duration::from_secs(1) / rate, move || {
        let _ = socket.send(datagrams.next_datagram());
    }))
}

/// Something that is sent again and again by a thread, until this value is dropped or stopped.
pub struct Load {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<(u64, Duration)>>,
}

impl Load {
    fn start(interval: Duration, mut send: impl FnMut() + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let start = Instant::now();
            let mut sent = 0;
            while !stopped.load(Ordering::Relaxed) {
                // As many as are due; this machine's scheduler makes small groups of them.
                let due = (start.elapsed().as_nanos() / interval.as_nanos().max(1)) as u64 + 1;
                while sent < due && !stopped.load(Ordering::Relaxed) {
                    send();
                    sent += 1;
                }
                let next = interval.mul_f64(sent as f64);
                thread::sleep(next.saturating_sub(start.elapsed()));
            }
            (sent, start.elapsed())
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }

    /// How many were sent, and in which time.
    pub fn stop(mut self) -> (u64, Duration) {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take();
        thread.and_then(|thread| thread.join().ok()).unwrap_or_default()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Takes one connection of `netstack-client bench stream`.
pub struct Server {
    port: u16,
    thread: JoinHandle<Result<f64>>,
}

impl Server {
    /// Receives and sends that many bytes.
    pub fn start(receive: u64, send: u64) -> Result<Self> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot listen on the loopback")?;
        let port = listener.local_addr()?.port();
        let thread = thread::spawn(move || serve(&listener, receive, send));
        Ok(Self { port, thread })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether the connection is over.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Millions of bits in a second by this machine's clock, from the first byte until the other side has everything.
    pub fn finish(self) -> Result<f64> {
        self.thread.join().map_err(|_| anyhow!("the server failed"))?
    }
}

fn serve(listener: &TcpListener, receive: u64, send: u64) -> Result<f64> {
    let (mut stream, _) = listener.accept()?;
    stream.set_read_timeout(Some(SILENCE))?;
    stream.set_write_timeout(Some(SILENCE))?;
    stream.read_exact(&mut [0])?;
    let start = Instant::now();
    let mut period = vec![0; PERIOD];
    Pattern::new(1).fill(&mut period);
    let mut buffer = vec![0; 64 << 10];
    let mut received = 0;
    while received < receive {
        let length = stream.read(&mut buffer)?;
        ensure!(length > 0, "the connection ended after {received} bytes");
        let position = usize::try_from(received % PERIOD as u64)?;
        let expected = period.iter().cycle().skip(position);
        ensure!(
            buffer[..length].iter().eq(expected.take(length)),
            "other bytes came than were sent"
        );
        received += length as u64;
    }
    let mut time = start.elapsed();
    let mut sent = 0;
    while sent < send {
        let position = usize::try_from(sent % PERIOD as u64)?;
        let most = usize::try_from((send - sent).min(PERIOD as u64))?;
        let piece = &period[position..PERIOD.min(position + most)];
        stream.write_all(piece)?;
        sent += piece.len() as u64;
    }
    // The other side closes when it has everything.
    while stream.read(&mut buffer).is_ok_and(|length| length > 0) {}
    if send > 0 {
        time = start.elapsed();
    }
    Ok((received + sent) as f64 * 8e-6 / time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

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

    #[test]
    fn server_wants_the_bytes_that_it_knows() {
        let talk = |bytes: &[u8]| {
            let server = Server::start(bytes.len() as u64, 10).unwrap();
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).unwrap();
            stream.write_all(&[0]).unwrap();
            stream.write_all(bytes).unwrap();
            let mut answer = [0; 10];
            let answered = stream.read_exact(&mut answer).is_ok();
            drop(stream);
            (server.finish(), answered.then_some(answer))
        };
        let mut stream = vec![0; PERIOD];
        Pattern::new(1).fill(&mut stream);
        stream.extend_from_within(..100);
        let (rate, answer) = talk(&stream);
        assert!(rate.unwrap() > 0.0);
        assert_eq!(answer.unwrap(), stream[..10]);
        stream[PERIOD + 7] ^= 1;
        assert!(talk(&stream).0.is_err());
    }
}
