//! Orders, as people ask for them, approve them and stop them.

use crate::audit::Caller;
use crate::auth;
use crate::config::orders::OrdersConfig;
use crate::orders::limits::{self, LOOKS_BACK, Situation};
use crate::orders::machine::{self, Refused, Step};
use crate::query::once::{Known, Once};
use crate::query::page::Pager;
use crate::query::problem::{changed_meanwhile, invalid, not_found};
use crate::query::{Desk, name};
use crate::sight::Sight;
use outband_proto::order as wire;
use outband_proto::order::order_service_server::OrderService;
use outband_schemas::{Clock, OrderKind, Timestamp};
use outband_store::audit::{Audit, Deed};
use outband_store::order::{Order, OrderChange, OrderFilter, OrderState, OrderSwitch, Orders};
use outband_store::{AgentTarget, ServerRecord, Store, StoreError};
use prost::Message;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status};

const REQUEST: &str = "outband.order.v1.OrderService/RequestOrder";
const APPROVE: &str = "outband.order.v1.OrderService/ApproveOrder";
const REJECT: &str = "outband.order.v1.OrderService/RejectOrder";
const STOP: &str = "outband.order.v1.OrderService/StopOrders";
const RESUME: &str = "outband.order.v1.OrderService/ResumeOrders";
const ATTACHMENT: &str = "outband.order.v1.OrderService/GetAttachment";
/// A file is handed out in pieces of so many bytes.
const PIECE: usize = 256 << 10;
/// The longest reason, in characters.
const LONGEST_REASON: usize = 500;

