//! Where in a disk image RedoxFS is: in a partition, or behind the boot loader of an image without partitions.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

use gpt::GptConfig;
use gpt::disk::LogicalBlockSize;
use redoxfs::{BLOCK_SIZE, HEADER_RING, Header, SIGNATURE, VERSION};

use super::error::{Error, Result};

/// Bytes of an image without partitions that are searched. Redox puts the file system at 2 MiB.
const SEARCHED: u64 = 256 << 20;
const SECTOR: u64 = 512;

/// Where a file system is, in bytes from the start of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// The first byte.
    pub start: u64,
    /// Up to the end of the partition or image.
    pub length: u64,
    /// In which of the blocks from `start` a valid header is. It is part of a ring; any of them leads to the newest.
    pub header: u64,
    /// The way in which it was found.
    pub layout: Layout,
}

/// Division of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// GUID partition table.
    Gpt,
    /// Partition table of the master boot record.
    Mbr,
    /// No partition table.
    Raw,
}

impl Layout {
    /// One word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gpt => "GPT",
            Self::Mbr => "MBR",
            Self::Raw => "no partitions",
        }
    }
}

/// Finds the file system.
///
/// # Errors
///
/// [`Error::NoFileSystem`], [`Error::Encrypted`] and [`Error::Version`].
pub fn locate(image: &File) -> Result<Location> {
    let length = (&mut &*image).seek(SeekFrom::End(0)).unwrap_or(0);
    let (layout, partitions) = partitions(image, length);
    for (start, length) in &partitions {
        // Any header of the ring will do, should the first be damaged.
        if let Some(location) = search(image, *start, *length, HEADER_RING, layout)? {
            return Ok(location);
        }
    }
    // An image without partitions, or with a table that says nothing of the file system.
    if let Some(location) = search(image, 0, length, SEARCHED / BLOCK_SIZE, Layout::Raw)? {
        return Ok(location);
    }
    Err(Error::NoFileSystem {
        searched: format!(
            "{} partition(s) and the first {} MiB",
            partitions.len(),
            length.min(SEARCHED) >> 20
        ),
    })
}

/// Looks for a header in the first `blocks` blocks from `start`.
fn search(image: &File, start: u64, length: u64, blocks: u64, layout: Layout) -> Result<Option<Location>> {
    let mut header = Header::default();
    let mut other_version = None;
    for block in 0..blocks.min(length / BLOCK_SIZE) {
        let offset = start + block * BLOCK_SIZE;
        if image.read_exact_at(&mut header, offset).is_err() {
            break;
        }
        if !header.starts_with(SIGNATURE) {
            continue;
        }
        if header.valid() {
            // The file system begins where the ring does, which is `place` blocks earlier.
            let place = header.generation() % HEADER_RING;
            let first = block.saturating_sub(place) * BLOCK_SIZE;
            if header.encrypted() {
                return Err(Error::Encrypted {
                    offset: start + first,
                });
            }
            return Ok(Some(Location {
                start: start + first,
                length: length - first,
                header: place.min(block),
                layout,
            }));
        }
        let version = header.version.to_ne();
        if version != VERSION {
            other_version.get_or_insert((offset, version));
        }
    }
    match other_version {
        Some((offset, found)) => Err(Error::Version {
            offset,
            found,
            known: VERSION,
        }),
        None => Ok(None),
    }
}

/// First byte and length of each partition that lies within the image, largest first: boot partitions are small.
fn partitions(image: &File, length: u64) -> (Layout, Vec<(u64, u64)>) {
    let (layout, mut partitions) = match gpt(image) {
        Some(partitions) => (Layout::Gpt, partitions),
        None => (Layout::Mbr, mbr(image)),
    };
    partitions
        .retain(|(start, size)| *start > 0 && start.checked_add(*size).is_some_and(|end| end <= length));
    partitions.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
    (layout, partitions)
}

fn gpt(image: &File) -> Option<Vec<(u64, u64)>> {
    let disk = GptConfig::new()
        .logical_block_size(LogicalBlockSize::Lb512)
        .open_from_device(image.try_clone().ok()?)
        .ok()?;
    let block = *disk.logical_block_size();
    let used = disk.partitions().values().filter(|partition| partition.is_used());
    let bytes = |partition: &gpt::partition::Partition| {
        Some((
            partition.bytes_start(block).ok()?,
            partition.bytes_len(block).ok()?,
        ))
    };
    Some(used.filter_map(bytes).collect())
}

/// The four primary partitions.
fn mbr(image: &File) -> Vec<(u64, u64)> {
    let mut sector = [0; SECTOR as usize];
    if image.read_exact_at(&mut sector, 0).is_err() || sector[510..] != [0x55, 0xAA] {
        return Vec::new();
    }
    let word = |bytes: &[u8]| {
        bytes
            .first_chunk()
            .map_or(0, |word| u64::from(u32::from_le_bytes(*word)))
    };
    sector[446..510]
        .chunks_exact(16)
        // No partition has type 0.
        .filter(|entry| entry[4] != 0)
        .map(|entry| (word(&entry[8..]) * SECTOR, word(&entry[12..]) * SECTOR))
        .collect()
}

/// A part of a file, as a file of its own. Nothing outside of it can be reached.
#[derive(Debug)]
pub struct Window {
    file: File,
    start: u64,
    length: u64,
    position: u64,
}

impl Window {
    /// `length` bytes of the file, from `start`.
    pub fn new(file: File, start: u64, length: u64) -> Self {
        Self {
            file,
            start,
            length,
            position: 0,
        }
    }

    /// As many of `wanted` bytes as there are from the position on.
    fn limit(&self, wanted: usize) -> usize {
        let left = self.length.saturating_sub(self.position);
        usize::try_from(left).map_or(wanted, |left| wanted.min(left))
    }
}

impl Read for Window {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let limit = self.limit(buffer.len());
        let count = self
            .file
            .read_at(&mut buffer[..limit], self.start + self.position)?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Write for Window {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let limit = self.limit(buffer.len());
        let count = self.file.write_at(&buffer[..limit], self.start + self.position)?;
        self.position += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for Window {
    fn seek(&mut self, target: SeekFrom) -> io::Result<u64> {
        let position = match target {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => self.length.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
