//! Whom contracts name, in the words of the wire.

use crate::config::notify::Notify;
use crate::service::{Contract, Service};
use crate::sight::Sight;
use outband_proto::notice as wire;
use outband_schemas::{SiteId, Timestamp};

/// The contacts of every contract, or of one, by contract, role and turn.
pub(super) fn list(
    service: &Service,
    notify: Option<&Notify>,
    asked: &wire::ListContactsRequest,
    sight: &Sight,
    now: Timestamp,
) -> Vec<wire::Contact> {
    let mut all = Vec::new();
    let contracts = service.contracts.iter().filter(|(name, _)| asked.contract.is_empty() || **name == asked.contract);
    for (name, contract) in contracts.filter(|(_, contract)| visible(sight, contract)) {
        for (role, people) in &contract.contacts {
            for (turn, person) in (1..).zip(people) {
                let unknown = |name: &&String| notify.is_some_and(|n| !n.recipients.contains_key(*name));
                all.push(wire::Contact {
                    contract: name.clone(),
                    customer: contract.customer.clone(),
                    from: contract.from.clone(),
                    until: contract.until.clone(),
                    role: role.clone(),
                    turn,
                    name: person.name.clone(),
                    recipients: person.recipients.clone(),
                    verified: person.verified.clone().unwrap_or_default(),
                    unverified_days: person.unverified_days(now),
                    stale: person.is_stale(now),
                    phone: person.phone.clone().unwrap_or_default(),
                    unknown_recipients: person.recipients.iter().filter(unknown).cloned().collect(),
                });
            }
        }
    }
    all.retain(|c| !asked.stale_only || c.stale || told_nowhere(c));
    all
}

/// Whether neither a recipient nor a number of theirs is known. Whoever has recipients is to be told there: a number does not make up for it.
fn told_nowhere(contact: &wire::Contact) -> bool {
    match contact.recipients.as_slice() {
        [] => contact.phone.is_empty(),
        all => contact.unknown_recipients.len() == all.len(),
    }
}

/// Whether a contract may be seen: it is of a customer that may be, or covers nothing but sites that may be.
fn visible(sight: &Sight, contract: &Contract) -> bool {
    let of_site = |site: &String| SiteId::new(site).is_ok_and(|site| sight.site(&site));
    let sites = contract.serials.is_empty() && !contract.sites.is_empty() && contract.sites.iter().all(of_site);
    !sight.is_limited() || sites || sight.customer(&contract.customer)
}
