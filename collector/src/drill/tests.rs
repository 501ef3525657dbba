//! Exercises that end and begin by themselves, over a real store, with time as an argument.

#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

use super::*;
use crate::config::Config;
use crate::judgement::Terms;
use outband_schemas::{Identity, SiteId};
use outband_store::sqlite::Options;
use outband_store::{Applied, ServerRecord, SqliteStore};
use outband_ticket::{Calendar, CalendarSpec};
use std::time::Instant;

struct House {
    store: SqliteStore,
    dir: tempfile::TempDir,
    plans: BTreeMap<String, Plan>,
    calendar: Calendar,
}

/// A clock that stands still.
struct Still(Timestamp);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        self.0
    }
}

impl House {
    /// With one server, `s1`, and a plan that is about `server`.
    fn new(server: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&Options::new(dir.path())).unwrap();
        let record = ServerRecord {
            id: ServerId::new("s1").unwrap(),
            site: SiteId::new("dc1").unwrap(),
            identity: Identity::default(),
            targets: Vec::new(),
            first_seen: Timestamp::EPOCH,
            last_seen: Timestamp::EPOCH,
            merged_into: None,
            rev: 0,
        };
        store.apply(Applied { servers: vec![record], ..Applied::default() }, Timestamp::EPOCH).unwrap();
        let plans = BTreeMap::from([("night".to_owned(), Plan { server: server.to_owned(), ..Plan::default() })]);
        let spec = CalendarSpec { tz: "Asia/Shanghai".to_owned(), ..CalendarSpec::default() };
        Self { store, dir, plans, calendar: Calendar::try_from(&spec).unwrap() }
    }

    /// When the plan's turn of the last quarter of 2026 comes.
    fn turn(&self) -> Timestamp {
        let now = Timestamp::from_millis("2026-11-01T00:00:00Z".parse::<jiff::Timestamp>().unwrap().as_millisecond());
        turn::of("night", &self.plans["night"], &self.calendar, now).unwrap().at
    }

    fn work(&self, now: Timestamp) {
        work(&self.store, &self.plans, &|_| self.calendar.clone(), now).unwrap();
    }

    /// From when until when each drill lasted, or lasts.
    fn drills(&self) -> Vec<(Timestamp, Timestamp, Option<Timestamp>)> {
        self.store.drills(true).unwrap().iter().map(|d| (d.starts_at, d.ends_at, d.ended_at)).collect()
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_planned_drill_begins_at_its_moment_and_not_before() {
    let house = House::new("s1");
    let at = house.turn();
    house.work(at.minus(SECOND));
    assert_eq!(house.drills(), []);
    house.work(at);
    assert_eq!(house.drills(), [(at, at.plus(Duration::from_secs(3600)), None)]);
    let drill = house.store.drills(false).unwrap().remove(0);
    assert_eq!((drill.author.as_str(), drill.plan.as_deref()), (WHO, Some("night/2026-Q4")));
}

#[test]
fn a_planned_drill_that_is_a_little_late_begins_and_one_that_is_an_hour_late_does_not() {
    let house = House::new("s1");
    let at = house.turn();
    house.work(at.plus(LATE));
    assert_eq!(house.drills(), []);
    house.work(at.plus(LATE).minus(SECOND));
    assert_eq!(house.drills().len(), 1);
}

#[test]
fn a_turn_comes_once_however_often_it_is_looked_at_and_though_its_drill_is_over() {
    let house = House::new("s1");
    let at = house.turn();
    house.work(at);
    house.work(at.plus(SECOND));
    let drill = house.store.drills(false).unwrap().remove(0);
    end(&house.store, drill, "li", at.plus(SECOND), None).unwrap();
    house.work(at.plus(SECOND * 2));
    assert_eq!(house.drills().len(), 1);
}

#[test]
fn a_drill_of_a_server_that_is_not_known_does_not_take_place_and_holds_up_no_other() {
    let mut house = House::new("s9");
    let at = house.turn();
    house.plans.insert("zenith".to_owned(), Plan { server: "s1".to_owned(), ..house.plans["night"].clone() });
    let other = turn::of("zenith", &house.plans["zenith"], &house.calendar, at).unwrap().at;
    house.work(at);
    house.work(other);
    let servers: Vec<String> = house.store.drills(true).unwrap().iter().map(|d| d.server.to_string()).collect();
    assert_eq!(servers, ["s1"]);
}

#[test]
fn a_drill_ends_when_its_time_is_over_and_not_before() {
    let house = House::new("s1");
    let at = house.turn();
    house.work(at);
    let over = at.plus(Duration::from_secs(3600));
    house.work(over.minus(SECOND));
    assert_eq!(house.drills()[0].2, None);
    house.work(over);
    assert_eq!(house.drills()[0].2, Some(over));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_store_cannot_be_read_it_is_tried_again_and_then_goes_on() {
    let house = House::new("s1");
    let terms = Arc::new(Terms::try_from(&Config::default()).unwrap());
    let calendar = terms.calendar.business(None).clone();
    let now = turn::of("night", &house.plans["night"], &calendar, house.turn()).unwrap().at;
    let (file, away) = (house.dir.path().join("store.db"), house.dir.path().join("away.db"));
    std::fs::rename(&file, &away).unwrap();
    assert!(house.store.drills(false).is_err());
    let shutdown = CancellationToken::new();
    let (store, plans) = (house.store.clone(), Plans::new(house.plans.clone()));
    let judgement = Judgement::new((*terms).clone());
    let every = Duration::from_millis(5);
    let task = tokio::spawn(look(every, store, Arc::new(Still(now)), judgement, plans, shutdown.clone()));
    let until = Instant::now() + Duration::from_millis(100);
    while Instant::now() < until {
        assert!(!task.is_finished(), "it gave up");
        tokio::task::yield_now().await;
    }
    std::fs::rename(&away, &file).unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    while house.drills().is_empty() {
        assert!(Instant::now() < until && !task.is_finished(), "no drill began");
        tokio::task::yield_now().await;
    }
    shutdown.cancel();
    task.await.unwrap().unwrap();
}
