//! Notices: the outbox as operators see it, and taking note of a ticket.

use crate::audit::Caller;
use crate::query::page::Pager;
use crate::query::problem::{invalid, not_found};
use crate::query::ticket::{Wish, text};
use crate::query::{Desk, name};
use outband_proto::notice as wire;
use outband_proto::notice::notice_service_server::NoticeService;
use outband_schemas::Clock;
use outband_store::audit::Audit;
use outband_store::{Notice, NoticeFilter, NoticeState, Outbox, Store, StoreError, TicketRecord};
use outband_ticket::Action;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl<S: Store + Audit + Outbox, C: Clock + Send + Sync + 'static> NoticeService for Desk<S, C> {
    async fn list_notices(
        &self,
        request: Request<wire::ListNoticesRequest>,
    ) -> Result<Response<wire::ListNoticesResponse>, Status> {
        let r = request.into_inner();
        let pager = Pager::new("ListNotices", &(&r.ticket, r.state));
        let page = pager.page(r.page_size, &r.page_token)?;
        let ticket = if r.ticket.is_empty() { None } else { Some(name::read_ticket(&r.ticket)?) };
        let filter = NoticeFilter { ticket, state: state(r.state()), ..NoticeFilter::default() };
        let listing = self.ask(move |store| store.notices(&filter, &page)).await?;
        let next_page_token = pager.next(&listing);
        let notices = listing.rows.into_iter().map(|n| wire::Notice { body: String::new(), ..notice(n) }).collect();
        Ok(Response::new(wire::ListNoticesResponse { notices, next_page_token }))
    }

    async fn get_notice(
        &self,
        request: Request<wire::GetNoticeRequest>,
    ) -> Result<Response<wire::GetNoticeResponse>, Status> {
        let name = request.into_inner().name;
        let id = read(&name)?;
        let found = self.ask(move |store| store.notice(id)).await?.ok_or_else(|| no_such(&name))?;
        Ok(Response::new(wire::GetNoticeResponse { notice: Some(notice(found)) }))
    }

    async fn replay_notice(
        &self,
        request: Request<wire::ReplayNoticeRequest>,
    ) -> Result<Response<wire::ReplayNoticeResponse>, Status> {
        let caller = Caller::of(&request)?;
        let name = request.into_inner().name;
        let (id, now) = (read(&name)?, self.now());
        let deed = caller.did(now, "outband.notice.v1.NoticeService/ReplayNotice", name.clone(), String::new());
        let actor = caller.actor();
        let replayed = self
            .ask(move |store| match store.replay_notice(id, now) {
                Ok(notice) => store.audit(actor, deed).map(|_| Some(notice)),
                Err(StoreError::NotFound { .. }) => Ok(None),
                Err(error) => Err(error),
            })
            .await?;
        let notice = notice(replayed.ok_or_else(|| no_such(&name))?);
        Ok(Response::new(wire::ReplayNoticeResponse { notice: Some(notice) }))
    }

    async fn acknowledge_ticket(
        &self,
        request: Request<wire::AcknowledgeTicketRequest>,
    ) -> Result<Response<wire::AcknowledgeTicketResponse>, Status> {
        let caller = Caller::of(&request)?;
        let r = request.into_inner();
        let number = name::read_ticket(&r.name)?;
        let level = match r.level {
            0 => highest(self.ask(move |store| store.ticket(number)).await?.as_ref()),
            level => level,
        };
        let wish = Wish {
            method: "outband.notice.v1.NoticeService/AcknowledgeTicket",
            number,
            etag: &r.etag,
            request_id: &r.request_id,
            why: text("why", &r.why)?,
            action: Action::Acknowledge { level },
        };
        let answer =
            |ticket: outband_proto::ticket::Ticket| wire::AcknowledgeTicketResponse { etag: ticket.etag, level };
        Ok(Response::new(self.change(&caller, &wish, &r, answer).await?))
    }
}

/// The highest level of escalation that a ticket has come to; the first where it has come to none.
fn highest(record: Option<&TicketRecord>) -> u32 {
    let log = record.map_or(&[][..], |r| &r.log);
    let levels = log.iter().filter_map(|e| match e.action {
        Action::Step { level, .. } => Some(level),
        _ => None,
    });
    levels.max().unwrap_or(1)
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
    }
}
