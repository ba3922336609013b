//! What the daemon's two threads work on, under a lock, and what the one that serves requests does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use e1000_hw::platform::Registers;
use libredox::call::fcntl;
use libredox::flag::O_NONBLOCK;
use redox_scheme::{Request, SignalBehavior, Socket};
use syscall::error::{EAGAIN, ENODEV};
use syscall::{F_GETFL, F_SETFL};

use crate::driver::{BATCH, Server, refuse};
use crate::error::{DaemonError, Doing};
use crate::redox::dma::DmaBlock;
use crate::redox::irq::Interrupts;
use crate::redox::signals;
use crate::redox::timer::Alarm;
use crate::scheme::notify::Occasion;

/// Interval of looking at the link while frames wait for it, should its interrupt be lost.
const LINK_INTERVAL: Duration = Duration::from_millis(500);
/// Frames that waited for the link for this long are dropped: longer than dhcpd waits for its answer.
const HOLD_LIMIT: Duration = Duration::from_secs(35);
/// Interval of looking after frames that are with the hardware.
pub const WATCH_INTERVAL: Duration = Duration::from_secs(1);
/// Interval of looking at the rings when there is no interrupt, at a reader that stopped with frames left, and for room
/// to transmit: the kernel's timer tick.
const TICK: Duration = Duration::from_millis(4);

/// What the thread that serves requests does before it reads the next ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Waits for them.
    Wait,
    /// Yields the processor first.
    Yield,
    /// It is the others' turn: yields, and looks whether there are any; if there are none, nobody needs it.
    YieldAndLook,
}

/// What both threads work on.
pub struct Service<R: Registers> {
    /// None once the daemon stops.
    pub server: Option<Server<R, DmaBlock>>,
    alarm: Alarm,
    /// Whether the rings are polled for want of an interrupt.
    polling: bool,
    /// The alarm is set, so that the transmitter will be looked after.
    watching: bool,
    /// When the first of the frames that wait for the link was found waiting.
    held_since: Option<Instant>,
}

impl<R: Registers> Service<R> {
    /// Serves with `server`, and looks after the rings by `alarm`: for want of an interrupt at every tick, if `polling`.
    pub fn new(server: Server<R, DmaBlock>, alarm: Alarm, polling: bool) -> Self {
        Self {
            server: Some(server),
            alarm,
            polling,
            watching: false,
            held_since: None,
        }
    }

    /// Serves requests, or refuses them once the daemon stops. Returns what to do before the next ones are read.
    ///
    /// # Errors
    ///
    /// When the kernel does not take answers, or the timer cannot be set.
    pub fn serve(&mut self, socket: &Socket, requests: &mut Vec<Request>) -> Result<Next, DaemonError> {
        let Some(server) = &mut self.server else {
            refuse(socket, requests, ENODEV);
            return Ok(Next::Yield);
        };
        server.serve(requests).doing("answer requests")?;
        let scheme = server.scheme();
        let next = match (scheme.has_others_turn(), scheme.take_must_yield()) {
            (true, _) => Next::YieldAndLook,
            (false, true) => Next::Yield,
            (false, false) => Next::Wait,
        };
        self.plan()?;
        Ok(next)
    }

    /// Nobody asks for anything in the others' turn. Returns what to do then: the same again, or to go on when the turn is
    /// over and readers were told.
    ///
    /// # Errors
    ///
    /// When the kernel does not take answers, or the timer cannot be set.
    pub fn look_idle(&mut self) -> Result<Next, DaemonError> {
        let Some(server) = &mut self.server else {
            return Ok(Next::Wait);
        };
        if server.scheme().look_idle() {
            server.settle(Occasion::Served).doing("answer requests")?;
        } else if server.scheme().has_others_turn() {
            return Ok(Next::YieldAndLook);
        }
        self.plan()?;
        Ok(Next::Wait)
    }

    /// Whether registers read as all ones: the NIC was removed. The first time, everybody who waits is told. The files
    /// answer on, frames are `ENODEV`, and the NIC is not touched any more.
    fn is_gone(&mut self) -> Result<bool, DaemonError> {
        let Some(server) = &mut self.server else {
            return Ok(false);
        };
        if !server.scheme().nic().state().is_gone() {
            return Ok(false);
        }
        server.lose_device().doing("answer requests")?;
        Ok(true)
    }

    /// An interrupt arrived on `vector`.
    ///
    /// # Errors
    ///
    /// When the interrupt cannot be acknowledged, the kernel does not take answers or the timer cannot be set.
    pub fn interrupt(&mut self, interrupts: &Interrupts, vector: u16) -> Result<(), DaemonError> {
        let Some(server) = &mut self.server else {
            return Ok(());
        };
        interrupts.service(|| server.scheme().interrupt(vector))?;
        if self.is_gone()? {
            return Ok(());
        }
        let Some(server) = &mut self.server else {
            return Ok(());
        };
        // The rings are looked at after a line was unmasked, so what came in between is not missed.
        server.settle(Occasion::Served).doing("answer requests")?;
        server.scheme().note_backlog();
        self.plan()
    }

