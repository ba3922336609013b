//! From bring-up to one ping answered. A fake NIC stands for the hardware.

use e1000_hw::chip;
use e1000_hw::ethernet::MacAddress;
use e1000_hw::fake::{FakeMachine, FakeRegion, FakeRegisters};
use e1000_hw::nic::{BringUpError, Config, Interrupt, Nic};

/// Our IP address.
const ADDRESS: [u8; 4] = [10, 0, 0, 2];

/// Turns a question for us into its answer. Returns false if it is no question, or not for us.
fn answer(frame: &mut [u8], mac: MacAddress) -> bool {
    let is = |at: usize, bytes: &[u8]| frame.get(at..at + bytes.len()) == Some(bytes);
    if is(12, &[0x08, 0x06]) && is(20, &[0, 1]) && is(38, &ADDRESS) {
        // ARP "who has": operation 2, who asked becomes the target.
        frame[21] = 2;
        frame.copy_within(22..32, 32);
        frame[22..28].copy_from_slice(&mac.0);
        frame[28..32].copy_from_slice(&ADDRESS);
    } else if is(12, &[0x08, 0x00, 0x45]) && is(23, &[1]) && is(30, &ADDRESS) && is(34, &[8]) {
        // ICMP echo over IPv4 without options: type 0, addresses swapped; the checksum grows by what the type loses.
        frame[34] = 0;
        frame.copy_within(26..30, 30);
        frame[26..30].copy_from_slice(&ADDRESS);
        let sum = u16::from_be_bytes([frame[36], frame[37]]);
        let (sum, carry) = sum.overflowing_add(0x0800);
        frame[36..38].copy_from_slice(&(sum + u16::from(carry)).to_be_bytes());
    } else {
        return false;
    }
    frame.copy_within(6..12, 0);
    frame[6..12].copy_from_slice(&mac.0);
    true
}

/// Serves one interrupt.
fn serve(nic: &mut Nic<FakeRegisters, FakeRegion>) {
    let Interrupt::Causes(_) = nic.interrupts().acknowledge(0) else {
        return;
    };
    let mac = nic.state().mac();
    let mut buffer = [0; 2048];
    loop {
        while let Some(len) = nic.rx().receive(&mut buffer) {
            if answer(&mut buffer[..len], mac) {
                // A full ring drops the answer: whoever asked asks again.
                let _ = nic.tx().send(&buffer[..len]);
            }
        }
        nic.tx().post(); // one register write for all of them
        if !nic.rx().complete() {
            return;
        }
    }
}

fn main() -> Result<(), BringUpError> {
    let chip = chip::find(0x8086, 0x100E).expect("82540EM is in the table");
    let machine = FakeMachine::new(chip);
    let (registers, clock) = (machine.registers(), &machine);
    let mut nic = Nic::bring_up(registers, chip, Config::default(), &mut machine.dma(), clock)?;
    nic.interrupts().enable();
    let us = nic.state().mac();

    // From the other end of the cable: who has 10.0.0.2?
    let them = [0x02, 0, 0, 0, 0, 1];
    let mut question = [[0xFF; 6], them].concat();
    question.extend([0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1]);
    question.extend([&them[..], &[10, 0, 0, 1], &[0; 6], &ADDRESS].concat());
    machine.deliver(&question);
    serve(&mut nic);
    let answers = machine.take_sent();
    assert_eq!(answers[0][22..32], [&us.0[..], &ADDRESS].concat());

    // Is it there? An echo request, number 1, without data.
    let mut ping = [us.0, them].concat();
    ping.extend([
        0x08, 0, 0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0x66, 0xDF, 10, 0, 0, 1,
    ]);
    ping.extend([&ADDRESS[..], &[8, 0, 0xF7, 0xFE, 0, 0, 0, 1]].concat());
    machine.deliver(&ping);
    serve(&mut nic);
    let answers = machine.take_sent();
    assert_eq!(answers[0][34..42], [0, 0, 0xFF, 0xFE, 0, 0, 0, 1]);
    println!("{us} has {ADDRESS:?}, and it answers");

    nic.stop(clock);
    Ok(())
}
