//! `cargo xtask demo`: the daemon on one of QEMU's NICs, and a client that uses it, on any Linux machine.

mod transfer;

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::Args;
use netstack_client::cli::reports;
use serde::{Deserialize, Serialize};

use crate::hosted::{self, Client, Daemon, HOST};
use crate::steps::Steps;
use crate::tools;
use transfer::transfer;

/// Echo requests of the ping step.
const PINGS: u16 = 4;
/// Bytes that the TCP step moves each way.
const TCP_BYTES: u64 = 16 << 20;

/// Options of `cargo xtask demo`.
#[derive(Args)]
pub struct Arguments {
    /// QEMU's name of the NIC.
    #[arg(long, default_value = "e1000", value_parser = hosted::nics())]
    nic: String,

    /// Write every frame on the emulated wire to this file (pcap).
    #[arg(long, value_name = "FILE")]
    capture: Option<PathBuf>,

    /// Print one JSON object and nothing else.
    #[arg(long)]
    json: bool,
}

/// Results of the demo, the object that `--json` prints.
#[derive(Deserialize, Serialize)]
pub struct Report {
    nic: String,
    mac: String,
    /// The leased address.
    dhcp: String,
    /// Number of echo requests.
    pub ping_sent: u16,
    /// Number of replies.
    pub ping_received: usize,
    /// Median round-trip time.
    rtt_us: f64,
    /// All bytes of both directions over the time of both, one after the other.
    tcp_mbit_s: f64,
    tcp_send_mbit_s: f64,
    tcp_receive_mbit_s: f64,
    register_reads_per_frame: f64,
    register_writes_per_frame: f64,
}

/// Runs the demo. It fails as soon as one step does.
pub fn run(arguments: &Arguments) -> Result<()> {
    let steps = Steps::new(arguments.json);
    steps.step("QEMU", || tools::qemu().map(|()| ((), String::new())))?;
    steps.build("build", |bar| hosted::build(bar).map(|()| ((), String::new())))?;

    let place = tempfile::tempdir()?;
    let mut daemon = steps.step(&format!("e1000d on QEMU's {}", arguments.nic), || {
        let daemon = Daemon::start(
            &arguments.nic,
            arguments.capture.as_deref(),
            place.path(),
            arguments.json,
        )?;
        let name = daemon.scheme.clone();
        Ok((daemon, name))
    })?;
    let client = Client::new(place.path());
    let info = steps.step("MAC address", || {
        let info: reports::Info = client.ask(&["info"])?;
        let word = info.mac.clone();
        Ok((info, word))
    })?;
    let lease = steps.step("DHCP", || {
        let lease: reports::Dhcp = client.ask(&["dhcp", "--timeout", "20s"])?;
        let word = format!("{} after {:.0} ms", lease.address, lease.time_ms);
        Ok((lease, word))
    })?;
    let ping = steps.step(&format!("ping {HOST}"), || {
        let ping: reports::Ping = client.ask(&["ping", HOST, "-c", &PINGS.to_string(), "-i", "200ms"])?;
        let word = format!("{} of {} answered", ping.received, ping.transmitted);
        Ok((ping, word))
    })?;
    let send = steps.step("TCP, NIC to host", || transfer(&client, TCP_BYTES, 0))?;
    let receive = steps.step("TCP, host to NIC", || transfer(&client, 0, TCP_BYTES))?;
    let counters = steps.step("stop", || {
        let counters = daemon.stop()?;
        let word = format!("{} frames in, {} out", counters.rx_frames, counters.tx_frames);
        Ok((counters, word))
    })?;

    let frames = (counters.rx_frames + counters.tx_frames).max(1) as f64;
    let report = Report {
        nic: arguments.nic.clone(),
        mac: info.mac,
        dhcp: lease.address,
        ping_sent: ping.transmitted,
        ping_received: ping.received,
        rtt_us: ping.latency.context("no round trip was measured")?.p50_us,
        tcp_mbit_s: (send.bytes + receive.bytes) as f64 * 8e-6 / (send.seconds + receive.seconds),
        tcp_send_mbit_s: send.megabits_per_second,
        tcp_receive_mbit_s: receive.megabits_per_second,
        register_reads_per_frame: counters.register_reads as f64 / frames,
        register_writes_per_frame: counters.register_writes as f64 / frames,
    };
    ensure!(
        report.ping_received == usize::from(PINGS),
        "{} of {PINGS} pings were answered",
        report.ping_received
    );
    if arguments.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        println!("\n{}", table(&report));
        if let Some(file) = &arguments.capture {
            println!("  frames on the wire     {}", file.display());
        }
    }
    Ok(())
}

fn table(report: &Report) -> String {
    [
        ("NIC", report.nic.clone()),
        ("MAC address", report.mac.clone()),
        ("DHCP lease", report.dhcp.clone()),
        (
            "ping",
            format!(
                "{} of {}, median {:.0} us",
                report.ping_received, report.ping_sent, report.rtt_us
            ),
        ),
        (
            "TCP, NIC to host",
            format!("{:.0} Mbit/s", report.tcp_send_mbit_s),
        ),
        (
            "TCP, host to NIC",
            format!("{:.0} Mbit/s", report.tcp_receive_mbit_s),
        ),
        (
            "register reads",
            format!("{:.3} a frame", report.register_reads_per_frame),
        ),
        (
            "register writes",
            format!("{:.3} a frame", report.register_writes_per_frame),
        ),
    ]
    .map(|(name, value)| format!("  {name:<22} {value}"))
    .join("\n")
}
