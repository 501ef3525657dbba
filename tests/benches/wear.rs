//! How well slow wear is seen: simulated racks, the detectors that run live, the judge. Simulated, not a real fleet.
//!
//! ```text
//! cargo bench -p outband-tests --bench wear -- [--seeds 1,2,3] [--racks 60] [--servers 20] [--from 0] [--months 6] [--verbose]
//! cargo bench -p outband-tests --bench wear -- --write DIR [--seeds 1] [--racks 60] [--servers 20] [--months 6]
//! cargo bench -p outband-tests --bench wear -- --cost [DAYS]
//! ```
//! The second writes the racks of the first seed as files for `outband-collector backtest --readings`; the third measures what a reading costs
//! where 80 series of a server are read every minute.
#![allow(clippy::unwrap_used, reason = "a measurement: it stops where its input is wrong")]
#![allow(clippy::print_stdout, reason = "a measurement tells what it found")]

use outband_health::drift::{Drift, RackMode, SignClass};
use outband_schemas::{ComponentClass, ComponentId, SensorKind, Timestamp};
use outband_tests::sim::wear::judge::{Alarm, Tally, judge};
use outband_tests::sim::wear::{Class, Plan, Rack};
use std::collections::BTreeMap;
use std::time::Instant;

const CLASSES: [(Class, SignClass, &str); 4] = [
    (Class::Fan, SignClass::Fan, "fan"),
    (Class::Psu, SignClass::Psu, "psu"),
    (Class::Thermal, SignClass::Thermal, "thermal"),
    (Class::Dimm, SignClass::Dimm, "dimm"),
];
/// The first days are for learning: what fails within them cannot be foreseen by anyone.
const LEARNING: i64 = 17 * 24;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let value = |name: &str| args.iter().position(|a| a == name).and_then(|at| args.get(at + 1)).cloned();
    let number = |name: &str, or: usize| value(name).map_or(or, |v| v.parse().unwrap());
    let seeds: Vec<u64> = value("--seeds").unwrap_or("1".into()).split(',').map(|s| s.parse().unwrap()).collect();
    let verbose = args.iter().any(|a| a == "--verbose");
    if let Some(dir) = value("--write") {
        let hours = i64::try_from(number("--months", 6)).unwrap() * 730;
        let plan = Plan { seed: seeds[0], racks: number("--racks", 60), servers: number("--servers", 20), hours };
        return outband_tests::sim::wear::write::write(&plan, dir.as_ref()).unwrap();
    }
    if args.iter().any(|a| a == "--cost") {
        return cost(number("--cost", 20));
    }
    println!("seed class    failures caught in-time recall recall(7 d) right wrong part-months wrong/100");
    for seed in seeds {
        let hours = i64::try_from(number("--months", 6)).unwrap() * 730;
        let plan = Plan { seed, racks: number("--racks", 60), servers: number("--servers", 20), hours };
        let begun = Instant::now();
        let (mut tallies, mut months, mut rows) = (BTreeMap::<&str, Tally>::new(), BTreeMap::<&str, f64>::new(), 0_u64);
        for rack in number("--from", 0)..plan.racks {
            rows += one_rack(&plan, rack, &mut tallies, &mut months, verbose);
        }
        for (class, tally) in &tallies {
            let share = |n: u32| f64::from(n) / f64::from(tally.failures.max(1));
            println!(
                "{seed:4} {class:8} {:8} {:6} {:7} {:6.3} {:11.3} {:5} {:5} {:11.0} {:9.4}",
                tally.failures,
                tally.caught,
                tally.in_time,
                share(tally.caught),
                share(tally.in_time),
                tally.right,
                tally.wrong,
                months[class],
                100.0 * f64::from(tally.wrong) / months[class]
            );
        }
        let took = begun.elapsed().as_secs_f64();
        println!("     {rows} readings in {took:.1} s, simulation included: {:.0} ns each", took * 1e9 / rows as f64);
    }
}

/// What a reading costs, of 50 servers with 80 series each, a minute apart.
fn cost(days: usize) {
    let mut series: Vec<(ComponentId, SensorKind)> = Vec::new();
    let mut add = |class, name: &str, count: usize, kinds: &[SensorKind]| {
        for n in 0..count {
            series.extend(kinds.iter().map(|k| (ComponentId::lenient(class, format!("{name} {n}")), *k)));
        }
    };
    use SensorKind as K;
    add(ComponentClass::Fan, "Fan", 12, &[K::FanSpeed, K::FanDuty]);
    add(
        ComponentClass::PowerSupply,
        "PSU",
        2,
        &[K::InputPower, K::OutputPower, K::Voltage, K::Current, K::Temperature],
    );
    add(ComponentClass::Cpu, "CPU", 2, &[K::Temperature, K::Power]);
    add(ComponentClass::Memory, "DIMM", 16, &[K::Temperature, K::CorrectableErrors]);
    add(ComponentClass::Board, "Inlet", 1, &[K::Temperature]);
    add(ComponentClass::Board, "Sensor", 8, &[K::Temperature]);
    add(ComponentClass::Server, "server", 1, &[K::Power]);
    assert_eq!(series.len(), 80);
    let mut drifts = vec![Drift::default(); 50];
    let (mut taken, mut signs) = (0_u64, 0.0);
    let begun = Instant::now();
    for minute in 0..i64::try_from(days).unwrap() * 24 * 60 {
        let at = Timestamp::from_secs(1_800_000_000 + minute * 60);
        let load = (minute as f64 / 1440.0 * std::f64::consts::TAU).sin();
        let mut closed = false;
        for (n, drift) in drifts.iter_mut().enumerate() {
            for (s, (component, kind)) in series.iter().enumerate() {
                let wobble = ((minute * 7 + s as i64 * 13 + n as i64) % 17) as f64;
                let value = match kind {
                    K::CorrectableErrors => 3.0,
                    K::FanSpeed => 9000.0 + 1000.0 * load + wobble * 10.0,
                    _ => (40.0 + 5.0 * load + wobble / 10.0).round(),
                };
                closed |= drift.take(component, *kind, "sensor", value, at);
                taken += 1;
            }
        }
        if closed {
            let day = Instant::now();
            let mode = RackMode::of(drifts.iter());
            for drift in &drifts {
                drift.signs(&mode);
            }
            signs = day.elapsed().as_secs_f64() / drifts.len() as f64;
        }
    }
    let each = begun.elapsed().as_secs_f64() / taken as f64;
    let share = each * 10_000.0 * 80.0 / 60.0 * 100.0;
    let size = serde_json::to_vec(&drifts[0]).unwrap().len();
    println!(
        "{taken} readings, {:.0} ns each, judging included: 10,000 servers with 80 series a minute take {share:.2} % of a core",
        each * 1e9
    );
    println!(
        "the newest day of a server is judged in {:.2} ms; as JSON it has {size} bytes after {days} days",
        signs * 1e3
    );
}

