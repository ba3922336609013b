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
    use e1000d::platform::{Environment, Redox};
    use pcid_config::environment::{INIT_NOTIFY, PCID_CLIENT_CHANNEL, parse_fd};

    let channel = parse_fd(
        PCID_CLIENT_CHANNEL,
        std::env::var_os(PCID_CLIENT_CHANNEL).as_deref(),
    )?
    .ok_or("PCID_CLIENT_CHANNEL is not set: this program is started by pcid-spawner")?;
    let notify = parse_fd(INIT_NOTIFY, std::env::var_os(INIT_NOTIFY).as_deref())?;
    e1000d::run(Redox, Environment { channel, notify })?;
    Ok(())
}

#[cfg(not(target_os = "redox"))]
fn e1000d_main() -> Result<(), Box<dyn std::error::Error>> {
    Err("this program drives a NIC on Redox; `cargo xtask demo` runs its code on Linux against QEMU".into())
}
