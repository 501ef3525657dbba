//! The open periods of a calendar as instants.

use super::{Calendar, HORIZON_DAYS, Span, Window};
use jiff::civil::{Date, DateTime, Time};
use outband_schemas::Timestamp;

/// An instant as the zone data knows it.
pub(super) fn instant(at: Timestamp) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_millisecond(at.as_millis()).ok()
}

impl Calendar {
    /// The windows of a date after overrides, holidays and breaks.
    pub(super) fn windows(&self, date: Date) -> Vec<Window> {
        let mut windows = self.scheduled(date).to_vec();
        for cut in self.breaks.get(&date).into_iter().flatten() {
            windows = windows
                .into_iter()
                .flat_map(|(from, to)| [(from, to.min(cut.0)), (from.max(cut.1), to)])
                .filter(|(from, to)| from < to)
                .collect();
        }
        windows
    }

    /// The instant of a local time, "compatible": the one place where gaps and folds are decided.
    pub(super) fn local_instant(&self, local: DateTime) -> Option<Timestamp> {
        let at = self.zone.to_ambiguous_timestamp(local).compatible().ok()?;
        Some(Timestamp::from_millis(at.as_millisecond()))
    }

    fn edge(&self, date: Date, seconds: i32) -> Option<Timestamp> {
        let (date, seconds) =
            if seconds >= 86_400 { (date.tomorrow().ok()?, seconds - 86_400) } else { (date, seconds) };
        let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        // A window that ends at 24:00 of the next day would need another day; no more than that is possible.
        if h == 24 {
            return self.local_instant(date.tomorrow().ok()?.to_datetime(Time::midnight()));
        }
        let time = Time::new(i8::try_from(h).ok()?, i8::try_from(m).ok()?, i8::try_from(s).ok()?, 0).ok()?;
        self.local_instant(date.to_datetime(time))
    }

    /// The open periods that begin on a local date, in order, empty ones left out.
    pub(super) fn day(&self, date: Date) -> Vec<Span> {
        let mut spans: Vec<Span> = self
            .windows(date)
            .into_iter()
            .filter_map(|(from, to)| Some((self.edge(date, from)?, self.edge(date, to)?)))
            .filter(|(from, to)| from < to)
            .collect();
        spans.sort_unstable();
        spans
    }

    /// The open periods that end after `at`, in order, none overlapping another. Adjacent ones may touch. Ends where
    /// nothing opens for [`HORIZON_DAYS`].
    pub(super) fn periods(&self, at: Timestamp) -> Periods<'_> {
        let date = instant(at).and_then(|t| {
            // Two days back: a window may reach into the next day, and a zone may skip one.
            let local = t.to_zoned(self.zone.clone()).date();
            local.yesterday().and_then(|d| d.yesterday()).ok()
        });
        Periods { calendar: self, date, ready: Vec::new().into_iter(), last_end: None, after: at }
    }

    /// The open periods in `[start, until)`, cut to it, without `pauses`.
    pub(super) fn pieces<'a>(
        &'a self,
        start: Timestamp,
        until: Timestamp,
        pauses: &'a [Span],
    ) -> impl Iterator<Item = Span> + 'a {
        let forever = self.always.then_some((start, Timestamp::from_millis(i64::MAX)));
        let periods = (!self.always).then(|| self.periods(start));
        let all = forever.into_iter().chain(periods.into_iter().flatten());
        all.take_while(move |(from, _)| *from < until).flat_map(move |(from, to)| {
            let mut pieces = vec![(from.max(start), to.min(until))];
            for (begin, end) in pauses.iter().filter(|(begin, end)| begin < end) {
                pieces = pieces
                    .into_iter()
                    .flat_map(|(from, to)| [(from, to.min(*begin)), (from.max(*end), to)])
                    .filter(|(from, to)| from < to)
                    .collect();
            }
            pieces
        })
    }
}

/// See [`Calendar::periods`].
pub(super) struct Periods<'a> {
    calendar: &'a Calendar,
    date: Option<Date>,
    ready: std::vec::IntoIter<Span>,
    last_end: Option<Timestamp>,
    after: Timestamp,
}

impl Iterator for Periods<'_> {
    type Item = Span;

    fn next(&mut self) -> Option<Span> {
        let mut empty_days = 0;
        loop {
            for (from, to) in self.ready.by_ref() {
                let from = self.last_end.map_or(from, |end| from.max(end));
                if from < to && to > self.after {
                    self.last_end = Some(to);
                    return Some((from, to));
                }
            }
            empty_days += 1;
            if empty_days > HORIZON_DAYS {
                return None;
            }
            let date = self.date?;
            self.ready = self.calendar.day(date).into_iter();
            self.date = date.tomorrow().ok();
        }
    }
}
