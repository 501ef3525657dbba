//! `[enrol]`: how agents get certificates of their own.

use crate::config::load::Problem;
use crate::config::span::Span;
use outband_schemas::enrol::is_address;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

const SHORTEST: Duration = Duration::from_secs(600);
const LONGEST: Duration = Duration::from_secs(90 * 24 * 3600);

/// How agents get certificates of their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EnrolConfig {
    /// `HOST:PORT` under which agents reach this collector: what an invite tells them. Empty: each of `tls.server_names` with the port of
    /// `listen.agents`.
    pub addresses: Vec<String>,
    /// How long an agent's certificate is good; the agent renews it at half of that. 10m to 90d.
    #[schemars(with = "String")]
    pub certificate: Span,
}

impl Default for EnrolConfig {
    fn default() -> Self {
        Self { addresses: Vec::new(), certificate: Span::from_secs(7 * 24 * 3600) }
    }
}

impl EnrolConfig {
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (i, address) in self.addresses.iter().enumerate().filter(|(_, a)| !is_address(a)) {
            let at = format!("enrol.addresses[{i}]");
            problems.push(Problem { at, what: format!("{address:?} is not HOST:PORT") });
        }
        if !(SHORTEST..=LONGEST).contains(&self.certificate.duration()) {
            let what = format!("{} is not between 10m and 90d", self.certificate);
            problems.push(Problem { at: "enrol.certificate".to_owned(), what });
        }
        problems
    }
}
