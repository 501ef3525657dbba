//! A model of a fleet's history up to a day.
//!
//! Three choices carry it. Its trees are asked about the next 5 to 10 days although tickets have 30, because what a drive shows shortly
//! before it fails is clearer, and a drive that lasts longer shows it again. It learns from drive-days with new errors only, because only those can open
//! a ticket. And it does not learn from bulk replacements, which look like failures and are decisions.

use super::Error;
use super::grow::{self, Recipe};
use super::judge::as_f64;
use super::replay::Replay;
use super::source::{Histories, date};
use outband_health::model::{
    Budget, Calibration, Curve, Day, DiskModel, Forest, HORIZON, Opened, Peers, Score, features,
};
use std::collections::BTreeMap;

/// The days ahead that the trees of each forest are asked about, and its seed; the forests are averaged.
const ASKED: [(Day, u64); 3] = [(5, 1), (7, 2), (10, 3)];

/// The longest of them.
const LONGEST: Day = 10;

/// So many drives of one model that "fail" on one day were replaced in bulk.
const BULK: usize = 8;

/// Drives are parted for cross-fitting.
const PARTS: u64 = 3;

/// Days before the end of training from which the calibration is taken.
const RECENT: Day = 180;

/// Days before the end of training over which the cost of thresholds is measured.
const COST_DAYS: Day = 365;

/// Drive-days on a step of the calibration, at least.
const STEP: usize = 400;

/// What a model was made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// The first and the last day.
    pub days: (Day, Day),
    /// Drives seen by then.
    pub drives: usize,
    /// Failures by then.
    pub failures: usize,
    /// Of them, bulk replacements, which were left out.
    pub bulk: usize,
    /// Drive-days learnt from, and how many of them were followed by a failure within 10 days.
    pub rows: usize,
    /// Those.
    pub positives: usize,
}

/// The rows of training.
#[derive(Debug, Default)]
struct Set {
    /// The features, one column after another.
    columns: Vec<Vec<f64>>,
    /// Days to the failure; `None`: none within 10 days.
    left: Vec<Option<Day>>,
    drives: Vec<usize>,
    days: Vec<Day>,
}

/// Trains a model on what was known at the end of `to`.
pub fn fit(
    history: &Histories,
    to: Day,
    version: &str,
    say: &mut dyn FnMut(&str),
) -> Result<(DiskModel, Facts), Error> {
    let (first, _) = Replay::days(history).filter(|d| d.0 < to).ok_or(Error::Empty("no reading before the end"))?;
    let bulk = bulk(history, to);
    let (set, peers) = collect(history, (first, to), &bulk);
    let positives = set.left.iter().flatten().count();
    if positives < 50 {
        return Err(Error::Empty("fewer than 50 drive-days with new errors that were followed by a failure"));
    }
    say(&format!("{} drive-days, {positives} of them followed by a failure within {LONGEST} days", set.drives.len()));
    let recipe = Recipe::default();
    let margins = cross_fit(history, &set, &recipe, say)?;
    say("growing the forests");
    let forest = grow_all(&set.columns, &set.left, &recipe)?;
    let known = |d: &usize| history.lives.get(*d);
    let outcomes = set
        .drives
        .iter()
        .zip(&set.days)
        .zip(&margins)
        .filter(|((_, day), _)| **day <= to - HORIZON && **day > to - HORIZON - RECENT);
    let outcomes = outcomes.filter_map(|((d, day), m)| Some((*m, known(d)?.fails_within(*day, HORIZON)))).collect();
    let model = DiskModel {
        version: version.to_owned(),
        trained_to: date(to),
        features: features::names(),
        forest,
        calibration: Calibration::fit(outcomes, STEP),
        quiet: quiet(history, &set, to),
        curve: cost(history, &set, &margins, to),
        cohorts: super::cohort::count(history, (first, to), &bulk),
        peers,
    };
    model.check()?;
    let seen = history.lives.iter().filter(|l| l.first <= to);
    let facts = Facts {
        days: (first, to),
        drives: seen.clone().count(),
        failures: seen.filter(|l| l.failed && l.last <= to).count(),
        bulk: bulk.iter().filter(|b| **b).count(),
        rows: set.drives.len(),
        positives,
    };
    Ok((model, facts))
}

/// Which drives were replaced in bulk by `to`.
fn bulk(history: &Histories, to: Day) -> Vec<bool> {
    let mut counts: BTreeMap<(&str, Day), usize> = BTreeMap::new();
    for life in history.lives.iter().filter(|l| l.failed && l.last <= to) {
        *counts.entry((&life.model, life.last)).or_default() += 1;
    }
    let many = |model: &str, day| counts.get(&(model, day)).is_some_and(|n| *n >= BULK);
    history.lives.iter().map(|l| l.failed && l.last <= to && many(&l.model, l.last)).collect()
}

