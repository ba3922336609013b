//! `stats`

use std::fmt;

use clap::Args;
use serde::{Serialize, Serializer};

use super::keyed::Keyed;
use super::{Context, Outcome};

/// Show the counters of driver and adapter, named as in ethtool.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Leave out what is zero.
    #[arg(long)]
    nonzero: bool,
}

struct Report {
    counters: Keyed,
    nonzero: bool,
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut json = self.counters.json();
        json.retain(|_, value| !self.nonzero || *value != 0);
        json.serialize(serializer)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.counters.pairs().map(|(key, _)| key.len()).max().unwrap_or(0);
        let mut separator = "";
        for (key, value) in self
            .counters
            .pairs()
            .filter(|(_, value)| !self.nonzero || *value != "0")
        {
            write!(formatter, "{separator}{key:<width$}  {value:>12}")?;
            separator = "\n";
        }
        Ok(())
    }
}

pub fn run(arguments: &Arguments, context: &Context<'_>) -> Outcome {
    context.output.result(&Report {
        counters: Keyed::read(&context.adapter()?, "stats")?,
        nonzero: arguments.nonzero,
    });
    Ok(true)
}
