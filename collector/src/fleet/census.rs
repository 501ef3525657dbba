//! Which parts were watched, for how long and from what age on, and which of them failed.

use super::Scope;
use crate::judgement::Terms;
use crate::report::reliability;
use crate::sight::{self, Sight};
use outband_health::Fault;
use outband_schemas::{ComponentClass, ComponentId, ServerId, Timestamp};
use outband_store::outcome::{OutcomeFilter, Outcomes, TicketOutcome};
use outband_store::parts::{Hours, Parts, Stay};
use outband_store::{Page, ServerRecord, Store, StoreError};
use outband_ticket::Answer;
use std::collections::{BTreeMap, HashMap};

/// Milliseconds of a year: the mean one of the Gregorian calendar.
pub const YEAR_MS: f64 = 365.2425 * 86_400_000.0;
/// Rows read at once.
const BATCH: usize = 1000;
/// Servers that were merged into others are followed so far.
const MERGES: usize = 16;
/// A part that fails is seen no more; its failure may have been noticed so long after it was last seen.
const NOTICED_MS: i64 = 2 * 86_400_000;
/// Of one part, two failures that lie no further apart than this are one that two tickets tell of.
const SAME_MS: f64 = 14.0 * 86_400_000.0;
/// What was not seen for so long is no longer there.
const GONE_MS: i64 = 30 * 86_400_000;

/// What is exchanged as a whole, and so counted as a part.
const PARTS: [ComponentClass; 10] = [
    ComponentClass::Cpu,
    ComponentClass::Memory,
    ComponentClass::Disk,
    ComponentClass::StorageController,
    ComponentClass::PowerSupply,
    ComponentClass::Fan,
    ComponentClass::Board,
    ComponentClass::Network,
    ComponentClass::Gpu,
    ComponentClass::Battery,
];

/// A server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Its id.
    pub id: ServerId,
    /// Its site.
    pub site: String,
    /// Whose it is, where that is known.
    pub customer: Option<String>,
    /// Its model, an index; a server of an unknown model has one, too.
    pub model: usize,
    /// When it was first seen, and last.
    pub watched: (Timestamp, Timestamp),
}

/// A model of part, or of server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Model {
    /// Which sort of part; [`ComponentClass::Server`]: a model of server.
    pub class: ComponentClass,
    /// The model, else the part number, else `in ` and the model of the server.
    pub name: String,
}

/// What else is known of a model, of whichever part told it first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Make {
    /// The maker.
    pub manufacturer: Option<String>,
    /// The part number.
    pub part_number: Option<String>,
}

/// A part while it was watched: until it failed, was taken out, or now.
#[derive(Debug, Clone, PartialEq)]
pub struct Watched {
    /// Its model, an index.
    pub model: usize,
    /// Its server, an index.
    pub machine: usize,
    /// Its place.
    pub component: ComponentId,
    /// From when on.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
    /// Its age at these, in years, where it is known.
    pub ages: Option<(f64, f64)>,
    /// Whether it ended with the failure of the part.
    pub failed: bool,
    /// Whether somebody verified that.
    pub verified: bool,
    /// Whether it is in its place now, and not failed.
    pub current: bool,
}

/// A failure of hardware on a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The server, an index.
    pub machine: usize,
    /// When (the collector's clock).
    pub at: Timestamp,
    /// Whether somebody verified it.
    pub verified: bool,
}

/// A failure that an open ticket foretells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foretold {
    /// The ticket.
    pub ticket: u64,
    /// Its rule.
    pub rule: String,
    /// The server, an index.
    pub machine: usize,
    /// The place.
    pub component: ComponentId,
    /// The serial of the part, where it is known.
    pub serial: Option<String>,
}

