//! A call pack: what is stored, put into words of one language, as one value.

use super::case::{BEFORE, Case};
use super::course::{self, course};
use super::timeline::{Entry, Timeline, What};
use super::{Zone, answer, pick};
use crate::words::{self, Audience, Lang};
use outband_health::Fault;
use outband_schemas::{ComponentClass, OrderKind, Part, Timestamp};
use outband_store::PartRecord;
use outband_store::order::Order;
use outband_ticket::{Action, Ticket};
use serde::Serialize;

/// The shape of the JSON document: grows when a field goes or means something else.
const SHAPE: &str = "outband.callpack/1";
/// So many earlier changes are told beside the last one.
const EARLIER: usize = 3;
/// So many parts of a larger incident are named; the number of all is told.
const MEMBERS: usize = 60;
/// What the impact on a customer is noted with on a ticket.
const IMPACT: [&str; 4] = ["impact:", "impact：", "影响:", "影响："];

/// Something on record, or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// Its name for programs, e.g. `serial`.
    pub key: &'static str,
    /// Its name for people.
    pub label: String,
    /// What is on record; `None`: nothing.
    pub value: Option<String>,
    /// Where it is from: `bmc`, `topology`, `service`, `agent`, or `none`.
    pub source: &'static str,
    /// Whether it has to be spelled on a telephone.
    #[serde(skip)]
    pub spelled: bool,
    /// What to ask where it is not on record, and how to find it. Empty: it need not be asked.
    #[serde(skip)]
    pub ask: (&'static str, &'static str),
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// When, in the pack's time zone.
    pub time: String,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// By which clock.
    pub clock: &'static str,
    /// Where it is from.
    pub source: &'static str,
    /// In words.
    pub text: String,
}

/// A question, and its answer where there is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Question {
    /// The question.
    pub question: String,
    /// What is known; `None`: it is open.
    pub answer: Option<String>,
    /// Where the answer is from.
    pub source: Option<String>,
    /// How to find the answer, where it is open.
    pub how: Option<String>,
}

/// Somebody who can be called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Contact {
    /// As what.
    pub role: String,
    /// Who.
    pub name: String,
    /// The number, where it is on record.
    pub phone: Option<String>,
    /// Where that is from, e.g. the label on the chassis.
    pub source: Option<String>,
    /// Who made sure of it.
    pub verified_by: Option<String>,
    /// The day on which somebody last did.
    pub verified: Option<String>,
    /// Whether that is too long ago.
    pub stale: bool,
}

/// A ticket that is a part of this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    /// Its number.
    pub ticket: u64,
    /// The line that names it.
    pub title: String,
}

/// How it shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shows {
    /// `constant`, `intermittent`, `worsening`, `unknown`.
    pub word: &'static str,
    /// In words.
    pub text: String,
    /// The rule by which that was found.
    pub rule: &'static str,
}

/// The pack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pack {
    /// The shape of this document.
    pub shape: &'static str,
    /// The language (BCP 47).
    pub language: &'static str,
    /// The time zone (IANA).
    pub time_zone: String,
    /// As of when: the newest thing that is known.
    pub as_of: String,
    /// Whether it is an exercise.
    pub drill: bool,
    /// The number of the ticket.
    pub ticket: u64,
    /// Where the ticket stands.
    pub state: &'static str,
    /// How urgent it is.
    pub priority: &'static str,
    /// The line that names it.
    pub title: String,
    /// What is wrong, for whoever repairs it.
    pub symptom: String,
    /// What is wrong, for whoever pays for it.
    pub symptom_for_customers: String,
    /// What the rule saw, in general.
    pub rule: Option<String>,
    /// What it saw here.
    pub reason: String,
    /// What kind of trouble it is, how sure that is, and what it rests on; `None`: nothing was said of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub triage: Option<String>,
    /// The newest facts that speak for it, oldest first.
    pub evidence: Vec<Line>,
    /// When it began, as far as is known.
    pub first_seen: String,
    /// The same, in milliseconds since 1970.
    pub first_seen_ms: i64,
    /// When the ticket was opened.
    pub opened: String,
    /// The same, in milliseconds since 1970.
    pub opened_ms: i64,
    /// How it shows.
    pub course: Shows,
    /// The last change before it began.
    pub last_change: Option<Line>,
    /// Those before that, newest first.
    pub earlier_changes: Vec<Line>,
    /// What people cannot do because of it.
    pub impact: Option<String>,
    /// What is on record of the server and what was promised.
    pub facts: Vec<Fact>,
    /// What was already tried, oldest first.
    pub tried: Vec<Line>,
    /// Questions, the open ones first.
    pub questions: Vec<Question>,
    /// Who can be called.
    pub contacts: Vec<Contact>,
    /// How many tickets are a part of this one, and the first of them.
    pub members_total: usize,
    /// Those.
    pub members: Vec<Member>,
    /// The ticket of the larger incident that this is a part of.
    pub part_of: Option<u64>,
    /// How many temporary accesses are open.
    pub open_accesses: usize,
    /// Everything in one list, oldest first.
    pub timeline: Vec<Line>,
    /// Whether what is oldest was left out of that.
    pub timeline_truncated: bool,
}

