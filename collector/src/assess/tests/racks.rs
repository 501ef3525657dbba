//! A rack of 40 servers that loses its feed while twelve drives fail: told as one cause and twelve drives, in whatever order and however slowly it comes,
//! and nothing is ever lost. `OUTBAND_RACK_SEEDS=20 cargo test -p outband-collector --lib racks` tries more orders than the three of every run.

use super::storms::{Dice, SERVERS, rack};
use super::*;
use outband_health::{Fault, Hold, IncidentKey, Stage};
use outband_ticket::LinkKind;
use std::collections::BTreeSet;

/// How it comes.
#[derive(Debug, Clone, Copy)]
struct Story {
    /// The round in which the first supply loses its feed, and in how many rounds the others follow.
    feed: (usize, usize),
    /// The same of the twelve drives.
    disks: (usize, usize),
    /// The agent is not heard from this round on, for so many rounds; then it tells all that it saw.
    outage: Option<(usize, usize)>,
    /// The collector starts again before each of these rounds.
    restarts: bool,
}

const AT_ONCE: Story = Story { feed: (2, 1), disks: (2, 6), outage: None, restarts: false };

fn seeds() -> u64 {
    std::env::var("OUTBAND_RACK_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(3)
}

/// Every finding has an incident, and every incident that opened is named by a ticket, or by what keeps it from one.
fn nothing_is_lost(room: &Room, what: &str) {
    let open = room.store.open_incidents().unwrap();
    for key in room.assessor.as_ref().unwrap().all_findings() {
        assert!(open.iter().any(|i| i.key == key), "{what}: nothing names {key:?}");
    }
    for incident in open.iter().filter(|i| i.stage != Stage::Pending) {
        let named = match (&incident.hold, incident.ticket) {
            (Some(Hold::Folded { into }), _) => {
                let parent = open.iter().find(|i| i.ticket == Some(*into));
                // The member that came last is taken into the storm's ticket with the next step.
                parent.is_some_and(|p| {
                    p.members.contains(&incident.key) || room.now.since(incident.noted_at).as_secs() < 120
                })
            }
            (Some(Hold::Watched { .. } | Hold::Suppressed { .. }), _) => true,
            (None, Some(number)) => room.store.ticket(outband_ticket::TicketNumber(number)).unwrap().is_some(),
            (None, None) => false,
        };
        assert!(named, "{what}: {incident:?}");
    }
}

fn tell(seed: u64, story: Story) -> Room {
    let mut dice = Dice(seed);
    let mut room = rack(SERVERS);
    let failing: Vec<usize> = dice.shuffled(SERVERS).into_iter().take(12).collect();
    let mut disk_at = vec![usize::MAX; SERVERS];
    for i in &failing {
        disk_at[*i] = story.disks.0 + dice.below(story.disks.1);
    }
    let feed_at: Vec<usize> = (0..SERVERS).map(|_| story.feed.0 + dice.below(story.feed.1)).collect();
    let rounds = 24 + story.feed.0 + story.feed.1 + story.outage.map_or(0, |(_, n)| n);
    let mut kept: Vec<Vec<u8>> = Vec::new();
    for round in 0..rounds {
        room.later();
        if story.restarts && round % 4 == 0 {
            room.restart();
        }
        for i in dice.shuffled(SERVERS) {
            kept.push(room.psu_body(i, round < feed_at[i]));
            kept.push(room.disk_body(i, round < disk_at[i]));
        }
        if story.outage.is_some_and(|(from, n)| (from..from + n).contains(&round)) {
            room.step();
        } else {
            while !kept.is_empty() {
                let some = kept.drain(..kept.len().min(1 + dice.below(15))).collect();
                room.send_bodies(Lane::Telemetry, some);
            }
        }
        nothing_is_lost(&room, &format!("seed {seed}, {story:?}, round {round}"));
    }
    room
}

/// One cause, twelve drives; what got a ticket before the cause was seen is a part of it.
fn is_one_and_twelve(room: &Room, what: &str) {
    let open: Vec<TicketRecord> = room.tickets().into_iter().filter(|t| t.ticket.is_open()).collect();
    let top = |fault: &str| open.iter().filter(|t| t.ticket.fault == fault && t.ticket.parent.is_none()).count();
    let titles: Vec<_> = open.iter().map(|t| (&t.ticket.title, t.ticket.parent)).collect();
    assert_eq!(
        (top("power_feed_lost"), top("disk_failure"), top("power_input_lost")),
        (1, 12, 0),
        "{what}: {titles:#?}"
    );
    let parent = &open.iter().find(|t| t.ticket.fault == "power_feed_lost").unwrap().ticket;
    let children = open.iter().filter(|t| t.ticket.parent == Some(parent.number)).count();
    assert_eq!(open.len(), 13 + children, "{what}: {titles:#?}");
    let incidents = room.store.open_incidents().unwrap();
    let storm = incidents.iter().find(|i| i.ticket == Some(parent.number.0)).unwrap();
    let members: BTreeSet<&IncidentKey> =
        incidents.iter().filter(|i| i.key.fault == Fault::PowerInputLost).map(|i| &i.key).collect();
    assert_eq!(members.len(), SERVERS, "{what}: every server keeps its incident");
    assert_eq!(members, storm.members.iter().collect(), "{what}: the storm names them all");
    let folded = incidents.iter().filter(|i| i.hold == Some(Hold::Folded { into: parent.number.0 })).count();
    assert_eq!(folded + children, SERVERS, "{what}: each is folded or a child");
    for child in open.iter().filter(|t| t.ticket.parent.is_some()) {
        assert!(child.ticket.suppressed.is_some(), "{what}: nobody is paged for it");
        assert!(child.ticket.links.iter().any(|l| l.kind == LinkKind::CausedBy && l.to == parent.number));
    }
}

fn everywhere(story: Story) {
    for seed in 1..=seeds() {
        is_one_and_twelve(&tell(seed, story), &format!("seed {seed}, {story:?}"));
    }
}

#[test]
fn a_feed_that_is_lost_at_once() {
    everywhere(AT_ONCE);
}

#[test]
fn a_feed_that_is_lost_over_several_minutes() {
    everywhere(Story { feed: (2, 24), disks: (0, 30), ..AT_ONCE });
}

#[test]
fn a_feed_that_is_lost_while_the_agent_is_away() {
    everywhere(Story { feed: (8, 12), disks: (0, 25), outage: Some((10, 18)), ..AT_ONCE });
}

#[test]
fn drives_that_fail_before_and_after_the_feed() {
    everywhere(Story { feed: (12, 1), disks: (0, 30), ..AT_ONCE });
}

#[test]
fn a_collector_that_starts_again_all_the_while() {
    everywhere(Story { feed: (2, 12), disks: (0, 20), restarts: true, ..AT_ONCE });
}

#[test]
fn a_ticket_from_before_the_storm_is_taken_under_it_and_stands_for_itself_again_when_it_outlives_it() {
    let mut room = rack(SERVERS);
    let mut dice = Dice(3);
    // Three supplies first: too few for a feed, long enough for tickets of their own.
    room.rounds(8, &mut dice, |_, i| (i >= 3, true));
    assert_eq!(room.open("power_input_lost").len(), 3);
    room.rounds(10, &mut dice, |_, _| (false, true));
    let parent = room.open("power_feed_lost")[0].ticket.number;
    let children = room.open("power_input_lost");
    assert!(children.len() == 3 && children.iter().all(|t| t.ticket.parent == Some(parent)), "{children:#?}");
    // The feed is back but for one that had its own ticket, and one that had none.
    room.rounds(16, &mut dice, |_, i| (i != 0 && i != 9, true));
    let left = room.open("power_input_lost");
    assert_eq!(left.len(), 2);
    assert!(left.iter().all(|t| t.ticket.parent.is_none() && t.ticket.suppressed.is_none()));
    assert_eq!(room.store.ticket(parent).unwrap().unwrap().ticket.state, State::Closed);
}

#[test]
fn a_storm_that_a_person_calls_a_false_alarm_gives_back_what_it_held() {
    let mut room = rack(SERVERS);
    let mut dice = Dice(4);
    room.rounds(8, &mut dice, |_, i| (i >= 3, true));
    room.rounds(6, &mut dice, |_, _| (false, true));
    let parent = room.open("power_feed_lost")[0].ticket.number;
    room.move_ticket(parent, Action::Resolve { resolution: Resolution::FalseAlarm });
    room.rounds(4, &mut dice, |_, _| (false, true));
    let own = room.open("power_input_lost");
    assert_eq!(own.len(), SERVERS, "each stands for itself");
    assert!(own.iter().all(|t| t.ticket.parent.is_none()));
    assert_eq!(room.open("power_feed_lost").len(), 0, "and is not taken again");
}
