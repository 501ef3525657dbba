//! How far one lane is: read, sent, acknowledged.

use super::{Error, LARGEST_BODY, protocol, wire};
use outband_proto::ingest::{Batch, Skipped};
use outband_proto::{convert, pack};
use outband_schemas::{Cause, Lane};
use outband_spool::{Peek, SkipReason, body_crc32c};
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
    /// An entry that the collector knows, and the checksum of its body: to be compared before anything else.
    compare: Option<(i64, u32)>,
}

impl Progress {
    pub(super) fn new(lane: Lane) -> Self {
        Self {
            lane,
            read: 0,
            sent: 0,
            acked: 0,
            in_flight: VecDeque::new(),
            ready: None,
            peeking: false,
            compare: None,
        }
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

    /// Before anything else, this entry is to be compared with the one held here.
    pub(super) fn compare(&mut self, seq: i64, crc32c: u32) {
        self.compare = Some((seq, crc32c));
    }

    pub(super) fn is_comparing(&self) -> bool {
        self.compare.is_some()
    }

    /// The lane, and the number to read after, where an entry waits to be compared.
    pub(super) fn want_comparison(&mut self) -> Option<(Lane, i64)> {
        let (seq, _) = self.compare?;
        self.peeking = true;
        Some((self.lane, seq - 1))
    }

    /// The mark, unless the entry held here is another one.
    pub(super) fn compared(&mut self, peek: &Peek) -> Result<i64, Error> {
        self.peeking = false;
        let Some((seq, crc32c)) = self.compare.take() else { return Ok(self.acked) };
        let held = peek.bodies.first().filter(|_| peek.first_seq == seq);
        match held {
            Some(body) if !is_of(body, crc32c) => Err(Error::RolledBack(format!(
                "lane {} holds another entry under {seq} than the collector, which has entries through {}",
                self.lane.as_str(),
                self.acked
            ))),
            // One that is damaged here is not held.
            Some(_) | None => Ok(self.acked),
        }
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

    pub(super) fn take_peek(&mut self, mut peek: Peek) {
        self.peeking = false;
        if peek.skipped.is_none() && peek.bodies.is_empty() {
            return;
        }
        let mut gone = peek.skipped.map(skipped);
        if gone.is_none()
            && let Some(body) = peek.bodies.first().filter(|body| body.len() > LARGEST_BODY)
        {
            gone = Some(too_large(peek.first_seq, body));
            tracing::error!(
                lane = self.lane.as_str(),
                seq = peek.first_seq,
                bytes = body.len(),
                "an entry of the spool is larger than a collector takes; it is told as lost"
            );
            peek.bodies.remove(0);
            peek.first_seq += 1;
        }
        // Another one ends the batch before it: it is read again, as the first.
        if let Some(at) = peek.bodies.iter().position(|body| body.len() > LARGEST_BODY) {
            peek.bodies.truncate(at);
        }
        let bytes = peek.bodies.iter().map(|b| b.len() as u64).sum();
        self.read = peek.first_seq + i64::try_from(peek.bodies.len()).unwrap_or(i64::MAX) - 1;
        let batch = Batch { lane: wire(self.lane), first_seq: peek.first_seq, bodies: peek.bodies, skipped: gone };
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

/// Whether the collector's checksum is that of this body: as it is, or unpacked, as it went to an older collector.
fn is_of(body: &[u8], crc32c: u32) -> bool {
    body_crc32c(body) == crc32c
        || pack::is_packed(body) && pack::unpack(body, &mut Vec::new()).is_ok_and(|b| body_crc32c(b) == crc32c)
}

/// An entry that nobody would take. When it was seen, it says itself, if it can be read at all.
fn too_large(seq: i64, body: &[u8]) -> Skipped {
    let mut room = Vec::new();
    let seen = pack::unpack(body, &mut room).ok().and_then(|body| convert::decode_set(body).ok());
    let at_ms = seen.map_or(0, |read| read.set.polled_at.as_millis());
    Skipped {
        first: seq,
        last: seq,
        reason: u32::from(Cause::Malformed.number()),
        detail: format!("an entry of {} bytes, which is more than the collector takes at once", body.len()),
        from_ms: at_ms,
        to_ms: at_ms,
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
