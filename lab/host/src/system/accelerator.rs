//! Accelerators: QEMU executes a system on the processor, or by translation.

use std::fmt;
use std::io::Write;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use clap::ValueEnum;
use qemu_process::{Launch, PROGRAM, QemuError};
use serde::Serialize;

use crate::file::FileError;
use crate::steps::Steps;

/// Longest time of QEMU for the [`PROBE`], its own start included. A processor takes less than 0.1 s for it; one that
/// is emulated instruction by instruction, as KVM does inside some virtual machines, half a minute.
const LIMIT: Duration = Duration::from_secs(5);
/// Value that the probe writes to QEMU's isa-debug-exit.
const VALUE: u8 = 0x21;
/// The exit status that QEMU makes of it (hw/misc/debugexit.c: debug_exit_write).
const EXECUTED: i32 = (VALUE as i32) << 1 | 1;
/// Length of the BIOS image. It ends at 4 GiB, and is seen below 1 MiB, too.
const IMAGE: usize = 0x1_0000;
/// Where the [`PROBE`] is in it.
const START: usize = 0xFF00;
/// Where processors begin: 16 bytes before the end.
const RESET: usize = 0xFFF0;

/// Enters protected mode, counts down from 64 Mi, and ends QEMU.
///
/// That a few instructions are executed proves nothing: where KVM has no hardware below it, it opens, executes, and
/// is some hundred times slower than translation, so that no system gets anywhere.
#[rustfmt::skip]
const PROBE: [u8; 0x3E] = [
    0xFA,                                           // 00: cli
    0x2E, 0x66, 0x0F, 0x01, 0x16, 0x38, 0xFF,       // 01: lgdtl %cs:0xff38
    0x0F, 0x20, 0xC0,                               // 08: mov %cr0, %eax
    0x0C, 0x01,                                     // 0b: or $1, %al
    0x0F, 0x22, 0xC0,                               // 0d: mov %eax, %cr0
    0x66, 0xEA, 0x18, 0xFF, 0x0F, 0x00, 0x08, 0x00, // 10: ljmpl $8, $0xfff18
    0xB9, 0x00, 0x00, 0x00, 0x04,                   // 18: mov $0x4000000, %ecx
    0x49,                                           // 1d: dec %ecx
    0x75, 0xFD,                                     // 1e: jnz 1d
    0xB0, VALUE,                                    // 20: mov $VALUE, %al
    0xE6, 0xF4,                                     // 22: out %al, $0xf4
    0xF4,                                           // 24: hlt
    0xEB, 0xFD,                                     // 25: jmp 24
    0x90,                                           // 27: nop
    0, 0, 0, 0, 0, 0, 0, 0,                         // 28: no segment
    0xFF, 0xFF, 0, 0, 0, 0x9B, 0xCF, 0,             // 30: code, 32 bits, all 4 GiB
    0x0F, 0x00, 0x28, 0xFF, 0xFF, 0xFF,             // 38: limit and place of these two
];
/// `jmp` from [`RESET`] to [`START`], both in the same segment.
const JUMP: [u8; 3] = [0xE9, 0x0D, 0xFF];

/// Reason why there is no accelerator.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The probe could not be made.
    #[error(transparent)]
    File(#[from] FileError),
    /// QEMU cannot be started.
    #[error(transparent)]
    Qemu(#[from] QemuError),
    /// KVM was asked for.
    #[error("KVM {0}; --accel tcg, or no --accel, does without")]
    NoKvm(String),
}

type Result<T, E = Error> = std::result::Result<T, E>;

/// Way in which QEMU executes a system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Accelerator {
    /// On the processor.
    Kvm,
    /// By translation, which works everywhere.
    Tcg,
}

impl fmt::Display for Accelerator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Kvm => "KVM",
            Self::Tcg => "TCG",
        })
    }
}

impl Accelerator {
    /// QEMU's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }

    /// The one that was asked for, or KVM if it executes the probe at a processor's pace, or TCG. Shows which.
    ///
    /// # Errors
    ///
    /// [`Error::NoKvm`] if KVM was asked for and does not.
    pub fn choose(wanted: Option<Self>, steps: &Steps) -> Result<Self> {
        Self::choose_for(Path::new(PROGRAM), wanted, steps)
    }

    /// The same for a QEMU, by its path or a name in PATH: one may execute by KVM where another cannot.
    ///
    /// # Errors
    ///
    /// [`Error::NoKvm`] as above.
    pub fn choose_for(qemu: &Path, wanted: Option<Self>, steps: &Steps) -> Result<Self> {
        steps.step("accelerator", || {
            let probe = || probe(&mut launch(qemu, Self::Kvm)?, LIMIT);
            let (accelerator, reason) = decide(wanted, probe)?;
            let word = match reason {
                Some(reason) => format!("{accelerator}; KVM {reason}"),
                None => accelerator.to_string(),
            };
            Ok((accelerator, word))
        })
    }
}

