//! `[orders]`.

use super::Place;
use crate::config::file::OrdersTable;
use crate::config::{OrderRule, Orders};
use std::collections::BTreeSet;

/// What may be done at BMCs.
pub(super) fn orders(table: OrdersTable, place: &mut Place<'_, '_>) -> Orders {
    let mut rules = Vec::new();
    if table.targets.is_some() && table.allow.is_none() {
        place.add("allow", "is missing beside targets; e.g. allow = [\"identify\"]");
    }
    rules.extend(rule(table.allow, Some(table.targets.unwrap_or_else(|| vec!["*".to_owned()])), "", place));
    for (index, more) in table.rules.into_iter().enumerate() {
        let field = format!("rules[{index}]");
        if more.allow.is_none() || more.targets.is_none() {
            place.add("rules", format!("{field} needs allow and targets"));
        }
        rules.extend(rule(more.allow, more.targets, &format!("{field}: "), place));
    }
    Orders { rules }
}

fn rule(
    allow: Option<Vec<String>>,
    targets: Option<Vec<String>>,
    which: &str,
    place: &mut Place<'_, '_>,
) -> Option<OrderRule> {
    let mut kinds = BTreeSet::new();
    for word in allow? {
        match word.parse() {
            Ok(kind) => {
                kinds.insert(kind);
            }
            Err(error) => place.add(if which.is_empty() { "allow" } else { "rules" }, format!("{which}{error}")),
        }
    }
    let targets = targets?;
    for target in targets.iter().filter(|t| t.trim_end_matches('*').contains('*') || t.is_empty()) {
        let field = if which.is_empty() { "targets" } else { "rules" };
        place.add(field, format!("{which}{target:?} is neither a name nor the beginning of one with a * after it"));
    }
    (!kinds.is_empty()).then_some(OrderRule { allow: kinds, targets })
}
