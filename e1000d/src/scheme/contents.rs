//! Contents of the files: text, one `key value` a line, but for `mac`.

use std::fmt::Write;
use std::time::Duration;

use e1000_hw::link::Link;
use e1000_hw::nic::{MIN_MTU, Nic};
use e1000_hw::platform::{Clock, DmaRegion, Registers};
use e1000_hw::regs::{Ctrl, Rctl, Status, Tctl};
use e1000_hw::warnings::Warnings;

use super::NetworkScheme;
use super::files::{Activity, Description, File, lines};
use super::receive_mode::ReceiveModeRequest;

/// Shortest time between two readings of the hardware's counters, so that a client that reads `stats` in a loop does
/// not slow down the NIC.
const COLLECT_INTERVAL: Duration = Duration::from_millis(500);

impl<R: Registers, D: DmaRegion, C: Clock> NetworkScheme<R, D, C> {
    /// The bytes of a file, for a handle that made `request`.
    pub(super) fn content(&mut self, file: File, request: &ReceiveModeRequest) -> Vec<u8> {
        let text = match file {
            File::Mac => return self.nic.state().mac().0.to_vec(),
            File::Info => info(&self.nic, &self.description),
            File::Link => link(self.nic.state().link()),
            File::Stats => {
                self.collect_statistics();
                stats(&self.nic, self.activity, self.overload.others.refusals())
            }
            File::Mtu => mtu(&self.nic),
            File::Filter => filter(&self.nic, request, &self.handles.receive_mode()),
            File::Hang => hang(&self.nic),
            File::SelfTest => self.self_tests.text(),
            File::Registers => registers(&mut self.nic),
        };
        text.into_bytes()
    }

    fn collect_statistics(&mut self) {
        let now = self.clock.now();
        let age = |time| now.saturating_sub(time);
        if self.collected.is_none_or(|time| age(time) >= COLLECT_INTERVAL) {
            self.nic.diagnostics().collect_statistics();
            self.collected = Some(now);
        }
    }
}

/// The file `info`.
fn info<R: Registers, D: DmaRegion>(nic: &Nic<R, D>, description: &Description) -> String {
    let chip = nic.state().chip();
    let sizes = nic.state().config();
    let quirks: Vec<_> = chip.quirks.iter_names().map(|(name, _)| name).collect();
    lines(&[
        ("driver", format!("e1000d {}", env!("CARGO_PKG_VERSION"))),
        (
            "state",
            if nic.state().is_gone() { "gone" } else { "present" }.to_owned(),
        ),
        ("chip", chip.name.to_owned()),
        ("device", format!("8086:{:04x}", chip.device_id)),
        ("revision", format!("{:#04x}", description.revision)),
        ("mac", nic.state().mac().to_string()),
        ("interrupt", description.interrupts.clone()),
        ("rx_ring", sizes.rx.get().to_string()),
        ("tx_ring", sizes.tx.get().to_string()),
        ("mtu", nic.state().mtu().to_string()),
        ("quirks", quirks.join(" ")),
        ("aspm", or_none(description.aspm.as_deref())),
        (
            "pcix_longest_read",
            or_none(description.pcix_longest_read.as_deref()),
        ),
        ("hazard", or_none(description.hazard)),
        ("warnings", warnings(nic.state().warnings())),
    ])
}

fn or_none(value: Option<&str>) -> String {
    value.unwrap_or("none").to_owned()
}

fn warnings(warnings: Warnings) -> String {
    if warnings.is_empty() {
        "none".to_owned()
    } else {
        warnings.to_string()
    }
}

/// The file `link`.
fn link(link: Link) -> String {
    match link {
        Link::Down => lines(&[("state", "down".to_owned())]),
        Link::Up {
            mbit_s,
            full_duplex,
            pause,
        } => lines(&[
            ("state", "up".to_owned()),
            ("speed", mbit_s.to_string()),
            ("duplex", if full_duplex { "full" } else { "half" }.to_owned()),
            ("pause", pause.to_string()),
        ]),
    }
}

