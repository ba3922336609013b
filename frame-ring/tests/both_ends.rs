//! Frames from end to end, over memory of one process.

use std::sync::atomic::{AtomicU32, AtomicUsize};

use frame_ring::client::{self, Client};
use frame_ring::driver::{self, Driver};
use frame_ring::layout::{AreaName, Layout};
use frame_ring::memory::Area;
use frame_ring::{Features, RxInfo, TxInfo};

/// The memory of a ring.
struct Memory {
    client: Vec<AtomicU32>,
    tx_buffers: Vec<AtomicUsize>,
    driver: Vec<AtomicU32>,
    rx_buffers: Vec<AtomicUsize>,
}

impl Memory {
    fn new(layout: &Layout) -> Self {
        fn zeroes<T: Default>(layout: &Layout, name: AreaName) -> Vec<T> {
            let count = layout.place(name).len as usize / size_of::<T>();
            (0..count).map(|_| T::default()).collect()
        }
        Self {
            client: zeroes(layout, AreaName::Client),
            tx_buffers: zeroes(layout, AreaName::TxBuffers),
            driver: zeroes(layout, AreaName::Driver),
            rx_buffers: zeroes(layout, AreaName::RxBuffers),
        }
    }

    fn client(&self) -> client::Areas<'_> {
        client::Areas {
            client: Area::of_words(&self.client),
            tx_buffers: Area::of_cells(&self.tx_buffers),
            driver: Area::of_words(&self.driver),
            rx_buffers: Area::of_cells(&self.rx_buffers),
        }
    }

    fn driver(&self) -> driver::Areas<'_> {
        driver::Areas {
            client: Area::of_words(&self.client),
            tx_buffers: Area::of_cells(&self.tx_buffers),
            driver: Area::of_words(&self.driver),
            rx_buffers: Area::of_cells(&self.rx_buffers),
        }
    }
}

#[test]
fn frames_go_both_ways_whole_and_in_order() {
    let layout = Layout::DEFAULT;
    let memory = Memory::new(&layout);
    let mut driver = Driver::new(&memory.driver(), &layout, Features::NONE, 1514).unwrap();
    let mut client = Client::new(&memory.client(), &layout).unwrap();
    let mut buffer = [0; 1514];
    for round in 0..1000usize {
        let len = 60 + round * 7 % 1455;
        let frame: Vec<u8> = (0..len).map(|n| (n * 3 + round) as u8).collect();
        client.tx.send(len, |out| out.copy_from_slice(&frame)).unwrap();
        client
            .tx
            .send_parts(&[&frame[..14], &frame[14..]], &TxInfo::default())
            .unwrap();
        // The doorbell is wanted at the beginning, and never again, as the driver does not ask.
        assert_eq!(client.tx.flush(), round == 0);
        for _ in 0..2 {
            let sent = driver.tx.peek().unwrap().unwrap();
            assert_eq!((sent.len, sent.segments().len()), (len, 1));
            let mut head = vec![0; len];
            assert_eq!(sent.copy_head(&mut head), len);
            assert_eq!(head, frame);
            driver.tx.take();
        }
        assert!(driver.tx.peek().unwrap().is_none());
        assert!(driver.tx.complete(true) && driver.tx.complete(true) && !driver.tx.complete(true));
        assert!(!driver.tx.publish());

        driver
            .rx
            .push(&[&frame[..1], &[], &frame[1..]], &RxInfo::default())
            .unwrap();
        assert!(driver.rx.publish());
        let received = client.rx.recv(&mut buffer).unwrap().unwrap();
        assert_eq!(&buffer[..received.len], frame);
        assert_eq!(client.rx.recv(&mut buffer), Ok(None));
        assert!(!client.rx.arm().unwrap());
    }
}
