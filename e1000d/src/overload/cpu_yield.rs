//! Processor yield: the thread that serves requests yields the processor at intervals.

/// Frames sent after which the processor is yielded.
const SENT_PER_YIELD: u32 = 256;

/// Decides when the thread that serves requests yields the processor.
#[derive(Debug, Default)]
pub struct CpuYield {
    /// Frames sent since the last yield that they caused.
    sent: u32,
    due: bool,
}

impl CpuYield {
    /// Counts a frame that a client sent.
    pub fn note_sent(&mut self) {
        self.sent += 1;
        if self.sent >= SENT_PER_YIELD {
            self.sent = 0;
            self.due = true;
        }
    }

    /// Records that a reader has spent its budget.
    pub fn note_budget_spent(&mut self) {
        self.due = true;
    }

    /// Returns true if a yield is due, once.
    pub fn take(&mut self) -> bool {
        std::mem::take(&mut self.due)
    }
}
