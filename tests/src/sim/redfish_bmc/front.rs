//! From a request to its answer: sessions, events, the resource with its query answered, what it costs, what goes wrong.

use super::expand::{Expander, Fetched};
use super::faults::{self, Misdeed};
use super::query::{self, Expansion, Query};
use super::view::View;
use super::wanted::Wanted;
use super::{Content, Etag, Expand, FailingMember, NextLink, Shared, error, locked};
use crate::sim::https::{Answer, Answers, Call};
use bytes::Bytes;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How often the content is asked whether it has written into its log.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Pushes what the content writes into its log from now on.
pub(super) async fn pump<C: Content>(front: Arc<Front<C>>) {
    let mut seen = 0;
    // What is there already is no news.
    front.content.fresh_entries(&mut seen);
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        for entry in front.content.fresh_entries(&mut seen) {
            front.shared.events.entry(&entry);
        }
    }
}

pub(super) struct Front<C> {
    pub(super) content: C,
    pub(super) shared: Arc<Shared>,
}

/// An answer as it is before anything goes wrong.
struct Proper {
    answer: Answer,
    cost: Duration,
    expanded: usize,
}

impl<C> std::fmt::Debug for Front<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Front").finish_non_exhaustive()
    }
}

impl<C: Content> Answers for Front<C> {
    async fn answer(&self, call: Call) -> Answer {
        if self.content.silent() {
            return Answer::Never;
        }
        let shared = &*self.shared;
        let number = shared.account.begin(&call);
        let _turn = if shared.options.serial { Some(shared.turn.lock().await) } else { None };
        let misdeed = faults::strike(&mut locked(&shared.faults), &call.uri());
        let mut cost = shared.cost(&call.uri());
        let mut expanded = 0;
        let mut proper = || {
            let proper = self.proper(&call);
            (cost, expanded) = (proper.cost, proper.expanded);
            proper.answer
        };
        let answer = match misdeed {
            None => proper(),
            Some(Misdeed::Slow(slow)) => {
                let answer = proper();
                cost = slow;
                answer
            }
            Some(misdeed) => faults::spoil(misdeed, proper),
        };
        shared.account.note(number, |r| (r.modelled, r.expanded) = (cost, expanded));
        if !cost.is_zero() && !shared.options.virtual_time {
            tokio::time::sleep(cost).await;
        }
        let (status, bytes) = answer.size();
        shared.account.note(number, |r| (r.status, r.bytes) = (status, bytes));
        if shared.options.no_keep_alive { answer.with("connection", "close") } else { answer }
    }
}