/// All of it.
#[derive(Debug)]
pub struct Census {
    /// Servers.
    pub machines: Vec<Machine>,
    /// Models, by index.
    pub models: Vec<Model>,
    /// What is known of each.
    pub makes: Vec<Make>,
    /// Parts.
    pub parts: Vec<Watched>,
    /// Failures of servers' parts, those of unknown parts included.
    pub failures: Vec<Failure>,
    /// Failures in places in which no part is known.
    pub unplaced: u64,
    /// Open predictions.
    pub foretold: Vec<Foretold>,
    /// How often each rule's predictions for these servers were right, and wrong, as far as somebody verified.
    pub rules: BTreeMap<String, (u64, u64)>,
    /// What is known of the tickets of these servers.
    pub outcomes: Vec<(usize, TicketOutcome)>,
    /// When this was counted.
    pub now: Timestamp,
    known: HashMap<Model, usize>,
}

/// A stay whose failures are not known yet.
struct Open {
    stay: Stay,
    machine: usize,
    model: usize,
    /// Another part sat in this place before.
    follows: bool,
    failures: Vec<(Timestamp, bool)>,
}

impl Census {
    /// Of nothing yet.
    fn at(now: Timestamp) -> Self {
        Self {
            machines: Vec::new(),
            models: Vec::new(),
            makes: Vec::new(),
            parts: Vec::new(),
            failures: Vec::new(),
            unplaced: 0,
            foretold: Vec::new(),
            rules: BTreeMap::new(),
            outcomes: Vec::new(),
            now,
            known: HashMap::new(),
        }
    }

    /// Counts what may be seen of a scope.
    pub fn take<S: Store + Parts + Outcomes>(
        store: &S,
        terms: &Terms,
        sight: &Sight,
        scope: &Scope,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let mut census = Self::at(now);
        let index = census.servers(store, terms, sight, scope)?;
        let mut open: Vec<Open> = Vec::new();
        let mut others: Vec<(ServerId, Vec<Stay>)> = Vec::new();
        store.each_server(&mut |id, stays| match index.get(id) {
            Some(&machine) => census.open(&mut open, machine, stays),
            // Not ours to see, or merged into another: which, cannot be asked while the store reads.
            None => others.push((id.clone(), stays)),
        })?;
        let mut merged = Resolver { store, index: &index, found: HashMap::new() };
        for (id, stays) in others {
            if let Some(machine) = merged.machine(&id)? {
                census.join(&mut open, machine, stays);
            }
        }
        store.each_bare_place(&mut |id, component| {
            if let Some(&machine) = index.get(id) {
                let Some((first_seen, last_seen)) = census.machines.get(machine).map(|m| m.watched) else { return };
                let serial = String::new();
                let (manufacturer, model, part_number, hours) = (None, None, None, None);
                let current = true;
                census.open(
                    &mut open,
                    machine,
                    vec![Stay {
                        component,
                        serial,
                        manufacturer,
                        model,
                        part_number,
                        first_seen,
                        last_seen,
                        current,
                        hours,
                    }],
                );
            }
        })?;
        census.tickets(store, &mut open, &mut merged)?;
        for one in open {
            census.close(one);
        }
        Ok(census)
    }

    fn servers<S: Store>(
        &mut self,
        store: &S,
        terms: &Terms,
        sight: &Sight,
        scope: &Scope,
    ) -> Result<HashMap<ServerId, usize>, StoreError> {
        let mut index = HashMap::new();
        let mut page = Page::first(BATCH);
        loop {
            let listing = store.servers(None, &page)?;
            for server in listing.rows.iter().filter(|server| sight.record(server)) {
                let customer = sight::customer(terms, server, self.now);
                if scope.holds(server.site.as_str(), customer) {
                    index.insert(server.id.clone(), self.machines.len());
                    let machine = self.machine(terms, server, customer);
                    self.machines.push(machine);
                }
            }
            match listing.next {
                Some(token) => page = Page::after(token, BATCH),
                None => return Ok(index),
            }
        }
    }

    fn machine(&mut self, terms: &Terms, server: &ServerRecord, customer: Option<&str>) -> Machine {
        let told = terms.topology.place(server).and_then(|place| place.model.clone());
        let name = told.or_else(|| server.identity.model.clone()).unwrap_or_default();
        let make = Make { manufacturer: server.identity.manufacturer.clone(), part_number: None };
        Machine {
            id: server.id.clone(),
            site: server.site.to_string(),
            customer: customer.map(str::to_owned),
            model: self.model(Model { class: ComponentClass::Server, name }, make),
            watched: (server.first_seen, server.last_seen),
        }
    }

