//! Why a score is what it is: what each feature adds to it, and what of the drive's history stands behind that.
//!
//! The shares are Shapley values (TreeSHAP, path-dependent: Lundberg, Erion, Lee, "Consistent Individualized Feature Attribution for Tree
//! Ensembles", 2018, algorithm 2): what a feature adds on average over all orders in which features may become known, where one that is
//! not known yet goes both ways by the shares of the rows that trained the tree. They sum to the score exactly, and a feature on which
//! the score depends more never gets less. A node keeps the mean of the leaves below it ([`Node::value`]), from which those shares follow.

use super::{Attribute, Day, Feature, Forest, History, Node, Tree, features};
use serde::{Deserialize, Serialize};

/// A share of rows is taken for no less, and its other side for no more: a mean tells nothing of shares where both sides are alike.
const LEAST: f64 = 1e-4;

/// What a score is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Shares {
    /// The mean score of the rows that trained the trees.
    pub base: f64,
    /// What each feature adds, in their order; with the base they sum to the score.
    pub parts: Vec<f64>,
}

impl Forest {
    /// What each feature of a row adds to the mean score.
    pub fn explain(&self, row: &[f64]) -> Shares {
        let mut shares = Shares { base: self.base, parts: vec![0.0; row.len()] };
        for tree in &self.trees {
            shares.base += mean(tree, 0);
            let known = Known { feature: None, zero: 1.0, one: 1.0, weight: 1.0 };
            Walk { tree, row, parts: &mut shares.parts }.below(0, Vec::new(), known);
        }
        shares
    }
}

/// The children of a node; `None` at a leaf.
fn children(tree: &Tree, number: usize) -> Option<(&Node, usize, usize)> {
    let node = tree.nodes.get(number)?;
    let (left, right) = (usize::from(node.left), usize::from(node.right));
    (left > number && right > number).then_some((node, left, right))
}

/// The share of a node's rows that went left.
fn went_left(tree: &Tree, node: &Node, left: usize, right: usize) -> f64 {
    let value = |n: usize| tree.nodes.get(n).map_or(0.0, |n| n.value);
    let (left, right) = (value(left), value(right));
    let share = (node.value - right) / (left - right);
    if share.is_finite() { share.clamp(LEAST, 1.0 - LEAST) } else { 0.5 }
}

/// The mean of the leaves below, by the same shares as everything here.
fn mean(tree: &Tree, number: usize) -> f64 {
    match children(tree, number) {
        None => tree.nodes.get(number).map_or(0.0, |n| n.value),
        Some((node, left, right)) => {
            let share = went_left(tree, node, left, right);
            share * mean(tree, left) + (1.0 - share) * mean(tree, right)
        }
    }
}

/// A feature on the way to a leaf.
#[derive(Debug, Clone, Copy)]
struct Known {
    feature: Option<usize>,
    /// The share of rows that come this way while it is not known, and whether this row does when it is.
    zero: f64,
    one: f64,
    /// The sets of known features of one size, weighed by how often they come first.
    weight: f64,
}

struct Walk<'a> {
    tree: &'a Tree,
    row: &'a [f64],
    parts: &'a mut [f64],
}

impl Walk<'_> {
    fn below(&mut self, number: usize, mut path: Vec<Known>, new: Known) {
        extend(&mut path, new);
        let Some((node, left, right)) = children(self.tree, number) else {
            let value = self.tree.nodes.get(number).map_or(0.0, |n| n.value);
            for (place, known) in path.iter().enumerate().skip(1) {
                if let Some(part) = known.feature.and_then(|f| self.parts.get_mut(f)) {
                    *part += without(&path, place) * (known.one - known.zero) * value;
                }
            }
            return;
        };
        let feature = usize::from(node.feature);
        let seen = self.row.get(feature).copied().unwrap_or(f64::NAN);
        let goes_left = if seen.is_nan() { node.missing_left } else { seen < node.split };
        let share = went_left(self.tree, node, left, right);
        let (mut zero, mut one) = (1.0, 1.0);
        if let Some(place) = path.iter().position(|k| k.feature == Some(feature)) {
            (zero, one) = (path[place].zero, path[place].one);
            unwind(&mut path, place);
        }
        for (child, share, here) in [(left, share, goes_left), (right, 1.0 - share, !goes_left)] {
            let known =
                Known { feature: Some(feature), zero: zero * share, one: if here { one } else { 0.0 }, weight: 0.0 };
            self.below(child, path.clone(), known);
        }
    }
}

