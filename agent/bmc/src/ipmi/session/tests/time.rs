//! The time of whoever asks is over, whatever the BMC does meanwhile.

use super::super::fake::{DEADLINE, FakeBmc, Pair};
use super::super::*;
use super::{failure, value};

/// How long the BMC takes for each answer: just not too long.
const DRIP: Duration = Duration::from_millis(3900);

/// Asks one sensor after the other of a BMC that answers each at the last moment; what each came to.
fn drip(pair: &mut Pair, sensors: u8) -> Vec<Result<u8, RequestError>> {
    let mut results = Vec::new();
    for sensor in 0..sensors {
        let id = pair.ask(sensor);
        let answered_at = pair.now + DRIP;
        let mut answers = Vec::new();
        let result = loop {
            answers.extend(pair.answers());
            let events = pair.events();
            if let Some(error) = failure(&events, id) {
                break Err(error);
            }
            if let Some(value) = value(&events, id) {
                break Ok(value);
            }
            match pair.session.poll_timeout() {
                Some(wake) if wake < answered_at => pair.wake(),
                _ => {
                    pair.now = answered_at;
                    answers.drain(..).for_each(|a| {
                        pair.session.handle_datagram(answered_at, &a);
                    });
                }
            }
        };
        results.push(result);
    }
    results
}

#[test]
fn a_bmc_that_answers_each_request_at_the_last_moment_holds_nobody_beyond_his_time() {
    let mut pair = Pair::up(FakeBmc::new());
    let begun = pair.now;
    pair.session.finish_by(Some(begun + Duration::from_secs(30)));
    let results = drip(&mut pair, 100);
    assert_eq!(pair.now.duration_since(begun), Duration::from_secs(30));
    // What it said by then is there, and each is that of its own sensor.
    assert_eq!(results[..7], (0..7).map(Ok).collect::<Vec<_>>()[..]);
    assert!(results[7..].iter().all(|r| *r == Err(RequestError::OutOfTime)));
    // An answer that comes after all is nobody's; and the session is as good as before.
    pair.session.finish_by(None);
    let id = pair.ask(200);
    assert_eq!(value(&pair.run(), id), Some(200));
    assert_eq!(pair.session.logins(), 1);
}

#[test]
fn a_request_put_after_its_time_is_not_sent() {
    let mut pair = Pair::up(FakeBmc::new());
    pair.session.finish_by(Some(pair.now));
    let id = pair.ask(1);
    assert!(pair.sent().is_empty());
    assert_eq!(failure(&pair.events(), id), Some(RequestError::OutOfTime));
}

#[test]
fn a_login_that_is_under_way_when_the_time_is_over_goes_on_for_the_next_request() {
    let mut pair = Pair::up(FakeBmc::new());
    pair.bmc.forget();
    pair.session.finish_by(Some(pair.now + DEADLINE + Duration::from_millis(100)));
    let id = pair.ask(1);
    // Nobody answers in the session that is gone; of the login that follows the first answers are late.
    while pair.now < pair.begun + DEADLINE {
        pair.sent();
        pair.wake();
    }
    let late = pair.answers();
    assert!(!late.is_empty());
    pair.wake();
    assert_eq!(failure(&pair.events(), id), Some(RequestError::OutOfTime));
    late.iter().for_each(|a| pair.deliver(a));
    pair.run();
    assert_eq!(pair.session.logins(), 2);
    pair.session.finish_by(None);
    let next = pair.ask(2);
    assert_eq!(value(&pair.run(), next), Some(2));
}
