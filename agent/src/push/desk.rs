//! What is known of one BMC's push: the records that wait, whether anybody listens, and when the log is to be read for it. Pure: times are arguments.

use super::pace::Pace;
use outband_bmc::redfish::push::pair::{Heard, Pairing};
use outband_bmc::redfish::push::record::Delivery;
use outband_schemas::{LogEvent, Observation, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::time::Instant;

/// A ring that no poll has answered after so long is rung again.
const UNANSWERED: Duration = Duration::from_secs(30);
/// Records that wait are looked at this often at least: where the log cannot be read, they are told at last.
const LOOK: Duration = Duration::from_secs(60);

/// What outlives the agent: so a restart neither loses nor doubles an event, and finds its own subscription.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    #[serde(default)]
    pub(super) pairing: Pairing,
    /// The subscription's URI.
    #[serde(default)]
    pub(super) subscription: Option<String>,
}

/// How it is listened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Over a stream that is open.
    Stream,
    /// By a subscription that stands.
    Subscription,
}

#[derive(Debug, Default)]
pub(super) struct Desk {
    pub(super) kept: Kept,
    stored: Kept,
    restored: bool,
    pace: Pace,
    /// The log is to be read.
    wanted: bool,
    rung: Option<Timestamp>,
    last_read: Option<Timestamp>,
    listening: Option<(Way, Timestamp)>,
    /// Something came over the way that is used now.
    delivered: bool,
    /// There is nothing to listen to: what the log shows need not be remembered.
    idle: bool,
    slowed: bool,
}

/// What is to be done now.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Turn {
    /// The log is to be read now.
    pub(super) ring: bool,
    /// Whether the log may be read less often, where that has changed.
    pub(super) slow: Option<bool>,
    /// Events to be told, as the log cannot be read.
    pub(super) overdue: Vec<LogEvent>,
    /// When to look again.
    pub(super) next: Option<Instant>,
}

impl Desk {
    /// Takes back what was stored. Until then, nothing is held against it.
    pub(super) fn restore(&mut self, kept: Kept) {
        self.stored = kept.clone();
        self.kept = kept;
        self.restored = true;
    }

    /// Somebody listens from now on. What happened before is found by reading the log.
    pub(super) fn listen(&mut self, way: Way, now: Timestamp) {
        self.listening = Some((way, now));
        self.delivered = false;
        self.wanted = true;
        self.idle = false;
    }

    /// Nobody listens any more.
    pub(super) fn listen_no_more(&mut self) {
        self.listening = None;
    }

    /// There is nothing to listen to.
    pub(super) fn rest(&mut self) {
        self.listening = None;
        self.idle = true;
        self.kept.pairing = Pairing::default();
    }

    /// The log should be read, e.g. so that its poll renews the session.
    pub(super) fn want(&mut self) {
        self.wanted = true;
    }

    /// Something came. How many records were news.
    pub(super) fn heard(&mut self, delivery: Delivery, channel: u64, at: Timestamp) -> usize {
        self.delivered = true;
        // What was left out for its size is in the log.
        self.wanted |= delivery.left_out > 0;
        let news = |r| self.kept.pairing.heard(r, channel, at) == Heard::New;
        let news = delivery.records.into_iter().map(news).filter(|new| *new).count();
        self.wanted |= news > 0;
        news
    }

    /// A poll of the log that began at `began` was read. Takes out what was told before and puts in what no log shows.
    pub(super) fn log_read(&mut self, began: Timestamp, now: Timestamp, observations: &mut Vec<Observation>) {
        let listening = matches!((self.listening, self.last_read), (Some((_, since)), Some(last)) if since <= last);
        self.last_read = Some(began);
        if self.idle || !self.restored {
            return;
        }
        let (mut events, others): (Vec<LogEvent>, Vec<Observation>) =
            observations.drain(..).fold((Vec::new(), Vec::new()), |(mut events, mut others), observation| {
                match observation {
                    Observation::Event(event) => events.push(event),
                    other => others.push(other),
                }
                (events, others)
            });
        let own = self.kept.pairing.log_read(began, now, listening, &mut events);
        observations.extend(others);
        observations.extend(events.into_iter().chain(own).map(Observation::Event));
    }

