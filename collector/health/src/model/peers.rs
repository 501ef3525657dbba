//! What is rare among drives of one model: how far the levels of the medium's attributes are spread over a fleet.
//!
//! Eight reallocated sectors are everyday among drives of one model, and of another one drive in a thousand has as many. So beside a level
//! itself stands how rare it is: the logarithm of one over the share of drives of the model with as much or more. It follows the fleet
//! without knowing what became of any drive. Where the own fleet has too few drives of a model, those of the training stand in.

use super::{Attribute, Day, Drive, History, Vendor};
use serde::{Deserialize, Serialize};
use std::borrow::Borrow;
use std::collections::BTreeMap;

/// So many drives a spread needs.
const LEAST: usize = 20;

/// Days after which it is taken anew.
const EVERY: Day = 14;

/// A step of a spread is kept where it leaves out this share of the drives of the one before.
const FINE: f64 = 0.1;

/// The attributes that are compared.
const COMPARED: [Attribute; 5] = [
    Attribute::ReallocatedSectors,
    Attribute::ReportedUncorrectable,
    Attribute::ReallocationEvents,
    Attribute::PendingSectors,
    Attribute::OfflineUncorrectable,
];

/// The levels of one attribute among the drives that report it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Spread {
    drives: u32,
    /// Levels, rising, and how many drives have as much or more.
    steps: Vec<(f64, u32)>,
}

impl Spread {
    fn of(mut levels: Vec<f64>) -> Option<Self> {
        let drives = u32::try_from(levels.len()).ok().filter(|_| levels.len() >= LEAST)?;
        levels.sort_by(f64::total_cmp);
        let mut steps: Vec<(f64, u32)> = Vec::new();
        let mut newest = f64::NAN;
        for (left, level) in (1..=drives).rev().zip(levels) {
            let fine = steps.last().is_none_or(|(_, had)| f64::from(left) <= f64::from(*had) * (1.0 - FINE));
            if level != newest && fine {
                steps.push((level, left));
            }
            newest = level;
        }
        Some(Spread { drives, steps })
    }

    /// The logarithm of one over the share of drives with as much or more.
    fn rarity(&self, level: f64) -> f64 {
        let above = self.steps.partition_point(|step| step.0 < level);
        let as_much = self.steps.get(above).map_or(0, |step| step.1);
        ((f64::from(self.drives) + 2.0) / (f64::from(as_much) + 1.0)).ln()
    }
}

/// Spreads in the order of [`COMPARED`].
type Kind = [Option<Spread>; COMPARED.len()];

/// A fleet's drives by model and by maker.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Peers {
    taken: Option<Day>,
    models: BTreeMap<String, Kind>,
    makers: BTreeMap<String, Kind>,
}

impl Peers {
    /// From what the running drives of a fleet show at the end of `day`.
    pub fn of<'h, D: Borrow<Drive>>(day: Day, drives: impl Iterator<Item = (D, &'h History)>) -> Self {
        let mut models: BTreeMap<String, [Vec<f64>; COMPARED.len()]> = BTreeMap::new();
        let mut makers = models.clone();
        for (drive, history) in drives {
            let drive = drive.borrow();
            let maker = (drive.vendor != Vendor::Other).then_some(drive.vendor.as_str());
            let family = Some(drive.family.as_str()).filter(|f| !f.is_empty());
            for (kinds, name) in [(&mut models, family), (&mut makers, maker)] {
                let Some(name) = name else { continue };
                if !kinds.contains_key(name) {
                    kinds.insert(name.to_owned(), Default::default());
                }
                let Some(levels) = kinds.get_mut(name) else { continue };
                for (attribute, levels) in COMPARED.into_iter().zip(levels) {
                    levels.extend(history.track(attribute).now());
                }
            }
        }
        let spreads = |kinds: BTreeMap<String, [Vec<f64>; COMPARED.len()]>| {
            let kinds = kinds.into_iter().map(|(name, levels)| (name, levels.map(Spread::of)));
            kinds.filter(|(_, kind)| kind.iter().any(Option::is_some)).collect()
        };
        Peers { taken: Some(day), models: spreads(models), makers: spreads(makers) }
    }

    /// Whether it is time to take it anew: after 14 days, or when the clock went back.
    pub fn is_due(&self, day: Day) -> bool {
        self.taken.is_none_or(|taken| !(taken..taken + EVERY).contains(&day))
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.models.is_empty() && self.makers.is_empty()
    }

    /// The drives that a drive is compared with: of its model, in the own fleet or else in another; or of its maker.
    pub fn among<'a>(&'a self, other: &'a Peers, drive: &Drive) -> Among<'a> {
        let (family, maker) = (drive.family.as_str(), drive.vendor.as_str());
        let kinds =
            [self.models.get(family), other.models.get(family), self.makers.get(maker), other.makers.get(maker)];
        let first = |i: usize| kinds.iter().flatten().find_map(|kind| kind.get(i)?.as_ref());
        Among { spreads: std::array::from_fn(first) }
    }
}

