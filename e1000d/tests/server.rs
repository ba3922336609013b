//! The driver and its scheme over the fake chip, through real sockets: what no emulator shows, because it sends
//! every frame at once.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use e1000_hw::RingSize;
use e1000_hw::chip::find;
use e1000_hw::fake::{FakeMachine, FakeRegion, FakeRegisters, Faults};
use e1000_hw::nic::{Config, Nic};
use e1000_hw::notes::Notes;
use e1000_hw::regs;
use e1000d::driver::{BATCH, Driver};
use e1000d::redox::clock::SystemClock;
use e1000d::scheme::NetworkScheme;
use e1000d::scheme::files::Description;
use event::{EventFlags, RawEventQueue};
use libredox::flag::{O_NONBLOCK, O_RDONLY, O_RDWR};
use libredox::{Fd, call};
use redox_scheme::scheme::SchemeSync;
use redox_scheme::{SignalBehavior, Socket};

type FakeDriver = Driver<FakeRegisters, FakeRegion, SystemClock, Arc<Socket>>;
type Command = Box<dyn FnOnce(&FakeMachine, &mut FakeDriver) + Send>;

const NAME: &str = "network.fake";
const SOON: Duration = Duration::from_secs(5);

/// A daemon's inside in a thread of its own: the scheme `network.fake` of a fake NIC.
struct Daemon {
    commands: Option<Sender<Command>>,
    thread: Option<JoinHandle<()>>,
    // The scheme's name is one for the process.
    _alone: MutexGuard<'static, ()>,
}

impl Daemon {
    /// With rings of 8.
    fn start() -> Self {
        Self::with_rings(8)
    }

    fn with_rings(size: u32) -> Self {
        static DIRECTORY: OnceLock<tempfile::TempDir> = OnceLock::new();
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = DIRECTORY.get_or_init(|| tempfile::tempdir().expect("a directory"));
        redox_shim::set_directory(directory.path());
        let _ = redox_shim::unlink_scheme(NAME);
        let (commands, inbox) = channel();
        let (ready, is_ready) = channel();
        let thread = thread::spawn(move || serve(size, &inbox, &ready));
        is_ready.recv_timeout(SOON).expect("ready");
        Self {
            commands: Some(commands),
            thread: Some(thread),
            _alone: alone,
        }
    }

    /// Does something with the machine and the driver, in their thread, and returns what came of it.
    fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&FakeMachine, &mut FakeDriver) -> T + Send + 'static,
    ) -> T {
        let (sender, result) = channel();
        let command: Command = Box::new(move |machine, driver| {
            let _ = sender.send(work(machine, driver));
        });
        self.commands
            .as_ref()
            .expect("running")
            .send(command)
            .expect("running");
        result.recv_timeout(SOON).expect("an answer")
    }

    fn deliver(&self, fill: u8) {
        self.with(move |machine, driver| {
            assert!(machine.deliver(&[fill; 60]));
            driver.serve_interrupt();
        });
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            let result = thread.join();
            assert!(result.is_ok() || thread::panicking());
        }
    }
}

