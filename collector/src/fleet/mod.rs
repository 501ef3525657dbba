//! What the fleet as a whole teaches: [`census`] (which parts were watched, for how long, and which failed), [`rates`] (failures a
//! part-year, survival), [`spares`] (what a site will need), [`rollup`] (health of racks, sites, customers), [`load`] (tickets a week), [`usage`]
//! (what servers use of power and cooling), [`headroom`] (what is left).
//! The arithmetic is [`outband_health::fleet`]'s. README.md says how everything is counted.

pub mod census;
pub mod headroom;
pub mod load;
pub mod rates;
pub mod rollup;
pub mod spares;
pub mod stock;
pub mod usage;

use crate::config::spares::SparesConfig;
use std::sync::{Arc, PoisonError, RwLock};

/// The terms of spare parts, replaceable while the collector runs. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Terms(Arc<RwLock<Arc<SparesConfig>>>);

impl Terms {
    /// By this config.
    pub fn new(config: SparesConfig) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(config))))
    }

    /// Puts another config in force.
    pub fn replace(&self, config: SparesConfig) {
        // A holder that panicked left a whole value: it is replaced in one step.
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
    }

    /// The config in force.
    pub fn now(&self) -> Arc<SparesConfig> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Of which servers it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Only of this site.
    pub site: Option<String>,
    /// Only of this customer.
    pub customer: Option<String>,
}

impl Scope {
    /// Whether something of this site and this customer is meant.
    pub fn holds(&self, site: &str, customer: Option<&str>) -> bool {
        self.site.as_deref().is_none_or(|s| s == site) && self.customer.as_deref().is_none_or(|c| Some(c) == customer)
    }
}
