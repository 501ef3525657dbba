//! The open periods of a calendar as instants.

use super::zone::{Day, LAST_DAY, Stretch, date_of, day_of, instant, local_instant, weekday_of};
use super::{Calendar, EMPTY_DAYS, Span, Window};
use jiff::civil::DateTime;
use outband_schemas::Timestamp;

impl Calendar {
    /// The windows of a day, before breaks.
    fn scheduled(&self, day: Day) -> &[Window] {
        if let Some(windows) = self.overrides.get(&day) {
            return windows;
        }
        if let Some(like) = self.make_up.get(&day) {
            return &self.week[*like];
        }
        if self.is_holiday(day) { &[] } else { &self.week[weekday_of(day)] }
    }

    fn is_holiday(&self, day: Day) -> bool {
        self.holidays.contains(&day)
            || !self.yearly.is_empty() && date_of(day).is_some_and(|d| self.yearly.contains(&(d.month(), d.day())))
    }

    /// The breaks of a day: its own, and those of its weekday unless the day has hours of its own.
    fn breaks_of(&self, day: Day) -> impl Iterator<Item = &Window> {
        let weekly = (!self.overrides.contains_key(&day))
            .then(|| &self.weekly_breaks[self.make_up.get(&day).copied().unwrap_or_else(|| weekday_of(day))]);
        self.breaks.get(&day).into_iter().flatten().chain(weekly.into_iter().flatten())
    }

    pub(super) fn local_instant(&self, local: DateTime) -> Option<Timestamp> {
        local_instant(&self.zone, local)
    }

    pub(super) fn local_day(&self, at: Timestamp) -> Option<Day> {
        Some(day_of(instant(at)?.to_zoned(self.zone.clone()).date()))
    }

    /// Appends the open periods that begin on a day. Breaks are cut out as instants, whichever day's window they fall into, so
    /// that a break never opens what was closed.
    pub(super) fn open_on(&self, day: Day, stretch: &mut Stretch<'_>, out: &mut Vec<Span>) {
        let first = out.len();
        out.extend(self.scheduled(day).iter().filter_map(|window| stretch.span(day, *window)));
        if !self.has_breaks || out.len() == first {
            return;
        }
        // From the day before to two days after: a window may end, and a break begin, at the end of the next day.
        for near in day - 1..=day + 2 {
            for window in self.breaks_of(near) {
                let Some(cut) = stretch.span(near, *window) else { continue };
                if out.iter().skip(first).any(|span| meet(*span, cut)) {
                    let whole: Vec<Span> = out.drain(first..).collect();
                    out.extend(whole.into_iter().flat_map(|span| without(span, cut)));
                }
            }
        }
    }

    /// The open periods that begin on a day: a business day has some.
    pub(super) fn day(&self, day: Day, stretch: &mut Stretch<'_>) -> Vec<Span> {
        let mut spans = Vec::new();
        self.open_on(day, stretch, &mut spans);
        spans
    }

    /// The open periods that end after `at`, in order, none overlapping another. Adjacent ones may touch. Ends where
    /// nothing opens for [`EMPTY_DAYS`].
    pub(super) fn periods(&self, at: Timestamp) -> Periods<'_> {
        // Three days back: a window may reach into the next day, and a zone may skip one.
        let day = self.local_day(at).map(|day| day - 3);
        let stretch = Stretch::around(&self.zone, at);
        Periods { calendar: self, stretch, day, batch: Vec::new(), next: 0, last_end: None, after: at }
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
        all.take_while(move |(from, _)| *from < until && start < until).flat_map(move |(from, to)| {
            let piece = (from.max(start), to.min(until));
            let mut pieces = vec![piece];
            for pause in pauses.iter().filter(|pause| meet(piece, **pause)) {
                pieces = pieces.into_iter().flat_map(|piece| without(piece, *pause)).collect();
            }
            pieces
        })
    }
}

/// Whether two spans have a moment in common.
fn meet(a: Span, b: Span) -> bool {
    a.0 < b.1 && b.0 < a.1
}

/// What is left of a span without a cut.
fn without(span: Span, cut: Span) -> impl Iterator<Item = Span> {
    let cut = if cut.0 < cut.1 { cut } else { (span.1, span.1) };
    [(span.0, span.1.min(cut.0)), (span.0.max(cut.1), span.1)].into_iter().filter(|(from, to)| from < to)
}

/// See [`Calendar::periods`].
pub(super) struct Periods<'a> {
    calendar: &'a Calendar,
    stretch: Stretch<'a>,
    /// The next day that is not loaded.
    day: Option<Day>,
    batch: Vec<Span>,
    next: usize,
    last_end: Option<Timestamp>,
    after: Timestamp,
}

impl Periods<'_> {
    /// Loads the next day, and with it those around a change of clocks: there, windows of one day may come after those of the
    /// next. `None` at the end of days.
    fn load(&mut self) -> Option<Day> {
        self.batch.clear();
        self.next = 0;
        let mut day = self.day.filter(|day| *day < LAST_DAY)?;
        self.calendar.open_on(day, &mut self.stretch, &mut self.batch);
        let mut sorted = !self.calendar.has_breaks;
        while day + 1 < LAST_DAY && self.stretch.calm(day + 1).is_none() {
            day += 1;
            sorted = false;
            self.calendar.open_on(day, &mut self.stretch, &mut self.batch);
        }
        if !sorted {
            self.batch.sort_unstable();
        }
        self.day = Some(day + 1);
        Some(day)
    }
}

impl Iterator for Periods<'_> {
    type Item = Span;

    fn next(&mut self) -> Option<Span> {
        let begin = self.day?;
        loop {
            while let Some((from, to)) = self.batch.get(self.next).copied() {
                self.next += 1;
                let from = self.last_end.map_or(from, |end| from.max(end));
                if from < to && to > self.after {
                    self.last_end = Some(to);
                    return Some((from, to));
                }
            }
            let day = self.load()?;
            if day - begin > EMPTY_DAYS && day > self.calendar.last_exception {
                return None;
            }
        }
    }
}
