//! Whether tickets were right.

use crate::audit::Caller;
use crate::auth;
use crate::outcome::export;
use crate::outcome::precision::{By, Row, Tally};
use crate::query::page::Pager;
use crate::query::problem::{self, invalid};
use crate::query::ticket::{Wish, other_part, text};
use crate::query::{Desk, name};
use crate::sight::{self, Sight};
use outband_proto::outcome as wire;
use outband_proto::outcome::outcome_service_server::OutcomeService;
use outband_schemas::{Clock, ServerId, Timestamp};
use outband_store::audit::Audit;
use outband_store::drives::Drives;
use outband_store::outcome::{OutcomeFilter, Outcomes, TicketOutcome};
use outband_store::{Store, StoreError, TicketRecord};
use outband_ticket::{Action, Answer, Resolution, State, Verdict};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio_stream::Iter;
use tonic::{Request, Response, Status};

const REFUTE: &str = "outband.outcome.v1.OutcomeService/RefutePrediction";

/// The longest piece of a file that is handed on, in bytes.
const PIECE: usize = 1 << 20;

#[tonic::async_trait]
impl<S: Store + Audit + Outcomes + Drives, C: Clock + Send + Sync + 'static> OutcomeService for Desk<S, C> {
    async fn get_precision(
        &self,
        request: Request<wire::GetPrecisionRequest>,
    ) -> Result<Response<wire::GetPrecisionResponse>, Status> {
        let sight = self.sight(&auth::principal(&request)?);
        let r = request.into_inner();
        let by = r.by.iter().map(|word| by(word)).collect::<Result<Vec<_>, _>>()?;
        let filter = OutcomeFilter {
            rule: Some(r.rule).filter(|rule| !rule.is_empty()),
            predicted: !r.all,
            opened_since: r.since_ms.map(Timestamp::from_millis),
            known_since: None,
        };
        let (terms, now) = (self.terms(), self.now());
        let bound = terms.mute_below;
        let rows = self
            .ask(move |store| {
                let mut customers = Customers::default();
                let mut tally = Tally::new(&by);
                for outcome in seen(store, &sight, &filter)? {
                    let customer = if by.contains(&By::Customer) {
                        customers.of(store, &outcome.server, |record| {
                            sight::customer(&terms, record, now).map(str::to_owned)
                        })?
                    } else {
                        None
                    };
                    tally.add(&outcome, customer.as_deref());
                }
                Ok(tally.rows())
            })
            .await?;
        let precisions = rows.iter().map(|row| precision(row, bound)).collect();
        Ok(Response::new(wire::GetPrecisionResponse { precisions, mute_below: bound, at_ms: now.as_millis() }))
    }

    async fn list_outcomes(
        &self,
        request: Request<wire::ListOutcomesRequest>,
    ) -> Result<Response<wire::ListOutcomesResponse>, Status> {
        let sight = self.sight(&auth::principal(&request)?);
        let r = request.into_inner();
        let pager = Pager::new("ListOutcomes", &(&r.rule, &r.answer, r.all));
        let page = pager.page(r.page_size, &r.page_token)?;
        let before: u64 = match &page.token {
            None => u64::MAX,
            Some(token) => token.parse().map_err(|_| problem::of_store(&StoreError::BadToken))?,
        };
        let answer =
            match r.answer.as_str() {
                "" => None,
                word => Some(Answer::from_word(word).filter(|a| *a != Answer::Aside).ok_or_else(|| {
                    invalid("answer", format!("{word:?} is none of right, wrong, unknown and pending"))
                })?),
            };
        let rule = Some(r.rule).filter(|rule| !rule.is_empty());
        let filter = OutcomeFilter { rule, predicted: !r.all, ..OutcomeFilter::default() };
        let limit = page.limit;
        let rows = self
            .ask(move |store| {
                let fits = |o: &TicketOutcome| {
                    let told = o.outcome.answer;
                    o.ticket.0 < before && told != Answer::Aside && answer.is_none_or(|wanted| wanted == told)
                };
                let mut rows = seen(store, &sight, &filter)?;
                rows.retain(fits);
                rows.reverse();
                rows.truncate(limit.saturating_add(1));
                Ok(rows)
            })
            .await?;
        let last = rows.get(limit.saturating_sub(1)).filter(|_| rows.len() > limit);
        let next_page_token = pager.token(last.map(|row| row.ticket.to_string()).as_deref());
        let outcomes = rows.iter().take(limit).map(outcome).collect();
        Ok(Response::new(wire::ListOutcomesResponse { outcomes, next_page_token }))
    }

    async fn refute_prediction(
        &self,
        request: Request<wire::RefutePredictionRequest>,
    ) -> Result<Response<wire::RefutePredictionResponse>, Status> {
        let caller = Caller::of(&request)?;
        let r = request.into_inner();
        let why = text("why", &r.why)?;
        if why.is_empty() {
            return Err(invalid("why", "say what was found instead: others learn from it"));
        }
        let verdict = refutes(&r.verdict)?;
        let part = other_part(verdict, &r.part)?;
        let said = Action::Verdict { verdict, detail: why.clone(), part };
        let wish = Wish {
            method: REFUTE,
            number: name::read_ticket(&r.name)?,
            etag: &r.etag,
            request_id: &r.request_id,
            why,
            action: said.clone(),
        };
        let steps = |record: &TicketRecord, _| refuting(record, &said);
        let answer = |ticket: outband_proto::ticket::Ticket| wire::RefutePredictionResponse {
            state: State::from_number(u8::try_from(ticket.state).unwrap_or_default())
                .map_or("", State::as_str)
                .to_owned(),
            ticket: ticket.name,
            etag: ticket.etag,
            verdict: ticket.verdict,
            rule: ticket.cause,
        };
        Ok(Response::new(self.change_in_steps(&caller, &wish, &r, steps, answer).await?))
    }

    type ExportHistoryStream = Iter<std::vec::IntoIter<Result<wire::ExportHistoryResponse, Status>>>;

    async fn export_history(
        &self,
        request: Request<wire::ExportHistoryRequest>,
    ) -> Result<Response<Self::ExportHistoryStream>, Status> {
        let sight = self.sight(&auth::principal(&request)?);
        let files = self
            .ask(move |store| {
                let mut seen = Servers::default();
                export::gather(store, |store, server| match server {
                    Some(server) => seen.may(store, &sight, server),
                    None => Ok(!sight.is_limited()),
                })
            })
            .await?;
        let pieces: Vec<_> = files
            .into_iter()
            .flat_map(|(file, content)| {
                let pieces: Vec<Vec<u8>> = content.chunks(PIECE).map(<[u8]>::to_vec).collect();
                pieces.into_iter().map(move |chunk| Ok(wire::ExportHistoryResponse { file: file.to_owned(), chunk }))
            })
            .collect();
        Ok(Response::new(tokio_stream::iter(pieces)))
    }
}

