//! Linux without the hosted mode: there is no scheme to send a request to.

use libredox::Fd;
use libredox::errno::ENOSYS;

use super::{Answer, Request};

pub fn read_at(_path: &str, _buffer: &mut [u8], _offset: u64) -> Answer {
    Err(ENOSYS)
}

pub fn size(_file: &Fd) -> Answer {
    Err(ENOSYS)
}

pub fn fstat(_file: &Fd, _buffer: &mut [u8]) -> Answer {
    Err(ENOSYS)
}

pub fn std_fs_call(_file: &Fd, _kind: u8, _buffer: &mut [u8]) -> Answer {
    Err(ENOSYS)
}

pub fn requests() -> Vec<Request> {
    Vec::new()
}

pub fn requests_of_path(_path: &'static [u8]) -> Vec<Request> {
    Vec::new()
}

pub fn short_records(_length: usize) -> Vec<Request> {
    Vec::new()
}

pub fn mappings() -> Vec<Request> {
    Vec::new()
}

pub fn as_user<T>(_uid: u32, _action: impl FnOnce() -> T) -> Result<T, i32> {
    Err(ENOSYS)
}
