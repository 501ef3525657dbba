//! Who may do what, what is kept of it, and what happens to a request that comes twice.

#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

mod common;

use common::{Home, PATIENCE, WithToken, with_token};
use outband_collector::app::Collector;
use outband_collector::datadir::DataDir;
use outband_collector::token::{Role, make_for};
use outband_proto::audit::audit_service_client::AuditServiceClient;
use outband_proto::audit::{AuditEntry, ListAuditEntriesRequest, VerifyAuditRequest};
use outband_proto::health::health_service_client::HealthServiceClient;
use outband_proto::health::{GetServerRequest, ListServersRequest};
use outband_proto::record::record_service_client::RecordServiceClient;
use outband_proto::record::{ErasePersonRequest, ExportCustomerRequest};
use outband_proto::ticket::ticket_service_client::TicketServiceClient;
use outband_proto::ticket::{
    CommentTicketRequest, GetTicketRequest, ListTicketsRequest, TransitionTicketRequest, WatchTicketsRequest,
};
use outband_schemas::{ComponentClass, ComponentId, Identity, ServerId, SiteId, Timestamp};
use outband_store::{Applied, Sequence, ServerRecord, Store, TicketWrite};
use outband_ticket::{Opening, Priority, Ticket, TicketNumber};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};
use tonic::Code;

/// Before anything that a test does, and late enough that no clock has run out.
fn a_moment_ago() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap() - 1000)
}

/// A collector with one ticket at each of these sites, numbered from 1.
async fn started(home: &Home, sites: &[&str]) -> Collector {
    let collector = home.start().await;
    let store = collector.store();
    let now = a_moment_ago();
    for site in sites {
        let number = TicketNumber(store.reserve(Sequence::Ticket).unwrap());
        let server = ServerRecord {
            id: ServerId::new(format!("server-{site}")).unwrap(),
            site: SiteId::new(*site).unwrap(),
            identity: Identity::default(),
            targets: Vec::new(),
            first_seen: now,
            last_seen: now,
            merged_into: None,
            rev: 0,
        };
        let opening = Opening {
            number,
            priority: Priority::P2,
            title: format!("Disk failed at {site}"),
            site: Some(server.site.clone()),
            server: server.id.clone(),
            component: ComponentId::new(ComponentClass::Disk, "Bay 1").unwrap(),
            fault: "disk_failure".to_owned(),
            rule: "disk.says_so".to_owned(),
            predicted: false,
            reason: "the drive says so".to_owned(),
            evidence: Vec::new(),
            onset: now,
            part_serial: None,
        };
        let (ticket, entry) = Ticket::open(opening, "collector", now);
        let write = TicketWrite { ticket, expected_revision: None, transitions: vec![entry] };
        let applied = Applied { servers: vec![server], tickets: vec![write], ..Applied::default() };
        store.apply(applied, now).unwrap();
    }
    collector
}

/// A client with a new token of this role.
async fn client(home: &Home, collector: &mut Collector, role: Role, name: &str, sites: &[&str]) -> WithToken {
    let sites: BTreeSet<SiteId> = sites.iter().map(|s| SiteId::new(*s).unwrap()).collect();
    let (token, _) = make_for(&DataDir::open(home.dir()).unwrap(), role, name, &sites).unwrap();
    collector.reload(home.config()).unwrap();
    with_token(home.channel(collector.operators_addr()).await, token.reveal())
}

fn get(number: u64) -> GetTicketRequest {
    GetTicketRequest { name: format!("tickets/{number}"), ..Default::default() }
}

fn say(text: &str, request_id: &str) -> CommentTicketRequest {
    CommentTicketRequest {
        name: "tickets/1".to_owned(),
        text: text.to_owned(),
        request_id: request_id.to_owned(),
        ..Default::default()
    }
}

