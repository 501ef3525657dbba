//! What may be done at BMCs, and at which.

use outband_schemas::{OrderKind, TargetId};
use std::collections::BTreeSet;

/// What the collector may have done at BMCs. Nothing, unless a rule allows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Orders {
    /// Whatever one of them allows is allowed.
    pub rules: Vec<OrderRule>,
}

/// Something that is allowed at some targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderRule {
    /// What.
    pub allow: BTreeSet<OrderKind>,
    /// Names of targets; one with a `*` at its end stands for all that begin so.
    pub targets: Vec<String>,
}

impl Orders {
    /// Whether this may be done there.
    pub fn allow(&self, kind: OrderKind, target: &TargetId) -> bool {
        self.rules
            .iter()
            .any(|rule| rule.allow.contains(&kind) && rule.targets.iter().any(|t| fits(t, target.as_str())))
    }
}

fn fits(pattern: &str, target: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == target, |start| target.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_allowed_unless_a_rule_says_so_for_that_target() {
        let target = |id: &str| TargetId::new(id).unwrap();
        assert!(OrderKind::ALL.iter().all(|k| !Orders::default().allow(*k, &target("rack1-u1"))));
        let rule = |allow: &[OrderKind], targets: &[&str]| OrderRule {
            allow: allow.iter().copied().collect(),
            targets: targets.iter().map(ToString::to_string).collect(),
        };
        let orders = Orders {
            rules: vec![rule(&[OrderKind::Identify], &["*"]), rule(&[OrderKind::ResetBmc], &["rack1-*", "spare"])],
        };
        for (kind, id, allowed) in [
            (OrderKind::Identify, "rack2-u1", true),
            (OrderKind::ResetBmc, "rack1-u1", true),
            (OrderKind::ResetBmc, "spare", true),
            (OrderKind::ResetBmc, "spare2", false),
            (OrderKind::ResetBmc, "rack10-u1", false),
            (OrderKind::ClearSel, "rack1-u1", false),
        ] {
            assert_eq!(orders.allow(kind, &target(id)), allowed, "{kind} {id}");
        }
    }
}
