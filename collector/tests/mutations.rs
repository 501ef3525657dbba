//! Whatever changes something leaves one entry in the audit log, is done once under a request id, and is noted where it is refused.
//!
//! The methods come from the descriptors: one that changes something and is not tried here fails.

#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

mod common;

use common::raw::call;
use common::{Home, PATIENCE, WithToken, with_token};
use outband_collector::app::Collector;
use outband_collector::config::Config;
use outband_collector::datadir::DataDir;
use outband_collector::rights::{self, RIGHTS, Reach};
use outband_collector::token::{Limits, Role, make_limited};
use outband_proto::check::RunHealthCheckRequest;
use outband_proto::drill::{Drill, EndDrillRequest, StartDrillRequest};
use outband_proto::enrol::enrol_service_client::EnrolServiceClient;
use outband_proto::enrol::{
    ApprovePendingAgentRequest, CreateInviteRequest, KnockRequest, RevokeAgentRequest, RevokeInviteRequest,
};
use outband_proto::grant::{CreateGrantRequest, EndGrantRequest};
use outband_proto::maintenance::{CreateWindowRequest, EndWindowRequest, Selector, UpdateWindowRequest, Window};
use outband_proto::notice::{AcknowledgeTicketRequest, ReplayNoticeRequest};
use outband_proto::order::{
    ApproveOrderRequest, RejectOrderRequest, RequestOrderRequest, ResumeOrdersRequest, StopOrdersRequest,
};
use outband_proto::outcome::RefutePredictionRequest;
use outband_proto::record::{CreateHoldRequest, EraseCustomerRequest, ErasePersonRequest, ReleaseHoldRequest};
use outband_proto::sla::ConfirmTimeRequest;
use outband_proto::threshold::{CreateThresholdRequest, EndThresholdRequest, Threshold};
use outband_proto::ticket::{CommentTicketRequest, ReachMilestoneRequest, TransitionTicketRequest};
use outband_schemas::enrol::{words, words_input};
use outband_schemas::{
    AgentId, ComponentClass, ComponentId, Identity, OrderKind, ServerId, SiteId, TargetId, Timestamp,
};
use outband_store::audit::{Actor, Audit, AuditEntry, AuditFilter, Deed, Noted, Outcome};
use outband_store::enrol::{AgentCertificate, Enrolments};
use outband_store::{
    AgentTarget, Applied, Made, NoticeDraft, Outbox, Page, Sequence, ServerRecord, SqliteStore, Store, TicketWrite,
};
use outband_ticket::{Opening, Priority, Ticket, TicketNumber};
use prost::Message;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};
use tonic::Code;

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap() - 2000)
}

/// A server at site `dc1` with a ticket, and a notice of that.
fn furnish(store: &SqliteStore) {
    let at = now();
    let server = ServerId::new("srv-1").unwrap();
    let record = ServerRecord {
        id: server.clone(),
        site: SiteId::new("dc1").unwrap(),
        identity: Identity { serial: Some("SN1".to_owned()), ..Identity::default() },
        targets: vec![AgentTarget { agent: AgentId::new("a1").unwrap(), target: TargetId::new("bmc1").unwrap() }],
        first_seen: at,
        last_seen: at,
        merged_into: None,
        rev: 0,
    };
    let number = TicketNumber(store.reserve(Sequence::Ticket).unwrap());
    let opening = Opening {
        number,
        priority: Priority::P2,
        title: "Disk failed".to_owned(),
        site: Some(record.site.clone()),
        server,
        component: ComponentId::new(ComponentClass::Disk, "Bay 1").unwrap(),
        fault: "disk_failure".to_owned(),
        rule: "disk.says_so".to_owned(),
        predicted: true,
        reason: "the drive says so".to_owned(),
        evidence: Vec::new(),
        onset: at,
        part_serial: None,
    };
    let (ticket, entry) = Ticket::open(opening, "collector", at);
    let write = TicketWrite { ticket, expected_revision: None, transitions: vec![entry] };
    store.apply(Applied { servers: vec![record], tickets: vec![write], ..Applied::default() }, at).unwrap();
    store.begin_outbox("i", at).unwrap();
    let draft = NoticeDraft {
        ticket: number,
        seq: 1,
        step: 0,
        cause: "opened".to_owned(),
        channel: "mail".to_owned(),
        recipient: "desk".to_owned(),
        lang: "en".to_owned(),
        priority: Priority::P2,
        subject: "A disk failed".to_owned(),
        body: "Dear desk".to_owned(),
        not_before: at,
        digest: false,
    };
    let through = store.unnoticed(10).unwrap().map_or(1_000, |u| u.through);
    store.make_notices(Made { through, marks: Vec::new(), notices: vec![draft] }, at).unwrap();
    let certificate = AgentCertificate {
        serial: "4a".to_owned(),
        agent: AgentId::new("a1").unwrap(),
        site: SiteId::new("dc1").unwrap(),
        issued_at: at,
        not_after: at,
    };
    let deed = Deed {
        at,
        role: "agent".to_owned(),
        method: "join".to_owned(),
        resource: String::new(),
        detail: String::new(),
        outcome: Outcome::Done,
        request_id: None,
        before: None,
        after: None,
    };
    let noted = Noted { actor: Actor { name: "a1".to_owned(), peer: None }, deed, answer: None };
    store.certify(certificate, noted).unwrap();
}

