//! Overload: frames come faster than the system can make use of them.
//!
//! Each rule is bounded, ends with the first sign that it is not needed, and can be deleted on its own as soon as its
//! reason is gone.
//!
//! * **Read budget** ([`ReadBudget`]). A client of an event queue that has read [`BUDGET`] frames in a row is told once
//!   that there is nothing more, and with the same write that there is. smolnetd then processes what it has, sends its
//!   acknowledgements and serves its programs before it reads on. Nothing is kept back and nothing is lost. Linux calls
//!   the same thing a NAPI budget. *May go* when the network stack bounds its own reads.
//! * **Yield to others** ([`Yield`]). Half a budget more waits at the end of a budget, and what was read is not
//!   mostly TCP (whose senders wait for acknowledgements, and so for their reader): the thread that serves requests
//!   then yields the processor and polls for requests. If there are none, the reader goes on. To be alone costs it
//!   some ten system calls for each budget, by estimate 2 % of the cost of reading it. If there is a request, it is
//!   smolnetd, on behalf of a program: it polls the driver once for each request that it serves. It then finds no
//!   frames, so that it serves programs instead of reading frames that its full sockets would drop. This limits the
//!   share of time that receiving has (Mogul and Ramakrishnan, Eliminating Receive Livelock in an Interrupt-Driven
//!   Kernel, section 7). It ends when there are no more requests, or after [`YIELD_SHARE`] times the time that the
//!   reader had. *May go* when the network stack reads no more than it can keep.
//! * **Fair drop** ([`FairDrop`]). If the ring fills up during a yield, frames of the one flow that makes up most of
//!   them are dropped. *May go* with the yield to others.
//! * **Processor yield** ([`CpuYield`]). June's scheduler accounts only for threads that use up their time slice
//!   (kernel, `context/switch.rs`, `select_next_context`). A reader and its driver, which block before, keep
//!   everybody else from running for as long as a flood lasts. So the thread that serves requests yields at the end
//!   of each budget, and every 256 frames sent. It costs a system call. *May go* when the scheduler accounts for such
//!   threads.
//!
//! A read that finds the ring empty ends all of it. A process that writes `budget off` to the file `filter` is never
//! told that there is nothing while there is something. Blocking reads have neither budget nor yield.

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

/// Frames that wait at the end of a budget for a yield to begin: with fewer, the reader is about to find the end.
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

    /// Decides about a read of a client with a budget: true if it is refused, whether there are frames or not.
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

    /// A client with a budget has read `frame`, one of many in a row.
    pub fn note_reading(&mut self, frame: &[u8], now: impl FnOnce() -> Duration) {
        self.others.note_reading(now);
        self.fair_drop.count(frame);
    }
}
