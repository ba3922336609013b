//! Each way out of the daemon: the NIC is stopped, then the bus taken from it, then its memory freed.

mod common;
#[path = "common/hosted.rs"]
mod hosted;

use std::fs;
use std::process::Command;

use common::{for_each_model, wait_for};
use e1000_hosted::machine::NicModel;
use e1000_hosted::platform::{BusMasterOff, Report};
use hosted::{DAEMON, passes_both_ways, start, value};

/// The NIC was stopped when the bus was taken from it, and its memory was there.
fn check(nic: NicModel, off: Option<BusMasterOff>) {
    let off = off.unwrap_or_else(|| panic!("{nic}: bus mastering stays on"));
    assert!(!off.receiving && !off.transmitting, "{nic}: {off:?}");
    assert_ne!(off.dma_bytes, 0, "{nic}: memory was freed before");
}

#[test]
fn nic_is_stopped_then_off_the_bus_then_its_memory_is_freed() {
    for_each_model(|nic| {
        let hosted = start(nic);
        let data = hosted::data(&hosted);
        passes_both_ways(&hosted, &data, 1);
        let report = hosted.stop().unwrap();
        check(nic, report.bus_master_off);
        assert_eq!(report.dma_bytes_left, 0, "{nic}");
    });
}

#[test]
fn start_that_fails_late_takes_the_nic_off_the_bus() {
    for_each_model(|nic| {
        let files = tempfile::tempdir().unwrap();
        let counters = files.path().join("counters.json");
        let output = Command::new(DAEMON)
            .args(["--nic", nic.name(), "--name-taken", "--scheme-dir"])
            .arg(files.path())
            .arg("--counters")
            .arg(&counters)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{nic}: {said}");
        assert!(said.contains("cannot register the scheme"), "{nic}: {said}");
        let report: Report = serde_json::from_slice(&fs::read(counters).unwrap()).unwrap();
        check(nic, report.bus_master_off);
    });
}

#[test]
fn panic_stops_the_nic_and_takes_it_off_the_bus() {
    for_each_model(|nic| {
        let hosted = start(nic);
        let data = hosted::data(&hosted);
        passes_both_ways(&hosted, &data, 1);
        hosted.panic().unwrap();
        // It has ended with the message, which comes last.
        wait_for("the panic", || {
            hosted.log().contains("as a test asked for").then_some(())
        });
        for (register, enable) in [("RCTL", "EN"), ("TCTL", "EN")] {
            let bits = value(&hosted, "registers", register);
            assert!(
                !bits.split(' ').any(|bit| bit == enable),
                "{nic}: {register} {bits}"
            );
        }
        // Where panics abort, nothing follows; here the other threads go on, and the report can be had.
        check(nic, hosted.stop().unwrap().bus_master_off);
    });
}
