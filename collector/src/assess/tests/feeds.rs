//! Feeds that are lost, at sites and in ways that a seed determines: how many tickets each loss makes. `OUTBAND_FEED_LOSSES=120 cargo test -p outband-collector --lib
//! feeds -- --nocapture` tries more losses than those of every run, and tells each.

use super::storms::{Dice, bmc};
use super::*;
use crate::topology::Topology;
use outband_schemas::{EventKind, LogEvent, Severity};
use std::collections::BTreeSet;
use std::sync::Arc;

/// How a BMC tells that a supply has no input.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Says {
    /// The supply's state.
    State,
    /// The voltage at its input.
    Volts,
    /// Its state and its log.
    Log,
}

/// A server: its feeds, in the order of its supplies.
#[derive(Debug)]
struct Server {
    feeds: Vec<usize>,
    says: Says,
    /// From this round on its BMC is silent, for so many rounds.
    silent: (usize, usize),
}

/// One loss, and where it happens.
#[derive(Debug)]
struct Story {
    seed: u64,
    servers: Vec<Server>,
    /// Which feed, and which third of its servers, where it is one phase only.
    feed: usize,
    phase: Option<usize>,
    /// In seconds: how often is polled, how long it lasts.
    cadence: u64,
    lasts: u64,
    /// Rounds until the last of the supplies has lost its input, and one in so many readings comes late.
    slow: usize,
    late: usize,
    /// The agent is not heard for so many rounds from the loss on.
    outage: usize,
    /// The feed comes back for some minutes in the middle.
    returns: bool,
}

const FEEDS: [&str; 3] = ["A", "B", "C"];
const NAMES: [&str; 2] = ["psu/1", "psu/2"];

impl Story {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        (0..9).for_each(|_| {
            dice.below(2);
        });
        // A minute to two days, most of them short; the longer, the slower and smaller the site, as it is replayed poll by poll.
        let lasts = (60.0 * (2880_f64).powf(dice.below(1000) as f64 / 999.0)).round() as u64;
        let cadence = match lasts {
            0..360 => 10,
            360..7200 => [10, 60][dice.below(2)],
            7200..40_000 => 300,
            _ => 900,
        };
        let most = (4000 / (lasts / cadence + 40) as usize).clamp(12, 80);
        let count = 5 + dice.below(most - 4);
        let alone = dice.below(4) == 0;
        let servers = (0..count).map(|_| {
            let first = dice.below(2);
            let feeds = if dice.below(6) == 0 { vec![first] } else { vec![first, first + 1] };
            // Sites with two feeds know no third one.
            let feeds = if alone { feeds.iter().map(|f| f % 2).collect() } else { feeds };
            let says = [Says::State, Says::Volts, Says::Log][dice.below(3)];
            let silent = if dice.below(20) == 0 { (dice.below(30), 3 + dice.below(20)) } else { (0, 0) };
            Server { feeds, says, silent }
        });
        let servers: Vec<Server> = servers.collect();
        let feed = dice.below(2);
        let phase = (count >= 24 && dice.below(4) == 0).then(|| dice.below(3));
        Self {
            seed,
            feed,
            phase,
            cadence,
            lasts,
            slow: dice.below(3),
            late: [0, 0, 10, 4][dice.below(4)],
            outage: if dice.below(6) == 0 { 3 + dice.below(4) } else { 0 },
            returns: lasts > 40 * cadence && dice.below(4) == 0,
            servers,
        }
    }

    fn rounds(&self) -> usize {
        (self.lasts / self.cadence) as usize
    }

    /// The servers that lose an input.
    fn hit(&self) -> Vec<usize> {
        let on = |i: &usize| self.servers[*i].feeds.contains(&self.feed);
        (0..self.servers.len()).filter(|i| on(i) && self.phase.is_none_or(|p| i % 3 == p)).collect()
    }

    fn site(&self) -> Room {
        let mut room = Room::read_every(Duration::from_secs(self.cadence));
        let mut csv = "server,rack,power_feed\n".to_owned();
        for (i, server) in self.servers.iter().enumerate() {
            let feeds: Vec<&str> = server.feeds.iter().map(|f| FEEDS[*f]).collect();
            csv.push_str(&format!("{},R{},{}\n", bmc(i), i / 20, feeds.join(";")));
        }
        room.terms.topology = Arc::new(Topology::parse(&csv).unwrap());
        room
    }

    /// What one BMC tells in one round. `None`: nothing, and the agent says so.
    fn body(&self, room: &Room, i: usize, fed: impl Fn(usize) -> bool, entry: Option<bool>) -> Vec<(Lane, Vec<u8>)> {
        let (server, at) = (&self.servers[i], room.now);
        let body = |section, observations| {
            let set = ObservationSet { target: TargetId::new(bmc(i)).unwrap(), section, polled_at: at, observations };
            (section.lane(), encode_set(&set))
        };
        let mut told = vec![number("fan/1", SensorKind::FanSpeed, 6000.0, at)];
        for (feed, name) in server.feeds.iter().zip(NAMES) {
            let fed = fed(*feed);
            if server.says == Says::Volts {
                told.push(number(name, SensorKind::InputVoltage, if fed { 230.0 } else { 0.0 }, at));
            } else {
                let state = if fed { Condition::Ok } else { Condition::Critical };
                let text = if fed { "Presence detected" } else { "Power Supply input lost (AC/DC)" }.to_owned();
                told.push(reading(name, SensorKind::State, Value::State { state, text }, at));
            }
        }
        let mut bodies = vec![body(Section::Sensors, told)];
        let place = server.feeds.iter().position(|f| *f == self.feed);
        if let (Says::Log, Some(gone), Some(place)) = (server.says, entry, place) {
            bodies.push(body(Section::Log, vec![entry_of(NAMES[place], gone, at)]));
        }
        bodies
    }
}

