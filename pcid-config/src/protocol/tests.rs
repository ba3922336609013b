//! The golden vectors were made with bincode 1.3.3 from the types of redox base (June 2026).

use super::*;

const E1000: PciFunction = PciFunction {
    address: PciAddress {
        segment: 0,
        bus: 0,
        device: 3,
        function: 0,
    },
    bars: [
        Bar::Memory32 {
            address: 0xfeb8_0000,
            size: 0x2_0000,
        },
        Bar::Port(0xc000),
        Bar::None,
        Bar::None,
        Bar::None,
        Bar::None,
    ],
    rom: Some(Rom {
        address: 0,
        size: 0x4_0000,
        enabled: false,
    }),
    legacy_interrupt: Some(LegacyInterrupt {
        irq: 11,
        phandle: None,
    }),
    id: PciId {
        vendor: 0x8086,
        device: 0x100e,
        class: 2,
        subclass: 0,
        prog_if: 0,
        revision: 3,
    },
};

fn bytes(hex: &str) -> Vec<u8> {
    hex.split_whitespace()
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect()
}

fn golden_requests() -> Vec<(Request, Vec<u8>)> {
    let message = MsiMessage {
        address: 0xfee0_0000,
        data: 0x31,
    };
    let set_msi = SetFeature::Msi {
        multi_message_enable: Some(0),
        address_and_data: Some(message),
        mask_bits: None,
    };
    [
        (Request::EnableDevice, "00 00 00 00"),
        (Request::RequestConfig, "01 00 00 00"),
        (Request::FeatureInfo(Feature::MsiX), "05 00 00 00 01 00 00 00"),
        (Request::EnableFeature(Feature::MsiX), "04 00 00 00 01 00 00 00"),
        (
            Request::SetFeatureInfo(set_msi),
            "06 00 00 00 00 00 00 00 01 00 01 00 00 e0 fe 00 00 00 00 31 00 00 00 00",
        ),
        (
            Request::SetFeatureInfo(SetFeature::MsiX {
                function_mask: Some(false),
            }),
            "06 00 00 00 01 00 00 00 01 00",
        ),
        (Request::ReadConfig(4), "07 00 00 00 04 00"),
        (
            Request::WriteConfig {
                offset: 4,
                value: 0x107,
            },
            "08 00 00 00 04 00 07 01 00 00",
        ),
    ]
    .into_iter()
    .map(|(request, hex)| (request, bytes(hex)))
    .collect()
}

