//! The servers of a rack replayed hour by hour, as they would have been seen live.

use super::names::{Meaning, Place};
use super::order::Came;
use super::spill::{Row, Rows};
use outband_health::drift::{Drift, RackMode, SignClass};
use outband_schemas::{ComponentId, Timestamp};
use std::io;

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
pub(super) struct Server<'a> {
    drift: Drift,
    /// By channel.
    channels: Vec<Place>,
    rows: Rows<'a>,
    /// The one that comes next.
    row: Option<Row>,
    came: Came,
    /// When the first and the last of them came.
    span: (u32, u32),
    events: Vec<Event>,
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

impl<'a> Server<'a> {
    /// `rows` stand in the order in which they came, `came` says when, `span` when the first and the last.
    pub(super) fn new(
        channels: Vec<Place>,
        mut rows: Rows<'a>,
        came: Came,
        span: (u32, u32),
        mut events: Vec<Event>,
    ) -> io::Result<Self> {
        events.sort_by_key(|e| e.at);
        let row = rows.next()?;
        Ok(Self { drift: Drift::default(), channels, rows, row, came, span, events, next_event: 0, closed: false })
    }

    /// Takes in all that came before `end`.
    fn run(&mut self, end: u32) -> io::Result<()> {
        while let Some(row) = self.row {
            let came = self.came.next(row.at);
            if came >= end {
                break;
            }
            self.happen(came);
            if let Some(place) = self.channels.get(row.channel as usize) {
                // As live: no clock is ahead of the collector's.
                let at = Timestamp::from_secs(i64::from(row.at.min(came)));
                self.closed |= self.drift.take(&place.component, place.kind, place.sensor, row.value, at);
            }
            self.came.pass();
            self.row = self.rows.next()?;
        }
        self.happen(end - 1);
        Ok(())
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
pub(super) fn replay(mut servers: Vec<Server<'_>>, mut alarm: impl FnMut(Alarm)) -> io::Result<()> {
    let first = servers.iter().map(|s| s.span.0).min();
    let last = servers.iter().map(|s| s.span.1).max();
    let Some((first, last)) = first.zip(last) else { return Ok(()) };
    let mut judged = first / HOUR / 24;
    for hour in first / HOUR..=last / HOUR {
        let date = hour.saturating_sub(LATE) / 24;
        if date > judged {
            judged = date;
            judge(&mut servers, hour * HOUR, &mut alarm);
        }
        for server in &mut servers {
            server.run((hour + 1).saturating_mul(HOUR))?;
        }
    }
    judge(&mut servers, last, &mut alarm);
    Ok(())
}

/// Looks at those of which a day has ended since.
fn judge(servers: &mut [Server<'_>], at: u32, alarm: &mut impl FnMut(Alarm)) {
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
