//! A server's window from what the store holds: after a restart, before the server's first new reading.

use outband_health::window::Origin;
use outband_health::{Names, RuleConfig, Window};
use outband_schemas::{ComponentClass, Reading, Timestamp};
use outband_store::{
    EventFilter, HistoryFilter, HistoryPoint, Listing, Page, SeriesFilter, ServerRecord, Store, StoreError,
};
use std::time::Duration;

/// How much history of everything is read: enough for baselines and trends.
const ALL: Duration = Duration::from_secs(2 * 3600);
/// How much history of drives is read: their counters grow over days.
const DRIVES: Duration = Duration::from_secs(3 * 86_400);
const PAGE: usize = 5000;
const EVENTS: usize = 256;

/// The window of a server.
pub(super) fn window<S: Store>(
    store: &S,
    server: &ServerRecord,
    now: Timestamp,
    config: &RuleConfig,
    names: &Names,
) -> Result<Window, StoreError> {
    let mut window = Window::sharing(names);
    let id = &server.id;
    let mut parts = store.parts(id)?;
    parts.sort_by_key(|p| (p.current, p.first_seen));
    for record in parts.iter().filter(|p| p.current) {
        window.place_part(&record.part, record.first_seen);
    }
    let events =
        store.events(&EventFilter { server: Some(id.clone()), ..EventFilter::default() }, &Page::first(EVENTS))?;
    for record in events.rows.iter().rev() {
        window.recall(&record.event, record.received_at);
    }
    for target in &server.targets {
        let origin = Origin { agent: target.agent.clone(), target: target.target.clone() };
        window.log_was_read(&origin, server.first_seen);
    }
    let of =
        |class: Option<ComponentClass>| SeriesFilter { server: Some(id.clone()), class, ..SeriesFilter::default() };
    let drives = history(store, of(Some(ComponentClass::Disk)), now.minus(DRIVES), now)?;
    let rest = history(store, of(None), now.minus(ALL), now)?;
    let rest = rest.into_iter().filter(|r| r.component.class() != ComponentClass::Disk);
    let mut readings: Vec<Reading> = drives.into_iter().chain(rest).collect();
    readings.sort_by_key(|r| r.observed_at);
    // What a part's predecessor in the same place was like says nothing of it.
    let installed =
        |r: &Reading| parts.iter().find(|p| p.current && p.part.component == r.component).map(|p| p.first_seen);
    readings.retain(|r| installed(r).is_none_or(|at| r.observed_at >= at || !replaced(&parts, r)));
    window.replay(&readings, config);
    for latest in pages(|page| store.latest(&of(None), page))? {
        window.limit(&latest.reading);
    }
    Ok(window)
}

/// Whether another part was in the place before.
fn replaced(parts: &[outband_store::PartRecord], reading: &Reading) -> bool {
    parts.iter().any(|p| !p.current && p.part.component == reading.component)
}

fn history<S: Store>(
    store: &S,
    series: SeriesFilter,
    from: Timestamp,
    now: Timestamp,
) -> Result<Vec<Reading>, StoreError> {
    let filter = HistoryFilter { series, from, to: now.plus(Duration::from_millis(1)) };
    Ok(pages(|page| store.history(&filter, page))?.into_iter().map(reading).collect())
}

fn reading(point: HistoryPoint) -> Reading {
    Reading {
        component: point.component,
        kind: point.kind,
        sensor: point.sensor,
        value: point.value,
        quality: point.quality,
        observed_at: point.observed_at,
        source: point.source,
        thresholds: None,
    }
}

/// Every row of a listing.
pub(super) fn pages<T>(ask: impl Fn(&Page) -> Result<Listing<T>, StoreError>) -> Result<Vec<T>, StoreError> {
    let mut rows = Vec::new();
    let mut page = Page::first(PAGE);
    loop {
        let listing = ask(&page)?;
        rows.extend(listing.rows);
        match listing.next {
            Some(next) => page = Page::after(next, PAGE),
            None => return Ok(rows),
        }
    }
}
