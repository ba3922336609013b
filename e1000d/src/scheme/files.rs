//! The scheme's files other than that of frames.
//!
//! `mac` is six bytes, as in the stock driver. The others are text, one `key value` a line; smolnetd does not use them.

/// A file of the scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum File {
    /// The MAC address, 6 bytes.
    Mac,
    /// Chip, interrupts and settings.
    Info,
    /// The link. Subscribers are notified of a change.
    Link,
    /// Counters since start, named as in ethtool.
    Stats,
    /// The MTU and its limits; a write sets it.
    Mtu,
    /// The receive mode; a write makes a request (`receive_mode`).
    Filter,
    /// Recoveries from hangs, and a snapshot of the last one.
    Hang,
    /// Report of the last self-test; a write of `run` starts one.
    SelfTest,
    /// Registers that reading does not change.
    Registers,
}

/// Facts about the NIC that the core does not know.
#[derive(Clone, Debug, Default)]
pub struct Description {
    /// PCI revision.
    pub revision: u8,
    /// Kind of interrupt in use.
    pub interrupts: String,
    /// The rings are polled because there is no interrupt.
    pub polling: bool,
    /// Link power management of a PCIe function.
    pub aspm: Option<String>,
    /// Bytes of the longest read of a PCI-X function.
    pub pcix_longest_read: Option<String>,
    /// Known defect of the part, if it is driven because of `--force`.
    pub hazard: Option<&'static str>,
}

/// Counters of the daemon.
#[derive(Clone, Copy, Debug, Default)]
pub struct Activity {
    /// Interrupts of this NIC.
    pub interrupts: u64,
    /// Number of times that frames arrived without an interrupt.
    pub lost_interrupts: u64,
    /// Requests of clients.
    pub requests: u64,
    /// Changes of the link.
    pub link_changes: u64,
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

    /// Name of the file.
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

    /// Finds a file by its name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|file| file.name() == name)
    }

    /// Returns true if the file can be written.
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

/// Parses the MTU that a client wrote: `9000` or `mtu 9000`.
pub fn parse_mtu(text: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let number = text.strip_prefix("mtu ").unwrap_or(text).trim();
    // `parse` alone would accept a sign.
    number
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| number.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
