//! What a back-test of readings tells at its end.

use super::readings::Part;
use outband_health::drift::SignClass;
use outband_health::drift::judge::{Failure, Tally, judge, tickets};
use outband_schemas::Timestamp;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Parts are learnt in so many seconds; what fails within them cannot be foreseen, and they are not counted.
const LEARNING: u32 = 17 * 86_400;
/// The seconds of a month, as part-months are counted.
const MONTH: f64 = 730.0 * 3600.0;

/// What was seen, and what was said of it.
pub(super) struct Report {
    rows: u64,
    racks: usize,
    servers: u32,
    /// The first and the last reading, in seconds since 1970.
    span: Option<(u32, u32)>,
    /// By class: how many parts, and for how many months.
    parts: BTreeMap<SignClass, (u32, f64)>,
    alarms: BTreeMap<SignClass, Vec<(Part, Timestamp)>>,
}

impl Report {
    pub(super) fn new(rows: u64, racks: usize) -> Self {
        Self { rows, racks, servers: 0, span: None, parts: BTreeMap::new(), alarms: BTreeMap::new() }
    }

    /// Notes a server: its parts by class, its first and last reading.
    pub(super) fn see(&mut self, parts: &BTreeMap<SignClass, u32>, (first, last): (u32, u32)) {
        self.servers += 1;
        self.span = Some(self.span.map_or((first, last), |(from, to)| (from.min(first), to.max(last))));
        let months = f64::from(last.saturating_sub(first).saturating_sub(LEARNING)) / MONTH;
        for (class, count) in parts {
            let (parts, all) = self.parts.entry(*class).or_default();
            *parts += count;
            *all += months * f64::from(*count);
        }
    }

    /// Notes an alarm.
    pub(super) fn alarm(&mut self, class: SignClass, part: Part, at: Timestamp) {
        self.alarms.entry(class).or_default().push((part, at));
    }

    /// The table, with what the alarms were worth where it is known what failed.
    pub(super) fn table(self, failures: Option<&[Failure<Part>]>) -> String {
        let Some((first, last)) = self.span else { return String::new() };
        let day = |secs: u32| Timestamp::from_secs(i64::from(secs)).to_string().chars().take(10).collect::<String>();
        let mut out = format!(
            "{} readings of {} servers in {} racks, {} to {}\n\
             A ticket opens with a part's first alarm and stays open for 30 days after its last. The first 17 days are for learning.\n\n",
            self.rows,
            self.servers,
            self.racks,
            day(first),
            day(last)
        );
        out.push_str("class      parts  part-months    alarms  tickets  per 100 part-months");
        if failures.is_some() {
            out.push_str("  right  wrong  wrong/100  failures  caught  7 days before  recall  7 days before");
        }
        out.push('\n');
        let time = |secs: u32| Timestamp::from_secs(i64::from(secs));
        let judged = (time(first.saturating_add(LEARNING)), time(last.saturating_add(1)));
        for class in SignClass::ALL {
            let (parts, months) = self.parts.get(&class).copied().unwrap_or_default();
            let alarms = self.alarms.get(&class).map_or(&[][..], Vec::as_slice);
            let opened = tickets(alarms.iter().cloned());
            let count = opened.values().map(Vec::len).sum::<usize>();
            let rate = |n: f64| if months > 0.0 { format!("{:.4}", 100.0 * n / months) } else { "-".to_owned() };
            let mut line = format!(
                "{:8} {parts:7} {months:12.0} {:9} {count:8} {:>20}",
                class.as_str(),
                alarms.len(),
                rate(count as f64)
            );
            if let Some(failures) = failures {
                let Tally { failures, caught, in_time, right, wrong } =
                    judge(class, failures, &opened, time(first), judged);
                let share = |n: u32| {
                    if failures == 0 { "-".to_owned() } else { format!("{:.3}", f64::from(n) / f64::from(failures)) }
                };
                let told = write!(
                    line,
                    "  {right:5}  {wrong:5}  {:>9}  {failures:8}  {caught:6}  {in_time:13}  {:>6}  {:>13}",
                    rate(f64::from(wrong)),
                    share(caught),
                    share(in_time)
                );
                debug_assert!(told.is_ok(), "text takes whatever is written to it");
            }
            out.push_str(&line);
            out.push('\n');
        }
        out
    }
}
