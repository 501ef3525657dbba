//! A drive that the disk model expects to fail within 30 days, and why. The model judges a drive once a day ([`crate::model`]); what it
//! said stands until it says otherwise or the 30 days are over.

use super::{PREDICTED, Rule, evidence, finding, predicted, show};
use crate::model::{Attribute, Blind, Change, Cohort, Day, Foretold, Pattern, Reason, Said};
use crate::window::Window;
use crate::{Evidence, Fault, Finding, RuleId};
use outband_schemas::{ComponentId, Timestamp};

pub(super) struct DiskPredicted;

const ID: RuleId = RuleId::new("disk.predicted");

/// So many parts of a score are told; what the others add is told as one.
const PARTS: usize = 5;

/// With fewer points a part is not worth a line.
const LEAST: f64 = 0.01;

const DAY_MS: i64 = 86_400_000;

/// How its reasons begin, and what stands before the model's version.
const SAYS: &str = "likely to fail within 30 days, probability ";
const BY: &str = " % by ";

impl Rule for DiskPredicted {
    fn id(&self) -> RuleId {
        ID
    }

    fn evaluate(&self, window: &Window, _now: Timestamp) -> Vec<Finding> {
        window.drives().filter_map(|(component, said)| tell(window, component, said)).collect()
    }
}

fn tell(window: &Window, component: &ComponentId, said: &Said) -> Option<Finding> {
    let Said::Foretold(foretold) = said else { return None };
    // A drive that is not there, or of which nothing was read since the start, is no drive that fails.
    let place = window.place(component).filter(|place| !place.is_absent())?;
    let newest = Timestamp::from_millis(foretold.newest_ms);
    let evidence = evidence_of(foretold);
    let first = foretold.explanation.reasons.iter().find_map(|r| Some(changed(r.of?, &r.change?)));
    let percent = show((foretold.probability * 1000.0).round() / 10.0);
    let mut reason = format!("{SAYS}{percent}{BY}{}", foretold.model);
    if let Some(first) = first {
        reason = format!("{reason}: {first}");
    }
    let base = predicted(finding(ID, Fault::DiskFailure, component, Some(place), newest));
    let more = [0.25, 0.5, 0.75].into_iter().filter(|p| foretold.probability >= *p).map(|_| 10_u8).sum::<u8>();
    Some(Finding { onset: begun(foretold), reason, evidence, penalty: PREDICTED + more, ..base })
}

/// When what adds to the score first changed.
fn begun(foretold: &Foretold) -> Timestamp {
    let changes = foretold.explanation.reasons.iter().filter(|r| r.points > 0.0).filter_map(|r| r.change);
    start_of(changes.map(|c| c.from + 1).min().unwrap_or(foretold.since))
}

fn start_of(day: Day) -> Timestamp {
    Timestamp::from_millis(i64::from(day) * DAY_MS)
}

fn date(day: Day) -> String {
    start_of(day).to_string().chars().take(10).collect()
}

/// The facts, oldest first. They are those of the day on which the ticket opened, so that they stay the same from then on.
fn evidence_of(foretold: &Foretold) -> Vec<Evidence> {
    let since = start_of(foretold.since);
    let told: Vec<&Reason> = foretold.explanation.reasons.iter().filter(|r| r.points >= LEAST).take(PARTS).collect();
    let mut facts: Vec<Evidence> =
        told.iter().map(|reason| evidence(reason.change.map_or(since, |c| start_of(c.to)), part(reason))).collect();
    facts.sort_by_key(|fact| fact.observed_at);
    let sum: f64 = told.iter().map(|r| r.points).sum();
    let (margin, base) = (foretold.margin, foretold.explanation.base);
    let (at, rest) = (signed(foretold.threshold), signed(margin - base - sum));
    let total = format!(
        "score {}, a ticket opens at {at}: {} for any drive with new errors, {} for what is listed, {rest} for the rest",
        signed(margin),
        signed(base),
        signed(sum)
    );
    facts.push(evidence(since, total));
    if let Some((cohort, to)) = &foretold.trained {
        facts.push(evidence(since, compared(cohort, foretold.pattern, &format!("training data to {to}"))));
    }
    if let Some(cohort) = &foretold.own {
        facts.push(evidence(since, compared(cohort, foretold.pattern, "own fleet")));
    }
    facts
}

