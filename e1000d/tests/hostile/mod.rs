//! A device and clients that do anything at any time, together, as a sequence of bytes says: shared by the property
//! test and the fuzz target.
//!
//! The daemon's request path is the real one, from the submission queue entry to the answer; `kernel` is what the
//! kernel would do, `requests` what clients ask for, `device` registers that lie, `wire` every frame. What the
//! daemon's main thread does about interrupts and time is done here in its place.

mod device;
mod end;
mod kernel;
mod main_thread;
mod requests;
#[path = "../../../e1000-hw/tests/hostile/script.rs"]
mod script;
mod wire;

use std::time::Duration;

use e1000_hw::chip::find;
use e1000_hw::fake::{FAKE_MAC, FakeMachine, FakeRegion, Faults};
use e1000_hw::interrupt::Routing;
use e1000_hw::nic::{Nic, RingSizes};
use e1000_hw::platform::Clock;
use e1000_hw::regs;
use e1000_hw::ring::RingSize;
use e1000d::driver::{BATCH, Driver};
use e1000d::scheme::NetworkScheme;
use e1000d::scheme::files::Description;
use redox_scheme::Request;
use redox_scheme::scheme::SchemeSync;

use device::HostileRegisters;
use kernel::Kernel;
use requests::{Asked, Clients};
use script::Script;

/// Receive descriptors: few, so that the ring is full at times.
const RING: u32 = 16;
/// Receive descriptors of other cases: so many that a reader can be kept from reading on ([`e1000d::overload`]).
const LARGE_RING: u32 = 128;
/// Transmit descriptors: few, so that the ring is full at times.
const TX_RING: u32 = 8;
/// Register accesses of a step beside those of its requests.
const BASE_COST: usize = 300;
/// What is open from the beginning, each with the bit of that number.
const FILES: [&str; 8] = ["", "", "filter", "mtu", "link", "mac", "stats", "selftest"];
/// Chips whose cores differ most in what they do.
const CHIPS: [u16; 5] = [0x100E, 0x100C, 0x10D3, 0x105E, 0x153A];

type HostileDriver = Driver<HostileRegisters, FakeRegion, FakeMachine, Kernel>;

/// Plays one case. Panics when the daemon does what it must not do.
pub fn play(bytes: &[u8]) {
    let mut script = Script(bytes);
    let Some(mut case) = Case::new(&mut script) else {
        return;
    };
    let absent = script.byte() & script.byte();
    for (_, path) in (0..).zip(FILES).filter(|(bit, _)| absent >> bit & 1 == 0) {
        let asked = case.with_clients(&mut script, |clients| clients.open_for_use(path));
        case.ask(asked);
    }
    case.serve();
    while !script.0.is_empty() {
        case.play_step(&mut script);
    }
    case.end(&mut script);
}

struct Case {
    machine: FakeMachine,
    registers: HostileRegisters,
    kernel: Kernel,
    driver: HostileDriver,
    /// Requests that the daemon has not read yet, what they may cost, and the tag of the first if it reads a frame.
    batch: Vec<Request>,
    cost: usize,
    first: Option<u32>,
    /// Receive descriptors, and where they are.
    ring: u32,
    ring_address: [u32; 4],
    /// What may go wrong: nothing; sending; anything.
    hostility: u8,
    faults: Faults,
    /// Something may have kept frames from being sent.
    stalled: bool,
    /// The fake device would execute what was written to transmit descriptors.
    tx_was_poked: bool,
    /// It was gone at some time: what was written then is lost.
    was_gone: bool,
    /// A reset may have failed, or have been none.
    resets_fail: bool,
    /// Resets of the bring-up, and all that were seen.
    resets: (u32, u32),
}

impl Case {
    fn new(script: &mut Script<'_>) -> Option<Self> {
        let id = CHIPS[usize::from(script.byte()) % CHIPS.len()];
        let hostility = script.byte();
        let chip = find(0x8086, id)?;
        let machine = FakeMachine::new(chip);
        let ring = if hostility & 4 != 0 { LARGE_RING } else { RING };
        let registers = HostileRegisters::new(&machine, ring);
        let sizes = RingSizes {
            rx: RingSize::new(ring)?,
            tx: RingSize::new(TX_RING)?,
        };
        let mut nic = Nic::bring_up(registers.clone(), chip, sizes, &mut machine.dma(), &machine)
            .unwrap_or_else(|error| panic!("{id:04x}: {error}"));
        let routing = Routing::for_vectors(chip, u16::from(hostility >> 4) % 4);
        nic.route_interrupts(routing.unwrap_or(Routing::Single));
        nic.enable_interrupts();
        let description = Description::default();
        let mut scheme = NetworkScheme::new("network.hostile".to_owned(), nic, description, machine.clone());
        let kernel = Kernel::new(scheme.scheme_root().ok()?);
        let driver = Driver::new(kernel.clone(), scheme);
        let resets = registers.resets();
        Some(Self {
            ring_address: ring_address(&machine),
            ring,
            first: None,
            machine,
            registers,
            kernel,
            driver,
            batch: Vec::with_capacity(BATCH),
            cost: 0,
            hostility: hostility % 4,
            faults: Faults::default(),
            stalled: false,
            tx_was_poked: false,
            was_gone: false,
            resets_fail: false,
            resets: (resets, resets),
        })
    }

