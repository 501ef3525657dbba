//! A BMC in memory: a tree that answers a walk without sockets and without time.

use super::tree::Tree;
use outband_bmc::Bookmark;
use outband_bmc::redfish::memory::Memory;
use outband_bmc::redfish::walk::{Answer, Limits, Walk};
use outband_schemas::{Cause, Observation, Section, Timestamp};
use serde_json::Value;

/// What a walk through a tree came to.
#[derive(Debug)]
pub(crate) struct Walked {
    pub(crate) observations: Vec<Observation>,
    pub(crate) requests: Vec<String>,
    pub(crate) failed: Option<(Cause, String)>,
    /// Whether it still wanted more when it had asked as often as it may.
    pub(crate) endless: bool,
}

/// One poll of one section, with at most `most` requests.
pub(crate) fn walk(
    tree: &Tree,
    section: Section,
    memory: &mut Memory,
    bookmark: Option<&Bookmark>,
    most: usize,
    at: Timestamp,
) -> Walked {
    let root = tree.find("/redfish/v1").cloned().unwrap_or_default();
    let mut walk = Walk::new(section, &root, memory, bookmark, Limits::default(), at);
    let mut requests = Vec::new();
    let mut endless = false;
    while let Some(get) = walk.poll_get(memory) {
        if requests.len() >= most {
            endless = true;
            break;
        }
        requests.push(get.uri.clone());
        walk.handle_body(memory, &get, answer(tree, &get.uri), at);
    }
    let outcome = walk.finish(memory, at);
    Walked { observations: outcome.observations, requests, failed: outcome.failed, endless }
}

fn answer(tree: &Tree, uri: &str) -> Answer {
    let ok = |body: Vec<u8>| Answer::Http { status: 200, body, etag: None };
    if let Some(body) = tree.body(uri) {
        return ok(body.to_vec());
    }
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    let Some(body) = tree.body(path) else {
        return Answer::Http {
            status: 404,
            body: br#"{"error":{"code":"Base.1.8.ResourceMissingAtURI"}}"#.to_vec(),
            etag: None,
        };
    };
    match tree.find(path).filter(|_| query.contains("expand=")) {
        Some(value) => ok(expanded(tree, value).to_string().into_bytes()),
        None => ok(body.to_vec()),
    }
}

/// The members of a collection, or what the links of a single resource lead to, in their places.
fn expanded(tree: &Tree, value: &Value) -> Value {
    let follow = |link: &mut Value| {
        let target = link.as_object().filter(|o| o.len() == 1).and_then(|o| o.get("@odata.id")).and_then(Value::as_str);
        if let Some(found) = target.and_then(|uri| tree.find(uri)) {
            *link = found.clone();
        }
    };
    let mut value = value.clone();
    if let Some(Value::Array(members)) = value.get_mut("Members") {
        members.iter_mut().for_each(follow);
    } else if let Some(fields) = value.as_object_mut() {
        fields.iter_mut().filter(|(name, _)| *name != "Links").for_each(|(_, link)| follow(link));
    }
    value
}

/// The tree with at most `most` members in each collection, so that a walk through it is short. Which ones stay depends on `pick`.
pub(crate) fn pruned(tree: &Tree, most: usize, mut pick: impl FnMut(usize) -> usize) -> Tree {
    let mut out = tree.clone();
    let uris: Vec<String> = tree.uris().map(str::to_owned).collect();
    for uri in uris {
        let Some(mut value) = tree.find(&uri).cloned() else { continue };
        let Some(Value::Array(members)) = value.get_mut("Members") else { continue };
        if members.len() <= most {
            continue;
        }
        while members.len() > most {
            let at = pick(members.len());
            members.remove(at);
        }
        let left = members.len();
        if let Some(fields) = value.as_object_mut() {
            fields.remove("Members@odata.nextLink");
            fields.insert("Members@odata.count".to_owned(), left.into());
        }
        out.put(&uri, value.to_string().into_bytes());
    }
    out
}
