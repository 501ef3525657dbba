//! What an EventService offers (EventService and EventDestination schemas), and which of its subscriptions are ours.

use super::super::lenient::{self, link, list, text, truth};
use serde_json::{Value, json};

/// What an EventService offers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Service {
    /// Where its stream of server-sent events is, with a filter for events where it knows that filter.
    pub stream: Option<String>,
    /// The collection of subscriptions.
    pub subscriptions: Option<String>,
    /// The types that an older service wants to be named in a subscription.
    event_types: Vec<String>,
    /// Whether a newer one tells events and metric reports apart.
    has_formats: bool,
    filters_format: bool,
}

impl Service {
    /// Reads an EventService; an error says why nothing is to be had of it.
    pub fn of(body: &Value) -> Result<Self, String> {
        if let Some(said) = lenient::error_of(body) {
            return Err(said);
        }
        let state = body.get("Status").and_then(|s| text(s, "State"));
        if truth(body, "ServiceEnabled") == Some(false) || state.as_deref() == Some("Disabled") {
            return Err("the EventService is switched off".to_owned());
        }
        let all = |field| list(body, field).iter().filter_map(lenient::as_text).collect::<Vec<_>>();
        let filters = body.get("SSEFilterPropertiesSupported");
        Ok(Self {
            stream: link(body, "ServerSentEventUri").filter(|uri| is_ours(uri)),
            subscriptions: link(body, "Subscriptions")
                .filter(|uri| is_ours(uri))
                .map(|uri| uri.trim_end_matches('/').to_owned()),
            event_types: all("EventTypesForSubscription"),
            has_formats: !list(body, "EventFormatTypes").is_empty(),
            filters_format: filters.is_some_and(|f| truth(f, "EventFormatType") == Some(true)),
        })
    }

    /// The URIs under which the stream is asked for, in this order: one that leaves metric reports out, where the service says that it can.
    pub fn stream_uris(&self) -> Vec<String> {
        let Some(plain) = &self.stream else { return Vec::new() };
        let filtered = (self.filters_format && !plain.contains('?'))
            .then(|| format!("{plain}?$filter=EventFormatType%20eq%20Event"));
        filtered.into_iter().chain([plain.clone()]).collect()
    }

    /// Bodies of a subscription, the fullest first; the next is for a service that refuses the one before as a bad request.
    pub fn requests(&self, wanted: &Wanted) -> Vec<Value> {
        let plain = json!({"Destination": wanted.destination, "Protocol": "Redfish", "Context": wanted.context});
        let mut typed = plain.clone();
        let named: Vec<&String> =
            self.event_types.iter().filter(|t| matches!(t.as_str(), "Alert" | "StatusChange")).collect();
        if !self.event_types.is_empty() {
            let all = || self.event_types.iter().filter(|t| t.as_str() != "MetricReport").collect();
            typed["EventTypes"] = json!(if named.is_empty() { all() } else { named });
        }
        let mut full = typed.clone();
        full["SubscriptionType"] = json!("RedfishEvent");
        if self.has_formats {
            full["EventFormatType"] = json!("Event");
        }
        // Newer services deny EventTypes beside EventFormatType; older ones want it even where they do not list any.
        let mut newer = plain.clone();
        newer["EventFormatType"] = json!("Event");
        newer["SubscriptionType"] = json!("RedfishEvent");
        let mut alert = plain.clone();
        alert["EventTypes"] = json!(["Alert"]);
        let mut all = Vec::new();
        for body in [full, typed, newer, alert, plain] {
            if !all.contains(&body) {
                all.push(body);
            }
        }
        all
    }
}

/// The subscription that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Where the BMC is to post.
    pub destination: String,
    /// The part of `destination` that names agent and target and not the run: what begins with it is ours, of an earlier run.
    pub own_prefix: String,
    /// Names agent and target.
    pub context: String,
}

/// What a subscription that a BMC has is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The one that is wanted, and it delivers.
    Ours,
    /// Of an earlier run, or one that the BMC has suspended: to be deleted.
    Leftover,
    /// Somebody else's, or an empty slot: not to be touched.
    Foreign,
}

/// Judges a subscription.
pub fn standing(body: &Value, wanted: &Wanted) -> Standing {
    let destination = text(body, "Destination").unwrap_or_default();
    let of_us = text(body, "Context").is_some_and(|c| c == wanted.context)
        || (!wanted.own_prefix.is_empty() && destination.starts_with(&wanted.own_prefix));
    let state = body.get("Status").and_then(|s| text(s, "State"));
    match state.as_deref() {
        _ if !of_us => Standing::Foreign,
        None | Some("Enabled" | "Starting" | "InTest" | "Updating") if destination == wanted.destination => {
            Standing::Ours
        }
        _ => Standing::Leftover,
    }
}

