//! Requests beyond libredox: through the shim on Linux, through the kernel's system calls on Redox.
//!
//! The shim passes on whatever it is given. On Redox a client can do what the kernel lets it do, no more: where the
//! kernel refuses something itself, that refusal is what is seen.

#[cfg(not(target_os = "redox"))]
mod hosted;
#[cfg(target_os = "redox")]
mod redox;

use libredox::Fd;

#[cfg(not(target_os = "redox"))]
use hosted as platform;
#[cfg(target_os = "redox")]
use redox as platform;

pub use platform::{as_user, fstat, mappings, read_at, requests, requests_of_path, short_records, size};

/// A value, or an error number.
pub type Answer = Result<usize, i32>;

/// Sizes of what goes along with a request: nothing, less than any record, one that several have, and a page.
const LENGTHS: [usize; 4] = [0, 1, 24, 4096];

/// The calls of file systems that have no system call of their own, also those that there are not.
pub fn std_fs_calls() -> Vec<Request> {
    let of_kind = |kind| {
        LENGTHS.map(|length| {
            Request::new(format!("StdFsCall {kind} of {length} bytes"), move |file| {
                platform::std_fs_call(file, kind, &mut vec![0; length])
            })
        })
    };
    (0..=40).flat_map(of_kind).collect()
}

/// Something that a client asks of an open file.
pub struct Request {
    /// Its description.
    pub name: String,
    send: Box<dyn Fn(&Fd) -> Answer + Send>,
}

impl Request {
    fn new(name: impl Into<String>, send: impl Fn(&Fd) -> Answer + Send + 'static) -> Self {
        Self {
            name: name.into(),
            send: Box::new(send),
        }
    }

    /// Asks it of `file`, and waits for the answer.
    pub fn send(&self, file: &Fd) -> Answer {
        (self.send)(file)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn there_are_requests_of_every_kind_and_each_has_its_name() {
        for kind in [
            requests(),
            requests_of_path(b"x"),
            short_records(3),
            mappings(),
            std_fs_calls(),
        ] {
            assert!(!kind.is_empty());
            let names: HashSet<_> = kind.iter().map(|request| &request.name).collect();
            assert_eq!(names.len(), kind.len());
        }
    }
}
