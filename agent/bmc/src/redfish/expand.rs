//! How to ask for a collection: all at once, in pages, or member by member (DSP0266 §7.3). What a BMC can do is taken from its root, tried, and remembered.
//!
//! An expanded request costs the BMC about its own time and half of each member's, so it is made only where that is expected to stay below a few
//! seconds. Where the number of members is not known it is asked for first, which shows by the way whether the BMC has pages.

use super::lenient::truth;
use super::route::Role;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How a BMC expands collections (DSP0266 §7.3.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Expand {
    /// It does not, or not so that one could use it.
    #[default]
    No,
    /// Members but not links: `$expand=.`.
    Members,
    /// Everything: `$expand=*`.
    All,
}

/// No request is made that is expected to take longer, in seconds.
const LONGEST: f64 = 5.0;
/// What a request takes until it was measured, in seconds.
const TYPICAL: f64 = 0.4;
/// Collections that usually have so many members may have far more.
const MANY: usize = 16;
/// How often expanding may fail before it is not tried again.
const FAILURES: u8 = 3;

/// How one request for a collection is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As it is: mostly links.
    Plain,
    /// One member only: it tells how many there are, and whether the BMC has pages.
    Count,
    /// With its members.
    Expanded,
    /// Some of its members.
    Page { skip: usize, top: usize },
}

/// What was learned of a BMC's ways to answer queries.
#[derive(Debug, Clone, Default)]
pub(super) struct Expander {
    form: Expand,
    levels: bool,
    known: bool,
    failures: u8,
    /// Collections that answered an expanded request with an error or with links.
    plain: BTreeSet<String>,
    /// Collections that say more members than they have.
    miscounts: BTreeSet<String>,
    /// Whether `$top` and `$skip` are honoured.
    pages: Option<bool>,
    counts: BTreeMap<String, usize>,
    /// Whether a resource that is no collection is expanded too.
    single: Option<bool>,
    /// Seconds that a plain request takes, averaged.
    seconds: Option<f64>,
}

/// What holds for every BMC of the same kind: forms, and not sizes.
#[cfg(feature = "io")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lessons {
    form: Expand,
    plain: BTreeSet<String>,
    single: Option<bool>,
    pages: Option<bool>,
}

impl Expander {
    /// What other BMCs of the kind need not show again.
    #[cfg(feature = "io")]
    pub(super) fn lessons(&self) -> Lessons {
        Lessons { form: self.form, plain: self.plain.clone(), single: self.single, pages: self.pages }
    }

    /// Takes what another BMC of the kind showed. What fails nevertheless is noticed as ever.
    #[cfg(feature = "io")]
    pub(super) fn adopt(&mut self, lessons: Lessons) {
        let Lessons { form, plain, single, pages } = lessons;
        (self.form, self.plain, self.single, self.pages) = (form, plain, single, pages);
    }

    /// Learns from the service root what queries the BMC says it supports.
    pub(super) fn learn(&mut self, root: &Value) {
        if std::mem::replace(&mut self.known, true) {
            return;
        }
        let Some(features) = root.get("ProtocolFeaturesSupported") else { return };
        if truth(features, "TopSkipQuery") == Some(true) {
            self.pages = Some(true);
        }
        let Some(query) = features.get("ExpandQuery") else { return };
        self.levels = truth(query, "Levels") != Some(false);
        self.form = match (truth(query, "NoLinks"), truth(query, "ExpandAll")) {
            (Some(true), _) => Expand::Members,
            (_, Some(true)) => Expand::All,
            _ => Expand::No,
        };
    }

    pub(super) fn expands(&self) -> bool {
        self.form != Expand::No
    }

    pub(super) fn has_pages(&self) -> bool {
        self.expands() && self.pages == Some(true)
    }

    /// What a plain request took.
    pub(super) fn took(&mut self, elapsed: Duration) {
        let now = elapsed.as_secs_f64();
        self.seconds = Some(self.seconds.map_or(now, |before| before * 0.8 + now * 0.2));
    }

    /// What a request took that brought so many members. It says how fast the BMC is where nothing else did yet.
    pub(super) fn took_expanded(&mut self, elapsed: Duration, members: usize) {
        let members = u32::try_from(members).map_or(f64::MAX, f64::from);
        self.seconds.get_or_insert(elapsed.as_secs_f64() / (1.0 + members / 2.0));
    }

