//! Cost of a call, by groups of calls.

use std::time::Duration;

/// Calls in a group: enough to make the cost of reading the clock negligible, few enough to have many groups.
pub const GROUP: usize = 64;

/// The time of each group of calls.
///
/// Their median is the cost of a call while nothing else happens. A mean would include outliers: a clock tick that is
/// counted twice, which happens on Redox in QEMU, adds 4 ms to one group, and a gap between frames may do the same.
#[derive(Clone, Debug, Default)]
pub struct Groups {
    /// Nanoseconds of one call.
    costs: Vec<f64>,
}

impl Groups {
    /// Adds the time of a group. One without calls has none.
    pub fn add(&mut self, calls: usize, time: Duration) {
        if calls > 0 {
            self.costs.push(time.as_nanos() as f64 / calls as f64);
        }
    }

    /// Number of them.
    pub fn count(&self) -> usize {
        self.costs.len()
    }

    /// The median over the groups of what a call costs, in nanoseconds; `None` if there is no group.
    pub fn median(&self) -> Option<f64> {
        let mut costs = self.costs.clone();
        costs.sort_unstable_by(f64::total_cmp);
        let upper = *costs.get(costs.len() / 2)?;
        let lower = *costs.get(costs.len().saturating_sub(1) / 2)?;
        Some((lower + upper) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_does_not_care_for_outliers() {
        let mut groups = Groups::default();
        assert_eq!(groups.median(), None);
        for nanoseconds in [300, 100, 4_000_000, 200] {
            groups.add(10, Duration::from_nanos(nanoseconds));
        }
        groups.add(0, Duration::from_secs(1));
        assert_eq!(groups.count(), 4);
        assert_eq!(groups.median(), Some(25.0));
        groups.add(10, Duration::ZERO);
        assert_eq!(groups.median(), Some(20.0));
    }
}
