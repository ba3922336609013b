//! The `e1000d` that pcid-spawner starts on Redox.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use e1000d::options::{Options, help};

fn main() -> ExitCode {
    let result = match Options::parse(std::env::args_os().skip(1)) {
        Ok(Some(options)) => run(options),
        Ok(None) => {
            print!("{}", help());
            return ExitCode::SUCCESS;
        }
        Err(error) => Err(error.to_string()),
    };
    if let Err(message) = result {
        eprintln!("e1000d: {message}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

#[cfg(target_os = "redox")]
fn run(options: Options) -> Result<(), String> {
    use e1000d::platform::Environment;
    use e1000d::redox::machine::Redox;

    let environment = Environment::inherited().map_err(|error| error.to_string())?;
    e1000d::run(Redox, environment, options).map_err(|error| error.to_string())
}

#[cfg(not(target_os = "redox"))]
fn run(_: Options) -> Result<(), String> {
    Err("this program is for Redox; on Linux, `cargo xtask demo` runs e1000d-hosted, the same code against QEMU".into())
}
