//! The disk model as a whole: what it says of a drive on a day, or why it says nothing.

use super::{Attribute, Calibration, Cohorts, Curve, Day, Drive, Forest, History, Peers, Vendor, features};
use serde::{Deserialize, Serialize};

/// Days after new errors of the medium during which a drive is scored.
const AWAKE: Day = 3;

/// A trained model, as it stands in its file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DiskModel {
    /// Its name and version, e.g. `disk-2`.
    pub version: String,
    /// The newest day that it was trained on, `YYYY-MM-DD`.
    pub trained_to: String,
    /// The features that it was trained on, in their order.
    pub features: Vec<String>,
    /// Its trees.
    pub forest: Forest,
    /// From their sum to a probability.
    pub calibration: Calibration,
    /// The probability of failure within 30 days of a drive whose medium shows nothing new.
    pub quiet: f64,
    /// What thresholds cost.
    pub curve: Curve,
    /// What became of the drives that it was trained on, by what they showed.
    #[serde(default, skip_serializing_if = "Cohorts::is_empty")]
    pub cohorts: Cohorts,
    /// The fleet that it was trained on, at the end: for models of which another fleet has few drives.
    #[serde(default, skip_serializing_if = "Peers::is_empty")]
    pub peers: Peers,
}

/// A model does not fit this program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// It was trained on other features.
    #[error(
        "model {version} was trained on other features than this program measures ({first} is not known in this place): train it anew"
    )]
    Features {
        /// The model.
        version: String,
        /// The first feature that differs.
        first: String,
    },
    /// A part of it is empty or does not match another.
    #[error("model {version} is incomplete: {what}")]
    Incomplete {
        /// The model.
        version: String,
        /// What is wrong.
        what: &'static str,
    },
}

/// Why the model says nothing of a drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Blind {
    /// It has no platters: wear and its own warnings say more.
    SolidState,
    /// It does not report both reallocated and pending sectors (attributes 5 and 197): a SAS drive, or behind a controller that hides them.
    NoAttributes,
    /// The model has seen no drive of this maker.
    UnknownMaker,
}

impl Blind {
    /// The word for it on the wire and in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Blind::SolidState => "solid_state",
            Blind::NoAttributes => "no_attributes",
            Blind::UnknownMaker => "unknown_maker",
        }
    }
}

/// What the model says of a scored drive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// Log-odds, not calibrated; what thresholds are compared with.
    pub margin: f64,
    /// The probability of failure within 30 days.
    pub probability: f64,
}

/// What the model says of a drive on a day.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    /// Nothing: it cannot.
    Blind(Blind),
    /// The medium has shown nothing new for three days: the base rate.
    Quiet {
        /// The probability of failure within 30 days.
        probability: f64,
    },
    /// A score.
    Scored(Score),
}

impl DiskModel {
    /// Whether it fits this program.
    pub fn check(&self) -> Result<(), Misfit> {
        let incomplete = |what| Err(Misfit::Incomplete { version: self.version.clone(), what });
        let ours = features::names();
        if let Some(i) = (0..ours.len().max(self.features.len())).find(|&i| ours.get(i) != self.features.get(i)) {
            let first = self.features.get(i).or(ours.get(i)).cloned().unwrap_or_default();
            return Err(Misfit::Features { version: self.version.clone(), first });
        }
        let sound = |n: &super::Node, len: usize| {
            usize::from(n.feature) < ours.len() && usize::from(n.left) < len && usize::from(n.right) < len
        };
        if !self.forest.trees.iter().all(|t| t.nodes.iter().all(|n| sound(n, t.nodes.len()))) {
            return incomplete("a tree asks for what is not there");
        }
        if self.curve.levels.is_empty() || self.curve.levels.len() != self.curve.rates.len() {
            return incomplete("the cost of thresholds");
        }
        if self.calibration.probability(0.0).is_nan() {
            return incomplete("the calibration");
        }
        Ok(())
    }

    /// Judges a drive by what it has shown up to `day`. `peers`: the fleet in which it runs. `row` is scratch space, which afterwards holds
    /// the features of a scored drive.
    pub fn judge(&self, history: &History, drive: &Drive, peers: &Peers, day: Day, row: &mut Vec<f64>) -> Verdict {
        if let Some(blind) = blind(history, drive) {
            return Verdict::Blind(blind);
        }
        if !is_awake(history, day) {
            return Verdict::Quiet { probability: self.quiet };
        }
        row.clear();
        features::walk(history, drive, &peers.among(&self.peers, drive), day, |_, value| row.push(value));
        let margin = self.forest.margin(row);
        Verdict::Scored(Score { margin, probability: self.calibration.probability(margin) })
    }
}

/// Whether the model can say anything of a drive.
pub(super) fn blind(history: &History, drive: &Drive) -> Option<Blind> {
    let reports = |a| history.track(a).now().is_some();
    if drive.rotating == Some(false) {
        Some(Blind::SolidState)
    } else if drive.vendor == Vendor::Other {
        Some(Blind::UnknownMaker)
    } else if !reports(Attribute::ReallocatedSectors) || !reports(Attribute::PendingSectors) {
        Some(Blind::NoAttributes)
    } else {
        None
    }
}

impl History {
    /// Whether the medium has shown new errors on `day` or in the three days before it: only then a drive is scored.
    pub fn is_awake(&self, day: Day) -> bool {
        is_awake(self, day)
    }
}

fn is_awake(history: &History, day: Day) -> bool {
    history.last_error().is_some_and(|last| day - last <= AWAKE)
}
