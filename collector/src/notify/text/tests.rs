use super::*;
use crate::notify::plan::Asked;
use crate::service::Contact;
use outband_schemas::{ComponentClass, ComponentId, ServerId, SiteId};
use outband_ticket::{Opening, Priority, Resolution, Target, TicketNumber, Visibility};
use std::path::PathBuf;

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_800_000_000 + secs)
}

fn ticket(fault: Fault) -> Ticket {
    let opening = Opening {
        number: TicketNumber(7),
        priority: Priority::P1,
        title: String::new(),
        site: Some(SiteId::new("dc1").unwrap()),
        server: ServerId::new("s1").unwrap(),
        component: ComponentId::new(ComponentClass::Disk, "Bay 3").unwrap(),
        fault: fault.as_str().to_owned(),
        rule: "disk.smart_growth".to_owned(),
        predicted: false,
        reason: "reallocated sectors 8 -> 16 in 2 days".to_owned(),
        evidence: Vec::new(),
        onset: at(-600),
        part_serial: Some("ZC1A2B3C".to_owned()),
    };
    Ticket::open(opening, "collector", at(0)).0
}

/// What an entry of this cause looks like in a log.
fn entry(cause: Cause) -> Transition {
    let step = |level| Action::Step { target: Target::REPAIR, cycle: 1, level };
    let (action, why) = match cause {
        Cause::Opened => (Action::Open { priority: Priority::P1, opening: None }, ""),
        Cause::Worse => (Action::Escalate, ""),
        Cause::Reopened => (Action::Reopen, ""),
        Cause::Escalation => (step(2), "due 2027-01-15T08:30:00.000Z"),
        Cause::AtRisk => (
            step(0),
            "used 60%, due 2027-01-15T09:00:00.000Z, 4 ahead, 2 people, one takes 35 min (median of 12), met 2027-01-15T09:40:00.000Z",
        ),
        Cause::Breach => (Action::Breach { target: Target::REPAIR, cycle: 1 }, "due 2027-01-15T09:00:00.000Z"),
        Cause::Assigned => (Action::Assign { to: "li".to_owned() }, ""),
        Cause::Update => {
            let text = "The part arrives at noon.\nPlease leave the server on.".to_owned();
            (Action::Comment { text, visibility: Visibility::Customer }, "")
        }
        Cause::Waiting => (Action::WaitForCustomer, ""),
        Cause::Resolved => (Action::Resolve { resolution: Resolution::Repaired }, ""),
        Cause::Closed => (Action::Close, ""),
        Cause::Access => (Action::Access { grant: 3, step: outband_ticket::AccessStep::Reminded }, ""),
    };
    let state = outband_ticket::State::New;
    Transition { seq: 2, at: at(60), who: "li".to_owned(), why: why.to_owned(), action, from: Some(state), to: state }
}

fn to(lang: Lang, audience: Audience) -> Recipient {
    let mut to: Recipient = toml::from_str("channel = 'mail'\nto = 'li@example.com'\nzone = 'Asia/Shanghai'").unwrap();
    (to.language, to.audience) = (lang, audience);
    to
}

fn contact(name: &str, verified: Option<&str>) -> Contact {
    let verified = verified.map_or_else(String::new, |day| format!("verified = '{day}'"));
    toml::from_str(&format!("name = '{name}'\nrecipients = ['li']\n{verified}")).unwrap()
}

fn asked(to: &Recipient) -> Vec<Asked> {
    let one = |name: &str, verified: Option<&str>| Asked {
        name: format!("{name} (duty)"),
        recipients: vec![("li".to_owned(), to.clone())],
        contact: Some(contact(name, verified)),
    };
    vec![one("Li Wei", Some("2026-12-01")), one("Wang Fang", Some("2026-01-01")), one("Zhao Min", None)]
}

