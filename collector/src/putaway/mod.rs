//! Puts readings away when the assessment is far behind: history, its sealing and its roll-ups do not wait for it.
//!
//! Usually the assessment does that itself, a row at a time, with all else that it makes of it. When more rows wait for it than [`BEHIND`], it is overtaken here:
//! bodies are read in place, their words are compared with those of the body before by digest, and what is left of a reading is the number of its series, a
//! time and a value. A target that was never assessed is no server yet: there it waits for the assessment.

mod digest;
mod layout;

use digest::Digests;
use layout::Layout;
use outband_proto::convert::decode_set;
use outband_proto::pack;
use outband_proto::view::{self, Unusual};
use outband_schemas::{AgentId, Observation, Reading, ServerId};
use outband_store::chunk::Point;
use outband_store::head::Arrival;
use outband_store::putaway::PutAway;
use outband_store::{LogRow, Store, StoreError};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinError;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// So many rows behind, the assessment is overtaken.
pub const BEHIND: i64 = 2048;
/// Rows put away at once.
const ROWS: usize = 512;
/// While it is overtaken, the assessment rests so many times as long as it works.
const RESTS: u32 = 4;
/// Never longer than this: a failure of now is told in the event lane, which waits for the next step.
const LONGEST_REST: Duration = Duration::from_millis(500);
/// How long the assessment is waited for, and a store that refuses.
const PAUSE: Duration = Duration::from_millis(200);

/// What the loop asks of a store.
pub trait Kept: Store + PutAway {}
impl<S: Store + PutAway> Kept for S {}

/// How long the assessment rests after a step that took so long: while it is overtaken, history comes first. Not where history itself waits for it, as it does for
/// each server that is new.
pub fn rest<S: Kept>(store: &S, step: Duration) -> Result<Duration, StoreError> {
    let (to_assess, to_put_away) = store.waiting()?;
    let overtaken = to_assess >= BEHIND && to_put_away >= ROWS as i64;
    Ok(if overtaken && !waits(store)? { (step * RESTS).min(LONGEST_REST) } else { Duration::ZERO })
}

/// Whether the row that is to be put away next is of a target that was never assessed.
fn waits<S: Kept>(store: &S) -> Result<bool, StoreError> {
    let Some(row) = store.log_after(store.put_away_through()?, 1)?.pop() else { return Ok(false) };
    let mut unpacked = Vec::new();
    let Ok(body) = pack::unpack(&row.body, &mut unpacked) else { return Ok(false) };
    let Ok(view) = view::set(body) else { return Ok(false) };
    Ok(!row.damaged && server_of(store, &row, view.target)?.is_none())
}

/// What is remembered from body to body.
#[derive(Debug)]
struct Hand {
    digests: Digests,
    layouts: HashMap<AgentId, HashMap<String, Layout>>,
    unpacked: Vec<u8>,
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    /// The assessment is not far behind.
    Idle,
    /// The next row is of a target that the assessment does not know yet.
    Waits,
    /// There may be more.
    Some,
}

/// Works until `shutdown` is cancelled. What cannot be put away now is tried again: the assessment would do it in the end. An error is a panic in it.
pub async fn run<S: Kept>(store: S, shutdown: CancellationToken) -> Result<(), JoinError> {
    let came = Arc::new(Notify::new());
    let wake = came.clone();
    store.on_commit(Box::new(move || wake.notify_one()));
    let mut hand = None;
    while !shutdown.is_cancelled() {
        let (store, mut mine) = (store.clone(), hand.take());
        let step = tokio::task::spawn_blocking(move || {
            let done = step(&store, &mut mine);
            (mine, done)
        });
        let done;
        (hand, done) = step.await?;
        match done {
            Ok(Done::Some) => continue,
            Ok(Done::Idle) => {
                // What is remembered is large, and seldom needed.
                hand = None;
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = came.notified() => {}
                }
            }
            Ok(Done::Waits) => {}
            Err(StoreError::Closed) => return Ok(()),
            Err(error) => {
                tracing::warn!(%error, "readings are not put away ahead of the assessment for now; they are all kept");
                hand = None;
            }
        }
        // Also where something came: rows are worth a look by the hundred.
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = sleep(PAUSE) => {}
        }
    }
    Ok(())
}

