//! `[metrics]`: where the collector tells how full it is.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use std::net::SocketAddr;

/// Figures of the collector itself, for Prometheus and whatever reads its text format: everything that can fill up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MetricsConfig {
    /// Where `GET /metrics` is answered, e.g. `127.0.0.1:9464`. Left out: nowhere. There is neither TLS nor a token: names of agents are among
    /// what is told, so keep it on the loopback or on a network of your own.
    #[schemars(with = "Option<String>")]
    #[serde(deserialize_with = "address")]
    pub listen: Option<SocketAddr>,
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    super::address(deserializer).map(Some)
}