fn told(ticket: &Ticket, cause: Cause, step: u32, to: &Recipient) -> Text {
    let (entry, asked) = (entry(cause), asked(to));
    let asked = (cause == Cause::Escalation).then_some((asked.as_slice(), at(60)));
    text(&Facts { ticket, log: &[], entry: &entry, cause, step, server_name: "web-1.example.com", asked }, to)
}

/// To renew them after a change: `OUTBAND_BLESS=1 cargo test -p outband-collector golden`.
#[test]
fn every_kind_of_notice_reads_as_in_its_golden_file() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/notify/golden");
    for (lang, audience) in Lang::ALL.into_iter().flat_map(|l| Audience::ALL.map(|a| (l, a))) {
        let to = to(lang, audience);
        let calm = ticket(Fault::DiskFailure);
        let drill = Ticket { drill: true, ..calm.clone() };
        let mut all: Vec<(String, Text)> = Cause::ALL.map(|c| (c.as_str().to_owned(), told(&calm, c, 0, &to))).into();
        all.push(("opened, fallback".to_owned(), told(&calm, Cause::Opened, 1, &to)));
        all.push(("opened, drill".to_owned(), told(&drill, Cause::Opened, 0, &to)));
        let digest_of: Vec<Part<'_>> = all
            .iter()
            .take(2)
            .map(|(_, t)| Part { ticket: 7, priority: "P3", subject: &t.subject, body: &t.body })
            .collect();
        let digest = digest(&digest_of, lang);
        all.push(("digest".to_owned(), digest));
        let written: Vec<String> =
            all.iter().map(|(name, t)| format!("=== {name}\n{}\n---\n{}\n", t.subject, t.body)).collect();
        let written = written.join("\n");
        let file = folder.join(format!("{}_{audience:?}.txt", lang.tag()).to_lowercase());
        if std::env::var_os("OUTBAND_BLESS").is_some() {
            std::fs::write(&file, &written).unwrap();
        }
        let kept = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(kept == written, "{} is not what is told:\n{written}", file.display());
    }
}

#[test]
fn the_first_line_of_every_notice_fits_on_a_phone_and_says_what_is_wrong() {
    let mut longest = 0;
    for fault in Fault::ALL {
        for (lang, audience) in Lang::ALL.into_iter().flat_map(|l| Audience::ALL.map(|a| (l, a))) {
            for cause in Cause::ALL {
                for (step, drill) in [(0, false), (1, true)] {
                    let ticket = Ticket { number: TicketNumber(123_456), drill, ..ticket(fault) };
                    let line = told(&ticket, cause, step, &to(lang, audience)).subject;
                    longest = longest.max(line.chars().count());
                    assert!(line.chars().count() <= 60, "{line}");
                    assert!(line.contains("P1") && line.contains("123456"), "{line}");
                    let brief = words::brief(fault, audience, lang);
                    // A drill that nobody answered has the least room.
                    let shown: String = brief.chars().take(if drill { 3 } else { 20 }).collect();
                    assert!(line.contains(&shown) || step > 0, "{line} does not say {brief}");
                    assert_eq!(line.starts_with("DRILL") || line.starts_with("演练"), drill, "{line}");
                }
            }
        }
    }
    assert!(longest > 40);
}

#[test]
fn what_others_wrote_never_looks_like_a_line_of_ours() {
    let mut ticket = ticket(Fault::DiskFailure);
    ticket.reason = "sectors\nAcknowledge: outband notices ack 1\u{2028}\u{202e}\r\nBcc: x@example.com".to_owned();
    let to = to(Lang::En, Audience::Operator);
    let facts = Facts {
        ticket: &ticket,
        log: &[],
        entry: &entry(Cause::Opened),
        cause: Cause::Opened,
        step: 0,
        server_name: "web1\r\nBcc: x@example.com",
        asked: None,
    };
    let told = text(&facts, &to);
    assert!(!told.subject.contains(['\r', '\n']));
    assert_eq!(told.body.lines().filter(|l| l.starts_with("Acknowledge: ")).count(), 1);
    assert!(told.body.lines().all(|l| !l.starts_with("Bcc")) && !told.body.contains('\u{202e}'), "{}", told.body);
}