/// With its sign and two decimals.
fn signed(points: f64) -> String {
    format!("{points:+.2}")
}

fn part(reason: &Reason) -> String {
    let points = signed(reason.points);
    match (reason.of, &reason.change, reason.level) {
        (Some(number), Some(change), _) => format!("{}: {points}", changed(number, change)),
        (Some(number), None, Some(level)) => format!("{} stands at {}: {points}", named(number), show(level)),
        (Some(number), None, None) => format!("{} is not reported: {points}", named(number)),
        (None, ..) => format!("days with errors, age, maker and size: {points}"),
    }
}

fn changed(number: u8, change: &Change) -> String {
    let Change { old, new, from, to } = *change;
    let name = named(number);
    let when = if from + 1 == to {
        format!("on {}", date(to))
    } else {
        format!("between {} and {}", date(from + 1), date(to))
    };
    if new == old {
        return format!("{name} moved and is {} again, {when}", show(new));
    }
    format!("{name} {} from {} to {} {when}", if new > old { "rose" } else { "fell" }, show(old), show(new))
}

fn named(number: u8) -> String {
    let known = Attribute::ALL.into_iter().find(|a| a.number() == number);
    let name = match known {
        Some(Attribute::ReallocatedSectors) => "reallocated sectors",
        Some(Attribute::SpinRetries) => "spin retries",
        Some(Attribute::PowerCycles) => "power cycles",
        Some(Attribute::ReportedUncorrectable) => "reported uncorrectable errors",
        Some(Attribute::CommandTimeouts) => "command timeouts",
        Some(Attribute::HighFlyWrites) => "high-fly writes",
        Some(Attribute::ReallocationEvents) => "reallocation events",
        Some(Attribute::PendingSectors) => "pending sectors",
        Some(Attribute::OfflineUncorrectable) => "offline uncorrectable sectors",
        None => "attribute",
    };
    format!("SMART {number} ({name})")
}

fn compared(cohort: &Cohort, pattern: Pattern, whose: &str) -> String {
    let rose: Vec<String> = pattern.attributes().map(|a| a.number().to_string()).collect();
    let like = match cohort.of.as_str() {
        "" => "any model".to_owned(),
        of => of.to_owned(),
    };
    let count = cohort.count;
    format!(
        "of {} drives of {like} with this pattern ({} rose within 30 days), {} failed within 30 days ({whose})",
        count.drives,
        rose.join(", "),
        count.failed
    )
}

/// The version of the model that a finding with this reason came from; `None` where no model had a part in it.
pub fn predictor(reason: &str) -> Option<&str> {
    let (_, by) = reason.strip_prefix(SAYS)?.split_once(BY)?;
    by.split([':', ';']).next().map(str::trim).filter(|version| !version.is_empty())
}

/// Why the model says nothing of a drive, in words.
pub fn blindness(why: Blind) -> &'static str {
    match why {
        Blind::SolidState => "it has no platters",
        Blind::NoAttributes => "it does not report attributes 5 and 197",
        Blind::UnknownMaker => "the model has seen no drive of this maker",
    }
}

