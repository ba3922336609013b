//! Costs of frames for the driver's core on one of QEMU's models of the NICs: register accesses, and instructions
//! under a profiler. `cargo xtask bench --hosted` runs it; it prints one JSON object.
//!
//!     frame_costs MODEL send|receive|interrupt SIZE
//!
//! A profiler that counts from entering to leaving a function, and takes the other way round what is entered meanwhile
//! (`valgrind --tool=callgrind --toggle-collect`), counts what is the driver's own with the patterns `*measured*` and
//! `*uncounted*`: an access to a register is one instruction on a real NIC, and a conversation with QEMU here.

use std::env;
use std::error::Error;
use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use e1000_hosted::machine::{Machine, MachineOptions, Netdev, NicModel};
use e1000_hosted::memory::{RamRegion, SharedRam};
use e1000_hosted::pci;
use e1000_hosted::registers::QtestRegisters;
use e1000_hw::RingSize;
use e1000_hw::chip;
use e1000_hw::nic::{Config, Interrupt, Nic};
use e1000_hw::platform::Registers;
use e1000d::redox::clock::SystemClock;
use netstack_client::MacAddress;
use netstack_client::benchmark::Generator;
use serde::Serialize;

/// Descriptors of each ring.
const RING: u32 = 256;
/// Frames that are sent or read together.
const BURST: u32 = 32;
/// Frames of a run.
const FRAMES: u32 = 1024;
/// Interrupts of a run: each one has to be waited for.
const INTERRUPTS: u32 = 128;
/// Longest wait for a frame. QEMU's `e1000` begins to receive a second after the receiver was enabled.
const LIMIT: Duration = Duration::from_secs(30);
/// Wait before a frame is offered again: it may have come before the receiver was ready.
const RETRY: Duration = Duration::from_secs(2);

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Counts of one way of a frame.
#[derive(Serialize)]
struct Counts {
    /// Frames, or interrupts.
    count: u32,
    reads: u64,
    writes: u64,
}

/// State: true while [`measured`] is at work. its pattern and that of `uncounted` must not match at other times.
static MEASURING: AtomicBool = AtomicBool::new(false);

/// Everything in here is what a frame costs.
#[inline(never)]
fn measured<T>(work: impl FnOnce() -> T) -> T {
    MEASURING.store(true, Ordering::Relaxed);
    let result = black_box(work());
    MEASURING.store(false, Ordering::Relaxed);
    result
}

#[inline(never)]
fn uncounted_read(registers: &QtestRegisters, offset: u32) -> u32 {
    registers.read(offset)
}

#[inline(never)]
fn uncounted_write(registers: &QtestRegisters, offset: u32, value: u32) {
    registers.write(offset, value);
}

/// Registers whose accesses cost nothing.
#[derive(Clone)]
struct Free(QtestRegisters);

impl Registers for Free {
    fn read(&self, offset: u32) -> u32 {
        if MEASURING.load(Ordering::Relaxed) {
            uncounted_read(&self.0, offset)
        } else {
            self.0.read(offset)
        }
    }

    fn write(&self, offset: u32, value: u32) {
        if MEASURING.load(Ordering::Relaxed) {
            uncounted_write(&self.0, offset, value);
        } else {
            self.0.write(offset, value);
        }
    }
}

/// The NIC, and the other end of its cable.
struct Bench {
    // Dropped first.
    nic: Nic<Free, RamRegion>,
    registers: QtestRegisters,
    frames: Generator,
    socket: UdpSocket,
    address: SocketAddr,
    _machine: Machine,
}

impl Bench {
    fn new(model: NicModel, size: usize) -> Result<Self> {
        let any = (Ipv4Addr::LOCALHOST, 0);
        let socket = UdpSocket::bind(any)?;
        // Free now; QEMU binds it a moment later.
        let address = UdpSocket::bind(any)?.local_addr()?;
        let options = MachineOptions::new(model);
        let mac = MacAddress(options.mac);
        let machine = Machine::start(MachineOptions {
            netdev: Netdev::Udp {
                local: address.port(),
                peer: socket.local_addr()?.port(),
            },
            ..options
        })?;
        let function = pci::configure(machine.qtest(), machine.slot())?;
        let registers = function.registers(machine.qtest())?;
        let id = function.function.id;
        let chip = chip::find(id.vendor, id.device).ok_or("an unknown chip")?;
        let ring = RingSize::new(RING).ok_or("not a ring size")?;
        let mut ram = SharedRam::map(&machine.ram()?, machine.ram_size())?;
        let sizes = Config::with_rings(ring, ring);
        let clock = SystemClock::default();
        let nic = Nic::bring_up(Free(registers.clone()), chip, sizes, &mut ram, &clock)
            .map_err(|error| format!("bring-up: {error}"))?;
        Ok(Self {
            nic,
            registers,
            frames: Generator::new(mac, MacAddress([2, 0, 0, 0, 0, 1]), 1, size),
            socket,
            address,
            _machine: machine,
        })
    }

