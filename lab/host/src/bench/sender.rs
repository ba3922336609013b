//! Senders that never let up.
//!
//! One is held back while the NIC has no room, frame by frame. The NIC is connected to a datagram socket of the UNIX
//! domain, QEMU's `-netdev dgram`. QEMU takes one frame at a time from it, and none while the NIC cannot receive
//! (`net_dgram_send` in net/dgram.c, `qemu_net_queue_send` in net/queue.c); the kernel's queue of such a socket is
//! short (`net.unix.max_dgram_qlen`, 10 unless changed), and a sender waits while it is full. So nothing is lost on
//! the way, whatever the driver does, and the next frame is there as soon as there is room.
//!
//! The other one, a stream as for `-netdev socket`, is not held back so well. QEMU takes up to 68 KiB of it at once
//! and queues what the NIC does not take; when the driver gives buffers back, `qemu_net_queue_flush` offers the NIC
//! all of that without asking whether there is room, and QEMU's e1000 drops what does not fit
//! (`e1000_receiver_overrun` in hw/net/e1000.c), with an interrupt, while its e1000e keeps it. So the ring is always
//! full, and on e1000 overrun.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use netstack_client::benchmark::Generator;
use tempfile::TempDir;

use super::load::{Load, MAC, OURS};
use crate::error::{Error, Result};

/// Time for which a frame waits for room before the sender looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(50);
/// From one attempt to the next while QEMU is not there.
const RETRY: Duration = Duration::from_millis(5);

/// The other end of the NIC's cable.
pub struct HeldBack {
    place: TempDir,
}

impl HeldBack {
    pub fn new() -> Result<Self> {
        let place = tempfile::tempdir().map_err(Error::host("create a directory for the NIC's socket"))?;
        Ok(Self { place })
    }

    fn nic(&self) -> PathBuf {
        self.place.path().join("nic")
    }

    /// QEMU's option. Nobody gets the frames that the system sends.
    pub fn netdev(&self) -> String {
        let nobody = self.place.path().join("nobody");
        format!(
            "dgram,local.type=unix,local.path={},remote.type=unix,remote.path={}",
            self.nic().display(),
            nobody.display()
        )
    }

    /// Sends benchmark frames, as fast as they are taken, until the load is dropped.
    pub fn flood(&self, run: u32, size: usize) -> Load {
        let nic = self.nic();
        let mut frames = Generator::new(MAC, OURS, run, size);
        let mut socket = None;
        // A frame that found no room is the next one again.
        let mut waiting: Option<Vec<u8>> = None;
        Load::unpaced(move || {
            let frame = waiting.take().unwrap_or_else(|| frames.next_frame().to_vec());
            match send(&mut socket, &nic, &frame) {
                Ok(()) => true,
                Err(error) => {
                    waiting = Some(frame);
                    if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) {
                        // QEMU is not there, or no more.
                        socket = None;
                        thread::sleep(RETRY);
                    }
                    false
                }
            }
        })
    }
}

/// Sends a frame, with a new socket if there is none.
fn send(socket: &mut Option<UnixDatagram>, nic: &Path, frame: &[u8]) -> io::Result<()> {
    let socket = match socket {
        Some(socket) => socket,
        None => {
            let new = UnixDatagram::unbound()?;
            new.connect(nic)?;
            new.set_write_timeout(Some(LOOK))?;
            socket.insert(new)
        }
    };
    socket.send(frame).map(drop)
}

/// Frames of one write on a stream: so many that QEMU finds a full buffer at each read.
const CHUNK: u32 = 256;

/// The other end of the NIC's cable, as a stream: before each frame its length, 4 bytes, the highest first
/// (`net_fill_rstate` in net/net.c).
pub struct Stream {
    listener: TcpListener,
    connection: Arc<Mutex<Connection>>,
}

#[derive(Default)]
struct Connection {
    stream: Option<TcpStream>,
    /// Bytes that found no room. The next sender goes on with them, in the middle of a frame.
    pending: Vec<u8>,
}

impl Stream {
    pub fn new() -> Result<Self> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error::host("listen on the loopback"))?;
        Ok(Self {
            listener,
            connection: Arc::default(),
        })
    }

    /// QEMU's option.
    pub fn netdev(&self) -> Result<String> {
        let address = self
            .listener
            .local_addr()
            .map_err(Error::host("ask for a TCP port"))?;
        Ok(format!("socket,connect={address}"))
    }

    /// Sends benchmark frames, as fast as they are taken, until the load is dropped. QEMU has been started.
    pub fn flood(&self, run: u32, size: usize) -> Result<Load> {
        let mut frames = Generator::new(MAC, OURS, run, size);
        let shared = Arc::clone(&self.connection);
        let listener = self
            .listener
            .try_clone()
            .map_err(Error::host("share a TCP port"))?;
        let mut discard = vec![0; 64 << 10];
        Ok(Load::unpaced(move || {
            let mut connection = shared.lock().unwrap_or_else(PoisonError::into_inner);
            let sent = connection.send(&listener, &mut frames, &mut discard);
            if sent.is_err() {
                // The end of QEMU. Another one begins with a whole frame.
                *connection = Connection::default();
                drop(connection);
                thread::sleep(RETRY);
            }
            sent.unwrap_or(false)
        }))
    }
}