fn collect(history: &Histories, (first, to): (Day, Day), bulk: &[bool]) -> (Set, Peers) {
    let mut set = Set { columns: vec![Vec::new(); features::names().len()], ..Set::default() };
    let mut replay = Replay::new(history);
    let (none, mut peers) = (Peers::default(), Peers::default());
    // What came of later days is not known yet.
    for day in first..=to - LONGEST {
        replay.advance(day);
        if peers.is_due(day) {
            peers = Peers::of(day, replay.running(day));
        }
        for (drive, known) in replay.awake().filter(|(d, _)| bulk.get(*d) == Some(&false)) {
            let Some(life) = history.lives.get(drive) else { continue };
            let mut columns = set.columns.iter_mut();
            let among = peers.among(&none, &life.drive);
            features::walk(known, &life.drive, &among, day, |_, value| {
                if let Some(column) = columns.next() {
                    column.push(value);
                }
            });
            set.left.push(life.fails_within(day, LONGEST).then_some(life.last - day));
            set.drives.push(drive);
            set.days.push(day);
        }
    }
    for day in to - LONGEST + 1..=to {
        replay.advance(day);
    }
    (set, Peers::of(to, replay.running(to)))
}

/// A score for each row from trees that have not seen its drive.
fn cross_fit(history: &Histories, set: &Set, recipe: &Recipe, say: &mut dyn FnMut(&str)) -> Result<Vec<f64>, Error> {
    let part = |drive: &usize| history.lives.get(*drive).map_or(0, |l| fnv(&l.id) % PARTS);
    let parts: Vec<u64> = set.drives.iter().map(part).collect();
    let mut margins = vec![f64::NAN; set.drives.len()];
    for part in 0..PARTS {
        say(&format!("cross-fitting, part {} of {PARTS}", part + 1));
        let columns: Vec<Vec<f64>> = set.columns.iter().map(|c| others(c, &parts, part)).collect();
        score(&grow_all(&columns, &others(&set.left, &parts, part), recipe)?, set, &parts, part, &mut margins);
    }
    Ok(margins)
}

/// What is not of a part.
fn others<T: Copy>(values: &[T], parts: &[u64], part: u64) -> Vec<T> {
    values.iter().zip(parts).filter(|(_, p)| **p != part).map(|(v, _)| *v).collect()
}

fn grow_all(columns: &[Vec<f64>], left: &[Option<Day>], recipe: &Recipe) -> Result<Forest, Error> {
    let forests = ASKED.into_iter().map(|(asked, seed)| {
        let truths: Vec<f64> = left.iter().map(|l| f64::from(u8::from(l.is_some_and(|l| l <= asked)))).collect();
        grow::grow(columns, &truths, recipe, seed)
    });
    Ok(grow::mean(&forests.collect::<Result<Vec<_>, _>>()?))
}

fn score(forest: &Forest, set: &Set, parts: &[u64], part: u64, margins: &mut [f64]) {
    let mut row = Vec::new();
    for (i, margin) in margins.iter_mut().enumerate().filter(|(i, _)| parts.get(*i) == Some(&part)) {
        row.clear();
        row.extend(set.columns.iter().filter_map(|c| c.get(i)));
        *margin = forest.margin(&row);
    }
}

/// What thresholds cost in the last year before `to`, by the cross-fitted scores.
fn cost(history: &Histories, set: &Set, margins: &[f64], to: Day) -> Curve {
    let levels: Vec<f64> = (-40_i8..=24).map(|i| f64::from(i) / 8.0).collect();
    let rates = vec![0.0; levels.len()];
    let mut budget = Budget::new(Curve { right: rates.clone(), levels, rates }, 0.0);
    let mut opened: BTreeMap<usize, Opened> = BTreeMap::new();
    let mut ends: BTreeMap<Day, Vec<usize>> = BTreeMap::new();
    for (drive, life) in history.lives.iter().enumerate().filter(|(_, l)| l.failed) {
        ends.entry(life.last).or_default().push(drive);
    }
    let rows: Vec<(Day, usize, f64)> =
        set.days.iter().zip(&set.drives).zip(margins).map(|((day, drive), m)| (*day, *drive, *m)).collect();
    let mut next = rows.partition_point(|r| r.0 < to - COST_DAYS);
    for day in to - COST_DAYS..=to {
        let running = history.lives.iter().filter(|l| l.is_read_on(day)).count();
        budget.begin(day, u64::try_from(running).unwrap_or(u64::MAX));
        for failed in ends.get(&day).into_iter().flatten() {
            if let Some(opened) = opened.get(failed) {
                budget.failed(opened);
            }
        }
        while let Some((_, drive, margin)) = rows.get(next).filter(|r| r.0 == day) {
            let score = Score { margin: *margin, probability: 0.0 };
            budget.see(opened.entry(*drive).or_default(), score);
            next += 1;
        }
    }
    budget.curve()
}

/// The share of drive-days without new errors that a failure within 30 days followed.
fn quiet(history: &Histories, set: &Set, to: Day) -> f64 {
    let (mut days, mut failing) = (0.0, 0.0);
    for life in history.lives.iter().filter(|l| l.first <= to - HORIZON) {
        let last = life.last.min(to - HORIZON + 1);
        days += f64::from((last - life.first).max(0));
        if life.failed && life.last <= to {
            failing += f64::from((last - life.first.max(life.last - HORIZON)).max(0));
        }
    }
    let rows = set.drives.iter().zip(&set.days).filter(|(_, day)| **day <= to - HORIZON);
    for (drive, day) in rows {
        days -= 1.0;
        failing -= f64::from(u8::from(history.lives.get(*drive).is_some_and(|l| l.fails_within(*day, HORIZON))));
    }
    failing.max(0.0) / f64::max(days, 1.0)
}

fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

impl Facts {
    /// Drive-days with new errors of which a failure within 10 days followed, of all learnt from.
    pub fn share(&self) -> f64 {
        as_f64(self.positives) / as_f64(self.rows.max(1))
    }
}