fn entry_of(component: &str, gone: bool, at: Timestamp) -> Observation {
    Observation::Event(LogEvent {
        component: component.parse().unwrap(),
        log: "sel".to_owned(),
        id: at.as_secs().to_string(),
        kind: EventKind::PowerSupplyInputLost,
        severity: Severity::Critical,
        deasserted: !gone,
        message: "Power Supply input lost (AC/DC)".to_owned(),
        code: "086f03".to_owned(),
        bmc_time: Some(at),
        observed_at: at,
        source: Source::default(),
        raw: format!("{component} {gone} {at}"),
    })
}

/// What a loss came to.
#[derive(Debug, Default)]
struct Came {
    /// Tickets that were made of it, and of these how many stood for themselves when it ended.
    made: usize,
    open: usize,
    /// The most that stood for themselves at any time.
    most: usize,
    /// How many were left an hour and some polls after the feed was back.
    left: usize,
}

/// The tickets of power, silence and heat that stand for themselves, as far as they are not of what is silent by itself.
fn of_the_loss(room: &Room, quiet: &BTreeSet<String>) -> Vec<TicketRecord> {
    let all = room.store.tickets(&TicketFilter::default(), &Page::first(1000)).unwrap().rows;
    all.into_iter().filter(|t| t.ticket.fault != "disk_failure" && !quiet.contains(t.ticket.component.slot())).collect()
}

