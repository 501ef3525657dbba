//! Whom a contract names for an emergency: by role, in the order in which they are asked, each with the day on which somebody last made
//! sure that they can be reached.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use outband_schemas::{Timestamp, TriageClass};
use serde::Deserialize;

/// A contact that nobody verified for longer than this may be out of date, in days.
pub const VERIFIED_FOR: i64 = 180;

/// A person who is told. Addresses stand in the config: this names them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contact {
    /// What people call them.
    pub name: String,
    /// The recipients of `[notify]` that are theirs, e.g. a mail address and a phone: all are told at once. None: they are called by people only.
    #[serde(default)]
    pub recipients: Vec<String>,
    /// Only for these kinds of trouble, e.g. `environment_power`; empty: for all.
    #[serde(default)]
    pub triage: Vec<TriageClass>,
    /// The number under which people call them, e.g. the maker's hotline.
    #[serde(default)]
    pub phone: Option<String>,
    /// Where that is from: the label on the chassis, the warranty card, the maker's console. Never a search result.
    #[serde(default)]
    pub source: Option<String>,
    /// Who last made sure that they can be reached.
    #[serde(default)]
    pub verified_by: Option<String>,
    /// The day on which somebody last made sure that they can be reached, e.g. `2026-03-01`.
    #[serde(default)]
    pub verified: Option<String>,
}

impl Contact {
    /// What is wrong with it.
    pub(super) fn problem(&self) -> Option<String> {
        if self.name.trim().is_empty() {
            return Some("a contact needs a name".to_owned());
        }
        if self.recipients.is_empty() && self.phone.is_none() {
            return Some(format!("{}: neither `recipients` nor `phone` says how they are reached", self.name));
        }
        let wrong = self.verified.as_ref().is_some_and(|day| day.parse::<Date>().is_err());
        wrong.then(|| format!("{}: `verified` is a day such as 2026-03-01", self.name))
    }

    /// For how many days nobody has verified it; `None`: nobody ever did.
    pub fn unverified_days(&self, now: Timestamp) -> Option<i64> {
        let verified: Date = self.verified.as_ref()?.parse().ok()?;
        let today = jiff::Timestamp::from_millisecond(now.as_millis()).ok()?.to_zoned(TimeZone::UTC).date();
        Some(i64::from(today.since((jiff::Unit::Day, verified)).ok()?.get_days()))
    }

    /// Whether it may be out of date.
    pub fn is_stale(&self, now: Timestamp) -> bool {
        self.unverified_days(now).is_none_or(|days| days > VERIFIED_FOR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contact(verified: Option<&str>) -> Contact {
        let (name, verified) = ("Li Wei".to_owned(), verified.map(str::to_owned));
        Contact {
            name,
            recipients: vec!["li".to_owned()],
            triage: Vec::new(),
            phone: None,
            source: None,
            verified_by: None,
            verified,
        }
    }

    #[test]
    fn a_contact_is_stale_from_the_181st_day_on_and_where_it_was_never_verified() {
        let now: Timestamp = "2026-07-01T12:00:00Z".parse().unwrap();
        let of = |day| (contact(Some(day)).unverified_days(now), contact(Some(day)).is_stale(now));
        assert_eq!(of("2026-07-01"), (Some(0), false));
        assert_eq!(of("2026-01-02"), (Some(180), false));
        assert_eq!(of("2026-01-01"), (Some(181), true));
        assert_eq!((contact(None).unverified_days(now), contact(None).is_stale(now)), (None, true));
    }

    #[test]
    fn a_contact_that_cannot_be_told_is_named() {
        assert_eq!(contact(Some("2026-01-01")).problem(), None);
        assert!(contact(Some("yesterday")).problem().is_some_and(|p| p.contains("Li Wei")));
        assert!(Contact { recipients: Vec::new(), ..contact(None) }.problem().is_some());
    }
}
