use std::cell::RefCell;
use std::collections::VecDeque;

use libredox::errno::{EINTR, EINVAL, EIO};
use libredox::error::{Error, Result};
use proptest::prelude::*;

use super::*;
use crate::protocol::{FRAME_LIMIT, MsiInfo, MsiMessage, PciAddress, PciId, frame};

/// pcid's end: answers by script, keeps the requests, insists on the alternation as pcid does.
#[derive(Default)]
struct Fake {
    /// Bytes that each request puts into the queue that reads drain.
    answers: RefCell<VecDeque<Vec<u8>>>,
    unread: RefCell<VecDeque<u8>>,
    requests: RefCell<Vec<Request>>,
    /// Most bytes given by one read; 0 is no limit.
    piece: usize,
    /// Results that come before anything is done, of writes and of reads.
    write_results: RefCell<VecDeque<Result<usize>>>,
    read_results: RefCell<VecDeque<Result<usize>>>,
}

impl Handle for Fake {
    fn read(&self, buffer: &mut [u8]) -> Result<usize> {
        if let Some(result) = self.read_results.borrow_mut().pop_front() {
            return result;
        }
        let mut unread = self.unread.borrow_mut();
        let limit = if self.piece == 0 {
            buffer.len()
        } else {
            self.piece.min(buffer.len())
        };
        let count = limit.min(unread.len());
        for (byte, value) in buffer.iter_mut().zip(unread.drain(..count)) {
            *byte = value;
        }
        Ok(count)
    }

    fn write(&self, bytes: &[u8]) -> Result<usize> {
        if let Some(result) = self.write_results.borrow_mut().pop_front() {
            return result;
        }
        let request = Request::decode(bytes).map_err(|_| Error::new(EINVAL))?;
        if !self.unread.borrow().is_empty() {
            return Err(Error::new(EINVAL));
        }
        self.requests.borrow_mut().push(request);
        self.unread
            .borrow_mut()
            .extend(self.answers.borrow_mut().pop_front().unwrap_or_default());
        Ok(bytes.len())
    }
}

/// A channel whose end answers so, for tests of other modules.
pub(crate) fn answering(answers: impl IntoIterator<Item = Response>) -> Channel<impl Handle + Requests> {
    channel(answers)
}

/// Requests made through a handle.
pub(crate) trait Requests {
    fn requests(&self) -> Vec<Request>;
}

impl Requests for Fake {
    fn requests(&self) -> Vec<Request> {
        self.requests.borrow().clone()
    }
}

fn channel(answers: impl IntoIterator<Item = Response>) -> Channel<Fake> {
    raw_channel(answers.into_iter().map(|answer| frame(&answer.encode())))
}

fn raw_channel(answers: impl IntoIterator<Item = Vec<u8>>) -> Channel<Fake> {
    let answers = RefCell::new(answers.into_iter().collect());
    Channel::from_handle(Fake {
        answers,
        ..Fake::default()
    })
}

impl Channel<Fake> {
    fn requests(&self) -> Vec<Request> {
        self.handle.requests.borrow().clone()
    }
}

fn function() -> PciFunction {
    PciFunction {
        address: PciAddress {
            segment: 0,
            bus: 0,
            device: 3,
            function: 0,
        },
        bars: [crate::protocol::Bar::None; 6],
        rom: None,
        legacy_interrupt: None,
        id: PciId {
            vendor: 0x8086,
            device: 0x100e,
            class: 2,
            subclass: 0,
            prog_if: 0,
            revision: 3,
        },
    }
}