#[tonic::async_trait]
impl<S: Store + Orders + Audit, C: Clock + Send + Sync + 'static> OrderService for Desk<S, C> {
    async fn list_orders(
        &self,
        request: Request<wire::ListOrdersRequest>,
    ) -> Result<Response<wire::ListOrdersResponse>, Status> {
        let sight = self.sight(&auth::principal(&request)?);
        let r = request.into_inner();
        let pager = Pager::new("ListOrders", &(r.all, &r.ticket));
        let page = pager.page(r.page_size, &r.page_token)?;
        let ticket = if r.ticket.is_empty() { None } else { Some(name::read_ticket(&r.ticket)?) };
        let filter = OrderFilter { open: !r.all, ticket };
        let scene = self.scene(&sight).await?;
        let (seen, next_page_token) = self
            .ask(move |store| {
                let listing = store.orders(&filter, &page)?;
                let next = pager.next(&listing);
                Ok((sight.seen(listing.rows, |sight, order| visible(store, sight, order))?, next))
            })
            .await?;
        let orders = seen.iter().map(|o| self.shown_order(o, &scene)).collect();
        let switch = scene.switch.clone().map(shown_switch);
        Ok(Response::new(wire::ListOrdersResponse { orders, next_page_token, switch }))
    }

    async fn get_order(
        &self,
        request: Request<wire::GetOrderRequest>,
    ) -> Result<Response<wire::GetOrderResponse>, Status> {
        let sight = self.sight(&auth::principal(&request)?);
        let (order, changes) = self.stored_order(&request.into_inner().name, &sight).await?;
        let changes =
            changes.into_iter().map(|c| wire::Change { at_ms: c.at.as_millis(), who: c.who, what: c.what }).collect();
        let order = wire::Order { changes, ..self.shown_order(&order, &self.scene(&sight).await?) };
        Ok(Response::new(wire::GetOrderResponse { order: Some(order) }))
    }

    async fn request_order(
        &self,
        request: Request<wire::RequestOrderRequest>,
    ) -> Result<Response<wire::RequestOrderResponse>, Status> {
        let caller = Caller::of(&request)?;
        let r = request.into_inner();
        let once = match self.known(&caller, REQUEST, &r.request_id, &r).await? {
            Known::Answered(answer) => return Ok(Response::new(answer)),
            Known::New(once) => once,
        };
        let config = self.orders_config();
        let sight = self.sight(&caller.principal);
        let order = self.asked_for(&r, &caller, &sight, &config).await?;
        let scene = self.scene(&sight).await?;
        if r.validate_only {
            let notes = self.rehearse(&order, &scene).await?;
            let order = Some(self.shown_order(&order, &scene));
            return Ok(Response::new(wire::RequestOrderResponse { order, notes }));
        }
        let answer = |order| wire::RequestOrderResponse { order: Some(order), notes: Vec::new() };
        Ok(Response::new(self.keep_order(order, &caller, (REQUEST, "request"), once, scene, answer).await?))
    }

    async fn approve_order(
        &self,
        request: Request<wire::ApproveOrderRequest>,
    ) -> Result<Response<wire::ApproveOrderResponse>, Status> {
        let caller = Caller::of(&request)?;
        let r = request.into_inner();
        let once = match self.known(&caller, APPROVE, &r.request_id, &r).await? {
            Known::Answered(answer) => return Ok(Response::new(answer)),
            Known::New(once) => once,
        };
        let step = Step::Approve { by: caller.principal.name.clone() };
        let answer = |order| wire::ApproveOrderResponse { order: Some(order) };
        Ok(Response::new(self.take_step((&r.name, &r.etag), step, &caller, APPROVE, once, answer).await?))
    }

    async fn reject_order(
        &self,
        request: Request<wire::RejectOrderRequest>,
    ) -> Result<Response<wire::RejectOrderResponse>, Status> {
        let caller = Caller::of(&request)?;
        let r = request.into_inner();
        let once = match self.known(&caller, REJECT, &r.request_id, &r).await? {
            Known::Answered(answer) => return Ok(Response::new(answer)),
            Known::New(once) => once,
        };
        let step = Step::Reject { why: words("why", &r.why)? };
        let answer = |order| wire::RejectOrderResponse { order: Some(order) };
        Ok(Response::new(self.take_step((&r.name, &r.etag), step, &caller, REJECT, once, answer).await?))
    }

    async fn stop_orders(
        &self,
        request: Request<wire::StopOrdersRequest>,
    ) -> Result<Response<wire::StopOrdersResponse>, Status> {
        let caller = Caller::of(&request)?;
        let r = request.into_inner();
        let once = match self.known(&caller, STOP, &r.request_id, &r).await? {
            Known::Answered(answer) => return Ok(Response::new(answer)),
            Known::New(once) => once,
        };
        let answer = |switch| wire::StopOrdersResponse { switch: Some(switch) };
        Ok(Response::new(self.turn_switch(true, &r.why, &caller, STOP, once, answer).await?))
    }

    async fn resume_orders(
        &self,
        request: Request<wire::ResumeOrdersRequest>,
    ) -> Result<Response<wire::ResumeOrdersResponse>, Status> {
        let caller = Caller::of(&request)?;
        let r = request.into_inner();
        let once = match self.known(&caller, RESUME, &r.request_id, &r).await? {
            Known::Answered(answer) => return Ok(Response::new(answer)),
            Known::New(once) => once,
        };
        let answer = |switch| wire::ResumeOrdersResponse { switch: Some(switch) };
        Ok(Response::new(self.turn_switch(false, &r.why, &caller, RESUME, once, answer).await?))
    }

    type GetAttachmentStream = ReceiverStream<Result<wire::GetAttachmentResponse, Status>>;

    async fn get_attachment(
        &self,
        request: Request<wire::GetAttachmentRequest>,
    ) -> Result<Response<Self::GetAttachmentStream>, Status> {
        let caller = Caller::of(&request)?;
        let name = request.into_inner().name;
        let (order, _) = self.stored_order(&name, &self.sight(&caller.principal)).await?;
        let deed = caller.did(self.now(), ATTACHMENT, name.clone(), format!("{} bytes", order.content_bytes));
        let actor = caller.actor();
        // Before the first byte goes out: what cannot be logged is not handed out.
        let file = self
            .ask(move |store| match store.order_file(order.id)? {
                Some(file) => store.audit(actor, deed).map(|_| Some(file)),
                None => Ok(None),
            })
            .await?;
        let file = file.ok_or_else(|| not_found("File", &name, "the order has brought nothing"))?;
        let (out, pieces) = mpsc::channel(4);
        tokio::spawn(async move {
            for piece in file.content.chunks(PIECE) {
                if out.send(Ok(wire::GetAttachmentResponse { chunk: piece.to_vec() })).await.is_err() {
                    // The reader is gone.
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(pieces)))
    }
}

/// What orders are shown by: the same for all of one answer.
struct Scene {
    config: Arc<OrdersConfig>,
    switch: Option<OrderSwitch>,
    sent: Vec<Order>,
    now: Timestamp,
}

impl<S: Store + Orders + Audit, C: Clock + Send + Sync + 'static> Desk<S, C> {
    fn orders_config(&self) -> Arc<OrdersConfig> {
        self.orders.as_ref().map_or_else(Arc::default, crate::orders::Terms::now)
    }

    /// For whom this is shown: who turned the switch, and why, is not for everybody.
    async fn scene(&self, sight: &Sight) -> Result<Scene, Status> {
        let now = self.now();
        let back = i64::try_from(LOOKS_BACK.as_millis()).unwrap_or(i64::MAX);
        let since = Timestamp::from_millis(now.as_millis().saturating_sub(back));
        let (switch, sent) = self.ask(move |s| Ok((s.order_switch()?, s.orders_sent_since(since)?))).await?;
        let switch = switch.map(|s| match sight.is_limited() {
            true => OrderSwitch { who: "an operator".to_owned(), why: "for all sites".to_owned(), ..s },
            false => s,
        });
        Ok(Scene { config: self.orders_config(), switch, sent, now })
    }

    fn in_the_way(&self, order: &Order, scene: &Scene) -> Option<String> {
        let connected = self.registry.epoch(&order.agent).is_some();
        let Scene { config, switch, sent, now } = scene;
        limits::in_the_way(order, &Situation { config, switch: switch.as_ref(), sent, connected, now: *now })
    }

    fn shown_order(&self, order: &Order, scene: &Scene) -> wire::Order {
        let waits = (order.state == OrderState::Approved).then(|| self.in_the_way(order, scene)).flatten();
        shown(order, waits.unwrap_or_default())
    }

    async fn stored_order(&self, name: &str, sight: &Sight) -> Result<(Order, Vec<OrderChange>), Status> {
        let id: u64 = name
            .strip_prefix("orders/")
            .and_then(|id| id.parse().ok())
            .ok_or_else(|| invalid("name", format!("{name:?} is not orders/NUMBER")))?;
        let sight = sight.clone();
        let found = self
            .ask(move |store| match store.order(id)? {
                Some(found) if visible(store, &sight, &found.0)? => Ok(Some(found)),
                _ => Ok(None),
            })
            .await?;
        found.ok_or_else(|| not_found("Order", name, "list the orders to see those there are"))
    }

    /// The order that a request asks for, if it could ever be sent.
    async fn asked_for(
        &self,
        r: &wire::RequestOrderRequest,
        caller: &Caller,
        sight: &Sight,
        config: &OrdersConfig,
    ) -> Result<Order, Status> {
        let kind: OrderKind =
            r.kind.parse().map_err(|e: outband_schemas::order::UnknownOrder| invalid("kind", e.to_string()))?;
        let reason = words("reason", &r.reason)?;
        if !config.allow.contains(&kind) {
            let why = format!(
                "[orders] allow in collector.toml does not hold {kind}: orders are off unless they stand there"
            );
            return Err(Status::failed_precondition(why));
        }
        let id = name::read_server("server", &r.server)?;
        let eyes = sight.clone();
        let server = self.ask(move |store| if eyes.server(store, &id)? { store.server(&id) } else { Ok(None) }).await?;
        let server = server.filter(|s| s.merged_into.is_none()).ok_or_else(|| {
            self.denied(caller, REQUEST, &r.server);
            not_found("Server", &r.server, "list the servers to see those there are")
        })?;
        let target = self.target_of(&server, &r.target)?;
        let ticket = match r.ticket.as_str() {
            "" => None,
            text => Some(self.read_for(REQUEST, name::read_ticket(text)?, caller).await?.ticket.number),
        };
        if sight.only().is_some_and(|only| ticket != Some(only)) {
            return Err(invalid("ticket", "a temporary access asks for orders of its own ticket: name it"));
        }
        let placed = self.terms().topology.place(&server).and_then(|place| place.model.clone());
        let now = self.now();
        Ok(Order {
            id: 0,
            revision: 0,
            wire_id: String::new(),
            kind,
            model: placed.or_else(|| server.identity.model.clone()),
            server: server.id,
            site: server.site,
            agent: target.agent,
            target: target.target,
            ticket,
            reason,
            requester: caller.principal.name.clone(),
            requested_at: now,
            approver: None,
            approved_at: None,
            expires_at: now.plus(config.expires_after.duration()),
            state: OrderState::Requested,
            sent_at: None,
            sent_after: 0,
            spool_id: None,
            settled_at: None,
            detail: String::new(),
            content_bytes: 0,
            told: false,
        })
    }

    fn target_of(&self, server: &ServerRecord, wanted: &str) -> Result<AgentTarget, Status> {
        let names: Vec<String> = server.targets.iter().map(|t| format!("{}/{}", t.agent, t.target)).collect();
        let found = match wanted {
            "" => {
                let connected = server.targets.iter().find(|t| self.registry.epoch(&t.agent).is_some());
                connected.or(server.targets.first())
            }
            wanted => names.iter().position(|n| n == wanted).and_then(|at| server.targets.get(at)),
        };
        found.cloned().ok_or_else(|| invalid("target", format!("{} has the targets {}", server.id, names.join(", "))))
    }

    /// What would be sent, and what stands in the way of it.
    async fn rehearse(&self, order: &Order, scene: &Scene) -> Result<Vec<String>, Status> {
        let mut notes = vec![format!(
            "would be sent: {} to agent {} for its target {} ({}, site {}), until {}",
            order.kind, order.agent, order.target, order.server, order.site, order.expires_at
        )];
        notes.push(match scene.config.two_person {
            true => format!("has to be approved by somebody else than {}", order.requester),
            false => "has to be approved; one person is enough".to_owned(),
        });
        if order.kind == OrderKind::ClearSel {
            let server = order.server.clone();
            let stored = self.ask(move |store| store.event_keys(&server, usize::MAX)).await?.len();
            notes.push(format!(
                "{stored} log entries of this server are stored; the agent clears nothing that is not among them"
            ));
        }
        let now = self.in_the_way(order, scene);
        notes.push(
            now.map_or_else(|| "nothing stands in its way now".to_owned(), |why| format!("would wait now: {why}")),
        );
        notes.push(format!("the agent's own config has to allow {} at {} too", order.kind, order.target));
        Ok(notes)
    }

    /// Keeps an order with what is noted of it and the answer, which shows it in this scene.
    async fn keep_order<A: Message + 'static>(
        &self,
        order: Order,
        caller: &Caller,
        (method, what): (&'static str, &str),
        once: Once,
        scene: Scene,
        answer: impl Fn(wire::Order) -> A + Send + Sync + 'static,
    ) -> Result<A, Status> {
        let now = self.now();
        // Of a new one nobody knows the number yet.
        let before = (order.id != 0).then(|| etag(&order));
        let name = format!("orders/{}", order.id);
        let change = OrderChange { at: now, who: caller.principal.name.clone(), what: what.to_owned() };
        let (by, desk) = (caller.clone(), self.clone());
        let tell = move |order: &Order| {
            let detail = format!("{} at {}", order.kind, order.server);
            let after = before.is_some().then(|| etag(order));
            let deed = by.did(now, method, format!("orders/{}", order.id), detail);
            (Deed { before: before.clone(), after, ..deed }, answer(desk.shown_order(order, &scene)))
        };
        let kept =
            self.noted(caller, once, tell, move |store, note| store.put_order(order, change, None, Some(note))).await?;
        if let Some(terms) = &self.orders {
            terms.ring();
        }
        kept.ok_or_else(|| changed_meanwhile(&name, None))
    }

    async fn take_step<A: Message + 'static>(
        &self,
        (name, read_as): (&str, &str),
        step: Step,
        caller: &Caller,
        method: &'static str,
        once: Once,
        answer: impl Fn(wire::Order) -> A + Send + Sync + 'static,
    ) -> Result<A, Status> {
        let sight = self.sight(&caller.principal);
        let found = self.stored_order(name, &sight).await;
        let (order, _) = found.inspect_err(|status| {
            if status.code() == Code::NotFound {
                self.denied(caller, method, name);
            }
        })?;
        if !read_as.is_empty() && read_as != etag(&order) {
            return Err(changed_meanwhile(name, Some(&etag(&order))));
        }
        let next = machine::apply(&order, &step, self.orders_config().two_person, self.now());
        let next = next.map_err(|refused| match refused {
            Refused::SamePerson => Status::permission_denied(format!("{name}: {refused}")),
            Refused::State(_) | Refused::Expired => Status::failed_precondition(format!("{name}: {refused}")),
        })?;
        let scene = self.scene(&sight).await?;
        self.keep_order(next, caller, (method, step.what()), once, scene, answer).await
    }

    async fn turn_switch<A: Message + 'static>(
        &self,
        stopped: bool,
        why: &str,
        caller: &Caller,
        method: &'static str,
        once: Once,
        answer: impl Fn(wire::Switch) -> A + Send + Sync + 'static,
    ) -> Result<A, Status> {
        let now = self.now();
        let switch = OrderSwitch { stopped, who: caller.principal.name.clone(), why: words("why", why)?, at: now };
        let by = caller.clone();
        let tell = move |switch: &OrderSwitch| {
            let deed = by.did(now, method, "orders".to_owned(), String::new());
            (deed, answer(shown_switch(switch.clone())))
        };
        let kept = self.noted(caller, once, tell, move |store, note| store.set_order_switch(switch, note)).await?;
        if let Some(terms) = &self.orders {
            terms.ring();
        }
        kept.ok_or_else(|| changed_meanwhile("orders", None))
    }
}

