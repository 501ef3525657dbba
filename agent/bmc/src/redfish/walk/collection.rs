//! Collections: counted, expanded, in pages, or member by member; and what to do where an answer is not what was asked for.

use super::{Mode, Node, Pending, Walk, is_ours, key, page_key, tail};
use crate::redfish::expand::{Form, said_count};
use crate::redfish::lenient;
use crate::redfish::memory::Memory;
use crate::redfish::portions::{Member, Portions};
use crate::redfish::route::{Next, Role};
use outband_schemas::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A link to a member, and its place in the collection.
type Link = (usize, String);

impl Walk {
    /// Takes a collection, or a part of one.
    pub(super) fn collection(
        &mut self,
        memory: &mut Memory,
        mut pending: Pending,
        body: Value,
        etag: Option<&str>,
        at: Timestamp,
    ) {
        let said = said_count(&body);
        let next_page = next_link(&body).filter(|uri| is_ours(uri));
        let members = members(body);
        let asked = memory.expander.uri(&pending.uri, pending.form);
        if pending.form == Form::Count {
            match count(memory, &pending.uri, said, members.len(), next_page.is_some()) {
                Some(form) => return self.queue.push_front(Pending { form, ..pending }),
                None => pending.form = Form::Plain,
            }
        }
        if pending.role == Role::Chassis {
            for uri in members.iter().filter_map(lenient::target) {
                memory.list_chassis(uri.trim_end_matches('/'));
            }
        }
        if matches!(pending.role, Role::Chassis | Role::System) && next_page.is_none() {
            let uris: BTreeSet<String> = members.iter().filter_map(lenient::target).map(|u| key(&u)).collect();
            memory.steady.list(&pending.uri, uris.clone());
            self.sensors.listed.insert(pending.uri.clone(), uris);
        }
        if pending.mode == Mode::List {
            return;
        }
        let skip = match pending.form {
            Form::Page { skip, .. } => skip,
            Form::Plain | Form::Count | Form::Expanded => 0,
        };
        let held = members.len();
        let whole = match pending.form {
            Form::Page { skip, top } => skip == 0 && held < top && said.is_none_or(|said| said <= held),
            Form::Plain | Form::Count | Form::Expanded => true,
        };
        let complete = whole && next_page.is_none() && !pending.uri.contains('?');
        if complete && pending.role != Role::LogEntry {
            memory.expander.count(&pending.uri, held);
            let links: Vec<Value> =
                members.iter().filter_map(lenient::target).map(|u| json!({"@odata.id": u})).collect();
            if links.len() == held {
                let etag = etag.map(|tag| (asked.as_str(), tag));
                self.keep(memory, &pending.uri, pending.role, &json!({"Members": links}), etag, at);
            }
        }
        let news = members.iter().filter_map(lenient::target).any(|u| !self.seen.contains(&key(&u)));
        let links = self.members(memory, &pending, skip, members, at);
        match pending.form {
            Form::Page { top, .. } => {
                if held > top {
                    memory.expander.paged(false);
                } else if skip > 0 && held > 0 && !news && pending.mode == Mode::Look {
                    // It gave what it gave before: `$skip` is not honoured.
                    memory.expander.paged(false);
                    self.queue.push_front(Pending { form: Form::Plain, mode: Mode::Check, ..pending.clone() });
                } else {
                    self.turn_page(memory, &pending, skip + held, top, held, said);
                }
            }
            Form::Expanded if held > 0 && links.len() == held => memory.expander.failed(&pending.uri),
            Form::Expanded => {
                memory.expander.worked();
                let short = next_page.is_none() && said.is_some_and(|said| said > held);
                if short && pending.mode == Mode::Look && !memory.expander.miscounts(&pending.uri) {
                    self.queue.push_front(Pending { form: Form::Plain, mode: Mode::Check, ..pending.clone() });
                }
            }
            Form::Plain if pending.mode == Mode::Check => match links.is_empty() {
                // It says that it has more members than it has.
                true => memory.expander.miscounted(&pending.uri),
                false => memory.expander.failed(&pending.uri),
            },
            Form::Plain | Form::Count => {}
        }
        self.links(memory, &pending, links, complete);
        if let Some(uri) = next_page.filter(|_| !matches!(pending.form, Form::Page { .. }))
            && self.seen.insert(page_key(&uri))
        {
            // A page that is told to be the next one does not always remember how it was asked for.
            self.queue.push_front(Pending { uri, else_from: None, ..pending });
        }
    }

