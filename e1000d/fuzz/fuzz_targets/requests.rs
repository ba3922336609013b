//! Clients and a device that do anything: see `tests/hostile/mod.rs`.

#![no_main]

#[path = "../../tests/hostile/mod.rs"]
mod hostile;

// The crate carries the redox_* symbols for the linker.
use redox_shim as _;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hostile::play(bytes));
