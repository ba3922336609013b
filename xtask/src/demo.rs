//! `cargo xtask demo`: the daemon on one of QEMU's NICs, and a client that uses it, on any Linux machine.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::process::{build as build_command, cargo, output, run as run_command, target};
use crate::steps::Steps;
use crate::tools;

/// The machine that runs QEMU, as seen from the emulated network.
const HOST: &str = "10.0.2.2";
/// Echo requests of the ping step.
const PINGS: u32 = 4;
/// Bytes that the TCP step moves each way.
const TCP_BYTES: u64 = 16 << 20;
/// Longest wait for the daemon to be ready, and for it to end.
const DAEMON_LIMIT: Duration = Duration::from_secs(30);

/// Options of `cargo xtask demo`.
#[derive(Args)]
pub struct Arguments {
    /// Which of QEMU's NICs.
    #[arg(long, default_value = "e1000", value_parser = ["e1000", "e1000-82544gc", "e1000-82545em", "e1000e"])]
    nic: String,

    /// Write every frame on the emulated wire to this file (pcap).
    #[arg(long, value_name = "FILE")]
    capture: Option<PathBuf>,

    /// Print one JSON object and nothing else.
    #[arg(long)]
    json: bool,
}

/// What the demo found, the object that `--json` prints.
#[derive(Serialize)]
struct Report {
    nic: String,
    mac: String,
    /// The address leased.
    dhcp: String,
    ping_sent: u32,
    ping_received: u32,
    /// Median round trip.
    rtt_us: f64,
    /// Both directions one after the other: all bytes over all of the time.
    tcp_mbit_s: f64,
    tcp_send_mbit_s: f64,
    tcp_receive_mbit_s: f64,
    register_reads_per_frame: f64,
    register_writes_per_frame: f64,
}

#[derive(Deserialize)]
struct Info {
    mac: String,
}

#[derive(Deserialize)]
struct Lease {
    address: String,
    time_ms: f64,
}

#[derive(Deserialize)]
struct Ping {
    transmitted: u32,
    received: u32,
    latency: Option<Latency>,
}

#[derive(Deserialize)]
struct Latency {
    p50_us: f64,
}

#[derive(Deserialize)]
struct Tcp {
    sent: Direction,
    received: Direction,
}

#[derive(Deserialize)]
struct Direction {
    bytes: u64,
    seconds: f64,
    megabits_per_second: f64,
    sha256: String,
}

/// What `e1000d-hosted` counted between readiness and its end.
#[derive(Deserialize)]
pub struct Counters {
    register_reads: u64,
    register_writes: u64,
    /// Frames that came in.
    pub rx_frames: u64,
    /// Frames that went out.
    pub tx_frames: u64,
}

