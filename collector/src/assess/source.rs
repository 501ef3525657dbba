//! One server, two BMC protocols: each sensor has one preferred source. While the Redfish target of a server answers, it is judged by that, as Redfish names
//! more and knows drives; what its IPMI target says is stored as a cross-check, so that one condition is one ticket. When Redfish falls silent, IPMI speaks.

use outband_health::Window;
use outband_health::window::{Contact, Origin};
use outband_schemas::{Observation, ObservationSet, Section, Source, Timestamp};
use std::time::Duration;

/// So many failed polls in a row, or intervals without one, and the other source speaks.
const MISSED: u32 = 5;
/// The interval where it is not known yet.
const INTERVAL: Duration = Duration::from_secs(120);

/// Which targets of a server speak what, as far as their readings tell.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// One or two: a set's node would have room for eleven.
    redfish: Vec<Origin>,
    aside: Vec<Origin>,
}

impl Sources {
    /// What of a poll the rules shall see: all of it, or, of an IPMI target beside a Redfish one that answers, only whether it answered.
    /// Forgets what the window holds of a target that is put aside.
    pub(super) fn judged(
        &mut self,
        window: &mut Window,
        origin: &Origin,
        set: &ObservationSet,
        at: Timestamp,
    ) -> Option<ObservationSet> {
        match is_redfish(set) {
            Some(true) => {
                if !self.redfish.contains(origin) {
                    self.redfish.push(origin.clone());
                }
                return None;
            }
            Some(false) => {}
            None => return None,
        }
        let preferred = window.contacts().any(|(o, c)| o != origin && self.redfish.contains(o) && answers(c, at));
        if !preferred {
            self.aside.retain(|aside| aside != origin);
            return None;
        }
        if !self.aside.contains(origin) {
            self.aside.push(origin.clone());
            window.forget(origin);
        }
        let is_word = |o: &&Observation| matches!(o, Observation::Gap(_) | Observation::Inventory(_));
        let observations = set.observations.iter().filter(is_word).cloned().collect();
        Some(ObservationSet { observations, target: set.target.clone(), ..*set })
    }
}

fn answers(contact: &Contact, at: Timestamp) -> bool {
    let patience = contact.interval(Section::Sensors).unwrap_or(INTERVAL).saturating_mul(MISSED);
    contact.newest_ok_of(Section::Sensors).is_some_and(|ok| at.since(ok) <= patience)
        && contact.failing(Section::Sensors).is_none_or(|(failures, ..)| failures < MISSED)
}

/// Whether a poll was made over Redfish; `None` where nothing in it tells.
fn is_redfish(set: &ObservationSet) -> Option<bool> {
    set.observations.iter().find_map(|o| {
        let Source(source) = match o {
            Observation::Reading(r) => &r.source,
            Observation::Event(e) => &e.source,
            Observation::Inventory(_) | Observation::Gap(_) => return None,
        };
        match source.split(':').next() {
            Some("ipmi" | "sel") => Some(false),
            _ if source.starts_with('/') => Some(true),
            _ => None,
        }
    })
}
