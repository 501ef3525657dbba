//! How many false tickets a threshold costs, learnt from what became of the tickets that it would have opened, and the threshold
//! that keeps within what the operator allows.

use super::{Day, HORIZON, Score};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Days of a mean month.
const MONTH: f64 = 30.4375;

/// After so many days an outcome weighs half.
const HALF_LIFE: f64 = 40.0;

/// The same for how often the scored failed: that drifts faster than what a threshold costs.
const SCORED_HALF_LIFE: f64 = 15.0;

/// Of the scored that fail within 30 days, the share (days / 30)^this fails within so many (measured in training: 0.14 within 3 days, 0.29
/// within 7, 0.53 within 14, 0.75 within 21).
const COMING: f64 = 0.8;

/// The same for what the threshold cost in truth.
const MEMORY: f64 = 180.0;

/// How strongly a difference from what was asked is made up for.
const GAIN: f64 = 2.0;

/// False tickets per 100 drive-months that thresholds cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// Thresholds (margins), rising.
    pub levels: Vec<f64>,
    /// False tickets per 100 drive-months at each.
    pub rates: Vec<f64>,
    /// The share of tickets that came true, at each.
    pub right: Vec<f64>,
}

/// When each level last opened a ticket for one drive.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Opened {
    days: Vec<Day>,
    /// The days of the last 30 on which it was scored, the newest last.
    scored: VecDeque<Day>,
}

impl Opened {
    /// The newest day on which it was scored, of the last 30.
    pub fn newest(&self) -> Option<Day> {
        self.scored.back().copied()
    }
}

/// Follows the tickets that each level would have opened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    prior: Curve,
    /// The weight of the prior, in drive-months; after a while own outcomes outweigh it.
    prior_months: f64,
    falses: Vec<f64>,
    trues: Vec<f64>,
    months: f64,
    scored: Sums,
    /// The same, with what is known today of the last 30 days.
    #[serde(default)]
    so_far: Sums,
    /// The threshold of today, and what thresholds of their days have cost in truth, remembered longer: false tickets, drive-months.
    #[serde(with = "open_ended")]
    threshold: f64,
    spent: f64,
    lived: f64,
    /// The last 30 days and today, the newest first.
    pending: VecDeque<Pending>,
    today: Option<Day>,
}

/// A day whose tickets may still come true.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Pending {
    drives: u64,
    /// Tickets opened by each level and, at the end, by the threshold of the day; and those of them that have come true.
    opened: Vec<u32>,
    came: Vec<u32>,
    /// Scored drives, their probabilities summed, and how many of them failed within 30 days.
    scored: Sums,
}

/// Probabilities and what came of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Sums {
    rows: f64,
    foretold: f64,
    came: f64,
}

impl Budget {
    /// Starts from what training measured, which weighs as much as `prior_months` drive-months of own outcomes.
    pub fn new(prior: Curve, prior_months: f64) -> Self {
        let none = vec![0.0; prior.levels.len() + 1];
        let (falses, trues) = (none.clone(), none);
        Budget {
            prior,
            prior_months,
            falses,
            trues,
            months: 0.0,
            scored: Sums::default(),
            so_far: Sums::default(),
            threshold: f64::INFINITY,
            spent: 0.0,
            lived: 0.0,
            pending: VecDeque::new(),
            today: None,
        }
    }

