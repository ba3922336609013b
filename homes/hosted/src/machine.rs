//! A QEMU with one NIC and nothing else, whose processor halts at once.

mod model;
mod netdev;
mod virtual_time;

use std::fs::{self, File};
use std::io;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use e1000_hw::ethernet::MacAddress;
use qemu_process::{Launch, Monitor, Qemu, QemuError, escape};
use tempfile::TempDir;

use crate::qtest::{Interrupt, Qtest};

pub use model::{NicModel, UnknownModel};
pub use netdev::{Netdev, UnknownNetdev};
pub use virtual_time::TimeStands;
use virtual_time::VirtualTime;

/// The name of the NIC's back end, for the monitor and the capture.
pub const NETDEV: &str = "n0";

/// The usual PCI slot of the NIC. Slots 0 and 1 are the chipset's.
pub const DEFAULT_SLOT: u8 = 5;

/// Longest wait for QEMU to connect to the test socket, and for its monitor.
const CONNECT_LIMIT: Duration = Duration::from_secs(20);

/// Function that gets the changes of the IOAPIC's pins.
pub type OnInterrupt = Arc<dyn Fn(Interrupt) + Send + Sync>;

/// The machine to start.
#[derive(Clone)]
pub struct MachineOptions {
    /// The NIC.
    pub nic: NicModel,
    /// Its PCI slot, 2 to 31. Daemons of NICs in different slots have different scheme names.
    pub slot: u8,
    /// The other end of its cable.
    pub netdev: Netdev,
    /// Its address.
    pub mac: [u8; 6],
    /// Size of RAM in MiB.
    pub ram_mib: u32,
    /// A pcap file of all frames in both directions.
    pub capture: Option<PathBuf>,
    /// The socket of QEMU's monitor (QMP); one in a temporary directory if not said.
    pub monitor: Option<PathBuf>,
    /// Called from a thread for each change of an IOAPIC pin.
    pub on_interrupt: OnInterrupt,
    /// The devices' time is not that of this machine: it jumps to whatever a device waits for, and is moved by
    /// [`Machine::advance`].
    pub virtual_time: bool,
}

impl MachineOptions {
    /// A machine with that NIC on QEMU's own network, 64 MiB of RAM, interrupts ignored.
    pub fn new(nic: NicModel) -> Self {
        Self {
            nic,
            slot: DEFAULT_SLOT,
            netdev: Netdev::User(String::new()),
            mac: [0x52, 0x54, 0x00, 0x12, 0x34, 0x56],
            ram_mib: 64,
            capture: None,
            monitor: None,
            on_interrupt: Arc::new(|_| {}),
            virtual_time: false,
        }
    }

    /// Routes the pins that are legacy interrupt lines to the lines of the Redox shim.
    pub fn with_shim_interrupts(mut self) -> Self {
        self.on_interrupt = Arc::new(|interrupt: Interrupt| {
            if let Ok(number @ 0..16) = u8::try_from(interrupt.pin) {
                let line = redox_shim::irq::line(number);
                if interrupt.raised {
                    line.raise()
                } else {
                    line.lower()
                }
            }
        });
        self
    }
}