impl Pack {
    /// The pack of a case. `None` where there is no ticket.
    pub fn of(case: &Case, lang: Lang, zone: &Zone) -> Option<Self> {
        let ticket = &case.record.as_ref()?.ticket;
        let scrub = case.sources.scrubber();
        let timeline = case.sources.timeline(ticket.onset.minus(BEFORE), Timestamp::from_millis(i64::MAX));
        let line = |entry: &Entry| Line {
            time: zone.exact(entry.at),
            at_ms: entry.at.as_millis(),
            clock: entry.by.as_str(),
            source: entry.what.source(),
            text: entry.line(lang),
        };
        let fault = Fault::ALL.into_iter().find(|f| f.as_str() == ticket.fault);
        let symptom = |to| fault.map_or_else(|| ticket.fault.clone(), |f| words::fault(f, to, lang).to_owned());
        let mut changes =
            timeline.entries.iter().rev().filter(|e| e.at <= ticket.onset && e.what.is_change()).map(line);
        let (last_change, earlier_changes) = (changes.next(), changes.take(EARLIER).collect());
        let found = course(ticket, &case.sources, &case.states);
        let impact = impact(ticket).map(|text| scrub.clean(text));
        let facts = facts(case, ticket, lang);
        let known = answer::Known {
            case,
            ticket,
            lang,
            last_change: last_change.as_ref(),
            course: found,
            impact: impact.as_deref(),
        };
        let evidence = ticket.evidence.iter().rev().take(8).rev().map(|fact| Line {
            time: zone.exact(fact.observed_at),
            at_ms: fact.observed_at.as_millis(),
            clock: "agent",
            source: "evidence",
            text: scrub
                .clean(&words::evidence(&fact.text, Audience::Operator, lang).unwrap_or_else(|| fact.text.clone())),
        });
        let as_of = as_of(ticket, &timeline);
        Some(Self {
            shape: SHAPE,
            language: lang.tag(),
            time_zone: zone.name().to_owned(),
            as_of: zone.exact(as_of),
            drill: ticket.drill,
            ticket: ticket.number.0,
            state: ticket.state.as_str(),
            priority: ticket.priority.as_str(),
            title: scrub.clean(&ticket.title),
            symptom: symptom(Audience::Operator),
            symptom_for_customers: symptom(Audience::Customer),
            rule: words::rule(&ticket.rule, Audience::Operator, lang).map(str::to_owned),
            reason: scrub.clean(&ticket.reason),
            triage: words::triage::of(ticket, lang).map(|kind| scrub.clean(&kind)),
            evidence: evidence.collect(),
            first_seen: zone.exact(ticket.onset),
            first_seen_ms: ticket.onset.as_millis(),
            opened: zone.exact(ticket.created_at),
            opened_ms: ticket.created_at.as_millis(),
            course: Shows { word: found.as_str(), text: found.text(lang), rule: course::rule(lang) },
            questions: answer::questions(&known, fault, &facts),
            last_change,
            earlier_changes,
            impact,
            facts,
            tried: {
                let by_people = timeline.entries.iter().filter(|e| is_try(e, ticket)).map(line);
                let mut tried: Vec<Line> =
                    by_people.chain(case.orders.iter().map(|o| ordered(o, lang, zone))).collect();
                tried.sort_by_key(|line| line.at_ms);
                tried
            },
            contacts: case
                .contacts()
                .map(|(role, contact)| Contact {
                    role: role.to_owned(),
                    name: contact.name.clone(),
                    phone: contact.phone.clone(),
                    source: contact.source.clone(),
                    verified_by: contact.verified_by.clone(),
                    verified: contact.verified.clone(),
                    stale: contact.is_stale(as_of),
                })
                .collect(),
            members_total: case.members.len(),
            members: case
                .members
                .iter()
                .take(MEMBERS)
                .map(|member| Member { ticket: member.number.0, title: scrub.clean(&member.title) })
                .collect(),
            part_of: ticket.parent.map(|parent| parent.0),
            open_accesses: ticket.access.len(),
            timeline: timeline.entries.iter().map(line).collect(),
            timeline_truncated: timeline.truncated,
        })
    }