fn real(n: usize) -> f64 {
    u32::try_from(n).map_or(f64::INFINITY, f64::from)
}

/// One more feature on the way.
fn extend(path: &mut Vec<Known>, new: Known) {
    let length = path.len();
    path.push(Known { weight: if length == 0 { 1.0 } else { 0.0 }, ..new });
    let all = real(length + 1);
    for i in (0..length).rev() {
        let weight = path[i].weight;
        path[i + 1].weight += new.one * weight * real(i + 1) / all;
        path[i].weight = new.zero * weight * real(length - i) / all;
    }
}

/// What [`extend`] did for the feature in this place, undone.
fn unwind(path: &mut Vec<Known>, place: usize) {
    let last = path.len() - 1;
    let (zero, one, all) = (path[place].zero, path[place].one, real(last + 1));
    let mut next = path[last].weight;
    for i in (0..last).rev() {
        let weight = path[i].weight;
        if one > 0.0 {
            path[i].weight = next * all / (real(i + 1) * one);
            next = weight - path[i].weight * zero * real(last - i) / all;
        } else {
            path[i].weight = weight * all / (zero * real(last - i));
        }
    }
    for i in place..last {
        let Known { feature, zero, one, .. } = path[i + 1];
        path[i] = Known { feature, zero, one, weight: path[i].weight };
    }
    path.truncate(last);
}

/// The sum of the weights as they were without the feature in this place.
fn without(path: &[Known], place: usize) -> f64 {
    let last = path.len() - 1;
    let (zero, one, all) = (path[place].zero, path[place].one, real(last + 1));
    let mut next = path[last].weight;
    let mut sum = 0.0;
    for i in (0..last).rev() {
        if one > 0.0 {
            let weight = next * all / (real(i + 1) * one);
            sum += weight;
            next = path[i].weight - weight * zero * real(last - i) / all;
        } else {
            sum += path[i].weight * all / (zero * real(last - i));
        }
    }
    sum
}

/// How an attribute came to its value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Its value before, at the end of the day `from`.
    pub old: f64,
    /// Its value now, since the day `to`.
    pub new: f64,
    /// The day before it began to change.
    pub from: Day,
    /// The day of its newest change.
    pub to: Day,
}

/// A part of a score.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// The attribute by its SMART number; `None`: the drive as a whole, its days with errors, its age, make and size.
    pub of: Option<u8>,
    /// What it adds to the score, in log-odds.
    pub points: f64,
    /// How the attribute changed within 30 days.
    pub change: Option<Change>,
    /// Where it stands.
    pub level: Option<f64>,
}

/// What a score is made of, by attribute.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Explanation {
    /// The mean score.
    pub base: f64,
    /// What adds to it, the most first; with the base they sum to the score.
    pub reasons: Vec<Reason>,
}

/// Days over which a change is told.
const TOLD: Day = 30;

/// Groups shares by attribute, with what the history says of each. `row` is what was scored on `day`.
pub fn explain(forest: &Forest, row: &[f64], history: &History, day: Day) -> Explanation {
    let shares = forest.explain(row);
    let mut sums: Vec<(Option<Attribute>, f64)> = Vec::new();
    let mut parts = shares.parts.iter();
    features::walk(
        &History::default(),
        &super::Drive::default(),
        &super::Among::default(),
        0,
        |Feature { of, .. }, _| {
            let part = parts.next().copied().unwrap_or(0.0);
            match sums.iter_mut().find(|s| s.0 == of) {
                Some(sum) => sum.1 += part,
                None => sums.push((of, part)),
            }
        },
    );
    let reason = |(of, points): &(Option<Attribute>, f64)| Reason {
        of: of.map(Attribute::number),
        points: *points,
        change: of.and_then(|a| change(history, a, day)),
        level: of.and_then(|a| history.track(a).now()),
    };
    let mut reasons: Vec<Reason> = sums.iter().map(reason).filter(|r| r.points != 0.0).collect();
    reasons.sort_by(|a, b| b.points.total_cmp(&a.points));
    Explanation { base: shares.base, reasons }
}

