//! Health checks, as people ask for them and read them.

use crate::audit::Caller;
use crate::auth;
use crate::check::report::{Report, Verdict};
use crate::check::{asked_for, doc};
use crate::query::callpack::language;
use crate::query::once::Known;
use crate::query::page::Pager;
use crate::query::problem::{invalid, not_found};
use crate::query::{Desk, name};
use crate::words::{self, Audience, Lang};
use outband_health::{Level, Status as HealthStatus};
use outband_proto::check as wire;
use outband_proto::check::check_service_server::CheckService;
use outband_schemas::{Clock, Timestamp};
use outband_store::Store;
use outband_store::audit::Audit;
use outband_store::check::{Check, CheckFilter, Checks};
use outband_ticket::TicketNumber;
use tonic::{Request, Response, Status};

const RUN: &str = "outband.check.v1.CheckService/RunHealthCheck";

#[tonic::async_trait]
impl<S: Store + Checks + Audit, C: Clock + Send + Sync + 'static> CheckService for Desk<S, C> {
    async fn run_health_check(
        &self,
        request: Request<wire::RunHealthCheckRequest>,
    ) -> Result<Response<wire::RunHealthCheckResponse>, Status> {
        let caller = Caller::of(&request)?;
        let r = request.into_inner();
        let once = match self.known(&caller, RUN, &r.request_id, &r).await? {
            Known::Answered(answer) => return Ok(Response::new(answer)),
            Known::New(once) => once,
        };
        let server = name::read_server("server", &r.server)?;
        let (sight, who, now) = (self.sight(&caller.principal), caller.principal.name.clone(), self.now());
        let begun = self
            .ask(move |store| {
                if !sight.server(store, &server)? || store.server(&server)?.is_none_or(|s| s.merged_into.is_some()) {
                    return Ok(None);
                }
                // One that is under way answers whoever asks meanwhile.
                match store.open_checks()?.into_iter().find(|c| c.server == server) {
                    Some(open) => Ok(Some(open)),
                    None => store.put_check(asked_for(server, &who, None, now)).map(Some),
                }
            })
            .await?;
        let check = begun.ok_or_else(|| {
            self.denied(&caller, RUN, &r.server);
            not_found("Server", &r.server, "list the servers to see those there are")
        })?;
        if let Some(terms) = &self.checks {
            terms.ring();
        }
        let deed = caller.did(now, RUN, r.server, called(&check));
        let answer = wire::RunHealthCheckResponse { check: Some(shown(&check, Lang::En, false)) };
        self.done(&caller, deed, once, &answer).await?;
        Ok(Response::new(answer))
    }

    async fn get_health_check(
        &self,
        request: Request<wire::GetHealthCheckRequest>,
    ) -> Result<Response<wire::GetHealthCheckResponse>, Status> {
        let sight = self.sight(&auth::principal(&request)?);
        let r = request.into_inner();
        let (lang, asked) = (language(&r.language)?, r.name);
        let id: u64 = asked
            .strip_prefix("checks/")
            .and_then(|id| id.parse().ok())
            .ok_or_else(|| invalid("name", format!("{asked:?} is not checks/NUMBER")))?;
        let found = self
            .ask(move |store| match store.health_check(id)? {
                Some(check) if sight.server(store, &check.server)? => Ok(Some(check)),
                _ => Ok(None),
            })
            .await?;
        let check = found.ok_or_else(|| not_found("HealthCheck", &asked, "list the checks to see those there are"))?;
        Ok(Response::new(wire::GetHealthCheckResponse { check: Some(shown(&check, lang, r.html)) }))
    }

    async fn list_health_checks(
        &self,
        request: Request<wire::ListHealthChecksRequest>,
    ) -> Result<Response<wire::ListHealthChecksResponse>, Status> {
        let sight = self.sight(&auth::principal(&request)?);
        let r = request.into_inner();
        let pager = Pager::new("ListHealthChecks", &r.server);
        let page = pager.page(r.page_size, &r.page_token)?;
        let server = if r.server.is_empty() { None } else { Some(name::read_server("server", &r.server)?) };
        let (seen, next_page_token) = self
            .ask(move |store| {
                let listing = store.health_checks(&CheckFilter { server }, &page)?;
                let next = pager.next(&listing);
                Ok((sight.seen(listing.rows, |sight, check| sight.server(store, &check.server))?, next))
            })
            .await?;
        let checks = seen.iter().map(|check| brief(shown(check, Lang::En, false))).collect();
        Ok(Response::new(wire::ListHealthChecksResponse { checks, next_page_token }))
    }
}

