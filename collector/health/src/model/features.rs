//! What the model looks at, and what each is called: one walk gives both, so they cannot part.

use super::history::Track;
use super::{Among, Attribute, Day, History};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Who made a drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Vendor {
    /// Seagate.
    Seagate,
    /// Hitachi, HGST.
    Hgst,
    /// Western Digital.
    Wdc,
    /// Anybody else: the model has not seen its drives.
    #[default]
    Other,
}

/// What does not change of a drive.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Drive {
    /// Its model, as [`super::family`] writes it; empty: not told.
    pub family: String,
    /// Who made it.
    pub vendor: Vendor,
    /// Capacity, TB (10^12 bytes).
    pub capacity: Option<f64>,
    /// Whether it has platters. `None`: not told.
    pub rotating: Option<bool>,
}

/// What is measured. Windows are in days and end with the day that is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is what its name in the model card says")]
pub enum What {
    Level,
    Change(Day),
    RiseDays(Day),
    GreatestRise(Day),
    Peak(Day),
    ShareOfPeak,
    SinceRise,
    SinceFall,
    SinceFirstRise,
    Rises,
    Growth,
    ErrorDays(Day),
    ErrorSpread(Day),
    SinceError,
    SinceFirstError,
    AllErrorDays,
    NonZero,
    Rising(Day),
    Acceleration,
    LogSum,
    LogSumChange(Day),
    Rarity,
    RarityChange(Day),
    GreatestRarity,
    GreatestRarityChange(Day),
    Hours,
    HoursAtFirstError,
    Capacity,
    Vendor,
}

/// A feature: what is measured, and of which attribute (`None`: of the drive).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feature {
    /// Of which attribute.
    pub of: Option<Attribute>,
    /// What is measured.
    pub what: What,
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use What as W;
        match self.of {
            Some(attribute) => write!(f, "smart_{}.", attribute.number())?,
            None => f.write_str("drive.")?,
        }
        match self.what {
            W::Level => f.write_str("level"),
            W::Change(w) => write!(f, "change_{w}d"),
            W::RiseDays(w) => write!(f, "rise_days_{w}d"),
            W::GreatestRise(w) => write!(f, "greatest_rise_{w}d"),
            W::Peak(w) => write!(f, "peak_{w}d"),
            W::ShareOfPeak => f.write_str("share_of_peak"),
            W::SinceRise => f.write_str("days_since_rise"),
            W::SinceFall => f.write_str("days_since_fall"),
            W::SinceFirstRise => f.write_str("days_since_first_rise"),
            W::Rises => f.write_str("rises"),
            W::Growth => f.write_str("growth"),
            W::ErrorDays(w) => write!(f, "error_days_{w}d"),
            W::ErrorSpread(w) => write!(f, "error_spread_{w}d"),
            W::SinceError => f.write_str("days_since_error"),
            W::SinceFirstError => f.write_str("days_since_first_error"),
            W::AllErrorDays => f.write_str("error_days"),
            W::NonZero => f.write_str("non_zero"),
            W::Rising(w) => write!(f, "rising_{w}d"),
            W::Acceleration => f.write_str("acceleration"),
            W::LogSum => f.write_str("log_sum"),
            W::LogSumChange(w) => write!(f, "log_sum_change_{w}d"),
            W::Rarity => f.write_str("rarity"),
            W::RarityChange(w) => write!(f, "rarity_change_{w}d"),
            W::GreatestRarity => f.write_str("greatest_rarity"),
            W::GreatestRarityChange(w) => write!(f, "greatest_rarity_change_{w}d"),
            W::Hours => f.write_str("power_on_hours"),
            W::HoursAtFirstError => f.write_str("power_on_hours_at_first_error"),
            W::Capacity => f.write_str("capacity"),
            W::Vendor => f.write_str("vendor"),
        }
    }
}

/// The names of all features, in the order in which [`walk`] gives them.
pub fn names() -> Vec<String> {
    let mut names = Vec::new();
    walk(&History::default(), &Drive::default(), &Among::default(), 0, |feature, _| names.push(feature.to_string()));
    names
}

/// Calls `put` for each feature of a drive on `day`, always in the same order; NaN where there is nothing to measure. Nothing that was
/// read after `day` may be in the history. `among`: the drives that it is compared with.
pub fn walk(history: &History, drive: &Drive, among: &Among<'_>, day: Day, mut put: impl FnMut(Feature, f64)) {
    for attribute in Attribute::ALL {
        of_attribute(history.track(attribute), attribute, day, |what, value| {
            put(Feature { of: Some(attribute), what }, value);
        });
    }
    of_drive(history, drive, day, |what, value| put(Feature { of: None, what }, value));
    of_rarity(history, among, day, |what, value| put(Feature { of: None, what }, value));
}

