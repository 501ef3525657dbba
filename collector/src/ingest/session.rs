//! The rules of one agent's stream, without a socket or a store.
//!
//! Feed it what the agent sends ([`Session::handle_message`]) and what the store answers (`handle_admission`,
//! `handle_committed`, `handle_store_error`); do what it returns. Nothing is acknowledged but what the store said is durable.

use outband_proto::PROTOCOL;
use outband_proto::convert::ConvertError;
use outband_proto::ingest as wire;
use outband_schemas::{AgentId, Cause, Lane, SiteId, SpoolId, TargetId, Timestamp};
use outband_store::{Admission, AgentHello, Committed, Epoch, IncomingBatch, LaneState, Skipped, StoreError};
use std::time::Duration;
use wire::go_away::Reason;
use wire::stream_request::Message as Up;
use wire::stream_response::Message as Down;

/// What a message asks of the shell.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// Ask the store for admission, then call [`Session::handle_admission`].
    Admit(AgentHello),
    /// Hand the batch to the store, in this order; then call [`Session::handle_committed`] with `lane` and `bytes`.
    Submit {
        /// The batch.
        batch: IncomingBatch,
        /// How much of the window it takes until it is answered.
        bytes: usize,
    },
    /// What became of an order.
    Ordered(wire::OrderResult),
}

/// Why the stream ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Farewell {
    /// For the agent's program.
    pub reason: Reason,
    /// For people.
    pub detail: String,
}

impl Farewell {
    /// The agent broke the protocol.
    pub fn protocol(detail: impl Into<String>) -> Self {
        Self { reason: Reason::Protocol, detail: detail.into() }
    }

    /// A newer stream of the same agent took over.
    pub fn fenced() -> Self {
        Self { reason: Reason::Fenced, detail: "a newer stream of this agent took over".to_owned() }
    }

    /// The collector stops.
    pub fn shutdown() -> Self {
        Self { reason: Reason::Shutdown, detail: "the collector is shutting down; nothing is lost".to_owned() }
    }

    /// The stream stood long enough.
    pub fn aged() -> Self {
        Self { reason: Reason::Aged, detail: "this stream stood long enough; open a new one".to_owned() }
    }

    /// The message that says so.
    pub fn message(&self) -> wire::StreamResponse {
        response(Down::GoAway(wire::GoAway { reason: self.reason.into(), detail: self.detail.clone() }))
    }
}

/// One stream of one agent.
#[derive(Debug)]
pub struct Session {
    window: usize,
    outstanding: usize,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The first message must be Hello.
    Silent,
    /// Hello came; the store has not answered.
    Admitting(Box<AgentHello>),
    /// Batches may come.
    Open(Open),
}

#[derive(Debug)]
struct Open {
    agent: AgentId,
    spool_id: SpoolId,
    epoch: Epoch,
    /// By lane, event first: everything through this was handed to the store.
    submitted: [i64; 2],
}

impl Session {
    /// A stream that may have `window` bytes of bodies unacknowledged.
    pub fn new(window: usize) -> Self {
        Self { window, outstanding: 0, stage: Stage::Silent }
    }

    /// Whether another message may be read. While it may not, the agent's messages wait in the transport, and then at the
    /// agent: that is how a slow store slows agents down without dropping anything.
    pub fn has_room(&self) -> bool {
        !matches!(self.stage, Stage::Admitting(_)) && self.outstanding < self.window
    }

    /// Whether the store still owes answers.
    pub fn is_waiting(&self) -> bool {
        self.outstanding > 0
    }

