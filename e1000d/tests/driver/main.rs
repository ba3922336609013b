//! Driver and scheme over the fake chip, through real sockets: cases that no emulator shows, because it sends every
//! frame at once.

mod daemon;
mod files;
mod reading;
mod writing;
