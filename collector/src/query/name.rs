//! Resource names (AIP-122): `sites/{site}`, `servers/{server}`, `servers/{server}/components/{class}/{slot}`, `tickets/{number}`,
//! `agents/{agent}`. Slots are percent-encoded, as BMCs put slashes and blanks into them.

use crate::query::problem::invalid;
use outband_schemas::{AgentId, ComponentClass, ComponentId, SensorKind, ServerId, SiteId};
use outband_store::{Scope, SeriesFilter};
use outband_ticket::TicketNumber;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use tonic::Status;

/// What stays as it is in a name: the unreserved characters of RFC 3986.
const KEEP: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

pub(super) fn site(id: &SiteId) -> String {
    format!("sites/{id}")
}

pub(super) fn server(id: &ServerId) -> String {
    format!("servers/{id}")
}

pub(super) fn ticket(number: TicketNumber) -> String {
    format!("tickets/{number}")
}

pub(super) fn agent(id: &AgentId) -> String {
    format!("agents/{id}")
}

/// As a part of a name, whatever it is called.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, KEEP).to_string()
}

pub(super) fn scope(scope: &Scope) -> String {
    match scope {
        Scope::Site(id) => site(id),
        Scope::Server(id) => server(id),
        Scope::Component(id, component) => {
            let slot = utf8_percent_encode(component.slot(), KEEP);
            format!("servers/{id}/components/{}/{slot}", component.class())
        }
    }
}

/// Reads `sites/…`, `servers/…` or `servers/…/components/…/…`.
pub(super) fn read_scope(field: &str, name: &str) -> Result<Scope, Status> {
    let parts: Vec<&str> = name.split('/').collect();
    let bad = |e: outband_schemas::IdError| invalid(field, e.to_string());
    match parts.as_slice() {
        ["sites", site] => Ok(Scope::Site(SiteId::new(*site).map_err(bad)?)),
        ["servers", server] => Ok(Scope::Server(ServerId::new(*server).map_err(bad)?)),
        ["servers", server, "components", class, slot] => {
            let slot = percent_decode_str(slot)
                .decode_utf8()
                .map_err(|_| invalid(field, format!("{slot:?} is not percent-encoded UTF-8")))?;
            let component = ComponentId::new(class.parse().map_err(bad)?, slot).map_err(bad)?;
            Ok(Scope::Component(ServerId::new(*server).map_err(bad)?, component))
        }
        _ => Err(invalid(
            field,
            format!(
                "{name:?} is not sites/SITE, servers/SERVER or servers/SERVER/components/CLASS/SLOT (slot percent-encoded)"
            ),
        )),
    }
}

pub(super) fn read_site(field: &str, name: &str) -> Result<SiteId, Status> {
    match read_scope(field, name)? {
        Scope::Site(id) => Ok(id),
        _ => Err(invalid(field, format!("{name:?} is not sites/SITE"))),
    }
}

pub(super) fn read_server(field: &str, name: &str) -> Result<ServerId, Status> {
    match read_scope(field, name)? {
        Scope::Server(id) => Ok(id),
        _ => Err(invalid(field, format!("{name:?} is not servers/SERVER"))),
    }
}

/// Reads a parent that may be `servers/-`: all of them.
pub(super) fn read_parent(name: &str) -> Result<Option<ServerId>, Status> {
    if name == "servers/-" { Ok(None) } else { read_server("parent", name).map(Some) }
}

pub(super) fn read_ticket(name: &str) -> Result<TicketNumber, Status> {
    name.strip_prefix("tickets/")
        .and_then(|n| n.parse().ok())
        .map(TicketNumber)
        .ok_or_else(|| invalid("name", format!("{name:?} is not tickets/NUMBER")))
}

/// Reads which sensors: `class/slot` or a class, and the name of a kind; each may be empty.
pub(super) fn read_series(server: Option<ServerId>, component: &str, kind: &str) -> Result<SeriesFilter, Status> {
    let mut filter = SeriesFilter { server, ..SeriesFilter::default() };
    if component.contains('/') {
        let component = component.parse::<ComponentId>().map_err(|e| invalid("component", e.to_string()))?;
        filter.component = Some(component);
    } else if !component.is_empty() {
        let class = component.parse::<ComponentClass>().map_err(|e| {
            let known: Vec<&str> = ComponentClass::ALL.iter().map(|c| c.as_str()).collect();
            invalid("component", format!("{e}; give class/slot, or one of {}", known.join(", ")))
        })?;
        filter.class = Some(class);
    }
    if !kind.is_empty() {
        filter.kind = Some(kind.parse::<SensorKind>().map_err(|e| invalid("kind", e.to_string()))?);
    }
    Ok(filter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_components_name_reads_back_whatever_the_bmc_calls_the_slot(slot in ".*") {
            let component = ComponentId::lenient(ComponentClass::Fan, &slot);
            let all = Scope::Component(ServerId::new("srv-1").unwrap(), component);
            prop_assert_eq!(read_scope("name", &scope(&all)).unwrap(), all);
        }
    }

    #[test]
    fn a_name_of_no_known_shape_is_an_invalid_argument_that_shows_the_shapes() {
        for name in ["", "servers", "servers/", "servers/a/b", "racks/1", "servers/a/components/disk", "servers/-"] {
            match read_scope("name", name) {
                Err(status) => assert_eq!(status.code(), tonic::Code::InvalidArgument, "{name}"),
                Ok(scope) => assert_eq!(name, "servers/-", "{scope:?}"),
            }
        }
        assert!(read_ticket("tickets/x").is_err() && read_ticket("12").is_err());
    }

    #[test]
    fn a_component_filter_is_a_place_or_a_class() {
        let place = read_series(None, "fan/Fan 1/A", "").unwrap();
        assert_eq!(place.component.map(|c| c.slot().to_owned()).as_deref(), Some("Fan 1/A"));
        assert_eq!(read_series(None, "psu", "").unwrap().class, Some(ComponentClass::PowerSupply));
        assert!(read_series(None, "wheel", "").unwrap_err().message().contains("fan"));
        assert!(read_series(None, "", "wheels").is_err());
    }
}
