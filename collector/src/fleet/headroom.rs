//! What is used of power, cooling and compute, how that goes on, and what is left: of sites, racks, feeds and servers. Read from the days that
//! [`super::usage`] makes; the arithmetic is [`outband_health::fleet::headroom`]'s.
//!
//! A limit of a rack or a feed is the operator's, from the topology. It is told only where all servers at the site may be seen and are asked for: next to the
//! sum of some of them it would promise room that others use.

use super::Scope;
use crate::judgement::Terms;
use crate::sight::{self, Sight};
use crate::topology::Place;
use outband_health::fleet::headroom::course::{Course, Why};
use outband_health::fleet::headroom::group::{Group, Room, Thermal, Utilisation};
use outband_health::fleet::headroom::sum::{Load, Sum};
use outband_health::fleet::headroom::trend::{Full, Trend};
use outband_health::fleet::headroom::{Span, steady};
use outband_schemas::{ServerId, Timestamp};
use outband_store::usage::Usage;
use outband_store::{Page, Store, StoreError};
use std::collections::{BTreeMap, BTreeSet};

/// Rows read at once.
const BATCH: usize = 1000;
/// A day on which so many hours told anything is one on which a server was there.
const DAY_HOURS: u8 = 12;

/// Of what headroom is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Sites.
    Site,
    /// Racks.
    Rack,
    /// Power feeds.
    Feed,
    /// Servers.
    Server,
}

impl Level {
    /// Every one.
    pub const ALL: [Level; 4] = [Self::Site, Self::Rack, Self::Feed, Self::Server];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Site => "site",
            Self::Rack => "rack",
            Self::Feed => "feed",
            Self::Server => "server",
        }
    }
}

/// Of what a row is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Of {
    /// A site.
    Site(String),
    /// A rack of a site.
    Rack(String, String),
    /// A feed of a site.
    Feed(String, String),
    /// A server.
    Server(ServerId),
}

impl Of {
    /// Of which sort.
    pub fn level(&self) -> Level {
        match self {
            Self::Site(_) => Level::Site,
            Self::Rack(..) => Level::Rack,
            Self::Feed(..) => Level::Feed,
            Self::Server(_) => Level::Server,
        }
    }
}

/// What a limit rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// The operator tells it of the rack or feed.
    Topology,
    /// The sum of the limits of the site's racks.
    Racks,
    /// What the servers' supplies give when each server has lost one.
    Supplies,
    /// The same, where some have none to lose, or are held to less.
    OneSupply,
}

impl Basis {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Topology => "topology",
            Self::Racks => "racks",
            Self::Supplies => "supplies",
            Self::OneSupply => "one_supply",
        }
    }

    /// Whether it is of the place, not of the servers in it: more servers come with supplies of their own.
    pub fn is_of_place(self) -> bool {
        matches!(self, Self::Topology | Self::Racks)
    }
}

/// Why no limit is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoLimit {
    /// Nobody tells one.
    NotTold,
    /// The servers of one rack or feed tell different ones.
    Disagree,
    /// Others' servers stand there, and are not counted.
    Partial,
    /// Of some of the site's racks none is known.
    SomeRacks,
}

impl NoLimit {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotTold => "not_told",
            Self::Disagree => "disagree",
            Self::Partial => "partial",
            Self::SomeRacks => "some_racks",
        }
    }
}

/// A limit in W with what it rests on, or why there is none.
pub type Limit = Result<(f64, Basis), NoLimit>;

/// The power of something.
#[derive(Debug, Clone, PartialEq)]
pub struct Power {
    /// What is drawn.
    pub load: Load,
    /// What may be.
    pub limit: Limit,
    /// What is left.
    pub room: Option<Room>,
    /// How it goes on.
    pub trend: Trend,
    /// When the limit is reached.
    pub full: Option<Full>,
}

/// What comes to another feed when one is lost.
#[derive(Debug, Clone, PartialEq)]
pub struct Loss {
    /// The feed that is left.
    pub feed: String,
    /// Servers on both.
    pub servers: u64,
    /// What it carries then.
    pub load: Load,
    /// What it can carry.
    pub limit: Limit,
}