    /// Asks for the next page, where there is one.
    fn turn_page(
        &mut self,
        memory: &mut Memory,
        pending: &Pending,
        reached: usize,
        top: usize,
        held: usize,
        said: Option<usize>,
    ) {
        let counted = memory.expander.members(&pending.uri) == Some(reached);
        let total = said.filter(|n| *n >= reached);
        if let Some(total) = total {
            memory.expander.count(&pending.uri, total);
            if total > reached && held == top {
                memory.expander.paged(true);
            }
        }
        // Some count what they send: a full page is the last one only where the number was known before.
        let more = held > 0 && (total.is_some_and(|total| total > reached) || held == top && !counted);
        if !more {
            memory.expander.count(&pending.uri, reached);
        }
        if more && pending.mode != Mode::Window && !self.sensors.enough(&pending.owner, pending.role) {
            self.queue.push_front(Pending { form: Form::Page { skip: reached, top }, ..pending.clone() });
        } else if more && pending.mode == Mode::Look {
            self.sensors.left_out(&pending.owner, reached..total.unwrap_or(reached));
        }
    }

    /// Takes the members that came with a collection, and gives back the links of the others.
    fn members(
        &mut self,
        memory: &mut Memory,
        from: &Pending,
        skip: usize,
        members: Vec<Value>,
        at: Timestamp,
    ) -> Vec<Link> {
        let collection = from.uri.split('?').next().unwrap_or(&from.uri).trim_end_matches('/').to_owned();
        let mut links = Vec::new();
        for (index, member) in members.into_iter().enumerate() {
            let link = lenient::target(&member);
            match link {
                Some(uri) if !is_whole(&member, true) => links.push((skip + index, uri)),
                // A link that leads nowhere is no member.
                link if lenient::is_inline(&member) && lenient::error_of(&member).is_none() => {
                    let uri = link.unwrap_or_else(|| format!("{}#/Members/{index}", from.uri));
                    let uri = uri.trim_end_matches('/').to_owned();
                    if self.seen.insert(key(&uri)) {
                        if from.form == Form::Plain {
                            self.sensors.inline.insert(collection.clone());
                        }
                        self.origins.insert(uri.clone(), (collection.clone(), skip + index));
                        self.keep(memory, &uri, from.role, &member, None, at);
                        let (role, owner, parent) = (from.role, from.owner.clone(), collection.clone());
                        let node = Node { uri, role, owner, parent, body: member, at };
                        if from.mode.follows() { self.arrived(memory, node) } else { self.known(memory, node) }
                    }
                }
                // An error in a member's place: the member itself may be there.
                Some(uri) => links.push((skip + index, uri)),
                None => {}
            }
        }
        links.retain(|(_, uri)| {
            let wanted = match from.role {
                Role::SmartReport => tail(uri).to_ascii_uppercase().contains("SMART"),
                _ => true,
            };
            wanted && !self.seen.contains(&key(uri))
        });
        links
    }

    /// Asks for members that were only linked to: at once where that can be, else one by one.
    fn links(&mut self, memory: &mut Memory, pending: &Pending, links: Vec<Link>, complete: bool) {
        let wanted = links.iter().filter(|(_, uri)| !self.is_kept(memory, uri, pending.role)).count();
        let singly = matches!(pending.role, Role::LogEntry | Role::SmartReport | Role::MetricReport);
        if pending.form == Form::Plain && pending.mode != Mode::Check && complete && !singly && wanted > 1 {
            let form = memory.expander.second(&pending.uri, links.len());
            if let Some(form) = form.filter(|_| wanted * 2 > links.len()) {
                return self.queue.push_front(Pending { form, ..pending.clone() });
            }
        }
        let collection = pending.uri.split('?').next().unwrap_or(&pending.uri).trim_end_matches('/').to_owned();
        let divided = Portions::divides(self.section, pending.role, wanted);
        for (index, uri) in links {
            if divided && !self.is_kept(memory, &uri, pending.role) {
                let (role, owner, collection) = (pending.role, pending.owner.clone(), collection.clone());
                memory.portions.put_off(Member { uri, role, owner, collection, index });
                continue;
            }
            self.origins.insert(uri.trim_end_matches('/').to_owned(), (collection.clone(), index));
            let next = Next { uri, role: pending.role, collection: false };
            match pending.mode.follows() {
                true => self.ask(memory, next, &pending.owner, &collection),
                false => self.ask_known(next, &pending.owner, &collection),
            }
        }
    }

