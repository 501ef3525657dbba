//! The tickets that weeks brought, and what the next ones will bring.

use super::census::Census;
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use outband_health::fleet::load::{self, Week};
use outband_schemas::Timestamp;
use outband_ticket::Answer;
use std::collections::BTreeMap;

/// So many past weeks are looked at.
const PAST: i64 = 104;

/// Of what a forecast is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Of {
    /// Of all.
    All,
    /// A site.
    Site(String),
    /// A customer.
    Customer(String),
}

/// The tickets of past and of coming weeks.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    /// Of what.
    pub of: Of,
    /// Past whole weeks, oldest first.
    pub past: Vec<u64>,
    /// The week that runs and those after it, each with its Monday; none where too little is known.
    pub weeks: Vec<(Date, Week)>,
    /// Past tickets from Monday to Sunday.
    pub weekdays: [u64; 7],
    /// Why nothing is foretold.
    pub refused: Option<load::TooLittle>,
}

#[derive(Debug, Default)]
struct Heap {
    since: Option<Date>,
    weeks: BTreeMap<Date, u64>,
    weekdays: [u64; 7],
}

fn monday(date: Date) -> Date {
    let back = i64::from(date.weekday().since(Weekday::Monday));
    date.checked_sub(jiff::Span::new().days(back)).unwrap_or(date)
}

/// Forecasts of all, of each site and of each customer, as far as `wanted`. Tickets are kept since `kept`; what came earlier is not known.
pub fn forecasts(
    census: &Census,
    zone: &TimeZone,
    weeks: usize,
    kept: Timestamp,
    wanted: impl Fn(&Of) -> bool,
) -> Vec<Forecast> {
    let date = |at: Timestamp| {
        let at = jiff::Timestamp::from_millisecond(at.as_millis()).ok()?;
        Some(at.to_zoned(zone.clone()).date())
    };
    let Some(this) = date(census.now).map(monday) else { return Vec::new() };
    let mut heaps: BTreeMap<Of, Heap> = BTreeMap::new();
    let of_machine = |machine: usize| {
        let machine = census.machines.get(machine)?;
        let customer = machine.customer.clone().map(Of::Customer);
        Some([Some(Of::All), Some(Of::Site(machine.site.clone())), customer].into_iter().flatten().collect::<Vec<_>>())
    };
    for (index, machine) in census.machines.iter().enumerate() {
        let since = date(machine.watched.0.max(kept));
        for of in of_machine(index).into_iter().flatten().filter(|of| wanted(of)) {
            let heap = heaps.entry(of).or_default();
            heap.since = heap.since.into_iter().chain(since).min();
        }
    }
    for (machine, of) in census.outcomes.iter().filter(|(_, of)| of.outcome.answer != Answer::Aside) {
        let Some(opened) = date(of.outcome.opened_at) else { continue };
        for key in of_machine(*machine).into_iter().flatten() {
            let Some(heap) = heaps.get_mut(&key) else { continue };
            *heap.weeks.entry(monday(opened)).or_default() += 1;
            let day = usize::try_from(opened.weekday().to_monday_zero_offset()).unwrap_or_default();
            if let Some(count) = heap.weekdays.get_mut(day) {
                *count += 1;
            }
        }
    }
    heaps.into_iter().map(|(of, heap)| forecast(of, &heap, this, weeks)).collect()
}

fn forecast(of: Of, heap: &Heap, this: Date, weeks: usize) -> Forecast {
    let week = |monday: Date, n: i64| monday.checked_add(jiff::Span::new().days(7 * n)).unwrap_or(monday);
    // The week in which watching began is not whole.
    let oldest = this.checked_sub(jiff::Span::new().days(7 * PAST)).unwrap_or(this);
    let first = heap.since.map_or(this, |since| week(monday(since), 1)).max(oldest);
    let past: Vec<u64> = (0..PAST)
        .map(|n| week(first, n))
        .take_while(|monday| *monday < this)
        .map(|monday| heap.weeks.get(&monday).copied().unwrap_or(0))
        .collect();
    let (next, refused) = match load::forecast(&past, weeks) {
        Ok(next) => (next, None),
        Err(too_little) => (Vec::new(), Some(too_little)),
    };
    let weeks = (0..).map(|n| week(this, n)).zip(next).collect();
    Forecast { of, past, weeks, weekdays: heap.weekdays, refused }
}
