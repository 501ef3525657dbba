//! `[spares]`: how many spare parts are proposed.

use crate::config::load::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// How many spare parts are proposed: `outband fleet spares`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SparesConfig {
    /// So likely the shelf of a site lasts until new parts come.
    pub service_level: f64,
    /// New parts come so many days after they were ordered.
    pub resupply_days: u32,
    /// A CSV file with the columns `site,part,quantity`: what is on the shelves now. `part` is a model or a part number. It is read at
    /// each question; left out, nothing is known of shelves.
    pub stock: Option<PathBuf>,
}

impl Default for SparesConfig {
    fn default() -> Self {
        Self { service_level: 0.95, resupply_days: 30, stock: None }
    }
}

impl SparesConfig {
    /// What is wrong with it.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut add = |field: &str, what: String| problems.push(Problem { at: format!("spares.{field}"), what });
        if !(0.5..=0.9999).contains(&self.service_level) {
            add("service_level", format!("{} is not between 0.5 and 0.9999", self.service_level));
        }
        if !(1..=1095).contains(&self.resupply_days) {
            add("resupply_days", format!("{} is not between 1 and 1095", self.resupply_days));
        }
        problems
    }
}
