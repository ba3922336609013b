//! Properties of every message, and of everything that is none.

use proptest::prelude::*;

use super::*;

fn feature() -> impl Strategy<Value = Feature> {
    prop_oneof![Just(Feature::Msi), Just(Feature::MsiX)]
}

fn set_feature() -> impl Strategy<Value = SetFeature> {
    let message = any::<(u64, u32)>().prop_map(|(address, data)| MsiMessage { address, data });
    let msi = (
        any::<Option<u8>>(),
        proptest::option::of(message),
        any::<Option<u32>>(),
    );
    prop_oneof![
        msi.prop_map(
            |(multi_message_enable, address_and_data, mask_bits)| SetFeature::Msi {
                multi_message_enable,
                address_and_data,
                mask_bits
            }
        ),
        any::<Option<bool>>().prop_map(|function_mask| SetFeature::MsiX { function_mask }),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    prop_oneof![
        Just(Request::EnableDevice),
        Just(Request::RequestConfig),
        Just(Request::RequestFeatures),
        Just(Request::RequestVendorCapabilities),
        feature().prop_map(Request::EnableFeature),
        feature().prop_map(Request::FeatureInfo),
        set_feature().prop_map(Request::SetFeatureInfo),
        any::<u16>().prop_map(Request::ReadConfig),
        any::<(u16, u32)>().prop_map(|(offset, value)| Request::WriteConfig { offset, value }),
    ]
}

fn bar() -> impl Strategy<Value = Bar> {
    prop_oneof![
        Just(Bar::None),
        any::<(u32, u32)>().prop_map(|(address, size)| Bar::Memory32 { address, size }),
        any::<(u64, u64)>().prop_map(|(address, size)| Bar::Memory64 { address, size }),
        any::<u16>().prop_map(Bar::Port),
    ]
}

fn function() -> impl Strategy<Value = PciFunction> {
    let address = any::<(u16, u8, u8, u8)>().prop_map(|(segment, bus, device, function)| PciAddress {
        segment,
        bus,
        device,
        function,
    });
    let rom = any::<(u32, u32, bool)>().prop_map(|(address, size, enabled)| Rom {
        address,
        size,
        enabled,
    });
    let phandle = (any::<u32>(), proptest::collection::vec(any::<u32>(), 1..=3))
        .prop_map(|(phandle, specifier)| PhandleInterrupt::new(phandle, &specifier).unwrap());
    let interrupt = (any::<u8>(), proptest::option::of(phandle))
        .prop_map(|(irq, phandle)| LegacyInterrupt { irq, phandle });
    let id =
        any::<(u16, u16, [u8; 4])>().prop_map(|(vendor, device, [class, subclass, prog_if, revision])| {
            PciId {
                vendor,
                device,
                class,
                subclass,
                prog_if,
                revision,
            }
        });
    let bars = proptest::array::uniform6(bar());
    (
        address,
        bars,
        proptest::option::of(rom),
        proptest::option::of(interrupt),
        id,
    )
        .prop_map(|(address, bars, rom, legacy_interrupt, id)| PciFunction {
            address,
            bars,
            rom,
            legacy_interrupt,
            id,
        })
}

fn feature_info() -> impl Strategy<Value = FeatureInfo> {
    prop_oneof![
        any::<(u8, bool, bool)>().prop_map(
            |(log2_multiple_message_capable, is_64_bit, has_per_vector_masking)| FeatureInfo::Msi(MsiInfo {
                log2_multiple_message_capable,
                is_64_bit,
                has_per_vector_masking
            })
        ),
        any::<(u8, u32, u16, u8, u32)>().prop_map(
            |(table_bar, table_offset, table_size, pba_bar, pba_offset)| FeatureInfo::MsiX(MsiXInfo {
                table_bar,
                table_offset,
                table_size,
                pba_bar,
                pba_offset
            })
        ),
    ]
}

fn response() -> impl Strategy<Value = Response> {
    let status = prop_oneof![Just(FeatureStatus::Enabled), Just(FeatureStatus::Disabled)];
    prop_oneof![
        Just(Response::EnabledDevice),
        function().prop_map(Response::Config),
        proptest::collection::vec(feature(), 0..9).prop_map(Response::AllFeatures),
        any::<Vec<Vec<u8>>>().prop_map(Response::VendorCapabilities),
        feature().prop_map(Response::FeatureEnabled),
        (feature(), status).prop_map(|(feature, status)| Response::FeatureStatus(feature, status)),
        feature().prop_map(|feature| Response::Error(PcidError::NonexistentFeature(feature))),
        Just(Response::Error(PcidError::InvalidBitPattern)),
        feature_info().prop_map(Response::FeatureInfo),
        feature().prop_map(Response::SetFeatureInfo),
        any::<u32>().prop_map(Response::ReadConfig),
        Just(Response::WriteConfig),
    ]
}

/// Arbitrary bytes behind a discriminant, so that not all of them end there.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let small = prop_oneof![3 => 0..12_u8, 1 => any::<u8>()];
    (
        any::<u8>().prop_map(|kind| kind % 16),
        proptest::collection::vec(small, 0..160),
    )
        .prop_map(|(kind, rest)| [vec![kind, 0, 0, 0], rest].concat())
}

proptest! {
    #[test]
    fn every_request_survives_the_wire(request in request()) {
        prop_assert_eq!(Request::decode(&request.encode()), Ok(request));
    }

    #[test]
    fn every_response_survives_the_wire(response in response()) {
        prop_assert_eq!(Response::decode(&response.encode()), Ok(response));
    }

    #[test]
    fn a_strict_prefix_of_a_response_is_never_one(response in response(), cut in any::<prop::sample::Index>()) {
        let bytes = response.encode();
        prop_assert!(Response::decode(&bytes[..cut.index(bytes.len())]).is_err());
    }

    #[test]
    fn arbitrary_bytes_never_panic(any in any::<Vec<u8>>(), message in message()) {
        for bytes in [any, message] {
            let _ = Request::decode(&bytes);
            let _ = PciFunction::decode(&bytes);
            let _ = frame_length(*bytes.first_chunk().unwrap_or(&[0xff; 8]));
            if let Ok(response) = Response::decode(&bytes) {
                prop_assert!(response.encode().len() <= bytes.len());
            }
        }
    }
}
