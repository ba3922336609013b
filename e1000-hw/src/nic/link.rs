//! The link: its state, and programming the MAC for the negotiated speed, duplex and pause frames.

use core::mem;

use super::{Device, Nic, Power};
use crate::bring_up;
use crate::chip::{Media, Quirks};
use crate::flow_control::{self, Pause};
use crate::k1;
use crate::link::{self, Link};
use crate::phy::{self, Advertise, Phy};
use crate::platform::{Clock, DmaRegion, Registers};
use crate::regs;

/// The link: [`Nic::link`]. Both methods may sleep; [`State::link`](super::State::link) is the state last read.
pub struct LinkControl<'a, R: Registers, D: DmaRegion> {
    pub(super) nic: &'a mut Nic<R, D>,
}

impl<R: Registers, D: DmaRegion> LinkControl<'_, R, D> {
    /// Reads the link state and returns it if it changed. While the link is down, frames to transmit wait in the ring.
    ///
    /// Reads one register. If the link has come up, or an interrupt reported a change, the MAC is programmed for the
    /// result of autonegotiation that the PHY reports (three PHY accesses, half a millisecond; 40 ms if firmware does
    /// not release the PHY). Then frames that were waiting are posted.
    ///
    /// Context: may sleep, up to 40 ms.
    pub fn refresh(&mut self, clock: &impl Clock) -> Option<Link> {
        let nic = &mut *self.nic;
        if nic.self_test.is_some() {
            return None;
        }
        let seen = nic.link_now();
        if !mem::take(&mut nic.link_suspect) && seen.is_like(nic.link) {
            return None;
        }
        let link = nic.program_link(seen, clock);
        let before = mem::replace(&mut nic.link, link);
        if before != link {
            nic.maintenance.link_changed(nic.device.chip);
        }
        nic.tx().post();
        (before != link).then_some(link)
    }

    /// Sets the pause frames that are wanted; after bring-up they are honoured and not sent. Returns the link if it
    /// changed.
    ///
    /// If that changes the advertised abilities, the link renegotiates, for some seconds. The PHY of ICH/PCH is left to
    /// firmware, so pause stays off there.
    ///
    /// Context: may sleep, up to 40 ms.
    pub fn set_pause(&mut self, wanted: Pause, clock: &impl Clock) -> Option<Link> {
        let nic = &mut *self.nic;
        let (registers, chip) = (&nic.device.registers, nic.device.chip);
        let before = mem::replace(&mut nic.pause, wanted);
        if before == wanted {
            return None;
        }
        if before.offer() != wanted.offer() {
            if chip.media != Media::Copper {
                flow_control::offer(registers, wanted);
            }
            nic.warnings |= phy::offer(registers, chip, clock, Advertise { pause: wanted });
        }
        nic.link_suspect = true;
        self.refresh(clock)
    }
}

impl<R: Registers, D: DmaRegion> Nic<R, D> {
    /// Link state from STATUS; down while the device is off or gone.
    pub(super) fn link_now(&mut self) -> Link {
        match self.device.registers.read(regs::STATUS) {
            regs::ALL_ONES => {
                self.gone = true;
                Link::Down
            }
            _ if self.power != Power::On => Link::Down,
            status => Link::from_status(status),
        }
    }

    /// Programs the MAC for the link state from STATUS. Returns it with the negotiated pause frames.
    pub(super) fn program_link(&mut self, seen: Link, clock: &impl Clock) -> Link {
        self.program_k1(seen, clock);
        if !seen.is_up() {
            return seen;
        }
        let Link::Up {
            mbit_s, full_duplex, ..
        } = self.copy_speed(seen, clock)
        else {
            return Link::Down;
        };
        let pause = self.negotiated_pause(full_duplex, clock);
        let link = Link::Up {
            mbit_s,
            full_duplex,
            pause,
        };
        let Device { registers, chip } = &self.device;
        link::program(registers, chip, link);
        flow_control::program(registers, chip, pause, bring_up::max_frame(self.mtu));
        link
    }

    /// Sets the power state K1 between MAC and PHY for this link. Does not access a device that is off or gone.
    fn program_k1(&mut self, seen: Link, clock: &impl Clock) {
        if self.power == Power::On && !self.gone {
            let Device { registers, chip } = &self.device;
            self.warnings |= phy::warning(&k1::link_changed(registers, chip, clock, seen));
        }
    }

    /// Copies the speed of the PHY to a MAC that does not detect it. Returns the link state from STATUS afterwards.
    fn copy_speed(&mut self, seen: Link, clock: &impl Clock) -> Link {
        let Device { registers, chip } = &self.device;
        if chip.media != Media::Copper || !chip.quirks.contains(Quirks::NO_SPEED_DETECTION) {
            return seen;
        }
        let copied = Phy::open(registers, chip, clock).and_then(|phy| phy::copy_speed(registers, &phy));
        self.warnings |= phy::warning(&copied);
        self.link_now()
    }

    /// Negotiated pause frames; none with half duplex.
    fn negotiated_pause(&mut self, full_duplex: bool, clock: &impl Clock) -> Pause {
        if !full_duplex {
            return Pause::NONE;
        }
        let Device { registers, chip } = &self.device;
        let negotiated = flow_control::negotiated(registers, chip, clock, self.pause);
        self.warnings |= phy::warning(&negotiated);
        negotiated.unwrap_or_default()
    }
}
