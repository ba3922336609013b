//! A client of an event queue that reads until it finds no frame.

use std::time::Duration;

use syscall::EventFlags;

use super::Machine;

/// Time from an event to the first read.
const WAKE: Duration = Duration::from_micros(10);

/// The client, which is alone.
pub struct Reader {
    id: usize,
    /// Time of a read.
    read: Duration,
    /// It has an event and reads.
    awake: bool,
    one_for_each_event: bool,
    busy_until: Duration,
    frames: u64,
    refusals: u64,
}

impl Reader {
    pub fn new(machine: &mut Machine, read: Duration) -> Self {
        let id = machine.open();
        machine.subscribe(id, EventFlags::EVENT_READ);
        Self {
            id,
            read,
            awake: false,
            one_for_each_event: false,
            busy_until: Duration::ZERO,
            frames: 0,
            refusals: 0,
        }
    }

    pub fn reads_one_frame_for_each_event(&mut self) {
        self.one_for_each_event = true;
    }

    /// Makes the client do nothing until that time.
    pub fn is_late(&mut self, until: Duration) {
        self.busy_until = until;
    }

    /// Lets the client read until `end`.
    pub fn run(&mut self, machine: &mut Machine, end: Duration) {
        let mut frame = [0; 2048];
        while machine.now() < end {
            if machine.now() < self.busy_until {
                machine.advance_to(self.busy_until.min(end));
                continue;
            }
            if !self.awake {
                if !machine.take_event(self.id) {
                    machine.poll_requests();
                    if !machine.take_event(self.id) {
                        machine.advance_to((machine.now() + WAKE).min(end));
                        continue;
                    }
                }
                machine.pass(WAKE);
                self.awake = true;
            }
            let result = machine.read(self.id, &mut frame);
            machine.pass(self.read);
            self.frames += u64::from(result.is_some());
            self.refusals += u64::from(result.is_none());
            self.awake = result.is_some() && !self.one_for_each_event;
        }
    }

    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Number of reads that found no frame.
    pub fn refusals(&self) -> u64 {
        self.refusals
    }
}
