//! `list`

use std::fmt;

use crate::adapter;
use clap::Args;
use serde::Serialize;

use super::{Context, Outcome};

/// List the adapters with their MAC addresses.
///
/// The exit status is 1 if there is none.
#[derive(Debug, Args)]
pub struct Arguments {}

#[derive(Serialize)]
struct Report {
    adapters: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    name: String,
    mac: Option<String>,
    /// Reason why the MAC address is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self
            .adapters
            .iter()
            .map(|entry| entry.name.len())
            .max()
            .unwrap_or(0);
        if self.adapters.is_empty() {
            formatter.write_str("no network adapter")?;
        }
        for (index, entry) in self.adapters.iter().enumerate() {
            let mac = entry
                .mac
                .as_ref()
                .or(entry.error.as_ref())
                .map_or("", String::as_str);
            let separator = if index == 0 { "" } else { "\n" };
            write!(formatter, "{separator}{:<width$}  {mac}", entry.name)?;
        }
        Ok(())
    }
}

pub fn run(_: &Arguments, context: &Context<'_>) -> Outcome {
    let names = match &context.adapter {
        Some(name) => vec![name.clone()],
        None => adapter::list()?,
    };
    let entry = |name| match adapter::mac(&name) {
        Ok(mac) => Entry {
            name: name.to_string(),
            mac: Some(adapter::mac_text(mac)),
            error: None,
        },
        Err(error) => Entry {
            name: name.to_string(),
            mac: None,
            error: Some(error.to_string()),
        },
    };
    let report = Report {
        adapters: names.into_iter().map(entry).collect(),
    };
    context.output.result(&report);
    Ok(!report.adapters.is_empty())
}
