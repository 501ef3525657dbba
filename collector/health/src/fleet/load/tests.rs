use super::*;
use crate::fleet::rate::tests::Dice;

#[test]
fn of_too_little_history_nothing_is_foretold() {
    assert_eq!(forecast(&[], 4), Err(TooLittle { weeks: 0 }));
    assert_eq!(forecast(&[5; LEAST_WEEKS - 1], 4), Err(TooLittle { weeks: LEAST_WEEKS - 1 }));
    assert_eq!(forecast(&[5; LEAST_WEEKS], 4).unwrap().len(), 4);
}

#[test]
fn the_level_is_that_of_the_last_weeks() {
    let mut past = vec![40; 30];
    past.extend([10; LEVEL_WEEKS]);
    let next = forecast(&past, 1).unwrap()[0];
    assert!((next.expected - 10.0).abs() < 1e-9 && next.season == 1.0, "{next:?}");
    // Poisson of mean 10: 4 to 17; of a level that is an estimate a little more.
    assert!((3..=4).contains(&next.low) && (17..=18).contains(&next.high), "{next:?}");
}

#[test]
fn where_no_ticket_came_one_may_still_come() {
    let next = forecast(&[0; 13], 1).unwrap()[0];
    assert!(next.expected == 0.0 && next.low == 0 && (1..=1).contains(&next.high), "{next:?}");
}

/// How many of a thousand weeks fall into the interval that was foretold for them.
fn covered(mut draw: impl FnMut(&mut Dice) -> u64) -> usize {
    let mut dice = Dice(5);
    (0..1000)
        .filter(|_| {
            let past: Vec<u64> = (0..20).map(|_| draw(&mut dice)).collect();
            let week = forecast(&past, 1).unwrap()[0];
            let came = draw(&mut dice);
            (week.low..=week.high).contains(&came)
        })
        .count()
}

#[test]
fn about_95_of_100_weeks_come_as_foretold_evenly_or_in_bursts() {
    for mean in [1.5, 12.0, 90.0] {
        let held = covered(|dice| dice.poisson(mean));
        assert!((930..=995).contains(&held), "{held} at {mean}");
    }
    // Bursts: the rate itself varies by half.
    let held = covered(|dice| {
        let rate = dice.gamma(4.0, 20.0);
        dice.poisson(rate)
    });
    assert!((900..=980).contains(&held), "{held}");
}

#[test]
fn a_season_is_known_after_two_years_and_growth_is_none() {
    // Summers bring twice as much as winters; the fleet doubles in a year.
    let week = |w: u64| {
        let season = if w % 52 < 26 { 2.0 } else { 1.0 };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and positive")]
        let n = (40.0 * season * (1.0 + (w / 52) as f64)).round() as u64;
        n
    };
    let past: Vec<u64> = (0..104).map(week).collect();
    let next = forecast(&past, 52).unwrap();
    let (summer, winter) = (next[12], next[38]);
    assert!((1.6..2.2).contains(&(summer.season / winter.season)), "{summer:?} {winter:?}");
    assert!(forecast(&past[1..], 52).unwrap().iter().all(|w| w.season == 1.0));
    // The last weeks were winter ones: summer is foretold from them all the same.
    assert!((summer.expected - 160.0).abs() < 30.0, "{summer:?}");
    let even: Vec<u64> = (0..104).map(|w| 20 + 20 * (w / 52)).collect();
    assert!(forecast(&even, 52).unwrap().iter().all(|w| (w.season - 1.0).abs() < 0.02));
}
