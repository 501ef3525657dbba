//! What is wrong with who is told what.

use super::{Cause, Channel, Notify, PriorityName, Rule};
use crate::config::load::Problem;
use crate::words::Audience;
use std::collections::BTreeSet;

impl Rule {
    fn names_everyone(&self) -> impl Iterator<Item = &String> {
        self.to.iter().chain(self.fallbacks.iter().flat_map(|f| &f.to))
    }

    fn pages_p1(&self) -> bool {
        (self.priorities.is_empty() || self.priorities.contains(&PriorityName::P1))
            && self.causes.contains(&Cause::Opened)
    }

    /// Whether whatever fits `other` fits this, too.
    fn covers(&self, other: &Rule) -> bool {
        let wider = |mine: &[String], theirs: &[String]| {
            mine.is_empty() || (!theirs.is_empty() && theirs.iter().all(|t| mine.contains(t)))
        };
        wider(&self.sites, &other.sites)
            && wider(&self.customers, &other.customers)
            && wider(&self.faults, &other.faults)
            && (self.triage.is_empty() || self.triage == other.triage)
    }
}

impl Notify {
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut add = |at: String, what: String| problems.push(Problem { at: format!("notify.{at}"), what });
        if self.foretell_percent > 100 {
            add("foretell_percent".to_owned(), "0 to 100".to_owned());
        }
        if self.tries == 0 {
            add("tries".to_owned(), "0 would send nothing".to_owned());
        }
        for (name, channel) in &self.channels {
            if channel.per_minute() == 0 {
                add(format!("channels.{name}.per_minute"), "0 would send nothing".to_owned());
            }
            if let Err(what) = crate::notify::check(channel) {
                add(format!("channels.{name}"), what);
            }
        }
        for (name, recipient) in &self.recipients {
            match self.channels.get(&recipient.channel) {
                None => {
                    add(format!("recipients.{name}.channel"), format!("there is no channel {:?}", recipient.channel))
                }
                Some(Channel::Email(_) | Channel::Http(_)) if recipient.to.is_empty() => {
                    add(format!("recipients.{name}.to"), "an address is wanted here".to_owned());
                }
                Some(Channel::Email(_)) if recipient.to.parse::<lettre::message::Mailbox>().is_err() => {
                    add(format!("recipients.{name}.to"), "this is no mail address".to_owned());
                }
                Some(_) => {}
            }
            if let Err(what) = crate::notify::quiet::check(&recipient.zone, recipient.quiet.as_ref()) {
                add(format!("recipients.{name}"), what);
            }
        }
        for (i, rule) in self.rules.iter().enumerate() {
            for name in rule.names_everyone().filter(|name| !self.recipients.contains_key(*name)) {
                add(format!("rules[{i}]"), format!("there is no recipient {name:?}"));
            }
            let customers =
                |name: &&String| self.recipients.get(*name).is_some_and(|r| r.audience == Audience::Customer);
            if rule.sites.is_empty() && rule.customers.is_empty() && rule.names_everyone().any(|name| customers(&name))
            {
                let what = "a customer is told here of everybody's servers: name `customers` or `sites`";
                add(format!("rules[{i}]"), what.to_owned());
            }
            if rule.pages_p1() && self.first_channels(rule).len() < 2 {
                let what = "P1 must go out on two channels at once, so that one that fails loses nothing: name a recipient on another channel in `to`, \
                            here or in a rule for the same sites and faults, or leave P1 out of `priorities`";
                add(format!("rules[{i}].to"), what.to_owned());
            }
        }
        problems
    }

    /// The channels on which whatever fits this rule is told at once when a P1 opens, by all rules that fit it, too.
    fn first_channels(&self, rule: &Rule) -> BTreeSet<&str> {
        let also = self.rules.iter().filter(|other| other.pages_p1() && other.covers(rule));
        let names = also.flat_map(|other| &other.to);
        names.filter_map(|name| self.recipients.get(name)).map(|r| r.channel.as_str()).collect()
    }
}
