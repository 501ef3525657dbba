//! What is left of power and cooling, over real TLS: readings become days, days become sums, trends and what is left.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use common::{Home, WithToken, with_token};
use outband_collector::app::Collector;
use outband_collector::config::Config;
use outband_collector::datadir::DataDir;
use outband_collector::fleet::headroom::{self, Asked, Level};
use outband_collector::fleet::{Scope, usage};
use outband_collector::judgement::Terms;
use outband_collector::sight::Sight;
use outband_collector::token::{Limits, Principal, Role, make_limited};
use outband_collector::topology::Topology;
use outband_health::fleet::usage::{Day, Hours, Inlet, Power, date_of};
use outband_proto::fleet as wire;
use outband_proto::fleet::fleet_service_client::FleetServiceClient;
use outband_schemas::{Identity, Quality, Reading, SensorKind, ServerId, SiteId, Source, Thresholds, Timestamp, Value};
use outband_store::sqlite::Options;
use outband_store::usage::{ServerUsage, Usage};
use outband_store::{Applied, ServerReadings, ServerRecord, SqliteStore, Store};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tonic::Code;

const HOUR_MS: i64 = 3_600_000;
/// Days for which the servers have been watched, today included.
const DAYS: i64 = 21;

/// The end of the hour before the tests began.
fn began() -> i64 {
    static BEGAN: std::sync::LazyLock<i64> = std::sync::LazyLock::new(|| {
        let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
        now - now.rem_euclid(HOUR_MS)
    });
    *BEGAN
}

fn now() -> Timestamp {
    Timestamp::from_millis(began())
}

/// Midnight of so many days ago (UTC).
fn midnight(days: i64) -> i64 {
    began() - began().rem_euclid(24 * HOUR_MS) - days * 24 * HOUR_MS
}

fn id(n: usize) -> ServerId {
    ServerId::new(format!("srv-{n}")).unwrap()
}

fn server(n: usize) -> ServerRecord {
    ServerRecord {
        id: id(n),
        site: SiteId::new("dc1").unwrap(),
        identity: Identity::default(),
        targets: Vec::new(),
        first_seen: Timestamp::from_millis(midnight(DAYS - 1)),
        last_seen: now(),
        merged_into: None,
        rev: 0,
    }
}

fn reading(component: &str, kind: SensorKind, sensor: &str, value: f64, at: i64) -> Reading {
    let limit = (kind == SensorKind::Temperature && component.contains("Inlet")).then_some(42.0);
    Reading {
        component: component.parse().unwrap(),
        kind,
        sensor: sensor.to_owned(),
        value: Some(Value::Number(value)),
        quality: Quality::Good,
        observed_at: Timestamp::from_millis(at),
        source: Source("/redfish/v1/Chassis/1/Power".to_owned()),
        thresholds: limit.map(|l| Thresholds { upper_non_critical: Some(l), ..Thresholds::default() }),
    }
}

/// What a server tells in every half hour of these days: its power, and what is beside it; the air; one more Watt with each day.
fn tell(store: &SqliteStore, n: usize, days: std::ops::RangeInclusive<i64>, watts: f64, air: f64) {
    for day in days {
        let mut readings = Vec::new();
        for half in 0..48 {
            let at = midnight(DAYS - 1 - day) + half * HOUR_MS / 2;
            if at >= began() {
                break;
            }
            let drawn = watts + day as f64;
            let chassis = |sensor: &str, value| reading("chassis/System", SensorKind::Power, sensor, value, at);
            readings.push(chassis("System", drawn));
            readings.push(chassis("System MaxConsumedWatts", 5.0 * watts));
            readings.push(chassis("System PowerCapacityWatts", 1600.0));
            for psu in ["psu/1", "psu/2"] {
                readings.push(reading(psu, SensorKind::InputPower, "input_power", drawn / 2.0, at));
            }
            readings.push(reading("chassis/Inlet", SensorKind::Temperature, "Inlet Temp", air, at));
        }
        let readings = vec![ServerReadings { server: id(n), readings, received_at: now() }];
        store.apply(Applied { readings, ..Applied::default() }, now()).unwrap();
    }
}

const TOPOLOGY: &str = "server,rack,customer,rack_limit_w,power_feed,feed_limit_w\n\
    srv-1,R 1,acme,2000,A;B,1500;900\n\
    srv-2,R 1,acme,,A;B,\n\
    srv-3,R 1,bolt,2000,A;B,\n\
    srv-4,R2,bolt,,A,\n\
    srv-5,R2,bolt,,A,\n";

