//! Resources out of memory, which a test may change while they are served.

use super::tree::key;
use super::{Content, Options, Service, locked};
use bytes::Bytes;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

/// A tree of resources in memory. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct RedfishMap {
    resources: Arc<Mutex<BTreeMap<String, Bytes>>>,
}

impl RedfishMap {
    /// A tree of these resources, path → resource.
    pub fn new<P: AsRef<str>>(resources: impl IntoIterator<Item = (P, Value)>) -> Self {
        let map = Self::default();
        resources.into_iter().for_each(|(path, resource)| map.put(path.as_ref(), &resource));
        map
    }

    /// Serves it over HTTPS on loopback until the handle is dropped. Needs a tokio runtime.
    pub async fn serve(&self, options: Options) -> io::Result<Service> {
        Service::start(self.clone(), options).await
    }

    /// Adds or replaces a resource; a path with a query is a page. `@odata.id` is added where it is missing.
    pub fn put(&self, path: &str, resource: &Value) {
        let mut resource = resource.clone();
        if let Value::Object(object) = &mut resource {
            object.entry("@odata.id").or_insert_with(|| path.into());
        }
        self.put_bytes(path, resource.to_string());
    }

    /// Adds or replaces a resource by bytes that may be anything.
    pub fn put_bytes(&self, path: &str, bytes: impl Into<Bytes>) {
        locked(&self.resources).insert(key(path), bytes.into());
    }

    /// Removes a resource.
    pub fn remove(&self, path: &str) {
        locked(&self.resources).remove(&key(path));
    }
}

impl Content for RedfishMap {
    fn get(&self, path: &str, query: Option<&str>) -> Option<Bytes> {
        let path = query.map_or_else(|| key(path), |q| key(&format!("{path}?{q}")));
        locked(&self.resources).get(&path).cloned()
    }
}
