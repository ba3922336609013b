//! The scheme `network.*`: the files of one NIC, the open handles, and the meaning of each operation.
//!
//! | file | content |
//! |---|---|
//! | `` (empty) | frames: one read or write is one Ethernet frame, without FCS |
//! | `mac` | the 6 bytes of the MAC address |
//! | others | text ([`files`]) |
//!
//! Nothing waits here: an operation that would have to wait answers `EWOULDBLOCK`, and [`crate::driver`] retries it.

mod contents;
pub mod files;
mod handles;
mod nic;
mod notify;
mod open_file;
mod operations;
mod receive_mode;
mod self_test;
mod subscriber;

use std::time::Duration;

use e1000_hw::ethernet::MacAddress;
use e1000_hw::nic::Nic;
use e1000_hw::platform::{Clock, DmaRegion, Registers};
use e1000_hw::warnings::Warnings;

use crate::overload::Overload;
use files::{Activity, Description};
use handles::Handles;
use self_test::SelfTests;

pub use subscriber::Occasion;

/// The scheme of one NIC.
pub struct NetworkScheme<R: Registers, D: DmaRegion, C: Clock> {
    name: String,
    nic: Nic<R, D>,
    clock: C,
    description: Description,
    handles: Handles,
    activity: Activity,
    overload: Overload,
    self_tests: SelfTests,
    /// The last handle for frames was closed, and no other was opened since.
    has_lost_all_readers: bool,
    /// A reader may expect a notification of frames. Set by each read and subscription, cleared when a check finds no
    /// such reader.
    reader_may_expect_event: bool,
    /// The link changed, and subscribers were not notified yet.
    link_changed: bool,
    /// `activity.interrupts` at the last tick.
    interrupts_at_tick: u64,
    /// Time at which the hardware's counters were last read.
    collected: Option<Duration>,
    /// The removal of the NIC was reported.
    removed: bool,
    /// Warnings of the core that were reported.
    reported: Warnings,
}

impl<R: Registers, D: DmaRegion, C: Clock> NetworkScheme<R, D, C> {
    /// Makes the scheme `name` (`network.…`) of `nic`, whose times are those of `clock`.
    pub fn new(name: String, nic: Nic<R, D>, description: Description, clock: C) -> Self {
        Self {
            name,
            nic,
            clock,
            description,
            handles: Handles::default(),
            activity: Activity::default(),
            overload: Overload::default(),
            self_tests: SelfTests::default(),
            has_lost_all_readers: false,
            reader_may_expect_event: false,
            link_changed: false,
            interrupts_at_tick: 0,
            collected: None,
            removed: false,
            reported: Warnings::empty(),
        }
    }

    /// The NIC.
    pub fn nic(&mut self) -> &mut Nic<R, D> {
        &mut self.nic
    }

    /// Gives the NIC back.
    pub fn into_nic(self) -> Nic<R, D> {
        self.nic
    }

    /// Time by the scheme's clock.
    pub fn now(&self) -> Duration {
        self.clock.now()
    }

    /// Returns true if the rings are polled because there is no interrupt.
    pub fn is_polling(&self) -> bool {
        self.description.polling
    }

    /// Number of open handles, including those of the root.
    pub fn open_handles(&self) -> usize {
        self.handles.len()
    }

    /// Returns true if `id` is a handle for frames.
    pub fn is_for_frames(&self, id: usize) -> bool {
        self.handles.is_for_frames(id)
    }

    /// Counts requests of clients.
    pub fn count_requests(&mut self, count: usize) {
        self.activity.requests += count as u64;
    }

    /// Returns true if a read of frames would find one.
    pub fn has_frame(&mut self) -> bool {
        self.overload.has_frame(&mut self.nic)
    }

    /// Copies the next frame into `out` and returns its length. The part that does not fit is lost.
    pub fn take_frame(&mut self, out: &mut [u8]) -> Option<usize> {
        self.overload.receive(&mut self.nic, out)
    }

    /// Returns true if so many frames were sent or read since the last call that the thread that serves requests should
    /// yield the processor.
    pub fn take_cpu_yield(&mut self) -> bool {
        self.overload.cpu.take()
    }

    /// Returns true during a yield to others, in which readers of event queues find no frames
    /// ([`crate::overload::Yield`]).
    pub fn yields_to_others(&self) -> bool {
        self.overload.others.is_active()
    }

    /// Counts a poll that found no request. Returns true if that ends the yield to others.
    pub fn note_idle_poll(&mut self) -> bool {
        self.overload.others.note_idle_poll(|| self.clock.now())
    }

    /// Ends the yield to others if its time is up.
    pub fn expire_yield(&mut self) {
        if self.overload.others.is_active() {
            self.overload.others.expire(self.clock.now());
        }
    }

    /// Programs the receive mode that all handles together ask for, after one was opened, closed or written to.
    fn apply_receive_mode(&mut self) {
        self.handles.apply_budgets();
        // A self-test must not be disturbed; its end calls this again.
        if self.nic.state().is_testing() {
            return;
        }
        let total = self.handles.receive_mode();
        let groups = total.groups.iter().copied().map(MacAddress);
        self.nic
            .settings()
            .set_filter(total.promiscuous, total.all_multicast, groups);
        let restrict = self.handles.all_readers_ask_for_vlans();
        self.nic
            .settings()
            .set_vlan_filter(restrict.then_some(total.vlans));
    }
}