    fn model(&mut self, model: Model, make: Make) -> usize {
        if let Some(&known) = self.known.get(&model) {
            return known;
        }
        let index = self.models.len();
        self.known.insert(model.clone(), index);
        self.models.push(model);
        self.makes.push(make);
        index
    }

    /// The name of a model of servers.
    fn server_model(&self, machine: usize) -> &str {
        let model = self.machines.get(machine).and_then(|m| self.models.get(m.model));
        model.map_or("", |m| m.name.as_str())
    }

    fn open(&mut self, open: &mut Vec<Open>, machine: usize, stays: Vec<Stay>) {
        let mut before: Option<ComponentId> = None;
        for stay in stays {
            let class = stay.component.class();
            if !PARTS.contains(&class) {
                continue;
            }
            let told =
                |text: &Option<String>| text.as_deref().map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned);
            let name = told(&stay.model).or_else(|| told(&stay.part_number));
            let name = name.unwrap_or_else(|| format!("in {}", self.server_model(machine)).trim().to_owned());
            let make = Make { manufacturer: told(&stay.manufacturer), part_number: told(&stay.part_number) };
            let model = self.model(Model { class, name }, make);
            let follows = before.as_ref() == Some(&stay.component);
            before = Some(stay.component.clone());
            open.push(Open { stay, machine, model, follows, failures: Vec::new() });
        }
    }

    /// Adds what is known of a server under an id that it has no more.
    fn join(&mut self, open: &mut Vec<Open>, machine: usize, stays: Vec<Stay>) {
        let mut new = Vec::new();
        for mut stay in stays {
            let same = open
                .iter_mut()
                .find(|o| o.machine == machine && o.stay.component == stay.component && o.stay.serial == stay.serial);
            match same {
                Some(known) => {
                    known.stay.first_seen = known.stay.first_seen.min(stay.first_seen);
                    known.stay.last_seen = known.stay.last_seen.max(stay.last_seen);
                    known.stay.hours = known.stay.hours.or(stay.hours);
                }
                None => {
                    stay.current = false;
                    new.push(stay);
                }
            }
        }
        self.open(open, machine, new);
    }

    /// Gives failures to the parts that failed.
    fn tickets<S: Store + Outcomes>(
        &mut self,
        store: &S,
        open: &mut [Open],
        merged: &mut Resolver<'_, S>,
    ) -> Result<(), StoreError> {
        let mut at: HashMap<(usize, ComponentId), Vec<usize>> = HashMap::new();
        let mut ours = Vec::new();
        for of in store.outcomes(&OutcomeFilter::default())? {
            let Some(machine) = merged.machine(&of.server)? else { continue };
            if of.outcome.predicted && of.outcome.answer.is_verified() {
                let tally = self.rules.entry(of.rule.clone()).or_default();
                if of.outcome.answer == Answer::Right { tally.0 += 1 } else { tally.1 += 1 }
            }
            for component in std::iter::once(&of.component).chain(&of.other.component) {
                at.entry((machine, component.clone())).or_default();
            }
            ours.push((machine, of));
        }
        for (i, one) in open.iter().enumerate() {
            if let Some(all) = at.get_mut(&(one.machine, one.stay.component.clone())) {
                all.push(i);
            }
        }
        for (machine, of) in &ours {
            if !is_of_hardware(&of.fault) {
                continue;
            }
            let verified = of.outcome.answer == Answer::Right;
            if let Some(failed) = of.outcome.failed_at() {
                self.failures.push(Failure { machine: *machine, at: failed, verified });
                let here = at.get(&(*machine, of.component.clone())).map(Vec::as_slice).unwrap_or_default();
                match which(open, here, of.serial.as_deref(), failed).and_then(|i| open.get_mut(i)) {
                    Some(part) => part.failures.push((failed, verified)),
                    None if PARTS.contains(&of.component.class()) => self.unplaced += 1,
                    None => {}
                }
            } else if of.outcome.predicted && of.outcome.answer == Answer::Pending {
                self.foretold.push(Foretold {
                    ticket: of.ticket.0,
                    rule: of.rule.clone(),
                    machine: *machine,
                    component: of.component.clone(),
                    serial: of.serial.clone(),
                });
            }
        }
        // Once the failures that tickets are about are known: a part that was named for another one may have a ticket of its own.
        for (machine, of) in &ours {
            let Some(failed) = of.outcome.other_failed_at() else { continue };
            let other = &of.other;
            let is_part = match &other.component {
                Some(component) => PARTS.contains(&component.class()),
                None => is_of_hardware(&of.fault),
            };
            if !is_part {
                continue;
            }
            let here = other.component.as_ref().and_then(|place| at.get(&(*machine, place.clone())));
            let here = here.map(Vec::as_slice).unwrap_or_default();
            match which(open, here, other.serial.as_deref(), failed).and_then(|i| open.get_mut(i)) {
                Some(part) => {
                    let same = |at: Timestamp| signed_ms(at, failed).abs() <= SAME_MS;
                    if let Some(known) = part.failures.iter_mut().find(|(at, _)| same(*at)) {
                        known.1 = true;
                        continue;
                    }
                    part.failures.push((failed, true));
                }
                None => self.unplaced += 1,
            }
            self.failures.push(Failure { machine: *machine, at: failed, verified: true });
        }
        self.outcomes = ours;
        Ok(())
    }

    /// Makes of a stay what was watched: of a part with a serial, until it first failed; else part after part, each until it failed.
    fn close(&mut self, one: Open) {
        let Open { stay, machine, model, follows, mut failures } = one;
        failures.sort_unstable();
        let there = stay.current && self.now.as_millis() - stay.last_seen.as_millis() <= GONE_MS;
        let new = Watched {
            model,
            machine,
            component: stay.component.clone(),
            from: stay.first_seen,
            to: stay.last_seen,
            ages: None,
            failed: false,
            verified: false,
            current: false,
        };
        let mut from = stay.first_seen;
        // Put in while its place was watched: it was new then, as far as anybody can tell.
        let mut born = follows.then_some(stay.first_seen);
        for (at, verified) in failures {
            // It was at risk until it failed, though it may have been seen last a little before.
            let late = at.as_millis() - stay.last_seen.as_millis() > NOTICED_MS;
            let to = if late { stay.last_seen } else { at }.max(from);
            let ages = ages(stay.hours.as_ref(), born, from, to);
            self.parts.push(Watched { from, to, ages, failed: true, verified, ..new.clone() });
            if !stay.serial.is_empty() {
                return;
            }
            from = to;
            born = Some(to);
        }
        let to = stay.last_seen.max(from);
        let ages = ages(stay.hours.as_ref(), born, from, to);
        self.parts.push(Watched { from, to, ages, current: there, ..new });
    }
}

