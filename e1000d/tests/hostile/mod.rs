//! A device and clients that do anything at any time, together, as a sequence of bytes has it: shared by the property
//! test and the fuzz target.
//!
//! The driver is the real one, from the submission queue entry to the answer. `kernel` stands in for the kernel,
//! `requests` for clients, `device` for registers that lie, `wire` for the other end of the cable, `main_thread` for
//! the event loop.

mod anything;
mod device;
mod end;
mod faults;
mod kernel;
mod main_thread;
mod requests;
#[path = "../../../e1000-hw/tests/hostile/script.rs"]
mod script;
mod traffic;
mod wire;

use std::time::Duration;

use e1000_hw::RingSize;
use e1000_hw::chip::find;
use e1000_hw::fake::{FAKE_MAC, FakeMachine, FakeRegion, Faults};
use e1000_hw::interrupt::Routing;
use e1000_hw::nic::{Config, Nic};
use e1000_hw::platform::Clock;
use e1000_hw::regs;
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
/// Receive descriptors of other cases: enough for a read to be refused ([`e1000d::overload`]).
const LARGE_RING: u32 = 128;
/// Transmit descriptors: few, so that the ring is full at times.
const TX_RING: u32 = 8;
/// Register accesses of a step in addition to those of its requests.
const BASE_COST: usize = 300;
/// Files that are open from the beginning, each unless the bit of its number is set.
const FILES: [&str; 8] = ["", "", "filter", "mtu", "link", "mac", "stats", "selftest"];
/// Chips whose drivers differ most.
const CHIPS: [u16; 5] = [0x100E, 0x100C, 0x10D3, 0x105E, 0x153A];

type HostileDriver = Driver<HostileRegisters, FakeRegion, FakeMachine, Kernel>;

/// Plays one case. Panics when the driver does harm.
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
    /// Requests that the daemon has not read yet, their register accesses, and the tag of the first if it reads a
    /// frame.
    batch: Vec<Request>,
    cost: usize,
    first: Option<u32>,
    /// Number of receive descriptors, and the addresses of both rings.
    ring: u32,
    ring_address: [u32; 4],
    /// Faults that may occur: 0 none, 1 of the transmitter, more: any.
    hostility: u8,
    faults: Faults,
    /// Something may have kept frames from being sent.
    stalled: bool,
    /// Transmit descriptors were overwritten, which the fake device would execute.
    tx_was_poked: bool,
    /// The device was gone at some time: writes of that time are lost.
    was_gone: bool,
    /// A reset may have failed or not happened.
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
        let sizes = Config::with_rings(RingSize::new(ring)?, RingSize::new(TX_RING)?);
        let mut nic = Nic::bring_up(registers.clone(), chip, sizes, &mut machine.dma(), &machine)
            .unwrap_or_else(|error| panic!("{id:04x}: {error}"));
        let routing = Routing::for_vectors(chip, u16::from(hostility >> 4) % 4);
        nic.interrupts().route(routing.unwrap_or(Routing::Single));
        nic.interrupts().enable();
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

    /// The daemon reads and serves the requests that are there.
    fn serve(&mut self) {
        let cost = std::mem::take(&mut self.cost);
        // Pending reads get their frames first.
        let waits = self.driver.pending_reads() == 0 && self.driver.scheme().has_frame();
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
        let (tests, gone) = (scheme.nic().state().is_testing(), scheme.nic().state().is_gone());
        assert_eq!(due.is_some(), tests && !gone, "a self-test was forgotten");
        self.kernel.inner().gone |= gone;
        self.look_at_wire();
        if self.batch.is_empty() {
            self.kernel.inner().all_was_served(self.machine.now());
        }
        let (reads, writes) = (self.driver.pending_reads(), self.driver.pending_writes());
        let scheme = self.driver.scheme();
        if self.kernel.inner().wire.receives_honestly {
            assert!(reads == 0 || !scheme.has_frame(), "a reader was forgotten");
        }
        let nic = scheme.nic();
        assert!(
            writes == 0 || nic.state().needs_watching(),
            "a writer was forgotten"
        );
    }

    /// Frames that the driver received and dropped.
    fn dropped(&mut self) -> u64 {
        let counters = self.driver.scheme().nic().state().rx_counters();
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
                // Only a broken or slow device sends the frames of a self-test.
                assert!(self.stalled, "a frame of the self-test on the wire");
                continue;
            }
            kernel.wire.sent(&frame);
        }
    }
}

/// Addresses of the rings in the device's registers.
fn ring_address(machine: &FakeMachine) -> [u32; 4] {
    [regs::RDBAL, regs::RDBAH, regs::TDBAL, regs::TDBAH].map(|register| machine.peek(register))
}