/// What something uses, and what is left of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Of what.
    pub of: Of,
    /// Its servers.
    pub servers: u64,
    /// Those whose power is known.
    pub telling: u64,
    /// The others, by the reason.
    pub unknown: BTreeMap<Why, u64>,
    /// Of how many the power is summed from supplies.
    pub by_supplies: u64,
    /// Servers that were there through the span, of those that tell.
    pub steady: u64,
    /// The power.
    pub power: Option<Power>,
    /// The heat.
    pub thermal: Option<Thermal>,
    /// What is used.
    pub used: Vec<Utilisation>,
    /// Of a feed: what comes to the others when it is lost.
    pub losses: Vec<Loss>,
}

/// What is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// Of which servers.
    pub scope: Scope,
    /// Only of this rack.
    pub rack: Option<String>,
    /// Of what it is told.
    pub levels: BTreeSet<Level>,
    /// Over so many days, today included.
    pub days: u16,
    /// Where servers alone are asked for: only so many, after so many others. Each stands for itself, so no other is read.
    pub servers: Option<(usize, usize)>,
}

/// All of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Site by site: itself, its racks, its feeds, its servers.
    pub rows: Vec<Row>,
    /// The days that were looked at.
    pub span: Span,
    /// Servers in no known rack.
    pub without_rack: u64,
    /// Whether there are servers after those that were asked for.
    pub more: bool,
}

/// A server and where it stands.
struct Seat {
    id: ServerId,
    site: String,
    place: Place,
    /// Whether all of its site is counted.
    whole: bool,
    /// On which days of the span it told anything.
    told: Vec<bool>,
}

/// Tells what may be seen of what is asked.
pub fn headroom<S: Store + Usage>(
    store: &S,
    terms: &Terms,
    sight: &Sight,
    asked: &Asked,
    now: Timestamp,
) -> Result<Report, StoreError> {
    let span = Span::ending(now, asked.days);
    let mut seats = seats(store, terms, sight, asked, now)?;
    seats.sort_by(|a, b| (&a.site, &a.place.rack, &a.id).cmp(&(&b.site, &b.place.rack, &b.id)));
    let without_rack = seats.iter().filter(|s| s.place.rack.is_none()).count() as u64;
    if let Some((limit, after)) = asked.servers.filter(|_| asked.levels == BTreeSet::from([Level::Server])) {
        let more = seats.len() > after.saturating_add(limit);
        let rows = seats.iter().skip(after).take(limit).map(|seat| {
            let course = Course::of(&span, &store.usage(&seat.id, span.first(), span.last())?);
            Ok(server(&span, seat, &format!("servers/{}", seat.id), &course))
        });
        return Ok(Report { rows: rows.collect::<Result<_, StoreError>>()?, span, without_rack, more });
    }
    for seat in &mut seats {
        seat.told = vec![false; span.days()];
        for known in store.usage_known(&seat.id, span.first(), span.last())? {
            let at = usize::try_from(known.date.saturating_sub(span.first())).unwrap_or(usize::MAX);
            if let Some(told) = seat.told.get_mut(at) {
                *told = known.seen >= DAY_HOURS;
            }
        }
    }
    let mut rows = Vec::new();
    for site in seats.chunk_by(|a, b| a.site == b.site) {
        rows.extend(Hall::of(store, span, site, asked)?.rows(&asked.levels));
    }
    Ok(Report { rows, span, without_rack, more: false })
}

fn seats<S: Store>(
    store: &S,
    terms: &Terms,
    sight: &Sight,
    asked: &Asked,
    now: Timestamp,
) -> Result<Vec<Seat>, StoreError> {
    let mut seats = Vec::new();
    let mut page = Page::first(BATCH);
    loop {
        let listing = store.servers(None, &page)?;
        for server in listing.rows.iter().filter(|server| sight.record(server)) {
            let place = terms.topology.place(server).cloned().unwrap_or_default();
            let of_rack = asked.rack.is_none() || asked.rack == place.rack;
            if of_rack && asked.scope.holds(server.site.as_str(), sight::customer(terms, server, now)) {
                seats.push(Seat {
                    id: server.id.clone(),
                    site: server.site.to_string(),
                    whole: sight.site(&server.site) && asked.scope.customer.is_none(),
                    place,
                    told: Vec::new(),
                });
            }
        }
        match listing.next {
            Some(token) => page = Page::after(token, BATCH),
            None => return Ok(seats),
        }
    }
}