/// Whether a fault, by its word, is one of the server's own parts. Of one that this version does not know, it is believed.
fn is_of_hardware(fault: &str) -> bool {
    Fault::ALL.into_iter().find(|f| f.as_str() == fault).is_none_or(reliability::of_hardware)
}

/// Which of the parts that were in a place is the one that failed: the one of this serial, else the one that was there then.
fn which(open: &[Open], here: &[usize], serial: Option<&str>, at: Timestamp) -> Option<usize> {
    let stays = || here.iter().filter_map(|i| Some((*i, &open.get(*i)?.stay)));
    let named = serial.and_then(|serial| stays().find(|(_, s)| !s.serial.is_empty() && s.serial == serial));
    let there = |s: &Stay| s.first_seen <= at && at.as_millis() - s.last_seen.as_millis() <= NOTICED_MS;
    named.or_else(|| stays().filter(|(_, s)| there(s)).min_by_key(|(_, s)| s.last_seen < at)).map(|(i, _)| i)
}

/// The age of a part at two moments, in years: by the hours that it counts, else since it was put in.
fn ages(hours: Option<&Hours>, born: Option<Timestamp>, from: Timestamp, to: Timestamp) -> Option<(f64, f64)> {
    let years = |from: Timestamp, to: Timestamp| signed_ms(from, to) / YEAR_MS;
    match (hours, born) {
        (Some(hours), _) => {
            let at = |t: Timestamp| run(hours, t) * 3_600_000.0 / YEAR_MS;
            let enter = at(from).max(0.0);
            Some((enter, at(to).max(enter)))
        }
        (None, Some(born)) => Some((years(born, from), years(born, to))),
        (None, None) => None,
    }
}