impl<C: Content> Front<C> {
    pub(super) fn view(&self) -> View<'_, C> {
        View { content: &self.content, shared: &self.shared }
    }

    fn proper(&self, call: &Call) -> Proper {
        let cost = self.shared.cost(&call.uri());
        let plain = |answer| Proper { answer, cost, expanded: 0 };
        if let Some(answer) = self.shared.sessions.handle(call) {
            return plain(answer);
        }
        if let Some(answer) = self.shared.events.handle(call) {
            return plain(answer);
        }
        if call.method != "GET" {
            let refused = || error(405, "Base.1.8.OperationNotAllowed");
            if self.shared.options.read_only {
                return plain(error(403, "Base.1.8.InsufficientPrivilege"));
            }
            let answer = self.reset(call).or_else(|| self.content.act(call)).or_else(|| self.clear_log(call));
            return plain(answer.unwrap_or_else(refused));
        }
        let mut got = self.get(call);
        got.answer = self.tagged(call, got.answer);
        got
    }

    fn get(&self, call: &Call) -> Proper {
        let view = self.view();
        let cost = self.shared.cost(&call.uri());
        let plain = |answer| Proper { answer, cost, expanded: 0 };
        let query = Query::parse(call.query.as_deref().unwrap_or_default());
        let captured = call.query.as_deref().and_then(|q| view.page(&call.path, q));
        let captured = captured.or_else(|| query.page.as_ref().and_then(|page| view.page(&call.path, page)));
        let is_page = captured.is_some();
        let Some(bytes) = captured.or_else(|| view.resource(&call.path)) else {
            if super::tree::key(&call.path) == "/redfish" {
                return plain(Answer::json(r#"{"v1":"/redfish/v1/"}"#));
            }
            return plain(error(404, "Base.1.8.ResourceMissingAtURI"));
        };
        let pages = self.shared.options.pages.iter().find(|p| p.place.is(&call.path));
        if call.query.is_none() && pages.is_none() {
            return plain(Answer::json(bytes));
        }
        let Ok(mut value) = serde_json::from_slice::<Value>(&bytes) else { return plain(Answer::json(bytes)) };
        let before = value.clone();
        let wanted = match Wanted::of(&query, &self.shared.options, call.query.as_ref().map(|_| view.features())) {
            Ok(wanted) => wanted,
            Err(refusal) => return plain(refusal),
        };
        if value.get("Members").is_some_and(Value::is_array) && !is_page {
            self.cut(&mut value, call, &query, &wanted);
        } else if is_page && wanted.top.is_some() {
            query::slice(&mut value, 0, wanted.top);
        }
        let (mut cost, mut expanded) = (cost, 0);
        if wanted.only
            && let Some([member]) = value.get("Members").and_then(Value::as_array).map(Vec::as_slice)
            && let Some(only) = member.get("@odata.id").and_then(Value::as_str).and_then(|uri| view.json(uri))
        {
            value = only;
        }
        if let Some(expansion) = wanted.expand {
            match self.expand(&mut value, expansion, &mut cost) {
                Ok(count) => expanded = count,
                Err(answer) => return Proper { answer, cost, expanded: 0 },
            }
        }
        if wanted.select {
            query::select(&mut value, &query.select);
        }
        let body = if value == before { bytes } else { Bytes::from(value.to_string()) };
        Proper { answer: Answer::json(body), cost, expanded }
    }

    /// A collection as far as it is to be shown: `$skip`, `$top` and the service's own pages.
    fn cut(&self, value: &mut Value, call: &Call, query: &Query, wanted: &Wanted) {
        let pages = self.shared.options.pages.iter().find(|p| p.place.is(&call.path));
        let paged = pages.is_some() || value.get("Members@odata.nextLink").is_some();
        let skip = if wanted.skips || paged { query.skip } else { None };
        if skip.is_none() && wanted.top.is_none() && pages.is_none() {
            return;
        }
        *value = self.view().whole(&call.path, value.take());
        let skip = match pages.map(|p| p.next) {
            Some(NextLink::Loop) => 0,
            _ => skip.unwrap_or(0),
        };
        let page = pages.map(|p| p.size.max(1));
        let length = match (page, wanted.top) {
            (Some(page), Some(top)) => Some(page.min(top)),
            (page, top) => page.or(top),
        };
        let left = query::slice(value, skip, length);
        let (Some(pages), Some(length)) = (pages, length) else { return };
        let rest = wanted.top.map(|top| top - length);
        if left && rest != Some(0) {
            let name = if pages.next == NextLink::SkipToken { "$skiptoken" } else { "$skip" };
            let mut parameters = query.others.clone();
            parameters.push(format!("{name}={}", skip + length));
            parameters.extend(rest.map(|rest| format!("$top={rest}")));
            value["Members@odata.nextLink"] = json!(format!("{}?{}", call.path, parameters.join("&")));
        }
    }

    /// Follows the links, adds up what it costs; the number of resources that were put in.
    fn expand(&self, value: &mut Value, expansion: Expansion, cost: &mut Duration) -> Result<usize, Answer> {
        let view = self.view();
        let (options, share) = (&self.shared.options, self.shared.options.expanded_share.0);
        if let Expand::Short(most) = options.expand
            && let Some(Value::Array(members)) = value.get_mut("Members")
        {
            members.truncate(most);
        }
        if let (Expand::AtMost(most), Some(Value::Array(members))) = (options.expand, value.get("Members"))
            && members.len() > most
        {
            return Err(error(507, "Base.1.8.InsufficientStorage"));
        }
        let (mut seen, mut put_in) = (0, 0);
        let mut whole = None;
        let fetch = |uri: &str| {
            seen += 1;
            if options.expand == Expand::Partly && seen % 2 == 0 {
                return Fetched::Link;
            }
            let path = uri.split('?').next().unwrap_or(uri);
            let mut took = self.shared.cost(path);
            let misdeed = faults::strike(&mut locked(&self.shared.faults), path);
            let fetched = match misdeed {
                None => view.json(path),
                Some(Misdeed::Slow(slow)) => {
                    took = slow;
                    view.json(path)
                }
                Some(Misdeed::Hang) => {
                    whole = Some(Answer::Never);
                    None
                }
                Some(Misdeed::Body(body)) => serde_json::from_slice(&body).ok(),
                Some(misdeed) => {
                    let status = misdeed.status();
                    match options.failing_member {
                        FailingMember::Whole => whole = Some(error(status, "Base.1.8.InternalError")),
                        FailingMember::Error => {
                            return Fetched::Here(super::error_body("Base.1.8.InternalError"));
                        }
                        FailingMember::Missing => return Fetched::Missing,
                        FailingMember::Link => {}
                    }
                    None
                }
            };
            *cost += took * share / 100;
            match fetched {
                Some(mut resource) => {
                    put_in += 1;
                    if let (Expand::Hollow, Value::Object(resource)) = (options.expand, &mut resource) {
                        resource.retain(|name, _| name.starts_with("@odata.") || name == "Id" || name == "Name");
                    }
                    Fetched::Here(resource)
                }
                None => Fetched::Link,
            }
        };
        Expander { fetch, followed: 0 }.expand(value, expansion);
        match whole {
            Some(answer) => Err(answer),
            None => Ok(put_in),
        }
    }

    /// The answer with its ETag, or 304 where the client has it already.
    fn tagged(&self, call: &Call, answer: Answer) -> Answer {
        let Answer::Whole { status: 200, body, .. } = &answer else { return answer };
        let hash = |bytes: &[u8]| {
            bytes.iter().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3))
        };
        let tag = match self.shared.options.etag {
            Etag::No => return answer,
            Etag::Weak => format!("W/\"{:016x}\"", hash(body)),
            Etag::Strong => format!("\"{:016x}\"", hash(body)),
            Etag::Frozen => format!("\"{:016x}\"", hash(call.uri().as_bytes())),
            Etag::Restless => format!("W/\"{:x}\"", self.shared.tags.fetch_add(1, Ordering::Relaxed)),
        };
        let holds =
            |held: &String| held.split(',').any(|h| h.trim().trim_start_matches("W/") == tag.trim_start_matches("W/"));
        if call.if_none_match.as_ref().is_some_and(holds) {
            return Answer::status(304, "").with("etag", tag);
        }
        answer.with("etag", tag)
    }

    /// `Manager.Reset`: sessions and streams end with the answer.
    fn reset(&self, call: &Call) -> Option<Answer> {
        call.path.trim_end_matches('/').strip_suffix("/Actions/Manager.Reset")?;
        if call.method != "POST" {
            return None;
        }
        let said: Value = serde_json::from_slice(&call.body).unwrap_or_default();
        if !matches!(said["ResetType"].as_str(), Some("GracefulRestart" | "ForceRestart")) {
            return Some(error(400, "Base.1.8.ActionParameterNotSupported"));
        }
        self.content.was_reset();
        self.shared.sessions.forget();
        self.shared.events.reset();
        Some(Answer::status(204, ""))
    }

    /// `LogService.ClearLog` of a log whose content does not know how.
    fn clear_log(&self, call: &Call) -> Option<Answer> {
        let log = call.path.trim_end_matches('/').strip_suffix("/Actions/LogService.ClearLog")?;
        if call.method != "POST" {
            return None;
        }
        let log = self.view().json(log)?;
        let entries = log["Entries"]["@odata.id"].as_str()?;
        self.shared.edits.clear_log(entries, self.view().json(entries)?);
        Some(Answer::status(204, ""))
    }
}
