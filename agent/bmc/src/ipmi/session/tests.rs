//! One behaviour each, with a time of their own and a network that does what the test says.

mod bridged;
mod doubt;
mod idle;
mod ipmitool;
mod time;
pub(super) mod weak;

use super::fake::{DEADLINE, FakeBmc, Pair, config};
use super::*;
use crate::{Rung, Secret};
use proptest::prelude::*;

/// The value in the answer to the given request; the fake BMC answers a sensor's number.
fn value(events: &[Event], id: RequestId) -> Option<u8> {
    events.iter().find_map(|e| match e {
        Event::Answered(answered, Ok(response)) if *answered == id => response.data.first().copied(),
        _ => None,
    })
}

fn failure(events: &[Event], id: RequestId) -> Option<RequestError> {
    events.iter().find_map(|e| match e {
        Event::Answered(answered, Err(error)) if *answered == id => Some(error.clone()),
        _ => None,
    })
}

fn refused(bmc: FakeBmc, config: Config) -> ConnectError {
    let events = Pair::new(config, bmc).run();
    events.iter().find_map(|e| if let Event::Refused(error) = e { Some((**error).clone()) } else { None }).unwrap()
}

#[test]
fn it_logs_in_and_asks_under_either_suite() {
    for suite in [CipherSuite::Three, CipherSuite::Seventeen] {
        let mut pair = Pair::up(FakeBmc { suites: vec![suite], ..FakeBmc::new() });
        let id = pair.ask(42);
        assert_eq!(value(&pair.run(), id), Some(42), "{suite:?}");
    }
}

#[test]
fn the_stronger_suite_is_taken_where_both_are_offered() {
    let pair = Pair::up(FakeBmc::new());
    assert!(pair.session.climbed().iter().any(|r| r.rung == Rung::Security && r.found.contains("suite 17")));
}

#[test]
fn a_bmc_that_never_lists_its_suites_costs_less_than_a_second() {
    let pair = Pair::up(FakeBmc { lists_suites: false, suites: vec![CipherSuite::Three], ..FakeBmc::new() });
    assert!(pair.now.duration_since(pair.begun) < Duration::from_secs(1));
}

#[test]
fn a_late_answer_never_becomes_another_requests_reading() {
    let mut pair = Pair::up(FakeBmc::new());
    let first = pair.ask(200);
    let late = pair.answers();
    pair.wake();
    assert_eq!(value(&pair.run(), first), Some(200), "the repetition is answered");
    // More requests than there are request numbers, each preceded by the late answer.
    for sensor in 0..130 {
        let id = pair.ask(sensor);
        let answers = pair.answers();
        late.iter().for_each(|l| pair.deliver(l));
        assert_eq!(value(&pair.events(), id), None);
        answers.iter().for_each(|a| pair.deliver(a));
        assert_eq!(value(&pair.events(), id), Some(sensor));
    }
}

#[test]
fn an_answer_that_the_bmc_itself_sends_late_is_not_taken_for_another_requests_either() {
    let mut pair = Pair::up(FakeBmc::new());
    let first = pair.ask(200);
    // Lost on its way; the repetition is answered.
    pair.sent();
    pair.wake();
    assert_eq!(value(&pair.run(), first), Some(200));
    let number = pair.bmc.seen.last().unwrap().rq_seq;
    for sensor in 0..130 {
        let id = pair.ask(sensor);
        let datagrams = pair.sent();
        // The BMC comes round to the first transmission only now, with a sequence number that is new.
        let late = pair.bmc.seal(&FakeBmc::reading(number, 200)).unwrap();
        pair.deliver(&late);
        assert_eq!(value(&pair.events(), id), None, "sensor {sensor}");
        let answer = pair.bmc.answer(&datagrams[0]).unwrap();
        pair.deliver(&answer);
        assert_eq!(value(&pair.events(), id), Some(sensor));
    }
}

