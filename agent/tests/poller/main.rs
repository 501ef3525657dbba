//! The poller against BMCs made of code: what lands in the spool, and what a slow, dead or changed BMC does to the others.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail the test")]

mod world;

use outband_agent::config::{Cadence, TargetConfig};
use outband_agent::poll::pins::{Change, Pins};
use outband_bmc::{Fingerprint, Secret};
use outband_schemas::{Cause, Lane, Observation, ObservationSet, Section};
use std::path::Path;
use std::time::{Duration, Instant};
use world::*;

#[tokio::test]
async fn each_section_lands_in_its_lane_and_the_session_is_kept() {
    let run = Running::start(Bmcs::default(), &[target("a", "ipmi://a")]);
    run.until(Lane::Telemetry, "sensors and drives", |s| {
        count(s, "a", Section::Sensors) > 3 && count(s, "a", Section::Drives) > 1
    })
    .await;
    let events = run.until(Lane::Event, "log", |s| count(s, "a", Section::Log) > 2).await;
    assert_eq!(events[0].section, Section::Inventory, "the server is identified first");
    assert_eq!(run.bmcs.connects("a"), 1);
    assert_eq!(run.stop().await.open(), 0, "every session is ended");
}

#[tokio::test]
async fn the_log_goes_on_where_the_stored_bookmark_ends() {
    let run = Running::start(Bmcs::default(), &[target("a", "ipmi://a")]);
    run.until(Lane::Event, "three logs", |s| count(s, "a", Section::Log) >= 3).await;
    let stored = run.spooler.bookmark("a").await.unwrap().unwrap();
    assert!(String::from_utf8(stored).unwrap().parse::<u64>().unwrap() >= 3);
    let bmcs = run.stop().await;
    let seen = bmcs.0.lock().unwrap().bookmarks.clone();
    assert_eq!(seen[..3], [None, Some("1".to_owned()), Some("2".to_owned())]);
}

#[tokio::test]
async fn a_hanging_bmc_holds_up_nobody_and_is_told_as_a_gap() {
    let bmcs = Bmcs::default();
    bmcs.set("a", Mood::Hangs);
    let run = Running::start(bmcs, &[target("a", "ipmi://a"), target("b", "ipmi://b")]);
    let sets = run
        .until(Lane::Event, "the gap of a", |s| s.iter().any(|s| s.target.as_str() == "a" && gap(s).is_some()))
        .await;
    let gap = sets.iter().filter(|s| s.target.as_str() == "a").find_map(gap).unwrap();
    assert_eq!((gap.cause, gap.component.as_ref().unwrap().to_string()), (Cause::Cancelled, "bmc/a".to_owned()));
    assert!(gap.detail.contains("poll_deadline"));
    run.until(Lane::Telemetry, "b goes on", |s| count(s, "b", Section::Sensors) > 10).await;
    run.stop().await;
}

#[tokio::test]
async fn silence_goes_to_the_event_lane_when_it_begins_and_then_to_the_sections_own() {
    let bmcs = Bmcs::default();
    let mut a = target("a", "ipmi://a");
    // Only sensors are polled again: nothing else may bring the news.
    let hour = Duration::from_secs(3600);
    a.cadence = Cadence { drives: hour, log: hour, inventory: hour, ..a.cadence };
    let run = Running::start(bmcs.clone(), &[a]);
    run.until(Lane::Telemetry, "readings", |s| {
        count(s, "a", Section::Sensors) > 2 && count(s, "a", Section::Drives) > 0
    })
    .await;
    run.until(Lane::Event, "the first log", |s| count(s, "a", Section::Log) > 0).await;
    bmcs.set("a", Mood::Unreachable);
    let silent =
        |s: &&ObservationSet| s.section == Section::Sensors && gap(s).is_some_and(|g| g.cause == Cause::Unreachable);
    let events = run.until(Lane::Event, "news of silence", |s| s.iter().any(|s| silent(&s))).await;
    assert!(gap(events.iter().find(silent).unwrap()).unwrap().detail.contains("mend it"));
    run.until(Lane::Telemetry, "still silent", |s| s.iter().filter(silent).count() > 1).await;
    bmcs.set("a", Mood::Well);
    let before = run.sets(Lane::Telemetry).await.len();
    run.until(Lane::Telemetry, "readings again", |s| count(&s[before..], "a", Section::Sensors) > 2).await;
    assert_eq!(run.sets(Lane::Event).await.iter().filter(silent).count(), 1, "it is news once");
    run.stop().await;
}