/// What the servers of a rack or a feed say of its limit.
fn agreed(told: impl Iterator<Item = Option<u32>>, whole: bool) -> Limit {
    let all: BTreeSet<u32> = told.flatten().collect();
    match (whole, all.len()) {
        (false, _) => Err(NoLimit::Partial),
        (true, 0) => Err(NoLimit::NotTold),
        (true, 1) => all.first().map(|w| (f64::from(*w), Basis::Topology)).ok_or(NoLimit::NotTold),
        (true, _) => Err(NoLimit::Disagree),
    }
}

/// What the servers' own supplies say, where every one does.
#[derive(Debug, Clone, Copy)]
struct Supplies {
    watts: f64,
    redundant: bool,
    all: bool,
}

impl Supplies {
    const NONE: Self = Self { watts: 0.0, redundant: true, all: true };

    fn add(&mut self, course: &Course) {
        match course.limit() {
            Some((watts, redundant)) => {
                self.watts += watts;
                self.redundant &= redundant;
            }
            None => self.all = false,
        }
    }

    /// This limit where no other is known.
    fn or(&self, limit: Limit) -> Limit {
        match limit {
            Err(NoLimit::NotTold) if self.all && self.watts > 0.0 => {
                Ok((self.watts, if self.redundant { Basis::Supplies } else { Basis::OneSupply }))
            }
            other => other,
        }
    }
}

/// A feed while servers are added.
struct Feed {
    group: Group,
    limit: Limit,
    /// What comes from it to others when it is lost, with the number of servers.
    to: BTreeMap<String, (Sum, u64)>,
}

/// A site while servers are added.
struct Hall {
    site: String,
    span: Span,
    group: Group,
    limit: Limit,
    racks: Vec<Row>,
    feeds: BTreeMap<String, Feed>,
    servers: Vec<Row>,
}

impl Hall {
    /// Of the servers of one site, in the order of their racks.
    fn of<S: Store + Usage>(store: &S, span: Span, seats: &[Seat], asked: &Asked) -> Result<Self, StoreError> {
        let site = seats.first().map(|s| s.site.clone()).unwrap_or_default();
        // With one rack of it, the site and its feeds are told in part.
        let whole = asked.rack.is_none() && seats.iter().all(|s| s.whole);
        let mut hall = Self {
            site,
            span,
            group: Group::new(&span),
            limit: Err(NoLimit::NotTold),
            racks: Vec::new(),
            feeds: feeds(&span, seats, whole),
            servers: Vec::new(),
        };
        let there = steady(&seats.iter().map(|s| s.told.clone()).collect::<Vec<_>>());
        let mut of_site = there.iter();
        let mut supplies = Supplies::NONE;
        for rack in seats.chunk_by(|a, b| a.place.rack == b.place.rack) {
            let mut group = Group::new(&span);
            let mut of_rack = Supplies::NONE;
            let there = steady(&rack.iter().map(|s| s.told.clone()).collect::<Vec<_>>());
            for (seat, in_rack) in rack.iter().zip(there) {
                let in_site = of_site.next().copied().unwrap_or(false);
                let course = Course::of(&span, &store.usage(&seat.id, span.first(), span.last())?);
                let name = format!("servers/{}", seat.id);
                group.add(&name, &course, 1.0, in_rack);
                hall.group.add(&name, &course, 1.0, in_site);
                of_rack.add(&course);
                supplies.add(&course);
                hall.feed(seat, &name, &course, in_site);
                if asked.levels.contains(&Level::Server) {
                    hall.servers.push(server(&span, seat, &name, &course));
                }
            }
            if let Some(name) = rack.first().and_then(|s| s.place.rack.clone()) {
                let limit = agreed(rack.iter().map(|s| s.place.rack_limit), rack.iter().all(|s| s.whole));
                hall.racks.push(row(Of::Rack(hall.site.clone(), name), &group, of_rack.or(limit)));
            }
        }
        hall.limit = supplies.or(hall.of_racks(seats, whole));
        Ok(hall)
    }

