//! `netstack-client` against a scheme in another process, through the same calls as on Redox.

mod fake;
mod schemes;

use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use lab_agent::contract::{self, Options};
use netstack_client::benchmark::Generator;
use netstack_client::{Adapter, FrameIo, MacAddress, Mode, Readiness, Wait, Woken};
use pcap_file::pcap::PcapReader;
use redox_shim as _;
use schemes::{DIRECTORY, NAME, ONE, Schemes, end_of, this_executable};
use serde_json::Value;

/// The process of a scheme, not a test: the tests start it with the variables that it needs.
#[test]
#[ignore = "the other end of the tests, started by them"]
fn server() {
    if let Ok(name) = std::env::var(NAME) {
        fake::serve(&name);
    }
}

/// A client that uses the library itself, in a process of its own like [`server`].
#[test]
#[ignore = "a client, started by a test"]
fn client() {
    let Ok(name) = std::env::var(NAME) else { return };
    let mut adapter = Adapter::open(&name.parse().unwrap(), Mode::NonBlocking).unwrap();
    let mut readiness = Readiness::new(&adapter).unwrap();
    let mut frames = Generator::new(MacAddress::BROADCAST, adapter.mac().unwrap(), 1, 60);
    // Sets a timer for later than needed: its event will come during the waits that follow.
    let mut frame_comes_within = |limit| {
        adapter.write_frame(frames.next_frame()).unwrap();
        assert_eq!(readiness.wait(Some(limit)).unwrap(), Woken::Frames);
        let mut buffer = [0; 2048];
        while FrameIo::read_frame(&mut adapter, &mut buffer).unwrap().is_some() {}
    };
    frame_comes_within(Duration::from_millis(250));
    frame_comes_within(Duration::from_millis(200));
    for milliseconds in [100, 50, 400, 0, 1] {
        let time = Duration::from_millis(milliseconds);
        let start = Instant::now();
        // An event may announce frames that are already read.
        while readiness
            .wait(Some(time.saturating_sub(start.elapsed())))
            .unwrap()
            == Woken::Frames
        {}
        let waited = start.elapsed();
        assert!(waited >= time, "{waited:?} instead of {time:?}");
    }
}

