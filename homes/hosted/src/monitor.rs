//! QEMU's human monitor, as far as one needs it to pull a cable.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};
use std::{io, thread};

/// Longest wait for a monitor command, and for the monitor to be there.
const LIMIT: Duration = Duration::from_secs(10);

const PROMPT: &[u8] = b"(qemu) ";

/// Runs one monitor command that prints nothing when it works.
///
/// # Errors
///
/// When the monitor at `socket` does not answer in time, or prints something: that text is the error.
pub fn command(socket: &Path, command: &str) -> io::Result<()> {
    let mut stream = connect(socket)?;
    stream.set_read_timeout(Some(LIMIT))?;
    read_to_prompt(&mut stream)?;
    stream.write_all(format!("{command}\n").as_bytes())?;
    let output = read_to_prompt(&mut stream)?;
    // The monitor echoes the command with terminal control sequences; the answer is on the lines behind it.
    let answer = output.split_once('\n').map_or("", |(_, answer)| answer).trim();
    if answer.is_empty() {
        Ok(())
    } else {
        Err(io::Error::other(format!("{command}: {answer}")))
    }
}

/// Plugs in (`true`) or pulls out the cable of the NIC.
///
/// # Errors
///
/// As [`command`].
pub fn set_link(socket: &Path, on: bool) -> io::Result<()> {
    command(
        socket,
        &format!(
            "set_link {} {}",
            crate::machine::NETDEV,
            if on { "on" } else { "off" }
        ),
    )
}

/// QEMU serves one monitor connection at a time and creates the socket while it starts.
fn connect(socket: &Path) -> io::Result<UnixStream> {
    let start = Instant::now();
    loop {
        match UnixStream::connect(socket) {
            Err(error) if start.elapsed() >= LIMIT => return Err(error),
            Err(_) => thread::sleep(Duration::from_millis(10)),
            connected => return connected,
        }
    }
}

fn read_to_prompt(stream: &mut UnixStream) -> io::Result<String> {
    let start = Instant::now();
    let mut output = Vec::new();
    let mut chunk = [0; 512];
    while !output.ends_with(PROMPT) {
        if start.elapsed() >= LIMIT {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match stream.read(&mut chunk)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => output.extend_from_slice(&chunk[..count]),
        }
    }
    output.truncate(output.len() - PROMPT.len());
    Ok(String::from_utf8_lossy(&output).into_owned())
}