/// How an attribute changed over the last 30 days: from the value before its first change to that after its newest.
fn change(history: &History, attribute: Attribute, day: Day) -> Option<Change> {
    let track = history.track(attribute);
    let new = track.now()?;
    let moved = track.last_rise().max(track.last_fall()).filter(|on| *on > day - TOLD)?;
    let first = (day - TOLD + 1..=moved).find(|on| track.at(*on) != track.at(on - 1))?;
    Some(Change { old: track.at(first - 1)?, new, from: first - 1, to: moved })
}

#[cfg(test)]
mod tests {
    use super::super::Smart;
    use super::*;
    use proptest::prelude::*;

    /// A node: feature, split, whether NaN goes left, and its children; or a leaf with its rows and value.
    #[derive(Debug, Clone)]
    enum Grown {
        Leaf(f64, f64),
        Split(u16, f64, bool, Box<Grown>, Box<Grown>),
    }

    fn grown(features: u16) -> impl Strategy<Value = Grown> {
        let leaf = (1.0..50.0_f64, -2.0..2.0_f64).prop_map(|(rows, value)| Grown::Leaf(rows, value));
        leaf.prop_recursive(5, 40, 2, move |inner| {
            (0..features, -1.0..1.0_f64, any::<bool>(), inner.clone(), inner)
                .prop_map(|(f, split, miss, l, r)| Grown::Split(f, split, miss, Box::new(l), Box::new(r)))
        })
    }

    impl Grown {
        fn rows(&self) -> f64 {
            match self {
                Self::Leaf(rows, _) => *rows,
                Self::Split(_, _, _, l, r) => l.rows() + r.rows(),
            }
        }

        fn mean(&self) -> f64 {
            match self {
                Self::Leaf(_, value) => *value,
                Self::Split(_, _, _, l, r) => (l.mean() * l.rows() + r.mean() * r.rows()) / self.rows(),
            }
        }

        /// The mean where only some features are known, by the definition.
        fn given(&self, row: &[f64], known: u32) -> f64 {
            match self {
                Self::Leaf(_, value) => *value,
                Self::Split(f, split, miss, l, r) if known & (1 << f) != 0 => {
                    let seen = row[usize::from(*f)];
                    let left = if seen.is_nan() { *miss } else { seen < *split };
                    if left { l.given(row, known) } else { r.given(row, known) }
                }
                Self::Split(_, _, _, l, r) => {
                    (l.given(row, known) * l.rows() + r.given(row, known) * r.rows()) / self.rows()
                }
            }
        }

        fn tree(&self) -> Tree {
            let mut nodes = Vec::new();
            let mut waiting = std::collections::VecDeque::from([self]);
            let mut next = 1;
            while let Some(at) = waiting.pop_front() {
                let own = u16::try_from(nodes.len()).unwrap();
                let (value, missing_left) = (at.mean(), matches!(at, Self::Split(_, _, true, ..)));
                nodes.push(match at {
                    Self::Leaf(..) => Node { feature: 0, split: 0.0, missing_left, left: own, right: own, value },
                    Self::Split(feature, split, _, l, r) => {
                        waiting.extend([&**l, &**r]);
                        next += 2;
                        Node { feature: *feature, split: *split, missing_left, left: next - 2, right: next - 1, value }
                    }
                });
            }
            Tree { nodes }
        }
    }

