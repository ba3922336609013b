//! The scheme `network.*`: the NIC, the open handles, and what has to be done about either.
//!
//! | file | what it is |
//! |---|---|
//! | `` (empty) | frames: one read or write is one Ethernet frame, without FCS |
//! | `mac` | the 6 bytes of the MAC address |
//! | others | text ([`crate::scheme::files`]) |
//!
//! What each operation means is in `scheme/operations.rs`.

pub mod files;
pub mod notify;
pub mod open_file;
mod operations;
pub mod receive_mode;
mod self_test;
pub mod validate;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use e1000_hw::ethernet::MacAddress;
use e1000_hw::nic::{Interrupt, Nic};
use e1000_hw::notes::Notes;
use e1000_hw::platform::{Clock, DmaRegion, Registers};
use e1000_hw::regs::Causes;
use e1000_hw::watchdog::Outcome;
use syscall::flag::EventFlags;
use syscall::{Error, Result, error::EBADF};

use crate::overload::{FairDrop, Overload};
use crate::redox::clock::SystemClock;
use crate::scheme::files::{Activity, Description, File};
use crate::scheme::notify::{Occasion, Subscriber};
use crate::scheme::open_file::OpenFile;
use crate::scheme::receive_mode::Demand;

/// The hardware's counters are not read again before this time has passed: a client that asks for them in a loop must
/// not slow the NIC down.
const COLLECT_INTERVAL: Duration = Duration::from_millis(500);

/// Frames sent after which the processor is yielded: June's scheduler would not let others run ([`crate::overload`]).
const SENT_PER_YIELD: u32 = 256;

enum Handle {
    /// The root that the namespace holds, and listings of it.
    Root,
    /// Frames.
    Data(Subscriber),
    /// Another file.
    File(OpenFile),
}

/// The scheme of one NIC.
pub struct NetworkScheme<R: Registers, D: DmaRegion, C: Clock = SystemClock> {
    name: String,
    nic: Nic<R, D>,
    description: Description,
    handles: BTreeMap<usize, Handle>,
    /// Which process opened each handle for frames or other files.
    owners: BTreeMap<usize, usize>,
    next_id: usize,
    clock: C,
    activity: Activity,
    /// Interrupts when it was last checked whether one was lost.
    interrupts_at_check: u64,
    overload: Overload,
    fair_drop: FairDrop,
    /// The last reader of frames has closed its file, and no other has opened one.
    deserted: bool,
    /// Frames sent since the processor was last yielded.
    sent: u32,
    /// The processor should be yielded.
    must_yield: bool,
    /// The link changed, and those who want to know were not told.
    link_news: bool,
    /// When the hardware's counters were last read.
    collected: Option<Duration>,
    self_test: self_test::SelfTests,
    /// It was reported that the NIC is gone.
    lost: bool,
    /// What was reported of what the core had to say.
    noted: Notes,
}

impl<R: Registers, D: DmaRegion> NetworkScheme<R, D> {
    /// The scheme `name` (`network.…`) of `nic`.
    pub fn new(name: String, nic: Nic<R, D>, description: Description) -> Self {
        Self::with_clock(name, nic, description, SystemClock::default())
    }
}

impl<R: Registers, D: DmaRegion, C: Clock> NetworkScheme<R, D, C> {
    /// The scheme `name` (`network.…`) of `nic`, by another clock than the system's.
    pub fn with_clock(name: String, nic: Nic<R, D>, description: Description, clock: C) -> Self {
        Self {
            name,
            nic,
            description,
            handles: BTreeMap::new(),
            owners: BTreeMap::new(),
            next_id: 1,
            clock,
            activity: Activity::default(),
            interrupts_at_check: 0,
            overload: Overload::default(),
            fair_drop: FairDrop::default(),
            deserted: false,
            sent: 0,
            must_yield: false,
            link_news: false,
            collected: None,
            self_test: self_test::SelfTests::default(),
            lost: false,
            noted: Notes::empty(),
        }
    }

    /// The scheme's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The NIC.
    pub fn nic(&mut self) -> &mut Nic<R, D> {
        &mut self.nic
    }

