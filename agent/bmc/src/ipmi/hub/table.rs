//! The sessions of a hub, without a socket: whose datagram this is, what each line is asked next, and when which session wants to be woken.

use super::super::handshake::Privilege;
use super::super::message::Request;
use super::super::message::Response;
use super::super::poll::Patience;
use super::super::session::RequestError;
use super::super::session::{Event, RequestId, Session};
use super::outbox::Outbox;
use super::peers::Peers;
use super::replies::Replies;
use super::{Command, Facts, LineId, Opened, Told};
use crate::PollStats;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::oneshot;

/// Where a line's slot is.
type Place = u32;

/// After so many answers it is looked at whether anybody waits for the others.
pub(super) const LOOKED_AT: usize = 8;

/// Every line of a hub.
#[derive(Default)]
pub(super) struct Table {
    /// Side by side, so that an answer leads to its session without a look-up; a place that is free is used again.
    slots: Vec<Option<Slot>>,
    free: Vec<Place>,
    places: HashMap<LineId, Place>,
    /// The first line to each peer.
    peers: Peers<Place>,
    /// When lines want to be woken, and perhaps no longer do: an entry is looked at when its time comes, and not moved with every answer.
    timers: BinaryHeap<Reverse<(Instant, Place)>>,
    outbox: Outbox,
    /// The memory in which the next datagram is made, whosever it is.
    spare: Vec<u8>,
    /// The privilege that the last session with a BMC came to need, where that was more than the least: the next one begins with it.
    privileges: HashMap<SocketAddr, Privilege>,
}

struct Slot {
    line: LineId,
    peer: SocketAddr,
    /// The next line to the same peer. There is seldom one: an order beside a poll.
    beside: Option<Place>,
    session: Session,
    stats: PollStats,
    refused: bool,
    /// The earliest of its entries among the timers.
    armed: Option<Instant>,
    work: Work,
}

/// What a line is about.
enum Work {
    Nothing,
    Opening(oneshot::Sender<Opened>),
    Asking(Asking),
    Closing(oneshot::Sender<()>),
}

/// A list of requests, put one after the other.
struct Asking {
    requests: Arc<[Request]>,
    /// The one in flight, which is that of the list after those that have replies.
    id: RequestId,
    replies: Replies,
    patience: Patience,
    tell: oneshot::Sender<Told>,
}

impl Table {
    /// Does what a client wants.
    pub(super) fn command(&mut self, command: Command, now: Instant) {
        match command {
            Command::Open { line, peer, login, tell } => {
                let (mut config, random) = *login;
                config.privilege = self.privileges.get(&peer).copied().unwrap_or(config.privilege);
                let slot = Slot {
                    line,
                    peer,
                    beside: None,
                    session: Session::connect(config, random, now),
                    stats: PollStats::default(),
                    refused: false,
                    armed: None,
                    work: Work::Opening(tell),
                };
                let place = self.add(slot);
                self.settle(place, now);
            }
            Command::Ask { line, requests, patience, until, tell } => {
                // A line that is gone drops `tell`, which tells as much.
                let Some((place, slot)) = self.find(line) else { return };
                slot.session.finish_by(until);
                slot.ask(requests, patience, tell, now);
                self.settle(place, now);
            }
            Command::AtMostOnce(line) => {
                if let Some((_, slot)) = self.find(line) {
                    slot.session.at_most_once();
                }
            }
            Command::Close { line, tell } => {
                let Some((place, slot)) = self.find(line) else { return };
                slot.work = Work::Closing(tell);
                slot.session.close(now);
                self.settle(place, now);
            }
            Command::Abandon(line) => {
                if let Some((place, slot)) = self.find(line) {
                    let (peer, farewell) = (slot.peer, slot.session.abandon());
                    slot.stats.datagrams_sent += u64::from(farewell.is_some());
                    if let Some(datagram) = farewell {
                        self.outbox.push(peer, &datagram);
                    }
                    self.remove(place);
                }
            }
        }
    }