#[test]
fn a_comment_keeps_its_lines_and_each_of_them_is_set_in() {
    let told = told(&ticket(Fault::DiskFailure), Cause::Update, 0, &to(Lang::En, Audience::Customer));
    assert!(told.body.contains("Message: The part arrives at noon.\n  Please leave the server on."), "{}", told.body);
}

#[test]
fn a_customer_reads_no_name_of_those_who_work_on_the_ticket() {
    let ticket = ticket(Fault::DiskFailure);
    let said = |seq, who: &str, text: &str| {
        let action = Action::Comment { text: text.to_owned(), visibility: Visibility::Customer };
        Transition { seq, who: who.to_owned(), action, ..entry(Cause::Update) }
    };
    let log = [said(2, "wang", "on it"), said(3, "li", "wang brings the part;\nask Wang's desk or wang@example.com")];
    let of = |audience| {
        let (cause, server_name) = (Cause::Update, "web1");
        let facts = Facts { ticket: &ticket, log: &log, entry: &log[1], cause, step: 0, server_name, asked: None };
        text(&facts, &to(Lang::En, audience)).body
    };
    let (ours, theirs) = (of(Audience::Operator), of(Audience::Customer));
    assert!(ours.contains("wang brings the part"), "{ours}");
    assert!(theirs.contains("[person] brings the part;\n") && !theirs.contains("wang"), "{theirs}");
}

#[test]
fn a_digest_says_how_many_it_holds_and_leaves_no_first_line_out() {
    let body = "x".repeat(2000);
    let subjects: Vec<String> = (1..=50).map(|n| format!("[P3] Ticket {n} opened: disk failing — web{n}")).collect();
    let parts: Vec<Part<'_>> =
        (1..).zip(&subjects).map(|(ticket, subject)| Part { ticket, priority: "P3", subject, body: &body }).collect();
    let told = digest(&parts, Lang::En);
    assert_eq!(told.subject, "50 notices on 50 tickets, gravest P3");
    assert!(told.body.starts_with("This digest holds 50 notices:\n1. [P3] Ticket 1 opened"));
    assert!(subjects.iter().all(|subject| told.body.contains(subject)));
    assert!(told.body.ends_with("(in full: outband notices list)") && told.body.chars().count() < 40_000);
}

#[test]
fn a_contact_that_has_only_a_number_is_to_be_called() {
    let hotline: Contact = toml::from_str("name = 'Maker'\nphone = '400-810-1234'\nverified = '2027-01-01'").unwrap();
    for (lang, line) in [
        (Lang::En, "Asked: Li Wei (duty) → call Maker (maker): 400-810-1234"),
        (Lang::ZhCn, "依次通知：Li Wei (duty) → 致电 Maker (maker)：400-810-1234"),
    ] {
        let to = to(lang, Audience::Operator);
        let maker = Asked { name: "Maker (maker)".to_owned(), recipients: Vec::new(), contact: Some(hotline.clone()) };
        let mut asked = vec![asked(&to).swap_remove(0), maker];
        // Whoever is told by us is not called by people, whatever numbers are known.
        asked[0].contact.as_mut().unwrap().phone = Some("13800000000".to_owned());
        let (ticket, entry) = (ticket(Fault::DiskFailure), entry(Cause::Escalation));
        let facts = Facts {
            ticket: &ticket,
            log: &[],
            entry: &entry,
            cause: Cause::Escalation,
            step: 0,
            server_name: "web-1",
            asked: Some((&asked, at(60))),
        };
        let body = text(&facts, &to).body;
        assert!(body.lines().any(|l| l == line), "{body}");
        let customer = Recipient { audience: Audience::Customer, ..to };
        assert!(!text(&facts, &customer).body.contains("400-810"), "whom we call is not the customer's business");
    }
}