    /// What is on record under this name.
    pub fn fact(&self, key: &str) -> Option<&str> {
        self.facts.iter().find(|f| f.key == key).and_then(|f| f.value.as_deref())
    }

    /// The language.
    pub fn lang(&self) -> Lang {
        Lang::from_tag(self.language).unwrap_or_default()
    }
}

/// The newest thing that is known.
fn as_of(ticket: &Ticket, timeline: &Timeline) -> Timestamp {
    timeline.entries.iter().map(|e| e.at).fold(ticket.updated_at, Timestamp::max)
}

/// The newest comment that says what people cannot do.
fn impact(ticket: &Ticket) -> Option<&str> {
    ticket.comments.iter().rev().find_map(|comment| after_impact(&comment.text)).filter(|text| !text.is_empty())
}

fn after_impact(text: &str) -> Option<&str> {
    let text = text.trim_start();
    IMPACT.iter().find_map(|mark| {
        let head = text.get(..mark.len())?;
        head.eq_ignore_ascii_case(mark).then(|| text.get(mark.len()..).unwrap_or_default().trim())
    })
}

/// An order that was carried out.
fn ordered(order: &Order, lang: Lang, zone: &Zone) -> Line {
    let (en, zh) = match order.kind {
        OrderKind::Identify => ("the locator light was switched on", "已点亮定位灯"),
        OrderKind::IdentifyOff => ("the locator light was switched off", "已熄灭定位灯"),
        OrderKind::Collect => ("logs and inventory were collected", "已收集日志与配置信息"),
        OrderKind::ResetBmc => ("the BMC was restarted", "已重启 BMC"),
        OrderKind::ClearSel => ("the BMC's log was cleared, after it was stored", "BMC 日志存档后已清空"),
    };
    let at = order.settled_at.unwrap_or(order.requested_at);
    let text = match lang {
        Lang::En => format!("order {}: {en}", order.id),
        Lang::ZhCn => format!("指令 {}：{zh}", order.id),
    };
    Line { time: zone.exact(at), at_ms: at.as_millis(), clock: "collector", source: "order", text }
}

/// What a person did about it.
fn is_try(entry: &Entry, ticket: &Ticket) -> bool {
    let What::Ticket { number, person: true, action, .. } = &entry.what else { return false };
    let own = *number == ticket.number;
    own && match &**action {
        Action::Comment { text, .. } => after_impact(text).is_none(),
        Action::Start
        | Action::Locate { .. }
        | Action::WaitForParts
        | Action::WaitForCustomer
        | Action::Resolve { .. }
        | Action::Reopen
        | Action::Milestone { .. }
        | Action::Verdict { .. } => true,
        _ => false,
    }
}

