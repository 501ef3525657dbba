//! The audit log.

use crate::auth;
use crate::query::Desk;
use crate::query::page::Pager;
use crate::query::problem::invalid;
use outband_proto::audit as wire;
use outband_proto::audit::audit_service_server::AuditService;
use outband_schemas::Clock;
use outband_store::Store;
use outband_store::audit::{Audit, AuditEntry, AuditFilter, Wrong};
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl<S: Store + Audit, C: Clock + Send + Sync + 'static> AuditService for Desk<S, C> {
    async fn list_audit_entries(
        &self,
        request: Request<wire::ListAuditEntriesRequest>,
    ) -> Result<Response<wire::ListAuditEntriesResponse>, Status> {
        let sight = self.sight(&auth::principal(&request)?);
        let r = request.into_inner();
        let pager = Pager::new("ListAuditEntries", &(&r.who, &r.resource));
        let page = pager.page(r.page_size, &r.page_token)?;
        let given = |text: String| (!text.is_empty()).then_some(text);
        let filter = AuditFilter { who: given(r.who), resource: given(r.resource) };
        let (seen, next_page_token) = self
            .ask(move |store| {
                let listing = store.audited(&filter, &page)?;
                let next = pager.next(&listing);
                Ok((sight.seen(listing.rows, |sight, row| sight.resource(store, &row.deed.resource))?, next))
            })
            .await?;
        let entries = seen.into_iter().map(entry).collect();
        Ok(Response::new(wire::ListAuditEntriesResponse { entries, next_page_token }))
    }

    async fn verify_audit(
        &self,
        request: Request<wire::VerifyAuditRequest>,
    ) -> Result<Response<wire::VerifyAuditResponse>, Status> {
        let r = request.into_inner();
        if r.seq < 0 || (r.seq == 0) != r.hash.is_empty() {
            return Err(invalid("hash", "give the place and the hash that were noted, or neither"));
        }
        let known = (r.seq > 0).then_some(r.seq);
        let (now, then) = self
            .ask(move |store| Ok((store.verify_audit(None)?, known.map(|k| store.verify_audit(Some(k))).transpose()?)))
            .await?;
        let broken = now.broken.or_else(|| {
            let then = then?;
            let other = !then.head.to_string().eq_ignore_ascii_case(&r.hash);
            then.broken.or_else(|| other.then_some((r.seq, Wrong::Changed)))
        });
        let (broken_seq, broken) = broken.map_or((0, ""), |(seq, wrong)| (seq, wrong.as_str()));
        Ok(Response::new(wire::VerifyAuditResponse {
            entries: now.entries,
            head: now.head.to_string(),
            broken_seq,
            broken: broken.to_owned(),
        }))
    }
}

fn entry(entry: AuditEntry) -> wire::AuditEntry {
    let AuditEntry { seq, actor, deed, hash } = entry;
    wire::AuditEntry {
        seq,
        at_ms: deed.at.as_millis(),
        who: actor.name,
        role: deed.role,
        peer: actor.peer.unwrap_or_default(),
        method: deed.method,
        resource: deed.resource,
        detail: deed.detail,
        outcome: deed.outcome.as_str().to_owned(),
        request_id: deed.request_id.unwrap_or_default(),
        before: deed.before.unwrap_or_default(),
        after: deed.after.unwrap_or_default(),
        hash: hash.to_string(),
    }
}