#[tokio::test]
async fn an_expired_session_costs_no_poll() {
    let bmcs = Bmcs::default();
    bmcs.set("a", Mood::Forgets);
    let run = Running::start(bmcs, &[target("a", "ipmi://a")]);
    let sets = run.until(Lane::Telemetry, "sensors", |s| count(s, "a", Section::Sensors) > 3).await;
    assert!(sets.iter().all(|s| gap(s).is_none()), "{sets:?}");
    let bmcs = run.stop().await;
    assert!(bmcs.connects("a") > 3);
    assert_eq!(bmcs.open(), 0);
}

#[tokio::test]
async fn a_refused_login_is_not_tried_again_at_once() {
    let bmcs = Bmcs::default();
    bmcs.set("a", Mood::Refuses);
    let run = Running::start(bmcs, &[target("a", "ipmi://a"), target("b", "ipmi://b")]);
    run.until(Lane::Telemetry, "b goes on", |s| count(s, "b", Section::Sensors) > 20).await;
    let bmcs = run.stop().await;
    assert_eq!(bmcs.connects("a"), 1);
}

#[tokio::test]
async fn a_certificate_is_pinned_on_first_use_and_a_changed_one_is_refused_until_accepted() {
    let bmcs = Bmcs::default();
    bmcs.set("a", Mood::Certificate(1));
    let run = Running::start(bmcs.clone(), &[target("a", "https://a")]);
    run.until(Lane::Telemetry, "readings", |s| count(s, "a", Section::Sensors) > 0).await;
    let pins = Pins::of(run.dir.path());
    assert_eq!(pins.get(&id("a")).unwrap(), Some(Fingerprint([1; 32])));
    bmcs.set("a", Mood::Certificate(2));
    // A change of the target ends the session, as a restart of the BMC would.
    let mut changed = target("a", "https://a");
    changed.target.request_deadline = ms(501);
    run.plan.send(plan(&[changed.clone()])).unwrap();
    let [one, two] = [1, 2].map(|n| Fingerprint([n; 32]));
    let stopped =
        |s: &[ObservationSet]| s.iter().filter(|s| gap(s).is_some_and(|g| g.cause == Cause::Certificate)).count();
    let sets = run.until(Lane::Event, "the gap", |s| stopped(s) > 0).await;
    let detail = &sets.iter().filter_map(gap).find(|g| g.cause == Cause::Certificate).unwrap().detail;
    for words in [one.to_string(), two.to_string(), "accept-cert".to_owned()] {
        assert!(detail.contains(&words), "{words} is missing in {detail}");
    }
    assert_eq!(pins.get(&id("a")).unwrap(), Some(one), "trust does not move by itself");
    assert_eq!(pins.changed(&id("a"), one).unwrap(), Some(Change { pinned: one, offered: two }));
    // Nothing more is asked, and that it stands still is told again and again; a restart changes nothing.
    let connects = bmcs.connects("a");
    run.until(Lane::Telemetry, "it is said that it stands still", |s| stopped(s) > 3).await;
    assert_eq!(run.sets(Lane::Event).await.iter().filter(|s| gap(s).is_some()).count(), 1, "it is news once");
    assert_eq!((run.tally.borrow().silent, bmcs.connects("a")), (1, connects));
    let (_, dir) = run.end().await;
    let run = Running::start_in(dir, bmcs.clone(), &[changed]);
    run.until(Lane::Telemetry, "it still stands still", |s| stopped(s) > 6).await;
    assert_eq!(bmcs.connects("a"), connects);
    pins.set(&id("a"), two).unwrap();
    let before = run.sets(Lane::Telemetry).await.len();
    run.until(Lane::Telemetry, "readings again", |s| count(&s[before..], "a", Section::Sensors) > 0).await;
    run.stop().await;
}

