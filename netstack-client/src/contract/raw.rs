//! Requests beyond libredox: through the shim on Linux, through the standard library or not at all on Redox.

pub use platform::{AVAILABLE, as_user, fstat, read_at, request, size, std_fs_call};

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

    /// `fstat` into a buffer of any length.
    pub fn fstat(file: &Fd, buffer: &mut [u8]) -> Result<usize, i32> {
        let args = [0, 0, buffer.len() as u64, 0, 0, 0];
        request(file, Opcode::Fstat as u8, args, Some((buffer, 1)))
    }

    /// One of the calls of file systems that have no system call of their own.
    pub fn std_fs_call(file: &Fd, kind: u8, buffer: &mut [u8]) -> Result<usize, i32> {
        let args = [0, 0, buffer.len() as u64, kind.into(), u64::MAX, 1];
        request(file, Opcode::StdFsCall as u8, args, Some((buffer, 1)))
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
    use syscall::flag::{CallFlags, SEEK_END};

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

    /// `fstat` into a buffer of any length.
    #[allow(unsafe_code)]
    pub fn fstat(file: &Fd, buffer: &mut [u8]) -> Result<usize, i32> {
        // SAFETY: the kernel writes to at most as many bytes as the third argument says, which are the buffer's.
        unsafe {
            syscall::syscall3(
                syscall::SYS_FSTAT,
                file.raw(),
                buffer.as_mut_ptr() as usize,
                buffer.len(),
            )
        }
        .map_err(|error| error.errno)
    }

    /// One of the calls of file systems that have no system call of their own.
    pub fn std_fs_call(file: &Fd, kind: u8, buffer: &mut [u8]) -> Result<usize, i32> {
        file.call_rw(buffer, CallFlags::STD_FS, &[kind.into(), u64::MAX, 1])
            .map_err(|error| error.errno())
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