fn golden_responses() -> Vec<(Response, Vec<u8>)> {
    let by_phandle = PciFunction {
        rom: None,
        legacy_interrupt: Some(LegacyInterrupt {
            irq: 0,
            phandle: PhandleInterrupt::new(0x8002, &[0, 4, 4]),
        }),
        ..E1000
    };
    let memory = Bar::Memory64 {
        address: 0x12_3456_0000,
        size: 0x4000,
    };
    let e1000e = PciFunction {
        address: PciAddress {
            segment: 1,
            bus: 2,
            device: 3,
            function: 4,
        },
        bars: [memory, Bar::None, Bar::None, Bar::None, Bar::None, Bar::None],
        rom: None,
        legacy_interrupt: None,
        id: PciId {
            vendor: 0x8086,
            device: 0x10d3,
            class: 2,
            subclass: 0,
            prog_if: 0,
            revision: 0,
        },
    };
    let msi = MsiInfo {
        log2_multiple_message_capable: 2,
        is_64_bit: true,
        has_per_vector_masking: false,
    };
    let table = MsiXInfo {
        table_bar: 3,
        table_offset: 0,
        table_size: 5,
        pba_bar: 3,
        pba_offset: 0x2000,
    };
    [
        (
            Response::Config(E1000),
            "01 00 00 00 00 00 00 03 00 01 00 00 00 00 00 b8 fe 00 00 02 00 03 00 00 00 00 c0 00 00 00 00 00
             00 00 00 00 00 00 00 00 00 00 00 01 00 00 00 00 00 00 04 00 00 01 0b 00 86 80 0e 10 02 00 00 03",
        ),
        (
            Response::Config(by_phandle),
            "01 00 00 00 00 00 00 03 00 01 00 00 00 00 00 b8 fe 00 00 02 00 03 00 00 00 00 c0 00 00 00 00 00
             00 00 00 00 00 00 00 00 00 00 00 00 01 00 01 02 80 00 00 00 00 00 00 04 00 00 00 04 00 00 00 03
             00 00 00 00 00 00 00 86 80 0e 10 02 00 00 03",
        ),
        (
            Response::Config(e1000e),
            "01 00 00 00 01 00 02 03 04 02 00 00 00 00 00 56 34 12 00 00 00 00 40 00 00 00 00 00 00 00 00 00
             00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 86 80 d3 10 02 00 00 00",
        ),
        (
            Response::AllFeatures(vec![Feature::Msi, Feature::MsiX]),
            "02 00 00 00 02 00 00 00 00 00 00 00 00 00 00 00 01 00 00 00",
        ),
        (
            Response::FeatureInfo(FeatureInfo::MsiX(table)),
            "07 00 00 00 01 00 00 00 01 00 00 00 03 00 00 00 00 05 00 03 00 20 00 00",
        ),
        (
            Response::Error(PcidError::NonexistentFeature(Feature::Msi)),
            "06 00 00 00 00 00 00 00 00 00 00 00",
        ),
        (
            Response::Error(PcidError::InvalidBitPattern),
            "06 00 00 00 01 00 00 00",
        ),
        (
            Response::FeatureInfo(FeatureInfo::Msi(msi)),
            "07 00 00 00 00 00 00 00 00 00 00 00 02 01 00",
        ),
        (
            Response::VendorCapabilities(vec![vec![1, 2, 3], vec![]]),
            "03 00 00 00 02 00 00 00 00 00 00 00 03 00 00 00 00 00 00 00 01 02 03 00 00 00 00 00 00 00 00",
        ),
        (Response::FeatureEnabled(Feature::MsiX), "04 00 00 00 01 00 00 00"),
        (
            Response::FeatureStatus(Feature::MsiX, FeatureStatus::Disabled),
            "05 00 00 00 01 00 00 00 01 00 00 00",
        ),
        (Response::SetFeatureInfo(Feature::MsiX), "08 00 00 00 01 00 00 00"),
        (Response::ReadConfig(0x100e_8086), "09 00 00 00 86 80 0e 10"),
        (Response::WriteConfig, "0a 00 00 00"),
        (Response::EnabledDevice, "00 00 00 00"),
    ]
    .into_iter()
    .map(|(response, hex)| (response, bytes(hex)))
    .collect()
}

#[test]
fn requests_have_the_bytes_that_bincode_gives_them() {
    for (request, bytes) in golden_requests() {
        assert_eq!(request.encode(), bytes, "{request:?}");
        assert_eq!(Request::decode(&bytes), Ok(request));
    }
}

#[test]
fn responses_have_the_bytes_that_bincode_gives_them() {
    for (response, bytes) in golden_responses() {
        assert_eq!(response.encode(), bytes, "{response:?}");
        assert_eq!(Response::decode(&bytes), Ok(response));
    }
}

#[test]
fn function_alone_is_the_config_response_without_its_kind() {
    let (response, bytes) = golden_responses().swap_remove(0);
    assert_eq!(
        PciFunction::decode(&bytes[4..]).map(Response::Config),
        Ok(response)
    );
    assert_eq!(E1000.encode(), bytes[4..]);
}

#[test]
fn message_that_ends_too_early_is_an_error_at_every_length() {
    for (_, bytes) in golden_requests() {
        for length in 0..bytes.len() {
            assert!(
                Request::decode(&bytes[..length]).is_err(),
                "{bytes:02x?} cut to {length}"
            );
        }
    }
    for (_, bytes) in golden_responses() {
        for length in 0..bytes.len() {
            assert!(
                Response::decode(&bytes[..length]).is_err(),
                "{bytes:02x?} cut to {length}"
            );
        }
    }
}

