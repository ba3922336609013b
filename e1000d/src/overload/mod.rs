//! Overload: frames come faster than the system can make use of them.
//!
//! Each rule is bounded, and can be deleted on its own when the condition named with it is met. The rules for readers
//! end when a read finds the ring empty.
//!
//! * **Read budget** ([`ReadBudget`]). When a client of an event queue has read [`BUDGET`] frames in a row, its next
//!   read gets `EAGAIN` although there are frames, and with the same write an event. smolnetd then processes the frames
//!   it has, sends its acknowledgements and serves its programs before it reads on. No frame is lost. This is the NAPI
//!   budget of Linux. *Delete* it when the network stack bounds its own reads.
//! * **Yield to others** ([`Yield`]). It begins when half a budget of frames is waiting at the end of a budget, and the
//!   frames read were not mostly TCP (whose senders wait for acknowledgements, and so for their reader). The thread
//!   that serves requests then yields the processor and polls for requests. If there are none, the reader goes on; this
//!   costs a reader that is alone some ten system calls for each budget, by estimate 2 % of the cost of reading it. If
//!   there is a request, it comes from smolnetd on behalf of a program, since smolnetd polls the driver once for each
//!   request that it serves. That poll finds no frames, so smolnetd serves programs instead of reading frames that its
//!   full sockets would drop. This limits the share of time spent on receiving (Mogul and Ramakrishnan, Eliminating
//!   Receive Livelock in an Interrupt-Driven Kernel, section 7). It ends when there are no more requests, or after
//!   [`YIELD_SHARE`] times the time that the reader had. *Delete* it when the network stack reads no more frames than
//!   it can keep.
//! * **Fair drop** ([`FairDrop`]). If the ring fills up during a yield, frames of the one flow that makes up most of
//!   them are dropped. *Delete* it together with the yield to others.
//! * **Processor yield** ([`CpuYield`]). The scheduler of June 2026 charges only threads that use up their time slice
//!   (kernel, `context/switch.rs`, `select_next_context`). A reader and its driver block before that, so no other
//!   thread runs as long as a flood lasts. So the thread that serves requests yields at the end of each budget, and
//!   after every 256 frames sent. This costs a system call. *Delete* it when the scheduler charges such threads.
//!
//! A process that writes `budget off` to the file `filter` is exempt from budget and yield, and so are blocking reads.

mod cpu_yield;
mod fair_drop;
mod flow;
mod read_budget;
mod yielding;

use std::time::Duration;

use e1000_hw::nic::Nic;
use e1000_hw::platform::{DmaRegion, Registers};

pub use cpu_yield::CpuYield;
pub use fair_drop::FairDrop;
pub use read_budget::{BUDGET, BudgetUse, ReadBudget};
pub use yielding::{IDLE_POLLS, YIELD_SHARE, Yield};

/// Waiting frames at the end of a budget from which on a yield begins: with fewer, the reader soon finds the ring
/// empty.
const BACKLOG: u32 = BUDGET / 2;

/// The rules for one NIC. Readers take frames through it, and have a [`ReadBudget`] each.
#[derive(Debug, Default)]
pub struct Overload {
    /// Yield to others.
    pub others: Yield,
    /// Processor yield.
    pub cpu: CpuYield,
    fair_drop: FairDrop,
}

impl Overload {
    /// Returns true if a frame can be read.
    pub fn has_frame<R: Registers, D: DmaRegion>(&self, nic: &mut Nic<R, D>) -> bool {
        self.fair_drop.has_frame(nic)
    }

    /// Copies the next frame into `out` and returns its length. The part that does not fit is lost.
    pub fn receive<R: Registers, D: DmaRegion>(
        &mut self,
        nic: &mut Nic<R, D>,
        out: &mut [u8],
    ) -> Option<usize> {
        self.fair_drop.receive(nic, out)
    }

    /// Drops all frames, and counts them.
    pub fn discard_all<R: Registers, D: DmaRegion>(&mut self, nic: &mut Nic<R, D>) {
        self.fair_drop.discard_all(nic);
    }

    /// Decides about a read of a client with a budget. Returns true if it is refused, even if there are frames.
    pub fn refuses<R: Registers, D: DmaRegion>(
        &mut self,
        budget_is_spent: bool,
        nic: &mut Nic<R, D>,
        now: impl Fn() -> Duration,
    ) -> bool {
        if self.others.refuses(&now) {
            if self.others.is_used() {
                self.fair_drop.make_room(nic);
            }
            return true;
        }
        let refuses = budget_is_spent && self.has_frame(nic);
        if refuses && self.fair_drop.is_flood() && nic.rx().has_filled(BACKLOG) {
            self.others.begin(now());
        }
        refuses
    }

    /// Records that a client with a budget has read `frame`, one of many in a row.
    pub fn note_reading(&mut self, frame: &[u8], now: impl FnOnce() -> Duration) {
        self.others.note_reading(now);
        self.fair_drop.count(frame);
    }
}
