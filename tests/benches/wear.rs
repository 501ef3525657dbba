//! How well slow wear is seen: simulated racks, the detectors that run live, the judge. Simulated, not a real fleet.
//!
//! ```text
//! cargo bench -p outband-tests --bench wear -- [--seeds 1,2,3] [--racks 60] [--servers 20] [--from 0] [--months 6] [--verbose] \
//!     [--without fan_duty,current] [--every 1] [--alone]
//! cargo bench -p outband-tests --bench wear -- --write DIR [--seeds 1] [--racks 60] [--servers 20] [--months 6]
//! cargo bench -p outband-tests --bench wear -- --cost [DAYS]
//! ```
//! `--without` leaves kinds out, as a BMC that does not tell them; `--every 2` keeps the readings of every second hour; `--alone` knows no racks.
//! The second writes the racks of the first seed as files for `outband-collector backtest --readings`; the third measures what a reading costs
//! where 80 series of a server are read every minute.
#![allow(clippy::unwrap_used, reason = "a measurement: it stops where its input is wrong")]
#![allow(clippy::print_stdout, reason = "a measurement tells what it found")]

use outband_health::drift::judge::{Failure, Outcome, Tally, outcomes, tickets};
use outband_health::drift::{Drift, RackMode, Sign, SignClass};
use outband_schemas::{ComponentClass, ComponentId, SensorKind, Timestamp};
use outband_tests::sim::wear::{Plan, Rack, Truth, at, hour};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Instant;
use wear::{component, failure, happen, kind};

#[path = "../tests/support_wear/mod.rs"]
mod wear;

/// The first days are for learning: what fails within them cannot be foreseen by anyone.
const LEARNING: i64 = 17 * 24;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let value = |name: &str| args.iter().position(|a| a == name).and_then(|at| args.get(at + 1)).cloned();
    let number = |name: &str, or: usize| value(name).map_or(or, |v| v.parse().unwrap());
    let seeds: Vec<u64> = value("--seeds").unwrap_or("1".into()).split(',').map(|s| s.parse().unwrap()).collect();
    let without = value("--without").map_or(Vec::new(), |kinds| kinds.split(',').map(|k| kind(k).unwrap()).collect());
    let flag = |name: &str| args.iter().any(|a| a == name);
    let every = i64::try_from(number("--every", 1)).unwrap();
    let look = Look { verbose: flag("--verbose"), alone: flag("--alone"), every, without };
    if let Some(dir) = value("--write") {
        let hours = i64::try_from(number("--months", 6)).unwrap() * 730;
        let plan = Plan { seed: seeds[0], racks: number("--racks", 60), servers: number("--servers", 20), hours };
        return outband_tests::sim::wear::write::write(&plan, dir.as_ref()).unwrap();
    }
    if args.iter().any(|a| a == "--cost") {
        return cost(number("--cost", 20));
    }
    println!(
        "seed class    failures caught in-time recall recall(7 d) 95 % interval right wrong part-months wrong/100"
    );
    let mut total = BTreeMap::<SignClass, Seen>::new();
    for seed in &seeds {
        let hours = i64::try_from(number("--months", 6)).unwrap() * 730;
        let plan = Plan { seed: *seed, racks: number("--racks", 60), servers: number("--servers", 20), hours };
        let begun = Instant::now();
        let (mut seen, mut rows) = (BTreeMap::<SignClass, Seen>::new(), 0_u64);
        for rack in number("--from", 0)..plan.racks {
            rows += one_rack(&plan, rack, &mut seen, &look);
        }
        for (class, seen) in seen {
            line(&seed.to_string(), class, &seen);
            let all = total.entry(class).or_default();
            all.tally.add(seen.tally);
            all.months += seen.months;
            for (mode, (failures, in_time)) in seen.modes {
                let of = all.modes.entry(mode).or_default();
                *of = (of.0 + failures, of.1 + in_time);
            }
        }
        let took = begun.elapsed().as_secs_f64();
        println!("     {rows} readings in {took:.1} s, simulation included: {:.0} ns each", took * 1e9 / rows as f64);
    }
    for (class, seen) in &total {
        if seeds.len() > 1 {
            line("all", *class, seen);
        }
        for (mode, (failures, in_time)) in &seen.modes {
            println!("     {} {mode}: {in_time} of {failures} a week before", class.as_str());
        }
    }
}

