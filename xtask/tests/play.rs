//! `cargo xtask play`, with a script in place of somebody who types.

use std::io::Write;
use std::process::{Command, Stdio};

/// First bytes of a pcap file, in the order of little-endian machines.
const PCAP: [u8; 4] = [0xD4, 0xC3, 0xB2, 0xA1];

#[test]
fn client_finds_the_driver_in_the_shell() {
    let place = tempfile::tempdir().unwrap();
    let capture = place.path().join("wire.pcap");
    let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["play", "--nic", "e1000e", "--capture"])
        .arg(&capture)
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let script =
        "set -e\nnetstack-client list\nnetstack-client info\nnetstack-client ping 10.0.2.2 -c 2 -i 200ms\n";
    xtask.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = xtask.wait_with_output().unwrap();
    let (said, log) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{said}{log}");
    for part in ["network.pci-", "52:54:00:12:34:56", "2 transmitted, 2 received"] {
        assert!(said.contains(part), "{part}: {said}{log}");
    }
    assert!(std::fs::read(&capture).unwrap().starts_with(&PCAP));
}

#[test]
fn script_that_fails_is_an_error() {
    let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("play")
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    xtask.stdin.take().unwrap().write_all(b"exit 7\n").unwrap();
    let output = xtask.wait_with_output().unwrap();
    assert!(!output.status.success());
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains("the shell ended with exit status: 7"), "{log}");
}