fn serve(ring: u32, commands: &Receiver<Command>, ready: &Sender<()>) {
    let chip = find(0x8086, 0x100E).expect("82540EM");
    let machine = FakeMachine::new(chip);
    let size = RingSize::new(ring).expect("a ring size");
    let sizes = Config::with_rings(size, size);
    let nic =
        Nic::bring_up(machine.registers(), chip, sizes, &mut machine.dma(), &machine).expect("bring-up");
    let clock = SystemClock::default();
    let mut scheme = NetworkScheme::new(NAME.to_owned(), nic, Description::default(), clock);
    let socket = Arc::new(Socket::nonblock().expect("a socket"));
    let root = scheme.scheme_root().expect("a root");
    let root = socket
        .create_this_scheme_fd(0, root, 0, 0)
        .expect("a root descriptor");
    call::register_scheme_to_ns(call::getns().expect("a namespace"), NAME, root).expect("registered");
    let mut driver = Driver::new(Arc::clone(&socket), scheme);
    let mut requests = Vec::with_capacity(BATCH);
    ready.send(()).expect("somebody waits");
    loop {
        if socket
            .read_requests(&mut requests, SignalBehavior::Restart)
            .is_ok()
        {
            driver.serve(&mut requests);
        } else {
            driver.note_idle_poll();
        }
        match commands.recv_timeout(Duration::from_millis(1)) {
            Ok(command) => command(&machine, &mut driver),
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {}
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn open(flags: i32) -> Fd {
    Fd::open(&format!("/scheme/{NAME}"), O_RDWR | flags, 0).expect("open")
}

/// Events of a queue, through a thread, so that a missing one is a failure and not a wait for ever.
fn events(queue: RawEventQueue) -> Receiver<usize> {
    let (sender, events) = channel();
    thread::spawn(move || {
        while let Ok(event) = queue.next_event() {
            if sender.send(event.user_data).is_err() {
                return;
            }
        }
    });
    events
}

/// Waits until the daemon has a write parked.
fn wait_for_parked_writes(daemon: &Daemon) {
    let start = Instant::now();
    while !daemon.with(|_, driver| driver.has_pending_writes()) {
        assert!(start.elapsed() < SOON, "no write is parked");
    }
}

#[test]
fn reader_that_finds_none_beside_a_parked_one_is_told_of_the_next_frame() {
    let daemon = Daemon::start();
    let reader = open(O_NONBLOCK);
    let queue = RawEventQueue::new().expect("a queue");
    queue
        .subscribe(reader.raw(), 1, EventFlags::READ)
        .expect("subscribed");
    let events = events(queue);
    daemon.deliver(1);
    assert_eq!(events.recv_timeout(SOON), Ok(1));
    assert_eq!(reader.read(&mut [0; 64]).expect("the frame"), 60);

    let parked = thread::spawn(|| open(0).read(&mut [0; 64]).map_err(|error| error.errno()));
    // Until the other one waits; then this one finds none beside it.
    thread::sleep(Duration::from_millis(200));
    let none = reader.read(&mut [0; 64]).map_err(|error| error.errno());
    assert_eq!(none, Err(libredox::errno::EAGAIN));
    daemon.deliver(2);
    assert_eq!(
        parked.join().expect("no panic"),
        Ok(60),
        "who waited longer gets it"
    );
    daemon.deliver(3);
    assert_eq!(events.recv_timeout(SOON), Ok(1));
    let mut frame = [0; 64];
    assert_eq!(reader.read(&mut frame).expect("the frame"), 60);
    assert_eq!(frame[0], 3);
}

#[test]
fn writes_to_a_full_ring_wait_for_room_and_keep_their_order() {
    let daemon = Daemon::start();
    daemon.with(|machine, _| {
        machine.set_faults(Faults {
            transmitter_stalled: true,
            ..Faults::default()
        })
    });
    let writer = open(O_NONBLOCK);
    for n in 0..7u8 {
        assert_eq!(writer.write(&[n; 60]).expect("room"), 60);
    }
    let blocked: Vec<_> = (7..10u8)
        .map(|n| {
            let thread =
                thread::spawn(move || open(O_NONBLOCK).write(&[n; 60]).map_err(|error| error.errno()));
            // One after the other.
            thread::sleep(Duration::from_millis(100));
            thread
        })
        .collect();
    wait_for_parked_writes(&daemon);
    assert!(
        blocked.iter().all(|thread| !thread.is_finished()),
        "never EAGAIN: smolnetd would drop the frame"
    );
    daemon.with(|machine, driver| {
        machine.resume_transmitter();
        driver.serve_interrupt();
    });
    for thread in blocked {
        assert_eq!(thread.join().expect("no panic"), Ok(60));
    }
    let order: Vec<u8> = daemon
        .with(|machine, _| machine.take_sent())
        .iter()
        .map(|frame| frame[0])
        .collect();
    assert_eq!(order, (0..10).collect::<Vec<u8>>());
}

#[test]
fn stuck_transmitter_costs_a_writer_two_seconds_and_its_frame() {
    let daemon = Daemon::start();
    daemon.with(|machine, _| {
        machine.set_faults(Faults {
            transmitter_stalled: true,
            ..Faults::default()
        })
    });
    let writer = open(0);
    for n in 0..7u8 {
        writer.write(&[n; 60]).expect("room");
    }
    let start = Instant::now();
    let blocked = thread::spawn(|| open(0).write(&[9; 60]).map_err(|error| error.errno()));
    while !blocked.is_finished() {
        // Each batch of requests has pending writes tried again; an empty one does, too.
        daemon.with(|_, driver| driver.serve(&mut Vec::new()));
        thread::sleep(Duration::from_millis(10));
        assert!(start.elapsed() < SOON, "the writer waits for ever");
    }
    assert_eq!(
        blocked.join().expect("no panic"),
        Ok(60),
        "an error would be dropped just so, with a log line each"
    );
    assert_eq!(
        daemon.with(|_, driver| driver.scheme().nic().state().tx_counters().dropped),
        1
    );
}

/// Reads, as slowly as an emulated machine, until told that there is nothing. Returns the first byte of each frame.
fn read_all(reader: &Fd) -> Vec<u8> {
    let mut frames = vec![];
    let mut buffer = [0; 2048];
    loop {
        thread::sleep(Duration::from_micros(60));
        match reader.read(&mut buffer).map_err(|error| error.errno()) {
            Ok(60) => frames.push(buffer[0]),
            Ok(other) => panic!("a frame of {other} bytes"),
            Err(libredox::errno::EAGAIN) => return frames,
            Err(other) => panic!("error {other}"),
        }
    }
}

#[test]
fn client_of_an_event_queue_reads_in_budgets_and_loses_nothing() {
    const FRAMES: u8 = 250;
    let daemon = Daemon::with_rings(256);
    let reader = open(O_NONBLOCK);
    let queue = RawEventQueue::new().expect("a queue");
    queue
        .subscribe(reader.raw(), 1, EventFlags::READ)
        .expect("subscribed");
    let events = events(queue);
    for number in 0..FRAMES {
        daemon.with(move |machine, _| assert!(machine.deliver(&[number; 60])));
    }
    daemon.with(|_, driver| driver.serve_interrupt());

    let mut frames = vec![];
    for budget in [32, 32, 32, 32, 32, 32, 32, 26] {
        assert_eq!(
            events.recv_timeout(SOON),
            Ok(1),
            "told with the end of the last budget"
        );
        let read = read_all(&reader);
        assert_eq!(read.len(), budget);
        frames.extend(read);
    }
    assert_eq!(frames, (0..FRAMES).collect::<Vec<_>>());
    assert!(events.try_recv().is_err());
}

#[test]
fn process_that_only_reads_has_no_budget() {
    let daemon = Daemon::with_rings(256);
    let reader = open(O_NONBLOCK);
    let queue = RawEventQueue::new().expect("a queue");
    queue
        .subscribe(reader.raw(), 1, EventFlags::READ)
        .expect("subscribed");
    let fill = || daemon.with(|machine, _| assert!((0..200).all(|number| machine.deliver(&[number; 60]))));
    let filter = Fd::open(&format!("/scheme/{NAME}/filter"), O_RDWR, 0).expect("open");
    assert_eq!(filter.write(b"budget off").expect("taken"), 10);
    assert!(text("filter").contains("budget 1\n"), "another handle's own");
    fill();
    assert_eq!(read_all(&reader).len(), 200);
    drop(filter);
    fill();
    assert_eq!(read_all(&reader).len(), 32, "it ended with the handle");
}

#[test]
fn blocking_reader_is_not_held_up() {
    let daemon = Daemon::with_rings(256);
    daemon.with(|machine, driver| {
        assert!((0..250).all(|number| machine.deliver(&[number; 60])));
        driver.serve_interrupt();
    });
    let reader = open(0);
    for number in 0..250 {
        let mut frame = [0; 2048];
        assert_eq!(reader.read(&mut frame).expect("a frame"), 60);
        assert_eq!(frame[0], number);
    }
}

/// The lines of a file.
fn text(file: &str) -> String {
    let file = Fd::open(&format!("/scheme/{NAME}/{file}"), O_RDONLY, 0).expect("open");
    let mut bytes = vec![0; 4096];
    let length = file.read(&mut bytes).expect("read");
    String::from_utf8(bytes[..length].to_vec()).expect("text")
}

#[test]
fn self_test_says_which_part_failed_and_what_it_could_not_test() {
    let daemon = Daemon::start();
    daemon.with(|machine, _| {
        machine.set_faults(Faults {
            stuck_bits: Some((regs::RDBAH, 1 << 4)),
            nvm_checksum_wrong: true,
            loopback_damages: true,
            ..Faults::default()
        });
    });
    let file = Fd::open(&format!("/scheme/{NAME}/selftest"), O_RDWR, 0).expect("open");
    assert_eq!(file.write(b"run").expect("started"), 3);
    assert!(text("selftest").starts_with("state running\n"));
    daemon.with(|machine, driver| {
        while driver.scheme().continue_self_test() {
            thread::sleep(driver.scheme().self_test_due().unwrap_or_default());
        }
        machine.set_faults(Faults::default());
    });
    let report = text("selftest");
    for line in [
        "state done",
        "failures 1",
        "result failed",
        "link passed",
        "registers failed: RDBAH (0x2804) reads 0x5a5a5a4a after 0x5a5a5a5a",
        "nvm failed: the checksum of the NVM is wrong",
        "loopback failed: a frame of 60 bytes came back changed",
        "interrupt skipped: interrupts are off",
    ] {
        assert!(report.lines().any(|found| found == line), "{line}: {report}");
    }
    // Its frames pass as before.
    let data = open(O_NONBLOCK);
    daemon.deliver(7);
    assert_eq!(data.read(&mut [0; 100]).expect("a frame"), 60);
}

#[test]
fn text_for_a_file_is_bounded() {
    let _daemon = Daemon::start();
    let filter = Fd::open(&format!("/scheme/{NAME}/filter"), O_RDWR, 0).expect("open");
    let write = |len: usize| {
        let text = "promiscuous off\n".repeat(len / 16);
        filter.write(text.as_bytes()).map_err(|error| error.errno())
    };
    assert_eq!(write(16 << 10), Ok(16 << 10));
    assert_eq!(write((16 << 10) + 16), Err(libredox::errno::EMSGSIZE));
}

/// Waits until so many handles are open, the root's among them.
fn wait_for_handles(daemon: &Daemon, count: usize) {
    let start = Instant::now();
    while daemon.with(|_, driver| driver.scheme().open_handles()) != count {
        assert!(start.elapsed() < SOON, "handles are not closed");
    }
}

/// The first byte of the next frame, if there is one.
fn next_frame(reader: &Fd) -> Option<u8> {
    let mut frame = [0; 64];
    match reader.read(&mut frame) {
        Ok(length) => {
            assert_eq!(length, 60);
            Some(frame[0])
        }
        Err(error) => {
            assert_eq!(error.errno(), libredox::errno::EAGAIN);
            None
        }
    }
}

#[test]
fn frames_that_came_for_others_are_not_read() {
    let daemon = Daemon::start();
    let first = open(O_NONBLOCK);
    // While it was there, and another one, who goes on.
    let second = open(O_NONBLOCK);
    daemon.deliver(2);
    drop(first);
    wait_for_handles(&daemon, 2);
    assert_eq!(next_frame(&second), Some(2));
    // The last one goes and leaves a ring full: buffers are given back in fours.
    for _ in 0..6 {
        daemon.deliver(3);
    }
    assert!(!daemon.with(|machine, _| machine.deliver(&[3; 60])));
    drop(second);
    wait_for_handles(&daemon, 1);
    // There is room again; but what comes now is old when somebody comes.
    daemon.deliver(4);
    let third = open(O_NONBLOCK);
    assert_eq!(next_frame(&third), None);
    daemon.deliver(5);
    assert_eq!(next_frame(&third), Some(5));
    let dropped = daemon.with(|_, driver| driver.scheme().nic().state().rx_counters().dropped);
    assert_eq!(dropped, 6 + 1);
}

#[test]
fn what_resets_meet_is_told_once_and_stays_in_the_file_info() {
    let daemon = Daemon::start();
    assert!(text("info").ends_with("\naspm none\npcix_longest_read none\nhazard none\nnotes none\n"));
    let warnings = daemon.with(|machine, driver| {
        let scheme = driver.scheme();
        assert_eq!(scheme.take_warnings(), None);
        machine.set_link(false);
        machine.poke_phy(2, 0xFFFF);
        machine.poke_phy(3, 0xFFFF);
        scheme.nic().recovery().restart(machine).expect("a reset");
        [scheme.take_warnings(), scheme.take_warnings()]
    });
    assert_eq!(warnings, [Some(Notes::PHY_SILENT), None]);
    assert!(text("info").ends_with("\nnotes the PHY did not answer\n"));
}
