//! One log in one poll: which page to read next, which entries are new, and where the next poll goes on.

use super::Follow;
use super::cursor::{Cursor, Digests, Order, joined};
use super::entry::{Entry, digest, order_of};
use crate::redfish::lenient::{is_inline, number, target};
use crate::redfish::memory::Expand;
use crate::redfish::walk::{members, next_link, tail};
use outband_schemas::Cause;
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// How many pages of one log are read in one poll; a longer one is read on in the next.
const PAGES: usize = 200;
/// From how many linked entries on it pays to ask for all of them in one request.
const EXPAND_FROM: usize = 3;
/// From how many entries on a page shows its order.
const ORDERED: usize = 7;

/// A log in this poll.
#[derive(Debug)]
pub(super) struct Reading {
    before: Cursor,
    told: HashSet<u64>,
    loose: HashSet<u64>,
    skips: bool,
    /// The digests of what was listed in this poll, in its order.
    listed: Vec<u64>,
    held: HashSet<u64>,
    order: Option<Order>,
    /// Pages contradict each other's order.
    unsorted: bool,
    /// Reading began in the log's midst.
    resumed: bool,
    /// Where the leap to the page of an interrupted reading was made, as an index into `listed`.
    leapt: Option<usize>,
    /// The pages that were read, and those that were followed to.
    pages: Vec<String>,
    followed: HashSet<String>,
    expanded: HashSet<String>,
    /// The first page of which something is missing, as an index into `pages`.
    stuck: Option<usize>,
    /// Reading ended before the log did.
    broken: bool,
    /// Reading ended where everything older was told before.
    connected: bool,
    /// Entries that are only linked to and were asked for: the page that lists them.
    asked: HashMap<String, usize>,
    /// The newest linked entry of each page, which shows whether the log is still the one that was read, and those that are believed to be known if it is.
    witnesses: HashSet<String>,
    believed: Vec<String>,
    /// It is another log now: links that were known lead to other entries.
    replaced: bool,
    /// The beginning of a log that was replaced, until it is read: pages in its midst that were asked for before count for nothing.
    restart: Option<String>,
}

/// What a page lists.
enum Item {
    Whole(Entry),
    Link(String),
}

impl Item {
    fn digest(&self) -> u64 {
        match self {
            Self::Whole(entry) => entry.digest,
            Self::Link(uri) => of_link(uri),
        }
    }
}

/// The bit that tells the digests of links from those of entries.
const LINK: u64 = 1 << 47;

fn of_link(uri: &str) -> u64 {
    digest(std::iter::once(uri.trim_end_matches('/').to_owned())) | LINK
}

impl Reading {
    /// A log that was read as far as `before`. `skips`: the BMC says that it has `$skip`.
    pub(super) fn after(before: Cursor, skips: bool) -> Self {
        Self {
            told: before.told.0.iter().copied().collect(),
            loose: before.loose.0.iter().copied().collect(),
            order: before.order,
            before,
            skips,
            listed: Vec::new(),
            held: HashSet::new(),
            unsorted: false,
            resumed: false,
            leapt: None,
            pages: Vec::new(),
            followed: HashSet::new(),
            expanded: HashSet::new(),
            stuck: None,
            broken: false,
            connected: false,
            asked: HashMap::new(),
            witnesses: HashSet::new(),
            believed: Vec::new(),
            replaced: false,
            restart: None,
        }
    }

    fn knows(&self, digest: u64) -> bool {
        self.told.contains(&digest) || self.loose.contains(&digest)
    }

    fn list(&mut self, digest: u64) {
        if self.held.insert(digest) {
            self.listed.push(digest);
        }
    }

    /// Lists what a link led to right after the link.
    fn list_linked(&mut self, link: u64, digest: u64) {
        if self.held.insert(digest) {
            let at = self.listed.iter().position(|d| *d == link).map_or(self.listed.len(), |at| at + 1);
            self.listed.insert(at, digest);
        }
    }

