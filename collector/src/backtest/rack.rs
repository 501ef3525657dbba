//! The servers of a rack replayed hour by hour, as they would have been seen live.

use super::names::{Meaning, Place};
use super::order;
use super::spill::Row;
use outband_health::drift::{Drift, RackMode, SignClass};
use outband_schemas::{ComponentId, Timestamp};

const HOUR: u32 = 3600;
/// A day is judged this many hours after it has ended: by then each server has been read again.
const LATE: u32 = 1;

/// What happened to a server, in seconds since 1970.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Event {
    pub(super) at: u32,
    /// What it means.
    pub(super) meaning: Meaning,
    /// The places that it befell; none: the server.
    pub(super) places: Vec<ComponentId>,
}

/// A server's history.
pub(super) struct Server {
    drift: Drift,
    /// By channel.
    channels: Vec<Place>,
    rows: Vec<Row>,
    /// When each of them came.
    came: Vec<u32>,
    events: Vec<Event>,
    next: usize,
    next_event: usize,
    closed: bool,
}

/// A part's sign that is a finding, on one day.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Alarm {
    /// The server, counted within its rack.
    pub(super) server: usize,
    pub(super) component: ComponentId,
    pub(super) class: SignClass,
    /// In seconds since 1970.
    pub(super) at: u32,
    pub(super) score: f64,
}

impl Server {
    pub(super) fn new(channels: Vec<Place>, mut rows: Vec<Row>, mut events: Vec<Event>) -> Self {
        if order::is_shuffled(rows.iter().map(|r| (r.channel, r.at))) {
            rows.sort_by_key(|r| r.at);
        }
        let said: Vec<u32> = rows.iter().map(|r| r.at).collect();
        events.sort_by_key(|e| e.at);
        let came = order::believed(&said);
        Self { drift: Drift::default(), channels, rows, came, events, next: 0, next_event: 0, closed: false }
    }

    /// When its first and its last reading came.
    pub(super) fn span(&self) -> Option<(u32, u32)> {
        Some((*self.came.first()?, *self.came.last()?))
    }

    /// Takes in all that came before `end`.
    fn run(&mut self, end: u32) {
        while let Some((row, came)) = self.rows.get(self.next).zip(self.came.get(self.next)).filter(|r| *r.1 < end) {
            let (row, came) = (*row, *came);
            self.happen(came);
            if let Some(place) = self.channels.get(row.channel as usize) {
                // As live: no clock is ahead of the collector's.
                let at = Timestamp::from_secs(i64::from(row.at.min(came)));
                self.closed |= self.drift.take(&place.component, place.kind, place.sensor, row.value, at);
            }
            self.next += 1;
        }
        self.happen(end - 1);
    }

    /// Notes what happened up to `until`.
    fn happen(&mut self, until: u32) {
        while let Some(event) = self.events.get(self.next_event).filter(|e| e.at <= until) {
            let at = Timestamp::from_secs(i64::from(event.at));
            match event.meaning {
                Meaning::Renewed if !event.places.is_empty() => {
                    event.places.iter().for_each(|place| self.drift.renew(place, at));
                }
                Meaning::Renewed | Meaning::Changed => self.drift.changed(at),
                Meaning::Reseated => event.places.iter().for_each(|place| self.drift.reseated(place, at)),
                Meaning::Nothing => {}
            }
            self.next_event += 1;
        }
    }
}

/// Replays a rack and tells the alarms of each day.
pub(super) fn replay(mut servers: Vec<Server>, mut alarm: impl FnMut(Alarm)) {
    let first = servers.iter().filter_map(|s| s.came.first()).min().copied();
    let last = servers.iter().filter_map(|s| s.came.last()).max().copied();
    let Some((first, last)) = first.zip(last) else { return };
    let mut judged = first / HOUR / 24;
    for hour in first / HOUR..=last / HOUR {
        let date = hour.saturating_sub(LATE) / 24;
        if date > judged {
            judged = date;
            judge(&mut servers, hour * HOUR, &mut alarm);
        }
        for server in &mut servers {
            server.run((hour + 1).saturating_mul(HOUR));
        }
    }
    judge(&mut servers, last, &mut alarm);
}

/// Looks at those of which a day has ended since.
fn judge(servers: &mut [Server], at: u32, alarm: &mut impl FnMut(Alarm)) {
    if !servers.iter().any(|s| s.closed) {
        return;
    }
    let mode = RackMode::of(servers.iter().map(|s| &s.drift));
    for (number, server) in servers.iter_mut().enumerate().filter(|(_, s)| s.closed) {
        server.closed = false;
        for sign in server.drift.signs(&mode).into_iter().filter(|s| s.score >= 1.0) {
            alarm(Alarm { server: number, component: sign.component, class: sign.class, at, score: sign.score });
        }
    }
}
