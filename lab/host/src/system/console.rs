//! Information about the driver in the lines on a system's console.

use lab_protocol::{Event, REPORT_MARKER, SCRIPT_MARKER, STEP_MARKER, Step};
use netstack_client::cli::reports;
use serde::Serialize;

use crate::image::swap::DRIVER_NAME;

/// Information from the console so far.
#[derive(Debug, Default)]
pub struct Findings {
    /// The program that pcid-spawner started for the NIC.
    pub spawned: Option<String>,
    /// The driver's line about itself.
    pub driver: Option<Driver>,
    /// The error with which the driver ended at its start.
    pub failure: Option<String>,
    /// Report of `netstack-client system report` in the system.
    pub network: Option<reports::System>,
    /// The address that dhcpd printed.
    pub lease: Option<String>,
    /// The line of a kernel panic.
    pub panic: Option<String>,
    /// Events of scripts in the system.
    pub events: Vec<Event>,
    /// Lines of a scenario, as `lab-agent scenario` prints them.
    pub steps: Vec<Step>,
    /// The line of a program's panic.
    pub panicked: Option<String>,
}

/// The line of a driver that is up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Driver {
    /// Name of its scheme.
    pub scheme: String,
    /// The NIC, as the driver names it.
    pub chip: Option<String>,
    /// MAC address.
    pub mac: Option<String>,
    /// State of the link, as the driver prints it.
    pub link: Option<String>,
    /// Kind of interrupts, as the driver prints it.
    pub interrupt: Option<String>,
}

impl Findings {
    /// Takes the information from a line.
    pub fn line(&mut self, line: &str) {
        if let Some(program) = between(line, "spawn \"", "\"").and_then(|path| path.rsplit('/').next()) {
            if program == DRIVER_NAME || program == "e1000d" {
                self.spawned = Some(program.to_owned());
            }
        } else if line.contains(SCRIPT_MARKER) {
            // A line that another process wrote into is ignored, here and below.
            self.events
                .extend(lab_protocol::read::<Event>(line, SCRIPT_MARKER));
        } else if line.contains(REPORT_MARKER) {
            self.network = lab_protocol::read(line, REPORT_MARKER);
        } else if line.contains(STEP_MARKER) {
            self.steps.extend(lab_protocol::read::<Step>(line, STEP_MARKER));
        } else if let Some(driver) = ours(line).or_else(|| stock(line)) {
            self.driver = Some(driver);
        } else if let Some(reason) = line.strip_prefix("e1000d: ") {
            self.failure = Some(reason.to_owned());
        } else if line.contains("exited without notifying readiness") && line.contains("/drivers/e1000d") {
            // An error of its own came before this line.
            self.failure.get_or_insert_with(|| "it ended at once".to_owned());
        } else if let Some((_, address)) = line.split_once("DHCP: New IP: ") {
            self.lease = Some(address.trim().to_owned());
        } else if line.contains("KERNEL PANIC") {
            self.panic = Some(line.trim().to_owned());
        } else if line.contains(" panicked at ") {
            self.panicked.get_or_insert_with(|| line.trim().to_owned());
        }
    }
}

/// `INFO pci-0000-00-03.0_e1000: 82540EM rev 0x03, MAC address 52-54-00-12-34-56, link up, 1000 Mbit/s full duplex,
/// interrupt INTx`
fn ours(line: &str) -> Option<Driver> {
    let (_, line) = line.split_once("INFO pci-")?;
    let (name, text) = line.split_once(": ")?;
    let (chip, _) = text.split_once(", MAC address ")?;
    Some(Driver {
        scheme: format!("network.pci-{name}"),
        chip: Some(chip.to_owned()),
        mac: between(text, "MAC address ", ", ").map(|mac| mac.replace('-', ":")),
        link: between(text, ", link ", ", interrupt ").map(str::to_owned),
        interrupt: text
            .split_once(", interrupt ")
            .map(|(_, interrupt)| interrupt.trim().to_owned()),
    })
}

/// `[@e1000d:34 INFO] E1000 pci-0000-00-03.0 on: 0=FEBC0000 1=PC000 IRQ: 10`
fn stock(line: &str) -> Option<Driver> {
    let (_, line) = line.split_once("] E1000 pci-")?;
    let (name, text) = line.split_once(" on: ")?;
    Some(Driver {
        scheme: format!("network.pci-{name}_e1000"),
        interrupt: text
            .split_once("IRQ: ")
            .map(|(_, irq)| format!("INTx, line {}", irq.trim())),
        ..Driver::default()
    })
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let (_, text) = text.split_once(start)?;
    text.split_once(end).map(|(text, _)| text)
}

