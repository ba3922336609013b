//! Scripts of commands that a system carries out while it starts.

use lab_protocol::SCRIPT_MARKER;

/// Where a script is on the image, with a number behind it.
const SCRIPT: &str = "/etc/e1000d-bench.";

/// When a script runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Drivers are there, and no network stack that would take their frames.
    BeforeNetwork,
    /// The network stack is there.
    AfterNetwork,
}

impl Moment {
    /// Its unit.
    pub fn unit(self) -> &'static str {
        match self {
            Self::BeforeNetwork => "/etc/init.d/05_e1000d-bench.service",
            Self::AfterNetwork => "/etc/init.d/20_e1000d-bench.service",
        }
    }

    /// The unit that comes before.
    ///
    /// Init carries units out in the order of their names, but puts one whose requirements are still to come behind all
    /// others. The target of the basic services is such a one, so what requires it comes behind the network stack.
    fn after(self) -> &'static str {
        match self {
            Self::BeforeNetwork => "00_pcid-spawner.service",
            Self::AfterNetwork => "10_net.target",
        }
    }

    fn number(self) -> u8 {
        match self {
            Self::BeforeNetwork => 1,
            Self::AfterNetwork => 2,
        }
    }
}

/// Commands for `lab-agent script`.
pub struct Script {
    pub moment: Moment,
    pub lines: Vec<String>,
}

impl Script {
    /// Its path on the image.
    pub fn path(&self) -> String {
        format!("{SCRIPT}{}", self.moment.number())
    }

    /// The unit that starts it. Init waits for its end.
    pub fn unit(&self) -> String {
        format!(
            r#"[unit]
description = "cargo xtask bench"
requires_weak = ["{}"]

[service]
cmd = "lab-agent"
args = ["script", "{}", "--marker", "{SCRIPT_MARKER}", "--wait", "20"]
type = "oneshot"
"#,
            self.moment.after(),
            self.path()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_is_what_init_reads() {
        let script = Script {
            moment: Moment::AfterNetwork,
            lines: Vec::new(),
        };
        let unit: toml::Table = script.unit().parse().unwrap();
        assert_eq!(unit["service"]["type"].as_str(), Some("oneshot"));
        assert_eq!(unit["service"]["args"][1].as_str(), Some(script.path().as_str()));
        assert_eq!(unit["unit"]["requires_weak"][0].as_str(), Some("10_net.target"));
    }
}
