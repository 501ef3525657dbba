//! Maintenance windows, mutes and known issues.

use crate::audit::Caller;
use crate::auth;
use crate::maintenance::{problem, recur::Schedule};
use crate::query::once::{Known, Once};
use crate::query::problem::{changed_meanwhile, invalid, not_found};
use crate::query::{Desk, selector};
use outband_proto::maintenance as wire;
use outband_proto::maintenance::maintenance_service_server::MaintenanceService;
use outband_schemas::{Clock, Timestamp};
use outband_store::Store;
use outband_store::audit::{Audit, Deed};
use outband_store::maintenance::{Maintenance, Selector, Window, WindowChange, WindowKind};
use prost::Message;
use tonic::{Request, Response, Status};

const CREATE: &str = "outband.maintenance.v1.MaintenanceService/CreateWindow";
const UPDATE: &str = "outband.maintenance.v1.MaintenanceService/UpdateWindow";
const END: &str = "outband.maintenance.v1.MaintenanceService/EndWindow";

/// A window to be kept: what is done to it, by which method, and its etag before.
struct Kept {
    what: &'static str,
    method: &'static str,
    before: Option<String>,
    window: Window,
}

#[tonic::async_trait]
impl<S: Store + Maintenance + Audit, C: Clock + Send + Sync + 'static> MaintenanceService for Desk<S, C> {
    async fn list_windows(
        &self,
        request: Request<wire::ListWindowsRequest>,
    ) -> Result<Response<wire::ListWindowsResponse>, Status> {
        let sight = self.sight(&auth::principal(&request)?);
        let all = request.into_inner().all;
        let found = self
            .ask(move |store| {
                let windows = sight.seen(store.windows(all)?, |sight, w| sight.covers(store, &w.selector))?;
                windows.into_iter().map(|w| Ok((store.window_changes(w.id)?, w))).collect::<Result<Vec<_>, _>>()
            })
            .await?;
        let now = self.now();
        let windows = found.iter().map(|(changes, window)| shown(window, changes, now)).collect();
        Ok(Response::new(wire::ListWindowsResponse { windows }))
    }

    async fn create_window(
        &self,
        request: Request<wire::CreateWindowRequest>,
    ) -> Result<Response<wire::CreateWindowResponse>, Status> {
        let caller = Caller::of(&request)?;
        let r = request.into_inner();
        let once = match self.known(&caller, CREATE, &r.request_id, &r).await? {
            Known::Answered(answer) => return Ok(Response::new(answer)),
            Known::New(once) => once,
        };
        let asked = r.window.unwrap_or_default();
        let now = self.now();
        let blank = Window {
            id: 0,
            kind: WindowKind::Maintenance,
            name: String::new(),
            selector: Selector::default(),
            starts: String::new(),
            lasts_secs: 0,
            zone: "UTC".to_owned(),
            recurrence: None,
            reason: String::new(),
            author: caller.principal.name.clone(),
            created_at: now,
            ended_at: None,
            revision: 0,
        };
        let mut window = edited(blank, asked)?;
        if window.starts.is_empty() {
            window.starts = on_the_wall(now, &window.zone)?;
        }
        if window.name.is_empty() {
            window.name.clone_from(&window.reason);
        }
        let answer = |window| wire::CreateWindowResponse { window: Some(window) };
        Ok(Response::new(
            self.keep(Kept { what: "create", method: CREATE, before: None, window }, &caller, once, now, answer)
                .await?,
        ))
    }

    async fn update_window(
        &self,
        request: Request<wire::UpdateWindowRequest>,
    ) -> Result<Response<wire::UpdateWindowResponse>, Status> {
        let caller = Caller::of(&request)?;
        let r = request.into_inner();
        let once = match self.known(&caller, UPDATE, &r.request_id, &r).await? {
            Known::Answered(answer) => return Ok(Response::new(answer)),
            Known::New(once) => once,
        };
        let asked = r.window.unwrap_or_default();
        let before = self.stored(&asked.name, UPDATE, &caller).await?;
        if !asked.etag.is_empty() && asked.etag != etag(&before) {
            return Err(changed_meanwhile(&asked.name, Some(&etag(&before))));
        }
        if before.ended_at.is_some() {
            return Err(Status::failed_precondition(format!("{} has ended; make another one", asked.name)));
        }
        let (revision, was) = (before.revision + 1, etag(&before));
        let window = Window { revision, ..edited(before, asked)? };
        let kept = Kept { what: "edit", method: UPDATE, before: Some(was), window };
        let answer = |window| wire::UpdateWindowResponse { window: Some(window) };
        Ok(Response::new(self.keep(kept, &caller, once, self.now(), answer).await?))
    }

    async fn end_window(
        &self,
        request: Request<wire::EndWindowRequest>,
    ) -> Result<Response<wire::EndWindowResponse>, Status> {
        let caller = Caller::of(&request)?;
        let r = request.into_inner();
        let once = match self.known(&caller, END, &r.request_id, &r).await? {
            Known::Answered(answer) => return Ok(Response::new(answer)),
            Known::New(once) => once,
        };
        let before = self.stored(&r.name, END, &caller).await?;
        if !r.etag.is_empty() && r.etag != etag(&before) {
            return Err(changed_meanwhile(&r.name, Some(&etag(&before))));
        }
        let now = self.now();
        if before.ended_at.is_some() {
            return Ok(Response::new(wire::EndWindowResponse { window: Some(shown(&before, &[], now)) }));
        }
        let was = etag(&before);
        let window = Window { ended_at: Some(now), revision: before.revision + 1, ..before };
        let answer = |window| wire::EndWindowResponse { window: Some(window) };
        let kept = Kept { what: "end", method: END, before: Some(was), window };
        Ok(Response::new(self.keep(kept, &caller, once, now, answer).await?))
    }
}

