//! A P1 that nobody may miss: asked on two real channels (mail and SMS), level after level, until somebody answers on either.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use common::{Home, PATIENCE, WithToken};
use outband_collector::app::Collector;
use outband_collector::config::Config;
use outband_collector::react::WHO;
use outband_proto::notice::notice_service_client::NoticeServiceClient;
use outband_proto::notice::{AcknowledgeTicketRequest, ListContactsRequest, ListNoticesRequest, Notice, State};
use outband_schemas::{ComponentClass, ComponentId, Identity, ServerId, SiteId, Timestamp};
use outband_store::{Applied, Sequence, ServerRecord, Store, TicketWrite};
use outband_ticket::{Action, Command, Opening, Priority, Resolution, Ticket, TicketNumber, apply};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// A process that ends with its test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().unwrap_or_default();
        self.0.wait().unwrap();
    }
}

fn python() -> std::process::Command {
    let debian = Path::new("/usr/bin/python3");
    std::process::Command::new(if debian.exists() { debian } else { Path::new("python3") })
}

fn server(script: &str, arguments: &[&str]) -> (Process, u16) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers").join(script);
    let mut child = python().arg(path).args(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (Process(child), line.trim().parse().unwrap())
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
}

/// A collector with a contract whose contacts are reached by mail and SMS, and both servers.
struct Desk {
    collector: Collector,
    client: NoticeServiceClient<WithToken>,
    files: tempfile::TempDir,
    _home: Home,
    _servers: (Process, Process),
}

impl Desk {
    /// Each level 1 asks engineer and deputy for so long, level 2 the manager; `None` where the mail server cannot be had.
    async fn start(each: &str) -> Option<Self> {
        if !python().args(["-c", "import aiosmtpd"]).stderr(Stdio::null()).status().is_ok_and(|s| s.success()) {
            eprintln!("skipped: needs python3 with aiosmtpd (Debian: python3-aiosmtpd)");
            return None;
        }
        let (home, files) = (Home::new(), tempfile::tempdir().unwrap());
        let path = |name: &str| files.path().join(name).display().to_string();
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(path("cert"), made.cert.pem()).unwrap();
        std::fs::write(path("key"), made.signing_key.serialize_pem()).unwrap();
        std::fs::write(path("secret"), "an-sms-secret").unwrap();
        std::fs::set_permissions(path("secret"), std::fs::Permissions::from_mode(0o600)).unwrap();
        let (cert, key, mails, posts) = (path("cert"), path("key"), path("mails"), path("posts"));
        let (smtp, smtp_port) = server("smtp_modes.py", &["ok", "none", &cert, &key, "", "", &mails]);
        let (web, web_port) = server("robots.py", &["-", "an-sms-secret", &posts]);
        let service = format!(
            "[customers.acme]\nname = 'Acme'\n[contracts.acme]\ncustomer = 'acme'\npackage = 'fast'\nfrom = '2020-01-01'\nuntil = '2099-12-31'\n\
             sites = ['dc1']\n[contracts.acme.contacts]\n\
             engineer = [{{ name = 'Li', recipients = ['li-mail', 'li-phone'], verified = '2020-01-01' }}]\n\
             manager = [{{ name = 'Zhao', recipients = ['zhao-mail', 'nobody'] }}]\n\
             maker = [{{ name = 'Hotline', phone = '400-810-1234', verified = '2020-01-01' }}]\n\
             [packages.fast]\nclocks = [{{ name = 'respond', targets = {{ P1 = '1h' }}, escalate = [\n\
             {{ percent = 0, to = ['engineer', 'deputy'], each = '{each}' }}, {{ after = '0s', to = ['manager'] }} ] }}]\n"
        );
        std::fs::write(path("service.toml"), service).unwrap();
        let text = format!(
            "[listen]\nagents = '127.0.0.1:0'\noperators = '127.0.0.1:0'\n[service]\nfile = '{}'\n\
             [notify.channels.mail]\nkind = 'email'\nhost = 'localhost'\nport = {smtp_port}\nsecurity = 'none'\nfrom = 'o@example.com'\n\
             [notify.channels.sms]\nkind = 'http'\nurl = 'http://127.0.0.1:{web_port}/sms'\ncontent = 'form'\nsuccess = 'queued'\n\
             headers = {{ Authorization = 'Bearer {{secret}}' }}\nbody = 'to={{to}}&text={{subject}}&id={{key}}'\nsecret_file = '{}'\n\
             [notify.recipients.li-mail]\nchannel = 'mail'\nto = 'li@example.com'\n\
             [notify.recipients.li-phone]\nchannel = 'sms'\nto = '+8613800000000'\nlanguage = 'zh-CN'\n\
             [notify.recipients.deputy]\nchannel = 'sms'\nto = '+8613900000000'\n\
             [notify.recipients.zhao-mail]\nchannel = 'mail'\nto = 'zhao@example.com'\n",
            path("service.toml"),
            path("secret"),
        );
        let mut config = Config::parse(&text).unwrap();
        config.data.dir = Some(home.dir());
        config.data.keep_free_mib = 0;
        let collector = common::start(config).await;
        let client = NoticeServiceClient::new(home.operator(&collector).await);
        let desk = Self { collector, client, files, _home: home, _servers: (smtp, web) };
        desk.server();
        // Its first look begins the outbox: what was there before is nobody's news.
        tokio::time::sleep(Duration::from_millis(1200)).await;
        Some(desk)
    }

