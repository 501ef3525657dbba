//! What could not be read, and how it is told.

use crate::redfish::lenient;
use crate::redfish::route::Role;
use outband_schemas::{Cause, Gap, Source, Timestamp};
use std::collections::BTreeMap;

/// Something that should have been read and was not.
#[derive(Debug, Clone)]
pub(super) struct Loss {
    pub(super) uri: String,
    pub(super) owner: String,
    pub(super) parent: String,
    pub(super) role: Role,
    pub(super) cause: Cause,
    pub(super) detail: String,
    pub(super) at: Timestamp,
}

/// One gap for each cause below one chassis, system or log: a hundred dead links in one collection are one line to read, not a hundred.
pub(super) fn gaps(losses: &[Loss]) -> Vec<Gap> {
    let mut groups: BTreeMap<(&str, Role, u8, &str), Vec<&Loss>> = BTreeMap::new();
    for loss in losses {
        groups.entry((&loss.owner, loss.role, loss.cause.number(), &loss.detail)).or_default().push(loss);
    }
    let gap = |group: Vec<&Loss>| {
        let first = *group.first()?;
        let detail = match group.len() {
            1 => format!("{}: {}", first.role.what(), first.detail),
            n => format!("{n} × {}: {} (first of them: {})", first.role.what(), first.detail, first.uri),
        };
        let one_parent = group.len() > 1 && group.iter().all(|l| l.parent == first.parent);
        let source = Source(if one_parent { first.parent.clone() } else { first.uri.clone() });
        Some(Gap { component: None, cause: first.cause, detail, observed_at: first.at, source, span: None })
    };
    groups.into_values().filter_map(gap).collect()
}

/// What an HTTP status means.
pub(super) fn http_failure(status: u16, body: &[u8]) -> (Cause, String) {
    let said = lenient::parse(body).ok().and_then(|b| lenient::error_of(&b));
    let cause = match status {
        401 | 403 => Cause::Denied,
        404 | 405 | 410 | 501 => Cause::NotSupported,
        429 | 503 => Cause::Busy,
        _ => Cause::BmcError,
    };
    (
        cause,
        match said {
            Some(said) => format!("HTTP {status}: {said}"),
            None => format!("HTTP {status}"),
        },
    )
}
