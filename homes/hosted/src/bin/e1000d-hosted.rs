//! The e1000d daemon on Linux: starts a QEMU with one NIC and drives it until SIGTERM.

#![forbid(unsafe_code)]

use std::error::Error;
use std::fs;
use std::os::fd::IntoRawFd;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use e1000_hosted::harness::{PANIC, REMOVE_DEVICE};
use e1000_hosted::machine::{DEFAULT_SLOT, Machine, MachineOptions, Netdev, NicModel};
use e1000_hosted::memory::FIRST_FREE;
use e1000_hosted::platform::HostedPlatform;
use e1000_hosted::registers::QtestRegisters;
use e1000_hosted::{pci, pcid};
use e1000_hw::ethernet::MacAddress;
use e1000_hw::platform::Registers;
use e1000d::options::{DESCRIPTION, Options};
use e1000d::platform::Environment;
use pcid_config::environment::{INIT_NOTIFY, parse_fd};

/// Runs the e1000d daemon against one of QEMU's NICs; prints `ready SCHEME-NAME` when clients can come.
///
/// The options of e1000d itself are taken, too.
#[derive(Parser)]
#[command(after_help = DESCRIPTION)]
struct Arguments {
    /// QEMU's name of the NIC: e1000, e1000-82544gc, e1000-82545em, e1000e.
    #[arg(long, default_value = "e1000")]
    nic: NicModel,
    /// PCI slot of the NIC, which is in the scheme's name.
    #[arg(long, default_value_t = DEFAULT_SLOT, value_parser = clap::value_parser!(u8).range(2..32))]
    slot: u8,
    /// The other end of the NIC's cable: `user`, `user,OPTIONS` or `udp:LOCALPORT:PEERPORT`.
    #[arg(long, default_value = "user")]
    netdev: Netdev,
    /// Address of the NIC.
    #[arg(long, default_value = "52:54:00:12:34:56")]
    mac: MacAddress,
    /// Directory of scheme sockets, where the clients look, too; REDOX_SHIM_DIR if not given.
    #[arg(long)]
    scheme_dir: Option<PathBuf>,
    /// Path for the socket of QEMU's monitor (QMP).
    #[arg(long)]
    monitor: Option<PathBuf>,
    /// Capture all frames into this pcap file.
    #[arg(long)]
    capture: Option<PathBuf>,
    /// Write counters into this file (JSON) at the end.
    #[arg(long)]
    counters: Option<PathBuf>,
    /// Datagram socket on which tests write registers behind the daemon's back: OFFSET VALUE, two times four
    /// bytes in the order of this machine.
    #[arg(long)]
    pokes: Option<PathBuf>,
    /// Pull out the cable before the daemon starts.
    #[arg(long)]
    link_down: bool,
    /// Have somebody else take the scheme's name while the daemon starts, for tests; needs --scheme-dir.
    #[arg(long, requires = "scheme_dir")]
    name_taken: bool,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("e1000d-hosted: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args_os();
    let program = words.next();
    let (options, rest) = Options::split(words)?;
    let arguments = Arguments::parse_from(program.into_iter().chain(rest));
    if let Some(directory) = &arguments.scheme_dir {
        redox_shim::set_directory(directory);
    }
    let notify = parse_fd(INIT_NOTIFY, std::env::var_os(INIT_NOTIFY).as_deref())?;
    let machine = Machine::start(MachineOptions {
        slot: arguments.slot,
        netdev: arguments.netdev,
        mac: arguments.mac.0,
        capture: arguments.capture,
        monitor: arguments.monitor,
        ..MachineOptions::new(arguments.nic).with_shim_interrupts()
    })?;
    if arguments.link_down {
        machine.set_link(false)?;
    }
    let nic = pci::configure(machine.qtest(), machine.slot())?;
    let registers = nic.registers(machine.qtest())?;
    if let Some(path) = arguments.pokes {
        take_pokes(UnixDatagram::bind(path)?, registers.clone())?;
    }
    let platform = HostedPlatform::new(registers);
    let platform = match arguments.scheme_dir {
        Some(directory) if arguments.name_taken => platform.with_name_taken(directory),
        _ => platform,
    };
    redox_shim::memory::set_arena(machine.ram()?, 0, FIRST_FREE, machine.ram_size());
    let watcher = platform.clone();
    let channel = pcid::serve(&nic, move || watcher.bus_master_off())?.into_raw_fd();
    let environment = Environment {
        channel: channel.try_into()?,
        notify,
    };

    let result = e1000d::run(platform.clone(), environment, options);
    if let Some(path) = arguments.counters {
        fs::write(path, serde_json::to_string_pretty(&platform.report())?)?;
    }
    Ok(result?)
}

/// Writes registers as a broken device or a rival driver would change them.
fn take_pokes(socket: UnixDatagram, registers: QtestRegisters) -> std::io::Result<()> {
    let take = move || {
        let mut poke = [0; 8];
        while let Ok(8) = socket.recv(&mut poke) {
            let [a, b, c, d, e, f, g, h] = poke;
            match u32::from_ne_bytes([a, b, c, d]) {
                REMOVE_DEVICE => registers.remove_device(),
                PANIC => panic!("as a test asked for"),
                offset => registers.write(offset, u32::from_ne_bytes([e, f, g, h])),
            }
        }
    };
    redox_shim::spawn_without_signals("pokes", take)
}
