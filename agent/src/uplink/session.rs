//! One stream's protocol, sans-IO: it is given what came down and what the spool holds, and says what to do next.
//!
//! Rules that keep "exactly once" on this side:
//!
//! - What is sent follows the collector's mark without a hole: bodies in sequence, or a `Skipped` that reaches from the mark to them exactly.
//! - An entry is released only after an Ack (or a Welcome) that covers it.
//! - A mark below what was released means a collector restored from a backup: everything after the mark is sent again as far as it is still there.
//! - A mark beyond what the spool ever gave a number means that this file lost commits: [`Error::MarkAhead`]; the spool then takes a new id, so that no
//!   number means two things. So does a spool that was rolled back and went on with other entries: [`Error::RolledBack`].
//! - Before anything is sent or released, the entry that the collector knows at its mark is compared with the one held here: numbers of a spool that was rolled
//!   back may have grown past the mark again.
//! - A body that no collector would take is told as lost, so that those behind it are not held up for ever.
//! - Events go first, and telemetry never fills the whole window.

mod lane;
#[cfg(test)]
mod tests;

use crate::spooler::Held;
use crate::uplink::Announce;
use lane::Progress;
use outband_proto::ingest::{
    Ack, GoAway, Hello, LaneState, Order, StreamRequest, StreamResponse, Welcome, go_away, stream_request,
    stream_response,
};
use outband_proto::{PROTOCOL, pack};
use outband_schemas::Lane;
use outband_spool::Peek;
use std::collections::VecDeque;

/// A batch has so many bytes of bodies at most, unless a single body is larger. Small enough that an event never waits long behind one.
const BATCH_BYTES: u64 = 256 << 10;
/// The largest body that is sent: a collector reads messages of 16 MiB, and a batch has fields of its own. None is made so large any more; an old spool may hold one.
const LARGEST_BODY: usize = (16 << 20) - (4 << 10);
/// Taken where the collector names no window.
const DEFAULT_WINDOW: u64 = 4 << 20;

/// Why a stream has to end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The collector did what the protocol does not allow.
    #[error("the collector broke the protocol: {0}")]
    Protocol(String),
    /// The collector has entries of this spool that the spool never had.
    #[error("the collector has {} entries through {mark}, this spool gave numbers only below {next}", .lane.as_str())]
    MarkAhead {
        /// The lane.
        lane: Lane,
        /// The collector's mark.
        mark: i64,
        /// The spool's next number.
        next: i64,
    },
    /// The collector has another entry under a number of this spool.
    #[error("the collector has other entries than this spool: {0}")]
    RolledBack(String),
    /// The collector ended it.
    #[error("the collector ended the stream: {}{}{detail}", reason_words(*.reason), if .detail.is_empty() { "" } else { ": " })]
    GoAway {
        /// Its reason.
        reason: go_away::Reason,
        /// Its words.
        detail: String,
    },
}

impl Error {
    /// How a GoAway ends the stream.
    pub fn of(g: GoAway) -> Self {
        match g.reason() {
            go_away::Reason::SpoolRolledBack => Self::RolledBack(g.detail),
            reason => Self::GoAway { reason, detail: g.detail },
        }
    }

    /// Whether the collector only wants this stream replaced by a new one.
    pub fn is_for_a_new_stream(&self) -> bool {
        matches!(self, Self::GoAway { reason: go_away::Reason::Aged, .. })
    }

    /// Whether the numbers of this spool mean other entries at the collector, so that it has to take a new id before it is tried again.
    pub fn needs_new_spool_id(&self) -> bool {
        matches!(self, Self::MarkAhead { .. } | Self::RolledBack(_))
    }
}

fn reason_words(reason: go_away::Reason) -> &'static str {
    match reason {
        go_away::Reason::Fenced => "another stream of this agent took over",
        go_away::Reason::Shutdown => "it is shutting down",
        go_away::Reason::StoreUnavailable => "it cannot store now",
        go_away::Reason::Protocol => "this agent broke the protocol",
        go_away::Reason::SpoolRolledBack => "this spool was rolled back",
        go_away::Reason::Aged => "it is time for a new stream",
        go_away::Reason::ProtocolVersion => "it does not speak this agent's protocol; upgrade the collector first",
        go_away::Reason::Unspecified => "no reason given",
    }
}

