//! The installed QEMU.

use std::time::Duration;

use qemu_process::{Launch, Monitor, MonitorError, QemuError};
use serde_json::json;

/// More than it takes, also on a machine that has a lot to do.
const LONG: Duration = Duration::from_secs(60);

#[test]
fn monitor_pulls_cables_presses_keys_and_ends_qemu() {
    let place = tempfile::tempdir().unwrap();
    let socket = place.path().join("monitor, with a comma");
    let mut launch = Launch::new();
    launch
        .args(["-machine", "pc", "-accel", "tcg", "-m", "16", "-S"])
        .args(["-nodefaults", "-display", "none", "-netdev", "user,id=net0"])
        .args(["-device", "e1000,netdev=net0,id=nic0"])
        .monitor(&socket);
    let mut qemu = launch.start().unwrap();
    {
        let mut monitor = qemu.monitor(LONG).unwrap();
        monitor.set_link("nic0", false).unwrap();
        let unknown = monitor.set_link("nic1", false);
        assert!(matches!(unknown, Err(MonitorError::Refused { .. })));
        monitor.press("ret").unwrap();
        monitor.go_on().unwrap();
    }
    // The first connection is closed: there is room for another process.
    let mut monitor = Monitor::connect(&socket, LONG).unwrap();
    let status = monitor.execute("query-status", json!({})).unwrap();
    assert_eq!(status["running"], true);
    monitor.quit().unwrap();
    assert!(qemu.wait(LONG).unwrap().success());
}

#[test]
fn words_of_a_qemu_that_ends_at_once_are_in_the_error() {
    let place = tempfile::tempdir().unwrap();
    let mut launch = Launch::new();
    launch
        .args(["-machine", "pc", "-display", "none", "-device", "no-such-nic"])
        .monitor(place.path().join("monitor"));
    let error = launch.start().unwrap().monitor(LONG).unwrap_err();
    assert!(
        matches!(&error, QemuError::Ended { messages, .. } if messages.contains("no-such-nic")),
        "{error}"
    );
}