/// Puts the next rows away, if the assessment is far behind.
fn step<S: Kept>(store: &S, hand: &mut Option<Hand>) -> Result<Done, StoreError> {
    let (to_assess, to_put_away) = store.waiting()?;
    if to_assess < BEHIND || to_put_away == 0 {
        return Ok(Done::Idle);
    }
    let after = store.put_away_through()?;
    let hand =
        hand.get_or_insert_with(|| Hand { digests: Digests::new(), layouts: HashMap::new(), unpacked: Vec::new() });
    let rows = store.log_after(after, ROWS)?;
    let (arrivals, through) = hand.read(store, &rows)?;
    match through {
        Some(through) => {
            store.put_away(through, arrivals)?;
            Ok(Done::Some)
        }
        None => Ok(Done::Waits),
    }
}

/// A row of whose readings not every series is known yet.
struct New {
    /// Its place among the rows.
    at: usize,
    server: ServerId,
    readings: Vec<Reading>,
}

/// What became of a row.
enum Row {
    /// Its points are there.
    Read,
    /// They are once their series are asked for.
    New(ServerId, Vec<Reading>),
    /// It is of a target that nobody knows.
    Unknown,
}

impl Hand {
    /// The points of rows, and through which of them.
    fn read<S: Kept>(&mut self, store: &S, rows: &[LogRow]) -> Result<(Vec<Arrival>, Option<i64>), StoreError> {
        let (mut arrivals, mut through) = (Vec::with_capacity(rows.len() * 80), None);
        let (mut begins, mut new) = (Vec::with_capacity(rows.len()), Vec::new());
        for (at, row) in rows.iter().enumerate() {
            begins.push(arrivals.len());
            match self.row(store, row, &mut arrivals)? {
                Row::Read => {}
                Row::New(server, readings) => new.push(New { at, server, readings }),
                Row::Unknown => break,
            }
            through = Some(row.id);
        }
        if !new.is_empty() {
            arrivals = self.with_new(store, rows, (arrivals, &begins), new)?;
        }
        Ok((arrivals, through))
    }

    /// The points of a row.
    fn row<S: Kept>(&mut self, store: &S, row: &LogRow, arrivals: &mut Vec<Arrival>) -> Result<Row, StoreError> {
        let Self { digests, layouts, unpacked } = self;
        // What is damaged, or cannot be read at all, is the assessment's to tell.
        if row.damaged {
            return Ok(Row::Read);
        }
        let Ok(body) = pack::unpack(&row.body, unpacked) else { return Ok(Row::Read) };
        let Ok(view) = view::set(body) else { return whole(store, row, body) };
        let of_agent = match layouts.get_mut(&row.agent) {
            Some(of_agent) => of_agent,
            None => layouts.entry(row.agent.clone()).or_default(),
        };
        let moves = store.moves();
        if of_agent.get(view.target).is_none_or(|layout| layout.looked_up != moves) {
            let Some(server) = server_of(store, row, view.target)? else { return Ok(Row::Unknown) };
            match of_agent.get_mut(view.target).filter(|layout| layout.server == server) {
                Some(layout) => layout.looked_up = moves,
                None => drop(of_agent.insert(view.target.to_owned(), Layout::new(server, moves))),
            }
        }
        let Some(layout) = of_agent.get_mut(view.target) else { return Ok(Row::Unknown) };
        let (from, mut next) = (arrivals.len(), 0);
        let read = view.readings(|r| {
            let (name, limits) = (digests.of(r.name, r.kind), digests.of([r.thresholds], 0));
            let series = layout.find(&name, &limits, &mut next).ok_or(Unusual)?;
            let point = Point { at: r.observed_at, value: r.value, quality: r.quality };
            arrivals.push(Arrival { series, received_at: Some(row.received_at), point });
            Ok(())
        });
        if read.is_ok() && !layout.asked {
            return Ok(Row::Read);
        }
        // A name that is new, another limit, or a body that only the whole reader understands.
        arrivals.truncate(from);
        layout.asked = true;
        Ok(new(layout.server.clone(), readings(body)))
    }