    fn is_kept(&self, memory: &Memory, uri: &str, role: Role) -> bool {
        memory.cache.has(&key(uri), self.section, self.want(role), self.now)
    }

    /// Asks for a resource whose links are known.
    pub(super) fn ask_known(&mut self, next: Next, owner: &str, parent: &str) {
        if is_ours(&next.uri) && self.seen.insert(key(&next.uri)) {
            let Next { uri, role, collection } = next;
            let (owner, parent) = (owner.to_owned(), parent.to_owned());
            let (form, mode) = (Form::Plain, Mode::Known);
            let pending =
                Pending { uri, role, collection, form, else_from: None, owner, parent, mode, untagged: false };
            self.queue.push_back(pending);
        }
    }

    /// The body of something that the BMC says is unchanged; a collection that came with its members is put together again.
    pub(super) fn unchanged(&mut self, memory: &mut Memory, pending: &Pending, at: Timestamp) -> Option<Value> {
        let mut body = memory.cache.unchanged(&key(&pending.uri), self.section, at)?;
        if matches!(pending.form, Form::Expanded | Form::Page { .. })
            && let Some(list) = body.get_mut("Members").and_then(Value::as_array_mut)
        {
            for member in list.iter_mut() {
                let uri = lenient::target(member)?;
                *member = memory.cache.unchanged(&key(&uri), self.section, at)?;
            }
        }
        Some(body)
    }
}

/// What the answer to a request for one member says of the rest: how to ask next, or `None` where the answer is the collection itself.
fn count(memory: &mut Memory, uri: &str, said: Option<usize>, held: usize, more: bool) -> Option<Form> {
    match (said, held) {
        (Some(total), 1) if total > 1 => {
            memory.expander.paged(true);
            memory.expander.count(uri, total);
            Some(memory.expander.second(uri, total).unwrap_or(Form::Plain))
        }
        (_, 1) if more => {
            memory.expander.paged(true);
            Some(memory.expander.first_page())
        }
        // One member, or one of many by a BMC that counts what it sends.
        (_, 1) => Some(Form::Plain),
        (_, 0) => None,
        _ => {
            memory.expander.paged(false);
            None
        }
    }
}

/// Whether a member is the resource and not only a link to it.
fn is_whole(member: &Value, has_link: bool) -> bool {
    lenient::is_inline(member)
        && (!has_link || ["Id", "MemberId", "@odata.type", "Created"].iter().any(|f| member.get(*f).is_some()))
}

/// The members of a collection, whatever the age of its schema.
pub(in crate::redfish) fn members(mut body: Value) -> Vec<Value> {
    for field in ["Members", "Items", "members"] {
        if let Some(Value::Array(list)) = body.get_mut(field).map(Value::take) {
            return list;
        }
    }
    for links in ["links", "Links"] {
        for field in ["Member", "Members"] {
            if let Some(Value::Array(list)) = body.get_mut(links).and_then(|l| l.get_mut(field)).map(Value::take) {
                return list;
            }
        }
    }
    Vec::new()
}

/// Where a collection goes on.
pub(in crate::redfish) fn next_link(body: &Value) -> Option<String> {
    ["Members@odata.nextLink", "@odata.nextLink", "Members@odata.nextlink"]
        .iter()
        .find_map(|f| body.get(*f).and_then(lenient::target))
        .or_else(|| lenient::link(body, "NextPage"))
}