    /// Takes a page: its new entries, and what to read next.
    pub(super) fn page(
        &mut self,
        uri: &str,
        else_from: Option<&str>,
        body: Value,
        expand: Expand,
    ) -> (Vec<Entry>, Vec<Follow>) {
        let next = next_link(&body);
        let count = number(&body, "Members@odata.count").map(|n| n.value);
        let members = members(body);
        let size = members.len();
        let items = items(uri, members);
        if let Some(instead) = else_from {
            let newest_first = self.pages.is_empty() && order_of(&wholes(&items)) == Some(Order::NewestFirst);
            if newest_first || !items.iter().any(|i| self.knows(i.digest())) {
                return (Vec::new(), vec![Follow::Page { uri: instead.to_owned(), else_from: None }]);
            }
            self.resumed |= self.pages.is_empty();
            // No order was seen from the log's beginning; a page of its midst does not show one.
            self.unsorted |= self.resumed && self.before.order.is_none();
        }
        let unread = items.iter().filter(|i| matches!(i, Item::Link(_)) && !self.knows(i.digest())).count();
        let can_expand = expand != Expand::No && !uri.contains('?');
        if unread >= EXPAND_FROM && can_expand && self.expanded.insert(uri.to_owned()) {
            return (Vec::new(), vec![Follow::Expanded(uri.to_owned())]);
        }
        self.learn_order(&items);
        if self.restart.as_deref().is_some_and(|beginning| beginning != uri) {
            return self.new_of(items, uri, 0);
        }
        self.restart = None;
        let page = self.pages.len();
        self.pages.push(uri.to_owned());
        let repeated = !items.is_empty() && items.iter().all(|i| self.held.contains(&i.digest()));
        // A link alone does not show that it still leads where it led.
        let last = items.last().filter(|i| matches!(i, Item::Whole(_))).map(Item::digest);
        let anchored = |i: &Item| matches!(i, Item::Whole(_)) && self.told.contains(&i.digest());
        self.connected = self.order == Some(Order::NewestFirst)
            && if self.before.cut { items.iter().any(anchored) } else { items.last().is_some_and(anchored) };
        let (new, mut follow) = self.new_of(items, uri, page);
        if self.connected {
            return (new, follow);
        }
        match next.or_else(|| self.skip(uri, size, count, repeated, &mut follow)) {
            Some(next) if self.followed.insert(next.clone()) => follow.push(self.further(next, last)),
            _ => {}
        }
        (new, follow)
    }

    fn learn_order(&mut self, items: &[Item]) {
        let entries = wholes(items);
        match order_of(&entries) {
            // So few may be in order by chance: not enough to go by, and enough to doubt an order.
            Some(order) if entries.len() < ORDERED => self.order = self.order.filter(|before| *before == order),
            Some(order) => {
                self.unsorted |= !self.pages.is_empty() && self.order.is_some_and(|before| before != order);
                self.order = Some(order);
            }
            None => self.unsorted |= entries.len() > 2,
        }
        if self.unsorted {
            self.order = None;
        }
    }

    /// The entries of a page that were not told before, and the linked ones to ask for.
    fn new_of(&mut self, items: Vec<Item>, uri: &str, page: usize) -> (Vec<Entry>, Vec<Follow>) {
        // Of a log that is longer than its digests, those on the far side of a known entry were told long ago.
        let newest_first = self.order == Some(Order::NewestFirst);
        let edge = match newest_first {
            true => items.iter().rposition(|i| self.told.contains(&i.digest())),
            false => items.iter().position(|i| self.knows(i.digest())),
        };
        let edge = edge.filter(|_| self.before.cut);
        let is_old = |at: usize| edge.is_some_and(|edge| if newest_first { at > edge } else { at < edge });
        let (mut new, mut follow) = (Vec::new(), Vec::new());
        let mut believed = Vec::new();
        for (at, item) in items.into_iter().enumerate() {
            let digest = item.digest();
            let known = self.knows(digest) || self.held.contains(&digest) || is_old(at);
            match item {
                Item::Whole(ref entry) if self.expanded.contains(uri) => {
                    let link = of_link(&entry.uri);
                    self.list(link);
                    self.list_linked(link, digest);
                }
                _ => self.list(digest),
            }
            match item {
                Item::Link(link) if known && !self.replaced => {
                    let pair = |kept: &Digests| {
                        let pair = kept.0.windows(2).find(|pair| pair.first() == Some(&digest))?;
                        pair.last().copied().filter(|led_to| led_to & LINK == 0)
                    };
                    if let Some(entry) = pair(&self.before.told).or_else(|| pair(&self.before.loose)) {
                        self.list_linked(digest, entry);
                    }
                    believed.push(link);
                }
                Item::Link(link) => {
                    if self.asked.insert(link.clone(), page).is_none() {
                        follow.push(Follow::Entry(link));
                    }
                }
                Item::Whole(entry) if !known => new.push(entry),
                Item::Whole(_) => {}
            }
        }
        let newest = believed.iter().filter_map(|l| Some((tail(l).parse::<u64>().ok()?, l))).max();
        let end = if newest_first { believed.first() } else { believed.last() };
        if let Some(witness) = newest.map(|(_, link)| link).or(end)
            && self.asked.insert(witness.clone(), page).is_none()
        {
            self.witnesses.insert(witness.clone());
            follow.push(Follow::Entry(witness.clone()));
        }
        self.believed.extend(believed);
        (new, follow)
    }

