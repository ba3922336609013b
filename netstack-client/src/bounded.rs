//! A time limit for calls that have none themselves.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Runs `work` on another thread and returns its result, or `None` if it takes longer than the limit.
///
/// It is then left behind, blocked in a read or write; the end of the process ends it.
pub fn within<T: Send + 'static>(limit: Duration, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::spawn(move || {
        // Fails if the limit has passed: then nobody wants the result.
        let _ = sender.send(work());
    });
    receiver.recv_timeout(limit).ok()
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
