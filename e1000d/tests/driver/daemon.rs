//! A driver that serves clients of this process.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use e1000_hw::RingSize;
use e1000_hw::chip::find;
use e1000_hw::fake::{FakeMachine, FakeRegion, FakeRegisters};
use e1000_hw::nic::{Config, Nic};
use e1000d::driver::{BATCH, Driver};
use e1000d::redox::clock::SystemClock;
use e1000d::scheme::NetworkScheme;
use e1000d::scheme::files::Description;
use event::{EventFlags, RawEventQueue};
use libredox::flag::{O_RDONLY, O_RDWR};
use libredox::{Fd, call};
use redox_scheme::scheme::SchemeSync;
use redox_scheme::{SignalBehavior, Socket};

type FakeDriver = Driver<FakeRegisters, FakeRegion, SystemClock, Arc<Socket>>;
type Command = Box<dyn FnOnce(&FakeMachine, &mut FakeDriver) + Send>;

pub const NAME: &str = "network.fake";
pub const SOON: Duration = Duration::from_secs(5);

/// A driver in a thread of its own: the scheme `network.fake` of a fake NIC.
pub struct Daemon {
    commands: Option<Sender<Command>>,
    thread: Option<JoinHandle<()>>,
    // The scheme's name is one for the process.
    _alone: MutexGuard<'static, ()>,
}

impl Daemon {
    /// Starts one with rings of 8.
    pub fn start() -> Self {
        Self::with_rings(8)
    }

    /// Starts one with rings of that size.
    pub fn with_rings(size: u32) -> Self {
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

    /// Runs `work` on machine and driver, in their thread, and returns its result.
    pub fn with<T: Send + 'static>(
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

    /// A frame arrives, and raises an interrupt.
    pub fn deliver(&self, fill: u8) {
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

/// The thread: requests as they come, commands of the test in between.
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

/// Opens the file of frames.
pub fn open(flags: i32) -> Fd {
    Fd::open(&format!("/scheme/{NAME}"), O_RDWR | flags, 0).expect("open")
}

/// Events of the handle `reader`, through a thread: a missing one is a failure and not a wait without end.
pub fn events(reader: &Fd) -> Receiver<usize> {
    let queue = RawEventQueue::new().expect("a queue");
    queue
        .subscribe(reader.raw(), 1, EventFlags::READ)
        .expect("subscribed");
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

/// Reads a file.
pub fn text(file: &str) -> String {
    let file = Fd::open(&format!("/scheme/{NAME}/{file}"), O_RDONLY, 0).expect("open");
    let mut bytes = vec![0; 4096];
    let length = file.read(&mut bytes).expect("read");
    String::from_utf8(bytes[..length].to_vec()).expect("text")
}

/// Waits until `condition` holds for the driver.
pub fn wait_until(daemon: &Daemon, condition: impl Fn(&mut FakeDriver) -> bool + Clone + Send + 'static) {
    let start = Instant::now();
    loop {
        let condition = condition.clone();
        if daemon.with(move |_, driver| condition(driver)) {
            return;
        }
        assert!(start.elapsed() < SOON, "a condition does not come true");
    }
}