#[tokio::test]
async fn a_certificate_that_changes_under_an_open_session_stops_every_poll_of_the_target() {
    let bmcs = Bmcs::default();
    bmcs.set("a", Mood::Certificate(1));
    let run = Running::start(bmcs.clone(), &[target("a", "https://a")]);
    run.until(Lane::Telemetry, "readings", |s| count(s, "a", Section::Sensors) > 2).await;
    bmcs.set("a", Mood::Replaced(2));
    let of = |s: &ObservationSet| gap(s).is_some_and(|g| g.cause == Cause::Certificate);
    run.until(Lane::Event, "the gap", |s| s.iter().any(of)).await;
    run.until(Lane::Telemetry, "it stands still", |s| s.iter().filter(|s| of(s)).count() > 2).await;
    assert!(bmcs.0.lock().unwrap().polling.values().all(Vec::is_empty), "the log that was being read ended too");
    assert_eq!(bmcs.connects("a"), 1);
    let polls = bmcs.polls("a");
    run.until(Lane::Telemetry, "it still stands still", |s| s.iter().filter(|s| of(s)).count() > 5).await;
    assert_eq!(bmcs.polls("a"), polls);
    run.stop().await;
}

#[tokio::test]
async fn a_slow_log_leaves_the_sensors_of_its_own_bmc_alone_where_the_session_is_shared() {
    let bmcs = Bmcs::default();
    bmcs.set("a", Mood::Slow);
    let mut a = target("a", "https://a");
    // The first inventory is slow too: ten times the 300 ms.
    a.cadence.log = Duration::from_secs(3600);
    let run = Running::start(bmcs.clone(), &[a]);
    run.until(Lane::Telemetry, "sensors beside the first inventory", |s| count(s, "a", Section::Sensors) > 20).await;
    assert!(run.sets(Lane::Event).await.is_empty(), "the inventory is still being read");
    let events = run.until(Lane::Event, "the inventory", |s| !s.is_empty()).await;
    assert_eq!(events[0].section, Section::Inventory);
    let Observation::Gap(rest) = &events[0].observations[0] else { panic!("{events:?}") };
    assert_eq!((rest.cause, rest.source.0.as_str()), (Cause::Cancelled, "/redfish/v1/rest"), "what was read is told");
    let bmcs = run.stop().await;
    assert_eq!((bmcs.connects("a"), bmcs.at_once(), bmcs.open()), (1, 2, 0), "one session for both, and it is ended");
}

#[tokio::test]
async fn a_log_that_is_not_read_to_its_end_keeps_what_was_read_and_goes_on_there() {
    let bmcs = Bmcs::default();
    let a = target("a", "https://a");
    let run = Running::start(bmcs.clone(), &[a]);
    run.until(Lane::Event, "the first log", |s| count(s, "a", Section::Log) > 0).await;
    bmcs.set("a", Mood::Slow);
    let cut = |s: &ObservationSet| {
        s.section == Section::Log
            && s.observations
                .iter()
                .any(|o| matches!(o, Observation::Gap(g) if g.cause == Cause::Cancelled && g.span.is_none()))
    };
    run.until(Lane::Event, "a log in part", |s| s.iter().any(cut)).await;
    let so_far: u64 = String::from_utf8(run.spooler.bookmark("a").await.unwrap().unwrap()).unwrap().parse().unwrap();
    bmcs.set("a", Mood::Well);
    run.until(Lane::Event, "it goes on", |s| count(s, "a", Section::Log) as u64 > so_far).await;
    let bmcs = run.stop().await;
    let seen = bmcs.0.lock().unwrap().bookmarks.clone();
    let wanted: Vec<Option<String>> = (0..seen.len()).map(|n| (n > 0).then(|| n.to_string())).collect();
    assert_eq!(seen, wanted, "each goes on where the one before ended");
}

#[tokio::test]
async fn an_ipmi_bmc_is_polled_for_one_thing_at_a_time() {
    let run = Running::start(Bmcs::default(), &[target("a", "ipmi://a")]);
    run.until(Lane::Telemetry, "readings", |s| count(s, "a", Section::Sensors) > 10).await;
    assert_eq!(run.stop().await.at_once(), 1);
}

