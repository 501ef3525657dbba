//! What became of a request: its body is taken, it is asked for in another way, or it is lost.

use super::loss::{Loss, http_failure};
use super::terms::{Answer, Get, Mode, Node, Pending, tail};
use super::{Walk, key};
use crate::redfish::expand::Form;
use crate::redfish::faults;
use crate::redfish::lenient::{self, Body, BodyError};
use crate::redfish::memory::Memory;
use crate::redfish::route::{self, Role};
use outband_schemas::{Cause, Timestamp};
use serde_json::Value;
use std::collections::VecDeque;

impl Walk {
    /// Takes what became of a request.
    pub fn handle_body(&mut self, memory: &mut Memory, get: &Get, answer: Answer, at: Timestamp) {
        let Some(mut pending) = self.in_flight.remove(&get.ticket) else { return };
        self.now = at;
        memory.answered(get, &answer);
        let (cause, detail) = match answer {
            Answer::Http { status: 304, .. } => {
                self.unreachable_in_a_row = 0;
                match self.unchanged(memory, &pending, at) {
                    Some(body) => return self.take(memory, pending, body, get.if_none_match.as_deref(), at),
                    None => {
                        pending.untagged = true;
                        return self.queue.push_front(pending);
                    }
                }
            }
            Answer::Http { status: 200..=299, body, etag } => {
                self.unreachable_in_a_row = 0;
                match self.understand(&pending, &body, at) {
                    Ok(body) => match lenient::error_of(&body) {
                        None => return self.take(memory, pending, body, etag.as_deref(), at),
                        Some(said) if said.contains("ResourceMissing") => {
                            (Cause::NotSupported, format!("a link to nothing: {said}"))
                        }
                        Some(said) => (Cause::BmcError, format!("an error served as a resource: {said}")),
                    },
                    Err(error @ BodyError::Html) => (Cause::BmcError, error.to_string()),
                    Err(error) => (Cause::Malformed, error.to_string()),
                }
            }
            Answer::Http { status, body, .. } => {
                self.unreachable_in_a_row = 0;
                http_failure(status, &body)
            }
            Answer::Failed { cause, detail } => {
                self.unreachable_in_a_row += usize::from(matches!(cause, Cause::Unreachable | Cause::Timeout));
                (cause, detail)
            }
        };
        if route::optional(pending.role) && detail.to_ascii_lowercase().contains("license") {
            // What one part needs a licence for, its like do too.
            self.unlicensed.insert((pending.role, tail(&pending.uri).to_owned()), (cause, detail.clone()));
        }
        if cause == Cause::Timeout && !pending.owner.is_empty() {
            *self.hangs.entry(pending.owner.clone()).or_default() += 1;
            let (below, others) = self.queue.drain(..).partition::<VecDeque<_>, _>(|p| p.owner == pending.owner);
            self.queue = others;
            self.queue.extend(below);
        }
        let of_the_query = matches!(cause, Cause::NotSupported | Cause::BmcError | Cause::Malformed | Cause::Timeout);
        if pending.form != Form::Plain && of_the_query {
            // The collection may well be there: ask again without the query.
            match pending.form {
                Form::Expanded if pending.mode == Mode::Unfold => {
                    memory.expander.unfolded(false);
                    return self.folded(memory, &pending.uri);
                }
                Form::Expanded => memory.expander.failed(&pending.uri),
                Form::Page { .. } | Form::Count | Form::Plain => memory.expander.paged(false),
            }
            let mode = if pending.mode.follows() { Mode::Check } else { pending.mode };
            return self.queue.push_front(Pending { form: Form::Plain, mode, ..pending });
        }
        match pending.else_from.clone() {
            Some(uri) => self.queue.push_front(Pending { uri, else_from: None, ..pending }),
            None => self.lost(pending, cause, detail, at),
        }
        if self.unreachable_in_a_row >= self.limits.unreachable_in_a_row {
            self.gave_up = true;
        }
        if cause == Cause::Certificate {
            self.stop("the BMC offers another certificate");
        }
    }

    /// The body of an answer. Of a resource by itself the whole elements are taken where the rest is cut off, which is told; a collection that is cut off
    /// would be taken for a shorter one.
    fn understand(&mut self, pending: &Pending, body: &[u8], at: Timestamp) -> Result<Value, BodyError> {
        if pending.collection || pending.role == Role::LogEntry || pending.form != Form::Plain {
            return lenient::parse(body);
        }
        let Body { value, cut } = lenient::read(body)?;
        self.cut_off = cut.is_some();
        if let Some(detail) = cut {
            let Pending { uri, owner, parent, role, .. } = pending.clone();
            self.losses.push(Loss { uri, owner, parent, role, cause: Cause::Malformed, detail, at });
        }
        Ok(value)
    }

    fn take(&mut self, memory: &mut Memory, pending: Pending, body: Value, etag: Option<&str>, at: Timestamp) {
        self.read += 1;
        if pending.collection || pending.role == Role::LogEntry {
            self.faults.extend(faults::of_members(pending.role, &pending.uri, &body, at));
        }
        if pending.role == Role::LogEntry {
            let Pending { uri, owner, else_from, .. } = &pending;
            let follow = match pending.collection {
                true => {
                    memory.expander.count_of(uri, &body);
                    self.log.page(memory, owner, uri, else_from.as_deref(), body, at)
                }
                false => self.log.entry(memory, owner, uri, body, at),
            };
            return self.follow(&pending, follow, at);
        }
        if pending.collection {
            return self.collection(memory, pending, body, etag, at);
        }
        let uri = pending.uri.trim_end_matches('/').to_owned();
        if pending.mode == Mode::Unfold {
            return self.unfolded(memory, pending, body, at);
        }
        if !std::mem::take(&mut self.cut_off) {
            self.keep(memory, &uri, pending.role, &body, etag.map(|tag| (pending.uri.as_str(), tag)), at);
        }
        let follows = pending.mode.follows();
        let node = Node { uri, role: pending.role, owner: pending.owner, parent: pending.parent, body, at };
        if follows { self.arrived(memory, node) } else { self.known(memory, node) }
    }

    /// Keeps a body for other sections, and for the next time that it is asked for. Logs and sensors are read by one section only, and change.
    pub(super) fn keep(
        &self,
        memory: &mut Memory,
        uri: &str,
        role: Role,
        body: &Value,
        etag: Option<(&str, &str)>,
        at: Timestamp,
    ) {
        if !matches!(role, Role::LogEntry | Role::SmartReport | Role::MetricReport | Role::Sensor) {
            memory.cache.put(&key(uri), body, etag, self.section, at);
        }
    }
}
