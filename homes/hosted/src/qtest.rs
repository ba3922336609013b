//! QEMU's test protocol: one line per command on a Unix socket, one line per answer, and interrupt lines in between.

use std::io::{self, BufRead, BufReader, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Longest wait for an answer. QEMU answers at once; one that does not is as good as gone.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// Most commands that are sent together.
pub const POSTED_LIMIT: usize = 256;

/// A change of an interrupt pin.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Interrupt {
    /// Number of the pin at the intercepted controller.
    pub pin: u32,
    /// State of the pin: true while it is asserted.
    pub raised: bool,
}

struct Channel {
    stream: UnixStream,
    answers: Receiver<String>,
    gone: bool,
    /// Commands that wait to be sent, and how many they are.
    posted: String,
    posts: usize,
}

impl Channel {
    /// Sends what waits, and takes the answers.
    fn flush(&mut self) -> Option<()> {
        let posts = std::mem::take(&mut self.posts);
        let posted = std::mem::take(&mut self.posted);
        self.stream.write_all(posted.as_bytes()).ok()?;
        for _ in 0..posts {
            self.answers.recv_timeout(ANSWER_LIMIT).ok()?;
        }
        Some(())
    }

    /// Sends commands behind those that wait; their answers.
    fn ask(&mut self, commands: &[&str]) -> Option<Vec<String>> {
        for command in commands {
            self.posted.push_str(command);
            self.posted.push('\n');
        }
        self.flush()?;
        let answers = commands.iter().map(|_| self.answers.recv_timeout(ANSWER_LIMIT));
        answers.collect::<Result<_, _>>().ok()
    }

    /// Nothing more is asked of a QEMU that did not answer.
    fn give_up(&mut self) {
        self.gone = true;
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// A connection to the test server of one QEMU. Clones share it.
///
/// Commands and their answers are in the order of the calls. Once QEMU is gone reads give all ones and
/// writes do nothing, as with hardware that was pulled out.
#[derive(Clone)]
pub struct Qtest {
    channel: Arc<Mutex<Channel>>,
}

impl Qtest {
    /// Speaks the protocol on `stream`; a thread calls `on_interrupt` for each change of an intercepted pin, before
    /// the answer to the command that caused it is returned.
    ///
    /// # Errors
    ///
    /// When there is no thread or no second handle on the stream to be had.
    pub fn start(
        stream: UnixStream,
        mut on_interrupt: impl FnMut(Interrupt) + Send + 'static,
    ) -> io::Result<Self> {
        let reader = BufReader::new(stream.try_clone()?);
        let (sender, answers) = sync_channel(2 * POSTED_LIMIT);
        redox_shim::spawn_without_signals("qtest", move || {
            for line in reader.lines() {
                let Ok(line) = line else { break };
                match parse_interrupt(&line) {
                    Some(interrupt) => on_interrupt(interrupt),
                    // A full channel means an answer without a command: the conversation is out of step.
                    None if sender.try_send(line).is_err() => break,
                    None => {}
                }
            }
        })?;
        Ok(Self {
            channel: Arc::new(Mutex::new(Channel {
                stream,
                answers,
                gone: false,
                posted: String::new(),
                posts: 0,
            })),
        })
    }

    /// Sends one command; the words behind `OK`, or `None` if QEMU refused or is gone.
    pub fn command(&self, command: &str) -> Option<String> {
        self.commands(&[command]).pop().flatten()
    }

    /// Sends up to [`POSTED_LIMIT`] commands together; of each the words behind `OK`, or `None` if QEMU refused.
    /// Nothing, if it is gone.
    pub fn commands(&self, commands: &[&str]) -> Vec<Option<String>> {
        let mut channel = self.channel.lock().unwrap_or_else(PoisonError::into_inner);
        if channel.gone {
            return Vec::new();
        }
        let Some(answers) = channel.ask(commands) else {
            channel.give_up();
            return Vec::new();
        };
        let words = |answer: String| answer.strip_prefix("OK").map(|rest| rest.trim().to_string());
        answers.into_iter().map(words).collect()
    }

    /// Has a command sent, behind which nothing is done before the next one that wants an answer: with that one, or
    /// with many like it. Its own answer is not looked at.
    pub fn post(&self, command: &str) {
        let mut channel = self.channel.lock().unwrap_or_else(PoisonError::into_inner);
        if channel.gone {
            return;
        }
        channel.posted.push_str(command);
        channel.posted.push('\n');
        channel.posts += 1;
        if channel.posts == POSTED_LIMIT && channel.flush().is_none() {
            channel.give_up();
        }
    }

    /// Tells if QEMU has stopped answering.
    pub fn is_gone(&self) -> bool {
        self.channel.lock().unwrap_or_else(PoisonError::into_inner).gone
    }

    fn read(&self, command: &str) -> Option<u64> {
        number(&self.command(command)?)
    }

    /// Reads 32 bits of memory space at each of up to [`POSTED_LIMIT`] addresses.
    pub fn read_all(&self, addresses: &[u64]) -> Vec<u32> {
        let commands: Vec<_> = addresses
            .iter()
            .map(|address| format!("readl 0x{address:x}"))
            .collect();
        let commands: Vec<_> = commands.iter().map(String::as_str).collect();
        let mut answers = self.commands(&commands).into_iter();
        let value = |answer: Option<Option<String>>| number(&answer??);
        addresses
            .iter()
            .map(|_| value(answers.next()).map_or(u32::MAX, |value| value as u32))
            .collect()
    }

    /// Reads 32 bits of memory space.
    pub fn readl(&self, address: u64) -> u32 {
        self.read(&format!("readl 0x{address:x}"))
            .map_or(u32::MAX, |value| value as u32)
    }

    /// Reads 64 bits of memory space.
    pub fn readq(&self, address: u64) -> u64 {
        self.read(&format!("readq 0x{address:x}")).unwrap_or(u64::MAX)
    }

    /// Writes 32 bits of memory space.
    pub fn writel(&self, address: u64, value: u32) {
        let _ = self.command(&format!("writel 0x{address:x} 0x{value:x}"));
    }

    /// Reads an 8-bit port.
    pub fn inb(&self, port: u16) -> u8 {
        self.read(&format!("inb 0x{port:x}"))
            .map_or(u8::MAX, |value| value as u8)
    }

    /// Writes an 8-bit port.
    pub fn outb(&self, port: u16, value: u8) {
        let _ = self.command(&format!("outb 0x{port:x} 0x{value:x}"));
    }

    /// Reads a 32-bit port.
    pub fn inl(&self, port: u16) -> u32 {
        self.read(&format!("inl 0x{port:x}"))
            .map_or(u32::MAX, |value| value as u32)
    }

    /// Writes a 32-bit port.
    pub fn outl(&self, port: u16, value: u32) {
        let _ = self.command(&format!("outl 0x{port:x} 0x{value:x}"));
    }

    /// Has the pins of the IOAPIC reported from now on. False if QEMU refuses.
    pub fn intercept_ioapic(&self) -> bool {
        self.command("irq_intercept_in ioapic").is_some()
    }
}

/// A number as QEMU answers it.
fn number(answer: &str) -> Option<u64> {
    u64::from_str_radix(answer.strip_prefix("0x")?, 16).ok()
}

fn parse_interrupt(line: &str) -> Option<Interrupt> {
    let (state, pin) = line.strip_prefix("IRQ ")?.split_once(' ')?;
    let raised = match state {
        "raise" => true,
        "lower" => false,
        _ => return None,
    };
    Some(Interrupt {
        pin: pin.trim().parse().ok()?,
        raised,
    })
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// A server that answers each line by `answer`.
    fn server(answer: impl Fn(&str) -> String + Send + 'static) -> UnixStream {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        thread::spawn(move || {
            let reader = BufReader::new(theirs.try_clone().unwrap());
            for line in reader.lines().map_while(Result::ok) {
                theirs.write_all(answer(&line).as_bytes()).unwrap();
            }
        });
        ours
    }