    /// Time by the scheme's clock.
    pub fn now(&self) -> Duration {
        self.clock.now()
    }

    /// How many handles are open, the root's among them.
    pub fn open_handles(&self) -> usize {
        self.handles.len()
    }

    /// Gives the NIC back.
    pub fn into_nic(self) -> Nic<R, D> {
        self.nic
    }

    /// Returns true if a read of frames would find one. If not, interrupts for received frames are no longer held off.
    pub fn frames_pending(&mut self) -> bool {
        let mut rx = self.nic.rx();
        self.fair_drop.has_kept() || rx.next_len().is_some() || rx.complete() && rx.next_len().is_some()
    }

    /// Copies the next frame, whoever's turn it is, into `out` and returns how many bytes that were; what does not fit is
    /// lost.
    pub fn take_frame(&mut self, out: &mut [u8]) -> Option<usize> {
        if let Some(len) = self.fair_drop.take(out) {
            return Some(len);
        }
        let mut rx = self.nic.rx();
        match rx.receive(out) {
            None if rx.complete() => rx.receive(out),
            found => found,
        }
    }

    /// Whether anybody has the file of frames open.
    fn has_readers(&self) -> bool {
        self.handles
            .values()
            .any(|handle| matches!(handle, Handle::Data(_)))
    }

    /// Drops all frames that wait, and counts them: nobody is there whose they could be.
    fn drop_unclaimed_frames(&mut self) {
        while self.fair_drop.take(&mut []).is_some() {
            self.nic.rx().count_dropped();
        }
        self.nic.rx().discard_all();
        self.nic.rx().complete();
    }

    fn count_sent(&mut self) {
        self.sent += 1;
        if self.sent >= SENT_PER_YIELD {
            self.sent = 0;
            self.must_yield = true;
        }
    }

    /// Whether, since this was last asked, so many frames were sent or read that the thread that serves requests should
    /// yield the processor.
    pub fn take_must_yield(&mut self) -> bool {
        std::mem::take(&mut self.must_yield)
    }

    /// Whether readers of event queues find no frames, so that others get their turn ([`crate::overload`]).
    pub fn has_others_turn(&self) -> bool {
        self.overload.has_turn()
    }

    /// Nobody asks for anything. Returns whether that ends the others' turn.
    pub fn look_idle(&mut self) -> bool {
        self.overload.look_idle(|| self.clock.now())
    }

    /// Ends the others' turn if its time is up.
    pub fn expire_others_turn(&mut self) {
        if self.overload.has_turn() {
            self.overload.expire(self.clock.now());
        }
    }

    /// Reads and acknowledges the NIC's interrupt causes.
    pub fn interrupt(&mut self, vector: u16) {
        if self.nic.state().is_gone() {
            return;
        }
        match self.nic.interrupts().acknowledge(vector) {
            Interrupt::NotOurs | Interrupt::DeviceGone => {}
            Interrupt::Causes(causes) => {
                self.activity.interrupts += 1;
                self.hasten_self_test();
                self.nic.interrupts().moderate();
                if causes.contains(Causes::LSC) {
                    self.look_at_link();
                }
            }
        }
    }

    /// After an interrupt was served: keeps further ones away while frames wait for a busy reader.
    pub fn note_backlog(&mut self) {
        if self.frames_pending() {
            self.nic.rx().hold_off_interrupts();
        }
    }

    /// Counts requests of clients.
    pub fn count_requests(&mut self, count: usize) {
        self.activity.requests += count as u64;
    }

    /// Looks at the link and logs what changed.
    pub fn look_at_link(&mut self) {
        if let Some(link) = self.nic.link().refresh(&self.clock) {
            log::info!("link {link}");
            self.activity.link_changes += 1;
            self.link_news = true;
        }
        self.log_news();
    }

    /// What the core has had to say since this was last asked, each thing once.
    pub fn take_news(&mut self) -> Option<Notes> {
        let news = self.nic.state().notes().difference(self.noted);
        self.noted |= news;
        (!news.is_empty()).then_some(news)
    }

