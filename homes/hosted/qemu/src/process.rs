//! A running QEMU.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use crate::monitor::{Monitor, MonitorError};

/// Time between two looks at what is waited for.
const INTERVAL: Duration = Duration::from_millis(5);

/// Most bytes of QEMU's messages that an error repeats: the first of them, which say what went wrong.
const MESSAGES: usize = 4096;

/// A QEMU that does not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum QemuError {
    /// The program is not installed.
    #[error("{0} not found: apt install qemu-system-x86")]
    NotFound(String),
    /// The system refused to start it.
    #[error("cannot start {program}: {source}")]
    Start {
        /// The program.
        program: String,
        /// The reason.
        source: io::Error,
    },
    /// QEMU ended.
    #[error("QEMU ended ({status}) before {awaited}; it said: {messages}")]
    Ended {
        /// The event that was waited for.
        awaited: &'static str,
        /// Its exit status.
        status: String,
        /// Its messages.
        messages: String,
    },
    /// Something did not happen in time.
    #[error("{} s passed before {awaited}; QEMU said: {messages}", limit.as_secs())]
    TimedOut {
        /// The event that was waited for.
        awaited: &'static str,
        /// The longest wait.
        limit: Duration,
        /// Its messages.
        messages: String,
    },
    /// The monitor failed.
    #[error(transparent)]
    Monitor(#[from] MonitorError),
}

/// A running QEMU. It is killed when this is dropped, and by the system when the thread that started it ends.
#[derive(Debug)]
pub struct Qemu {
    child: Child,
    messages: File,
    monitor: Option<PathBuf>,
}

impl Qemu {
    pub(crate) fn new(child: Child, messages: File, monitor: Option<PathBuf>) -> Self {
        Self {
            child,
            messages,
            monitor,
        }
    }

    /// The console, if [`crate::Launch::console`] asked for it and nobody has taken it yet. It ends when QEMU does.
    pub fn take_console(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Text that QEMU has written on its standard error until now.
    pub fn messages(&self) -> String {
        let mut bytes = vec![0; MESSAGES];
        let length = self.messages.read_at(&mut bytes, 0).unwrap_or(0);
        bytes.truncate(length);
        String::from_utf8_lossy(&bytes).trim().to_owned()
    }

    /// Tries until `attempt` gives something.
    ///
    /// # Errors
    ///
    /// [`QemuError::Ended`] as soon as QEMU ends, [`QemuError::TimedOut`] after `limit`; both say that it was before
    /// `awaited`.
    pub fn wait_for<T>(
        &mut self,
        awaited: &'static str,
        limit: Duration,
        mut attempt: impl FnMut() -> Option<T>,
    ) -> Result<T, QemuError> {
        let start = Instant::now();
        loop {
            // First the end, then the attempt: what QEMU did just before it ended counts.
            let ended = self.child.try_wait().ok().flatten();
            if let Some(value) = attempt() {
                return Ok(value);
            }
            if let Some(status) = ended {
                return Err(self.ended(awaited, status));
            }
            if start.elapsed() >= limit {
                return Err(self.timed_out(awaited, limit));
            }
            thread::sleep(INTERVAL);
        }
    }

    /// Waits for QEMU's end.
    ///
    /// # Errors
    ///
    /// [`QemuError::TimedOut`] after `limit`. QEMU then still runs.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus, QemuError> {
        let start = Instant::now();
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Ok(status);
            }
            if start.elapsed() >= limit {
                return Err(self.timed_out("its end", limit));
            }
            thread::sleep(INTERVAL);
        }
    }

    fn timed_out(&self, awaited: &'static str, limit: Duration) -> QemuError {
        QemuError::TimedOut {
            awaited,
            limit,
            messages: self.messages(),
        }
    }

    /// Connects to the monitor that [`crate::Launch::monitor`] asked for. QEMU serves one connection at a time: drop
    /// it for others to get their turn.
    ///
    /// # Errors
    ///
    /// [`QemuError::Ended`], [`QemuError::TimedOut`]; [`QemuError::Monitor`] if there is none, or what is there does
    /// not speak QMP.
    pub fn monitor(&mut self, limit: Duration) -> Result<Monitor, QemuError> {
        const AWAITED: &str = "its monitor was there";
        let path = self.monitor.clone().ok_or(MonitorError::None)?;
        let stream = self.wait_for(AWAITED, limit, || Monitor::stream(&path).ok())?;
        match Monitor::open(stream, limit) {
            // A QEMU that dislikes its arguments may offer the monitor first, and end then.
            Err(error @ MonitorError::Socket(_)) => match self.wait(limit) {
                Ok(status) => Err(self.ended(AWAITED, status)),
                Err(_) => Err(error.into()),
            },
            result => Ok(result?),
        }
    }

    fn ended(&self, awaited: &'static str, status: ExitStatus) -> QemuError {
        QemuError::Ended {
            awaited,
            status: status.to_string(),
            messages: self.messages(),
        }
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes the system kill the process of `command` when the thread that starts it ends.
pub fn die_with_parent(command: &mut Command) {
    let parent = std::process::id();
    let prepare = move || {
        // SAFETY: takes integers only; async-signal-safe.
        if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } < 0 {
            return Err(io::Error::last_os_error());
        }
        // The parent may have ended before the call above.
        // SAFETY: takes nothing; async-signal-safe.
        if unsafe { libc::getppid() } as u32 != parent {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(())
    };
    // SAFETY: the closure makes two system calls, allocates nothing and touches no state shared with other threads.
    unsafe { command.pre_exec(prepare) };
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::Launch;

    /// More than it takes, also on a machine that has a lot to do.
    const LONG: Duration = Duration::from_secs(60);

    fn shell(script: &str) -> Launch {
        let mut launch = Launch::of_program("sh");
        launch.args(["-c", script]);
        launch
    }

    #[test]
    fn end_during_a_wait_is_an_error_with_status_and_messages() {
        let mut process = shell("echo no such device >&2; exit 3").start().unwrap();
        let error = process.wait_for("it was ready", LONG, || None::<()>).unwrap_err();
        assert_eq!(
            error.to_string(),
            "QEMU ended (exit status: 3) before it was ready; it said: no such device"
        );
    }

    #[test]
    fn wait_is_given_up_after_its_limit() {
        let mut process = shell("exec sleep 600").start().unwrap();
        let limit = Duration::from_millis(20);
        let error = process.wait_for("it was ready", limit, || None::<()>);
        assert!(matches!(error, Err(QemuError::TimedOut { .. })));
        assert!(matches!(process.wait(limit), Err(QemuError::TimedOut { .. })));
    }

    #[test]
    fn process_ends_with_the_value() {
        let mut process = shell("exec sleep 600").console().start().unwrap();
        let mut console = process.take_console().unwrap();
        drop(process);
        // The pipe is at its end as soon as nobody can write to it.
        assert_eq!(console.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn process_ends_with_the_thread_that_started_it() {
        let thread = thread::spawn(|| shell("exec sleep 600").start().unwrap());
        let mut process = thread.join().unwrap();
        assert!(!process.wait(LONG).unwrap().success());
    }

    #[test]
    fn input_and_console_are_passed_on() {
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, b"read by its number").unwrap();
        let mut process = shell("exec cat /proc/self/fd/0")
            .input(file)
            .console()
            .start()
            .unwrap();
        let mut text = String::new();
        process.take_console().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "read by its number");
        assert!(process.wait(LONG).unwrap().success());
        assert!(matches!(
            process.monitor(LONG),
            Err(QemuError::Monitor(MonitorError::None))
        ));
    }
}
