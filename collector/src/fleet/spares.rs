//! What a site will need of each model until new parts come, and what to order.

use super::census::{Census, Foretold};
use super::rates::Rates;
use super::stock::Shelf;
use outband_health::fleet::rate::Belief;
use outband_health::fleet::spares::{Demand, Expected};
use outband_schemas::ComponentId;
use std::collections::{BTreeMap, HashMap};

/// Where the probability of a prediction comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The model that foretold it.
    Model,
    /// How often the rule was right, of those that were verified.
    Precision,
    /// Nobody knows.
    Unmeasured,
}

/// An open prediction as it counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// The ticket.
    pub ticket: u64,
    /// Its rule.
    pub rule: String,
    /// How likely the part fails.
    pub probability: f64,
    /// Where that comes from.
    pub source: Source,
}

/// What a site needs of one model.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// The site.
    pub site: String,
    /// The model, an index.
    pub model: usize,
    /// Parts in place.
    pub in_place: u64,
    /// Open predictions of them.
    pub foretold: Vec<Prediction>,
    /// Whether enough was watched to know a rate.
    pub rated: bool,
    /// Failures expected until new parts come.
    pub expected: Expected,
    /// And in 30 days.
    pub month: Expected,
    /// So many are enough.
    pub needed: u64,
    /// So many are on the shelf, where that is known.
    pub on_shelf: Option<u64>,
    /// So many are to be ordered.
    pub order: u64,
}

/// How long it takes, and how certain it is to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Aim {
    /// So likely the shelf lasts.
    pub service_level: f64,
    /// New parts come after so many days.
    pub resupply_days: u32,
}

#[derive(Debug, Default)]
struct Heap {
    in_place: u64,
    unknown: u64,
    /// What is believed of the model, and how many parts of mean age there are at risk.
    at_risk: Option<(Belief, f64)>,
    foretold: Vec<Prediction>,
}

/// What each site needs of each model, by site and model. `told`: the probability that a model told of a prediction, where it did.
/// `shelves`: what is on shelves, where that is known, of sites of which everything may be seen.
pub fn proposals(
    census: &Census,
    aim: Aim,
    told: impl Fn(&Foretold) -> Option<f64>,
    shelves: impl Fn(&str) -> Option<Vec<Shelf>>,
) -> Vec<Proposal> {
    let rates = Rates::of(census);
    // Two predictions of one part are one part that may be needed.
    let mut foretold: HashMap<(usize, &ComponentId), Prediction> = HashMap::new();
    for of in &census.foretold {
        let prediction = prediction(census, of, told(of));
        let entry = foretold.entry((of.machine, &of.component)).or_insert_with(|| prediction.clone());
        if prediction.probability > entry.probability {
            *entry = prediction;
        }
    }
    let mut heaps: BTreeMap<(&str, usize), Heap> = BTreeMap::new();
    for part in census.parts.iter().filter(|p| p.current) {
        let Some(machine) = census.machines.get(part.machine) else { continue };
        let heap = heaps.entry((machine.site.as_str(), part.model)).or_default();
        heap.in_place += 1;
        if let Some(prediction) = foretold.get(&(part.machine, &part.component)) {
            heap.foretold.push(prediction.clone());
            continue;
        }
        match rates.believed(part.model, part.ages.map(|(_, age)| age)) {
            Some((belief, factor)) => heap.at_risk.get_or_insert((belief, 0.0)).1 += factor,
            None => heap.unknown += 1,
        }
    }
    let mut stock: HashMap<&str, Option<Vec<Shelf>>> = HashMap::new();
    for (site, _) in heaps.keys() {
        stock.entry(site).or_insert_with(|| shelves(site));
    }
    let one = |((site, model), heap): ((&'_ str, usize), Heap)| {
        let demand = |days: f64| Demand {
            at_risk: heap.at_risk.iter().map(|(belief, parts)| (*belief, parts * days / 365.2425)).collect(),
            foretold: heap.foretold.iter().map(|p| p.probability).collect(),
        };
        let until = demand(f64::from(aim.resupply_days));
        let needed = until.needed(aim.service_level);
        let on_shelf = stock_of(census, stock.get(site).and_then(Option::as_ref), site, model);
        Proposal {
            site: site.to_owned(),
            model,
            in_place: heap.in_place,
            rated: heap.unknown == 0,
            expected: until.expected(),
            month: demand(30.0).expected(),
            needed,
            on_shelf,
            order: needed.saturating_sub(on_shelf.unwrap_or(0)),
            foretold: heap.foretold,
        }
    };
    let mut all: Vec<Proposal> = heaps.into_iter().map(one).collect();
    all.sort_by(|a, b| (&a.site, census.models.get(a.model)).cmp(&(&b.site, census.models.get(b.model))));
    all
}

fn stock_of(census: &Census, shelves: Option<&Vec<Shelf>>, site: &str, model: usize) -> Option<u64> {
    let (name, number) = (&census.models.get(model)?.name, census.makes.get(model)?.part_number.as_deref());
    Some(shelves?.iter().filter(|s| s.fits(site, name, number)).map(|s| s.quantity).sum())
}

/// Shelves with parts that no server at their site has.
pub fn unmatched<'a>(census: &Census, shelves: &'a [Shelf], all: &[Proposal]) -> Vec<&'a Shelf> {
    let fits = |shelf: &Shelf, of: &Proposal| {
        let (Some(model), Some(make)) = (census.models.get(of.model), census.makes.get(of.model)) else { return false };
        shelf.fits(&of.site, &model.name, make.part_number.as_deref())
    };
    shelves.iter().filter(|shelf| !all.iter().any(|of| fits(shelf, of))).collect()
}

fn prediction(census: &Census, of: &Foretold, told: Option<f64>) -> Prediction {
    let measured = census.rules.get(&of.rule).filter(|(right, wrong)| right + wrong > 0).map(|(right, wrong)| {
        let number = outband_health::fleet::gamma::number;
        // The mean of what is believed after so many (Jeffreys).
        (number(*right) + 0.5) / (number(right + wrong) + 1.0)
    });
    let (probability, source) = match (told, measured) {
        (Some(p), _) => (p, Source::Model),
        (None, Some(p)) => (p, Source::Precision),
        // Whoever keeps to the ticket takes a part.
        (None, None) => (1.0, Source::Unmeasured),
    };
    Prediction { ticket: of.ticket, rule: of.rule.clone(), probability, source }
}
