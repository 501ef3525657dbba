//! Looking at open tickets again: what it costs, and that nothing is overlooked.

#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

use super::*;
use crate::assess::Terms;
use crate::topology::Topology;
use outband_health::Level;
use outband_health::incident::storm::Storm;
use outband_schemas::{AgentId, ComponentId, Identity, SiteId, TargetId};
use outband_store::sqlite::Options;
use outband_store::{AgentTarget, Applied, SqliteStore, Store, TicketRecord};
use outband_ticket::{Opening, Priority, Ticket};
use std::sync::Arc;
use std::time::Instant;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn bmc(n: usize) -> String {
    format!("bmc{n:05}")
}

fn server(n: usize) -> ServerId {
    ServerId::new(format!("srv-{n:05}")).unwrap()
}

fn incident(n: usize, fault: Fault, onset: Timestamp) -> Incident {
    let component: ComponentId = "fan/1".parse().unwrap();
    let key = IncidentKey { server: server(n), component, fault };
    let storm = Storm { cause: key, members: Vec::new() };
    let incident = outband_health::incident::storm::parent(&storm, &[], onset);
    Incident { predicted: false, level: Level::Critical, reason: "it says so".to_owned(), ..incident }
}

/// So many servers, 40 in a rack, on two feeds, 400 in a zone, 200 at an agent, 2000 at a site.
fn fleet(dir: &std::path::Path, servers: usize) -> Assessor<SqliteStore> {
    let store = SqliteStore::open(&Options::new(dir)).unwrap();
    let mut csv = "server,rack,power_feed,cooling_zone\n".to_owned();
    let mut records = Vec::new();
    for n in 0..servers {
        csv.push_str(&format!("{},R{},A{};B{},Z{}\n", bmc(n), n / 40, n / 80, n / 80, n / 400));
        let target = TargetId::new(bmc(n)).unwrap();
        records.push(ServerRecord {
            id: server(n),
            site: SiteId::new(format!("dc{}", n / 2000)).unwrap(),
            identity: Identity::default(),
            targets: vec![AgentTarget { agent: AgentId::new(format!("agent-{}", n / 200)).unwrap(), target }],
            first_seen: NOW,
            last_seen: NOW,
            merged_into: None,
            rev: 1,
        });
    }
    for some in records.chunks(1000) {
        store.apply(Applied { servers: some.to_vec(), ..Applied::default() }, NOW).unwrap();
    }
    let mut terms = Terms::try_from(&crate::config::Config::default()).unwrap();
    terms.topology = Arc::new(Topology::parse(&csv).unwrap());
    let mut assessor = Assessor::load(store, Default::default(), &terms, NOW).unwrap();
    for n in 0..servers {
        assessor.live.insert(server(n), Box::default());
    }
    assessor
}

/// A server shows a fault, and has a ticket for it.
fn shows(assessor: &mut Assessor<SqliteStore>, n: usize, fault: Fault, onset: Timestamp) -> TicketNumber {
    let number = TicketNumber(assessor.tickets.len() as u64 + 1);
    let incident = Incident { ticket: Some(number.0), ..incident(n, fault, onset) };
    let opening = Opening {
        number,
        priority: Priority::P3,
        title: "x".to_owned(),
        site: None,
        server: server(n),
        component: incident.key.component.clone(),
        fault: fault.as_str().to_owned(),
        rule: "fan.state".to_owned(),
        predicted: false,
        reason: incident.reason.clone(),
        evidence: Vec::new(),
        onset,
        part_serial: None,
    };
    let (ticket, opened) = Ticket::open(opening, "collector", onset);
    assessor.remember(TicketRecord { ticket, log: vec![opened], change: 1 });
    assessor.live.get_mut(&server(n)).unwrap().incidents.push(incident);
    number
}

fn looks(assessor: &mut Assessor<SqliteStore>, now: Timestamp) -> (usize, Duration) {
    let (mut draft, began) = (Draft::default(), Instant::now());
    assessor.triage_again(&mut draft, now).unwrap();
    let took = began.elapsed();
    (draft.finish().tickets.len(), took)
}

