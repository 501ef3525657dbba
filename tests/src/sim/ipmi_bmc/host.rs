//! The system interface: how a host's own driver asks its BMC, without session or login (IPMI 2.0 §5.1 and §9).

use super::command::{self, Request};
use super::{Bmc, IpmiBmc, locked};
use std::sync::{Arc, Mutex};

/// The host's way to its BMC.
#[derive(Debug, Clone)]
pub struct SystemInterface(Arc<Mutex<Bmc>>);

impl IpmiBmc {
    /// The way that the server's own operating system has.
    pub fn system_interface(&self) -> SystemInterface {
        SystemInterface(Arc::clone(&self.bmc))
    }
}

impl SystemInterface {
    /// Puts a request: the answer begins with its completion code. `None`: the BMC says nothing.
    pub fn put(&self, net_fn: u8, command: u8, data: &[u8]) -> Option<Vec<u8>> {
        let mut bmc = locked(&self.0);
        if bmc.machine.now().silent {
            return None;
        }
        bmc.requests += 1;
        // No session has this number, and none is asked for.
        command::answer(&mut bmc, &Request { net_fn, command, data, session: Some(0) })
    }
}
