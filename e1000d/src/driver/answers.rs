//! Answers and events on their way to the kernel: many with one write.

use std::collections::VecDeque;
use std::sync::Arc;

use redox_scheme::{Response, SignalBehavior, Socket};
use syscall::EventFlags;

use super::BATCH;

/// Receiver of answers and events: the scheme socket.
pub trait AnswerSink {
    /// Writes answers from the front of `answers` and removes them, normally all.
    ///
    /// # Errors
    ///
    /// When the first one is not accepted.
    fn write(&mut self, answers: &mut VecDeque<Response>) -> syscall::Result<()>;
}

impl AnswerSink for Arc<Socket> {
    fn write(&mut self, answers: &mut VecDeque<Response>) -> syscall::Result<()> {
        // `Socket::write_responses` writes the first of the queue's two slices only (redox-scheme 0.12.0).
        answers.make_contiguous();
        self.write_responses(answers, SignalBehavior::Restart)
    }
}

/// Answers and events that were not written yet.
pub(super) struct Answers<S> {
    sink: S,
    queue: VecDeque<Response>,
}

impl<S: AnswerSink> Answers<S> {
    /// An empty queue in front of `sink`.
    pub(super) fn new(sink: S) -> Self {
        Self {
            sink,
            queue: VecDeque::with_capacity(2 * BATCH),
        }
    }

    /// Queues an answer.
    pub(super) fn push(&mut self, answer: Response) {
        self.queue.push_back(answer);
    }

    /// Queues an event for the event queues of the handle `id`.
    pub(super) fn post(&mut self, id: usize, flags: EventFlags) {
        self.push(Response::post_fevent(id, flags.bits()));
    }

    /// Writes the whole queue, normally with one system call.
    pub(super) fn flush(&mut self) {
        while !self.queue.is_empty() {
            let before = self.queue.len();
            match self.sink.write(&mut self.queue) {
                Ok(()) if self.queue.len() < before => {}
                // The kernel stops at the first answer whose caller is gone. Skip that one and write the others.
                Ok(()) | Err(_) => {
                    self.queue.pop_front();
                    log::debug!("the kernel did not take an answer");
                }
            }
        }
    }
}