fn of_attribute(track: &Track, attribute: Attribute, day: Day, mut put: impl FnMut(What, f64)) {
    use Attribute as A;
    let told = matches!(
        attribute,
        A::ReallocatedSectors | A::ReportedUncorrectable | A::PendingSectors | A::OfflineUncorrectable
    );
    let changes: &[Day] = match attribute {
        _ if told => &[1, 3, 7, 14, 30, 60, 120],
        A::PowerCycles => &[1, 7, 30],
        A::SpinRetries => &[30],
        _ => &[1, 7, 30, 90],
    };
    let rises: &[Day] = match attribute {
        _ if told => &[7, 30, 90],
        A::SpinRetries | A::PowerCycles => &[30],
        _ => &[30, 90],
    };
    let now = track.now();
    let known = |value: f64| if now.is_some() { value } else { f64::NAN };
    let level = now.unwrap_or(f64::NAN);
    put(What::Level, level);
    for &w in changes {
        put(What::Change(w), level - track.at(day - w).unwrap_or(level));
    }
    for &w in rises {
        put(What::RiseDays(w), known(f64::from(track.rises_after(day - w).0)));
    }
    put(What::SinceRise, since(day, track.last_rise()));
    if told {
        put(What::GreatestRise(30), known(track.rises_after(day - 30).1));
    }
    match attribute {
        A::ReallocatedSectors | A::ReportedUncorrectable => {
            put(What::SinceFirstRise, since(day, track.first_rise()));
            put(What::Growth, level - track.first());
        }
        A::PendingSectors | A::OfflineUncorrectable => {
            put(What::Peak(30), track.peak_after(day - 30).unwrap_or(f64::NAN));
            put(What::Peak(90), track.peak_after(day - 90).unwrap_or(f64::NAN));
            put(What::ShareOfPeak, level / track.peak().max(1.0));
            put(What::SinceFall, since(day, track.last_fall()));
        }
        A::SpinRetries | A::PowerCycles | A::CommandTimeouts | A::HighFlyWrites | A::ReallocationEvents => {}
    }
    if told || matches!(attribute, A::CommandTimeouts | A::HighFlyWrites) {
        put(What::Rises, f64::from(track.rises()));
    }
}

fn of_drive(history: &History, drive: &Drive, day: Day, mut put: impl FnMut(What, f64)) {
    let error_days = |w: Day| count(history.errors(day, w).count());
    for w in [3, 7, 14, 30, 60, 90, 180] {
        put(What::ErrorDays(w), error_days(w));
    }
    for w in [7, 30] {
        put(What::ErrorSpread(w), history.errors(day, w).map(|e| f64::from(e.attributes)).sum());
    }
    put(What::SinceError, since(day, history.last_error()));
    put(What::SinceFirstError, since(day, history.first_error()));
    put(What::AllErrorDays, f64::from(history.error_days()));
    put(What::NonZero, count(history.medium().filter(|t| t.now().is_some_and(|v| v > 0.0)).count()));
    for w in [7, 30, 90] {
        put(What::Rising(w), count(history.medium().filter(|t| t.last_rise().is_some_and(|d| d > day - w)).count()));
    }
    put(What::Acceleration, error_days(7) / 7.0 - error_days(60) / 60.0);
    let log_sum = |on: Day| history.medium().filter_map(|t| t.at(on)).map(|v| v.max(0.0).ln_1p()).sum::<f64>();
    let now = log_sum(day);
    put(What::LogSum, now);
    for w in [7, 30, 90] {
        put(What::LogSumChange(w), now - log_sum(day - w));
    }
    let hours = history.hours(day).unwrap_or(f64::NAN);
    put(What::Hours, hours);
    put(What::HoursAtFirstError, hours - 24.0 * since(day, history.first_error()));
    put(What::Capacity, drive.capacity.unwrap_or(f64::NAN));
    put(
        What::Vendor,
        match drive.vendor {
            Vendor::Seagate => 0.0,
            Vendor::Hgst => 1.0,
            Vendor::Wdc => 2.0,
            Vendor::Other => f64::NAN,
        },
    );
}

fn of_rarity(history: &History, among: &Among<'_>, day: Day, mut put: impl FnMut(What, f64)) {
    let on = |day| among.rarity(history, day).unwrap_or((f64::NAN, f64::NAN));
    let (sum, greatest) = on(day);
    put(What::Rarity, sum);
    put(What::GreatestRarity, greatest);
    for w in [1, 3, 7, 14, 30, 90] {
        let (then, greatest_then) = on(day - w);
        put(What::RarityChange(w), sum - then);
        put(What::GreatestRarityChange(w), greatest - greatest_then);
    }
}

fn since(day: Day, then: Option<Day>) -> f64 {
    then.map_or(f64::NAN, |then| f64::from(day - then))
}

fn count(n: usize) -> f64 {
    u32::try_from(n).map_or(f64::INFINITY, f64::from)
}
