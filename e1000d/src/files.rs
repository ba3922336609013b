//! The scheme's files other than frames.
//!
//! `mac` is six bytes, as the stock driver has it. The others are text, one `key value` a line, as they were when the
//! file was opened; smolnetd knows nothing of them.

use e1000_hw::link::Link;
use e1000_hw::nic::Nic;
use e1000_hw::platform::{DmaRegion, Registers};

/// A file of the scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum File {
    /// The MAC address, 6 bytes.
    Mac,
    /// What the NIC is, and how it is driven.
    Info,
    /// The link.
    Link,
    /// What was counted since start, named as in ethtool.
    Stats,
}

/// What the daemon knows of the NIC beyond what the core does.
#[derive(Clone, Debug, Default)]
pub struct Description {
    /// PCI revision.
    pub revision: u8,
    /// How interrupts get here.
    pub interrupts: String,
}

impl File {
    /// All files, in the order of a listing.
    pub const ALL: [Self; 4] = [Self::Mac, Self::Info, Self::Link, Self::Stats];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mac => "mac",
            Self::Info => "info",
            Self::Link => "link",
            Self::Stats => "stats",
        }
    }

    /// The file of that name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|file| file.name() == name)
    }

    /// Its bytes now.
    pub fn content<R: Registers, D: DmaRegion>(self, nic: &Nic<R, D>, description: &Description) -> Vec<u8> {
        match self {
            Self::Mac => nic.mac().0.to_vec(),
            Self::Info => info(nic, description).into_bytes(),
            Self::Link => link(nic.link()).into_bytes(),
            Self::Stats => stats(nic).into_bytes(),
        }
    }
}

fn lines(pairs: &[(&str, String)]) -> String {
    pairs
        .iter()
        .map(|(key, value)| format!("{key} {value}\n"))
        .collect()
}

fn info<R: Registers, D: DmaRegion>(nic: &Nic<R, D>, description: &Description) -> String {
    let chip = nic.chip();
    let sizes = nic.ring_sizes();
    lines(&[
        ("driver", format!("e1000d {}", env!("CARGO_PKG_VERSION"))),
        ("chip", chip.name.to_owned()),
        ("device", format!("8086:{:04x}", chip.device_id)),
        ("revision", format!("{:#04x}", description.revision)),
        ("mac", nic.mac().to_string()),
        ("interrupt", description.interrupts.clone()),
        ("rx_ring", sizes.rx.get().to_string()),
        ("tx_ring", sizes.tx.get().to_string()),
    ])
}

fn link(link: Link) -> String {
    match link {
        Link::Down => lines(&[("state", "down".to_owned())]),
        Link::Up { mbit_s, full_duplex } => lines(&[
            ("state", "up".to_owned()),
            ("speed", mbit_s.to_string()),
            ("duplex", if full_duplex { "full" } else { "half" }.to_owned()),
        ]),
    }
}

fn stats<R: Registers, D: DmaRegion>(nic: &Nic<R, D>) -> String {
    let (rx, tx) = (nic.rx_counters(), nic.tx_counters());
    let pairs = [
        ("rx_packets", rx.frames),
        ("rx_bytes", rx.bytes),
        ("rx_errors", rx.errors),
        ("rx_length_errors", rx.bad_length),
        ("rx_over_errors", rx.oversized),
        ("tx_packets", tx.frames),
        ("tx_bytes", tx.bytes),
        ("tx_dropped", tx.dropped),
    ];
    lines(&pairs.map(|(key, value)| (key, value.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_is_one_key_and_value_a_line() {
        assert_eq!(link(Link::Down), "state down\n");
        let up = Link::Up {
            mbit_s: 100,
            full_duplex: false,
        };
        assert_eq!(link(up), "state up\nspeed 100\nduplex half\n");
    }

    #[test]
    fn files_are_found_by_name() {
        for file in File::ALL {
            assert_eq!(File::find(file.name()), Some(file));
        }
        assert_eq!(File::find("MAC"), None);
    }
}
