//! What opens, escalates and ends an incident, over evaluations made by hand.

use super::*;
use crate::config::IncidentConfig;
use crate::{Evidence, Finding, Level, RuleId};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn t(n: i64) -> Timestamp {
    Timestamp::from_secs(1_800_000_000 + n * 60)
}

fn place(n: u8) -> ComponentId {
    format!("disk/{n}").parse().unwrap()
}

fn finding(fault: Fault, at: i64) -> Finding {
    Finding {
        rule: RuleId::new("test.rule"),
        fault,
        component: place(1),
        predicted: true,
        level: Level::Warning,
        penalty: 40,
        reason: "it grows".to_owned(),
        evidence: vec![Evidence { observed_at: t(at), text: "8 -> 16".to_owned() }],
        onset: t(at),
        newest: t(at),
        confirm: 1,
        part_serial: Some("OLD".to_owned()),
    }
}

fn actual(finding: Finding) -> Finding {
    Finding { predicted: false, level: Level::Critical, ..finding }
}

/// The incidents of a server, poll by poll.
struct Run {
    open: Vec<Incident>,
    config: IncidentConfig,
    serial: &'static str,
}

impl Run {
    fn new() -> Self {
        Self { open: Vec::new(), config: IncidentConfig::default(), serial: "OLD" }
    }

    fn evaluation(&self, findings: Vec<Finding>, vouched: Option<Timestamp>, caught_up: bool) -> Evaluation {
        let watched = Watched { vouched, serial: Some(self.serial.to_owned()) };
        let watched = self.open.iter().map(|i| ((i.key.component.clone(), i.key.fault), watched.clone())).collect();
        let past = self.open.iter().filter_map(|i| match i.stage {
            Stage::Ended { at } => {
                let past = Past { ended_at: at, ticket: i.ticket, returns: i.returns.clone() };
                Some(((i.key.component.clone(), i.key.fault), past))
            }
            _ => None,
        });
        let past = past.collect();
        Evaluation { server: ServerId::new("s1").unwrap(), findings, watched, caught_up, past, fresh_since: None }
    }

    fn step(&mut self, at: i64, evaluation: &Evaluation) -> Vec<What> {
        let changes = reconcile(&self.open, evaluation, &self.config, t(at));
        for change in &changes {
            self.open.retain(|i| i.key != change.incident.key);
            if change.what != What::Dropped {
                self.open.push(change.incident.clone());
            }
        }
        changes.into_iter().map(|c| c.what).filter(|w| *w != What::Noted).collect()
    }

    /// A poll at `at` that found this.
    fn found(&mut self, at: i64, findings: Vec<Finding>) -> Vec<What> {
        let evaluation = self.evaluation(findings, Some(t(at)), true);
        self.step(at, &evaluation)
    }

    fn clean(&mut self, from: i64, polls: i64) -> Vec<What> {
        (from..from + polls).flat_map(|at| self.found(at, vec![])).collect()
    }
}

#[test]
fn what_has_to_last_opens_after_as_many_polls_and_not_after_as_many_looks() {
    let mut run = Run::new();
    let slow = |at| Finding { confirm: 3, ..finding(Fault::Overheating, at) };
    assert_eq!(run.found(1, vec![slow(1)]), []);
    for _ in 0..5 {
        assert_eq!(run.found(1, vec![slow(1)]), [], "the same poll again");
    }
    assert_eq!(run.found(2, vec![slow(2)]), []);
    assert_eq!(run.found(3, vec![slow(3)]), [What::Opened]);
}

#[test]
fn what_does_not_last_is_forgotten() {
    let mut run = Run::new();
    run.found(1, vec![Finding { confirm: 2, ..finding(Fault::Overheating, 1) }]);
    assert_eq!(run.clean(2, 1), [What::Dropped]);
    assert_eq!(run.open, []);
}

#[test]
fn what_was_not_looked_at_is_not_clean() {
    let mut run = Run::new();
    run.found(1, vec![finding(Fault::Overheating, 1)]);
    for at in 2..50 {
        let unseen = run.evaluation(vec![], Some(t(1)), true);
        assert_eq!(run.step(at, &unseen), []);
        let never = run.evaluation(vec![], None, true);
        assert_eq!(run.step(at, &never), []);
    }
}

