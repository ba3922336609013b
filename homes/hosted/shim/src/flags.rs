//! Open flags: libredox takes its values from libc, so hosted code passes Linux numbers; schemes get Redox's.

use syscall::flag::{self, MapFlags};

/// Pairs of (Linux, Redox) bits that mean the same. The access mode is no bit mask on Linux and is not here.
const PAIRS: [(i32, usize); 10] = [
    (libc::O_NONBLOCK, flag::O_NONBLOCK),
    (libc::O_APPEND, flag::O_APPEND),
    (libc::O_ASYNC, flag::O_ASYNC),
    (libc::O_SYNC, flag::O_FSYNC),
    (libc::O_CREAT, flag::O_CREAT),
    (libc::O_TRUNC, flag::O_TRUNC),
    (libc::O_EXCL, flag::O_EXCL),
    (libc::O_DIRECTORY, flag::O_DIRECTORY),
    (libc::O_PATH, flag::O_STAT),
    (libc::O_NOFOLLOW, flag::O_NOFOLLOW),
];

/// Redox's value of Linux open flags, without `O_CLOEXEC`, which never leaves the process.
pub fn to_redox(linux: i32) -> usize {
    let access = match linux & libc::O_ACCMODE {
        libc::O_WRONLY => flag::O_WRONLY,
        libc::O_RDWR => flag::O_RDWR,
        _ => flag::O_RDONLY,
    };
    access | status_to_redox(linux)
}

/// Redox's value of Linux status flags (no access mode), as `F_SETFL` takes them.
pub fn status_to_redox(linux: i32) -> usize {
    PAIRS
        .iter()
        .filter(|(bit, _)| linux & bit == *bit)
        .fold(0, |flags, (_, redox)| flags | redox)
}

/// Linux's value of Redox open flags.
pub fn to_linux(redox: usize) -> i32 {
    let access = match redox & flag::O_ACCMODE {
        flag::O_WRONLY => libc::O_WRONLY,
        flag::O_RDWR => libc::O_RDWR,
        _ => libc::O_RDONLY,
    };
    PAIRS
        .iter()
        .filter(|(_, bit)| redox & bit != 0)
        .fold(access, |flags, (linux, _)| flags | linux)
}

/// Redox's flags of a mapping: Linux's protection and kind.
pub fn mapping(protection: u32, kind: u32) -> MapFlags {
    [
        (protection & libc::PROT_READ as u32, MapFlags::PROT_READ),
        (protection & libc::PROT_WRITE as u32, MapFlags::PROT_WRITE),
        (protection & libc::PROT_EXEC as u32, MapFlags::PROT_EXEC),
        (kind & libc::MAP_SHARED as u32, MapFlags::MAP_SHARED),
        (kind & libc::MAP_PRIVATE as u32, MapFlags::MAP_PRIVATE),
    ]
    .into_iter()
    .filter(|(bit, _)| *bit != 0)
    .fold(MapFlags::empty(), |flags, (_, flag)| flags | flag)
}

/// Linux's protection of a mapping with these flags.
pub fn protection(flags: MapFlags) -> i32 {
    [
        (libc::PROT_READ, MapFlags::PROT_READ),
        (libc::PROT_WRITE, MapFlags::PROT_WRITE),
        (libc::PROT_EXEC, MapFlags::PROT_EXEC),
    ]
    .into_iter()
    .filter(|(_, flag)| flags.contains(*flag))
    .fold(libc::PROT_NONE, |protection, (bit, _)| protection | bit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_survive_the_way_there_and_back() {
        for linux in [
            libc::O_RDONLY,
            libc::O_RDWR | libc::O_NONBLOCK,
            libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL,
            libc::O_RDONLY | libc::O_DIRECTORY,
        ] {
            assert_eq!(to_linux(to_redox(linux)), linux);
        }
    }

    #[test]
    fn cloexec_stays_in_the_process() {
        assert_eq!(to_redox(libc::O_RDWR | libc::O_CLOEXEC), flag::O_RDWR);
    }
}