/// A machine that did not start, or that does not do what it is told.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// QEMU did not start, or ended before it connected to the test socket, or did not connect in time.
    #[error(transparent)]
    Qemu(#[from] QemuError),
    /// A file that QEMU needs could not be made.
    #[error("cannot create {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The conversation with the test server could not begin.
    #[error("cannot talk to QEMU's test server: {0}")]
    Qtest(#[source] io::Error),
    /// QEMU connected, but ended at once (it reads some of its options later), or does not report the IOAPIC's pins.
    #[error("QEMU does not work; it said: {messages}")]
    Unusable {
        /// Text that QEMU wrote.
        messages: String,
    },
}

/// A running QEMU; killed when dropped, and by the system when the thread that started it ends.
pub struct Machine {
    // Before the directory, in which it has files open.
    _qemu: Qemu,
    qtest: Qtest,
    monitor: PathBuf,
    ram: File,
    ram_size: u64,
    slot: u8,
    time: Option<VirtualTime>,
    _directory: TempDir,
}

impl Machine {
    /// Starts QEMU and connects to its test server.
    ///
    /// # Errors
    ///
    /// [`MachineError`], with what QEMU said where it said something.
    pub fn start(options: MachineOptions) -> Result<Self, MachineError> {
        let directory = create(&std::env::temp_dir(), |_| {
            tempfile::Builder::new().prefix("e1000-hosted-").tempdir()
        })?;
        let file = |name: &str| directory.path().join(name);
        let files = Files {
            bios: file("hlt.bin"),
            ram: file("ram"),
            qtest: file("qtest"),
        };
        let monitor = options.monitor.clone().unwrap_or_else(|| file("monitor"));
        let ram_size = u64::from(options.ram_mib) << 20;
        create(&files.bios, |path| fs::write(path, halting_bios()))?;
        let ram = create(&files.ram, |path| {
            let ram = File::options()
                .read(true)
                .write(true)
                .create_new(true)
                .open(path)?;
            ram.set_len(ram_size)?;
            Ok(ram)
        })?;
        let listener = create(&files.qtest, |path| {
            let listener = UnixListener::bind(path)?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        })?;

        let mut qemu = launch(&options, &files).monitor(&monitor).start()?;
        let (stream, _) = qemu.wait_for("it connected to the test socket", CONNECT_LIMIT, || {
            listener.accept().ok()
        })?;
        stream.set_nonblocking(false).map_err(MachineError::Qtest)?;
        let on_interrupt = options.on_interrupt;
        let (timer, fired) = channel();
        let on_interrupt = move |interrupt: Interrupt| {
            if interrupt.pin == virtual_time::PIN && interrupt.raised {
                // Nobody waits for it where time is real.
                let _ = timer.send(());
            }
            on_interrupt(interrupt);
        };
        let qtest = Qtest::start(stream, on_interrupt).map_err(MachineError::Qtest)?;
        if !qtest.intercept_ioapic() {
            return Err(MachineError::Unusable {
                messages: qemu.messages(),
            });
        }
        let time = options
            .virtual_time
            .then(|| VirtualTime::start(qtest.clone(), fired));
        // QEMU has them open. What has no name is not left behind, however this process ends.
        for file in [&files.bios, &files.ram, &files.qtest] {
            let _ = fs::remove_file(file);
        }
        Ok(Self {
            _qemu: qemu,
            qtest,
            monitor,
            ram,
            ram_size,
            slot: options.slot,
            time,
            _directory: directory,
        })
    }

    /// The test server.
    pub fn qtest(&self) -> &Qtest {
        &self.qtest
    }

    /// The PCI slot of the NIC.
    pub fn slot(&self) -> u8 {
        self.slot
    }

    /// The file that is RAM, opened for reading and writing; offset = physical address.
    ///
    /// # Errors
    ///
    /// When there is no descriptor to be had.
    pub fn ram(&self) -> io::Result<File> {
        self.ram.try_clone()
    }

    /// Size of RAM in bytes.
    pub fn ram_size(&self) -> u64 {
        self.ram_size
    }

    /// Has `duration` of the devices' time pass: all that falls into it has happened afterwards.
    ///
    /// # Errors
    ///
    /// [`TimeStands`], also where time is real ([`MachineOptions::virtual_time`]).
    pub fn advance(&self, duration: Duration) -> Result<(), TimeStands> {
        self.time.as_ref().ok_or(TimeStands)?.advance(duration)
    }

    /// Plugs in (`true`) or pulls out the cable.
    ///
    /// # Errors
    ///
    /// When the monitor does not do it.
    pub fn set_link(&self, up: bool) -> Result<(), MachineError> {
        set_link(&self.monitor, up)
    }
}

/// Plugs in (`true`) or pulls out the cable of the machine whose monitor is at `monitor`.
///
/// # Errors
///
/// When the monitor does not do it.
pub fn set_link(monitor: &Path, up: bool) -> Result<(), MachineError> {
    let result =
        Monitor::connect(monitor, CONNECT_LIMIT).and_then(|mut monitor| monitor.set_link(NETDEV, up));
    result.map_err(|error| QemuError::Monitor(error).into())
}

fn create<T>(path: &Path, action: impl FnOnce(&Path) -> io::Result<T>) -> Result<T, MachineError> {
    action(path).map_err(|source| MachineError::File {
        path: path.into(),
        source,
    })
}

/// 64 KiB of `hlt`; at the reset vector `cli`, `hlt`, and a jump back to the `hlt`.
fn halting_bios() -> Vec<u8> {
    const RESET_VECTOR: usize = 0xFFF0;
    let mut image = vec![0xF4; 0x1_0000];
    image[RESET_VECTOR..RESET_VECTOR + 4].copy_from_slice(&[0xFA, 0xF4, 0xEB, 0xFD]);
    image
}

/// The files that QEMU opens while it starts.
struct Files {
    bios: PathBuf,
    ram: PathBuf,
    qtest: PathBuf,
}

fn launch(options: &MachineOptions, files: &Files) -> Launch {
    let size = options.ram_mib;
    let mac = MacAddress(options.mac);
    let ram = escape(&files.ram);
    let memory = format!("memory-backend-file,id=m,size={size}M,share=on,mem-path={ram}");
    let nic = format!(
        "{},netdev={NETDEV},mac={mac},addr={:#x},romfile=",
        options.nic, options.slot
    );
    let mut launch = Launch::new();
    launch
        .args([
            "-M",
            "pc,memory-backend=m",
            "-accel",
            "tcg",
            "-m",
            &size.to_string(),
        ])
        .args(["-nodefaults", "-display", "none", "-nographic", "-serial", "none"])
        .args(["-object", &memory])
        .args([Path::new("-bios"), &files.bios])
        .args(["-qtest", &format!("unix:{}", escape(&files.qtest))])
        .args(["-qtest-log", "none"])
        .args(["-netdev", &options.netdev.argument()])
        .args(["-device", &nic]);
    if options.virtual_time {
        launch.args(virtual_time::ARGUMENTS);
    }
    if let Some(capture) = &options.capture {
        let file = escape(capture);
        launch.args([
            "-object",
            &format!("filter-dump,id=capture,netdev={NETDEV},file={file}"),
        ]);
    }
    launch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_halts_at_the_reset_vector() {
        let image = halting_bios();
        assert_eq!(image.len(), 0x1_0000);
        assert_eq!(image[0xFFF0..0xFFF5], [0xFA, 0xF4, 0xEB, 0xFD, 0xF4]);
    }
}
