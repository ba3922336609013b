//! Configuration of the stack: text files below `/scheme/netcfg` (redox base, netstack/src/scheme/netcfg).

use std::fs;
use std::io::{self, ErrorKind};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use smoltcp::wire::{EthernetAddress, Ipv4Cidr};

use super::{Error, Result};

/// The only interface that the stack has.
pub const INTERFACE: &str = "eth0";

/// Polling interval.
const INTERVAL: Duration = Duration::from_millis(50);
/// Time between the registration of the stack's files and the first use of one.
///
/// The namespace manager opens files for all processes, one after the other, and each time waits for the daemon that
/// serves the file (redox base, bootstrap/src/initnsmgr.rs). netstack registers `netcfg`, then asks the manager for a
/// namespace, and only then serves its files (netstack/src/main.rs). If a file of it is opened in between, manager and
/// netstack wait for each other, and every process that opens a file waits with them.
const QUIET_TIME: Duration = Duration::from_millis(500);

/// The files of the stack.
#[derive(Clone, Debug)]
pub struct Netcfg {
    root: PathBuf,
}

impl Default for Netcfg {
    /// Files of the running system.
    fn default() -> Self {
        Self::at("/scheme/netcfg")
    }
}

impl Netcfg {
    /// Files below another directory, for tests.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Address of the interface; `None` if it has none yet.
    pub fn address(&self, interface: &str) -> Result<Option<Ipv4Cidr>> {
        let text = self.read(&format!("ifaces/{interface}/addr/list"))?;
        // Words in place of an address say that there is none.
        let address = text.lines().find_map(|line| line.trim().parse::<Ipv4Cidr>().ok());
        Ok(address.filter(|address| !address.address().is_unspecified()))
    }

    /// Waits until a stack that has just been started serves its files, without opening one. Returns false if it does
    /// not in time.
    pub fn wait_for_stack(&self, limit: Duration) -> bool {
        let start = Instant::now();
        while !self.is_registered() {
            if start.elapsed() >= limit {
                return false;
            }
            thread::sleep(INTERVAL);
        }
        thread::sleep(QUIET_TIME);
        true
    }

    /// Returns true if the scheme's name is registered. Listing names involves no daemon.
    fn is_registered(&self) -> bool {
        let names = self.root.parent().map(fs::read_dir);
        names.into_iter().flatten().flatten().flatten().any(|entry| {
            let name = entry.file_name();
            Some(name.as_os_str()) == self.root.file_name()
        })
    }

    /// Waits for the interface's address, and for the stack itself, whose name is registered before its files can be
    /// opened. Returns `None` if there is no address in time.
    pub fn wait_for_address(&self, interface: &str, limit: Duration) -> Result<Option<Ipv4Cidr>> {
        let start = Instant::now();
        if !self.is_registered() {
            self.wait_for_stack(limit);
        }
        loop {
            let result = self.address(interface);
            let over = start.elapsed() >= limit;
            match result {
                Ok(Some(address)) => return Ok(Some(address)),
                Ok(None) if over => return Ok(None),
                Err(error) if over => return Err(error),
                // The scheme, or the interface in it, is not there yet.
                Ok(None) | Err(_) => thread::sleep(INTERVAL),
            }
        }
    }

    /// MAC address that the stack uses for the interface.
    pub fn mac(&self, interface: &str) -> Result<Option<EthernetAddress>> {
        let text = self.read(&format!("ifaces/{interface}/mac"))?;
        Ok(text.trim().parse().ok())
    }

    /// The routing table, a line for each route.
    pub fn routes(&self) -> Result<Vec<String>> {
        let text = self.read("route/list")?;
        let lines = text.lines().map(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            words.join(" ")
        });
        Ok(lines.filter(|line| !line.is_empty()).collect())
    }

    /// Waits for the default route, which dhcpd sets a moment after the address. Returns all routes, and the router of
    /// the default route if there is one in time.
    pub fn wait_for_routes(&self, limit: Duration) -> Result<(Vec<String>, Option<Ipv4Addr>)> {
        let start = Instant::now();
        loop {
            let routes = self.routes()?;
            let gateway = gateway(&routes);
            if gateway.is_some() || start.elapsed() >= limit {
                return Ok((routes, gateway));
            }
            thread::sleep(INTERVAL);
        }
    }

    fn read(&self, file: &str) -> Result<String> {
        let path = self.root.join(file);
        match fs::read_to_string(&path) {
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                Err(io::Error::new(error.kind(), "not text"))
            }
            result => result,
        }
        .map_err(Error::new("read", path.display().to_string()))
    }
}

