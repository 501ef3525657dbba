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
}

/// The collection with one more entry, at its end or, as Dell and Cisco do, at its beginning. At `capacity` the oldest entry goes.
pub(super) fn append(collection: &mut Value, entry: Value, newest_first: bool, capacity: Option<usize>) {
    let Value::Object(object) = collection else { return };
    object.remove("Members@odata.nextLink");
    let members = object.entry("Members").or_insert_with(|| json!([]));
    if !members.is_array() {
        *members = json!([]);
    }
    let Value::Array(members) = members else { return };
    if newest_first {
        members.insert(0, entry);
    } else {
        members.push(entry);
    }
    if let Some(capacity) = capacity {
        let over = members.len().saturating_sub(capacity);
        if newest_first {
            members.truncate(capacity);
        } else {
            members.drain(..over);
        }
    }
    let count = members.len();
    object.insert("Members@odata.count".to_owned(), count.into());
}

/// The collection without entries.
pub(super) fn clear(collection: &mut Value) {
    if let Value::Object(object) = collection {
        object.remove("Members@odata.nextLink");
        object.insert("Members".to_owned(), json!([]));
        object.insert("Members@odata.count".to_owned(), 0.into());
    }
}
