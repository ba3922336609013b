//! Log: lines on standard error, which init connects to the system log, and in a file of the logging scheme.
//!
//! Nothing is ever logged for a frame or an interrupt: the console is slow and blocks.

use std::fs::File;
use std::io::Write;
use std::sync::Mutex;

use log::{LevelFilter, Log, Metadata, Record};

struct Logger {
    /// Prefix of each line, the name of the NIC's scheme.
    name: String,
    level: LevelFilter,
    file: Option<Mutex<File>>,
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata) -> bool {
        metadata.level() <= self.level.max(LevelFilter::Info)
    }

    fn log(&self, record: &Record) {
        let line = format!("{} {}: {}\n", record.level(), self.name, record.args());
        // A log that cannot be written has no place to report that.
        if record.level() <= self.level {
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
        if let Some(file) = &self.file
            && record.level() <= LevelFilter::Info
            && let Ok(mut file) = file.lock()
        {
            let _ = file.write_all(line.as_bytes());
        }
    }

    fn flush(&self) {}
}

/// Starts logging for the NIC `name`. Opens its file, so this comes before the null namespace.
pub fn init(name: &str) {
    // The stock driver's file is named after the scheme, without the prefix (base, drivers/common/src/logger.rs).
    let base = name.strip_prefix("network.").unwrap_or(name);
    let file = File::create(format!("/scheme/logging/net/pci/{base}.log"))
        .ok()
        .map(Mutex::new);
    let level = std::fs::read_to_string("/scheme/sys/env")
        .ok()
        .and_then(|environment| level_from(&environment))
        .unwrap_or(LevelFilter::Info);
    let logger = Logger {
        name: base.to_owned(),
        level,
        file,
    };
    if log::set_boxed_logger(Box::new(logger)).is_ok() {
        log::set_max_level(level.max(LevelFilter::Info));
    }
}

/// Level that the kernel's environment sets for PCI network drivers, as for the stock ones (base,
/// drivers/common/src/logger.rs).
fn level_from(environment: &str) -> Option<LevelFilter> {
    ["DRIVER_PCI_LOG_LEVEL", "DRIVER_NET_LOG_LEVEL", "DRIVER_LOG_LEVEL"]
        .into_iter()
        .find_map(|key| {
            let value = environment
                .lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
            value.trim().parse().ok()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_special_variable_decides() {
        assert_eq!(
            level_from("A=b\nDRIVER_LOG_LEVEL=warn\n"),
            Some(LevelFilter::Warn)
        );
        assert_eq!(
            level_from("DRIVER_LOG_LEVEL=warn\nDRIVER_NET_LOG_LEVEL=Debug"),
            Some(LevelFilter::Debug)
        );
        assert_eq!(level_from("DRIVER_LOG_LEVEL=loud"), None);
        assert_eq!(level_from(""), None);
    }
}
