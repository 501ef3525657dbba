//! Requests that the BMC carries to a controller behind it.

use super::super::super::bridge;
use super::super::super::message::Response;
use super::super::fake::{FakeBmc, Pair};
use super::super::*;
use super::failure;
use ipmi_rs_core::connection::NetFn;

/// Get Sensor Reading of the controller at 2Ch, and what it answers (as OpenIPMI's simulator sends it).
const ANSWER: [u8; 12] = [0x20, 0x14, 0xCC, 0x2C, 0x14, 0x2D, 0x00, 0x31, 0xC0, 0x00, 0x00, 0xA2];

fn asked(pair: &mut Pair) -> RequestId {
    let wrapped = bridge::wrap(&Request::new(NetFn::SensorEvent, 0x2D, [7]), 0, 0x2C, 5);
    pair.session.request(wrapped, pair.now)
}

/// The BMC's own answer to Send Message.
fn carried(pair: &mut Pair, data: &[u8]) -> Vec<u8> {
    let rq_seq = pair.bmc.seen.last().unwrap().rq_seq;
    let answer = super::super::fake::respond(7, rq_seq, 0x34, &[&[0], data].concat());
    pair.bmc.seal(&answer).unwrap()
}

#[test]
fn the_controllers_answer_comes_as_a_message_of_its_own_or_within_the_bmcs() {
    for apart in [true, false] {
        let mut pair = Pair::up(FakeBmc::new());
        let id = asked(&mut pair);
        pair.answers();
        if apart {
            let empty = carried(&mut pair, &[]);
            pair.deliver(&empty);
            assert_eq!(pair.events(), []);
            let own = pair.bmc.seal(&ANSWER).unwrap();
            pair.deliver(&own);
        } else {
            let whole = carried(&mut pair, &ANSWER);
            pair.deliver(&whole);
        }
        let response = Response { completion: 0, data: ANSWER.as_slice().into() };
        assert_eq!(pair.events(), [Event::Answered(id, Ok(response))], "apart: {apart}");
    }
}

#[test]
fn a_silent_controller_costs_no_login() {
    let mut pair = Pair::up(FakeBmc::new());
    let id = asked(&mut pair);
    let mut events = Vec::new();
    while events.is_empty() {
        if !pair.answers().is_empty() {
            let empty = carried(&mut pair, &[]);
            pair.deliver(&empty);
        }
        pair.wake();
        events = pair.events();
    }
    assert!(matches!(failure(&events, id), Some(RequestError::Timeout(_))));
    assert_eq!(pair.session.logins(), 1);
}
