use super::*;
use outband_schemas::{ComponentClass, ComponentId, ServerId, SiteId};
use outband_ticket::{Command, Opening, Priority, Rebase, Resolution, TicketNumber, apply};

const CONFIG: &str = r#"
[channels.mail]
kind = "email"
host = "mail.example.com"
from = "outband@example.com"
[channels.group]
kind = "wecom"
token_file = "/etc/outband/token"
[recipients.li]
channel = "mail"
to = "li@example.com"
language = "zh-CN"
digest = "1h"
[recipients.duty]
channel = "group"
[recipients.boss]
channel = "mail"
to = "boss@example.com"
[recipients.customer]
channel = "mail"
to = "it@customer.example"
audience = "customer"
[[rules]]
to = ["li", "duty"]
fallbacks = [{ after = "10m", to = ["boss"] }]
[[rules]]
sites = ["dc2"]
causes = ["resolved", "update"]
to = ["customer"]
"#;

fn config() -> Notify {
    let notify: Notify = toml::from_str(CONFIG).unwrap();
    assert_eq!(notify.problems(), []);
    notify
}

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_800_000_000 + secs)
}

fn opened(priority: Priority, site: &str) -> TicketRecord {
    let opening = Opening {
        number: TicketNumber(7),
        priority,
        title: "Power supply failed: psu/1 of web1".to_owned(),
        site: Some(SiteId::new(site).unwrap()),
        server: ServerId::new("s1").unwrap(),
        component: ComponentId::new(ComponentClass::PowerSupply, "1").unwrap(),
        fault: "psu_failure".to_owned(),
        rule: "psu.failed".to_owned(),
        predicted: false,
        reason: "input 230 V, output 0 W".to_owned(),
        evidence: Vec::new(),
        onset: at(-60),
        part_serial: Some("PS9".to_owned()),
    };
    let (ticket, entry) = Ticket::open(opening, WHO, at(0));
    TicketRecord { ticket, log: vec![entry], change: 1 }
}

fn then(mut record: TicketRecord, who: &str, action: Action, when: i64) -> TicketRecord {
    let command = Command { who: who.to_owned(), why: String::new(), action };
    let entry = apply(&record.ticket, command, at(when)).unwrap();
    record.ticket = record.ticket.after(&entry);
    record.log.push(entry);
    record
}

fn web1() -> Subject {
    Subject { server_name: "web1".to_owned(), customer: Some("acme".to_owned()) }
}

fn made(record: &TicketRecord, mark: u32, now: i64) -> Vec<NoticeDraft> {
    drafts(&config(), record, mark, at(-100), &web1(), at(now))
}

fn notice(draft: NoticeDraft) -> Notice {
    Notice {
        id: 1,
        draft,
        key: "k".to_owned(),
        state: outband_store::NoticeState::Pending,
        attempts: 0,
        made_at: at(0),
        settled_at: None,
        error: String::new(),
        batch: None,
    }
}

fn names(drafts: &[NoticeDraft]) -> Vec<(u32, &str)> {
    drafts.iter().map(|d| (d.step, d.recipient.as_str())).collect()
}

#[test]
fn an_opened_ticket_is_told_at_once_on_both_channels_and_to_the_fallback_later() {
    let drafts = made(&opened(Priority::P1, "dc1"), 0, 1);
    assert_eq!(names(&drafts), [(0, "li"), (0, "duty"), (1, "boss")]);
    assert_eq!((drafts[0].not_before, drafts[2].not_before), (at(0), at(600)));
    assert!(drafts.iter().all(|d| !d.digest), "P1 waits for no digest");
    assert_eq!(drafts[0].subject, "【P1】工单 7 已创建：电源模块故障或即将故障（web1 · psu/1）");
    assert!(drafts[1].body.contains("input 230 V, output 0 W") && drafts[1].body.contains("outband notices ack 7"));
}

#[test]
fn what_was_told_is_not_told_again() {
    let record = then(opened(Priority::P2, "dc1"), "wang", Action::Start, 5);
    assert!(made(&record, 1, 6).is_empty());
    assert!(made(&record, 2, 6).is_empty());
}

#[test]
fn what_is_old_when_the_collector_comes_to_it_pages_nobody() {
    assert!(made(&opened(Priority::P1, "dc1"), 0, 2 * 60 * 60).is_empty());
    let since = at(1);
    assert!(drafts(&config(), &opened(Priority::P1, "dc1"), 0, since, &web1(), at(2)).is_empty());
}

#[test]
fn what_is_not_urgent_may_wait_for_the_digest() {
    let drafts = made(&opened(Priority::P4, "dc1"), 0, 1);
    assert!(drafts[0].digest && drafts[0].not_before > at(0) && !drafts[1].digest);
    assert_eq!(drafts[0].not_before.as_secs() % 3600, 0);
}

