//! Features of the chip core beyond plain frames, against QEMU's device models: VLAN tags, the longest frames.

mod common;

use std::time::Duration;

use common::{MAC, OTHER, for_each_model, frame, receive, wait_for};
use e1000_hw::TransmitError;
use e1000_hw::nic::SendOptions;

/// `plain` with a VLAN tag.
fn tagged(plain: &[u8], tag: u16) -> Vec<u8> {
    let mut frame = plain.to_vec();
    frame.splice(12..12, [0x81, 0x00].into_iter().chain(tag.to_be_bytes()));
    frame
}

#[test]
fn vlan_tags_stay_in_the_frame_unless_asked_otherwise() {
    for_each_model(|model| {
        let mut bench = common::Bench::new(model);
        let mut nic = bench.bring_up_receiving(64, 64);
        let plain = frame(MAC, 100, 1);
        bench.cable.send(&tagged(&plain, 0x2005));
        assert_eq!(receive(&mut nic), tagged(&plain, 0x2005));
        assert_eq!(nic.rx().tag(), None);

        nic.settings().set_vlan_offload(true);
        bench.cable.send(&tagged(&plain, 0x2005));
        assert_eq!(receive(&mut nic), plain);
        assert_eq!(nic.rx().tag(), Some(0x2005));
        bench.cable.send(&plain);
        assert_eq!(receive(&mut nic), plain);
        assert_eq!(nic.rx().tag(), None);
        let out = frame(OTHER, 100, 2);
        nic.tx()
            .send_with(
                &out,
                SendOptions {
                    tag: Some(0x6007),
                    offload: None,
                },
            )
            .unwrap();
        nic.tx()
            .send_with(
                &out,
                SendOptions {
                    tag: None,
                    offload: None,
                },
            )
            .unwrap();
        nic.tx().post();
        assert_eq!(bench.cable.receive(), tagged(&out, 0x6007));
        assert_eq!(bench.cable.receive(), out);

        nic.settings().set_vlan_offload(false);
        bench.cable.send(&tagged(&plain, 0x2005));
        assert_eq!(receive(&mut nic), tagged(&plain, 0x2005));
        nic.tx().send(&tagged(&out, 9)).unwrap();
        nic.tx().post();
        assert_eq!(bench.cable.receive(), tagged(&out, 9));
    });
}

#[test]
fn vlan_filter_lets_its_vlans_and_untagged_frames_pass() {
    for_each_model(|model| {
        let mut bench = common::Bench::new(model);
        let mut nic = bench.bring_up_receiving(64, 64);
        nic.settings().set_vlan_filter(Some([5, 4094]));
        let plain = frame(MAC, 100, 1);
        for (vlan, passes) in [
            (5, true),
            (6, false),
            (4094, true),
            (4093, false),
            (37, false),
            (0, true),
        ] {
            bench.cable.send(&tagged(&plain, vlan));
            bench.cable.send(&plain);
            let mut received = receive(&mut nic);
            assert_eq!(received == tagged(&plain, vlan), passes, "VLAN {vlan}");
            if passes {
                received = receive(&mut nic);
            }
            assert_eq!(received, plain);
        }
        nic.settings().set_vlan_filter(None::<[u16; 0]>);
        bench.cable.send(&tagged(&plain, 6));
        assert_eq!(receive(&mut nic), tagged(&plain, 6));
    });
}

#[test]
fn longest_frames_of_each_chip_pass_in_both_directions() {
    for_each_model(|model| {
        let mut bench = common::Bench::new(model);
        let mut nic = bench.bring_up_receiving(64, 64);
        let mtu = nic.state().max_mtu();
        nic.settings().set_mtu(mtu, &bench.clock).unwrap();
        wait_for("link", || {
            nic.link().refresh(&bench.clock);
            nic.state().link().is_up().then_some(())
        });
        println!("{model}: MTU up to {mtu}");
        let longest = mtu + 14;
        for round in 0..20 {
            for (seed, size) in [60, 1514, 1984, 1985, 2048, 2049, longest - 1, longest]
                .into_iter()
                .enumerate()
            {
                let seed = seed as u8 ^ round;
                bench.cable.send(&frame(MAC, size, seed));
                assert_eq!(receive(&mut nic), frame(MAC, size, seed), "{size} bytes in");
                nic.tx().send(&frame(OTHER, size, seed)).unwrap();
                nic.tx().post();
                assert_eq!(
                    bench.cable.receive(),
                    frame(OTHER, size, seed),
                    "{size} bytes out"
                );
            }
        }
        assert_eq!(
            nic.tx().send(&frame(OTHER, longest + 1, 1)),
            Err(TransmitError::TooLong { limit: longest })
        );
        nic.settings().set_mtu(1500, &bench.clock).unwrap();
        wait_for("link", || {
            nic.link().refresh(&bench.clock);
            nic.state().link().is_up().then_some(())
        });
        bench.cable.send(&frame(MAC, 1600, 1));
        bench.cable.send(&frame(MAC, 60, 2));
        assert_eq!(receive(&mut nic), frame(MAC, 60, 2));
        assert_eq!(bench.cable.try_receive(Duration::from_millis(20)), None);
        nic.stop(&bench.clock);
    });
}
