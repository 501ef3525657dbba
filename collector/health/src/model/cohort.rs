//! What became of drives that showed the same before: counts of drives, each once for a pattern.

use super::{Attribute, Day, History, Vendor};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Days within which what rose makes a pattern.
const WINDOW: Day = 30;

/// So many drives a cohort needs to be told of.
pub const ENOUGH: u32 = 30;

/// Which attributes of the medium rose within 30 days: bit n is `Attribute::ALL[n]`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pattern(u16);

impl Pattern {
    /// What a drive shows on a day.
    pub fn of(history: &History, day: Day) -> Self {
        let rose = |a: &Attribute| a.is_medium() && history.track(*a).last_rise().is_some_and(|on| on > day - WINDOW);
        let bits = Attribute::ALL.into_iter().filter(rose);
        Pattern(bits.fold(0, |all, attribute| all | 1 << attribute as u16))
    }

    /// The attributes that rose, by number.
    pub fn attributes(self) -> impl Iterator<Item = Attribute> {
        Attribute::ALL.into_iter().filter(move |a| self.0 & (1 << *a as u16) != 0)
    }

    /// Whether nothing rose.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// Drives that showed a pattern, and how many of them failed within the 30 days after they first did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// How many there were.
    pub drives: u32,
    /// How many of them failed.
    pub failed: u32,
}

type Table = BTreeMap<Pattern, Count>;

/// Counts by model, by maker, and of all.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cohorts {
    models: BTreeMap<String, Table>,
    vendors: BTreeMap<String, Table>,
    all: Table,
}

/// The drives that one is compared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cohort {
    /// Their model, or where too few of that are known their maker; empty: all drives.
    pub of: String,
    /// What became of them.
    pub count: Count,
}

impl Cohorts {
    /// Counts a drive that showed a pattern for the first time, when it is known what came of it. `family` is its model, as
    /// [`super::family`] writes it.
    pub fn add(&mut self, family: &str, vendor: Vendor, pattern: Pattern, failed: bool) {
        let model = self.models.entry(family.to_owned()).or_default();
        let vendor = self.vendors.entry(vendor.as_str().to_owned()).or_default();
        for table in [model, vendor, &mut self.all] {
            let count = table.entry(pattern).or_default();
            count.drives = count.drives.saturating_add(1);
            count.failed = count.failed.saturating_add(u32::from(failed));
        }
    }

    /// What is known of drives like this: of its model, else of its maker, else of all, the first with so many drives.
    pub fn like(&self, family: &str, vendor: Vendor, pattern: Pattern, least: u32) -> Option<Cohort> {
        let found = |of: &str, table: Option<&Table>| {
            let count = *table?.get(&pattern)?;
            (count.drives >= least.max(1)).then(|| Cohort { of: of.to_owned(), count })
        };
        let maker = vendor.as_str();
        found(family, self.models.get(family).filter(|_| !family.is_empty()))
            .or_else(|| found(maker, self.vendors.get(maker).filter(|_| vendor != Vendor::Other)))
            .or_else(|| found("", Some(&self.all)))
    }

    /// Without the models' cells that are too small to be told of: what a model's file holds.
    #[must_use]
    pub fn told(mut self) -> Self {
        for table in self.models.values_mut() {
            table.retain(|_, count| count.drives >= ENOUGH);
        }
        self.models.retain(|_, table| !table.is_empty());
        self
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Smart;
    use super::*;

    fn shows(history: &mut History, day: Day, attribute: Attribute, value: f64) {
        let mut smart = Smart::default();
        smart.raw[attribute as usize] = Some(value);
        history.read(day, &smart);
    }

    fn pattern() -> Pattern {
        let mut history = History::default();
        for (day, value) in [(0, 0.0), (50, 8.0)] {
            shows(&mut history, day, Attribute::PendingSectors, value);
            shows(&mut history, day, Attribute::PowerCycles, value);
        }
        shows(&mut history, 10, Attribute::ReallocatedSectors, 0.0);
        shows(&mut history, 20, Attribute::ReallocatedSectors, 1.0);
        Pattern::of(&history, 51)
    }

    #[test]
    fn a_pattern_is_what_rose_of_the_medium_within_thirty_days() {
        assert_eq!(pattern().attributes().collect::<Vec<_>>(), [Attribute::PendingSectors]);
        assert!(Pattern::of(&History::default(), 5).is_empty());
    }

    #[test]
    fn too_few_of_a_model_give_way_to_its_maker_and_these_to_all() {
        let mut cohorts = Cohorts::default();
        for n in 0..40 {
            let (family, vendor) = if n < 10 { ("M1", Vendor::Seagate) } else { ("M2", Vendor::Hgst) };
            cohorts.add(family, vendor, pattern(), n % 4 == 0);
        }
        let like = |family: &str, vendor| cohorts.like(family, vendor, pattern(), ENOUGH);
        let count = |drives, failed| Count { drives, failed };
        assert_eq!(like("M2", Vendor::Hgst), Some(Cohort { of: "M2".to_owned(), count: count(30, 7) }));
        assert_eq!(like("M3", Vendor::Hgst), Some(Cohort { of: "HGST".to_owned(), count: count(30, 7) }));
        assert_eq!(like("M1", Vendor::Seagate), Some(Cohort { of: String::new(), count: count(40, 10) }));
        assert_eq!(cohorts.like("M1", Vendor::Seagate, Pattern::default(), 1), None);
        assert_eq!(cohorts.told().models.keys().collect::<Vec<_>>(), ["M2"]);
    }

    #[test]
    fn what_was_counted_is_read_back_from_its_file() {
        let mut cohorts = Cohorts::default();
        cohorts.add("M1", Vendor::Wdc, pattern(), true);
        let text = serde_json::to_string(&cohorts).unwrap();
        assert_eq!(serde_json::from_str::<Cohorts>(&text).unwrap(), cohorts);
    }
}