#[test]
fn waits_last_as_long_as_asked_for_whatever_timers_were_set_before() {
    let schemes = Schemes::start(ONE);
    let client = this_executable("client")
        .env(DIRECTORY, schemes.directory.path())
        .env(NAME, ONE[0])
        .output();
    let client = client.unwrap();
    let text = String::from_utf8_lossy(&client.stdout);
    assert!(client.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
fn list_and_info_show_what_the_scheme_tells() {
    let schemes = Schemes::start(ONE);
    assert_eq!(schemes.text("list"), "network.fake  52:54:00:12:34:56\n");
    let info = schemes.json("info");
    assert_eq!(info["path"], "/scheme/network.fake");
    assert_eq!(info["files"]["link"], fake::LINK);
    assert!(
        schemes
            .failure("info --adapter network.other")
            .contains("cannot open /scheme/network.other/mac: ")
    );
}

#[test]
fn several_adapters_need_a_choice() {
    let schemes = Schemes::start(&["network.b", "network.a"]);
    assert!(
        schemes
            .failure("info")
            .ends_with("choose one of: network.a, network.b\n")
    );
    assert_eq!(
        schemes.json("info --adapter /scheme/network.b")["name"],
        "network.b"
    );
}

#[test]
fn no_adapter_is_a_failure() {
    let schemes = Schemes::start(&[]);
    assert_eq!(schemes.output("list").status.code(), Some(1));
    assert!(schemes.failure("dhcp").contains("no network adapter"));
}

#[test]
fn dhcp_shows_the_lease() {
    let lease = Schemes::start(ONE).json("dhcp");
    assert_eq!(lease["address"], "10.0.2.15/24");
    assert_eq!(
        (&lease["router"], &lease["dns"][0]),
        (&"10.0.2.2".into(), &"10.0.2.3".into())
    );
    assert_eq!(lease["lease_seconds"], 86_400);
}

#[test]
fn ping_is_answered_with_address_from_dhcp_and_without() {
    let schemes = Schemes::start(ONE);
    let ping = schemes.json("ping 10.0.2.2 -c 3 -i 0.01 -s 1472");
    assert_eq!(
        (&ping["received"], &ping["latency"]["count"]),
        (&3.into(), &3.into())
    );
    let text = schemes.text("ping 10.0.2.2 -c 1 --address 10.0.2.9/24");
    assert!(
        text.contains("from 10.0.2.9: 56") && text.contains("icmp_seq=1"),
        "{text}"
    );
}

#[test]
fn ping_without_answer_fails() {
    let schemes = Schemes::start(ONE);
    let output = schemes.output("ping 10.0.2.77 -c 2 -i 0.1 --timeout 300ms --address 10.0.2.9/24");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("100.0% loss"));
}

#[test]
fn arp_finds_the_neighbour_and_nobody_else() {
    let schemes = Schemes::start(ONE);
    assert!(
        schemes
            .text("arp 10.0.2.2")
            .starts_with("10.0.2.2 is at 52:55:0a:00:02:02, time=")
    );
    assert!(
        schemes
            .failure("arp 10.0.2.77 -c 2 --timeout 50ms")
            .contains("did not answer 2 ARP requests")
    );
}

#[test]
fn tcp_echo_returns_what_was_sent() {
    let exchange = Schemes::start(ONE).json("tcp 10.0.2.2:7 --send 1M --receive 1M --timeout 110s");
    assert_eq!(exchange["received"]["bytes"], 1 << 20);
    assert_eq!(exchange["sent"]["sha256"], exchange["received"]["sha256"]);
}

#[test]
fn tcp_to_a_closed_port_is_refused() {
    let message = Schemes::start(ONE).failure("tcp 10.0.2.2:9 --send 1");
    assert!(message.contains("refused"), "{message}");
}

#[test]
fn benchmark_frames_show_every_fault() {
    let schemes = Schemes::start(ONE);
    let sent = schemes.json("bench tx --frames 100 --size 200");
    assert_eq!((&sent["frames"], &sent["bytes"]), (&100.into(), &20_000.into()));
    let output = schemes.output("bench rx --seconds 500ms --json");
    assert_eq!(output.status.code(), Some(1), "damage is a failure");
    let received: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(received["frames"], 100, "one lost, one doubled");
    // A damaged frame has no number that can be trusted: it is missing, too.
    assert_eq!(
        (&received["lost"], &received["duplicated"], &received["damaged"]),
        (&2.into(), &1.into(), &1.into())
    );
}

#[test]
fn waiting_receiver_is_woken_in_both_modes() {
    let schemes = Schemes::start(ONE);
    for mode in ["events", "blocking"] {
        let mut receiver = schemes
            .command(&format!("bench rx --frames 40 --seconds 20s --mode {mode}"))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_millis(300));
        schemes.text(&format!("bench tx --frames 40 --mode {mode}"));
        assert!(receiver.wait().unwrap().success(), "{mode}");
    }
}

#[test]
fn blocked_receiver_ends_with_its_time() {
    let schemes = Schemes::start(ONE);
    for mode in ["events", "blocking"] {
        assert_eq!(
            schemes
                .output(&format!("bench rx --seconds 200ms --mode {mode}"))
                .status
                .code(),
            Some(1)
        );
    }
}

#[test]
fn round_trips_are_measured_in_both_modes() {
    let schemes = Schemes::start(ONE);
    for mode in ["events", "blocking"] {
        let report = schemes.json(&format!("bench rtt --frames 50 --mode {mode}"));
        assert_eq!(
            (&report["requests"], &report["latency"]["count"]),
            (&50.into(), &50.into())
        );
    }
}

