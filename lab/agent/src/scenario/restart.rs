//! A driver that is ended while frames pass, and started by hand.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::process::{KILL, TERMINATE};
use crate::services::{self, DRIVERS};
use netstack_client::system::echo::Echo;

use super::boot::{boot, fresh_stack, gateway};
use super::steps::{Flow, Seen, Steps, text};

/// Nobody listens there.
const DISCARD: u16 = 9;
const DATAGRAM: usize = 1000;
const UNDER_TRAFFIC: Duration = Duration::from_secs(2);
/// Pings answered meanwhile that prove that there was traffic.
const ENOUGH: u64 = 10;

/// Pings without pause, and datagrams that nobody takes, through the stack. Ends by itself when the stack does.
pub struct Traffic {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
}

impl Traffic {
    pub fn start(router: Option<Ipv4Addr>) -> Result<Self, String> {
        let target = gateway(router)?;
        let traffic = Self {
            stop: Arc::default(),
            answered: Arc::default(),
        };
        let (stop, answered) = (Arc::clone(&traffic.stop), Arc::clone(&traffic.answered));
        let echo = Echo::open(target).map_err(text)?;
        thread::spawn(move || {
            let mut sequence = 0_u16;
            while !stop.load(Ordering::Relaxed) {
                sequence = sequence.wrapping_add(1);
                match echo.ask(sequence, &[0x5a; 500], Duration::from_millis(500)) {
                    Ok(Some(_)) => {
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(None) => {}
                    Err(_) => break,
                }
            }
        });
        let stop = Arc::clone(&traffic.stop);
        let socket = UdpSocket::bind(("0.0.0.0", 0)).map_err(text)?;
        socket
            .connect(SocketAddr::from((target, DISCARD)))
            .map_err(text)?;
        thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) && socket.send(&[0; DATAGRAM]).is_ok() {
                thread::sleep(Duration::from_millis(1));
            }
        });
        Ok(traffic)
    }

    /// Pings answered so far.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

pub fn restart(steps: &mut Steps<'_>) -> Flow {
    boot(steps)?;
    once(steps, KILL, "kill", "kill -9")?;
    once(steps, TERMINATE, "terminate", "SIGTERM")
}

fn once(steps: &mut Steps<'_>, signal: u32, name: &str, title: &str) -> Flow {
    let services = steps.services.clone();
    let router = steps.router;
    steps.step(
        name,
        &format!("{title} under traffic ends the driver"),
        Duration::from_secs(20),
        move || {
            let traffic = Traffic::start(router)?;
            thread::sleep(UNDER_TRAFFIC);
            let answered = traffic.answered();
            if answered < ENOUGH {
                return Err(format!("only {answered} pings were answered before"));
            }
            match services.end(&DRIVERS, signal).map_err(text)? {
                0 => Err("there was no driver".to_owned()),
                _ => Ok(Seen::Good(String::new())),
            }
        },
    )?;
    let services = steps.services.clone();
    steps.step(
        &format!("{name}-spawn"),
        &format!("after {title}, pcid-spawner starts it again"),
        Duration::from_secs(40),
        move || {
            if !services.spawn_drivers().map_err(text)? {
                return Err("no driver runs after some attempts".to_owned());
            }
            match services::living_adapters().first() {
                Some(_) => Ok(Seen::Good(String::new())),
                None => Err("there is no adapter that answers".to_owned()),
            }
        },
    )?;
    fresh_stack(
        steps,
        &format!("{name}-ping"),
        &format!("after {title}, with a new stack: DHCP, and 4 of 4 pings are answered"),
    )
}