fn tell(story: &Story) -> Came {
    let mut dice = Dice(story.seed + 1000);
    let mut room = story.site();
    let (before, hit) = (12, story.hit());
    let end = before + story.rounds().max(1);
    let clean = usize::try_from(3600 / story.cadence).unwrap() + 24;
    // Where the feed comes back for a while, and goes again.
    let back = if story.returns { before + 15..before + 23 } else { 0..0 };
    let lost_at: Vec<usize> = story.servers.iter().map(|_| before + dice.below(story.slow + 1)).collect();
    let quiet: BTreeSet<String> =
        (0..story.servers.len()).filter(|i| story.servers[*i].silent.1 > 0).map(bmc).collect();
    let mut came = Came::default();
    let mut waiting: Vec<(Lane, Vec<u8>)> = Vec::new();
    let mut late: Vec<(usize, Lane, Vec<u8>)> = Vec::new();
    let mut was = vec![true; story.servers.len()];
    let mut last_minute_of = end + clean;
    // Nothing happens any more after the storm is over: what is left would be left in an hour, too.
    if story.cadence == 10 {
        last_minute_of = last_minute_of.min(end + 400);
    }
    for round in 0..last_minute_of {
        room.wait(story.cadence);
        for i in dice.shuffled(story.servers.len()) {
            let gone = hit.contains(&i) && (lost_at[i]..end).contains(&round) && !back.contains(&round);
            let entry = (was[i] == gone).then_some(gone);
            was[i] = !gone;
            let (from, n) = story.servers[i].silent;
            if (from..from + n).contains(&round) {
                let at = room.now;
                let set = ObservationSet {
                    target: TargetId::new(bmc(i)).unwrap(),
                    section: Section::Sensors,
                    polled_at: at,
                    observations: vec![silence(&bmc(i), at)],
                };
                waiting.push((Lane::Telemetry, encode_set(&set)));
                continue;
            }
            for (lane, body) in story.body(&room, i, |feed| !(gone && feed == story.feed), entry) {
                match story.late {
                    n if n > 0 && dice.below(n) == 0 => late.push((round + 1 + dice.below(3), lane, body)),
                    _ => waiting.push((lane, body)),
                }
            }
        }
        // Those of one disk that fails for itself meanwhile.
        if round >= before {
            waiting.push((Lane::Telemetry, room.disk_body(0, false)));
        }
        let due = |l: &(usize, Lane, Vec<u8>)| l.0 <= round;
        waiting.extend(late.iter().filter(|l| due(l)).map(|l| (l.1, l.2.clone())));
        late.retain(|l| !due(l));
        if (before..before + story.outage).contains(&round) {
            room.step();
            continue;
        }
        for lane in Lane::ALL {
            let bodies: Vec<Vec<u8>> = waiting.iter().filter(|w| w.0 == lane).map(|w| w.1.clone()).collect();
            let mut bodies = bodies.as_slice();
            while !bodies.is_empty() {
                let (now, rest) = bodies.split_at(bodies.len().min(5 + dice.below(60)));
                room.send_bodies(lane, now.to_vec());
                bodies = rest;
            }
        }
        waiting.clear();
        let top = |t: &&TicketRecord| t.ticket.is_open() && t.ticket.parent.is_none();
        let all = of_the_loss(&room, &quiet);
        came.most = came.most.max(all.iter().filter(top).count());
        if round + 1 == end {
            (came.made, came.open) = (all.len(), all.iter().filter(top).count());
        }
        came.left = all.iter().filter(|t| t.ticket.is_open()).count();
    }
    if came.open != 1 || came.left != 0 || came.most > 1 {
        let all = of_the_loss(&room, &quiet);
        for t in all.iter().take(12) {
            let t = &t.ticket;
            eprintln!("    {} {} {} parent {:?}: {}", t.number, t.title, t.state.as_str(), t.parent, t.reason);
        }
    }
    came
}

#[test]
fn every_loss_of_a_feed_is_one_open_ticket() {
    let losses: u64 = std::env::var("OUTBAND_FEED_LOSSES").ok().and_then(|n| n.parse().ok()).unwrap_or(4);
    let from: u64 = std::env::var("OUTBAND_FEED_FROM").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let mut wrong = Vec::new();
    for seed in from..from + losses {
        let story = Story::new(seed);
        let came = tell(&story);
        let Story { cadence, lasts, phase, slow, late, outage, returns, .. } = &story;
        let (all, hit) = (story.servers.len(), story.hit().len());
        eprintln!(
            "loss {seed}: {hit} of {all} servers, {lasts} s, polled each {cadence} s, phase {phase:?}, slow {slow}, late {late}, outage {outage}, returns {returns}: {came:?}"
        );
        // One phase of three is fewer servers than a storm takes: each is told for itself.
        if hit >= 3 && phase.is_none() && (came.open, came.left) != (1, 0) {
            wrong.push((seed, came));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