#[test]
fn capture_writes_what_came() {
    let schemes = Schemes::start(ONE);
    let path = schemes.directory.path().join("frames.pcap");
    let capture = |arguments: &str| schemes.output(&format!("capture -w {} {arguments}", path.display()));
    schemes.text("bench tx --frames 3 --size 100");
    assert!(capture("-c 3 --snaplen 64").status.success());
    assert_eq!(lengths(&path), [(64, 100); 3]);
    assert_eq!(
        capture("-c 1 --timeout 100ms").status.code(),
        Some(1),
        "nothing came"
    );
    assert_eq!(lengths(&path), []);
}

fn lengths(path: &Path) -> Vec<(usize, u32)> {
    let mut reader = PcapReader::new(File::open(path).unwrap()).unwrap();
    let mut lengths = Vec::new();
    while let Some(packet) = reader.next_packet() {
        let packet = packet.unwrap();
        lengths.push((packet.data.len(), packet.orig_len));
    }
    lengths
}

#[test]
fn sent_frame_arrives_and_a_senseless_one_is_refused_by_the_driver() {
    let schemes = Schemes::start(ONE);
    let request =
        "ffffffffffff 525400123456 0806 0001 0800 06 04 0001 525400123456 0a00020f 000000000000 0a000202";
    assert_eq!(
        schemes.text(&format!("send {request} --pad --count 2")),
        "sent 2 frames of 60 bytes\n"
    );
    let captured = schemes.directory.path().join("replies.pcap");
    schemes.text(&format!("capture -c 2 -w {}", captured.display()));
    assert_eq!(lengths(&captured), [(42, 42); 2]);
    assert!(
        schemes
            .failure("send 00")
            .contains("cannot write a frame to /scheme/network.fake: Invalid argument")
    );
}

#[test]
fn death_of_the_driver_is_an_error_not_a_hang() {
    let mut schemes = Schemes::start(ONE);
    let receiver = schemes
        .command("bench rx --seconds 60m --mode blocking")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    schemes.wait_for("a parked read", |directory| directory.join(fake::PARKED).exists());
    schemes.servers[0].kill().unwrap();
    let output = end_of(receiver);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("cannot read a frame"),
        "{said}"
    );
}

/// Checks of the contract, in a process of their own like [`server`].
#[test]
#[ignore = "a checker, started by a test"]
fn checker() {
    let Ok(name) = std::env::var(NAME) else { return };
    let options = Options {
        adapter: name.parse().unwrap(),
        address: [10, 0, 2, 15].into(),
        peer: Some([10, 0, 2, 2].into()),
        reader: None,
    };
    let chosen = ["mac", "file.stat", "open.unknown-path", "read"];
    let checks = contract::checks().iter();
    let chosen = checks.filter(|check| chosen.iter().any(|name| check.is_meant_by(name)));
    let findings = contract::run(&options, chosen, |_| {});
    println!("\n{FINDINGS}{}", serde_json::to_string(&findings).unwrap());
}

/// Beginning of the line of [`checker`].
const FINDINGS: &str = "findings: ";

#[test]
fn checker_tells_kept_promises_from_broken_ones() {
    let schemes = Schemes::start(ONE);
    let mut checker = this_executable("checker");
    checker
        .arg("--nocapture")
        .env(DIRECTORY, schemes.directory.path());
    let output = checker.env(NAME, ONE[0]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(FINDINGS));
    let findings: Value = serde_json::from_str(line.expect(&text)).unwrap();
    let outcome = |name: &str| {
        let findings = findings.as_array().unwrap();
        let finding = findings.iter().find(|finding| finding["name"] == name);
        finding.unwrap_or_else(|| panic!("{name} is not in {findings:?}"))["outcome"].clone()
    };
    for name in [
        "mac.six-bytes",
        "mac.offset-2^63",
        "read.would-block",
        "read.whole-frames",
    ] {
        assert_eq!(outcome(name), "pass", "{name}");
    }
    // The fake answers as stock drivers do, and knows no fstat.
    assert_eq!(outcome("open.unknown-path"), "as-stock");
    assert_eq!(outcome("file.stat"), "fail");
}
