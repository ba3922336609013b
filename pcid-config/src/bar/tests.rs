use std::cell::Cell;

use proptest::prelude::*;

use super::*;
use crate::protocol::{Bar, PciAddress, PciId};

const PAGE: u64 = PAGE_SIZE as u64;

fn function(bar: Bar) -> PciFunction {
    let mut bars = [Bar::None; 6];
    bars[1] = bar;
    PciFunction {
        address: PciAddress {
            segment: 0,
            bus: 0,
            device: 3,
            function: 0,
        },
        bars,
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

fn plan(address: u64, size: u64) -> Plan {
    Plan::new(&function(Bar::Memory64 { address, size }), 1, 1).unwrap()
}

#[test]
fn channel_offset_is_index_and_uncacheable() {
    assert_eq!(channel_offset(0), 0x0800_0000_0000_0000);
    assert_eq!(channel_offset(1), 0x2800_0000_0000_0000);
    assert_eq!(channel_offset(5), 0xa800_0000_0000_0000);
}

#[test]
fn only_memory_bars_of_sufficient_size_are_planned() {
    let memory = Bar::Memory32 {
        address: 0xfeb8_0000,
        size: 0x2_0000,
    };
    let plan = |bar, index, min_len| Plan::new(&function(bar), index, min_len);
    assert_eq!(
        plan(memory, 1, 0x2_0000).unwrap(),
        Plan {
            index: 1,
            address: 0xfeb8_0000,
            length: 0x2_0000,
            span: PageSpan {
                base: 0xfeb8_0000,
                skip: 0,
                length: 0x2_0000
            }
        }
    );
    assert!(matches!(
        plan(memory, 1, 0x2_0001),
        Err(BarError::TooSmall {
            index: 1,
            size: 0x2_0000,
            needed: 0x2_0001
        })
    ));
    assert!(matches!(
        plan(memory, 0, 1),
        Err(BarError::NotMemory { index: 0 })
    ));
    assert!(matches!(
        plan(memory, 6, 1),
        Err(BarError::NoSuchBar { index: 6 })
    ));
    assert!(matches!(
        plan(memory, u8::MAX, 1),
        Err(BarError::NoSuchBar { .. })
    ));
    assert!(matches!(
        plan(Bar::Port(0xc000), 1, 1),
        Err(BarError::NotMemory { .. })
    ));
    let bar = |address, size| Bar::Memory64 { address, size };
    assert!(matches!(
        plan(bar(0, 0x2_0000), 1, 1),
        Err(BarError::Unassigned { index: 1 })
    ));
    assert!(matches!(plan(bar(PAGE, 0), 1, 0), Err(BarError::TooSmall { .. })));
    assert!(matches!(
        plan(bar(PAGE, u64::MAX), 1, 1),
        Err(BarError::OutOfReach { .. })
    ));
}

#[test]
fn small_bar_is_reached_through_the_page_around_it() {
    assert_eq!(
        PageSpan::around(0x1_0200, 0x100),
        Some(PageSpan {
            base: 0x1_0000,
            skip: 0x200,
            length: PAGE_SIZE
        })
    );
    assert_eq!(
        PageSpan::around(0x1_0f00, 0x200),
        Some(PageSpan {
            base: 0x1_0000,
            skip: 0xf00,
            length: 2 * PAGE_SIZE
        })
    );
}

#[test]
fn the_last_page_of_the_address_space_is_within_reach() {
    let last = usize::MAX - (PAGE_SIZE - 1);
    let span = PageSpan {
        base: last as u64,
        skip: 0,
        length: PAGE_SIZE,
    };
    assert_eq!(PageSpan::around(last as u64, PAGE_SIZE), Some(span));
    assert_eq!(PageSpan::around(last as u64, PAGE_SIZE + 1), None);
    assert_eq!(PageSpan::around(last as u64, usize::MAX), None);
}

fn refused() -> DirectMapError {
    DirectMapError::Open(Error::new(libredox::errno::EPERM))
}

#[test]
fn memory_scheme_comes_first_and_channel_is_not_tried_behind_it() {
    for (plan, skip) in [
        (plan(0xfeb8_0000, 0x2_0000), 0),
        (plan(0xfeb8_0200, 0x100), 0x200),
    ] {
        let done = plan.carry_out(
            true,
            |_| panic!("not needed"),
            |span| {
                assert_eq!(span, plan.span);
                Ok("direct")
            },
        );
        assert_eq!(done.unwrap(), ("direct", skip));
    }
}

#[test]
fn channel_replaces_a_memory_scheme_that_refuses() {
    let tried = Cell::new(false);
    let done = plan(0xfeb8_0000, 0x2_0000).carry_out(
        true,
        |offset| {
            assert_eq!(offset, channel_offset(1));
            Ok("channel")
        },
        |_| {
            tried.set(true);
            Err(refused())
        },
    );
    assert_eq!(done.unwrap(), ("channel", 0));
    assert!(tried.get());
}

#[test]
fn channel_is_left_alone_where_it_would_map_something_else() {
    // Offsets are cut on 32-bit systems; and pcid maps whole pages only.
    for (channel_offsets, plan) in [
        (false, plan(0xfeb8_0000, 0x2_0000)),
        (true, plan(0xfeb8_0200, 0x100)),
    ] {
        let done = plan.carry_out::<()>(
            channel_offsets,
            |_| panic!("wrong BAR or cache mode"),
            |_| Err(refused()),
        );
        assert!(matches!(done, Err(BarError::Failed { .. })));
    }
}

#[test]
fn failure_of_both_ways_names_both() {
    let done = plan(0xfeb8_0000, 0x2_0000).carry_out::<()>(
        true,
        |_| Err(Error::new(libredox::errno::ENODEV)),
        |_| Err(refused()),
    );
    let Err(BarError::Failed {
        index: 1,
        channel: ChannelMapError::Map(first),
        direct,
    }) = done
    else {
        panic!("both ways fail");
    };
    let DirectMapError::Open(second) = direct else {
        panic!("the open fails")
    };
    assert_eq!(
        (first.errno(), second.errno()),
        (libredox::errno::ENODEV, libredox::errno::EPERM)
    );
}

proptest! {
    #[test]
    fn page_span_is_whole_pages_around_the_range(address in 1..u64::MAX, length in 1..usize::MAX) {
        if let Some(span) = PageSpan::around(address, length) {
            prop_assert_eq!(span.base % PAGE, 0);
            prop_assert_eq!(span.length % PAGE_SIZE, 0);
            prop_assert_eq!(span.base + span.skip as u64, address);
            prop_assert!(span.skip < PAGE_SIZE && span.length - span.skip >= length);
            prop_assert!(span.length - length < 2 * PAGE_SIZE);
        }
    }
}
