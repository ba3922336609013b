//! The result of `cargo xtask redox`, as a table or as JSON.

use std::path::PathBuf;

use anyhow::{Result, bail};
use lab_host::program::Abi;
use lab_host::system::accelerator::Accelerator;
use lab_host::system::boot::Machine;
use lab_host::system::console::{Driver, Findings};
use lab_host::units::mebibytes;
use netstack_client::cli::reports;
use serde::Serialize;

use super::Arguments;

/// The object that `--json` prints.
#[derive(Serialize)]
pub struct Report {
    /// The original.
    pub image: PathBuf,
    /// The copy, if it was kept.
    pub output: Option<PathBuf>,
    /// Kind of partition table.
    pub layout: &'static str,
    /// Offset of the file system in the image, in bytes.
    pub offset: u64,
    pub architecture: String,
    /// Kind of system on the image, of the two that Redox has had, if it is known.
    #[serde(serialize_with = "abi_text")]
    pub abi: Option<Abi>,
    /// Driver that pcid-spawner will start on the copy.
    pub driver: &'static str,
    /// Free bytes in the file system.
    pub free_bytes: u64,
    pub run: Option<Run>,
}

/// Observations of a running system.
#[derive(Serialize)]
pub struct Run {
    nic: String,
    machine: String,
    smp: u32,
    accelerator: Accelerator,
    /// Time from the start of QEMU to the report.
    seconds: f64,
    /// The driver that pcid-spawner has started.
    program: Option<String>,
    driver: Option<Driver>,
    /// MAC address that the driver printed, or else the one that the client read from the network scheme.
    mac: Option<String>,
    /// The address of the network stack.
    address: Option<String>,
    /// The client's report; `None` if there was no client.
    network: Option<reports::System>,
    /// File with the whole console output.
    console: PathBuf,
}

impl Run {
    pub fn new(arguments: &Arguments, accelerator: Accelerator, machine: &Machine, console: PathBuf) -> Self {
        let findings = machine.findings();
        let driver = findings.driver.clone();
        let read = findings.network.as_ref().and_then(|network| {
            let adapter = network
                .adapters
                .iter()
                .find(|adapter| driver.as_ref().is_none_or(|driver| driver.scheme == adapter.name))?;
            adapter.mac.clone()
        });
        Self {
            nic: arguments.nic.clone(),
            machine: arguments.machine.clone(),
            smp: arguments.smp,
            accelerator,
            seconds: machine.time().as_secs_f64(),
            program: findings.spawned.clone(),
            mac: driver.as_ref().and_then(|driver| driver.mac.clone()).or(read),
            driver,
            address: Self::address(findings),
            network: findings.network.clone(),
            console,
        }
    }

    /// The address from the client's report, or else from dhcpd's output.
    pub fn address(findings: &Findings) -> Option<String> {
        let network = findings
            .network
            .as_ref()
            .and_then(|network| network.address.clone());
        network.or_else(|| findings.lease.clone())
    }

    fn rows(&self) -> Vec<(&'static str, String)> {
        let unknown = || "not seen".to_owned();
        let said =
            |what: fn(&Driver) -> Option<String>| self.driver.as_ref().and_then(what).unwrap_or_else(unknown);
        let scheme = self.driver.as_ref().map(|driver| driver.scheme.clone());
        let adapters = self.network.iter().flat_map(|network| &network.adapters);
        let scheme = scheme.or_else(|| adapters.map(|adapter| adapter.name.clone()).next());
        let ping = self.network.as_ref().and_then(|network| network.ping.as_ref());
        let ping = ping.map(|ping| {
            let latency = ping.latency.as_ref();
            let median = latency.map_or_else(String::new, |latency| {
                format!(", median {:.0} us", latency.p50_us)
            });
            format!(
                "{} of {} from {}{median}",
                ping.received, ping.transmitted, ping.target
            )
        });
        vec![
            (
                "machine",
                format!(
                    "{}, {} processor(s), {}, {}",
                    self.machine, self.smp, self.accelerator, self.nic
                ),
            ),
            ("driver started", self.program.clone().unwrap_or_else(unknown)),
            ("NIC", said(|driver| driver.chip.clone())),
            ("scheme", scheme.unwrap_or_else(unknown)),
            ("MAC address", self.mac.clone().unwrap_or_else(unknown)),
            ("link", said(|driver| driver.link.clone())),
            ("interrupt", said(|driver| driver.interrupt.clone())),
            ("DHCP lease", self.address.clone().unwrap_or_else(unknown)),
            ("ping", ping.unwrap_or_else(unknown)),
            ("time", format!("{:.1} s", self.seconds)),
            ("console", self.console.display().to_string()),
        ]
    }
}

