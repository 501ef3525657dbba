use super::*;
use outband_schemas::{ComponentClass, ComponentId, ServerId, SiteId};
use outband_ticket::escalation::When;
use outband_ticket::{
    Calendar, Command, Opening, Priority, Rebase, Resolution, SlaPolicy, Target, TicketNumber, apply,
};

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
[recipients.wang]
channel = "mail"
to = "wang@example.com"
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

/// The default promises, with two steps on the repair of a P1.
fn policies() -> Policies {
    let mut usual = SlaPolicy::default();
    let repair = usual.clocks.iter_mut().find(|c| c.name == Target::REPAIR).unwrap();
    let step = |level, to: &[&str], each| Step {
        level,
        when: When::Percent(50),
        to: to.iter().map(|name| (*name).to_owned()).collect(),
        each: Duration::from_secs(each),
    };
    repair.steps = vec![step(1, &["engineer", "boss"], 300), step(2, &["nobody", "duty"], 60)];
    usual.into()
}

fn calendars() -> Calendars {
    Calendar::always().into()
}

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
    let contact = |name: &str, recipients: &[&str], verified: &str| -> Contact {
        toml::from_str(&format!("name = '{name}'\nrecipients = {recipients:?}\nverified = '{verified}'")).unwrap()
    };
    // The first minute of 1 800 000 000 s is that of 2027-01-15.
    let engineers =
        vec![contact("Li Wei", &["li", "duty"], "2026-12-01"), contact("Wang Fang", &["wang"], "2026-01-01")];
    Subject {
        server_name: "web1".to_owned(),
        customer: Some("acme".to_owned()),
        contacts: BTreeMap::from([("engineer".to_owned(), engineers)]),
    }
}

fn made(record: &TicketRecord, mark: u32, now: i64) -> Vec<NoticeDraft> {
    told(&config(), record, mark, at(-100), &web1(), at(now))
}

fn told(
    notify: &Notify,
    record: &TicketRecord,
    mark: u32,
    since: Timestamp,
    subject: &Subject,
    now: Timestamp,
) -> Vec<NoticeDraft> {
    drafts(By { notify, policies: &policies() }, record, mark, since, subject, now)
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
    assert_eq!(drafts[0].subject, "【P1】工单 7 已创建：电源模块故障（web1 · psu/1）");
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
    assert!(told(&config(), &opened(Priority::P1, "dc1"), 0, since, &web1(), at(2)).is_empty());
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
    assert_eq!(judge(&fallback, &record, &li, &calendars(), at(600)), Judged::Send);
    let own = then(record.clone(), WHO, Action::Acknowledge { level: 1 }, 5);
    assert_eq!(judge(&fallback, &own, &li, &calendars(), at(600)), Judged::Send);
    let seen = then(record.clone(), "wang", Action::Acknowledge { level: 1 }, 5);
    assert!(matches!(judge(&fallback, &seen, &li, &calendars(), at(600)), Judged::Drop(_)));
    let first = notice(made(&record, 0, 1).remove(0));
    assert_eq!(judge(&first, &seen, &li, &calendars(), at(600)), Judged::Send, "what is to be told at once is told");
}