    fn rows(n: usize) -> impl Strategy<Value = Vec<f64>> {
        proptest::collection::vec(prop_oneof![4 => -1.5..1.5_f64, 1 => Just(f64::NAN)], n)
    }

    /// The share of a feature by the definition: over all sets of the others.
    fn shapley(tree: &Grown, row: &[f64], feature: u32, features: u32) -> f64 {
        let factorial = |n: u32| (1..=n).map(f64::from).product::<f64>();
        let sets = (0..1_u32 << features).filter(|set| set & (1 << feature) == 0);
        sets.map(|set| {
            let size = set.count_ones();
            let weight = factorial(size) * factorial(features - size - 1) / factorial(features);
            weight * (tree.given(row, set | 1 << feature) - tree.given(row, set))
        })
        .sum()
    }

    proptest! {
        #[test]
        fn shares_and_base_sum_to_the_score(trees in proptest::collection::vec(grown(6), 1..12), row in rows(6)) {
            let forest = Forest { base: -1.5, trees: trees.iter().map(Grown::tree).collect() };
            let shares = forest.explain(&row);
            let sum = shares.base + shares.parts.iter().sum::<f64>();
            prop_assert!((sum - forest.margin(&row)).abs() < 1e-6, "{sum} {}", forest.margin(&row));
        }

        #[test]
        fn each_share_is_what_the_definition_says(tree in grown(4), row in rows(4)) {
            let forest = Forest { base: 0.0, trees: vec![tree.tree()] };
            let ours = forest.explain(&row).parts;
            // Where both sides of a split have one mean its shares cannot be told from it.
            let told = |n: &Node, i: usize, t: &Tree| {
                children(t, i).is_none_or(|(_, l, r)| (t.nodes[l].value - t.nodes[r].value).abs() > 1e-4 * n.value.abs().max(1.0))
            };
            let built = tree.tree();
            prop_assume!(built.nodes.iter().enumerate().all(|(i, n)| told(n, i, &built)));
            for (feature, ours) in (0..4).zip(ours) {
                let exact = shapley(&tree, &row, feature, 4);
                prop_assert!((ours - exact).abs() < 1e-6, "{ours} {exact}");
            }
        }
    }

    #[test]
    fn a_reason_names_the_old_and_the_new_value_with_their_days() {
        let mut history = History::default();
        for (day, value) in [(0, 0.0), (40, 0.0), (43, 8.0), (49, 24.0)] {
            let mut smart = Smart::default();
            smart.raw[Attribute::PendingSectors as usize] = Some(value);
            history.read(day, &smart);
        }
        let change = change(&history, Attribute::PendingSectors, 50);
        assert_eq!(change, Some(Change { old: 0.0, new: 24.0, from: 42, to: 49 }));
        assert_eq!(super::change(&history, Attribute::PendingSectors, 90), None, "that was long ago");
    }

    #[test]
    fn reasons_sum_to_the_score_of_the_shipped_model() {
        let model: super::super::DiskModel = serde_json::from_str(super::super::SHIPPED).unwrap();
        let mut history = History::default();
        for day in 0..60 {
            let mut smart = Smart { hours: Some(20_000.0), ..Smart::default() };
            for attribute in Attribute::ALL {
                smart.raw[attribute as usize] = Some(f64::from((day - 50).max(0) * 8));
            }
            history.read(day, &smart);
        }
        let drive = super::super::Drive { vendor: super::super::Vendor::Seagate, ..Default::default() };
        let mut row = Vec::new();
        let verdict = model.judge(&history, &drive, &super::super::Peers::default(), 59, &mut row);
        let super::super::Verdict::Scored(score) = verdict else { panic!("{verdict:?}") };
        let told = explain(&model.forest, &row, &history, 59);
        let sum = told.base + told.reasons.iter().map(|r| r.points).sum::<f64>();
        assert!((sum - score.margin).abs() < 1e-6, "{sum} {}", score.margin);
        assert!(told.reasons.windows(2).all(|r| r[0].points >= r[1].points));
    }
}
