//! Quiet hours and digests, in the recipient's zone. Pure.

use crate::config::notify::{PriorityName, Quiet, Recipient};
use jiff::Zoned;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use outband_schemas::Timestamp;
use outband_ticket::{Calendar, Calendars, Priority};
use std::time::Duration;

const DAY: u64 = 24 * 60 * 60;
/// So many days off in a row at most: a calendar that never opens must not hold a notice for good.
const DAYS_OFF: u32 = 30;

/// What is wrong with a zone or with quiet hours.
pub(crate) fn check(zone: &str, quiet: Option<&Quiet>) -> Result<(), String> {
    TimeZone::get(zone).map_err(|_| format!("{zone:?} is no time zone; write e.g. \"Asia/Shanghai\""))?;
    for text in quiet.into_iter().flat_map(|q| [&q.from, &q.to]) {
        time(text).ok_or_else(|| format!("{text:?} is no time of day; write e.g. \"22:00\""))?;
    }
    if quiet.is_some_and(|q| q.priorities.contains(&PriorityName::P1)) {
        return Err("quiet.priorities: P1 is never held back".to_owned());
    }
    Ok(())
}

fn time(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
}

/// When the quiet hours and days off that hold this notice end; `None`: it is not held.
pub(super) fn until(to: &Recipient, priority: Priority, calendars: &Calendars, now: Timestamp) -> Option<Timestamp> {
    let named = |q: &&Quiet| priority != Priority::P1 && q.priorities.contains(&priority.into());
    let quiet = to.quiet.as_ref().filter(named)?;
    let hours = (time(&quiet.from)?, time(&quiet.to)?);
    let days = quiet.calendar.as_deref().map(|name| calendars.business(Some(name)));
    let mut local = zoned(now, &TimeZone::get(&to.zone).ok()?)?;
    let start = local.clone();
    for _ in 0..2 * DAYS_OFF {
        // A night may end in a day off, and a day off in a night.
        let later = match days.filter(|days| !is_open_on(days, &local)) {
            Some(_) => midnight_after(&local)?,
            None => match night_end(hours, &local)? {
                Some(end) => end,
                None => break,
            },
        };
        local = later;
    }
    (local > start).then(|| Timestamp::from_millis(local.timestamp().as_millisecond()))
}

fn zoned(at: Timestamp, zone: &TimeZone) -> Option<Zoned> {
    Some(jiff::Timestamp::from_millisecond(at.as_millis()).ok()?.to_zoned(zone.clone()))
}

/// When the quiet hours end that this moment lies in.
#[allow(clippy::option_option, reason = "no end and no such moment are two things")]
fn night_end((from, end): (Time, Time), local: &Zoned) -> Option<Option<Zoned>> {
    let at = local.time();
    let inside = if from <= end { from <= at && at < end } else { from <= at || at < end };
    if !inside {
        return Some(None);
    }
    let day = if at < end { local.date() } else { local.date().tomorrow().ok()? };
    let ends = local.time_zone().to_ambiguous_zoned(day.to_datetime(end));
    let first = ends.clone().compatible().ok()?;
    if first > *local {
        return Some(Some(first));
    }
    // In an hour that the clock repeats: its end comes once more.
    let next = local.checked_add(jiff::SignedDuration::from_secs(1)).ok()?;
    Some(Some(ends.later().ok()?.max(next)))
}

/// Whether the calendar is open at any time of that day.
fn is_open_on(calendar: &Calendar, local: &Zoned) -> bool {
    let (Some(begin), Some(end)) = (midnight(local.date(), local.time_zone()), midnight_after(local)) else {
        return true;
    };
    let of = |at: &Zoned| Timestamp::from_millis(at.timestamp().as_millisecond());
    calendar.opens_at(of(&begin)).is_some_and(|open| open < of(&end))
}

fn midnight(date: Date, zone: &TimeZone) -> Option<Zoned> {
    date.to_datetime(Time::midnight()).to_zoned(zone.clone()).ok()
}

fn midnight_after(local: &Zoned) -> Option<Zoned> {
    midnight(local.date().tomorrow().ok()?, local.time_zone())
}

/// When the digest of this moment goes out: the next full multiple of `every` since the midnight of the recipient's zone, so that a daily one
/// goes out at the same time of day in summer and in winter; of several days: since the first midnight of 1970.
pub(super) fn digest_at(at: Timestamp, every: Duration, zone: &str) -> Timestamp {
    let plain = || at.plus(every);
    next_multiple(at, every.as_secs().max(1), zone).unwrap_or_else(plain)
}

fn next_multiple(at: Timestamp, every: u64, zone: &str) -> Option<Timestamp> {
    let zone = TimeZone::get(zone).ok()?;
    let local = zoned(at, &zone)?;
    let of = |at: Zoned| Timestamp::from_millis(at.timestamp().as_millisecond());
    let days = i64::try_from(every / DAY).ok()?;
    if days > 0 {
        let passed = i64::from(local.date().since((jiff::Unit::Day, Date::constant(1970, 1, 1))).ok()?.get_days());
        let next = jiff::Span::new().try_days(days - passed.rem_euclid(days)).ok()?;
        return midnight(local.date().checked_add(next).ok()?, &zone).map(of);
    }
    let time = local.time();
    let of_day = [(time.hour(), 3600), (time.minute(), 60), (time.second(), 1)];
    let passed: u64 = of_day.iter().map(|(n, secs)| u64::from(n.unsigned_abs()) * secs).sum();
    let mut next = (passed / every + 1) * every;
    while next < DAY {
        let seconds = i64::try_from(next).ok()?;
        let civil =
            local.date().to_datetime(Time::midnight()).checked_add(jiff::SignedDuration::from_secs(seconds)).ok()?;
        let moment = of(civil.to_zoned(zone.clone()).ok()?);
        // In an hour that the clock repeats, the multiples of its first run are over.
        if moment > at {
            return Some(moment);
        }
        next += every;
    }
    midnight_after(&local).map(of)
}

/// A moment as people in that zone write it: `2026-03-01 08:30 CST`.
pub(super) fn show(at: Timestamp, zone: &str) -> String {
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    match zoned(at, &zone) {
        Some(at) => at.strftime("%Y-%m-%d %H:%M %Z").to_string(),
        None => at.to_string(),
    }
}

#[cfg(test)]
mod tests;
