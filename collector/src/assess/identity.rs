//! Which server a target belongs to: matched by chassis serial, then system UUID, then target. Pure.

use outband_schemas::{AgentId, Identity, ServerId, SiteId, Timestamp};
use outband_store::{AgentTarget, ServerRecord};
use std::collections::{BTreeMap, BTreeSet};

/// Every server that is known, findable by what names it.
#[derive(Debug, Default)]
pub struct Servers {
    by_id: BTreeMap<ServerId, ServerRecord>,
    by_target: BTreeMap<AgentTarget, ServerId>,
    changed: BTreeSet<ServerId>,
}

/// What an inventory changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identified {
    /// The server that the target belongs to.
    pub server: ServerId,
    /// The record that this target had before and that turned out to be the same server.
    pub merged: Option<ServerId>,
}

impl Servers {
    /// From the stored records, merged ones included or not.
    pub fn new(records: impl IntoIterator<Item = ServerRecord>) -> Self {
        let mut servers = Self::default();
        for record in records {
            for target in &record.targets {
                servers.by_target.insert(target.clone(), record.id.clone());
            }
            servers.by_id.insert(record.id.clone(), record);
        }
        servers
    }

    /// A server's record.
    pub fn get(&self, id: &ServerId) -> Option<&ServerRecord> {
        self.by_id.get(id)
    }

    /// Every server that was not merged into another.
    pub fn all(&self) -> impl Iterator<Item = &ServerRecord> {
        self.by_id.values().filter(|r| r.merged_into.is_none())
    }

    /// The server of a target, if it is known.
    pub fn of_target(&self, target: &AgentTarget) -> Option<&ServerId> {
        self.by_target.get(target)
    }

    /// The servers that an agent's targets belong to.
    pub fn of_agent<'a>(&'a self, agent: &'a AgentId) -> impl Iterator<Item = &'a ServerRecord> {
        self.all().filter(move |r| r.targets.iter().any(|t| t.agent == *agent))
    }

    /// The server of a target that spoke at `at`. A target that nobody knows is a new server under the id that `issue` gives.
    pub fn saw<E>(
        &mut self,
        target: &AgentTarget,
        site: &SiteId,
        at: Timestamp,
        issue: impl FnOnce() -> Result<ServerId, E>,
    ) -> Result<ServerId, E> {
        let id = match self.by_target.get(target) {
            Some(id) => id.clone(),
            None => {
                let id = issue()?;
                let record = ServerRecord {
                    id: id.clone(),
                    site: site.clone(),
                    identity: Identity::default(),
                    targets: vec![target.clone()],
                    first_seen: at,
                    last_seen: at,
                    merged_into: None,
                    rev: 0,
                };
                self.by_id.insert(id.clone(), record);
                self.by_target.insert(target.clone(), id.clone());
                id
            }
        };
        if let Some(record) = self.by_id.get_mut(&id) {
            record.last_seen = record.last_seen.max(at);
            record.site.clone_from(site);
            self.changed.insert(id.clone());
        }
        Ok(id)
    }

    /// Takes in what a target says that it is. Where another server has that serial, or that UUID and no other serial, the target moves there.
    pub fn identify(&mut self, target: &AgentTarget, identity: &Identity) -> Option<Identified> {
        let own = self.by_target.get(target)?.clone();
        let home = self.find(identity).unwrap_or_else(|| own.clone());
        if let Some(record) = self.by_id.get_mut(&home) {
            if fill(&mut record.identity, identity) {
                self.changed.insert(home.clone());
            }
            if home != own && !record.targets.contains(target) {
                record.targets.push(target.clone());
            }
        }
        if home == own {
            return Some(Identified { server: home, merged: None });
        }
        self.by_target.insert(target.clone(), home.clone());
        self.changed.extend([home.clone(), own.clone()]);
        let old = self.by_id.get_mut(&own)?;
        old.targets.retain(|t| t != target);
        let merged = old.targets.is_empty().then(|| own.clone());
        if merged.is_some() {
            old.merged_into = Some(home.clone());
        }
        Some(Identified { server: home, merged })
    }

    /// The records that are new or changed since the last call.
    pub fn take_changed(&mut self) -> Vec<ServerRecord> {
        std::mem::take(&mut self.changed).iter().filter_map(|id| self.by_id.get(id).cloned()).collect()
    }

