//! What was learned of a platform's ways to answer queries, for all BMCs of the same kind: what one showed, the others need not show again.

use super::expand::Lessons;
use super::lenient::text;
use crate::quirk::Platform;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// How many platforms are kept in mind: a site has a few, and what a root says of itself is up to the BMC.
const MOST: usize = 256;

/// The kind of a BMC: its platform, and the product and version that its service root names.
type Kind = (Platform, Option<String>, Option<String>);

/// A handle on what is known of platforms. Clones share it; keep one for all BMCs.
#[derive(Clone, Default)]
pub struct Knowledge(Arc<Mutex<BTreeMap<Kind, Lessons>>>);

impl fmt::Debug for Knowledge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Knowledge").field("platforms", &self.with(|known| known.len())).finish()
    }
}

impl Knowledge {
    fn with<T>(&self, f: impl FnOnce(&mut BTreeMap<Kind, Lessons>) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What other BMCs with such a service root showed.
    pub(super) fn of(&self, root: &Value) -> Option<Lessons> {
        self.with(|known| known.get(&kind(root)).cloned())
    }

    /// Takes what a BMC showed.
    pub(super) fn learn(&self, root: &Value, lessons: Lessons) {
        let kind = kind(root);
        self.with(|known| {
            if known.len() < MOST || known.contains_key(&kind) {
                known.insert(kind, lessons);
            }
        });
    }
}

fn kind(root: &Value) -> Kind {
    (Platform::of(root), text(root, "Product"), text(root, "RedfishVersion"))
}

#[cfg(test)]
mod tests {
    use super::super::expand::{Expander, Form};
    use super::super::route::Role;
    use super::*;
    use serde_json::json;

    #[test]
    fn what_one_bmc_showed_another_of_its_kind_need_not_show_and_one_of_another_kind_must() {
        let root = |product: &str| json!({"Vendor": "Contoso", "Product": product, "ProtocolFeaturesSupported": {"ExpandQuery": {"NoLinks": true}}});
        let knowledge = Knowledge::default();
        let begin = |product: &str| {
            let mut expander = Expander::default();
            expander.learn(&root(product));
            if let Some(lessons) = knowledge.of(&root(product)) {
                expander.adopt(lessons);
            }
            expander
        };
        let mut first = begin("A");
        assert_eq!(first.first("/s", Role::Sensor), Form::Count);
        first.paged(true);
        knowledge.learn(&root("A"), first.lessons());
        assert!(matches!(begin("A").first("/s", Role::Sensor), Form::Page { .. }));
        assert_eq!(begin("B").first("/s", Role::Sensor), Form::Count);
        assert_eq!(format!("{knowledge:?}"), "Knowledge { platforms: 1 }");
    }
}
