//! A network scheme without hardware: what is written to it reaches a small network in memory.
//!
//! It runs as a process of its own, as a driver would.

mod network;

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::mem::take;
use std::path::Path;

use netstack_client::MacAddress;
use redox_scheme::scheme::{SchemeSync, register_sync_scheme};
use redox_scheme::wrappers::ReadinessBased;
use redox_scheme::{CallerCtx, OpenResult, Response, SignalBehavior, Socket};
use syscall::error::{EACCES, EAGAIN, EBADF, EINVAL, EWOULDBLOCK, Error, Result};
use syscall::flag::{EventFlags, O_NONBLOCK};
use syscall::schemev2::NewFdFlags;

use network::Network;

/// The MAC address of the adapter.
pub const MAC: MacAddress = MacAddress([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
/// File in the directory of schemes that is there as soon as a read has been parked.
pub const PARKED: &str = "parked";
/// The contents of the file `link`.
pub const LINK: &str = "up 1000 full\n";

const ROOT: usize = 0;

#[derive(Clone, Copy, PartialEq)]
enum Handle {
    Data,
    Mac,
    Link,
}

#[derive(Default)]
struct FakeScheme {
    handles: BTreeMap<usize, Handle>,
    last_id: usize,
    network: Network,
    /// Received frames that nobody has read yet.
    received: VecDeque<Vec<u8>>,
    /// Frames came since events were last posted.
    news: bool,
}

/// Serves the scheme `name` until the process is killed.
pub fn serve(name: &str) {
    let socket = Socket::create().expect("scheme socket");
    let mut scheme = FakeScheme::default();
    register_sync_scheme(&socket, name, &mut scheme).expect("registration");
    let scheme = RefCell::new(scheme);
    let mut requests = ReadinessBased::new(&socket, 16);
    while requests.read_requests().expect("requests") {
        requests.process_requests(|| scheme.borrow_mut());
        requests
            .poll_all_requests(|| scheme.borrow_mut())
            .expect("parked requests");
        requests.write_responses().expect("responses");
        if take(&mut scheme.borrow_mut().news) {
            for id in scheme.borrow().data_handles() {
                let event = Response::post_fevent(id, EventFlags::EVENT_READ.bits());
                socket
                    .write_response(event, SignalBehavior::Restart)
                    .expect("event");
            }
        }
    }
}

impl FakeScheme {
    fn data_handles(&self) -> impl Iterator<Item = usize> {
        self.handles
            .iter()
            .filter(|(_, handle)| **handle == Handle::Data)
            .map(|(id, _)| *id)
    }

    fn handle(&self, id: usize) -> Result<Handle> {
        self.handles.get(&id).copied().ok_or(Error::new(EBADF))
    }
}

fn part(contents: &[u8], buffer: &mut [u8], offset: u64) -> usize {
    let offset = usize::try_from(offset).unwrap_or(usize::MAX).min(contents.len());
    let length = buffer.len().min(contents.len() - offset);
    buffer[..length].copy_from_slice(&contents[offset..][..length]);
    length
}

impl SchemeSync for FakeScheme {
    fn scheme_root(&mut self) -> Result<usize> {
        Ok(ROOT)
    }

    fn openat(
        &mut self,
        directory: usize,
        path: &str,
        _flags: usize,
        _fcntl_flags: u32,
        caller: &CallerCtx,
    ) -> Result<OpenResult> {
        if directory != ROOT || caller.uid != 0 {
            return Err(Error::new(EACCES));
        }
        let (handle, flags) = match path.trim_matches('/') {
            "" => (Handle::Data, NewFdFlags::empty()),
            "mac" => (Handle::Mac, NewFdFlags::POSITIONED),
            "link" => (Handle::Link, NewFdFlags::POSITIONED),
            _ => return Err(Error::new(EINVAL)),
        };
        self.last_id += 1;
        self.handles.insert(self.last_id, handle);
        Ok(OpenResult::ThisScheme {
            number: self.last_id,
            flags,
        })
    }

    fn read(
        &mut self,
        id: usize,
        buffer: &mut [u8],
        offset: u64,
        flags: u32,
        _: &CallerCtx,
    ) -> Result<usize> {
        match self.handle(id)? {
            Handle::Mac => Ok(part(MAC.as_bytes(), buffer, offset)),
            Handle::Link => Ok(part(LINK.as_bytes(), buffer, offset)),
            Handle::Data => match self.received.pop_front() {
                Some(frame) => Ok(part(&frame, buffer, 0)),
                None if flags as usize & O_NONBLOCK != 0 => Err(Error::new(EAGAIN)),
                None => {
                    // Beside the scheme's socket, for the test that waits for a reader.
                    let directory = std::env::var_os(super::schemes::DIRECTORY).unwrap_or_default();
                    let _ = std::fs::write(Path::new(&directory).join(PARKED), []);
                    Err(Error::new(EWOULDBLOCK)) // redox-scheme parks the request
                }
            },
        }
    }

    fn write(&mut self, id: usize, frame: &[u8], _: u64, _: u32, _: &CallerCtx) -> Result<usize> {
        if self.handle(id)? != Handle::Data || !(14..=1518).contains(&frame.len()) {
            return Err(Error::new(EINVAL));
        }
        self.received.extend(self.network.transmit(frame));
        self.news |= !self.received.is_empty();
        Ok(frame.len())
    }

    fn fevent(&mut self, id: usize, flags: EventFlags, _: &CallerCtx) -> Result<EventFlags> {
        let ready = self.handle(id)? == Handle::Data && !self.received.is_empty();
        Ok(if ready {
            flags & EventFlags::EVENT_READ
        } else {
            EventFlags::empty()
        })
    }

    fn on_close(&mut self, id: usize) {
        self.handles.remove(&id);
    }
}
