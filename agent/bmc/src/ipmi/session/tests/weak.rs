//! Sessions that are used only where they are named: suites without encryption, and IPMI 1.5.

use super::super::fake::{FakeBmc, PASSWORD, Pair, config};
use super::super::*;
use super::{refused, value};
use crate::{Rung, Secret};

pub(in crate::ipmi::session) const SUITES: [CipherSuite; 5] =
    [CipherSuite::Zero, CipherSuite::One, CipherSuite::Two, CipherSuite::Fifteen, CipherSuite::Sixteen];
pub(in crate::ipmi::session) const AUTH: [AuthType; 3] = [AuthType::Md5, AuthType::Md2, AuthType::Password];

fn named(suite: CipherSuite) -> Config {
    Config { cipher: Some(suite), ..config() }
}

#[test]
fn a_weak_suite_that_is_named_logs_in_and_asks_and_its_rung_says_what_is_weak() {
    for suite in SUITES {
        let mut pair = Pair::new(named(suite), FakeBmc { suites: vec![suite], ..FakeBmc::new() });
        assert!(pair.run().contains(&Event::Up), "{suite}");
        let id = pair.ask(42);
        assert_eq!(value(&pair.run(), id), Some(42), "{suite}");
        let security = pair.session.climbed().iter().find(|r| r.rung == Rung::Security).unwrap();
        assert!(security.found.contains(&format!("suite {suite} ")) && security.found.contains("weak"), "{security:?}");
    }
}

#[test]
fn a_weak_suite_that_is_not_named_is_not_used_and_the_refusal_says_how_to_name_it() {
    for suite in SUITES {
        let error = refused(FakeBmc { suites: vec![suite], ..FakeBmc::new() }, config());
        assert_eq!(error.rung, Rung::Security, "{error}");
        assert!(error.remedy.contains(&format!("cipher = {suite}")), "{error}");
    }
}

#[test]
fn a_wrong_password_is_told_by_every_suite_that_asks_for_one() {
    for suite in &SUITES[1..] {
        let config = Config { password: Secret::new("wrong"), ..named(*suite) };
        let error = refused(FakeBmc { suites: vec![*suite], ..FakeBmc::new() }, config);
        assert!(error.rung == Rung::Login && error.detail.contains("password is wrong"), "{suite}: {error}");
    }
}

#[test]
fn without_codes_an_answer_with_wrong_checksums_is_not_believed() {
    let bmc = FakeBmc { suites: vec![CipherSuite::One], ..FakeBmc::new() };
    let mut pair = Pair::new(named(CipherSuite::One), bmc);
    pair.run();
    let id = pair.ask(5);
    let mut answer = pair.answers().remove(0);
    let at = answer.len() - 5;
    answer[at] ^= 1;
    pair.deliver(&answer);
    assert_eq!(value(&pair.events(), id), None);
    assert_eq!(value(&pair.run(), id), Some(5));
}

#[test]
fn a_packet_that_is_less_secured_than_its_session_is_not_believed() {
    let mut pair = Pair::up(FakeBmc::new());
    let id = pair.ask(5);
    pair.answers();
    // Somebody who has no key, and knows all else.
    let rq_seq = pair.bmc.seen.last().unwrap().rq_seq;
    let open = Keys::derive(CipherSuite::One, &[]);
    let forged = message::wrap_sealed(&open, pair.bmc.console_session, 77, [0; 16], &FakeBmc::reading(rq_seq, 9));
    pair.deliver(&forged);
    assert_eq!(value(&pair.events(), id), None);
    assert_eq!(value(&pair.run(), id), Some(5));
}

#[test]
fn a_session_of_ipmi_1_5_that_is_named_logs_in_and_asks() {
    for auth in AUTH {
        let bmc = FakeBmc { rmcp_plus: false, v15: Some(auth), ..FakeBmc::new() };
        let mut pair = Pair::new(named(CipherSuite::V15(auth)), bmc);
        let events = pair.run();
        assert!(events.contains(&Event::Up), "{auth:?}: {events:?}");
        for sensor in 0..70 {
            let id = pair.ask(sensor);
            assert_eq!(value(&pair.run(), id), Some(sensor), "{auth:?}");
        }
        assert!(pair.session.climbed().iter().any(|r| r.rung == Rung::Security && r.found.contains("weak")));
        pair.session.close(pair.now);
        assert_eq!(pair.run(), [Event::Closed]);
        assert!(!pair.bmc.has_session());
    }
}

