//! `[predict]`: what is foretold of disks, and how many false tickets that may cost.

use crate::config::load::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What is foretold of disks. The model judges rotating SATA disks by their raw SMART values, once a day; rules and wear judge all others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Predict {
    /// Whether the disk model judges. Rules and wear do in any case.
    pub disk: bool,
    /// How many false tickets per 100 drive-months are allowed, 0.001 to 10. More of them find more failures: the model's card says how many. The threshold follows
    /// what becomes of the own tickets.
    pub false_tickets_per_100_drive_months: f64,
    /// The model's file, as `outband-collector train` writes it; left out: the one that is shipped.
    pub model: Option<PathBuf>,
}

impl Default for Predict {
    fn default() -> Self {
        Self { disk: true, false_tickets_per_100_drive_months: 0.1, model: None }
    }
}

impl Predict {
    pub(super) fn problems(&self) -> Vec<Problem> {
        let asked = self.false_tickets_per_100_drive_months;
        if (0.001..=10.0).contains(&asked) {
            return Vec::new();
        }
        let what = format!("{asked} is not between 0.001 and 10; 0.1 is a false ticket in a year for 83 drives");
        vec![Problem { at: "predict.false_tickets_per_100_drive_months".to_owned(), what }]
    }
}
