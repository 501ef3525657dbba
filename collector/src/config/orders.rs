//! `[orders]`: what agents may be asked to do at BMCs.

use super::load::Problem;
use super::span::Span;
use outband_schemas::OrderKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

/// An order is worth nothing after a day: whoever wanted it wants something else by then.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// What agents may be asked to do at BMCs. Nothing, unless it stands here; and each agent has an `[orders]` of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OrdersConfig {
    /// `identify`, `identify_off`, `collect`, `reset_bmc`, `clear_sel`.
    #[schemars(with = "Vec<String>")]
    pub allow: BTreeSet<OrderKind>,
    /// Whether somebody else than who asked has to approve.
    pub two_person: bool,
    /// How long after it was asked for an order may still be sent, and begun by its agent; at most a day.
    #[schemars(with = "String")]
    pub expires_after: Span,
    /// How many orders an hour are sent to one site.
    pub per_site_per_hour: u32,
    /// How many an hour to servers of one model.
    pub per_model_per_hour: u32,
    /// How many may be sent and not answered at the same time, everywhere together.
    pub at_once: u32,
    /// At how many servers something may be changed within 24 hours, everywhere together.
    pub servers_per_day: u32,
    /// How large a file may be that an order brings, in KiB; agents send no more than 4096.
    pub file_kib: u32,
}

impl Default for OrdersConfig {
    fn default() -> Self {
        Self {
            allow: BTreeSet::new(),
            two_person: true,
            expires_after: Span::from_secs(30 * 60),
            per_site_per_hour: 6,
            per_model_per_hour: 6,
            at_once: 2,
            servers_per_day: 10,
            file_kib: 1024,
        }
    }
}

impl OrdersConfig {
    /// What is wrong with it.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut add = |at: &str, what: &str| {
            problems.push(Problem { at: format!("orders.{at}"), what: what.to_owned() });
        };
        let expires = self.expires_after.duration();
        if expires < Duration::from_secs(60) || expires > LONGEST {
            add("expires_after", "write a span of one minute to one day");
        }
        for (at, zero) in [
            ("per_site_per_hour", self.per_site_per_hour == 0),
            ("per_model_per_hour", self.per_model_per_hour == 0),
            ("at_once", self.at_once == 0),
            ("servers_per_day", self.servers_per_day == 0),
            ("file_kib", self.file_kib == 0),
        ] {
            if zero {
                add(at, "with 0 nothing would ever be sent; to switch orders off, leave allow empty");
            }
        }
        problems
    }
}