    /// Datagrams of these peers come next: what their sessions keep is brought near. Taken one after the other, each would wait for memory by itself; looked at
    /// together, all do at once.
    pub(super) fn expect(&self, peers: impl Iterator<Item = SocketAddr>) {
        let touched = peers
            .filter_map(|from| self.slots.get(usize::try_from(*self.peers.get(&from)?).ok()?)?.as_ref())
            .fold(0, |sum: usize, slot| sum.wrapping_add(slot.touch()));
        std::hint::black_box(touched);
    }

    /// Takes a datagram to the line whose session it belongs to; whether there was one.
    pub(super) fn handle_datagram(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) -> bool {
        let mut next = self.peers.get(&from).copied();
        while let Some(place) = next {
            let Some(slot) = slot(&mut self.slots, place) else { return false };
            slot.stats.datagrams_received += 1;
            slot.stats.bytes_received += datagram.len() as u64;
            slot.session.lend(std::mem::take(&mut self.spare));
            // Session ids, or before there is one tags and request numbers, tell lines to one peer apart.
            if slot.session.handle_datagram(now, datagram) {
                self.settle(place, now);
                return true;
            }
            next = slot.beside;
        }
        false
    }

    /// The network says that nobody is there.
    pub(super) fn handle_unreachable(&mut self, peer: SocketAddr, detail: &str, now: Instant) {
        let mut next = self.peers.get(&peer).copied();
        while let Some(place) = next {
            let Some(slot) = slot(&mut self.slots, place) else { return };
            next = slot.beside;
            slot.session.handle_unreachable(detail, now);
            self.settle(place, now);
        }
    }

    /// Wakes every session that wants it by now.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        while let Some(Reverse((at, place))) = self.timers.peek().copied()
            && at <= now
        {
            self.timers.pop();
            // The line may have gone, and another have its place: that one is woken when it wants to be, and not before.
            let Some(slot) = slot(&mut self.slots, place) else { continue };
            if slot.armed == Some(at) {
                slot.armed = None;
            }
            if slot.session.poll_timeout().is_some_and(|wake| wake <= now) {
                slot.session.handle_timeout(now);
            }
            self.settle(place, now);
        }
    }

    /// When [`Table::handle_timeout`] wants to be called.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.timers.peek().map(|Reverse((at, _))| *at)
    }

    /// What is to be sent; whoever sends takes what went out of it.
    pub(super) fn outbox(&mut self) -> &mut Outbox {
        &mut self.outbox
    }

    /// Lines that are held.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    fn find(&mut self, line: LineId) -> Option<(Place, &mut Slot)> {
        let place = *self.places.get(&line)?;
        Some((place, slot(&mut self.slots, place)?))
    }

    /// Hears what a session has to tell, sends what it wants sent, and notes when it wants to be woken.
    fn settle(&mut self, place: Place, now: Instant) {
        let Some(slot) = slot(&mut self.slots, place) else { return };
        let mut over = false;
        while let Some(event) = slot.session.poll_event() {
            over |= slot.hear(event, now);
        }
        while let Some(datagram) = slot.session.poll_transmit() {
            slot.stats.datagrams_sent += 1;
            slot.stats.bytes_sent += datagram.len() as u64;
            self.outbox.push(slot.peer, &datagram);
            self.spare = datagram;
        }
        if over {
            self.remove(place);
            return;
        }
        if matches!(slot.work, Work::Nothing) {
            slot.session.rest();
        }
        if let Some(wake) = slot.session.poll_timeout()
            && slot.armed.is_none_or(|armed| wake < armed)
        {
            slot.armed = Some(wake);
            self.timers.push(Reverse((wake, place)));
        }
    }

    fn add(&mut self, mut added: Slot) -> Place {
        let place = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            Place::try_from(self.slots.len() - 1).unwrap_or(Place::MAX)
        });
        self.places.insert(added.line, place);
        // Whoever was there first is asked first.
        match self.peers.get(&added.peer).copied() {
            None => {
                self.peers.insert(added.peer, place);
            }
            Some(first) => {
                if let Some(first) = slot(&mut self.slots, first) {
                    added.beside = first.beside.replace(place);
                }
            }
        }
        if let Some(free) = self.slots.get_mut(usize::try_from(place).unwrap_or(usize::MAX)) {
            *free = Some(added);
        }
        place
    }

    fn remove(&mut self, place: Place) {
        let taken = self.slots.get_mut(usize::try_from(place).unwrap_or(usize::MAX)).and_then(Option::take);
        let Some(gone) = taken else { return };
        self.free.push(place);
        self.places.remove(&gone.line);
        // A login that failed may have failed for asking too much: the next one begins with the least again.
        if gone.session.logins() > 0 && gone.session.privilege() > Privilege::User {
            self.privileges.insert(gone.peer, gone.session.privilege());
        } else {
            self.privileges.remove(&gone.peer);
        }
        if self.peers.get(&gone.peer) == Some(&place) {
            match gone.beside {
                Some(next) => self.peers.insert(gone.peer, next),
                None => self.peers.remove(&gone.peer),
            };
            return;
        }
        let mut next = self.peers.get(&gone.peer).copied();
        while let Some(before) = next.and_then(|place| slot(&mut self.slots, place)) {
            if before.beside == Some(place) {
                before.beside = gone.beside;
                return;
            }
            next = before.beside;
        }
    }
}