/// `cargo test -p outband-collector --lib triage -- --ignored --nocapture`
#[test]
#[ignore = "measures; run with --ignored --nocapture"]
fn what_looking_again_at_2000_tickets_of_10_000_servers_costs() {
    let dir = tempfile::tempdir().unwrap();
    let mut assessor = fleet(dir.path(), 10_000);
    let faults = [Fault::FanFailure, Fault::Overheating, Fault::PowerInputLost, Fault::BmcSilent, Fault::MemoryErrors];
    for n in 0..2000 {
        shows(&mut assessor, n * 5 % 10_000 + n / 2000, faults[n % 5], NOW);
    }
    let mut now = NOW;
    let mut timed = |what: &str, assessor: &mut Assessor<SqliteStore>| {
        now = now.plus(LOOK);
        let (told, took) = looks(assessor, now);
        eprintln!("{what}: {took:?}, {told} tickets told another kind");
    };
    timed("the first look", &mut assessor);
    for _ in 0..3 {
        timed("nothing has changed", &mut assessor);
    }
    for n in 0..3 {
        shows(&mut assessor, 3 + n, Fault::Overheating, NOW);
        timed("one more server shows it", &mut assessor);
    }
}

#[test]
fn only_tickets_around_which_something_has_changed_are_looked_at_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut assessor = fleet(dir.path(), 400);
    let hot = shows(&mut assessor, 0, Fault::Overheating, NOW);
    let fan = shows(&mut assessor, 1, Fault::FanFailure, NOW);
    let mut now = NOW;
    let mut due = |assessor: &mut Assessor<SqliteStore>, secs: u64| {
        now = now.plus(Duration::from_secs(secs));
        assessor.look_around(now);
        assessor.changed_around(now)
    };
    assert_eq!(due(&mut assessor, 20), [hot, fan], "the first time");
    assert_eq!(due(&mut assessor, 20), []);
    let other = shows(&mut assessor, 7, Fault::Overheating, NOW);
    assert_eq!(due(&mut assessor, 20), [hot, other], "one more shows the same");
    assessor.live.get_mut(&server(1)).unwrap().incidents.push(incident(1, Fault::MemoryErrors, NOW));
    assert_eq!(due(&mut assessor, 20), [fan], "something else is wrong with the same server");
    assessor.live.get_mut(&server(7)).unwrap().incidents.clear();
    assert_eq!(due(&mut assessor, 20), [hot, other], "one shows it no more");
    assessor.tickets.get_mut(&hot).unwrap().ticket.revision += 1;
    assert_eq!(due(&mut assessor, 20), [hot], "more is known of it itself");
    assert_eq!(due(&mut assessor, 20), []);
    assert_eq!(due(&mut assessor, 300), [hot, fan, other], "whoever stands with whom now");
}

proptest::proptest! {
    #[test]
    fn mates_are_as_many_as_one_counts_one_by_one(
        shown in proptest::collection::vec((0_usize..12, 0_i64..7200), 0..40),
        own in 0_usize..12,
        onset in 0_i64..7200,
    ) {
        let at = |secs: i64| Timestamp::from_secs(1_800_000_000 + secs);
        let share = |n: usize| Shared::Agent(format!("agent-{}", n % 3));
        let mut groups = Groups::default();
        groups.regroup(12, (0..12).map(share), at(0));
        let entries = shown.iter().map(|(n, secs)| (at(*secs), server(*n))).collect();
        groups.show(BTreeMap::from([(Fault::Overheating, entries)]), at(0));
        let number = |id: &ServerId| id.as_str().trim_start_matches("srv-").parse::<usize>().unwrap();
        groups.sort_out(&[Fault::Overheating], |id| vec![share(number(id))]);
        let mates = groups.mates(&share(own), Fault::Overheating, &server(own), at(onset));
        let others: BTreeSet<usize> = shown
            .iter()
            .filter(|(n, secs)| *n != own && n % 3 == own % 3 && (secs - onset).abs() <= 1800)
            .map(|(n, _)| *n)
            .collect();
        proptest::prop_assert_eq!((mates.same, mates.of), (others.len(), 3));
    }
}
