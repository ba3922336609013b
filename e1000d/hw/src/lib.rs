//! Chip core for the Intel 8254x and 8257x Gigabit Ethernet controllers.
#![no_std]

pub mod platform;