    /// Takes a message of the agent.
    pub fn handle_message(&mut self, request: wire::StreamRequest) -> Result<Step, Farewell> {
        let message = request.message.ok_or_else(|| Farewell::protocol("an empty message"))?;
        match (&mut self.stage, message) {
            (Stage::Silent, Up::Hello(hello)) => {
                if hello.protocol > PROTOCOL {
                    return Err(Farewell {
                        reason: Reason::ProtocolVersion,
                        detail: format!(
                            "the agent (version {:?}) speaks protocol {}, this collector knows those through {PROTOCOL}: upgrade the collector first",
                            hello.version, hello.protocol
                        ),
                    });
                }
                let hello = read_hello(hello).map_err(|e| Farewell::protocol(format!("hello: {e}")))?;
                self.stage = Stage::Admitting(Box::new(hello.clone()));
                Ok(Step::Admit(hello))
            }
            (Stage::Silent, _) => Err(Farewell::protocol("the first message must be Hello")),
            (_, Up::Hello(_)) => Err(Farewell::protocol("a second Hello on one stream; open a new stream instead")),
            (Stage::Open(open), Up::Batch(batch)) => {
                let batch = open.accept(batch)?;
                // Never nothing, so that a batch of a skip alone waits for its answer too.
                let bytes = batch.bodies.iter().map(Vec::len).sum::<usize>().max(1);
                self.outstanding += bytes;
                Ok(Step::Submit { batch, bytes })
            }
            (Stage::Admitting(_), Up::Batch(_)) => Err(Farewell::protocol("a Batch before Welcome")),
            (_, Up::OrderResult(result)) => Ok(Step::Ordered(result)),
        }
    }

    /// The store admitted the agent: answers the Welcome to send.
    pub fn handle_admission(&mut self, admission: &Admission) -> Result<wire::StreamResponse, Farewell> {
        let Stage::Admitting(hello) = &self.stage else {
            return Err(Farewell::protocol("an admission that nobody asked for"));
        };
        let mut submitted = [0; 2];
        for (lane, mark) in &admission.marks {
            submitted[slot(*lane)] = *mark;
        }
        self.stage = Stage::Open(Open {
            agent: hello.agent.clone(),
            spool_id: hello.spool_id,
            epoch: admission.epoch,
            submitted,
        });
        let lanes = Lane::ALL.map(|lane| {
            let known = admission.known.iter().find(|k| k.lane == lane);
            wire::LaneMark {
                lane: wire::Lane::from(lane).into(),
                committed: submitted[slot(lane)],
                known_seq: known.map_or(0, |k| k.seq),
                known_crc32c: known.map_or(0, |k| k.crc32c),
            }
        });
        Ok(response(Down::Welcome(wire::Welcome {
            lanes: lanes.to_vec(),
            window_bytes: i64::try_from(self.window).unwrap_or(i64::MAX),
            packed: true,
            protocol: PROTOCOL,
        })))
    }

    /// The store has the batch for good: answers the Ack to send.
    pub fn handle_committed(&mut self, lane: Lane, bytes: usize, committed: Committed) -> wire::StreamResponse {
        self.outstanding = self.outstanding.saturating_sub(bytes);
        response(Down::Ack(wire::Ack { lane: wire::Lane::from(lane).into(), committed: committed.through }))
    }

    /// The store refused: how the stream ends. What was not acknowledged, the agent keeps and sends again.
    pub fn handle_store_error(&self, error: &StoreError) -> Farewell {
        match error {
            StoreError::Fenced { .. } => Farewell::fenced(),
            StoreError::Jump { .. } => Farewell::protocol(error.to_string()),
            StoreError::DifferentBody { .. } => Farewell { reason: Reason::SpoolRolledBack, detail: error.to_string() },
            StoreError::Closed => Farewell::shutdown(),
            StoreError::Unavailable { .. }
            | StoreError::Damaged { .. }
            | StoreError::NewerSchema { .. }
            | StoreError::MigrationChanged { .. }
            | StoreError::Conflict { .. }
            | StoreError::NotFound { .. }
            | StoreError::BadToken
            | StoreError::Refused { .. } => {
                Farewell { reason: Reason::StoreUnavailable, detail: "the collector cannot store now".to_owned() }
            }
        }
    }
}

