//! How soon people answer (MTTA), how long a repair takes (MTTR) and how often things fail (MTBF): by model, site and customer. A pure
//! function, like the SLA report; its rules stand in README.md.

use super::case::{Case, Known, waits};
use super::foretold::{self, Foretold};
use super::period::Period;
use super::sla::Scope;
use outband_health::Fault;
use outband_schemas::Timestamp;
use outband_ticket::calendar::Span;
use outband_ticket::sla::Event;
use outband_ticket::{State, Verdict};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// A server, as far as this report wants to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Its model, where it is known.
    pub model: Option<String>,
    /// Its site.
    pub site: String,
    /// Its customer, where it is known.
    pub customer: Option<String>,
    /// The time for which it was watched.
    pub watched: Span,
}

/// By what figures are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// All in one.
    All,
    /// Model by model.
    Model,
    /// Site by site.
    Site,
    /// Customer by customer.
    Customer,
}

/// Lengths of time, summed up.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Sample {
    /// How many there are. With none, nothing else is known.
    pub count: u64,
    /// Their mean.
    #[serde(serialize_with = "super::json::maybe_span")]
    pub mean: Option<Duration>,
    /// The one in the middle.
    #[serde(serialize_with = "super::json::maybe_span")]
    pub median: Option<Duration>,
    /// A quarter of them is at most so long.
    #[serde(serialize_with = "super::json::maybe_span")]
    pub lower_quartile: Option<Duration>,
    /// A quarter of them is at least so long.
    #[serde(serialize_with = "super::json::maybe_span")]
    pub upper_quartile: Option<Duration>,
    /// The longest.
    #[serde(serialize_with = "super::json::maybe_span")]
    pub longest: Option<Duration>,
}

impl Sample {
    fn of(mut all: Vec<Duration>) -> Self {
        all.sort_unstable();
        let Some(longest) = all.last().copied() else { return Self::default() };
        // The nearest rank: always one that was measured.
        let rank = |quarters: usize| all.get((all.len() * quarters).div_ceil(4).saturating_sub(1)).copied();
        let count = u32::try_from(all.len()).unwrap_or(u32::MAX);
        Self {
            count: u64::from(count),
            mean: Some(all.iter().sum::<Duration>() / count),
            median: rank(2),
            lower_quartile: rank(1),
            upper_quartile: rank(3),
            longest: Some(longest),
        }
    }
}

/// The figures of one model, site or customer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// By what they are told apart.
    pub by: By,
    /// Which one; `None` where it is not known, and of all.
    pub name: Option<String>,
    /// Servers that were watched.
    pub servers: u64,
    /// How long they were watched, summed up.
    #[serde(serialize_with = "super::json::span")]
    pub watched: Duration,
    /// From opening to the first answer, of tickets that were opened in the period.
    pub acknowledged: Sample,
    /// Tickets that were opened in the period and that nobody has answered.
    pub unanswered: u64,
    /// From opening to repair, of tickets whose repair was in the period.
    pub repaired: Sample,
    /// The same without the time in which the customer had to do something.
    pub repaired_net: Sample,
    /// Hardware that failed in the period.
    pub failures: u64,
    /// Time watched for each failure; `None` where nothing failed.
    #[serde(serialize_with = "super::json::maybe_span")]
    pub mtbf: Option<Duration>,
    /// With 95 % confidence it is at least so long; `None` where nothing was watched.
    #[serde(serialize_with = "super::json::maybe_span")]
    pub mtbf_at_least: Option<Duration>,
    /// And at most so long; `None` where nothing failed.
    #[serde(serialize_with = "super::json::maybe_span")]
    pub mtbf_at_most: Option<Duration>,
}

/// The report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reliability {
    /// Which month or year.
    pub period: Period,
    /// Whose.
    pub scope: Scope,
    /// What was known at this time.
    #[serde(serialize_with = "super::json::time")]
    pub as_of: Timestamp,
    /// All, then each model, site and customer by name.
    pub figures: Vec<Figures>,
    /// How often what was foretold in the period was right, by rule.
    pub foretold: Vec<Foretold>,
}