#[test]
fn a_suppressed_ticket_is_told_when_its_window_ends() {
    let until = Some(at(90));
    let record = then(opened(Priority::P1, "dc1"), WHO, Action::Suppress { by: "window 3".to_owned(), until }, 0);
    let li = config().recipients["li"].clone();
    let first = notice(made(&record, 0, 1).remove(0));
    assert_eq!(judge(&first, &record, &li, &calendars(), at(1)), Judged::Wait(at(61), "held by window 3".to_owned()));
    assert_eq!(judge(&first, &record, &li, &calendars(), at(61)), Judged::Wait(at(90), "held by window 3".to_owned()));
    assert_eq!(judge(&first, &record, &li, &calendars(), at(90)), Judged::Send);
    let over = then(record.clone(), "wang", Action::Resolve { resolution: Resolution::Repaired }, 20);
    assert!(
        matches!(judge(&first, &over, &li, &calendars(), at(21)), Judged::Drop(_)),
        "what is over before the window ends"
    );
    let released = then(record, WHO, Action::Release, 30);
    assert_eq!(judge(&first, &released, &li, &calendars(), at(31)), Judged::Send);
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
    let hears = |subject: &Subject| {
        told(&notify, &record, 1, at(-100), subject, at(6)).iter().any(|d| d.recipient == "customer")
    };
    assert!(hears(&web1()));
    assert!(!hears(&Subject { customer: Some("other".to_owned()), ..web1() }));
    assert!(!hears(&Subject { customer: None, ..web1() }));
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

fn step(level: u32) -> Action {
    Action::Step { target: Target::REPAIR, cycle: 1, level }
}

#[test]
fn a_step_asks_the_contacts_of_a_role_in_their_order_and_then_the_next_name() {
    let record = then(opened(Priority::P1, "dc1"), WHO, step(1), 1800);
    let drafts = made(&record, 1, 1801);
    // Li is told on both of his channels at once; the rule tells both already, so that he is not asked there a second time.
    assert_eq!(names(&drafts), [(0, "li"), (0, "duty"), (1, "boss"), (2, "wang"), (3, "boss")]);
    let when = |i: usize| drafts[i].not_before.since(at(1800)).as_secs();
    assert_eq!([when(3), when(4)], [300, 600]);
    assert!(drafts.iter().all(|d| d.cause == "escalation"));
}

#[test]
fn whoever_is_asked_learns_who_else_is_and_whose_address_may_be_out_of_date() {
    let record = then(opened(Priority::P1, "dc1"), WHO, step(1), 1800);
    let drafts = made(&record, 1, 1801);
    let body = &drafts[3].body;
    assert!(body.contains("Asked: Li Wei (engineer) → Wang Fang (engineer) → boss"), "{body}");
    assert!(body.contains("Check contact: Wang Fang (engineer) was last verified 379 days ago"), "{body}");
    assert!(!body.contains("Check contact: Li Wei"), "{body}");
}

#[test]
fn whoever_has_only_a_number_is_named_and_delays_nobody() {
    let record = then(opened(Priority::P1, "dc1"), WHO, step(1), 1800);
    let mut subject = web1();
    let hotline = toml::from_str("name = 'Hotline'\nphone = '400-810-1234'").unwrap();
    subject.contacts.get_mut("engineer").unwrap().insert(1, hotline);
    let drafts = told(&config(), &record, 1, at(-100), &subject, at(1801));
    let plain = made(&record, 1, 1801);
    let when =
        |all: &[NoticeDraft]| all.iter().map(|d| (d.step, d.recipient.clone(), d.not_before)).collect::<Vec<_>>();
    assert_eq!(when(&drafts), when(&plain));
    let asked = "Asked: Li Wei (engineer) → call Hotline (engineer): 400-810-1234 → Wang Fang (engineer) → boss";
    assert!(drafts[3].body.contains(asked), "{}", drafts[3].body);
}

#[test]
fn a_name_that_nobody_knows_delays_nobody() {
    let quiet: Notify = toml::from_str(CONFIG.split("[[rules]]").next().unwrap()).unwrap();
    let record = then(opened(Priority::P1, "dc1"), WHO, step(2), 1800);
    let drafts = told(&quiet, &record, 1, at(-100), &web1(), at(1801));
    assert_eq!(names(&drafts), [(1, "duty")]);
    assert_eq!(drafts[0].not_before, at(1800));
}

#[test]
fn who_is_asked_is_asked_no_more_once_somebody_acknowledges_on_whichever_channel() {
    let record = then(opened(Priority::P1, "dc1"), WHO, step(2), 1800);
    let quiet: Notify = toml::from_str(CONFIG.split("[[rules]]").next().unwrap()).unwrap();
    let asked = notice(told(&quiet, &record, 1, at(-100), &web1(), at(1801)).remove(0));
    let duty = quiet.recipients["duty"].clone();
    assert_eq!(judge(&asked, &record, &duty, &calendars(), at(1801)), Judged::Send);
    let seen = then(record, "wang", Action::Acknowledge { level: 2 }, 1802);
    assert!(matches!(judge(&asked, &seen, &duty, &calendars(), at(1803)), Judged::Drop(_)));
}

#[test]
fn a_clock_that_is_likely_to_be_missed_is_told_once_and_asks_nobody() {
    let record = then(opened(Priority::P2, "dc1"), WHO, step(Step::FORETOLD), 1800);
    let drafts = made(&record, 1, 1801);
    assert_eq!(names(&drafts), [(0, "li"), (0, "duty")]);
    assert!(drafts.iter().all(|d| d.cause == "at_risk"));
}

#[test]
fn what_has_become_urgent_since_is_not_kept_quiet() {
    let mut config = config();
    let li = config.recipients.get_mut("li").unwrap();
    li.quiet = Some(toml::from_str("from = '00:00'\nto = '23:59'").unwrap());
    let li = li.clone();
    let calm = opened(Priority::P3, "dc1");
    let told = notice(made(&calm, 0, 1).remove(0));
    assert!(matches!(judge(&told, &calm, &li, &calendars(), at(1)), Judged::Wait(..)));
    let raised = Action::Prioritise { priority: Priority::P1, rebase: Rebase::Change };
    let urgent = then(calm, "wang", raised, 5);
    assert_eq!(judge(&told, &urgent, &li, &calendars(), at(6)), Judged::Send);
}

#[test]
fn an_access_that_is_open_when_the_ticket_is_resolved_is_told_to_operators_and_to_no_customer() {
    let mut notify = config();
    notify.rules[1].causes.push(Cause::Access);
    let resolved = then(opened(Priority::P2, "dc2"), "wang", Action::Resolve { resolution: Resolution::Repaired }, 10);
    let given = AccessStep::Granted { holder: "zhao".to_owned(), role: "viewer".to_owned(), until: at(99) };
    let granted = then(resolved, "wang", Action::Access { grant: 3, step: given }, 20);
    let reminded = then(granted, WHO, Action::Access { grant: 3, step: AccessStep::Reminded }, 30);
    let drafts = told(&notify, &reminded, 2, at(-100), &web1(), at(31));
    let who: Vec<_> = drafts.iter().map(|d| (d.seq, d.cause.as_str(), d.recipient.as_str())).collect();
    assert_eq!(who, [(4, "access", "li"), (4, "access", "duty")]);
}

fn kind(class: outband_schemas::TriageClass) -> Action {
    let confidence = outband_schemas::Confidence::Likely;
    Action::Triage { triage: outband_schemas::Triage { class, confidence, because: vec!["seen".to_owned()] } }
}

#[test]
fn a_rule_for_a_kind_of_trouble_is_told_when_a_ticket_is_of_that_kind_or_turns_out_to_be() {
    use outband_schemas::TriageClass::{EnvironmentPower, Hardware};
    let mut notify = config();
    let facility: Rule = toml::from_str("triage = [\"environment_power\"]\nto = [\"wang\"]").unwrap();
    notify.rules.push(facility);
    assert_eq!(notify.problems(), [], "whoever is told of every kind pages for it, too");
    let told = |record: &TicketRecord, mark| {
        let drafts = told(&notify, record, mark, at(-100), &web1(), at(9));
        drafts.iter().filter(|d| d.recipient == "wang").count()
    };
    let power = then(opened(Priority::P2, "dc1"), WHO, kind(EnvironmentPower), 0);
    assert_eq!(told(&power, 0), 1);
    let part = then(opened(Priority::P2, "dc1"), WHO, kind(Hardware), 0);
    assert_eq!(told(&part, 0), 0);
    let turned = then(part.clone(), WHO, kind(EnvironmentPower), 5);
    assert_eq!(told(&turned, 2), 1, "it is news to them");
    let others = |mark| {
        let drafts =
            super::drafts(By { notify: &notify, policies: &policies() }, &turned, mark, at(-100), &web1(), at(9));
        drafts.iter().filter(|d| d.recipient != "wang").count()
    };
    assert_eq!(others(2), 0, "and to nobody else");
    assert_eq!(told(&then(turned.clone(), WHO, kind(Hardware), 7), 3), 0);
}

#[test]
fn routing_follows_the_kind_that_a_person_set_and_not_what_is_computed_after_it() {
    use outband_schemas::TriageClass::{EnvironmentPower, Hardware, Network};
    let mut notify = config();
    for (class, who) in [("environment_power", "wang"), ("network", "boss")] {
        notify.rules.push(toml::from_str(&format!("triage = [\"{class}\"]\nto = [\"{who}\"]")).unwrap());
    }
    let told = |record: &TicketRecord, mark, who: &str| {
        let drafts = told(&notify, record, mark, at(-100), &web1(), at(9));
        drafts.iter().filter(|d| d.recipient == who).count()
    };
    let set = |record: &TicketRecord, class, when| {
        let mut record = record.clone();
        let action = Action::SetTriage { class };
        let command = Command { who: "li".to_owned(), why: "looked at it".to_owned(), action };
        let entry = apply(&record.ticket, command, at(when)).unwrap();
        record.ticket = record.ticket.after(&entry);
        record.log.push(entry);
        record
    };
    let part = then(opened(Priority::P2, "dc1"), WHO, kind(Hardware), 0);
    let moved = set(&part, Some(EnvironmentPower), 3);
    assert_eq!(told(&moved, 2, "wang"), 1, "it is news to them");
    let boss_before = told(&moved, 3, "boss");
    let computed = then(moved.clone(), WHO, kind(Network), 5);
    assert_eq!(told(&computed, 3, "boss"), boss_before, "what is computed moves it to nobody");
    assert_eq!(told(&computed, 3, "wang"), 0, "nor is it told twice");
    let same = set(&moved, Some(EnvironmentPower), 6);
    assert_eq!(told(&same, 3, "wang"), 0, "the same kind again is no news");
    let cleared = set(&computed, None, 7);
    assert_eq!(told(&cleared, 4, "boss"), boss_before + 1, "what was computed counts again");
}

#[test]
fn a_contact_for_another_kind_of_trouble_is_not_asked() {
    use outband_schemas::TriageClass::{EnvironmentPower, Hardware};
    let mut subject = web1();
    let facility: Contact =
        toml::from_str("name = 'Sun (power)'\nrecipients = ['boss']\ntriage = ['environment_power']").unwrap();
    subject.contacts.get_mut("engineer").unwrap().push(facility);
    let asked = |class| {
        let policies = policies();
        let step = &policies.usual().clock(&Target::REPAIR).unwrap().steps[0];
        let names = super::ask::asked(step, &subject.contacts, Some(class), &config());
        names.iter().any(|one| one.name.starts_with("Sun"))
    };
    assert!(asked(EnvironmentPower) && !asked(Hardware));
}
