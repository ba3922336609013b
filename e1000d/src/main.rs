//! The `e1000d` that pcid-spawner starts on Redox.

use std::process::ExitCode;

fn main() -> ExitCode {
    match e1000d_main() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("e1000d: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(target_os = "redox")]
fn e1000d_main() -> Result<(), Box<dyn std::error::Error>> {
    use e1000d::platform::Environment;
    use e1000d::redox::machine::Redox;
    use pcid_config::environment::{INIT_NOTIFY, PCID_CLIENT_CHANNEL, parse_fd};

    let channel = parse_fd(
        PCID_CLIENT_CHANNEL,
        std::env::var_os(PCID_CLIENT_CHANNEL).as_deref(),
    )?
    .ok_or("PCID_CLIENT_CHANNEL is not set: this program is started by pcid-spawner")?;
    let notify = parse_fd(INIT_NOTIFY, std::env::var_os(INIT_NOTIFY).as_deref())?;
    let options = options(std::env::args().skip(1))?;
    e1000d::run(Redox, Environment { channel, notify }, options)?;
    Ok(())
}

#[cfg(not(target_os = "redox"))]
fn e1000d_main() -> Result<(), Box<dyn std::error::Error>> {
    Err("this program is for Redox; on Linux, `cargo xtask demo` runs e1000d-hosted, the same code against QEMU".into())
}

/// The command line of a match file: nothing, `--interrupts KIND`, the first kind to try, `--pause MODE`, the pause frames
/// that are wanted, `--moderation POLICY`, how long the NIC waits between two interrupts, and `--force`, which has parts
/// driven that are known not to be right.
#[cfg(any(target_os = "redox", test))]
fn options(mut arguments: impl Iterator<Item = String>) -> Result<e1000d::options::Options, String> {
    let mut options = e1000d::options::Options::default();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--interrupts" => {
                let kind = arguments
                    .next()
                    .ok_or("--interrupts needs a kind: msi-x, msi, intx or polling")?;
                options.interrupts = kind
                    .parse()
                    .map_err(|error: e1000d::redox::irq::UnknownKind| error.to_string())?;
            }
            "--pause" => {
                let mode = arguments
                    .next()
                    .ok_or("--pause needs a mode: none, rx, tx or both")?;
                options.pause = mode
                    .parse()
                    .map_err(|error: e1000_hw::flow_control::UnknownPause| format!("{mode:?}: {error}"))?;
            }
            "--moderation" => {
                let policy = arguments
                    .next()
                    .ok_or("--moderation needs a policy: off, lowest, low, bulk or adaptive")?;
                options.moderation = policy
                    .parse()
                    .map_err(|error: e1000_hw::moderation::UnknownPolicy| format!("{policy:?}: {error}"))?;
            }
            "--force" => options.force = true,
            other => {
                return Err(format!(
                    "unknown argument {other:?}; there are --interrupts KIND, --pause MODE, --moderation POLICY and --force"
                ));
            }
        }
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use e1000_hw::flow_control::Pause;
    use e1000_hw::moderation::Policy;
    use e1000d::redox::irq::Kind;

    #[test]
    fn interrupts_pause_and_moderation_may_be_chosen() {
        let options = |line: &str| super::options(line.split_whitespace().map(str::to_owned));
        assert_eq!(options("").map(|options| options.interrupts), Ok(Kind::MsiX));
        assert_eq!(
            options("--interrupts intx").map(|options| options.interrupts),
            Ok(Kind::Line)
        );
        assert_eq!(options("").map(|options| options.pause), Ok(Pause::RX));
        let both =
            options("--pause both --interrupts msi").map(|options| (options.pause, options.interrupts));
        assert_eq!(both, Ok((Pause::BOTH, Kind::Msi)));
        let adaptive = options("--moderation adaptive").map(|options| options.moderation);
        assert_eq!(adaptive, Ok(Policy::Adaptive));
        assert_eq!(options("").map(|options| options.force), Ok(false));
        assert_eq!(
            options("--force --pause rx").map(|options| options.force),
            Ok(true)
        );
        for bad in [
            "--interrupts",
            "--interrupts irq",
            "--fast",
            "--pause",
            "--pause full",
            "--moderation",
            "--moderation 8000",
        ] {
            assert!(options(bad).is_err(), "{bad}");
        }
    }
}
