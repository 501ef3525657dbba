//! A drive's endurance will be used up before long, at the usage that it has: a date with its interval, from [`crate::outlook`].

use super::{ADVICE, Rule, evidence, finding, predicted, show};
use crate::config::DiskConfig;
use crate::outlook::{Basis, Foresight, Outlook, WearOut};
use crate::window::{Place, Window};
use crate::{Fault, Finding, Level, RuleId};
use outband_schemas::{ComponentClass, ComponentId, SensorKind, Timestamp};

pub(super) struct DiskWearout(pub(super) DiskConfig);

const ID: RuleId = RuleId::new("disk.wearout");

/// Expected within so many days, it is time to act; a date further off is for planning.
const NEAR: i64 = 30;
/// Expected within so many days, it is overdue.
const DUE: i64 = 7;

impl Rule for DiskWearout {
    fn id(&self) -> RuleId {
        ID
    }

    fn evaluate(&self, window: &Window, now: Timestamp) -> Vec<Finding> {
        let told = window.outlooks().iter().filter_map(|outlook| match &outlook.foresight {
            Foresight::WearOut(wear) => Some((outlook, wear)),
            Foresight::NoDate(_) | Foresight::Rise(_) => None,
        });
        told.filter_map(|(outlook, wear)| {
            let place = place_of(window, outlook)?;
            self.judge(&outlook.component, place, outlook.told_at, wear, now)
        })
        .collect()
    }
}

/// The place that an outlook speaks of, where a drive is in it that is read and is still the worn one.
pub(super) fn place_of<'a>(window: &'a Window, outlook: &Outlook) -> Option<&'a Place> {
    window.place(&outlook.component).filter(|place| !place.is_absent())
}

/// The life left that is read now, in percent, and when.
pub(super) fn life(place: &Place) -> Option<(f64, Timestamp)> {
    let lives = place.of_kind(SensorKind::LifeLeft).filter_map(|(_, s)| Some((s.number()?, s.newest()?)));
    lives.min_by(|a, b| a.0.total_cmp(&b.0))
}

impl DiskWearout {
    fn judge(
        &self,
        component: &ComponentId,
        place: &Place,
        told_at: Timestamp,
        wear: &WearOut,
        now: Timestamp,
    ) -> Option<Finding> {
        let (left, newest) = life(place)?;
        // More life than was foretold of: another drive, of which nothing is known yet.
        if component.class() != ComponentClass::Disk || left >= wear.left + 2.0 {
            return None;
        }
        if days(now, wear.early) > i64::from(self.0.wearout_days) {
            return None;
        }
        let level = match days(now, wear.expected) {
            d if d <= DUE => Level::Critical,
            d if d <= NEAR => Level::Warning,
            _ => Level::Advice,
        };
        let basis = match (wear.by, wear.bytes_a_day) {
            (Basis::Writes, Some(bytes)) => format!(", {} GB written a day", show(short(bytes / 1e9))),
            _ => String::new(),
        };
        let rate = format!("{} % a month{basis}", show(short(wear.percent_a_month)));
        let date =
            format!("used up about {} (80 of 100: {} to {})", day(wear.expected), day(wear.early), day(wear.late));
        let (since, then) = wear.then;
        let facts = vec![
            evidence(since, format!("life left {} % on {}", show(then), day(since))),
            evidence(told_at, format!("life left {} % on {}: {rate}, {date}", show(wear.left), day(told_at))),
        ];
        let base = predicted(finding(ID, Fault::DiskWear, component, Some(place), newest));
        let penalty = if level == Level::Advice { ADVICE } else { base.penalty };
        Some(Finding {
            level,
            penalty,
            onset: since,
            reason: format!(
                "{} % of the drive's life is left, {} % on {}; at {rate} it is {date}",
                show(left),
                show(then),
                day(since)
            ),
            evidence: facts,
            confirm: 2,
            ..base
        })
    }
}

/// The days from one moment to another, less than none where it is past.
fn days(from: Timestamp, to: Timestamp) -> i64 {
    (to.as_millis() - from.as_millis()).div_euclid(86_400_000)
}

/// Two digits that count.
fn short(n: f64) -> f64 {
    if n <= 0.0 || !n.is_finite() {
        return n;
    }
    let unit = 10_f64.powf(n.log10().floor() - 1.0);
    (n / unit).round() * unit
}

pub(super) fn day(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}