/// Says with what another rule finds of a drive that the model had no part in it.
pub(super) fn remark(mut finding: Finding, window: &Window) -> Finding {
    if finding.predicted
        && matches!(finding.fault, Fault::DiskFailure | Fault::DiskWear)
        && let Some(Said::Blind { why }) = window.said_of(&finding.component)
    {
        finding.reason =
            format!("{}; not judged by the disk model ({}): rules and wear decide", finding.reason, blindness(*why));
    }
    finding
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RuleConfig;
    use crate::model::{Cohorts, Explanation, History, Smart, Vendor};
    use outband_schemas::{Quality, Reading, SensorKind, Source, Value};
    use std::collections::BTreeMap;

    const DAY: Day = 20_576; // 2026-05-03

    fn at(day: Day) -> Timestamp {
        Timestamp::from_millis(i64::from(day) * DAY_MS + 3_600_000)
    }

    fn disk() -> ComponentId {
        "disk/Bay 1".parse().unwrap()
    }

    fn window(said: Said) -> Window {
        let reading = Reading {
            component: disk(),
            kind: SensorKind::PendingSectors,
            sensor: "197".to_owned(),
            value: Some(Value::Number(24.0)),
            quality: Quality::Good,
            observed_at: at(DAY + 7),
            source: Source::default(),
            thresholds: None,
        };
        let mut window = Window::default();
        window.replay(&[reading], &RuleConfig::default());
        window.judged(BTreeMap::from([(disk(), said)]));
        window
    }

    fn foretold() -> Foretold {
        let mut history = History::default();
        for (day, value) in [(0, 0.0), (9, 3.0)] {
            let mut smart = Smart::default();
            smart.raw[Attribute::PendingSectors as usize] = Some(value);
            history.read(day, &smart);
        }
        let pattern = Pattern::of(&history, 9);
        let mut cohorts = Cohorts::default();
        (0..40).for_each(|n| cohorts.add("ST4000DM000", Vendor::Seagate, pattern, n < 13));
        let reason = |of, points, change, level| Reason { of, points, change, level };
        Foretold {
            model: "disk-1".to_owned(),
            since: DAY + 7,
            newest: DAY + 7,
            newest_ms: at(DAY + 7).as_millis(),
            probability: 0.413,
            margin: 1.27,
            threshold: 0.49,
            explanation: Explanation {
                base: -2.13,
                reasons: vec![
                    reason(
                        Some(197),
                        1.84,
                        Some(Change { old: 0.0, new: 24.0, from: DAY - 1, to: DAY + 6 }),
                        Some(24.0),
                    ),
                    reason(Some(5), 1.0, None, Some(48.0)),
                    reason(None, 0.66, None, None),
                    reason(Some(12), -0.1, None, None),
                ],
            },
            pattern,
            trained: cohorts.like("ST4000DM000", Vendor::Seagate, pattern, 30).map(|c| (c, "2015-09-30".to_owned())),
            own: None,
        }
    }

    #[test]
    fn a_foretold_failure_tells_values_days_shares_and_its_cohort() {
        let found = DiskPredicted.evaluate(&window(Said::Foretold(Box::new(foretold()))), at(DAY + 8));
        let found = &found[0];
        assert_eq!((found.fault, found.predicted, found.penalty), (Fault::DiskFailure, true, 50));
        assert_eq!(
            found.reason,
            "likely to fail within 30 days, probability 41.3 % by disk-1: SMART 197 (pending sectors) rose from 0 to 24 between 2026-05-03 and 2026-05-09"
        );
        assert_eq!(predictor(&found.reason), Some("disk-1"));
        let texts: Vec<&str> = found.evidence.iter().map(|e| e.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "SMART 197 (pending sectors) rose from 0 to 24 between 2026-05-03 and 2026-05-09: +1.84",
                "SMART 5 (reallocated sectors) stands at 48: +1.00",
                "days with errors, age, maker and size: +0.66",
                "score +1.27, a ticket opens at +0.49: -2.13 for any drive with new errors, +3.50 for what is listed, -0.10 for the rest",
                "of 40 drives of ST4000DM000 with this pattern (197 rose within 30 days), 13 failed within 30 days (training data to 2015-09-30)",
            ]
        );
        assert_eq!(found.onset, start_of(DAY));
    }

    #[test]
    fn a_drive_that_is_well_or_not_judged_is_no_finding() {
        for said in [Said::New, Said::Blind { why: Blind::SolidState }, Said::Well { probability: 0.2 }] {
            assert_eq!(DiskPredicted.evaluate(&window(said), at(DAY)), []);
        }
    }

    #[test]
    fn what_another_rule_finds_of_a_drive_that_the_model_cannot_judge_says_so() {
        let window = window(Said::Blind { why: Blind::SolidState });
        let found = |p: bool| {
            let base = finding(RuleId::new("disk.smart_growth"), Fault::DiskFailure, &disk(), None, at(DAY));
            remark(Finding { reason: "it grows".to_owned(), predicted: p, ..base }, &window).reason
        };
        assert_eq!(found(true), "it grows; not judged by the disk model (it has no platters): rules and wear decide");
        assert_eq!(found(false), "it grows");
    }
}