    fn play_step(&mut self, script: &mut Script<'_>) {
        match script.byte() % 36 {
            0 => self.burst(script, |clients| clients.write()),
            1 => self.burst(script, |clients| clients.read()),
            2..18 => {
                let asked = self.with_clients(script, |clients| clients.ask());
                self.ask(asked);
                if script.byte() & 0b11 != 0 {
                    self.serve();
                }
            }
            18..20 => self.arrive(script),
            20 => (0..script.byte() % 20).for_each(|_| self.arrive(script)),
            21 | 22 => self.interrupt(script.byte().into()),
            23 => self.tick(script.byte()),
            24 => self
                .machine
                .sleep(Duration::from_millis(script.below(3000) as u64)),
            25 => self.machine.set_link(script.byte() & 0b11 != 0),
            26 => self.kernel.inner().refuse_after = Some(script.byte() % 8),
            27 if self.hostility > 0 => {
                let bits = script.byte();
                self.set_faults(Faults {
                    transmitter_stalled: bits & 1 != 0,
                    writes_back_late: bits & 2 != 0,
                    ..self.faults
                });
            }
            28..32 if self.hostility > 1 => self.harm(script),
            32 => self.flood(script),
            33 => self.read_on(script),
            34 => self.self_test(script),
            35 => (0..script.byte() % 64).for_each(|_| self.go_on()),
            _ => self.arrive(script),
        }
    }

    /// What only a broken device does.
    fn harm(&mut self, script: &mut Script<'_>) {
        let kind = script.byte() % 8;
        // What the test of the registers left of them may be anything.
        if kind < 3 && ring_address(&self.machine) != self.ring_address {
            return;
        }
        match kind {
            0 => {
                self.receives_anything();
                let slot = u32::from(script.byte()) % self.ring;
                self.machine.poke_rx_descriptor(slot, script.low(), script.high());
            }
            1 => {
                self.receives_anything();
                let (low, high) = (script.low(), script.high());
                (0..self.ring).for_each(|slot| self.machine.poke_rx_descriptor(slot, low, high));
                let forever = script.byte() & 1 != 0;
                self.registers.receive_forever(forever.then_some((low, high)));
            }
            2 => {
                self.tx_was_poked = true;
                self.set_faults(self.faults);
                let (low, high) = (script.low(), script.high());
                let (slot, all) = (u32::from(script.byte()) % TX_RING, script.byte() & 1 != 0);
                for slot in if all { 0..TX_RING } else { slot..slot + 1 } {
                    self.machine.poke_tx_descriptor(slot, low, high);
                }
            }
            3 => {
                let bits = script.byte();
                self.set_faults(Faults {
                    gone: bits & 0b11 == 0b11,
                    reset_stuck: bits & 4 != 0,
                    reset_ignored: bits & 8 != 0,
                    ..self.faults
                });
            }
            4 => {
                // A storm.
                self.machine.poke(regs::ICR, script.word());
                (0..16).for_each(|vector| self.interrupt(vector));
            }
            _ => {
                (self.stalled, self.resets_fail) = (true, true);
                self.registers.lie(script);
                self.kernel.inner().may_be_gone |= self.registers.lied();
            }
        }
    }

    fn receives_anything(&self) {
        self.kernel.inner().wire.receives_honestly = false;
    }

    fn set_faults(&mut self, mut faults: Faults) {
        faults.transmitter_stalled |= self.tx_was_poked;
        let resumes = self.faults.transmitter_stalled && !faults.transmitter_stalled;
        self.stalled |= faults != Faults::default();
        self.was_gone |= faults.gone;
        self.kernel.inner().may_be_gone |= faults.gone;
        self.resets_fail |= faults.gone || faults.reset_stuck || faults.reset_ignored;
        self.faults = faults;
        self.machine.set_faults(faults);
        self.registers.set_gone(faults.gone);
        if resumes {
            self.machine.resume_transmitter();
        }
        self.look_at_wire();
    }

    fn arrive(&mut self, script: &mut Script<'_>) {
        let len = match script.byte() {
            0 => 1 + script.below(17_000),
            1 => 1 + script.below(14),
            2..8 => 1514,
            n => 14 + usize::from(n),
        };
        let machine = &self.machine;
        self.kernel
            .inner()
            .wire
            .arrive(len, false, |frame| machine.deliver(frame));
    }

    /// More frames of one flow than a client can read, and some others.
    fn flood(&mut self, script: &mut Script<'_>) {
        let count = script.byte();
        let others = script.byte() | 3;
        for n in 0..count {
            let machine = &self.machine;
            self.kernel
                .inner()
                .wire
                .arrive(60, n & others != 0, |frame| machine.deliver(frame));
        }
    }

