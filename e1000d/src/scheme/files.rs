//! The scheme's files other than frames: what is in them.
//!
//! `mac` is six bytes, as the stock driver has it. The others are text, one `key value` a line; smolnetd knows nothing
//! of them.

use std::fmt::Write;

use e1000_hw::link::Link;
use e1000_hw::nic::{MIN_MTU, Nic};
use e1000_hw::notes::Notes;
use e1000_hw::platform::{DmaRegion, Registers};
use e1000_hw::regs::{Ctrl, Rctl, Status, Tctl};

use crate::redox::config_space::Tuning;
use crate::scheme::receive_mode::Demand;

/// A file of the scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum File {
    /// The MAC address, 6 bytes.
    Mac,
    /// What the NIC is, and how it is driven.
    Info,
    /// The link. An event tells that it changed since it was last read.
    Link,
    /// What was counted since start, named as in ethtool.
    Stats,
    /// The MTU and its limits; takes a new one.
    Mtu,
    /// What passes the receive filter; takes the lines of [`Demand`].
    Filter,
    /// What was done about hangs, and what the NIC looked like at the last one.
    Hang,
    /// The self-test's last report; takes `run`.
    SelfTest,
    /// Registers, as far as reading does not change them.
    Registers,
}

/// What the daemon knows of the NIC beyond what the core does.
#[derive(Clone, Debug, Default)]
pub struct Description {
    /// PCI revision.
    pub revision: u8,
    /// How interrupts get here.
    pub interrupts: String,
    /// They do not: the rings are polled.
    pub polling: bool,
    /// What was found and set in configuration space.
    pub tuning: Tuning,
    /// What is known to be wrong with the part, if it is driven all the same.
    pub hazard: Option<&'static str>,
}

/// What the daemon counts beyond what the core does.
#[derive(Clone, Copy, Debug, Default)]
pub struct Activity {
    /// Interrupts that were this NIC's.
    pub interrupts: u64,
    /// Times that frames had arrived and no interrupt.
    pub lost_interrupts: u64,
    /// Requests of clients.
    pub requests: u64,
    /// Times that the link came or went.
    pub link_changes: u64,
    /// Reads that found no frame because it was the others' turn.
    pub refused_reads: u64,
}

impl File {
    /// All files, in the order of a listing.
    pub const ALL: [Self; 9] = [
        Self::Mac,
        Self::Info,
        Self::Link,
        Self::Stats,
        Self::Mtu,
        Self::Filter,
        Self::Hang,
        Self::SelfTest,
        Self::Registers,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mac => "mac",
            Self::Info => "info",
            Self::Link => "link",
            Self::Stats => "stats",
            Self::Mtu => "mtu",
            Self::Filter => "filter",
            Self::Hang => "hang",
            Self::SelfTest => "selftest",
            Self::Registers => "registers",
        }
    }

    /// The file of that name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|file| file.name() == name)
    }

    /// Whether it takes anything.
    pub fn is_writable(self) -> bool {
        matches!(self, Self::Mtu | Self::Filter | Self::SelfTest)
    }
}

/// `key value` lines.
pub fn lines(pairs: &[(&str, String)]) -> String {
    pairs
        .iter()
        .map(|(key, value)| format!("{key} {value}\n"))
        .collect()
}

/// The file `info`.
pub fn info<R: Registers, D: DmaRegion>(nic: &Nic<R, D>, description: &Description) -> String {
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
        ("aspm", or_none(description.tuning.aspm)),
        ("pcix_longest_read", or_none(description.tuning.longest_read)),
        ("hazard", or_none(description.hazard)),
        ("notes", notes(nic.state().notes())),
    ])
}

fn or_none(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| value.to_string())
}

fn notes(notes: Notes) -> String {
    if notes.is_empty() {
        "none".to_owned()
    } else {
        notes.to_string()
    }
}

/// The file `link`.
pub fn link(link: Link) -> String {
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

/// The file `stats`: what core and daemon count, then what the hardware counts, as last collected.
pub fn stats<R: Registers, D: DmaRegion>(nic: &Nic<R, D>, activity: Activity) -> String {
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
        ("tx_held", nic.state().pending_frames().into()),
        ("tx_timeout_count", recoveries.hangs),
        ("tx_flushes", recoveries.flushes),
        ("resets", recoveries.resets),
        ("interrupts", activity.interrupts),
        ("lost_interrupts", activity.lost_interrupts),
        ("link_changes", activity.link_changes),
        ("requests", activity.requests),
        ("refused_reads", activity.refused_reads),
    ];
    let mut text = String::new();
    for (name, value) in software.into_iter().chain(nic.state().statistics().values()) {
        let _ = writeln!(text, "{name} {value}");
    }
    text
}

/// The file `mtu`.
pub fn mtu<R: Registers, D: DmaRegion>(nic: &Nic<R, D>) -> String {
    lines(&[
        ("mtu", nic.state().mtu().to_string()),
        ("min", MIN_MTU.to_string()),
        ("max", nic.state().max_mtu().to_string()),
    ])
}

/// The MTU that a client wrote: `9000` or `mtu 9000`.
pub fn parse_mtu(text: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let number = text.strip_prefix("mtu ").unwrap_or(text).trim();
    // `parse` would take a sign.
    number
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| number.parse().ok())?
}

/// The file `filter` for a handle that asks for `own` while all together ask for `total`; `vlan_filter` tells whether
/// VLANs that nobody asked for are kept out.
pub fn filter<R: Registers, D: DmaRegion>(nic: &Nic<R, D>, own: &Demand, total: &Demand) -> String {
    let vlan_filter = u8::from(nic.state().filter().vlan_filter());
    let budget = u8::from(!own.no_budget);
    own.text("")
        + &lines(&[("budget", budget.to_string())])
        + &total.text("total_")
        + &lines(&[("vlan_filter", vlan_filter.to_string())])
}

/// The file `hang`.
pub fn hang<R: Registers, D: DmaRegion>(nic: &Nic<R, D>) -> String {
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
pub fn registers<R: Registers, D: DmaRegion>(nic: &mut Nic<R, D>) -> String {
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

/// Names of the bits that are set in the registers that are worth it.
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
    fn files_are_found_by_name() {
        for file in File::ALL {
            assert_eq!(File::find(file.name()), Some(file));
        }
        assert_eq!(File::find("MAC"), None);
    }

    #[test]
    fn mtu_is_a_number_with_or_without_its_key() {
        assert_eq!(parse_mtu(b"9000"), Some(9000));
        assert_eq!(parse_mtu(b"mtu 1500\n"), Some(1500));
        for bad in [
            "",
            "mtu",
            "+1500",
            "-1",
            "1500 1500",
            "mtu1500",
            "0x5dc",
            "99999999999999999999",
        ] {
            assert_eq!(parse_mtu(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn bits_are_named() {
        assert_eq!(bits("RCTL", 0x0400_8002), ["EN", "BAM", "SECRC"]);
        assert_eq!(bits("RDH", 0xFFFF_FFFF), [""; 0]);
    }
}
