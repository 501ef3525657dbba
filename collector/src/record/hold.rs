//! What legal holds keep.

use super::export::{self, Whose};
use crate::judgement::Terms;
use outband_schemas::{ServerId, SiteId};
use outband_store::keeping::Keeping;
use outband_store::{Store, StoreError};
use std::collections::BTreeSet;

/// Whose records a name stands for: `customers/{name}` or `sites/{site}`.
pub fn whose(of: &str) -> Option<Whose> {
    match of.split_once('/')? {
        ("customers", name) if !name.trim().is_empty() => Some(Whose::Customer(name.to_owned())),
        ("sites", site) => Some(Whose::Sites(BTreeSet::from([SiteId::new(site).ok()?]))),
        _ => None,
    }
}

/// Every server that a hold keeps: those it was made for, and those that its name stands for now.
pub fn held<S: Store + Keeping>(store: &S, terms: &Terms) -> Result<BTreeSet<ServerId>, StoreError> {
    let mut held = BTreeSet::new();
    for hold in store.holds()?.into_iter().filter(|hold| hold.released.is_none()) {
        held.extend(hold.servers);
        if let Some(whose) = whose(&hold.of) {
            held.extend(export::servers(store, terms, &whose)?.into_iter().map(|server| server.id));
        }
    }
    Ok(held)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_is_of_a_customer_or_a_site() {
        assert_eq!(whose("customers/Acme / Ops"), Some(Whose::Customer("Acme / Ops".to_owned())));
        assert!(matches!(whose("sites/dc1"), Some(Whose::Sites(sites)) if sites.len() == 1));
        for wrong in ["", "customers/", "dc1", "sites/", "servers/s1"] {
            assert_eq!(whose(wrong), None, "{wrong}");
        }
    }
}
