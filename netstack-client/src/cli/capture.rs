//! `capture`

use std::cell::RefCell;
use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use crate::adapter::{ask_filter, mac_text};
use crate::{FrameIo, MacAddress, Wait};
use clap::Args;
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use pcap_file::{DataLink, Endianness, PcapError, TsResolution};
use serde::Serialize;

use super::{Context, Error, Outcome, Result, value};

/// The longest frame that Redox's drivers deliver.
const READ_BUFFER: usize = 16 * 1024;

/// Save received frames to a file for Wireshark and others.
///
/// The driver delivers each frame once, to one of its readers. This command takes frames away from the
/// system's network stack, and does not see those that the stack takes first. It never sees what is sent.
///
/// The file has the classic pcap format with timestamps in nanoseconds. The exit status is 1 if --count
/// frames did not come in time.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The file to write.
    #[arg(short, long, value_name = "FILE")]
    write: PathBuf,

    /// Stop after so many frames.
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// Stop after this time.
    #[arg(long, value_name = "TIME[ms|s|m]", default_value = "10s", value_parser = value::duration)]
    timeout: Duration,

    /// Also capture frames to all other addresses.
    #[arg(short, long)]
    promiscuous: bool,

    /// Also capture frames to all multicast groups.
    #[arg(long)]
    all_multicast: bool,

    /// Also capture frames to this multicast group; may be given several times.
    #[arg(long, value_name = "MAC", value_parser = value::mac)]
    multicast: Vec<MacAddress>,

    /// Save no more than so many bytes of each frame.
    #[arg(long, value_name = "BYTES[K|M|G]", default_value = "16K", value_parser = value::size)]
    snaplen: u64,
}

#[derive(Serialize)]
struct Report {
    file: String,
    frames: u64,
    bytes: u64,
    seconds: f64,
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            frames,
            bytes,
            seconds,
        } = self;
        write!(
            formatter,
            "{file}: {frames} frames, {bytes} bytes in {seconds:.1} s"
        )
    }
}

/// A capture file, and counts of its contents.
struct Capture<W: Write> {
    path: String,
    file: Shared<W>,
    writer: PcapWriter<Shared<W>>,
    snaplen: usize,
    frames: u64,
    bytes: u64,
}

/// A file with two owners: it has to be flushed between frames, and the pcap writer gives no access to its own copy.
struct Shared<W>(Rc<RefCell<W>>);

impl<W> Clone for Shared<W> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<W: Write> Write for Shared<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.borrow_mut().flush()
    }
}

impl<W: Write> Capture<W> {
    fn new(path: String, file: W, snaplen: u64) -> Result<Self> {
        let header = PcapHeader {
            // The highest length of a frame, not of its saved part: strict readers compare it with the
            // original length.
            snaplen: 65_535,
            datalink: DataLink::ETHERNET,
            ts_resolution: TsResolution::NanoSecond,
            endianness: Endianness::native(),
            ..PcapHeader::default()
        };
        let file = Shared(Rc::new(RefCell::new(file)));
        let writer = PcapWriter::with_header(file.clone(), header).map_err(|error| failed(&path, error))?;
        let snaplen = usize::try_from(snaplen).unwrap_or(READ_BUFFER);
        Ok(Self {
            path,
            file,
            writer,
            snaplen,
            frames: 0,
            bytes: 0,
        })
    }

    fn add(&mut self, frame: &[u8], time: Duration) -> Result<()> {
        let saved = frame.get(..self.snaplen).unwrap_or(frame);
        // A frame's length is at most READ_BUFFER, which fits.
        let packet = PcapPacket::new(time, frame.len() as u32, saved);
        self.writer
            .write_packet(&packet)
            .map_err(|error| failed(&self.path, error))?;
        self.frames += 1;
        self.bytes += frame.len() as u64;
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.file
            .flush()
            .map_err(|source| failed(&self.path, PcapError::IoError(source)))
    }

    /// Captures frames until there are enough or the time is over.
    ///
    /// The file is flushed whenever no frame is waiting, so that a signal may end the capture.
    fn run(
        &mut self,
        adapter: &mut impl FrameIo,
        waiter: &mut impl Wait,
        count: Option<u64>,
        deadline: Instant,
    ) -> Result<()> {
        let mut buffer = vec![0; READ_BUFFER];
        while count.is_none_or(|count| self.frames < count) {
            let remaining = deadline.saturating_duration_since(Instant::now());
            if remaining.is_zero() {
                break;
            }
            match adapter.read_frame(&mut buffer)? {
                Some(length) => {
                    let time = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
                    self.add(&buffer[..length], time)?;
                }
                None => {
                    self.flush()?;
                    waiter.wait(Some(remaining))?;
                }
            }
        }
        self.flush()
    }
}

