//! Stand-ins for a scheme: a wire in memory, and a wait that does not wait.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use crate::{Error, FrameIo, Result, Wait, Woken};

type Queue = Rc<RefCell<VecDeque<Vec<u8>>>>;

/// One end of a wire.
pub(crate) struct Wire {
    incoming: Queue,
    outgoing: Queue,
    /// Makes every operation fail.
    pub(crate) fail: Option<fn() -> Error>,
}

impl Wire {
    pub(crate) fn pair() -> (Self, Self) {
        let (left, right) = (Queue::default(), Queue::default());
        (
            Self {
                incoming: Rc::clone(&left),
                outgoing: Rc::clone(&right),
                fail: None,
            },
            Self {
                incoming: right,
                outgoing: left,
                fail: None,
            },
        )
    }
}

impl FrameIo for Wire {
    fn read_frame(&mut self, buffer: &mut [u8]) -> Result<Option<usize>> {
        if let Some(fail) = self.fail {
            return Err(fail());
        }
        let Some(frame) = self.incoming.borrow_mut().pop_front() else {
            return Ok(None);
        };
        let length = frame.len().min(buffer.len());
        buffer[..length].copy_from_slice(&frame[..length]);
        Ok(Some(length))
    }

    fn write_frame(&mut self, frame: &[u8]) -> Result<()> {
        if let Some(fail) = self.fail {
            return Err(fail());
        }
        self.outgoing.borrow_mut().push_back(frame.to_vec());
        Ok(())
    }
}

/// A wait during which `work` happens, the other end of the wire for instance.
pub(crate) struct Meanwhile<F>(pub(crate) F);

impl<F: FnMut()> Wait for Meanwhile<F> {
    fn wait(&mut self, timeout: Option<Duration>) -> Result<Woken> {
        (self.0)();
        // Short, but long enough that a deadline comes nearer.
        std::thread::sleep(timeout.unwrap_or(Duration::MAX).min(Duration::from_micros(200)));
        Ok(Woken::Frames)
    }
}

pub(crate) fn failure(errno: i32) -> Error {
    Error::scheme("use", "a wire", libredox::error::Error::new(errno))
}
