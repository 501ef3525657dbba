//! One case, and what is made of it.

mod case;

use super::case::Case;
use super::course::{Course, course};
use super::{Format, Pack, Zone, files, html, speech};
use crate::service::Service;
use crate::words::Lang;
use case::*;
use outband_schemas::{AgentId, ComponentClass, Identity, OrderKind, SiteId, State, TargetId, Timestamp};
use outband_store::order::{Order, OrderState};
use outband_ticket::{Action, Command, Evidence, Resolution, apply};
use proptest::prelude::*;
use std::path::PathBuf;

const SECRETS: [&str; 8] =
    ["10.77.66.55", "fd00::77", "Hunter2", "mallory", "zhangsan", "root@bastion.example", "s3cr3t-t0ken", "李雷"];

fn pack(case: &Case, lang: Lang) -> Pack {
    Pack::of(case, lang, &Zone::of("Asia/Shanghai").unwrap()).unwrap()
}

/// Compares with a file beside these tests; writes it where `OUTBAND_BLESS` is set.
fn golden(name: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/callpack/golden").join(name);
    if std::env::var_os("OUTBAND_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == text, "{name} is not what it was: look at it, then OUTBAND_BLESS=1\n{text}");
}

#[test]
fn a_pack_says_what_it_said() {
    let mut drill = full();
    let mut record = drill.record.take().unwrap();
    let entry = apply(
        &record.ticket,
        Command { who: "collector".to_owned(), why: String::new(), action: Action::Drill },
        at("2026-03-01T02:21:00Z"),
    )
    .unwrap();
    record.ticket = record.ticket.after(&entry);
    record.log.push(entry);
    drill.sources.tickets = vec![record.clone()];
    drill.record = Some(record);
    for (lang, tag) in [(Lang::En, "en"), (Lang::ZhCn, "zh-CN")] {
        let pack = pack(&full(), lang);
        golden(&format!("{tag}.txt"), &speech::text(&pack));
        golden(&format!("{tag}.html"), &html::html(&pack));
        golden(
            &format!("{tag}.json"),
            &String::from_utf8(files::write(&full(), &pack, Format::Json).unwrap()).unwrap(),
        );
        let text = speech::text(&self::pack(&drill, lang));
        assert!(text.starts_with("THIS IS A DRILL") || text.starts_with("【演练】"), "{text}");
    }
}

#[test]
fn nothing_that_is_nobodys_business_gets_out_in_any_form() {
    let case = full();
    for lang in Lang::ALL {
        let pack = pack(&case, lang);
        for format in [Format::Text, Format::Html, Format::Json, Format::Zip] {
            let file = files::write(&case, &pack, format).unwrap();
            let text = String::from_utf8_lossy(&file);
            for secret in SECRETS {
                assert!(!text.contains(secret), "{secret} in {format:?}: {}", around(&text, secret));
            }
            assert!(text.contains("CN7A"), "{format:?}");
        }
    }
}

fn around(text: &str, what: &str) -> String {
    let at = text.find(what).unwrap_or(0);
    text.chars().skip(text[..at].chars().count().saturating_sub(60)).take(140).collect()
}

#[test]
fn the_last_change_before_the_fault_is_the_one_that_is_told() {
    let pack = pack(&full(), Lang::En);
    let change = pack.last_change.unwrap();
    assert!(change.text.contains("firmware 2.75.75.75 → 2.81.81.81"), "{change:?}");
    // By the agent's clock at 10:05Z; the log's entry of it, at 10:00:00Z once corrected, is the one before.
    assert_eq!(change.time, "2026-02-28 18:05:00");
    assert_eq!(
        (pack.earlier_changes[0].time.as_str(), pack.earlier_changes[0].clock),
        ("2026-02-28 18:00:00", "bmc_corrected")
    );
}

#[test]
fn what_is_not_on_record_is_said_to_be_so_and_becomes_a_question() {
    let record = ticket(Vec::new());
    let mut case = full();
    case.server.as_mut().unwrap().identity = Identity::default();
    case.sources.parts.clear();
    (case.place, case.contract, case.customer, case.record) = (None, None, None, Some(record));
    let pack = pack(&case, Lang::En);
    for key in ["serial", "asset_tag", "model", "contract", "rack", "unit", "hostname", "os"] {
        let fact = pack.facts.iter().find(|f| f.key == key).unwrap();
        assert_eq!((fact.value.as_deref(), fact.source), (None, "none"), "{key}");
        let question = pack.questions.iter().find(|q| q.question == fact.ask.0).unwrap_or_else(|| panic!("{key}"));
        assert!(question.answer.is_none() && question.how.as_ref().is_some_and(|how| !how.is_empty()), "{key}");
    }
    assert!(speech::text(&pack).contains("Contract: not on record."));
    assert!(pack.questions.iter().all(|q| q.answer.is_some() != q.how.is_some()), "an answer or a way to it");
}

#[test]
fn a_question_that_is_answered_by_what_is_stored_names_its_source() {
    let pack = pack(&full(), Lang::En);
    let of = |text: &str| pack.questions.iter().find(|q| q.question.contains(text)).unwrap();
    assert!(of("What was changed last").answer.as_ref().unwrap().contains("2.81.81.81"));
    assert_eq!(of("What can people not do").answer.as_deref(), Some("core trading slow, 300 orders a minute"));
    assert!(
        pack.questions.iter().filter(|q| q.answer.is_some()).all(|q| q.source.as_ref().is_some_and(|s| !s.is_empty()))
    );
    assert!(of("LED of the drive").answer.is_none());
    assert!(of("message on the screen").how.as_ref().unwrap().contains("photo"));
}

#[test]
fn a_fault_that_was_well_in_between_is_intermittent_and_says_by_which_rule() {
    let case = full();
    let ticket = &case.record.as_ref().unwrap().ticket;
    let of = |states: &[(State, &str)]| {
        let points: Vec<_> =
            states.iter().map(|(s, when)| state("Bay 3", ComponentClass::Disk, "status", *s, "", when)).collect();
        let mut sources = case.sources.clone();
        sources.events.clear();
        course(ticket, &sources, &points)
    };
    assert_eq!(of(&[]), Course::Worsening, "a prediction");
    assert_eq!(of(&[(State::Ok, "2026-03-01T01:00:00Z"), (State::Critical, "2026-03-01T02:00:00Z")]), Course::Constant);
    let bouts = [
        (State::Critical, "2026-03-01T02:00:00Z"),
        (State::Ok, "2026-03-01T02:10:00Z"),
        (State::Warning, "2026-03-01T02:20:00Z"),
    ];
    assert_eq!(of(&bouts), Course::Intermittent { bouts: 2 });
    assert_eq!(
        of(&[bouts[0], (State::Ok, "2026-02-01T00:00:00Z")]),
        Course::Constant,
        "what is too old does not count"
    );
    for lang in Lang::ALL {
        assert!(html::html(&pack(&case, lang)).contains(super::course::rule(lang)));
    }
}

#[test]
fn a_ticket_that_was_reopened_or_had_one_before_it_is_intermittent() {
    let record = ticket(vec![
        ("2026-03-01T02:06:00Z", "zhangsan", Action::Assign { to: "zhangsan".to_owned() }),
        ("2026-03-01T02:07:00Z", "zhangsan", Action::Start),
        ("2026-03-01T02:10:00Z", "zhangsan", Action::Resolve { resolution: Resolution::Repaired }),
        ("2026-03-01T02:20:00Z", "collector", Action::Reopen),
    ]);
    let mut sources = full().sources;
    sources.tickets = vec![record.clone()];
    assert_eq!(course(&record.ticket, &sources, &[]), Course::Intermittent { bouts: 2 });
}

#[test]
fn a_pack_of_a_site_names_its_parts_and_asks_for_no_serial() {
    let mut case = full();
    let member = case.record.clone().unwrap().ticket;
    (case.server, case.place, case.contract) = (None, None, None);
    case.members = vec![member];
    let pack = pack(&case, Lang::En);
    assert_eq!((pack.members_total, pack.members[0].ticket), (1, 12));
    assert!(pack.fact("serial").is_none() && !speech::text(&pack).contains("Serial number"));
    assert!(speech::text(&pack).contains("1 open tickets are a part of it."));
}

#[test]
fn the_raw_log_is_as_it_came_but_for_what_was_taken_out() {
    let case = full();
    let zip = files::write(&case, &pack(&case, Lang::En), Format::Zip).unwrap();
    let files = unzip(&zip);
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        ["callpack.json", "callpack.html", "callpack.txt", "log/Systems_1_Sel.jsonl", "log/sel.bin", "log/sel.jsonl"]
    );
    let of = |name: &str| &files.iter().find(|(n, _)| n == name).unwrap().1;
    assert_eq!(of("log/sel.bin"), &[[0u8; 16], [0x11; 16]].concat());
    let lines: Vec<serde_json::Value> = String::from_utf8_lossy(of("log/Systems_1_Sel.jsonl"))
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!((&lines[0]["redacted"], &lines[0]["raw"]), (&true.into(), &serde_json::Value::Null), "a login");
    assert_eq!(lines[1]["raw"]["Oem"]["UserName"], "[person]");
    assert_eq!(String::from_utf8_lossy(of("log/sel.jsonl")).lines().count(), 3);
}