/// The file `stats`: counters of core and daemon, then those of the hardware, as last collected.
fn stats<R: Registers, D: DmaRegion>(nic: &Nic<R, D>, activity: Activity, refused_reads: u64) -> String {
    let (rx, tx, recoveries) = (
        nic.state().rx_counters(),
        nic.state().tx_counters(),
        nic.state().recoveries(),
    );
    let software = [
        ("rx_packets", rx.frames),
        ("rx_bytes", rx.bytes),
        ("rx_errors", rx.errors),
        ("rx_length_errors", rx.bad_length),
        ("rx_over_errors", rx.oversized),
        ("rx_dropped", rx.dropped),
        ("tx_packets", tx.frames),
        ("tx_bytes", tx.bytes),
        ("tx_dropped", tx.dropped),
        ("tx_pending", nic.state().pending_frames().into()),
        ("tx_timeout_count", recoveries.hangs),
        ("tx_flushes", recoveries.flushes),
        ("resets", recoveries.resets),
        ("interrupts", activity.interrupts),
        ("lost_interrupts", activity.lost_interrupts),
        ("link_changes", activity.link_changes),
        ("requests", activity.requests),
        ("refused_reads", refused_reads),
    ];
    let mut text = String::new();
    for (name, value) in software.into_iter().chain(nic.state().statistics().values()) {
        let _ = writeln!(text, "{name} {value}");
    }
    text
}

/// The file `mtu`.
fn mtu<R: Registers, D: DmaRegion>(nic: &Nic<R, D>) -> String {
    lines(&[
        ("mtu", nic.state().mtu().to_string()),
        ("min", MIN_MTU.to_string()),
        ("max", nic.state().max_mtu().to_string()),
    ])
}

/// The file `filter` for a handle that asks for `own`, where all handles together ask for `total`. `vlan_filter` is 1
/// while frames of other VLANs than those are dropped.
fn filter<R: Registers, D: DmaRegion>(
    nic: &Nic<R, D>,
    own: &ReceiveModeRequest,
    total: &ReceiveModeRequest,
) -> String {
    let vlan_filter = u8::from(nic.state().filter().vlan_filter());
    let budget = u8::from(!own.no_budget);
    own.text("")
        + &lines(&[("budget", budget.to_string())])
        + &total.text("total_")
        + &lines(&[("vlan_filter", vlan_filter.to_string())])
}

/// The file `hang`.
fn hang<R: Registers, D: DmaRegion>(nic: &Nic<R, D>) -> String {
    let recoveries = nic.state().recoveries();
    let counts = lines(&[
        ("hangs", recoveries.hangs.to_string()),
        ("phy_hangs", recoveries.phy_hangs.to_string()),
        ("resets", recoveries.resets.to_string()),
        ("failed_resets", recoveries.failed_resets.to_string()),
        ("flushes", recoveries.flushes.to_string()),
    ]);
    match nic.state().last_hang() {
        Some(snapshot) => counts + &snapshot.to_string(),
        None => counts,
    }
}

/// The file `registers`: name, value, and the names of the bits that are set.
fn registers<R: Registers, D: DmaRegion>(nic: &mut Nic<R, D>) -> String {
    let mut text = String::new();
    nic.diagnostics().dump_registers(|name, value| {
        let _ = write!(text, "{name} {value:#010x}");
        for bit in bits(name, value) {
            let _ = write!(text, " {bit}");
        }
        text.push('\n');
    });
    text
}

/// Names of the bits that are set, for registers whose bits have names.
fn bits(register: &str, value: u32) -> Vec<&'static str> {
    match register {
        "CTRL" => Ctrl::from_bits_truncate(value)
            .iter_names()
            .map(|(name, _)| name)
            .collect(),
        "STATUS" => Status::from_bits_truncate(value)
            .iter_names()
            .map(|(name, _)| name)
            .collect(),
        "RCTL" => Rctl::from_bits_truncate(value)
            .iter_names()
            .map(|(name, _)| name)
            .collect(),
        "TCTL" => Tctl::from_bits_truncate(value)
            .iter_names()
            .map(|(name, _)| name)
            .collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use e1000_hw::flow_control::Pause;

    use super::*;

    #[test]
    fn link_is_one_key_and_value_a_line() {
        assert_eq!(link(Link::Down), "state down\n");
        let up = Link::Up {
            mbit_s: 100,
            full_duplex: false,
            pause: Pause::NONE,
        };
        assert_eq!(link(up), "state up\nspeed 100\nduplex half\npause none\n");
    }

    #[test]
    fn bits_are_named() {
        assert_eq!(bits("RCTL", 0x0400_8002), ["EN", "BAM", "SECRC"]);
        assert_eq!(bits("RDH", 0xFFFF_FFFF), [""; 0]);
    }
}
