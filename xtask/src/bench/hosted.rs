//! `cargo xtask bench --hosted`: the register accesses of a frame, against QEMU's models of the NICs.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use e1000_host::machine::{Machine, MachineOptions, Netdev, NicModel};
use e1000_host::memory::{RamRegion, SharedRam};
use e1000_host::pci;
use e1000_host::registers::AccessCounts;
use e1000_hw::chip;
use e1000_hw::nic::{Nic, RingSizes};
use e1000_hw::platform::{Clock, DmaAllocator};
use e1000_hw::ring::RingSize;
use netstack_client::MacAddress;
use netstack_client::benchmark::Generator;
use serde::{Deserialize, Serialize};

use crate::process::root;

/// Descriptors of each ring.
const RING: u32 = 256;
/// Frames that are sent together.
const BURST: u32 = 32;
/// Frames of each direction.
const FRAMES: u32 = 1024;
/// Frames on their way to the NIC at once: fewer than fit the buffer of any socket.
const WINDOW: u32 = 64;
/// Longest wait for a frame. QEMU's `e1000` begins to receive a second after the receiver was enabled.
const LIMIT: Duration = Duration::from_secs(15);
/// How much more than the baseline is no change for the worse: a burst may be cut where a ring is full.
const TOLERANCE: f64 = 0.05;

/// Accesses of one frame.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Costs {
    tx_reads: f64,
    tx_writes: f64,
    rx_reads: f64,
    rx_writes: f64,
}

/// By QEMU's name of the NIC.
pub type Counts = BTreeMap<String, Costs>;

/// The file of this workspace.
pub fn baseline() -> PathBuf {
    root().join("xtask/bench-baseline.json")
}

/// Counts for all models.
pub fn measure() -> Result<Counts> {
    thread::scope(|scope| {
        let threads = NicModel::ALL.map(|model| (model, scope.spawn(move || measure_model(model))));
        threads
            .into_iter()
            .map(|(model, thread)| {
                let costs = thread
                    .join()
                    .map_err(|_| anyhow!("{model}: the measurement failed"))?;
                Ok((model.name().to_owned(), costs.with_context(|| model.name())?))
            })
            .collect()
    })
}

/// What costs more than in the baseline.
pub fn worse(counts: &Counts, baseline: &Counts) -> Vec<String> {
    let mut worse = Vec::new();
    for (model, known) in baseline {
        let Some(now) = counts.get(model) else {
            worse.push(format!("{model} was not measured"));
            continue;
        };
        for (name, now, known) in [
            ("TX reads", now.tx_reads, known.tx_reads),
            ("TX writes", now.tx_writes, known.tx_writes),
            ("RX reads", now.rx_reads, known.rx_reads),
            ("RX writes", now.rx_writes, known.rx_writes),
        ] {
            if now > known * (1.0 + TOLERANCE) {
                worse.push(format!(
                    "{model}: {name} {now:.4} a frame, {known:.4} in the baseline"
                ));
            }
        }
    }
    worse
}

/// Measures and compares with a baseline; prints a table.
pub fn check(file: &Path) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let known: Counts = serde_json::from_str(&text).with_context(|| format!("in {}", file.display()))?;
    let counts = measure()?;
    println!("register accesses a frame  TX reads  TX writes  RX reads  RX writes");
    for (model, costs) in &counts {
        println!(
            "{model:<25} {:>9.4} {:>10.4} {:>9.4} {:>10.4}",
            costs.tx_reads, costs.tx_writes, costs.rx_reads, costs.rx_writes
        );
    }
    println!("instructions a frame: SKIPPED (not implemented)");
    let worse = worse(&counts, &known);
    if !worse.is_empty() {
        bail!(
            "more register accesses than in {}: {}",
            file.display(),
            worse.join("; ")
        );
    }
    Ok(())
}

struct Ram(SharedRam);

impl DmaAllocator for Ram {
    type Region = RamRegion;

    fn allocate(&mut self, len: usize) -> Option<RamRegion> {
        self.0.allocate(len)
    }
}

