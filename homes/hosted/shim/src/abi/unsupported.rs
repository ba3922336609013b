//! Symbols that libredox links against and hosted programs do not call: they answer ENOSYS.

use syscall::error::ENOSYS;

/// Defines functions that take arguments of the real types and answer ENOSYS.
macro_rules! unsupported {
    ($($name:ident($($argument:ty),*);)*) => {$(
        #[doc = concat!("`", stringify!($name), "`: ENOSYS.")]
        #[unsafe(no_mangle)]
        pub extern "C" fn $name($(_: $argument),*) -> usize {
            (ENOSYS as usize).wrapping_neg()
        }
    )*};
}

unsupported! {
    redox_relpathat_v0(usize, usize, *mut u8, usize);
    redox_get_proc_credentials_v1(usize, usize, *mut u8, usize);
    redox_mkns_v1(*const libc::iovec, usize, u32);
    redox_kill_v1(usize, u32);
    redox_waitpid_v1(usize, *mut i32, u32);
    redox_sigprocmask_v1(u32, *const u64, *mut u64);
    redox_sigaction_v1(u32, *const libc::sigaction, *mut libc::sigaction);
    redox_sys_call_multiple_v0(*const usize, usize, *mut u8, usize, usize, *const u64, usize);
    redox_get_socket_token_v0(usize, *mut u8, usize);
    redox_numa_set_mem_policy_v0(*const u8, usize);
    redox_numa_get_mem_policy_v0(*mut u8, usize);
}
