//! Errors as operators get them: what failed, and what to do; with details for programs (AIP-193).

use outband_store::StoreError;
use outband_ticket::Rejected;
use std::collections::HashMap;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

const DOMAIN: &str = "outband";

/// A field of the request makes no sense.
pub(super) fn invalid(field: &str, what: impl Into<String>) -> Status {
    let what = what.into();
    let details = ErrorDetails::with_bad_request_violation(field, &what);
    Status::with_error_details(Code::InvalidArgument, format!("{field}: {what}"), details)
}

/// There is nothing of this name.
pub(super) fn not_found(kind: &str, name: &str, hint: &str) -> Status {
    let details = ErrorDetails::with_resource_info(format!("{DOMAIN}/{kind}"), name, "", "");
    Status::with_error_details(Code::NotFound, format!("there is no {name}; {hint}"), details)
}

/// Somebody else changed it since it was read.
pub(super) fn changed_meanwhile(name: &str, current_etag: Option<&str>) -> Status {
    let metadata = current_etag.map(|e| HashMap::from([("current_etag".to_owned(), e.to_owned())]));
    let details = ErrorDetails::with_error_info("CHANGED_MEANWHILE", DOMAIN, metadata.unwrap_or_default());
    Status::with_error_details(
        Code::Aborted,
        format!("{name} was changed since it was read; read it again and decide anew"),
        details,
    )
}

/// Another request was made under the same id.
pub(super) fn id_reused(id: &str) -> Status {
    let details = ErrorDetails::with_error_info("REQUEST_ID_REUSED", DOMAIN, HashMap::new());
    Status::with_error_details(
        Code::AlreadyExists,
        format!("another request was made under the id {id}; a new request needs a new id"),
        details,
    )
}

/// The ticket's state does not allow the move.
pub(super) fn rejected(name: &str, rejected: &Rejected) -> Status {
    match rejected {
        Rejected::NoSuchMove { from, allowed, .. } => {
            let words: Vec<&str> = allowed.iter().filter(|v| v.is_move()).map(|v| v.as_str()).collect();
            let mut details = ErrorDetails::with_precondition_failure_violation(
                "STATE",
                name,
                format!("state {from} allows: {}", words.join(", ")),
            );
            let metadata = HashMap::from([
                ("state".to_owned(), from.as_str().to_owned()),
                ("allowed_actions".to_owned(), words.join(",")),
            ]);
            details.set_error_info("NO_SUCH_MOVE", DOMAIN, metadata);
            Status::with_error_details(Code::FailedPrecondition, format!("{name}: {rejected}"), details)
        }
        Rejected::Empty { .. } => invalid("detail", rejected.to_string()),
        Rejected::NoVerdict => {
            let metadata = HashMap::from([("state".to_owned(), "resolved".to_owned())]);
            let details = ErrorDetails::with_error_info("NO_VERDICT", DOMAIN, metadata);
            Status::with_error_details(Code::FailedPrecondition, format!("{name}: {rejected}"), details)
        }
        Rejected::NotThen(_) => invalid("reached_at_ms", rejected.to_string()),
    }
}

/// The collector stops.
pub(super) fn shutting_down() -> Status {
    Status::unavailable("the collector is shutting down; try again in a moment")
}

/// The store did not answer.
pub(super) fn of_store(error: &StoreError) -> Status {
    match error {
        StoreError::BadToken => {
            invalid("page_token", "it is not one that this listing gave out; start again without it")
        }
        StoreError::NotFound { what } => Status::not_found(format!("there is no {what}")),
        StoreError::Conflict { what } => changed_meanwhile(what, None),
        StoreError::Closed => shutting_down(),
        StoreError::Unavailable { .. } => {
            tracing::error!(%error, "a question cannot be answered");
            Status::unavailable(format!("{error}; see the collector's log"))
        }
        other => {
            tracing::error!(error = %other, "a question cannot be answered");
            Status::internal("the store failed; see the collector's log")
        }
    }
}