/// What is on record.
fn facts(case: &Case, ticket: &Ticket, lang: Lang) -> Vec<Fact> {
    let of = |key, (en, zh): (&str, &str), source, value: Option<String>| {
        let value = value.map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());
        let source = if value.is_some() { source } else { "none" };
        Fact { key, label: pick(lang, en, zh).to_owned(), value, source, spelled: false, ask: ("", "") }
    };
    let asked = |fact: Fact, (en, zh): (&'static str, &'static str), (how_en, how_zh): (&'static str, &'static str)| {
        Fact { ask: (pick(lang, en, zh), pick(lang, how_en, how_zh)), ..fact }
    };
    let spelled = |fact: Fact| Fact { spelled: true, ..fact };
    let label = ("Read it off the label on the chassis.", "请查看机箱标签。");
    let identity = case.server.as_ref().map(|s| s.identity.clone()).unwrap_or_default();
    let place = case.place.clone().unwrap_or_default();
    let contract = case.contract.as_ref();
    let part = current(case, ticket).map(|p| p.part.clone());
    let part = part.as_ref();
    let part_serial = ticket.part_serial.clone().or_else(|| part.and_then(|p| p.serial.clone()));
    let house = ("Ask whoever keeps the list of servers.", "请查询资产台账。");
    let mut facts = vec![
        asked(
            spelled(of("serial", ("Serial number", "序列号"), "bmc", identity.serial)),
            ("What is the serial number of the server?", "服务器序列号是什么？"),
            label,
        ),
        asked(
            spelled(of("asset_tag", ("Asset tag", "资产编号"), "bmc", identity.asset_tag)),
            ("What is its asset tag?", "资产编号是什么？"),
            label,
        ),
        of("manufacturer", ("Maker", "厂商"), "bmc", identity.manufacturer),
        asked(
            of("model", ("Model", "型号"), "bmc", identity.model.or(place.model)),
            ("Which model is it?", "服务器型号是什么？"),
            label,
        ),
        asked(
            spelled(of("contract", ("Contract", "合同号"), "service", contract.map(|(name, _)| name.clone()))),
            ("Which contract covers it?", "适用哪份服务合同？"),
            ("Ask the account manager; then add it to the service file.", "请询问客户经理，并补充到服务文件中。"),
        ),
        of("package", ("Service package", "服务包"), "service", contract.map(|(_, c)| c.package.clone())),
        of("contract_until", ("Contract ends", "合同到期日"), "service", contract.map(|(_, c)| c.until.clone())),
        of("customer", ("Customer", "客户"), "service", case.customer.clone()),
        of("site", ("Site", "站点"), "agent", ticket.site.as_ref().map(ToString::to_string)),
        asked(
            of("rack", ("Rack", "机柜"), "topology", place.rack),
            ("In which rack does it stand?", "服务器位于哪个机柜？"),
            house,
        ),
        asked(
            of("unit", ("Rack unit", "U 位"), "topology", place.unit),
            ("At which height of the rack?", "位于机柜的哪个 U 位？"),
            house,
        ),
        of("power_feeds", ("Power feeds", "供电回路"), "topology", Some(place.feeds.join(", "))),
        asked(
            of("hostname", ("Host name", "主机名"), "bmc", identity.hostname),
            ("What is its host name?", "主机名是什么？"),
            ("Ask the system's administrator.", "请询问系统管理员。"),
        ),
        asked(
            of("os", ("Operating system", "操作系统"), "bmc", None),
            ("Which operating system and version runs on it?", "运行什么操作系统及版本？"),
            (
                "Not to be had from here: nothing is installed in the system. Ask its administrator.",
                "带外无法获取（系统内未安装任何程序），请询问系统管理员。",
            ),
        ),
        of("bios", ("BIOS version", "BIOS 版本"), "bmc", image(case, &["bios", "uefi", "system rom"])),
        of("bmc", ("BMC firmware", "BMC 固件"), "bmc", bmc_version(case)),
        of("component", ("Place of the fault", "故障部位"), "bmc", Some(ticket.component.to_string())),
        of("part_model", ("Part", "部件型号"), "bmc", part.and_then(|p| p.model.clone())),
        of("part_number", ("Part number", "部件号"), "bmc", part.and_then(|p| p.part_number.clone())),
        spelled(of("part_serial", ("Serial of the part", "部件序列号"), "bmc", part_serial)),
        of("part_firmware", ("Firmware of the part", "部件固件"), "bmc", part.and_then(|p| p.firmware.clone())),
    ];
    if case.server.is_none() {
        // It is about a site: there is no one server to ask about.
        facts.retain(|f| f.value.is_some());
    }
    facts
}

/// The part that sits in the place now.
fn current<'a>(case: &'a Case, ticket: &Ticket) -> Option<&'a PartRecord> {
    case.sources.parts.iter().rev().find(|p| p.current && p.part.component == ticket.component)
}

fn image(case: &Case, names: &[&str]) -> Option<String> {
    let parts = case.sources.parts.iter().filter(|p| p.current).map(|p| &p.part);
    parts.filter(|p| named(p, names)).find_map(version)
}

fn bmc_version(case: &Case) -> Option<String> {
    let parts = || case.sources.parts.iter().filter(|p| p.current).map(|p| &p.part);
    let own = parts().filter(|p| p.component.class() == ComponentClass::Bmc).find_map(version);
    own.or_else(|| image(case, &["bmc", "idrac", "ilo", "xcc", "ibmc", "hdm"]))
}

fn named(part: &Part, names: &[&str]) -> bool {
    let slot = part.component.slot().to_lowercase();
    part.component.class() == ComponentClass::Firmware
        && names.iter().any(|name| slot.starts_with(name))
        && !slot.contains("backup")
}

fn version(part: &Part) -> Option<String> {
    part.firmware.clone().filter(|v| !v.is_empty())
}
