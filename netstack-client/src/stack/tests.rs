//! Two stacks on a wire in memory.

use smoltcp::phy::{ChecksumCapabilities, FaultInjector, PcapMode, PcapWriter, Tracer};
use smoltcp::socket::{icmp, tcp};
use smoltcp::wire::{Icmpv4Packet, Icmpv4Repr, IpAddress};

use super::*;
use crate::pattern::Pattern;
use crate::testing::{Meanwhile, Wire, failure};

const NEAR_MAC: MacAddress = MacAddress([2, 0, 0, 0, 0, 1]);
const FAR_MAC: MacAddress = MacAddress([2, 0, 0, 0, 0, 2]);
const NEAR: Ipv4Addr = Ipv4Addr::new(10, 1, 1, 1);
const FAR: Ipv4Addr = Ipv4Addr::new(10, 1, 1, 2);

fn limit() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

/// A stack whose counterpart works while it waits. `serve` is what the counterpart's sockets do.
fn connected<D: Device + TakeError>(
    wrap: impl FnOnce(SchemeDevice<Wire>) -> D,
    listener: Option<tcp::Socket<'static>>,
    mut serve: impl FnMut(&mut SocketSet<'static>),
) -> Stack<D, impl Wait> {
    let (near, far) = Wire::pair();
    let mut far = Stack::new(SchemeDevice::new(far), Meanwhile(|| {}), FAR_MAC);
    far.set_address(Ipv4Cidr::new(FAR, 24), None);
    if let Some(listener) = listener {
        far.sockets().add(listener);
    }
    let work = move || {
        far.driver.poll(&mut far.sockets);
        serve(&mut far.sockets);
        far.driver.poll(&mut far.sockets);
    };
    let mut stack = Stack::new(wrap(SchemeDevice::new(near)), Meanwhile(work), NEAR_MAC);
    stack.set_address(Ipv4Cidr::new(NEAR, 24), None);
    stack
}

fn tcp_socket() -> tcp::Socket<'static> {
    let buffer = || tcp::SocketBuffer::new(vec![0; 256 * 1024]);
    tcp::Socket::new(buffer(), buffer())
}

fn echo(sockets: &mut SocketSet<'static>) {
    for (_, socket) in sockets.iter_mut() {
        let smoltcp::socket::Socket::Tcp(socket) = socket else {
            continue;
        };
        let mut data = [0; 4096];
        while socket.can_recv() && socket.send_capacity() - socket.send_queue() >= data.len() {
            let length = socket.recv_slice(&mut data).unwrap();
            assert_eq!(socket.send_slice(&data[..length]), Ok(length));
        }
        if socket.state() == tcp::State::CloseWait {
            socket.close();
        }
    }
}

fn listening() -> tcp::Socket<'static> {
    let mut listener = tcp_socket();
    listener.listen(7).unwrap();
    listener
}

/// Sends and gets back a megabyte.
fn echo_a_megabyte<D: Device + TakeError, W: Wait>(stack: &mut Stack<D, W>) {
    const SIZE: usize = 1 << 20;
    let mut sent = vec![0; SIZE];
    Pattern::new(1).fill(&mut sent);
    let mut received = Vec::with_capacity(SIZE);

    let handle = stack.sockets().add(tcp_socket());
    let (interface, sockets) = stack.parts();
    sockets
        .get_mut::<tcp::Socket>(handle)
        .connect(interface.context(), (FAR, 7), 50_000)
        .unwrap();
    let mut position = 0;
    let done = stack
        .poll_until(limit(), |sockets| {
            let socket = sockets.get_mut::<tcp::Socket>(handle);
            if socket.can_send() && position < SIZE {
                position += socket.send_slice(&sent[position..]).unwrap();
            }
            while socket.can_recv() {
                let taken = socket.recv(|data| (data.len(), received.extend_from_slice(data)));
                taken.unwrap();
            }
            (received.len() >= SIZE).then_some(())
        })
        .unwrap();
    assert_eq!(done, Some(()), "{} of {SIZE} bytes in time", received.len());
    assert!(received == sent, "the echo differs");
}