    /// A new day, on which so many drives run. What was opened more than 30 days ago and has not come true is false.
    pub fn begin(&mut self, day: Day, drives: u64) {
        let keep = 0.5_f64.powf(1.0 / HALF_LIFE);
        let forget = 0.5_f64.powf(1.0 / SCORED_HALF_LIFE);
        let remember = 0.5_f64.powf(1.0 / MEMORY);
        let none = vec![0; self.falses.len()];
        for _ in self.today.unwrap_or(day - 1)..day {
            self.pending.push_front(Pending {
                drives,
                opened: none.clone(),
                came: none.clone(),
                scored: Sums::default(),
            });
            let due = usize::try_from(HORIZON).unwrap_or(0) + 1;
            if self.pending.len() > due
                && let Some(past) = self.pending.pop_back()
            {
                let months = as_f64(past.drives) / MONTH;
                self.scored = Sums {
                    rows: self.scored.rows * forget + past.scored.rows,
                    foretold: self.scored.foretold * forget + past.scored.foretold,
                    came: self.scored.came * forget + past.scored.came,
                };
                self.months = self.months * keep + months;
                self.lived = self.lived * remember + months;
                let own = past.opened.last().zip(past.came.last()).map_or(0, |(opened, came)| opened - came);
                self.spent = self.spent * remember + f64::from(own);
                let outcomes = past.opened.into_iter().zip(past.came);
                for ((falses, trues), (opened, came)) in self.falses.iter_mut().zip(&mut self.trues).zip(outcomes) {
                    *falses = *falses * keep + f64::from(opened - came);
                    *trues = *trues * keep + f64::from(came);
                }
            }
        }
        self.today = Some(day);
    }

    /// A drive's score of today.
    pub fn see(&mut self, opened: &mut Opened, score: Score) {
        let (Some(day), Some(today)) = (self.today, self.pending.front_mut()) else { return };
        opened.days.resize(today.opened.len(), Day::MIN);
        let levels = self.prior.levels.iter().chain(std::iter::once(&self.threshold));
        for ((level, last), count) in levels.zip(&mut opened.days).zip(&mut today.opened) {
            if score.margin >= *level && last.saturating_add(HORIZON) <= day {
                *last = day;
                *count += 1;
            }
        }
        today.scored.rows += 1.0;
        today.scored.foretold += score.probability;
        opened.scored.push_back(day);
        while opened.scored.front().is_some_and(|d| day - d > HORIZON) {
            opened.scored.pop_front();
        }
    }

    /// A drive failed today: the tickets opened for it in the last 30 days were right.
    pub fn failed(&mut self, opened: &Opened) {
        let Some(day) = self.today else { return };
        for (level, last) in opened.days.iter().enumerate() {
            let ago = day.saturating_sub(*last);
            if (1..=HORIZON).contains(&ago)
                && let Some(then) = usize::try_from(ago).ok().and_then(|a| self.pending.get_mut(a))
                && let (Some(came), Some(opened)) = (then.came.get_mut(level), then.opened.get(level))
            {
                *came = (*came + 1).min(*opened);
            }
        }
        for ago in opened.scored.iter().map(|d| day - d).filter(|ago| (1..=HORIZON).contains(ago)) {
            if let Some(then) = usize::try_from(ago).ok().and_then(|a| self.pending.get_mut(a)) {
                then.scored.came += 1.0;
            }
        }
    }

    /// A drive was taken out, and nobody knows whether it would have failed: the tickets opened for it in the last 30 days are neither
    /// right nor false.
    pub fn withdraw(&mut self, opened: &Opened) {
        let Some(day) = self.today else { return };
        for (level, last) in opened.days.iter().enumerate() {
            let ago = usize::try_from(day.saturating_sub(*last)).unwrap_or(usize::MAX);
            if let Some(then) = self.pending.get_mut(ago)
                && let (Some(came), Some(opened)) = (then.came.get(level), then.opened.get_mut(level))
            {
                *opened = opened.saturating_sub(1).max(*came);
            }
        }
    }

    /// A model's probability, corrected by what became of the drives that were scored before: its odds times the odds that came by
    /// the odds that were foretold, of the last days as far as it is known by [`Self::decide`]. As many drive-days as foretell ten failures weigh like the model's word.
    pub fn probability(&self, foretold: f64) -> f64 {
        let Sums { rows, foretold: sum, came } = self.so_far;
        let mean = if sum > 0.0 { sum / rows } else { foretold };
        let extra = 10.0 / mean.max(1e-6);
        let odds = |failed: f64| failed / (rows + extra - failed).max(1e-6);
        let odds = foretold / (1.0 - foretold).max(1e-6) * odds(came + 10.0) / odds(sum + 10.0);
        odds / (1.0 + odds)
    }

