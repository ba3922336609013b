//! The scheme `network.*`: the NIC, the open handles, and what has to be done about either.
//!
//! | file | what it is |
//! |---|---|
//! | `` (empty) | frames: one read or write is one Ethernet frame, without FCS |
//! | `mac` | the 6 bytes of the MAC address |
//! | others | text ([`crate::files`]) |
//!
//! What each operation means is in `scheme/operations.rs`.

mod operations;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use e1000_hw::nic::{Interrupt, Nic};
use e1000_hw::nvm::MacAddress;
use e1000_hw::platform::{DmaRegion, Registers};
use e1000_hw::regs::Causes;
use e1000_hw::watchdog::Finding;
use syscall::flag::EventFlags;
use syscall::{Error, Result, error::EBADF};

use crate::clock::SystemClock;
use crate::demand::Demand;
use crate::files::{self, Activity, Description, File};
use crate::open_file::OpenFile;
use crate::subscriber::{Occasion, Subscriber};

/// The hardware's counters are not read again before this time has passed: a client that asks for them in a loop must
/// not slow the NIC down.
const COLLECT_INTERVAL: Duration = Duration::from_millis(500);

enum Handle {
    /// The root that the namespace holds, and listings of it.
    Root,
    /// Frames.
    Data(Subscriber),
    /// Another file.
    File(OpenFile),
}

/// The scheme of one NIC.
pub struct NetworkScheme<R: Registers, D: DmaRegion> {
    name: String,
    nic: Nic<R, D>,
    description: Description,
    handles: BTreeMap<usize, Handle>,
    /// Which process opened each handle for frames or other files.
    owners: BTreeMap<usize, usize>,
    next_id: usize,
    clock: SystemClock,
    activity: Activity,
    /// Interrupts when it was last checked whether one was lost.
    interrupts_at_check: u64,
    /// The link changed, and those who want to know were not told.
    link_news: bool,
    /// When the hardware's counters were last read.
    collected: Option<Instant>,
}

impl<R: Registers, D: DmaRegion> NetworkScheme<R, D> {
    /// The scheme `name` (`network.…`) of `nic`.
    pub fn new(name: String, nic: Nic<R, D>, description: Description) -> Self {
        Self {
            name,
            nic,
            description,
            handles: BTreeMap::new(),
            owners: BTreeMap::new(),
            next_id: 1,
            clock: SystemClock::default(),
            activity: Activity::default(),
            interrupts_at_check: 0,
            link_news: false,
            collected: None,
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

    /// Gives the NIC back.
    pub fn into_nic(self) -> Nic<R, D> {
        self.nic
    }

    /// Whether a read of frames would find one.
    pub fn frames_pending(&mut self) -> bool {
        self.nic.next_frame_len().is_some()
    }

    /// Reads and acknowledges the NIC's interrupt causes. Returns whether they say that the device is gone.
    pub fn interrupt(&mut self, vector: u16) -> bool {
        match self.nic.interrupt(vector) {
            Interrupt::NotOurs => false,
            Interrupt::DeviceGone => true,
            Interrupt::Causes(causes) => {
                self.activity.interrupts += 1;
                self.nic.moderate();
                if causes.contains(Causes::LSC) {
                    self.look_at_link();
                }
                false
            }
        }
    }

    /// After an interrupt was served: keeps further ones away while frames wait for a busy reader.
    pub fn note_backlog(&mut self) {
        if self.frames_pending() {
            self.nic.frames_left_waiting();
        }
    }

    /// Counts requests of clients.
    pub fn count_requests(&mut self, count: usize) {
        self.activity.requests += count as u64;
    }

    /// Looks at the link and logs what changed.
    pub fn look_at_link(&mut self) {
        if let Some(link) = self.nic.refresh_link(&self.clock) {
            log::info!("link {link}");
            self.activity.link_changes += 1;
            self.link_news = true;
        }
    }

    /// Looks after a transmitter that has frames. Returns whether the device is gone.
    pub fn watch(&mut self) -> bool {
        match self.nic.watch(&self.clock) {
            Finding::Idle | Finding::Busy => {}
            Finding::Hung => log::debug!("the transmitter still hangs"),
            Finding::Reset => {
                log::warn!("the transmitter hung; the NIC was reset (details in the file hang)");
                self.look_at_link();
            }
            Finding::DeviceGone => return true,
        }
        false
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
        for (&id, handle) in &mut self.handles {
            if let Handle::Data(subscriber) = handle
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

    /// Whether a reader may have stopped with frames left, so that a check is due after a while.
    pub fn reader_may_have_stopped(&mut self) -> bool {
        let stopped = self.handles.values().any(|handle| match handle {
            Handle::Data(subscriber) => subscriber.may_have_stopped(),
            Handle::Root | Handle::File(_) => false,
        });
        stopped && self.frames_pending()
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
        let total = self.total_demand();
        let groups = total.groups.iter().copied().map(MacAddress);
        self.nic
            .set_filter(total.promiscuous, total.all_multicast, groups);
        let restrict = self.all_readers_ask_for_vlans();
        self.nic.set_vlan_filter(restrict.then_some(total.vlans));
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
        if file == File::Stats
            && self
                .collected
                .is_none_or(|when| when.elapsed() >= COLLECT_INTERVAL)
        {
            self.nic.collect_statistics();
            self.collected = Some(Instant::now());
        }
        let nic = &self.nic;
        match file {
            File::Mac => return nic.mac().0.to_vec(),
            File::Info => files::info(nic, &self.description),
            File::Link => files::link(nic.link()),
            File::Stats => files::stats(nic, self.activity),
            File::Mtu => files::mtu(nic),
            File::Filter => files::filter(nic, demand, &self.total_demand()),
            File::Hang => files::hang(nic),
            File::Registers => files::registers(nic),
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