/// What has to happen to a ticket whose prediction was wrong.
fn refuting(record: &TicketRecord, said: &Action) -> Result<Vec<Action>, Status> {
    let ticket = &record.ticket;
    let foretold = ticket.predicted || outband_ticket::Outcome::of(&record.log).is_some_and(|o| o.predicted);
    if !foretold {
        return Err(Status::failed_precondition(format!(
            "{}: nothing was predicted, a failure was seen; resolve it as a false alarm if there was none",
            name::ticket(ticket.number)
        )));
    }
    let closing = [said.clone(), Action::Resolve { resolution: Resolution::FalseAlarm }, Action::Close];
    Ok(match ticket.state {
        State::Closed => vec![said.clone()],
        // As a false alarm already: the incident is quiet.
        State::Resolved if ticket.resolution == Some(Resolution::FalseAlarm) => vec![said.clone(), Action::Close],
        // It was said to be repaired: it becomes a false alarm by being taken up once more.
        State::Resolved => [Action::Reopen].into_iter().chain(closing).collect(),
        _ => closing.to_vec(),
    })
}

fn refutes(word: &str) -> Result<Verdict, Status> {
    match word {
        "" | "not_found" => Ok(Verdict::NoFaultFound),
        word => Verdict::from_word(word)
            .filter(|v| matches!(v, Verdict::NoFaultFound | Verdict::FalseAlarm | Verdict::OtherPart))
            .ok_or_else(|| {
                invalid("verdict", format!("{word:?} is none of no_fault_found, false_alarm and other_part"))
            }),
    }
}

