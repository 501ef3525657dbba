//! Refusals that nothing vouches for, and how often a password is tried.

use super::super::super::message::payload;
use super::super::fake::{FakeBmc, Pair, config};
use super::super::*;
use super::refused;
use crate::{Rung, Secret};

/// Of a packet outside a session: where its kind stands, and where its payload begins.
const KIND: usize = 5;
const PAYLOAD: usize = 16;

/// Runs a login in which the first message of a kind is bent, as often as told.
fn bent(bmc: FakeBmc, kind: u8, times: u32, mut bend: impl FnMut(&mut [u8])) -> (Pair, Vec<Event>) {
    let mut pair = Pair::new(config(), bmc);
    let mut left = times;
    let events = pair.run_bending(|datagram| {
        if datagram.get(KIND) == Some(&kind) && left > 0 {
            left -= 1;
            bend(&mut datagram[PAYLOAD..]);
        }
    });
    assert_eq!(left, 0, "it came to nothing that could be bent");
    (pair, events)
}

#[test]
fn a_rakp_message_2_with_bits_turned_is_no_wrong_password() {
    // Status (to "unauthorized name"), random number, GUID, code.
    for (at, bits) in [(1, 0x0D), (9, 0x10), (30, 0x01), (41, 0x80)] {
        let (pair, events) = bent(FakeBmc::new(), payload::RAKP2, 1, |body| body[at] ^= bits);
        assert!(events.contains(&Event::Up), "byte {at}: {events:?}");
        // Nor does it cost the better suite.
        assert!(pair.session.climbed().iter().any(|r| r.rung == Rung::Security && r.found.contains("suite 17")));
        assert!(!pair.bmc.farewells.contains(&0x0F), "the BMC has no wrong password to count");
    }
}

#[test]
fn a_rakp_message_4_with_bits_turned_is_no_wrong_password_either() {
    for (at, bits) in [(1, 0x0F), (12, 0x01)] {
        let bmc = FakeBmc { suites: vec![CipherSuite::Three], ..FakeBmc::new() };
        let (_, events) = bent(bmc, payload::RAKP4, 1, |body| body[at] ^= bits);
        assert!(events.contains(&Event::Up), "byte {at}: {events:?}");
    }
}

#[test]
fn what_repeats_is_believed() {
    let bmc = FakeBmc { suites: vec![CipherSuite::Seventeen], ..FakeBmc::new() };
    let (_, events) = bent(bmc, payload::RAKP2, 2, |body| body[41] ^= 1);
    assert!(matches!(events.last(), Some(Event::Refused(e)) if e.detail.contains("password is wrong")), "{events:?}");
}

#[test]
fn a_wrong_password_is_tried_so_seldom_that_no_account_is_locked() {
    for (suites, farewells) in [
        (vec![CipherSuite::Seventeen], vec![0x01, 0x0F]),
        (vec![CipherSuite::Three, CipherSuite::Seventeen], vec![0x01, 0x0F, 0x0F]),
    ] {
        let bmc = FakeBmc { suites, ..FakeBmc::new() };
        let mut pair = Pair::new(Config { password: Secret::new("not-it"), ..config() }, bmc);
        let events = pair.run();
        assert!(matches!(events.last(), Some(Event::Refused(e)) if e.is_login_refusal()), "{events:?}");
        // "Insufficient resources" is no wrong password; and no code made with one was sent.
        assert_eq!((pair.bmc.farewells, pair.bmc.opened), (farewells, 0));
    }
}

#[test]
fn a_user_that_is_not_known_is_asked_for_twice_and_no_more() {
    let mut tries = 0;
    let mut pair = Pair::new(Config { user: "nobody".to_owned(), ..config() }, FakeBmc::new());
    pair.run_bending(|datagram| tries += u32::from(datagram.get(KIND) == Some(&payload::RAKP2)));
    assert_eq!(tries, 2);
    let error = refused(FakeBmc::new(), Config { user: "nobody".to_owned(), ..config() });
    assert!(error.detail.contains("does not know user"), "{error}");
}
