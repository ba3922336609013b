//! A world that a script is played in, and the one with QEMU's model.

use std::cell::Cell;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use e1000_hosted::machine::{Machine, MachineOptions, Netdev, NicModel};
use e1000_hosted::memory::SharedRam;
use e1000_hosted::pci;
use e1000_hw::chip::{self, Chip};
use e1000_hw::fake::FAKE_MAC;
use e1000_hw::platform::{Clock, DmaAllocator, Registers};
use e1000_hw::regs;

/// Time that passes for the driver in one step.
pub const STEP: Duration = Duration::from_secs(3);

/// Time that passes for a model in one step, or when the driver waits: more than whatever it waits for. QEMU's e1000
/// receives nothing for a second after RCTL was written; e1000e looks at an interrupt that is pending again and again,
/// as often as ITR says, so that more would take long.
const MODEL_STEP: Duration = Duration::from_millis(1100);
const MODEL_STEP_PCIE: Duration = Duration::from_millis(2);

/// Time that a model negotiates, and a bit more.
const NEGOTIATION: Duration = Duration::from_millis(510);

/// A NIC in a machine, with somebody at the other end of its cable.
pub trait World {
    type Registers: Registers;
    type Dma: DmaAllocator;
    type Clock: Clock;

    fn chip(&self) -> &'static Chip;
    fn registers(&self) -> Self::Registers;
    /// Values of registers.
    fn peek(&self, offsets: &[u32]) -> Vec<u32>;
    fn dma(&self) -> Self::Dma;
    fn clock(&self) -> &Self::Clock;
    /// Plugs the cable in or out.
    fn set_link(&mut self, up: bool);
    /// The host sends a frame, which may have to wait for the receiver. False if it was not sent.
    fn send(&mut self, frame: &[u8]) -> bool;
    /// Time passes, and with it whatever is under way.
    fn settle(&mut self);
    /// Frames that the NIC sent since the last time.
    fn take_sent(&mut self) -> Vec<Vec<u8>>;
    /// Returns true if the interrupt line is asserted.
    fn line(&self) -> bool;
}

/// QEMU's registers. Writes but those of RDT and TDT, whose effects the driver sees in memory, go with the next read.
/// Negotiation takes no time, lest it ends before or after the next access.
pub struct PostedRegisters {
    machine: Rc<Machine>,
    cable: Rc<UnixStream>,
    base: u64,
}

/// Has QEMU do what was posted, and look at its sockets: in the turn in which it answers, or before it answers the
/// next time.
fn sync(machine: &Machine) {
    machine.qtest().inb(0x80);
}

/// Bytes that were sent and that QEMU did not read.
fn unread(cable: &UnixStream) -> libc::c_int {
    let mut count = 0;
    // SAFETY: the descriptor is open, and the request stores an int (unix(7), SIOCOUTQ).
    let result = unsafe { libc::ioctl(cable.as_raw_fd(), libc::TIOCOUTQ, &mut count) };
    assert_eq!(result, 0, "SIOCOUTQ: {}", std::io::Error::last_os_error());
    count
}

/// Has QEMU do what was posted, and read what it wants to from the cable.
fn read_cable(machine: &Machine, cable: &UnixStream) {
    sync(machine);
    let mut left = unread(cable);
    while left > 0 {
        sync(machine);
        sync(machine);
        let before = std::mem::replace(&mut left, unread(cable));
        if left == before {
            break;
        }
    }
}

/// Returns true if a write of MDIC has the PHY negotiate.
pub fn negotiates(value: u32) -> bool {
    const BMCR_RESTART: u32 = 1 << 9;
    value & regs::MDIC_OP_WRITE != 0 && value >> 16 & 31 == 0 && value & BMCR_RESTART != 0
}

impl Registers for PostedRegisters {
    fn read(&self, offset: u32) -> u32 {
        self.machine.qtest().readl(self.base + u64::from(offset))
    }

    fn write(&self, offset: u32, value: u32) {
        let address = self.base + u64::from(offset);
        let qtest = self.machine.qtest();
        qtest.post(&format!("writel 0x{address:x} 0x{value:x}"));
        match offset {
            regs::RDT => read_cable(&self.machine, &self.cable),
            regs::TDT => sync(&self.machine),
            regs::MDIC if negotiates(value) => self.machine.advance(NEGOTIATION).expect("time passes"),
            _ => {}
        }
    }
}

/// Time of QEMU's devices, which passes when the driver waits. Whatever they wait for happens then, however short the
/// wait.
pub struct QemuClock {
    machine: Rc<Machine>,
    step: Duration,
    now: Cell<Duration>,
}

impl Clock for QemuClock {
    fn now(&self) -> Duration {
        self.now.get()
    }

    fn sleep(&self, duration: Duration) {
        self.now.set(self.now.get() + duration);
        self.machine.advance(self.step).expect("time passes");
    }
}