fn one_rack(
    plan: &Plan,
    number: usize,
    tallies: &mut BTreeMap<&'static str, Tally>,
    months: &mut BTreeMap<&'static str, f64>,
    verbose: bool,
) -> u64 {
    let rack = Rack::new(plan, number);
    let truths = rack.truths();
    let ids: Vec<Vec<ComponentId>> =
        (0..plan.servers).map(|s| rack.names(s).iter().map(|n| component(n)).collect()).collect();
    for id in ids.iter().flatten() {
        let class = match id.class() {
            ComponentClass::Fan => "fan",
            ComponentClass::PowerSupply => "psu",
            ComponentClass::Cpu => "thermal",
            ComponentClass::Memory => "dimm",
            _ => continue,
        };
        *months.entry(class).or_default() += (plan.hours - LEARNING) as f64 / 730.0;
    }
    // DUMP=rack:server:part prints the days of one part.
    let dump = std::env::var("DUMP").ok().and_then(|d| {
        let parts: Vec<&str> = d.split(':').collect();
        Some((parts.first()?.parse::<usize>().ok()?, parts.get(1)?.parse::<usize>().ok()?, (*parts.get(2)?).to_owned()))
    });
    let drifts = std::cell::RefCell::new(vec![Drift::default(); plan.servers]);
    let mut alarms: BTreeMap<&str, Vec<Alarm>> = CLASSES.iter().map(|c| (c.2, Vec::new())).collect();
    let (mut rows, mut today) = (0_u64, 0_i64);
    let at = |hour: i64| Timestamp::from_secs((hour + 24 * 365 * 50) * 3600);
    rack.run(
        |row| {
            rows += 1;
            let mut drifts = drifts.borrow_mut();
            let kind = kind(row.kind);
            drifts[row.server].take(&ids[row.server][row.component], kind, "", row.value, at(row.hour));
            // The clock of a server may be off; the collector's is not. One look a day.
            if row.true_hour / 24 > today {
                today = row.true_hour / 24;
                let mode = RackMode::of(drifts.iter());
                for (server, drift) in drifts.iter().enumerate() {
                    for sign in drift.signs(&mode).iter().filter(|s| s.score >= 1.0) {
                        let class = CLASSES.iter().find(|c| c.1 == sign.class).unwrap().2;
                        let name = sign.component.slot().to_owned();
                        let known = alarms[class].iter().any(|(s, n, _)| *s == server && *n == name);
                        if verbose && !known {
                            let facts: Vec<String> = sign
                                .facts
                                .iter()
                                .map(|f| format!("{:?} {:?} by {:.4} share {:.2}", f.measure, f.what, f.by, f.share))
                                .collect();
                            println!(
                                "     rack {number} server {server} {name}: {} at {}",
                                facts.join(", "),
                                row.true_hour
                            );
                        }
                        alarms.get_mut(class).unwrap().push((server, name, row.true_hour));
                    }
                }
            }
        },
        |happening| {
            if dump.as_ref().is_some_and(|d| d.0 == number && d.1 == happening.server) {
                println!("     {happening:?}");
            }
            let mut drifts = drifts.borrow_mut();
            match happening.event {
                "replaced" => drifts[happening.server].renew(&component(&happening.component), at(happening.at)),
                _ => drifts[happening.server].changed(at(happening.at)),
            }
        },
    );
    if let Some((server, part)) = dump.as_ref().filter(|d| d.0 == number).map(|d| (d.1, &d.2)) {
        for (measure, _, day, level) in drifts.borrow()[server].course(&component(part)) {
            println!("     {measure:?} {} {level:.4}", day.as_secs() / 3600 - 24 * 365 * 50);
        }
    }
    for (class, _, name) in CLASSES {
        let tally = judge(class, &truths, &alarms[name], LEARNING, plan.hours, |note| {
            if verbose {
                println!("     rack {number} {note}");
            }
        });
        tallies.entry(name).or_default().add(tally);
    }
    rows
}

fn component(name: &str) -> ComponentId {
    let class = match name.trim_end_matches(|c: char| c.is_ascii_digit()) {
        "fan" => ComponentClass::Fan,
        "psu" => ComponentClass::PowerSupply,
        "cpu" => ComponentClass::Cpu,
        "dimm" => ComponentClass::Memory,
        "inlet" => ComponentClass::Board,
        _ => ComponentClass::Server,
    };
    ComponentId::lenient(class, name)
}

fn kind(name: &str) -> SensorKind {
    match name {
        "memory_ce_count" => SensorKind::CorrectableErrors,
        other => other.parse().unwrap(),
    }
}