#[derive(Debug, Default)]
struct Heap {
    servers: u64,
    watched: Duration,
    acknowledged: Vec<Duration>,
    unanswered: u64,
    repaired: Vec<Duration>,
    repaired_net: Vec<Duration>,
    failures: u64,
}

/// The report in the making.
#[derive(Debug)]
pub struct Tally {
    period: Period,
    scope: Scope,
    as_of: Timestamp,
    heaps: BTreeMap<(By, Option<String>), Heap>,
    foretold: foretold::Heap,
}

impl Tally {
    /// Of nothing yet.
    pub fn new(period: Period, scope: Scope, as_of: Timestamp) -> Self {
        let heaps = BTreeMap::from([((By::All, None), Heap::default())]);
        Self { period, scope, as_of, heaps, foretold: foretold::Heap::default() }
    }

    fn heaps(
        &mut self,
        model: Option<&str>,
        site: Option<&str>,
        customer: Option<&str>,
        mut put: impl FnMut(&mut Heap),
    ) {
        for (by, name) in [(By::All, None), (By::Model, model), (By::Site, site), (By::Customer, customer)] {
            put(self.heaps.entry((by, name.map(str::to_owned))).or_default());
        }
    }

    /// Adds a server that was watched.
    pub fn watch(&mut self, machine: &Machine) {
        let end = machine.watched.1.min(self.period.to).min(self.as_of);
        let watched = end.since(machine.watched.0.max(self.period.from));
        if watched.is_zero() {
            return;
        }
        self.heaps(machine.model.as_deref(), Some(&machine.site), machine.customer.as_deref(), |heap| {
            heap.servers += 1;
            heap.watched += watched;
        });
    }

    /// Adds a case. One that has nothing to do with the period changes nothing.
    pub fn add(&mut self, case: &Case<'_>) {
        if case.ticket.created_at >= self.period.to || case.ticket.updated_at < self.period.from {
            return;
        }
        let Some(known) = Known::at(case, self.as_of) else { return };
        let created = known.ticket.created_at;
        let opened_here = self.period.holds(created);
        if opened_here {
            self.foretold.add(&known);
        }
        if !known.class.is_real() {
            return;
        }
        let answered = known.log.iter().find(|entry| {
            matches!(Event::of(entry), Some(Event::Assigned | Event::Started | Event::Located | Event::Resolved))
        });
        let answered = answered.map(|entry| entry.at.since(created));
        let repair = known.ended.filter(|at| self.period.holds(*at));
        let repair = repair.map(|at| {
            let waited = waits(known.log, (created, at)).into_iter();
            let theirs = waited.filter(|w| w.state == State::WaitingForCustomer).map(|w| w.length()).sum();
            let whole = at.since(created);
            (whole, whole.saturating_sub(theirs))
        });
        let failed = opened_here && is_failure(&known);
        self.heaps(case.model.as_deref(), case.site.as_deref(), case.customer.as_deref(), |heap| {
            match answered {
                Some(after) if opened_here => heap.acknowledged.push(after),
                None if opened_here => heap.unanswered += 1,
                _ => {}
            }
            if let Some((whole, net)) = repair {
                heap.repaired.push(whole);
                heap.repaired_net.push(net);
            }
            heap.failures += u64::from(failed);
        });
    }

    /// The report.
    pub fn report(self) -> Reliability {
        let figures = self.heaps.into_iter().map(|((by, name), heap)| {
            let (mtbf, mtbf_at_least, mtbf_at_most) = mtbf(heap.watched, heap.failures);
            Figures {
                by,
                name,
                servers: heap.servers,
                watched: heap.watched,
                acknowledged: Sample::of(heap.acknowledged),
                unanswered: heap.unanswered,
                repaired: Sample::of(heap.repaired),
                repaired_net: Sample::of(heap.repaired_net),
                failures: heap.failures,
                mtbf,
                mtbf_at_least,
                mtbf_at_most,
            }
        });
        let figures = figures.collect();
        let foretold = self.foretold.report();
        Reliability { period: self.period, scope: self.scope, as_of: self.as_of, figures, foretold }
    }
}

