//! Tools of the tests: a cable to the NIC, a machine for the chip core alone, all models at once.

// Each test binary uses a part of this.
#![allow(dead_code)]

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use e1000_hosted::harness::Wire;
use e1000_hosted::machine::{Machine, MachineOptions, NicModel};
use e1000_hosted::memory::{RamRegion, SharedRam};
use e1000_hosted::pci;
use e1000_hosted::registers::QtestRegisters;
use e1000_hw::RingSize;
use e1000_hw::chip::{self, Chip};
use e1000_hw::nic::{Config, Interrupt, Nic};
use e1000_hw::platform::{Clock, DmaAllocator, DmaRegion, Registers as _};
use netstack_client::MacAddress;
use netstack_client::benchmark::{Generator, Parsed, parse};

/// Longest wait for something that should happen at once. Tests share two processors.
pub const SOON: Duration = Duration::from_secs(15);

/// The NIC's address.
pub const MAC: [u8; 6] = [0x52, 0x54, 0x00, 0x12, 0x34, 0x56];

/// Somebody else's.
pub const OTHER: [u8; 6] = [0x02, 0, 0, 0, 0, 0x01];

/// Frames on their way at once: fewer than fit the buffer of any socket.
pub const WINDOW: u64 = 64;

/// Runs a test for all models, each in a thread of its own that is named after it.
pub fn for_each_model(test: impl Fn(NicModel) + Sync) {
    thread::scope(|scope| {
        let start = |model: NicModel| {
            let test = &test;
            let body = move || test(model);
            let thread = thread::Builder::new().name(model.name().into());
            (model, thread.spawn_scoped(scope, body).unwrap())
        };
        let threads = NicModel::ALL.map(start);
        let failed: Vec<_> = threads
            .into_iter()
            .filter_map(|(model, thread)| thread.join().is_err().then_some(model.name()))
            .collect();
        assert!(failed.is_empty(), "failed for {failed:?}; see above");
    });
}

/// Repeats `attempt` until it gives something.
pub fn wait_for<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(result) = attempt() {
            return result;
        }
        assert!(start.elapsed() < SOON, "never happened: {what}");
        thread::sleep(Duration::from_micros(200));
    }
}

/// A frame with this destination and of this length, every byte of which depends on `seed`.
pub fn frame(destination: [u8; 6], length: usize, seed: u8) -> Vec<u8> {
    let mut frame = destination.to_vec();
    frame.extend_from_slice(&OTHER);
    frame.extend_from_slice(&[0x88, 0xB5]);
    frame.extend((14..length).map(|index| (index as u8).wrapping_mul(31).wrapping_add(seed)));
    frame.truncate(length);
    frame
}

/// Numbered frames for the NIC.
pub fn numbered(run: u32, size: usize) -> Generator {
    Generator::new(MacAddress(MAC), MacAddress(OTHER), run, size)
}

/// The number of a frame from [`numbered`]; panics if it is damaged.
pub fn number(frame: &[u8], expected_run: u32) -> Option<u64> {
    match parse(frame) {
        Parsed::Intact { run, sequence } if run == expected_run => Some(sequence),
        Parsed::Intact { .. } | Parsed::Foreign => None,
        Parsed::Damaged => panic!("a frame of {} bytes is damaged: {frame:02x?}", frame.len()),
    }
}

/// The other end of the NIC's cable.
pub struct Cable(Wire);

impl Cable {
    pub fn send(&self, frame: &[u8]) {
        self.0.send(frame).unwrap();
    }

    /// The next frame, if one comes within `limit`.
    pub fn try_receive(&self, limit: Duration) -> Option<Vec<u8>> {
        self.0.receive(limit).unwrap()
    }

    pub fn receive(&self) -> Vec<u8> {
        self.try_receive(SOON).expect("a frame comes out")
    }
}

/// DMA memory that remembers what it gave.
pub struct Dma {
    ram: SharedRam,
    pub given: Vec<(u64, usize)>,
}

impl DmaAllocator for Dma {
    type Region = RamRegion;

    fn allocate(&mut self, len: usize) -> Option<RamRegion> {
        let region = self.ram.allocate(len)?;
        self.given.push((region.bus_address(), region.len()));
        Some(region)
    }
}

/// The time of this machine, which is that of QEMU's devices.
pub struct RealClock(Instant);

impl Clock for RealClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, duration: Duration) {
        thread::sleep(duration);
    }
}

/// The chip core's NIC on one of QEMU's models.
pub type ModelNic = Nic<QtestRegisters, RamRegion>;

/// A machine without a daemon.
pub struct Bench {
    pub machine: Machine,
    pub registers: QtestRegisters,
    pub chip: &'static Chip,
    pub cable: Cable,
    pub clock: RealClock,
    pub dma: Dma,
    /// Changes of the NIC's interrupt line, true for raised.
    line: Arc<Mutex<Vec<bool>>>,
}

impl Bench {
    pub fn new(model: NicModel) -> Self {
        for _ in 0..5 {
            if let Some(bench) = Self::attempt(model) {
                return bench;
            }
        }
        panic!("no port for QEMU");
    }

