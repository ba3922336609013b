//! A QEMU with one NIC and nothing else, whose processor halts at once.

mod model;
mod netdev;
mod virtual_time;

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::monitor;
use crate::qtest::{Interrupt, Qtest};

pub use model::{NicModel, UnknownModel};
pub use netdev::{Netdev, UnknownNetdev};
pub use virtual_time::TimeStands;
use virtual_time::VirtualTime;

/// The name of the NIC's back end, for the monitor and the capture.
pub const NETDEV: &str = "n0";

/// The usual PCI slot of the NIC. Slots 0 and 1 are the chipset's.
pub const DEFAULT_SLOT: u8 = 5;

const QEMU: &str = "qemu-system-x86_64";

/// Longest wait for QEMU to connect to the test socket.
const CONNECT_LIMIT: Duration = Duration::from_secs(20);

/// What to do with the changes of the IOAPIC's pins.
pub type OnInterrupt = Arc<dyn Fn(Interrupt) + Send + Sync>;

/// Which machine to start.
#[derive(Clone)]
pub struct MachineOptions {
    /// The NIC.
    pub nic: NicModel,
    /// Its PCI slot, 2 to 31. Daemons of NICs in different slots have different scheme names.
    pub slot: u8,
    /// What it is connected to.
    pub netdev: Netdev,
    /// Its address.
    pub mac: [u8; 6],
    /// Size of RAM in MiB.
    pub ram_mib: u32,
    /// A pcap file of all frames in both directions.
    pub capture: Option<PathBuf>,
    /// Where the monitor's socket is; in the directory if not said.
    pub monitor: Option<PathBuf>,
    /// Where RAM, BIOS, sockets and log are; a temporary directory if not said.
    pub directory: Option<PathBuf>,
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
            directory: None,
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

/// Why there is no machine.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// QEMU is not installed.
    #[error("{QEMU} not found: apt install qemu-system-x86")]
    NotFound,
    /// QEMU could not be started.
    #[error("cannot start {QEMU}: {0}")]
    Spawn(#[source] io::Error),
    /// A file that QEMU needs could not be made.
    #[error("cannot create {path}: {source}")]
    File {
        /// Which one.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// QEMU ended before it connected to the test socket, or did not connect in time.
    #[error("{QEMU} did not connect within {} s; it said: {stderr}", CONNECT_LIMIT.as_secs())]
    NotConnected {
        /// What QEMU wrote.
        stderr: String,
    },
    /// QEMU connected, but ended at once (it reads some of its options later), or does not report the IOAPIC's pins.
    #[error("{QEMU} does not work; it said: {stderr}")]
    Unusable {
        /// What QEMU wrote.
        stderr: String,
    },
}

/// A running QEMU; killed when dropped, and by the system when the thread that started it ends.
pub struct Machine {
    child: Child,
    qtest: Qtest,
    monitor: PathBuf,
    ram: File,
    ram_size: u64,
    slot: u8,
    time: Option<VirtualTime>,
    _temporary: Option<TempDir>,
}

impl Machine {
    /// Starts QEMU and connects to its test server.
    ///
    /// # Errors
    ///
    /// [`MachineError`], with what QEMU said where it said something.
    pub fn start(options: MachineOptions) -> Result<Self, MachineError> {
        let (directory, temporary) = match &options.directory {
            Some(directory) => (directory.clone(), None),
            None => {
                let made = tempfile::Builder::new().prefix("e1000-hosted-").tempdir();
                let made = made.map_err(|source| MachineError::File {
                    path: std::env::temp_dir(),
                    source,
                })?;
                (made.path().to_path_buf(), Some(made))
            }
        };
        let file = |name: &str| directory.join(name);
        let ram_size = u64::from(options.ram_mib) << 20;
        let (bios, ram, log, socket) = (file("hlt.bin"), file("ram"), file("qemu.log"), file("qtest"));
        let monitor = options.monitor.clone().unwrap_or_else(|| file("monitor"));
        write(&bios, |path| fs::write(path, halting_bios()))?;
        let ram_file = write(&ram, |path| {
            File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(true)
                .open(path)
        })?;
        write(&ram, |_| ram_file.set_len(ram_size))?;
        let _ = fs::remove_file(&socket);
        let listener = write(&socket, |path| UnixListener::bind(path))?;

        let mut command = command(&options, &bios, &ram, &socket, &monitor);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(write(&log, |path| File::create(path))?);
        let child = command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => MachineError::NotFound,
            _ => MachineError::Spawn(error),
        })?;
        let mut child = Reaper(Some(child));
        let said = || fs::read_to_string(&log).unwrap_or_default().trim().to_string();
        let stream =
            accept(&listener, &mut child).ok_or_else(|| MachineError::NotConnected { stderr: said() })?;
        let on_interrupt = Arc::clone(&options.on_interrupt);
        let (timer, fired) = channel();
        let on_interrupt = move |interrupt: Interrupt| {
            if interrupt.pin == virtual_time::PIN && interrupt.raised {
                // Nobody waits for it where time is real.
                let _ = timer.send(());
            }
            on_interrupt(interrupt);
        };
        let qtest = Qtest::start(stream, on_interrupt).map_err(MachineError::Spawn)?;
        if !qtest.intercept_ioapic() {
            return Err(MachineError::Unusable { stderr: said() });
        }
        let time = options
            .virtual_time
            .then(|| VirtualTime::start(qtest.clone(), fired));
        // QEMU has them open. What has no name is not left behind, however this process ends.
        for file in [&bios, &ram, &socket] {
            let _ = fs::remove_file(file);
        }
        let child = child.0.take().ok_or(MachineError::NotFound)?;
        Ok(Self {
            child,
            qtest,
            monitor,
            ram: ram_file,
            ram_size,
            slot: options.slot,
            time,
            _temporary: temporary,
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
    pub fn set_link(&self, on: bool) -> io::Result<()> {
        monitor::set_link(&self.monitor, on)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A child that is killed unless it is taken out.
struct Reaper(Option<Child>);

impl Drop for Reaper {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn write<T>(path: &Path, action: impl FnOnce(&Path) -> io::Result<T>) -> Result<T, MachineError> {
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

/// A path as a QEMU option value, in which a comma is doubled.
fn option(path: &Path) -> OsString {
    path.to_string_lossy().replace(',', ",,").into()
}

fn joined(prefix: &str, path: &Path, suffix: &str) -> OsString {
    let mut result = OsString::from(prefix);
    result.push(option(path));
    result.push(suffix);
    result
}

fn command(options: &MachineOptions, bios: &Path, ram: &Path, socket: &Path, monitor: &Path) -> Command {
    let size = options.ram_mib;
    let [a, b, c, d, e, f] = options.mac;
    let mac = format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}");
    let mut command = Command::new(QEMU);
    // A process group of its own: an interrupt from the terminal is for the daemon, which needs the NIC to stop it.
    command
        .process_group(0)
        .args([
            "-M",
            "pc,memory-backend=m",
            "-accel",
            "tcg",
            "-m",
            &size.to_string(),
        ])
        .args(["-nodefaults", "-display", "none", "-nographic", "-serial", "none"])
        .arg("-object")
        .arg(joined(
            &format!("memory-backend-file,id=m,size={size}M,share=on,mem-path="),
            ram,
            "",
        ))
        .arg("-bios")
        .arg(bios)
        .arg("-qtest")
        .arg(joined("unix:", socket, ""))
        .args(["-qtest-log", "none"])
        .arg("-monitor")
        .arg(joined("unix:", monitor, ",server=on,wait=off"))
        .args(["-netdev", &options.netdev.argument()])
        .args([
            "-device",
            &format!(
                "{},netdev={NETDEV},mac={mac},addr={:#x},romfile=",
                options.nic, options.slot
            ),
        ]);
    if options.virtual_time {
        command.args(virtual_time::ARGUMENTS);
    }
    if let Some(capture) = &options.capture {
        command.arg("-object").arg(joined(
            &format!("filter-dump,id=capture,netdev={NETDEV},file="),
            capture,
            "",
        ));
    }
    die_with_parent(&mut command);
    command
}

/// Has the system kill the command's process when the thread that starts it ends.
pub(crate) fn die_with_parent(command: &mut Command) {
    let parent = std::process::id();
    let prepare = move || {
        // SAFETY: takes integers only; async-signal-safe.
        if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: takes nothing; async-signal-safe.
        if unsafe { libc::getppid() } as u32 != parent {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(())
    };
    // SAFETY: the closure makes two system calls, allocates nothing and touches no state shared with other threads.
    unsafe { command.pre_exec(prepare) };
}

/// Waits for QEMU to connect; gives up when it ends or the time is over.
fn accept(listener: &UnixListener, child: &mut Reaper) -> Option<UnixStream> {
    listener.set_nonblocking(true).ok()?;
    let start = Instant::now();
    while start.elapsed() < CONNECT_LIMIT {
        if let Ok((stream, _)) = listener.accept() {
            return stream.set_nonblocking(false).is_ok().then_some(stream);
        }
        if child.0.as_mut()?.try_wait().ok()?.is_some() {
            return None;
        }
        thread::sleep(Duration::from_millis(5));
    }
    None
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