impl Report {
    /// Prints it.
    pub fn print(&self, json: bool) -> Result<()> {
        if json {
            println!("{}", serde_json::to_string(self)?);
            return Ok(());
        }
        println!();
        for (name, value) in self.rows() {
            println!("  {name:<22} {value}");
        }
        Ok(())
    }

    fn rows(&self) -> Vec<(&'static str, String)> {
        let copy = self.output.as_ref().map(|output| output.display().to_string());
        let mut rows = vec![
            (
                "copy",
                copy.unwrap_or_else(|| "removed (--keep keeps it)".to_owned()),
            ),
            ("driver on it", self.driver.to_owned()),
            (
                "file system",
                format!(
                    "{}, {}, {} free",
                    self.architecture,
                    self.layout,
                    mebibytes(self.free_bytes)
                ),
            ),
        ];
        if let Some(abi) = self.abi {
            rows.push(("system", abi.to_string()));
            rows.push(("programs for it need", abi.library().to_owned()));
        }
        if self.output.is_some() && self.run.is_some() {
            rows.push((
                "report unit",
                "taken off the copy again: it boots without a report (--run makes one)".to_owned(),
            ));
        }
        rows.extend(self.run.iter().flat_map(Run::rows));
        rows
    }

    /// An error if the network of the system that was run does not do what it should.
    pub fn verdict(&self) -> Result<()> {
        let Some(run) = &self.run else { return Ok(()) };
        if run
            .program
            .as_deref()
            .is_some_and(|program| program != self.driver)
        {
            bail!("the system started another driver than it should");
        }
        let Some(network) = &run.network else {
            return Ok(());
        };
        if let Some(error) = &network.error {
            bail!("the system reported: {error}");
        }
        match &network.ping {
            Some(ping) if ping.received == usize::from(ping.transmitted) => Ok(()),
            Some(ping) => bail!("{} of {} pings were answered", ping.received, ping.transmitted),
            None => bail!("the system sent no ping"),
        }
    }
}

/// The kind of system in words, or null.
fn abi_text<S: serde::Serializer>(abi: &Option<Abi>, serializer: S) -> Result<S::Ok, S::Error> {
    abi.map(|abi| abi.to_string()).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copy_that_was_run_and_kept_says_that_it_does_not_report() {
        let run = Run {
            nic: "e1000".to_owned(),
            machine: "pc".to_owned(),
            smp: 1,
            accelerator: Accelerator::Tcg,
            seconds: 1.0,
            program: None,
            driver: None,
            mac: None,
            address: None,
            network: None,
            console: PathBuf::from("console"),
        };
        let mut report = Report {
            image: PathBuf::from("image"),
            output: Some(PathBuf::from("copy")),
            layout: "no partitions",
            offset: 0,
            architecture: "x86_64".to_owned(),
            abi: None,
            driver: "e1000d-new",
            free_bytes: 0,
            run: Some(run),
        };
        let says = |report: &Report| report.rows().iter().any(|(name, _)| *name == "report unit");
        assert!(says(&report));
        report.output = None;
        assert!(!says(&report), "there is no copy");
        (report.output, report.run) = (Some(PathBuf::from("copy")), None);
        assert!(!says(&report), "there was no unit");
    }
}