#[test]
fn a_condition_that_can_end_by_itself_recovers_and_is_verified() {
    let mut run = Run::new();
    run.found(1, vec![finding(Fault::PowerInputLost, 1)]);
    assert_eq!(run.clean(2, 5), [What::Recovered]);
    assert_eq!(run.clean(7, 5), [What::Verified]);
}

#[test]
fn a_poll_that_finds_it_again_begins_the_count_anew() {
    let mut run = Run::new();
    run.found(1, vec![finding(Fault::PowerInputLost, 1)]);
    assert_eq!(run.clean(2, 4), []);
    run.found(6, vec![finding(Fault::PowerInputLost, 6)]);
    assert_eq!(run.clean(7, 4), []);
    assert_eq!(run.clean(11, 1), [What::Recovered]);
}

#[test]
fn clean_polls_never_end_a_predicted_failure() {
    let mut run = Run::new();
    run.found(1, vec![finding(Fault::DiskFailure, 1)]);
    assert_eq!(run.clean(2, 500), []);
    assert_eq!(run.open[0].stage, Stage::Open);
}

#[test]
fn another_part_in_the_place_ends_it_and_clean_polls_verify_it() {
    let mut run = Run::new();
    run.found(1, vec![finding(Fault::DiskFailure, 1)]);
    run.serial = "NEW";
    assert_eq!(run.clean(2, 1), [What::Replaced { old: "OLD".to_owned(), new: "NEW".to_owned() }]);
    assert_eq!(run.clean(3, 5), [What::Verified]);
    assert!(matches!(run.open[0].stage, Stage::Ended { .. }));
}

#[test]
fn a_predicted_failure_that_happens_escalates_the_same_incident_once_it_is_confirmed() {
    let mut run = Run::new();
    run.found(1, vec![finding(Fault::FanFailure, 1)]);
    let stopped = |at| vec![Finding { confirm: 2, ..actual(finding(Fault::FanFailure, at)) }];
    assert_eq!(run.found(2, stopped(2)), []);
    assert_eq!(run.found(3, stopped(3)), [What::Escalated]);
    assert_eq!((run.open.len(), run.open[0].predicted, run.open[0].level), (1, false, Level::Critical));
    assert_eq!(run.found(4, stopped(4)), [], "once");
}

#[test]
fn later_evidence_is_appended_and_the_same_is_not() {
    let mut run = Run::new();
    run.found(1, vec![finding(Fault::DiskFailure, 1)]);
    let mut more = finding(Fault::DiskFailure, 2);
    assert_eq!(run.found(2, vec![more.clone()]), []);
    more.evidence.push(Evidence { observed_at: t(2), text: "16 -> 24".to_owned() });
    assert_eq!(run.found(3, vec![more.clone()]), [What::Evidence]);
    assert_eq!(run.found(4, vec![more]), []);
    assert_eq!(run.open[0].evidence.len(), 2);
}

#[test]
fn evidence_is_bounded_and_keeps_its_beginning_and_its_end() {
    let mut run = Run::new();
    for at in 1..200 {
        let text = format!("step {at}");
        let evidence = vec![Evidence { observed_at: t(at), text }];
        run.found(at, vec![Finding { evidence, ..finding(Fault::DiskFailure, at) }]);
    }
    let kept = &run.open[0].evidence;
    assert_eq!(kept.len(), 32);
    assert_eq!((kept[0].text.as_str(), kept[31].text.as_str()), ("step 1", "step 199"));
}

#[test]
fn a_backlog_opens_nothing_and_ends_nothing() {
    let mut run = Run::new();
    let old = run.evaluation(vec![finding(Fault::PowerInputLost, 1)], Some(t(1)), false);
    assert_eq!(run.step(500, &old), []);
    assert_eq!(run.found(501, vec![finding(Fault::PowerInputLost, 501)]), [What::Opened]);
    for at in 502..540 {
        let old = run.evaluation(vec![], Some(t(at)), false);
        assert_eq!(run.step(at, &old), []);
    }
    assert_eq!(run.open[0].onset, t(1));
}

