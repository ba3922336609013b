//! Memory that a scheme shares with its clients, descriptors that it gives them, and the end of either side.

#[path = "../common/mod.rs"]
mod common;
mod scheme;

use std::process::Child;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use common::{SOON, child_role, directory, spawn_child};
use event::{EventFlags, RawEventQueue};
use libredox::call::{MmapArgs, mmap, munmap};
use libredox::flag::{MAP_PRIVATE, MAP_SHARED, O_NONBLOCK, O_RDWR, PROT_READ, PROT_WRITE};
use libredox::{Fd, errno};
use scheme::{Event, FOREIGN, READ_ONLY, SIZE, Shared};

const PAGE: usize = 4096;

/// Shared memory, looked at byte by byte.
#[derive(Clone, Copy)]
pub struct Memory(*mut u8);

impl Memory {
    fn get(self, offset: usize) -> u8 {
        // SAFETY: all offsets of these tests are inside of the mapping.
        unsafe { self.0.add(offset).read_volatile() }
    }

    fn set(self, offset: usize, value: u8) {
        // SAFETY: as above, and the tests only write to what is mapped for it.
        unsafe { self.0.add(offset).write_volatile(value) }
    }

    fn unmap(self, length: usize) {
        // SAFETY: the test does not use the mapping any more.
        unsafe { munmap(self.0.cast(), length) }.unwrap();
    }

    fn protect(self, length: usize, protection: u32) -> i32 {
        // SAFETY: the mapping is the test's own.
        unsafe { libc::mprotect(self.0.cast(), length, protection as i32) }
    }
}

fn map(file: &Fd, offset: usize, length: usize, prot: u32, flags: u32) -> Result<Memory, i32> {
    let args = MmapArgs {
        addr: std::ptr::null_mut(),
        length,
        prot,
        flags,
        fd: file.raw(),
        offset: offset as u64,
    };
    // SAFETY: a new mapping at an address of the system's choice.
    let address = unsafe { mmap(args) }.map_err(|error| error.errno())?;
    Ok(Memory(address.cast()))
}

fn map_shared(file: &Fd, offset: usize, length: usize, prot: u32) -> Result<Memory, i32> {
    map(file, offset, length, prot, MAP_SHARED)
}

fn open(name: &str) -> Fd {
    Fd::open(&format!("/scheme/{name}/memory"), O_RDWR, 0).unwrap()
}

/// A daemon in a thread of this process.
fn start(name: &str) -> Shared {
    directory();
    scheme::start(name)
}

fn wait_for<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = attempt() {
            return value;
        }
        assert!(start.elapsed() < SOON, "never happened: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn both_sides_see_the_same_memory_until_it_is_unmapped() {
    let daemon = start("both");
    let file = open("both");
    let memory = map_shared(&file, PAGE, 2 * PAGE, PROT_READ | PROT_WRITE).unwrap();
    memory.set(PAGE + 5, 42);
    assert_eq!(daemon.memory().get(2 * PAGE + 5), 42);
    daemon.memory().set(PAGE, 43);
    assert_eq!(memory.get(0), 43);
    let again = map_shared(&file, PAGE, PAGE, PROT_READ).unwrap();
    assert_eq!(again.get(0), 43, "several mappings of the same pages");
    assert_eq!(daemon.events(), []);
    memory.unmap(2 * PAGE);
    assert_eq!(daemon.events(), [Event::Unmapped(PAGE, 2 * PAGE)]);
    again.unmap(PAGE);
    drop(file);
    let all = [
        Event::Unmapped(PAGE, 2 * PAGE),
        Event::Unmapped(PAGE, PAGE),
        Event::Closed,
    ];
    wait_for("close", || (daemon.events() == all).then_some(()));
}

#[test]
fn child_made_by_fork_has_no_mapping() {
    let _daemon = start("fork");
    let memory = map_shared(&open("fork"), 0, PAGE, PROT_READ | PROT_WRITE).unwrap();
    let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let (_, mapping) = maps
        .split_once(&format!("{:08x}-", memory.0 as usize))
        .expect("the mapping is listed");
    let flags = mapping.lines().find_map(|line| line.strip_prefix("VmFlags:"));
    // "dc": do not copy area on fork (proc_pid_smaps(5)).
    assert!(flags.unwrap().split(' ').any(|flag| flag == "dc"), "{flags:?}");
    memory.unmap(PAGE);
}

#[test]
fn mapping_keeps_the_description_open() {
    let daemon = start("outlives");
    let file = open("outlives");
    let memory = map_shared(&file, 0, PAGE, PROT_READ | PROT_WRITE).unwrap();
    drop(file);
    memory.set(0, 1);
    assert_eq!((daemon.memory().get(0), daemon.events()), (1, vec![]));
    memory.unmap(PAGE);
    let all = [Event::Unmapped(0, PAGE), Event::Closed];
    wait_for("close", || (daemon.events() == all).then_some(()));
}

#[test]
fn daemon_and_shim_refuse_what_must_not_be_mapped() {
    let daemon = start("refused");
    let file = open("refused");
    let both = PROT_READ | PROT_WRITE;
    for (offset, length, prot, flags, expected) in [
        (0, PAGE, PROT_READ, MAP_PRIVATE, errno::EINVAL),
        (READ_ONLY, PAGE, both, MAP_SHARED, errno::EACCES),
        (0, SIZE, both, MAP_SHARED, errno::EACCES),
        (SIZE - PAGE, 2 * PAGE, PROT_READ, MAP_SHARED, errno::EINVAL),
        // The shim's own, as the kernel's: no length, no page, memory that is not the daemon's.
        (0, 0, PROT_READ, MAP_SHARED, errno::EINVAL),
        (5, PAGE, PROT_READ, MAP_SHARED, errno::EINVAL),
        (FOREIGN, PAGE, PROT_READ, MAP_SHARED, errno::EFAULT),
    ] {
        let refused = map(&file, offset, length, prot, flags).err();
        assert_eq!(refused, Some(expected), "{offset:#x}, {length}, {prot}");
    }
    // Nothing was mapped, so nothing is unmapped.
    drop(file);
    wait_for("close", || (daemon.events() == [Event::Closed]).then_some(()));
}

