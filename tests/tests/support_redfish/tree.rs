//! A captured tree in memory, read by rules that share nothing with the client.

use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// Every resource of a tree, by its URI as the folders spell it (no slash at its end).
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree {
    bodies: BTreeMap<String, Vec<u8>>,
    parsed: HashMap<String, Value>,
    /// How a BMC finds a resource: case and escapes do not matter.
    loose: HashMap<String, String>,
}

impl Tree {
    pub(crate) fn open(dir: &Path) -> Self {
        let mut tree = Self::default();
        gather(dir, dir, &mut tree.bodies);
        for (uri, body) in &tree.bodies {
            if let Some(value) = parsed(body) {
                tree.parsed.insert(uri.clone(), value);
            }
            tree.loose.insert(loosely(uri), uri.clone());
        }
        tree
    }

    /// The resource that a link of the tree leads to, as the census looks for it: an object that is no error body.
    pub(crate) fn get(&self, uri: &str) -> Option<&Value> {
        let uri = uri.split('#').next().unwrap_or(uri).trim_end_matches('/');
        let found = self.parsed.get(uri).or_else(|| self.parsed.get(&uri.replace('|', "%7C")));
        found.filter(|v| v.as_object().is_some_and(|o| !(o.len() == 1 && o.contains_key("error"))))
    }

    /// The resource at a URI as the client spells it.
    pub(crate) fn find(&self, uri: &str) -> Option<&Value> {
        self.parsed.get(self.loose.get(&loosely(uri.split('#').next().unwrap_or(uri)))?)
    }

    /// The bytes that a BMC answers with.
    pub(crate) fn body(&self, uri: &str) -> Option<&[u8]> {
        self.bodies.get(self.loose.get(&loosely(uri))?).map(Vec::as_slice)
    }

    /// The URI of a resource as the tree spells it.
    pub(crate) fn spelled(&self, uri: &str) -> Option<&str> {
        self.loose.get(&loosely(uri)).map(String::as_str)
    }

    /// Puts other bytes in a resource's place.
    pub(crate) fn put(&mut self, uri: &str, body: Vec<u8>) {
        let uri = self.spelled(uri).unwrap_or(uri).to_owned();
        match parsed(&body) {
            Some(value) => self.parsed.insert(uri.clone(), value),
            None => self.parsed.remove(&uri),
        };
        self.loose.insert(loosely(&uri), uri.clone());
        self.bodies.insert(uri, body);
    }

    /// Every URI.
    pub(crate) fn uris(&self) -> impl Iterator<Item = &str> {
        self.bodies.keys().map(String::as_str)
    }

    /// The URIs of what lies below a resource.
    pub(crate) fn below(&self, uri: &str) -> impl Iterator<Item = &str> {
        let prefix = format!("{}/", self.spelled(uri).unwrap_or(uri));
        let from = self.bodies.range(prefix.clone()..).map(|(uri, _)| uri.as_str());
        from.take_while(move |uri| uri.starts_with(&prefix))
    }

    pub(crate) fn len(&self) -> usize {
        self.bodies.len()
    }
}

/// One spelling for all spellings of a URI.
pub(crate) fn loosely(uri: &str) -> String {
    percent_decoded(uri).trim_end_matches('/').to_lowercase()
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let code = bytes.get(at + 1..at + 3).and_then(|d| std::str::from_utf8(d).ok());
        match code.filter(|_| *byte == b'%').and_then(|d| u8::from_str_radix(d, 16).ok()) {
            Some(decoded) => {
                out.push(decoded);
                at += 3;
            }
            None => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn parsed(body: &[u8]) -> Option<Value> {
    let text = String::from_utf8_lossy(body);
    let text = text.trim_start_matches('\u{feff}');
    // Raw control characters within strings are taken, as Python takes them when it is not strict.
    serde_json::from_str(text).ok().or_else(|| {
        let mended: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        serde_json::from_str(&mended).ok()
    })
}

fn gather(root: &Path, dir: &Path, bodies: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            gather(root, &path, bodies);
        } else if path.file_name().is_some_and(|n| n == "index.json") {
            let uri = format!("/{}", dir.strip_prefix(root).unwrap().to_str().unwrap());
            bodies.insert(uri, std::fs::read(&path).unwrap());
        }
    }
}
