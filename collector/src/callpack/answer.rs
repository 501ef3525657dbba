//! Questions, answered from what is stored where that says something; else with how somebody finds out.

use super::case::{Case, Neighbour};
use super::course::Course;
use super::pack::{Fact, Line, Question};
use super::pick;
use super::timeline::What;
use crate::words::{self, Lang, Topic};
use outband_health::Fault;
use outband_schemas::{Cause, EventKind, SensorKind, Value};
use outband_ticket::Ticket;
use std::time::Duration;

/// A stop of the system counts when it was so long before the onset at most.
const CRASH_BEFORE: Duration = Duration::from_secs(24 * 60 * 60);
/// So many neighbours are named.
const NAMED: usize = 5;

/// What is known of a case.
pub(super) struct Known<'a> {
    pub(super) case: &'a Case,
    pub(super) ticket: &'a Ticket,
    pub(super) lang: Lang,
    pub(super) last_change: Option<&'a Line>,
    pub(super) course: Course,
    pub(super) impact: Option<&'a str>,
}

/// Every question, the open ones first: those of the fault, then what is not on record.
pub(super) fn questions(known: &Known<'_>, fault: Option<Fault>, facts: &[Fact]) -> Vec<Question> {
    let lang = known.lang;
    let asked = fault.map(|f| words::questions_about(f, lang)).unwrap_or_default();
    let crash_asked = asked.iter().any(|(topic, _)| *topic == Topic::Crash);
    let mut all: Vec<Question> =
        asked.into_iter().map(|(topic, question)| of(question, known.answer(topic), words::how(topic, lang))).collect();
    if !crash_asked && known.case.server.is_some() {
        let question = pick(
            lang,
            "Is there a message on the screen (blue screen, kernel panic), and what do the system's own logs say?",
            "屏幕上有无报错（蓝屏、内核崩溃）？系统和应用日志有何记录？",
        );
        all.push(of(question, known.answer(Topic::Crash), words::how(Topic::Crash, lang)));
    }
    all.extend(facts.iter().filter(|f| f.value.is_none() && !f.ask.0.is_empty()).map(|f| of(f.ask.0, None, f.ask.1)));
    all.sort_by_key(|q| q.answer.is_some());
    all
}

fn of(question: &str, answer: Option<(String, String)>, how: &str) -> Question {
    let how = if answer.is_some() { None } else { Some(how.to_owned()) };
    let (answer, source) = answer.unzip();
    Question { question: question.to_owned(), answer, source, how }
}

