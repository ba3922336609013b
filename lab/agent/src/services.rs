//! Stopping and starting what a network is made of, as init and a person at the keyboard do it: the driver, `netstack`
//! and `dhcpd`.

use std::io::{self, ErrorKind, Read};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use netstack_client::bounded::within;
use netstack_client::system::netcfg::Netcfg;
use netstack_client::system::{Error, Result};
use netstack_client::{AdapterName, adapter};

use crate::process::{self, KILL};

/// The programs that drive the NICs: ours beside the stock driver, and either under the stock driver's name.
pub const DRIVERS: [&str; 2] = ["e1000d-new", "e1000d"];
/// Services that take a driver's frames.
pub const STACK: [&str; 2] = ["dhcpd", "netstack"];
/// Schemes that the stack registers. It ends if one of these names is still taken.
const STACK_SCHEMES: [&str; 5] = ["ip", "icmp", "udp", "tcp", "netcfg"];

const INTERVAL: Duration = Duration::from_millis(20);
/// Longest time until a process ends.
const END_LIMIT: Duration = Duration::from_secs(5);
/// Longest time until a service is ready.
const START_LIMIT: Duration = Duration::from_secs(15);

/// The processes that were started here: nobody else waits for their end.
#[derive(Clone, Default)]
pub struct Services {
    children: Arc<Mutex<Vec<Child>>>,
}

impl Services {
    fn adopt(&self, child: Child) {
        self.children
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(child);
    }

    /// Forgets children that have ended.
    fn reap(&self) {
        let mut children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        children.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
    }

    /// Sends a signal to all processes of these programs and waits until they are gone; how many there were.
    pub fn end(&self, programs: &[&str], signal: u32) -> Result<usize> {
        let processes = process::find(programs)?;
        for process in &processes {
            // One that has just ended on its own cannot be signalled, and need not.
            let _ = process.signal(signal);
        }
        let start = Instant::now();
        loop {
            self.reap();
            let left = process::find(programs)?;
            if !left
                .iter()
                .any(|left| processes.iter().any(|process| process.pid == left.pid))
            {
                return Ok(processes.len());
            }
            if start.elapsed() > END_LIMIT {
                let source = io::Error::new(ErrorKind::TimedOut, "it does not end");
                return Err(Error::new("end", programs.join(", "))(source));
            }
            thread::sleep(INTERVAL);
        }
    }

    /// Ends the stack and dhcpd, and takes away the names that the stack leaves behind.
    pub fn stop_stack(&self) -> Result<()> {
        self.end(&STACK, KILL)?;
        for name in STACK_SCHEMES {
            remove_scheme(name);
        }
        Ok(())
    }

    /// Starts the stack, waits until it is ready and its configuration is there, and starts dhcpd.
    pub fn start_stack(&self) -> Result<()> {
        let mut child = self.start("netstack", &[])?;
        let ready = child.stdout.take();
        self.adopt(child);
        // The pipe that init would have made is its standard output.
        let notified = within(START_LIMIT, move || {
            ready.map_or(Ok(0), |mut ready| ready.read(&mut [0]))
        });
        let failed = |kind, reason| Error::new("start", "netstack")(io::Error::new(kind, reason));
        match notified {
            Some(Ok(1)) => {}
            Some(_) => return Err(failed(ErrorKind::BrokenPipe, "it ended before it was ready")),
            None => return Err(failed(ErrorKind::TimedOut, "it does not become ready")),
        }
        if !Netcfg::default().wait_for_stack(START_LIMIT) {
            return Err(failed(ErrorKind::TimedOut, "its configuration does not appear"));
        }
        let child = self.start("dhcpd", &[])?;
        self.adopt(child);
        Ok(())
    }

    /// Runs pcid-spawner, which starts a driver for every function that has none and waits until it is ready. Whether
    /// there is a driver then.
    ///
    /// A function is free only a moment after the end of the driver that had it: pcid-spawner is run again meanwhile.
    pub fn spawn_drivers(&self) -> Result<bool> {
        let start = Instant::now();
        loop {
            self.run_spawner()?;
            if !process::find(&DRIVERS)?.is_empty() {
                return Ok(true);
            }
            if start.elapsed() > END_LIMIT {
                return Ok(false);
            }
            thread::sleep(INTERVAL * 10);
        }
    }

    fn run_spawner(&self) -> Result<()> {
        let mut child = self.start("pcid-spawner", &[])?;
        // Its end is waited for here, and its output is read so that it never blocks.
        let ended = within(START_LIMIT, move || {
            let mut text = String::new();
            if let Some(mut stdout) = child.stdout.take() {
                // Drivers inherit it, so its end does not come.
                thread::spawn(move || stdout.read_to_string(&mut text));
            }
            child.wait()
        });
        match ended {
            Some(Ok(_)) => Ok(()),
            Some(Err(source)) => Err(Error::new("wait for", "pcid-spawner")(source)),
            None => {
                let source = io::Error::new(ErrorKind::TimedOut, "the driver does not become ready");
                Err(Error::new("wait for", "pcid-spawner")(source))
            }
        }
    }

    /// Starts a program with a pipe as its standard output, which is also where it reports that it is ready.
    fn start(&self, program: &'static str, arguments: &[&str]) -> Result<Child> {
        Command::new(program)
            .args(arguments)
            .env("INIT_NOTIFY", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(Error::new("start", program))
    }
}

/// Takes a name out of the namespace. That there is none is fine.
///
/// The namespace manager itself is asked: from July 2026 on the C library's unlink opens the root of the scheme
/// first, which fails if its daemon is gone (relibc, redox-rt/src/sys.rs, `unlink`).
#[cfg(target_os = "redox")]
pub fn remove_scheme(name: &str) {
    let _ =
        libredox::call::getns().map(|namespace| syscall::unlinkat(namespace, format!("/scheme/{name}"), 0));
}

/// Does nothing: there are no services to restart on Linux.
#[cfg(not(target_os = "redox"))]
pub fn remove_scheme(_name: &str) {}

/// The adapters that answer.
pub fn living_adapters() -> Vec<AdapterName> {
    let names = adapter::list().unwrap_or_default();
    let answers = |name: &AdapterName| {
        let name = name.clone();
        within(Duration::from_secs(3), move || adapter::mac(&name).is_ok()) == Some(true)
    };
    names.into_iter().filter(answers).collect()
}
