//! What is remembered of the bodies of one target: which series stands where.

use super::digest::Digest;
use outband_schemas::ServerId;

/// A series by its name.
#[derive(Debug, Clone, Copy)]
struct Known {
    name: Digest,
    thresholds: Digest,
    series: i64,
}

/// The series of a target's bodies, in the order in which they were first met there.
#[derive(Debug)]
pub(super) struct Layout {
    /// Whose series these are.
    pub(super) server: ServerId,
    /// The count of moves of targets when that was last looked up.
    pub(super) looked_up: u64,
    /// Whether the series of a body before are being asked for: limits are those of the newest body, so that what comes after is asked for, too.
    pub(super) asked: bool,
    known: Vec<Known>,
}

impl Layout {
    /// Knows nothing yet.
    pub(super) fn new(server: ServerId, looked_up: u64) -> Self {
        Self { server, looked_up, asked: false, known: Vec::new() }
    }

    /// The series of a name with these limits. `next` is where it is looked for first, and moves on.
    pub(super) fn find(&self, name: &Digest, thresholds: &Digest, next: &mut usize) -> Option<i64> {
        let (before, after) = self.known.split_at((*next).min(self.known.len()));
        let is = |k: &Known| k.name == *name;
        let at = match after.iter().position(is) {
            Some(at) => before.len() + at,
            None => before.iter().position(is)?,
        };
        *next = at + 1;
        self.known.get(at).filter(|k| k.thresholds == *thresholds).map(|k| k.series)
    }

    /// Notes the series of a name.
    pub(super) fn learn(&mut self, name: Digest, thresholds: Digest, series: i64) {
        match self.known.iter_mut().find(|k| k.name == name) {
            Some(known) => (known.thresholds, known.series) = (thresholds, series),
            None => self.known.push(Known { name, thresholds, series }),
        }
    }
}