#[tokio::test]
async fn a_busy_bmc_is_left_alone_as_it_asks_and_is_not_silent() {
    let bmcs = Bmcs::default();
    let run = Running::start(bmcs.clone(), &[target("a", "https://a")]);
    run.until(Lane::Telemetry, "readings", |s| count(s, "a", Section::Sensors) > 2).await;
    bmcs.set("a", Mood::Busy(60_000));
    let busy = |s: &ObservationSet| gap(s).is_some_and(|g| g.cause == Cause::Busy);
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let (telemetry, events) = (run.sets(Lane::Telemetry).await, run.sets(Lane::Event).await);
        if telemetry.iter().chain(&events).any(busy) {
            break;
        }
        assert!(Instant::now() < deadline);
        tokio::task::yield_now().await;
    }
    assert_eq!(run.tally.borrow().silent, 0);
    bmcs.set("a", Mood::Well);
    // Polls that were in flight at that moment may end; then there is none for as long as the BMC asked.
    let polls = bmcs.polls("a");
    let b = target("b", "https://b");
    run.plan.send(plan(&[target("a", "https://a"), b])).unwrap();
    run.until(Lane::Telemetry, "time passes", |s| count(s, "b", Section::Sensors) > 20).await;
    assert!(bmcs.polls("a") <= polls + 1, "{} after {polls}", bmcs.polls("a"));
    assert_eq!(run.stop().await.connects("a"), 1, "and it keeps its session");
}

/// Waits until a target's login was refused so often by the record that is kept.
async fn refused(dir: &Path, times: usize) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let text = std::fs::read_to_string(dir.join("logins.json")).unwrap_or_default();
        let record: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        if record["refused"]["u@a"].as_array().map_or(0, Vec::len) >= times {
            return;
        }
        assert!(Instant::now() < deadline, "never refused {times} times: {text}");
        tokio::time::sleep(ms(5)).await;
    }
}

#[tokio::test]
async fn neither_a_restart_nor_a_new_password_makes_a_third_refused_login_within_the_hour() {
    let bmcs = Bmcs::default();
    bmcs.set("a", Mood::Refuses);
    let run = Running::start(bmcs.clone(), &[target("a", "https://a")]);
    refused(run.dir.path(), 1).await;
    let mut mended = target("a", "https://a");
    mended.target.credentials.password = Secret::new("another");
    run.plan.send(plan(&[mended.clone()])).unwrap();
    refused(run.dir.path(), 2).await;
    assert_eq!(bmcs.connects("a"), 2, "a new password is tried at once");
    let (_, dir) = run.end().await;
    mended.target.credentials.password = Secret::new("a third");
    let run = Running::start_in(dir, bmcs.clone(), &[mended]);
    let held = |s: &ObservationSet| gap(s).is_some_and(|g| g.detail.contains("not tried"));
    let sets = run.until(Lane::Event, "it is said that the login is held", |s| s.iter().any(held)).await;
    assert_eq!(gap(sets.iter().find(|s| held(s)).unwrap()).unwrap().cause, Cause::Denied);
    assert_eq!(run.stop().await.connects("a"), 2);
}

#[tokio::test]
async fn a_password_that_was_changed_at_the_bmc_is_noticed_by_the_first_refusal() {
    let bmcs = Bmcs::default();
    let run = Running::start(bmcs.clone(), &[target("a", "https://a")]);
    run.until(Lane::Telemetry, "readings", |s| count(s, "a", Section::Sensors) > 2).await;
    bmcs.set("a", Mood::Forgot);
    refused(run.dir.path(), 1).await;
    run.until(Lane::Event, "news", |s| {
        s.iter().any(|s| gap(s).is_some_and(|g| g.detail.contains("no longer accepts")))
    })
    .await;
    assert_eq!(run.stop().await.connects("a"), 1, "it is not tried again at once");
}

