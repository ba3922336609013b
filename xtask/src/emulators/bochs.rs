//! Redox in Bochs, whose e1000 is a device model of its own (iodev/network/e1000.cc).

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use lab_host::system::console::{Findings, plain};
use qemu_process::die_with_parent;

/// Its name among the NICs of QEMU that the driver knows: the same 82540EM.
pub const NIC: &str = "e1000";
/// Sectors of a cylinder with 16 heads. Bochs wants a disk of whole ones.
const CYLINDER: u64 = 16 * 63 * 512;
/// How often the serial line is looked at.
const INTERVAL: Duration = Duration::from_millis(50);
/// How many lines of the console a message repeats.
const LAST_LINES: usize = 15;

/// A machine without a screen in Bochs. It ends with this value.
pub struct Machine {
    child: Child,
    console: File,
    /// The end of the console that is no whole line yet.
    rest: Vec<u8>,
    lines: Vec<String>,
    findings: Findings,
    start: Instant,
    log: PathBuf,
    packets: PathBuf,
}

impl Machine {
    /// Starts the Bochs in `bin` with a disk that may be changed. What it writes goes to files in `place`.
    pub fn start(bin: &Path, tree: &Path, disk: &Path, place: &Path) -> Result<Self> {
        fs::create_dir_all(place).with_context(|| format!("cannot create {}", place.display()))?;
        let cylinders = whole_cylinders(disk)?;
        let file = |name: &str| place.join(name);
        let (console, packets, log) = (file("console"), file("packets"), file("log"));
        let write = |name: &str, text: String| {
            fs::write(file(name), text).with_context(|| format!("cannot write {}", file(name).display()))
        };
        for path in [&console, &packets] {
            File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
        }
        // Without this first line Bochs refuses the file (iodev/network/eth_slirp.cc, parse_slirp_conf).
        write(
            "network",
            format!("# slirp config\npktlog = {}\n", packets.display()),
        )?;
        let configuration = Configuration {
            tree,
            disk,
            cylinders,
            place,
        };
        write("configuration", configuration.text())?;
        let errors = File::create(file("errors")).context("cannot create a file")?;
        let mut command = Command::new(bin.join("bochs"));
        // Without -q it asks, and with a lock of an earlier one on the disk it stops.
        command
            .args(["-q", "-unlock", "-f"])
            .arg(file("configuration"))
            .current_dir(place)
            .stdin(Stdio::null())
            .stdout(errors.try_clone()?)
            .stderr(errors);
        die_with_parent(&mut command);
        Ok(Self {
            child: command.spawn().context("cannot start Bochs")?,
            console: File::open(&console).with_context(|| format!("cannot open {}", console.display()))?,
            rest: Vec::new(),
            lines: Vec::new(),
            findings: Findings::default(),
            start: Instant::now(),
            log,
            packets,
        })
    }

    /// What is known by now.
    pub fn findings(&self) -> &Findings {
        &self.findings
    }

    /// Since the start.
    pub fn time(&self) -> Duration {
        self.start.elapsed()
    }

    /// Reads the console until it has said what is waited for, until `limit` after the start.
    pub fn wait(&mut self, limit: Duration, what: &str, done: impl Fn(&Findings) -> bool) -> Result<()> {
        loop {
            // First the end, then the console: what was written just before it counts.
            let ended = self.child.try_wait()?;
            self.follow()?;
            if done(&self.findings) {
                return Ok(());
            }
            if let Some(panic) = &self.findings.panic {
                bail!("{panic}");
            }
            if let Some(status) = ended {
                bail!("Bochs ended ({status}); its log is {}", self.log.display());
            }
            if self.time() >= limit {
                let seconds = limit.as_secs();
                let last = self.lines.len().saturating_sub(LAST_LINES);
                let lines = self.lines.get(last..).unwrap_or_default().join("\n    ");
                bail!("{what} within {seconds} s; the console ended with:\n    {lines}");
            }
            thread::sleep(INTERVAL);
        }
    }