    /// What a request for `members` members at once is expected to take, in seconds.
    pub(super) fn cost(&self, members: usize) -> f64 {
        let members = u32::try_from(members).map_or(f64::MAX, f64::from);
        self.seconds.unwrap_or(TYPICAL) * (1.0 + members / 2.0)
    }

    fn fits(&self, members: usize) -> bool {
        self.cost(members) <= LONGEST
    }

    /// The most members that one request may be expected to bring within `seconds`.
    pub(super) fn most_within(&self, seconds: f64) -> usize {
        (1..=500).take_while(|n| self.cost(*n) <= seconds).last().unwrap_or(1)
    }

    fn page(&self) -> usize {
        self.most_within(LONGEST)
    }

    /// Notes how many members a collection has.
    pub(super) fn count(&mut self, uri: &str, members: usize) {
        self.counts.insert(uri.to_owned(), members);
    }

    /// How many members a collection had.
    pub(super) fn members(&self, uri: &str) -> Option<usize> {
        self.counts.get(uri).copied()
    }

    /// Whether to ask for a resource again, with all that it links to, in the place of `asks` requests for some of it.
    pub(super) fn unfolds(&self, uri: &str, links: usize, asks: usize) -> bool {
        asks > 2 && self.expands() && self.single != Some(false) && !self.plain.contains(uri) && self.fits(links)
    }

    /// An answer showed whether resources that are no collections are expanded.
    pub(super) fn unfolded(&mut self, honoured: bool) {
        self.single = Some(honoured);
    }

    /// How to ask for a collection of which nothing was read yet.
    pub(super) fn first(&self, uri: &str, role: Role) -> Form {
        if !self.expands() || self.plain.contains(uri) {
            return Form::Plain;
        }
        let known = self.counts.get(uri).copied();
        let fits = self.fits(known.unwrap_or_else(|| usual(role)));
        match (self.pages, known) {
            // It may hold more than is usual: `$top` keeps the answer small wherever it is not ignored.
            (Some(true), None) => self.first_page(),
            (None, None) if fits && usual(role) >= MANY => self.first_page(),
            _ if fits => Form::Expanded,
            (Some(true), _) => self.first_page(),
            (None, _) => Form::Count,
            (Some(false), _) => Form::Plain,
        }
    }

    /// How to ask for the members of a collection of which the number is known; `None`: one by one.
    pub(super) fn second(&self, uri: &str, members: usize) -> Option<Form> {
        if !self.expands() || self.plain.contains(uri) || members < 2 {
            return None;
        }
        if self.fits(members) {
            return Some(Form::Expanded);
        }
        (self.pages == Some(true)).then(|| Form::Page { skip: 0, top: self.page() })
    }

    /// The first of as many pages as there turn out to be.
    pub(super) fn first_page(&self) -> Form {
        Form::Page { skip: 0, top: self.page() }
    }

    /// Notes how many members a body lists.
    pub(super) fn count_of(&mut self, uri: &str, body: &Value) {
        let held = body.get("Members").and_then(Value::as_array).map_or(0, Vec::len);
        self.count(uri, said_count(body).unwrap_or(held).max(held));
    }

    /// Whether a collection is known to say more members than it has.
    pub(super) fn miscounts(&self, uri: &str) -> bool {
        self.miscounts.contains(uri)
    }

    /// A collection says more members than it has.
    pub(super) fn miscounted(&mut self, uri: &str) {
        self.miscounts.insert(uri.to_owned());
    }

    /// How logs may be asked for their entries: at once only where that does not take too long.
    pub(super) fn of_log(&self, uri: &str) -> Expand {
        let fits = self.counts.get(uri).is_none_or(|n| self.fits(*n));
        if fits && !self.plain.contains(uri) { self.form } else { Expand::No }
    }

    /// An answer showed whether there are pages.
    pub(super) fn paged(&mut self, honoured: bool) {
        self.pages = Some(honoured);
    }

    /// A collection did not expand; after a few the BMC is not asked to expand again.
    pub(super) fn failed(&mut self, uri: &str) {
        if self.plain.insert(uri.to_owned()) {
            self.failures = self.failures.saturating_add(1);
        }
        if self.failures >= FAILURES {
            self.form = Expand::No;
        }
    }

    /// A collection did expand.
    pub(super) fn worked(&mut self) {
        self.failures = 0;
    }

