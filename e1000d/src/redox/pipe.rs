//! A pipe as a source of events for an event queue.

use std::io;

use libredox::call;

/// A pipe. It is never closed.
#[derive(Clone, Debug)]
pub struct Pipe {
    read: libc::c_int,
    write: libc::c_int,
}

impl Pipe {
    /// Creates a pipe.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn new() -> io::Result<Self> {
        let mut ends = [-1; 2];
        // SAFETY: `ends` has room for the two descriptors.
        if unsafe { libc::pipe(ends.as_mut_ptr()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let [read, write] = ends;
        Ok(Self { read, write })
    }

    /// The descriptor that an event queue watches.
    pub fn read_end(&self) -> usize {
        self.read as usize
    }

    /// The descriptor to write to, which makes the read end readable.
    pub(super) fn write_end(&self) -> libc::c_int {
        self.write
    }

    /// Makes the read end readable when the returned value is dropped.
    pub fn signal_on_drop(self) -> SignalOnDrop {
        SignalOnDrop(self)
    }
}

/// Makes the read end of its pipe readable when it is dropped.
pub struct SignalOnDrop(Pipe);

impl Drop for SignalOnDrop {
    fn drop(&mut self) {
        // A full pipe is readable already.
        let _ = call::write(self.0.write as usize, b"!");
    }
}