    /// Logs what the core has had to say since the last time, each thing once.
    pub fn log_news(&mut self) {
        if let Some(news) = self.take_news() {
            log::warn!("{news}");
        }
    }

    /// Looks after transmitter and link.
    pub fn watch(&mut self) {
        match self.nic.recovery().watch(&self.clock) {
            Outcome::Idle | Outcome::Busy | Outcome::DeviceGone => {}
            Outcome::Hung => log::debug!("the NIC still hangs"),
            Outcome::Reset => {
                log::warn!("the NIC hung and was reset (details in the file hang)");
                self.look_at_link();
            }
            Outcome::LinkHelped => self.look_at_link(),
        }
        self.log_news();
    }

    /// The NIC is gone: whoever waits for frames or for news of the link has to be told. Returns false if that was known.
    pub fn lose_device(&mut self, mut post: impl FnMut(usize, EventFlags)) -> bool {
        if std::mem::replace(&mut self.lost, true) {
            return false;
        }
        log::error!("the NIC is gone: its registers read as all ones");
        self.nic.link().refresh(&self.clock);
        self.abandon_self_test();
        self.activity.link_changes += 1;
        self.link_news = true;
        self.tell_link(&mut post);
        for (&id, handle) in &mut self.handles {
            if let Handle::Data(subscriber) = handle
                && subscriber.tell(Occasion::Served)
            {
                post(id, EventFlags::EVENT_READ);
            }
        }
        true
    }

    /// Counts an interrupt as lost if frames wait that a reader should have been told of by one. Whoever calls this
    /// then serves that reader anyway.
    pub fn note_lost_interrupt(&mut self, reads_wait: bool) {
        let quiet = self.interrupts_at_check == self.activity.interrupts;
        self.interrupts_at_check = self.activity.interrupts;
        if !quiet || !self.frames_pending() {
            return;
        }
        let untold =
            |handle: &Handle| matches!(handle, Handle::Data(subscriber) if subscriber.waits_untold());
        if reads_wait || self.handles.values().any(untold) {
            self.activity.lost_interrupts += 1;
        }
    }

    /// The handles that are to be told that frames are there.
    pub fn tell_readers(&mut self, occasion: Occasion, mut post: impl FnMut(usize, EventFlags)) {
        if !self.frames_pending() {
            return;
        }
        let others_turn = self.overload.has_turn();
        for (&id, handle) in &mut self.handles {
            if let Handle::Data(subscriber) = handle
                && !(others_turn && subscriber.has_budget())
                && subscriber.tell(occasion)
            {
                post(id, EventFlags::EVENT_READ);
            }
        }
    }

    /// The handles that are to be told that the link changed.
    pub fn tell_link(&mut self, mut post: impl FnMut(usize, EventFlags)) {
        if !std::mem::take(&mut self.link_news) {
            return;
        }
        for (&id, handle) in &mut self.handles {
            if let Handle::File(open) = handle
                && open.tell(self.activity.link_changes)
            {
                post(id, EventFlags::EVENT_READ);
            }
        }
    }

    /// The handles that are to be told that there is room again to transmit.
    pub fn tell_writers(&self, mut post: impl FnMut(usize, EventFlags)) {
        for (&id, handle) in &self.handles {
            if let Handle::Data(subscriber) = handle
                && subscriber.wants_write()
            {
                post(id, EventFlags::EVENT_WRITE);
            }
        }
    }

    /// Whether a reader may have stopped with frames left, or waits for the end of the others' turn, so that a check is due
    /// after a while.
    pub fn reader_may_have_stopped(&mut self) -> bool {
        let stopped = self.handles.values().any(|handle| match handle {
            Handle::Data(subscriber) => subscriber.may_have_stopped(),
            Handle::Root | Handle::File(_) => false,
        });
        (stopped || self.overload.has_turn()) && self.frames_pending()
    }

    /// Whether `id` is a handle for frames.
    pub fn is_data(&self, id: usize) -> bool {
        matches!(self.handles.get(&id), Some(Handle::Data(_)))
    }

