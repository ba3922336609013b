//! `/scheme/null`.

use syscall::error::Result;

use crate::object::Object;

/// An open `/scheme/null`: takes everything, has nothing.
pub struct Null;

impl Object for Null {
    fn path(&self) -> Result<String> {
        Ok("/scheme/null".into())
    }

    fn read(&self, _buffer: &mut [u8]) -> Result<usize> {
        Ok(0)
    }

    fn write(&self, bytes: &[u8]) -> Result<usize> {
        Ok(bytes.len())
    }
}