    /// What came of the scored. Of the last 30 days it is known in part: a day counts by the share of its failures that have come.
    fn so_far(&self) -> Sums {
        self.pending.iter().zip(0_u8..).fold(self.scored, |sum, (day, ago)| {
            let share = (f64::from(ago) / f64::from(HORIZON)).min(1.0).powf(COMING);
            Sums {
                rows: sum.rows + share * day.scored.rows,
                foretold: sum.foretold + share * day.scored.foretold,
                came: sum.came + day.scored.came,
            }
        })
    }

    /// False tickets per 100 drive-months that a level costs, as far as is known today. Of tickets that may still come true as
    /// large a share is taken for false as of those before.
    fn rate(&self, level: usize) -> f64 {
        let of = |v: &[f64]| v.get(level).copied().unwrap_or(0.0);
        let prior = of(&self.prior.rates) * self.prior_months / 100.0;
        let prior_right = prior * of(&self.prior.right) / (1.0 - of(&self.prior.right)).max(0.01);
        let (falses, trues) = (prior + of(&self.falses), prior_right + of(&self.trues));
        let share = if falses + trues > 0.0 { falses / (falses + trues) } else { 1.0 };
        let opened: u32 = self.pending.iter().filter_map(|p| p.opened.get(level)).sum();
        let drive_days: f64 = self.pending.iter().map(|p| as_f64(p.drives)).sum();
        let months = self.months + self.prior_months + drive_days / MONTH;
        100.0 * (falses + share * f64::from(opened)) / months.max(f64::MIN_POSITIVE)
    }

    /// What thresholds have cost, the newest outcomes weighing most.
    pub fn curve(&self) -> Curve {
        let levels = self.prior.levels.len();
        let rates = self.falses.iter().take(levels).map(|n| 100.0 * n / self.months.max(f64::MIN_POSITIVE)).collect();
        let right = self.falses.iter().zip(&self.trues).take(levels).map(|(f, t)| t / (f + t).max(1.0)).collect();
        Curve { levels: self.prior.levels.clone(), rates, right }
    }

    /// Sets and tells today's threshold: the lowest margin that costs at most `asked` false tickets per 100 drive-months, as far as is
    /// known today. What the thresholds of the last months have cost less or more than that is made up for, slowly.
    pub fn decide(&mut self, asked: f64) -> f64 {
        self.so_far = self.so_far();
        let last = self.prior.levels.len();
        let pending = |of: fn(&Pending) -> &Vec<u32>| {
            let own = self.pending.iter().filter_map(|p| of(p).get(last));
            own.map(|n| f64::from(*n)).sum::<f64>()
        };
        let (falses, trues) =
            (self.falses.get(last).copied().unwrap_or(0.0), self.trues.get(last).copied().unwrap_or(0.0));
        let share = (falses + 1.0) / (falses + trues + 2.0);
        let drive_days: f64 = self.pending.iter().map(|p| as_f64(p.drives)).sum();
        let months = self.lived + drive_days / MONTH;
        let spent = self.spent + share * pending(|p| &p.opened);
        let due = asked / 100.0 * months;
        let drift = (due - spent) / (asked / 100.0 * (months + self.prior_months)).max(f64::MIN_POSITIVE);
        self.threshold = self.lowest(asked * (1.0 + GAIN * drift).clamp(0.5, 2.0));
        self.threshold
    }

    fn lowest(&self, allowed: f64) -> f64 {
        let mut above: Option<(f64, f64)> = None;
        for (number, level) in self.prior.levels.iter().enumerate().rev() {
            let rate = self.rate(number);
            if rate > allowed {
                // Between two levels the rate falls about exponentially.
                return match above {
                    Some((margin, least)) if least > 0.0 => {
                        level + (margin - level) * (rate / allowed).ln() / (rate / least).ln()
                    }
                    Some((margin, _)) => margin,
                    None => f64::INFINITY,
                };
            }
            above = Some((*level, rate));
        }
        above.map_or(f64::INFINITY, |(margin, _)| margin)
    }
}

/// JSON has no infinity: it stands as null.
mod open_ended {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
    pub(super) fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
        value.is_finite().then_some(*value).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        Ok(Option::deserialize(from)?.unwrap_or(f64::INFINITY))
    }
}

fn as_f64(n: u64) -> f64 {
    u32::try_from(n).map_or(f64::INFINITY, f64::from)
}
