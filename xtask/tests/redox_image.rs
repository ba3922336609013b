//! `cargo xtask redox` on a real image of Redox, if there is one.
//!
//! | environment | |
//! |---|---|
//! | `E1000D_REDOX_IMAGE` | the image, for x86_64; without it nothing is tested here |
//! | `E1000D_REDOX_DRIVER` | the driver, built for it; otherwise it is built, for which a toolchain is needed |
//! | `E1000D_REDOX_CLIENT` | `netstack-client`, built for it; otherwise likewise |
//! | `E1000D_REDOX_AGENT` | `lab-agent`, built for it; otherwise likewise |

use std::io::Write;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The image; otherwise says on the terminal why nothing is tested.
fn image(test: &str) -> Option<String> {
    let image = std::env::var("E1000D_REDOX_IMAGE").ok();
    if image.is_none() {
        // Not `eprintln!`, which is shown for failed tests only.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED {test}: E1000D_REDOX_IMAGE does not name an image of Redox"
        );
    }
    image
}

/// Swaps, or takes back, and runs.
fn xtask(image: &Path, output: &Path, nic: &str, undo: bool) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(["redox", "--json", "--run", "--nic", nic]);
    command.arg("--image").arg(image).arg("--output").arg(output);
    if undo {
        command.arg("--undo");
    } else if let Some(driver) = std::env::var_os("E1000D_REDOX_DRIVER") {
        command.arg("--driver").arg(driver);
    }
    if let Some(client) = std::env::var_os("E1000D_REDOX_CLIENT") {
        command.arg("--client").arg(client);
    }
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{nic}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn network_works_with_every_nic_and_with_the_stock_driver_afterwards() {
    let Some(image) = image("network_works_with_every_nic_and_with_the_stock_driver_afterwards") else {
        return;
    };
    let place = tempfile::tempdir().unwrap();
    let swapped = place.path().join("swapped.img");
    for nic in ["e1000", "e1000-82544gc", "e1000-82545em", "e1000e"] {
        let report = xtask(Path::new(&image), &swapped, nic, false);
        let run = &report["run"];
        assert_eq!(report["driver"], "e1000d-new", "{nic}");
        assert_eq!(run["program"], "e1000d-new", "{nic}");
        assert!(run["driver"]["chip"].is_string(), "{nic}: {run}");
        assert!(run["mac"].is_string(), "{nic}: {run}");
        assert!(run["address"].is_string(), "{nic}: {run}");
        assert_eq!(run["network"]["ping"]["received"], 4, "{nic}: {run}");
    }
    let report = xtask(&swapped, &place.path().join("stock.img"), "e1000", true);
    assert_eq!(report["run"]["program"], "e1000d");
    assert_eq!(report["run"]["network"]["ping"]["received"], 4);
}

#[test]
fn report_compares_the_drivers() {
    let Some(image) = image("report_compares_the_drivers") else {
        return;
    };
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(["redox", "--report", "--json", "--image", &image]);
    command.args(["--only", "/boot/machine-pc-1-processor", "e1000e/link/late-link"]);
    for (option, variable) in [
        ("--driver", "E1000D_REDOX_DRIVER"),
        ("--agent", "E1000D_REDOX_AGENT"),
    ] {
        if let Some(program) = std::env::var_os(variable) {
            command.arg(option).arg(program);
        }
    }
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = |group: usize| report["groups"][group]["rows"].as_array().unwrap();
    // The stock driver and ours on all NICs.
    for cell in rows(0)[0]["cells"].as_array().unwrap() {
        assert_eq!(cell["mark"], "ok", "{report}");
    }
    for row in rows(1) {
        assert_eq!(row["cells"][4]["mark"], "ok", "{report}");
    }
}
