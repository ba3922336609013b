//! The K1 workaround of I218, access by access, against Linux e1000e, `e1000_k1_workaround_lpt_lp`.

use e1000_hw::chip::CHIPS;
use e1000_hw::fake::{FakeMachine, FakeRegion, RecordedMachine, chip};
use e1000_hw::link::Link;
use e1000_hw::nic::{Config, Nic};
use e1000_hw::recorder::Access::{self, Read, Write};
use e1000_hw::regs::{self, Status};
use e1000_hw::warnings::Warnings;

const PARTS: [u16; 4] = [0x155A, 0x1559, 0x15A2, 0x15A3];
/// K1 configuration is Kumeran register 7; bit 21 reads.
const READ: u32 = 7 << 16 | 1 << 21;
const WRITE: u32 = 7 << 16;
/// FEXTNVM6: the request for the PLL's clock, and the later entry to K1.
const REQUEST: u32 = 1 << 8;
const LATER: u32 = 1 << 9;
/// PHY: in-band control.
const INBAND: (u16, u8) = (770, 18);

/// A part whose K1 configuration is 3, K1 on, with a link as STATUS has it.
fn recorder(id: u16, speed: u32, full_duplex: bool) -> RecordedMachine {
    let recorder = FakeMachine::recorded(chip(id));
    let duplex = if full_duplex { Status::FD.bits() } else { 0 };
    let status = speed << 6 | Status::LU.bits() | duplex;
    recorder.inner.poke(regs::STATUS, status);
    recorder.inner.poke(regs::FEXTNVM6, 0);
    recorder.on_read(|offset, value| match offset {
        regs::KMRNCTRLSTA => value & !0xFFFF | 3,
        _ => value,
    });
    recorder
}

fn bring_up(recorder: &RecordedMachine, id: u16) -> Nic<&RecordedMachine, FakeRegion> {
    let machine = recorder.inner.clone();
    Nic::bring_up(
        recorder,
        chip(id),
        Config::default(),
        &mut machine.dma(),
        recorder,
    )
    .expect("bring-up")
}

#[test]
fn clock_is_requested_while_the_link_has_1000_mbit() {
    for id in PARTS {
        let recorder = recorder(id, 2, true);
        let mut nic = bring_up(&recorder, id);
        let steps = recorder.take();
        let first = steps
            .iter()
            .position(|step| *step == Write(regs::KMRNCTRLSTA, READ));
        let first = first.unwrap_or_else(|| panic!("{id:04x}"));
        // K1 off, the clock, and K1 as it was; the PHY's semaphore is held.
        let want = [
            Write(regs::KMRNCTRLSTA, READ),
            Read(regs::STATUS),
            Access::us(2),
            Read(regs::KMRNCTRLSTA),
            Write(regs::KMRNCTRLSTA, WRITE | 1),
            Read(regs::STATUS),
            Access::us(2),
            Access::us(10),
            Read(regs::FEXTNVM6),
            Write(regs::FEXTNVM6, REQUEST),
            Write(regs::KMRNCTRLSTA, WRITE | 3),
            Read(regs::STATUS),
            Access::us(2),
            Read(regs::EXTCNF_CTRL),
            Write(regs::EXTCNF_CTRL, 0),
        ];
        assert_eq!(steps[first..][..want.len()], want, "{id:04x}");
        assert_eq!(steps[first - 1], Read(regs::EXTCNF_CTRL), "{id:04x}: not held");
        // A link that is gone needs no clock.
        recorder.inner.set_link(false);
        assert_eq!(nic.link().refresh(&recorder), Some(Link::Down));
        assert_eq!(recorder.inner.peek(regs::FEXTNVM6), 0, "{id:04x}");
        recorder.inner.set_link(true);
        assert!(nic.link().refresh(&recorder).is_some_and(Link::is_up));
        assert_eq!(recorder.inner.peek(regs::FEXTNVM6), REQUEST, "{id:04x}");
        // A reset clears it.
        recorder.inner.poke(regs::FEXTNVM6, 0);
        nic.recovery().restart(&recorder).expect("a reset");
        assert_eq!(recorder.inner.peek(regs::FEXTNVM6), REQUEST, "{id:04x}");
        nic.stop(&recorder);
    }
}

#[test]
fn slower_links_have_other_times() {
    // Speed, duplex; the field of in-band control, FEXTNVM6 with either bit set before.
    for (speed, full_duplex, timeout, after) in [
        (1, true, None, LATER),
        (1, false, Some(5), 0),
        (0, true, Some(50), LATER),
        (0, false, Some(50), LATER),
    ] {
        let recorder = recorder(0x155A, speed, full_duplex);
        recorder.inner.poke(regs::FEXTNVM6, REQUEST | LATER);
        recorder.inner.poke_phy_page(INBAND.0, INBAND.1, 0xFFFF);
        let nic = bring_up(&recorder, 0x155A);
        let case = format!("speed {speed}, full duplex {full_duplex}");
        assert_eq!(nic.state().warnings(), Warnings::empty(), "{case}");
        assert_eq!(recorder.inner.peek(regs::FEXTNVM6), after, "{case}");
        let want = timeout.map_or(0xFFFF, |timeout: u16| 0xC0FF | timeout << 8);
        let inband = recorder.inner.peek_phy_page(INBAND.0, INBAND.1);
        assert_eq!(inband, want, "{case}");
        nic.stop(&recorder);
        // Later revisions of the PHY need none.
        let recorder = self::recorder(0x155A, speed, full_duplex);
        recorder.inner.poke_phy(3, 0x00A6);
        recorder.inner.poke(regs::FEXTNVM6, REQUEST | LATER);
        recorder.inner.poke_phy_page(INBAND.0, INBAND.1, 0xFFFF);
        bring_up(&recorder, 0x155A).stop(&recorder);
        assert_eq!(recorder.inner.peek(regs::FEXTNVM6), LATER, "{case}");
        assert_eq!(recorder.inner.peek_phy_page(INBAND.0, INBAND.1), 0xFFFF, "{case}");
    }
}

#[test]
fn other_parts_are_left_alone() {
    for chip in CHIPS.iter().filter(|chip| !PARTS.contains(&chip.device_id)) {
        let recorder = recorder(chip.device_id, 2, true);
        recorder.inner.poke(regs::EECD, regs::EECD_AUTO_RD);
        bring_up(&recorder, chip.device_id).stop(&recorder);
        assert_eq!(recorder.take_of(&[regs::KMRNCTRLSTA]), [], "{}", chip.name);
    }
}

#[test]
fn workaround_that_firmware_keeps_from_being_made_is_a_note() {
    let recorder = recorder(0x1559, 2, true);
    recorder.inner.poke(regs::EXTCNF_CTRL, 1 << 5);
    recorder.on_write(|offset, value| (offset != regs::EXTCNF_CTRL).then_some(value));
    let nic = bring_up(&recorder, 0x1559);
    assert!(nic.state().warnings().contains(Warnings::SEMAPHORE_BUSY));
    assert_eq!(recorder.inner.peek(regs::FEXTNVM6), 0);
    nic.stop(&recorder);
}
