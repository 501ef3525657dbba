//! What a collector may send down an agent's stream, in any order, with any numbers, and what the spool may answer.
//!
//! Must hold: what is sent follows what was sent before without a hole, nothing before Welcome, and nothing is released that the collector did not say it has.

#![no_main]

use libfuzzer_sys::fuzz_target;
use outband_agent::spooler::{Held, lane_of};
use outband_agent::uplink::Announce;
use outband_agent::uplink::session::{Action, Session};
use outband_fuzz::script::Script;
use outband_fuzz::seeds;
use outband_proto::ingest as wire;
use outband_schemas::{AgentId, Lane, SiteId, SpoolId};
use outband_spool::{LaneState, Lanes, Peek, SkipReason, Skipped};
use prost::Message;
use std::time::Duration;
use wire::stream_request::Message as Up;
use wire::stream_response::Message as Down;

fn state(script: &mut Script<'_>) -> LaneState {
    let oldest = i64::from(script.byte() % 16) + 1;
    let next = oldest + i64::from(script.byte() % 16);
    LaneState { oldest, next, released: i64::from(script.byte()).min(next - 1) }
}

fn welcome(script: &mut Script<'_>) -> Down {
    let lanes = (0..script.byte() % 4)
        .map(|_| wire::LaneMark {
            lane: i32::from(script.byte() % 4),
            committed: script.number(),
            known_seq: script.number(),
            known_crc32c: u32::from(script.word()),
        })
        .collect();
    Down::Welcome(wire::Welcome { lanes, window_bytes: script.number(), packed: script.byte() & 1 == 0, protocol: 1 })
}

/// As a spool would answer: what is asked for or what is lost before it, now and then less.
fn answer(script: &mut Script<'_>, held: &Held, lane: Lane, after: i64) -> Peek {
    let state = held.lanes.get(lane_of(lane));
    let expected = after + 1;
    let how = script.byte();
    let lost =
        if state.oldest > expected { state.oldest - 1 } else { (expected + i64::from(how % 4)).min(state.next - 1) };
    let skipped = (expected < state.next && (state.oldest > expected || how & 0x80 != 0)).then_some(Skipped {
        first: expected,
        last: lost,
        reason: SkipReason::Evicted,
        from_ms: script.number(),
        to_ms: script.number(),
    });
    let first_seq = skipped.map_or(expected, |s| s.last + 1);
    let count = (state.next - first_seq).clamp(0, i64::from(how >> 4 & 3));
    let bodies = (0..count).map(|_| script.slice().to_vec()).collect();
    Peek { skipped, first_seq, bodies }
}

fuzz_target!(init: seeds::plant(seeds::uplink_session), |data: &[u8]| {
    let mut script = Script(data);
    let announce = Announce {
        agent: AgentId::new("a1").expect("a word is an agent's id"),
        site: SiteId::new("dc1").expect("a word is a site's id"),
        version: String::new(),
        targets: Vec::new(),
        sensor_interval: Duration::from_secs(60),
    };
    let mut held = Held { id: SpoolId::from_bits(1), lanes: Lanes { event: state(&mut script), telemetry: state(&mut script) } };
    let mut session = Session::new(&announce, held);
    // Of each lane: through where it was sent, and what the collector said that it has.
    let (mut sent, mut has) = ([None::<i64>; 2], [0_i64; 2]);
    let slot = |lane: i32| usize::from(lane == i32::from(wire::Lane::from(Lane::Telemetry)));
    while !script.is_over() {
        let message = match script.byte() % 7 {
            0 => Some(welcome(&mut script)),
            1 => Some(Down::Ack(wire::Ack { lane: i32::from(script.byte() % 4), committed: script.number() })),
            2 => Some(Down::Order(wire::Order { id: "o".repeat(usize::from(script.byte())), ..wire::Order::default() })),
            3 => Some(Down::Revoke(wire::Revoke { id: String::new() })),
            4 => {
                let lane = held.lanes.telemetry;
                held.lanes.telemetry.next = lane.next + i64::from(script.byte() % 4);
                session.handle_held(held);
                None
            }
            5 => Some(Down::GoAway(wire::GoAway { reason: i32::from(script.byte()), detail: String::new() })),
            _ => match wire::StreamResponse::decode(script.slice()) {
                Ok(response) => response.message,
                Err(_) => continue,
            },
        };
        let welcomed = session.is_welcomed();
        if let Some(message) = message {
            let said = message.clone();
            if let Err(error) = session.handle_message(wire::StreamResponse { message: Some(message) }) {
                assert!(!error.to_string().is_empty());
                // The stream ends here.
                return;
            }
            match said {
                Down::Welcome(w) => {
                    for lane in Lane::ALL {
                        let number = i32::from(wire::Lane::from(lane));
                        let mark = w.lanes.iter().find(|m| m.lane == number).map_or(0, |m| m.committed);
                        (sent[slot(number)], has[slot(number)]) = (Some(mark), mark);
                    }
                }
                Down::Ack(ack) => has[slot(ack.lane)] = ack.committed,
                _ => {}
            }
        }
        // A spool that answers with nothing is asked again: not for ever.
        for _ in 0..64 {
            let Some(action) = session.poll_action() else { break };
            match action {
                Action::Send(request) => match request.message {
                    Some(Up::Hello(_)) => assert!(!welcomed),
                    Some(Up::Batch(batch)) => {
                        let before = sent[slot(batch.lane)].expect("a batch before Welcome");
                        let first = batch.skipped.as_ref().map_or(batch.first_seq, |s| s.first);
                        assert_eq!(first, before + 1, "a hole, or something twice");
                        sent[slot(batch.lane)] = Some(batch.first_seq - 1 + batch.bodies.len() as i64);
                    }
                    other => panic!("{other:?} is not the session's"),
                },
                Action::Peek { lane, after, max_bytes } => {
                    assert!(max_bytes > 0 && after >= 0);
                    let peek = answer(&mut script, &held, lane, after);
                    if session.handle_peek(lane, peek).is_err() {
                        return;
                    }
                }
                Action::Release { lane, through } => {
                    assert!(through <= has[slot(i32::from(wire::Lane::from(lane)))], "released what the collector does not have");
                }
                Action::Order(order) => assert!(!order.id.is_empty() && order.id.len() <= 128),
                Action::Revoke(_) => {}
            }
        }
    }
});
