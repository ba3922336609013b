//! `info`

use std::collections::BTreeMap;
use std::fmt;

use crate::adapter;
use clap::Args;
use serde::{Deserialize, Serialize};

use super::{Context, Outcome};

/// Text files that a driver may offer beside its frames.
const FILES: [&str; 7] = ["link", "speed", "mtu", "info", "filter", "hang", "selftest"];

/// Show the driver's information about its adapter.
#[derive(Debug, Args)]
pub struct Arguments {}

/// Result of `info`.
#[derive(Debug, Deserialize, Serialize)]
pub struct Report {
    /// Name of the adapter.
    pub name: String,
    /// Path of its data file.
    pub path: String,
    /// MAC address.
    pub mac: String,
    /// Contents of the driver's text files, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{:<8} {}\n{:<8} {}\n{:<8} {}",
            "name", self.name, "path", self.path, "mac", self.mac
        )?;
        for (name, text) in &self.files {
            for (index, line) in text.lines().enumerate() {
                let heading = if index == 0 { name.as_str() } else { "" };
                write!(formatter, "\n{heading:<8} {line}")?;
            }
        }
        Ok(())
    }
}

pub fn run(_: &Arguments, context: &Context<'_>) -> Outcome {
    let name = context.adapter()?;
    let mac = adapter::mac_text(adapter::mac(&name)?);
    let mut files = BTreeMap::new();
    for file in FILES {
        if let Some(text) = adapter::text_file(&name, file)? {
            files.insert(file.to_owned(), text);
        }
    }
    context.output.result(&Report {
        name: name.to_string(),
        path: name.path(),
        mac,
        files,
    });
    Ok(true)
}