/// Whether hardware failed: seen, not only foretold; of the server, not of what stands around it; and nobody found nothing.
fn is_failure(known: &Known<'_>) -> bool {
    let ticket = &known.ticket;
    let hardware = Fault::ALL.into_iter().find(|f| f.as_str() == ticket.fault).is_none_or(of_hardware);
    hardware && known.class.is_real() && !ticket.predicted && ticket.verdict != Some(Verdict::NoFaultFound)
}

/// Whether a fault is one of the server's own parts.
pub(crate) fn of_hardware(fault: Fault) -> bool {
    // Not the loss of redundancy: the part that failed has a ticket of its own.
    matches!(
        fault,
        Fault::DiskFailure
            | Fault::DiskWear
            | Fault::FanFailure
            | Fault::PsuFailure
            | Fault::VoltageOutOfRange
            | Fault::MemoryErrors
            | Fault::ProcessorErrors
            | Fault::BusErrors
            | Fault::ComponentFailure
    )
}

/// The mean time between failures with its 95 % interval, where failures come as a Poisson process: after Garwood (1936), exact.
fn mtbf(watched: Duration, failures: u64) -> (Option<Duration>, Option<Duration>, Option<Duration>) {
    if watched.is_zero() {
        return (None, None, None);
    }
    let each = |expected: f64| Duration::try_from_secs_f64(watched.as_secs_f64() / expected).ok();
    #[allow(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
    let mean = (failures > 0).then(|| each(failures as f64)).flatten();
    let most = (failures > 0).then(|| each(expected(failures - 1, 0.975))).flatten();
    (mean, each(expected(failures, 0.025)), most)
}

