//! A resource asked for together with all that it links to, where that saves requests: a storage subsystem with its drives, volumes and controllers.

use super::{Form, Mode, Node, Pending, Walk, key};
use crate::redfish::lenient;
use crate::redfish::memory::Memory;
use crate::redfish::route::{Role, Step};
use outband_schemas::{Section, Timestamp};
use serde_json::Value;
use std::collections::BTreeSet;

impl Walk {
    /// Asks for `node` again, expanded, if that spares requests for what lies below it. The node is taken when that has come.
    pub(super) fn unfold(&mut self, memory: &mut Memory, node: &Node, steps: &[Step]) -> bool {
        // Chassis, systems and managers link to far more than any section wants.
        if matches!(node.role, Role::Root | Role::Chassis | Role::System | Role::Manager)
            || self.folded.contains_key(&node.uri)
        {
            return false;
        }
        let children: BTreeSet<String> = parts(&node.body).filter_map(lenient::target).map(|uri| key(&uri)).collect();
        let asks = steps.iter().filter(|step| match step {
            Step::Ask(next) if children.contains(&key(&next.uri)) => {
                let known = key(&next.uri);
                let kept = memory.cache.has(&known, self.section, self.want(next.role), self.now);
                !kept && (!self.seen.contains(&known) || self.queue.iter().any(|p| key(&p.uri) == known))
            }
            _ => false,
        });
        if !memory.expander.unfolds(&node.uri, children.len(), asks.count()) {
            return false;
        }
        self.folded.insert(node.uri.clone(), node.clone());
        let Node { uri, role, owner, parent, .. } = node.clone();
        let (form, mode) = (Form::Expanded, Mode::Unfold);
        self.queue.push_front(Pending {
            uri,
            role,
            collection: false,
            form,
            else_from: None,
            owner,
            parent,
            mode,
            untagged: true,
        });
        true
    }

    /// Puts what came with a resource where requests for it look first, and goes on with the resource.
    pub(super) fn unfolded(&mut self, memory: &mut Memory, pending: Pending, body: Value, at: Timestamp) {
        let mut found = 0;
        for part in parts(&body).filter(|p| lenient::is_inline(p) && lenient::error_of(p).is_none()) {
            let Some(uri) = lenient::target(part).filter(|uri| !uri.contains('#')) else { continue };
            // A collection that goes on elsewhere is not all there.
            if super::next_link(part).is_none() {
                found += 1;
                memory.cache.put_aside(&key(&uri), part, at);
            }
        }
        memory.expander.unfolded(found > 0);
        self.folded(memory, &pending.uri);
    }

    /// Goes on with a resource that was asked for again.
    pub(super) fn folded(&mut self, memory: &mut Memory, uri: &str) {
        if let Some(node) = self.folded.get(uri).cloned() {
            self.arrived(memory, node);
        }
    }

    /// The next of the queue. A drive that a chassis points at may come with its storage: collections go first.
    pub(super) fn pop(&mut self) -> Option<Pending> {
        let late = |p: &Pending| p.role == Role::Drive && !p.collection;
        let wait = matches!(self.section, Section::Drives | Section::Inventory);
        let first = self.queue.iter().position(|p| !late(p)).filter(|_| wait && self.queue.front().is_some_and(late));
        match first {
            Some(index) => self.queue.remove(index),
            None => self.queue.pop_front(),
        }
    }

    /// Takes a resource that has come with another one since it was asked for, else gives it back.
    pub(super) fn unless_kept(&mut self, memory: &mut Memory, pending: Pending) -> Option<Pending> {
        if pending.collection || pending.form != Form::Plain || pending.mode != Mode::Look {
            return Some(pending);
        }
        let want = self.want(pending.role);
        match memory.cache.take(&key(&pending.uri), self.section, want, self.now) {
            Some((body, at)) => {
                let Pending { uri, role, owner, parent, .. } = pending;
                self.arrived(memory, Node { uri: uri.trim_end_matches('/').to_owned(), role, owner, parent, body, at });
                None
            }
            None => Some(pending),
        }
    }
}

/// What stands in a resource where an expanded answer holds what it links to.
fn parts(body: &Value) -> impl Iterator<Item = &Value> {
    let fields = body.as_object().into_iter().flatten();
    fields.filter(|(name, _)| *name != "Links" && *name != "Oem" && !name.starts_with('@')).flat_map(|(_, value)| {
        match value {
            Value::Array(list) => list.as_slice(),
            one => std::slice::from_ref(one),
        }
    })
}
