//! Handing out and erasing what is kept about people and customers.

use crate::audit::Caller;
use crate::query::once::Known;
use crate::query::problem::{self, invalid, not_found};
use crate::query::{Desk, name};
use crate::record::export::{self, Whose};
use outband_proto::record as wire;
use outband_proto::record::record_service_server::RecordService;
use outband_schemas::Clock;
use outband_store::Store;
use outband_store::audit::{Audit, Deed};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

const ERASE_PERSON: &str = "outband.record.v1.RecordService/ErasePerson";

#[tonic::async_trait]
impl<S: Store + Audit, C: Clock + Send + Sync + 'static> RecordService for Desk<S, C> {
    async fn erase_person(
        &self,
        request: Request<wire::ErasePersonRequest>,
    ) -> Result<Response<wire::ErasePersonResponse>, Status> {
        let caller = Caller::of(&request)?;
        let r = request.into_inner();
        let once = match self.known(&caller, ERASE_PERSON, &r.request_id, &r).await? {
            Known::Answered(answer) => return Ok(Response::new(answer)),
            Known::New(once) => once,
        };
        let person = r.person.trim().to_owned();
        if person.is_empty() || person == crate::react::WHO {
            return Err(invalid("person", "the name of a person is wanted, as it stands on tickets"));
        }
        if person == caller.principal.name {
            return Err(invalid("person", "somebody else has to erase you: the entry of it would name you again"));
        }
        let detail = "a person was erased".to_owned();
        let now = self.now();
        let deed = Deed { request_id: once.id.clone(), ..caller.did(now, ERASE_PERSON, String::new(), detail) };
        let (actor, dry) = (caller.actor(), r.validate_only);
        let erased = self.ask(move |store| store.erase_person(&person, actor, deed, dry)).await?;
        if !dry {
            self.pulse.beat();
        }
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let answer = wire::ErasePersonResponse {
            pseudonym: erased.pseudonym,
            ticket_entries: count(erased.entries),
            audit_entries: count(erased.audit),
            mentions: erased.mentions.into_iter().map(name::ticket).collect(),
        };
        if !dry {
            self.remember(&caller, once, &answer).await?;
        }
        Ok(Response::new(answer))
    }

    type ExportCustomerStream = ReceiverStream<Result<wire::ExportCustomerResponse, Status>>;

    async fn export_customer(
        &self,
        request: Request<wire::ExportCustomerRequest>,
    ) -> Result<Response<Self::ExportCustomerStream>, Status> {
        let caller = Caller::of(&request)?;
        let r = request.into_inner();
        let (whose, what) = match (r.customer.trim(), r.sites.as_slice()) {
            ("", []) => return Err(invalid("customer", "name a customer of the topology, or sites")),
            ("", sites) => {
                let read = sites.iter().map(|site| name::read_site("sites", site));
                (Whose::Sites(read.collect::<Result<_, _>>()?), sites.join(","))
            }
            (customer, []) => (Whose::Customer(customer.to_owned()), format!("customers/{customer}")),
            (_, _) => return Err(invalid("sites", "name either a customer or sites")),
        };
        let (terms, now) = (self.terms(), self.now());
        let by = terms.clone();
        let sight = self.sight(&caller.principal);
        let servers = self
            .ask(move |store| {
                let mut servers = export::servers(store, &by, &whose)?;
                servers.retain(|server| sight.record(server));
                Ok(servers)
            })
            .await?;
        if servers.is_empty() {
            return Err(not_found("Customer", &what, "the topology and the list of servers show those there are"));
        }
        let detail = format!("{} servers", servers.len());
        let deed = caller.did(now, "outband.record.v1.RecordService/ExportCustomer", what, detail);
        let actor = caller.actor();
        // Before the first byte goes out: what cannot be logged is not handed out.
        self.ask(move |store| store.audit(actor, deed)).await?;
        let (out, pieces) = mpsc::channel(4);
        let store = self.store.clone();
        tokio::task::spawn_blocking(move || {
            let piece = |chunk| out.blocking_send(Ok(wire::ExportCustomerResponse { chunk })).is_ok();
            let failed = match export::write(&store, &terms, &servers, now, piece) {
                Ok(()) | Err(export::Error::Gone) => return,
                Err(export::Error::Store(error)) => problem::of_store(&error),
                Err(error) => Status::failed_precondition(error.to_string()),
            };
            // The reader may be gone; then there is nobody to tell.
            out.blocking_send(Err(failed)).unwrap_or_default();
        });
        Ok(Response::new(ReceiverStream::new(pieces)))
    }
}
