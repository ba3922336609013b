//! Parts of the benchmark.

use super::network::Step;

/// Part of the benchmark: what is done in one boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Calls on the driver's scheme, without a network stack: one after the other, and bursts.
    Calls,
    /// Readers of a sender that never lets up and is held back, without a network stack.
    Sustained,
    /// The same with one that overruns the ring.
    Overrun,
    /// The part of the network that can be counted in instructions: exchanges, with nothing to wait for in between.
    Exchanges,
    /// Exchanges through the system's own network stack. In wall time, as everything that follows.
    Ping,
    /// Connections, 1 to 16 at once, in each direction and in both.
    Tcp,
    /// Datagrams to the system, at rates below and above what it can take.
    Udp,
    /// A connection beside a flood, and pings beside a connection.
    Mixed,
}

impl Part {
    /// Returns true if the clock may count instructions.
    pub fn is_counted(self) -> bool {
        matches!(
            self,
            Self::Calls | Self::Sustained | Self::Overrun | Self::Exchanges
        )
    }

    /// Steps to do once the system's network is up.
    pub fn steps(self) -> Vec<Step> {
        let tcp = |receivers, senders| Step::Tcp { receivers, senders };
        match self {
            Self::Calls | Self::Sustained | Self::Overrun | Self::Exchanges => Vec::new(),
            Self::Ping => vec![Step::Ping],
            Self::Tcp => vec![
                tcp(1, 0),
                tcp(2, 0),
                tcp(4, 0),
                tcp(8, 0),
                tcp(16, 0),
                tcp(0, 1),
                tcp(0, 4),
                tcp(0, 8),
                tcp(1, 1),
                tcp(4, 4),
            ],
            Self::Udp => {
                let quiet = [1000, 2000, 3000, 4000].map(|rate| (rate, false));
                let flood = [5000, 8000, 20_000].map(|rate| (rate, true));
                let step = |(rate, pings)| Step::Udp { rate, pings };
                quiet.into_iter().chain(flood).map(step).collect()
            }
            Self::Mixed => vec![tcp(1, 0), Step::TcpBesideFlood, Step::PingUnderTcp],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::find;
    use super::*;

    #[test]
    fn each_step_has_a_measure() {
        for part in [Part::Ping, Part::Tcp, Part::Udp, Part::Mixed] {
            for step in part.steps() {
                let name = step.name();
                let found = find(&name).or_else(|| find(&format!("{name}-share")));
                assert!(found.is_some(), "{name}");
            }
        }
    }
}
