//! Whom a step of an escalation asks: the contract's contacts of a role in their order, or a recipient of that name. Pure.

use crate::config::notify::{Notify, Recipient};
use crate::service::Contact;
use outband_schemas::TriageClass;
use outband_ticket::escalation::Step;
use outband_ticket::{Action, Policies, Transition, sla};
use std::collections::BTreeMap;

/// Somebody who is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::notify) struct Asked {
    /// What people call them, with the role where they have it by contract.
    pub(in crate::notify) name: String,
    /// Where they are told, all at once, by the names of the config. None: they are called by people.
    pub(in crate::notify) recipients: Vec<(String, Recipient)>,
    /// The contact, where the contract names one.
    pub(in crate::notify) contact: Option<Contact>,
}

/// The step of an escalation that the entry at this place of a log says has fallen due, as its policy had it then.
pub(super) fn step<'a>(policies: &'a Policies, log: &[Transition], place: usize) -> Option<&'a Step> {
    let entry = log.get(place)?;
    let Action::Step { target, level, .. } = &entry.action else { return None };
    let policy = sla::policy(policies, log.get(..=place)?, entry.at);
    policy.clock(target)?.steps.iter().find(|step| step.level == *level)
}

/// Whom a step asks, in this order. A name that neither the contract nor the config knows asks nobody: the others are asked the sooner.
/// Whoever has only a number is named, so that somebody calls: they take no turn.
/// A contact that is for other kinds of trouble is left out.
pub(super) fn asked(
    step: &Step,
    contacts: &BTreeMap<String, Vec<Contact>>,
    class: Option<TriageClass>,
    notify: &Notify,
) -> Vec<Asked> {
    let class = class.unwrap_or(TriageClass::Unknown);
    let meant = |person: &&Contact| person.triage.is_empty() || person.triage.contains(&class);
    let mut all: Vec<Asked> = Vec::new();
    for name in &step.to {
        match contacts.get(name) {
            Some(people) => all.extend(people.iter().filter(meant).map(|person| Asked {
                name: format!("{} ({name})", person.name),
                recipients: reached(&person.recipients, notify),
                contact: Some(person.clone()),
            })),
            None => all.push(Asked {
                name: name.clone(),
                recipients: reached(std::slice::from_ref(name), notify),
                contact: None,
            }),
        }
    }
    all.retain(|one| !one.recipients.is_empty() || one.contact.as_ref().is_some_and(|c| c.phone.is_some()));
    all
}

fn reached(names: &[String], notify: &Notify) -> Vec<(String, Recipient)> {
    names.iter().filter_map(|name| Some((name.clone(), notify.recipients.get(name)?.clone()))).collect()
}
