//! QEMU's monitor.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// QEMU's monitor.
pub struct Monitor {
    path: PathBuf,
    connection: Option<UnixStream>,
}

impl Monitor {
    /// The one at this path, once it is there.
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            connection: None,
        }
    }

    /// Waits until it is there.
    pub fn connect(&mut self, limit: Duration) {
        let start = Instant::now();
        while self.connection.is_none() && start.elapsed() < limit {
            self.connection = UnixStream::connect(&self.path).ok();
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Has QEMU do something. Failures are seen by what does not happen.
    pub fn command(&mut self, line: &str) {
        if self.connection.is_none() {
            self.connection = UnixStream::connect(&self.path).ok();
        }
        if let Some(connection) = &mut self.connection {
            let _ = connection.write_all(format!("{line}\n").as_bytes());
        }
    }
}
