//! The outbox as operators see it: what failed is shown and can be sent again, and whoever takes note of a ticket stops its fallbacks.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use common::{Home, PATIENCE, WithToken};
use outband_collector::app::Collector;
use outband_collector::config::Config;
use outband_collector::react::WHO;
use outband_proto::notice::notice_service_client::NoticeServiceClient;
use outband_proto::notice::{
    AcknowledgeTicketRequest, GetNoticeRequest, ListNoticesRequest, Notice, ReplayNoticeRequest, State,
};
use outband_schemas::{ComponentClass, ComponentId, ServerId, Timestamp};
use outband_store::{Applied, Sequence, Store, TicketWrite};
use outband_ticket::{Opening, Priority, Ticket, TicketNumber};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tonic::Code;

fn open(collector: &Collector) -> TicketNumber {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap());
    let store = collector.store();
    let number = TicketNumber(store.reserve(Sequence::Ticket).unwrap());
    let opening = Opening {
        number,
        priority: Priority::P2,
        title: "Fan failed".to_owned(),
        site: None,
        server: ServerId::new("s1").unwrap(),
        component: ComponentId::new(ComponentClass::Fan, "2").unwrap(),
        fault: "fan_failure".to_owned(),
        rule: "fan.state".to_owned(),
        predicted: false,
        reason: "0 rpm".to_owned(),
        evidence: Vec::new(),
        onset: now,
        part_serial: None,
    };
    let (ticket, entry) = Ticket::open(opening, WHO, now);
    let write = TicketWrite { ticket, expected_revision: None, transitions: vec![entry] };
    store.apply(Applied { tickets: vec![write], ..Applied::default() }, now).unwrap();
    number
}

async fn start(home: &Home, notify: &str) -> (Collector, NoticeServiceClient<WithToken>) {
    let text = format!("[listen]\nagents = '127.0.0.1:0'\noperators = '127.0.0.1:0'\n{notify}");
    let mut config = Config::parse(&text).unwrap();
    config.data.dir = Some(home.dir());
    config.data.keep_free_mib = 0;
    let collector = common::start(config).await;
    let client = NoticeServiceClient::new(home.operator(&collector).await);
    // Its first look begins the outbox: what was there before is nobody's news.
    let end = Instant::now() + PATIENCE;
    loop {
        use outband_store::Outbox;
        let probe = open(&collector);
        if collector.store().unnoticed(1).unwrap().is_some() || !list(&mut client.clone(), probe).await.is_empty() {
            return (collector, client);
        }
        close(&collector, probe);
        assert!(Instant::now() < end, "the outbox does not begin");
        tokio::task::yield_now().await;
    }
}

fn close(collector: &Collector, number: TicketNumber) {
    use outband_ticket::{Action, Command, Resolution, apply};
    let record = collector.store().ticket(number).unwrap().unwrap();
    let action = Action::Resolve { resolution: Resolution::FalseAlarm };
    let command = Command { who: "li".to_owned(), why: String::new(), action };
    let entry = apply(&record.ticket, command, record.ticket.updated_at).unwrap();
    let (ticket, expected_revision) = (record.ticket.after(&entry), Some(record.ticket.revision));
    collector.store().update_ticket(TicketWrite { ticket, expected_revision, transitions: vec![entry] }).unwrap();
}

async fn list(client: &mut NoticeServiceClient<WithToken>, ticket: TicketNumber) -> Vec<Notice> {
    let request = ListNoticesRequest { ticket: format!("tickets/{ticket}"), ..Default::default() };
    client.list_notices(request).await.unwrap().into_inner().notices
}

async fn wait_for(
    client: &mut NoticeServiceClient<WithToken>,
    ticket: TicketNumber,
    wanted: impl Fn(&Notice) -> bool,
) -> Notice {
    let end = Instant::now() + PATIENCE;
    loop {
        let notices = list(client, ticket).await;
        if let Some(found) = notices.iter().find(|n| wanted(n)) {
            return found.clone();
        }
        assert!(Instant::now() < end, "not among {notices:#?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn newest(collector: &Collector) -> TicketNumber {
    collector.store().open_tickets().unwrap().last().unwrap().ticket.number
}

#[tokio::test]
async fn a_notice_that_was_given_up_is_shown_and_arrives_once_it_is_replayed() {
    let home = Home::new();
    // Bound and left again: nobody listens there.
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let notify = format!(
        "[notify]\ntries = 1\n[notify.channels.log]\nkind = 'syslog'\nserver = '{address}'\n\
         [notify.recipients.desk]\nchannel = 'log'\n[[notify.rules]]\npriorities = ['P2']\nto = ['desk']\n"
    );
    let (collector, mut client) = start(&home, &notify).await;
    let ticket = newest(&collector);
    let failed = wait_for(&mut client, ticket, |n| n.state() == State::Failed).await;
    assert!(failed.error.contains("refused") && failed.attempts == 1, "{failed:?}");

    let listener = TcpListener::bind(address).await.unwrap();
    let request = ReplayNoticeRequest { name: failed.name.clone(), ..Default::default() };
    let replayed = client.replay_notice(request).await.unwrap().into_inner().notice.unwrap();
    assert_eq!((replayed.state(), &replayed.key), (State::Pending, &failed.key));
    let mut heard = String::new();
    listener.accept().await.unwrap().0.read_to_string(&mut heard).await.unwrap();
    assert!(heard.contains(&format!("key=\"{}\"", failed.key)) && heard.contains("Fan failing or failed"), "{heard}");
    wait_for(&mut client, ticket, |n| n.state() == State::Delivered).await;
    let shown = client.get_notice(GetNoticeRequest { name: failed.name }).await.unwrap().into_inner();
    assert!(shown.notice.unwrap().body.contains("0 rpm"));
    let none = client.get_notice(GetNoticeRequest { name: "notices/99".to_owned() }).await.unwrap_err();
    assert_eq!(none.code(), Code::NotFound);
    collector.stop().await.unwrap();
}

#[tokio::test]
async fn whoever_takes_note_of_a_ticket_stops_its_fallbacks() {
    let home = Home::new();
    let notify = "[notify.channels.log]\nkind = 'syslog'\nserver = '127.0.0.1:9'\ntransport = 'udp'\n\
         [notify.recipients.desk]\nchannel = 'log'\n[notify.recipients.boss]\nchannel = 'log'\n\
         [[notify.rules]]\npriorities = ['P2']\nto = ['desk']\nfallbacks = [{ after = '2s', to = ['boss'] }]\n";
    let (collector, mut client) = start(&home, notify).await;
    let ticket = newest(&collector);
    let request = AcknowledgeTicketRequest { name: format!("tickets/{ticket}"), ..Default::default() };
    let answer = client.acknowledge_ticket(request).await.unwrap().into_inner();
    assert_eq!(answer.level, 1);
    let fallback = wait_for(&mut client, ticket, |n| n.recipient == "boss" && n.state() != State::Pending).await;
    assert_eq!((fallback.state(), fallback.attempts), (State::Cancelled, 0));
    assert!(fallback.error.starts_with("acknowledged by "), "{}", fallback.error);
    wait_for(&mut client, ticket, |n| n.recipient == "desk" && n.state() == State::Delivered).await;
    assert_eq!(collector.store().ticket(ticket).unwrap().unwrap().ticket.acknowledged, 1);
    collector.stop().await.unwrap();
}
