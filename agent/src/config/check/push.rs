//! `[push]`, and `push` of a target.

use super::{MAX_CADENCE, MIN_CADENCE, Place};
use crate::config::file::{PushTable, TargetTable};
use crate::config::{Identity, Listen, Push, PushMode, Surroundings, secret};
use outband_bmc::Address;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// How often the log is read where its news are pushed.
const SAFETY_NET: Duration = Duration::from_secs(600);

/// The section as a whole.
pub(super) fn push(table: PushTable, dir: &Path, around: &Surroundings, place: &mut Place<'_, '_>) -> Push {
    let log = place.duration("log", table.log.as_deref(), SAFETY_NET, (MIN_CADENCE, MAX_CADENCE));
    let resolve = |file: String| secret::resolve(&file, dir, around.credentials_dir.as_deref());
    let identity = match (table.cert_file.map(resolve), table.key_file.map(resolve)) {
        (Some(cert), Some(key)) => {
            // Both are read again when the listener starts.
            let good = place.pem("cert_file", &cert).is_some() & is_private(&key, around, place);
            good.then_some(Identity { cert, key })
        }
        (None, None) => None,
        (Some(_), None) => {
            place.add("key_file", "is missing beside cert_file; leave both out and the agent makes its own");
            None
        }
        (None, Some(_)) => {
            place.add("cert_file", "is missing beside key_file; leave both out and the agent makes its own");
            None
        }
    };
    let given = table.listen.is_some() || table.url.is_some();
    let listener = given.then(|| {
        let listen = place.required("listen", table.listen, "0.0.0.0:7443");
        let listen: Option<SocketAddr> = place.parsed("listen", listen);
        let url = place.required("url", table.url, "https://10.0.0.5:7443");
        let url = url.and_then(|url| base(&url).map_err(|why| place.add("url", why)).ok());
        (listen, url)
    });
    let listener = match listener {
        Some((Some(at), Some(url))) => Some(Listen { at, url, identity }),
        Some(_) => None,
        None => {
            if identity.is_some() {
                place.add("cert_file", "is for the listener, and there is none: set listen and url");
            }
            None
        }
    };
    Push { stream: table.sse.unwrap_or(true), log, listener }
}

/// How a target may be listened to.
pub(super) fn mode(table: &TargetTable, address: Option<&Address>, place: &mut Place<'_, '_>) -> PushMode {
    let Some(word) = table.push.as_deref() else { return PushMode::default() };
    if matches!(address, Some(Address::Ipmi { .. } | Address::Local { .. })) {
        place.add("push", "is for https:// targets only");
    }
    match word {
        "auto" => PushMode::Auto,
        "sse" => PushMode::Stream,
        "subscription" => PushMode::Subscription,
        "off" => PushMode::Off,
        other => {
            place.add("push", format!("{other:?} is none of \"auto\", \"sse\", \"subscription\" and \"off\""));
            PushMode::default()
        }
    }
}

fn is_private(key: &Path, around: &Surroundings, place: &mut Place<'_, '_>) -> bool {
    // A key is longer than a password, and guarded in the same way.
    secret::check_mode(key, around.credentials_dir.as_deref()).map_err(|e| place.add("key_file", e)).is_ok()
}

/// The URL without a slash at its end.
fn base(text: &str) -> Result<String, String> {
    let shape = "write https://HOST:PORT, as BMCs reach this machine";
    let url = url::Url::parse(text).map_err(|e| format!("{text:?} is no URL: {e}; {shape}"))?;
    let bare =
        url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
    match url.scheme() {
        "https" | "http" if bare && url.host_str().is_some_and(|h| !h.is_empty()) && matches!(url.path(), "" | "/") => {
            Ok(text.trim_end_matches('/').to_owned())
        }
        _ => Err(format!("{text:?} is no address of a listener; {shape}")),
    }
}