    fn server(&self) {
        let at = now();
        let record = ServerRecord {
            id: ServerId::new("s1").unwrap(),
            site: SiteId::new("dc1").unwrap(),
            identity: Identity { serial: Some("X1".to_owned()), ..Identity::default() },
            targets: Vec::new(),
            first_seen: at,
            last_seen: at,
            merged_into: None,
            rev: 0,
        };
        self.collector.store().apply(Applied { servers: vec![record], ..Applied::default() }, at).unwrap();
    }

    fn open(&self, slot: &str) -> TicketNumber {
        let (at, store) = (now(), self.collector.store());
        let number = TicketNumber(store.reserve(Sequence::Ticket).unwrap());
        let opening = Opening {
            number,
            priority: Priority::P1,
            title: "Fan failed".to_owned(),
            site: Some(SiteId::new("dc1").unwrap()),
            server: ServerId::new("s1").unwrap(),
            component: ComponentId::new(ComponentClass::Fan, slot).unwrap(),
            fault: "fan_failure".to_owned(),
            rule: "fan.state".to_owned(),
            predicted: false,
            reason: "0 rpm".to_owned(),
            evidence: Vec::new(),
            onset: at,
            part_serial: None,
        };
        let (ticket, entry) = Ticket::open(opening, WHO, at);
        let write = TicketWrite { ticket, expected_revision: None, transitions: vec![entry] };
        store.apply(Applied { tickets: vec![write], ..Applied::default() }, at).unwrap();
        number
    }

    fn merge(&self, number: TicketNumber, into: TicketNumber) {
        for action in [Action::Merge { into }, Action::Resolve { resolution: Resolution::Merged }] {
            loop {
                let record = self.collector.store().ticket(number).unwrap().unwrap();
                let command = Command { who: "wang".to_owned(), why: String::new(), action: action.clone() };
                let entry = apply(&record.ticket, command, now().max(record.ticket.updated_at)).unwrap();
                let (ticket, expected_revision) = (record.ticket.after(&entry), Some(record.ticket.revision));
                let write = TicketWrite { ticket, expected_revision, transitions: vec![entry] };
                if self.collector.store().update_ticket(write).is_ok() {
                    break;
                }
            }
        }
    }

    async fn notices(&self, ticket: TicketNumber) -> Vec<Notice> {
        let request = ListNoticesRequest { ticket: format!("tickets/{ticket}"), ..Default::default() };
        self.client.clone().list_notices(request).await.unwrap().into_inner().notices
    }