#[test]
fn an_answer_that_the_network_repeats_much_later_is_recognised_by_its_sequence_number() {
    let mut pair = Pair::up(FakeBmc::new());
    let first = pair.ask(200);
    let copy = pair.answers().remove(0);
    pair.deliver(&copy);
    assert_eq!(value(&pair.events(), first), Some(200));
    // Its request number was answered, so it is used again; the copy fits everything but the sequence.
    for sensor in 0..130 {
        let id = pair.ask(sensor);
        let answers = pair.answers();
        pair.deliver(&copy);
        assert_eq!(value(&pair.events(), id), None, "sensor {sensor}");
        answers.iter().for_each(|a| pair.deliver(a));
        assert_eq!(value(&pair.events(), id), Some(sensor));
    }
}

#[test]
fn a_repeated_answer_counts_once() {
    let mut pair = Pair::up(FakeBmc::new());
    let id = pair.ask(5);
    let answers = pair.answers();
    (0..3).for_each(|_| pair.deliver(&answers[0]));
    let events = pair.events();
    assert_eq!(events.len(), 1);
    assert_eq!(value(&events, id), Some(5));
    assert_eq!(pair.session.ignored(), 2);
}

#[test]
fn a_repetition_keeps_its_request_number_and_gets_a_new_sequence_number() {
    let mut pair = Pair::up(FakeBmc::new());
    pair.bmc.seen.clear();
    pair.ask(5);
    // Both reach the BMC; the answer to the first is lost.
    pair.answers();
    pair.wake();
    pair.answers();
    let [first, second] = pair.bmc.seen.as_slice() else { panic!("{:?}", pair.bmc.seen) };
    assert_eq!(first.rq_seq, second.rq_seq);
    assert_eq!(first.sequence + 1, second.sequence);
}

#[test]
fn an_answer_to_another_command_is_ignored() {
    let mut pair = Pair::up(FakeBmc::new());
    let id = pair.ask(5);
    pair.answers();
    let number = pair.bmc.seen.last().unwrap().rq_seq;
    let mut other = FakeBmc::reading(number, 9);
    other[5] = 0x2F;
    let other = pair.bmc.seal(&other).unwrap();
    pair.deliver(&other);
    assert_eq!(value(&pair.events(), id), None);
}

#[test]
fn an_answer_with_wrong_checksums_is_taken_since_its_packet_is_authentic() {
    let mut pair = Pair::up(FakeBmc::new());
    let id = pair.ask(5);
    pair.answers();
    let mut answer = FakeBmc::reading(pair.bmc.seen.last().unwrap().rq_seq, 5);
    *answer.last_mut().unwrap() ^= 0x55;
    let answer = pair.bmc.seal(&answer).unwrap();
    pair.deliver(&answer);
    assert_eq!(value(&pair.events(), id), Some(5));
}

#[test]
fn a_cut_off_packet_is_ignored_and_the_whole_one_is_taken() {
    let mut pair = Pair::up(FakeBmc::new());
    let id = pair.ask(5);
    let answer = pair.answers().remove(0);
    (0..answer.len()).for_each(|len| pair.deliver(&answer[..len]));
    assert_eq!(value(&pair.events(), id), None);
    pair.deliver(&answer);
    assert_eq!(value(&pair.events(), id), Some(5));
}

#[test]
fn sequence_numbers_of_the_bmc_may_skip() {
    let mut pair = Pair::up(FakeBmc::new());
    pair.bmc.seal(&[]);
    pair.bmc.seal(&[]);
    let id = pair.ask(5);
    assert_eq!(value(&pair.run(), id), Some(5));
}

#[test]
fn a_session_that_expired_is_opened_anew_without_losing_the_request() {
    let mut pair = Pair::up(FakeBmc::new());
    pair.bmc.forget();
    let id = pair.ask(5);
    let events = pair.run();
    assert_eq!(value(&events, id), Some(5));
    assert_eq!((pair.session.logins(), pair.bmc.opened), (2, 2));
}

