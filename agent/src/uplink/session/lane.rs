//! How far one lane is: read, sent, acknowledged.

use super::{Error, protocol, wire};
use outband_proto::ingest::{Batch, Skipped};
use outband_schemas::{Cause, Lane};
use outband_spool::{Peek, SkipReason};
use std::collections::VecDeque;

/// One lane of one stream.
#[derive(Debug)]
pub(super) struct Progress {
    lane: Lane,
    /// Everything through this was read from the spool, or will never come.
    read: i64,
    /// Everything through this was sent.
    sent: i64,
    /// The collector's mark.
    acked: i64,
    /// Batches on their way: last number and bytes.
    in_flight: VecDeque<(i64, u64)>,
    /// Read and not yet sent.
    ready: Option<(Batch, u64)>,
    peeking: bool,
}

impl Progress {
    pub(super) fn new(lane: Lane) -> Self {
        Self { lane, read: 0, sent: 0, acked: 0, in_flight: VecDeque::new(), ready: None, peeking: false }
    }

    pub(super) fn lane(&self) -> Lane {
        self.lane
    }

    pub(super) fn is_peeking(&self) -> bool {
        self.peeking
    }

    pub(super) fn in_flight(&self) -> u64 {
        self.in_flight.iter().map(|(_, bytes)| bytes).sum()
    }

    pub(super) fn resume(&mut self, mark: i64) {
        (self.read, self.sent, self.acked) = (mark, mark, mark);
    }

    /// Whether that is news.
    pub(super) fn acknowledge(&mut self, committed: i64) -> Result<bool, Error> {
        if committed > self.sent {
            return Err(protocol("an Ack of what was not sent"));
        }
        if committed < self.acked {
            return Err(protocol("an Ack that takes back an earlier one"));
        }
        while self.in_flight.front().is_some_and(|(last, _)| *last <= committed) {
            self.in_flight.pop_front();
        }
        let news = committed > self.acked;
        self.acked = committed;
        Ok(news)
    }

    /// The number to read on after, where it is worth reading.
    pub(super) fn want_peek(&mut self, next: i64, room: u64, idle: bool) -> Option<i64> {
        let want = self.ready.is_none() && self.read + 1 < next && (room > 0 || idle);
        self.peeking |= want;
        want.then_some(self.read)
    }

    pub(super) fn take_peek(&mut self, peek: Peek) {
        self.peeking = false;
        if peek.skipped.is_none() && peek.bodies.is_empty() {
            return;
        }
        let bytes = peek.bodies.iter().map(|b| b.len() as u64).sum();
        self.read = peek.first_seq + i64::try_from(peek.bodies.len()).unwrap_or(i64::MAX) - 1;
        let batch = Batch {
            lane: wire(self.lane),
            first_seq: peek.first_seq,
            bodies: peek.bodies,
            skipped: peek.skipped.map(skipped),
        };
        self.ready = Some((batch, bytes));
    }

    /// What is ready, where there is room for it. What is larger than the room goes when nothing else is on its way.
    pub(super) fn take_batch(&mut self, room: u64, idle: bool) -> Option<Batch> {
        let (batch, bytes) = self.ready.take_if(|(_, bytes)| *bytes <= room || idle)?;
        self.sent = self.read;
        self.in_flight.push_back((self.sent, bytes));
        Some(batch)
    }
}

fn skipped(s: outband_spool::Skipped) -> Skipped {
    let (cause, words) = match s.reason {
        SkipReason::Evicted => (Cause::Evicted, "the agent's spool was full; its oldest telemetry gave way"),
        SkipReason::Released => (Cause::Released, "the collector had it, the agent no longer keeps it"),
        SkipReason::Corrupt => (Cause::SpoolLost, "it was damaged on the agent's disk"),
    };
    Skipped {
        first: s.first,
        last: s.last,
        reason: u32::from(cause.number()),
        detail: words.to_owned(),
        from_ms: s.from_ms,
        to_ms: s.to_ms,
    }
}
