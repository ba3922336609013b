//! Requests beyond libredox: through the shim on Linux, through the standard library or not at all on Redox.

pub use platform::{AVAILABLE, as_user, read_at, request, size};

#[cfg(not(target_os = "redox"))]
mod platform {
    use libredox::Fd;
    use libredox::flag::{O_CLOEXEC, O_RDONLY};
    use redox_shim::client;
    use syscall::schemev2::Opcode;

    /// Whether [`request`] and [`as_user`] do anything.
    pub const AVAILABLE: bool = true;

    /// Opens a file and reads at an offset.
    pub fn read_at(path: &str, buffer: &mut [u8], offset: u64) -> Result<usize, i32> {
        let file = Fd::open(path, O_RDONLY | O_CLOEXEC, 0).map_err(|error| error.errno())?;
        client::read_at(file.raw(), buffer, offset)
    }

    /// The size of a file, as `lseek(SEEK_END)` asks for it.
    pub fn size(file: &Fd) -> Result<usize, i32> {
        request(file, Opcode::Fsize as u8, [0; 6], None)
    }

    /// Sends any request on a handle.
    pub fn request(
        file: &Fd,
        opcode: u8,
        args: [u64; 6],
        buffer: Option<(&mut [u8], usize)>,
    ) -> Result<usize, i32> {
        client::raw_request(file.raw(), opcode, 0, args, buffer)
    }

    /// Does something as another user.
    pub fn as_user<T>(uid: u32, action: impl FnOnce() -> T) -> T {
        redox_shim::set_identity(uid, uid);
        let result = action();
        redox_shim::set_identity(0, 0);
        result
    }
}

#[cfg(target_os = "redox")]
mod platform {
    use std::fs::File;
    use std::io;
    use std::os::unix::fs::FileExt;

    use libredox::Fd;
    use syscall::error::{EIO, ENOSYS};
    use syscall::flag::SEEK_END;

    /// Whether [`request`] and [`as_user`] do anything.
    pub const AVAILABLE: bool = false;

    fn errno(error: io::Error) -> i32 {
        error.raw_os_error().unwrap_or(EIO)
    }

    /// Opens a file and reads at an offset.
    pub fn read_at(path: &str, buffer: &mut [u8], offset: u64) -> Result<usize, i32> {
        let file = File::open(path).map_err(errno)?;
        file.read_at(buffer, offset).map_err(errno)
    }

    /// The size of a file, as `lseek(SEEK_END)` asks for it.
    pub fn size(file: &Fd) -> Result<usize, i32> {
        syscall::lseek(file.raw(), 0, SEEK_END).map_err(|error| error.errno)
    }

    /// There is no system call for it.
    pub fn request(_: &Fd, _: u8, _: [u64; 6], _: Option<(&mut [u8], usize)>) -> Result<usize, i32> {
        Err(ENOSYS)
    }

    /// Does something, as the user that we are.
    pub fn as_user<T>(_: u32, action: impl FnOnce() -> T) -> T {
        action()
    }
}