/// What is asked of a method, and what has to have been asked before it.
struct Script {
    method: &'static str,
    before: Vec<(&'static str, Vec<u8>)>,
    request: Vec<u8>,
    /// What the entry in the audit log says that it was done to.
    resource: &'static str,
}

const ID: &str = "req-1";

fn id() -> String {
    ID.to_owned()
}

fn script(method: &'static str) -> Script {
    let script = |request: Vec<u8>, resource| Script { method, before: Vec::new(), request, resource };
    let after = |made: &str, by: Vec<u8>, script: Script| {
        let service = method.split('/').next().unwrap();
        let of = RIGHTS.iter().map(|(name, ..)| *name).find(|name| *name == format!("{service}/{made}"));
        Script { before: vec![(of.unwrap(), by)], ..script }
    };
    let name = |name: &str| name.to_owned();
    let selector = || Some(Selector { server: name("srv-1"), ..Selector::default() });
    let window = || Window { selector: selector(), lasts_secs: 600, reason: name("work"), ..Window::default() };
    let make_window =
        |request_id: &str| CreateWindowRequest { window: Some(window()), request_id: name(request_id) }.encode_to_vec();
    let order = |request_id: &str| RequestOrderRequest {
        kind: name("identify"),
        server: name("servers/srv-1"),
        ticket: name("tickets/1"),
        reason: name("look"),
        request_id: name(request_id),
        ..RequestOrderRequest::default()
    };
    let order = |request_id: &str| order(request_id).encode_to_vec();
    let grant = |request_id: &str| CreateGrantRequest {
        ticket: name("tickets/1"),
        holder: name("technician"),
        role: name("viewer"),
        verified: name("called back"),
        reason: name("on site"),
        request_id: name(request_id),
        ..CreateGrantRequest::default()
    };
    let grant = |request_id: &str| grant(request_id).encode_to_vec();
    let drill = |request_id: &str| {
        let drill = Drill {
            server: name("servers/srv-1"),
            fault: name("fan_failure"),
            reason: name("night duty"),
            ..Drill::default()
        };
        StartDrillRequest { drill: Some(drill), lasts_secs: 600, request_id: name(request_id) }.encode_to_vec()
    };
    let threshold = |request_id: &str| {
        let threshold = Threshold {
            selector: selector(),
            parameter: name("disk.increases"),
            value: 6.0,
            reason: name("counts twice"),
            until_ms: now().as_millis() + 3_600_000,
            ..Threshold::default()
        };
        CreateThresholdRequest { threshold: Some(threshold), request_id: name(request_id) }.encode_to_vec()
    };
    let hold = |request_id: &str| {
        CreateHoldRequest { of: name("sites/dc1"), reason: name("a dispute"), request_id: name(request_id) }
            .encode_to_vec()
    };
    let invite = |request_id: &str| {
        CreateInviteRequest { site: name("sites/dc1"), request_id: name(request_id), ..Default::default() }
            .encode_to_vec()
    };
    let why = || name("because");
    match method.split('/').nth(1).unwrap() {
        "CommentTicket" => {
            let text = name("called");
            let request =
                CommentTicketRequest { name: name("tickets/1"), text, request_id: id(), ..Default::default() };
            script(request.encode_to_vec(), "tickets/1")
        }
        "TransitionTicket" => {
            let action = name("start");
            let request =
                TransitionTicketRequest { name: name("tickets/1"), action, request_id: id(), ..Default::default() };
            script(request.encode_to_vec(), "tickets/1")
        }
        "ReachMilestone" => {
            let milestone = name("contact");
            let request =
                ReachMilestoneRequest { name: name("tickets/1"), milestone, request_id: id(), ..Default::default() };
            script(request.encode_to_vec(), "tickets/1")
        }
        "AcknowledgeTicket" => {
            let request = AcknowledgeTicketRequest { name: name("tickets/1"), request_id: id(), ..Default::default() };
            script(request.encode_to_vec(), "tickets/1")
        }
        "RefutePrediction" => {
            let request =
                RefutePredictionRequest { name: name("tickets/1"), why: why(), request_id: id(), ..Default::default() };
            script(request.encode_to_vec(), "tickets/1")
        }
        "ConfirmTime" => script(ConfirmTimeRequest { request_id: id() }.encode_to_vec(), ""),
        "ReplayNotice" => {
            let request = ReplayNoticeRequest { name: name("notices/1"), request_id: id(), ..Default::default() };
            script(request.encode_to_vec(), "notices/1")
        }
        "RequestOrder" => script(order(ID), "orders/1"),
        "ApproveOrder" => {
            let request = ApproveOrderRequest { name: name("orders/1"), etag: name("1-1"), request_id: id() };
            after("RequestOrder", order(""), script(request.encode_to_vec(), "orders/1"))
        }
        "RejectOrder" => {
            let request =
                RejectOrderRequest { name: name("orders/1"), why: why(), etag: name("1-1"), request_id: id() };
            after("RequestOrder", order(""), script(request.encode_to_vec(), "orders/1"))
        }
        "StopOrders" => script(StopOrdersRequest { why: why(), request_id: id() }.encode_to_vec(), "orders"),
        "ResumeOrders" => {
            let stop = StopOrdersRequest { why: why(), ..Default::default() }.encode_to_vec();
            let request = ResumeOrdersRequest { why: why(), request_id: id() };
            after("StopOrders", stop, script(request.encode_to_vec(), "orders"))
        }
        "CreateGrant" => script(grant(ID), "grants/1"),
        "EndGrant" => {
            let request = EndGrantRequest { name: name("grants/1"), request_id: id(), ..Default::default() };
            after("CreateGrant", grant(""), script(request.encode_to_vec(), "grants/1"))
        }
        "CreateWindow" => script(make_window(ID), "windows/1"),
        "UpdateWindow" => {
            let window = Window { name: name("windows/1"), lasts_secs: 900, ..window() };
            let request = UpdateWindowRequest { window: Some(window), request_id: id() };
            after("CreateWindow", make_window(""), script(request.encode_to_vec(), "windows/1"))
        }
        "EndWindow" => {
            let request = EndWindowRequest { name: name("windows/1"), request_id: id(), ..Default::default() };
            after("CreateWindow", make_window(""), script(request.encode_to_vec(), "windows/1"))
        }
        "RunHealthCheck" => {
            let request = RunHealthCheckRequest { server: name("servers/srv-1"), request_id: id() };
            script(request.encode_to_vec(), "servers/srv-1")
        }
        "StartDrill" => script(drill(ID), "drills/1"),
        "EndDrill" => {
            let request = EndDrillRequest { name: name("drills/1"), request_id: id(), ..Default::default() };
            after("StartDrill", drill(""), script(request.encode_to_vec(), "drills/1"))
        }
        "CreateThreshold" => script(threshold(ID), "thresholds/1"),
        "EndThreshold" => {
            let request = EndThresholdRequest { name: name("thresholds/1"), request_id: id(), ..Default::default() };
            after("CreateThreshold", threshold(""), script(request.encode_to_vec(), "thresholds/1"))
        }
        "CreateHold" => script(hold(ID), "holds/1"),
        "ReleaseHold" => {
            let request = ReleaseHoldRequest { name: name("holds/1"), request_id: id(), ..Default::default() };
            after("CreateHold", hold(""), script(request.encode_to_vec(), "holds/1"))
        }
        "CreateInvite" => script(invite(ID), "invites/1"),
        "RevokeInvite" => {
            let request = RevokeInviteRequest { name: name("invites/1"), request_id: id() };
            after("CreateInvite", invite(""), script(request.encode_to_vec(), "invites/1"))
        }
        // Which words, only the keys say: see `World::knocked`.
        "ApprovePendingAgent" => script(approval("abandon abandon abandon abandon abandon abandon"), "agents/knocker"),
        "RevokeAgent" => {
            let request = RevokeAgentRequest { name: name("agents/a1"), reason: why(), request_id: id() };
            script(request.encode_to_vec(), "agents/a1")
        }
        // What stands in the log is the pseudonym.
        "ErasePerson" => {
            let request = ErasePersonRequest { person: name("wang"), request_id: id(), ..Default::default() };
            script(request.encode_to_vec(), "person-")
        }
        "EraseCustomer" => {
            let sites = vec![name("sites/dc1")];
            let request = EraseCustomerRequest { sites, request_id: id(), ..Default::default() };
            script(request.encode_to_vec(), "customer-")
        }
        other => panic!("{other} changes something: say here how it is called"),
    }
}

fn approval(words: &str) -> Vec<u8> {
    let (words, site) = (words.to_owned(), "sites/dc1".to_owned());
    ApprovePendingAgentRequest { words, site, request_id: id(), ..Default::default() }.encode_to_vec()
}

struct World {
    home: Home,
    config: Config,
    collector: Collector,
}

impl World {
    async fn new() -> Self {
        let home = Home::new();
        let mut config = home.config();
        config.orders.allow = OrderKind::ALL.into_iter().collect();
        config.orders.two_person = false;
        let collector = common::start(config.clone()).await;
        furnish(collector.store());
        Self { home, config, collector }
    }

