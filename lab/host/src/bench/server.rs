//! Servers for `lab-agent stream`: any number of connections at once.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use lab_protocol::stream::{RECEIVER, SENDER, Stream};
use serde::Serialize;

use crate::error::{Error, Result};

/// Time limit of a read or a write, after which its thread checks whether the run is over.
const LOOK: Duration = Duration::from_millis(200);
/// Bytes of one read.
const CHUNK: usize = 64 << 10;

/// Result of the connections, by this machine's clock.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Tally {
    /// Number of connections that announced their direction.
    pub connections: usize,
    /// Number of bytes that arrived and were correct.
    pub received: u64,
    /// Time from the first connection to the end of the run; 0 without one.
    pub seconds: f64,
    /// Description of bytes that were wrong.
    pub error: Option<String>,
}

#[derive(Default)]
struct State {
    tally: Tally,
    first: Option<Instant>,
}

struct Shared {
    over: AtomicBool,
    state: Mutex<State>,
    stream: Stream,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Consistent after each change, so a panic of another thread does not matter.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

/// Serves connections until it is dropped or finished.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Server {
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let listener = listener.map_err(Error::host("listen on the loopback"))?;
        let address = listener.local_addr().map_err(Error::host("ask for a TCP port"))?;
        let shared = Arc::new(Shared {
            over: AtomicBool::new(false),
            state: Mutex::default(),
            stream: Stream::new(CHUNK),
        });
        let of_thread = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if of_thread.is_over() {
                    break;
                }
                let shared = Arc::clone(&of_thread);
                // If a connection ends, or never announces its direction, the bytes counted so far stay counted.
                thread::spawn(move || stream.and_then(|stream| serve(stream, &shared)));
            }
        });
        Ok(Self { address, shared })
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Ends all connections and returns their result.
    pub fn finish(self) -> Tally {
        let end = Instant::now();
        self.shared.over.store(true, Ordering::Relaxed);
        let mut state = self.shared.state();
        state.tally.seconds = state
            .first
            .map_or(0.0, |first| end.saturating_duration_since(first).as_secs_f64());
        state.tally.clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        // A connection wakes up the thread that waits for one, which then sees that the run is over.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_read_timeout(Some(LOOK))?;
    stream.set_write_timeout(Some(LOOK))?;
    let mut hello = [0];
    if until_over(shared, || stream.read(&mut hello))? == 0 {
        return Ok(());
    }
    {
        let mut state = shared.state();
        state.first.get_or_insert_with(Instant::now);
        state.tally.connections += 1;
    }
    match hello {
        [RECEIVER] => send(&mut stream, shared),
        [SENDER] => receive(&mut stream, shared),
        [other] => {
            shared.state().tally.error = Some(format!("a connection began with {other:#04x}"));
            Ok(())
        }
    }
}

/// Repeats a call that has a time limit. Returns 0 when the run is over.
fn until_over(shared: &Shared, mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    while !shared.is_over() {
        match call() {
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) => {}
            result => return result,
        }
    }
    Ok(0)
}

fn send(stream: &mut TcpStream, shared: &Shared) -> io::Result<()> {
    let mut sent = 0;
    loop {
        match until_over(shared, || stream.write(shared.stream.at(sent, CHUNK)))? {
            0 => return Ok(()),
            length => sent += length as u64,
        }
    }
}

fn receive(stream: &mut TcpStream, shared: &Shared) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    let mut received = 0;
    loop {
        let length = until_over(shared, || stream.read(&mut buffer))?;
        if length == 0 {
            return Ok(());
        }
        let mut state = shared.state();
        // Bytes after the end of the run do not count.
        if shared.is_over() {
            return Ok(());
        }
        if buffer[..length] != *shared.stream.at(received, length) {
            state.tally.error = Some(format!("other bytes came than were sent, behind {received}"));
            return Ok(());
        }
        received += length as u64;
        state.tally.received += length as u64;
    }
}

#[cfg(test)]
mod tests {
    use lab_protocol::stream::PERIOD;

    use super::*;

    fn connect(server: &Server, hello: u8) -> TcpStream {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(&[hello]).unwrap();
        stream
    }

    fn pattern(length: usize) -> Vec<u8> {
        Stream::new(length).at(0, length).to_vec()
    }

    /// Waits until the server has counted that many bytes, or has found an error.
    fn wait(server: &Server, bytes: u64) {
        let start = Instant::now();
        loop {
            let tally = server.shared.state().tally.clone();
            if tally.received >= bytes || tally.error.is_some() {
                return;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "{tally:?}");
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn connections_of_both_directions_are_served_at_once() {
        const LENGTH: usize = 100_000;
        let server = Server::start().unwrap();
        let mut receivers = [(); 3].map(|()| connect(&server, RECEIVER));
        let mut senders = [(); 2].map(|()| connect(&server, SENDER));
        let expected = pattern(LENGTH);
        for sender in &mut senders {
            sender.write_all(&expected).unwrap();
        }
        for receiver in &mut receivers {
            let mut bytes = vec![0; LENGTH];
            receiver.read_exact(&mut bytes).unwrap();
            assert!(bytes == expected);
        }
        wait(&server, 2 * LENGTH as u64);
        let tally = server.finish();
        assert_eq!(
            (tally.connections, tally.received, tally.error),
            (5, 2 * LENGTH as u64, None)
        );
        assert!(tally.seconds > 0.0);
        // The other side sees the end.
        let mut rest = Vec::new();
        let _ = receivers[0].read_to_end(&mut rest);
    }

    #[test]
    fn other_bytes_and_other_beginnings_are_errors() {
        let server = Server::start().unwrap();
        let mut bytes = pattern(20_000);
        bytes[PERIOD + 7] ^= 1;
        connect(&server, SENDER).write_all(&bytes).unwrap();
        wait(&server, u64::MAX);
        assert!(server.finish().error.unwrap().starts_with("other bytes"));

        let server = Server::start().unwrap();
        let _stream = connect(&server, 0);
        wait(&server, u64::MAX);
        assert_eq!(server.finish().error.unwrap(), "a connection began with 0x00");
    }

    #[test]
    fn server_without_connections_ends() {
        let server = Server::start().unwrap();
        assert_eq!(server.finish(), Tally::default());
    }
}
