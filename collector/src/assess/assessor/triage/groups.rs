//! Who stands with whom, how many of them show the same, and of which tickets something around them has changed.

use outband_health::Fault;
use outband_health::triage::Mates;
use outband_schemas::{ServerId, SiteId, Timestamp};
use outband_ticket::{Ticket, TicketNumber};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Who stands with whom is found out again after this long; every ticket is looked at then.
const REGROUP: Duration = Duration::from_secs(300);
/// What began so far apart began together: heat spreads slowly, and supplies hold out.
const TOGETHER: Duration = Duration::from_secs(1800);

/// What servers share.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shared {
    Rack(SiteId, String),
    Zone(SiteId, String),
    Feed(SiteId, String),
    Agent(String),
    Site(SiteId),
    /// A firmware of BMCs that is new to them.
    Firmware(String),
}

impl Shared {
    pub(super) fn name(&self) -> String {
        match self {
            Self::Rack(_, name)
            | Self::Zone(_, name)
            | Self::Feed(_, name)
            | Self::Agent(name)
            | Self::Firmware(name) => name.clone(),
            Self::Site(site) => site.to_string(),
        }
    }
}

/// Servers that show a fault, each with when it began, oldest first.
type Shown = Vec<(Timestamp, ServerId)>;

/// Servers of one group that show one fault.
#[derive(Debug, Default)]
struct Line {
    shown: Shown,
    /// Whether one shows it at several places: then places are no servers.
    doubles: bool,
}

impl Line {
    fn of(mut shown: Shown) -> Self {
        shown.sort();
        let servers: BTreeSet<&ServerId> = shown.iter().map(|(_, server)| server).collect();
        let doubles = servers.len() < shown.len();
        Self { shown, doubles }
    }

    /// How many other servers began to show it at about the same time.
    fn others(&self, own: &ServerId, onset: Timestamp) -> usize {
        let (from, to) = (onset.minus(TOGETHER), onset.plus(TOGETHER));
        let from = self.shown.partition_point(|(at, _)| *at < from);
        let to = self.shown.partition_point(|(at, _)| *at <= to);
        let together = self.shown.get(from..to).unwrap_or_default();
        if self.doubles {
            let servers: BTreeSet<&ServerId> = together.iter().map(|(_, server)| server).collect();
            return servers.len() - usize::from(servers.contains(own));
        }
        let is_there = |(at, server): &(Timestamp, ServerId)| (*at, server).cmp(&(onset, own));
        let own_too = together.binary_search_by(is_there).is_ok() || together.iter().any(|(_, server)| server == own);
        together.len() - usize::from(own_too)
    }
}

/// Who stands with whom, and what they show, as of a moment.
#[derive(Debug, Default)]
pub(in crate::assess::assessor) struct Groups {
    at: Option<Timestamp>,
    /// How many servers there were then.
    servers: usize,
    /// How many servers share it.
    sizes: BTreeMap<Shared, usize>,
    shown_at: Option<Timestamp>,
    shown: BTreeMap<Fault, Shown>,
    /// The same by what they share, of the faults that were asked for in this moment.
    index: BTreeMap<Fault, BTreeMap<Shared, Line>>,
    /// When tickets were last looked at.
    pub(super) looked_at: Option<Timestamp>,
    /// What was shown then; `None`: every ticket is to be looked at.
    before: Option<BTreeMap<Fault, Shown>>,
    /// The revisions that each ticket, and that above it, had then.
    pub(super) looked: BTreeMap<TicketNumber, (u64, u64)>,
}

impl Groups {
    /// Whether it is time to find out again who of so many servers stands with whom.
    pub(super) fn is_due(&self, servers: usize, now: Timestamp) -> bool {
        self.servers != servers || self.at.is_none_or(|at| at > now || now.since(at) >= REGROUP)
    }

    /// Takes in what every one of so many servers shares, one entry for each server and thing.
    pub(super) fn regroup(&mut self, servers: usize, shared: impl Iterator<Item = Shared>, now: Timestamp) {
        (self.at, self.servers) = (Some(now), servers);
        self.sizes.clear();
        for shared in shared {
            *self.sizes.entry(shared).or_default() += 1;
        }
        self.before = None;
    }