    /// `None` if somebody else was faster to take QEMU's port.
    fn attempt(model: NicModel) -> Option<Self> {
        let cable = Cable(Wire::bind().unwrap());
        let netdev = cable.0.netdev().unwrap();
        let line = Arc::new(Mutex::new(Vec::new()));
        let changes = Arc::clone(&line);
        let options = MachineOptions {
            netdev,
            mac: MAC,
            on_interrupt: Arc::new(move |interrupt| {
                if interrupt.pin == 10 {
                    changes
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(interrupt.raised);
                }
            }),
            ..MachineOptions::new(model)
        };
        let machine = match Machine::start(options) {
            Ok(machine) => machine,
            Err(error) if error.to_string().contains("Address already in use") => return None,
            Err(error) => panic!("{error}"),
        };
        let nic = pci::configure(machine.qtest(), machine.slot()).unwrap();
        let registers = nic.registers(machine.qtest()).unwrap();
        let ram = SharedRam::map(&machine.ram().unwrap(), machine.ram_size()).unwrap();
        let id = nic.function.id;
        Some(Self {
            registers,
            chip: chip::find(id.vendor, id.device).expect("the chip is known"),
            cable,
            clock: RealClock(Instant::now()),
            dma: Dma {
                ram,
                given: Vec::new(),
            },
            line,
            machine,
        })
    }

    /// A NIC with rings of these sizes that can transmit, and cannot yet receive on QEMU's `e1000`.
    pub fn bring_up(&mut self, rx: u32, tx: u32) -> ModelNic {
        let sizes = Config::with_rings(RingSize::new(rx).unwrap(), RingSize::new(tx).unwrap());
        Nic::bring_up(
            self.registers.clone(),
            self.chip,
            sizes,
            &mut self.dma,
            &self.clock,
        )
        .unwrap()
    }

    /// A NIC that receives: QEMU's `e1000` begins a second after the receiver was enabled (`set_rx_control` in
    /// its hw/net/e1000.c).
    pub fn bring_up_receiving(&mut self, rx: u32, tx: u32) -> ModelNic {
        let mut nic = self.bring_up(rx, tx);
        let probe = frame(MAC, 60, 0x77);
        self.cable.send(&probe);
        while receive(&mut nic) != probe {}
        nic
    }

    /// Tells if the model has registers for broadcasts, multicasts and frames that are too long. QEMU's `e1000` had
    /// them from 2.5 (`extra_mac_registers`) to 11.0: before and after, all of 0x5800 to 0x5FFF but the tables reads
    /// 0, and so do these counters. IPAV (0x5838) is among them and keeps what is written, so it tells.
    pub fn has_extra_registers(&self) -> bool {
        const IPAV: u32 = 0x5838;
        let before = self.registers.read(IPAV);
        self.registers.write(IPAV, 0x000F_000F);
        let found = self.registers.read(IPAV);
        self.registers.write(IPAV, before);
        found != 0
    }

    /// Moves `count` numbered frames of `size` bytes into the NIC; they come in order, whole and once.
    pub fn push_in(&self, nic: &mut ModelNic, run: u32, size: usize, count: u64) {
        let mut frames = numbered(run, size);
        let (mut sent, mut received) = (0, 0);
        while received < count {
            while sent < count && sent - received < WINDOW {
                self.cable.send(frames.next_frame());
                sent += 1;
            }
            let frame = receive(nic);
            if let Some(number) = number(&frame, run) {
                assert_eq!((number, frame.len()), (received, size));
                received += 1;
            }
        }
    }

    /// Moves `count` numbered frames out of the NIC, `batch` with each write of TDT.
    pub fn push_out(&self, nic: &mut ModelNic, run: u32, size: usize, count: u64, batch: u64) {
        let mut frames = numbered(run, size);
        let (mut sent, mut received) = (0, 0);
        while received < count {
            let end = count.min(sent + batch.min(WINDOW));
            while sent < end {
                nic.tx().send(frames.next_frame()).expect("QEMU sends at once");
                sent += 1;
            }
            nic.tx().post();
            while received < sent {
                let frame = self.cable.receive();
                assert_eq!((number(&frame, run), frame.len()), (Some(received), size));
                received += 1;
            }
        }
    }

    /// State of the interrupt line: true while it is raised.
    pub fn is_raised(&self) -> bool {
        let line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        line.last().copied().unwrap_or(false)
    }

    /// Waits until the interrupt line is as wanted.
    pub fn wait_line(&self, raised: bool) {
        wait_for(if raised { "interrupt" } else { "end of interrupt" }, || {
            // The test server says what changed before it answers the next command.
            self.machine.qtest().inb(0x80);
            (self.is_raised() == raised).then_some(())
        });
    }
}

/// The next frame of the NIC.
pub fn receive(nic: &mut ModelNic) -> Vec<u8> {
    let mut buffer = vec![0; 20_000];
    let length = wait_for("frame", || nic.rx().receive(&mut buffer));
    buffer.truncate(length);
    buffer
}

/// Reads what the interrupt is about, which acknowledges it.
pub fn interrupt(nic: &mut ModelNic) -> Interrupt {
    nic.interrupts().acknowledge(0)
}
