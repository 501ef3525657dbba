//! What clocks come to and why, and the collector's time.

use crate::audit::Caller;
use crate::auth;
use crate::clock::{Finding, Timekeeper};
use crate::query::once::Known;
use crate::query::problem::not_found;
use crate::query::{Desk, name};
use outband_proto::sla as wire;
use outband_proto::sla::sla_service_server::SlaService;
use outband_schemas::Timestamp;
use outband_store::Store;
use outband_store::audit::Audit;
use outband_ticket::calendar::{Flag, tzdb_version};
use outband_ticket::sla::{Account, ClockStatus, account};
use std::collections::BTreeSet;
use std::time::Duration;
use tonic::{Request, Response, Status};

const CONFIRM: &str = "outband.sla.v1.SlaService/ConfirmTime";

#[tonic::async_trait]
impl<S: Store + Audit, C: Timekeeper + Send + Sync + 'static> SlaService for Desk<S, C> {
    async fn compute_sla(
        &self,
        request: Request<wire::ComputeSlaRequest>,
    ) -> Result<Response<wire::ComputeSlaResponse>, Status> {
        let sight = self.sight(&auth::principal(&request)?);
        let r = request.into_inner();
        let number = name::read_ticket(&r.name)?;
        let at = r.at_ms.map_or_else(|| self.now(), Timestamp::from_millis);
        let record = self
            .ask(move |store| if sight.number(store, number)? { store.ticket(number) } else { Ok(None) })
            .await?
            .ok_or_else(|| not_found("Ticket", &name::ticket(number), "list the tickets to see those there are"))?;
        let terms = self.terms();
        let runs = account(&terms.policy, &terms.calendar, &record.log, at).iter().map(run).collect();
        Ok(Response::new(wire::ComputeSlaResponse {
            name: name::ticket(number),
            at_ms: at.as_millis(),
            runs,
            tzdb: tzdb_version().to_owned(),
        }))
    }

    async fn get_time(&self, _: Request<wire::GetTimeRequest>) -> Result<Response<wire::GetTimeResponse>, Status> {
        Ok(Response::new(wire::GetTimeResponse { at_ms: self.now().as_millis(), held_ms: self.clock.held() }))
    }

    async fn confirm_time(
        &self,
        request: Request<wire::ConfirmTimeRequest>,
    ) -> Result<Response<wire::ConfirmTimeResponse>, Status> {
        let caller = Caller::of(&request)?;
        let r = request.into_inner();
        let once = match self.known(&caller, CONFIRM, &r.request_id, &r).await? {
            Known::Answered(answer) => return Ok(Response::new(answer)),
            Known::New(once) => once,
        };
        let before = self.now();
        let step_ms = match self.clock.confirm() {
            Finding::Adopted(step) => step,
            Finding::Steady | Finding::Held(_) => 0,
        };
        tracing::warn!(
            who = caller.principal.name,
            step_ms,
            "an operator says that the wall clock is right; the collector follows it"
        );
        let at = self.now();
        let detail = format!("the wall clock is right: {before} became {at}, a step of {step_ms} ms");
        let answer = wire::ConfirmTimeResponse { at_ms: at.as_millis(), step_ms };
        self.done(&caller, caller.did(at, CONFIRM, String::new(), detail), once, &answer).await?;
        Ok(Response::new(answer))
    }
}

fn run(sum: &Account) -> wire::Run {
    let at = |t: Option<Timestamp>| t.map(Timestamp::as_millis);
    let number = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
    wire::Run {
        clock: sum.clock.target.to_string(),
        cycle: number(sum.clock.cycle),
        status: status(sum.clock.status).to_owned(),
        policy: sum.policy.0.clone(),
        policy_revision: number(sum.policy.1),
        priority: format!("{:?}", sum.priority),
        target: super::ticket::in_words(sum.clock.allowance, sum.clock.hours),
        calendar: sum.calendar.clone(),
        calendar_revision: number(sum.basis.revision),
        zone: sum.zone.clone(),
        start_ms: sum.start.as_millis(),
        due_ms: at(sum.clock.due),
        met_at_ms: at(sum.clock.met_at),
        elapsed_ms: millis(sum.clock.elapsed),
        remaining_ms: sum.remaining.map(millis),
        spans: sum
            .spans
            .iter()
            .map(|s| wire::Counted {
                from_ms: s.from.as_millis(),
                to_ms: s.to.as_millis(),
                why: s.why.as_str().to_owned(),
            })
            .collect(),
        pauses: sum
            .pauses
            .iter()
            .map(|p| wire::Pause { from_ms: p.from.as_millis(), to_ms: at(p.to), state: p.state.to_string() })
            .collect(),
        flags: flags(&sum.flags),
    }
}

/// What a reader must know of a clock, in the words of the wire.
pub(super) fn flags(flags: &BTreeSet<Flag>) -> Vec<String> {
    let word = |flag: &Flag| match flag {
        Flag::BeyondCalendar => "beyond_calendar".to_owned(),
        Flag::BeforeCalendar => "before_calendar".to_owned(),
    };
    flags.iter().map(word).collect()
}

fn status(status: ClockStatus) -> &'static str {
    match status {
        ClockStatus::Running => "running",
        ClockStatus::Paused => "paused",
        ClockStatus::Met => "met",
        ClockStatus::Breached => "breached",
        ClockStatus::MetLate => "met_late",
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