fn act(action: &str) -> TransitionTicketRequest {
    TransitionTicketRequest { name: "tickets/1".to_owned(), action: action.to_owned(), ..Default::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_comes_again_is_answered_as_before_and_done_once() {
    let home = Home::new();
    let collector = started(&home, &["a"]).await;
    let mut tickets = TicketServiceClient::new(home.operator(&collector).await);
    let first = tickets.comment_ticket(say("called", "r-1")).await.unwrap().into_inner();
    tickets.transition_ticket(act("start")).await.unwrap();
    let again = tickets.comment_ticket(say("called", "r-1")).await.unwrap().into_inner();
    assert_eq!(first, again, "although the ticket has moved on");
    let other = tickets.comment_ticket(say("something else", "r-1")).await.unwrap_err();
    assert_eq!(other.code(), Code::AlreadyExists, "{other}");
    let elsewhere = TransitionTicketRequest { request_id: "r-1".to_owned(), ..act("wait_for_parts") };
    assert_eq!(tickets.transition_ticket(elsewhere).await.unwrap_err().code(), Code::AlreadyExists);
    let now = tickets.get_ticket(get(1)).await.unwrap().into_inner().ticket.unwrap();
    assert_eq!(now.comments.len(), 1);
    assert_eq!(tickets.comment_ticket(say("x", "a b")).await.unwrap_err().code(), Code::InvalidArgument);
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_sent_many_times_at_once_is_done_once() {
    let home = Home::new();
    let collector = started(&home, &["a"]).await;
    let client = home.operator(&collector).await;
    let mut sent = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let mut tickets = TicketServiceClient::new(client.clone());
        sent.spawn(async move { tickets.comment_ticket(say("called", "r-1")).await.unwrap().into_inner() });
    }
    let answers = sent.join_all().await;
    assert!(answers.iter().all(|a| *a == answers[0]));
    let ticket = TicketServiceClient::new(client).get_ticket(get(1)).await.unwrap().into_inner().ticket.unwrap();
    assert_eq!(ticket.comments.len(), 1);
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comment_made_from_an_old_reading_is_refused() {
    let home = Home::new();
    let collector = started(&home, &["a"]).await;
    let mut tickets = TicketServiceClient::new(home.operator(&collector).await);
    let read = tickets.get_ticket(get(1)).await.unwrap().into_inner().ticket.unwrap();
    tickets.transition_ticket(act("start")).await.unwrap();
    let late = CommentTicketRequest { etag: read.etag, ..say("still new", "") };
    assert_eq!(tickets.comment_ticket(late).await.unwrap_err().code(), Code::Aborted);
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_can_be_seen_as_it_stood() {
    let home = Home::new();
    let collector = started(&home, &["a"]).await;
    let mut tickets = TicketServiceClient::new(home.operator(&collector).await);
    let opened = tickets.get_ticket(get(1)).await.unwrap().into_inner().ticket.unwrap();
    tickets.transition_ticket(act("start")).await.unwrap();
    let at = |at_ms| GetTicketRequest { at_ms: Some(at_ms), ..get(1) };
    let then = tickets.get_ticket(at(opened.created_at_ms)).await.unwrap().into_inner().ticket.unwrap();
    assert_eq!((then.state, then.transitions.len(), then.etag), (opened.state, 1, opened.etag));
    let before = tickets.get_ticket(at(opened.created_at_ms - 1)).await.unwrap_err();
    assert_eq!(before.code(), Code::NotFound);
    collector.stop().await.unwrap();
}

async fn entries(audit: &mut AuditServiceClient<WithToken>) -> Vec<AuditEntry> {
    audit
        .list_audit_entries(ListAuditEntriesRequest::default())
        .await
        .unwrap()
        .into_inner()
        .entries
        .into_iter()
        .filter(|e| e.resource != "config")
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_and_every_refusal_stands_in_the_audit_log() {
    let home = Home::new();
    let mut collector = started(&home, &["a"]).await;
    let admin = client(&home, &mut collector, Role::Admin, "zhao", &[]).await;
    let viewer = client(&home, &mut collector, Role::Viewer, "qian", &[]).await;
    let mut operator = TicketServiceClient::new(home.operator(&collector).await);
    operator.transition_ticket(TransitionTicketRequest { request_id: "r-7".to_owned(), ..act("start") }).await.unwrap();
    let denied = TicketServiceClient::new(viewer).transition_ticket(act("resume")).await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied, "{denied}");

    let mut audit = AuditServiceClient::new(admin);
    let all = tokio::time::timeout(PATIENCE, async {
        loop {
            let all = entries(&mut audit).await;
            if all.len() >= 2 {
                return all;
            }
            tokio::task::yield_now().await;
        }
    });
    let all = all.await.unwrap();
    let (refused, moved) = (&all[0], &all[1]);
    assert_eq!((refused.who.as_str(), refused.role.as_str(), refused.outcome.as_str()), ("qian", "viewer", "denied"));
    assert_eq!(refused.method, "outband.ticket.v1.TicketService/TransitionTicket");
    assert_eq!(
        (moved.who.as_str(), moved.resource.as_str(), moved.detail.as_str()),
        ("operator", "tickets/1", "start")
    );
    assert_eq!((moved.before.as_str(), moved.after.as_str(), moved.request_id.as_str()), ("1-1", "1-2", "r-7"));
    assert_eq!(moved.peer, "127.0.0.1");

    let whole = audit.verify_audit(VerifyAuditRequest::default()).await.unwrap().into_inner();
    assert_eq!((whole.entries, whole.broken_seq), (4, 0));
    let noted = VerifyAuditRequest { seq: whole.entries, hash: whole.head.clone() };
    assert_eq!(audit.verify_audit(noted).await.unwrap().into_inner().broken_seq, 0);
    let another = VerifyAuditRequest { seq: 1, hash: whole.head };
    assert_eq!(audit.verify_audit(another).await.unwrap().into_inner().broken_seq, 1);
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log_is_for_admins() {
    let home = Home::new();
    let collector = started(&home, &["a"]).await;
    let mut audit = AuditServiceClient::new(home.operator(&collector).await);
    let denied = audit.list_audit_entries(ListAuditEntriesRequest::default()).await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_sees_its_own_and_of_that_only_what_is_for_customers() {
    let home = Home::new();
    let mut collector = started(&home, &["a", "b"]).await;
    let customer = client(&home, &mut collector, Role::Customer, "acme", &["a"]).await;
    let mut operator = TicketServiceClient::new(home.operator(&collector).await);
    operator.comment_ticket(say("between us", "")).await.unwrap();
    let told = CommentTicketRequest { visibility: "customer".to_owned(), ..say("a drive is on its way", "") };
    operator.comment_ticket(told).await.unwrap();
    operator.transition_ticket(TransitionTicketRequest { why: "cheapest".to_owned(), ..act("start") }).await.unwrap();

    let mut tickets = TicketServiceClient::new(customer.clone());
    let list = tickets.list_tickets(ListTicketsRequest::default()).await.unwrap().into_inner().tickets;
    assert_eq!(list.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["tickets/1"]);
    assert_eq!(list[0].comments.iter().map(|c| c.text.as_str()).collect::<Vec<_>>(), ["a drive is on its way"]);
    assert!(list[0].transitions.iter().all(|t| t.why != "cheapest"));
    assert_eq!(tickets.get_ticket(get(2)).await.unwrap_err().code(), Code::NotFound, "as one that there never was");
    let elsewhere = CommentTicketRequest { name: "tickets/2".to_owned(), ..say("hello", "") };
    assert_eq!(tickets.comment_ticket(elsewhere).await.unwrap_err().code(), Code::NotFound);
    let said = CommentTicketRequest { visibility: "internal".to_owned(), ..say("thanks", "") };
    let said = tickets.comment_ticket(said).await.unwrap().into_inner().ticket.unwrap();
    assert_eq!(said.comments.last().map(|c| c.visibility.as_str()), Some("customer"));
    assert_eq!(tickets.transition_ticket(act("close")).await.unwrap_err().code(), Code::PermissionDenied);
    let mut watch = tickets.watch_tickets(WatchTicketsRequest::default()).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().ticket.unwrap().name, "tickets/1");
    let mut health = HealthServiceClient::new(customer);
    let servers = health.list_servers(ListServersRequest::default()).await.unwrap().into_inner().servers;
    assert_eq!(servers.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["servers/server-a"]);
    let other = health.get_server(GetServerRequest { name: "servers/server-b".to_owned() }).await.unwrap_err();
    assert_eq!(other.code(), Code::NotFound);
    drop(watch);
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_reads_in_a_ticket_no_names_numbers_or_addresses_of_others() {
    let home = Home::new();
    let mut collector = started(&home, &["a"]).await;
    let customer = client(&home, &mut collector, Role::Customer, "acme", &["a"]).await;
    let mut other = TicketServiceClient::new(client(&home, &mut collector, Role::Customer, "bravo", &["a"]).await);
    let mut engineer = TicketServiceClient::new(client(&home, &mut collector, Role::Engineer, "zhaoliu", &[]).await);
    let assigned = TransitionTicketRequest { assignee: "sunqi".to_owned(), ..act("assign") };
    engineer.transition_ticket(assigned).await.unwrap();
    let told = CommentTicketRequest { visibility: "customer".to_owned(), ..say("zhaoliu is on 10.1.2.3", "") };
    engineer.transition_ticket(act("start")).await.unwrap();
    engineer.comment_ticket(told).await.unwrap();
    let located = TransitionTicketRequest { detail: "zhaoliu saw it, password=hunter2".to_owned(), ..act("locate") };
    engineer.transition_ticket(located).await.unwrap();
    other.comment_ticket(say("when?", "")).await.unwrap();

    let ours = engineer.get_ticket(get(1)).await.unwrap().into_inner().ticket.unwrap();
    assert!(ours.comments[0].text.contains("10.1.2.3") && ours.root_cause.contains("hunter2"), "{ours:?}");
    let mut tickets = TicketServiceClient::new(customer);
    let one = tickets.get_ticket(get(1)).await.unwrap().into_inner().ticket.unwrap();
    let mut list = tickets.list_tickets(ListTicketsRequest::default()).await.unwrap().into_inner().tickets;
    for ticket in [one, list.remove(0)] {
        let texts = [&ticket.title, &ticket.reason, &ticket.root_cause, &ticket.comments[0].text];
        assert!(ticket.comments[0].text.contains("is on") && ticket.root_cause.contains("saw it"), "{texts:?}");
        let whole = format!("{ticket:?}");
        for secret in ["zhaoliu", "sunqi", "bravo", "10.1.2.3", "hunter2"] {
            assert!(!whole.contains(secret), "{secret}: {whole}");
        }
        assert_eq!(ticket.assignee, "service desk");
        assert_eq!(ticket.comments.iter().map(|c| c.who.as_str()).collect::<Vec<_>>(), ["service desk", "customer"]);
        let moves: Vec<_> = ticket.transitions.iter().map(|t| (t.action.as_str(), t.who.as_str())).collect();
        assert_eq!(moves[..2], [("open", "collector"), ("assign", "service desk")]);
    }
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_erased_by_somebody_else_and_only_when_it_is_meant() {
    let home = Home::new();
    let mut collector = started(&home, &["a"]).await;
    let admin = client(&home, &mut collector, Role::Admin, "zhao", &[]).await;
    let mut tickets = TicketServiceClient::new(client(&home, &mut collector, Role::Engineer, "qian", &[]).await);
    tickets.transition_ticket(act("start")).await.unwrap();
    let mut record = RecordServiceClient::new(admin.clone());
    let ask = |person: &str, validate_only| ErasePersonRequest {
        person: person.to_owned(),
        validate_only,
        ..Default::default()
    };
    let counted = record.erase_person(ask("qian", true)).await.unwrap().into_inner();
    assert_eq!((counted.ticket_entries, counted.audit_entries, counted.pseudonym.as_str()), (1, 1, ""));
    let done = record.erase_person(ask("qian", false)).await.unwrap().into_inner();
    let ticket = tickets.get_ticket(get(1)).await.unwrap().into_inner().ticket.unwrap();
    assert_eq!((&ticket.assignee, &ticket.transitions[1].who), (&done.pseudonym, &done.pseudonym));
    let mut audit = AuditServiceClient::new(admin);
    let all = entries(&mut audit).await;
    assert_eq!((all[0].who.as_str(), &all[0].resource, &all[1].who), ("zhao", &done.pseudonym, &done.pseudonym));
    assert_eq!(audit.verify_audit(VerifyAuditRequest::default()).await.unwrap().into_inner().broken_seq, 0);
    assert_eq!(record.erase_person(ask("zhao", false)).await.unwrap_err().code(), Code::InvalidArgument);
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_holds_one_customers_evidence_and_says_what_it_holds() {
    let home = Home::new();
    let mut collector = started(&home, &["a", "b"]).await;
    let admin = client(&home, &mut collector, Role::Admin, "zhao", &[]).await;
    let mut operator = TicketServiceClient::new(home.operator(&collector).await);
    operator.transition_ticket(act("start")).await.unwrap();
    let mut record = RecordServiceClient::new(admin.clone());
    let of = |site: &str| ExportCustomerRequest { sites: vec![format!("sites/{site}")], ..Default::default() };
    let mut pieces = record.export_customer(of("a")).await.unwrap().into_inner();
    let mut bytes = Vec::new();
    while let Some(piece) = pieces.message().await.unwrap() {
        bytes.extend(piece.chunk);
    }
    let files = files(&bytes);
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "servers/server-a/server.json",
            "servers/server-a/events.json",
            "servers/server-a/parts.json",
            "tickets/1/ticket.json",
            "tickets/1/log.json",
            "tickets/1/clocks.json",
            "tickets/1/audit.json",
            "tickets/1/sla.json",
            "tickets/1/notices.json",
            "tickets/1/readings.json",
            "manifest.json",
            "seal.json"
        ]
    );
    let (sealed, files) = files.split_last().unwrap();
    let (manifest, others) = files.split_last().unwrap();
    let of_manifest = Sha256::digest(&manifest.1).iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    let manifest: serde_json::Value = serde_json::from_slice(&manifest.1).unwrap();
    for (name, content) in others {
        let sum = Sha256::digest(content).iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        assert_eq!(manifest["sha256"][name], sum, "{name}");
    }
    let audit: serde_json::Value = serde_json::from_slice(&others[6].1).unwrap();
    assert_eq!(audit[0]["who"], "operator");
    let told = entries(&mut AuditServiceClient::new(admin)).await;
    assert_eq!(
        (told[0].method.as_str(), told[0].resource.as_str()),
        ("outband.record.v1.RecordService/ExportCustomer", "sites/a")
    );
    assert!(told[0].detail.ends_with(&format!("sha256:{of_manifest}")), "{}", told[0].detail);
    let sealed: serde_json::Value = serde_json::from_slice(&sealed.1).unwrap();
    assert_eq!((sealed["hash"].as_str(), sealed["seq"].as_i64()), (Some(told[0].hash.as_str()), Some(told[0].seq)));
    assert_eq!(record.export_customer(of("nowhere")).await.unwrap_err().code(), Code::NotFound);
    collector.stop().await.unwrap();
}

/// The files of a zip that packs nothing, in their order.
fn files(mut zip: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    while zip.starts_with(b"PK\x03\x04") {
        let size = u32::from_le_bytes(zip[18..22].try_into().unwrap()) as usize;
        let name = 30 + usize::from(u16::from_le_bytes(zip[26..28].try_into().unwrap()));
        files.push((String::from_utf8(zip[30..name].to_vec()).unwrap(), zip[name..name + size].to_vec()));
        zip = &zip[name + size..];
    }
    files
}