#[test]
fn bytes_behind_a_message_are_ignored() {
    for (response, mut bytes) in golden_responses() {
        bytes.extend([0xff; 9]);
        assert_eq!(Response::decode(&bytes), Ok(response));
    }
}

#[test]
fn errors_say_where_and_what() {
    let cases = [
        (
            bytes("09 00 00 00 01 02"),
            "the message ends in configuration value: 4 bytes needed, 2 left",
        ),
        (bytes("0b 00 00 00"), "response is of the unknown kind 11"),
        (
            bytes("04 00 00 00 07 00 00 00"),
            "feature is of the unknown kind 7",
        ),
        (
            bytes("07 00 00 00 00 00 00 00 01 00 00 00"),
            "a description of MSI-X where MSI is announced",
        ),
        (
            bytes("07 00 00 00 00 00 00 00 00 00 00 00 03 02 00"),
            "MSI 64-bit flag should start with 0 or 1, not with 0x02",
        ),
        (
            bytes("02 00 00 00 03 00 00 00 00 00 00 00 00 00 00 00 01 00 00 00"),
            "features announces 3 items, of which at most 2 fit the message",
        ),
    ];
    for (bytes, message) in cases {
        assert_eq!(Response::decode(&bytes).unwrap_err().to_string(), message);
    }
}

#[test]
fn huge_count_is_refused_before_anything_is_allocated() {
    for kind in [2, 3] {
        let mut bytes = vec![kind, 0, 0, 0];
        bytes.extend([0xff; 8]);
        let error = Response::decode(&bytes).unwrap_err();
        assert!(
            matches!(
                error,
                DecodeError::CountTooLarge {
                    count: u64::MAX,
                    limit: 0,
                    ..
                }
            ),
            "{error}"
        );
    }
}

#[test]
fn phandle_interrupt_has_one_to_three_cells() {
    assert_eq!(PhandleInterrupt::new(1, &[]), None);
    assert_eq!(PhandleInterrupt::new(1, &[2, 3, 4, 5]), None);
    for specifier in [&[7][..], &[7, 8], &[7, 8, 9]] {
        let interrupt = PhandleInterrupt::new(1, specifier).unwrap();
        assert_eq!((interrupt.phandle(), interrupt.specifier()), (1, specifier));
    }
    let (_, golden) = golden_responses().swap_remove(1);
    for count in [0, 4, 0xff] {
        let mut bytes = golden.clone();
        bytes[63] = count;
        let error = DecodeError::OutOfRange {
            field: "interrupt cell count",
            value: count.into(),
        };
        assert_eq!(Response::decode(&bytes), Err(error));
    }
}

#[test]
fn address_is_hexadecimal_in_lower_case() {
    let address = PciAddress {
        segment: 0xab,
        bus: 0xc0,
        device: 0x1f,
        function: 7,
    };
    assert_eq!(address.to_string(), "00ab:c0:1f.7");
    assert_eq!(address.scheme_name(), "pci-00ab-c0-1f.7");
    assert_eq!(E1000.address.to_string(), "0000:00:03.0");
    assert_eq!(E1000.address.scheme_name(), "pci-0000-00-03.0");
}

#[test]
fn frame_is_length_then_body_and_its_length_is_limited() {
    assert_eq!(frame(&[5, 6]), bytes("02 00 00 00 00 00 00 00 05 06"));
    assert_eq!(frame_length([0; 8]), Ok(0));
    assert_eq!(frame_length(0x10_0000_u64.to_le_bytes()), Ok(FRAME_LIMIT));
    // The last would be 0 in 32 bits.
    for length in [0x10_0001, u64::MAX, 1 << 32] {
        assert_eq!(
            frame_length(length.to_le_bytes()),
            Err(DecodeError::FrameTooLong { length })
        );
    }
}
