//! What became of the drives of a history, by what they showed: each drive once for each pattern, from the first day on which it did.

use super::replay::Replay;
use super::source::Histories;
use outband_health::model::{Cohorts, Day, HORIZON, Pattern, family};
use std::collections::BTreeSet;

/// Counts what can be known at the end of `to`. `bulk`: drives that were replaced in bulk, of which nothing is learnt.
pub(super) fn count(history: &Histories, (first, to): (Day, Day), bulk: &[bool]) -> Cohorts {
    let mut cohorts = Cohorts::default();
    let mut seen: BTreeSet<(usize, Pattern)> = BTreeSet::new();
    let mut replay = Replay::new(history);
    for day in first..=to - HORIZON {
        replay.advance(day);
        for (drive, known) in replay.awake().filter(|(d, _)| bulk.get(*d) == Some(&false)) {
            let Some(life) = history.lives.get(drive) else { continue };
            let pattern = Pattern::of(known, day);
            if !pattern.is_empty() && seen.insert((drive, pattern)) {
                cohorts.add(&family(&life.model), life.drive.vendor, pattern, life.fails_within(day, HORIZON));
            }
        }
    }
    cohorts.told()
}