#[test]
fn ipmi_1_5_is_not_used_unless_named_and_the_refusal_says_how_to_name_it() {
    let bmc = FakeBmc { rmcp_plus: false, v15: Some(AuthType::Md5), ..FakeBmc::new() };
    let error = refused(bmc, config());
    assert!(error.rung == Rung::Protocol && error.remedy.contains("cipher = \"1.5-md5\""), "{error}");
}

#[test]
fn an_authentication_type_that_is_not_offered_is_told_with_those_that_are() {
    let bmc = FakeBmc { rmcp_plus: false, v15: Some(AuthType::Md2), ..FakeBmc::new() };
    let error = refused(bmc, named(CipherSuite::V15(AuthType::Md5)));
    assert!(error.rung == Rung::Security && error.detail.contains("it offers 1.5-md2"), "{error}");
}

#[test]
fn ipmi_1_5_tells_an_unknown_user_a_wrong_password_and_too_low_a_privilege_apart() {
    let auth = AuthType::Md5;
    let bmc = || FakeBmc { rmcp_plus: false, v15: Some(auth), ..FakeBmc::new() };
    let config = || named(CipherSuite::V15(auth));
    let unknown = refused(bmc(), Config { user: "nobody".to_owned(), ..config() });
    assert!(unknown.rung == Rung::Login && unknown.detail.contains("does not know user"), "{unknown}");
    let wrong = refused(bmc(), Config { password: Secret::new("not-it"), ..config() });
    assert!(wrong.is_login_refusal() && wrong.detail.contains("wrong password"), "{wrong}");
    let long = refused(bmc(), Config { password: Secret::new("x".repeat(17)), ..config() });
    assert!(long.detail.contains("17 bytes") && long.detail.contains("at most 16"), "{long}");
    let mut pair = Pair::new(config(), FakeBmc { needed: Privilege::Operator, limit: Privilege::User, ..bmc() });
    assert!(pair.run().contains(&Event::Up));
    let id = pair.ask(5);
    assert!(pair.run().contains(&Event::Answered(id, Err(RequestError::Denied))));
}

#[test]
fn an_expired_session_of_ipmi_1_5_is_opened_anew_without_losing_the_request() {
    let bmc = FakeBmc { rmcp_plus: false, v15: Some(AuthType::Md2), ..FakeBmc::new() };
    let mut pair = Pair::new(named(CipherSuite::V15(AuthType::Md2)), bmc);
    pair.run();
    pair.bmc.forget();
    let id = pair.ask(5);
    assert_eq!(value(&pair.run(), id), Some(5));
    assert_eq!(pair.session.logins(), 2);
}

#[test]
fn a_packet_of_ipmi_1_5_with_one_bit_turned_is_not_believed() {
    let bmc = FakeBmc { rmcp_plus: false, v15: Some(AuthType::Md5), ..FakeBmc::new() };
    let mut pair = Pair::new(named(CipherSuite::V15(AuthType::Md5)), bmc);
    pair.run();
    let id = pair.ask(5);
    let answer = pair.answers().remove(0);
    // The RMCP header's sequence number stands outside of what is signed.
    for bit in 32..answer.len() * 8 {
        let mut bent = answer.clone();
        bent[bit / 8] ^= 1 << (bit % 8);
        pair.deliver(&bent);
        assert_eq!(value(&pair.events(), id), None, "bit {bit}");
    }
    pair.deliver(&answer);
    assert_eq!(value(&pair.events(), id), Some(5));
}

#[test]
fn the_password_is_in_no_packet_but_those_that_carry_it_by_name() {
    for suite in [CipherSuite::V15(AuthType::Md5), CipherSuite::V15(AuthType::Md2), CipherSuite::Two] {
        let bmc = FakeBmc { rmcp_plus: suite.id().is_some(), suites: vec![CipherSuite::Two], ..FakeBmc::new() };
        let bmc = FakeBmc { v15: if let CipherSuite::V15(auth) = suite { Some(auth) } else { None }, ..bmc };
        let mut pair = Pair::new(named(suite), bmc);
        let mut events = Vec::new();
        while !events.contains(&Event::Up) {
            for datagram in pair.sent() {
                assert!(!datagram.windows(PASSWORD.len()).any(|w| w == PASSWORD.as_bytes()), "{suite}");
                if let Some(answer) = pair.bmc.answer(&datagram) {
                    pair.deliver(&answer);
                }
            }
            events.extend(pair.events());
        }
    }
}