impl Known<'_> {
    /// What is stored says this, and it is from there.
    fn answer(&self, topic: Topic) -> Option<(String, String)> {
        let lang = self.lang;
        let from = |en, zh| pick(lang, en, zh).to_owned();
        match topic {
            Topic::LastChange | Topic::PartChange => {
                let change = self.last_change?;
                Some((format!("{} {}", change.time, change.text), from("the server's timeline", "服务器时间线")))
            }
            Topic::Course => match self.course {
                Course::Unknown => None,
                known => {
                    let from = from(
                        "states, log entries and earlier tickets, by the rule below",
                        "状态、日志和历史工单，按所附规则判定",
                    );
                    Some((known.text(lang), from))
                }
            },
            Topic::Impact => Some((self.impact?.to_owned(), from("a comment on the ticket", "工单备注"))),
            Topic::Crash => self.crash(),
            Topic::RoomTemperature => self.inlet(),
            Topic::Noise => self.fans(),
            Topic::Neighbours => {
                self.beside(|n| n.same_rack, Fault::Overheating, ("same rack", "同机柜"), ("too hot", "过热"))
            }
            Topic::SameStrip => self.beside(
                |n| n.same_feed,
                Fault::PowerInputLost,
                ("same feed", "同一供电回路"),
                ("without power", "掉电"),
            ),
            Topic::Access => self.access(),
            Topic::DriveLed
            | Topic::HeavyLoad
            | Topic::Backup
            | Topic::AirInlet
            | Topic::SupplyLeds
            | Topic::PowerWork
            | Topic::HealthLed
            | Topic::Service
            | Topic::LinkLed => None,
        }
    }

    fn crash(&self) -> Option<(String, String)> {
        let sources = &self.case.sources;
        let from = self.ticket.onset.minus(CRASH_BEFORE);
        let stops = sources.events.iter().filter(|e| matches!(e.event.kind, EventKind::OsChange | EventKind::Watchdog));
        let last = stops
            .map(|e| (sources.when(&e.event).0, &e.event))
            .filter(|(at, _)| *at >= from)
            .max_by_key(|(at, _)| *at)?;
        let text = sources.scrubber().clean(&last.1.message);
        Some((format!("{} {text}", last.0), format!("{} {}", last.1.log, last.1.id)))
    }

    fn inlet(&self) -> Option<(String, String)> {
        let named =
            |name: &str| ["inlet", "ambient", "intake", "front panel"].iter().any(|n| name.to_lowercase().contains(n));
        let air =
            self.case.latest.iter().filter(|l| l.reading.kind == SensorKind::Temperature && named(&l.reading.sensor));
        let newest = air.max_by_key(|l| (l.reading.observed_at, &l.reading.sensor))?;
        let celsius = newest.reading.value.as_ref().and_then(Value::as_number)?;
        let text = match self.lang {
            Lang::En => format!("The air that goes in has {celsius:.0} °C."),
            Lang::ZhCn => format!("进风温度 {celsius:.0} ℃。"),
        };
        Some((text, newest.reading.sensor.clone()))
    }

    fn fans(&self) -> Option<(String, String)> {
        let speeds = self.case.latest.iter().filter(|l| l.reading.kind == SensorKind::FanSpeed);
        let mut speeds: Vec<i64> =
            speeds.filter_map(|l| l.reading.value.as_ref()?.as_number()).map(|n| n.round() as i64).collect();
        speeds.sort_unstable();
        let (slowest, fastest) = (speeds.first()?, speeds.last()?);
        let text = match self.lang {
            Lang::En => format!("{} fans turn at {slowest} to {fastest} per minute.", speeds.len()),
            Lang::ZhCn => format!("{} 个风扇，转速 {slowest} 至 {fastest} 转/分。", speeds.len()),
        };
        Some((text, pick(self.lang, "the newest readings", "最新读数").to_owned()))
    }

    fn beside(
        &self,
        wanted: impl Fn(&Neighbour) -> bool,
        fault: Fault,
        (where_en, where_zh): (&str, &str),
        (what_en, what_zh): (&str, &str),
    ) -> Option<(String, String)> {
        let beside: Vec<&Neighbour> = self.case.neighbours.iter().filter(|n| wanted(n)).collect();
        if beside.is_empty() {
            return None;
        }
        let too: Vec<&str> = beside.iter().filter(|n| n.faults.contains(&fault)).map(|n| n.name.as_str()).collect();
        let (all, bad, names) =
            (beside.len(), too.len(), too.iter().take(NAMED).copied().collect::<Vec<_>>().join(", "));
        let names = if names.is_empty() { names } else { format!(" ({names})") };
        let text = match self.lang {
            Lang::En => format!("{where_en}: {bad} of {all} other servers {what_en}{names}."),
            Lang::ZhCn => format!("{where_zh}其他 {all} 台服务器中 {bad} 台{what_zh}{names}。"),
        };
        Some((text, pick(self.lang, "open incidents and the topology", "当前故障与机房拓扑").to_owned()))
    }

    fn access(&self) -> Option<(String, String)> {
        let gaps = self
            .case
            .sources
            .timeline(self.ticket.onset.minus(CRASH_BEFORE), outband_schemas::Timestamp::from_millis(i64::MAX));
        gaps.entries.iter().rev().find_map(|entry| match &entry.what {
            What::Gap { cause: Cause::Denied | Cause::Certificate, .. } => Some((
                format!("{} {}", entry.at, entry.line(self.lang)),
                pick(self.lang, "what the agent could not read", "代理读取记录").to_owned(),
            )),
            _ => None,
        })
    }
}