/// Reads a zip file by its directory, as the format says.
fn unzip(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let short = |at: usize| usize::from(u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap()));
    let long = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let end = bytes.len() - 22;
    assert_eq!(&bytes[end..end + 4], b"PK\x05\x06");
    let (count, mut next) = (short(end + 10), long(end + 16));
    let mut files = Vec::new();
    for _ in 0..count {
        assert_eq!(&bytes[next..next + 4], b"PK\x01\x02");
        let (size, name, local) = (long(next + 24), short(next + 28), long(next + 42));
        let text = String::from_utf8(bytes[next + 46..next + 46 + name].to_vec()).unwrap();
        let from = local + 30 + short(local + 26) + short(local + 28);
        files.push((text, bytes[from..from + size].to_vec()));
        next += 46 + name;
    }
    assert_eq!(next, end);
    files
}

/// Whether every `<` of a page begins a tag of ours, and every tag that has to be closed is.
fn well_formed(html: &str) -> Result<(), String> {
    const VOID: [&str; 2] = ["meta", "!DOCTYPE"];
    const KNOWN: [&str; 22] = [
        "html", "head", "meta", "title", "style", "body", "p", "h1", "h2", "dl", "dt", "dd", "table", "tr", "td", "ol",
        "ul", "li", "span", "b", "!DOCTYPE", "br",
    ];
    let mut open: Vec<&str> = Vec::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        let (tag, tail) = rest[at + 1..].split_once('>').ok_or("a tag without an end")?;
        rest = tail;
        let closes = tag.starts_with('/');
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap_or_default();
        if !KNOWN.contains(&name) {
            return Err(format!("<{tag}> is none of ours"));
        }
        if closes {
            if open.pop() != Some(name) {
                return Err(format!("</{name}> closes nothing"));
            }
        } else if !VOID.contains(&name) {
            open.push(name);
        }
    }
    if open.is_empty() { Ok(()) } else { Err(format!("not closed: {open:?}")) }
}