#[test]
fn after_a_long_silence_an_expired_session_is_suspected_early() {
    let mut pair = Pair::up(FakeBmc::new());
    pair.bmc.forget();
    pair.now += Duration::from_secs(70);
    let asked = pair.now;
    let id = pair.ask(5);
    assert_eq!(value(&pair.run(), id), Some(5));
    assert!(pair.now.duration_since(asked) < DEADLINE / 2);
}

#[test]
fn before_a_new_session_the_old_one_is_closed_lest_it_leak() {
    let mut pair = Pair::up(FakeBmc::new());
    pair.ask(5);
    // Nothing comes through until the session is given up.
    let mut last = Vec::new();
    while pair.session.state == State::Up {
        last = pair.sent();
        pair.wake();
    }
    drop(last);
    pair.bmc.seen.clear();
    pair.answers();
    assert!(pair.bmc.seen.iter().any(|s| s.command == 0x3C));
}

#[test]
fn a_request_that_no_session_brings_through_times_out() {
    let mut pair = Pair::up(FakeBmc::new());
    let id = pair.ask(5);
    let mut events = Vec::new();
    while events.is_empty() {
        // Readings are never answered, all else is.
        let answers: Vec<_> = pair.answers();
        let last_was_reading = pair.bmc.seen.last().is_some_and(|s| s.command == 0x2D);
        if !last_was_reading {
            answers.iter().for_each(|a| pair.deliver(a));
        }
        if pair.session.outbox.is_empty() {
            pair.wake();
        }
        events = pair.events();
    }
    assert_eq!(failure(&events, id), Some(RequestError::Timeout(DEADLINE)));
    assert_eq!(pair.session.logins(), 2, "one new session was tried");
}

#[test]
fn a_bmc_that_goes_away_loses_the_session_with_the_reason() {
    let mut pair = Pair::up(FakeBmc::new());
    let id = pair.ask(5);
    let mut events = Vec::new();
    while events.is_empty() {
        pair.sent();
        pair.wake();
        events = pair.events();
    }
    assert!(matches!(failure(&events, id), Some(RequestError::Lost(_))), "{events:?}");
    let next = pair.ask(6);
    assert!(matches!(failure(&pair.events(), next), Some(RequestError::Lost(_))), "nothing is sent any more");
}

#[test]
fn a_busy_bmc_is_asked_again() {
    let mut pair = Pair::up(FakeBmc::new());
    pair.bmc.busy = 3;
    let id = pair.ask(5);
    assert_eq!(value(&pair.run(), id), Some(5));
}

#[test]
fn a_bmc_that_stays_busy_is_called_busy_and_not_silent() {
    let mut pair = Pair::up(FakeBmc::new());
    pair.bmc.busy = u32::MAX;
    let id = pair.ask(5);
    assert_eq!(failure(&pair.run(), id), Some(RequestError::Busy));
}

#[test]
fn privilege_is_raised_only_when_a_command_needs_it() {
    let mut pair = Pair::up(FakeBmc { needed: Privilege::Operator, ..FakeBmc::new() });
    assert_eq!(pair.session.privilege, Privilege::User);
    let id = pair.ask(5);
    assert_eq!(value(&pair.run(), id), Some(5));
    assert_eq!(pair.session.privilege, Privilege::Operator);
}

#[test]
fn a_privilege_that_cannot_be_had_denies_the_request_and_keeps_the_session() {
    let mut pair = Pair::up(FakeBmc { needed: Privilege::Operator, limit: Privilege::User, ..FakeBmc::new() });
    let id = pair.ask(5);
    assert_eq!(failure(&pair.run(), id), Some(RequestError::Denied));
    let logins = pair.session.logins();
    let again = pair.ask(5);
    assert_eq!(failure(&pair.run(), again), Some(RequestError::Denied));
    assert_eq!(pair.session.logins(), logins, "what could not be had is not tried again");
    pair.bmc.needed = Privilege::User;
    let id = pair.ask(6);
    assert_eq!(value(&pair.run(), id), Some(6));
}

