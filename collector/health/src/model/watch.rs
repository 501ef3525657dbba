//! Which scores open a ticket: the fleet on a day, by one code for the back-test and for live use.

use super::{
    Blind, Budget, Cohort, Day, DiskModel, Drive, Explanation, HORIZON, History, Opened, Pattern, Peers, Verdict,
};
use serde::{Deserialize, Serialize};
use std::borrow::Borrow;
use std::collections::BTreeMap;

/// What training measured weighs as much as so many drive-months of own outcomes.
const PRIOR_MONTHS: f64 = 10_000.0;

/// The threshold of the day, and what is remembered of the drives that were scored. `K` names a drive.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound(serialize = "K: Ord + Serialize", deserialize = "K: Ord + Deserialize<'de>"))]
pub struct Watch<K: Ord> {
    budget: Budget,
    opened: BTreeMap<K, Opened>,
    #[serde(default)]
    peers: Peers,
    #[serde(skip)]
    threshold: f64,
}

/// What is said of a drive on a day.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    /// What the model says.
    pub verdict: Verdict,
    /// The threshold of the day, a margin.
    pub threshold: f64,
    /// The probability of failure within 30 days, corrected by what became of drives that were scored before.
    pub probability: Option<f64>,
    /// Whether a ticket is worth its money.
    pub opens: bool,
}

impl<K: Ord + Clone> Watch<K> {
    /// From what training measured.
    pub fn new(model: &DiskModel) -> Self {
        let budget = Budget::new(model.curve.clone(), PRIOR_MONTHS);
        Watch { budget, opened: BTreeMap::new(), peers: Peers::default(), threshold: f64::INFINITY }
    }

    /// A new day, on which so many drives run. Then [`Self::survey`], tell who failed, [`Self::decide`], and judge.
    pub fn begin(&mut self, day: Day, drives: u64) {
        self.budget.begin(day, drives);
        // Who was not scored for longer than a ticket is open has none to be right.
        self.opened.retain(|_, opened| opened.newest().is_some_and(|on| day - on <= HORIZON));
    }

    /// The drives that run, with what they show at the end of `day`: what others are compared with. Looked at every 14 days only.
    pub fn survey<'h, D: Borrow<Drive>>(&mut self, day: Day, drives: impl Iterator<Item = (D, &'h History)>) {
        if self.peers.is_due(day) {
            self.peers = Peers::of(day, drives);
        }
    }

    /// A drive failed today: what was foretold of it was right.
    pub fn failed(&mut self, drive: &K) {
        if let Some(opened) = self.opened.get(drive) {
            self.budget.failed(opened);
        }
    }

    /// A drive is gone, and nobody knows whether it would have failed: what was foretold of it counts neither way.
    pub fn gone(&mut self, drive: &K) {
        if let Some(opened) = self.opened.remove(drive) {
            self.budget.withdraw(&opened);
        }
    }

    /// The drives that were scored in the last 30 days.
    pub fn watched(&self) -> impl Iterator<Item = &K> {
        self.opened.keys()
    }

    /// Sets today's threshold for so many false tickets per 100 drive-months.
    pub fn decide(&mut self, asked: f64) -> f64 {
        self.threshold = self.budget.decide(asked);
        self.threshold
    }

    /// Judges a drive. `row` is scratch space, which afterwards holds the features of a scored drive.
    pub fn judge(
        &mut self,
        model: &DiskModel,
        name: &K,
        (history, drive): (&History, &Drive),
        day: Day,
        row: &mut Vec<f64>,
    ) -> Judged {
        let verdict = model.judge(history, drive, &self.peers, day, row);
        let threshold = self.threshold;
        match verdict {
            Verdict::Blind(_) => Judged { verdict, threshold, probability: None, opens: false },
            Verdict::Quiet { probability } => {
                Judged { verdict, threshold, probability: Some(probability), opens: false }
            }
            Verdict::Scored(score) => {
                if !self.opened.contains_key(name) {
                    self.opened.insert(name.clone(), Opened::default());
                }
                if let Some(opened) = self.opened.get_mut(name) {
                    self.budget.see(opened, score);
                }
                let probability = Some(self.budget.probability(score.probability));
                Judged { verdict, threshold, probability, opens: score.margin >= threshold }
            }
        }
    }
}

/// What the model says of the drive in a place, until it says otherwise.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "said", rename_all = "snake_case")]
pub enum Said {
    /// Nothing yet: no day of it has been judged.
    #[default]
    New,
    /// It cannot judge it.
    Blind {
        /// Why.
        why: Blind,
    },
    /// It does not expect it to fail.
    Well {
        /// The probability of failure within 30 days.
        probability: f64,
    },
    /// It expects it to fail.
    Foretold(Box<Foretold>),
}

