//! The analog settings of 82541's and 82547's PHY, access by access.

use e1000_hw::fake::{FAKE_PHY, FakeMachine, RecordedMachine, chip};
use e1000_hw::phy::{self, Advertise};
use e1000_hw::recorder::Access;
use e1000_hw::regs;

/// Access to the PHY, from MDIC's command words, or a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PhyStep {
    Read(u32),
    Write(u32, u16),
    Ms(u128),
}
use PhyStep::{Ms, Read, Write};

/// Accesses of the bring-up of a PHY without a link; registers 2 and 3 say that it is an IGP01.
fn accesses(id: u16) -> Vec<PhyStep> {
    accesses_of(FakeMachine::recorded(chip(id)), id)
}

fn accesses_of(recorder: RecordedMachine, id: u16) -> Vec<PhyStep> {
    recorder.inner.set_link(false);
    recorder.inner.poke_phy(2, 0x02A8);
    recorder.inner.poke_phy(3, 0x0380);
    recorder.inner.poke_phy(0x1B, 0x1234);
    recorder.take();
    let warnings = phy::bring_up(&recorder, chip(id), &recorder, Advertise::default());
    assert!(warnings.is_empty(), "{warnings}");
    let access = |access: Access| match access {
        Access::Write(regs::MDIC, command) => {
            let register = command >> 16 & 31;
            Some(if command & regs::MDIC_OP_READ != 0 {
                Read(register)
            } else {
                Write(register, command as u16)
            })
        }
        Access::Wait(time) if time.as_millis() > 0 => Some(Ms(time.as_millis())),
        _ => None,
    };
    recorder.take().into_iter().filter_map(access).collect()
}

/// Before the settings and after the restart of negotiation.
const BEFORE: [PhyStep; 8] = [
    Read(2),
    Read(3),
    // Has it a link?
    Read(1),
    Read(1),
    Ms(20),
    Write(31, 0x2F5B),
    Read(0x1B),
    Write(31, 0x2F5B),
];
const OFF: [PhyStep; 4] = [Write(0x1B, 0x0003), Ms(20), Write(0, 0x0140), Ms(5)];
const ON: [PhyStep; 4] = [Write(0, 0x3300), Ms(20), Write(31, 0x2F5B), Write(0x1B, 0x1234)];

fn paged(settings: &[(u16, u16)]) -> Vec<PhyStep> {
    let pair = |(number, value): &(u16, u16)| [Write(31, *number), Write(u32::from(number & 31), *value)];
    settings.iter().flat_map(pair).collect()
}

#[test]
fn first_revision_gets_nine_settings_while_its_transmitter_is_off() {
    let settings = paged(&[
        (0x1F95, 0x0001),
        (0x1F71, 0xBD21),
        (0x1F79, 0x0018),
        (0x1F30, 0x1600),
        (0x1F31, 0x0014),
        (0x1F32, 0x161C),
        (0x1F94, 0x0003),
        (0x1F96, 0x003F),
        (0x2010, 0x0008),
    ]);
    let want = [&BEFORE[..], &OFF, &settings, &ON].concat();
    let done = accesses(0x1013);
    assert_eq!(done[..want.len()], want);
    // What follows is the negotiation of every PHY.
    assert_eq!(done[want.len()..][..3], [Read(0), Read(4), Read(9)]);
}

#[test]
fn second_revision_gets_one_setting() {
    for id in [0x1076, 0x1075] {
        let want = [&BEFORE[..], &OFF, &paged(&[(0x1F73, 0x0099)]), &ON].concat();
        let done = accesses(id);
        assert_eq!(done[..want.len()], want);
        assert_eq!(done[want.len()], Read(0), "no fuses: {done:?}");
    }
}

#[test]
fn fuses_of_82547_are_corrected_unless_the_spare_ones_are_in_use() {
    // The fake has no pages: 0x20D0 and 0x2010 are its register 0x10, which the settings set to 8; 0x20D1, 0x1F31 and
    // 0x1F71 its register 0x11, to 0x14.
    let done = accesses(0x1019);
    let fuses = [
        Write(31, 0x20D1),
        Read(0x11),
        Write(31, 0x20D0),
        Read(0x10),
        Write(31, 0x20DC),
        Write(0x1C, 0x0000),
        Write(31, 0x20DE),
        Write(0x1E, 0x0002),
    ];
    let at = done
        .iter()
        .position(|access| *access == fuses[0])
        .expect("the fuses are read");
    assert_eq!(done[at..][..fuses.len()], fuses);
    assert_eq!(
        accesses(0x1013)
            .iter()
            .filter(|access| **access == fuses[0])
            .count(),
        0
    );
}

#[test]
fn other_parts_and_links_that_are_up_are_left_alone() {
    assert_eq!(FAKE_PHY[31], 0);
    for id in [0x100E, 0x105E, 0x10D3] {
        assert!(
            !accesses(id).iter().any(|access| matches!(access, Write(31, _))),
            "{id:04x}"
        );
    }
    let recorder = FakeMachine::recorded(chip(0x1013));
    phy::bring_up(&recorder, chip(0x1013), &recorder, Advertise::default());
    assert_eq!(recorder.take_of(&[regs::MDIC]), []);
}
