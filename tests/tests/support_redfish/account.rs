//! What became of the items of a tree, in figures.

use super::coverage::Fate;
use super::items::{Holdings, Item};
use std::collections::BTreeMap;

/// Per kind: what the census counts, how many items there are, how many of them are told, and the rest with its reasons.
#[derive(Debug, Clone, Default)]
pub(crate) struct Line {
    pub(crate) counted: usize,
    pub(crate) items: usize,
    pub(crate) told: usize,
    pub(crate) told_as: usize,
    pub(crate) explained: Vec<(String, String, String)>,
    pub(crate) unexplained: Vec<(String, String, String)>,
}

pub(crate) fn lines(holdings: &Holdings<'_>, fates: &[(&Item<'_>, Fate)]) -> BTreeMap<&'static str, Line> {
    let mut lines: BTreeMap<&'static str, Line> =
        holdings.counted.iter().map(|(kind, n)| (*kind, Line { counted: *n, ..Line::default() })).collect();
    for (item, fate) in fates {
        let line = lines.entry(item.kind).or_default();
        line.items += 1;
        let row = |why: &str| (item.uri.clone(), item.name.clone(), why.to_owned());
        match fate {
            Fate::Told => line.told += 1,
            Fate::ToldAs(_) => line.told_as += 1,
            Fate::Explained(why) => line.explained.push(row(why)),
            Fate::Unexplained(why) => line.unexplained.push(row(why)),
        }
    }
    lines
}
