//! What happened to a server, in one list: its log by corrected time, power, firmware, parts, what could not be read, its tickets.
//!
//! A BMC's time is corrected by what the agent found its clock to be off by, and told with the clock that it is by. A time that cannot be true
//! (before BMCs had clocks, or after the entry was read) is not used: then the entry stands where it was read.

mod tell;

use super::privacy::{Scrubber, people, rewritten};
use outband_schemas::{
    Cause, ComponentClass, ComponentId, EventKind, LogEvent, SensorKind, ServerId, Severity, Timestamp, Value,
};
use outband_store::change::{BmcClock, Changes, FirmwareChange};
use outband_store::{
    EventFilter, EventRecord, GapFilter, GapRecord, HistoryFilter, HistoryPoint, Listing, Page, PartRecord,
    SeriesFilter, Store, StoreError, TicketFilter, TicketRecord,
};
use outband_ticket::{Action, TicketNumber};
use std::collections::BTreeMap;
use std::time::Duration;

/// So many log entries and gaps at most are looked at: the newest.
const MOST: usize = 20_000;
/// Rows read at once.
const BATCH: usize = 1000;
/// No BMC that speaks IPMI 2.0 or Redfish was switched on before: 1 January 2004.
const FIRST_BMC: Timestamp = Timestamp::from_millis(1_072_915_200_000);
/// An entry may seem so much younger than its reading: clocks and offsets are known to the second at best.
const SLACK: Duration = Duration::from_secs(120);
/// A part that is first seen later than this after its server was not overlooked, but put in.
const SETTLED: Duration = Duration::from_secs(24 * 60 * 60);

/// By which clock an entry is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ByClock {
    /// The collector's.
    Collector,
    /// The agent's.
    Agent,
    /// The BMC's, corrected by what it was off by.
    BmcCorrected,
    /// The BMC's; nobody knows what it is off by.
    Bmc,
    /// The agent's, when it read the entry: the BMC gave no usable time.
    Read,
}

impl ByClock {
    /// The word used on the wire and in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Collector => "collector",
            Self::Agent => "agent",
            Self::BmcCorrected => "bmc_corrected",
            Self::Bmc => "bmc",
            Self::Read => "read",
        }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// An entry of the BMC's log.
    Log {
        /// Which log, and the entry's id in it.
        log: String,
        /// Its id.
        id: String,
        /// What it is about.
        kind: EventKind,
        /// How grave the BMC calls it.
        severity: Severity,
        /// Whether something ended.
        deasserted: bool,
        /// What the BMC wrote, without what is nobody's business.
        message: String,
    },
    /// The server was switched, as the BMC's own state shows.
    Power {
        /// What the BMC calls the state that it left.
        was: String,
        /// What it calls the state that it is in since.
        now: String,
    },
    /// A part got another firmware.
    Firmware {
        /// Before.
        was: String,
        /// Since.
        now: String,
    },
    /// Another part is in a place, or one is in a place that was empty.
    Part {
        /// The model, where it is known.
        model: Option<String>,
        /// The serial of the one before; `None`: there was none.
        was: Option<String>,
        /// The serial of the one since.
        now: Option<String>,
    },
    /// Something could not be read.
    Gap {
        /// Why.
        cause: Cause,
        /// Why, in words.
        detail: String,
        /// For how long it was noticed.
        lasted: Duration,
        /// How often it was noticed.
        count: i64,
    },
    /// An entry of a ticket's log.
    Ticket {
        /// Which ticket.
        number: TicketNumber,
        /// Whether a person did it.
        person: bool,
        /// What.
        action: Box<Action>,
        /// Why, without what is nobody's business.
        why: String,
    },
}