#[test]
fn each_call_sends_its_request_and_takes_its_answer() {
    let info = FeatureInfo::Msi(MsiInfo {
        log2_multiple_message_capable: 0,
        is_64_bit: true,
        has_per_vector_masking: false,
    });
    let set = SetFeature::Msi {
        multi_message_enable: Some(0),
        address_and_data: Some(MsiMessage {
            address: 0xfee0_0000,
            data: 0x31,
        }),
        mask_bits: None,
    };
    let channel = channel([
        Response::Config(function()),
        Response::EnabledDevice,
        Response::ReadConfig(0x100e_8086),
        Response::WriteConfig,
        Response::AllFeatures(vec![Feature::Msi]),
        Response::VendorCapabilities(vec![vec![1, 2]]),
        Response::FeatureInfo(info),
        Response::SetFeatureInfo(Feature::Msi),
        Response::FeatureEnabled(Feature::Msi),
    ]);
    assert_eq!(channel.config().unwrap(), function());
    channel.enable_device().unwrap();
    assert_eq!(channel.read_config(0).unwrap(), 0x100e_8086);
    channel.write_config(0xfc, 5).unwrap();
    assert_eq!(channel.features().unwrap(), [Feature::Msi]);
    assert_eq!(channel.vendor_capabilities().unwrap(), [[1, 2]]);
    assert_eq!(channel.feature_info(Feature::Msi).unwrap(), info);
    channel.set_feature_info(set).unwrap();
    channel.enable_feature(Feature::Msi).unwrap();
    assert_eq!(
        channel.requests(),
        [
            Request::RequestConfig,
            Request::EnableDevice,
            Request::ReadConfig(0),
            Request::WriteConfig {
                offset: 0xfc,
                value: 5
            },
            Request::RequestFeatures,
            Request::RequestVendorCapabilities,
            Request::FeatureInfo(Feature::Msi),
            Request::SetFeatureInfo(set),
            Request::EnableFeature(Feature::Msi),
        ]
    );
}

#[test]
fn bus_master_bit_alone_changes_and_status_bits_stay_uncleared() {
    for (on, before, written) in [
        (true, 0xf8b0_0103, 0x0107),
        (true, 0x0010_0107, 0x0107),
        (false, 0xf8b0_0507, 0x0503),
        (false, 0x0010_0003, 0x0003),
    ] {
        let channel = channel([Response::ReadConfig(before), Response::WriteConfig]);
        channel.set_bus_master(on).unwrap();
        let expected = [
            Request::ReadConfig(4),
            Request::WriteConfig {
                offset: 4,
                value: written,
            },
        ];
        assert_eq!(channel.requests(), expected);
    }
}

#[test]
fn offset_that_would_end_pcid_is_not_sent() {
    let channel = channel([]);
    for offset in [1, 2, 3, 0xfe, 0x100, 0x104, 0xffc, u16::MAX] {
        let write = Request::WriteConfig { offset, value: 0 };
        for result in [
            channel.read_config(offset).map(drop),
            channel.write_config(offset, 0),
            channel.request(&Request::ReadConfig(offset)).map(drop),
            channel.request(&write).map(drop),
        ] {
            assert!(matches!(result, Err(ChannelError::BadOffset { offset: bad }) if bad == offset));
        }
    }
    assert_eq!(channel.requests(), []);
}

#[test]
fn answer_may_come_in_pieces() {
    for piece in 1..20 {
        let mut channel = channel([Response::Config(function()), Response::EnabledDevice]);
        channel.handle.piece = piece;
        assert_eq!(channel.config().unwrap(), function());
        channel.enable_device().unwrap();
    }
}

#[test]
fn signals_do_not_disturb_a_request() {
    let interrupted = || Err(Error::new(EINTR));
    let channel = channel([Response::WriteConfig]);
    channel
        .handle
        .write_results
        .borrow_mut()
        .extend([interrupted(), interrupted()]);
    channel.handle.read_results.borrow_mut().extend([interrupted()]);
    channel.write_config(0, 0).unwrap();
    assert_eq!(channel.requests().len(), 1);
}

#[test]
fn answer_of_another_kind_is_unexpected() {
    let channel = channel([
        Response::WriteConfig,
        Response::FeatureEnabled(Feature::MsiX),
        Response::SetFeatureInfo(Feature::Msi),
    ]);
    let error = channel.config().unwrap_err();
    assert_eq!(error.to_string(), "pcid answered RequestConfig with WriteConfig");
    // The right kind, but of the other feature.
    let error = channel.enable_feature(Feature::Msi).unwrap_err();
    assert!(matches!(error, ChannelError::Unexpected { .. }));
    let error = channel
        .set_feature_info(SetFeature::MsiX { function_mask: None })
        .unwrap_err();
    assert!(matches!(error, ChannelError::Unexpected { .. }));
}

