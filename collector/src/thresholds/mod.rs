//! Thresholds that somebody set otherwise for some servers: what they make rules find. A rule looks at a whole server; an override may be for one
//! component of it: its findings are taken from the rules with the override, all others from the rules without.

use crate::maintenance::{Whereabouts, is_component};
use outband_health::parameter::Parameter;
use outband_health::rule::{self, Rule};
use outband_health::{Evidence, Finding, RuleConfig, RuleId, Window};
use outband_schemas::{ComponentClass, ComponentId, ServerId, Timestamp};
use outband_store::threshold::Threshold;
use std::collections::BTreeSet;

/// An override lasts no longer than this, in days: what holds for good belongs into the config.
pub const LONGEST_DAYS: u64 = 366;

/// The thresholds that nobody ended.
#[derive(Debug, Default)]
pub struct Overrides {
    stored: Vec<Threshold>,
}

impl Overrides {
    /// From what is stored.
    pub fn new(stored: Vec<Threshold>) -> Self {
        Self { stored }
    }

    /// Whether these are they.
    pub fn are(&self, stored: &[Threshold]) -> bool {
        self.stored == stored
    }

    /// Those in force now on a server, the oldest first: a later one counts more.
    pub fn of(&self, server: &ServerId, at: &Whereabouts<'_>, now: Timestamp) -> Vec<Threshold> {
        let counts = |t: &&Threshold| t.is_in_force(now) && at.is_of(&t.selector, server);
        self.stored.iter().filter(counts).cloned().collect()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.stored.is_empty()
    }
}

/// Whether a threshold moves what a rule says of a component.
pub fn moves(threshold: &Threshold, component: &ComponentId, rule: &RuleId) -> bool {
    is_component(threshold.selector.component.as_deref(), component)
        && Parameter::named(&threshold.parameter).is_some_and(|p| p.rules.contains(&rule.as_str()))
}

/// What a threshold is, in words: `threshold 3: disk.increases is 5 instead of 3`.
pub fn in_words(threshold: &Threshold, usual: &RuleConfig) -> String {
    let Threshold { id, parameter, value, .. } = threshold;
    match Parameter::named(parameter).and_then(|p| p.of(usual)) {
        Some(usual) => format!("threshold {id}: {parameter} is {value} instead of {usual}"),
        None => format!("threshold {id}: {parameter} is {value} instead of the BMC's"),
    }
}

/// What rules find on a server where `set` are in force.
pub fn findings(
    rules: &[Box<dyn Rule>],
    config: &RuleConfig,
    set: &[Threshold],
    window: &Window,
    now: Timestamp,
) -> Vec<Finding> {
    let usual = rule::evaluate(rules, window, now);
    if set.is_empty() {
        return usual;
    }
    let of = |component: &ComponentId| -> Vec<usize> {
        let covers = |t: &Threshold| is_component(t.selector.component.as_deref(), component);
        set.iter().enumerate().filter(|(_, t)| covers(t)).map(|(at, _)| at).collect()
    };
    let named = set.iter().filter_map(|t| component(t.selector.component.as_deref()?));
    let all = window.places().map(|(c, _)| c.clone()).chain(usual.iter().map(|f| f.component.clone())).chain(named);
    let mut groups: BTreeSet<Vec<usize>> = all.map(|component| of(&component)).collect();
    // What no window has a place for, e.g. a silent BMC, is reached by what is for all components.
    groups.insert(of(&ComponentId::lenient(ComponentClass::Other, "")));
    groups.remove(&Vec::new());
    let mut found: Vec<Finding> = usual.into_iter().filter(|f| of(&f.component).is_empty()).collect();
    for group in groups {
        let chosen: Vec<&Threshold> = group.iter().filter_map(|at| set.get(*at)).collect();
        let mut other = config.clone();
        for threshold in &chosen {
            if let Some(parameter) = Parameter::named(&threshold.parameter) {
                parameter.set(&mut other, threshold.value);
            }
        }
        let theirs = rule::evaluate(&rule::all(&other), window, now).into_iter().filter(|f| of(&f.component) == group);
        found.extend(theirs.map(|finding| told(finding, &chosen, config)));
    }
    found
}

/// The component of a selector; of a class alone, any of it.
fn component(text: &str) -> Option<ComponentId> {
    let of_class = || ComponentClass::ALL.into_iter().find(|class| class.to_string() == text);
    text.parse().ok().or_else(|| of_class().map(|class| ComponentId::lenient(class, "")))
}

/// The finding, with the thresholds by which it is one.
fn told(mut finding: Finding, chosen: &[&Threshold], usual: &RuleConfig) -> Finding {
    for threshold in chosen.iter().filter(|t| moves(t, &finding.component, &finding.rule)) {
        let words = in_words(threshold, usual);
        finding.reason = format!("{} ({words})", finding.reason);
        let text = format!("{words}, by {} until {}: {}", threshold.author, threshold.until, threshold.reason);
        finding.evidence.push(Evidence { observed_at: threshold.created_at, text });
    }
    finding.evidence.sort_by_key(|fact| fact.observed_at);
    finding
}

/// What is wrong with a threshold, in words.
pub fn problem(threshold: &Threshold, now: Timestamp) -> Option<(&'static str, String)> {
    let selector = &threshold.selector;
    let Some(parameter) = Parameter::named(&threshold.parameter) else {
        let names: Vec<&str> = outband_health::parameter::ALL.iter().map(|p| p.name).collect();
        return Some(("parameter", format!("{:?} is none of {}", threshold.parameter, names.join(", "))));
    };
    if !parameter.takes(threshold.value) {
        let what = format!("{} is {} to {} {}", parameter.name, parameter.least, parameter.most, parameter.unit);
        return Some(("value", what));
    }
    if selector.fault.is_some() || selector.rule.is_some() {
        return Some(("selector", "the parameter says which rules it is for: give no fault and no rule".to_owned()));
    }
    if *selector == outband_store::maintenance::Selector::default() {
        return Some(("selector", "say what it is for: a site, rack, server, model, component or customer".to_owned()));
    }
    if threshold.reason.trim().is_empty() {
        return Some(("reason", "say why".to_owned()));
    }
    if threshold.until <= now {
        return Some(("until_ms", "it would be over already".to_owned()));
    }
    let longest = now.plus(std::time::Duration::from_secs(LONGEST_DAYS * 86_400));
    if threshold.until > longest {
        return Some((
            "until_ms",
            format!("it is at most {LONGEST_DAYS} days: what holds for good belongs into the config"),
        ));
    }
    None
}