    /// A URI as it is asked for.
    pub(super) fn uri(&self, uri: &str, form: Form) -> String {
        let expand = match (self.form, self.levels) {
            (Expand::No, _) => "",
            (Expand::Members, true) => "$expand=.($levels=1)",
            (Expand::Members, false) => "$expand=.",
            (Expand::All, true) => "$expand=*($levels=1)",
            (Expand::All, false) => "$expand=*",
        };
        let query = match form {
            Form::Plain => return uri.to_owned(),
            Form::Count => "$top=1".to_owned(),
            Form::Expanded if expand.is_empty() || uri.contains("$expand=") => return uri.to_owned(),
            Form::Expanded => expand.to_owned(),
            Form::Page { skip: 0, top } => format!("{expand}&$top={top}"),
            Form::Page { skip, top } => format!("{expand}&$top={top}&$skip={skip}"),
        };
        let with = if uri.contains('?') { '&' } else { '?' };
        format!("{uri}{with}{}", query.trim_start_matches('&'))
    }
}

/// How many members a collection says it has, whatever part of them an answer holds.
pub(super) fn said_count(body: &Value) -> Option<usize> {
    let count = ["Members@odata.count", "@odata.count"].iter().find_map(|f| body.get(*f)?.as_u64());
    count.and_then(|n| usize::try_from(n).ok())
}

/// As many members as a collection of a well-equipped server has, so that the first request for one does not take too long.
fn usual(role: Role) -> usize {
    match role {
        Role::Sensor => 100,
        Role::Firmware => 45,
        Role::Memory => 32,
        Role::Drive | Role::SmartDrive => 16,
        Role::Chassis | Role::Fan | Role::NetworkAdapter => 8,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn expander(features: Value, millis: u64) -> Expander {
        let mut expander = Expander::default();
        expander.learn(&json!({"ProtocolFeaturesSupported": features}));
        expander.took(Duration::from_millis(millis));
        expander
    }

    #[test]
    fn a_small_collection_is_expanded_and_one_that_may_be_large_is_counted_first() {
        let expander = expander(json!({"ExpandQuery": {"NoLinks": true, "Levels": true}}), 300);
        assert_eq!(expander.first("/Storage", Role::Storage), Form::Expanded);
        assert_eq!(expander.first("/Sensors", Role::Sensor), Form::Count);
        assert_eq!(expander.uri("/Sensors", Form::Count), "/Sensors?$top=1");
    }

    #[test]
    fn pages_are_used_only_where_the_bmc_says_or_showed_that_it_has_them() {
        let mut expander = expander(json!({"ExpandQuery": {"ExpandAll": true}, "TopSkipQuery": true}), 400);
        assert_eq!(expander.first("/f", Role::Firmware), Form::Page { skip: 0, top: 23 });
        assert_eq!(expander.uri("/f", Form::Page { skip: 23, top: 23 }), "/f?$expand=*($levels=1)&$top=23&$skip=23");
        expander.paged(false);
        assert_eq!((expander.first("/f", Role::Firmware), expander.second("/f", 48)), (Form::Plain, None));
        assert_eq!(expander.second("/f", 20), Some(Form::Expanded));
    }

    #[test]
    fn a_bmc_that_advertises_nothing_is_asked_plainly() {
        let expander = expander(json!({}), 1);
        assert_eq!((expander.first("/c", Role::Storage), expander.second("/c", 3)), (Form::Plain, None));
    }

    #[test]
    fn a_collection_that_failed_is_asked_plainly_and_after_three_all_are() {
        let mut expander = expander(json!({"ExpandQuery": {"NoLinks": true}}), 10);
        expander.failed("/a");
        assert_eq!(
            (expander.first("/a", Role::Storage), expander.first("/b", Role::Storage)),
            (Form::Plain, Form::Expanded)
        );
        expander.failed("/b");
        expander.failed("/c");
        assert_eq!(expander.first("/d", Role::Storage), Form::Plain);
    }

    proptest! {
        #[test]
        fn no_request_is_planned_that_is_expected_to_exceed_the_limit(millis in 1u64..4000, members in 0usize..5000) {
            let expander = Expander { pages: Some(true), ..expander(json!({"ExpandQuery": {"NoLinks": true}}), millis) };
            let most = match expander.second("/c", members) {
                Some(Form::Expanded) => members,
                Some(Form::Page { top, .. }) => top,
                _ => 0,
            };
            prop_assert!(most <= 1 || expander.cost(most) <= LONGEST);
        }
    }
}