    /// Takes an entry that was only linked to. Where the newest known one is another now, the log was cleared, and none is known.
    pub(super) fn entry(&mut self, uri: &str, body: Value) -> (Option<Entry>, Vec<Follow>) {
        let Some(entry) = Entry::of(uri.to_owned(), body) else { return (None, Vec::new()) };
        let known = self.knows(entry.digest) || self.held.contains(&entry.digest);
        self.list_linked(of_link(uri), entry.digest);
        if known || !self.witnesses.contains(uri) {
            return ((!known).then_some(entry), Vec::new());
        }
        self.replaced = true;
        for digests in [&mut self.before.told.0, &mut self.before.loose.0] {
            digests.retain(|d| d & LINK == 0);
        }
        self.told.retain(|d| d & LINK == 0);
        self.loose.retain(|d| d & LINK == 0);
        let page = self.pages.len().saturating_sub(1);
        let believed = std::mem::take(&mut self.believed).into_iter();
        let mut again: Vec<Follow> =
            believed.filter(|link| self.asked.insert(link.clone(), page).is_none()).map(Follow::Entry).collect();
        if std::mem::replace(&mut self.resumed, false) {
            self.followed.clear();
            self.restart = self.pages.first().and_then(|uri| uri.split('?').next()).map(str::to_owned);
            again.extend(self.restart.clone().map(|uri| Follow::Page { uri, else_from: None }));
            self.pages.clear();
            self.stuck = None;
        }
        (Some(entry), again)
    }

    /// The page after `uri` where the BMC names none, although it says that there are more entries.
    fn skip(
        &self,
        uri: &str,
        size: usize,
        count: Option<f64>,
        repeated: bool,
        follow: &mut Vec<Follow>,
    ) -> Option<String> {
        if uri.to_ascii_lowercase().contains("skiptoken") {
            return None;
        }
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let others: Vec<&str> = query.split('&').filter(|p| !p.is_empty() && !p.starts_with("$skip=")).collect();
        let skipped = query.split('&').find_map(|p| p.strip_prefix("$skip=")?.parse::<usize>().ok()).unwrap_or(0);
        let listed = skipped.saturating_add(size);
        let listed_f = f64::from(u32::try_from(listed).unwrap_or(u32::MAX));
        let count = count.filter(|count| *count > listed_f)?;
        if self.skips && size > 0 && !repeated {
            let skip = format!("$skip={listed}");
            return Some(format!("{path}?{}", others.into_iter().chain([skip.as_str()]).collect::<Vec<_>>().join("&")));
        }
        let detail = format!("the log says that it has {count} entries, but lists {listed} and names no further page");
        follow.push(Follow::Lost { uri: path.to_owned(), cause: Cause::NotSupported, detail });
        None
    }

    fn further(&mut self, next: String, last: Option<u64>) -> Follow {
        if self.pages.len() >= PAGES {
            let detail =
                format!("the log is long: {PAGES} pages of it were read, and the next poll reads on from here");
            return Follow::Lost { uri: next, cause: Cause::Cancelled, detail };
        }
        let at_known = self.order == Some(Order::NewestFirst) && last.is_some_and(|d| self.loose.contains(&d));
        let leap = self.before.page.clone().filter(|p| at_known && self.leapt.is_none() && !self.pages.contains(p));
        match leap {
            Some(page) => {
                self.leapt = Some(self.listed.len());
                Follow::Page { uri: page, else_from: Some(next) }
            }
            None => Follow::Page { uri: next, else_from: None },
        }
    }

    /// Takes that a page or an entry could not be read.
    pub(super) fn lost(&mut self, uri: &str) {
        match self.asked.get(uri) {
            Some(page) => {
                self.stuck = Some(self.stuck.map_or(*page, |stuck| stuck.min(*page)));
                let link = of_link(uri);
                self.listed.retain(|d| *d != link);
            }
            None => self.broken = true,
        }
    }

