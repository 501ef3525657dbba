//! Quiet hours, in the recipient's zone. Pure.

use crate::config::notify::{Quiet, Recipient};
use jiff::civil::Time;
use jiff::tz::TimeZone;
use outband_schemas::Timestamp;
use outband_ticket::Priority;

/// What is wrong with a zone or with quiet hours.
pub(crate) fn check(zone: &str, quiet: Option<&Quiet>) -> Result<(), String> {
    TimeZone::get(zone).map_err(|_| format!("{zone:?} is no time zone; write e.g. \"Asia/Shanghai\""))?;
    for text in quiet.into_iter().flat_map(|q| [&q.from, &q.to]) {
        time(text).ok_or_else(|| format!("{text:?} is no time of day; write e.g. \"22:00\""))?;
    }
    Ok(())
}

fn time(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
}

/// When the quiet hours that hold this notice end; `None`: it is not held.
pub(super) fn until(to: &Recipient, priority: Priority, now: Timestamp) -> Option<Timestamp> {
    let quiet = to.quiet.as_ref().filter(|q| q.priorities.contains(&priority.into()))?;
    let (from, end) = (time(&quiet.from)?, time(&quiet.to)?);
    let local = jiff::Timestamp::from_millisecond(now.as_millis()).ok()?.to_zoned(TimeZone::get(&to.zone).ok()?);
    let at = local.time();
    let inside = if from <= end { from <= at && at < end } else { from <= at || at < end };
    let today = if at < end { local.date() } else { local.date().tomorrow().ok()? };
    let ends = today.to_datetime(end).to_zoned(local.time_zone().clone()).ok()?;
    // An hour that the clock repeats or leaves out must not hold a notice at its own end.
    inside.then(|| {
        Timestamp::from_millis(ends.timestamp().as_millisecond()).max(now.plus(std::time::Duration::from_secs(1)))
    })
}

/// A moment as people in that zone write it: `2026-03-01 08:30 +08`.
pub(super) fn show(at: Timestamp, zone: &str) -> String {
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    match jiff::Timestamp::from_millisecond(at.as_millis()) {
        Ok(at) => at.to_zoned(zone).strftime("%Y-%m-%d %H:%M %Z").to_string(),
        Err(_) => at.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::notify::PriorityName;

    fn li() -> Recipient {
        toml::from_str(
            "channel = 'mail'\nto = 'li@example.com'\nzone = 'Asia/Shanghai'\nquiet = { from = '22:00', to = '07:30' }",
        )
        .unwrap()
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::from_millis(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    #[test]
    fn quiet_hours_over_midnight_hold_until_the_morning_of_the_recipient() {
        let morning = Some(at("2026-03-02T07:30:00+08:00"));
        assert_eq!(until(&li(), Priority::P3, at("2026-03-01T23:00:00+08:00")), morning);
        assert_eq!(until(&li(), Priority::P3, at("2026-03-02T07:29:59+08:00")), morning);
        assert_eq!(until(&li(), Priority::P3, at("2026-03-02T07:30:00+08:00")), None);
        assert_eq!(until(&li(), Priority::P3, at("2026-03-01T12:00:00+08:00")), None);
    }

    #[test]
    fn what_is_urgent_is_never_quiet_unless_the_operator_says_so() {
        let night = at("2026-03-01T23:00:00+08:00");
        assert_eq!(until(&li(), Priority::P1, night), None);
        assert_eq!(until(&li(), Priority::P2, night), None);
        let mut said = li();
        said.quiet.as_mut().unwrap().priorities.push(PriorityName::P2);
        assert!(until(&said, Priority::P2, night).is_some());
    }

    #[test]
    fn quiet_hours_end_when_the_clock_is_put_forward_over_their_end() {
        let mut to = li();
        to.zone = "Europe/Berlin".to_owned();
        to.quiet.as_mut().unwrap().to = "02:30".to_owned();
        let ends = until(&to, Priority::P4, at("2026-03-29T00:10:00Z")).unwrap();
        assert_eq!(until(&to, Priority::P4, ends), None, "{ends}");
    }

    #[test]
    fn a_moment_is_shown_in_the_recipients_zone() {
        assert_eq!(show(at("2026-03-01T00:30:00Z"), "Asia/Shanghai"), "2026-03-01 08:30 CST");
    }
}
