//! What is held of a server, by who holds it, counted on the heap: `cargo test -p outband-health --test footprint -- --ignored --nocapture`.
//! `OUTBAND_SERVERS` (20), `OUTBAND_DAYS` (1) and `OUTBAND_EVERY` (minutes from one poll to the next) say of how many and for how long; an unoptimised build counts the
//! same bytes.

#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

#[path = "../../benches/load/site.rs"]
#[allow(dead_code, reason = "the load's bench uses all of it")]
mod site;

use outband_health::drift::Drift;
use outband_health::model::{Attribute, Field, History, Polled};
use outband_health::outlook::Course;
use outband_health::window::Origin;
use outband_health::{Names, Packed, RuleConfig, Window};
use outband_schemas::{AgentId, Observation, ObservationSet, Section, TargetId, Timestamp};
use site::Site;

#[global_allocator]
static COUNTED: dhat::Alloc = dhat::Alloc;

const START: i64 = 1_800_000_000_000;
const MINUTE: i64 = 60_000;

#[allow(clippy::disallowed_methods, reason = "a count is told its size; health itself is not")]
fn env(name: &str, or: i64) -> i64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(or)
}

/// The heap that a copy of some things takes.
fn taken<T>(copies: impl FnOnce() -> T) -> usize {
    let copies = copies();
    let before = dhat::HeapStats::get().curr_bytes;
    drop(copies);
    before - dhat::HeapStats::get().curr_bytes
}

/// What is held of one server.
struct Server {
    origin: Origin,
    window: Window,
    drift: Drift,
    course: Course,
    drives: Vec<(Packed<Polled>, Packed<History>)>,
}

impl Server {
    fn new(number: usize, names: &Names) -> Self {
        let target = TargetId::new(site::target(number)).unwrap();
        let origin = Origin { agent: AgentId::new("agent-000").unwrap(), target };
        let drives = (0..4).map(|_| Default::default()).collect();
        Self { origin, window: Window::sharing(names), drift: Drift::default(), course: Course::default(), drives }
    }

    fn take(&mut self, set: &ObservationSet, config: &RuleConfig, names: &Names) {
        for observation in &set.observations {
            let Observation::Reading(r) = observation else { continue };
            let Some(value) = r.value.as_ref().and_then(|v| v.as_number()) else { continue };
            self.drift.take(&r.component, r.kind, &r.sensor, value, r.observed_at);
            self.course.take(&r.component, r.kind, &r.sensor, value, r.observed_at);
        }
        if set.section == Section::Drives {
            let day = i32::try_from(set.polled_at.as_millis().div_euclid(86_400_000)).unwrap();
            for (polled, history) in &mut self.drives {
                if polled.day().is_some_and(|open| open < day) {
                    polled.close(history);
                }
                for attribute in Attribute::ALL {
                    polled.take(day, Field::Raw(attribute), 0.0);
                }
                polled.take(day, Field::Hours, 21_000.0);
                polled.rest(names);
                history.rest(names);
            }
        }
        self.window.observe(&self.origin, set, set.polled_at, &[], config);
        self.window.rest();
        self.drift.rest(names);
        self.course.rest(names);
    }
}

#[test]
#[ignore = "a count, not a test"]
fn what_is_held_of_a_server() {
    let (servers, days) = (usize::try_from(env("OUTBAND_SERVERS", 20)).unwrap(), env("OUTBAND_DAYS", 1));
    let every = usize::try_from(env("OUTBAND_EVERY", if days > 1 { 5 } else { 1 })).unwrap();
    let _counting = dhat::Profiler::builder().testing().trim_backtraces(Some(2)).build();
    let (site, config, names) = (Site::new(1).unwrap(), RuleConfig::default(), Names::default());
    let mut fleet: Vec<Server> = (0..servers).map(|n| Server::new(n, &names)).collect();
    for (n, server) in fleet.iter_mut().enumerate() {
        server.take(&site.inventory(n, Timestamp::from_millis(START)).unwrap(), &config, &names);
    }
    for day in 0..days {
        for minute in (0..1440).step_by(every) {
            let at = Timestamp::from_millis(START + (day * 1440 + minute) * MINUTE);
            for (n, server) in fleet.iter_mut().enumerate() {
                server.take(&site.sensors(n, at).unwrap(), &config, &names);
                if minute % 60 == 0 {
                    server.take(&site.drives(n, at).unwrap(), &config, &names);
                }
            }
        }
        if [1, 2, 5, 9, 15, 30, 64].contains(&(day + 1)) || day + 1 == days {
            let window = taken(|| fleet.iter().map(|s| s.window.clone()).collect::<Vec<_>>()) / servers;
            let drift = taken(|| fleet.iter().map(|s| s.drift.clone()).collect::<Vec<_>>()) / servers;
            let hour = |server: &Server| {
                let mut drift = server.drift.clone();
                drop(drift.put_aside());
                drift
            };
            let kept = taken(|| fleet.iter().map(hour).collect::<Vec<_>>()) / servers;
            let course = taken(|| fleet.iter().map(|s| s.course.clone()).collect::<Vec<_>>()) / servers;
            let drives = taken(|| fleet.iter().map(|s| s.drives.clone()).collect::<Vec<_>>()) / servers;
            let day = day + 1;
            println!(
                "day {day}: bytes a server: window {window}, slow wear {drift}, of it not put aside {kept}, temperatures {course}, four drives {drives}"
            );
        }
    }
}
