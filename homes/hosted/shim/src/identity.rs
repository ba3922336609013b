//! The user that this process claims to be. Hosted daemons and clients see their own user as root.

use std::sync::atomic::{AtomicU64, Ordering};

static IDENTITY: AtomicU64 = AtomicU64::new(0);

/// Sets the user and the group that schemes see in this process' requests; root (0, 0) until then.
pub fn set_identity(uid: u32, gid: u32) {
    IDENTITY.store(u64::from(uid) | u64::from(gid) << 32, Ordering::Relaxed);
}

/// Both in one word, as an SQE carries them.
pub fn packed() -> u64 {
    IDENTITY.load(Ordering::Relaxed)
}

/// The user.
pub fn uid() -> usize {
    packed() as u32 as usize
}

/// The group.
pub fn gid() -> usize {
    (packed() >> 32) as usize
}