#[test]
fn a_repair_that_did_not_help_reopens_only_on_what_was_seen_after_it() {
    let mut run = Run::new();
    run.found(1, vec![finding(Fault::DiskFailure, 1)]);
    run.open[0] = run.open[0].after_verdict(Verdict::Repaired, t(5));
    assert_eq!(run.found(6, vec![finding(Fault::DiskFailure, 4)]), [], "seen before the repair");
    assert_eq!(run.found(7, vec![finding(Fault::DiskFailure, 7)]), [What::Recurred]);
    assert_eq!(run.open[0].stage, Stage::Open);
}

#[test]
fn clean_polls_before_the_repair_verify_nothing() {
    let mut run = Run::new();
    run.found(1, vec![finding(Fault::DiskFailure, 1)]);
    run.open[0] = run.open[0].after_verdict(Verdict::Repaired, t(100));
    assert_eq!(run.clean(2, 50), []);
    assert_eq!(run.clean(101, 5), [What::Verified]);
}

#[test]
fn a_false_alarm_stays_quiet_until_it_gets_worse() {
    let mut run = Run::new();
    run.found(1, vec![finding(Fault::DiskFailure, 1)]);
    run.open[0] = run.open[0].after_verdict(Verdict::FalseAlarm, t(2));
    for at in 3..30 {
        assert_eq!(run.found(at, vec![finding(Fault::DiskFailure, at)]), []);
    }
    assert_eq!(run.found(30, vec![actual(finding(Fault::DiskFailure, 30))]), [What::Opened]);
    assert_eq!((run.open[0].ticket, run.open[0].predicted), (None, false));
}

#[test]
fn a_false_alarm_of_a_part_that_is_gone_is_forgotten() {
    let mut run = Run::new();
    run.found(1, vec![finding(Fault::DiskFailure, 1)]);
    run.open[0] = run.open[0].after_verdict(Verdict::FalseAlarm, t(2));
    run.serial = "NEW";
    assert_eq!(run.clean(3, 1), [What::Dropped]);
}

fn some_finding() -> impl Strategy<Value = Finding> {
    (0_u8..3, 0_usize..4, any::<bool>(), 0_u8..3, 1_u32..4, 0_i64..20).prop_map(
        |(slot, fault, predicted, level, confirm, at)| {
            let fault = [Fault::DiskFailure, Fault::PowerInputLost, Fault::Overheating, Fault::FanFailure][fault];
            let level = [Level::Advice, Level::Warning, Level::Critical][usize::from(level)];
            Finding { component: place(slot), predicted, level, confirm, ..finding(fault, at) }
        },
    )
}

proptest! {
    #[test]
    fn the_same_evaluation_a_second_time_changes_nothing(
        polls in prop::collection::vec((prop::collection::vec(some_finding(), 0..5), prop::option::of(0_i64..20), any::<bool>(), any::<bool>()), 1..12),
    ) {
        let mut run = Run::new();
        for (now, (findings, vouched, caught_up, new)) in (0_i64..).zip(polls) {
            run.serial = if new { "NEW" } else { "OLD" };
            let serial = Some(run.serial.to_owned());
            let findings = findings.into_iter().map(|f| Finding { part_serial: serial.clone(), ..f }).collect();
            let evaluation = run.evaluation(findings, vouched.map(t), caught_up);
            let first = reconcile(&run.open, &evaluation, &run.config, t(now));
            prop_assert_eq!(&first, &reconcile(&run.open, &evaluation, &run.config, t(now)), "deterministic");
            run.step(now, &evaluation);
            let evaluation = Evaluation { watched: run.evaluation(vec![], vouched.map(t), caught_up).watched, ..evaluation };
            // An incident that ended makes room for a new one; what has not ended stays as it is.
            let ended: BTreeMap<_, _> = run.open.iter().filter(|i| matches!(i.stage, Stage::Ended { .. })).map(|i| (i.key.clone(), ())).collect();
            let replaced = first.iter().any(|c| matches!(c.what, What::Replaced { .. } | What::Dropped | What::Recovered));
            let again = reconcile(&run.open, &evaluation, &run.config, t(now));
            if !replaced {
                prop_assert!(again.iter().all(|c| ended.contains_key(&c.incident.key)), "{again:#?}");
            }
        }
    }

    #[test]
    fn there_is_never_more_than_one_incident_of_a_key(
        polls in prop::collection::vec(prop::collection::vec(some_finding(), 0..6), 1..20),
    ) {
        let mut run = Run::new();
        for (now, findings) in (0_i64..).zip(polls) {
            let evaluation = run.evaluation(findings, Some(t(now)), true);
            let changes = reconcile(&run.open, &evaluation, &run.config, t(now));
            let mut keys: Vec<_> = changes.iter().map(|c| &c.incident.key).collect();
            keys.dedup();
            prop_assert_eq!(keys.len(), changes.len());
            run.step(now, &evaluation);
        }
    }
}