/// A failure that is foretold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Foretold {
    /// The model's version.
    pub model: String,
    /// The day on which the score reached the threshold.
    pub since: Day,
    /// The newest day on which it did, and that moment, in milliseconds since 1970.
    pub newest: Day,
    /// When the drive was last read on that day, in milliseconds since 1970.
    pub newest_ms: i64,
    /// The probability of failure within 30 days, on that day.
    pub probability: f64,
    /// The score of the first day, log-odds, and its threshold.
    pub margin: f64,
    /// The threshold of the first day.
    pub threshold: f64,
    /// What the score is made of.
    pub explanation: Explanation,
    /// What rose.
    pub pattern: Pattern,
    /// What became of drives like this that the model was trained on, and to which day.
    pub trained: Option<(Cohort, String)>,
    /// The same of the own fleet.
    pub own: Option<Cohort>,
}

impl Foretold {
    /// Whether it is over on a day: 30 days have gone by since it was last said.
    pub fn is_over(&self, day: Day) -> bool {
        day - self.newest > HORIZON
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{model, smart};
    use super::*;

    /// A drive whose medium shows something new on each day.
    fn growing(days: Day) -> History {
        let mut history = History::default();
        (0..=days).for_each(|day| history.read(day, &smart(f64::from(day) * 8.0)));
        history
    }

    const DRIVE: Drive =
        Drive { family: String::new(), vendor: super::super::Vendor::Seagate, capacity: None, rotating: None };

    #[test]
    fn a_score_above_the_threshold_opens_and_the_same_below_it_does_not() {
        let (model, history, mut row) = (model(), growing(5), Vec::new());
        let mut judged = |asked: f64| {
            let mut watch = Watch::new(&model);
            watch.begin(5, 3000);
            watch.decide(asked);
            watch.judge(&model, &"d", (&history, &DRIVE), 5, &mut row)
        };
        let (often, seldom) = (judged(4.0), judged(0.001));
        assert!(often.opens && !seldom.opens, "{often:?} {seldom:?}");
        assert_eq!(often.verdict, seldom.verdict);
    }

    #[test]
    fn what_is_remembered_of_the_scored_ends_with_their_tickets_and_survives_its_file() {
        let (model, history, mut row) = (model(), growing(5), Vec::new());
        let mut watch = Watch::new(&model);
        watch.begin(5, 3000);
        watch.judge(&model, &"d".to_owned(), (&history, &DRIVE), 5, &mut row);
        let text = serde_json::to_string(&watch).unwrap();
        let mut read: Watch<String> = serde_json::from_str(&text).unwrap();
        assert_eq!(read.watched().count(), 1);
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
        read.begin(40, 3000);
        assert_eq!(read.watched().count(), 0);
    }

    #[test]
    fn a_drive_is_compared_with_the_fleet_in_which_it_runs() {
        let (model, history, mut row) = (model(), growing(5), Vec::new());
        let place = model.features.iter().position(|f| f == "drive.rarity").unwrap();
        let mut watch = Watch::new(&model);
        let mut rarity = |watch: &mut Watch<&str>| {
            watch.judge(&model, &"d", (&history, &DRIVE), 5, &mut row);
            row[place]
        };
        assert!(rarity(&mut watch).is_nan());
        let sound = growing(0);
        watch.survey(5, std::iter::repeat_n((&DRIVE, &sound), 98));
        assert!(rarity(&mut watch) > 100.0_f64.ln() - 0.01);
        // Not yet due.
        watch.survey(6, std::iter::repeat_n((&DRIVE, &history), 98));
        assert!(rarity(&mut watch) > 100.0_f64.ln() - 0.01);
    }

    #[test]
    fn a_drive_that_was_taken_out_counts_neither_way() {
        let (model, history, mut row) = (model(), growing(5), Vec::new());
        let mut threshold = |gone: bool| {
            let mut watch = Watch::new(&model);
            for day in 0..120 {
                watch.begin(day, 3000);
                watch.decide(1.0);
                for n in 0..8 {
                    let name = format!("{day}/{n}");
                    watch.judge(&model, &name, (&history, &DRIVE), 5, &mut row);
                }
                for n in 0..8 {
                    if gone {
                        watch.gone(&format!("{day}/{n}"));
                    }
                }
            }
            watch.begin(120, 3000);
            watch.decide(1.0)
        };
        let (counted, withdrawn) = (threshold(false), threshold(true));
        assert!(counted > withdrawn + 0.1, "{counted} {withdrawn}");
    }
}
