//! Interrupts of one NIC: how they reach the processor, which are wanted, what one is about.

use super::{Nic, upkeep};
use crate::interrupt::{Purpose, Routing};
use crate::platform::{DmaRegion, Registers};
use crate::regs::{self, Causes};

/// What an interrupt was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// Another device on the same line.
    NotOurs,
    /// These causes, which are now acknowledged.
    Causes(Causes),
    /// Registers read as all ones: the device is gone.
    DeviceGone,
}

impl<R: Registers, D: DmaRegion> Nic<R, D> {
    /// Decides how interrupts reach the processor. They are masked afterwards.
    pub fn route_interrupts(&mut self, routing: Routing) {
        let registers = &self.device.registers;
        registers.write(regs::IMC, regs::ALL_ONES);
        registers.read(regs::STATUS);
        self.routing = routing;
        routing.program(registers, self.moderator.interval());
    }

    /// How interrupts reach the processor.
    pub fn routing(&self) -> Routing {
        self.routing
    }

    /// Unmasks the causes that are always wanted: frames arrived, or could not; the link changed. Those of the
    /// transmitter are not: descriptors are taken back when the next frame needs one. The caller looks for frames
    /// once more afterwards.
    pub fn enable_interrupts(&mut self) {
        self.receive_masked = false;
        let causes = self.wanted_causes();
        self.device.registers.write(regs::IMS, causes.bits());
        self.interrupts_enabled = true;
    }

    /// Causes that are always wanted and not held off.
    fn wanted_causes(&self) -> Causes {
        let receive = if self.receive_masked {
            Causes::empty()
        } else {
            self.routing.receive_causes()
        };
        receive | self.routing.other_causes() | upkeep::wanted_causes(self.device.chip)
    }

    /// Raises an interrupt as if a frame had arrived, to see whether it comes through.
    pub fn raise_test_interrupt(&mut self) {
        self.note_fired(Purpose::Receive);
        self.device
            .registers
            .write(regs::ICS, self.routing.receive_causes().bits());
    }

    /// Masks all causes, and forgets those that are pending.
    pub fn disable_interrupts(&mut self) {
        self.interrupts_enabled = false;
        self.device.registers.write(regs::IMC, regs::ALL_ONES);
        self.routing.acknowledge(&self.device.registers);
    }

    /// Asks for an interrupt, or stops asking, when descriptors were sent: for a caller that met
    /// [`TransmitError::Full`](crate::tx::TransmitError::Full).
    ///
    /// VirtualBox lowers the line on any write of IMC (`e1kRegWriteIMC`), whatever else is pending and wanted: a frame that
    /// came just before would be noticed with the next one. Writing IMS has it look again (`e1kRegWriteIMS`).
    pub fn set_transmit_interrupt(&mut self, wanted: bool) {
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

    /// An interrupt was served, and frames are still waiting to be read.
    ///
    /// The first time, that is how it should be: the reader was just told. The second time without the ring having
    /// been empty in between, further interrupts would only slow the reader down: they are held off until
    /// [`Self::next_frame_len`] finds none. One register write then.
    pub fn frames_left_waiting(&mut self) {
        if self.backlog && !self.receive_masked {
            self.receive_masked = true;
            self.device
                .registers
                .write(regs::IMC, self.routing.receive_causes().bits());
        }
        self.backlog = true;
    }

    /// A vector of its own may have masked its cause when it fired (see [`Routing`]): received frames raise no further
    /// interrupt until [`Self::next_frame_len`] finds none and unmasks them; sent ones are unmasked here.
    fn note_fired(&mut self, purpose: Purpose) {
        match purpose {
            Purpose::Receive if self.routing.masks_itself() => self.receive_masked = true,
            Purpose::Transmit if self.transmit_interrupt => self.set_transmit_interrupt(true),
            Purpose::Receive | Purpose::Transmit | Purpose::Any => {}
        }
    }

    fn acknowledge(&mut self) -> u32 {
        self.rx.note_flush();
        self.routing.acknowledge(&self.device.registers)
    }

    /// Reads, and so acknowledges, what the interrupt on `vector` is about (0 but for MSI-X with several). At most
    /// two register accesses; none where the vector says all. The caller looks for frames and room afterwards.
    pub fn interrupt(&mut self, vector: u16) -> Interrupt {
        let purpose = self.routing.purpose(vector);
        self.note_fired(purpose);
        match purpose {
            Purpose::Receive => Interrupt::Causes(Causes::RXQ0),
            Purpose::Transmit => Interrupt::Causes(Causes::TXQ0),
            Purpose::Any => match self.acknowledge() {
                regs::ALL_ONES => {
                    self.gone = true;
                    Interrupt::DeviceGone
                }
                0 => Interrupt::NotOurs,
                causes => {
                    let causes = Causes::from_bits_retain(causes);
                    self.link_suspect |= causes.contains(Causes::LSC);
                    self.upkeep.interrupted(self.device.chip, causes);
                    Interrupt::Causes(causes)
                }
            },
        }
    }
}
