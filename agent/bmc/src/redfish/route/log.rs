//! Section log: what to read after a resource.

use super::{Role, Step, all, top};
use crate::redfish::walk::Node;
use serde_json::Value;

pub(super) fn log(node: &Node, body: &Value) -> Vec<Step> {
    match node.role {
        Role::Root => top(body, &[Role::System, Role::Manager, Role::Chassis]),
        Role::System | Role::Manager | Role::Chassis => {
            all(body, "LogServices", Role::LogService).into_iter().collect()
        }
        // One that is switched off takes no new entries, and still holds the old ones.
        Role::LogService => all(body, "Entries", Role::LogEntry).into_iter().collect(),
        _ => Vec::new(),
    }
}