fn line(seed: &str, class: SignClass, seen: &Seen) {
    let Tally { failures, caught, in_time, right, wrong } = seen.tally;
    let (recall, low, high) = seen.tally.recall().unwrap_or((f64::NAN, f64::NAN, f64::NAN));
    println!(
        "{seed:>4} {:8} {failures:8} {caught:6} {in_time:7} {:6.3} {recall:11.3} {low:6.3}-{high:.3} {right:5} {wrong:5} {:11.0} {:9.4}",
        class.as_str(),
        f64::from(caught) / f64::from(failures.max(1)),
        seen.months,
        100.0 * f64::from(wrong) / seen.months
    );
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

/// What came of one class: its tally, its part-months, and failures and those caught in time by mode.
#[derive(Default)]
struct Seen {
    tally: Tally,
    months: f64,
    modes: BTreeMap<&'static str, (u32, u32)>,
}

/// What is looked at, and told.
struct Look {
    verbose: bool,
    /// No racks are known.
    alone: bool,
    /// The readings of every so manyth hour are seen.
    every: i64,
    /// Kinds that no BMC tells.
    without: Vec<SensorKind>,
}

/// An alarm: server and component, when, what it rests on.
type Alarm = ((usize, String), Timestamp, Sign);

/// Runs one rack as it would be seen live. Answers how many readings there were.
fn one_rack(plan: &Plan, number: usize, seen: &mut BTreeMap<SignClass, Seen>, look: &Look) -> u64 {
    let rack = Rack::new(plan, number);
    let truths = rack.truths();
    let confounders: Vec<_> = (0..plan.servers).map(|s| rack.confounders(s)).collect();
    let ids: Vec<Vec<ComponentId>> =
        (0..plan.servers).map(|s| rack.names(s).iter().map(|n| component(n)).collect()).collect();
    for id in ids.iter().flatten() {
        let class = match id.class() {
            ComponentClass::Fan => SignClass::Fan,
            ComponentClass::PowerSupply => SignClass::Psu,
            ComponentClass::Cpu => SignClass::Thermal,
            ComponentClass::Memory => SignClass::Dimm,
            _ => continue,
        };
        seen.entry(class).or_default().months += (plan.hours - LEARNING) as f64 / 730.0;
    }
    // DUMP=rack:server:part prints the days of one part.
    let dump = std::env::var("DUMP").ok().and_then(|d| {
        let parts: Vec<&str> = d.split(':').collect();
        Some((parts.first()?.parse::<usize>().ok()?, parts.get(1)?.parse::<usize>().ok()?, (*parts.get(2)?).to_owned()))
    });
    let drifts = RefCell::new(vec![Drift::default(); plan.servers]);
    let mut alarms: Vec<Alarm> = Vec::new();
    let (mut rows, mut today) = (0_u64, 0_i64);
    rack.run(
        |row| {
            let kind = kind(row.kind).unwrap();
            if row.true_hour % look.every != 0 || look.without.contains(&kind) {
                return;
            }
            rows += 1;
            let mut drifts = drifts.borrow_mut();
            let id = &ids[row.server][row.component];
            drifts[row.server].take(id, kind, "", row.value, at(row.hour.min(row.true_hour)));
            // The clock of a server may be off; the collector's is not. One look a day.
            if row.true_hour / 24 > today {
                today = row.true_hour / 24;
                let mode = if look.alone { RackMode::default() } else { RackMode::of(drifts.iter()) };
                for (server, drift) in drifts.iter().enumerate() {
                    let signs = drift.signs(&mode).into_iter().filter(|s| s.score >= 1.0);
                    alarms.extend(signs.map(|s| ((server, s.component.slot().to_owned()), at(row.true_hour), s)));
                }
            }
        },
        |happening| {
            if dump.as_ref().is_some_and(|d| d.0 == number && d.1 == happening.server) {
                println!("     {happening:?}");
            }
            happen(&mut drifts.borrow_mut()[happening.server], &happening);
        },
    );
    if let Some((server, part)) = dump.as_ref().filter(|d| d.0 == number).map(|d| (d.1, &d.2)) {
        for (measure, _, day, level) in drifts.borrow()[server].course(&component(part)) {
            println!("     {measure:?} {} {level:.4}", hour(day));
        }
    }
    let failures: Vec<Failure<(usize, String)>> = truths.iter().filter_map(failure).collect();
    let judged = (at(LEARNING), at(plan.hours));
    for class in SignClass::ALL {
        let opened = tickets(alarms.iter().filter(|a| a.2.class == class).map(|a| (a.0.clone(), a.1)));
        let seen = seen.entry(class).or_default();
        for outcome in outcomes(class, &failures, &opened, at(0), judged) {
            seen.tally.count(&outcome);
            let (failure, in_time) = match &outcome {
                Outcome::Caught(failure, before) => (failure, before.as_secs() >= 7 * 86_400),
                Outcome::Missed(failure) => (failure, false),
                Outcome::Right((server, name), opened) => {
                    if look.verbose {
                        println!(
                            "     right rack {number} server {server} {name} {} {}",
                            class.as_str(),
                            hour(*opened)
                        );
                    }
                    continue;
                }
                Outcome::Wrong((server, name), opened) => {
                    if look.verbose {
                        let at = hour(*opened);
                        let sign = alarms.iter().find(|a| a.0 == (*server, name.clone()) && a.1 == *opened);
                        println!("WRONG rack {number} server {server} {name} at {at}: {}", facts(sign));
                        let near = |from: i64, to: i64| from <= at && at - to.min(at) < 40 * 24;
                        let about = |component: &str| component.is_empty() || component[..3] == name[..3];
                        for c in confounders[*server].iter().filter(|c| near(c.from, c.to) && about(&c.component)) {
                            println!("        {} {} {}..{}", c.what, c.component, c.from, c.to);
                        }
                        for t in truths.iter().filter(|t| t.server == *server && near(t.onset, t.fails)) {
                            println!("        truth {} {} {}..{}", t.component, t.mode, t.onset, t.fails);
                        }
                    }
                    continue;
                }
            };
            let truth = truths.iter().zip(&failures).find(|(_, f)| std::ptr::eq(*f, *failure)).unwrap().0;
            let of_mode = seen.modes.entry(truth.mode).or_default();
            *of_mode = (of_mode.0 + 1, of_mode.1 + u32::from(in_time));
            if look.verbose && !in_time {
                let told = match outcome {
                    Outcome::Caught(_, before) => format!("late, {} h before", before.as_secs() / 3600),
                    _ => "missed".to_owned(),
                };
                let Truth { server, component, mode, onset, fails, .. } = truth;
                println!("LATE  rack {number} server {server} {component}: {mode} {onset}..{fails} {told}");
            }
        }
    }
    rows
}

fn facts(alarm: Option<&Alarm>) -> String {
    let told = |f: &outband_health::drift::SignFact| {
        format!("{:?} {:?} by {:.4} share {:.2} since {}", f.measure, f.what, f.by, f.share, hour(f.since))
    };
    alarm.map_or(String::new(), |a| a.2.facts.iter().map(told).collect::<Vec<_>>().join(", "))
}