    /// Points with those of the rows that were left for now, each where its row stands.
    fn with_new<S: Kept>(
        &mut self,
        store: &S,
        rows: &[LogRow],
        (usual, begins): (Vec<Arrival>, &[usize]),
        new: Vec<New>,
    ) -> Result<Vec<Arrival>, StoreError> {
        let (places, asked): (Vec<usize>, Vec<_>) = new.into_iter().map(|n| (n.at, (n.server, n.readings))).unzip();
        let series = store.series_of(asked.clone())?;
        let count: usize = series.iter().map(Vec::len).sum();
        let (mut out, mut usual, mut taken) = (Vec::with_capacity(usual.len() + count), usual.into_iter(), 0);
        for ((at, (_, readings)), series) in places.into_iter().zip(asked).zip(series) {
            let (Some(row), Some(begin)) = (rows.get(at), begins.get(at)) else { continue };
            out.extend(usual.by_ref().take(begin - taken));
            taken = *begin;
            self.learn(row, &series);
            let point = |r: Reading| Point { at: r.observed_at, value: r.value, quality: r.quality };
            let came = |(series, r)| Arrival { series, received_at: Some(row.received_at), point: point(r) };
            out.extend(series.into_iter().zip(readings).map(came));
        }
        out.extend(usual);
        Ok(out)
    }

    /// Remembers the series of a row's readings, where it can be read in place.
    fn learn(&mut self, row: &LogRow, series: &[i64]) {
        let Self { digests, layouts, unpacked } = self;
        let Ok(body) = pack::unpack(&row.body, unpacked) else { return };
        let Ok(view) = view::set(body) else { return };
        let Some(layout) = layouts.get_mut(&row.agent).and_then(|of_agent| of_agent.get_mut(view.target)) else {
            return;
        };
        let mut names = Vec::with_capacity(series.len());
        let seen = view.readings(|r| {
            names.push((digests.of(r.name, r.kind), digests.of([r.thresholds], 0)));
            Ok(())
        });
        layout.asked = false;
        if seen.is_ok() && names.len() == series.len() {
            for ((name, limits), series) in names.into_iter().zip(series) {
                layout.learn(name, limits, *series);
            }
        }
    }
}

fn server_of<S: PutAway>(store: &S, row: &LogRow, target: &str) -> Result<Option<ServerId>, StoreError> {
    Ok(store.servers_of(&[(row.agent.clone(), target)])?.pop().flatten())
}

/// A body that is read whole.
fn whole<S: PutAway>(store: &S, row: &LogRow, body: &[u8]) -> Result<Row, StoreError> {
    let Ok(decoded) = decode_set(body) else { return Ok(Row::Read) };
    let server = server_of(store, row, decoded.set.target.as_str())?;
    Ok(server.map_or(Row::Unknown, |server| new(server, readings(body))))
}

fn new(server: ServerId, readings: Vec<Reading>) -> Row {
    if readings.is_empty() { Row::Read } else { Row::New(server, readings) }
}

/// The readings of a body that can be understood.
fn readings(body: &[u8]) -> Vec<Reading> {
    let Ok(decoded) = decode_set(body) else { return Vec::new() };
    let reading = |o| match o {
        Observation::Reading(reading) => Some(reading),
        Observation::Event(_) | Observation::Gap(_) | Observation::Inventory(_) => None,
    };
    decoded.set.observations.into_iter().filter_map(reading).collect()
}

#[cfg(test)]
mod tests;
