//! The newest part of history, in memory until it is sealed. Pure.

use crate::chunk::Point;
use outband_schemas::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// The span of one chunk, in milliseconds: two hours, counted from 1970.
pub const WINDOW_MS: i64 = 2 * 3600 * 1000;

/// How long after its end a window is taken for finished: late readings within it need no merge.
pub const GRACE: Duration = Duration::from_secs(10 * 60);

/// The start of the window that holds `at`, in milliseconds since 1970.
pub fn window_start(at: Timestamp) -> i64 {
    at.as_millis().saturating_sub(at.as_millis().rem_euclid(WINDOW_MS))
}

/// Names one window of one series: its start, and the series.
pub type WindowKey = (i64, i64);

/// Points of one window of one series that no chunk holds yet.
#[derive(Debug, Clone, Default)]
struct Bucket {
    points: Vec<Point>,
    first_row: i64,
}

/// Points that no chunk holds yet.
#[derive(Debug, Default)]
pub struct Head {
    buckets: BTreeMap<WindowKey, Bucket>,
    by_series: HashMap<i64, Vec<i64>>,
    points: usize,
    last_row: i64,
    seals: u64,
}

impl Head {
    /// Adds a point of a series, which stands in row `row` of the journal.
    pub fn add(&mut self, row: i64, series: i64, point: Point) {
        let start = window_start(point.at);
        let bucket = self.buckets.entry((start, series)).or_insert_with(|| {
            self.by_series.entry(series).or_default().push(start);
            Bucket { points: Vec::new(), first_row: row }
        });
        bucket.first_row = bucket.first_row.min(row);
        bucket.points.push(point);
        self.points += 1;
        self.last_row = self.last_row.max(row);
    }

    /// How many points it holds.
    pub fn len(&self) -> usize {
        self.points
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.points == 0
    }

    /// The points of a series in `from..to`, as they came: not sorted.
    pub fn of_series(&self, series: i64, from: Timestamp, to: Timestamp) -> Vec<Point> {
        let starts = self.by_series.get(&series).map(Vec::as_slice).unwrap_or_default();
        starts
            .iter()
            .filter_map(|start| self.buckets.get(&(*start, series)))
            .flat_map(|b| &b.points)
            .filter(|p| from <= p.at && p.at < to)
            .cloned()
            .collect()
    }

    /// The windows that may be sealed, at most `max` of them: those that ended a while ago, those that lie in a future that
    /// only a wrong clock knows, and, with more than `limit` points in memory, all of them.
    pub fn due(&self, now: Timestamp, limit: usize, max: usize) -> Vec<WindowKey> {
        let all = self.points > limit;
        let now_ms = now.as_millis();
        let finished = |start: i64| {
            let end = start.saturating_add(WINDOW_MS);
            Timestamp::from_millis(end).plus(GRACE) <= now || start > now_ms.saturating_add(WINDOW_MS)
        };
        self.buckets.keys().filter(|(start, _)| all || finished(*start)).take(max).copied().collect()
    }

    /// The points of one window, as they came.
    pub fn window(&self, key: WindowKey) -> &[Point] {
        self.buckets.get(&key).map_or(&[], |b| &b.points)
    }

    /// The last row of the journal that is not needed any more once these windows are sealed.
    pub fn sealed_through(&self, without: &[WindowKey]) -> i64 {
        let gone: std::collections::HashSet<&WindowKey> = without.iter().collect();
        let needed = self.buckets.iter().filter(|(key, _)| !gone.contains(key)).map(|(_, b)| b.first_row).min();
        needed.map_or(self.last_row, |row| row - 1)
    }

    /// How often windows were forgotten: changes whenever points left for the chunks.
    pub fn seals(&self) -> u64 {
        self.seals
    }

    /// Forgets windows that are sealed.
    pub fn forget(&mut self, keys: &[WindowKey]) {
        self.seals += 1;
        for key in keys {
            let Some(bucket) = self.buckets.remove(key) else { continue };
            self.points -= bucket.points.len();
            if let Some(starts) = self.by_series.get_mut(&key.1) {
                starts.retain(|s| *s != key.0);
                if starts.is_empty() {
                    self.by_series.remove(&key.1);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use outband_schemas::{Quality, Value};

    fn point(ms: i64) -> Point {
        Point { at: Timestamp::from_millis(ms), value: Some(Value::Number(1.0)), quality: Quality::Good }
    }

    #[test]
    fn a_window_is_due_only_after_its_end_and_the_grace() {
        let mut head = Head::default();
        head.add(1, 7, point(5));
        let end = Timestamp::from_millis(WINDOW_MS);
        assert!(head.due(end, usize::MAX, 9).is_empty());
        assert_eq!(head.due(end.plus(GRACE), usize::MAX, 9), vec![(0, 7)]);
    }

    #[test]
    fn a_window_of_a_clock_that_runs_ahead_does_not_hold_the_journal_for_ever() {
        let mut head = Head::default();
        head.add(1, 7, point(100 * WINDOW_MS));
        assert_eq!(head.due(Timestamp::from_millis(5), usize::MAX, 9), vec![(100 * WINDOW_MS, 7)]);
    }

    #[test]
    fn too_many_points_make_every_window_due() {
        let mut head = Head::default();
        head.add(1, 7, point(5));
        head.add(2, 8, point(6));
        assert_eq!(head.due(Timestamp::from_millis(5), 1, 9).len(), 2);
        assert_eq!(head.due(Timestamp::from_millis(5), 2, 9).len(), 0);
    }

    #[test]
    fn the_journal_is_needed_from_the_first_row_of_what_is_left() {
        let mut head = Head::default();
        head.add(3, 7, point(5));
        head.add(4, 7, point(WINDOW_MS + 5));
        head.add(9, 8, point(6));
        assert_eq!(head.sealed_through(&[]), 2);
        assert_eq!(head.sealed_through(&[(0, 7), (0, 8)]), 3);
        head.forget(&[(0, 7), (0, 8)]);
        assert_eq!(head.len(), 1);
        assert_eq!(head.sealed_through(&[(WINDOW_MS, 7)]), 9);
    }

    #[test]
    fn times_before_1970_have_a_window_too() {
        assert_eq!(window_start(Timestamp::from_millis(-1)), -WINDOW_MS);
        assert_eq!(window_start(Timestamp::from_millis(0)), 0);
    }
}
