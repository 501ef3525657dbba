//! A service's resources as they are now, before anything goes wrong and before queries are answered.

use super::{Content, Shared, drift};
use bytes::Bytes;
use serde_json::Value;

/// The content with everything that lies over it.
pub(super) struct View<'a, C> {
    pub(super) content: &'a C,
    pub(super) shared: &'a Shared,
}

/// What the service root says that it can do.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Features {
    pub(super) no_links: bool,
    pub(super) links: bool,
    pub(super) all: bool,
    pub(super) max_levels: u32,
    pub(super) top_skip: bool,
    pub(super) select: bool,
    pub(super) only: bool,
}

impl<C: Content> View<'_, C> {
    /// The resource at a path.
    pub(super) fn resource(&self, path: &str) -> Option<Bytes> {
        let bytes = match self.shared.edits.get(path) {
            Some(changed) => changed?,
            None => match self.shared.events.resource(path) {
                Some(bytes) => bytes,
                None => self.content.get(path, None).or_else(|| self.shared.events.fallback(path))?,
            },
        };
        Some(self.as_now(path, bytes))
    }

    /// A page that was captured under its own address.
    pub(super) fn page(&self, path: &str, query: &str) -> Option<Bytes> {
        if self.shared.edits.get(path).is_some() {
            return None;
        }
        let bytes = self.content.get(path, Some(query))?;
        Some(self.as_now(path, bytes))
    }

    /// The resource as JSON; `None` also where it is none.
    pub(super) fn json(&self, path: &str) -> Option<Value> {
        serde_json::from_slice(&self.resource(path)?).ok()
    }

    /// A collection with all of its pages in one.
    pub(super) fn whole(&self, path: &str, first: Value) -> Value {
        let mut whole = first;
        let next = |v: &Value| v.get("Members@odata.nextLink").and_then(Value::as_str).map(str::to_owned);
        let mut seen = std::collections::HashSet::new();
        let mut link = next(&whole);
        while let Some(uri) = link.filter(|uri| seen.insert(uri.clone())) {
            let Some((_, query)) = uri.split_once('?') else { break };
            let page: Option<Value> = self.page(path, query).and_then(|b| serde_json::from_slice(&b).ok());
            let Some(mut page) = page else { break };
            link = next(&page);
            if let (Some(Value::Array(more)), Some(Value::Array(all))) =
                (page.get_mut("Members"), whole.get_mut("Members"))
            {
                all.append(more);
            }
        }
        if let Value::Object(object) = &mut whole {
            object.remove("Members@odata.nextLink");
        }
        whole
    }

    pub(super) fn features(&self) -> Features {
        let root = self.json("/redfish/v1").unwrap_or_default();
        let said = &root["ProtocolFeaturesSupported"];
        let yes = |v: &Value| v.as_bool().unwrap_or(false);
        let expand = &said["ExpandQuery"];
        let levels = expand["MaxLevels"].as_u64().and_then(|n| u32::try_from(n).ok());
        Features {
            no_links: yes(&expand["NoLinks"]),
            links: yes(&expand["Links"]),
            all: yes(&expand["ExpandAll"]),
            max_levels: if yes(&expand["Levels"]) { levels.unwrap_or(1) } else { 1 },
            top_skip: yes(&said["TopSkipQuery"]),
            select: yes(&said["SelectQuery"]),
            only: yes(&said["OnlyMemberQuery"]),
        }
    }

    /// With what the options say of the service root and of events, and with its readings of this moment. Bytes that need no change stay as they are.
    fn as_now(&self, path: &str, bytes: Bytes) -> Bytes {
        let is_root = super::tree::key(path) == "/redfish/v1";
        let features = self.shared.options.features.as_ref().filter(|_| is_root);
        let step = self.shared.options.drift.as_ref().map(|d| (d.seed, self.shared.step(d)));
        let events = self.shared.events.touches(path);
        if features.is_none() && step.is_none() && !events {
            return bytes;
        }
        let Ok(mut value) = serde_json::from_slice::<Value>(&bytes) else { return bytes };
        let before = value.clone();
        if let (Some(features), Value::Object(root)) = (features, &mut value) {
            if features.is_null() {
                root.remove("ProtocolFeaturesSupported");
            } else {
                root.insert("ProtocolFeaturesSupported".to_owned(), features.clone());
            }
        }
        if events {
            self.shared.events.complete(path, &mut value);
        }
        if let Some((seed, step)) = step {
            drift::drift(&mut value, seed, step);
        }
        if value == before { bytes } else { Bytes::from(value.to_string()) }
    }
}