    /// What is to be done at `now`, which is `at` on the other clock.
    pub(super) fn turn(&mut self, now: Timestamp, at: Instant) -> Turn {
        let overdue = self.kept.pairing.overdue(now);
        let mut next: Option<Instant> = None;
        let mut look_at = |when: Instant| next = Some(next.map_or(when, |n| n.min(when)));
        let mut want = self.wanted;
        if let Some(due) = self.kept.pairing.due() {
            let answered = match (self.rung, self.last_read) {
                (Some(rung), last) => last.is_some_and(|l| l >= rung) || now >= rung.plus(UNANSWERED),
                (None, _) => true,
            };
            want |= due <= now && answered;
            look_at(at + if due > now { due.since(now).min(LOOK) } else { Duration::from_secs(1) });
        }
        let ring = want && self.pace.next(at) <= at;
        if ring {
            self.pace.rang(at);
            self.rung = Some(now);
            self.wanted = false;
        } else if want {
            look_at(self.pace.next(at));
        }
        let slow = match self.listening {
            // A BMC may be unable to reach the listener, and would not know.
            Some((Way::Subscription, _)) => self.delivered && self.kept.pairing.is_reliable(),
            Some((Way::Stream, _)) => self.kept.pairing.is_reliable(),
            None => false,
        };
        let changed = std::mem::replace(&mut self.slowed, slow) != slow;
        Turn { ring, slow: changed.then_some(slow), overdue, next }
    }

    /// What is to be stored, if it has changed since it last was.
    pub(super) fn take_changes(&mut self) -> Option<Vec<u8>> {
        if self.stored == self.kept {
            return None;
        }
        self.stored = self.kept.clone();
        // Plain data: it has no way to fail.
        serde_json::to_vec(&self.kept).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use outband_bmc::redfish::memory::Memory;
    use outband_bmc::redfish::push::record;

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(1_700_000_000).plus(Duration::from_secs(secs))
    }

    fn delivery(id: u32) -> Delivery {
        let body = format!(
            r#"{{"Id": "{id}", "Events": [{{"MessageId": "A.1.B", "Message": "m{id}", "EventTimestamp": "2023-11-14T22:13:{id:02}Z"}}]}}"#
        );
        record::read(body.as_bytes(), None, &Memory::default(), at(0)).unwrap()
    }

    /// A desk and both clocks.
    struct Room {
        desk: Desk,
        began: Instant,
    }

    impl Room {
        fn turn(&mut self, secs: u64) -> Turn {
            self.desk.turn(at(secs), self.began + Duration::from_secs(secs))
        }

        fn read(&mut self, secs: u64) -> Vec<Observation> {
            let mut observations = Vec::new();
            self.desk.log_read(at(secs), at(secs), &mut observations);
            observations
        }
    }

    fn room() -> Room {
        let mut desk = Desk::default();
        desk.restore(Kept::default());
        Room { desk, began: Instant::now() }
    }

    #[test]
    fn news_rings_at_once_and_a_storm_rings_ever_more_rarely() {
        let mut room = room();
        assert_eq!(room.desk.heard(delivery(1), 1, at(0)), 1);
        assert!(room.turn(0).ring);
        let rings = (1..60).filter(|secs| {
            room.desk.heard(delivery(u32::try_from(*secs).unwrap()), 1, at(*secs));
            room.turn(*secs).ring
        });
        assert!((4..=8).contains(&rings.count()), "a minute of an event a second");
    }

    #[test]
    fn a_record_that_the_log_does_not_show_is_looked_for_again_and_then_told() {
        let mut room = room();
        room.desk.heard(delivery(1), 1, at(0));
        assert!(room.turn(0).ring);
        assert!(room.read(1).is_empty());
        assert!(!room.turn(2).ring);
        assert!(room.turn(10).ring, "a second look");
        assert!(!room.turn(12).ring, "the poll is on its way");
        assert_eq!(room.read(11).len(), 1);
        assert_eq!(room.turn(60), Turn::default());
    }

    #[test]
    fn a_ring_that_nobody_answers_is_rung_again() {
        let mut room = room();
        room.desk.heard(delivery(1), 1, at(0));
        assert!(room.turn(0).ring);
        assert!(room.turn(11).next.is_some());
        assert!(!room.turn(20).ring);
        assert!(room.turn(31).ring);
    }

    #[test]
    fn the_log_is_read_less_often_only_while_somebody_listens() {
        let mut room = room();
        room.desk.listen(Way::Stream, at(0));
        let turn = room.turn(0);
        assert_eq!((turn.slow, turn.ring), (Some(true), true), "what happened before is read");
        assert_eq!(room.turn(1).slow, None);
        room.desk.listen_no_more();
        assert_eq!(room.turn(5).slow, Some(false));
    }

    #[test]
    fn a_subscription_is_relied_on_after_its_first_delivery() {
        let mut room = room();
        room.desk.listen(Way::Subscription, at(0));
        assert_eq!(room.turn(0).slow, None);
        room.desk.heard(delivery(1), 0, at(3));
        assert_eq!(room.turn(3).slow, Some(true));
    }

    #[test]
    fn what_did_not_change_is_not_stored_again() {
        let mut desk = Desk::default();
        assert_eq!(desk.take_changes(), None);
        desk.heard(delivery(1), 1, at(0));
        let stored = desk.take_changes().unwrap();
        assert_eq!(desk.take_changes(), None);
        let mut again = Desk::default();
        again.restore(serde_json::from_slice(&stored).unwrap());
        assert_eq!(again.kept, desk.kept);
    }
}
