//! Interrupts of one NIC: routing, masks, causes.

use super::{Nic, maintenance};
use crate::chip::Moderation;
use crate::interrupt::{Purpose, Routing};
use crate::moderation::{self, Policy};
use crate::platform::{DmaRegion, Registers};
use crate::regs::{self, Causes};

/// Origin of an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// Another device on the same line.
    NotOurs,
    /// These causes, which are now acknowledged.
    Causes(Causes),
    /// Registers read as all ones: the device is gone.
    DeviceGone,
}

/// Interrupts: [`Nic::interrupts`]. No method sleeps: all of them may be called by an interrupt handler.
///
/// A handler calls [`Self::acknowledge`]. The work that follows may be done elsewhere; methods that may sleep, such as
/// [`LinkControl::refresh`](super::LinkControl::refresh), must not be called by a handler.
pub struct InterruptControl<'a, R: Registers, D: DmaRegion> {
    pub(super) nic: &'a mut Nic<R, D>,
}

impl<R: Registers, D: DmaRegion> InterruptControl<'_, R, D> {
    /// Sets the routing of interrupts to vectors. They are masked afterwards.
    ///
    /// Context: any.
    pub fn route(&mut self, routing: Routing) {
        self.nic.route_interrupts(routing);
    }

    /// Unmasks the causes that are always wanted: received frames, lack of buffers, changes of the link. Those of the
    /// transmitter are not among them, because descriptors are reclaimed when a frame needs one. The caller checks for
    /// frames once more afterwards.
    ///
    /// Context: any.
    pub fn enable(&mut self) {
        self.nic.enable_interrupts();
    }

    /// Masks all causes, and clears those that are pending.
    ///
    /// Context: any.
    pub fn disable(&mut self) {
        let nic = &mut *self.nic;
        nic.interrupts_enabled = false;
        nic.device.registers.write(regs::IMC, regs::ALL_ONES);
        nic.routing.acknowledge(&nic.device.registers);
    }

    /// Reads and acknowledges the causes of an interrupt on `vector`, which is 0 except with several MSI-X vectors. At
    /// most two register accesses; none if the vector identifies the cause. The caller checks for frames and room
    /// afterwards, and updates the link state if [`Causes::LSC`] is among the causes.
    ///
    /// Context: any.
    pub fn acknowledge(&mut self, vector: u16) -> Interrupt {
        let nic = &mut *self.nic;
        let purpose = nic.routing.purpose(vector);
        nic.note_fired(purpose);
        let causes = match purpose {
            Purpose::Receive => Causes::RXQ0,
            Purpose::Transmit => Causes::TXQ0,
            Purpose::Any => {
                nic.rx.note_flush();
                match nic.routing.acknowledge(&nic.device.registers) {
                    regs::ALL_ONES => {
                        nic.gone = true;
                        return Interrupt::DeviceGone;
                    }
                    0 => return Interrupt::NotOurs,
                    causes => Causes::from_bits_retain(causes),
                }
            }
        };
        nic.link_suspect |= causes.contains(Causes::LSC);
        nic.maintenance.interrupted(nic.device.chip, causes);
        nic.note_test_interrupt();
        Interrupt::Causes(causes)
    }

    /// Turns interrupts for sent frames on or off: for a caller that got
    /// [`TransmitError::Full`](crate::TransmitError::Full) and waits for room.
    ///
    /// Context: any.
    pub fn set_transmit(&mut self, wanted: bool) {
        self.nic.set_transmit_interrupt(wanted);
    }

    /// Raises the interrupt for a received frame, to test whether it reaches the processor.
    ///
    /// Context: any.
    pub fn raise_test(&mut self) {
        self.nic.raise_test_interrupt();
    }

    /// Sets the interval between two interrupts. Parts without ITR (82543, 82544) have none.
    ///
    /// Context: any.
    pub fn set_moderation(&mut self, policy: Policy) {
        self.nic.moderator.set_policy(policy);
        self.nic.program_interval(self.nic.moderator.interval());
    }

    /// Adapts the interval to the traffic, for [`Policy::Adaptive`]. To be called after each interrupt was served.
    /// Reads no register, and writes one when the class of the traffic has changed. Does nothing during a self-test.
    ///
    /// Context: any.
    pub fn moderate(&mut self) {
        let nic = &mut *self.nic;
        if nic.self_test.is_some() {
            return;
        }
        let (rx, tx) = (nic.rx.counters(), nic.tx.counters());
        if let Some(interval) = nic.moderator.update((rx.frames, rx.bytes), (tx.frames, tx.bytes)) {
            nic.program_interval(interval);
        }
    }
}

impl<R: Registers, D: DmaRegion> Nic<R, D> {
    pub(super) fn route_interrupts(&mut self, routing: Routing) {
        let registers = &self.device.registers;
        registers.write(regs::IMC, regs::ALL_ONES);
        registers.read(regs::STATUS);
        self.routing = routing;
        routing.program(registers, self.moderator.interval());
    }

    pub(super) fn enable_interrupts(&mut self) {
        self.receive_masked = false;
        let causes = self.wanted_causes();
        self.device.registers.write(regs::IMS, causes.bits());
        self.interrupts_enabled = true;
    }

    /// Causes that are wanted now and not held off.
    fn wanted_causes(&self) -> Causes {
        let receive = if self.receive_masked {
            Causes::empty()
        } else {
            self.routing.receive_causes()
        };
        receive | self.routing.other_causes() | maintenance::wanted_causes(self.device.chip)
    }

    /// VirtualBox lowers the line on any write of IMC (`e1kRegWriteIMC`), even if another unmasked cause is pending. A
    /// frame that arrived just before would then wait for the next interrupt. A write of IMS makes VirtualBox evaluate
    /// the causes again (`e1kRegWriteIMS`).
    pub(super) fn set_transmit_interrupt(&mut self, wanted: bool) {
        self.transmit_interrupt = wanted;
        let registers = &self.device.registers;
        let causes = self.routing.transmit_causes().bits();
        if wanted {
            registers.write(regs::IMS, causes);
            return;
        }
        registers.write(regs::IMC, causes);
        if self.interrupts_enabled {
            registers.write(regs::IMS, self.wanted_causes().bits());
        }
    }

    pub(super) fn raise_test_interrupt(&mut self) {
        self.note_fired(Purpose::Receive);
        self.device
            .registers
            .write(regs::ICS, self.routing.receive_causes().bits());
    }

    /// Handles the masking of causes by a vector that has fired (see [`Routing`]). Received frames raise no further
    /// interrupt until [`Rx::complete`](super::Rx::complete) unmasks them; sent frames are unmasked here.
    fn note_fired(&mut self, purpose: Purpose) {
        match purpose {
            Purpose::Receive if self.routing.masks_itself() => self.receive_masked = true,
            Purpose::Transmit if self.transmit_interrupt => self.set_transmit_interrupt(true),
            Purpose::Receive | Purpose::Transmit | Purpose::Any => {}
        }
    }

    fn program_interval(&self, interval: u32) {
        let chip = self.device.chip;
        if chip.limits.moderation != Moderation::Delays {
            let register = self.routing.throttle();
            self.device
                .registers
                .write(register, moderation::for_chip(chip, interval));
        }
    }
}