impl Connection {
    /// Sends what is pending, or the next frames; false if there was no room for all of it.
    fn send(
        &mut self,
        listener: &TcpListener,
        frames: &mut Generator,
        discard: &mut [u8],
    ) -> io::Result<bool> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            None => {
                let (stream, _) = listener.accept()?;
                stream.set_write_timeout(Some(LOOK))?;
                stream.set_nonblocking(false)?;
                self.stream.insert(stream)
            }
        };
        if self.pending.is_empty() {
            for _ in 0..CHUNK {
                let frame = frames.next_frame();
                // At most 1514, which fits.
                self.pending
                    .extend_from_slice(&(frame.len() as u32).to_be_bytes());
                self.pending.extend_from_slice(frame);
            }
        }
        // The system may send, and would wait for us.
        stream.set_nonblocking(true)?;
        while stream.read(discard).is_ok_and(|length| length > 0) {}
        stream.set_nonblocking(false)?;
        match stream.write(&self.pending) {
            Ok(0) => Err(ErrorKind::WriteZero.into()),
            Ok(length) => {
                self.pending.drain(..length);
                Ok(self.pending.is_empty())
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use netstack_client::benchmark::{Parsed, SequenceTracker, parse};

    use super::*;

    /// A NIC that reads when it is asked to.
    fn nic(held: &HeldBack) -> UnixDatagram {
        let socket = UnixDatagram::bind(held.nic()).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        socket
    }

    fn read(nic: &UnixDatagram, tracker: &mut SequenceTracker, size: usize) {
        let mut buffer = [0; 2048];
        let length = nic.recv(&mut buffer).unwrap();
        assert_eq!(length, size, "one datagram is one frame");
        match parse(&buffer[..length]) {
            Parsed::Intact { run, sequence } => tracker.observe(run, sequence),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn sender_is_held_back_by_a_reader_that_stops_and_nothing_is_lost() {
        let held = HeldBack::new().unwrap();
        let load = held.flood(7, 60);
        // Later than the sender: it waits for QEMU.
        let nic = nic(&held);
        let mut tracker = SequenceTracker::default();
        (0..500).for_each(|_| read(&nic, &mut tracker, 60));
        // It has come to a standstill when its count no longer changes, which it does within a queue's length.
        let mut sent = load.sent();
        let start = Instant::now();
        loop {
            thread::sleep(LOOK * 4);
            let now = load.sent();
            if now == sent {
                break;
            }
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "{now} frames sent, 500 read"
            );
            sent = now;
        }
        (0..500).for_each(|_| read(&nic, &mut tracker, 60));
        let (sent, _) = load.stop();
        // What is on the way yet.
        for _ in 1000..sent {
            read(&nic, &mut tracker, 60);
        }
        assert_eq!(
            (tracker.lost(), tracker.duplicates(), tracker.reordered()),
            (0, 0, 0)
        );
    }

    #[test]
    fn nic_is_a_unix_socket_for_qemu() {
        let held = HeldBack::new().unwrap();
        let netdev = held.netdev();
        assert!(
            netdev.starts_with("dgram,local.type=unix,local.path=/"),
            "{netdev}"
        );
        assert!(netdev.contains(",remote.type=unix,remote.path=/"), "{netdev}");
    }

    #[test]
    fn stream_survives_a_reader_that_stops_and_the_next_sender_goes_on() {
        let stream = Stream::new().unwrap();
        let netdev = stream.netdev().unwrap();
        let address = netdev.strip_prefix("socket,connect=").unwrap();
        let mut nic = TcpStream::connect(address).unwrap();
        nic.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        // Reads until that many frames of a run have come; those of the run before may come first.
        let mut read = |run: u32, size: usize, count: u64| {
            let mut tracker = SequenceTracker::default();
            let mut found = 0;
            while found < count {
                let mut length = [0; 4];
                nic.read_exact(&mut length).unwrap();
                let mut frame = vec![0; u32::from_be_bytes(length) as usize];
                nic.read_exact(&mut frame).unwrap();
                match parse(&frame) {
                    Parsed::Intact { run: of, sequence } if of == run => {
                        assert_eq!(frame.len(), size);
                        tracker.observe(run, sequence);
                        found += 1;
                    }
                    Parsed::Intact { run: of, .. } => assert!(found == 0 && of < run, "run {of}"),
                    other => panic!("{other:?}"),
                }
            }
            tracker.lost() + tracker.duplicates() + tracker.reordered()
        };
        let load = stream.flood(1, 60).unwrap();
        assert_eq!(read(1, 60, 1000), 0);
        // Nobody reads now: it comes to a standstill, perhaps in the middle of a frame.
        let mut sent = load.sent();
        let start = Instant::now();
        loop {
            thread::sleep(LOOK * 4);
            let now = load.sent();
            if now == sent {
                break;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "nothing holds it back");
            sent = now;
        }
        load.stop();
        let _load = stream.flood(2, 1514).unwrap();
        assert_eq!(read(2, 1514, 1000), 0);
    }
}