#[test]
fn a_customer_reads_plain_words_and_no_serial_numbers() {
    let repaired = Action::Resolve { resolution: Resolution::Repaired };
    let record = then(opened(Priority::P2, "dc2"), "wang", repaired, 5);
    let drafts = made(&record, 1, 6);
    let told = drafts.iter().find(|d| d.recipient == "customer").unwrap();
    assert!(told.body.contains("power supplies") && !told.body.contains("PS9") && !told.body.contains("psu/1"));
    assert!(made(&opened(Priority::P2, "dc2"), 0, 1).iter().all(|d| d.recipient != "customer"));
}

#[test]
fn internal_comments_are_told_to_nobody() {
    let say = |visibility| Action::Comment { text: "parts at noon".to_owned(), visibility };
    let record = then(opened(Priority::P2, "dc2"), "wang", say(Visibility::Internal), 5);
    assert!(made(&record, 1, 6).is_empty());
    let record = then(record, "wang", say(Visibility::Customer), 7);
    assert!(made(&record, 2, 8)[0].body.contains("parts at noon"));
}

#[test]
fn a_lower_priority_is_no_alarm_and_a_higher_one_is() {
    let to = |priority| Action::Prioritise { priority, rebase: Rebase::Change };
    let lower = then(opened(Priority::P2, "dc1"), "wang", to(Priority::P3), 5);
    assert!(made(&lower, 1, 6).is_empty());
    let higher = then(lower, "wang", to(Priority::P1), 7);
    assert_eq!(made(&higher, 2, 8)[0].cause, "worse");
}

#[test]
fn a_fallback_is_dropped_once_somebody_acknowledges_and_not_by_the_collector_itself() {
    let record = opened(Priority::P1, "dc1");
    let li = config().recipients["li"].clone();
    let fallback = notice(made(&record, 0, 1).remove(2));
    assert_eq!(judge(&fallback, &record, &li, at(600)), Judged::Send);
    let own = then(record.clone(), WHO, Action::Acknowledge { level: 1 }, 5);
    assert_eq!(judge(&fallback, &own, &li, at(600)), Judged::Send);
    let seen = then(record.clone(), "wang", Action::Acknowledge { level: 1 }, 5);
    assert!(matches!(judge(&fallback, &seen, &li, at(600)), Judged::Drop(_)));
    let first = notice(made(&record, 0, 1).remove(0));
    assert_eq!(judge(&first, &seen, &li, at(600)), Judged::Send, "what is to be told at once is told");
}

#[test]
fn a_suppressed_ticket_is_told_when_its_window_ends() {
    let until = Some(at(90));
    let record = then(opened(Priority::P1, "dc1"), WHO, Action::Suppress { by: "window 3".to_owned(), until }, 0);
    let li = config().recipients["li"].clone();
    let first = notice(made(&record, 0, 1).remove(0));
    assert_eq!(judge(&first, &record, &li, at(1)), Judged::Wait(at(61), "held by window 3".to_owned()));
    assert_eq!(judge(&first, &record, &li, at(61)), Judged::Wait(at(90), "held by window 3".to_owned()));
    assert_eq!(judge(&first, &record, &li, at(90)), Judged::Send);
    let over = then(record.clone(), "wang", Action::Resolve { resolution: Resolution::Repaired }, 20);
    assert!(matches!(judge(&first, &over, &li, at(21)), Judged::Drop(_)), "what is over before the window ends");
    let released = then(record, WHO, Action::Release, 30);
    assert_eq!(judge(&first, &released, &li, at(31)), Judged::Send);
}

#[test]
fn a_customer_is_told_of_his_own_servers_only_and_a_rule_that_tells_more_is_refused() {
    let all = CONFIG.replace("sites = [\"dc2\"]\n", "");
    assert_eq!(toml::from_str::<Notify>(&all).unwrap().problems().len(), 1);
    let his = CONFIG.replace("sites = [\"dc2\"]", "customers = ['acme']");
    let notify: Notify = toml::from_str(&his).unwrap();
    assert_eq!(notify.problems(), []);
    let resolved = Action::Resolve { resolution: Resolution::Repaired };
    let record = then(opened(Priority::P2, "dc1"), "wang", resolved, 5);
    let told = |subject: &Subject| {
        drafts(&notify, &record, 1, at(-100), subject, at(6)).iter().any(|d| d.recipient == "customer")
    };
    assert!(told(&web1()));
    assert!(!told(&Subject { customer: Some("other".to_owned()), ..web1() }));
    assert!(!told(&Subject { customer: None, ..web1() }));
}

#[test]
fn p1_on_one_channel_only_is_refused() {
    let one = CONFIG.replace("to = [\"li\", \"duty\"]", "to = [\"li\", \"boss\"]");
    let notify: Notify = toml::from_str(&one).unwrap();
    assert_eq!(notify.problems().len(), 1);
    let spread = one.replace("[[rules]]\nsites", "[[rules]]\nto = ['duty']\n[[rules]]\nsites");
    let notify: Notify = toml::from_str(&spread).unwrap();
    assert_eq!(notify.problems(), [], "each rule has one channel of its own, but both fit every ticket");
}
