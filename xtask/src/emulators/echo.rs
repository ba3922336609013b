//! A server on this machine's loopback, which emulated networks see as 10.0.2.2.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

/// What the scenario "transfer" sends first, because Redox's stack must send before it can receive.
const HELLO: usize = "go".len();
/// What it sends then, and takes back.
const BYTES: usize = 1 << 20;
/// Longest silence of a client. Systems on a busy machine are slow.
const SILENCE: Duration = Duration::from_secs(600);

/// Gives back what each client of the scenario "transfer" sends, after all of it has come. Ends with the program.
/// Returns its port.
pub fn start() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot listen on the loopback")?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            // A client that goes away sees to it that its own step fails.
            thread::spawn(move || serve(client));
        }
    });
    Ok(port)
}

fn serve(mut client: TcpStream) -> std::io::Result<()> {
    client.set_read_timeout(Some(SILENCE))?;
    client.set_write_timeout(Some(SILENCE))?;
    client.read_exact(&mut [0; HELLO])?;
    let mut bytes = vec![0; BYTES];
    client.read_exact(&mut bytes)?;
    client.write_all(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back() {
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, start().unwrap())).unwrap();
        let bytes: Vec<_> = (0..BYTES).map(|index| (index * 31 / 8) as u8).collect();
        client.write_all(b"go").unwrap();
        client.write_all(&bytes).unwrap();
        let mut back = Vec::new();
        client.read_to_end(&mut back).unwrap();
        assert!(back == bytes);
    }
}
