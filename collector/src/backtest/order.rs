//! When readings really came, where clocks were set wrong for a while.

use std::collections::BTreeMap;

/// The seconds at which one server's readings came, given what its clock said of each in the order in which they came. The longest row of
/// readings whose clock never goes back is believed; one that is not believed came when the one before it did.
pub(super) fn believed(said: &[u32]) -> Vec<u32> {
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

/// Whether the readings stand by channel, or in another order that is not that of time, so that they have to be sorted first. `rows` are
/// channel and time. A clock that is set back takes each channel with it, and does so rarely.
pub(super) fn is_shuffled(rows: impl Iterator<Item = (u32, u32)>) -> bool {
    let mut last = BTreeMap::new();
    let (mut all, mut whole, mut own, mut newest) = (0_u32, 0_u32, 0_u32, 0);
    for (channel, secs) in rows {
        all += 1;
        whole += u32::from(secs < newest);
        newest = secs;
        own += u32::from(last.insert(channel, secs).is_some_and(|before| secs < before));
    }
    whole > own || whole > 10 + all / 50
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
