//! BAR 0 as memory: one volatile 32-bit access for each register access.

use std::io;
use std::sync::Arc;

use e1000_hw::platform::Registers;
use e1000_hw::regs::BAR_LEN;
use pcid_config::bar::MappedBar;

/// Registers in a mapped BAR. Clones share the mapping.
#[derive(Clone)]
pub struct Mmio {
    bar: Arc<MappedBar>,
}

impl Mmio {
    /// Makes registers of a mapped BAR.
    ///
    /// # Errors
    ///
    /// When it is smaller than the register file.
    pub fn new(bar: MappedBar) -> io::Result<Self> {
        if bar.len() < BAR_LEN {
            let message = format!("BAR 0 has {} bytes, the registers take {BAR_LEN}", bar.len());
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Ok(Self { bar: Arc::new(bar) })
    }

    fn register(&self, offset: u32) -> Option<*mut u32> {
        if !offset.is_multiple_of(4) || offset as usize >= BAR_LEN {
            return None;
        }
        // SAFETY: offset is below BAR_LEN, which `new` checked the mapping to have.
        Some(unsafe { self.bar.base().as_ptr().add(offset as usize) }.cast())
    }
}

impl Registers for Mmio {
    fn read(&self, offset: u32) -> u32 {
        let Some(register) = self.register(offset) else {
            return u32::MAX;
        };
        // SAFETY: `register` is inside the mapping and aligned to 4: BARs are page aligned.
        u32::from_le(unsafe { register.read_volatile() })
    }

    fn write(&self, offset: u32, value: u32) {
        let Some(register) = self.register(offset) else {
            return;
        };
        order_dma_before_register();
        // SAFETY: as in `read`.
        unsafe { register.write_volatile(value.to_le()) };
    }
}

/// Makes the CPU's stores to DMA memory visible to the device before the register write that follows.
#[inline]
fn order_dma_before_register() {
    // x86 orders an uncacheable store after earlier write-back stores by itself.
    #[cfg(target_arch = "aarch64")]
    // SAFETY: a barrier has no operands and no effect but order.
    unsafe {
        std::arch::asm!("dmb oshst", options(nostack, preserves_flags))
    };
    #[cfg(any(target_arch = "riscv32", target_arch = "riscv64"))]
    // SAFETY: a barrier has no operands and no effect but order.
    unsafe {
        std::arch::asm!("fence w, o", options(nostack, preserves_flags))
    };
}