/// Reason why KVM is of no use, for sentences that begin with "KVM".
type Refusal = String;

/// The choice and, if it was not KVM after a look at it, why.
fn decide(
    wanted: Option<Accelerator>,
    probe: impl FnOnce() -> Result<Result<(), Refusal>>,
) -> Result<(Accelerator, Option<Refusal>)> {
    if wanted == Some(Accelerator::Tcg) {
        return Ok((Accelerator::Tcg, None));
    }
    match (probe()?, wanted) {
        (Ok(()), _) => Ok((Accelerator::Kvm, None)),
        (Err(reason), None) => Ok((Accelerator::Tcg, Some(reason))),
        (Err(reason), Some(_)) => Err(Error::NoKvm(reason)),
    }
}

/// QEMU with the probe in place of a BIOS, which it finds by the number of its standard input.
fn launch(qemu: &Path, accelerator: Accelerator) -> Result<Launch> {
    let failed = |doing| FileError::new(doing, Path::new("the probe"));
    // Without a name, so that nothing is left behind.
    let mut file = tempfile::tempfile().map_err(failed("create"))?;
    file.write_all(&image()).map_err(failed("write"))?;
    let mut launch = Launch::of_program(qemu);
    launch
        .args(["-machine", "pc", "-accel", accelerator.name(), "-cpu", "max"])
        .args(["-m", "16", "-nodefaults", "-display", "none", "-no-reboot"])
        .args(["-bios", "/proc/self/fd/0"])
        .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=1"])
        .input(file);
    Ok(launch)
}

/// The BIOS image.
fn image() -> Vec<u8> {
    // hlt: whoever gets astray stays there.
    let mut image = vec![0xF4; IMAGE];
    image[START..START + PROBE.len()].copy_from_slice(&PROBE);
    image[RESET..RESET + JUMP.len()].copy_from_slice(&JUMP);
    image
}

/// Starts QEMU, waits for its end, not longer than `limit`, and looks at how it ended.
fn probe(launch: &mut Launch, limit: Duration) -> Result<Result<(), Refusal>> {
    match launch.start()?.wait(limit) {
        Ok(status) => Ok(verdict(status)),
        Err(QemuError::TimedOut { .. }) => Ok(Err(format!(
            "opens, but did not execute a short loop within {} s",
            limit.as_secs()
        ))),
        Err(error) => Err(error.into()),
    }
}

fn verdict(status: ExitStatus) -> Result<(), Refusal> {
    match status.code() {
        Some(EXECUTED) => Ok(()),
        Some(1) => Err("is not available here".to_owned()),
        _ => Err(format!("does not execute the probe ({status})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Much more than it takes, also on a machine that has a lot to do.
    const LONG: Duration = Duration::from_secs(300);

    fn shell(script: &str) -> Launch {
        let mut launch = Launch::of_program("sh");
        launch.args(["-c", script]);
        launch
    }

    #[test]
    fn only_code_that_was_executed_counts() {
        let seen = |script: &str| probe(&mut shell(script), LONG).unwrap();
        assert_eq!(seen(&format!("exit {EXECUTED}")), Ok(()));
        // QEMU starts, executes nothing and ends as it is told to.
        assert!(seen("exit 0").unwrap_err().contains("does not execute"));
        assert!(seen("exit 1").unwrap_err().contains("not available"));
        assert!(seen("kill -9 $$").unwrap_err().contains("does not execute"));
    }

    #[test]
    fn probe_that_does_not_end_is_ended() {
        let refusal = probe(&mut shell("exec sleep 600"), Duration::from_secs(1))
            .unwrap()
            .unwrap_err();
        assert!(refusal.contains("within 1 s"), "{refusal}");
    }

    #[test]
    fn probe_is_executed_by_qemu() {
        let mut launch = launch(Path::new(PROGRAM), Accelerator::Tcg).unwrap();
        assert_eq!(probe(&mut launch, LONG).unwrap(), Ok(()));
    }

    #[test]
    fn falls_back_unless_kvm_was_asked_for() {
        let no = || Ok(Err("is a stub".to_owned()));
        let never = || panic!("nothing is to be tried");
        let (kvm, tcg) = (Accelerator::Kvm, Accelerator::Tcg);
        assert_eq!(decide(None, || Ok(Ok(()))).unwrap(), (kvm, None));
        assert_eq!(decide(None, no).unwrap(), (tcg, Some("is a stub".to_owned())));
        assert_eq!(decide(Some(tcg), never).unwrap(), (tcg, None));
        let error = decide(Some(kvm), no).unwrap_err().to_string();
        assert_eq!(error, "KVM is a stub; --accel tcg, or no --accel, does without");
    }
}