impl What {
    /// Where it is from, as the wire and output name it.
    pub fn source(&self) -> &'static str {
        match self {
            Self::Log { .. } => "log",
            Self::Power { .. } => "power",
            Self::Firmware { .. } => "firmware",
            Self::Part { .. } => "inventory",
            Self::Gap { .. } => "gap",
            Self::Ticket { .. } => "ticket",
        }
    }

    /// Whether the server was changed: what one asks for when a fault begins.
    pub fn is_change(&self) -> bool {
        match self {
            Self::Power { .. } | Self::Firmware { .. } | Self::Part { .. } => true,
            Self::Log { kind, .. } => matches!(
                kind,
                EventKind::PowerChange
                    | EventKind::OsChange
                    | EventKind::Change
                    | EventKind::Intrusion
                    | EventKind::DrivePresence
                    | EventKind::PowerSupplyPresence
                    | EventKind::LogCleared
            ),
            Self::Gap { .. } | Self::Ticket { .. } => false,
        }
    }
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// When, as well as it is known.
    pub at: Timestamp,
    /// By which clock.
    pub by: ByClock,
    /// The BMC's own time, where it gave one.
    pub bmc_time: Option<Timestamp>,
    /// Where in the server; `None`: all of it.
    pub component: Option<ComponentId>,
    /// What.
    pub what: What,
}

/// The list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Timeline {
    /// Oldest first.
    pub entries: Vec<Entry>,
    /// Whether there was too much, and what is oldest was left out.
    pub truncated: bool,
}

/// Everything that a timeline is made of, in any order.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The server's log.
    pub events: Vec<EventRecord>,
    /// How wrong its BMC's clock was.
    pub clocks: Vec<BmcClock>,
    /// Changes of firmware.
    pub firmware: Vec<FirmwareChange>,
    /// Its parts, those that were replaced included.
    pub parts: Vec<PartRecord>,
    /// When the server was first seen.
    pub first_seen: Option<Timestamp>,
    /// Whether it was switched on, over time.
    pub power: Vec<HistoryPoint>,
    /// What could not be read.
    pub gaps: Vec<GapRecord>,
    /// Its tickets.
    pub tickets: Vec<TicketRecord>,
    /// Whether there was too much to read.
    pub truncated: bool,
}

impl Sources {
    /// Reads them: what came in or happened from then on.
    pub fn read<S: Store + Changes>(store: &S, server: &ServerId, from: Timestamp) -> Result<Self, StoreError> {
        let record = store.server(server)?;
        let filter = EventFilter { server: Some(server.clone()), ..EventFilter::default() };
        // Newest first in the order in which they came: nothing came before it happened.
        let (events, more_events) = newest(|page| store.events(&filter, page), |event| event.received_at >= from)?;
        let filter = GapFilter { server: Some(server.clone()), ..GapFilter::default() };
        let (gaps, more_gaps) = newest(|page| store.gaps(&filter, page), |_| true)?;
        let filter = HistoryFilter {
            series: SeriesFilter {
                server: Some(server.clone()),
                class: Some(ComponentClass::Server),
                kind: Some(SensorKind::State),
                ..SeriesFilter::default()
            },
            from,
            to: Timestamp::from_millis(i64::MAX),
        };
        let power = switches(store, &filter)?;
        let filter = TicketFilter { server: Some(server.clone()), ..TicketFilter::default() };
        let (tickets, _) = newest(|page| store.tickets(&filter, page), |_| true)?;
        Ok(Self {
            events,
            clocks: store.bmc_clocks(server)?,
            firmware: store.firmware_changes(server)?,
            parts: store.parts(server)?,
            first_seen: record.map(|r| r.first_seen),
            power,
            gaps,
            tickets,
            truncated: more_events || more_gaps,
        })
    }

    /// Leaves out what is nobody's business: names of those who work on tickets, addresses, secrets.
    pub fn scrubber(&self) -> Scrubber {
        let people = self.tickets.iter().flat_map(|record| people(&record.ticket, &record.log));
        let versions = self.parts.iter().filter_map(|p| p.part.firmware.clone());
        let changed = self.firmware.iter().flat_map(|f| [f.was.clone(), f.now.clone()]);
        Scrubber::new(people, versions.chain(changed))
    }

