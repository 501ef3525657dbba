//! Thresholds that somebody set otherwise for some servers.

use crate::audit::Caller;
use crate::auth;
use crate::query::once::{Known, Once};
use crate::query::problem::{changed_meanwhile, invalid, not_found};
use crate::query::{Desk, selector};
use crate::thresholds::problem;
use outband_health::parameter;
use outband_proto::threshold as wire;
use outband_proto::threshold::threshold_service_server::ThresholdService;
use outband_proto::{maintenance, threshold};
use outband_schemas::{Clock, Timestamp};
use outband_store::Store;
use outband_store::audit::{Audit, Deed};
use outband_store::threshold::{Threshold, ThresholdChange, Thresholds};
use prost::Message;
use tonic::{Request, Response, Status};

const CREATE: &str = "outband.threshold.v1.ThresholdService/CreateThreshold";
const END: &str = "outband.threshold.v1.ThresholdService/EndThreshold";

#[tonic::async_trait]
impl<S: Store + Thresholds + Audit, C: Clock + Send + Sync + 'static> ThresholdService for Desk<S, C> {
    async fn list_thresholds(
        &self,
        request: Request<wire::ListThresholdsRequest>,
    ) -> Result<Response<wire::ListThresholdsResponse>, Status> {
        let sight = self.sight(&auth::principal(&request)?);
        let all = request.into_inner().all;
        let now = self.now();
        let found = self
            .ask(move |store| {
                let mut found = sight.seen(store.thresholds(all)?, |sight, t| sight.covers(store, &t.selector))?;
                found.retain(|t| all || t.is_in_force(now));
                found.into_iter().map(|t| Ok((store.threshold_changes(t.id)?, t))).collect::<Result<Vec<_>, _>>()
            })
            .await?;
        let thresholds = found.iter().map(|(changes, t)| shown(t, changes, now)).collect();
        Ok(Response::new(wire::ListThresholdsResponse { thresholds }))
    }

    async fn create_threshold(
        &self,
        request: Request<wire::CreateThresholdRequest>,
    ) -> Result<Response<wire::CreateThresholdResponse>, Status> {
        let caller = Caller::of(&request)?;
        let r = request.into_inner();
        let once = match self.known(&caller, CREATE, &r.request_id, &r).await? {
            Known::Answered(answer) => return Ok(Response::new(answer)),
            Known::New(once) => once,
        };
        let asked = r.threshold.unwrap_or_default();
        let now = self.now();
        let threshold = Threshold {
            id: 0,
            selector: selector::read(asked.selector.unwrap_or_default()),
            parameter: asked.parameter.trim().to_owned(),
            value: asked.value,
            reason: asked.reason.trim().to_owned(),
            author: caller.principal.name.clone(),
            created_at: now,
            until: Timestamp::from_millis(asked.until_ms),
            ended_at: None,
            revision: 0,
        };
        if let Some((field, what)) = problem(&threshold, now) {
            return Err(invalid(&format!("threshold.{field}"), what));
        }
        let sight = self.sight(&caller.principal);
        let selector = threshold.selector.clone();
        if sight.only().is_some() || !self.ask(move |store| sight.covers(store, &selector)).await? {
            self.denied(&caller, CREATE, "thresholds");
            return Err(Status::permission_denied(
                "this token is limited: a threshold has to name a server, a site or a customer that it may see",
            ));
        }
        let answer = |threshold| wire::CreateThresholdResponse { threshold: Some(threshold) };
        Ok(Response::new(self.keep_threshold(("create", CREATE), threshold, None, &caller, once, now, answer).await?))
    }

    async fn end_threshold(
        &self,
        request: Request<wire::EndThresholdRequest>,
    ) -> Result<Response<wire::EndThresholdResponse>, Status> {
        let caller = Caller::of(&request)?;
        let r = request.into_inner();
        let once = match self.known(&caller, END, &r.request_id, &r).await? {
            Known::Answered(answer) => return Ok(Response::new(answer)),
            Known::New(once) => once,
        };
        let name = r.name;
        let id: u64 = name
            .strip_prefix("thresholds/")
            .and_then(|id| id.parse().ok())
            .ok_or_else(|| invalid("name", format!("{name:?} is not thresholds/NUMBER")))?;
        let sight = self.sight(&caller.principal);
        let found = self
            .ask(move |store| match store.thresholds(true)?.into_iter().find(|t| t.id == id) {
                Some(t) if sight.only().is_none() && sight.covers(store, &t.selector)? => Ok(Some(t)),
                _ => Ok(None),
            })
            .await?;
        let before = found.ok_or_else(|| {
            self.denied(&caller, END, &name);
            not_found("Threshold", &name, "list the thresholds to see those there are")
        })?;
        let was = etag(&before);
        if !r.etag.is_empty() && r.etag != was {
            return Err(changed_meanwhile(&name, Some(&was)));
        }
        let now = self.now();
        if before.ended_at.is_some() {
            return Ok(Response::new(wire::EndThresholdResponse { threshold: Some(shown(&before, &[], now)) }));
        }
        let threshold = Threshold { ended_at: Some(now), revision: before.revision + 1, ..before };
        let answer = |threshold| wire::EndThresholdResponse { threshold: Some(threshold) };
        Ok(Response::new(self.keep_threshold(("end", END), threshold, Some(was), &caller, once, now, answer).await?))
    }

    async fn list_parameters(
        &self,
        _: Request<wire::ListParametersRequest>,
    ) -> Result<Response<wire::ListParametersResponse>, Status> {
        let terms = self.terms();
        let parameter = |p: &parameter::Parameter| wire::Parameter {
            name: p.name.to_owned(),
            rules: p.rules.iter().map(ToString::to_string).collect(),
            usual: p.of(&terms.rules),
            unit: p.unit.to_owned(),
            least: p.least,
            most: p.most,
        };
        Ok(Response::new(wire::ListParametersResponse { parameters: parameter::ALL.iter().map(parameter).collect() }))
    }
}