/// Whether a refused subscription was refused for want of room.
pub fn is_full(status: u16, said: &str) -> bool {
    let words =
        ["limit", "maximum", "exceed", "exhaust", "no space", "full", "insufficientresource", "createlimitreached"];
    let said = said.to_ascii_lowercase();
    status == 507 || (!said.contains("length") && words.iter().any(|w| said.contains(w)))
}

fn is_ours(uri: &str) -> bool {
    uri.starts_with("/redfish") || uri.starts_with("/rest/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> Wanted {
        Wanted {
            destination: "https://agent:7443/redfish-events/bmc1/secret".to_owned(),
            own_prefix: "https://agent:7443/redfish-events/bmc1/".to_owned(),
            context: "outband:dc1:bmc1".to_owned(),
        }
    }

    #[test]
    fn a_service_that_is_switched_off_offers_nothing_and_says_so() {
        let off = json!({"Id": "EventService", "ServiceEnabled": false, "ServerSentEventUri": "/redfish/v1/SSE"});
        assert!(Service::of(&off).unwrap_err().contains("switched off"));
        let refused = json!({"error": {"code": "Base.1.8.InsufficientPrivilege", "message": "no"}});
        assert!(Service::of(&refused).unwrap_err().contains("InsufficientPrivilege"));
    }

    #[test]
    fn metric_reports_are_filtered_out_only_where_the_service_can() {
        let mut body = json!({"Id": "EventService", "ServiceEnabled": true, "ServerSentEventUri": "/redfish/v1/SSE"});
        assert_eq!(Service::of(&body).unwrap().stream_uris(), ["/redfish/v1/SSE"]);
        body["SSEFilterPropertiesSupported"] = json!({"EventFormatType": true});
        let uris = Service::of(&body).unwrap().stream_uris();
        assert_eq!(uris, ["/redfish/v1/SSE?$filter=EventFormatType%20eq%20Event", "/redfish/v1/SSE"]);
    }

    #[test]
    fn a_stream_elsewhere_is_not_opened() {
        let body = json!({"Id": "EventService", "ServerSentEventUri": "https://evil.example/x"});
        assert!(Service::of(&body).unwrap().stream_uris().is_empty());
    }

    #[test]
    fn a_subscription_is_asked_for_as_each_generation_wants_it() {
        let old =
            Service::of(&json!({"EventTypesForSubscription": ["StatusChange", "ResourceUpdated", "Alert"], "Id": "x"}))
                .unwrap();
        let bodies = old.requests(&wanted());
        assert_eq!(bodies[0]["EventTypes"], json!(["StatusChange", "Alert"]));
        assert!(bodies[0].get("EventFormatType").is_none());
        let new = Service::of(&json!({"EventFormatTypes": ["Event", "MetricReport"], "Id": "x"})).unwrap();
        let bodies = new.requests(&wanted());
        assert_eq!((&bodies[0]["EventFormatType"], bodies[0].get("EventTypes")), (&json!("Event"), None));
        for body in bodies {
            assert_eq!((&body["Protocol"], &body["Context"]), (&json!("Redfish"), &json!("outband:dc1:bmc1")));
        }
    }

    #[test]
    fn only_what_names_this_agent_and_target_is_ours() {
        let of = |destination: &str, context: Value, state: Value| {
            standing(&json!({"Destination": destination, "Context": context, "Status": {"State": state}}), &wanted())
        };
        let now = "https://agent:7443/redfish-events/bmc1/secret";
        assert_eq!(of(now, json!("outband:dc1:bmc1"), json!("Enabled")), Standing::Ours);
        assert_eq!(of(now, json!(null), json!(null)), Standing::Ours, "a BMC that forgets contexts");
        assert_eq!(of("https://agent:7443/redfish-events/bmc1/old", json!(null), json!("Enabled")), Standing::Leftover);
        assert_eq!(of("https://old-name/x", json!("outband:dc1:bmc1"), json!("Enabled")), Standing::Leftover);
        assert_eq!(of(now, json!("outband:dc1:bmc1"), json!("Disabled")), Standing::Leftover, "suspended by the BMC");
        assert_eq!(
            of("https://agent:7443/redfish-events/bmc10/x", json!("outband:dc1:bmc10"), json!("Enabled")),
            Standing::Foreign
        );
        assert_eq!(of("0.0.0.0", json!(null), json!("Disabled")), Standing::Foreign, "an empty slot");
    }

    #[test]
    fn a_full_table_is_told_from_a_bad_request() {
        assert!(is_full(
            400,
            "Base.1.8.CreateLimitReachedForResource: The create operation failed because the resource has reached the limit"
        ));
        assert!(is_full(503, "The maximum number of subscriptions is reached"));
        assert!(!is_full(400, "Base.1.8.PropertyValueNotInList: EventTypes"));
        assert!(!is_full(400, "The value exceeds the maximum length"));
    }
}