/// Runs the demo. It fails as soon as one step does.
pub fn run(arguments: &Arguments) -> Result<()> {
    let steps = Steps::new(arguments.json);
    steps.step("QEMU", || tools::qemu().map(|()| ((), String::new())))?;
    steps.build("build", |bar| build(bar).map(|()| ((), String::new())))?;

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
    let client = Client { place: place.path() };
    let info: Info = steps.step("MAC address", || {
        let info: Info = client.ask(&["info"])?;
        let word = info.mac.clone();
        Ok((info, word))
    })?;
    let lease: Lease = steps.step("DHCP", || {
        let lease: Lease = client.ask(&["dhcp", "--timeout", "20s"])?;
        let word = format!("{} after {:.0} ms", lease.address, lease.time_ms);
        Ok((lease, word))
    })?;
    let ping: Ping = steps.step(&format!("ping {HOST}"), || {
        let ping: Ping = client.ask(&["ping", HOST, "-c", &PINGS.to_string(), "-i", "200ms"])?;
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
        report.ping_received == PINGS,
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

/// Builds what runs, optimised.
pub fn build(bar: &ProgressBar) -> Result<()> {
    let mut command = cargo();
    command.args(["build", "--release", "--locked", "--package", "e1000-hosted"]);
    build_command(&mut command, bar)
}

/// Where [`build`] puts a program.
pub fn binary(name: &str) -> PathBuf {
    target().join("release").join(name)
}

/// The hosted daemon, with QEMU below it.
pub struct Daemon {
    child: Child,
    /// The name of its scheme.
    pub scheme: String,
    counters: PathBuf,
}

impl Daemon {
    /// Starts it, its scheme and its counters in the directory `place`; `quiet` keeps its log from the terminal.
    pub fn start(nic: &str, capture: Option<&Path>, place: &Path, quiet: bool) -> Result<Self> {
        let counters = place.join("counters.json");
        let mut command = Command::new(binary("e1000d-hosted"));
        command
            .args(["--nic", nic, "--netdev", "user", "--scheme-dir"])
            .arg(place);
        command.arg("--counters").arg(&counters);
        if let Some(file) = capture {
            command.arg("--capture").arg(file);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        if quiet {
            command.stderr(Stdio::null());
        }
        let mut child = command.spawn().context("cannot start e1000d-hosted")?;
        let stdout = child.stdout.take().context("no output of e1000d-hosted")?;
        let mut daemon = Self {
            child,
            scheme: String::new(),
            counters,
        };
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Some(name) = line.strip_prefix("ready ") {
                    let _ = sender.send(name.to_owned());
                }
            }
        });
        // The sender is gone, and with it the wait over, when the daemon ends.
        daemon.scheme = receiver
            .recv_timeout(DAEMON_LIMIT)
            .context("the daemon did not become ready")?;
        Ok(daemon)
    }

    /// Ends the daemon as init would, and reads what it counted.
    pub fn stop(&mut self) -> Result<Counters> {
        run_command(Command::new("kill").args(["-TERM", &self.child.id().to_string()]))?;
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if start.elapsed() > DAEMON_LIMIT {
                bail!("the daemon does not end");
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        ensure!(status.success(), "the daemon ended with {status}");
        let counters = std::fs::read(&self.counters).context("the daemon left no counters")?;
        Ok(serde_json::from_slice(&counters)?)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Gone already, normally. QEMU ends with its parent.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `netstack-client`, each command its own process.
struct Client<'a> {
    place: &'a Path,
}

impl Client<'_> {
    fn ask<T: for<'de> Deserialize<'de>>(&self, arguments: &[&str]) -> Result<T> {
        let mut command = Command::new(binary("netstack-client-hosted"));
        command
            .arg("--json")
            .args(arguments)
            .env("REDOX_SHIM_DIR", self.place);
        let answer = output(&mut command)?;
        serde_json::from_str(&answer).with_context(|| format!("netstack-client printed {answer:?}"))
    }
}

/// Moves bytes between the NIC and a server on this machine's loopback, and compares what both saw.
fn transfer(client: &Client<'_>, send: u64, receive: u64) -> Result<(Direction, String)> {
    let server = Server::start(send, receive)?;
    let address = format!("{HOST}:{}", server.address.port());
    let (send, receive) = (send.to_string(), receive.to_string());
    let tcp: Tcp = client.ask(&[
        "tcp",
        &address,
        "--send",
        &send,
        "--receive",
        &receive,
        "--timeout",
        "120s",
    ])?;
    let (received, sent) = server.finish()?;
    ensure!(
        received == tcp.sent.sha256,
        "the server received other bytes than were sent"
    );
    ensure!(
        sent == tcp.received.sha256,
        "the NIC received other bytes than the server sent"
    );
    let direction = if tcp.sent.bytes > 0 {
        tcp.sent
    } else {
        tcp.received
    };
    let word = format!(
        "{} MiB, {:.0} Mbit/s, SHA-256 equal",
        direction.bytes >> 20,
        direction.megabits_per_second
    );
    Ok((direction, word))
}

/// Takes one connection, receives and sends what was agreed.
struct Server {
    address: SocketAddr,
    thread: JoinHandle<Result<(String, String)>>,
}

impl Server {
    fn start(receive: u64, send: u64) -> Result<Self> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot listen on the loopback")?;
        let address = listener.local_addr()?;
        let thread = std::thread::spawn(move || {
            let (stream, _) = listener.accept()?;
            serve(stream, receive, send)
        });
        Ok(Self { address, thread })
    }

    /// SHA-256 of what was received and of what was sent.
    fn finish(self) -> Result<(String, String)> {
        self.thread
            .join()
            .map_err(|_| anyhow::anyhow!("the server failed"))?
    }
}

fn serve(mut stream: TcpStream, receive: u64, send: u64) -> Result<(String, String)> {
    let limit = Some(Duration::from_secs(60));
    stream.set_read_timeout(limit)?;
    stream.set_write_timeout(limit)?;
    let mut buffer = vec![0; 64 << 10];
    let mut received = Sha256::new();
    let mut left = receive;
    while left > 0 {
        let most = buffer.len().min(usize::try_from(left)?);
        let len = stream.read(&mut buffer[..most])?;
        ensure!(len > 0, "the connection ended {left} bytes early");
        received.update(&buffer[..len]);
        left -= len as u64;
    }
    let mut sent = Sha256::new();
    let mut number = 0u64;
    let mut left = send;
    while left > 0 {
        for word in buffer.chunks_exact_mut(8) {
            // No two words are the same, so a lost, doubled or moved piece shows.
            number = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
            word.copy_from_slice(&number.to_le_bytes());
        }
        let piece = &buffer[..buffer.len().min(usize::try_from(left)?)];
        stream.write_all(piece)?;
        sent.update(piece);
        left -= piece.len() as u64;
    }
    // Until the other side has everything and closes.
    while stream.read(&mut buffer).is_ok_and(|len| len > 0) {}
    let hex = |hash: Sha256| hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((hex(received), hex(sent)))
}
