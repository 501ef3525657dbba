//! In which order a server's readings stand, and when they really came, where its clock was set wrong for a while.

use std::collections::VecDeque;

/// In which order the readings of one server stand, as seen while they were read.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// The time of each channel's last reading.
    last: Vec<Option<u32>>,
    all: u64,
    /// How often the time went back: from any reading to the next, and within a channel.
    whole: u64,
    own: u64,
    newest: u32,
    span: Option<(u32, u32)>,
}

impl Order {
    /// Sees the next reading.
    pub(super) fn see(&mut self, channel: u32, secs: u32) {
        let channel = channel as usize;
        if self.last.len() <= channel {
            self.last.resize(channel + 1, None);
        }
        let before = self.last.get_mut(channel).and_then(|last| last.replace(secs));
        self.all += 1;
        self.whole += u64::from(secs < self.newest);
        self.own += u64::from(before.is_some_and(|before| secs < before));
        self.newest = secs;
        self.span = Some(self.span.map_or((secs, secs), |(first, last)| (first.min(secs), last.max(secs))));
    }

    /// Whether no time goes back.
    pub(super) fn is_sorted(&self) -> bool {
        self.whole == 0
    }

    /// Whether the readings stand by channel, or in another order that is not that of time, so that they have to be sorted first. A clock that is set back takes
    /// each channel with it, and does so rarely.
    pub(super) fn is_shuffled(&self) -> bool {
        self.whole > self.own || self.whole > 10 + self.all / 50
    }

    /// The least and the greatest time.
    pub(super) fn span(&self) -> Option<(u32, u32)> {
        self.span
    }
}

/// When the readings of a server came, told one after the other.
#[derive(Debug)]
pub(super) enum Came {
    /// When its clock said.
    AsSaid,
    /// So many readings at each time, where its clock was off for a while.
    Runs(VecDeque<(u64, u32)>),
}

impl Came {
    /// Of readings in the order in which they came: how many in turn its clock gave one time, and that time.
    pub(super) fn of(said: &[(u64, u32)]) -> Self {
        let times: Vec<u32> = said.iter().map(|run| run.1).collect();
        Self::Runs(said.iter().zip(believed(&times)).map(|(run, came)| (run.0, came)).collect())
    }

    /// When the next reading came, of which its clock said `said`.
    pub(super) fn next(&self, said: u32) -> u32 {
        match self {
            Self::AsSaid => said,
            Self::Runs(runs) => runs.front().map_or(said, |run| run.1),
        }
    }

    /// Goes on to the one after it.
    pub(super) fn pass(&mut self) {
        let Self::Runs(runs) = self else { return };
        if let Some(run) = runs.front_mut() {
            run.0 = run.0.saturating_sub(1);
            if run.0 == 0 {
                runs.pop_front();
            }
        }
    }

    /// When the first and the last of them came; `None`: when they were said to.
    pub(super) fn span(&self) -> Option<(u32, u32)> {
        match self {
            Self::AsSaid => None,
            Self::Runs(runs) => Some((runs.front()?.1, runs.back()?.1)),
        }
    }
}

/// The seconds at which one server's readings came, given what its clock said of each in the order in which they came. The longest row of
/// readings whose clock never goes back is believed; one that is not believed came when the one before it did.
fn believed(said: &[u32]) -> Vec<u32> {
    if said.is_sorted() {
        return said.to_vec();
    }
    // The longest non-decreasing subsequence (Fredman 1975): `ends` holds, by length, the reading with the least end.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(said.len());
    let value = |at: usize| said.get(at).copied().unwrap_or(u32::MAX);
    for (at, secs) in said.iter().enumerate() {
        let length = ends.partition_point(|end| value(*end) <= *secs);
        before.push(length.checked_sub(1).and_then(|shorter| ends.get(shorter).copied()));
        match ends.get_mut(length) {
            Some(end) => *end = at,
            None => ends.push(at),
        }
    }
    let mut good = vec![false; said.len()];
    let mut next = ends.last().copied();
    while let Some(at) = next {
        if let Some(mark) = good.get_mut(at) {
            *mark = true;
        }
        next = before.get(at).copied().flatten();
    }
    let first = good.iter().position(|g| *g).map_or(0, value);
    let mut now = first;
    said.iter()
        .zip(good)
        .map(|(secs, good)| {
            if good {
                now = *secs;
            }
            now
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_were_off_for_a_while_are_not_believed() {
        assert_eq!(believed(&[1, 2, 900, 901, 3, 4, 5]), [1, 2, 2, 2, 3, 4, 5]);
        assert_eq!(believed(&[101, 102, 103, 60, 61, 104, 105]), [101, 102, 103, 103, 103, 104, 105]);
        assert_eq!(believed(&[900, 1, 2, 3]), [1, 1, 2, 3]);
        assert_eq!(believed(&[]), [] as [u32; 0]);
    }

    fn is_shuffled(rows: impl Iterator<Item = (u32, u32)>) -> bool {
        let mut order = Order::default();
        rows.for_each(|(channel, secs)| order.see(channel, secs));
        order.is_shuffled()
    }

    #[test]
    fn what_came_while_a_clock_was_off_came_with_the_reading_before() {
        let mut came = Came::of(&[(2, 101), (1, 900), (2, 102)]);
        assert_eq!(came.span(), Some((101, 102)));
        let mut told = Vec::new();
        for said in [101, 101, 900, 102, 102] {
            told.push(came.next(said));
            came.pass();
        }
        assert_eq!(told, [101, 101, 101, 102, 102]);
    }

    #[test]
    fn readings_that_stand_by_channel_are_told_from_a_clock_that_was_set_back() {
        let by_channel = (0..3).flat_map(|c| (0..50).map(move |t| (c, t)));
        assert!(is_shuffled(by_channel));
        let set_back = (0..50_u32).flat_map(|t| (0..3).map(move |c| (c, if t >= 30 { t - 10 } else { t })));
        assert!(!is_shuffled(set_back));
        let at_random = (0..3000_u32).map(|n| (n % 3, n * 7919 % 3001));
        assert!(is_shuffled(at_random));
        let in_time = (0..50).flat_map(|t| (0..3).map(move |c| (c, t)));
        assert!(!is_shuffled(in_time));
    }
}
