//! Read budget: frames that one reader may read in a row.

/// Frames that a client of an event queue reads in a row.
///
/// It is smaller than 128, the number after which smolnetd stops by itself without having found the ring empty. The
/// smaller it is, the sooner a connection beside a flood gets its acknowledgements. The end of a budget costs, by
/// estimate, as much as one frame and a half. Measured with 16, 32 and 64: docs/performance.md.
pub const BUDGET: u32 = 32;

/// Frames of a budget after which a reader counts as busy: with fewer, it may soon find the ring empty.
const MANY: u32 = BUDGET / 4;

/// Budget of one reader.
#[derive(Debug, Default)]
pub struct ReadBudget {
    used: u32,
}

/// State of a budget after a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BudgetUse {
    /// The reader may soon find the ring empty.
    Few,
    /// The reader has read many frames in a row.
    Many,
    /// The frame was the last of the budget.
    Spent,
}

impl ReadBudget {
    /// Counts a frame.
    pub fn use_one(&mut self) -> BudgetUse {
        self.used = self.used.saturating_add(1);
        match self.used {
            BUDGET.. => BudgetUse::Spent,
            MANY.. => BudgetUse::Many,
            _ => BudgetUse::Few,
        }
    }

    /// Returns true if the reader has had all its frames.
    pub fn is_spent(&self) -> bool {
        self.used >= BUDGET
    }

    /// Starts a new budget.
    pub fn renew(&mut self) {
        self.used = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budget_is_so_many_frames_in_a_row() {
        let mut budget = ReadBudget::default();
        for _ in 0..2 {
            let uses: Vec<_> = (0..BUDGET).map(|_| budget.use_one()).collect();
            let count = |wanted| uses.iter().filter(|found| **found == wanted).count();
            assert_eq!(
                (count(BudgetUse::Few), count(BudgetUse::Spent)),
                (MANY as usize - 1, 1)
            );
            assert!(budget.is_spent());
            budget.renew();
            assert!(!budget.is_spent());
        }
    }
}
