//! BMCs that somebody wants read whole, now: what is still to be read of each, and who waits for it. Sans-IO.
//!
//! Nobody can hammer a BMC by this: whoever asks while a BMC is being read whole waits for the same polls, whoever asks soon after is told what was read then,
//! and a BMC that cannot be spoken to is not tried again for it.

use super::schedule::Outcome;
use outband_schemas::{Section, TargetId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// What was read whole this lately is not read again.
pub const LATELY: Duration = Duration::from_secs(60);

/// Somebody wants a BMC read whole.
#[derive(Debug)]
pub struct Wish {
    /// The BMC.
    pub target: TargetId,
    /// What is not read by then is told as not read.
    pub until: Instant,
    /// Who waits for it.
    pub reply: oneshot::Sender<Whole>,
}

impl Wish {
    /// Says that nothing is read, and why.
    pub(super) fn in_vain(self, why: &str) {
        let unread = Section::OF_BMC.into_iter().map(|section| (section, why.to_owned())).collect();
        answer(vec![self.reply], &Whole { read: Vec::new(), unread, secs_ago: 0 });
    }
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Whole {
    /// What was read.
    pub read: Vec<Section>,
    /// What was not, and why.
    pub unread: Vec<(Section, String)>,
    /// How long ago that was; 0: just now.
    pub secs_ago: u64,
}

/// A BMC that is being read whole.
#[derive(Debug)]
struct Reading {
    since: Instant,
    until: Instant,
    left: BTreeSet<Section>,
    whole: Whole,
    waiting: Vec<oneshot::Sender<Whole>>,
}

/// Every BMC that is, or was lately.
#[derive(Debug, Default)]
pub(super) struct Fresh {
    reading: BTreeMap<TargetId, Reading>,
    lately: BTreeMap<TargetId, (Instant, Whole)>,
}

impl Fresh {
    /// Takes a wish. Whether polls have to be made for it.
    pub(super) fn begin(&mut self, wish: Wish, now: Instant) -> bool {
        if let Some(reading) = self.reading.get_mut(&wish.target) {
            reading.until = reading.until.max(wish.until);
            reading.waiting.push(wish.reply);
            return false;
        }
        self.lately.retain(|_, (at, _)| now.duration_since(*at) < LATELY);
        if let Some((at, whole)) = self.lately.get(&wish.target) {
            // Just now is no time ago.
            let secs_ago = now.duration_since(*at).as_secs().max(1);
            answer(vec![wish.reply], &Whole { secs_ago, ..whole.clone() });
            return false;
        }
        let left = Section::OF_BMC.into_iter().collect();
        let (until, waiting) = (wish.until, vec![wish.reply]);
        self.reading.insert(wish.target, Reading { since: now, until, left, whole: Whole::default(), waiting });
        true
    }

    /// Notes how a poll ended. A BMC that cannot be spoken to is not waited for.
    pub(super) fn polled(&mut self, target: &TargetId, section: Section, trouble: Option<&str>, outcome: Outcome) {
        let Some(reading) = self.reading.get_mut(target) else { return };
        if !reading.left.remove(&section) {
            return;
        }
        match (trouble, outcome) {
            (None, Outcome::Done) => reading.whole.read.push(section),
            (why, _) => reading.whole.unread.push((section, why.unwrap_or("it was given up").to_owned())),
        }
        if matches!(outcome, Outcome::TargetFailed | Outcome::Busy(_) | Outcome::LeaveAlone(_)) {
            let why = trouble.unwrap_or("the BMC cannot be spoken to");
            reading.whole.unread.extend(std::mem::take(&mut reading.left).into_iter().map(|s| (s, why.to_owned())));
        }
        if reading.left.is_empty() {
            self.end(target);
        }
    }

    /// Says of those whose time is over what was read.
    pub(super) fn overdue(&mut self, now: Instant) {
        let over: Vec<TargetId> =
            self.reading.iter().filter(|(_, r)| r.until <= now).map(|(target, _)| target.clone()).collect();
        for target in over {
            self.give_up(&target, "not read in time");
        }
    }

    /// A BMC that is no longer polled, or is another one now.
    pub(super) fn forget(&mut self, target: &TargetId) {
        self.give_up(target, "the agent's config changed meanwhile");
        self.lately.remove(target);
    }

    fn give_up(&mut self, target: &TargetId, why: &str) {
        if let Some(reading) = self.reading.get_mut(target) {
            let left = std::mem::take(&mut reading.left);
            reading.whole.unread.extend(left.into_iter().map(|section| (section, why.to_owned())));
            self.end(target);
        }
    }

    fn end(&mut self, target: &TargetId) {
        let Some(reading) = self.reading.remove(target) else { return };
        answer(reading.waiting, &reading.whole);
        self.lately.insert(target.clone(), (reading.since, reading.whole));
    }
}

/// Whoever no longer waits has nothing to be told.
fn answer(waiting: Vec<oneshot::Sender<Whole>>, whole: &Whole) {
    for reply in waiting {
        if reply.send(whole.clone()).is_err() {
            tracing::debug!("the asker of a whole reading is gone");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> TargetId {
        TargetId::new(name).unwrap()
    }

    fn wish(at: Instant) -> (Wish, oneshot::Receiver<Whole>) {
        let (reply, answer) = oneshot::channel();
        (Wish { target: id("bmc1"), until: at + Duration::from_secs(100), reply }, answer)
    }

    fn read_all(fresh: &mut Fresh) {
        for section in Section::OF_BMC {
            fresh.polled(&id("bmc1"), section, None, Outcome::Done);
        }
    }

    #[test]
    fn a_wish_is_answered_when_every_section_was_polled_and_a_second_one_joins_it() {
        let (mut fresh, now) = (Fresh::default(), Instant::now());
        let ((one, mut first), (two, mut second)) = (wish(now), wish(now));
        assert!(fresh.begin(one, now));
        assert!(!fresh.begin(two, now), "one reading for both");
        for section in &Section::OF_BMC[1..] {
            fresh.polled(&id("bmc1"), *section, None, Outcome::Done);
        }
        assert!(first.try_recv().is_err());
        fresh.polled(&id("bmc1"), Section::OF_BMC[0], Some("HTTP 500"), Outcome::SectionFailed);
        let whole = first.try_recv().unwrap();
        assert_eq!((whole.read.len(), whole.secs_ago), (Section::OF_BMC.len() - 1, 0));
        assert_eq!(whole.unread, [(Section::OF_BMC[0], "HTTP 500".to_owned())]);
        assert_eq!(second.try_recv().unwrap(), whole);
    }

    #[test]
    fn a_bmc_that_was_read_whole_lately_is_not_asked_again() {
        let (mut fresh, now) = (Fresh::default(), Instant::now());
        let (one, _first) = wish(now);
        assert!(fresh.begin(one, now));
        read_all(&mut fresh);
        let soon = now + LATELY - Duration::from_secs(1);
        let (two, mut second) = wish(soon);
        assert!(!fresh.begin(two, soon));
        assert_eq!(second.try_recv().unwrap().secs_ago, 59);
        let (three, _third) = wish(now + LATELY);
        assert!(fresh.begin(three, now + LATELY));
    }

    #[test]
    fn a_bmc_that_cannot_be_spoken_to_is_not_waited_for() {
        let (mut fresh, now) = (Fresh::default(), Instant::now());
        let (one, mut first) = wish(now);
        fresh.begin(one, now);
        let away = Outcome::LeaveAlone(Duration::from_secs(300));
        fresh.polled(&id("bmc1"), Section::Sensors, Some("the login was refused"), away);
        let whole = first.try_recv().unwrap();
        assert_eq!((whole.read.len(), whole.unread.len()), (0, Section::OF_BMC.len()));
        assert!(whole.unread.iter().all(|(_, why)| why == "the login was refused"));
    }

    #[test]
    fn what_is_not_read_in_time_is_told_as_such() {
        let (mut fresh, now) = (Fresh::default(), Instant::now());
        let (one, mut first) = wish(now);
        fresh.begin(one, now);
        fresh.polled(&id("bmc1"), Section::Sensors, None, Outcome::Done);
        fresh.overdue(now + Duration::from_secs(99));
        assert!(first.try_recv().is_err());
        fresh.overdue(now + Duration::from_secs(100));
        let whole = first.try_recv().unwrap();
        assert_eq!(whole.read, [Section::Sensors]);
        assert!(whole.unread.iter().all(|(_, why)| why == "not read in time"));
    }
}