fn called(check: &Check) -> String {
    format!("checks/{}", check.id)
}

/// A check in a list: what its report comes to, without the details.
fn brief(check: wire::HealthCheck) -> wire::HealthCheck {
    let report = check.report.map(|r| wire::Report {
        losses: Vec::new(),
        part_changes: Vec::new(),
        firmware: Vec::new(),
        entries: Vec::new(),
        trend: Vec::new(),
        findings: r.findings.into_iter().map(|f| wire::Finding { evidence: Vec::new(), ..f }).collect(),
        ..r
    });
    wire::HealthCheck { report, ..check }
}

fn shown(check: &Check, lang: Lang, html: bool) -> wire::HealthCheck {
    let kept = check.report.clone().and_then(|report| serde_json::from_value::<Report>(report).ok());
    wire::HealthCheck {
        name: called(check),
        server: name::server(&check.server),
        requester: check.requester.clone(),
        plan: check.plan.clone().unwrap_or_default(),
        requested_at_ms: check.requested_at.as_millis(),
        state: check.state.as_str().to_owned(),
        done: check.state.is_over(),
        why: check.why.clone(),
        ended_at_ms: check.ended_at.map(Timestamp::as_millis),
        html: match &kept {
            Some(kept) if html => crate::report::html::write(&doc::page(kept, check, lang)),
            _ => String::new(),
        },
        report: kept.map(|kept| report(kept, check, lang)),
    }
}

fn report(report: Report, check: &Check, lang: Lang) -> wire::Report {
    let summary = doc::summary(&report, check, lang);
    let finding = |f: crate::check::report::Found| wire::Finding {
        advice: doc::advice(&f, lang),
        component: f.component,
        fault: f.fault.as_str().to_owned(),
        title: words::fault(f.fault, Audience::Operator, lang).to_owned(),
        predicted: f.predicted,
        level: level(f.level).to_owned(),
        reason: f.reason,
        onset_ms: f.onset.as_millis(),
        evidence: f.evidence,
        ticket: f.ticket.map(|n| name::ticket(TicketNumber(n))).unwrap_or_default(),
        triage: f.triage.as_ref().map(|t| t.class.as_str().to_owned()).unwrap_or_default(),
        triage_confidence: f.triage.as_ref().map(|t| t.confidence.as_str().to_owned()).unwrap_or_default(),
        triage_because: f.triage.map(|t| t.because).unwrap_or_default(),
    };
    wire::Report {
        verdict: Verdict::as_str(report.verdict).to_owned(),
        server_name: report.server_name,
        site: report.site,
        model: report.model,
        serial: report.serial,
        score: report.score.map(u32::from),
        status: status(report.status).to_owned(),
        fresh: report.fresh,
        newest_reading_ms: report.newest_reading.map_or(0, Timestamp::as_millis),
        losses: report
            .losses
            .into_iter()
            .map(|l| wire::Loss { points: l.points.into(), component: l.component, rule: l.rule, reason: l.reason })
            .collect(),
        findings: report.findings.into_iter().map(finding).collect(),
        unread: report.unread.into_iter().map(|(what, why)| wire::Unread { what, why }).collect(),
        part_changes: report
            .changed
            .into_iter()
            .map(|(component, was, now)| wire::PartChange { component, was, now })
            .collect(),
        firmware: report
            .firmware
            .into_iter()
            .map(|(component, version)| wire::Firmware { component, version })
            .collect(),
        entries: report
            .entries
            .into_iter()
            .map(|e| wire::Entry {
                at_ms: e.at.as_millis(),
                severity: e.severity.as_str().to_owned(),
                component: e.component,
                message: e.message,
            })
            .collect(),
        entries_left_out: i32::try_from(report.entries_left_out).unwrap_or(i32::MAX),
        trend: report
            .trend
            .into_iter()
            .map(|(at, score)| wire::Point { at_ms: at.as_millis(), score: score.into() })
            .collect(),
        summary,
        since_ms: report.since.map(Timestamp::as_millis),
    }
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Advice => "advice",
        Level::Warning => "warning",
        Level::Critical => "critical",
        Level::Fatal => "fatal",
    }
}

fn status(status: HealthStatus) -> &'static str {
    match status {
        HealthStatus::Ok => "ok",
        HealthStatus::Warning => "warning",
        HealthStatus::Critical => "critical",
        HealthStatus::Stale => "stale",
        HealthStatus::Unknown => "unknown",
    }
}