#[test]
fn refusal_keeps_pcids_reason_and_the_channel_usable() {
    let refusal = PcidError::NonexistentFeature(Feature::MsiX);
    let channel = channel([Response::Error(refusal), Response::EnabledDevice]);
    let error = channel.feature_info(Feature::MsiX).unwrap_err();
    assert!(matches!(error, ChannelError::Refused { error, .. } if error == refusal));
    assert_eq!(
        error.to_string(),
        "pcid refused FeatureInfo: the function has no MSI-X capability"
    );
    channel.enable_device().unwrap();
}

#[test]
fn overlong_answer_is_refused_by_its_length() {
    for length in [FRAME_LIMIT as u64 + 1, u64::MAX] {
        let channel = raw_channel([length.to_le_bytes().to_vec()]);
        let error = channel.config().unwrap_err();
        let ChannelError::Decode { error, .. } = error else {
            panic!("{length} is too long")
        };
        assert_eq!(error, DecodeError::FrameTooLong { length });
    }
}

#[test]
fn answer_that_is_none_is_a_decode_error() {
    let channel = raw_channel([frame(&[]), frame(&[99, 0, 0, 0])]);
    let error = channel.config().unwrap_err();
    assert!(matches!(
        error,
        ChannelError::Decode {
            error: DecodeError::Truncated { .. },
            ..
        }
    ));
    let error = channel.config().unwrap_err();
    assert!(matches!(
        error,
        ChannelError::Decode {
            error: DecodeError::UnknownDiscriminant { value: 99, .. },
            ..
        }
    ));
}

#[test]
fn channel_that_ends_is_told_from_one_that_fails() {
    let whole = frame(&Response::ReadConfig(1).encode());
    for length in 0..whole.len() {
        let channel = raw_channel([whole[..length].to_vec()]);
        let (received, expected) = if length < 8 { (length, 8) } else { (length - 8, 8) };
        let error = channel.read_config(0).unwrap_err();
        assert!(
            matches!(error, ChannelError::EndOfFile { received: r, length: l, .. } if (r, l) == (received, expected)),
        );
    }
    let failing = channel([]);
    failing
        .handle
        .read_results
        .borrow_mut()
        .push_back(Err(Error::new(EIO)));
    let error = failing.config().unwrap_err();
    assert!(matches!(error, ChannelError::Read { error, .. } if error.errno() == EIO));
}

#[test]
fn request_that_is_not_taken_whole_is_an_error() {
    let channel = channel([]);
    channel
        .handle
        .write_results
        .borrow_mut()
        .extend([Ok(3), Err(Error::new(EIO))]);
    let error = channel.config().unwrap_err();
    assert!(matches!(
        error,
        ChannelError::ShortWrite {
            written: 3,
            length: 4,
            ..
        }
    ));
    let error = channel.config().unwrap_err();
    assert!(matches!(error, ChannelError::Write { error, .. } if error.errno() == EIO));
}

proptest! {
    #[test]
    fn arbitrary_answers_never_panic(body in any::<Vec<u8>>(), framed in any::<bool>(), piece in 0..9_usize) {
        let mut channel = raw_channel([if framed { frame(&body) } else { body }]);
        channel.handle.piece = piece;
        let _ = channel.request(&Request::RequestConfig).is_ok();
    }
}

#[test]
fn request_while_another_waits_is_refused_and_not_sent() {
    let channel = channel([Response::ReadConfig(0x0010_0107)]);
    channel.waiting.store(true, Ordering::Relaxed);
    assert!(matches!(channel.set_bus_master(false), Err(ChannelError::Busy)));
    assert_eq!(channel.requests(), []);
    channel.waiting.store(false, Ordering::Relaxed);
    assert!(channel.read_config(4).is_ok());
    // Also after one that failed.
    assert!(matches!(
        channel.read_config(4),
        Err(ChannelError::EndOfFile { .. })
    ));
    assert!(matches!(
        channel.read_config(4),
        Err(ChannelError::EndOfFile { .. })
    ));
}