#[test]
fn closing_tells_the_bmc() {
    let mut pair = Pair::up(FakeBmc::new());
    pair.session.close(pair.now);
    assert_eq!(pair.run(), [Event::Closed]);
    assert!(!pair.bmc.has_session());
}

#[test]
fn a_session_that_is_abandoned_still_says_good_bye() {
    let mut pair = Pair::up(FakeBmc::new());
    let farewell = pair.session.abandon().unwrap();
    pair.bmc.answer(&farewell);
    assert!(!pair.bmc.has_session());
}

#[test]
fn silence_breaks_the_first_rung() {
    let mut pair = Pair::new(config(), FakeBmc::new());
    let mut events = Vec::new();
    while events.is_empty() {
        pair.sent();
        pair.wake();
        events = pair.events();
    }
    assert!(matches!(&events[0], Event::Refused(e) if e.rung == Rung::Reach && e.climbed.is_empty()), "{events:?}");
}

#[test]
fn a_closed_port_breaks_the_first_rung_at_once() {
    let mut pair = Pair::new(config(), FakeBmc::new());
    pair.session.handle_unreachable("connection refused", pair.now);
    let events = pair.events();
    assert!(matches!(&events[0], Event::Refused(e) if e.rung == Rung::Reach), "{events:?}");
}

#[test]
fn a_host_that_only_answers_pings_breaks_the_second() {
    let mut pair = Pair::new(config(), FakeBmc::new());
    let mut events = Vec::new();
    while events.is_empty() {
        let pinged = pair.sent().iter().any(|d| d[3] == 6);
        if pinged {
            let mut pong = vec![6, 0, 0xFF, 6, 0, 0, 0x11, 0xBE, 0x40, 1, 0, 16, 0, 0, 0x11, 0xBE, 0, 0, 0, 0, 0x81, 0];
            pong.extend([0; 6]);
            pair.deliver(&pong);
        }
        pair.wake();
        events = pair.events();
    }
    assert!(matches!(&events[0], Event::Refused(e) if e.rung == Rung::Protocol), "{events:?}");
}

#[test]
fn a_bmc_without_rmcp_plus_breaks_the_second() {
    let error = refused(FakeBmc { rmcp_plus: false, ..FakeBmc::new() }, config());
    assert_eq!(error.rung, Rung::Protocol);
    assert_eq!(error.climbed.len(), 1);
}

#[test]
fn a_refused_suite_names_those_that_the_bmc_offers() {
    let bmc = FakeBmc { suites: vec![CipherSuite::Seventeen], ..FakeBmc::new() };
    let error = refused(bmc, Config { cipher: Some(CipherSuite::Three), ..config() });
    assert_eq!(error.rung, Rung::Security);
    assert!(error.detail.contains("suite 3 refused") && error.detail.contains("offers 17"), "{error}");
}

#[test]
fn an_unknown_user_and_a_wrong_password_are_told_apart() {
    let unknown = refused(FakeBmc::new(), Config { user: "nobody".to_owned(), ..config() });
    assert!(unknown.rung == Rung::Login && unknown.detail.contains("does not know user"), "{unknown}");
    let wrong = refused(FakeBmc::new(), Config { password: Secret::new("not-it"), ..config() });
    assert!(wrong.rung == Rung::Login && wrong.detail.contains("password is wrong"), "{wrong}");
    assert!(!wrong.to_string().contains("not-it"));
}

#[test]
fn a_bmc_key_is_named_as_what_stands_in_the_way() {
    let error = refused(FakeBmc { has_bmc_key: true, ..FakeBmc::new() }, config());
    assert!(error.rung == Rung::Login && error.remedy.contains("K_G"), "{error}");
}

