//! Input and result of each check.

use std::fmt::{self, Debug};
use std::net::Ipv4Addr;
use std::process::Command;
use std::time::{Duration, Instant};

use event::EventFlags;
use libredox::Fd;
use libredox::flag::{O_CLOEXEC, O_NONBLOCK, O_RDONLY, O_RDWR};
use syscall::error::EAGAIN;

use super::{Options, Outcome};
use netstack_client::adapter::READ_BUFFER;
use netstack_client::readiness::TimedQueue;
use netstack_client::{AdapterName, MacAddress, adapter, bounded};

/// Longest time for something that should happen at once.
pub const SOON: Duration = Duration::from_secs(5);

/// Time to wait for something that must not happen, or must have happened before something else.
pub const A_WHILE: Duration = Duration::from_millis(100);

/// Reason why an adapter does not pass.
#[derive(Debug)]
pub struct Broken(pub String);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Broken {}

/// Result of a check.
pub type Verdict = Result<Outcome, Broken>;

impl From<netstack_client::Error> for Broken {
    fn from(error: netstack_client::Error) -> Self {
        Self(error.to_string())
    }
}

/// Gives up with a reason unless the condition holds.
pub fn ensure(condition: bool, reason: impl FnOnce() -> String) -> Result<(), Broken> {
    if condition { Ok(()) } else { Err(Broken(reason())) }
}

/// The value, or a failure that says what was being done.
pub fn expect_ok<T>(what: &str, result: libredox::error::Result<T>) -> Result<T, Broken> {
    result.map_err(|error| Broken(format!("{what}: {error} ({})", error.errno())))
}

/// The error number, or a failure if there is none.
pub fn expect_error<T: Debug>(what: &str, result: libredox::error::Result<T>) -> Result<i32, Broken> {
    match result {
        Ok(value) => Err(Broken(format!("{what}: {value:?} instead of an error"))),
        Err(error) => Ok(error.errno()),
    }
}

/// The result of `request`, or a failure if there is none within a while.
pub fn answered<T: Send + 'static>(
    what: &str,
    request: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Broken> {
    bounded::within(SOON, request).ok_or_else(|| Broken(format!("{what}: no answer within {SOON:?}")))
}

/// The adapter under test.
#[derive(Clone)]
pub struct Subject {
    pub name: AdapterName,
    pub address: Ipv4Addr,
    pub peer: Option<Ipv4Addr>,
    pub reader: Option<fn(&AdapterName) -> Command>,
}

impl Subject {
    pub fn new(options: &Options) -> Self {
        Self {
            name: options.adapter.clone(),
            address: options.address,
            peer: options.peer,
            reader: options.reader,
        }
    }

    /// The path of a file; of the data file if `file` is empty.
    pub fn path(&self, file: &str) -> String {
        if file.is_empty() {
            self.name.path()
        } else {
            format!("{}/{file}", self.name.path())
        }
    }

    /// Opens a file.
    pub fn open(&self, file: &str, flags: i32) -> libredox::error::Result<Fd> {
        Fd::open(&self.path(file), flags | O_CLOEXEC, 0)
    }

    /// The data file, blocking.
    pub fn blocking(&self) -> Result<Fd, Broken> {
        expect_ok("open, blocking", self.open("", O_RDWR))
    }

    /// The data file, non-blocking.
    pub fn nonblocking(&self) -> Result<Fd, Broken> {
        expect_ok("open, non-blocking", self.open("", O_RDWR | O_NONBLOCK))
    }

    /// The file `mac`.
    pub fn mac_file(&self) -> Result<Fd, Broken> {
        expect_ok("open mac", self.open("mac", O_RDONLY))
    }

    pub fn mac(&self) -> Result<MacAddress, Broken> {
        Ok(adapter::mac(&self.name)?)
    }
}

/// Reads without blocking: `None` for EAGAIN, and only for that. Nothing is no frame.
pub fn try_read(data: &Fd, buffer: &mut [u8]) -> Result<Option<usize>, Broken> {
    match data.read(buffer) {
        Ok(0) => Err(Broken("a read returned 0".to_owned())),
        Ok(length) if length > buffer.len() => Err(Broken(format!(
            "a read into {} bytes returned {length}",
            buffer.len()
        ))),
        Ok(length) => Ok(Some(length)),
        Err(error) if error.errno() == EAGAIN => Ok(None),
        Err(error) => Err(Broken(format!(
            "non-blocking read: {error} ({}) instead of EAGAIN ({EAGAIN})",
            error.errno()
        ))),
    }
}

/// A non-blocking data handle with its event queue.
pub struct Reader {
    pub data: Fd,
    queue: TimedQueue,
}

impl Reader {
    /// Opens and subscribes.
    pub fn open(subject: &Subject) -> Result<Self, Broken> {
        let (data, queue) = (subject.nonblocking()?, TimedQueue::new()?);
        expect_ok("subscribe", queue.subscribe(data.raw(), 0, EventFlags::READ))?;
        Ok(Self { data, queue })
    }

    /// Waits for an event; whether one came.
    pub fn wait(&mut self, limit: Duration) -> Result<bool, Broken> {
        Ok(self.queue.wait(Some(limit))?.is_some())
    }

    /// Reads the next frame, waiting for it by events.
    pub fn next(&mut self, limit: Duration) -> Result<Option<Vec<u8>>, Broken> {
        let end = Instant::now() + limit;
        let mut buffer = vec![0; READ_BUFFER];
        loop {
            if let Some(length) = try_read(&self.data, &mut buffer)? {
                buffer.truncate(length);
                return Ok(Some(buffer));
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.wait(left)?;
        }
    }

    /// Reads until there is nothing, and takes all events.
    pub fn drain(&mut self) -> Result<(), Broken> {
        while try_read(&self.data, &mut [0; READ_BUFFER])?.is_some() {}
        while self.wait(Duration::from_millis(1))? {}
        while try_read(&self.data, &mut [0; READ_BUFFER])?.is_some() {}
        Ok(())
    }
}