    /// The alarm's event arrived: looks after everything that may be due.
    ///
    /// # Errors
    ///
    /// When the kernel does not take answers, or the timer cannot be set.
    pub fn check(&mut self) -> Result<(), DaemonError> {
        if !self.alarm.went_off() {
            return Ok(());
        }
        let Some(server) = &mut self.server else {
            return Ok(());
        };
        self.watching = false;
        let reads_wait = server.reads_wait();
        let scheme = server.scheme();
        if scheme.continue_self_test() {
            server.settle(Occasion::Tick).doing("answer requests")?;
            return self.plan();
        }
        if !self.polling {
            scheme.note_lost_interrupt(reads_wait);
        }
        scheme.expire_others_turn();
        if !scheme.nic().state().link().is_up() {
            scheme.look_at_link();
        }
        scheme.watch();
        let nic = scheme.nic();
        if nic.state().pending_frames() == 0 || nic.state().link().is_up() {
            self.held_since = None;
        } else if self.held_since.get_or_insert_with(Instant::now).elapsed() > HOLD_LIMIT {
            nic.tx().drop_pending();
            self.held_since = None;
        }
        server.settle(Occasion::Tick).doing("answer requests")?;
        if self.polling {
            server.scheme().nic().rx().flush();
        }
        self.plan()
    }

    /// Arms the alarm for what will be due. Nothing is, while no frame moves. Frames that are sent cost one setting of
    /// the alarm a second.
    ///
    /// # Errors
    ///
    /// When the kernel does not take answers, or the timer cannot be set.
    pub fn plan(&mut self) -> Result<(), DaemonError> {
        if self.is_gone()? {
            return Ok(());
        }
        let Some(server) = &mut self.server else {
            return Ok(());
        };
        let delay = if let Some(delay) = server.scheme().self_test_due() {
            delay
        } else if self.polling || server.writes_wait() || server.scheme().reader_may_have_stopped() {
            TICK
        } else if server.scheme().nic().state().pending_frames() > 0 {
            LINK_INTERVAL
        } else if !self.watching && server.scheme().nic().state().needs_watching() {
            WATCH_INTERVAL
        } else {
            return Ok(());
        };
        self.watching = true;
        self.alarm.within(delay).doing("set the timer")
    }
}

/// The lock around what both threads work on.
///
/// It is taken for every request, for some microseconds, and hardly ever contended. relibc's mutex makes a system call
/// each time it is unlocked (2 % of what a frame costs); this one never does, and yields while it has to wait.
pub type Lock<T> = spin::mutex::SpinMutex<T, spin::Yield>;

/// The service, as both threads hold it.
pub type Shared<R> = Arc<Lock<Service<R>>>;

/// Reads and serves requests until the socket fails, is closed, or the daemon stops.
///
/// # Errors
///
/// When the socket fails or is closed.
pub fn serve_requests<R: Registers>(socket: &Socket, service: &Lock<Service<R>>) -> Result<(), DaemonError> {
    let mut requests = Vec::with_capacity(BATCH);
    let mut next = Next::Wait;
    loop {
        if next != Next::Wait || signals::terminating() {
            // A thread that always blocks before its time is up never gives up its place in June's scheduler: while
            // it and its clients keep handing over to each other, nobody who once used up his time runs, be it the
            // main thread that would end the daemon. Yielding moves this one behind them.
            std::thread::yield_now();
        }
        if next == Next::YieldAndLook && !read_what_is_there(socket, &mut requests)? {
            next = service.lock().look_idle()?;
            if next == Next::YieldAndLook {
                continue;
            }
        }
        if requests.is_empty() {
            socket
                .read_requests(&mut requests, SignalBehavior::Restart)
                .doing("read requests")?;
        }
        if requests.is_empty() {
            return Err(DaemonError::SchemeClosed);
        }
        next = service.lock().serve(socket, &mut requests)?;
    }
}

/// Reads requests, but does not wait for any. Returns whether there were some, or the scheme is closed.
fn read_what_is_there(socket: &Socket, requests: &mut Vec<Request>) -> Result<bool, DaemonError> {
    let fd = socket.inner().raw();
    let flags = fcntl(fd, F_GETFL, 0).doing("read flags")?;
    fcntl(fd, F_SETFL, flags | O_NONBLOCK as usize).doing("set flags")?;
    let result = socket.read_requests(requests, SignalBehavior::Restart);
    fcntl(fd, F_SETFL, flags).doing("set flags")?;
    match result {
        Err(error) if error.errno == EAGAIN => Ok(false),
        result => result.map(|()| true).doing("read requests"),
    }
}
