//! An owner of buffers, which a NIC is given by bus address. It checks that each comes back once, and in order.

use std::collections::VecDeque;

use e1000_hw::fake::{FakeMachine, FakeRegion, FakeRegisters};
use e1000_hw::nic::{Nic, SendOptions};
use e1000_hw::offload::OffloadError;
use e1000_hw::platform::{DmaAllocator, DmaRegion};
use e1000_hw::{BUFFER_LEN, BufferStatus, ReceivedBuffer, Segment, SentFrame, Token};

/// A NIC of the fake.
pub type FakeNic = Nic<FakeRegisters, FakeRegion>;

/// Buffers of one direction: a block of memory, and which of it the NIC has.
struct Buffers {
    memory: FakeRegion,
    len: usize,
    free: VecDeque<u64>,
    out: VecDeque<(Token, u64)>,
    next_token: u32,
}

impl Buffers {
    fn new(machine: &FakeMachine, count: usize, len: usize) -> Self {
        let memory = machine
            .dma()
            .allocate((count * len).next_power_of_two().max(4096));
        let memory = memory.expect("memory");
        let first = memory.bus_address();
        Self {
            free: (0..count).map(|n| first + (n * len) as u64).collect(),
            memory,
            len,
            out: VecDeque::new(),
            next_token: 0,
        }
    }

    fn given(&mut self, token: Token, address: u64) {
        assert_eq!(token.get(), self.next_token, "tokens count up");
        self.next_token = self.next_token.wrapping_add(1);
        self.out.push_back((token, address));
    }

    fn back(&mut self, token: Token) -> u64 {
        let (oldest, address) = self.out.pop_front().expect("a buffer that is out");
        assert_eq!(token, oldest, "they come back in order");
        self.free.push_back(address);
        address
    }
}

/// An owner of buffers. Its memory lives as long as it does: longer than the NIC.
pub struct Owner {
    machine: FakeMachine,
    rx: Buffers,
    tx: Buffers,
    /// The part of the frame that has come in.
    frame: Vec<u8>,
}

impl Owner {
    /// An owner of `count` buffers for each direction, those to send from with `tx_len` bytes.
    pub fn new(machine: &FakeMachine, count: usize, tx_len: usize) -> Self {
        Self {
            machine: machine.clone(),
            rx: Buffers::new(machine, count, BUFFER_LEN),
            tx: Buffers::new(machine, count, tx_len),
            frame: vec![],
        }
    }

    /// Bytes of the owner's memory.
    pub fn memory(&self) -> usize {
        self.rx.memory.len() + self.tx.memory.len()
    }

    /// Buffers that the NIC has to receive into, and to send from.
    pub fn out(&self) -> (usize, usize) {
        (self.rx.out.len(), self.tx.out.len())
    }

    /// Gives the NIC free buffers, as many as it takes. Returns how many.
    pub fn provide(&mut self, nic: &mut FakeNic) -> usize {
        let mut count = 0;
        while let Some(&address) = self.rx.free.front() {
            // SAFETY: BUFFER_LEN bytes of `self.rx.memory`, aligned to that, which only the fake device reaches; `free`
            // has no buffer that is out.
            let Ok(token) = (unsafe { nic.rx().provide(address) }) else {
                break;
            };
            self.rx.free.pop_front();
            self.rx.given(token, address);
            count += 1;
        }
        count
    }

    /// Takes the next buffer back. Returns it, and a frame if one is complete.
    pub fn receive(&mut self, nic: &mut FakeNic) -> Option<(ReceivedBuffer, Option<Vec<u8>>)> {
        let buffer = nic.rx().next_buffer()?;
        let address = self.rx.back(buffer.token);
        assert!(buffer.len <= BUFFER_LEN);
        let piece = self.machine.peek_dma(address, buffer.len);
        self.frame.extend(piece);
        let frame = match buffer.status {
            BufferStatus::More => None,
            BufferStatus::End { frame_len, .. } => {
                assert!((14..=self.frame.len()).contains(&frame_len));
                self.frame.truncate(frame_len);
                Some(std::mem::take(&mut self.frame))
            }
            BufferStatus::Bad | BufferStatus::Unused => {
                self.frame.clear();
                None
            }
        };
        Some((buffer, frame))
    }

    /// Sends a frame, in pieces of these lengths and a last one with the rest. `None` if no buffer is free.
    pub fn send(
        &mut self,
        nic: &mut FakeNic,
        frame: &[u8],
        pieces: &[usize],
        options: SendOptions<'_>,
    ) -> Option<Result<Token, OffloadError>> {
        let &address = self.tx.free.front()?;
        let frame = &frame[..frame.len().min(self.tx.len)];
        self.machine.poke_dma(address, frame);
        let (mut segments, mut at) = (vec![], 0);
        for len in pieces.iter().copied().chain([usize::MAX]) {
            let len = len.min(frame.len() - at);
            segments.push(Segment {
                address: address + at as u64,
                len,
            });
            at += len;
        }
        // SAFETY: bytes of `self.tx.memory`, which are not changed while the buffer is out; `free` has none that is.
        let result = unsafe { nic.tx().send_segments(&segments, frame, options) };
        if let Ok(token) = result {
            self.tx.free.pop_front();
            self.tx.given(token, address);
        }
        Some(result)
    }

    /// Takes frames back that the NIC has done with, all that there are. Returns how many were sent, and how many not.
    pub fn reclaim(&mut self, nic: &mut FakeNic) -> (usize, usize) {
        let (mut sent, mut dropped) = (0, 0);
        while let Some(SentFrame { token, was_sent }) = nic.tx().next_sent() {
            self.tx.back(token);
            *(if was_sent { &mut sent } else { &mut dropped }) += 1;
        }
        (sent, dropped)
    }
}
