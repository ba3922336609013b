//! Measurements that only the lab needs; those that a user may want are in `netstack-client`.

pub mod floor;
pub mod sink;
pub mod stream;