/// Three servers of 400 W in a rack with a limit; one of 300 W in a rack without, and one there that has told nothing for five days.
async fn furnished(home: &Home) -> (Collector, Config) {
    let topology = home.dir().with_file_name("topology.csv");
    std::fs::write(&topology, TOPOLOGY).unwrap();
    let mut config = home.config();
    config.topology.file = Some(topology);
    let collector = common::start(config.clone()).await;
    let store = collector.store();
    store.apply(Applied { servers: (1..=5).map(server).collect(), ..Applied::default() }, now()).unwrap();
    for n in 1..=3 {
        tell(store, n, 0..=DAYS - 1, 400.0, 20.0 + n as f64);
    }
    tell(store, 4, 0..=DAYS - 1, 300.0, 39.0);
    tell(store, 5, 0..=DAYS - 6, 300.0, 20.0);
    (collector, config)
}

async fn client(home: &Home, collector: &Collector) -> FleetServiceClient<WithToken> {
    FleetServiceClient::new(home.operator(collector).await)
}

async fn ask(client: &mut FleetServiceClient<WithToken>, level: &str) -> Vec<wire::Headroom> {
    let request = wire::ListHeadroomRequest { level: level.to_owned(), ..Default::default() };
    client.list_headroom(request).await.unwrap().into_inner().rows
}