    /// Whether what servers show is to be told for this moment.
    pub(super) fn is_past(&self, now: Timestamp) -> bool {
        self.shown_at != Some(now)
    }

    /// Takes in what servers show.
    pub(super) fn show(&mut self, mut shown: BTreeMap<Fault, Shown>, now: Timestamp) {
        shown.values_mut().for_each(|servers| servers.sort());
        (self.shown, self.shown_at) = (shown, Some(now));
        self.index.clear();
        self.sizes.retain(|shared, _| !matches!(shared, Shared::Firmware(_)));
    }

    /// How many servers have a firmware that is new to them, by its name, counted once for a moment.
    pub(super) fn count_firmware(&mut self, name: &str, all: impl Iterator<Item = String>) {
        if self.sizes.contains_key(&Shared::Firmware(name.to_owned())) {
            return;
        }
        for name in all {
            *self.sizes.entry(Shared::Firmware(name)).or_default() += 1;
        }
    }

    /// Sorts those that show these faults by what they share, where that was not done yet for this moment.
    pub(super) fn sort_out(&mut self, faults: &[Fault], shares: impl Fn(&ServerId) -> Vec<Shared>) {
        for fault in faults {
            if self.index.contains_key(fault) {
                continue;
            }
            let mut lines: BTreeMap<Shared, Shown> = BTreeMap::new();
            for (at, server) in self.shown.get(fault).into_iter().flatten() {
                for shared in shares(server) {
                    lines.entry(shared).or_default().push((*at, server.clone()));
                }
            }
            let lines = lines.into_iter().map(|(shared, shown)| (shared, Line::of(shown))).collect();
            self.index.insert(*fault, lines);
        }
    }

    /// The others that share it, and how many of them show the fault.
    pub(super) fn mates(&self, shared: &Shared, fault: Fault, own: &ServerId, onset: Timestamp) -> Mates {
        let line = self.index.get(&fault).and_then(|lines| lines.get(shared));
        let same = line.map_or(0, |line| line.others(own, onset));
        let of = self.sizes.get(shared).map_or(0, |all| all.saturating_sub(1));
        // One that is new is counted when servers are grouped again.
        Mates { name: shared.name(), of: of.max(same), same }
    }

    /// What has changed since tickets were last looked at; from now on, that is now.
    pub(super) fn news(&mut self) -> News {
        let Some(before) = self.before.replace(self.shown.clone()) else {
            return News { all: true, ..News::default() };
        };
        let mut news = News::default();
        let nobody = Shown::new();
        let faults: BTreeSet<&Fault> = before.keys().chain(self.shown.keys()).collect();
        for fault in faults {
            let was = before.get(fault).unwrap_or(&nobody);
            let is = self.shown.get(fault).unwrap_or(&nobody);
            if was != is {
                news.faults.insert(*fault);
                let (was, is): (BTreeSet<_>, BTreeSet<_>) = (was.iter().collect(), is.iter().collect());
                news.servers.extend(was.symmetric_difference(&is).map(|(_, server)| server.clone()));
            }
        }
        news
    }
}

/// What has changed around tickets.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Whatever may have.
    all: bool,
    /// Faults that other servers show, or show no more.
    faults: BTreeSet<Fault>,
    /// Servers of which something else is wrong.
    servers: BTreeSet<ServerId>,
}

impl News {
    /// Whether it may say more of a ticket.
    pub(super) fn concern(&self, ticket: &Ticket) -> bool {
        let fault = |fault: &Fault| fault.as_str() == ticket.fault;
        // Whether a silent rack is dark, lost inputs tell.
        let dark =
            self.faults.contains(&Fault::PowerInputLost) && [Fault::BmcSilent, Fault::RackSilent].iter().any(fault);
        self.all || dark || self.faults.iter().any(fault) || self.servers.contains(&ticket.server)
    }
}