    /// How far the log is read now; `None`: as far as before.
    pub(super) fn finish(self, kept: usize) -> Option<Cursor> {
        if self.pages.is_empty() && !self.replaced {
            return None;
        }
        let at = self.stuck.unwrap_or(self.pages.len().saturating_sub(1));
        let page = self.pages.get(at).filter(|uri| uri.contains('?')).cloned();
        let whole = !self.broken && self.stuck.is_none() && self.restart.is_none();
        let order = self.order.filter(|_| !self.unsorted);
        // What a link led to stands behind it, so what is listed now keeps its place.
        let merged = |earlier: &[u64], listed: &[u64]| {
            let unlisted: Vec<u64> = earlier.iter().copied().filter(|d| !self.held.contains(d)).collect();
            joined(&unlisted, listed, order, kept)
        };
        let mut before = self.before;
        if !whole {
            // Links that were not seen again may lead elsewhere by now.
            for digests in [&mut before.told.0, &mut before.loose.0] {
                digests.retain(|d| d & LINK == 0 || self.held.contains(d));
            }
        }
        Some(match order {
            Some(Order::NewestFirst) if whole => {
                let older: &[u64] = if self.connected { &before.told.0 } else { &[] };
                let (top, deep) = self.listed.split_at(self.leapt.unwrap_or(self.listed.len()).min(self.listed.len()));
                let between: &[u64] = if deep.is_empty() { &[] } else { &before.loose.0 };
                let (told, cut) = joined(&[top, between, deep].concat(), older, order, kept);
                let cut = cut || (self.connected && before.cut);
                Cursor { told, loose: Digests::default(), page: None, order, cut }
            }
            Some(Order::NewestFirst) => {
                let (top, deep) = self.listed.split_at(self.leapt.unwrap_or(self.listed.len()).min(self.listed.len()));
                let between: &[u64] = if deep.is_empty() && top.len() > kept / 2 { &[] } else { &before.loose.0 };
                let loose = ends(&[top, between, deep], kept);
                Cursor { loose, page, order, ..before }
            }
            // Read from the beginning as far as it went: everything older was told.
            _ if whole || (order == Some(Order::OldestFirst) && before.loose.0.is_empty()) => {
                let resumed = self.resumed || !whole || self.leapt.is_some();
                let earlier = if resumed { [before.told.0.as_slice(), &before.loose.0].concat() } else { Vec::new() };
                let (told, cut) = merged(&earlier, &self.listed);
                let cut = cut || (resumed && before.cut);
                let page = page.filter(|_| !whole || order == Some(Order::OldestFirst));
                Cursor { told, loose: Digests::default(), page, order, cut }
            }
            _ => {
                let (loose, _) = merged(&before.loose.0, &self.listed);
                Cursor { loose, page, order, ..before }
            }
        })
    }
}

/// Both ends of a list: the newest entries, at which the next poll finds what it knows, and those of the page where it then goes on.
fn ends(parts: &[&[u64]], kept: usize) -> Digests {
    let mut seen = HashSet::new();
    let all: Vec<u64> = parts.iter().flat_map(|p| p.iter()).copied().filter(|d| seen.insert(*d)).collect();
    let half = kept / 2;
    if all.len() <= kept {
        return Digests(all);
    }
    let (first, rest) = all.split_at(half);
    let (_, last) = rest.split_at(rest.len().saturating_sub(half));
    Digests([first, last].concat())
}

fn wholes(items: &[Item]) -> Vec<&Entry> {
    items.iter().filter_map(|i| if let Item::Whole(entry) = i { Some(entry) } else { None }).collect()
}

fn items(uri: &str, members: Vec<Value>) -> Vec<Item> {
    let items = members.into_iter().enumerate().filter_map(|(index, member)| {
        let link = target(&member);
        let whole = is_inline(&member)
            && (link.is_none()
                || ["Id", "MemberId", "@odata.type", "Created", "Message"].iter().any(|f| member.get(*f).is_some()));
        match link {
            Some(link) if !whole => Some(Item::Link(link)),
            link if member.is_object() => {
                let own = link.unwrap_or_else(|| format!("{uri}#/Members/{index}"));
                Entry::of(own.trim_end_matches('/').to_owned(), member).map(Item::Whole)
            }
            _ => None,
        }
    });
    items.collect()
}
