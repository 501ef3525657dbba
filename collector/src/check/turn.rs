//! When a server's check comes by itself. Pure: its id and the config determine the moment, so that a restart moves nothing and each day has its share.

use crate::config::check::HealthCheckConfig;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use outband_schemas::{ServerId, Timestamp};

/// The name of the day in which `now` lies, and its number; `None` where nothing comes by itself.
pub fn day(config: &HealthCheckConfig, now: Timestamp) -> Option<Day> {
    if config.every_days == 0 {
        return None;
    }
    let zone = TimeZone::get(&config.zone).ok()?;
    let begins = i64::from(config.minutes()?);
    let local = jiff::Timestamp::from_millisecond(now.as_millis()).ok()?.to_zoned(zone.clone());
    let today = local.date();
    // The checks of an evening go on after midnight: until the next ones begin, it is still the day on which they began.
    let start_of = |date: Date| {
        let at = date.at(i8::try_from(begins / 60).ok()?, i8::try_from(begins % 60).ok()?, 0, 0);
        Some(at.to_zoned(zone.clone()).ok()?.timestamp().as_millisecond())
    };
    let date = if start_of(today)? <= now.as_millis() { today } else { today.yesterday().ok()? };
    let number = i64::from(date.since((jiff::Unit::Day, Date::constant(2000, 1, 1))).ok()?.get_days());
    Some(Day { name: date.to_string(), number, starts: Timestamp::from_millis(start_of(date)?) })
}

/// A day of checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Day {
    /// Its date, e.g. `2026-03-01`.
    pub name: String,
    number: i64,
    starts: Timestamp,
}

/// Whether a server's check has come on this day.
pub fn is_due(server: &ServerId, config: &HealthCheckConfig, day: &Day, now: Timestamp) -> bool {
    let drawn = draw(server.as_str());
    let every = u64::from(config.every_days.max(1));
    let of_day = drawn % every == day.number.unsigned_abs() % every;
    let spread = u64::try_from(config.spread.duration().as_millis()).unwrap_or(u64::MAX).max(1);
    // Another part of the number, so that a day's servers are spread over it, too.
    let offset = i64::try_from((drawn / every) % spread).unwrap_or(0);
    of_day && now.as_millis() >= day.starts.as_millis().saturating_add(offset)
}

/// A number that the id determines (FNV-1a, and mixed, since ids differ in their last digits).
fn draw(id: &str) -> u64 {
    let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    let mixed = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 29)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::from_millis(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    fn config() -> HealthCheckConfig {
        HealthCheckConfig { zone: "Asia/Shanghai".to_owned(), at: "22:00".to_owned(), ..HealthCheckConfig::default() }
    }

    fn servers() -> Vec<ServerId> {
        (0..2000).map(|n| ServerId::new(format!("srv-{n}")).unwrap()).collect()
    }

    fn due(day_at: &str) -> usize {
        let config = config();
        let day = day(&config, at(day_at)).unwrap();
        servers().iter().filter(|s| is_due(s, &config, &day, at(day_at))).count()
    }

    #[test]
    fn every_server_has_its_day_once_in_seven_and_each_day_its_share() {
        let config = config();
        let mut had = vec![0; 2000];
        for n in 1..=7 {
            let end = at(&format!("2026-03-{:02}T21:59:00+08:00", n + 1));
            let day = day(&config, end).unwrap();
            assert_eq!(day.name, format!("2026-03-{n:02}"), "until the next evening it is the day of the last one");
            let of_day: Vec<bool> = servers().iter().map(|s| is_due(s, &config, &day, end)).collect();
            let share = of_day.iter().filter(|d| **d).count();
            assert!((200..=370).contains(&share), "{share} of 2000 on day {n}");
            had.iter_mut().zip(&of_day).for_each(|(count, due)| *count += usize::from(*due));
        }
        assert!(had.iter().all(|n| *n == 1));
    }

    #[test]
    fn a_days_checks_are_spread_over_the_hours_after_it_began() {
        let (begin, half, end) =
            (due("2026-03-01T22:01:00+08:00"), due("2026-03-02T00:00:00+08:00"), due("2026-03-02T02:00:00+08:00"));
        assert!(begin < 10, "never all at once: {begin}");
        assert!(half * 10 > end * 4 && half * 10 < end * 6, "{half} of {end} at half time");
    }

    #[test]
    fn nothing_comes_by_itself_where_the_config_says_so() {
        let off = HealthCheckConfig { every_days: 0, ..HealthCheckConfig::default() };
        assert_eq!(day(&off, at("2026-03-01T00:00:00Z")), None);
    }
}