    #[test]
    fn interrupts_before_an_answer_are_reported_before_it_is_returned() {
        let (sender, interrupts) = std::sync::mpsc::channel();
        let stream = server(|_| "IRQ raise 10\nIRQ lower 10\nOK 0x0000000080080783\n".into());
        let qtest = Qtest::start(stream, move |interrupt| sender.send(interrupt).unwrap()).unwrap();
        assert_eq!(qtest.readl(8), 0x8008_0783);
        let seen: Vec<_> = interrupts.try_iter().collect();
        assert_eq!(
            seen,
            [
                Interrupt {
                    pin: 10,
                    raised: true
                },
                Interrupt {
                    pin: 10,
                    raised: false
                }
            ]
        );
    }

    #[test]
    fn commands_are_spelled_as_qemu_wants_them() {
        let qtest = Qtest::start(server(|line| format!("OK {}\n", line.len())), |_| {}).unwrap();
        let length = |command: &str| Some(command.len().to_string());
        assert_eq!(
            qtest.command("writel 0xe0000000 0x1"),
            length("writel 0xe0000000 0x1")
        );
        assert_eq!(qtest.inl(0xCFC), u32::MAX, "an answer without 0x is no number");
    }

    #[test]
    fn posted_commands_go_with_the_next_one_in_order() {
        let (sender, lines) = std::sync::mpsc::channel();
        let server = server(move |line| {
            sender.send(line.to_string()).unwrap();
            format!("OK {line}\n")
        });
        let qtest = Qtest::start(server, |_| {}).unwrap();
        for n in 0..POSTED_LIMIT + 2 {
            qtest.post(&n.to_string());
        }
        assert_eq!(qtest.command("last"), Some("last".into()));
        let seen: Vec<_> = lines.try_iter().collect();
        let mut sent: Vec<_> = (0..POSTED_LIMIT + 2).map(|n| n.to_string()).collect();
        sent.push("last".into());
        assert_eq!(seen, sent);
    }

    #[test]
    fn device_that_is_gone_reads_as_ones_and_ignores_writes() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        let qtest = Qtest::start(ours, |_| {}).unwrap();
        qtest.writel(0, 1);
        assert!(qtest.is_gone());
        assert_eq!(qtest.readl(8), u32::MAX);
        assert_eq!((qtest.inb(1), qtest.inl(1)), (u8::MAX, u32::MAX));
    }
}
