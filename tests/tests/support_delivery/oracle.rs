//! What must be true in the end, whatever happened.
//!
//! 1. Acked ⇒ stored: what the collector said it has, it has (unless it was restored from an older backup; then it gets it again, or is told why not).
//! 2. Stored ⇒ issued, and the bytes are equal.
//! 3. Exactly once, in order, without a hole in the numbers: what is missing is told as a gap, for a reason that this run gave cause for.
//! 4. Progress: once the faults cease, everything arrives.

use outband_schemas::{AgentId, Cause, Gap, Lane, SpoolId};
use outband_store::{GapFilter, GapRecord, LogRow, Page, SqliteStore, Store};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What became of a record at the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It was handed to the spool, and nobody knows whether it was kept.
    Handed,
    /// The spool said that it is on the disk.
    Kept,
    /// The spool said no.
    Refused,
}

#[derive(Debug, Clone)]
struct Record {
    agent: usize,
    lane: Lane,
    /// Its time, which no other record of this agent has: gaps are told by spans of time.
    at: i64,
    fate: Fate,
    acked: bool,
    /// The agent's spool was put back to a copy made before this was appended.
    undone: bool,
    /// The spool that kept it.
    spool: Option<SpoolId>,
}

/// What may be lost, or come twice, by the faults of a run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Allowances {
    /// The collector was put back to an older backup.
    pub(crate) restored: bool,
    /// Spools are small: the oldest telemetry gives way.
    pub(crate) evicts: bool,
    /// Agents whose spool was damaged, deleted or put back.
    pub(crate) spools_hurt: BTreeSet<usize>,
    /// Agents whose spool was put back to a copy.
    pub(crate) rolled_back: BTreeSet<usize>,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// What must not be.
    pub(crate) violations: Vec<String>,
    /// Records that the spools kept.
    pub(crate) kept: usize,
    /// Records that are stored.
    pub(crate) stored: usize,
    /// Kept records that are not stored, each covered by a gap.
    pub(crate) told: usize,
    /// Rows beyond the first of a record: sent again under a new spool id after a spool was put back.
    pub(crate) again: usize,
    /// Records that only a spool knew that was put back to an older copy, before anybody else did: nobody is left to tell.
    pub(crate) unknowable: usize,
    /// How often agents said Hello and were admitted.
    pub(crate) hellos: usize,
}

/// The book of all records.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    records: Vec<Record>,
    by_body: HashMap<Vec<u8>, usize>,
    /// Spools, in the order in which they were first seen.
    spools: Vec<SpoolId>,
    /// How often agents were admitted.
    pub(crate) hellos: usize,
    /// What may happen in this run.
    pub(crate) allowed: Allowances,
}

impl Oracle {
    /// A record is handed to a spool. Its number.
    pub(crate) fn handed(&mut self, agent: usize, lane: Lane, at: i64, body: Vec<u8>) -> usize {
        let id = self.records.len();
        let fate = Fate::Handed;
        self.records.push(Record { agent, lane, at, fate, acked: false, undone: false, spool: None });
        assert!(self.by_body.insert(body, id).is_none(), "two records with the same bytes");
        id
    }

    /// A spool is seen; those seen later took the place of those before.
    pub(crate) fn spool(&mut self, spool: SpoolId) {
        if !self.spools.contains(&spool) {
            self.spools.push(spool);
        }
    }

    /// This spool said that it is kept.
    pub(crate) fn kept(&mut self, id: usize, spool: SpoolId) {
        self.spool(spool);
        self.records[id].fate = Fate::Kept;
        self.records[id].spool = Some(spool);
    }

    /// The spool said that it is not.
    pub(crate) fn refused(&mut self, id: usize) {
        self.records[id].fate = Fate::Refused;
    }

    /// The collector said that it has these bytes.
    pub(crate) fn acked(&mut self, body: &[u8]) {
        if let Some(id) = self.by_body.get(body) {
            self.records[*id].acked = true;
        }
    }

    /// How many records there are: a moment, for [`Oracle::undone_since`].
    pub(crate) fn moment(&self) -> usize {
        self.records.len()
    }

