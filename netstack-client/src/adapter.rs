//! Adapters: finding them, opening them, and moving frames one at a time.

use libredox::Fd;
use libredox::flag::{O_CLOEXEC, O_NONBLOCK, O_RDONLY, O_RDWR};

pub use smoltcp::wire::EthernetAddress as MacAddress;

use crate::error::is_would_block;
pub use crate::name::AdapterName;
use crate::name::SCHEMES;
use crate::{Error, Result};

/// Beginning of the name of every network adapter.
const PREFIX: &str = "network.";

/// Large enough for every frame of a network with an MTU of 1500, VLAN tags included.
pub const READ_BUFFER: usize = 2048;

/// Moves whole Ethernet frames, without frame check sequence.
///
/// [`Adapter`] does it for real; tests use a wire in memory instead.
pub trait FrameIo {
    /// Reads the next frame into `buffer`, truncated to it, and returns its length, or `None` if there is no
    /// frame now and the adapter does not block.
    fn read_frame(&mut self, buffer: &mut [u8]) -> Result<Option<usize>>;

    /// Sends one frame, which begins with the destination address.
    fn write_frame(&mut self, frame: &[u8]) -> Result<()>;
}

/// All adapters of this system, sorted by name.
pub fn list() -> Result<Vec<AdapterName>> {
    let mut names: Vec<_> = scheme_names()?
        .into_iter()
        .filter(|name| name.starts_with(PREFIX))
        .filter_map(|name| name.parse().ok())
        .collect();
    names.sort();
    Ok(names)
}

/// The adapter to use: the given one, otherwise the only one.
///
/// # Errors
///
/// Without a choice, [`Error::NoAdapter`] and [`Error::SeveralAdapters`].
pub fn select(choice: Option<&AdapterName>) -> Result<AdapterName> {
    match choice {
        Some(name) => Ok(name.clone()),
        None => only(list()?),
    }
}

fn only(mut names: Vec<AdapterName>) -> Result<AdapterName> {
    match (names.pop(), names.is_empty()) {
        (None, _) => Err(Error::NoAdapter),
        (Some(name), true) => Ok(name),
        (Some(name), false) => {
            names.push(name);
            Err(Error::SeveralAdapters(names))
        }
    }
}

/// The names of all schemes.
///
/// Through the standard library: how relibc lists a directory differs between Redox releases.
#[cfg(target_os = "redox")]
fn scheme_names() -> Result<Vec<String>> {
    let failed = |source| Error::Scheme {
        action: "list",
        path: SCHEMES.to_owned(),
        source,
    };
    std::fs::read_dir(SCHEMES)
        .map_err(failed)?
        .map(|entry| Ok(entry.map_err(failed)?.file_name().to_string_lossy().into_owned()))
        .collect()
}

/// The names of all schemes.
///
/// The standard library does not know hosted schemes, the shim below libredox does.
#[cfg(not(target_os = "redox"))]
fn scheme_names() -> Result<Vec<String>> {
    use syscall::dirent::DirentIter;

    let failed = |action| move |error| Error::scheme(action, SCHEMES, error);
    let malformed = || Error::Listing {
        path: SCHEMES.to_owned(),
    };
    let directory =
        Fd::open(SCHEMES, libredox::flag::O_DIRECTORY | O_RDONLY | O_CLOEXEC, 0).map_err(failed("open"))?;
    let mut names = Vec::new();
    let mut buffer = [0; 4096];
    let mut position = 0;
    loop {
        let length =
            libredox::call::getdents(directory.raw(), &mut buffer, position).map_err(failed("list"))?;
        if length == 0 {
            return Ok(names);
        }
        for entry in DirentIter::new(buffer.get(..length).ok_or_else(malformed)?) {
            let (header, name) = entry.map_err(|_| malformed())?;
            position = header.next_opaque_id;
            // Records are padded with NULs to their alignment.
            let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
            names.push(String::from_utf8_lossy(name).into_owned());
        }
    }
}

/// Behaviour of reading when there is no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Reading waits for a frame.
    Blocking,
    /// Reading returns `None`; [`Readiness`](crate::Readiness) waits until there are frames.
    NonBlocking,
}

/// An open adapter.
///
/// Any number of clients may have it open, but each received frame goes to one of them only.
pub struct Adapter {
    name: AdapterName,
    data: Fd,
}

impl Adapter {
    /// Opens the data file of an adapter. Drivers allow this to root only.
    pub fn open(name: &AdapterName, mode: Mode) -> Result<Self> {
        let flags = match mode {
            Mode::Blocking => O_RDWR | O_CLOEXEC,
            Mode::NonBlocking => O_RDWR | O_CLOEXEC | O_NONBLOCK,
        };
        let path = name.path();
        let data = Fd::open(&path, flags, 0).map_err(|error| Error::scheme("open", path, error))?;
        Ok(Self {
            name: name.clone(),
            data,
        })
    }

    /// The name it was opened by.
    pub fn name(&self) -> &AdapterName {
        &self.name
    }

    /// The address of the network card.
    pub fn mac(&self) -> Result<MacAddress> {
        mac(&self.name)
    }

    /// The descriptor of the data file, for an event queue.
    pub fn fd(&self) -> usize {
        self.data.raw()
    }

