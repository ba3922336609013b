//! Messages, and the switches of MSI and MSI-X.

use super::*;
use crate::channel::tests::{Requests, answering};
use crate::protocol::{PcidError, Request, Response};

#[test]
fn messages_name_processor_and_vector() {
    let message = message(2, 16);
    assert_eq!((message.address, message.data), (0xFEE0_2000, 48));
}

#[test]
fn message_interrupts_that_were_switched_on_in_part_are_switched_off() {
    let unmasked = SetFeature::MsiX {
        function_mask: Some(false),
    };
    let refused = || Response::Error(PcidError::InvalidBitPattern);
    let on = || Response::FeatureEnabled(Feature::MsiX);
    let off = Response::EnabledDevice;
    let asked = [
        Request::EnableFeature(Feature::MsiX),
        Request::SetFeatureInfo(unmasked),
        Request::EnableDevice,
    ];
    // The setting fails; so does pcid's answer to the switch itself.
    let channel = answering([on(), refused(), off.clone()]);
    let error = switch_on(&channel, Feature::MsiX, Some(unmasked)).expect_err("refused");
    assert!(matches!(
        error,
        MessageError::Channel(ChannelError::Refused { .. })
    ));
    assert_eq!(channel.handle().requests(), asked);
    let channel = answering([Response::WriteConfig, off]);
    assert!(switch_on(&channel, Feature::MsiX, Some(unmasked)).is_err());
    assert_eq!(channel.handle().requests(), [asked[0].clone(), asked[2].clone()]);
    // And when that fails, too, it is said.
    let channel = answering([on(), refused(), refused()]);
    let error = switch_on(&channel, Feature::MsiX, Some(unmasked)).expect_err("refused");
    assert!(matches!(error, MessageError::StaysOn { .. }), "{error}");
    // What works stays on.
    let channel = answering([on(), Response::SetFeatureInfo(Feature::MsiX)]);
    assert!(switch_on(&channel, Feature::MsiX, Some(unmasked)).is_ok());
    assert_eq!(channel.handle().requests(), asked[..2]);
}