    /// A client that waits for events reads until it is told that there is nothing more, and then asks again.
    fn read_on(&mut self, script: &mut Script<'_>) {
        let (count, at_once) = (script.byte(), 1 + script.byte() % 16);
        let mut reader = None;
        let asked = self.with_clients(script, |clients| {
            let (id, asked) = clients.watch_frames();
            reader = Some(id);
            asked
        });
        self.ask(asked);
        for n in 0..count {
            if n % at_once == 0 {
                self.serve();
            }
            let asked = self.with_clients(script, |clients| clients.poll(reader.unwrap_or(0)));
            self.ask(asked);
        }
        self.serve();
    }

    fn self_test(&mut self, script: &mut Script<'_>) {
        let n = usize::from(script.byte());
        let id = {
            let kernel = self.kernel.inner();
            let mut files = kernel.open.iter().filter(|open| open.is_self_test);
            let count = files.clone().count().max(1);
            files.nth(n % count).map(|open| open.id)
        };
        if let Some(id) = id {
            let asked = self.with_clients(script, |clients| clients.start_self_test(id));
            self.ask(asked);
            self.serve();
        }
    }

    fn with_clients(
        &self,
        script: &mut Script<'_>,
        make: impl FnOnce(&mut Clients<'_, '_>) -> Asked,
    ) -> Asked {
        let kernel = &mut self.kernel.inner();
        make(&mut Clients { kernel, script })
    }

    fn ask(&mut self, asked: Asked) {
        if self.batch.is_empty() {
            self.first = asked.reads;
        }
        self.batch.push(asked.request);
        self.cost += asked.cost;
        if self.batch.len() == BATCH {
            self.serve();
        }
    }

    /// Many clients at once.
    fn burst(&mut self, script: &mut Script<'_>, make: impl Fn(&mut Clients<'_, '_>) -> Asked) {
        for _ in 0..script.byte() % 16 {
            let asked = self.with_clients(script, &make);
            self.ask(asked);
        }
        self.serve();
    }

    /// The daemon reads the requests that are there.
    fn serve(&mut self) {
        let cost = std::mem::take(&mut self.cost);
        // Those who wait already get theirs before.
        let waits = !self.driver.has_pending_reads() && self.driver.scheme().has_frame();
        let yields = self.driver.scheme().yields_to_others();
        {
            let mut kernel = self.kernel.inner();
            kernel.has_frame = self.first.take().filter(|_| waits);
            kernel.yields = yields;
        }
        self.step(cost, |driver, batch| driver.serve(batch));
    }

    /// A step of either thread of the daemon.
    fn step(&mut self, cost: usize, step: impl FnOnce(&mut HostileDriver, &mut Vec<Request>)) {
        let waiting = self.kernel.inner().tags().len();
        self.registers.allow(BASE_COST + cost + 32 * waiting);
        step(&mut self.driver, &mut self.batch);
        self.driver.next_tick();
        let scheme = self.driver.scheme();
        let due = scheme.self_test_due();
        let (tests, gone) = (scheme.nic().is_testing(), scheme.nic().is_gone());
        assert_eq!(due.is_some(), tests && !gone, "a self-test was forgotten");
        self.kernel.inner().gone |= gone;
        self.look_at_wire();
        if self.batch.is_empty() {
            self.kernel.inner().all_was_served(self.machine.now());
        }
        let (reads, writes) = (self.driver.has_pending_reads(), self.driver.has_pending_writes());
        let scheme = self.driver.scheme();
        if self.kernel.inner().wire.receives_honestly {
            assert!(!reads || !scheme.has_frame(), "a reader was forgotten");
        }
        let nic = scheme.nic();
        assert!(!writes || nic.needs_watching(), "a writer was forgotten");
    }

    /// Frames that the driver received and dropped.
    fn dropped(&mut self) -> u64 {
        let counters = self.driver.scheme().nic().rx_counters();
        counters.oversized + counters.bad_length + counters.errors + counters.dropped
    }

    fn look_at_wire(&mut self) {
        let (resets, dropped) = (self.registers.resets(), self.dropped());
        let mut kernel = self.kernel.inner();
        if std::mem::replace(&mut self.resets.1, resets) != resets {
            kernel.wire.reset(dropped);
        }
        for frame in self.machine.take_sent_and_lost() {
            if frame.get(..12) == Some(&[FAKE_MAC, FAKE_MAC].concat()) {
                // Only a device that does not do what it is told, or late, sends the frames of a self-test.
                assert!(self.stalled, "a frame of the self-test on the wire");
                continue;
            }
            kernel.wire.sent(&frame);
        }
    }
}

/// Where the device was told that the descriptors are.
fn ring_address(machine: &FakeMachine) -> [u32; 4] {
    [regs::RDBAL, regs::RDBAH, regs::TDBAL, regs::TDBAH].map(|register| machine.peek(register))
}