fn slot(slots: &mut [Option<Slot>], place: Place) -> Option<&mut Slot> {
    slots.get_mut(usize::try_from(place).ok()?)?.as_mut()
}

impl Slot {
    /// Reads a little of all that an answer will need.
    fn touch(&self) -> usize {
        let replies = match &self.work {
            Work::Asking(asking) => asking.replies.touch(),
            _ => 0,
        };
        (self.stats.requests as usize) ^ self.session.touch() ^ replies
    }

    fn facts(&self) -> Facts {
        Facts { stats: PollStats { connections: self.session.logins(), ..self.stats }, refused: self.refused }
    }

    fn ask(&mut self, requests: Arc<[Request]>, patience: Patience, tell: oneshot::Sender<Told>, now: Instant) {
        let Some(id) = self.session.request_of(&requests, 0, now) else {
            // Nobody to tell is somebody who no longer wants to know.
            tell.send(Told { replies: Replies::of(0, now), facts: self.facts() }).ok();
            return;
        };
        self.stats.requests += 1;
        let replies = Replies::of(requests.len(), now);
        self.work = Work::Asking(Asking { requests, id, replies, patience, tell });
    }

    /// Takes an event; whether it was the last.
    fn hear(&mut self, event: Event, now: Instant) -> bool {
        match event {
            Event::Climbed(_) => false,
            Event::Answered(id, result) => {
                self.answered(id, result, now);
                false
            }
            Event::Up => {
                if let Work::Opening(tell) = std::mem::replace(&mut self.work, Work::Nothing) {
                    // Whoever no longer waits has dropped the line, and that says good-bye.
                    tell.send(Ok((self.session.climbed().to_vec(), self.facts()))).ok();
                }
                false
            }
            Event::Refused(error) => {
                if let Work::Opening(tell) = std::mem::replace(&mut self.work, Work::Nothing) {
                    tell.send(Err(*error)).ok();
                }
                true
            }
            Event::Closed => {
                if let Work::Closing(tell) = std::mem::replace(&mut self.work, Work::Nothing) {
                    tell.send(()).ok();
                }
                true
            }
        }
    }

    fn answered(&mut self, id: RequestId, result: Result<Response, RequestError>, now: Instant) {
        self.refused |= matches!(&result, Err(RequestError::Lost(error)) if error.is_login_refusal());
        // The answer to a request whose poll was given up is nobody's.
        let Work::Asking(asking) = &mut self.work else { return };
        if asking.id != id {
            return;
        }
        let goes_on = asking.patience.goes_on(&result);
        asking.replies.push(result, now);
        // Whether somebody still waits is looked at now and then: it stands elsewhere in memory.
        let is_wanted = asking.replies.len() % LOOKED_AT != 0 || !asking.tell.is_closed();
        if goes_on
            && is_wanted
            && let Some(next) = self.session.request_of(&asking.requests, asking.replies.len(), now)
        {
            self.stats.requests += 1;
            asking.id = next;
            return;
        }
        let facts = self.facts();
        if let Work::Asking(asking) = std::mem::replace(&mut self.work, Work::Nothing) {
            asking.tell.send(Told { replies: asking.replies, facts }).ok();
        }
    }
}