#[test]
fn with_the_bmc_key_the_session_opens_and_with_another_it_does_not() {
    let with = |key: &str| Config { bmc_key: Some(key.parse().unwrap()), ..config() };
    for suite in [CipherSuite::Three, CipherSuite::Seventeen] {
        let bmc = FakeBmc { has_bmc_key: true, suites: vec![suite], ..FakeBmc::new() };
        let mut pair = Pair::new(with("b00c51"), bmc);
        assert!(pair.run().contains(&Event::Up), "{suite:?}");
    }
    let error = refused(FakeBmc { has_bmc_key: true, ..FakeBmc::new() }, with("b00c52"));
    assert!(error.rung == Rung::Login && error.remedy.contains("K_G"), "{error}");
    assert!(refused(FakeBmc::new(), with("b00c51")).remedy.contains("does not say"));
}

#[test]
fn a_bmc_without_a_free_session_is_busy() {
    let error = refused(FakeBmc { open_status: 1, ..FakeBmc::new() }, config());
    assert_eq!((error.rung, error.cause), (Rung::Login, outband_schemas::Cause::Busy));
}

#[test]
fn a_password_that_ipmi_cannot_carry_is_refused_before_anything_is_sent() {
    let mut pair = Pair::new(Config { password: Secret::new("x".repeat(21)), ..config() }, FakeBmc::new());
    assert!(pair.sent().is_empty());
    assert!(matches!(&pair.events()[0], Event::Refused(e) if e.rung == Rung::Login));
}

#[test]
fn debug_output_holds_no_password() {
    let pair = Pair::up(FakeBmc::new());
    assert!(!format!("{:?} {:?}", pair.session, pair.session.login.config).contains(super::fake::PASSWORD));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is thrown at a session while it logs in and asks, it answers right or not at all.
    #[test]
    fn noise_changes_nothing(noise in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 1..20)) {
        let mut pair = Pair::new(config(), FakeBmc::new());
        let mut noise = noise.iter().cycle();
        let mut disturb = |pair: &mut Pair| {
            let bytes = noise.next().unwrap();
            pair.deliver(bytes);
            let with_header = [&[6, 0, 0xFF, 7, 6][..], bytes].concat();
            pair.deliver(&with_header);
        };
        let mut events = Vec::new();
        while !events.contains(&Event::Up) {
            let answers = pair.answers();
            disturb(&mut pair);
            answers.iter().for_each(|a| pair.deliver(a));
            events.extend(pair.events());
        }
        let id = pair.ask(77);
        let answers = pair.answers();
        disturb(&mut pair);
        answers.iter().for_each(|a| pair.deliver(a));
        prop_assert_eq!(value(&pair.events(), id), Some(77));
    }

    /// Answers may be lost, doubled and put in any order: readings never change places.
    #[test]
    fn a_lossy_network_never_swaps_readings(fates in proptest::collection::vec(0u8..4, 1..60)) {
        let mut pair = Pair::up(FakeBmc::new());
        let mut fates = fates.iter().cycle();
        let mut held: Vec<Vec<u8>> = Vec::new();
        for sensor in 0..70 {
            let id = pair.ask(sensor);
            let mut tries = 0;
            let got = loop {
                let answers = pair.answers();
                for answer in answers {
                    match if tries > 3 { 1 } else { *fates.next().unwrap() } {
                        0 => {}
                        1 => pair.deliver(&answer),
                        2 => held.push(answer),
                        _ => {
                            pair.deliver(&answer);
                            held.push(answer);
                        }
                    }
                }
                if let Some(late) = held.pop().filter(|_| tries % 2 == 1) {
                    pair.deliver(&late);
                }
                let events = pair.events();
                prop_assert!(failure(&events, id).is_none());
                if let Some(got) = value(&events, id) {
                    break got;
                }
                tries += 1;
                pair.wake();
            };
            prop_assert_eq!(got, sensor);
        }
    }
}