    /// An agent knocks: the request that approves it.
    async fn knocked(&self) -> Vec<u8> {
        let key = rcgen::KeyPair::generate().unwrap();
        let csr = rcgen::CertificateParams::default().serialize_request(&key).unwrap().der().to_vec();
        let agent = "knocker".to_owned();
        let channel = self.home.channel(self.collector.agents_addr()).await;
        EnrolServiceClient::new(channel).knock(KnockRequest { csr, agent }).await.unwrap();
        let ca = std::fs::read(self.home.dir().join("ca.pem")).unwrap();
        let (_, ca) = x509_parser::pem::parse_x509_pem(&ca).unwrap();
        let sha256 = |bytes: &[u8]| <[u8; 32]>::from(Sha256::digest(bytes));
        let input = words_input(&sha256(&ca.contents), &rcgen::PublicKeyData::subject_public_key_info(&key));
        approval(&words(&sha256(&input)).join(" "))
    }

    async fn client(&mut self, role: Role, name: &str, limits: &Limits) -> WithToken {
        let token = self.token(role, name, limits);
        self.connect(&token).await
    }

    fn token(&mut self, role: Role, name: &str, limits: &Limits) -> String {
        let (token, _) = make_limited(&DataDir::open(self.home.dir()).unwrap(), role, name, limits).unwrap();
        self.collector.reload(self.config.clone()).unwrap();
        token.reveal().to_owned()
    }