struct RealClock(Instant);

impl Clock for RealClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, duration: Duration) {
        thread::sleep(duration);
    }
}

fn measure_model(model: NicModel) -> Result<Costs> {
    let any = (Ipv4Addr::LOCALHOST, 0);
    let socket = UdpSocket::bind(any)?;
    // Free now; QEMU binds it a moment later.
    let port = UdpSocket::bind(any)?.local_addr()?;
    let options = MachineOptions::new(model);
    let mac = MacAddress(options.mac);
    let machine = Machine::start(MachineOptions {
        netdev: Netdev::Udp {
            local: port.port(),
            peer: socket.local_addr()?.port(),
        },
        ..options
    })?;
    let function = pci::configure(machine.qtest(), machine.slot())?;
    let registers = function.registers(machine.qtest())?;
    let id = function.function.id;
    let chip = chip::find(id.vendor, id.device).context("an unknown chip")?;
    let ring = RingSize::new(RING).context("not a ring size")?;
    let mut ram = Ram(SharedRam::map(&machine.ram()?, machine.ram_size())?);
    let sizes = RingSizes { rx: ring, tx: ring };
    let clock = RealClock(Instant::now());
    let mut nic = Nic::bring_up(registers.clone(), chip, sizes, &mut ram, &clock)
        .map_err(|error| anyhow!("bring-up: {error:?}"))?;

    let mut frames = Generator::new(mac, MacAddress([2, 0, 0, 0, 0, 1]), 1, 100);
    let before = registers.counts();
    for _ in 0..FRAMES / BURST {
        for _ in 0..BURST {
            nic.transmit(frames.next_frame())
                .map_err(|error| anyhow!("transmit: {error:?}"))?;
        }
        nic.post();
    }
    let (tx_reads, tx_writes) = per_frame(before, registers.counts());

    let mut buffer = vec![0; 20_000];
    let mut receive = |nic: &mut Nic<_, _>| {
        let start = Instant::now();
        while nic.receive(&mut buffer).is_none() {
            ensure!(start.elapsed() < LIMIT, "no frame came in");
            thread::sleep(Duration::from_micros(100));
        }
        Ok(())
    };
    socket.send_to(frames.next_frame(), port)?;
    receive(&mut nic)?;
    let before = registers.counts();
    for _ in 0..FRAMES / WINDOW {
        for _ in 0..WINDOW {
            socket.send_to(frames.next_frame(), port)?;
        }
        for _ in 0..WINDOW {
            receive(&mut nic)?;
        }
    }
    let (rx_reads, rx_writes) = per_frame(before, registers.counts());
    Ok(Costs {
        tx_reads,
        tx_writes,
        rx_reads,
        rx_writes,
    })
}

fn per_frame(before: AccessCounts, after: AccessCounts) -> (f64, f64) {
    let per_frame = |count: u64| count as f64 / f64::from(FRAMES);
    (
        per_frame(after.reads - before.reads),
        per_frame(after.writes - before.writes),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(rx_writes: f64) -> Counts {
        let costs = Costs {
            tx_reads: 0.0,
            tx_writes: 0.03125,
            rx_reads: 0.0,
            rx_writes,
        };
        [("e1000".to_owned(), costs)].into()
    }

    #[test]
    fn only_more_accesses_are_worse() {
        assert!(worse(&counts(0.125), &counts(0.125)).is_empty());
        assert!(worse(&counts(0.1), &counts(0.125)).is_empty());
        assert!(
            worse(&counts(0.13), &counts(0.125)).is_empty(),
            "within the tolerance"
        );
        assert_eq!(worse(&counts(0.2), &counts(0.125)).len(), 1);
        assert_eq!(worse(&Counts::new(), &counts(0.1)).len(), 1);
    }

    #[test]
    fn baseline_of_the_workspace_is_readable() {
        let text = fs::read_to_string(baseline()).unwrap();
        let counts: Counts = serde_json::from_str(&text).unwrap();
        assert_eq!(counts.len(), NicModel::ALL.len());
    }
}
