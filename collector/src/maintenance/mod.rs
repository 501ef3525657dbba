//! Maintenance windows, mutes and known issues: what they cover, and when. What is covered is recorded like everything else; it gets no ticket before the window's end, and
//! then only if it still holds.

pub mod recur;

use crate::topology::Place;
use outband_health::{Incident, IncidentKey, RuleId};
use outband_schemas::{ComponentId, ServerId, SiteId, Timestamp};
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
    pub fn covering(&self, incident: &Incident, at: &Whereabouts<'_>, now: Timestamp) -> Option<(&Window, Timestamp)> {
        let fitting = self.stored_and_read().filter(|(w, _)| fits(&w.selector, &incident.key, &incident.rules, at));
        let covering = fitting.filter_map(|(window, schedule)| Some((window, schedule.covers(now)?)));
        covering.max_by_key(|(window, until)| (*until, window.id))
    }

    /// The windows that cover something now, and until when.
    pub fn in_force(&self, now: Timestamp) -> Vec<(&Window, Timestamp)> {
        self.stored_and_read().filter_map(|(window, schedule)| Some((window, schedule.covers(now)?))).collect()
    }

    fn stored_and_read(&self) -> impl Iterator<Item = (&Window, &Schedule)> {
        self.read.iter().filter_map(|(at, schedule)| Some((self.stored.get(*at)?, schedule)))
    }
}

/// Where a server stands, as far as is known.
#[derive(Debug, Clone, Copy, Default)]
pub struct Whereabouts<'a> {
    /// Its site.
    pub site: Option<&'a SiteId>,
    /// Its place in the topology.
    pub place: Option<&'a Place>,
    /// Its model, as its BMC gives it.
    pub model: Option<&'a str>,
}

impl Whereabouts<'_> {
    /// Whether a server there is one that a selector names.
    pub fn is_of(&self, selector: &Selector, id: &ServerId) -> bool {
        let Selector { site, rack, server, customer, model, component: _, fault: _, rule: _ } = selector;
        let is =
            |wanted: &Option<String>, found: Option<&str>| wanted.as_ref().is_none_or(|w| Some(w.as_str()) == found);
        is(site, self.site.map(SiteId::as_str))
            && is(rack, self.place.and_then(|p| p.rack.as_deref()))
            && is(customer, self.place.and_then(|p| p.customer.as_deref()))
            && is(model, self.place.and_then(|p| p.model.as_deref()).or(self.model))
            && is(server, Some(id.as_str()))
    }
}

/// Whether a component is the one that is wanted: by class and slot, or by class alone; nothing wanted: any.
pub fn is_component(wanted: Option<&str>, component: &ComponentId) -> bool {
    wanted.is_none_or(|w| w == component.to_string() || w == component.class().to_string())
}

/// Whether everything that a selector names is so.
pub fn fits(selector: &Selector, key: &IncidentKey, rules: &[RuleId], at: &Whereabouts<'_>) -> bool {
    let Selector { component, fault, rule, .. } = selector;
    at.is_of(selector, &key.server)
        && is_component(component.as_deref(), &key.component)
        && fault.as_ref().is_none_or(|wanted| wanted == key.fault.as_str())
        && rule.as_ref().is_none_or(|wanted| !rules.is_empty() && rules.iter().all(|r| r.as_str() == wanted))
}

/// What is missing for a window to be one, in words: it covers something, and says why.
pub fn problem(window: &Window) -> Option<String> {
    if window.selector == Selector::default() {
        return Some("say what it covers: a site, rack, server, model, component, fault, rule or customer".to_owned());
    }
    if window.reason.trim().is_empty() {
        return Some("say why".to_owned());
    }
    Schedule::parse(&window.starts, window.lasts_secs, &window.zone, window.recurrence.as_deref())
        .err()
        .map(|e| e.to_string())
}