/// The router of the default route: `default via 10.0.2.2 dev eth0 src 10.0.2.15`.
pub fn gateway(routes: &[String]) -> Option<Ipv4Addr> {
    routes.iter().find_map(|route| {
        let mut words = route.split(' ');
        (words.next() == Some("default") && words.next() == Some("via"))
            .then(|| words.next()?.parse().ok())
            .flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn netcfg(address: &str) -> (tempfile::TempDir, Netcfg) {
        let place = tempfile::tempdir().unwrap();
        let interface = place.path().join("ifaces/eth0");
        fs::create_dir_all(interface.join("addr")).unwrap();
        fs::create_dir_all(place.path().join("route")).unwrap();
        fs::write(interface.join("addr/list"), address).unwrap();
        fs::write(interface.join("mac"), "52-54-00-12-34-56\n").unwrap();
        let routes = "default via 10.0.2.2 dev eth0 src 10.0.2.15\n127.0.0.0/8  dev loopback src 127.0.0.1\n";
        fs::write(place.path().join("route/list"), routes).unwrap();
        let netcfg = Netcfg::at(place.path());
        (place, netcfg)
    }

    #[test]
    fn configured_interface_is_read() {
        let (_place, netcfg) = netcfg("10.0.2.15/24\n");
        let address = netcfg.wait_for_address("eth0", Duration::ZERO).unwrap().unwrap();
        assert_eq!(address.to_string(), "10.0.2.15/24");
        assert_eq!(
            netcfg.mac("eth0").unwrap().unwrap().as_bytes(),
            [0x52, 0x54, 0, 0x12, 0x34, 0x56]
        );
        let routes = netcfg.routes().unwrap();
        assert_eq!(routes[1], "127.0.0.0/8 dev loopback src 127.0.0.1");
        assert_eq!(gateway(&routes), Some(Ipv4Addr::new(10, 0, 2, 2)));
        assert_eq!(gateway(&routes[1..]), None);
    }

    #[test]
    fn default_route_may_come_after_the_address() {
        let (place, netcfg) = netcfg("10.0.2.15/24\n");
        let list = place.path().join("route/list");
        let local = "127.0.0.0/8 dev loopback src 127.0.0.1\n";
        fs::write(&list, local).unwrap();
        let (routes, gateway) = netcfg.wait_for_routes(Duration::ZERO).unwrap();
        assert_eq!((routes, gateway), (vec![local.trim().to_owned()], None));

        let late = thread::spawn(move || {
            thread::sleep(3 * INTERVAL);
            fs::write(
                &list,
                format!("{local}default via 10.0.2.2 dev eth0 src 10.0.2.15\n"),
            )
            .unwrap();
        });
        let (_, gateway) = netcfg.wait_for_routes(Duration::from_secs(300)).unwrap();
        assert_eq!(gateway, Some(Ipv4Addr::new(10, 0, 2, 2)));
        late.join().unwrap();
    }

    #[test]
    fn interface_without_address_has_none() {
        for text in ["Not configured\n", "0.0.0.0/24\n", ""] {
            let (_place, netcfg) = netcfg(text);
            let limit = Duration::from_millis(60);
            assert_eq!(netcfg.wait_for_address("eth0", limit).unwrap(), None, "{text:?}");
        }
    }

    #[test]
    fn stack_is_there_some_time_after_its_name() {
        let place = tempfile::tempdir().unwrap();
        let netcfg = Netcfg::at(place.path().join("netcfg"));
        assert!(!netcfg.wait_for_stack(Duration::from_millis(60)));
        fs::create_dir(place.path().join("netcfg")).unwrap();
        let start = Instant::now();
        assert!(netcfg.wait_for_stack(Duration::ZERO));
        assert!(start.elapsed() >= QUIET_TIME);
    }

    #[test]
    fn missing_interface_is_an_error_that_names_the_file() {
        let (_place, netcfg) = netcfg("");
        let error = netcfg.address("eth1").unwrap_err();
        assert!(error.path.ends_with("ifaces/eth1/addr/list"), "{error}");
    }
}
