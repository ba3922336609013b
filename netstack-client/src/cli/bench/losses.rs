//! Received frames that reached no reader, as the driver counts them.

use crate::{AdapterName, Result, adapter};

use crate::cli::keyed::Keyed;

/// Counters of the driver, if it has any: frames that it drops itself, and those for which the NIC has no room.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Losses {
    pub dropped: u64,
    pub missed: u64,
}

impl Losses {
    /// `None` if the driver has no file of that kind.
    pub fn read(name: &AdapterName) -> Result<Option<Self>> {
        Ok(adapter::text_file(name, "stats")?.and_then(|text| Self::of(&Keyed::parse(&text))))
    }

    fn of(stats: &Keyed) -> Option<Self> {
        stats.get("rx_dropped")?;
        Some(Self {
            dropped: stats.number("rx_dropped"),
            missed: stats.number("rx_missed_errors"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_known_where_the_driver_counts_them() {
        let stats = Keyed::parse("rx_packets 5\nrx_dropped 7\nrx_missed_errors 2\n");
        assert_eq!(
            Losses::of(&stats),
            Some(Losses {
                dropped: 7,
                missed: 2
            })
        );
        assert_eq!(Losses::of(&Keyed::parse("rx_packets 5\n")), None);
    }
}