    async fn connect(&self, token: &str) -> WithToken {
        with_token(self.home.channel(self.collector.operators_addr()).await, token)
    }

    /// The entries about somebody, newest first.
    fn entries(&self, who: &str) -> Vec<AuditEntry> {
        let filter = AuditFilter { who: Some(who.to_owned()), ..AuditFilter::default() };
        self.collector.store().audited(&filter, &Page::first(100)).unwrap().rows
    }

    async fn noted(&self, who: &str, entries: usize) -> Vec<AuditEntry> {
        tokio::time::timeout(PATIENCE, async {
            while self.entries(who).len() < entries {
                tokio::task::yield_now().await;
            }
            self.entries(who)
        })
        .await
        .unwrap_or_else(|_| panic!("{who} does not stand in the audit log: {:?}", self.entries(who)))
    }
}

fn mutations() -> Vec<(&'static str, Reach)> {
    // What agents call is not where people call.
    let people = |roles: &[Role]| roles.iter().any(|role| *role != Role::Agent);
    let own = RIGHTS
        .iter()
        .filter(|(method, roles, _)| method.starts_with("outband.") && people(roles) && rights::changes(method));
    own.map(|(method, _, reach)| (*method, *reach)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_leaves_one_entry_and_is_done_once_under_an_id() {
    let all = mutations();
    assert!(all.len() >= 24, "{}", all.len());
    for (method, _) in all {
        let mut world = World::new().await;
        let admin = world.client(Role::Admin, "zhao", &Limits::default()).await;
        let Script { before, mut request, resource, .. } = script(method);
        if method.ends_with("/ApprovePendingAgent") {
            request = world.knocked().await;
        }
        for (method, request) in before {
            call(&admin, method, request).await.unwrap_or_else(|e| panic!("before {method}: {e}"));
        }
        let asked_at = now();
        let old = world.entries("zhao").len();
        let first = call(&admin, method, request.clone()).await.unwrap_or_else(|e| panic!("{method}: {e}"));
        let again = call(&admin, method, request.clone()).await.unwrap_or_else(|e| panic!("{method}, again: {e}"));
        assert!(!first.is_empty() && first == again, "{method} answers otherwise: {first:?} {again:?}");
        let entries = world.entries("zhao");
        assert_eq!(entries.len() - old, 1, "{method}: {entries:#?}");
        let AuditEntry { actor, deed, .. } = &entries[0];
        assert_eq!((deed.method.as_str(), deed.role.as_str(), deed.outcome), (method, "admin", Outcome::Done));
        assert_eq!((deed.request_id.as_deref(), actor.peer.as_deref()), (Some(ID), Some("127.0.0.1")), "{method}");
        assert!(deed.resource.starts_with(resource) && deed.at >= asked_at, "{method}: {deed:?}");
        // Under the same id, another request is a mistake, whoever else's id it may be, too.
        let other = StopOrdersRequest { why: "another".to_owned(), request_id: id() }.encode_to_vec();
        let refused = call(&admin, "outband.order.v1.OrderService/StopOrders", other).await.unwrap_err();
        assert_eq!(refused.code(), Code::AlreadyExists, "{method}: {refused}");
        assert_eq!(world.entries("zhao").len() - old, 1, "{method}");
        assert_eq!(world.collector.store().verify_audit(None).unwrap().broken, None);
        world.collector.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_is_noted_with_who_and_what() {
    let mut world = World::new().await;
    let admin = world.client(Role::Admin, "zhao", &Limits::default()).await;
    let viewer = world.client(Role::Viewer, "qian", &Limits::default()).await;
    let sites = BTreeSet::from([SiteId::new("elsewhere").unwrap()]);
    let limited = world.client(Role::Admin, "sun", &Limits { sites, ..Limits::default() }).await;
    let all = mutations();
    for (number, (method, reach)) in (1..).zip(&all) {
        let Script { before, request, .. } = script(method);
        for (method, request) in before {
            call(&admin, method, request).await.unwrap();
        }
        let refused = call(&viewer, method, request.clone()).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{method}: {refused}");
        let entries = world.noted("qian", number).await;
        assert_eq!((entries.len(), entries[0].deed.outcome), (number, Outcome::Denied), "{method}");
        assert_eq!((entries[0].deed.method.as_str(), entries[0].deed.role.as_str()), (*method, "viewer"));

        let refused = call(&limited, method, request).await.unwrap_err();
        let codes = [Code::PermissionDenied, Code::NotFound];
        assert!(codes.contains(&refused.code()), "{method}: {refused}");
        let entries = world.noted("sun", number).await;
        assert_eq!((entries.len(), entries[0].deed.outcome), (number, Outcome::Denied), "{method}");
        assert_eq!(entries[0].deed.method, *method);
        let named = *reach == Reach::Fleet || !entries[0].deed.resource.is_empty();
        assert!(named, "{method}: {:?}", entries[0].deed);
    }
    world.collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_many_times_at_once_makes_one_of_everything() {
    let mut world = World::new().await;
    let admin = world.client(Role::Admin, "zhao", &Limits::default()).await;
    for method in [
        "outband.order.v1.OrderService/RequestOrder",
        "outband.grant.v1.GrantService/CreateGrant",
        "outband.maintenance.v1.MaintenanceService/CreateWindow",
        "outband.drill.v1.DrillService/StartDrill",
        "outband.threshold.v1.ThresholdService/CreateThreshold",
        "outband.record.v1.RecordService/CreateHold",
        "outband.enrol.v1.IdentityService/CreateInvite",
    ] {
        let old = world.entries("zhao").len();
        let request = script(method).request;
        // Each under an id of its own.
        let id = method.split('/').nth(1).unwrap();
        let request = replaced(&request, id);
        let mut sent = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let (admin, request) = (admin.clone(), request.clone());
            sent.spawn(async move { call(&admin, method, request).await.unwrap() });
        }
        let answers = sent.join_all().await;
        assert!(answers.iter().all(|a| *a == answers[0]), "{method}");
        assert_eq!(world.entries("zhao").len() - old, 1, "{method}");
    }
    world.collector.stop().await.unwrap();
}

/// The request with another id, no longer than the first: the field is the last of all these.
fn replaced(request: &[u8], id: &str) -> Vec<u8> {
    let at = request.windows(ID.len()).rposition(|w| w == ID.as_bytes()).unwrap();
    let mut other = request[..at - 1].to_vec();
    other.push(u8::try_from(id.len()).unwrap());
    other.extend(id.as_bytes());
    other
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_told_again_is_not_in_the_store_and_opens_the_door() {
    use outband_proto::grant::CreateGrantResponse;
    let mut world = World::new().await;
    let zhao = world.token(Role::Admin, "zhao", &Limits::default());
    let Script { method, request, .. } = script("outband.grant.v1.GrantService/CreateGrant");
    let admin = world.connect(&zhao).await;
    let told = call(&admin, method, request.clone()).await.unwrap();
    let token = CreateGrantResponse::decode(&*told).unwrap().token;
    assert!(token.starts_with("outband-grant-") && token.len() > 60);
    world.collector.stop().await.unwrap();
    for name in ["store.db", "store.db-wal"] {
        let bytes = std::fs::read(world.home.dir().join(name)).unwrap_or_default();
        assert!(!bytes.windows(token.len()).any(|w| w == token.as_bytes()), "{name}");
    }
    // Another life of the collector tells the same.
    world.collector = common::start(world.config.clone()).await;
    let admin = world.connect(&zhao).await;
    assert_eq!(call(&admin, method, request.clone()).await.unwrap(), told);
    assert_ne!(call(&admin, method, replaced(&request, "other")).await.unwrap(), told);
    let holder = world.connect(&token).await;
    let get = outband_proto::ticket::GetTicketRequest { name: "tickets/1".to_owned(), ..Default::default() };
    call(&holder, "outband.ticket.v1.TicketService/GetTicket", get.encode_to_vec()).await.unwrap();
    world.collector.stop().await.unwrap();
}