    /// The list: from `from` on, before `to`.
    pub fn timeline(&self, from: Timestamp, to: Timestamp) -> Timeline {
        let scrub = self.scrubber();
        let mut entries = Vec::new();
        entries.extend(self.events.iter().map(|record| self.log(&record.event, &scrub)));
        entries.extend(self.firmware.iter().map(|change| Entry {
            at: change.at,
            by: ByClock::Agent,
            bmc_time: None,
            component: Some(change.component.clone()),
            what: What::Firmware { was: change.was.clone(), now: change.now.clone() },
        }));
        entries.extend(self.swaps());
        entries.extend(self.switched());
        entries.extend(self.gaps.iter().map(|record| Entry {
            at: record.gap.span.map_or(record.gap.observed_at, |(first, _)| first),
            by: ByClock::Agent,
            bmc_time: None,
            component: record.gap.component.clone(),
            what: What::Gap {
                cause: record.gap.cause,
                detail: scrub.clean(&record.gap.detail),
                lasted: match record.gap.span {
                    Some((first, last)) => last.since(first),
                    None => record.last_observed.since(record.gap.observed_at),
                },
                count: record.count,
            },
        }));
        for record in &self.tickets {
            entries.extend(record.log.iter().map(|entry| Entry {
                at: entry.happened_at(),
                by: ByClock::Collector,
                bmc_time: None,
                component: Some(record.ticket.component.clone()),
                what: What::Ticket {
                    number: record.ticket.number,
                    person: entry.who != crate::react::WHO,
                    action: Box::new(cleaned(&entry.action, &scrub)),
                    why: scrub.clean(&entry.why),
                },
            }));
        }
        entries.retain(|entry| entry.at >= from && entry.at < to);
        entries.sort_by_cached_key(|entry| {
            (entry.at, entry.what.source(), entry.component.clone(), entry.what.text(crate::words::Lang::En))
        });
        Timeline { entries, truncated: self.truncated }
    }

    /// How far the BMC's clock was ahead when an entry was read: the newest that was known then, else the first that was known later.
    fn offset(&self, at: Timestamp) -> Option<i64> {
        let before = self.clocks.iter().filter(|c| c.at <= at).max_by_key(|c| c.at);
        before.or_else(|| self.clocks.iter().min_by_key(|c| c.at)).map(|c| c.offset_ms)
    }

    fn log(&self, event: &LogEvent, scrub: &Scrubber) -> Entry {
        let (at, by) = self.when(event);
        let message = match event.kind {
            // Who, from where: that there was one is all that anybody else may know.
            EventKind::Audit => String::new(),
            _ => scrub.clean(&event.message),
        };
        Entry {
            at,
            by,
            bmc_time: event.bmc_time,
            component: Some(event.component.clone()),
            what: What::Log {
                log: event.log.clone(),
                id: event.id.clone(),
                kind: event.kind,
                severity: event.severity,
                deasserted: event.deasserted,
                message,
            },
        }
    }

    /// When an entry of the log was written, as well as it is known.
    pub fn when(&self, event: &LogEvent) -> (Timestamp, ByClock) {
        let Some(told) = event.bmc_time.filter(|t| *t >= FIRST_BMC) else { return (event.observed_at, ByClock::Read) };
        let offset = self.offset(event.observed_at);
        let at = Timestamp::from_millis(told.as_millis().saturating_sub(offset.unwrap_or(0)));
        if at > event.observed_at.plus(SLACK) || at < FIRST_BMC {
            return (event.observed_at, ByClock::Read);
        }
        (at.min(event.observed_at), if offset.is_some() { ByClock::BmcCorrected } else { ByClock::Bmc })
    }

