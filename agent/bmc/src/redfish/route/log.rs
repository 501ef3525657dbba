//! Section log: what to read after a resource.

use super::{Role, Step, all, top};
use crate::redfish::lenient::truth;
use crate::redfish::walk::Node;
use serde_json::Value;

pub(super) fn log(node: &Node, body: &Value) -> Vec<Step> {
    match node.role {
        Role::Root => top(body, &[Role::System, Role::Manager, Role::Chassis]),
        Role::System | Role::Manager | Role::Chassis => {
            all(body, "LogServices", Role::LogService).into_iter().collect()
        }
        Role::LogService if truth(body, "ServiceEnabled") == Some(false) => Vec::new(),
        Role::LogService => all(body, "Entries", Role::LogEntry).into_iter().collect(),
        _ => Vec::new(),
    }
}
