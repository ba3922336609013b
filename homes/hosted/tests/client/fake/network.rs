//! The other end of the cable: one machine, 10.0.2.2, that answers ARP, pings, DHCP and TCP port 7 (echo).
//!
//! Benchmark frames come back as if somebody else had sent them, with some faults: see [`faults`].

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use netstack_client::benchmark::{self, Parsed};
use netstack_client::{FrameIo, MacAddress, Result, SchemeDevice, Stack, Wait, Woken};
use smoltcp::socket::{Socket, tcp, udp};
use smoltcp::wire::{DhcpMessageType, DhcpPacket, DhcpRepr, Ipv4Cidr};

const MAC: MacAddress = MacAddress([0x52, 0x55, 10, 0, 2, 2]);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
const DNS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);
const ECHO: u16 = 7;

/// The machine's network card.
#[derive(Clone, Default)]
struct Card {
    incoming: Rc<RefCell<VecDeque<Vec<u8>>>>,
    outgoing: Rc<RefCell<Vec<Vec<u8>>>>,
}

impl FrameIo for Card {
    fn read_frame(&mut self, buffer: &mut [u8]) -> Result<Option<usize>> {
        let Some(frame) = self.incoming.borrow_mut().pop_front() else {
            return Ok(None);
        };
        buffer[..frame.len()].copy_from_slice(&frame);
        Ok(Some(frame.len()))
    }

    fn write_frame(&mut self, frame: &[u8]) -> Result<()> {
        self.outgoing.borrow_mut().push(frame.to_vec());
        Ok(())
    }
}

struct Never;

impl Wait for Never {
    fn wait(&mut self, _: Option<Duration>) -> Result<Woken> {
        Ok(Woken::Timeout)
    }
}

pub struct Network {
    card: Card,
    stack: Stack<SchemeDevice<Card>, Never>,
}

impl Default for Network {
    fn default() -> Self {
        let card = Card::default();
        let mut stack = Stack::new(SchemeDevice::new(card.clone()), Never, MAC);
        stack.set_address(Ipv4Cidr::new(SERVER, 24), None);
        let packets = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 4], vec![0; 4096]);
        let mut dhcp = udp::Socket::new(packets(), packets());
        dhcp.bind(67).unwrap();
        stack.sockets().add(dhcp);
        for _ in 0..2 {
            let bytes = || tcp::SocketBuffer::new(vec![0; 256 * 1024]);
            let mut echo = tcp::Socket::new(bytes(), bytes());
            // Nothing happens here between two requests, so nothing can be delayed.
            echo.set_ack_delay(None);
            stack.sockets().add(echo);
        }
        Self { card, stack }
    }
}

impl Network {
    /// Takes a frame from the adapter, and returns those that it receives in turn.
    pub fn transmit(&mut self, frame: &[u8]) -> Vec<Vec<u8>> {
        if let Parsed::Intact { sequence, .. } = benchmark::parse(frame) {
            return faults(frame, sequence);
        }
        self.card.incoming.borrow_mut().push_back(frame.to_vec());
        for _ in 0..2 {
            self.stack
                .poll_until(Instant::now(), |sockets| {
                    sockets.iter_mut().for_each(|(_, socket)| serve(socket));
                    None::<()>
                })
                .unwrap();
        }
        self.card.outgoing.take()
    }
}

/// Loses frame 50, doubles frame 60, damages frame 70.
fn faults(frame: &[u8], sequence: u64) -> Vec<Vec<u8>> {
    let mut frame = frame.to_vec();
    match sequence {
        50 => vec![],
        60 => vec![frame.clone(), frame],
        70 => {
            *frame.last_mut().unwrap() ^= 0x10;
            vec![frame]
        }
        _ => vec![frame],
    }
}

fn serve(socket: &mut Socket<'_>) {
    match socket {
        Socket::Udp(socket) => {
            while let Ok((request, _)) = socket.recv() {
                let reply = dhcp_reply(request);
                socket.send_slice(&reply, (Ipv4Addr::BROADCAST, 68)).unwrap();
            }
        }
        Socket::Tcp(socket) => {
            if !socket.is_open() {
                socket.listen(ECHO).unwrap();
            }
            let mut data = [0; 2048];
            while socket.can_recv() && socket.send_capacity() - socket.send_queue() >= data.len() {
                let length = socket.recv_slice(&mut data).unwrap();
                socket.send_slice(&data[..length]).unwrap();
            }
            if socket.state() == tcp::State::CloseWait {
                socket.close();
            }
        }
        _ => {}
    }
}

fn dhcp_reply(request: &[u8]) -> Vec<u8> {
    let request = DhcpPacket::new_checked(request).unwrap();
    let request = DhcpRepr::parse(&request).unwrap();
    let message_type = match request.message_type {
        DhcpMessageType::Discover => DhcpMessageType::Offer,
        DhcpMessageType::Request => DhcpMessageType::Ack,
        other => panic!("the client sent {other:?}"),
    };
    let reply = DhcpRepr {
        message_type,
        your_ip: CLIENT,
        server_ip: SERVER,
        router: Some(SERVER),
        subnet_mask: Some(Ipv4Addr::new(255, 255, 255, 0)),
        requested_ip: None,
        client_identifier: None,
        server_identifier: Some(SERVER),
        parameter_request_list: None,
        dns_servers: Some([DNS].into_iter().collect()),
        max_size: None,
        lease_duration: Some(86_400),
        ..request
    };
    let mut bytes = vec![0; reply.buffer_len()];
    reply
        .emit(&mut DhcpPacket::new_unchecked(&mut bytes[..]))
        .unwrap();
    bytes
}