fn failed(path: &str, error: PcapError) -> Error {
    match error {
        PcapError::IoError(source) => Error::File {
            path: path.to_owned(),
            source,
        },
        other => Error::Other(format!("{path}: {other}")),
    }
}

impl Arguments {
    /// Lines to ask of the receive filter.
    fn filter(&self) -> String {
        let mut lines = String::new();
        for (wanted, line) in [
            (self.promiscuous, "promiscuous on\n"),
            (self.all_multicast, "allmulti on\n"),
        ] {
            if wanted {
                lines.push_str(line);
            }
        }
        for &group in &self.multicast {
            lines.push_str(&format!("multicast add {}\n", mac_text(group)));
        }
        lines
    }
}

pub fn run(arguments: &Arguments, context: &Context<'_>) -> Outcome {
    let path = arguments.write.display().to_string();
    let (mut adapter, mut readiness) = context.open()?;
    let filter = arguments.filter();
    let _asked = if filter.is_empty() {
        None
    } else {
        Some(ask_filter(adapter.name(), &filter)?)
    };
    let file = File::create(&arguments.write).map_err(|source| Error::File {
        path: path.clone(),
        source,
    })?;
    let mut capture = Capture::new(path, BufWriter::new(file), arguments.snaplen)?;
    let start = Instant::now();
    capture.run(
        &mut adapter,
        &mut readiness,
        arguments.count,
        start + arguments.timeout,
    )?;
    let Capture {
        path, frames, bytes, ..
    } = capture;
    context.output.result(&Report {
        file: path,
        frames,
        bytes,
        seconds: start.elapsed().as_secs_f64(),
    });
    Ok(arguments.count.is_none_or(|count| frames >= count))
}

#[cfg(test)]
mod tests {
    use crate::Woken;
    use pcap_file::pcap::PcapReader;

    use super::*;

    /// Gives out frames of these lengths, then nothing.
    struct Frames(Vec<usize>);

    impl FrameIo for Frames {
        fn read_frame(&mut self, buffer: &mut [u8]) -> crate::Result<Option<usize>> {
            let Some(length) = self.0.pop() else {
                return Ok(None);
            };
            buffer[..length].fill(length as u8);
            Ok(Some(length))
        }

        fn write_frame(&mut self, _: &[u8]) -> crate::Result<()> {
            panic!("a capture sends nothing")
        }
    }

    struct Sleep;

    impl Wait for Sleep {
        fn wait(&mut self, timeout: Option<Duration>) -> crate::Result<Woken> {
            std::thread::sleep(timeout.unwrap());
            Ok(Woken::Timeout)
        }
    }

    /// The (saved, original) lengths of the packets in a capture of frames of these lengths.
    fn captured(lengths: &[usize], snaplen: u64, count: Option<u64>) -> Vec<(usize, u32)> {
        let mut file = Vec::new();
        let mut capture = Capture::new("test".to_owned(), &mut file, snaplen).unwrap();
        let deadline = Instant::now() + Duration::from_millis(20);
        let frames = lengths.iter().rev().copied().collect();
        capture
            .run(&mut Frames(frames), &mut Sleep, count, deadline)
            .unwrap();
        drop(capture);

        let mut reader = PcapReader::new(file.as_slice()).unwrap();
        assert_eq!(reader.header().datalink, DataLink::ETHERNET);
        let mut packets = Vec::new();
        while let Some(packet) = reader.next_packet() {
            let packet = packet.unwrap();
            assert!(packet.data.iter().all(|byte| *byte == packet.orig_len as u8));
            assert!(packet.timestamp.as_secs() > 1_500_000_000);
            packets.push((packet.data.len(), packet.orig_len));
        }
        packets
    }

    #[test]
    fn capture_can_be_read_again() {
        let expected = [(60, 60), (1514, 1514), (9018, 9018)];
        assert_eq!(captured(&[60, 1514, 9018], 16 * 1024, None), expected);
    }

    #[test]
    fn frames_above_the_snaplen_are_cut_but_keep_their_length() {
        assert_eq!(captured(&[60, 1514], 96, None), [(60, 60), (96, 1514)]);
    }

    #[test]
    fn capture_ends_after_its_count() {
        assert_eq!(captured(&[60, 61, 62], 1000, Some(2)), [(60, 60), (61, 61)]);
    }

    #[test]
    fn capture_without_frames_is_a_valid_file() {
        assert_eq!(captured(&[], 1000, None), []);
    }
}
