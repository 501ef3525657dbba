//! Storms: how one begins, grows, shrinks and ends.

use super::Assessor;
use crate::assess::draft::Draft;
use crate::assess::live::Live;
use crate::assess::synthetic::is_drill;
use crate::assess::{Error, Kept};
use crate::react::WHO;
use outband_health::config::FoldingConfig;
use outband_health::incident::storm::{Storm, Suspect, cause_of, embrace, is_over, parent, storms};
use outband_health::{Evidence, Hold, Incident, IncidentChange, IncidentKey, Stage, Verdict, What};
use outband_schemas::{ServerId, Timestamp};
use outband_ticket::{Action, LinkKind, TicketNumber};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A storm's ticket is told of its growing and shrinking no more often than this.
const TELL: Duration = Duration::from_secs(30);
/// What still seems to hold when a storm is over, by nothing newer than that, is waited for so long: its next reading may be late.
const STRAGGLERS: Duration = Duration::from_secs(3600);
/// And for so many readings, where those are further apart.
const STRAGGLING: u32 = 12;
/// What befell servers at once shows within so many readings: it is read a second time to be believed, and a body may come late.
const READINGS_APART: u32 = 3;
/// So many members are named in one entry of a ticket; all are kept with the incident.
const NAMED: usize = 200;

/// A storm that is on, or whose end is being verified.
#[derive(Debug)]
pub(in crate::assess::assessor) struct Running {
    /// The number of its ticket.
    pub(super) ticket: u64,
    /// Whether nobody says that it is over.
    pub(super) is_on: bool,
    /// How many incidents and how many servers still showing it were told.
    told: (usize, usize),
    told_at: Timestamp,
    /// When it was last not over.
    still_at: Timestamp,
}

impl Running {
    pub(in crate::assess::assessor) fn new(parent: &Incident, ticket: u64, now: Timestamp) -> Self {
        let is_on = parent.stage == Stage::Open;
        Self { ticket, is_on, told: (parent.members.len(), 0), told_at: now, still_at: now }
    }
}

impl<S: Kept> Assessor<S> {
    /// Folds what waits for a cause into storms: those that are on, and new ones.
    pub(super) fn find_storms(&mut self, draft: &mut Draft, now: Timestamp) -> Result<(), Error> {
        let mut watched = BTreeMap::new();
        let mut suspects = Vec::new();
        for key in self.held.clone() {
            let Some(incident) = self.find(&key, now)? else { continue };
            if incident.stage != Stage::Open || !matches!(incident.hold, Some(Hold::Watched { .. })) {
                continue;
            }
            let causes = self.causes(&key, now);
            if let Some(into) = self.running(&causes).filter(|s| s.is_on).map(|s| s.ticket) {
                self.put(Incident { hold: Some(Hold::Folded { into }), ..incident }, draft);
                continue;
            }
            suspects.push(Suspect { key: key.clone(), onset: incident.onset, causes });
            watched.insert(key, incident);
        }
        let Some(first) = suspects.iter().map(|s| s.onset).min() else { return Ok(()) };
        // What got its ticket before the others showed may have the same cause: a feed takes minutes to go where supplies hold out for long.
        let mut told = BTreeMap::new();
        let folding = self.folding_of(suspects.iter().map(|s| &s.key.server));
        for incident in self.told_alone(first.minus(Duration::from_secs(folding.window_secs))) {
            let causes = self.causes(&incident.key, now);
            if !causes.is_empty() {
                suspects.push(Suspect { key: incident.key.clone(), onset: incident.onset, causes });
                told.insert(incident.key.clone(), incident);
            }
        }
        // What is a part of a storm already may have a wider cause: servers on two feeds show the one first of which fewer servers were enough.
        let since = first.minus(Duration::from_secs(folding.window_secs));
        let mut taken = self.taken(now)?;
        taken.retain(|(_, incident)| incident.onset >= since);
        for (cause, incident) in &taken {
            // A feed may be wider than a feed; that a rack is, is another matter.
            let mut causes = self.causes(&incident.key, now);
            causes.retain(|wider| wider.fault == cause.fault);
            suspects.push(Suspect { key: incident.key.clone(), onset: incident.onset, causes });
        }
        if suspects.len() < 2 {
            return Ok(());
        }
        for storm in storms(&suspects, |cause| self.size(cause, now), &folding) {
            let members: Vec<&Incident> = storm.members.iter().filter_map(|key| watched.get(key)).collect();
            if members.is_empty() || (!is_due(&members, now) && self.may_be_wider(&storm, &suspects, now)) {
                continue;
            }
            let children: Vec<Incident> = storm.members.iter().filter_map(|key| told.get(key)).cloned().collect();
            let narrower = self.narrower(&storm.cause, now)?;
            let is_of = |i: &&Incident| {
                storm.members.contains(&i.key)
                    && narrower.iter().any(|n| matches!(i.hold, Some(Hold::Folded { into }) if n.ticket == Some(into)))
            };
            let moved: Vec<&Incident> = taken.iter().map(|(_, i)| i).filter(is_of).collect();
            let all: Vec<&Incident> = members.iter().copied().chain(&children).chain(moved.iter().copied()).collect();
            let mut parent = parent(&storm, &all, now);
            parent.reason = self.in_words(&parent, &all, now);
            parent.evidence = vec![self.names(&all, now)];
            self.live(&parent.key.server, now)?.take(&IncidentChange { incident: parent.clone(), what: What::Opened });
            self.write(IncidentChange { incident: parent.clone(), what: What::Opened }, draft, now)?;
            let Some(into) = self.find(&parent.key, now)?.and_then(|parent| parent.ticket) else { continue };
            tracing::warn!(cause = %parent.key.component, fault = %parent.key.fault, ticket = into, members = members.len(), "a storm: one ticket for all that it explains");
            let mut running = Running::new(&parent, into, now);
            running.told.1 = servers(&all);
            self.storms.insert(parent.key.clone(), running);
            self.adopt(&children, into, draft, now)?;
            let theirs = self.adopted_by(&narrower, now)?;
            self.adopt(&narrower, into, draft, now)?;
            self.adopt(&theirs, into, draft, now)?;
            for member in members.into_iter().chain(moved) {
                self.put(Incident { hold: Some(Hold::Folded { into }), ..member.clone() }, draft);
            }
        }
        Ok(())
    }