/// One of QEMU's models.
pub struct QemuWorld {
    machine: Rc<Machine>,
    clock: QemuClock,
    base: u64,
    chip: &'static Chip,
    ram: SharedRam,
    cable: Rc<UnixStream>,
    /// Bytes that came out of the cable and are not a whole frame yet.
    partial: Vec<u8>,
    sent: Vec<Vec<u8>>,
    line: Arc<AtomicBool>,
    link: bool,
    /// The script before may have left frames at the back end.
    pub keeps_frames: bool,
    _directory: tempfile::TempDir,
}

impl QemuWorld {
    pub fn new(model: NicModel) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let socket = directory.path().join("cable");
        let listener = UnixListener::bind(&socket).expect("a socket");
        let line = Arc::new(AtomicBool::new(false));
        let (seen, pin) = (Arc::clone(&line), 10);
        let machine = Machine::start(MachineOptions {
            netdev: Netdev::Stream(socket),
            mac: FAKE_MAC,
            virtual_time: true,
            ram_mib: 32,
            on_interrupt: Arc::new(move |interrupt| {
                if interrupt.pin == pin {
                    seen.store(interrupt.raised, Ordering::Relaxed);
                }
            }),
            ..MachineOptions::new(model)
        });
        let machine = Rc::new(machine.expect("QEMU"));
        let (cable, _) = listener.accept().expect("QEMU's end of the cable");
        cable.set_nonblocking(true).expect("a socket that does not block");
        let nic = pci::configure(machine.qtest(), machine.slot()).expect("a NIC");
        let legacy = nic.function.legacy_interrupt.expect("an interrupt line");
        assert_eq!(u32::from(legacy.irq), pin);
        let (base, _) = nic.function.bars[0].memory().expect("registers");
        let id = nic.function.id;
        let chip = chip::find(id.vendor, id.device).expect("a chip that is known");
        let pcie = chip.mac().is_pcie();
        Self {
            clock: QemuClock {
                machine: Rc::clone(&machine),
                step: if pcie { MODEL_STEP_PCIE } else { MODEL_STEP },
                now: Cell::new(Duration::from_secs(1)),
            },
            base,
            chip,
            ram: SharedRam::map(&machine.ram().expect("RAM"), machine.ram_size()).expect("a mapping"),
            cable: Rc::new(cable),
            partial: Vec::new(),
            sent: Vec::new(),
            line,
            link: true,
            keeps_frames: false,
            machine,
            _directory: directory,
        }
    }

    /// Value of a register of the PHY.
    pub fn phy(&self, number: u8) -> u16 {
        let registers = self.registers();
        registers.write(regs::MDIC, regs::MDIC_OP_READ | 1 << 21 | u32::from(number) << 16);
        registers.read(regs::MDIC) as u16
    }

    /// Takes what came out of the cable.
    fn take_from_cable(&mut self) {
        let mut bytes = [0; 1 << 16];
        loop {
            match (&*self.cable).read(&mut bytes) {
                Ok(0) => panic!("QEMU is gone"),
                Ok(count) => self.partial.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
        while let Some((len, rest)) = self.partial.split_first_chunk::<4>()
            && let Some(frame) = rest.get(..u32::from_be_bytes(*len) as usize)
        {
            self.sent.push(frame.to_vec());
            self.partial.drain(..4 + self.sent[self.sent.len() - 1].len());
        }
    }
}

impl World for QemuWorld {
    type Registers = PostedRegisters;
    type Dma = SharedRam;
    type Clock = QemuClock;

    fn chip(&self) -> &'static Chip {
        self.chip
    }

    fn registers(&self) -> PostedRegisters {
        PostedRegisters {
            machine: Rc::clone(&self.machine),
            cable: Rc::clone(&self.cable),
            base: self.base,
        }
    }

    fn peek(&self, offsets: &[u32]) -> Vec<u32> {
        let addresses: Vec<_> = offsets
            .iter()
            .map(|offset| self.base + u64::from(*offset))
            .collect();
        self.machine.qtest().read_all(&addresses)
    }

    fn dma(&self) -> SharedRam {
        self.ram.clone()
    }

    fn clock(&self) -> &QemuClock {
        &self.clock
    }

    fn set_link(&mut self, up: bool) {
        if self.link != up {
            self.link = up;
            // What was posted comes before.
            sync(&self.machine);
            self.machine.set_link(up).expect("the monitor works");
            self.machine.advance(NEGOTIATION).expect("time passes");
        }
    }

    fn send(&mut self, frame: &[u8]) -> bool {
        let mut message = (frame.len() as u32).to_be_bytes().to_vec();
        message.extend(frame);
        // In one piece: QEMU would read half of it otherwise.
        let sent = (&*self.cable).write(&message).expect("room in the socket");
        assert_eq!(sent, message.len());
        read_cable(&self.machine, &self.cable);
        true
    }

    fn settle(&mut self) {
        self.clock.sleep(STEP);
        if unread(&self.cable) > 0 {
            read_cable(&self.machine, &self.cable);
        }
        self.take_from_cable();
        // What was taken out makes room for what comes behind.
        while !self.partial.is_empty() {
            sync(&self.machine);
            self.take_from_cable();
        }
    }

    fn take_sent(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.sent)
    }

    fn line(&self) -> bool {
        self.line.load(Ordering::Relaxed)
    }
}