    /// The one server that has this serial; else the one that has this UUID and no serial that contradicts.
    fn find(&self, identity: &Identity) -> Option<ServerId> {
        let only = |matches: &dyn Fn(&Identity) -> bool| {
            let mut found = self.all().filter(|r| matches(&r.identity));
            match (found.next(), found.next()) {
                (Some(one), None) => Some(one.id.clone()),
                _ => None,
            }
        };
        let by_serial = identity.serial.as_ref().and_then(|s| only(&|i| i.serial.as_ref() == Some(s)));
        by_serial.or_else(|| {
            let uuid = identity.uuid.as_ref()?;
            let agrees = |i: &Identity| i.serial.is_none() || identity.serial.is_none() || i.serial == identity.serial;
            only(&|i| i.uuid.as_ref() == Some(uuid) && agrees(i))
        })
    }
}

/// Takes over what is named; what is not named stays. Whether anything changed.
fn fill(known: &mut Identity, said: &Identity) -> bool {
    let before = known.clone();
    let take = |to: &mut Option<String>, from: &Option<String>| {
        if from.is_some() {
            to.clone_from(from);
        }
    };
    take(&mut known.serial, &said.serial);
    take(&mut known.uuid, &said.uuid);
    take(&mut known.manufacturer, &said.manufacturer);
    take(&mut known.model, &said.model);
    take(&mut known.hostname, &said.hostname);
    take(&mut known.asset_tag, &said.asset_tag);
    *known != before
}

#[cfg(test)]
mod tests {
    use super::*;
    use outband_schemas::TargetId;
    use std::convert::Infallible;

    fn target(name: &str) -> AgentTarget {
        AgentTarget { agent: AgentId::new("a1").unwrap(), target: TargetId::new(name).unwrap() }
    }

    fn saw(servers: &mut Servers, name: &str) -> ServerId {
        let site = SiteId::new("dc1").unwrap();
        let next = ServerId::new(format!("s{}", servers.by_id.len() + 1)).unwrap();
        servers.saw(&target(name), &site, Timestamp::from_secs(1), || Ok::<_, Infallible>(next)).unwrap()
    }

    fn identity(serial: Option<&str>, uuid: Option<&str>) -> Identity {
        Identity { serial: serial.map(Into::into), uuid: uuid.map(Into::into), ..Identity::default() }
    }

    #[test]
    fn a_target_keeps_its_server() {
        let mut servers = Servers::default();
        assert_eq!(saw(&mut servers, "t1"), saw(&mut servers, "t1"));
        assert_ne!(saw(&mut servers, "t1"), saw(&mut servers, "t2"));
    }

    #[test]
    fn an_ipmi_and_a_redfish_target_with_one_serial_are_one_server() {
        let mut servers = Servers::default();
        let (first, second) = (saw(&mut servers, "ipmi"), saw(&mut servers, "redfish"));
        servers.identify(&target("ipmi"), &identity(Some("SN1"), None));
        let found = servers.identify(&target("redfish"), &identity(Some("SN1"), Some("u1")));
        assert_eq!(found, Some(Identified { server: first.clone(), merged: Some(second.clone()) }));
        assert_eq!(servers.all().count(), 1);
        assert_eq!(servers.get(&first).unwrap().identity.uuid.as_deref(), Some("u1"));
        assert_eq!(servers.get(&second).unwrap().merged_into, Some(first.clone()));
        assert_eq!(saw(&mut servers, "redfish"), first);
    }

    #[test]
    fn one_uuid_with_two_serials_is_two_servers() {
        let mut servers = Servers::default();
        saw(&mut servers, "t1");
        let second = saw(&mut servers, "t2");
        servers.identify(&target("t1"), &identity(Some("SN1"), Some("shared")));
        let found = servers.identify(&target("t2"), &identity(Some("SN2"), Some("shared")));
        assert_eq!(found, Some(Identified { server: second, merged: None }));
    }

    #[test]
    fn a_target_that_names_nothing_stays_what_it_is() {
        let mut servers = Servers::default();
        saw(&mut servers, "t1");
        let second = saw(&mut servers, "t2");
        servers.identify(&target("t1"), &identity(None, None));
        assert_eq!(servers.identify(&target("t2"), &identity(None, None)).map(|i| i.server), Some(second));
    }

    #[test]
    fn only_what_changed_is_written() {
        let mut servers = Servers::default();
        saw(&mut servers, "t1");
        assert_eq!(servers.take_changed().len(), 1);
        assert_eq!(servers.take_changed().len(), 0);
    }
}