#[test]
fn memory_mapped_for_reading_stays_for_reading() {
    let _daemon = start("reading");
    let file = open("reading");
    let memory = map_shared(&file, READ_ONLY, PAGE, PROT_READ).unwrap();
    assert_eq!(memory.protect(PAGE, PROT_READ | PROT_WRITE), -1);
    assert_eq!(
        std::io::Error::last_os_error().kind(),
        std::io::ErrorKind::PermissionDenied
    );
    memory.unmap(PAGE);
}

#[test]
fn attaching_a_thousand_times_leaves_nothing_behind() {
    let daemon = start("thousand");
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let attach = || {
        let file = open("thousand");
        let memory = map_shared(&file, 0, READ_ONLY, PROT_READ | PROT_WRITE).unwrap();
        memory.unmap(READ_ONLY);
    };
    attach();
    let before = descriptors();
    for _ in 0..1000 {
        attach();
    }
    let is_close = |event: &Event| *event == Event::Closed;
    wait_for("closes", || {
        let events = daemon.events();
        (events.len() == 2002 && events.iter().filter(|event| is_close(event)).count() == 1001).then_some(())
    });
    // Other tests of this process run at the same time and open some, but not as many as would be left behind.
    assert!(descriptors() < before + 500);
}

#[test]
fn doorbell_wakes_the_daemon_and_says_when_it_has_been_rung() {
    let daemon = start("doorbell");
    let bell = Fd::new(open("doorbell").dup(b"doorbell").unwrap());
    bell.fcntl(libc::F_SETFL as usize, O_NONBLOCK as usize).unwrap();
    let reader = daemon.kept();
    let queue = RawEventQueue::new().unwrap();
    queue.subscribe(reader.raw(), 7, EventFlags::READ).unwrap();
    assert_eq!(bell.write(&[1]).unwrap(), 1);
    assert_eq!(queue.next_event().unwrap().user_data, 7);
    assert_eq!(reader.read(&mut [0; 16]).unwrap(), 1);
    let full = loop {
        if let Err(error) = bell.write(&[1; 4096]) {
            break error.errno();
        }
    };
    assert_eq!(full, errno::EAGAIN);
    drop(reader);
    assert_eq!(
        bell.write(&[1]).unwrap_err().errno(),
        errno::EPIPE,
        "nobody hears it"
    );
}

#[test]
fn descriptor_of_a_scheme_cannot_leave_its_process() {
    let _daemon = start("leave");
    let refused = open("leave").dup(b"memory").unwrap_err().errno();
    assert_eq!(refused, errno::ENOSYS);
    assert_eq!(open("leave").dup(b"nothing").unwrap_err().errno(), errno::EINVAL);
}

/// A child that is killed at the end of the test.
struct Process(Child);

impl Process {
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

#[test]
fn death_of_a_client_unmaps_first_and_closes_then() {
    let daemon = start("killed");
    let mut client = Process(spawn_child("client"));
    wait_for("mappings", || (daemon.memory().get(0) == 2).then_some(()));
    assert_eq!(daemon.events(), []);
    client.kill();
    let events = wait_for("close", || {
        let events = daemon.events();
        (events.len() == 3).then_some(events)
    });
    assert!(events[..2].contains(&Event::Unmapped(0, PAGE)), "{events:?}");
    assert!(
        events[..2].contains(&Event::Unmapped(READ_ONLY, PAGE)),
        "{events:?}"
    );
    assert_eq!(events[2], Event::Closed);
}

#[test]
fn death_of_the_daemon_leaves_the_memory_and_ends_the_pipes() {
    directory();
    let mut daemon = Process(spawn_child("daemon"));
    let file = wait_for("daemon", || Fd::open("/scheme/mortal/memory", O_RDWR, 0).ok());
    let memory = map_shared(&file, 0, PAGE, PROT_READ | PROT_WRITE).unwrap();
    let alive = Fd::new(file.dup(b"alive").unwrap());
    let bell = Fd::new(file.dup(b"doorbell").unwrap());
    let queue = RawEventQueue::new().unwrap();
    queue.subscribe(alive.raw(), 1, EventFlags::READ).unwrap();
    assert_eq!(alive.read(&mut [0]).unwrap_err().errno(), errno::EAGAIN);
    daemon.kill();
    assert_eq!(queue.next_event().unwrap().user_data, 1);
    assert_eq!(alive.read(&mut [0]).unwrap(), 0, "end of file");
    assert_eq!(bell.write(&[1]).unwrap_err().errno(), errno::EPIPE);
    memory.set(1, 9);
    assert_eq!(memory.get(1), 9);
    assert_eq!(file.dup(b"alive").unwrap_err().errno(), errno::ENODEV);
    memory.unmap(PAGE);
}

/// Not a test of its own: the children of the tests above.
#[test]
fn child() {
    match child_role().as_deref() {
        Some("client") => {
            let file = open("killed");
            let memory = map_shared(&file, 0, PAGE, PROT_READ | PROT_WRITE).unwrap();
            map_shared(&file, READ_ONLY, PAGE, PROT_READ).unwrap();
            drop(file);
            memory.set(0, 2);
            loop {
                thread::park();
            }
        }
        Some("daemon") => {
            let (sender, _receiver) = mpsc::channel();
            scheme::serve("mortal", &sender);
        }
        _ => {}
    }
}
