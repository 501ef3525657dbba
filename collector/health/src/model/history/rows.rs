//! A history as rows of days, as training reads it.

use super::{Attribute, Day, History, Smart, Track, WINDOW};
use std::collections::BTreeSet;

impl Track {
    /// The value at the end of `day`; `None` before it was first reported.
    fn known(&self, day: Day) -> Option<f64> {
        self.newest_first().find(|step| step.day <= day).map(|step| step.value)
    }
}

impl History {
    /// What it showed, a row a day on which something changed, oldest first; `until` is the newest day on which it was read. It begins with
    /// the first day that is remembered whole: of a drive that was read for longer, the one 180 days before.
    pub fn rows(&self, until: Day) -> Vec<(Day, Smart)> {
        let Some(first) = self.tracks.iter().filter_map(|track| track.base.as_ref()).map(|step| step.day).min() else {
            return Vec::new();
        };
        let start = first.max(until.saturating_sub(WINDOW));
        let steps = self.tracks.iter().flat_map(Track::newest_first).map(|step| step.day);
        let days: BTreeSet<Day> = steps.filter(|day| (start..=until).contains(day)).chain([start]).collect();
        let row = |day: Day| {
            let mut smart = Smart { hours: self.hours(day).filter(|hours| *hours >= 0.0), ..Smart::default() };
            for (raw, attribute) in smart.raw.iter_mut().zip(Attribute::ALL) {
                *raw = self.track(attribute).known(day);
            }
            (day, smart)
        };
        days.into_iter().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(pending: f64, remapped: Option<f64>) -> Smart {
        let mut smart = Smart { hours: Some(1000.0), ..Smart::default() };
        smart.raw[Attribute::PendingSectors as usize] = Some(pending);
        smart.raw[Attribute::ReallocatedSectors as usize] = remapped;
        smart
    }

    #[test]
    fn rows_make_the_same_history_again() {
        let mut history = History::default();
        for (day, pending, remapped) in [(10, 0.0, None), (11, 0.0, None), (14, 3.0, Some(0.0)), (20, 1.0, Some(8.0))] {
            history.read(day, &shown(pending, remapped));
        }
        let rows = history.rows(25);
        assert_eq!(rows.iter().map(|(day, _)| *day).collect::<Vec<_>>(), [10, 14, 20]);
        assert_eq!(rows[0].1.raw[Attribute::ReallocatedSectors as usize], None, "not before it was reported");
        let mut again = History::default();
        rows.iter().for_each(|(day, smart)| again.read(*day, smart));
        for attribute in Attribute::ALL {
            assert_eq!(again.track(attribute), history.track(attribute), "{attribute:?}");
        }
    }

    #[test]
    fn what_is_older_than_is_remembered_is_where_the_rows_begin() {
        let mut history = History::default();
        (0..400).for_each(|day| history.read(day, &shown(f64::from(day), Some(5.0))));
        let rows = history.rows(399);
        assert_eq!((rows[0].0, rows.len()), (219, 181));
        assert_eq!(rows[0].1.raw[Attribute::PendingSectors as usize], Some(219.0));
        assert_eq!(rows[0].1.raw[Attribute::ReallocatedSectors as usize], Some(5.0));
    }

    #[test]
    fn of_nothing_there_are_no_rows() {
        assert!(History::default().rows(5).is_empty());
    }
}
