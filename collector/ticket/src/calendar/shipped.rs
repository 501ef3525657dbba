//! Calendars that come with the program.
//!
//! China's public holidays with their make-up days (调休) are those of the State Council's yearly notices, kept as iCalendar files in
//! `data/` and read by the importer that reads a user's; each file names its notice. A year that is not published is not there, and
//! answers that reach into it are flagged.

use super::ical::{Import, Terms, import};
use super::{CalendarError, CalendarRevision, CalendarSpec, Week, Weekday};
use Weekday::{Fri, Mon, Sat, Sun, Thu, Tue, Wed};
use outband_schemas::Timestamp;

/// The years of China's public holidays that are shipped, each with the file and the day of its notice.
const CN: [(i16, &str, &str); 3] = [
    (2024, include_str!("../../data/cn-2024.ics"), "2023-10-25T00:00:00Z"),
    (2025, include_str!("../../data/cn-2025.ics"), "2024-11-12T00:00:00Z"),
    (2026, include_str!("../../data/cn-2026.ics"), "2025-11-04T00:00:00Z"),
];

/// The zone of China's calendars.
pub const CN_ZONE: &str = "Asia/Shanghai";

const WORKDAYS: [Weekday; 5] = [Mon, Tue, Wed, Thu, Fri];

/// The calendars by name, with what each is.
pub const NAMES: [(&str, &str); 4] = [
    ("24x7", "around the clock"),
    ("weekdays-9-18", "Monday to Friday 09:00-18:00 UTC, no holidays; set the zone"),
    ("cn-9-18", "China: weekdays and make-up days 09:00-18:00, public holidays closed"),
    ("cn-24h-workdays", "China: whole weekdays and make-up days, for promises of the next business day"),
];

/// A calendar by its name; `None` where none has it.
pub fn shipped(name: &str) -> Option<Result<CalendarRevision, CalendarError>> {
    let first = |tz: &str, days: &[Weekday], hours: (&str, &str)| CalendarRevision {
        id: name.to_owned(),
        revision: 1,
        spec: CalendarSpec { tz: tz.to_owned(), week: Week::on(days, &[hours]), ..CalendarSpec::default() },
        valid_from: None,
        valid_until: None,
        source: "shipped".to_owned(),
        imported_at: Timestamp::EPOCH,
    };
    let all = [Mon, Tue, Wed, Thu, Fri, Sat, Sun];
    match name {
        "24x7" => Some(Ok(first("UTC", &all, ("00:00", "24:00")))),
        "weekdays-9-18" => Some(Ok(first("UTC", &WORKDAYS, ("09:00", "18:00")))),
        "cn-9-18" => Some(with_cn(first(CN_ZONE, &WORKDAYS, ("09:00", "18:00")))),
        "cn-24h-workdays" => Some(with_cn(first(CN_ZONE, &WORKDAYS, ("00:00", "24:00")))),
        _ => None,
    }
}

/// China's public holidays of one year; `None` where the year is not shipped.
pub fn cn(year: i16) -> Option<Result<Import, CalendarError>> {
    let (_, text, _) = CN.iter().find(|(of, ..)| *of == year)?;
    let terms = Terms { tz: CN_ZONE.to_owned(), years: year..=year, make_up_as: Fri };
    Some(import(&[(&format!("cn-{year}.ics"), text)], &terms))
}

/// A revision for each year, as if each notice had been imported when it came.
fn with_cn(mut calendar: CalendarRevision) -> Result<CalendarRevision, CalendarError> {
    for (year, _, published) in CN {
        if let Some(import) = cn(year) {
            let source = format!("State Council notices on public holidays until {year}");
            let at = published.parse().unwrap_or(Timestamp::EPOCH);
            calendar = calendar.with(&import?, &source, at);
        }
    }
    Ok(calendar)
}