/// The line without control characters and control sequences of terminals (ECMA-48).
pub fn plain(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        if character != '\x1b' {
            plain.extend((!character.is_control() || character == '\t').then_some(character));
        } else if rest.next() == Some('[') {
            // Parameters, then one byte from @ to ~ that ends it.
            let _ = rest.find(|character| ('@'..='~').contains(character));
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use netstack_client::system::echo::Outcome;

    use super::*;

    fn learn(lines: &[&str]) -> Findings {
        let mut findings = Findings::default();
        lines.iter().for_each(|line| findings.line(line));
        findings
    }

    #[test]
    fn own_driver_is_understood() {
        let findings = learn(&[
            "2026-11-20T08-29-41.856Z [@pcid_spawner:88 INFO] pcid-spawner: spawn \"/scheme/initfs/lib/drivers/ided\"",
            "2026-11-20T08-29-41.856Z [@pcid_spawner:88 INFO] pcid-spawner: spawn \"/usr/lib/drivers/e1000d-new\"",
            "INFO pci-0000-00-02.0_e1000: 82540EM rev 0x03, MAC address 52-54-00-12-34-56, link up, 1000 Mbit/s full \
             duplex, interrupt none, polling",
        ]);
        assert_eq!(findings.spawned.as_deref(), Some("e1000d-new"));
        let driver = findings.driver.unwrap();
        assert_eq!(driver.scheme, "network.pci-0000-00-02.0_e1000");
        assert_eq!(driver.chip.as_deref(), Some("82540EM rev 0x03"));
        assert_eq!(driver.mac.as_deref(), Some("52:54:00:12:34:56"));
        assert_eq!(driver.link.as_deref(), Some("up, 1000 Mbit/s full duplex"));
        assert_eq!(driver.interrupt.as_deref(), Some("none, polling"));
    }

    #[test]
    fn stock_driver_is_understood() {
        let findings = learn(&[
            "[@pcid_spawner:88 INFO] pcid-spawner: spawn \"/usr/lib/drivers/e1000d\"",
            "[@e1000d:34 INFO] E1000 pci-0000-00-02.0 on: 0=FEBC0000 1=PC000 IRQ: 10",
        ]);
        assert_eq!(findings.spawned.as_deref(), Some("e1000d"));
        let driver = findings.driver.unwrap();
        assert_eq!(driver.scheme, "network.pci-0000-00-02.0_e1000");
        assert_eq!(driver.interrupt.as_deref(), Some("INTx, line 10"));
    }

    #[test]
    fn report_lease_failure_and_panic_are_found() {
        let report = reports::System {
            address: Some("10.0.2.15/24".to_owned()),
            ping: Some(Outcome {
                target: Ipv4Addr::new(10, 0, 2, 2),
                transmitted: 4,
                received: 3,
                latency: None,
            }),
            ..reports::System::default()
        };
        let report = format!("{REPORT_MARKER}{}\r", serde_json::to_string(&report).unwrap());
        let findings = learn(&[
            "DHCP: New IP: 10.0.2.15/24",
            "e1000d: pcid: no answer",
            &report,
            "KERNEL PANIC: something",
        ]);
        assert_eq!(findings.lease.as_deref(), Some("10.0.2.15/24"));
        assert_eq!(findings.failure.as_deref(), Some("pcid: no answer"));
        assert_eq!(findings.network.unwrap().ping.unwrap().received, 3);
        assert!(findings.panic.is_some());
    }

    #[test]
    fn steps_and_panics_are_found() {
        let findings = learn(&[
            "E1000D-STEP {\"scenario\":\"boot\",\"step\":\"ping\",\"title\":\"4 of 4\",\"outcome\":\"begin\",\
             \"detail\":\"\",\"ms\":0}",
            "E1000D-STEP {\"scenario\":\"boot\",\"step\":\"ping\",\"title\":\"4 of 4\",\"outcome\":\"fail\",\
             \"detail\":\"3\",\"ms\":5,\"figure\":7}\r",
            "E1000D-STEP {\"scenario\":\"bo",
            "thread 'main' (17) panicked at drivers/net/e1000d/src/main.rs:42:10:",
        ]);
        assert_eq!(findings.steps.len(), 2);
        assert_eq!(findings.steps[0].outcome, lab_protocol::Outcome::Begin);
        assert_eq!(
            (findings.steps[0].figure, findings.steps[1].figure),
            (None, Some(7))
        );
        assert_eq!(findings.steps[1].detail, "3");
        assert!(findings.panicked.is_some());
    }

    #[test]
    fn driver_that_ends_at_once_has_failed() {
        let line = "daemon: \"/usr/lib/drivers/e1000d-new\" exited without notifying readiness";
        assert_eq!(learn(&[line]).failure.as_deref(), Some("it ended at once"));
        assert_eq!(learn(&["e1000d: no", line]).failure.as_deref(), Some("no"));
        assert_eq!(
            learn(&["daemon: \"xhcid\" exited without notifying readiness"]).failure,
            None
        );
    }

    #[test]
    fn noise_is_no_finding() {
        let findings = learn(&[
            "",
            "E1000D-REPORT {\"addr",
            "INFO pci-x: y",
            "spawn \"",
            "] E1000 pci-",
        ]);
        assert!(findings.network.is_none() && findings.driver.is_none() && findings.spawned.is_none());
    }

    #[test]
    fn colours_are_taken_off() {
        assert_eq!(plain(b"\x1b[38;5;8mgrey\x1b[0m \x1b[1;31mred\r\n"), "grey red");
        assert_eq!(plain(b"cut \x1b[3"), "cut ");
    }
}
