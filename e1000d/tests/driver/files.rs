//! The files other than that of frames.

use std::thread;

use e1000_hw::fake::Faults;
use e1000_hw::regs;
use e1000_hw::warnings::Warnings;
use libredox::Fd;
use libredox::flag::{O_NONBLOCK, O_RDWR};

use crate::daemon::{Daemon, NAME, open, text};

#[test]
fn self_test_reports_failed_parts_and_those_that_could_not_be_tested() {
    let daemon = Daemon::start();
    daemon.with(|machine, _| {
        machine.set_faults(Faults {
            stuck_bits: Some((regs::RDBAH, 1 << 4)),
            nvm_checksum_wrong: true,
            loopback_damages: true,
            ..Faults::default()
        });
    });
    let file = Fd::open(&format!("/scheme/{NAME}/selftest"), O_RDWR, 0).expect("open");
    assert_eq!(file.write(b"run").expect("started"), 3);
    assert!(text("selftest").starts_with("state running\n"));
    daemon.with(|machine, driver| {
        while driver.scheme().continue_self_test() {
            thread::sleep(driver.scheme().self_test_due().unwrap_or_default());
        }
        machine.set_faults(Faults::default());
    });
    let report = text("selftest");
    for line in [
        "state done",
        "failures 1",
        "result failed",
        "link passed",
        "registers failed: RDBAH (0x2804) reads 0x5a5a5a4a after 0x5a5a5a5a",
        "nvm failed: the checksum of the NVM is wrong",
        "loopback failed: a frame of 60 bytes came back changed",
        "interrupt skipped: interrupts are off",
    ] {
        assert!(report.lines().any(|found| found == line), "{line}: {report}");
    }
    // Its frames pass as before.
    let data = open(O_NONBLOCK);
    daemon.deliver(7);
    assert_eq!(data.read(&mut [0; 100]).expect("a frame"), 60);
}

#[test]
fn text_written_to_a_file_is_bounded() {
    let _daemon = Daemon::start();
    let filter = Fd::open(&format!("/scheme/{NAME}/filter"), O_RDWR, 0).expect("open");
    let write = |len: usize| {
        let text = "promiscuous off\n".repeat(len / 16);
        filter.write(text.as_bytes()).map_err(|error| error.errno())
    };
    assert_eq!(write(16 << 10), Ok(16 << 10));
    assert_eq!(write((16 << 10) + 16), Err(libredox::errno::EMSGSIZE));
}

#[test]
fn warnings_of_a_reset_are_logged_once_and_stay_in_the_file_info() {
    let daemon = Daemon::start();
    assert!(text("info").ends_with("\naspm none\npcix_longest_read none\nhazard none\nwarnings none\n"));
    let warnings = daemon.with(|machine, driver| {
        let scheme = driver.scheme();
        assert_eq!(scheme.take_warnings(), None);
        machine.set_link(false);
        machine.poke_phy(2, 0xFFFF);
        machine.poke_phy(3, 0xFFFF);
        scheme.nic().recovery().restart(machine).expect("a reset");
        [scheme.take_warnings(), scheme.take_warnings()]
    });
    assert_eq!(warnings, [Some(Warnings::PHY_SILENT), None]);
    assert!(text("info").ends_with("\nwarnings the PHY did not answer\n"));
}