    /// Reads what has come.
    fn follow(&mut self) -> Result<()> {
        self.console
            .read_to_end(&mut self.rest)
            .context("cannot read the console")?;
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let line = plain(&line);
            self.findings.line(&line);
            self.lines.push(line);
        }
        Ok(())
    }

    /// Frames that Bochs has seen on the emulated wire: from the NIC, and to it.
    pub fn frames(&self) -> Result<(usize, usize)> {
        let text = fs::read(&self.packets).context("cannot read the log of packets")?;
        Ok(count(&String::from_utf8_lossy(&text)))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // What the system wrote is on a copy.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Frames in a log of packets, by the line before each (iodev/network/netutil.cc, write_pktlog_txt).
fn count(log: &str) -> (usize, usize) {
    let lines = |text| log.lines().filter(|line| line.contains(text)).count();
    (lines("guest to host"), lines("host to guest"))
}

/// Makes the disk as long as Bochs wants it; how many cylinders it has.
fn whole_cylinders(disk: &Path) -> Result<u64> {
    let failed = || format!("cannot use {}", disk.display());
    let mut file = OpenOptions::new().write(true).open(disk).with_context(failed)?;
    let cylinders = file
        .seek(SeekFrom::End(0))
        .with_context(failed)?
        .div_ceil(CYLINDER);
    file.set_len(cylinders * CYLINDER).with_context(failed)?;
    Ok(cylinders)
}

/// The machine in Bochs's words.
struct Configuration<'a> {
    tree: &'a Path,
    disk: &'a Path,
    cylinders: u64,
    place: &'a Path,
}

impl Configuration<'_> {
    fn text(&self) -> String {
        let share = self.tree.join("usr/share/bochs");
        let (share, disk, place) = (share.display(), self.disk.display(), self.place.display());
        // rfb is the display that needs neither a terminal nor somebody who looks. The guest's clock counts
        // instructions and must not run ahead of the host's, by which the other end of a connection goes.
        format!(
            "config_interface: textconfig\n\
             display_library: rfb, options=\"timeout=0\"\n\
             romimage: file={share}/BIOS-bochs-latest\n\
             vgaromimage: file={share}/VGABIOS-lgpl-latest\n\
             cpu: model=corei7_skylake_x, ips=100000000\n\
             clock: sync=slowdown\n\
             megs: 1024\n\
             pci: enabled=1, chipset=i440fx, slot1=e1000\n\
             ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14\n\
             ata0-master: type=disk, path=\"{disk}\", mode=flat, cylinders={}, heads=16, spt=63\n\
             boot: disk\n\
             com1: enabled=1, mode=file, dev=\"{place}/console\"\n\
             e1000: enabled=1, mac=52:54:00:12:34:56, ethmod=slirp, ethdev=none, script=\"{place}/network\"\n\
             mouse: enabled=0\n\
             log: {place}/log\n\
             panic: action=fatal\n\
             error: action=report\n\
             info: action=report\n\
             debug: action=ignore\n",
            self.cylinders
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disk_gets_whole_cylinders_once() {
        let disk = tempfile::NamedTempFile::new().unwrap();
        disk.as_file().set_len(CYLINDER * 3 + 512).unwrap();
        for _ in 0..2 {
            assert_eq!(whole_cylinders(disk.path()).unwrap(), 4);
            assert_eq!(disk.as_file().metadata().unwrap().len(), CYLINDER * 4);
        }
    }

    #[test]
    fn console_is_followed_line_by_line_and_the_end_of_bochs_is_an_error() {
        let place = tempfile::tempdir().unwrap();
        let bin = place.path().join("bin");
        fs::create_dir(&bin).unwrap();
        let disk = place.path().join("disk");
        File::create(&disk).unwrap();
        let script = "#!/bin/sh\nprintf 'DHCP: New IP: 10.0.2' >console\nsleep 0.3\nprintf '.15/24\\nmore' >>console\n";
        crate::process::executable(&bin.join("bochs"), script).unwrap();
        let limit = Duration::from_secs(60);
        let mut machine = Machine::start(&bin, Path::new("/tree"), &disk, &place.path().join("run")).unwrap();
        machine
            .wait(limit, "no lease", |findings| findings.lease.is_some())
            .unwrap();
        assert_eq!(machine.findings().lease.as_deref(), Some("10.0.2.15/24"));
        let error = machine
            .wait(limit, "no report", |findings| findings.network.is_some())
            .unwrap_err();
        assert!(error.to_string().starts_with("Bochs ended"), "{error}");
        let error = machine.wait(Duration::ZERO, "no report", |_| false).unwrap_err();
        assert!(!error.to_string().is_empty());
    }
}
