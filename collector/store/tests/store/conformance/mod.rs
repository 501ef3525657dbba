//! What every backend must do. A backend's test calls [`conformance`] with a function that makes an empty store.

mod assess;
pub(crate) mod audit;
mod check;
mod deadline;
mod decision;
mod drift;
mod drives;
mod enrol;
mod erasure;
mod fill;
mod grant;
mod history;
mod ingest;
mod keeping;
mod maintenance;
pub(crate) mod make;
mod order;
mod outbox;
mod outcome;
mod parts;
mod summary;
mod ticket;
mod usage;

use outband_store::audit::Audit;
use outband_store::maintenance::Maintenance;
use outband_store::{Outbox, Store};

/// A behaviour and its name.
pub(crate) type Behaviour<S> = (&'static str, fn(&S));

/// Runs every behaviour, each on a store of its own. `make` gets a name that is new each time.
pub(crate) fn conformance<
    S: Store
        + outband_store::drill::Drills
        + outband_store::threshold::Thresholds
        + outband_store::recall::Recall
        + outband_store::deadline::Deadlines
        + Maintenance
        + Outbox
        + Audit
        + outband_store::keeping::Keeping
        + outband_store::order::Orders
        + outband_store::drift::Drifts
        + outband_store::outcome::Outcomes
        + outband_store::drives::Drives
        + outband_store::enrol::Enrolments
        + outband_store::erasure::Erasures
        + outband_store::fill::Fill
        + outband_store::grant::Grants
        + outband_store::parts::Parts
        + outband_store::history::History
        + outband_store::check::Checks
        + outband_store::change::Changes
        + outband_store::usage::Usage,
>(
    make: impl Fn(&str) -> S,
) {
    let all: Vec<Behaviour<S>> = ingest::all::<S>()
        .into_iter()
        .chain(assess::all())
        .chain(ticket::all())
        .chain(deadline::all())
        .chain(decision::all())
        .chain(drift::all())
        .chain(drives::all())
        .chain(enrol::all())
        .chain(erasure::all())
        .chain(fill::all())
        .chain(grant::all())
        .chain(history::all())
        .chain(maintenance::all())
        .chain(keeping::all())
        .chain(order::all())
        .chain(outbox::all())
        .chain(outcome::all())
        .chain(parts::all())
        .chain(summary::all())
        .chain(audit::all())
        .chain(check::all())
        .chain(usage::all())
        .collect();
    for (name, behaviour) in all {
        eprintln!("  {name}");
        behaviour(&make(name));
    }
}

/// Lists behaviours by their names.
#[macro_export]
macro_rules! behaviours {
    ($($name:ident),* $(,)?) => {
        /// The behaviours of this file.
        pub(crate) fn all<S: Store>() -> Vec<$crate::conformance::Behaviour<S>> {
            vec![$((stringify!($name), $name::<S> as fn(&S))),*]
        }
    };
}
