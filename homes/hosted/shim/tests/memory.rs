//! DMA memory out of a shared file.

use libredox::call::{MmapArgs, mmap, munmap};
use libredox::flag::{MAP_PRIVATE, MAP_SHARED, O_CLOEXEC, PROT_READ, PROT_WRITE};
use libredox::{Fd, errno};
use redox_shim as _;
use syscall::CallFlags;

const BASE: u64 = 0x10_0000;
const SIZE: u64 = 16 << 20;

fn map(fd: &Fd, length: usize, flags: u32) -> Result<*mut u8, i32> {
    let args = MmapArgs {
        addr: std::ptr::null_mut(),
        length,
        prot: PROT_READ | PROT_WRITE,
        flags,
        fd: fd.raw(),
        offset: 0,
    };
    // SAFETY: a new mapping at an address of the system's choice.
    unsafe { mmap(args) }
        .map(<*mut ()>::cast)
        .map_err(|error| error.errno())
}

fn unmap(address: *mut u8, length: usize) {
    // SAFETY: the test does not use the block any more.
    unsafe { munmap(address.cast(), length) }.unwrap();
}

fn translate(translation: &Fd, address: *mut u8) -> Result<u64, i32> {
    let mut word = (address as usize).to_ne_bytes();
    let result = translation.call_ro(&mut word, CallFlags::empty(), &[]);
    result
        .map(|_| u64::from_ne_bytes(word))
        .map_err(|error| error.errno())
}

// One test: the arena is one per process.
#[test]
fn blocks_are_zeroed_contiguous_aligned_and_visible_in_the_file() {
    let root = Fd::open("/scheme/memory/scheme-root", O_CLOEXEC, 0).unwrap();
    let memory = root.openat("zeroed@wb?phys_contiguous", O_CLOEXEC, 0).unwrap();
    let translation = root.openat("translation", O_CLOEXEC, 0).unwrap();
    assert_eq!(
        map(&memory, 4096, MAP_PRIVATE),
        Err(errno::ENOMEM),
        "no arena yet"
    );

    let file = tempfile::tempfile().unwrap();
    file.set_len(SIZE).unwrap();
    redox_shim::memory::set_arena(file.try_clone().unwrap(), BASE, 4096, SIZE);
    assert_eq!(map(&memory, 4096, MAP_SHARED), Err(errno::EOPNOTSUPP));
    assert_eq!(map(&memory, (4 << 20) + 1, MAP_PRIVATE), Err(errno::ENOMEM));

    let block = map(&memory, 3 * 4096, MAP_PRIVATE).unwrap();
    let physical = translate(&translation, block).unwrap();
    assert_eq!(
        (physical - BASE) % (4 * 4096),
        0,
        "rounded to a power of two and aligned to it"
    );
    // SAFETY: the block has four pages.
    let last = unsafe { block.add(3 * 4096 + 100) };
    assert_eq!(
        translate(&translation, last),
        Ok(physical + 3 * 4096),
        "the base of the page"
    );
    // SAFETY: within the block, which nobody else uses.
    unsafe { last.write(0x5A) };
    let mut byte = [0];
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut byte, physical - BASE + 3 * 4096 + 100).unwrap();
    assert_eq!(byte, [0x5A]);

    unmap(block, 3 * 4096);
    assert_eq!(translate(&translation, block), Err(errno::ENOENT));
    let again = map(&memory, 4 * 4096, MAP_PRIVATE).unwrap();
    assert_eq!(
        translate(&translation, again),
        Ok(physical),
        "freed memory is used again"
    );
    // SAFETY: within the block.
    let byte = unsafe { again.add(3 * 4096 + 100).read() };
    assert_eq!(byte, 0, "and zeroed");
    unmap(again, 4 * 4096);

    assert!(Fd::open("/scheme/memory/zeroed@uc?phys_contiguous", O_CLOEXEC, 0).is_ok());
    assert_eq!(
        root.openat("zeroed@xx", O_CLOEXEC, 0).err().unwrap().errno(),
        errno::EINVAL
    );
}
