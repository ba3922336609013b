//! `send`

use std::fmt;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crate::frame::MIN_FRAME;
use crate::{Adapter, Mode, bounded};
use clap::Args;
use serde::Serialize;

use super::{Context, Error, Outcome, Result, value};

/// Send a frame.
///
/// The frame begins with the destination address and has no frame check sequence. Its length is not checked
/// here: the driver decides, and what it says is shown.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("frame").required(true).args(["hex", "file"])))]
pub struct Arguments {
    /// The frame in hexadecimal, in any number of arguments; ":" and "-" between bytes are ignored.
    #[arg(value_name = "HEX", value_parser = value::hex)]
    hex: Vec<Bytes>,

    /// The file that holds the bytes of the frame.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,

    /// Number of times to send it.
    #[arg(short, long, value_name = "N", default_value_t = 1)]
    count: u64,

    /// Time between two frames.
    #[arg(short, long, value_name = "TIME[ms|s|m]", default_value = "0", value_parser = value::duration)]
    interval: Duration,

    /// Append zeros up to the shortest length of Ethernet, 60 bytes.
    #[arg(long)]
    pad: bool,

    /// Time limit for the driver to accept a frame.
    #[arg(long, value_name = "TIME[ms|s|m]", default_value = "10s", value_parser = value::duration)]
    timeout: Duration,
}

/// Bytes of one argument. A type of its own, because clap reads a bare `Vec` as any number of arguments.
type Bytes = Vec<u8>;

#[derive(Serialize)]
struct Report {
    frames: u64,
    length: usize,
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.frames == 1 { "" } else { "s" };
        write!(
            formatter,
            "sent {} frame{plural} of {} bytes",
            self.frames, self.length
        )
    }
}

impl Arguments {
    fn frame(&self) -> Result<Vec<u8>> {
        let mut frame = match &self.file {
            Some(path) => std::fs::read(path).map_err(|source| Error::File {
                path: path.display().to_string(),
                source,
            })?,
            None => self.hex.concat(),
        };
        if self.pad && frame.len() < MIN_FRAME {
            frame.resize(MIN_FRAME, 0);
        }
        Ok(frame)
    }
}

pub fn run(arguments: &Arguments, context: &Context<'_>) -> Outcome {
    let frame = arguments.frame()?;
    let length = frame.len();
    let adapter = Adapter::open(&context.adapter()?, Mode::Blocking)?;
    let (count, interval) = (arguments.count, arguments.interval);
    let limit = arguments
        .timeout
        .saturating_add(interval)
        .saturating_mul(count.try_into().unwrap_or(u32::MAX));
    let sent = bounded::within(limit, move || {
        for index in 0..count {
            if index > 0 && !interval.is_zero() {
                thread::sleep(interval);
            }
            adapter.write_frame(&frame)?;
        }
        Ok::<(), crate::Error>(())
    });
    match sent {
        Some(result) => result?,
        None => {
            return Err(Error::Other(format!(
                "the driver did not take the frames within {limit:?}"
            )));
        }
    }
    context.output.result(&Report {
        frames: count,
        length,
    });
    Ok(true)
}