fn by(word: &str) -> Result<By, Status> {
    By::from_word(word).ok_or_else(|| {
        let known = By::ALL.map(By::as_str).join(", ");
        invalid("by", format!("{word:?} is none of {known}"))
    })
}

/// The outcomes that may be seen.
fn seen<S: Store + Outcomes>(
    store: &S,
    sight: &Sight,
    filter: &OutcomeFilter,
) -> Result<Vec<TicketOutcome>, StoreError> {
    let rows = store.outcomes(filter)?;
    if !sight.is_limited() {
        return Ok(rows);
    }
    let mut servers = Servers::default();
    let mut out = Vec::new();
    for row in rows {
        let may = match sight.only() {
            Some(_) => sight.number(store, row.ticket)?,
            None => row.site.as_ref().is_some_and(|site| sight.site(site)) || servers.may(store, sight, &row.server)?,
        };
        if may {
            out.push(row);
        }
    }
    Ok(out)
}

/// Which servers may be seen, each asked once.
#[derive(Debug, Default)]
struct Servers(BTreeMap<ServerId, bool>);

impl Servers {
    fn may<S: Store>(&mut self, store: &S, sight: &Sight, server: &ServerId) -> Result<bool, StoreError> {
        if let Some(may) = self.0.get(server) {
            return Ok(*may);
        }
        let may = sight.server(store, server)?;
        self.0.insert(server.clone(), may);
        Ok(may)
    }
}

/// Whose servers are, each asked once.
#[derive(Debug, Default)]
struct Customers(BTreeMap<ServerId, Option<String>>);

impl Customers {
    fn of<S: Store>(
        &mut self,
        store: &S,
        server: &ServerId,
        whose: impl FnOnce(&outband_store::ServerRecord) -> Option<String>,
    ) -> Result<Option<String>, StoreError> {
        if let Some(known) = self.0.get(server) {
            return Ok(known.clone());
        }
        let mut record = store.server(server)?;
        if let Some(other) = record.as_ref().and_then(|r| r.merged_into.clone()) {
            record = store.server(&other)?;
        }
        let customer = record.as_ref().and_then(whose);
        self.0.insert(server.clone(), customer.clone());
        Ok(customer)
    }
}

fn precision(row: &Row, bound: Option<f64>) -> wire::Precision {
    let p = &row.precision;
    let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let interval = p.interval();
    wire::Precision {
        rule: row.rule.clone(),
        by: row.by.map_or("", By::as_str).to_owned(),
        value: row.value.clone().unwrap_or_default(),
        right: count(p.right),
        wrong: count(p.wrong),
        unknown: count(p.unknown),
        pending: count(p.pending),
        seen: count(p.seen),
        precision: p.share(),
        low: interval.map(|i| i.0),
        high: interval.map(|i| i.1),
        median_lead_ms: p.median_lead().map(millis),
        propose_mute: bound.is_some_and(|bound| p.is_below(bound)),
        not_given: count(p.not_given),
        misplaced: count(p.misplaced),
    }
}

fn outcome(row: &TicketOutcome) -> wire::TicketOutcome {
    let of = &row.outcome;
    wire::TicketOutcome {
        ticket: name::ticket(row.ticket),
        rule: row.rule.clone(),
        fault: row.fault.clone(),
        server: name::server(&row.server),
        component: row.component.to_string(),
        part_serial: row.serial.clone().unwrap_or_default(),
        part_model: row.model.clone().unwrap_or_default(),
        predictor: row.predictor.clone().unwrap_or_default(),
        predicted: of.predicted,
        answer: of.answer.as_str().to_owned(),
        basis: of.basis.as_str().to_owned(),
        opened_at_ms: of.opened_at.as_millis(),
        known_at_ms: of.known_at.map(Timestamp::as_millis),
        lead_ms: of.lead().map(millis),
        other_part: of.other.clone().unwrap_or_default(),
        other_component: row.other.component.as_ref().map(ToString::to_string).unwrap_or_default(),
        other_serial: row.other.serial.clone().unwrap_or_default(),
        other_model: row.other.model.clone().unwrap_or_default(),
    }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