    /// Parts that came into a place.
    fn swaps(&self) -> Vec<Entry> {
        let mut places: BTreeMap<&ComponentId, Vec<&PartRecord>> = BTreeMap::new();
        for part in self.parts.iter().filter(|p| p.part.serial.as_ref().is_some_and(|s| !s.is_empty())) {
            places.entry(&part.part.component).or_default().push(part);
        }
        let mut entries = Vec::new();
        for (component, mut parts) in places {
            parts.sort_by_key(|p| (p.first_seen, p.last_seen, p.part.serial.clone()));
            let mut was: Option<&PartRecord> = None;
            for part in parts {
                let put_in = self.first_seen.is_some_and(|first| part.first_seen.since(first) > SETTLED);
                if was.is_some() || put_in {
                    entries.push(Entry {
                        at: part.first_seen,
                        by: ByClock::Agent,
                        bmc_time: None,
                        component: Some(component.clone()),
                        what: What::Part {
                            model: part.part.model.clone(),
                            was: was.and_then(|w| w.part.serial.clone()),
                            now: part.part.serial.clone(),
                        },
                    });
                }
                was = Some(part);
            }
        }
        entries
    }

    /// Every time that the server's own power state changed from one reading to the next.
    fn switched(&self) -> Vec<Entry> {
        let mut points: Vec<_> = self
            .power
            .iter()
            .filter_map(|p| match &p.value {
                Some(Value::State { text, .. }) => {
                    Some(((&p.component, &p.sensor, p.source.to_string()), p.observed_at, text))
                }
                _ => None,
            })
            .collect();
        points.sort();
        points
            .windows(2)
            .filter_map(|pair| {
                let [(of, _, was), (same, at, now)] = pair else { return None };
                (of == same && was != now).then(|| Entry {
                    at: *at,
                    by: ByClock::Agent,
                    bmc_time: None,
                    component: Some(same.0.clone()),
                    what: What::Power { was: (*was).clone(), now: (*now).clone() },
                })
            })
            .collect()
    }
}

/// The states of a server's power, the first of each run of equal ones.
fn switches<S: Store>(store: &S, filter: &HistoryFilter) -> Result<Vec<HistoryPoint>, StoreError> {
    let mut kept: Vec<HistoryPoint> = Vec::new();
    let mut page = Page::first(BATCH);
    loop {
        let listing = store.history(filter, &page)?;
        for point in listing.rows.into_iter().filter(|p| p.sensor == "power_state" && p.value.is_some()) {
            let same = |last: &HistoryPoint| {
                (&last.source, &last.component, &last.value) == (&point.source, &point.component, &point.value)
            };
            if !kept.last().is_some_and(same) {
                kept.push(point);
            }
        }
        match listing.next {
            Some(token) => page = Page::after(token, BATCH),
            None => return Ok(kept),
        }
    }
}

/// What happened to a server from `from` on, before `to`.
pub fn read<S: Store + Changes>(
    store: &S,
    server: &ServerId,
    from: Timestamp,
    to: Timestamp,
) -> Result<Timeline, StoreError> {
    Ok(Sources::read(store, server, from)?.timeline(from, to))
}

/// An action without what is nobody's business.
fn cleaned(action: &Action, scrub: &Scrubber) -> Action {
    match action {
        Action::Assign { .. } => Action::Assign { to: String::new() },
        other => rewritten(other, |text| scrub.clean(text)),
    }
}

/// Rows as long as they are wanted, at most [`MOST`]; and whether there were more.
fn newest<T>(
    mut read: impl FnMut(&Page) -> Result<Listing<T>, StoreError>,
    wanted: impl Fn(&T) -> bool,
) -> Result<(Vec<T>, bool), StoreError> {
    let mut rows = Vec::new();
    let mut page = Page::first(BATCH);
    loop {
        let listing = read(&page)?;
        let all = listing.rows.len();
        let fresh: Vec<T> = listing.rows.into_iter().take_while(&wanted).collect();
        let ends = fresh.len() < all;
        rows.extend(fresh);
        match listing.next {
            Some(_) if !ends && rows.len() >= MOST => return Ok((rows, true)),
            Some(token) if !ends => page = Page::after(token, BATCH),
            _ => return Ok((rows, false)),
        }
    }
}

#[cfg(test)]
mod tests;