/// Whether an order may be seen: its server may, and a temporary access sees those of its own ticket.
fn visible<S: Store>(store: &S, sight: &Sight, order: &Order) -> Result<bool, StoreError> {
    let own = sight.only().is_none_or(|only| order.ticket == Some(only));
    Ok(own && sight.server(store, &order.server)?)
}

fn words(field: &str, text: &str) -> Result<String, Status> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > LONGEST_REASON {
        return Err(invalid(field, format!("say why, in at most {LONGEST_REASON} characters")));
    }
    Ok(text.to_owned())
}

fn etag(order: &Order) -> String {
    format!("{}-{}", order.id, order.revision)
}

fn shown_switch(switch: OrderSwitch) -> wire::Switch {
    wire::Switch { stopped: switch.stopped, who: switch.who, why: switch.why, at_ms: switch.at.as_millis() }
}

fn shown(order: &Order, waits_for: String) -> wire::Order {
    let attachment = if order.content_bytes == 0 { String::new() } else { format!("order-{}.json", order.id) };
    wire::Order {
        name: format!("orders/{}", order.id),
        kind: order.kind.as_str().to_owned(),
        server: name::server(&order.server),
        site: order.site.to_string(),
        model: order.model.clone().unwrap_or_default(),
        agent: order.agent.to_string(),
        target: order.target.to_string(),
        ticket: order.ticket.map(name::ticket).unwrap_or_default(),
        reason: order.reason.clone(),
        state: order.state.as_str().to_owned(),
        waits_for,
        requester: order.requester.clone(),
        requested_at_ms: order.requested_at.as_millis(),
        approver: order.approver.clone().unwrap_or_default(),
        approved_at_ms: order.approved_at.map(Timestamp::as_millis),
        expires_at_ms: order.expires_at.as_millis(),
        sent_at_ms: order.sent_at.map(Timestamp::as_millis),
        settled_at_ms: order.settled_at.map(Timestamp::as_millis),
        detail: order.detail.clone(),
        attachment,
        attachment_bytes: i64::try_from(order.content_bytes).unwrap_or(i64::MAX),
        etag: etag(order),
        changes: Vec::new(),
    }
}
