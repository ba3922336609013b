//! The end of a case: all frames and requests are accounted for, and nothing is left behind.

use e1000_hw::fake::Faults;
use e1000_hw::regs::{self, Rctl};
use syscall::error::EINTR;

use super::Case;
use super::requests::{self, COST};
use super::script::Script;

impl Case {
    /// Ends the case.
    pub fn end(mut self, script: &mut Script<'_>) {
        self.serve();
        self.end_self_test();
        self.no_frame_is_missing();
        if script.byte() & 1 != 0 {
            let tags = self.kernel.inner().tags();
            for tag in tags {
                let asked = requests::cancel(&mut self.kernel.inner(), tag);
                self.ask(asked);
            }
            self.serve();
            self.kernel.inner().all_was_answered();
        }
        let open: Vec<usize> = self.kernel.inner().open.iter().map(|open| open.id).collect();
        for id in open {
            let asked = requests::close(&mut self.kernel.inner(), id);
            self.ask(asked);
        }
        self.serve();
        self.receive_mode_is_the_default();

        self.kernel.inner().stopping = true;
        self.registers.allow(COST);
        let nic = self.driver.stop(EINTR);
        self.kernel.inner().all_was_answered();
        nic.stop(&self.machine);
        // Without the end of the reset the receiver of 82574 may run on.
        if self.faults == Faults::default() && !self.registers.lied() {
            assert_eq!(self.machine.dma_in_use(), 0);
            assert!(!self.machine.deliver(&[0; 60]), "still receives");
        }
    }

    /// Checks that all received frames can be read, and all frames that were taken were sent.
    fn no_frame_is_missing(&mut self) {
        let was_reset = self.resets.0 != self.resets.1;
        if was_reset && self.resets_fail || self.kernel.inner().gone {
            return;
        }
        let mut frame = vec![0; 17_000];
        if self.kernel.inner().wire.receives_honestly {
            while let Some(len) = self.driver.scheme().take_frame(&mut frame) {
                self.kernel.inner().wire.read(&frame[..len], frame.len());
            }
            let dropped = self.dropped();
            self.kernel.inner().wire.all_was_read(dropped);
        }
        if !self.stalled && !was_reset {
            let nic = self.driver.scheme().nic();
            let waiting = u64::from(nic.state().pending_frames());
            let wire = &self.kernel.inner().wire;
            wire.all_was_sent(nic.state().tx_counters().dropped + waiting);
        }
    }

    /// Checks that no handle is left, and no receive mode that one asked for.
    fn receive_mode_is_the_default(&mut self) {
        let scheme = self.driver.scheme();
        assert_eq!(scheme.open_handles(), 0, "handles that nobody has");
        // A device that is gone is not programmed any more.
        if self.kernel.inner().gone {
            return;
        }
        let filter = scheme.nic().state().filter();
        assert!(!filter.promiscuous() && !filter.all_multicast() && !filter.vlan_filter());
        // A device that is off is programmed with the next reset.
        if self.was_gone || self.registers.lied() || self.resets_fail {
            return;
        }
        let rctl = self.machine.peek(regs::RCTL);
        assert_eq!(
            rctl & (Rctl::UPE | Rctl::MPE | Rctl::VFE).bits(),
            0,
            "RCTL {rctl:#x}"
        );
        let table = (0..128).map(|n| self.machine.peek(regs::MTA + 4 * n));
        assert_eq!(table.filter(|word| *word != 0).count(), 0, "groups in the table");
    }
}
