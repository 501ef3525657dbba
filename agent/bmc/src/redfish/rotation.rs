//! Resources that add a little for a request each (error counts of a memory module, the ports of a network adapter) are read a few a poll, in turn.

use super::route::Role;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How many of a role are read in turn with each poll of the drives.
pub(super) fn share(role: Role) -> usize {
    match role {
        Role::EquipmentPart => 6,
        Role::MemoryMetrics | Role::LeakDetection => 4,
        Role::NetworkPort => 3,
        Role::ProcessorMetrics | Role::EnvironmentMetrics | Role::MetricDefinition | Role::MetricReport => 2,
        Role::EthernetInterface | Role::Telemetry => 1,
        _ => 0,
    }
}

/// How many of a role that were not known before are read at once, when the inventory finds them.
fn newcomers(role: Role) -> usize {
    match role {
        Role::EquipmentPart => 12,
        Role::NetworkPort => 2,
        _ => 0,
    }
}

/// A resource, or a collection of them, that takes its turn.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn {
    pub(super) uri: String,
    pub(super) collection: bool,
}

/// What is read in turn.
#[derive(Debug, Clone, Default)]
pub(super) struct Rotation {
    queues: BTreeMap<Role, VecDeque<Turn>>,
    /// What turned out to add nothing.
    useless: BTreeSet<String>,
    allowance: BTreeMap<Role, usize>,
    /// How often each role was put off since the last call of [`Rotation::put_off`].
    waiting: BTreeMap<Role, usize>,
    /// Whether any chassis has network adapters.
    adapters: bool,
    /// Whether the drives were polled before.
    begun: bool,
}

impl Rotation {
    /// Begins an inventory: newcomers may be read at once, up to a limit.
    pub(super) fn begin_inventory(&mut self) {
        self.allowance.clear();
        self.waiting.clear();
    }

    /// Notes that a chassis has network adapters.
    pub(super) fn notice_adapters(&mut self) {
        self.adapters = true;
    }

    /// Whether any chassis has network adapters.
    pub(super) fn has_adapters(&self) -> bool {
        self.adapters
    }

    /// Notes a resource that is worth a turn, and tells whether to read it at once.
    pub(super) fn offer(&mut self, role: Role, uri: &str, collection: bool) -> bool {
        let queue = self.queues.entry(role).or_default();
        if self.useless.contains(uri) {
            return false;
        }
        if queue.iter().any(|known| known.uri == uri) {
            *self.waiting.entry(role).or_default() += 1;
            return false;
        }
        queue.push_back(Turn { uri: uri.to_owned(), collection });
        let left = self.allowance.entry(role).or_insert_with(|| newcomers(role));
        let now = *left > 0;
        *left = left.saturating_sub(1);
        if !now {
            *self.waiting.entry(role).or_default() += 1;
        }
        now
    }

    /// Begins a poll of the drives; `false` for the first, which has enough to do without what takes turns.
    pub(super) fn begin_drives(&mut self) -> bool {
        std::mem::replace(&mut self.begun, true)
    }

    /// The resources whose turn it is. They go to the end of their queues.
    pub(super) fn due(&mut self) -> Vec<(Role, Turn)> {
        let mut due = Vec::new();
        // Interfaces are a system's view of the ports.
        let has_ports = self.knows(Role::NetworkPort);
        let queues = self.queues.iter_mut().filter(|(role, _)| !(has_ports && **role == Role::EthernetInterface));
        for (role, queue) in queues {
            let count = share(*role).min(queue.len());
            due.extend(queue.iter().take(count).map(|turn| (*role, turn.clone())));
            queue.rotate_left(count);
        }
        due
    }

    /// Whether any resource of a role is known.
    pub(super) fn knows(&self, role: Role) -> bool {
        self.queues.get(&role).is_some_and(|queue| !queue.is_empty())
    }

    /// A resource that adds nothing gets no more turns.
    pub(super) fn drop(&mut self, role: Role, uri: &str) {
        if let Some(queue) = self.queues.get_mut(&role) {
            queue.retain(|known| known.uri != uri);
        }
        self.useless.insert(uri.to_owned());
    }

    /// How many of each role wait for their turn since this was last asked.
    pub(super) fn put_off(&mut self) -> BTreeMap<Role, usize> {
        let mut waiting = std::mem::take(&mut self.waiting);
        if self.knows(Role::NetworkPort) {
            waiting.remove(&Role::EthernetInterface);
        }
        waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn everyone_gets_a_turn_and_what_adds_nothing_gets_none() {
        let mut rotation = Rotation::default();
        rotation.begin_inventory();
        let uris: Vec<String> = (0..10).map(|n| format!("/m/{n}")).collect();
        let now = uris.iter().filter(|uri| rotation.offer(Role::MemoryMetrics, uri, false)).count();
        assert_eq!(now, newcomers(Role::MemoryMetrics));
        assert_eq!(rotation.put_off()[&Role::MemoryMetrics], 10 - now);
        assert!(rotation.offer(Role::NetworkPort, "/p", true), "some are read at once");
        rotation.drop(Role::MemoryMetrics, "/m/3");
        let mut asked = BTreeSet::new();
        for _ in 0..3 {
            let due = rotation.due().into_iter().filter(|(role, _)| *role == Role::MemoryMetrics);
            asked.extend(due.map(|(_, turn)| turn.uri));
        }
        assert_eq!(asked.len(), 9);
        assert!(!rotation.offer(Role::MemoryMetrics, "/m/3", false));
    }

    #[test]
    fn a_systems_view_of_its_ports_gives_way_to_the_ports() {
        let mut rotation = Rotation::default();
        rotation.offer(Role::EthernetInterface, "/e", true);
        assert_eq!(rotation.due().len(), 1);
        rotation.offer(Role::NetworkPort, "/p", true);
        assert!(rotation.due().iter().all(|(role, _)| *role == Role::NetworkPort));
    }

    proptest! {
        #[test]
        fn no_poll_asks_more_than_its_share(count in 0usize..60, polls in 1usize..10) {
            let mut rotation = Rotation::default();
            for n in 0..count {
                rotation.offer(Role::NetworkPort, &format!("/p/{n}"), true);
            }
            for _ in 0..polls {
                let due = rotation.due();
                prop_assert_eq!(due.len(), count.min(share(Role::NetworkPort)));
                let distinct: BTreeSet<_> = due.iter().collect();
                prop_assert_eq!(distinct.len(), due.len());
            }
        }
    }
}
