//! What may be done at a BMC, and how it went. Everything else here only reads.

use crate::Polled;
use outband_schemas::{Cause, LogEvent, Observation};
use std::collections::BTreeSet;

/// How something that was asked of a BMC did not come about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActionError {
    /// Nothing was changed: the BMC refused, or has no such thing, or a condition did not hold.
    #[error("{0}")]
    Failed(String),
    /// Nothing was changed: the login may not.
    #[error(
        "the BMC does not let this login do that: {0}; give the agent a login with the role Operator there (a reset of the BMC may want Administrator)"
    )]
    Denied(String),
    /// It was sent and not answered: it may have been done or not.
    #[error("sent, and not answered: {0}")]
    Unknown(String),
}

impl ActionError {
    /// Something that has to be read first could not be.
    pub(crate) fn unread(what: &str, cause: Cause, detail: &str) -> Self {
        match cause {
            Cause::Denied => Self::Denied(format!("{what}: {detail}")),
            _ => Self::Failed(format!("{what}: {detail}")),
        }
    }
}

/// The entries of a log that was read whole, where each of them is in the archive, by its natural key. Where one is not, or where something could not be
/// read, nothing may be cleared.
pub(crate) fn archived<'p>(
    polled: &'p Polled,
    log: &str,
    archive: &BTreeSet<String>,
) -> Result<Vec<&'p LogEvent>, ActionError> {
    let nothing = |why: String| ActionError::Failed(format!("nothing was cleared: {why}"));
    if let Some(more) = &polled.more {
        return Err(nothing(format!("the log is too long to be read at once: {more}")));
    }
    let mut entries = Vec::new();
    for observation in &polled.observations {
        match observation {
            Observation::Event(event) if event.log == log => entries.push(event),
            // That a log is full is a reason to clear it; anything else may hide an entry.
            Observation::Gap(gap) if !(gap.cause == Cause::BmcError && gap.source.0 == "sel") => {
                return Err(nothing(format!("not all of the log could be read: {}", gap.detail)));
            }
            _ => {}
        }
    }
    let missing: Vec<&str> =
        entries.iter().filter(|e| !archive.contains(&e.natural_key())).map(|e| e.id.as_str()).collect();
    match missing.as_slice() {
        [] => Ok(entries),
        [first, ..] => {
            let detail = format!(
                "{} of {} entries are not stored at the collector yet, the first is {first}",
                missing.len(),
                entries.len()
            );
            Err(nothing(detail))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use outband_schemas::{ComponentClass, ComponentId, EventKind, Gap, Severity, Source, Timestamp};

    fn event(log: &str, id: &str) -> Observation {
        Observation::Event(LogEvent {
            component: ComponentId::lenient(ComponentClass::Server, "system"),
            log: log.to_owned(),
            id: id.to_owned(),
            kind: EventKind::Other,
            severity: Severity::Ok,
            deasserted: false,
            message: String::new(),
            code: String::new(),
            bmc_time: None,
            observed_at: Timestamp::from_secs(1),
            source: Source(String::new()),
            raw: format!("raw{id}"),
        })
    }

    fn gap(cause: Cause, source: &str) -> Observation {
        Observation::Gap(Gap {
            component: None,
            cause,
            detail: "a page".to_owned(),
            observed_at: Timestamp::from_secs(1),
            source: Source(source.to_owned()),
            span: None,
        })
    }

    fn keys(of: &[&str]) -> BTreeSet<String> {
        let events = of.iter().map(|id| event("sel", id));
        events.filter_map(|e| if let Observation::Event(e) = e { Some(e.natural_key()) } else { None }).collect()
    }

    #[test]
    fn a_log_may_be_cleared_only_where_every_entry_of_it_is_archived() {
        let polled = Polled {
            observations: vec![event("sel", "1"), event("sel", "2"), event("other", "9")],
            ..Polled::default()
        };
        let ids = |archive: &[&str]| {
            archived(&polled, "sel", &keys(archive)).map(|e| e.iter().map(|e| e.id.clone()).collect::<Vec<_>>())
        };
        assert_eq!(ids(&["1", "2", "3"]).unwrap(), ["1", "2"]);
        assert!(
            matches!(ids(&["1"]), Err(ActionError::Failed(why)) if why.contains("1 of 2") && why.contains("first is 2"))
        );
    }

    #[test]
    fn what_could_not_be_read_whole_is_not_cleared() {
        let of =
            |observations, more: Option<&str>| Polled { observations, more: more.map(str::to_owned), bookmark: None };
        assert!(archived(&of(vec![gap(Cause::Timeout, "sel:7")], None), "sel", &keys(&[])).is_err());
        assert!(archived(&of(Vec::new(), Some("the rest")), "sel", &keys(&[])).is_err());
        assert!(archived(&of(vec![gap(Cause::BmcError, "/redfish/v1/x")], None), "sel", &keys(&[])).is_err());
        let full = of(vec![gap(Cause::BmcError, "sel")], None);
        assert_eq!(archived(&full, "sel", &keys(&[])), Ok(Vec::new()), "that it is full is why it is cleared");
    }
}
