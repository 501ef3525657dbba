//! The service root as any stranger sees it: no login, no credentials at hand.

use super::http::Http;
use super::lenient::{self, link, text};
use super::walk::Answer;
use crate::{Address, Credentials, Fingerprint, PollError, Secret, Target, Trust};
use outband_schemas::Cause;
use serde_json::Value;
use std::net::IpAddr;
use std::time::Duration;

/// A root is some kilobytes; whatever else listens there shall not fill our memory.
const MAX_ROOT: usize = 1 << 20;

/// Reads the service root at an address, and the certificate that was offered. Whoever listens there is believed, since nothing is told to it.
pub(crate) async fn service_root(
    address: IpAddr,
    port: u16,
    within: Duration,
) -> Result<(Value, Option<Fingerprint>), PollError> {
    let failed = |cause, detail: String| PollError { cause, detail };
    let target = Target {
        address: Address::Redfish { host: address.to_string(), port },
        credentials: Credentials::new("", Secret::new("")),
        cipher: None,
        trust: Trust::FirstUse,
        request_deadline: within,
    };
    let http = Http::new(&target).map_err(|e| failed(Cause::Unreachable, e.to_string()))?;
    let not_redfish = |detail: String| failed(Cause::NotSupported, detail);
    match http.get("/redfish/v1/", MAX_ROOT).await.answer {
        Answer::Http { status: 200..=299, body, .. } => {
            let root = lenient::parse(&body).map_err(|e| not_redfish(e.to_string()))?;
            let is_root = text(&root, "RedfishVersion").is_some()
                || ["Systems", "Chassis", "Managers"].iter().any(|f| link(&root, f).is_some())
                || text(&root, "@odata.type")
                    .or_else(|| text(&root, "Type"))
                    .is_some_and(|t| t.contains("ServiceRoot"));
            let root = is_root.then_some(root).ok_or_else(|| not_redfish("JSON, but no service root".to_owned()))?;
            Ok((root, http.certificate()))
        }
        // A root behind a login is against the specification, but nothing else answers so there.
        Answer::Http { status: 401, .. } => Ok((serde_json::json!({}), http.certificate())),
        Answer::Http { status, .. } => Err(not_redfish(format!("/redfish/v1/ answered HTTP {status}"))),
        Answer::Failed { cause, detail } => Err(failed(cause, detail)),
    }
}