impl<S: Store + Maintenance + Audit, C: Clock + Send + Sync + 'static> Desk<S, C> {
    async fn stored(&self, name: &str, method: &str, caller: &Caller) -> Result<Window, Status> {
        let id: u64 = name
            .strip_prefix("windows/")
            .and_then(|id| id.parse().ok())
            .ok_or_else(|| invalid("name", format!("{name:?} is not windows/NUMBER")))?;
        let sight = self.sight(&caller.principal);
        let found = self
            .ask(move |store| match store.windows(true)?.into_iter().find(|w| w.id == id) {
                Some(window) if sight.covers(store, &window.selector)? => Ok(Some(window)),
                _ => Ok(None),
            })
            .await?;
        found.ok_or_else(|| {
            self.denied(caller, method, name);
            not_found("Window", name, "list the windows to see those there are")
        })
    }

    async fn keep<A: Message + 'static>(
        &self,
        kept: Kept,
        caller: &Caller,
        once: Once,
        at: Timestamp,
        answer: impl Fn(wire::Window) -> A + Send + Sync + 'static,
    ) -> Result<A, Status> {
        let Kept { what, method, before, window } = kept;
        if what != "end"
            && let Some(problem) = problem(&window)
        {
            return Err(invalid("window", problem));
        }
        let name = format!("windows/{}", window.id);
        let (sight, selector) = (self.sight(&caller.principal), window.selector.clone());
        if !self.ask(move |store| sight.covers(store, &selector)).await? {
            self.denied(caller, method, &name);
            return Err(Status::permission_denied(
                "this token is limited: a window has to name a server, a site or a customer that it may see",
            ));
        }
        let change = WindowChange { at, who: caller.principal.name.clone(), what: what.to_owned(), window };
        let id = change.window.id;
        let mut changes = self.ask(move |store| store.window_changes(id)).await?;
        changes.push(change.clone());
        let by = caller.clone();
        let tell = move |window: &Window| {
            let name = format!("windows/{}", window.id);
            let after = Some(etag(window));
            let deed = Deed { before: before.clone(), after, ..by.did(at, method, name, window.reason.clone()) };
            (deed, answer(shown(window, &changes, at)))
        };
        let kept = self.noted(caller, once, tell, move |store, note| store.put_window(&change, Some(note))).await?;
        kept.ok_or_else(|| changed_meanwhile(&name, None))
    }
}

/// The window as it shall be: what the request leaves empty stays.
fn edited(before: Window, asked: wire::Window) -> Result<Window, Status> {
    let given = |text: String| Some(text.trim().to_owned()).filter(|t| !t.is_empty());
    let kind = match asked.kind.as_str() {
        "" => before.kind,
        word => WindowKind::from_word(word)
            .ok_or_else(|| invalid("kind", format!("{word:?} is neither maintenance, mute nor known_issue")))?,
    };
    let selector = match asked.selector {
        None => before.selector,
        Some(asked) => selector::read(asked),
    };
    let lasts_secs = match asked.lasts_secs {
        0 => before.lasts_secs,
        secs => u64::try_from(secs).map_err(|_| invalid("lasts_secs", "it is negative"))?,
    };
    Ok(Window {
        kind,
        selector,
        lasts_secs,
        name: given(asked.title).unwrap_or(before.name),
        starts: given(asked.starts).unwrap_or(before.starts),
        zone: given(asked.zone).unwrap_or(before.zone),
        recurrence: given(asked.recurrence).or(before.recurrence),
        reason: given(asked.reason).unwrap_or(before.reason),
        ..before
    })
}

/// What the clocks of a zone show, to the second.
fn on_the_wall(now: Timestamp, zone: &str) -> Result<String, Status> {
    let bad = |_| invalid("zone", format!("{zone:?} is no time zone; write an IANA name, e.g. Asia/Shanghai"));
    let zone = jiff::tz::TimeZone::get(zone).map_err(bad)?;
    let now = jiff::Timestamp::from_millisecond(now.as_millis()).map_err(bad_now)?;
    Ok(now.to_zoned(zone).strftime("%Y-%m-%dT%H:%M:%S").to_string())
}

fn bad_now(error: jiff::Error) -> Status {
    Status::internal(format!("the collector's clock shows no time: {error}"))
}

fn etag(window: &Window) -> String {
    format!("{}-{}", window.id, window.revision)
}

fn shown(window: &Window, changes: &[WindowChange], now: Timestamp) -> wire::Window {
    let schedule = Schedule::parse(&window.starts, window.lasts_secs, &window.zone, window.recurrence.as_deref());
    let covers = schedule.ok().filter(|_| window.ended_at.is_none()).and_then(|s| s.covers(now));
    wire::Window {
        name: format!("windows/{}", window.id),
        kind: window.kind.as_str().to_owned(),
        title: window.name.clone(),
        selector: Some(selector::shown(&window.selector)),
        starts: window.starts.clone(),
        lasts_secs: i64::try_from(window.lasts_secs).unwrap_or(i64::MAX),
        zone: window.zone.clone(),
        recurrence: window.recurrence.clone().unwrap_or_default(),
        reason: window.reason.clone(),
        author: window.author.clone(),
        created_at_ms: window.created_at.as_millis(),
        ended_at_ms: window.ended_at.map(Timestamp::as_millis),
        covers_until_ms: covers.map(Timestamp::as_millis),
        etag: etag(window),
        changes: changes
            .iter()
            .map(|c| wire::Change { at_ms: c.at.as_millis(), who: c.who.clone(), what: c.what.clone() })
            .collect(),
    }
}