    /// The sum of the racks' limits.
    fn of_racks(&self, seats: &[Seat], whole: bool) -> Limit {
        if !whole {
            return Err(NoLimit::Partial);
        }
        let known = self.racks.iter().filter_map(|r| r.power.as_ref()?.limit.ok()).filter(|l| l.1 == Basis::Topology);
        let (count, sum) = known.fold((0, 0.0), |(count, sum), (watts, _)| (count + 1, sum + watts));
        let everywhere = count == self.racks.len() && seats.iter().all(|s| s.place.rack.is_some());
        match (count, everywhere) {
            (0, _) => Err(NoLimit::NotTold),
            (_, true) => Ok((sum, Basis::Racks)),
            (_, false) => Err(NoLimit::SomeRacks),
        }
    }

    /// Adds a server to its feeds: it takes from each the same share.
    fn feed(&mut self, seat: &Seat, name: &str, course: &Course, there: bool) {
        let on: BTreeSet<&String> = seat.place.feeds.iter().collect();
        let count = f64::from(u32::try_from(on.len()).unwrap_or(u32::MAX));
        for one in &on {
            let Some(feed) = self.feeds.get_mut(*one) else { continue };
            feed.group.add(name, course, 1.0 / count, there);
            for other in on.iter().filter(|other| *other != one) {
                let none = || (Sum::new(&self.span), 0);
                let (sum, servers) = feed.to.entry((*other).clone()).or_insert_with(none);
                *servers += 1;
                if course.unknown().is_none() {
                    sum.add(course, 1.0 / (count - 1.0) - 1.0 / count);
                }
            }
        }
    }

    fn rows(self, levels: &BTreeSet<Level>) -> Vec<Row> {
        let mut rows = vec![row(Of::Site(self.site.clone()), &self.group, self.limit)];
        rows.extend(self.racks);
        for (name, feed) in &self.feeds {
            let mut row = row(Of::Feed(self.site.clone(), name.clone()), &feed.group, feed.limit);
            row.losses = feed.to.iter().filter_map(|(other, more)| loss(&self.feeds, other, more)).collect();
            rows.push(row);
        }
        rows.extend(self.servers);
        rows.retain(|row| levels.contains(&row.of.level()));
        rows
    }
}

/// The feeds of some servers, with what they can carry.
fn feeds(span: &Span, seats: &[Seat], whole: bool) -> BTreeMap<String, Feed> {
    let mut told: BTreeMap<&String, Vec<Option<u32>>> = BTreeMap::new();
    for place in seats.iter().map(|s| &s.place) {
        for (feed, limit) in place.feeds.iter().zip(&place.feed_limits) {
            told.entry(feed).or_default().push(*limit);
        }
    }
    let feed = |limits: Vec<Option<u32>>| Feed {
        group: Group::new(span),
        limit: agreed(limits.into_iter(), whole),
        to: BTreeMap::new(),
    };
    told.into_iter().map(|(name, limits)| (name.clone(), feed(limits))).collect()
}

fn loss(feeds: &BTreeMap<String, Feed>, other: &str, (more, servers): &(Sum, u64)) -> Option<Loss> {
    let left = feeds.get(other)?;
    let load = left.group.sum().with(more).load()?;
    Some(Loss { feed: other.to_owned(), servers: *servers, load, limit: left.limit })
}

fn server(span: &Span, seat: &Seat, name: &str, course: &Course) -> Row {
    let mut group = Group::new(span);
    group.add(name, course, 1.0, true);
    let mut supplies = Supplies::NONE;
    supplies.add(course);
    row(Of::Server(seat.id.clone()), &group, supplies.or(Err(NoLimit::NotTold)))
}

fn row(of: Of, group: &Group, limit: Limit) -> Row {
    let power = group.load().map(|load| Power {
        load,
        limit,
        room: limit.ok().and_then(|(watts, _)| group.room(watts)),
        trend: group.trend(),
        full: limit.ok().and_then(|(watts, _)| group.full(watts)),
    });
    let silent: u64 = group.unknown().values().sum();
    Row {
        of,
        servers: group.servers(),
        telling: group.servers() - silent,
        unknown: group.unknown().clone(),
        by_supplies: group.by_supplies(),
        steady: group.steadies(),
        power,
        thermal: group.thermal(),
        used: group.used(),
        losses: Vec::new(),
    }
}
