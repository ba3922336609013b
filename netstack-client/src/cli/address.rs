//! Options for a command's own address.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::Stack;
use clap::Args;
use smoltcp::wire::Ipv4Cidr;

use super::{Error, Result, value};

#[derive(Debug, Args)]
#[command(next_help_heading = "Own address")]
pub struct AddressArguments {
    /// Own address with prefix length, such as 10.0.2.15/24 [default: ask by DHCP]
    #[arg(long, value_name = "CIDR", value_parser = value::cidr)]
    address: Option<Ipv4Cidr>,

    /// Router to other networks; DHCP provides one, too.
    #[arg(long, value_name = "ADDRESS", requires = "address")]
    gateway: Option<Ipv4Addr>,

    /// Time to wait for DHCP.
    #[arg(long, value_name = "TIME[ms|s|m]", default_value = "10s", value_parser = value::duration)]
    dhcp_timeout: Duration,
}

impl AddressArguments {
    /// Gives the stack its address, and returns it.
    pub fn apply(&self, stack: &mut Stack) -> Result<Ipv4Addr> {
        if let Some(address) = self.address {
            stack.set_address(address, self.gateway);
            return Ok(address.address());
        }
        match stack.dhcp(self.dhcp_timeout)? {
            Some(lease) => Ok(lease.address.address()),
            None => Err(Error::Other(format!(
                "no DHCP server answered within {:?}; --address sets an address without one",
                self.dhcp_timeout
            ))),
        }
    }
}
