//! The machine under the daemon on Redox.

use std::io;

use e1000_hw::regs::BAR_LEN;
use pcid_config::bar::MappedBar;
use pcid_config::channel::Channel;
use pcid_config::protocol::PciFunction;

use super::mmio::Mmio;
use crate::platform::Platform;

/// Redox: registers are memory, and schemes are files.
pub struct Redox;

impl Platform for Redox {
    type Registers = Mmio;

    fn map_registers(&mut self, channel: &Channel, function: &PciFunction) -> io::Result<Mmio> {
        let bar = MappedBar::map(channel, function, 0, BAR_LEN).map_err(io::Error::other)?;
        Mmio::new(bar)
    }

    fn remove_stale_scheme(&mut self, name: &str) -> io::Result<()> {
        // Removing a name that is not there makes the namespace manager print an error.
        let listed = std::fs::read_dir("/scheme")?
            .flatten()
            .any(|entry| entry.file_name() == name);
        if !listed {
            return Ok(());
        }
        log::info!("the scheme of an earlier driver is in the namespace; taking its name over");
        // The namespace manager itself is asked: from July 2026 on the C library's unlink opens the root of the scheme
        // first, which is a dead driver's (relibc, redox-rt/src/sys.rs, `unlink`).
        let namespace =
            libredox::call::getns().map_err(|error| io::Error::from_raw_os_error(error.errno()))?;
        syscall::unlinkat(namespace, format!("/scheme/{name}"), 0)
            .map(drop)
            .map_err(|error| io::Error::from_raw_os_error(error.errno))
    }
}
