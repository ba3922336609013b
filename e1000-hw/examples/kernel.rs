//! The core in a kernel with a small stack: built in place, driven by `&mut`, with buffers by bus address.
//!
//! A library, not a program: `cargo xtask stack` compiles it in release mode and measures how much of the stack each
//! function of the core takes.

use core::mem::MaybeUninit;
use core::ptr::NonNull;
use core::time::Duration;

use e1000_hw::chip::Chip;
use e1000_hw::flow_control::Pause;
use e1000_hw::interrupt::Routing;
use e1000_hw::nic::{BringUpError, Config, Interrupt, MtuError, Nic, SelfTest, SendOptions};
use e1000_hw::offload::{Offload, OffloadError};
use e1000_hw::platform::{Clock, DmaAllocator, DmaRegion, Registers};
use e1000_hw::watchdog::{Outcome, Snapshot};
use e1000_hw::{ReceivedBuffer, Segment, Token};

/// Functions that the kernel has.
pub struct Kernel {
    /// Reads a register.
    pub read: fn(u32) -> u32,
    /// Writes a register.
    pub write: fn(u32, u32),
    /// Allocates zeroed, coherent DMA memory: pointer and bus address.
    pub allocate: fn(usize) -> Option<(NonNull<u8>, u64)>,
    /// Frees DMA memory.
    pub free: fn(NonNull<u8>, usize),
    /// Time since the kernel started.
    pub now: fn() -> Duration,
    /// Sleeps.
    pub sleep: fn(Duration),
}

/// Registers, DMA memory and time of a NIC.
#[derive(Clone, Copy)]
pub struct Platform(pub &'static Kernel);

impl Registers for Platform {
    fn read(&self, offset: u32) -> u32 {
        (self.0.read)(offset)
    }

    fn write(&self, offset: u32, value: u32) {
        (self.0.write)(offset, value);
    }
}

impl Clock for Platform {
    fn now(&self) -> Duration {
        (self.0.now)()
    }

    fn sleep(&self, duration: Duration) {
        (self.0.sleep)(duration);
    }
}

impl DmaAllocator for Platform {
    type Region = Block;

    fn allocate(&mut self, len: usize) -> Option<Block> {
        let (pointer, bus_address) = (self.0.allocate)(len)?;
        Some(Block {
            kernel: self.0,
            pointer,
            bus_address,
            len,
        })
    }
}

/// One block of DMA memory.
pub struct Block {
    kernel: &'static Kernel,
    pointer: NonNull<u8>,
    bus_address: u64,
    len: usize,
}

// SAFETY: the kernel's function gives `len` bytes that nobody else has, aligned and coherent, until `drop` frees them.
unsafe impl DmaRegion for Block {
    fn as_ptr(&self) -> NonNull<u8> {
        self.pointer
    }

    fn bus_address(&self) -> u64 {
        self.bus_address
    }

    fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        (self.kernel.free)(self.pointer, self.len);
    }
}

/// A NIC of this kernel.
pub type KernelNic = Nic<Platform, Block>;

/// Brings a NIC up in memory that the kernel has allocated for it. Process context.
pub fn probe<'n>(
    slot: &'n mut MaybeUninit<KernelNic>,
    platform: &mut Platform,
    chip: &'static Chip,
    config: Config,
) -> Result<&'n mut KernelNic, BringUpError> {
    let (registers, clock) = (*platform, *platform);
    Nic::bring_up_in(slot, registers, chip, config, platform, &clock)
}

/// Stops the NIC. If this returns true, its memory is freed when it is dropped. Process context.
pub fn remove(nic: &mut KernelNic, clock: &Platform) -> bool {
    nic.halt(clock)
}

/// Brings a NIC up again that was stopped. Process context.
pub fn resume(nic: &mut KernelNic, clock: &Platform) -> bool {
    nic.recovery().restart(clock).is_ok()
}

/// Handles an interrupt.
pub fn interrupt(nic: &mut KernelNic, vector: u16) -> Interrupt {
    let interrupt = nic.interrupts().acknowledge(vector);
    nic.interrupts().moderate();
    interrupt
}

/// Gives frames to the network stack, at most `budget`. Returns true if there may be more. Any context.
pub fn poll(nic: &mut KernelNic, budget: usize, give: fn(ReceivedBuffer)) -> bool {
    for _ in 0..budget {
        match nic.rx().next_buffer() {
            Some(buffer) => give(buffer),
            None => return nic.rx().complete(),
        }
    }
    nic.rx().hold_off_interrupts();
    true
}

/// Gives the NIC another buffer. Any context.
///
/// # Safety
///
/// As for [`e1000_hw::nic::Rx::provide`].
pub unsafe fn refill(nic: &mut KernelNic, address: u64) -> Option<Token> {
    // SAFETY: as the caller promises.
    let token = unsafe { nic.rx().provide(address) };
    nic.rx().publish();
    token.ok()
}

/// Sends a frame in pieces. Any context.
///
/// # Safety
///
/// As for [`e1000_hw::nic::Tx::send_segments`].
pub unsafe fn transmit(
    nic: &mut KernelNic,
    pieces: &[Segment],
    head: &[u8],
    offload: Option<&Offload>,
) -> Result<Token, OffloadError> {
    let options = SendOptions { tag: None, offload };
    // SAFETY: as the caller promises.
    let token = unsafe { nic.tx().send_segments(pieces, head, options) };
    nic.tx().post();
    token
}

/// Takes back what was sent. Any context.
pub fn reclaim(nic: &mut KernelNic, free: fn(Token)) {
    while let Some(frame) = nic.tx().next_sent() {
        free(frame.token);
    }
}

/// Sends a frame, and receives one, by copying. Any context.
pub fn copy(nic: &mut KernelNic, out: &[u8], options: SendOptions<'_>, into: &mut [u8]) -> Option<usize> {
    nic.tx().send(out).ok()?;
    nic.tx().send_with(out, options).ok()?;
    nic.tx().post();
    nic.rx().receive(into)
}

/// Looks after link and transmitter, once a second. Process context.
pub fn tick(nic: &mut KernelNic, clock: &Platform) -> Outcome {
    nic.link().refresh(clock);
    nic.diagnostics().collect_statistics();
    nic.recovery().watch(clock)
}

/// Changes settings. Process context.
pub fn configure(nic: &mut KernelNic, clock: &Platform, mtu: usize) -> Result<(), MtuError> {
    nic.interrupts().route(Routing::ThreeVectors);
    nic.interrupts().enable();
    nic.link().set_pause(Pause::BOTH, clock);
    nic.settings().set_filter(true, false, []);
    nic.settings().set_vlan_filter(Some([1]));
    nic.settings().set_mtu(mtu, clock)
}

/// Does a step of a self-test. Process context.
pub fn self_test(nic: &mut KernelNic, clock: &Platform) -> SelfTest {
    if !nic.state().is_testing() {
        nic.diagnostics().start_self_test(true, clock);
    }
    nic.diagnostics().continue_self_test(clock)
}

/// Reads all registers. Any context.
pub fn dump(nic: &mut KernelNic, time: Duration, each: fn(&'static str, u32)) -> Snapshot {
    nic.diagnostics().dump_registers(each);
    nic.diagnostics().snapshot(time)
}