#[tokio::test]
async fn a_reload_adds_and_removes_targets_without_disturbing_the_others() {
    let bmcs = Bmcs::default();
    let (a, b, c) = (target("a", "ipmi://a"), target("b", "ipmi://b"), target("c", "ipmi://c"));
    let run = Running::start(bmcs, &[a.clone(), b]);
    run.until(Lane::Telemetry, "both", |s| count(s, "a", Section::Sensors) > 0 && count(s, "b", Section::Sensors) > 0)
        .await;
    run.plan.send(plan(&[a, c])).unwrap();
    run.until(Lane::Telemetry, "the new one", |s| count(s, "c", Section::Sensors) > 0).await;
    let b_so_far = count(&run.sets(Lane::Telemetry).await, "b", Section::Sensors);
    let sets = run.until(Lane::Telemetry, "the old one goes on", |s| count(s, "c", Section::Sensors) > 10).await;
    assert!(count(&sets, "b", Section::Sensors) <= b_so_far + 1, "at most the one that was in flight");
    assert_eq!(run.bmcs.connects("a"), 1, "its session stayed");
    let bmcs = run.stop().await;
    assert_eq!(bmcs.open(), 0);
}

#[tokio::test]
async fn a_poll_in_flight_does_not_keep_the_poller_from_stopping() {
    let bmcs = Bmcs::default();
    bmcs.set("a", Mood::Hangs);
    let run = Running::start(bmcs.clone(), &[target("a", "ipmi://a")]);
    let deadline = Instant::now() + Duration::from_secs(10);
    while bmcs.connects("a") == 0 {
        assert!(Instant::now() < deadline);
        tokio::task::yield_now().await;
    }
    let asked = Instant::now();
    let bmcs = run.stop().await;
    assert!(asked.elapsed() < Duration::from_secs(4));
    assert_eq!(bmcs.open(), 0);
}

#[tokio::test]
async fn a_bmc_is_read_whole_when_somebody_asks_and_what_was_read_is_in_the_spool_by_then() {
    let bmcs = Bmcs::default();
    let hour = Duration::from_secs(3600);
    let cadence = Cadence { sensors: hour, drives: hour, log: hour, inventory: hour };
    let rare = TargetConfig { cadence, ..target("bmc1", "https://well") };
    let running = Running::start(bmcs, std::slice::from_ref(&rare));
    let everything = |n: usize| {
        move |sets: &[ObservationSet]| [Section::Sensors, Section::Drives].iter().all(|s| count(sets, "bmc1", *s) == n)
    };
    running.until(Lane::Telemetry, "the first polls", everything(1)).await;
    running.until(Lane::Event, "the first log", |sets| count(sets, "bmc1", Section::Log) == 1).await;
    let whole = running.read_whole("bmc1", Duration::from_secs(10)).await;
    assert_eq!((whole.read.len(), whole.unread.as_slice()), (Section::OF_BMC.len(), &[][..]));
    assert!(everything(2)(&running.sets(Lane::Telemetry).await), "read, and in the spool");
    assert_eq!(count(&running.sets(Lane::Event).await, "bmc1", Section::Log), 2);
    let again = running.read_whole("bmc1", Duration::from_secs(10)).await;
    assert!(again.secs_ago > 0 && again.read == whole.read, "it was read whole a moment ago: {again:?}");
    assert!(everything(2)(&running.sets(Lane::Telemetry).await), "and is not asked again");
    let unknown = running.read_whole("bmc9", Duration::from_secs(10)).await;
    assert!(unknown.read.is_empty() && unknown.unread[0].1.contains("no such target"));
    running.stop().await;
}

#[tokio::test]
async fn a_bmc_that_refuses_the_login_is_not_asked_again_because_somebody_wants_it_read() {
    let bmcs = Bmcs::default();
    bmcs.set("locked", Mood::Refuses);
    let running = Running::start(bmcs, &[target("bmc1", "https://locked")]);
    let whole = running.read_whole("bmc1", Duration::from_secs(5)).await;
    assert!(whole.read.is_empty() && whole.unread.len() == Section::OF_BMC.len(), "{whole:?}");
    let again = running.read_whole("bmc1", Duration::from_secs(5)).await;
    assert!(again.read.is_empty());
    let bmcs = running.stop().await;
    assert_eq!(bmcs.connects("locked"), 1, "one login, whoever asks how often");
}