/// How many hours a part had run at a time: as it told, straight in between, and all the time before and after.
fn run(hours: &Hours, at: Timestamp) -> f64 {
    let since = |from: Timestamp| signed_ms(from, at) / 3_600_000.0;
    let span = signed_ms(hours.first_at, hours.last_at) / 3_600_000.0;
    if at <= hours.first_at || span <= 0.0 {
        hours.first + since(hours.first_at)
    } else if at >= hours.last_at {
        hours.last + since(hours.last_at)
    } else {
        hours.first + (hours.last - hours.first) * since(hours.first_at) / span
    }
}

/// Milliseconds from one moment to another, negative where that is earlier.
#[allow(clippy::cast_precision_loss, reason = "spans of centuries are exact to the millisecond")]
pub fn signed_ms(from: Timestamp, to: Timestamp) -> f64 {
    to.as_millis().saturating_sub(from.as_millis()) as f64
}

/// Finds the server that another turned out to be.
struct Resolver<'a, S> {
    store: &'a S,
    index: &'a HashMap<ServerId, usize>,
    found: HashMap<ServerId, Option<usize>>,
}

impl<S: Store> Resolver<'_, S> {
    fn machine(&mut self, id: &ServerId) -> Result<Option<usize>, StoreError> {
        if let Some(&machine) = self.index.get(id) {
            return Ok(Some(machine));
        }
        if let Some(&known) = self.found.get(id) {
            return Ok(known);
        }
        let mut into = Some(id.clone());
        for _ in 0..MERGES {
            let Some(next) = into else { break };
            into = self.store.server(&next)?.and_then(|s| s.merged_into);
            if let Some(&machine) = into.as_ref().and_then(|id| self.index.get(id)) {
                self.found.insert(id.clone(), Some(machine));
                return Ok(Some(machine));
            }
        }
        self.found.insert(id.clone(), None);
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn t(hours: i64) -> Timestamp {
        Timestamp::from_secs(1_800_000_000 + hours * 3600)
    }

    #[test]
    fn hours_are_counted_on_where_nothing_was_told() {
        let hours = Hours { first_at: t(100), first: 1000.0, last_at: t(300), last: 1150.0 };
        // Before: it ran all the time. In between: it stood still for 50 of 200 hours. After: all the time.
        for (at, wanted) in [(0, 900.0), (100, 1000.0), (200, 1075.0), (300, 1150.0), (310, 1160.0)] {
            assert!((run(&hours, t(at)) - wanted).abs() < 1e-9, "{at}");
        }
    }

    #[test]
    fn an_age_is_that_which_the_part_tells_else_since_it_was_put_in_else_unknown() {
        let hours = Hours { first_at: t(0), first: 8766.0, last_at: t(0), last: 8766.0 };
        let (enter, exit) = ages(Some(&hours), Some(t(0)), t(0), t(876)).unwrap();
        assert!((enter - 1.0).abs() < 1e-3 && (exit - 1.1).abs() < 1e-3, "{enter} {exit}");
        let (enter, exit) = ages(None, Some(t(-876)), t(0), t(876)).unwrap();
        assert!((enter - 0.1).abs() < 1e-3 && (exit - 0.2).abs() < 1e-3, "{enter} {exit}");
        assert_eq!(ages(None, None, t(0), t(876)), None);
    }

    #[test]
    fn what_stands_around_a_server_is_none_of_its_hardware() {
        assert!(is_of_hardware("disk_failure") && is_of_hardware("a_fault_of_tomorrow"));
        assert!(!is_of_hardware("bmc_silent") && !is_of_hardware("overheating"));
    }
}
