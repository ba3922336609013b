//! A machine for QEMU, as its command line says it.

use std::path::Path;

use qemu_process::escape;

use super::accelerator::Accelerator;

/// Memory of the machine, in MiB.
const MEMORY: &str = "1024";

/// Which machine, with any number of network cards.
pub struct Hardware<'a> {
    /// The QEMU that it is for: a name to be found in PATH, or a path.
    pub qemu: &'a Path,
    /// The image. What the system writes is thrown away.
    pub image: &'a Path,
    /// QEMU's name of the machine.
    pub machine: &'a str,
    /// Processors.
    pub smp: u32,
    /// Its network cards.
    pub nics: &'a [Nic<'a>],
    /// Let the clock count instructions.
    pub icount: bool,
    /// Its accelerator, unless instructions are counted.
    pub accelerator: Accelerator,
    /// Where everything on the console is kept.
    pub log: &'a Path,
}

/// A network card.
#[derive(Clone, Copy, Debug)]
pub struct Nic<'a> {
    /// QEMU's name of the model.
    pub model: &'a str,
    /// Its network: QEMU's `-netdev` without the id.
    pub netdev: &'a str,
    /// True if the link is up from the start.
    pub link: bool,
    /// Its slot on the PCI bus, where that matters.
    pub slot: Option<u8>,
}

/// QEMU's network, with DHCP and a router that answers.
pub const USER: &str = "user";
/// A hub, to which all cards with this are connected, and nothing else.
pub const HUB: &str = "hubport,hubid=0";

impl Hardware<'_> {
    /// QEMU's command line.
    pub fn arguments(&self) -> Vec<String> {
        let accelerator = self.accelerator().name();
        let mut arguments: Vec<String> = [
            &["-machine", self.machine, "-accel", accelerator, "-cpu", "max"][..],
            &["-m", MEMORY, "-smp", &self.smp.to_string()],
            // A screen that nobody sees: boot loader and system expect one.
            &["-nodefaults", "-display", "none", "-vga", "std", "-no-reboot"],
            &["-serial", "stdio"],
        ]
        .concat()
        .into_iter()
        .map(str::to_owned)
        .collect();
        let image = escape(self.image);
        let mut add = |option: &str, value: String| arguments.extend([option.to_owned(), value]);
        add(
            "-drive",
            format!("file={image},format=raw,if=none,id=disk,snapshot=on"),
        );
        add("-device", "ide-hd,drive=disk,bus=ide.0".to_owned());
        for (number, nic) in self.nics.iter().enumerate() {
            add("-netdev", format!("{},id=net{number}", nic.netdev));
            let slot = nic
                .slot
                .map_or_else(String::new, |slot| format!(",addr={slot:#x}"));
            add(
                "-device",
                format!("{},netdev=net{number},id={}{slot}", nic.model, nic_id(number)),
            );
        }
        if self.icount {
            add("-icount", "shift=0,sleep=off".to_owned());
        }
        if self.links_down().next().is_some() {
            arguments.push("-S".to_owned());
        }
        arguments
    }

    /// Its accelerator: instructions can be counted only where they are translated.
    pub fn accelerator(&self) -> Accelerator {
        if self.icount {
            Accelerator::Tcg
        } else {
            self.accelerator
        }
    }

    /// Numbers of the cards whose link is down from the start.
    pub fn links_down(&self) -> impl Iterator<Item = usize> {
        let down = |(number, nic): (usize, &Nic<'_>)| (!nic.link).then_some(number);
        self.nics.iter().enumerate().filter_map(down)
    }
}

/// The card with that number, as QEMU's monitor knows it.
pub fn nic_id(number: usize) -> String {
    format!("nic{number}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(nics: &[Nic<'_>]) -> String {
        let hardware = Hardware {
            qemu: Path::new("qemu"),
            image: Path::new("a,b.img"),
            machine: "q35",
            smp: 4,
            nics,
            icount: false,
            accelerator: Accelerator::Kvm,
            log: Path::new("log"),
        };
        hardware.arguments().join(" ")
    }

    #[test]
    fn instructions_are_counted_where_they_are_translated() {
        let hardware = Hardware {
            qemu: Path::new("qemu"),
            image: Path::new("a.img"),
            machine: "pc",
            smp: 1,
            nics: &[],
            icount: true,
            accelerator: Accelerator::Kvm,
            log: Path::new("log"),
        };
        let arguments = hardware.arguments().join(" ");
        assert!(arguments.contains("-accel tcg "), "{arguments}");
    }

    #[test]
    fn card_is_on_the_user_network() {
        let arguments = arguments(&[Nic {
            model: "e1000e",
            netdev: USER,
            link: true,
            slot: None,
        }]);
        for part in [
            "-machine q35 -accel kvm -cpu max -m 1024 -smp 4 ",
            "file=a,,b.img,",
            "-netdev user,id=net0 -device e1000e,netdev=net0,id=nic0",
        ] {
            assert!(arguments.contains(part), "{arguments}");
        }
        assert!(!arguments.ends_with("-S"));
    }

    #[test]
    fn cards_of_a_hub_may_have_slots() {
        let nic = |model, slot| Nic {
            model,
            netdev: HUB,
            link: true,
            slot: Some(slot),
        };
        let arguments = arguments(&[nic("e1000", 4), nic("e1000e", 8)]);
        assert!(
            arguments.ends_with(
                "-netdev hubport,hubid=0,id=net0 -device e1000,netdev=net0,id=nic0,addr=0x4 \
                 -netdev hubport,hubid=0,id=net1 -device e1000e,netdev=net1,id=nic1,addr=0x8"
            ),
            "{arguments}"
        );
    }

    #[test]
    fn machine_whose_link_is_down_waits_for_that() {
        let arguments = arguments(&[Nic {
            model: "e1000",
            netdev: USER,
            link: false,
            slot: None,
        }]);
        assert!(arguments.ends_with(" -S"), "{arguments}");
    }
}
