//! The newest part of history, in memory until it is sealed. Pure.

mod page;
mod record;

use crate::chunk::Point;
use outband_schemas::{Cause, Quality, Suspicion, Timestamp};
use page::{Page, Scratch};
use std::collections::BTreeMap;
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

/// Names one window of the series of one page: its start, and the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageKey {
    start: i64,
    page: i64,
}

impl PageKey {
    /// When its window began, in milliseconds since 1970.
    pub fn start(self) -> i64 {
        self.start
    }
}

/// A point that came in.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrival {
    /// Its series.
    pub series: i64,
    /// When it came (the collector's clock); not known of what an older version wrote.
    pub received_at: Option<Timestamp>,
    /// The point.
    pub point: Point,
}

/// Stands for a time that is not known.
const UNKNOWN: i64 = i64::MIN;

/// So many series lie together: those of one server have numbers in a row.
const PAGE: i64 = 64;

/// Which page a series lies on, and where there.
fn place(series: i64) -> (i64, usize) {
    (series.div_euclid(PAGE), usize::try_from(series.rem_euclid(PAGE)).unwrap_or_default())
}

/// The series at a place of a page.
fn series(page: i64, at: usize) -> i64 {
    page * PAGE + i64::try_from(at).unwrap_or_default()
}

/// A quality as a number.
pub(crate) fn quality_code(quality: &Quality) -> u16 {
    match quality {
        Quality::Good => 0,
        Quality::Suspect(s) => 1 << 8 | u16::from(s.number()),
        Quality::Unavailable(c) => 2 << 8 | u16::from(c.number()),
    }
}

/// The quality of a number.
pub(crate) fn quality_of(code: u16) -> Option<Quality> {
    let [kind, number] = code.to_be_bytes();
    match kind {
        0 => Some(Quality::Good),
        1 => Suspicion::from_number(number).map(Quality::Suspect),
        _ => Cause::from_number(number).map(Quality::Unavailable),
    }
}

/// The newest point of a series.
#[derive(Debug, Clone, PartialEq)]
pub struct Newest {
    /// The point.
    pub point: Point,
    /// When it came, where that is known.
    pub received_at: Option<Timestamp>,
}

/// The points of one window, by page.
type Window = BTreeMap<i64, Box<Page>>;

/// The page of a window that holds points of a series, and where it stands there.
fn holding(window: &Window, of: i64) -> Option<(&Page, usize)> {
    let (page, at) = place(of);
    let page = window.get(&page)?;
    page.has(at).then_some((page.as_ref(), at))
}

/// Points that no chunk holds yet.
#[derive(Debug, Default)]
pub struct Head {
    /// By the start of the window.
    windows: BTreeMap<i64, Window>,
    points: usize,
    bytes: usize,
    last_row: i64,
    seals: u64,
    scratch: Scratch,
}

