//! An adapter as a smoltcp device.

use smoltcp::phy::{Device, DeviceCapabilities, Medium, PcapSink, PcapWriter, RxToken, Tracer, TxToken};
use smoltcp::time::Instant;

use crate::adapter::READ_BUFFER;
use crate::frame::MAX_FRAME;
use crate::{Adapter, Error, FrameIo};

/// A smoltcp [`Device`] over an adapter.
///
/// smoltcp's middleware wraps it: `Tracer` to print frames, `PcapWriter` to save them, `FaultInjector` to
/// lose them.
///
/// ```no_run
/// use netstack_client::{Adapter, Mode, SchemeDevice, adapter};
/// use smoltcp::phy::Tracer;
///
/// # fn main() -> Result<(), netstack_client::Error> {
/// let name = adapter::select(None)?;
/// let adapter = Adapter::open(&name, Mode::NonBlocking)?;
/// let device = Tracer::new(SchemeDevice::new(adapter), |time, packet| eprintln!("{time} {packet}"));
/// # drop(device);
/// # Ok(())
/// # }
/// ```
///
/// A [`Device`] cannot report failures, so they are counted and the last one is kept: see [`TakeError`].
pub struct SchemeDevice<A = Adapter> {
    io: A,
    rx: Box<[u8]>,
    tx: Transmitter,
}

/// Transmit side of the device, which a transmit token borrows together with the adapter.
struct Transmitter {
    /// The frame under construction. smoltcp keeps to the MTU, so its capacity never grows.
    frame: Vec<u8>,
    errors: u64,
    last_error: Option<Error>,
}

/// A device that keeps its last failure, because smoltcp's trait cannot report one.
pub trait TakeError {
    /// Takes the last failure out of the device.
    fn take_error(&mut self) -> Option<Error>;
}

impl<A: FrameIo> SchemeDevice<A> {
    /// Wraps an adapter, which must not block when it has no frame.
    pub fn new(io: A) -> Self {
        Self {
            io,
            rx: vec![0; READ_BUFFER].into_boxed_slice(),
            tx: Transmitter {
                frame: Vec::with_capacity(MAX_FRAME),
                errors: 0,
                last_error: None,
            },
        }
    }

    /// The adapter.
    pub fn io(&self) -> &A {
        &self.io
    }

    /// Number of frames that could not be read or sent.
    pub fn errors(&self) -> u64 {
        self.tx.errors
    }

    /// The last failure.
    pub fn last_error(&self) -> Option<&Error> {
        self.tx.last_error.as_ref()
    }
}

impl Transmitter {
    fn keep(&mut self, error: Error) {
        self.errors += 1;
        self.last_error = Some(error);
    }
}

impl<A> TakeError for SchemeDevice<A> {
    fn take_error(&mut self) -> Option<Error> {
        self.tx.last_error.take()
    }
}

impl<D: Device + TakeError> TakeError for Tracer<D> {
    fn take_error(&mut self) -> Option<Error> {
        self.get_mut().take_error()
    }
}

impl<D: Device + TakeError, S: PcapSink> TakeError for PcapWriter<D, S> {
    fn take_error(&mut self) -> Option<Error> {
        self.get_mut().take_error()
    }
}

impl<A: FrameIo> Device for SchemeDevice<A> {
    type RxToken<'a>
        = Received<'a>
    where
        A: 'a;
    type TxToken<'a>
        = Transmit<'a, A>
    where
        A: 'a;

    fn receive(&mut self, _timestamp: Instant) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        match self.io.read_frame(&mut self.rx) {
            Ok(length) => {
                let frame = self.rx.get(..length?)?;
                Some((
                    Received(frame),
                    Transmit {
                        io: &mut self.io,
                        tx: &mut self.tx,
                    },
                ))
            }
            Err(error) => {
                self.tx.keep(error);
                None
            }
        }
    }

    fn transmit(&mut self, _timestamp: Instant) -> Option<Self::TxToken<'_>> {
        Some(Transmit {
            io: &mut self.io,
            tx: &mut self.tx,
        })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = MAX_FRAME;
        capabilities
    }
}

/// A frame that was received.
pub struct Received<'a>(&'a [u8]);

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

/// The permission to send one frame.
pub struct Transmit<'a, A> {
    io: &'a mut A,
    tx: &'a mut Transmitter,
}

impl<A: FrameIo> TxToken for Transmit<'_, A> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        self.tx.frame.resize(length, 0);
        let result = f(&mut self.tx.frame);
        if let Err(error) = self.io.write_frame(&self.tx.frame) {
            self.tx.keep(error);
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Wire, failure};

    fn send<D: Device>(device: &mut D, frame: &[u8]) {
        let token = device.transmit(Instant::ZERO).unwrap();
        token.consume(frame.len(), |buffer| buffer.copy_from_slice(frame));
    }

    #[test]
    fn frame_sent_on_one_end_is_received_on_the_other() {
        let (left, right) = Wire::pair();
        let (mut left, mut right) = (SchemeDevice::new(left), SchemeDevice::new(right));
        for length in [14, 60, 1514, 15] {
            let frame: Vec<u8> = (0..length).map(|index| index as u8).collect();
            send(&mut left, &frame);
            let (token, _) = right.receive(Instant::ZERO).unwrap();
            token.consume(|received| assert_eq!(received, frame));
        }
        assert!(right.receive(Instant::ZERO).is_none());
        assert!(right.last_error().is_none(), "an empty queue is no error");
    }

    #[test]
    fn failures_are_counted_and_the_last_is_kept() {
        let (wire, _peer) = Wire::pair();
        let mut device = SchemeDevice::new(wire);
        device.io.fail = Some(|| failure(5));
        send(&mut device, &[0; 60]);
        assert!(device.receive(Instant::ZERO).is_none());
        assert_eq!(device.errors(), 2);
        assert_eq!(device.take_error().and_then(|error| error.errno()), Some(5));
        assert!(device.take_error().is_none());
    }

    #[test]
    fn sending_reuses_its_buffer() {
        let (wire, _peer) = Wire::pair();
        let mut device = SchemeDevice::new(wire);
        let before = device.tx.frame.as_ptr();
        for length in [60, 1514, 42] {
            send(&mut device, &vec![1; length]);
        }
        assert_eq!(device.tx.frame.as_ptr(), before);
    }
}
