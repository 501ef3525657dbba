//! What an agent may send on its stream, in any order, with any numbers, against a store that answers anything.
//!
//! Must hold: nothing reaches the store before it admitted the agent, no batch leaves a hole, and room comes back with every answer.

#![no_main]

use libfuzzer_sys::fuzz_target;
use outband_collector::ingest::session::{Session, Step};
use outband_fuzz::script::Script;
use outband_fuzz::seeds;
use outband_proto::PROTOCOL;
use outband_proto::ingest as wire;
use outband_schemas::Lane;
use outband_store::{Admission, Committed, Epoch, IncomingBatch, StoreError};
use prost::Message;
use wire::stream_request::Message as Up;

const WINDOW: usize = 64;

/// What the store was given, by lane.
struct Model {
    admitted: bool,
    through: [i64; 2],
    outstanding: Vec<(Lane, usize)>,
}

impl Model {
    fn submitted(&mut self, batch: &IncomingBatch, bytes: usize) {
        assert!(self.admitted, "a batch of an agent that was not admitted");
        assert!(batch.first_seq >= 1 && bytes >= 1);
        assert!(!batch.bodies.is_empty() || batch.skipped.is_some());
        let slot = usize::from(batch.lane.number()) - 1;
        if let Some(skipped) = &batch.skipped {
            assert!(skipped.first >= 1 && skipped.first <= skipped.last);
            assert_eq!(skipped.last.checked_add(1), Some(batch.first_seq));
        }
        let begins = batch.skipped.as_ref().map_or(batch.first_seq, |s| s.first);
        assert!(begins - 1 <= self.through[slot], "a hole before {begins}");
        let last = batch.first_seq.checked_add(batch.bodies.len() as i64 - 1).expect("a last sequence");
        self.through[slot] = self.through[slot].max(last);
        self.outstanding.push((batch.lane, bytes));
    }
}

fn hello(script: &mut Script<'_>) -> Up {
    let word = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let how = script.byte();
    let lanes = (0..how % 4)
        .map(|_| wire::LaneState { lane: i32::from(script.byte() % 4), oldest: script.number(), next: script.number() })
        .collect();
    Up::Hello(wire::Hello {
        agent: if how & 0x80 == 0 { "agent-1".to_owned() } else { word(script.slice()) },
        spool_id: if how & 0x40 == 0 { "0123456789abcdef0123456789abcdef".to_owned() } else { word(script.slice()) },
        lanes,
        site: "site-1".to_owned(),
        version: String::new(),
        targets: if how & 0x20 == 0 { Vec::new() } else { vec![word(script.slice())] },
        sensor_interval_ms: script.number(),
        protocol: if how & 0x10 == 0 { PROTOCOL } else { u32::from(script.byte()) },
    })
}

fn batch(script: &mut Script<'_>, through: [i64; 2]) -> Up {
    let (lane, how) = (i32::from(script.byte() % 4), script.byte());
    let next = through[usize::from(lane == 2)].saturating_add(1);
    let first_seq = if how & 1 == 0 { next } else { script.number() };
    let skipped = (how & 2 != 0).then(|| wire::Skipped {
        first: if how & 4 == 0 { next } else { script.number() },
        last: if how & 8 == 0 { first_seq.saturating_sub(1) } else { script.number() },
        reason: u32::from(script.byte()),
        detail: String::new(),
        from_ms: script.number(),
        to_ms: script.number(),
    });
    let bodies = (0..how >> 6).map(|_| script.slice().to_vec()).collect();
    Up::Batch(wire::Batch { lane, first_seq, bodies, skipped })
}

fn error(which: u8) -> StoreError {
    match which % 4 {
        0 => StoreError::Closed,
        1 => StoreError::BadToken,
        2 => StoreError::Jump { lane: Lane::Event, mark: i64::MAX, first_seq: i64::MIN, skipped: Some((1, 2)) },
        _ => StoreError::DifferentBody { lane: Lane::Telemetry, seq: 1 },
    }
}

fuzz_target!(init: seeds::plant(seeds::ingest_stream), |data: &[u8]| {
    let mut script = Script(data);
    let mut session = Session::new(WINDOW);
    let mut model = Model { admitted: false, through: [0; 2], outstanding: Vec::new() };
    let mut greeted = false;
    while !script.is_over() {
        let message = match script.byte() % 8 {
            0 => Some(hello(&mut script)),
            1 | 2 => Some(batch(&mut script, model.through)),
            3 => Some(Up::OrderResult(wire::OrderResult::default())),
            4 => match wire::StreamRequest::decode(script.slice()) {
                Ok(request) => request.message,
                Err(_) => continue,
            },
            5 => {
                let marks = Lane::ALL.map(|lane| (lane, script.number().max(0)));
                let admitted = session.handle_admission(&Admission { epoch: Epoch(1), marks: marks.to_vec(), known: Vec::new() }).is_ok();
                assert_eq!(admitted, greeted && !model.admitted, "an admission that nobody asked for");
                if admitted {
                    (model.admitted, model.through) = (true, marks.map(|(_, mark)| mark));
                }
                continue;
            }
            6 => {
                if !model.outstanding.is_empty() {
                    let (lane, bytes) = model.outstanding.remove(0);
                    session.handle_committed(lane, bytes, Committed { through: script.number(), stored: 0 });
                }
                assert_eq!(session.is_waiting(), !model.outstanding.is_empty());
                continue;
            }
            _ => {
                session.handle_store_error(&error(script.byte())).message();
                continue;
            }
        };
        match session.handle_message(wire::StreamRequest { message }) {
            Ok(Step::Admit(_)) => {
                assert!(!std::mem::replace(&mut greeted, true), "two greetings on one stream");
            }
            Ok(Step::Submit { batch, bytes }) => model.submitted(&batch, bytes),
            Ok(Step::Ordered(_)) => {}
            Err(farewell) => {
                farewell.message();
                // The stream ends here.
                return;
            }
        }
        let taken: usize = model.outstanding.iter().map(|(_, bytes)| bytes).sum();
        assert_eq!(session.has_room(), taken < WINDOW && (model.admitted || !greeted));
    }
});
