//! Medians and ranges.

use serde::Serialize;

/// Values that several runs have measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Summary {
    pub runs: usize,
    pub median: f64,
    pub lowest: f64,
    pub highest: f64,
}

impl Summary {
    /// `None` if there is no value that is a number.
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let lower = *sorted.get(sorted.len().saturating_sub(1) / 2)?;
        let upper = *sorted.get(sorted.len() / 2)?;
        Some(Self {
            runs: sorted.len(),
            median: (lower + upper) / 2.0,
            lowest: *sorted.first()?,
            highest: *sorted.last()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_an_even_number_lies_between() {
        let summary = Summary::of(&[4.0, 1.0, 3.0, 2.0]).unwrap();
        assert_eq!(
            summary,
            Summary {
                runs: 4,
                median: 2.5,
                lowest: 1.0,
                highest: 4.0
            }
        );
        assert_eq!(Summary::of(&[7.0]).unwrap().median, 7.0);
    }

    #[test]
    fn nothing_has_no_median() {
        assert_eq!(Summary::of(&[]), None);
        assert_eq!(Summary::of(&[f64::NAN, f64::INFINITY]), None);
        assert_eq!(Summary::of(&[f64::NAN, 1.0]).unwrap().runs, 1);
    }
}