    /// Counts what `work` does `times` times.
    fn count(&mut self, times: u32, mut work: impl FnMut(&mut Self) -> Result<()>) -> Result<Counts> {
        let before = self.registers.counts();
        for _ in 0..times {
            work(self)?;
        }
        let after = self.registers.counts();
        Ok(Counts {
            count: times,
            reads: after.reads - before.reads,
            writes: after.writes - before.writes,
        })
    }

    fn send(&mut self) -> Result<Counts> {
        let bursts = self.count(FRAMES / BURST, |bench| {
            let Self { nic, frames, .. } = bench;
            for _ in 0..BURST {
                let frame = frames.next_frame();
                measured(|| nic.tx().send(frame)).map_err(|error| format!("transmit: {error:?}"))?;
            }
            measured(|| nic.tx().post());
            Ok(())
        })?;
        Ok(Counts {
            count: FRAMES,
            ..bursts
        })
    }

    /// Makes `count` frames arrive.
    fn arrive(&mut self, count: u32) -> Result<()> {
        for _ in 0..count {
            self.socket.send_to(self.frames.next_frame(), self.address)?;
        }
        let start = Instant::now();
        while !self.nic.rx().has_filled(count) {
            if start.elapsed() > LIMIT {
                return Err("no frame came in".into());
            }
            thread::sleep(Duration::from_micros(100));
        }
        Ok(())
    }

    /// Waits until the receiver takes frames.
    fn warm_up(&mut self) -> Result<()> {
        let start = Instant::now();
        while start.elapsed() < LIMIT {
            self.socket.send_to(self.frames.next_frame(), self.address)?;
            let offered = Instant::now();
            while offered.elapsed() < RETRY {
                if self.nic.rx().receive(&mut [0; 2048]).is_some() {
                    return Ok(());
                }
                thread::sleep(Duration::from_millis(1));
            }
        }
        Err("no frame came in".into())
    }

    fn receive(&mut self) -> Result<Counts> {
        self.warm_up()?;
        let mut buffer = [0; 2048];
        let bursts = self.count(FRAMES / BURST, |bench| {
            bench.arrive(BURST)?;
            for _ in 0..BURST {
                measured(|| bench.nic.rx().receive(&mut buffer)).ok_or("a frame is missing")?;
            }
            Ok(())
        })?;
        Ok(Counts {
            count: FRAMES,
            ..bursts
        })
    }

    /// Interrupts of one frame each, as the daemon serves them.
    fn interrupt(&mut self) -> Result<Counts> {
        self.warm_up()?;
        // What has come until now.
        self.nic.interrupts().acknowledge(0);
        self.nic.interrupts().enable();
        let mut buffer = [0; 2048];
        let counts = self.count(INTERRUPTS, |bench| {
            bench.arrive(1)?;
            let nic = &mut bench.nic;
            measured(|| {
                if !matches!(nic.interrupts().acknowledge(0), Interrupt::Causes(_)) {
                    return Err("no interrupt");
                }
                nic.interrupts().moderate();
                let mut rx = nic.rx();
                rx.receive(&mut buffer).ok_or("a frame is missing")?;
                if rx.next_len().is_some() || rx.complete() {
                    return Err("a frame too many");
                }
                Ok(())
            })?;
            Ok(())
        });
        self.nic.interrupts().disable();
        counts
    }
}

fn main() -> Result<()> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [model, what, size] = arguments.as_slice() else {
        return Err("usage: frame_costs MODEL send|receive|interrupt SIZE".into());
    };
    let known = NicModel::ALL.into_iter().find(|known| known.name() == model);
    let mut bench = Bench::new(known.ok_or("no such model")?, size.parse()?)?;
    let counts = match what.as_str() {
        "send" => bench.send(),
        "receive" => bench.receive(),
        "interrupt" => bench.interrupt(),
        _ => Err("neither send, receive nor interrupt".into()),
    }?;
    println!("{}", serde_json::to_string(&counts)?);
    Ok(())
}