#[test]
fn a_log_entry_of_now_opens_while_readings_of_the_past_are_still_coming() {
    let mut run = Run::new();
    let behind = |run: &Run, findings| Evaluation { fresh_since: Some(t(90)), ..run.evaluation(findings, None, false) };
    let old = behind(&run, vec![actual(finding(Fault::PsuFailure, 5))]);
    assert_eq!(run.step(100, &old), [], "it may be over by now");
    let entry = behind(&run, vec![actual(finding(Fault::PsuFailure, 99))]);
    assert_eq!(run.step(101, &entry), [What::Opened]);
}

/// It is there for one poll and away for twelve, again and again.
fn come_and_go(run: &mut Run, times: i64) -> Vec<What> {
    (0..times)
        .flat_map(|n| {
            let mut all = run.found(n * 13, vec![finding(Fault::PowerInputLost, n * 13)]);
            all.extend(run.clean(n * 13 + 1, 12));
            all
        })
        .collect()
}

#[test]
fn what_comes_and_goes_is_one_flapping_incident_with_its_count_and_not_many() {
    let mut run = Run::new();
    let all = come_and_go(&mut run, 8);
    let opened = all.iter().filter(|w| matches!(w, What::Opened | What::Recurred)).count();
    assert_eq!(opened, 2, "the first, and the one that counts the returns: {all:?}");
    let now = &run.open[0];
    assert_eq!((&now.stage, now.returns.len()), (&Stage::Open, 7));
    assert!(now.evidence.iter().any(|e| e.text.starts_with("flapping: it came back 7 times")), "{:?}", now.evidence);
    assert!(run.clean(200, 1).contains(&What::Recovered), "quiet for long enough, it is over");
}

#[test]
fn what_comes_back_soon_follows_the_ticket_before_and_what_comes_back_late_does_not() {
    for (pause, follows) in [(30, Some(7)), (600, None)] {
        let mut run = Run::new();
        run.found(1, vec![finding(Fault::PowerInputLost, 1)]);
        run.open[0].ticket = Some(7);
        run.clean(2, 10);
        assert!(matches!(run.open[0].stage, Stage::Ended { .. }));
        run.found(12 + pause, vec![finding(Fault::PowerInputLost, 12 + pause)]);
        assert_eq!((run.open[0].follows, run.open[0].returns.is_empty()), (follows, follows.is_none()));
    }
}

#[test]
fn what_cannot_end_by_itself_never_flaps() {
    let mut run = Run::new();
    run.found(1, vec![finding(Fault::DiskFailure, 1)]);
    run.clean(2, 20);
    run.found(22, vec![finding(Fault::DiskFailure, 22)]);
    assert!(run.open[0].returns.is_empty() && run.open[0].stage == Stage::Open);
}

#[test]
fn a_rule_that_has_to_find_it_several_times_opens_after_as_many_in_the_span_and_not_before() {
    let needed = crate::config::Sightings { times: 3, within_secs: 3600 };
    let mut run = Run::new();
    run.config.sightings.insert("test.rule".to_owned(), needed);
    for at in [1, 20] {
        assert_eq!(run.found(at, vec![finding(Fault::EventBurst, at)]), []);
        assert_eq!(run.clean(at + 1, 5), []);
    }
    assert_eq!(run.found(40, vec![finding(Fault::EventBurst, 40)]), [What::Opened]);

    let mut apart = Run::new();
    apart.config = run.config.clone();
    for at in [1, 50, 100, 150] {
        assert_eq!(apart.found(at, vec![finding(Fault::EventBurst, at)]), []);
    }
    assert_eq!(apart.clean(250, 1), [What::Dropped]);
}