    /// The notice for a recipient, once it is in a state.
    async fn told(&self, ticket: TicketNumber, recipient: &str, state: State) -> Notice {
        let end = Instant::now() + PATIENCE;
        loop {
            let notices = self.notices(ticket).await;
            if let Some(found) = notices.iter().find(|n| n.recipient == recipient && n.state() == state) {
                return found.clone();
            }
            assert!(Instant::now() < end, "{recipient} {state:?} is not among {notices:#?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn acknowledge(&self, request: AcknowledgeTicketRequest) -> String {
        self.client.clone().acknowledge_ticket(request).await.unwrap().into_inner().ticket
    }

    fn file(&self, name: &str) -> String {
        let path: PathBuf = self.files.path().join(name);
        std::fs::read_to_string(path).unwrap_or_default()
    }

    fn whys(&self, ticket: TicketNumber) -> Vec<String> {
        let log = self.collector.store().ticket(ticket).unwrap().unwrap().log;
        log.into_iter().filter(|e| matches!(e.action, Action::Acknowledge { .. })).map(|e| e.why).collect()
    }
}

#[tokio::test]
async fn nobody_answers_so_the_next_one_is_asked_and_an_answer_after_that_ends_it() {
    let Some(desk) = Desk::start("1s").await else { return };
    let ticket = desk.open("1");
    desk.told(ticket, "li-mail", State::Delivered).await;
    let phone = desk.told(ticket, "li-phone", State::Delivered).await;
    let deputy = desk.told(ticket, "deputy", State::Delivered).await;
    assert!(desk.file("posts").contains(&format!("id={}", deputy.key)) && desk.file("posts").contains(&phone.key));
    assert!(desk.file("mails").contains("Asked: Li (engineer) \\u2192 deputy"), "{}", desk.file("mails"));
    assert!(desk.file("mails").contains("Check contact: Li (engineer) was last verified"));
    // Late, and all were asked: it is noted, and the manager is not asked when the clock runs out.
    let key = phone.key.clone();
    assert_eq!(
        desk.acknowledge(AcknowledgeTicketRequest { key, ..Default::default() }).await,
        format!("tickets/{ticket}")
    );
    let id = phone.name.trim_start_matches("notices/");
    assert_eq!(desk.whys(ticket), [format!("on sms, notice {id}")]);
    assert!(desk.notices(ticket).await.iter().all(|n| n.recipient != "zhao-mail"));
    desk.collector.stop().await.unwrap();
}

#[tokio::test]
async fn an_answer_on_one_channel_stops_what_is_still_to_be_asked_on_both() {
    let Some(desk) = Desk::start("4s").await else { return };
    let ticket = desk.open("1");
    let mail = desk.told(ticket, "li-mail", State::Delivered).await;
    let request = AcknowledgeTicketRequest { key: mail.key, why: "on it".to_owned(), ..Default::default() };
    desk.acknowledge(request).await;
    assert!(desk.whys(ticket)[0].starts_with("on it; on mail, notice "), "{:?}", desk.whys(ticket));
    let deputy = desk.told(ticket, "deputy", State::Cancelled).await;
    assert!(deputy.error.starts_with("acknowledged by ") && deputy.attempts == 0, "{deputy:?}");
    assert!(!desk.file("posts").contains(&deputy.key));
    desk.collector.stop().await.unwrap();
}

#[tokio::test]
async fn whoever_answers_for_a_merged_ticket_answers_for_the_one_in_which_the_work_goes_on() {
    let Some(desk) = Desk::start("4s").await else { return };
    let (old, new) = (desk.open("1"), desk.open("2"));
    let mail = desk.told(old, "li-mail", State::Delivered).await;
    desk.told(new, "li-mail", State::Delivered).await;
    desk.merge(old, new);
    let told = desk.acknowledge(AcknowledgeTicketRequest { key: mail.key, ..Default::default() }).await;
    assert_eq!(told, format!("tickets/{new}"));
    assert_eq!((desk.whys(old).len(), desk.whys(new).len()), (0, 1));
    for ticket in [old, new] {
        desk.told(ticket, "deputy", State::Cancelled).await;
    }
    desk.collector.stop().await.unwrap();
}

#[tokio::test]
async fn contacts_are_listed_with_who_has_to_be_verified_again_and_who_is_told_nowhere() {
    let Some(desk) = Desk::start("1s").await else { return };
    let contacts =
        desk.client.clone().list_contacts(ListContactsRequest::default()).await.unwrap().into_inner().contacts;
    let of: Vec<_> = contacts.iter().map(|c| (c.role.as_str(), c.name.as_str(), c.stale)).collect();
    assert_eq!(of, [("engineer", "Li", true), ("maker", "Hotline", true), ("manager", "Zhao", true)]);
    assert!(contacts[0].unverified_days.unwrap() > 180 && contacts[0].unknown_recipients.is_empty());
    assert_eq!((contacts[1].phone.as_str(), contacts[1].recipients.len()), ("400-810-1234", 0));
    assert_eq!((contacts[2].unverified_days, &contacts[2].unknown_recipients), (None, &vec!["nobody".to_owned()]));
    assert_eq!(contacts[2].phone, "");
    desk.collector.stop().await.unwrap();
}
