use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use libredox::errno::{EINTR, EIO};
use libredox::error::Result;

use super::*;
use crate::protocol::PhandleInterrupt;

/// One line as the kernel keeps it, and what else happens on it.
#[derive(Default)]
struct Line {
    count: Cell<usize>,
    acknowledged: Cell<usize>,
    /// Interrupts of another device that arrive before each write, first write first.
    before_write: RefCell<VecDeque<usize>>,
    /// The line fires before every write.
    storm: bool,
    writes: Cell<usize>,
}

impl Line {
    fn fired(count: usize) -> Self {
        Self {
            count: Cell::new(count),
            ..Self::default()
        }
    }
}

impl Handle for Line {
    fn read(&self, buffer: &mut [u8]) -> Result<usize> {
        if self.acknowledged == self.count {
            return Ok(0);
        }
        buffer.copy_from_slice(&self.count.get().to_ne_bytes());
        Ok(COUNT_SIZE)
    }

    fn write(&self, bytes: &[u8]) -> Result<usize> {
        self.writes.set(self.writes.get() + 1);
        let fired = self
            .before_write
            .borrow_mut()
            .pop_front()
            .unwrap_or(usize::from(self.storm));
        self.count.set(self.count.get().wrapping_add(fired));
        if bytes != self.count.get().to_ne_bytes() {
            return Ok(0);
        }
        self.acknowledged.set(self.count.get());
        Ok(COUNT_SIZE)
    }
}

/// A handle that answers every call with the next of some results.
struct Script(RefCell<VecDeque<Result<usize>>>);

impl Script {
    fn new(results: impl IntoIterator<Item = Result<usize>>) -> IrqLine<Self> {
        IrqLine::from_handle(Self(RefCell::new(results.into_iter().collect())))
    }

    fn next(&self) -> Result<usize> {
        self.0.borrow_mut().pop_front().unwrap()
    }
}

impl Handle for Script {
    fn read(&self, _: &mut [u8]) -> Result<usize> {
        self.next()
    }

    fn write(&self, _: &[u8]) -> Result<usize> {
        self.next()
    }
}

/// Services a line: what came of it, and how often the device was looked at.
fn service(line: &IrqLine<Line>) -> (Serviced, usize) {
    let mut looks = 0;
    let serviced = line.service(|| looks += 1).unwrap();
    (serviced, looks)
}

#[test]
fn quiet_line_is_left_alone() {
    let line = IrqLine::from_handle(Line::default());
    assert_eq!(service(&line), (Serviced::Nothing, 0));
    assert_eq!(line.handle.writes.get(), 0);
}

#[test]
fn interrupt_is_acknowledged_after_the_device_was_looked_at() {
    let line = IrqLine::from_handle(Line::fired(7));
    let serviced = line.service(|| assert_eq!(line.handle.writes.get(), 0)).unwrap();
    assert_eq!(serviced, Serviced::Acknowledged { rounds: 1 });
    assert_eq!(line.handle.acknowledged.get(), 7);
    assert_eq!(service(&line), (Serviced::Nothing, 0));
}

#[test]
fn interrupt_of_another_device_before_the_acknowledgement_brings_another_round() {
    let line = IrqLine::from_handle(Line {
        before_write: RefCell::new([1, 3, 0].into()),
        ..Line::fired(1)
    });
    assert_eq!(service(&line), (Serviced::Acknowledged { rounds: 3 }, 3));
    assert_eq!(line.handle.acknowledged.get(), 5);
}

#[test]
fn line_that_is_always_stale_ends_after_bounded_rounds() {
    let line = IrqLine::from_handle(Line {
        storm: true,
        ..Line::fired(1)
    });
    assert_eq!(
        service(&line),
        (
            Serviced::Stale {
                rounds: SERVICE_ROUNDS
            },
            SERVICE_ROUNDS
        )
    );
}

#[test]
fn count_may_wrap_to_zero() {
    let line = IrqLine::from_handle(Line {
        before_write: RefCell::new([1, 0].into()),
        acknowledged: Cell::new(5),
        ..Line::fired(usize::MAX)
    });
    assert_eq!(service(&line), (Serviced::Acknowledged { rounds: 2 }, 2));
    assert_eq!(line.handle.acknowledged.get(), 0);
}

#[test]
fn count_that_needs_no_acknowledgement_any_more_ends_the_service() {
    let line = Script::new([Ok(COUNT_SIZE), Ok(0), Ok(0)]);
    assert_eq!(line.service(|| {}).unwrap(), Serviced::Acknowledged { rounds: 1 });
}

#[test]
fn signals_do_not_disturb_the_service() {
    let interrupted = || Err(Error::new(EINTR));
    let line = Script::new([
        interrupted(),
        interrupted(),
        Ok(COUNT_SIZE),
        interrupted(),
        Ok(COUNT_SIZE),
    ]);
    assert_eq!(line.service(|| {}).unwrap(), Serviced::Acknowledged { rounds: 1 });
}

#[test]
fn errors_and_odd_lengths_are_told_apart() {
    let io = || Err(Error::new(EIO));
    let service =
        |results: &[Result<usize>]| Script::new(results.iter().copied()).service(|| {}).unwrap_err();
    assert!(matches!(service(&[io()]), InterruptError::Read { error } if error.errno() == EIO));
    assert!(matches!(
        service(&[Ok(COUNT_SIZE), io()]),
        InterruptError::Acknowledge { error } if error.errno() == EIO
    ));
    assert!(matches!(service(&[Ok(1)]), InterruptError::Length { length: 1 }));
    assert!(matches!(
        service(&[Ok(COUNT_SIZE), Ok(3)]),
        InterruptError::Length { length: 3 }
    ));
}

#[test]
fn plain_lines_are_numbered_0_to_15() {
    for irq in 0..=15 {
        let (path, flags) = file(&LegacyInterrupt { irq, phandle: None }).unwrap();
        assert_eq!((path, flags & O_CREAT), (format!("/scheme/irq/{irq}"), 0));
    }
    for irq in [16, 0xff] {
        let error = file(&LegacyInterrupt { irq, phandle: None }).unwrap_err();
        assert!(matches!(error, InterruptError::NoSuchLine { irq: found } if found == irq));
    }
}

#[test]
fn device_tree_line_is_decimal_and_reserved_whatever_the_line_register_says() {
    let cases = [
        (&[33][..], "33"),
        (&[0, 4], "0,4"),
        (&[0, 4, u32::MAX], "0,4,4294967295"),
    ];
    for (specifier, name) in cases {
        let phandle = PhandleInterrupt::new(0x8002, specifier);
        let (path, flags) = file(&LegacyInterrupt { irq: 0xff, phandle }).unwrap();
        assert_eq!(
            (path, flags & O_CREAT),
            (format!("/scheme/irq/phandle-32770/{name}"), O_CREAT)
        );
    }
}