    fn insert(&mut self, handle: Handle) -> usize {
        // Ids are 64 bits: at a million opens a second they last for half a million years.
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        self.handles.insert(id, handle);
        id
    }

    fn handle(&self, id: usize) -> Result<&Handle> {
        self.handles.get(&id).ok_or(Error::new(EBADF))
    }

    /// What all handles together ask of the receive filter.
    fn total_demand(&self) -> Demand {
        let mut total = Demand::default();
        for handle in self.handles.values() {
            if let Handle::File(open) = handle {
                total.merge(&open.demand);
            }
        }
        total
    }

    /// Programs what all handles together ask for; a client came, changed its mind or is gone.
    fn apply_demand(&mut self) {
        self.apply_budgets();
        // A self-test has the registers for itself; it is done when that has ended.
        if self.nic.state().is_testing() {
            return;
        }
        let total = self.total_demand();
        let groups = total.groups.iter().copied().map(MacAddress);
        self.nic
            .settings()
            .set_filter(total.promiscuous, total.all_multicast, groups);
        let restrict = self.all_readers_ask_for_vlans();
        self.nic
            .settings()
            .set_vlan_filter(restrict.then_some(total.vlans));
    }

    /// Tells the handles for frames whether their process has a read budget.
    fn apply_budgets(&mut self) {
        let unlimited = |handle: &Handle| matches!(handle, Handle::File(open) if open.demand.no_budget);
        let processes: BTreeSet<_> = (self.owners.iter())
            .filter(|(id, _)| self.handles.get(id).is_some_and(unlimited))
            .map(|(_, owner)| *owner)
            .collect();
        for (id, handle) in &mut self.handles {
            if let Handle::Data(subscriber) = handle {
                let owner = self.owners.get(id);
                subscriber.set_unlimited(owner.is_some_and(|owner| processes.contains(owner)));
            }
        }
    }

    /// Whether somebody reads frames, and everybody who does asks for VLANs.
    fn all_readers_ask_for_vlans(&self) -> bool {
        let mut asked = BTreeSet::new();
        let mut readers = BTreeSet::new();
        for (id, owner) in &self.owners {
            match self.handles.get(id) {
                Some(Handle::File(open)) if !open.demand.vlans.is_empty() => drop(asked.insert(owner)),
                Some(Handle::Data(_)) => drop(readers.insert(owner)),
                _ => {}
            }
        }
        !readers.is_empty() && readers.is_subset(&asked)
    }

    /// The bytes of a file, for a handle that asks for `demand`.
    fn content(&mut self, file: File, demand: &Demand) -> Vec<u8> {
        if file == File::Stats {
            let now = self.clock.now();
            let age = |when| now.saturating_sub(when);
            if self.collected.is_none_or(|when| age(when) >= COLLECT_INTERVAL) {
                self.nic.diagnostics().collect_statistics();
                self.collected = Some(now);
            }
        }
        let nic = &self.nic;
        match file {
            File::Mac => return nic.state().mac().0.to_vec(),
            File::Info => files::info(nic, &self.description),
            File::Link => files::link(nic.state().link()),
            File::Stats => {
                let refused_reads = self.overload.refusals();
                files::stats(
                    nic,
                    Activity {
                        refused_reads,
                        ..self.activity
                    },
                )
            }
            File::Mtu => files::mtu(nic),
            File::Filter => files::filter(nic, demand, &self.total_demand()),
            File::Hang => files::hang(nic),
            File::SelfTest => self.self_test.text(),
            File::Registers => files::registers(&mut self.nic),
        }
        .into_bytes()
    }

    /// Brings the bytes of an open file up to date.
    fn refresh(&mut self, id: usize) {
        let Some(Handle::File(open)) = self.handles.get(&id) else {
            return;
        };
        let (file, demand) = (open.file, open.demand.clone());
        let content = self.content(file, &demand);
        if let Some(Handle::File(open)) = self.handles.get_mut(&id) {
            open.refresh(content, self.activity.link_changes);
        }
    }
}
