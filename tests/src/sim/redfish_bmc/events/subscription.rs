//! Subscriptions (`EventDestination`): who is delivered to, and what happens when it does not listen.

use super::SUBSCRIPTIONS;
use super::deliver::{self, Destination};
use super::hub::Hub;
use serde_json::{Value, json};
use std::sync::{Arc, Weak};
use tokio::sync::mpsc;

/// What happens when no try succeeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Policy {
    Terminate,
    Suspend,
    Forever,
}

/// Somebody who is delivered to.
#[derive(Debug)]
pub(super) struct Subscription {
    said: Value,
    enabled: bool,
    queue: mpsc::UnboundedSender<String>,
}

/// What delivers to a subscriber.
pub(super) struct Courier {
    number: u64,
    to: Destination,
    headers: Vec<(String, String)>,
    policy: Policy,
    events: mpsc::UnboundedReceiver<String>,
}

impl Subscription {
    /// Out of what a client posted; the name of the property that is wrong.
    pub(super) fn new(number: u64, mut said: Value) -> Result<(Self, Courier), &'static str> {
        let to = said["Destination"].as_str().and_then(Destination::parse).ok_or("Destination")?;
        if said.get("Protocol").is_some_and(|p| p != "Redfish") {
            return Err("Protocol");
        }
        let policy = match said.get("DeliveryRetryPolicy").and_then(Value::as_str) {
            None | Some("TerminateAfterRetries") => Policy::Terminate,
            Some("SuspendRetries") => Policy::Suspend,
            Some("RetryForever") => Policy::Forever,
            Some(_) => return Err("DeliveryRetryPolicy"),
        };
        let headers = said["HttpHeaders"].as_array().into_iter().flatten().filter_map(Value::as_object);
        let headers = headers.flatten().map(|(n, v)| (n.clone(), v.as_str().unwrap_or_default().to_owned())).collect();
        // They may hold secrets, so nobody is told of them.
        if let Some(object) = said.as_object_mut() {
            object.insert("HttpHeaders".to_owned(), json!([]));
        }
        let (queue, events) = mpsc::unbounded_channel();
        Ok((Self { said, enabled: true, queue }, Courier { number, to, headers, policy, events }))
    }

    pub(super) fn resource(&self, number: u64) -> Value {
        let mut out = self.said.clone();
        out["@odata.id"] = json!(format!("{SUBSCRIPTIONS}/{number}"));
        out["@odata.type"] = json!("#EventDestination.v1_12_0.EventDestination");
        out["Id"] = json!(number.to_string());
        out["Name"] = json!(format!("Event subscription {number}"));
        out["Status"] = json!({"State": if self.enabled { "Enabled" } else { "Disabled" }, "Health": "OK"});
        out
    }

    /// Changes what a client may change.
    pub(super) fn patch(&mut self, changes: &Value) {
        for name in ["Context", "DeliveryRetryPolicy"] {
            if let Some(value) = changes.get(name) {
                self.said[name] = value.clone();
            }
        }
        self.enabled |= changes["Status"]["State"] == "Enabled";
    }

    /// Hands an event to its courier.
    pub(super) fn tell(&self, event: &Value) {
        let mut event = event.clone();
        if let Some(context) = self.said.get("Context") {
            event["Context"] = context.clone();
        }
        // Without a courier it is about to go.
        if self.enabled && self.queue.send(event.to_string()).is_err() {
            tracing::debug!("an event came after the end of its subscription");
        }
    }

    pub(super) fn suspend(&mut self) {
        self.enabled = false;
    }
}

impl Courier {
    /// Delivers, one event after another, until the subscription ends.
    pub(super) async fn run(mut self, hub: Weak<Hub>) {
        while let Some(event) = self.events.recv().await {
            let mut tries = 0;
            loop {
                let Some(hub) = hub.upgrade() else { return };
                let failure = match deliver::post(&self.to, &self.headers, &event).await {
                    Ok(200..=299) => {
                        hub.delivered();
                        break;
                    }
                    Ok(status) => format!("HTTP {status}"),
                    Err(error) => error.to_string(),
                };
                tries += 1;
                tracing::debug!(subscription = self.number, tries, failure, "not delivered");
                if tries > hub.options.retries && self.policy != Policy::Forever {
                    if self.policy == Policy::Terminate {
                        hub.unsubscribe(self.number);
                        return;
                    }
                    hub.suspend(self.number);
                    break;
                }
                let pause = hub.options.retry_every;
                drop::<Arc<Hub>>(hub);
                tokio::time::sleep(pause).await;
                if self.events.is_closed() {
                    return;
                }
            }
        }
    }
}
