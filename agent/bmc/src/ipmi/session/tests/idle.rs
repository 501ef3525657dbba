//! What happens between polls, and to answers that nothing vouches for.

use super::super::fake::{FakeBmc, Pair, config};
use super::super::*;
use super::{refused, value};
use crate::Rung;

fn kept_open() -> Pair {
    let mut pair = Pair::new(Config { keep_alive: Some(KEEP_ALIVE), ..config() }, FakeBmc::new());
    assert!(pair.run().contains(&Event::Up));
    pair.bmc.seen.clear();
    pair
}

#[test]
fn an_idle_session_is_kept_open_before_the_bmc_expires_it() {
    let mut pair = kept_open();
    let begun = pair.now;
    for round in 1..=10u32 {
        pair.wake();
        let answers = pair.answers();
        answers.iter().for_each(|a| pair.deliver(a));
        assert_eq!(pair.now.duration_since(begun), KEEP_ALIVE * round);
        assert_eq!(pair.bmc.seen.len(), round as usize);
    }
    let id = pair.ask(5);
    assert_eq!(value(&pair.run(), id), Some(5));
    assert_eq!(pair.session.logins(), 1);
}

#[test]
fn a_session_that_is_asked_things_has_no_need_to_be_kept_open() {
    let mut pair = kept_open();
    for sensor in 0..20 {
        pair.now += KEEP_ALIVE / 2;
        pair.session.handle_timeout(pair.now);
        let id = pair.ask(sensor);
        assert_eq!(value(&pair.run(), id), Some(sensor));
    }
    assert!(pair.bmc.seen.iter().all(|s| s.command == 0x2D));
}

#[test]
fn a_request_does_not_wait_for_what_keeps_the_session_open() {
    let mut pair = kept_open();
    pair.wake();
    pair.sent();
    let id = pair.ask(5);
    let asked = pair.now;
    assert_eq!(value(&pair.run(), id), Some(5));
    assert_eq!((pair.now, pair.session.logins()), (asked, 1));
}

#[test]
fn a_session_found_expired_while_idle_costs_the_next_request_a_login_and_no_wait() {
    let mut pair = kept_open();
    pair.bmc.forget();
    while pair.session.poll_timeout().is_some() {
        pair.wake();
        assert!(pair.answers().is_empty(), "nobody answers in a session that is gone");
    }
    assert_eq!(pair.session.logins(), 1, "nobody logs in before there is something to ask");
    let asked = pair.now;
    let id = pair.ask(5);
    assert_eq!(value(&pair.run(), id), Some(5));
    assert_eq!((pair.now, pair.session.logins()), (asked, 2));
}

#[test]
fn a_message_of_the_handshake_that_was_cut_off_is_waited_for_again() {
    for cut_at in 0..60 {
        let mut pair = Pair::new(config(), FakeBmc::new());
        let (mut cut, mut events) = (0, Vec::new());
        while !events.contains(&Event::Up) {
            for answer in pair.answers() {
                // Each of the handshake's messages arrives cut off first; only the repetition is whole.
                let is_handshake = matches!(answer[5] & 0x3F, 0x11 | 0x13 | 0x15) && answer[4] == 6;
                if is_handshake && cut & (1 << (answer[5] & 7)) == 0 {
                    cut |= 1 << (answer[5] & 7);
                    pair.deliver(&answer[..answer.len().min(cut_at)]);
                    let mut shortened = answer[..answer.len().min(17 + cut_at % 8)].to_vec();
                    if shortened.len() > 16 {
                        let len = (shortened.len() - 16) as u16;
                        shortened[14..16].copy_from_slice(&len.to_le_bytes());
                        pair.deliver(&shortened);
                    }
                } else {
                    pair.deliver(&answer);
                }
            }
            let happened = pair.events();
            assert!(!happened.iter().any(|e| matches!(e, Event::Refused(_))), "cut at {cut_at}: {happened:?}");
            events.extend(happened);
            if pair.session.outbox.is_empty() && pair.session.awaiting.is_some() {
                pair.wake();
            }
        }
    }
}

#[test]
fn a_bmc_whose_handshake_never_has_the_right_shape_is_called_malformed() {
    let mut pair = Pair::new(Config { cipher: Some(CipherSuite::Three), ..config() }, FakeBmc::new());
    let error = loop {
        for answer in pair.answers() {
            let answer = if answer[5] == 0x13 { [&answer[..14], &[6, 0], &answer[16..22]].concat() } else { answer };
            pair.deliver(&answer);
        }
        if let Some(error) =
            pair.events().iter().find_map(|e| if let Event::Refused(error) = e { Some(error.clone()) } else { None })
        {
            break error;
        }
        if pair.session.outbox.is_empty() {
            pair.wake();
        }
    };
    assert_eq!((error.rung, error.cause), (Rung::Protocol, outband_schemas::Cause::Malformed));
    assert_eq!(refused(FakeBmc { open_status: 0x12, ..FakeBmc::new() }, config()).rung, Rung::Security);
}
