//! QEMU's machine protocol (QMP): one JSON object a line; the "QEMU Machine Protocol Specification" in QEMU's
//! documentation.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Longest wait for the answer to a command.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// Longest message; QEMU's answers here have some hundred bytes.
const LONGEST: usize = 1 << 20;

/// A monitor that did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum MonitorError {
    /// QEMU was started without one.
    #[error("QEMU was started without a monitor")]
    None,
    /// The socket failed.
    #[error("QEMU's monitor: {0}")]
    Socket(#[from] io::Error),
    /// No answer came in time.
    #[error("QEMU's monitor did not answer to \"{0}\" within {limit} s", limit = ANSWER_LIMIT.as_secs())]
    NoAnswer(String),
    /// The other end does not speak QMP.
    #[error("no QMP message: {0}")]
    Protocol(String),
    /// QEMU refused a command.
    #[error("QEMU refused \"{command}\": {reason}")]
    Refused {
        /// The command.
        command: String,
        /// QEMU's reason.
        reason: String,
    },
}

/// A connection to QEMU's monitor. QEMU serves one at a time; others wait until this is dropped.
#[derive(Debug)]
pub struct Monitor {
    stream: UnixStream,
    received: Vec<u8>,
    commands: u64,
}

impl Monitor {
    /// Connects to the monitor of a QEMU that another process has started, waiting at most `limit` until it is there
    /// and has time for us.
    ///
    /// # Errors
    ///
    /// [`MonitorError`].
    pub fn connect(path: &Path, limit: Duration) -> Result<Self, MonitorError> {
        let start = Instant::now();
        loop {
            match Self::stream(path) {
                Ok(stream) => return Self::open(stream, limit),
                Err(error) if start.elapsed() >= limit => return Err(error.into()),
                Err(_) => thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    pub(crate) fn stream(path: &Path) -> io::Result<UnixStream> {
        UnixStream::connect(path)
    }

    /// Takes QEMU's greeting and ends the negotiation of capabilities: none is needed.
    pub(crate) fn open(stream: UnixStream, limit: Duration) -> Result<Self, MonitorError> {
        let mut monitor = Self {
            stream,
            received: Vec::new(),
            commands: 0,
        };
        let greeting = monitor.message("the greeting", Instant::now() + limit)?;
        if greeting.get("QMP").is_none() {
            return Err(MonitorError::Protocol(greeting.to_string()));
        }
        monitor.execute("qmp_capabilities", json!({}))?;
        Ok(monitor)
    }

    /// Makes QEMU carry out a command of its "QMP Reference Manual", and returns the value it answers with.
    ///
    /// # Errors
    ///
    /// [`MonitorError`].
    pub fn execute(&mut self, command: &str, arguments: Value) -> Result<Value, MonitorError> {
        self.commands += 1;
        let number = self.commands;
        let request = json!({ "execute": command, "arguments": arguments, "id": number });
        self.stream.write_all(format!("{request}\n").as_bytes())?;
        let deadline = Instant::now() + ANSWER_LIMIT;
        loop {
            let mut answer = self.message(command, deadline)?;
            // Events come in between, and so do answers that nobody has waited for.
            if answer.get("id").and_then(Value::as_u64) != Some(number) {
                continue;
            }
            if let Some(value) = answer.get_mut("return") {
                return Ok(value.take());
            }
            let reason = answer.pointer("/error/desc").and_then(Value::as_str);
            return Err(MonitorError::Refused {
                command: command.to_owned(),
                reason: reason.unwrap_or("without a reason").to_owned(),
            });
        }
    }

    /// The next message of any kind.
    fn message(&mut self, command: &str, deadline: Instant) -> Result<Value, MonitorError> {
        loop {
            if let Some(end) = self.received.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.received.drain(..=end).collect();
                return serde_json::from_slice(&line)
                    .map_err(|_| MonitorError::Protocol(String::from_utf8_lossy(&line).into_owned()));
            }
            if self.received.len() > LONGEST {
                return Err(MonitorError::Protocol("a line without end".to_owned()));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(MonitorError::NoAnswer(command.to_owned()));
            }
            self.stream.set_read_timeout(Some(left))?;
            let mut chunk = [0; 512];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(count) => self
                    .received
                    .extend_from_slice(chunk.get(..count).unwrap_or_default()),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted => {}
                    _ => return Err(error.into()),
                },
            }
        }
    }

