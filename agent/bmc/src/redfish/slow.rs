//! Section drives, beside the drives: links, error counts and what else is read in turn.

use super::report::Report;
use super::route::Role;
use super::{equipment, metrics, module, network};
use outband_schemas::ComponentClass;

pub(super) fn report(report: &mut Report<'_>) {
    for (role, class) in [(Role::Processor, ComponentClass::Cpu), (Role::Memory, ComponentClass::Memory)] {
        for node in report.of(role) {
            let component = module::place(report, class, node);
            module::states(report, &component, node);
        }
    }
    // Which part sits in a port is the inventory's to tell.
    drop(network::links(report));
    module::metrics(report);
    metrics::report(report);
    equipment::report(report);
}