impl<S: Store + Thresholds + Audit, C: Clock + Send + Sync + 'static> Desk<S, C> {
    #[allow(clippy::too_many_arguments, reason = "what is done to which, and what every change carries")]
    async fn keep_threshold<A: Message + 'static>(
        &self,
        (what, method): (&str, &'static str),
        threshold: Threshold,
        before: Option<String>,
        caller: &Caller,
        once: Once,
        at: Timestamp,
        answer: impl Fn(threshold::Threshold) -> A + Send + Sync + 'static,
    ) -> Result<A, Status> {
        let name = format!("thresholds/{}", threshold.id);
        let change = ThresholdChange { at, who: caller.principal.name.clone(), what: what.to_owned(), threshold };
        let id = change.threshold.id;
        let mut changes = self.ask(move |store| store.threshold_changes(id)).await?;
        changes.push(change.clone());
        let by = caller.clone();
        let tell = move |kept: &Threshold| {
            let detail = format!("{} = {}: {}", kept.parameter, kept.value, kept.reason);
            let deed = by.did(at, method, format!("thresholds/{}", kept.id), detail);
            let deed = Deed { before: before.clone(), after: Some(etag(kept)), ..deed };
            (deed, answer(shown(kept, &changes, at)))
        };
        let kept = self.noted(caller, once, tell, move |store, note| store.put_threshold(&change, Some(note))).await?;
        kept.ok_or_else(|| changed_meanwhile(&name, None))
    }
}

fn etag(threshold: &Threshold) -> String {
    format!("{}-{}", threshold.id, threshold.revision)
}

fn shown(threshold: &Threshold, changes: &[ThresholdChange], now: Timestamp) -> wire::Threshold {
    wire::Threshold {
        name: format!("thresholds/{}", threshold.id),
        selector: Some(selector::shown(&threshold.selector)),
        parameter: threshold.parameter.clone(),
        value: threshold.value,
        reason: threshold.reason.clone(),
        author: threshold.author.clone(),
        created_at_ms: threshold.created_at.as_millis(),
        until_ms: threshold.until.as_millis(),
        ended_at_ms: threshold.ended_at.map(Timestamp::as_millis),
        in_force: threshold.is_in_force(now),
        etag: etag(threshold),
        changes: changes
            .iter()
            .map(|c| maintenance::Change { at_ms: c.at.as_millis(), who: c.who.clone(), what: c.what.clone() })
            .collect(),
    }
}
