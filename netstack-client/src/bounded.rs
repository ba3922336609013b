//! A time limit for calls that have none themselves.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// Longest single wait: a kernel of June 2026 now and then loses the wake-up of a wait with a limit.
const SLICE: Duration = Duration::from_millis(50);

/// Runs `work` on another thread and returns its result, or `None` if it takes longer than the limit.
///
/// After the limit the thread goes on, blocked in a read or write, until the process ends.
pub fn within<T: Send + 'static>(limit: Duration, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::spawn(move || {
        // Fails if the limit has passed: then nobody wants the result.
        let _ = sender.send(work());
    });
    receive(&receiver, limit)
}

/// The next thing that another thread sends, or `None` if it takes longer than the limit or there is no more.
pub fn receive<T>(receiver: &Receiver<T>, limit: Duration) -> Option<T> {
    let start = Instant::now();
    loop {
        let left = limit.saturating_sub(start.elapsed());
        match receiver.recv_timeout(left.min(SLICE)) {
            Ok(result) => return Some(result),
            Err(RecvTimeoutError::Timeout) if !left.is_zero() => {}
            Err(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_of_quick_work_is_returned() {
        assert_eq!(within(Duration::from_secs(10), || 5), Some(5));
    }

    #[test]
    fn slow_work_is_left_behind() {
        assert_eq!(
            within(Duration::from_millis(5), || thread::sleep(Duration::from_secs(5))),
            None
        );
    }
}