/// What the session wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Send this up.
    Send(StreamRequest),
    /// Read on in the spool, and give it to [`Session::handle_peek`].
    Peek {
        /// The lane.
        lane: Lane,
        /// After this number.
        after: i64,
        /// At most so many bytes of bodies.
        max_bytes: usize,
    },
    /// Everything through this is stored at the collector.
    Release {
        /// The lane.
        lane: Lane,
        /// Through this number.
        through: i64,
    },
    /// Hand this to whoever carries out orders; the answer goes through the spool.
    Order(Box<Order>),
    /// The order of this id is not to be begun any more.
    Revoke(String),
}

/// One stream, from Hello to its end.
#[derive(Debug)]
pub struct Session {
    held: Held,
    welcomed: bool,
    acked: bool,
    /// Whether the collector takes packed bodies as they are.
    packed: bool,
    window: u64,
    lanes: [Progress; 2],
    actions: VecDeque<Action>,
}

impl Session {
    /// Begins with a Hello.
    pub fn new(announce: &Announce, held: Held) -> Self {
        let hello = Hello {
            agent: announce.agent.to_string(),
            spool_id: held.id.to_string(),
            lanes: Lane::ALL
                .into_iter()
                .map(|lane| {
                    let state = held.lanes.get(crate::spooler::lane_of(lane));
                    LaneState { lane: wire(lane), oldest: state.oldest, next: state.next }
                })
                .collect(),
            site: announce.site.to_string(),
            version: announce.version.clone(),
            targets: announce.targets.iter().map(ToString::to_string).collect(),
            sensor_interval_ms: i64::try_from(announce.sensor_interval.as_millis()).unwrap_or(i64::MAX),
            protocol: PROTOCOL,
        };
        let mut session = Self {
            held,
            welcomed: false,
            acked: false,
            packed: false,
            window: DEFAULT_WINDOW,
            lanes: Lane::ALL.map(Progress::new),
            actions: VecDeque::new(),
        };
        session.send(stream_request::Message::Hello(hello));
        session
    }

    /// Whether the collector said Welcome.
    pub fn is_welcomed(&self) -> bool {
        self.welcomed
    }

    /// Whether the collector acknowledged anything: the way is good.
    pub fn is_acked(&self) -> bool {
        self.acked
    }

    /// Bytes of bodies sent and not yet acknowledged.
    pub fn in_flight(&self) -> u64 {
        self.lanes.iter().map(Progress::in_flight).sum()
    }

    /// The spool holds something else now.
    pub fn handle_held(&mut self, held: Held) {
        self.held = held;
    }

    /// Something came down. After an error the stream must be closed.
    pub fn handle_message(&mut self, message: StreamResponse) -> Result<(), Error> {
        use stream_response::Message as M;
        match message.message {
            Some(M::Welcome(welcome)) => self.handle_welcome(&welcome),
            Some(M::GoAway(g)) => Err(Error::of(g)),
            Some(M::Ack(_) | M::Order(_) | M::Revoke(_)) if !self.welcomed => {
                Err(protocol("something came before Welcome"))
            }
            Some(M::Ack(ack)) => self.handle_ack(&ack),
            Some(M::Order(order)) => self.handle_order(order),
            Some(M::Revoke(revoke)) => {
                self.actions.push_back(Action::Revoke(revoke.id));
                Ok(())
            }
            // A message of a later version.
            None => Ok(()),
        }
    }

    fn handle_welcome(&mut self, welcome: &Welcome) -> Result<(), Error> {
        if self.welcomed {
            return Err(protocol("a second Welcome"));
        }
        if let Some(window) = u64::try_from(welcome.window_bytes).ok().filter(|w| *w > 0) {
            self.window = window;
        }
        self.packed = welcome.packed;
        for progress in &mut self.lanes {
            let lane = progress.lane();
            let mark = welcome.lanes.iter().find(|m| m.lane == wire(lane)).map_or(0, |m| m.committed);
            let state = self.held.lanes.get(crate::spooler::lane_of(lane));
            if mark < 0 {
                return Err(protocol("a negative mark"));
            }
            if mark >= state.next {
                return Err(Error::MarkAhead { lane, mark, next: state.next });
            }
            progress.resume(mark);
            let known =
                welcome.lanes.iter().find(|m| m.lane == wire(lane)).map_or((0, 0), |m| (m.known_seq, m.known_crc32c));
            if known.0 > mark {
                return Err(protocol("it knows an entry beyond its mark"));
            }
            // What is not held any more cannot be compared. It was released, which came after such a comparison; or it gave way.
            if known.0 >= state.oldest.max(1) {
                progress.compare(known.0, known.1);
            } else if mark > state.released {
                self.actions.push_back(Action::Release { lane, through: mark });
            }
            if mark < state.released {
                tracing::warn!(
                    lane = lane.as_str(),
                    mark,
                    released = state.released,
                    "the collector has less than it had: sending again what is still here"
                );
            }
        }
        self.welcomed = true;
        Ok(())
    }

