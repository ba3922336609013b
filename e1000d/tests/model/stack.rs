//! A network stack like smolnetd, with programs that read its connections, and the senders at the other end.

use std::collections::VecDeque;
use std::time::Duration;

use syscall::EventFlags;

use super::Machine;

const fn us(count: u64) -> Duration {
    Duration::from_micros(count)
}

/// Most frames that smolnetd reads in one go.
const AT_ONCE: usize = 128;
/// Most datagrams that one of its sockets keeps.
const SOCKET: usize = 128;
/// Frames of a window of 64 KiB.
const WINDOW: u64 = 44;
const FRAME: usize = 1514;
/// Time of a frame on a wire of 1 Gbit/s.
const WIRE: Duration = us(12);
/// Time from an acknowledgement to the first frame that it allows.
const ROUND_TRIP: Duration = us(100);
/// Time of the stack for a frame, and for a request of a program, without that of the driver.
const PROCESS: Duration = us(5);
const REQUEST: Duration = us(20);
/// Time of a program for the data of a request.
const PROGRAM: Duration = us(10);
/// Frames whose data one request of a program takes.
const TAKEN_AT_ONCE: u64 = 11;

#[derive(Default)]
struct Connection {
    /// Frames that the stack has and the program has not.
    unread: u64,
    /// Room in the window that was not announced to the sender.
    room: u64,
}

pub struct Stack {
    id: usize,
    /// Time of a read.
    read: Duration,
    connections: Vec<Connection>,
    /// Frames on their way, with the time at which each arrives.
    wire: VecDeque<(Duration, u8)>,
    /// Interval of the frames of a flood, and time of the next one.
    flood: Option<(Duration, Duration)>,
    next_ping: Duration,
    pings: (u64, u64),
    frames: u64,
}

/// Makes a frame with the number of its connection, or of a flood or a ping.
fn frame(kind: u8) -> Vec<u8> {
    const UDP: u8 = 17;
    const ICMP: u8 = 1;
    const TCP: u8 = 6;
    let (len, protocol) = match kind {
        Stack::FLOOD => (60, UDP),
        Stack::PING => (98, ICMP),
        _ => (FRAME, TCP),
    };
    let mut frame = vec![0; len];
    frame[12..14].copy_from_slice(&[8, 0]);
    (frame[14], frame[23], frame[37]) = (0x45, protocol, kind);
    frame
}

impl Stack {
    const FLOOD: u8 = 254;
    const PING: u8 = 255;

    pub fn new(machine: &mut Machine, connections: usize, read: Duration) -> Self {
        let id = machine.open();
        machine.subscribe(id, EventFlags::EVENT_READ);
        Self {
            id,
            read,
            connections: (0..connections).map(|_| Connection::default()).collect(),
            wire: VecDeque::new(),
            flood: None,
            next_ping: Duration::MAX,
            pings: (0, 0),
            frames: 0,
        }
    }

    pub fn has_no_budget(&mut self, machine: &mut Machine) {
        machine.has_no_budget();
    }

    /// Bytes that programs took.
    pub fn bytes(&self) -> u64 {
        self.frames * FRAME as u64
    }

    /// Lets time pass, and frames arrive. A sender that finds no room waits.
    fn pass(&mut self, machine: &mut Machine, time: Duration) {
        let end = machine.now() + time;
        loop {
            let wire = self
                .wire
                .front()
                .map(|(due, _)| *due)
                .filter(|_| machine.has_room());
            let flood = self.flood.map(|(_, due)| due);
            let Some(due) = [wire, flood, Some(self.next_ping)].into_iter().flatten().min() else {
                break;
            };
            if due > end {
                break;
            }
            machine.advance_to(due);
            if wire == Some(due) {
                let kind = self.wire.pop_front().map_or(0, |(_, kind)| kind);
                machine.deliver_frame(&frame(kind));
            } else if flood == Some(due) {
                self.flood = self.flood.map(|(interval, due)| (interval, due + interval));
                machine.deliver_frame(&frame(Self::FLOOD));
            } else {
                self.next_ping += Duration::from_millis(10);
                self.pings.0 += 1;
                machine.deliver_frame(&frame(Self::PING));
            }
        }
        machine.advance_to(end);
    }

    /// Sends that many frames of a connection.
    fn send(&mut self, connection: usize, count: u64, now: Duration) {
        for _ in 0..count {
            let after = self.wire.back().map_or(Duration::ZERO, |(due, _)| *due + WIRE);
            self.wire
                .push_back((after.max(now + ROUND_TRIP), connection as u8));
        }
    }

    /// Reads frames as far as there are any and there is room, processes them and opens windows. Datagrams of a flood
    /// go to the first connection, whose socket drops those that it cannot keep.
    fn poll(&mut self, machine: &mut Machine) {
        let mut bytes = [0; 2048];
        for _ in 0..AT_ONCE {
            let read = machine.read(self.id, &mut bytes);
            self.pass(machine, self.read);
            if read.is_none() {
                break;
            }
            self.pass(machine, PROCESS);
            match bytes[37] {
                Self::PING => self.pings.1 += 1,
                Self::FLOOD => {
                    let socket = &mut self.connections[0];
                    socket.unread = (socket.unread + 1).min(SOCKET as u64);
                }
                connection => {
                    self.connections[usize::from(connection)].unread += 1;
                }
            }
        }
        for number in 0..self.connections.len() {
            let count = std::mem::take(&mut self.connections[number].room);
            if count > 0 {
                self.pass(machine, self.read);
                self.send(number, count, machine.now());
            }
        }
    }

    /// Carries on until `end`: events of the network, then requests of programs, in turn. Returns the number of
    /// requests.
    fn carry_on(&mut self, machine: &mut Machine, end: Duration) -> u64 {
        let mut requests = 0;
        while machine.now() < end {
            let mut idle = true;
            if machine.take_event(self.id) {
                self.poll(machine);
                idle = false;
            }
            for number in 0..self.connections.len() {
                let connection = &mut self.connections[number];
                let most = if self.flood.is_some() { 1 } else { TAKEN_AT_ONCE };
                let taken = connection.unread.min(most);
                if taken > 0 {
                    connection.unread -= taken;
                    if self.flood.is_none() {
                        connection.room += taken;
                    }
                    self.frames += taken;
                    requests += 1;
                    self.pass(machine, REQUEST + PROGRAM);
                    self.poll(machine);
                    idle = false;
                }
            }
            if idle {
                machine.poll_requests();
                self.pass(machine, us(2));
            }
        }
        requests
    }

    /// All connections send as fast as their windows and the wire allow.
    pub fn run(&mut self, machine: &mut Machine, time: Duration) {
        for number in 0..self.connections.len() {
            self.send(number, WINDOW, machine.now());
        }
        self.carry_on(machine, machine.now() + time);
    }

    /// More datagrams come than can be read, and now and then a ping. Returns the number of requests of the program
    /// that were served.
    pub fn run_in_flood(&mut self, machine: &mut Machine, time: Duration) -> u64 {
        self.flood = Some((us(10), machine.now()));
        self.next_ping = machine.now();
        self.carry_on(machine, machine.now() + time)
    }

    /// Numbers of pings that came, and that were read.
    pub fn pings(&self) -> (u64, u64) {
        self.pings
    }
}