fn near(found: f64, wanted: f64) {
    assert!((found - wanted).abs() <= 0.005 * wanted.abs(), "{found} is not {wanted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn readings_become_sums_limits_trends_and_what_is_left() {
    let home = Home::new();
    let (collector, _) = furnished(&home).await;
    let store = collector.store().clone();
    usage::turn(&store, now(), &|| false).unwrap();
    let mut client = client(&home, &collector).await;
    let rows = ask(&mut client, "").await;
    let names: Vec<&str> = rows.iter().map(|r| r.name.as_str()).collect();
    let wanted = ["sites/dc1", "sites/dc1/racks/R%201", "sites/dc1/racks/R2", "sites/dc1/feeds/A", "sites/dc1/feeds/B"];
    assert_eq!(names, wanted);
    let of = |name: &str| rows.iter().find(|r| r.name.ends_with(name)).unwrap();

    let rack = of("R%201");
    let power = rack.power.clone().unwrap();
    // The last days of 400 W and a Watt a day; neither extremes nor capacities nor the supplies are added.
    near(power.p95, 3.0 * 419.0);
    let limit = power.limit.unwrap();
    assert_eq!((limit.watts, limit.basis.as_str(), power.at_most), (Some(2000.0), "topology", false));
    near(power.left.unwrap(), 2000.0 - power.p95);
    assert_eq!((power.more, rack.servers, rack.telling), (Some(1), 3, 3));
    let trend = power.trend.unwrap();
    assert_eq!((trend.servers, trend.servers_left_out), (3, 0));
    assert!((DAYS as u64 - 1..=DAYS as u64).contains(&trend.days), "{trend:?}");
    near(trend.a_day.unwrap().mean, 3.0);
    let full = power.full.unwrap();
    assert_eq!(full.state, "within_a_year");
    assert!(full.first <= full.likely && full.likely <= full.last, "{full:?}");
    assert!(
        rack.advice.starts_with("Rack R 1: 1.3 / 2.0 kW at p95; room for about 1 more server like"),
        "{}",
        rack.advice
    );
    let heat = rack.thermal.clone().unwrap();
    assert_eq!((heat.nearest.as_str(), heat.limit, heat.limit_basis.as_str()), ("servers/srv-3", 42.0, "sensor"));
    near(heat.left, 19.0);

    // The silent one is unknown, with its reason; without a limit of the rack there is only what the supplies give.
    let rack = of("racks/R2");
    let power = rack.power.clone().unwrap();
    assert_eq!((rack.servers, rack.telling, rack.unknown[0].reason.as_str()), (2, 1, "silent"));
    near(power.p95, 319.0);
    let limit = power.limit.unwrap();
    assert_eq!((limit.watts, limit.basis.as_str(), power.more), (Some(1600.0), "supplies", None));
    assert!(power.at_most && rack.advice.contains("1 of 2 servers tell no power"), "{}", rack.advice);
    assert!(rack.advice.contains("The inlet of srv-4 is at 39 °C at p95, 3 K below"), "{}", rack.advice);

    // Half of three servers on B; with A lost all of them, and that is too much.
    let feed = of("feeds/A");
    near(feed.power.as_ref().unwrap().p95, 1.5 * 419.0 + 319.0);
    let loss = &feed.losses[0];
    assert_eq!((loss.feed.as_str(), loss.servers, loss.fits), ("sites/dc1/feeds/B", 3, Some(false)));
    near(loss.p95, 3.0 * 419.0);
    assert_eq!(of("feeds/B").losses[0].fits, Some(false), "1576 W on A, which carries 1500");

    // The sum of the racks' limits is none where one of them is not known.
    let limit = of("sites/dc1").power.clone().unwrap().limit.unwrap();
    assert_eq!((limit.watts, limit.unknown.as_str()), (None, "some_racks"));
    let servers = ask(&mut client, "server").await;
    assert_eq!((servers.len(), servers[0].name.as_str()), (5, "servers/srv-1"));
    let (mut paged, mut page_token) = (Vec::new(), String::new());
    loop {
        let request =
            wire::ListHeadroomRequest { level: "server".to_owned(), page_size: 2, page_token, ..Default::default() };
        let answer = client.list_headroom(request).await.unwrap().into_inner();
        paged.extend(answer.rows);
        page_token = answer.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(paged, servers, "pages hold every server once");
    let power = servers[0].power.clone().unwrap();
    assert_eq!(power.limit.unwrap().watts, Some(800.0), "one of two supplies may be lost");
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sees_only_some_servers_is_told_no_limit_of_what_is_shared() {
    let home = Home::new();
    let (mut collector, config) = furnished(&home).await;
    usage::turn(collector.store(), now(), &|| false).unwrap();
    let limits = Limits { customers: BTreeSet::from(["acme".to_owned()]), ..Limits::default() };
    let dir = DataDir::open(home.dir()).unwrap();
    let (viewer, _) = make_limited(&dir, Role::Viewer, "ann", &limits).unwrap();
    let (customer, _) = make_limited(&dir, Role::Customer, "acme", &limits).unwrap();
    collector.reload(config).unwrap();
    let channel = home.channel(collector.operators_addr()).await;
    let mut limited = FleetServiceClient::new(with_token(channel.clone(), viewer.reveal()));
    let rows = ask(&mut limited, "").await;
    let names: Vec<&str> = rows.iter().map(|r| r.name.as_str()).collect();
    assert_eq!(names, ["sites/dc1", "sites/dc1/racks/R%201", "sites/dc1/feeds/A", "sites/dc1/feeds/B"]);
    for row in &rows {
        let power = row.power.clone().unwrap();
        assert_eq!((row.servers, power.limit.unwrap().unknown.as_str()), (2, "partial"), "{}", row.name);
        assert_eq!((power.left, power.more, power.full), (None, None, None), "{}", row.name);
        assert!(row.losses.iter().all(|l| l.fits.is_none() && l.left.is_none()), "{}", row.name);
    }
    near(rows[1].power.as_ref().unwrap().p95, 2.0 * 419.0);
    // Who sees all and asks for a customer alone is told no room that others use, either.
    let selection = Some(wire::Selection { customer: "acme".to_owned(), ..Default::default() });
    let request = wire::ListHeadroomRequest { selection, ..Default::default() };
    let rows = client(&home, &collector).await.list_headroom(request).await.unwrap().into_inner().rows;
    assert!(rows.iter().all(|r| r.power.clone().unwrap().left.is_none()));
    let mut customer = FleetServiceClient::new(with_token(channel, customer.reveal()));
    let refused = customer.list_headroom(wire::ListHeadroomRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_is_refused_and_a_rack_is_told_alone() {
    let home = Home::new();
    let (collector, _) = furnished(&home).await;
    usage::turn(collector.store(), now(), &|| false).unwrap();
    let mut client = client(&home, &collector).await;
    for request in [
        wire::ListHeadroomRequest { level: "row".to_owned(), ..Default::default() },
        wire::ListHeadroomRequest { span_days: 367, ..Default::default() },
        wire::ListHeadroomRequest { span_days: -1, ..Default::default() },
        wire::ListHeadroomRequest { language: "fr".to_owned(), ..Default::default() },
    ] {
        let refused = client.list_headroom(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    }
    let request = wire::ListHeadroomRequest { rack: "R 1".to_owned(), span_days: 7, ..Default::default() };
    let answer = client.list_headroom(request).await.unwrap().into_inner();
    let rack = answer.rows.iter().find(|r| r.level == "rack").unwrap();
    let power = rack.power.clone().unwrap();
    // The whole rack was asked for, so what is left of it is told; a week is no trend.
    assert!(power.left.is_some() && power.full.is_none(), "{power:?}");
    assert!(power.trend.unwrap().a_day.is_none() && rack.advice.contains("of 14 days known"), "{}", rack.advice);
    for row in answer.rows.iter().filter(|r| r.level != "rack") {
        assert_eq!(row.power.clone().unwrap().limit.unwrap().unknown, "partial", "{}", row.name);
    }
    collector.stop().await.unwrap();
}

#[test]
fn a_day_is_read_again_until_it_is_whole_and_late_readings_count() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&Options::new(dir.path())).unwrap();
    store.apply(Applied { servers: vec![server(1)], ..Applied::default() }, now()).unwrap();
    tell(&store, 1, 0..=DAYS - 4, 400.0, 22.0);
    let days = usize::try_from(DAYS).unwrap();
    let at = |hour: i64| Timestamp::from_millis(midnight(0) + hour * HOUR_MS);
    assert_eq!(usage::turn(&store, at(1), &|| false).unwrap(), days, "each day once");
    // Of the last three days nothing was told: they are looked at again, the others are whole.
    let again = || [1, 2, 4].map(|hour| usage::turn(&store, at(hour), &|| false).unwrap());
    assert_eq!(again(), [2, 0, 1], "the last two four times a day, those before once");
    let known = || store.usage_known(&id(1), date_of(now()) - 2, date_of(now()) - 1).unwrap();
    assert_eq!(known().iter().map(|k| (k.seen, k.told)).collect::<Vec<_>>(), [(0, 0), (0, 0)]);
    tell(&store, 1, DAYS - 3..=DAYS - 1, 400.0, 22.0);
    assert_eq!(again(), [2, 0, 1]);
    assert_eq!(known().iter().map(|k| (k.seen, k.told)).collect::<Vec<_>>(), [(24, 24), (24, 24)]);
    assert_eq!(usage::turn(&store, now(), &|| true).unwrap(), 0, "it stops when it has to");
}

/// Seconds that this thread has had a core; 0 where the system does not tell.
fn on_core() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_whitespace().next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or_default() / 1e9
}

/// The same day of a server.
fn day(watts: f32) -> Day {
    let mut hours = Hours::default();
    hours.0.iter_mut().enumerate().for_each(|(hour, to)| *to = Some(watts + hour as f32 * 2.5));
    let power = Power { sensor: "System Power Control".to_owned(), mean: hours, peak: hours };
    let mut air = hours;
    air.0.iter_mut().flatten().for_each(|v| *v = (*v / 2.0).round() / 10.0);
    let inlet = Inlet { sensor: "Inlet Temp".to_owned(), mean: air, max: 31.0, limit: Some(42.0) };
    Day { seen: 24, power: Some(power), inlet: Some(inlet), ..Day::default() }
}

#[test]
#[ignore = "a measurement; OUTBAND_SERVERS says of how many servers"]
fn what_headroom_costs() {
    let count: usize = std::env::var("OUTBAND_SERVERS").ok().and_then(|n| n.parse().ok()).unwrap_or(1000);
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&Options::new(dir.path())).unwrap();
    let mut rows = "server,rack,rack_limit_w,power_feed,feed_limit_w\n".to_owned();
    let today = date_of(now());
    for n in 0..count {
        rows.push_str(&format!("srv-{n},R{},18000,A{};B{},40000\n", n / 40, n / 400, n / 400));
    }
    for some in (0..count).collect::<Vec<_>>().chunks(500) {
        let servers = some.iter().map(|n| server(*n)).collect();
        store.apply(Applied { servers, ..Applied::default() }, now()).unwrap();
        let days = |n: usize| (0..30).map(|d| (today - d, day(300.0 + (n % 7) as f32 - d as f32))).collect();
        let of = some.iter().map(|n| ServerUsage { server: id(*n), days: days(*n) }).collect();
        store.keep_usage(of, 0).unwrap();
    }
    let terms = Terms::try_from(&Config::default()).unwrap();
    let terms = Arc::new(terms.with_topology(Topology::parse(&rows).unwrap()));
    let principal = Principal {
        role: Role::Operator,
        name: "ann".to_owned(),
        shared: false,
        sites: BTreeSet::new(),
        customers: BTreeSet::new(),
        only: None,
    };
    let sight = Sight::of(&principal, terms.clone(), now());
    let time = |what: &str, asked: Asked| {
        for turn in ["cold", "warm"] {
            let (began, cpu) = (Instant::now(), on_core());
            let report = headroom::headroom(&store, &terms, &sight, &asked, now()).unwrap();
            let (wall, cpu, rows) = (began.elapsed().as_secs_f64(), on_core() - cpu, report.rows.len());
            eprintln!("{what} ({turn}): {rows} rows in {wall:.3} s, {cpu:.3} s on a core");
        }
    };
    let all = BTreeSet::from([Level::Site, Level::Rack, Level::Feed]);
    let asked = Asked { scope: Scope::default(), rack: None, levels: all, days: 30, servers: None };
    time("a rack of 40 servers", Asked { rack: Some("R0".to_owned()), ..asked.clone() });
    time(&format!("{count} servers"), asked.clone());
    time("each of them", Asked { levels: BTreeSet::from([Level::Server]), ..asked });
    let bytes: u64 = std::fs::read_dir(dir.path()).unwrap().map(|f| f.unwrap().metadata().unwrap().len()).sum();
    eprintln!("{} bytes a server and day", bytes / (count as u64 * 30));

    // What it takes to make a day of what is read each minute: six sensors that are used, and twenty temperatures that are not.
    for n in 0..20 {
        let mut readings = Vec::new();
        for minute in 0..1440 {
            let at = midnight(0) - 24 * HOUR_MS + minute * 60_000;
            readings.push(reading("chassis/System", SensorKind::Power, "System", 400.0, at));
            for psu in ["psu/1", "psu/2"] {
                readings.push(reading(psu, SensorKind::InputPower, "input_power", 200.0 + (minute % 9) as f64, at));
            }
            readings.push(reading("chassis/Inlet", SensorKind::Temperature, "Inlet Temp", 22.0, at));
            readings.push(reading("chassis/Exhaust", SensorKind::Temperature, "Exhaust Temp", 35.0, at));
            readings.push(reading("fan/1", SensorKind::FanDuty, "Fan 1", 30.0, at));
            readings.extend(
                (0..20).map(|c| reading(&format!("memory/DIMM {c}"), SensorKind::Temperature, "Temp", 40.0, at)),
            );
        }
        let readings =
            vec![ServerReadings { server: ServerId::new(format!("min-{n}")).unwrap(), readings, received_at: now() }];
        let servers = vec![ServerRecord {
            id: ServerId::new(format!("min-{n}")).unwrap(),
            first_seen: Timestamp::from_millis(midnight(1)),
            ..server(0)
        }];
        store.apply(Applied { servers, readings, ..Applied::default() }, now()).unwrap();
    }
    while store.seal(Timestamp::from_millis(began() + 48 * HOUR_MS)).unwrap().chunks > 0 {}
    let known = |n: usize| ServerUsage { server: id(n), days: (0..30).map(|d| (today - d, day(1.0))).collect() };
    store.keep_usage((0..count).map(known).collect(), 0).unwrap();
    let (began, cpu) = (Instant::now(), on_core());
    let made = usage::turn(&store, now(), &|| false).unwrap();
    let (wall, cpu) = (began.elapsed().as_secs_f64(), on_core() - cpu);
    eprintln!("a turn over {} servers made {made} days in {wall:.3} s, {cpu:.3} s on a core", count + 20);
}

#[test]
#[ignore = "a measurement, of a store that `a_month_of_a_large_site` of the store's tests left in OUTBAND_DIR"]
fn what_a_turn_over_a_large_site_costs() {
    let Some(dir) = std::env::var_os("OUTBAND_DIR") else { return };
    let store = SqliteStore::open(&Options { check_up_to_bytes: 0, ..Options::new(dir) }).unwrap();
    let ends: Timestamp = "2026-11-22T00:00:00Z".parse().unwrap();
    let mut all = Vec::new();
    let mut page = outband_store::Page::first(1000);
    loop {
        let listing = store.servers(None, &page).unwrap();
        all.extend(listing.rows.into_iter().map(|s| s.id));
        match listing.next {
            Some(token) => page = outband_store::Page::after(token, 1000),
            None => break,
        }
    }
    let today = date_of(Timestamp::from_millis(ends.as_millis() - 1));
    // Of the days before, nothing is missing.
    let whole = |server: &ServerId| ServerUsage {
        server: server.clone(),
        days: (today - 40..today).map(|date| (date, Day { seen: 24, ..Day::default() })).collect(),
    };
    for some in all.chunks(500) {
        store.keep_usage(some.iter().map(whole).collect(), 0).unwrap();
    }
    let begun = Instant::now();
    let made = usage::turn(&store, Timestamp::from_millis(ends.as_millis() - 1), &|| false).unwrap();
    let took = begun.elapsed();
    let told = store.usage(&all[all.len() / 2], today, today).unwrap();
    let seen = told.first().map(|(_, day)| (day.seen, day.power.as_ref().map(|p| p.mean.count())));
    println!("at the end of a day, {made} days of {} servers: {took:.1?} ({seen:?})", all.len());
}