    fn handle_ack(&mut self, ack: &Ack) -> Result<(), Error> {
        let progress = self.lanes.iter_mut().find(|p| wire(p.lane()) == ack.lane);
        let progress = progress.ok_or_else(|| protocol("an Ack of no lane"))?;
        if progress.acknowledge(ack.committed)? {
            self.actions.push_back(Action::Release { lane: progress.lane(), through: ack.committed });
        }
        self.acked = true;
        Ok(())
    }

    fn handle_order(&mut self, order: Order) -> Result<(), Error> {
        if order.id.is_empty() || order.id.len() > 128 {
            return Err(protocol("an order without a proper id"));
        }
        self.actions.push_back(Action::Order(Box::new(order)));
        Ok(())
    }

    /// What the spool answered to [`Action::Peek`]. After an error the stream must be closed.
    pub fn handle_peek(&mut self, lane: Lane, mut peek: Peek) -> Result<(), Error> {
        let Some(progress) = self.lanes.iter_mut().find(|p| p.lane() == lane) else { return Ok(()) };
        if !progress.is_comparing() {
            if !self.packed {
                peek.bodies.iter_mut().for_each(unpack);
            }
            progress.take_peek(peek);
            return Ok(());
        }
        let mark = progress.compared(&peek)?;
        if mark > self.held.lanes.get(crate::spooler::lane_of(lane)).released {
            self.actions.push_back(Action::Release { lane, through: mark });
        }
        Ok(())
    }

    /// What to do next; `None`: wait for a message, or for the spool to grow. One peek at a time is asked for.
    pub fn poll_action(&mut self) -> Option<Action> {
        if let Some(action) = self.actions.pop_front() {
            return Some(action);
        }
        if !self.welcomed || self.lanes.iter().any(Progress::is_peeking) {
            return None;
        }
        if let Some((lane, after)) = self.lanes.iter_mut().find_map(Progress::want_comparison) {
            return Some(Action::Peek { lane, after, max_bytes: 1 });
        }
        let in_flight = self.in_flight();
        for i in 0..self.lanes.len() {
            let lane = self.lanes[i].lane();
            // The last quarter of the window is for events.
            let limit = match lane {
                Lane::Event => self.window,
                Lane::Telemetry => self.window - self.window / 4,
            };
            let room = limit.saturating_sub(in_flight);
            if let Some(batch) = self.lanes[i].take_batch(room, in_flight == 0) {
                self.send(stream_request::Message::Batch(batch));
                return self.actions.pop_front();
            }
            let next = self.held.lanes.get(crate::spooler::lane_of(lane)).next;
            if let Some(after) = self.lanes[i].want_peek(next, room, in_flight == 0) {
                let max_bytes = usize::try_from(room.clamp(1, BATCH_BYTES)).unwrap_or(usize::MAX);
                return Some(Action::Peek { lane, after, max_bytes });
            }
        }
        None
    }

    fn send(&mut self, message: stream_request::Message) {
        self.actions.push_back(Action::Send(StreamRequest { message: Some(message) }));
    }
}

/// As an older collector wants it. What cannot be unpacked goes as it is, and is told there.
fn unpack(body: &mut Vec<u8>) {
    let mut room = Vec::new();
    if pack::is_packed(body) && pack::unpack(body, &mut room).is_ok() {
        *body = room;
    }
}

fn wire(lane: Lane) -> i32 {
    outband_proto::ingest::Lane::from(lane).into()
}

fn protocol(what: &str) -> Error {
    Error::Protocol(what.to_owned())
}