    /// Plugs in (`true`) or pulls out the cable of the NIC or of the network back end with that id.
    ///
    /// # Errors
    ///
    /// [`MonitorError`].
    pub fn set_link(&mut self, id: &str, up: bool) -> Result<(), MonitorError> {
        self.execute("set_link", json!({ "name": id, "up": up }))
            .map(drop)
    }

    /// Presses and releases a key of the keyboard, by QEMU's name of it (`QKeyCode`): "ret" is Enter.
    ///
    /// # Errors
    ///
    /// [`MonitorError`].
    pub fn press(&mut self, key: &str) -> Result<(), MonitorError> {
        let keys = json!([{ "type": "qcode", "data": key }]);
        self.execute("send-key", json!({ "keys": keys })).map(drop)
    }

    /// Lets a machine that was started stopped (`-S`) go on.
    ///
    /// # Errors
    ///
    /// [`MonitorError`].
    pub fn go_on(&mut self) -> Result<(), MonitorError> {
        self.execute("cont", json!({})).map(drop)
    }

    /// Ends QEMU.
    ///
    /// # Errors
    ///
    /// [`MonitorError`].
    pub fn quit(&mut self) -> Result<(), MonitorError> {
        self.execute("quit", json!({})).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};

    use super::*;

    const GREETING: &str = r#"{"QMP": {"version": {}, "capabilities": []}}"#;

    /// A monitor that answers to each line by `answer`, which gets the request.
    fn monitor(greeting: &'static str, answer: impl Fn(&Value) -> String + Send + 'static) -> UnixStream {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        thread::spawn(move || {
            theirs.write_all(format!("{greeting}\r\n").as_bytes()).unwrap();
            let reader = BufReader::new(theirs.try_clone().unwrap());
            for line in reader.lines().map_while(Result::ok) {
                let answer = answer(&serde_json::from_str(&line).unwrap());
                theirs.write_all(answer.as_bytes()).unwrap();
            }
        });
        ours
    }

    fn open(stream: UnixStream) -> Result<Monitor, MonitorError> {
        Monitor::open(stream, ANSWER_LIMIT)
    }

    #[test]
    fn events_and_late_answers_are_passed_over() {
        let stream = monitor(GREETING, |request| {
            let (command, id) = (&request["execute"], &request["id"]);
            let answer = json!({ "return": command, "id": id });
            format!("{{\"event\": \"RESET\"}}\r\n{{\"return\": 0, \"id\": 99}}\r\n{answer}\r\n")
        });
        let mut monitor = open(stream).unwrap();
        assert_eq!(
            monitor.execute("query-status", json!({})).unwrap(),
            "query-status"
        );
        monitor.set_link("net0", false).unwrap();
    }

    #[test]
    fn refusal_is_an_error_with_the_reason() {
        let stream = monitor(GREETING, |request| match request["execute"].as_str() {
            Some("qmp_capabilities") => format!("{{\"return\": {{}}, \"id\": {}}}\n", request["id"]),
            _ => format!(
                "{{\"error\": {{\"class\": \"DeviceNotFound\", \"desc\": \"no nic\"}}, \"id\": {}}}\n",
                request["id"]
            ),
        });
        let error = open(stream).unwrap().set_link("net0", true).unwrap_err();
        assert_eq!(error.to_string(), "QEMU refused \"set_link\": no nic");
    }

    #[test]
    fn other_end_that_is_no_monitor_is_told_apart() {
        let hello = open(monitor("hello", |_| String::new()));
        assert!(matches!(hello, Err(MonitorError::Protocol(_))));
        let json = open(monitor("{}", |_| String::new()));
        assert!(matches!(json, Err(MonitorError::Protocol(_))));
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        assert!(matches!(open(ours), Err(MonitorError::Socket(_))));
    }

    #[test]
    fn silence_is_given_up() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let error = Monitor::open(ours, Duration::from_millis(20));
        assert!(matches!(error, Err(MonitorError::NoAnswer(_))));
    }
}
