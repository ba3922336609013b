//! TCP between the NIC and this machine, with a server on the loopback.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use netstack_client::cli::reports;
use sha2::{Digest, Sha256};

use crate::hosted::{Client, HOST};

/// Moves bytes between the NIC and a server on this machine's loopback, and compares their hashes. Returns the
/// direction that was used, and a text for its step.
pub fn transfer(client: &Client<'_>, send: u64, receive: u64) -> Result<(reports::TcpDirection, String)> {
    let server = Server::start(send, receive)?;
    let address = format!("{HOST}:{}", server.address.port());
    let (send, receive) = (send.to_string(), receive.to_string());
    let tcp: reports::Tcp = client.ask(&[
        "tcp",
        &address,
        "--send",
        &send,
        "--receive",
        &receive,
        "--timeout",
        "120s",
    ])?;
    let (received, sent) = server.finish()?;
    ensure!(
        received == tcp.sent.sha256,
        "the server received other bytes than were sent"
    );
    ensure!(
        sent == tcp.received.sha256,
        "the NIC received other bytes than the server sent"
    );
    let direction = if tcp.sent.bytes > 0 {
        tcp.sent
    } else {
        tcp.received
    };
    let word = format!(
        "{} MiB, {:.0} Mbit/s, SHA-256 equal",
        direction.bytes >> 20,
        direction.megabits_per_second
    );
    Ok((direction, word))
}

/// A server for one connection, which receives and then sends a given number of bytes.
struct Server {
    address: SocketAddr,
    thread: JoinHandle<Result<(String, String)>>,
}

impl Server {
    fn start(receive: u64, send: u64) -> Result<Self> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot listen on the loopback")?;
        let address = listener.local_addr()?;
        let thread = std::thread::spawn(move || {
            let (stream, _) = listener.accept()?;
            serve(stream, receive, send)
        });
        Ok(Self { address, thread })
    }

    /// Waits for the end of the connection. Returns the SHA-256 of the bytes received, and of those sent.
    fn finish(self) -> Result<(String, String)> {
        self.thread
            .join()
            .map_err(|_| anyhow::anyhow!("the server failed"))?
    }
}

fn serve(mut stream: TcpStream, receive: u64, send: u64) -> Result<(String, String)> {
    let limit = Some(Duration::from_secs(60));
    stream.set_read_timeout(limit)?;
    stream.set_write_timeout(limit)?;
    let mut buffer = vec![0; 64 << 10];
    let mut received = Sha256::new();
    let mut left = receive;
    while left > 0 {
        let most = buffer.len().min(usize::try_from(left)?);
        let len = stream.read(&mut buffer[..most])?;
        ensure!(len > 0, "the connection ended {left} bytes early");
        received.update(&buffer[..len]);
        left -= len as u64;
    }
    let mut sent = Sha256::new();
    let mut number = 0u64;
    let mut left = send;
    while left > 0 {
        for word in buffer.chunks_exact_mut(8) {
            // No two words are equal, so a lost, doubled or moved piece changes the hash.
            number = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
            word.copy_from_slice(&number.to_le_bytes());
        }
        let piece = &buffer[..buffer.len().min(usize::try_from(left)?)];
        stream.write_all(piece)?;
        sent.update(piece);
        left -= piece.len() as u64;
    }
    // The client closes the connection once it has received everything.
    while stream.read(&mut buffer).is_ok_and(|len| len > 0) {}
    let hex = |hash: Sha256| hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((hex(received), hex(sent)))
}
