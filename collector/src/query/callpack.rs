//! Call packs and timelines.

use crate::audit::Caller;
use crate::auth;
use crate::callpack::timeline::{self, ByClock, Entry, What};
use crate::callpack::{Case, Format, Pack, Zone, write};
use crate::query::problem::{invalid, not_found};
use crate::query::{Desk, name};
use crate::words::Lang;
use outband_proto::callpack as wire;
use outband_proto::callpack::call_pack_service_server::CallPackService;
use outband_schemas::{Clock, Timestamp};
use outband_store::Store;
use outband_store::audit::Audit;
use outband_store::change::Changes;
use outband_store::order::Orders;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

/// The longest piece that is sent at once, in bytes.
const PIECE: usize = 1 << 20;

#[tonic::async_trait]
impl<S: Store + Audit + Changes + Orders, C: Clock + Send + Sync + 'static> CallPackService for Desk<S, C> {
    type GenerateCallPackStream = ReceiverStream<Result<wire::GenerateCallPackResponse, Status>>;

    async fn generate_call_pack(
        &self,
        request: Request<wire::GenerateCallPackRequest>,
    ) -> Result<Response<Self::GenerateCallPackStream>, Status> {
        let caller = Caller::of(&request)?;
        let r = request.into_inner();
        let number = name::read_ticket(&r.name)?;
        let lang = language(&r.language)?;
        let zone = Zone::of(&r.time_zone).ok_or_else(|| {
            invalid("time_zone", format!("{:?} is no IANA time zone, e.g. Asia/Shanghai", r.time_zone))
        })?;
        let (format, word) = match r.format() {
            wire::Format::Unspecified | wire::Format::Text => (Format::Text, "text"),
            wire::Format::Html => (Format::Html, "html"),
            wire::Format::Json => (Format::Json, "json"),
            wire::Format::Zip => (Format::Zip, "zip"),
        };
        // Whether this caller may see it.
        self.read(number, &caller.principal).await?;
        let (sight, terms) = (self.sight(&caller.principal), self.terms());
        let case = self
            .ask(move |store| {
                let Some(mut case) = Case::read(store, &terms, number)? else { return Ok(None) };
                if sight.is_limited() {
                    // Others' servers are not his to know, nor are others' tickets.
                    case.neighbours.clear();
                    case.members = sight.seen(std::mem::take(&mut case.members), |s, t| s.ticket(store, t))?;
                }
                Ok(Some(case))
            })
            .await?;
        let none = || not_found("Ticket", &r.name, "list the tickets to see those there are");
        let case = case.ok_or_else(none)?;
        let pack = Pack::of(&case, lang, &zone).ok_or_else(none)?;
        let file = write(&case, &pack, format).map_err(|e| Status::resource_exhausted(e.to_string()))?;
        let method = "outband.callpack.v1.CallPackService/GenerateCallPack";
        let deed = caller.did(self.now(), method, name::ticket(number), format!("{word}, {}", lang.tag()));
        let actor = caller.actor();
        // Before the first byte goes out: what cannot be logged is not handed out.
        self.ask(move |store| store.audit(actor, deed)).await?;
        let (out, pieces) = tokio::sync::mpsc::channel(4);
        tokio::spawn(async move {
            for chunk in file.chunks(PIECE) {
                if out.send(Ok(wire::GenerateCallPackResponse { chunk: chunk.to_vec() })).await.is_err() {
                    // Whoever asked has gone.
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(pieces)))
    }

    async fn get_timeline(
        &self,
        request: Request<wire::GetTimelineRequest>,
    ) -> Result<Response<wire::GetTimelineResponse>, Status> {
        let sight = self.sight(&auth::principal(&request)?);
        let r = request.into_inner();
        let id = name::read_server("server", &r.server)?;
        let lang = language(&r.language)?;
        let from = Timestamp::from_millis(r.from_ms.unwrap_or(0));
        let to = Timestamp::from_millis(r.to_ms.unwrap_or(i64::MAX));
        if to < from {
            return Err(invalid("to_ms", "it is before from_ms"));
        }
        let found = self
            .ask(move |store| {
                if !sight.server(store, &id)? || store.server(&id)?.is_none() {
                    return Ok(None);
                }
                timeline::read(store, &id, from, to).map(Some)
            })
            .await?;
        let found = found.ok_or_else(|| not_found("Server", &r.server, "list the servers to see those there are"))?;
        Ok(Response::new(wire::GetTimelineResponse {
            entries: found.entries.iter().map(|e| entry(e, lang)).collect(),
            truncated: found.truncated,
        }))
    }
}

pub(super) fn language(tag: &str) -> Result<Lang, Status> {
    match tag {
        "" => Ok(Lang::En),
        tag => Lang::from_tag(tag).ok_or_else(|| invalid("language", format!("{tag:?} is neither en nor zh-CN"))),
    }
}

fn entry(entry: &Entry, lang: Lang) -> wire::Entry {
    wire::Entry {
        at_ms: entry.at.as_millis(),
        clock: ByClock::as_str(entry.by).to_owned(),
        bmc_time_ms: entry.bmc_time.map(Timestamp::as_millis),
        source: entry.what.source().to_owned(),
        component: entry.component.as_ref().map(ToString::to_string).unwrap_or_default(),
        text: entry.what.text(lang),
        severity: match &entry.what {
            What::Log { severity, .. } => severity.as_str().to_owned(),
            _ => String::new(),
        },
    }
}