    /// See [`FrameIo::read_frame`].
    pub fn read_frame(&self, buffer: &mut [u8]) -> Result<Option<usize>> {
        loop {
            match self.data.read(buffer) {
                Ok(0) if !buffer.is_empty() => {
                    return Err(Error::EndOfFile {
                        path: self.name.path(),
                    });
                }
                Ok(length) => return Ok(Some(length.min(buffer.len()))),
                Err(error) if is_would_block(error.errno()) => return Ok(None),
                Err(error) if error.is_interrupt() => {}
                Err(error) => return Err(Error::scheme("read a frame from", self.name.path(), error)),
            }
        }
    }

    /// See [`FrameIo::write_frame`]. The adapter, not this crate, decides which lengths are acceptable.
    pub fn write_frame(&self, frame: &[u8]) -> Result<()> {
        loop {
            match self.data.write(frame) {
                Ok(written) if written == frame.len() => return Ok(()),
                Ok(written) => {
                    return Err(Error::ShortWrite {
                        path: self.name.path(),
                        written,
                        length: frame.len(),
                    });
                }
                Err(error) if error.is_interrupt() => {}
                Err(error) => return Err(Error::scheme("write a frame to", self.name.path(), error)),
            }
        }
    }
}

impl FrameIo for Adapter {
    fn read_frame(&mut self, buffer: &mut [u8]) -> Result<Option<usize>> {
        Self::read_frame(self, buffer)
    }

    fn write_frame(&mut self, frame: &[u8]) -> Result<()> {
        Self::write_frame(self, frame)
    }
}

/// An address with colons: `52:54:00:12:34:56`.
pub fn mac_text(mac: MacAddress) -> String {
    mac.as_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<Vec<_>>()
        .join(":")
}

/// The address of an adapter's network card, without opening the adapter for frames.
pub fn mac(name: &AdapterName) -> Result<MacAddress> {
    let path = name.file("mac");
    let bytes = read_file(&path, 16)?;
    match <[u8; 6]>::try_from(bytes.as_slice()) {
        Ok(octets) => Ok(MacAddress(octets)),
        Err(_) => Err(Error::MacLength {
            path,
            length: bytes.len(),
        }),
    }
}

/// The contents of one of an adapter's additional text files, `link` or `stats` for instance, or `None` if
/// this adapter's driver does not offer it.
pub fn text_file(name: &AdapterName, file: &str) -> Result<Option<String>> {
    const LIMIT: usize = 64 * 1024;

    match read_file(&name.file(file), LIMIT) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        // Redox's own drivers answer EINVAL to names that they do not know.
        Err(error)
            if matches!(
                error.errno(),
                Some(syscall::error::ENOENT | syscall::error::EINVAL)
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Writes to one of an adapter's additional files, `selftest` for instance, with a single write.
///
/// # Errors
///
/// [`Error::Scheme`] with the driver's error.
pub fn write_file(name: &AdapterName, file: &str, text: &str) -> Result<()> {
    open_and_write(name, file, text).map(|_| ())
}

/// A request to an adapter's receive filter. Dropping it withdraws the request.
#[must_use]
pub struct FilterRequest {
    _file: Fd,
}

/// Asks an adapter's receive filter for more than the adapter's own address and broadcast, until the result is dropped.
/// The lines are such as `promiscuous on`, `allmulti on`, `multicast add 33:33:00:00:00:01`.
///
/// # Errors
///
/// [`Error::Scheme`] with the driver's error: `EINVAL` for unknown lines and for addresses that are no group's,
/// `ENOENT` or `EINVAL` from a driver without that file.
pub fn ask_filter(name: &AdapterName, lines: &str) -> Result<FilterRequest> {
    open_and_write(name, "filter", lines).map(|file| FilterRequest { _file: file })
}

/// Opens one of an adapter's additional files and writes to it with a single write.
fn open_and_write(name: &AdapterName, file: &str, text: &str) -> Result<Fd> {
    let path = name.file(file);
    let failed = |action| {
        let path = path.clone();
        move |error| Error::scheme(action, path, error)
    };
    let file = Fd::open(&path, O_RDWR | O_CLOEXEC, 0).map_err(failed("open"))?;
    let written = file.write(text.as_bytes()).map_err(failed("write to"))?;
    if written == text.len() {
        Ok(file)
    } else {
        Err(Error::ShortWrite {
            path,
            written,
            length: text.len(),
        })
    }
}

fn read_file(path: &str, limit: usize) -> Result<Vec<u8>> {
    let file = Fd::open(path, O_RDONLY | O_CLOEXEC, 0).map_err(|error| Error::scheme("open", path, error))?;
    let mut contents = Vec::new();
    let mut buffer = [0; 1024];
    while contents.len() < limit {
        let wanted = buffer.len().min(limit - contents.len());
        let chunk = &mut buffer[..wanted];
        match file.read(chunk) {
            Ok(0) => break,
            Ok(length) => contents.extend_from_slice(&chunk[..length.min(wanted)]),
            Err(error) if error.is_interrupt() => {}
            Err(error) => return Err(Error::scheme("read", path, error)),
        }
    }
    Ok(contents)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<AdapterName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn several_adapters_need_a_choice() {
        assert_eq!(only(names(&["network.a"])).unwrap().as_str(), "network.a");
        assert!(matches!(only(names(&[])), Err(Error::NoAdapter)));
        match only(names(&["network.a", "network.b"])) {
            Err(Error::SeveralAdapters(choices)) => assert_eq!(choices, names(&["network.a", "network.b"])),
            other => panic!("{other:?}"),
        }
    }
}