/// The drives that one drive is compared with.
#[derive(Debug, Clone, Copy, Default)]
pub struct Among<'a> {
    spreads: [Option<&'a Spread>; COMPARED.len()],
}

impl Among<'_> {
    /// How rare the levels of a drive at the end of `day` are: summed over the attributes, and the greatest. `None`: there is nothing to
    /// compare.
    pub(super) fn rarity(&self, history: &History, day: Day) -> Option<(f64, f64)> {
        let rare = COMPARED.into_iter().zip(self.spreads).filter_map(|(attribute, spread)| {
            let track = history.track(attribute);
            Some(spread?.rarity(track.at(day).or(track.now())?))
        });
        rare.fold(None, |sum: Option<(f64, f64)>, r| sum.map_or(Some((r, r)), |(all, top)| Some((all + r, top.max(r)))))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Smart;
    use super::*;

    fn smart(sectors: f64) -> Smart {
        let mut smart = Smart::default();
        smart.raw[Attribute::ReallocatedSectors as usize] = Some(sectors);
        smart
    }

    fn fleet(model: &str, levels: impl Iterator<Item = f64>) -> Vec<(Drive, History)> {
        let drive = Drive { vendor: Vendor::Seagate, family: model.to_owned(), ..Drive::default() };
        let shows = |level| {
            let mut history = History::default();
            history.read(0, &smart(level));
            (drive.clone(), history)
        };
        levels.map(shows).collect()
    }

    fn peers(drives: &[(Drive, History)]) -> Peers {
        Peers::of(0, drives.iter().map(|(d, h)| (d, h)))
    }

    fn rarity(own: &Peers, other: &Peers, model: &str, level: f64) -> Option<f64> {
        let drives = fleet(model, std::iter::once(level));
        let (drive, history) = drives.first()?;
        own.among(other, drive).rarity(history, 0).map(|(sum, _)| sum)
    }

    #[test]
    fn a_level_is_the_rarer_the_fewer_drives_of_the_model_have_as_much() {
        let peers = peers(&fleet("M", (0..98).map(|n| f64::from(if n < 90 { 0 } else { n - 89 }))));
        let rarity = |level| rarity(&peers, &Peers::default(), "M", level).unwrap();
        assert!((rarity(0.0) - (100.0_f64 / 99.0).ln()).abs() < 1e-9);
        assert!((rarity(1.0) - (100.0_f64 / 9.0).ln()).abs() < 1e-9);
        assert!((rarity(8.0) - (100.0_f64 / 2.0).ln()).abs() < 1e-9);
        assert!((rarity(9.0) - 100.0_f64.ln()).abs() < 1e-9);
    }

    #[test]
    fn too_few_of_the_own_fleet_give_way_to_the_same_model_elsewhere_and_then_to_the_maker() {
        let few = peers(&fleet("M", (0..9).map(f64::from)));
        assert!(few.is_empty());
        let mut two = fleet("M", (0..40).map(|_| 0.0));
        two.extend(fleet("N", (0..40).map(|_| 9.0)));
        let other = peers(&two);
        let common = (42.0_f64 / 41.0).ln();
        assert!((rarity(&few, &other, "N", 9.0).unwrap() - common).abs() < 1e-9);
        assert!((rarity(&few, &other, "unknown", 9.0).unwrap() - 2.0).abs() > 0.5);
        assert!((rarity(&few, &other, "unknown", 9.0).unwrap() - (82.0_f64 / 41.0).ln()).abs() < 1e-9);
        assert_eq!(rarity(&few, &few, "M", 9.0), None);
    }

    #[test]
    fn what_is_known_of_a_large_fleet_stays_small_and_is_read_back_from_its_file() {
        let peers = peers(&fleet("M", (0..20_000).map(f64::from)));
        let text = serde_json::to_string(&peers).unwrap();
        assert!(text.len() < 10_000, "{}", text.len());
        assert_eq!(serde_json::from_str::<Peers>(&text).unwrap(), peers);
    }

    #[test]
    fn it_is_taken_anew_after_two_weeks_and_when_the_clock_went_back() {
        let due: Vec<bool> = [-1, 0, 13, 14].into_iter().map(|day| peers(&[]).is_due(day)).collect();
        assert_eq!(due, [true, false, false, true]);
        assert!(Peers::default().is_due(5));
    }
}
