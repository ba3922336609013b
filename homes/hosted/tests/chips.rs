//! NVM and PHY of the chip core, against QEMU's device models.

mod common;

use common::{Bench, MAC, for_each_model};
use e1000_hw::chip::{self, Chip};
use e1000_hw::flow_control::Pause;
use e1000_hw::link::Link;
use e1000_hw::nvm;
use e1000_hw::phy::{HangCheck, Phy, PhyError, PhyType};
use e1000_hw::platform::Registers;
use e1000_hw::regs;
use e1000_hw::warnings::Warnings;

fn chip(id: u16) -> &'static Chip {
    chip::find(0x8086, id).unwrap()
}

#[test]
fn bring_up_meets_nothing_worth_telling() {
    for_each_model(|model| {
        assert_eq!(
            Bench::new(model).bring_up(8, 8).state().warnings(),
            Warnings::empty()
        );
    });
}

#[test]
fn address_and_checksum_are_read_from_the_nvm() {
    for_each_model(|model| {
        let bench = Bench::new(model);
        bench.registers.write(regs::RAH, 0);
        let mac = nvm::mac_address(&bench.registers, bench.chip, &bench.clock).unwrap();
        assert_eq!(mac.0, MAC);
        let good = nvm::checksum_is_good(&bench.registers, bench.chip, &bench.clock);
        assert_eq!(good, Ok(Some(true)));
        // The pins of EECD lead to the same EEPROM on all models of QEMU's `e1000`.
        if bench.chip.device_id != 0x10D3 {
            let by_hand = nvm::mac_address(&bench.registers, chip(0x100C), &bench.clock).unwrap();
            assert_eq!(by_hand.0, MAC);
        }
    });
}

#[test]
fn phy_says_which_it_is() {
    for_each_model(|model| {
        let bench = Bench::new(model);
        let phy = Phy::open(&bench.registers, bench.chip, &bench.clock).unwrap();
        // QEMU, `PHY_ID2_INIT` in hw/net/e1000.c and `e1000e_phy_reg_init`.
        let want = match bench.chip.device_id {
            0x100C => PhyType::M88E1000I,
            0x10D3 => PhyType::Bm,
            _ => PhyType::M88E1011,
        };
        assert_eq!(phy.id().unwrap().phy_type(), Some(want));
    });
}

#[test]
fn phy_of_the_82574_model_does_not_hang() {
    for_each_model(|model| {
        let bench = Bench::new(model);
        if bench.chip.device_id != 0x10D3 {
            return;
        }
        let phy = Phy::open(&bench.registers, bench.chip, &bench.clock).unwrap();
        let mut check = HangCheck::default();
        for _ in 0..3 {
            // The register is missing in some models; that is no strike.
            assert!(matches!(check.check(&phy), Ok(false) | Err(PhyError::NoAnswer)));
        }
    });
}

/// Takes the cable out and puts it back in, and returns the link that comes up.
fn renegotiate(bench: &Bench, nic: &mut common::ModelNic) -> Link {
    for up in [false, true] {
        bench.machine.set_link(up).unwrap();
        common::wait_for("the link to change", || {
            nic.link().refresh(&bench.clock);
            (nic.state().link().is_up() == up).then_some(())
        });
    }
    nic.state().link()
}

#[test]
fn pause_is_negotiated_with_the_partner_that_each_model_has() {
    for_each_model(|model| {
        let mut bench = Bench::new(model);
        let mut nic = bench.bring_up(64, 64);
        println!("{model}: at power-on {}", nic.state().link());
        // The PHY of e1000e claims that its partner offers PAUSE (register 5 is 0x05E0), that of e1000 does not
        // (0x01E0).
        let offered = bench.chip.device_id == 0x10D3;
        for wanted in [Pause::RX, Pause::BOTH, Pause::TX, Pause::NONE, Pause::RX] {
            nic.link().set_pause(wanted, &bench.clock);
            let link = renegotiate(&bench, &mut nic);
            println!("{model}: {wanted} wanted: {link}");
            // Without ASM_DIR, the partner agrees to both or none.
            let want = if offered && wanted.rx { wanted } else { Pause::NONE };
            assert_eq!(
                link,
                Link::Up {
                    mbit_s: 1000,
                    full_duplex: true,
                    pause: want
                }
            );
            let ctrl = bench.registers.read(regs::CTRL);
            assert_eq!((ctrl >> 27 & 1 != 0, ctrl >> 28 & 1 != 0), (want.rx, want.tx));
            if offered {
                let high = bench.registers.read(regs::FCRTH);
                assert_eq!(high != 0, want.tx, "{wanted}: FCRTH {high:#x}");
            }
        }
        bench.push_out(&mut nic, 1, 100, 50, 10);
        nic.stop(&bench.clock);
    });
}
