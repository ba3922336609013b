//! Receive-mode requests: frames that the owner of a handle of the file `filter` asks for.
//!
//! Written in lines of text: `promiscuous on|off`, `allmulti on|off`, `multicast add|del MAC`, `vlan add|del ID`,
//! `budget on|off`. The NIC is programmed with the union of the requests of all handles. A request ends when its handle
//! is closed, also when its process dies.
//!
//! A VLAN request is a restriction: without one, tagged frames of every VLAN pass. So the VLAN filter is on only while
//! each process that has a handle for frames asks for VLANs; then the VLANs of all of them pass. A process never loses
//! frames because of another one's request. Untagged frames always pass.
//!
//! `budget off` does not concern the NIC. A process that does nothing but read frames writes it to have no read budget
//! ([`crate::overload`]).

use std::collections::BTreeSet;
use std::fmt::Write;

use e1000_hw::ethernet::MacAddress;
use syscall::error::{EINVAL, ENOSPC, Error, Result};

/// Most groups that one handle may ask for.
const MAX_GROUPS: usize = 256;

/// Request of one handle, or the union of several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceiveModeRequest {
    /// Every frame is wanted.
    pub promiscuous: bool,
    /// Frames to all groups are wanted.
    pub all_multicast: bool,
    /// Groups whose frames are wanted.
    pub groups: BTreeSet<[u8; 6]>,
    /// VLANs whose frames are wanted; all, if there are none.
    pub vlans: BTreeSet<u16>,
    /// The process reads frames without a budget.
    pub no_budget: bool,
}

impl ReceiveModeRequest {
    /// Returns this request with the changes of all lines of `text`.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a line that is none of the above, an address that is no group's, or a VLAN that is not 1 to 4094;
    /// `ENOSPC` for more than 256 groups.
    pub fn with(&self, text: &[u8]) -> Result<Self> {
        let invalid = Error::new(EINVAL);
        let mut request = self.clone();
        let text = std::str::from_utf8(text).map_err(|_| invalid)?;
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let mut words = line.split_whitespace();
            match (words.next(), words.next(), words.next(), words.next()) {
                (Some("promiscuous"), Some(state), None, None) => request.promiscuous = switch(state)?,
                (Some("allmulti"), Some(state), None, None) => request.all_multicast = switch(state)?,
                (Some("budget"), Some(state), None, None) => request.no_budget = !switch(state)?,
                (Some("multicast"), Some("add"), Some(group), None) => {
                    request.groups.insert(parse_group(group).ok_or(invalid)?);
                }
                (Some("multicast"), Some("del"), Some(group), None) => {
                    request.groups.remove(&parse_group(group).ok_or(invalid)?);
                }
                (Some("vlan"), Some("add"), Some(id), None) => {
                    request.vlans.insert(parse_vlan(id).ok_or(invalid)?);
                }
                (Some("vlan"), Some("del"), Some(id), None) => {
                    request.vlans.remove(&parse_vlan(id).ok_or(invalid)?);
                }
                _ => return Err(invalid),
            }
        }
        if request.groups.len() > MAX_GROUPS {
            return Err(Error::new(ENOSPC));
        }
        Ok(request)
    }

    /// Adds another request.
    pub fn merge(&mut self, other: &Self) {
        self.promiscuous |= other.promiscuous;
        self.all_multicast |= other.all_multicast;
        self.groups.extend(&other.groups);
        self.vlans.extend(&other.vlans);
    }

    /// `key value` lines, with `prefix` before each key.
    pub fn text(&self, prefix: &str) -> String {
        let mut text = format!(
            "{prefix}promiscuous {}\n{prefix}allmulti {}\n",
            u8::from(self.promiscuous),
            u8::from(self.all_multicast)
        );
        for group in &self.groups {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{prefix}multicast {}", MacAddress(*group));
        }
        for vlan in &self.vlans {
            let _ = writeln!(text, "{prefix}vlan {vlan}");
        }
        text
    }
}

fn switch(state: &str) -> Result<bool> {
    match state {
        "on" | "1" => Ok(true),
        "off" | "0" => Ok(false),
        _ => Err(Error::new(EINVAL)),
    }
}

/// 0 is no VLAN, 4095 is reserved (IEEE 802.1Q).
fn parse_vlan(text: &str) -> Option<u16> {
    // `parse` alone would accept a sign.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let id = digits.then(|| text.parse().ok())?;
    id.filter(|id| (1..=4094).contains(id))
}

fn parse_group(text: &str) -> Option<[u8; 6]> {
    let address: MacAddress = text.parse().ok()?;
    address.is_group().then_some(address.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str) -> Result<ReceiveModeRequest> {
        ReceiveModeRequest::default().with(text.as_bytes())
    }

    #[test]
    fn lines_add_up() {
        let request =
            with("promiscuous on\n\nmulticast add 33:33:ff:12:34:56\nmulticast add 01:00:5e:00:00:FB\n")
                .expect("valid lines");
        assert_eq!(
            request.text(""),
            "promiscuous 1\nallmulti 0\nmulticast 01:00:5e:00:00:fb\nmulticast 33:33:ff:12:34:56\n"
        );
        let request = request
            .with(b"promiscuous off\nallmulti on\nmulticast del 33:33:ff:12:34:56")
            .expect("valid lines");
        assert_eq!(
            request.text("total_"),
            "total_promiscuous 0\ntotal_allmulti 1\ntotal_multicast 01:00:5e:00:00:fb\n"
        );
        let mut both = with("promiscuous on").expect("a valid line");
        both.merge(&request);
        assert!(both.promiscuous && both.all_multicast && both.groups.len() == 1);
    }

    #[test]
    fn vlans_add_up() {
        let request = with("vlan add 100\nvlan add 1\nvlan add 4094\nvlan add 100").expect("valid lines");
        assert_eq!(
            request.text(""),
            "promiscuous 0\nallmulti 0\nvlan 1\nvlan 100\nvlan 4094\n"
        );
        let mut both = with("vlan add 7").expect("a valid line");
        both.merge(&request.with(b"vlan del 1\nvlan del 2").expect("valid lines"));
        assert_eq!(Vec::from_iter(both.vlans), [7, 100, 4094]);
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in [
            "promiscuous",
            "promiscuous maybe",
            "promiscuous on off",
            "multicast 33:33:00:00:00:01",
            "multicast add",
            "multicast add 52:54:00:12:34:56",
            "multicast add 33:33:00:00:00",
            "multicast add 33:33:00:00:00:01:02",
            "multicast add 3:33:00:00:00:01",
            "multicast add +3:33:00:00:00:01",
            "unicast add 33:33:00:00:00:01",
            "vlan 100",
            "vlan add",
            "vlan add 0",
            "vlan add 4095",
            "vlan add 65636",
            "vlan add +5",
            "vlan add 5 6",
            "vlan add x",
        ] {
            assert_eq!(with(bad), Err(Error::new(EINVAL)), "{bad}");
        }
        assert_eq!(
            ReceiveModeRequest::default().with(&[0xFF]),
            Err(Error::new(EINVAL))
        );
    }

    #[test]
    fn groups_are_bounded() {
        let lines = |count: usize| -> String {
            (0..count)
                .map(|n| format!("multicast add 33:33:00:00:{:02x}:{:02x}\n", n >> 8, n & 0xFF))
                .collect()
        };
        assert!(with(&lines(256)).is_ok());
        assert_eq!(with(&lines(257)), Err(Error::new(ENOSPC)));
    }
}
