//! A stand-in for Redox's pcid: the driver's channel, byte for byte, for one function.
//!
//! Differences from pcid: the function has no MSI and no MSI-X, because hosted mode has legacy lines only; a request
//! that cannot be decoded ends the channel instead of failing the write, and so does a configuration offset that
//! would abort pcid itself.

use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use pcid_config::channel::{COMMAND, COMMAND_BUS_MASTER};
use pcid_config::protocol::{PciFunction, PcidError, Request, Response, SetFeature, frame};

use crate::pci::{ConfigSpace, Nic};

/// Longer than any request.
const REQUEST_LIMIT: usize = 4096;

/// Starts a thread that plays pcid for `nic` until the driver closes the channel; calls `on_bus_master_off` when the
/// driver has taken bus mastering from the function, before it learns that it has.
///
/// The descriptor is the driver's end: what `PCID_CLIENT_CHANNEL` names on Redox.
///
/// # Errors
///
/// When there is no socket or no thread to be had.
pub fn serve(nic: &Nic, on_bus_master_off: impl FnMut() + Send + 'static) -> io::Result<OwnedFd> {
    let (ours, theirs) = UnixStream::pair()?;
    let (config, function) = (nic.config.clone(), nic.function.clone());
    // Opening the channel enables the function (`parse_after_pci_addr` in redox base, drivers/pcid/src/scheme.rs).
    config.enable();
    redox_shim::spawn_without_signals("pcid", move || {
        run(ours, &config, &function, on_bus_master_off);
    })?;
    Ok(theirs.into())
}

fn run(
    mut channel: UnixStream,
    config: &ConfigSpace,
    function: &PciFunction,
    mut on_bus_master_off: impl FnMut(),
) {
    let mut buffer = [0; REQUEST_LIMIT];
    // One write is one request, and the next one only comes after the answer: one read gets it whole.
    while let Ok(length @ 1..) = channel.read(&mut buffer) {
        let Ok(request) = Request::decode(&buffer[..length]) else {
            return;
        };
        let Some(response) = answer(&request, config, function) else {
            return;
        };
        if let Request::WriteConfig {
            offset: COMMAND,
            value,
        } = request
            && value & COMMAND_BUS_MASTER == 0
        {
            on_bus_master_off();
        }
        if channel.write_all(&frame(&response.encode())).is_err() {
            return;
        }
    }
}

/// The answer; `None` where pcid would abort.
fn answer(request: &Request, config: &ConfigSpace, function: &PciFunction) -> Option<Response> {
    Some(match *request {
        Request::EnableDevice => {
            config.enable();
            Response::EnabledDevice
        }
        Request::RequestConfig => Response::Config(function.clone()),
        Request::RequestFeatures => Response::AllFeatures(Vec::new()),
        Request::RequestVendorCapabilities => Response::VendorCapabilities(Vec::new()),
        Request::EnableFeature(feature) | Request::FeatureInfo(feature) => {
            Response::Error(PcidError::NonexistentFeature(feature))
        }
        Request::SetFeatureInfo(ref set) => {
            Response::Error(PcidError::NonexistentFeature(SetFeature::feature(set)))
        }
        Request::ReadConfig(offset) => Response::ReadConfig(config.read(checked(offset)?)),
        Request::WriteConfig { offset, value } => {
            config.write(checked(offset)?, value);
            Response::WriteConfig
        }
    })
}

fn checked(offset: u16) -> Option<u8> {
    u8::try_from(offset)
        .ok()
        .filter(|offset| offset.is_multiple_of(4))
}
