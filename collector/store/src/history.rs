//! History for longer than its readings are kept: what sensors did over five minutes or an hour, and what it takes on the disk.

use crate::chunk::Point;
use crate::error::StoreError;
use crate::query::{HistoryFilter, Listing, Page};
use crate::retention::{KindTerms, Limits, Retention};
use crate::rollup::{Bucket, Resolution};
use crate::volume::Class;
use outband_schemas::{ComponentId, SensorKind, ServerId, Source, Timestamp};
use std::time::Duration;

/// What a sensor did over the span of a bucket.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// The server.
    pub server: ServerId,
    /// The place.
    pub component: ComponentId,
    /// What is measured.
    pub kind: SensorKind,
    /// The sensor's name.
    pub sensor: String,
    /// Where it was read.
    pub source: Source,
    /// The figures.
    pub bucket: Bucket,
}

/// The readings of one sensor in a span, oldest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// The place.
    pub component: ComponentId,
    /// What is measured.
    pub kind: SensorKind,
    /// The sensor's name.
    pub sensor: String,
    /// Where it was read.
    pub source: Source,
    /// What was read.
    pub points: Vec<Point>,
}

/// Whether a sensor is asked for: by its place, its kind and its name.
pub type Wanted<'a> = &'a dyn Fn(&ComponentId, SensorKind, &str) -> bool;

/// What the files of one class take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holding {
    /// What they hold.
    pub class: Class,
    /// How many files: weeks of readings, months of five minutes, years of hours.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Since when they reach back, and until when: the spans of the oldest and the newest.
    pub span: Option<(Timestamp, Timestamp)>,
}

/// The room of long history.
pub trait History {
    /// What sensors did, bucket by bucket. The buckets are whole: the first is that which holds `filter.from`, the last one
    /// begins before `filter.to`. Pages go from sensor to sensor (in the order in which they were first seen), each oldest
    /// first. Of a time of which nothing was heard there is no bucket.
    fn summaries(
        &self,
        filter: &HistoryFilter,
        resolution: Resolution,
        page: &Page,
    ) -> Result<Listing<Summary>, StoreError>;

    /// The readings of those sensors of a server that are wanted, half open, in the order in which they were first seen: for who
    /// goes through all of them. There are no pages, and no names at each reading.
    fn runs(&self, server: &ServerId, span: (Timestamp, Timestamp), wanted: Wanted<'_>)
    -> Result<Vec<Run>, StoreError>;

    /// Makes files of buckets anew without the kinds whose term is over, while those of other kinds in them goes on, as long as this is `wanted`. Slowly, beside
    /// everything else, and needs room for a second such file. Answers how many files it made anew.
    fn thin(
        &self,
        now: Timestamp,
        retention: &Retention,
        kinds: &KindTerms,
        wanted: &dyn Fn() -> bool,
    ) -> Result<usize, StoreError>;

    /// What history takes, class by class.
    fn holdings(&self) -> Result<Vec<Holding>, StoreError>;
}

/// How often sensors are polled where nothing else is known: so long is the span of a reading when a resolution is chosen.
const READING: Duration = Duration::from_secs(60);

/// The finest class that shows a span in at most so many points a sensor and reaches back to where the span begins. A span that
/// is too long even for hours is shown in hours.
pub fn choose(from: Timestamp, to: Timestamp, points: u32, limits: &Limits) -> Class {
    let span = to.since(from);
    let fits = |class: Class| {
        let step = match class {
            Class::Raw => READING,
            Class::Rolled(resolution) => resolution.step(),
        };
        span <= step.saturating_mul(points) && limits.of(class) <= from
    };
    Class::ALL.into_iter().find(|class| fits(*class)).unwrap_or(Class::Rolled(Resolution::Hour))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_finest_class_that_fits_is_chosen() {
        let now = Timestamp::from_secs(2_000_000_000);
        let limits = Retention::default().limits(now);
        let hours = |n: u64| Duration::from_secs(n * 3600);
        let of = |back: u64, span: u64| {
            let from = now.minus(hours(back));
            choose(from, from.plus(hours(span)), 1500, &limits).as_str()
        };
        assert_eq!(of(24, 24), "raw", "a day of readings");
        assert_eq!(of(26, 26), "5m");
        assert_eq!(of(125, 125), "5m");
        assert_eq!(of(126, 126), "1h");
        assert_eq!(of(24 * 1000, 24 * 1000), "1h", "longer than anything");
        assert_eq!(of(24 * 31, 6), "5m", "readings do not reach back to there");
        assert_eq!(of(24 * 400, 6), "1h", "nor do the five minutes");
    }
}