    /// The agent's spool is put back to a copy of that moment.
    pub(crate) fn undone_since(&mut self, agent: usize, moment: usize) {
        self.allowed.rolled_back.insert(agent);
        self.allowed.spools_hurt.insert(agent);
        self.records[moment..].iter_mut().filter(|r| r.agent == agent).for_each(|r| r.undone = true);
    }

    /// The agent's spool is damaged or gone.
    pub(crate) fn spool_hurt(&mut self, agent: usize) {
        self.allowed.spools_hurt.insert(agent);
    }

    /// Compares what was handed in with what is stored.
    pub(crate) fn judge(&self, store: &SqliteStore, agents: &[AgentId]) -> Verdict {
        let mut verdict = Verdict { hellos: self.hellos, ..Verdict::default() };
        let rows = rows(store);
        let gaps = gaps(store);
        let mut copies: BTreeMap<usize, Vec<&LogRow>> = BTreeMap::new();
        for row in &rows {
            match self.by_body.get(&row.body) {
                None => verdict.violations.push(format!("row {} holds bytes that nobody issued", row.id)),
                Some(id) => {
                    let record = &self.records[*id];
                    if agents[record.agent] != row.agent || record.lane != row.lane {
                        verdict.violations.push(format!("record {id} is stored for another agent or lane"));
                    }
                    if record.fate == Fate::Refused {
                        verdict.violations.push(format!("record {id} is stored although the spool refused it"));
                    }
                    copies.entry(*id).or_default().push(row);
                }
            }
        }
        self.order(&rows, &mut verdict);
        holes(store, &rows, &gaps, &mut verdict);
        for (id, record) in self.records.iter().enumerate() {
            let copies = copies.get(&id).map_or(&[][..], Vec::as_slice);
            self.one(id, record, copies, &gaps, &agents[record.agent], &mut verdict);
        }
        for gap in &gaps {
            if let Some(why) = self.unfounded(gap, agents) {
                verdict.violations.push(format!("{why}: {}", gap.gap.source.0));
            }
        }
        verdict
    }

    fn one(
        &self,
        id: usize,
        record: &Record,
        copies: &[&LogRow],
        gaps: &[GapRecord],
        agent: &AgentId,
        verdict: &mut Verdict,
    ) {
        verdict.kept += usize::from(record.fate == Fate::Kept);
        verdict.stored += usize::from(!copies.is_empty());
        if copies.len() > 1 {
            verdict.again += copies.len() - 1;
            let spools: BTreeSet<_> = copies.iter().map(|r| r.spool_id).collect();
            if spools.len() < copies.len() || !self.allowed.rolled_back.contains(&record.agent) {
                verdict.violations.push(format!("record {id} is stored {} times", copies.len()));
            }
        }
        if !copies.is_empty() || record.fate != Fate::Kept {
            return;
        }
        if record.acked && !self.allowed.restored {
            verdict.violations.push(format!("record {id} was acknowledged and is not stored"));
        } else if gaps.iter().any(|g| g.agent.as_ref() == Some(agent) && self.covers(&g.gap, record)) {
            verdict.told += 1;
        } else if record.undone {
            verdict.unknowable += 1;
        } else {
            verdict
                .violations
                .push(format!("record {id} ({:?} lane, time {}) is lost and nobody told", record.lane, record.at));
        }
    }

    /// Within a life of a spool the rows of a lane come in the order in which they were issued.
    fn order(&self, rows: &[LogRow], verdict: &mut Verdict) {
        let mut last: BTreeMap<_, (i64, i64)> = BTreeMap::new();
        for row in rows {
            let Some(record) = self.by_body.get(&row.body).map(|id| &self.records[*id]) else { continue };
            let key = (row.agent.clone(), row.spool_id.to_string(), row.lane.as_str());
            if let Some((seq, at)) = last.insert(key, (row.seq, record.at))
                && (seq >= row.seq || at >= record.at)
            {
                verdict.violations.push(format!("row {} of lane {} is out of order", row.id, row.lane.as_str()));
            }
        }
    }

