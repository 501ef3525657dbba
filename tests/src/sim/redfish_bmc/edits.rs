//! What a test changes in a service while it runs, whatever its content comes from: resources replaced or removed, log entries added, logs cleared.

use super::locked;
use super::tree::key;
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Mutex;

/// Changes that lie over the content.
#[derive(Debug, Default)]
pub(super) struct Edits {
    /// Path → resource; `None`: removed.
    changed: Mutex<HashMap<String, Option<Bytes>>>,
}

impl Edits {
    /// What the changes make of a resource; `None`: nothing, the content's own holds.
    pub(super) fn get(&self, path: &str) -> Option<Option<Bytes>> {
        locked(&self.changed).get(&key(path)).cloned()
    }

    pub(super) fn put(&self, path: &str, bytes: Option<Bytes>) {
        locked(&self.changed).insert(key(path), bytes);
    }

    /// A log with one more entry, at its end or, as Dell and Cisco do, at its beginning. At `capacity` the oldest entry goes. Where the others are
    /// links the new one is, too.
    pub(super) fn append_entry(
        &self,
        path: &str,
        mut collection: Value,
        entry: &Value,
        newest_first: bool,
        capacity: Option<usize>,
    ) {
        let uri = entry.get("@odata.id").and_then(Value::as_str);
        let mut entries = take_members(&mut collection);
        let links = !entries.is_empty() && entries.iter().all(|e| e.as_object().is_some_and(|e| e.len() == 1));
        let member = match uri {
            Some(uri) if links => json!({"@odata.id": uri}),
            _ => entry.clone(),
        };
        if newest_first {
            entries.insert(0, member);
        } else {
            entries.push(member);
        }
        while capacity.is_some_and(|most| entries.len() > most) {
            let oldest = if newest_first { entries.pop() } else { Some(entries.remove(0)) };
            self.remove(oldest.as_ref());
        }
        // After the oldest: ids begin again in logs that wrap.
        if let Some(uri) = uri {
            self.put(uri, Some(Bytes::from(entry.to_string())));
        }
        self.put_members(path, collection, entries);
    }

    /// A log without entries.
    pub(super) fn clear_log(&self, path: &str, mut collection: Value) {
        take_members(&mut collection).iter().for_each(|entry| self.remove(Some(entry)));
        self.put_members(path, collection, Vec::new());
    }

    fn remove(&self, entry: Option<&Value>) {
        if let Some(uri) = entry.and_then(|e| e.get("@odata.id")).and_then(Value::as_str) {
            self.put(uri, None);
        }
    }

    fn put_members(&self, path: &str, mut collection: Value, members: Vec<Value>) {
        if let Value::Object(object) = &mut collection {
            object.remove("Members@odata.nextLink");
            object.insert("Members@odata.count".to_owned(), members.len().into());
            object.insert("Members".to_owned(), members.into());
        }
        self.put(path, Some(Bytes::from(collection.to_string())));
    }
}

fn take_members(collection: &mut Value) -> Vec<Value> {
    match collection.get_mut("Members").map(Value::take) {
        Some(Value::Array(members)) => members,
        _ => Vec::new(),
    }
}