/// The expected number of events at which at most `n` of them come with this probability.
fn expected(n: u64, probability: f64) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
    let (mut low, mut high) = (0.0_f64, 2.0 * n as f64 + 50.0);
    for _ in 0..200 {
        let middle = f64::midpoint(low, high);
        if at_most(n, middle) > probability { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

/// The probability of at most `n` events where `mean` are expected. Summed up from the largest term, so that nothing underflows.
fn at_most(n: u64, mean: f64) -> f64 {
    if mean <= 0.0 {
        return 1.0;
    }
    let mut log_term = -mean;
    let mut logs = vec![log_term];
    for k in 1..=n {
        #[allow(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
        let k = k as f64;
        log_term += mean.ln() - k.ln();
        logs.push(log_term);
    }
    let top = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logs.iter().map(|log| (log - top).exp()).sum();
    (top + sum.ln()).exp().min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::case::tests::{Tale, assign, resolve, t};
    use outband_ticket::{Action, Priority, Resolution};

    fn month() -> Period {
        Period::parse("2026-10", "UTC").unwrap()
    }

    fn machine(model: &str) -> Machine {
        let model = Some(model.to_owned());
        Machine { model, site: "dc1".to_owned(), customer: None, watched: (t(0), t(31 * 1440)) }
    }

    fn figures(tales: &[Tale], machines: &[Machine]) -> Vec<Figures> {
        let mut tally = Tally::new(month(), Scope::default(), t(1_000_000));
        machines.iter().for_each(|m| tally.watch(m));
        for tale in tales {
            tally.add(&Case { model: Some("R750".to_owned()), ..tale.case() });
        }
        tally.report().figures
    }

    #[test]
    fn where_nothing_was_there_is_no_figure() {
        let all = &figures(&[], &[])[0];
        assert_eq!((all.by, all.servers, all.failures), (By::All, 0, 0));
        assert_eq!((all.acknowledged.count, all.acknowledged.mean), (0, None));
        assert_eq!((all.mtbf, all.mtbf_at_least, all.mtbf_at_most), (None, None, None));
    }

    #[test]
    fn where_nothing_failed_only_a_lower_bound_is_known() {
        let all = &figures(&[], &[machine("R750"), machine("R750")])[0];
        assert_eq!((all.servers, all.watched.as_secs()), (2, 2 * 31 * 86_400));
        assert_eq!((all.mtbf, all.mtbf_at_most), (None, None));
        // -ln 0.025 = 3.689 failures would have been too many not to see one.
        let at_least = all.mtbf_at_least.unwrap().as_secs_f64();
        assert!((at_least - 2.0 * 31.0 * 86_400.0 / 3.688_879).abs() < 10.0, "{at_least}");
    }

    #[test]
    fn the_interval_is_garwoods() {
        // Tables of the exact Poisson interval: 5 → 1.6235 to 11.6683; 100 → 81.364 to 121.627.
        for (n, low, high) in [(5, 1.6235, 11.6683), (100, 81.364, 121.627)] {
            assert!((expected(n - 1, 0.975) - low).abs() < 1e-3);
            assert!((expected(n, 0.025) - high).abs() < 1e-3);
        }
        assert!(at_most(100_000, 100_000.0) > 0.5);
    }

    #[test]
    fn answers_and_repairs_are_measured_from_opening_and_the_customers_time_is_told_apart() {
        let tale = |number, opened| {
            Tale::opened(number, Priority::P2, opened)
                .then(opened + 10, assign("wang"))
                .then(opened + 20, Action::WaitForCustomer)
                .then(opened + 50, Action::Resume)
                .then(opened + 100, resolve(Resolution::Repaired))
        };
        let unanswered = Tale::opened(3, Priority::P2, 5);
        let recovered = Tale::opened(4, Priority::P2, 5).then(6, resolve(Resolution::Recovered));
        let figures = figures(&[tale(1, 0), tale(2, 1000), unanswered, recovered], &[machine("R750")]);
        let of = |by: By| figures.iter().find(|f| f.by == by && (by == By::All || f.name.is_some())).unwrap();
        for all in [of(By::All), of(By::Model), of(By::Site)] {
            assert_eq!((all.acknowledged.count, all.acknowledged.mean), (2, Some(Duration::from_secs(600))));
            assert_eq!(all.unanswered, 1);
            assert_eq!(all.repaired.mean, Some(Duration::from_secs(6000)));
            assert_eq!(all.repaired_net.mean, Some(Duration::from_secs(4200)));
            assert_eq!(all.failures, 3);
            assert_eq!(all.mtbf, Some(Duration::from_secs(31 * 86_400) / 3));
            assert!(all.mtbf_at_least < all.mtbf && all.mtbf < all.mtbf_at_most);
        }
    }

    #[test]
    fn predictions_of_the_period_are_counted_by_what_was_verified_of_them() {
        use outband_ticket::Verdict;
        let foretold = |number, opened| {
            let mut tale = Tale::opened(number, Priority::P3, opened);
            if let Action::Open { opening: Some(opening), .. } = &mut tale.log[0].action {
                opening.predicted = true;
            }
            tale
        };
        let said = |tale: Tale, verdict| tale.then(100, Action::Verdict { verdict, detail: String::new(), part: None });
        let tales = [
            said(foretold(1, 0), Verdict::Confirmed),
            said(foretold(2, 0), Verdict::NoFaultFound).then(101, resolve(Resolution::FalseAlarm)),
            said(foretold(3, 0), Verdict::ReplacedWithoutTest),
            foretold(4, 0),
            said(foretold(5, -60 * 24 * 9), Verdict::Confirmed),
            foretold(6, 0).then(5, Action::Drill),
            Tale::opened(7, Priority::P2, 0),
        ];
        let mut tally = Tally::new(month(), Scope::default(), t(1_000_000));
        tales.iter().for_each(|tale| tally.add(&tale.case()));
        let told = tally.report().foretold;
        assert_eq!(told.len(), 1);
        let one = &told[0];
        assert_eq!((one.rule.as_str(), one.right, one.wrong, one.unknown, one.pending), ("disk.says_so", 1, 1, 1, 1));
        assert_eq!((one.precision, one.lead), (Some(0.5), Some(Duration::from_secs(6000))));
        assert!(one.at_least.unwrap() < 0.1 && one.at_most.unwrap() > 0.9);
    }

    #[test]
    fn a_server_is_watched_from_when_it_was_first_seen() {
        let mut late = machine("R750");
        late.watched = (t(30 * 1440), t(90 * 1440));
        assert_eq!(figures(&[], &[late])[0].watched.as_secs(), 86_400);
    }
}