    /// Why this gap should not be there.
    fn unfounded(&self, gap: &GapRecord, agents: &[AgentId]) -> Option<String> {
        let agent = agents.iter().position(|a| gap.agent.as_ref() == Some(a))?;
        let founded = match gap.gap.cause {
            Cause::Evicted => self.allowed.evicts,
            Cause::Released => self.allowed.restored,
            Cause::SpoolLost => self.allowed.spools_hurt.contains(&agent),
            _ => false,
        };
        (!founded).then(|| format!("a gap for which there was no cause ({:?})", gap.gap.cause))
    }

    /// Whether the gap tells of the loss of this record.
    fn covers(&self, gap: &Gap, record: &Record) -> bool {
        let source = gap.source.0.strip_prefix("spool:").unwrap_or_default();
        let place = |id: &str| self.spools.iter().position(|s| s.to_string() == id).unwrap_or(usize::MAX);
        let kept_in = record.spool.and_then(|spool| self.spools.iter().position(|s| *s == spool));
        let Some((spool, lane, range)) = parts(&gap.source.0) else {
            // The collector says: what only an older spool held is lost.
            return Some(place(source)) > kept_in;
        };
        if lane != record.lane.as_str() {
            return false;
        }
        let within = gap.span.is_some_and(|(from, to)| (from.as_millis()..=to.as_millis()).contains(&record.at));
        // The first number of a spool that took the place of another stands for all that the other had not sent.
        within || (gap.cause == Cause::SpoolLost && range.0 == 1 && Some(place(spool)) > kept_in)
    }
}

/// `spool:ID/LANE/FIRST-LAST`.
fn parts(source: &str) -> Option<(&str, &str, (i64, i64))> {
    let mut parts = source.strip_prefix("spool:")?.split('/');
    let (spool, lane, range) = (parts.next()?, parts.next()?, parts.next()?);
    let (first, last) = range.split_once('-')?;
    Some((spool, lane, (first.parse().ok()?, last.parse().ok()?)))
}

/// Every number of a lane up to its mark is a row or within a gap, and never both.
fn holes(store: &SqliteStore, rows: &[LogRow], gaps: &[GapRecord], verdict: &mut Verdict) {
    let mut held: BTreeMap<(String, &str), BTreeSet<i64>> = BTreeMap::new();
    for row in rows {
        held.entry((row.spool_id.to_string(), row.lane.as_str())).or_default().insert(row.seq);
    }
    for (spool, lane, (first, last)) in gaps.iter().filter_map(|g| parts(&g.gap.source.0)) {
        let lane = if lane == Lane::Event.as_str() { Lane::Event.as_str() } else { Lane::Telemetry.as_str() };
        let numbers = held.entry((spool.to_owned(), lane)).or_default();
        for seq in first..=last {
            if !numbers.insert(seq) {
                verdict.violations.push(format!("{seq} of lane {lane} is a row and a gap, or told twice"));
            }
        }
    }
    for ((spool, lane), numbers) in &held {
        let through = numbers.last().copied().unwrap_or(0);
        if i64::try_from(numbers.len()).unwrap_or(0) != through {
            verdict.violations.push(format!("lane {lane} of spool {spool} has a hole below {through}"));
        }
    }
    for agent in store.agents().expect("agents") {
        for lane in &agent.lanes {
            let last = held.get(&(agent.spool_id.to_string(), lane.lane.as_str())).and_then(|n| n.last().copied());
            if last.unwrap_or(0) != lane.committed {
                verdict.violations.push(format!(
                    "the mark of lane {} of {} is {}, its last row or gap is {last:?}",
                    lane.lane.as_str(),
                    agent.agent,
                    lane.committed
                ));
            }
        }
    }
}

fn rows(store: &SqliteStore) -> Vec<LogRow> {
    let mut all: Vec<LogRow> = Vec::new();
    loop {
        let more = store.log_after(all.last().map_or(0, |r| r.id), 1000).expect("the ingest log");
        if more.is_empty() {
            return all;
        }
        all.extend(more);
    }
}

fn gaps(store: &SqliteStore) -> Vec<GapRecord> {
    let (mut all, mut page) = (Vec::new(), Page::first(1000));
    loop {
        let listing = store.gaps(&GapFilter::default(), &page).expect("gaps");
        all.extend(listing.rows);
        match listing.next {
            Some(token) => page.token = Some(token),
            None => return all,
        }
    }
}
