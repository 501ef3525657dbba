//! Notices: the outbox as operators see it, and taking note of a ticket.

use crate::audit::Caller;
use crate::auth;
use crate::query::once::Known;
use crate::query::page::Pager;
use crate::query::problem::{changed_meanwhile, invalid, not_found};
use crate::query::ticket::{Wish, text};
use crate::query::{Desk, name};
use crate::sight::Sight;
use outband_proto::notice as wire;
use outband_proto::notice::notice_service_server::NoticeService;
use outband_schemas::Clock;
use outband_store::audit::{Audit, Deed};
use outband_store::{Notice, NoticeFilter, NoticeState, Outbox, Store, StoreError, TicketRecord};
use outband_ticket::{Action, TicketNumber};
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl<S: Store + Audit + Outbox, C: Clock + Send + Sync + 'static> NoticeService for Desk<S, C> {
    async fn list_notices(
        &self,
        request: Request<wire::ListNoticesRequest>,
    ) -> Result<Response<wire::ListNoticesResponse>, Status> {
        let sight = self.sight(&auth::principal(&request)?);
        let r = request.into_inner();
        let pager = Pager::new("ListNotices", &(&r.ticket, r.state, &r.channel, &r.recipient));
        let page = pager.page(r.page_size, &r.page_token)?;
        let ticket = if r.ticket.is_empty() { None } else { Some(name::read_ticket(&r.ticket)?) };
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let (channel, recipient) = (given(&r.channel), given(&r.recipient));
        let filter = NoticeFilter { ticket, state: state(r.state()), channel, recipient };
        let (seen, next_page_token) = self
            .ask(move |store| {
                let listing = store.notices(&filter, &page)?;
                let next = pager.next(&listing);
                Ok((sight.seen(listing.rows, |sight, row| sight.number(store, row.draft.ticket))?, next))
            })
            .await?;
        let notices = seen.into_iter().map(|n| wire::Notice { body: String::new(), ..notice(n) }).collect();
        Ok(Response::new(wire::ListNoticesResponse { notices, next_page_token }))
    }

    async fn get_notice(
        &self,
        request: Request<wire::GetNoticeRequest>,
    ) -> Result<Response<wire::GetNoticeResponse>, Status> {
        let sight = self.sight(&auth::principal(&request)?);
        let name = request.into_inner().name;
        let id = read(&name)?;
        let found = self.ask(move |store| visible(store, &sight, id)).await?.ok_or_else(|| no_such(&name))?;
        Ok(Response::new(wire::GetNoticeResponse { notice: Some(notice(found)) }))
    }

    async fn replay_notice(
        &self,
        request: Request<wire::ReplayNoticeRequest>,
    ) -> Result<Response<wire::ReplayNoticeResponse>, Status> {
        let caller = Caller::of(&request)?;
        let r = request.into_inner();
        let once = match self.known(&caller, REPLAY, &r.request_id, &r).await? {
            Known::Answered(answer) => return Ok(Response::new(answer)),
            Known::New(once) => once,
        };
        let (id, now, sight) = (read(&r.name)?, self.now(), self.sight(&caller.principal));
        let Some(before) = self.ask(move |store| visible(store, &sight, id)).await? else {
            self.denied(&caller, REPLAY, &r.name);
            return Err(no_such(&r.name));
        };
        let before = etag(&before);
        if !r.etag.is_empty() && r.etag != before {
            return Err(changed_meanwhile(&r.name, Some(&before)));
        }
        let (by, name) = (caller.clone(), r.name.clone());
        let tell = move |replayed: &Notice| {
            let deed = by.did(now, REPLAY, name.clone(), String::new());
            let deed = Deed { before: Some(before.clone()), after: Some(etag(replayed)), ..deed };
            (deed, wire::ReplayNoticeResponse { notice: Some(notice(replayed.clone())) })
        };
        let put = move |store: &S, note| store.replay_notice(id, now, Some(note));
        let replayed = self.noted(&caller, once, tell, put).await?;
        let answer = replayed.ok_or_else(|| changed_meanwhile(&r.name, None))?;
        Ok(Response::new(answer))
    }

    async fn acknowledge_ticket(
        &self,
        request: Request<wire::AcknowledgeTicketRequest>,
    ) -> Result<Response<wire::AcknowledgeTicketResponse>, Status> {
        let caller = Caller::of(&request)?;
        let r = request.into_inner();
        let answered = self.answered_notice(&r.key).await?;
        let named = match &answered {
            Some(notice) if r.name.is_empty() => notice.draft.ticket,
            _ => name::read_ticket(&r.name)?,
        };
        if answered.as_ref().is_some_and(|notice| notice.draft.ticket != named) {
            return Err(invalid("key", "that notice is of another ticket"));
        }
        let number = self.goes_on_in(named, &caller).await?;
        let why = text("why", &r.why)?;
        let level = match r.level {
            0 => highest(self.read(number, &caller.principal).await.ok().as_ref()),
            level => level,
        };
        let wish = Wish {
            method: ACKNOWLEDGE,
            number,
            etag: &r.etag,
            request_id: &r.request_id,
            why: match &answered {
                Some(notice) => format!("{}on {}, notice {}", prefix(&why), notice.draft.channel, notice.id),
                None => why,
            },
            action: Action::Acknowledge { level },
        };
        let answer = |ticket: outband_proto::ticket::Ticket| wire::AcknowledgeTicketResponse {
            etag: ticket.etag,
            level,
            ticket: ticket.name,
        };
        Ok(Response::new(self.change(&caller, &wish, &r, answer).await?))
    }

    async fn list_contacts(
        &self,
        request: Request<wire::ListContactsRequest>,
    ) -> Result<Response<wire::ListContactsResponse>, Status> {
        let sight = self.sight(&auth::principal(&request)?);
        let (terms, telling, asked) = (self.terms(), self.telling(), request.into_inner());
        let contacts = super::contact::list(&terms.service, telling.as_deref(), &asked, &sight, self.now());
        Ok(Response::new(wire::ListContactsResponse { contacts }))
    }
}