#[test]
fn a_page_is_well_formed_and_brings_everything_with_it() {
    for lang in Lang::ALL {
        let html = html::html(&pack(&full(), lang));
        well_formed(&html).unwrap();
        assert!(!html.contains("http://") && !html.contains("https://") && !html.contains("src="));
    }
    assert!(well_formed("<p><script></p>").is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_text_of_anybody_breaks_a_file(
        texts in proptest::collection::vec("(\\PC|[<>&\"'/\\x00-\\x1f\u{202e}\u{2028}]|</td>|<script>|]]>){0,24}", 9),
        millis in any::<i64>(),
    ) {
        let mut case = full();
        let mut record = ticket(Vec::new());
        let text = |i: usize| texts[i].clone();
        record.ticket.title = text(0);
        record.ticket.reason = text(1);
        record.ticket.fault = text(2);
        record.ticket.onset = Timestamp::from_millis(millis);
        record.ticket.evidence = vec![Evidence { observed_at: Timestamp::from_millis(millis), text: text(3) }];
        case.record = Some(record);
        case.server.as_mut().unwrap().identity.serial = Some(text(4));
        case.server.as_mut().unwrap().identity.hostname = Some(text(5));
        case.sources.events[3].event.message = text(6);
        case.sources.events[3].event.log = text(7);
        case.sources.events[3].event.raw = text(8);
        case.sources.events[3].event.bmc_time = Some(Timestamp::from_millis(millis));
        for lang in Lang::ALL {
            let pack = pack(&case, lang);
            prop_assert!(well_formed(&html::html(&pack)).is_ok(), "{:?}", well_formed(&html::html(&pack)));
            let json = files::write(&case, &pack, Format::Json).unwrap();
            let read: serde_json::Value = serde_json::from_slice(&json).unwrap();
            prop_assert_eq!(&read["ticket"], 12);
            let zip = files::write(&case, &pack, Format::Zip).unwrap();
            prop_assert!(unzip(&zip).len() >= 4);
            prop_assert_eq!(files::write(&case, &pack, Format::Zip).unwrap(), zip, "the same state, the same bytes");
            prop_assert!(speech::text(&pack).chars().all(|c| c == '\n' || !c.is_control()));
        }
    }

    #[test]
    fn the_order_in_which_things_are_stored_changes_nothing(seed in any::<u64>()) {
        use rand::SeedableRng;
        use rand::seq::SliceRandom;
        let mut random = rand::rngs::StdRng::seed_from_u64(seed);
        let mut shuffled = full();
        shuffled.sources.events.shuffle(&mut random);
        shuffled.sources.gaps.shuffle(&mut random);
        shuffled.sources.firmware.shuffle(&mut random);
        shuffled.sources.power.shuffle(&mut random);
        let (one, other) = (full(), shuffled);
        prop_assert_eq!(
            files::write(&one, &pack(&one, Lang::En), Format::Zip).unwrap(),
            files::write(&other, &pack(&other, Lang::En), Format::Zip).unwrap()
        );
    }
}

#[test]
fn a_contact_with_a_number_and_no_recipient_is_one_that_people_call() {
    let text = r#"
[customers.acme]
name = "Acme Ltd"
[packages.gold]
clocks = []
[contracts.c]
customer = "acme"
package = "gold"
from = "2026-01-01"
until = "2026-12-31"
[[contracts.c.contacts.hotline]]
name = "Northgate"
phone = "400-810-1234"
source = "label on the chassis"
verified_by = "ann"
verified = "2026-01-15"
"#;
    let service = Service::parse(text).unwrap();
    let contact = &service.contracts["c"].contacts["hotline"][0];
    assert_eq!(
        (contact.phone.as_deref(), contact.source.as_deref()),
        (Some("400-810-1234"), Some("label on the chassis"))
    );
}

#[test]
fn an_order_that_was_carried_out_is_among_what_was_tried() {
    let mut case = full();
    let done = |text: &str, source: &str| (text.to_owned(), source.to_owned());
    case.orders.push(Order {
        id: 3,
        revision: 4,
        wire_id: "w".to_owned(),
        kind: OrderKind::ResetBmc,
        server: server_id(),
        site: SiteId::new("dc1").unwrap(),
        model: None,
        agent: AgentId::new("a1").unwrap(),
        target: TargetId::new("r1-u07").unwrap(),
        ticket: None,
        reason: "it hangs".to_owned(),
        requester: "zhangsan".to_owned(),
        requested_at: at("2026-03-01T02:12:00Z"),
        approver: Some("李雷".to_owned()),
        approved_at: None,
        expires_at: at("2026-03-01T03:12:00Z"),
        state: OrderState::Done,
        sent_at: None,
        sent_after: 0,
        spool_id: None,
        settled_at: Some(at("2026-03-01T02:15:00Z")),
        detail: "zhangsan saw it come back".to_owned(),
        content_bytes: 0,
        told: true,
    });
    for (lang, text) in [(Lang::En, "order 3: the BMC was restarted"), (Lang::ZhCn, "指令 3：已重启 BMC")] {
        let tried = pack(&case, lang).tried;
        let at = tried.iter().position(|line| (line.text.clone(), line.source.to_owned()) == done(text, "order"));
        assert!(at.is_some_and(|at| at > 0 && at < tried.len() - 1), "in its place: {tried:?}");
    }
}