    /// The storm of one of these causes, by whatever of it was seen first.
    fn running(&self, causes: &[IncidentKey]) -> Option<&Running> {
        let of = |cause: &IncidentKey| {
            let storm = self.storms.iter().find(|(storm, _)| cause_of(storm) == *cause);
            self.storms.get(cause).or(storm.map(|(_, running)| running))
        };
        causes.iter().find_map(of)
    }

    /// The terms of folding for these servers: the slower they are read, the further apart they show what befell them at once.
    fn folding_of<'a>(&self, servers: impl Iterator<Item = &'a ServerId>) -> FoldingConfig {
        let slowest = servers.filter_map(|server| self.live.get(server)?.cadence).max().unwrap_or_default();
        let window_secs = self.folding.window_secs.max((slowest * READINGS_APART).as_secs());
        FoldingConfig { window_secs, ..self.folding.clone() }
    }

    /// What is folded into storms that are on, each with its storm's cause.
    fn taken(&mut self, now: Timestamp) -> Result<Vec<(IncidentKey, Incident)>, Error> {
        let on = self.storms.iter().filter(|(_, s)| s.is_on);
        let storms: Vec<(IncidentKey, u64)> = on.map(|(storm, s)| (cause_of(storm), s.ticket)).collect();
        let mut taken = Vec::new();
        for (cause, ticket) in storms {
            let open = self.members(ticket, now)?.into_iter().filter(|i| i.stage == Stage::Open);
            taken.extend(open.map(|i| (cause.clone(), i)));
        }
        Ok(taken)
    }

    /// Storms that are on and that a wider cause explains whole: fewer servers were enough for them to be seen first.
    fn narrower(&mut self, wider: &IncidentKey, now: Timestamp) -> Result<Vec<Incident>, Error> {
        let cause = cause_of(wider);
        let of_its_kind = |storm: &&IncidentKey| *storm != wider && cause_of(storm).fault == cause.fault;
        let others: Vec<IncidentKey> = self.storms.keys().filter(of_its_kind).cloned().collect();
        let mut found = Vec::new();
        for storm in others {
            let parent = self.find(&storm, now)?.filter(|parent| parent.stage == Stage::Open);
            found.extend(parent.filter(|p| p.members.iter().all(|member| self.causes(member, now).contains(&cause))));
        }
        Ok(found)
    }

    /// Whether another cause explains all that this one does, and could reach more: then the others are waited for, as long as any ticket would wait. Servers on
    /// two feeds show first where their neighbours were read first.
    fn may_be_wider(&self, storm: &Storm, suspects: &[Suspect], now: Timestamp) -> bool {
        let mut of = suspects.iter().filter(|s| storm.members.binary_search(&s.key).is_ok());
        let Some(first) = of.next() else { return false };
        let mut common: Vec<&IncidentKey> = first.causes.iter().filter(|c| **c != storm.cause).collect();
        of.for_each(|s| common.retain(|cause| s.causes.contains(cause)));
        let reach = self.size(&storm.cause, now);
        common.into_iter().any(|cause| self.size(cause, now) > reach)
    }

    /// Looks at each storm that is on: who came, who is well again, whether it is over.
    pub(super) fn follow_storms(&mut self, draft: &mut Draft, now: Timestamp) -> Result<(), Error> {
        for cause in self.storms.keys().cloned().collect::<Vec<_>>() {
            let Some(ticket) = self.storms.get(&cause).map(|s| s.ticket) else { continue };
            let members = self.members(ticket, now)?;
            let children = self.children(ticket, now)?;
            match self.find(&cause, now)? {
                Some(parent) if parent.stage == Stage::Open => self.follow(parent, &members, children, draft, now)?,
                Some(parent) => self.verify(parent, members, children, draft, now)?,
                // Somebody closed its ticket: what still holds is nobody's any more.
                None => {
                    self.storms.remove(&cause);
                    self.disband(members, children, ticket, draft, now)?;
                }
            }
        }
        Ok(())
    }

    /// The incidents that are a part of the storm with that ticket.
    fn members(&mut self, ticket: u64, now: Timestamp) -> Result<Vec<Incident>, Error> {
        let mut members = Vec::new();
        for key in self.held.clone() {
            let incident = self.find(&key, now)?;
            members.extend(incident.filter(|i| i.hold == Some(Hold::Folded { into: ticket })));
        }
        Ok(members)
    }

    fn follow(
        &mut self,
        before: Incident,
        members: &[Incident],
        mut children: Vec<Incident>,
        draft: &mut Draft,
        now: Timestamp,
    ) -> Result<(), Error> {
        let Some(told_at) = self.storms.get(&before.key).map(|running| running.told_at) else { return Ok(()) };
        if now.since(told_at) >= TELL {
            let late = self.explained(&before, now);
            self.adopt(&late, before.ticket.unwrap_or_default(), draft, now)?;
            children.extend(late);
        }
        let slowest = members.iter().filter_map(|m| self.live.get(&m.key.server)?.cadence).max().unwrap_or_default();
        let patience = STRAGGLERS.max(slowest * STRAGGLING);
        let Some(running) = self.storms.get_mut(&before.key) else { return Ok(()) };
        running.is_on = true;
        let open = members.iter().chain(&children).filter(|m| m.stage == Stage::Open);
        // A narrower storm has members of its own.
        let open: Vec<&Incident> = open.filter(|m| m.members.is_empty()).collect();
        let mut parent = before.clone();
        for member in &open {
            embrace(&mut parent, member);
        }
        let ever: BTreeSet<&ServerId> = parent.members.iter().map(|m| &m.server).collect();
        let (ever, holding) = (ever.len(), servers(&open));
        if !is_over(holding, ever, &self.folding) {
            running.still_at = now;
        } else if now.since(running.still_at) >= Duration::from_secs(self.folding.hold_secs)
            && (now.since(running.still_at) >= patience
                || open.iter().all(|m| shown_at(&self.live, m) > running.still_at))
        {
            let ticket = running.ticket;
            let ended = Incident { stage: Stage::Ended { at: now }, newest: now, ..parent };
            self.storms.remove(&ended.key);
            self.answer(IncidentChange { incident: ended, what: What::Recovered }, draft, now)?;
            return self.disband(members.to_vec(), children, ticket, draft, now);
        }
        let told = (parent.members.len(), holding);
        if told == running.told || (now.since(running.told_at) < TELL && parent.level == before.level) {
            return Ok(());
        }
        (running.told, running.told_at) = (told, now);
        let new = |m: &&&Incident| before.members.binary_search(&m.key).is_err();
        let new: Vec<&Incident> = open.iter().filter(new).copied().collect();
        parent.reason = self.in_words(&parent, &open, now);
        parent.newest = now;
        let fact = if new.is_empty() {
            Evidence { observed_at: now, text: format!("{holding} of {ever} servers still show it") }
        } else {
            self.names(&new, now)
        };
        push(&mut parent.evidence, fact);
        let what = if parent.level > before.level { What::Escalated } else { What::Evidence };
        self.take(&parent);
        self.answer(IncidentChange { incident: parent, what }, draft, now)
    }

    /// A person said that it is over: its members are to verify it. Or that there is no such cause: they are nobody's any more.
    fn verify(
        &mut self,
        parent: Incident,
        members: Vec<Incident>,
        children: Vec<Incident>,
        draft: &mut Draft,
        now: Timestamp,
    ) -> Result<(), Error> {
        let since = match parent.stage {
            Stage::Verifying { since } => since,
            Stage::Dismissed { .. } => {
                let Some(running) = self.storms.remove(&parent.key) else { return Ok(()) };
                let ended = Incident { stage: Stage::Ended { at: now }, ..parent };
                self.answer(IncidentChange { incident: ended, what: What::Verified }, draft, now)?;
                return self.disband(members, children, running.ticket, draft, now);
            }
            Stage::Pending | Stage::Open | Stage::Ended { .. } => return Ok(()),
        };
        if let Some(running) = self.storms.get_mut(&parent.key) {
            running.is_on = false;
        }
        let mut left = false;
        for member in members {
            left = true;
            if member.stage == Stage::Open {
                self.put(member.after_verdict(Verdict::Repaired, since), draft);
            }
        }
        if left {
            return Ok(());
        }
        let Some(running) = self.storms.remove(&parent.key) else { return Ok(()) };
        self.disown(&children, running.ticket, draft, now)?;
        let ended = Incident { stage: Stage::Ended { at: now }, ..parent };
        self.answer(IncidentChange { incident: ended, what: What::Verified }, draft, now)
    }

    /// The storm is over: what still holds gets a ticket of its own.
    fn disband(
        &mut self,
        members: Vec<Incident>,
        children: Vec<Incident>,
        ticket: u64,
        draft: &mut Draft,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.disown(&children, ticket, draft, now)?;
        for member in members {
            if member.stage != Stage::Open {
                self.held.remove(&member.key);
                self.put(Incident { hold: None, ..member }, draft);
            } else {
                self.release(&member, Some(ticket), draft, now)?;
            }
        }
        Ok(())
    }

    /// Incidents that began after `since` and have a ticket that is no part of another one, and never was.
    fn told_alone(&self, since: Timestamp) -> Vec<Incident> {
        let alone = |i: &&Incident| {
            let record = i.ticket.and_then(|n| self.tickets.get(&TicketNumber(n)));
            record.is_some_and(|r| {
                let ticket = &r.ticket;
                let was = r.log.iter().any(|entry| matches!(entry.action, Action::Parent { .. }));
                ticket.is_open() && ticket.merged_into.is_none() && i.follows.is_none() && !was
            })
        };
        let all = self.live.values().flat_map(|live| &live.incidents);
        let own = all.filter(|i| i.stage == Stage::Open && i.hold.is_none() && i.members.is_empty() && !is_drill(i));
        own.filter(|i| i.onset >= since).filter(alone).cloned().collect()
    }

    /// Incidents that have a ticket of their own though the cause of a storm that is on explains them.
    fn explained(&self, parent: &Incident, now: Timestamp) -> Vec<Incident> {
        let folding = self.folding_of(parent.members.iter().map(|member| &member.server));
        let window = Duration::from_secs(folding.window_secs);
        let cause = cause_of(&parent.key);
        let mut found = self.told_alone(parent.onset.minus(window));
        found.retain(|i| i.onset <= parent.onset.plus(window) && self.causes(&i.key, now).contains(&cause));
        found
    }

    /// Takes tickets under a storm's. They stay, and their clocks run on, as what was promised for them is promised still; nobody is paged for them any
    /// more, as somebody is paged for the storm.
    fn adopt(&mut self, children: &[Incident], into: u64, draft: &mut Draft, now: Timestamp) -> Result<(), Error> {
        let parent = TicketNumber(into);
        for number in children.iter().filter_map(|child| child.ticket.map(TicketNumber)) {
            let mut actions =
                vec![Action::Parent { number: Some(parent) }, Action::Link { kind: LinkKind::CausedBy, to: parent }];
            if self.tickets.get(&number).is_some_and(|r| r.ticket.suppressed.is_none()) {
                actions.push(Action::Suppress { by: by_storm(into), until: None });
            }
            self.note(number, &format!("the cause of ticket {parent} explains it"), actions, draft, now)?;
        }
        Ok(())
    }

    /// The incidents whose tickets were taken under a storm's, by itself or by a person.
    fn children(&mut self, ticket: u64, now: Timestamp) -> Result<Vec<Incident>, Error> {
        let of = self.parents.iter().filter(|(_, parent)| parent.0 == ticket).map(|(child, _)| *child);
        let servers = of.filter_map(|child| Some((child, self.tickets.get(&child)?.ticket.server.clone())));
        let mut children = Vec::new();
        for (child, server) in servers.collect::<Vec<_>>() {
            let live = self.live(&server, now)?;
            children.extend(live.incidents.iter().find(|i| i.ticket == Some(child.0)).cloned());
        }
        Ok(children)
    }

    /// What these storms took under them by themselves.
    fn adopted_by(&mut self, storms: &[Incident], now: Timestamp) -> Result<Vec<Incident>, Error> {
        let mut adopted = Vec::new();
        for ticket in storms.iter().filter_map(|storm| storm.ticket) {
            adopted.extend(self.children(ticket, now)?);
        }
        adopted.retain(|child| child.ticket.is_some_and(|number| self.is_put_there_by_us(TicketNumber(number))));
        Ok(adopted)
    }

    /// Whether an open ticket is under another one, and no person put it there.
    fn is_put_there_by_us(&self, number: TicketNumber) -> bool {
        self.tickets.get(&number).filter(|r| r.ticket.is_open()).is_some_and(|record| {
            let put = record.log.iter().rev().find(|e| matches!(e.action, Action::Parent { .. }));
            put.is_some_and(|entry| entry.who == WHO)
        })
    }

    /// The storm is over, or never was: tickets that were taken under it stand for themselves again. Those that a person put there stay.
    fn disown(&mut self, children: &[Incident], ticket: u64, draft: &mut Draft, now: Timestamp) -> Result<(), Error> {
        for number in children.iter().filter_map(|child| child.ticket.map(TicketNumber)) {
            let Some(record) = self.tickets.get(&number).filter(|_| self.is_put_there_by_us(number)) else { continue };
            let mut actions = vec![Action::Parent { number: None }];
            if record.ticket.suppressed.as_ref().is_some_and(|s| s.by == by_storm(ticket)) {
                actions.push(Action::Release);
            }
            self.note(number, &format!("ticket {ticket} is over, and this still holds"), actions, draft, now)?;
        }
        Ok(())
    }

    fn take(&mut self, incident: &Incident) {
        if let Some(live) = self.live.get_mut(&incident.key.server) {
            live.take(&IncidentChange { incident: incident.clone(), what: What::Noted });
        }
    }

    /// What a storm is, in words.
    fn in_words(&self, parent: &Incident, open: &[&Incident], now: Timestamp) -> String {
        let ever: BTreeSet<&ServerId> = parent.members.iter().map(|m| &m.server).collect();
        let mut faults: BTreeMap<&str, usize> = BTreeMap::new();
        for IncidentKey { fault, .. } in &parent.members {
            *faults.entry(fault.as_str()).or_default() += 1;
        }
        let faults: Vec<String> = faults.iter().map(|(fault, n)| format!("{n} {fault}")).collect();
        let (ever, holding, reach) = (ever.len(), servers(open), self.size(&parent.key, now));
        let of = if reach >= ever { format!(" of {reach}") } else { String::new() };
        format!("{ever}{of} servers: {}; {holding} still show it", faults.join(", "))
    }

    fn names(&self, members: &[&Incident], now: Timestamp) -> Evidence {
        let mut names: Vec<String> = members
            .iter()
            .take(NAMED)
            .map(|m| format!("{} of {} ({})", m.key.component, self.called(&m.key.server), m.key.fault))
            .collect();
        if members.len() > NAMED {
            names.push(format!("and {} more", members.len() - NAMED));
        }
        Evidence { observed_at: now, text: names.join(", ") }
    }
}

/// Whether the ticket of one of them is due.
fn is_due(members: &[&Incident], now: Timestamp) -> bool {
    members.iter().any(|m| matches!(m.hold, Some(Hold::Watched { until }) if until <= now))
}

/// When an incident was last seen to hold: that it goes on is kept with what is found of its server alone.
fn shown_at(live: &BTreeMap<ServerId, Box<Live>>, incident: &Incident) -> Timestamp {
    let IncidentKey { server, component, fault } = &incident.key;
    let found = live.get(server).and_then(|live| live.shown_at(component, *fault));
    found.map_or(incident.newest, |at| at.max(incident.newest))
}

/// Why nobody is paged for a ticket that was taken under a storm's.
fn by_storm(ticket: u64) -> String {
    format!("storm, ticket {ticket}")
}

fn servers(incidents: &[&Incident]) -> usize {
    incidents.iter().map(|i| &i.key.server).collect::<BTreeSet<_>>().len()
}

/// The first ones and the newest are kept.
fn push(evidence: &mut Vec<Evidence>, fact: Evidence) {
    if evidence.len() >= 32 {
        evidence.remove(8);
    }
    evidence.push(fact);
}