impl Open {
    fn accept(&mut self, batch: wire::Batch) -> Result<IncomingBatch, Farewell> {
        let lane = read_lane(batch.lane).map_err(|e| Farewell::protocol(format!("batch: {e}")))?;
        let bad = |what: String| Farewell::protocol(format!("batch of lane {}: {what}", lane.as_str()));
        let first_seq = batch.first_seq;
        let count = i64::try_from(batch.bodies.len()).map_err(|_| bad("too many bodies".to_owned()))?;
        if first_seq < 1 {
            return Err(bad(format!("first_seq is {first_seq}, sequences begin at 1")));
        }
        let last = first_seq.checked_add(count - 1).ok_or_else(|| bad("the sequence runs over".to_owned()))?;
        let skipped = batch.skipped.map(|s| read_skipped(s, first_seq).map_err(&bad)).transpose()?;
        if count == 0 && skipped.is_none() {
            return Err(bad("neither bodies nor a skipped range".to_owned()));
        }
        let submitted = &mut self.submitted[slot(lane)];
        let begins = skipped.as_ref().map_or(first_seq, |s| s.first);
        if begins > submitted.saturating_add(1) {
            return Err(bad(format!(
                "it begins at {begins}, but {submitted} was the last before it and nothing says that those between will never come"
            )));
        }
        *submitted = (*submitted).max(last);
        Ok(IncomingBatch {
            epoch: self.epoch,
            agent: self.agent.clone(),
            spool_id: self.spool_id,
            lane,
            first_seq,
            bodies: batch.bodies,
            skipped,
        })
    }
}

fn slot(lane: Lane) -> usize {
    match lane {
        Lane::Event => 0,
        Lane::Telemetry => 1,
    }
}

fn response(message: Down) -> wire::StreamResponse {
    wire::StreamResponse { message: Some(message) }
}

/// Why a Hello cannot be understood.
#[derive(Debug, thiserror::Error)]
enum HelloError {
    #[error(transparent)]
    Id(#[from] outband_schemas::IdError),
    #[error(transparent)]
    Convert(#[from] ConvertError),
    #[error("lane {0} stands twice")]
    LaneTwice(&'static str),
    #[error("lane {lane}: oldest {oldest} and next {next} are no range")]
    Range { lane: &'static str, oldest: i64, next: i64 },
    #[error("sensor_interval_ms {0} is negative")]
    Interval(i64),
}

fn read_lane(number: i32) -> Result<Lane, ConvertError> {
    let lane = wire::Lane::try_from(number).map_err(|_| ConvertError::UnknownNumber {
        field: "lane",
        number: u32::try_from(number).unwrap_or(u32::MAX),
    })?;
    Lane::try_from(lane)
}

fn read_hello(hello: wire::Hello) -> Result<AgentHello, HelloError> {
    let mut lanes: Vec<LaneState> = Vec::with_capacity(2);
    for state in &hello.lanes {
        let lane = read_lane(state.lane)?;
        let (oldest, next) = (state.oldest, state.next);
        if lanes.iter().any(|l| l.lane == lane) {
            return Err(HelloError::LaneTwice(lane.as_str()));
        }
        if oldest < 1 || next < oldest {
            return Err(HelloError::Range { lane: lane.as_str(), oldest, next });
        }
        lanes.push(LaneState { lane, oldest, next });
    }
    let interval =
        u64::try_from(hello.sensor_interval_ms).map_err(|_| HelloError::Interval(hello.sensor_interval_ms))?;
    Ok(AgentHello {
        agent: AgentId::new(hello.agent)?,
        site: SiteId::new(hello.site)?,
        spool_id: hello.spool_id.parse()?,
        version: hello.version,
        targets: hello.targets.into_iter().map(TargetId::new).collect::<Result<_, _>>()?,
        sensor_interval: Duration::from_millis(interval),
        lanes,
    })
}

fn read_skipped(skipped: wire::Skipped, first_seq: i64) -> Result<Skipped, String> {
    let (first, last) = (skipped.first, skipped.last);
    if first < 1 || last < first || last.checked_add(1) != Some(first_seq) {
        return Err(format!("the skipped range {first} to {last} does not reach to {first_seq} exactly"));
    }
    let cause = u8::try_from(skipped.reason).ok().and_then(Cause::from_number);
    let cause = cause.ok_or_else(|| format!("skipped for reason {}, which is unknown here", skipped.reason))?;
    Ok(Skipped {
        first,
        last,
        cause,
        detail: skipped.detail,
        from: Timestamp::from_millis(skipped.from_ms),
        to: Timestamp::from_millis(skipped.to_ms),
    })
}

#[cfg(test)]
mod tests;