/// So many times at most a ticket is followed into the one that it was merged into.
const MERGES: usize = 8;

impl<S: Store + Audit + Outbox, C: Clock + Send + Sync + 'static> Desk<S, C> {
    /// The notice of a key, where one is given.
    async fn answered_notice(&self, key: &str) -> Result<Option<Notice>, Status> {
        if key.is_empty() {
            return Ok(None);
        }
        let asked = key.to_owned();
        let found = self.ask(move |store| store.notice_of_key(&asked)).await?;
        found.map(Some).ok_or_else(|| invalid("key", format!("no notice has the key {key:?}")))
    }

    /// The ticket in which the work goes on: what people were told of is what they take note of.
    async fn goes_on_in(&self, mut number: TicketNumber, caller: &Caller) -> Result<TicketNumber, Status> {
        for _ in 0..MERGES {
            match self.read_for(ACKNOWLEDGE, number, caller).await?.ticket.merged_into {
                Some(into) => number = into,
                None => break,
            }
        }
        Ok(number)
    }
}

/// What somebody said, to be followed by more.
fn prefix(why: &str) -> String {
    if why.is_empty() { String::new() } else { format!("{why}; ") }
}

const ACKNOWLEDGE: &str = "outband.notice.v1.NoticeService/AcknowledgeTicket";
const REPLAY: &str = "outband.notice.v1.NoticeService/ReplayNotice";

/// Changes with every try and every turn.
fn etag(notice: &Notice) -> String {
    let settled = notice.settled_at.map_or(0, outband_schemas::Timestamp::as_millis);
    format!("{}-{}-{}-{settled}", notice.id, notice.state.as_str(), notice.attempts)
}

/// A notice, if its ticket may be seen.
fn visible<S: Store + Outbox>(store: &S, sight: &Sight, id: i64) -> Result<Option<Notice>, StoreError> {
    let Some(notice) = store.notice(id)? else { return Ok(None) };
    Ok(sight.number(store, notice.draft.ticket)?.then_some(notice))
}

/// The highest level of escalation that a ticket has come to; the first where it has come to none.
fn highest(record: Option<&TicketRecord>) -> u32 {
    let log = record.map_or(&[][..], |r| &r.log);
    let levels = log.iter().filter_map(|e| match e.action {
        Action::Step { level, .. } => Some(level),
        _ => None,
    });
    levels.max().unwrap_or(1).max(1)
}

fn read(name: &str) -> Result<i64, Status> {
    let number = name.strip_prefix("notices/").and_then(|n| n.parse().ok());
    number.ok_or_else(|| invalid("name", format!("{name:?} is not notices/NUMBER")))
}

fn no_such(name: &str) -> Status {
    not_found("Notice", name, "list the notices to see those there are")
}

fn state(state: wire::State) -> Option<NoticeState> {
    match state {
        wire::State::Unspecified => None,
        wire::State::Pending => Some(NoticeState::Pending),
        wire::State::Delivered => Some(NoticeState::Delivered),
        wire::State::Failed => Some(NoticeState::Failed),
        wire::State::Cancelled => Some(NoticeState::Cancelled),
    }
}

fn notice(notice: Notice) -> wire::Notice {
    let version = etag(&notice);
    let Notice { id, draft, key, state, attempts, made_at, settled_at, error, batch: _ } = notice;
    let pending = state == NoticeState::Pending;
    wire::Notice {
        name: format!("notices/{id}"),
        ticket: name::ticket(draft.ticket),
        seq: draft.seq,
        step: draft.step,
        cause: draft.cause,
        channel: draft.channel,
        recipient: draft.recipient,
        language: draft.lang,
        priority: draft.priority.as_str().to_owned(),
        subject: draft.subject,
        body: draft.body,
        key,
        state: match state {
            NoticeState::Pending => wire::State::Pending,
            NoticeState::Delivered => wire::State::Delivered,
            NoticeState::Failed => wire::State::Failed,
            NoticeState::Cancelled => wire::State::Cancelled,
        }
        .into(),
        attempts,
        made_at_ms: made_at.as_millis(),
        next_try_ms: pending.then(|| draft.not_before.as_millis()),
        settled_at_ms: settled_at.map(outband_schemas::Timestamp::as_millis),
        error,
        etag: version,
    }
}