#[test]
fn ping_is_answered() {
    let mut stack = connected(|device| device, None, |_| {});
    let buffer = || icmp::PacketBuffer::new(vec![icmp::PacketMetadata::EMPTY; 4], vec![0; 1024]);
    let mut socket = icmp::Socket::new(buffer(), buffer());
    socket.bind(icmp::Endpoint::Ident(5)).unwrap();
    let request = Icmpv4Repr::EchoRequest {
        ident: 5,
        seq_no: 9,
        data: b"who is there",
    };
    let packet = socket.send(request.buffer_len(), IpAddress::Ipv4(FAR)).unwrap();
    request.emit(
        &mut Icmpv4Packet::new_unchecked(packet),
        &ChecksumCapabilities::default(),
    );
    let handle = stack.sockets().add(socket);

    let reply = stack.poll_until(limit(), |sockets| {
        let socket = sockets.get_mut::<icmp::Socket>(handle);
        let (data, from) = socket.recv().ok()?;
        Some((data[8..].to_vec(), from))
    });
    assert_eq!(
        reply.unwrap(),
        Some((b"who is there".to_vec(), IpAddress::Ipv4(FAR)))
    );
}

#[test]
fn tcp_echo_returns_the_same_megabyte() {
    echo_a_megabyte(&mut connected(|device| device, Some(listening()), echo));
}

#[test]
fn tcp_survives_loss_and_corruption() {
    /// Faults between the stack and the device; what the injector hides cannot be taken.
    struct Faulty(FaultInjector<SchemeDevice<Wire>>);

    impl Device for Faulty {
        type RxToken<'a> = <FaultInjector<SchemeDevice<Wire>> as Device>::RxToken<'a>;
        type TxToken<'a> = <FaultInjector<SchemeDevice<Wire>> as Device>::TxToken<'a>;

        fn receive(&mut self, now: smoltcp::time::Instant) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
            self.0.receive(now)
        }

        fn transmit(&mut self, now: smoltcp::time::Instant) -> Option<Self::TxToken<'_>> {
            self.0.transmit(now)
        }

        fn capabilities(&self) -> smoltcp::phy::DeviceCapabilities {
            self.0.capabilities()
        }
    }

    impl TakeError for Faulty {
        fn take_error(&mut self) -> Option<crate::Error> {
            None
        }
    }

    let faulty = |device| {
        let mut injector = FaultInjector::new(device, 42);
        injector.set_drop_chance(1);
        injector.set_corrupt_chance(1);
        Faulty(injector)
    };
    echo_a_megabyte(&mut connected(faulty, Some(listening()), echo));
}

#[test]
fn middleware_sees_every_frame_and_passes_errors_on() {
    let mut capture = Vec::new();
    let file = &mut capture;
    let wrap = move |device| {
        let tracer = Tracer::new(device, |_, packet| assert!(!packet.buffer.is_empty()));
        PcapWriter::new(tracer, file, PcapMode::Both)
    };
    let mut stack = connected(wrap, Some(listening()), echo);
    echo_a_megabyte(&mut stack);
    drop(stack);
    let mut reader = pcap_file::pcap::PcapReader::new(capture.as_slice()).unwrap();
    let (mut frames, mut bytes) = (0, 0);
    while let Some(packet) = reader.next_packet() {
        frames += 1;
        bytes += packet.unwrap().data.len();
    }
    assert!(frames > 1400 && bytes > 2 << 20, "{frames} frames, {bytes} bytes");

    let (mut wire, _peer) = Wire::pair();
    wire.fail = Some(|| failure(19));
    let device = Tracer::new(SchemeDevice::new(wire), |_, _| {});
    let mut stack = Stack::new(device, Meanwhile(|| {}), NEAR_MAC);
    let error = stack.poll_until(limit(), |_| None::<()>).unwrap_err();
    assert_eq!(error.errno(), Some(19));
}

#[test]
fn busy_adapter_is_no_error() {
    let (mut wire, _peer) = Wire::pair();
    wire.fail = Some(|| failure(11));
    let mut stack = Stack::new(SchemeDevice::new(wire), Meanwhile(|| {}), NEAR_MAC);
    let deadline = Instant::now() + Duration::from_millis(5);
    assert_eq!(stack.poll_until(deadline, |_| None::<()>).unwrap(), None);
}

#[test]
fn deadline_ends_a_wait_for_nothing() {
    let mut stack = connected(|device| device, None, |_| {});
    let begin = Instant::now();
    let result = stack.poll_until(begin + Duration::from_millis(30), |_| None::<()>);
    assert_eq!(result.unwrap(), None);
    assert!((30..1000).contains(&begin.elapsed().as_millis()));
}

#[test]
fn dhcp_without_server_gives_up_in_time() {
    let mut stack = connected(|device| device, None, |_| {});
    assert_eq!(stack.dhcp(Duration::from_millis(30)).unwrap(), None);
}
