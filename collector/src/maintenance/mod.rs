//! Maintenance windows, mutes and known issues: what they cover, and when. What is covered is recorded like everything else; it gets no ticket before the window's end, and
//! then only if it still holds.

pub mod recur;

use crate::topology::Place;
use outband_health::Incident;
use outband_schemas::{SiteId, Timestamp};
use outband_store::maintenance::{Selector, Window};
use recur::Schedule;

/// The windows that nobody ended, ready to be asked.
#[derive(Debug, Default)]
pub struct Windows {
    stored: Vec<Window>,
    read: Vec<(usize, Schedule)>,
}

impl Windows {
    /// From what is stored. What cannot be understood covers nothing, and is told.
    pub fn new(stored: Vec<Window>) -> Self {
        let mut read = Vec::new();
        for (at, window) in stored.iter().enumerate() {
            match Schedule::parse(&window.starts, window.lasts_secs, &window.zone, window.recurrence.as_deref()) {
                Ok(schedule) => read.push((at, schedule)),
                Err(error) => tracing::error!(window = window.id, %error, "a maintenance window covers nothing"),
            }
        }
        Self { stored, read }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.stored.is_empty()
    }

    /// Whether these are they.
    pub fn are(&self, stored: &[Window]) -> bool {
        self.stored == stored
    }

    /// The window that covers an incident now, and until when: of several the one that ends last.
    pub fn covering(
        &self,
        incident: &Incident,
        site: Option<&SiteId>,
        place: Option<&Place>,
        now: Timestamp,
    ) -> Option<(&Window, Timestamp)> {
        self.read
            .iter()
            .filter_map(|(at, schedule)| Some((self.stored.get(*at)?, schedule)))
            .filter(|(window, _)| fits(&window.selector, incident, site, place))
            .filter_map(|(window, schedule)| Some((window, schedule.covers(now)?)))
            .max_by_key(|(window, until)| (*until, window.id))
    }
}

/// Whether everything that a selector names is so.
pub fn fits(selector: &Selector, incident: &Incident, site: Option<&SiteId>, place: Option<&Place>) -> bool {
    let Selector { site: in_site, rack, server, component, fault, customer, rule } = selector;
    let key = &incident.key;
    let is = |wanted: &Option<String>, found: Option<&str>| wanted.as_ref().is_none_or(|w| Some(w.as_str()) == found);
    let (class, whole) = (key.component.class().to_string(), key.component.to_string());
    is(in_site, site.map(SiteId::as_str))
        && is(rack, place.and_then(|p| p.rack.as_deref()))
        && is(customer, place.and_then(|p| p.customer.as_deref()))
        && is(server, Some(key.server.as_str()))
        && (is(component, Some(&class)) || is(component, Some(&whole)))
        && is(fault, Some(key.fault.as_str()))
        && rule
            .as_ref()
            .is_none_or(|wanted| !incident.rules.is_empty() && incident.rules.iter().all(|r| r.as_str() == wanted))
}

/// What is missing for a window to be one, in words: it covers something, and says why.
pub fn problem(window: &Window) -> Option<String> {
    if window.selector == Selector::default() {
        return Some("say what it covers: a site, rack, server, component, fault, rule or customer".to_owned());
    }
    if window.reason.trim().is_empty() {
        return Some("say why".to_owned());
    }
    Schedule::parse(&window.starts, window.lasts_secs, &window.zone, window.recurrence.as_deref())
        .err()
        .map(|e| e.to_string())
}