impl Head {
    /// Adds points, which stand in row `row` of the journal.
    pub fn add(&mut self, row: i64, arrivals: &[Arrival]) {
        // Those of one server and poll lie on one page or two of one window: both are looked for once.
        let lies = |a: &Arrival| (window_start(a.point.at), place(a.series).0);
        for together in arrivals.chunk_by(|a, b| lies(a) == lies(b)) {
            let Some((start, page)) = together.first().map(lies) else { continue };
            let pages = self.windows.entry(start).or_default();
            let page = pages.entry(page).or_insert_with(|| {
                let page = Page::new(row);
                self.bytes += page.size();
                page
            });
            let before = page.size();
            page.add(start, row, together, &mut self.scratch);
            self.bytes = (self.bytes + page.size()).saturating_sub(before);
        }
        self.points += arrivals.len();
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

    /// How many bytes of memory the points take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The points of a series in `from..to`, as they came: not sorted.
    pub fn of_series(&self, series: i64, from: Timestamp, to: Timestamp) -> Vec<Point> {
        let reaches = |start: i64| start < to.as_millis() && from.as_millis() < start.saturating_add(WINDOW_MS);
        self.windows
            .iter()
            .filter(|(start, _)| reaches(**start))
            .filter_map(|(start, window)| holding(window, series).map(|(page, at)| page.of(*start, at)))
            .flatten()
            .filter(|p| from <= p.at && p.at < to)
            .collect()
    }

    /// Whether it holds no window of a series after this one.
    pub fn is_newest(&self, start: i64, series: i64) -> bool {
        let later = self.windows.range(start..).skip_while(|(at, _)| **at == start);
        later.into_iter().all(|(_, window)| holding(window, series).is_none())
    }

    /// The newest point of a series that it holds.
    pub fn newest(&self, series: i64) -> Option<Newest> {
        let newest =
            |(start, window): (&i64, &Window)| holding(window, series).and_then(|(page, at)| page.newest(*start, at));
        self.windows.iter().rev().find_map(newest)
    }

    /// The pages that may be sealed, of at most about `max` windows of series: of windows that ended a while ago, of those that lie in a future that only a wrong
    /// clock knows, and, with more than `limit` bytes in memory, of all.
    pub fn due(&self, now: Timestamp, limit: usize, max: usize) -> Vec<PageKey> {
        let all = self.bytes > limit;
        let now_ms = now.as_millis();
        let finished = |start: i64| {
            let end = start.saturating_add(WINDOW_MS);
            Timestamp::from_millis(end).plus(GRACE) <= now || start > now_ms.saturating_add(WINDOW_MS)
        };
        let ready = self.windows.iter().filter(|(start, _)| all || finished(**start));
        let pages = ready.flat_map(|(start, window)| window.iter().map(|(page, held)| (*start, *page, held)));
        let mut count = 0;
        let within = pages.take_while(|(_, _, held)| {
            let room = count < max;
            count += held.places().count();
            room
        });
        within.map(|(start, page, _)| PageKey { start, page }).collect()
    }

    /// The starts of the windows of a series that it holds points of.
    pub fn starts(&self, series: i64) -> Vec<i64> {
        let held = self.windows.iter().filter(|(_, window)| holding(window, series).is_some());
        held.map(|(start, _)| *start).collect()
    }

    /// The points of a page, by window, as they came; and how many they are.
    pub fn page(&self, PageKey { start, page }: PageKey) -> (Vec<(WindowKey, Vec<Point>)>, usize) {
        let Some(held) = self.windows.get(&start).and_then(|window| window.get(&page)) else {
            return Default::default();
        };
        let key = |at: usize| (start, series(page, at));
        (held.all(start).into_iter().map(|(at, points)| (key(at), points)).collect(), held.len())
    }

    /// The last row of the journal that is not needed any more.
    pub fn sealed_through(&self) -> i64 {
        let needed = self.windows.values().flat_map(BTreeMap::values).map(|page| page.first_row()).min();
        needed.map_or(self.last_row, |row| row - 1)
    }

    /// How often windows were forgotten: changes whenever points left for the chunks.
    pub fn seals(&self) -> u64 {
        self.seals
    }

    /// Forgets the first so many points of pages: they are sealed. What came meanwhile stays.
    pub fn forget(&mut self, sealed: &[(PageKey, usize)]) {
        self.seals += 1;
        for (PageKey { start, page }, points) in sealed {
            let Some(window) = self.windows.get_mut(start) else { continue };
            let Some(held) = window.get_mut(page) else { continue };
            self.bytes = self.bytes.saturating_sub(held.size());
            if *points < held.len() {
                // The journal is needed from where it was: which row the others stand in is not known.
                *held = held.without(*start, *page, *points);
                self.points -= points;
                self.bytes += held.size();
                continue;
            }
            self.points -= held.len();
            window.remove(page);
            if window.is_empty() {
                self.windows.remove(start);
            }
        }
    }
}

#[cfg(test)]
mod tests;
