//! The simulated Redfish service: event streams, and subscriptions that are delivered to.
#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

#[allow(dead_code, reason = "each test file uses its own part")]
mod support_sim;

use outband_tests::sim::https::{Answer, Answers, Call, Server};
use outband_tests::sim::machine::Happening;
use outband_tests::sim::redfish_bmc::{Options, Push, RedfishServer, Service, Sse};
use outband_tests::wait_until;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support_sim::{Wire, asked, get_json, machine, options, runtime};

const SERVICE: &str = "/redfish/v1/EventService";
const SUBSCRIPTIONS: &str = "/redfish/v1/EventService/Subscriptions";
const SOON: Duration = Duration::from_secs(5);

async fn serve(push: Push) -> Service {
    RedfishServer::serve(machine(Vec::new()), Options { push: Some(push), ..options() }).await.unwrap()
}

fn with(sse: Sse) -> Push {
    Push { sse: Some(sse), ..Push::default() }
}

/// An open stream, read in blocks.
struct Stream {
    response: reqwest::Response,
    text: String,
}

impl Stream {
    async fn open(service: &Service, last: Option<u64>) -> Self {
        let uri = get_json(service, SERVICE).await["ServerSentEventUri"].as_str().unwrap().to_owned();
        let mut request = asked(service, Method::GET, &uri);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, text: String::new() }
    }

    /// The next block; `None`: the stream ended. An error: it broke.
    async fn block(&mut self) -> Result<Option<String>, reqwest::Error> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let block = block.to_owned();
                self.text = rest.to_owned();
                return Ok(Some(block));
            }
            match self.response.chunk().await? {
                Some(chunk) => self.text.push_str(&String::from_utf8_lossy(&chunk)),
                None => return Ok(None),
            }
        }
    }

    /// The next event: its id and itself.
    async fn event(&mut self) -> (u64, Value) {
        loop {
            let block = self.block().await.unwrap().unwrap();
            if let Some((id, data)) = block.strip_prefix("id: ").and_then(|b| b.split_once("\ndata: ")) {
                return (id.parse().unwrap(), serde_json::from_str(data).unwrap());
            }
        }
    }
}

fn alert(text: &str) -> Vec<Value> {
    vec![json!({"EventType": "Alert", "Message": text})]
}

#[test]
fn what_a_machine_writes_into_its_log_comes_over_the_stream_with_the_same_words() {
    runtime().block_on(async {
        for log_entry in [true, false] {
            let machine = machine(Vec::new());
            let push = Push { log_entry, ..Push::default() };
            let options = Options { push: Some(push), ..options() };
            let service = RedfishServer::serve(machine.clone(), options).await.unwrap();
            let mut stream = Stream::open(&service, None).await;
            machine.now().log(Happening::EccCorrected { dimm: 2 }, true);
            let (_, event) = stream.event().await;
            let record = &event["Events"][0];
            let entries = get_json(&service, "/redfish/v1/Systems/1/LogServices/Sel/Entries").await;
            let entry = entries["Members"].as_array().unwrap().last().unwrap();
            assert_eq!((&record["MessageId"], &record["EventTimestamp"]), (&entry["MessageId"], &entry["Created"]));
            let link = if log_entry { entry["@odata.id"].clone() } else { Value::Null };
            assert_eq!(record["LogEntry"]["@odata.id"], link);
        }
    });
}

#[test]
fn a_stream_that_comes_back_is_given_what_it_missed_where_the_service_keeps_it() {
    runtime().block_on(async {
        for (replays, wanted) in [(4, "b"), (1, "c"), (0, "d")] {
            let service = serve(with(Sse { replays, ..Sse::default() })).await;
            let mut stream = Stream::open(&service, None).await;
            service.emit(alert("a"));
            let (first, _) = stream.event().await;
            service.end_streams(false);
            assert!(stream.block().await.unwrap().is_none(), "it ends as it should");
            ["b", "c"].into_iter().for_each(|text| service.emit(alert(text)));
            let mut stream = Stream::open(&service, Some(first)).await;
            service.emit(alert("d"));
            assert_eq!(stream.event().await.1["Events"][0]["Message"], wanted, "{replays}");
        }
    });
}

#[test]
fn a_stream_says_when_to_come_back_sends_comments_and_ends_when_idle() {
    runtime().block_on(async {
        let sse = Sse {
            uri: "/redfish/v1/SSE".to_owned(),
            retry: Some(Duration::from_millis(7)),
            comment_every: Some(Duration::from_millis(20)),
            idle_timeout: Some(Duration::from_millis(300)),
            ..Sse::default()
        };
        let service = serve(with(sse)).await;
        let mut stream = Stream::open(&service, None).await;
        assert_eq!(stream.block().await.unwrap().as_deref(), Some("retry: 7"));
        assert_eq!(stream.block().await.unwrap().as_deref(), Some(": keep-alive"));
        while stream.block().await.unwrap().is_some() {}
        assert!(wait_until(SOON, || service.stats().streams == 0));
    });
}

#[test]
fn streams_are_limited_counted_and_broken_on_command() {
    runtime().block_on(async {
        let service = serve(with(Sse { streams: 1, ..Sse::default() })).await;
        let mut stream = Stream::open(&service, None).await;
        assert_eq!((service.stats().streams, service.stats().max_in_flight), (1, 1));
        let refused = asked(&service, Method::GET, "/redfish/v1/EventService/SSE").send().await.unwrap();
        assert_eq!(refused.status(), 503);
        // Whatever is in the stream at first.
        stream.block().await.unwrap();
        service.emit_text("data: {nonsense\n\n");
        assert_eq!(stream.block().await.unwrap().as_deref(), Some("data: {nonsense"));
        service.end_streams(true);
        assert!(stream.block().await.is_err());
        assert!(wait_until(SOON, || service.stats().streams == 0));
        let stream = Stream::open(&service, None).await;
        drop(stream);
        assert!(wait_until(SOON, || service.stats().streams == 0), "a client that goes frees its place");
    });
}

#[test]
fn a_reset_ends_sessions_streams_and_connections() {
    runtime().block_on(async {
        let service = serve(Push { forgets: true, ..Push::default() }).await;
        let mut stream = Stream::open(&service, None).await;
        stream.block().await.unwrap();
        service.emit(alert("a"));
        assert_eq!(stream.event().await.0, 1);
        let mut wire = Wire::open(&service).await;
        assert!(wire.get("/redfish/v1").await.is_some());
        service.reset_bmc();
        assert!(stream.block().await.is_err());
        assert!(wire.get("/redfish/v1").await.is_none(), "connections that are not used at the moment break, too");
        let mut stream = Stream::open(&service, None).await;
        service.emit(alert("b"));
        assert_eq!(stream.event().await.0, 1, "numbers begin again");
    });
}

/// A listener that answers with the statuses given, then with 204, and keeps what it took: headers do not matter, bodies do.
#[derive(Default)]
struct Listener {
    statuses: Mutex<VecDeque<u16>>,
    took: Mutex<Vec<Value>>,
}

impl Answers for Listener {
    async fn answer(&self, call: Call) -> Answer {
        let status = self.statuses.lock().unwrap().pop_front().unwrap_or(204);
        if status == 204 {
            self.took.lock().unwrap().push(serde_json::from_slice(&call.body).unwrap());
        }
        Answer::status(status, "")
    }
}

impl Listener {
    async fn start(statuses: &[u16]) -> (Arc<Self>, Server) {
        let listener = Arc::new(Self { statuses: Mutex::new(statuses.iter().copied().collect()), ..Self::default() });
        let server = Server::start(0, Arc::clone(&listener)).await.unwrap();
        (listener, server)
    }

    fn messages(&self) -> Vec<String> {
        self.took.lock().unwrap().iter().map(|e| e["Events"][0]["Message"].as_str().unwrap().to_owned()).collect()
    }
}

async fn subscribe(service: &Service, listener: &Server, more: Value) -> (u16, String) {
    let mut body =
        json!({"Destination": format!("https://{}/events", listener.addr), "Protocol": "Redfish", "Context": "here"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let response = asked(service, Method::POST, SUBSCRIPTIONS).json(&body).send().await.unwrap();
    let location = response.headers().get("location").map(|v| v.to_str().unwrap().to_owned());
    (response.status().as_u16(), location.unwrap_or_default())
}

#[test]
fn a_subscriber_is_delivered_to_in_order_until_it_unsubscribes() {
    runtime().block_on(async {
        let (listener, server) = Listener::start(&[]).await;
        let service = serve(Push::default()).await;
        let (status, uri) = subscribe(&service, &server, json!({})).await;
        assert_eq!((status, uri.as_str()), (201, "/redfish/v1/EventService/Subscriptions/1"));
        ["a", "b", "c"].into_iter().for_each(|text| service.emit(alert(text)));
        assert!(wait_until(SOON, || service.stats().delivered == 3));
        assert_eq!(listener.messages(), ["a", "b", "c"]);
        assert_eq!(listener.took.lock().unwrap()[0]["Context"], "here");
        assert_eq!(get_json(&service, SUBSCRIPTIONS).await["Members@odata.count"], 1);
        assert_eq!(asked(&service, Method::DELETE, &uri).send().await.unwrap().status(), 204);
        assert_eq!(asked(&service, Method::DELETE, &uri).send().await.unwrap().status(), 404);
        assert!(service.subscriptions().is_empty());
    });
}

#[test]
fn a_delivery_is_tried_again_and_then_the_policy_of_the_subscription_applies() {
    runtime().block_on(async {
        let push = || Push { retries: 1, retry_every: Duration::from_millis(1), ..Push::default() };
        let tried = async |policy: &str, failures: &[u16]| {
            let (listener, server) = Listener::start(failures).await;
            let service = serve(push()).await;
            assert_eq!(subscribe(&service, &server, json!({"DeliveryRetryPolicy": policy})).await.0, 201);
            service.emit(alert("a"));
            (listener, server, service)
        };
        let (listener, _server, _service) = tried("TerminateAfterRetries", &[500]).await;
        assert!(wait_until(SOON, || listener.messages() == ["a"]), "the second try succeeds");
        let (_, _server, service) = tried("TerminateAfterRetries", &[500, 500]).await;
        assert!(wait_until(SOON, || service.subscriptions().is_empty()));
        let (_, _server, service) = tried("SuspendRetries", &[500, 500]).await;
        assert!(wait_until(SOON, || service.subscriptions()[0]["Status"]["State"] == "Disabled"));
        let (listener, _server, _service) = tried("RetryForever", &[500; 6]).await;
        assert!(wait_until(SOON, || listener.messages() == ["a"]));
    });
}

#[test]
fn subscriptions_are_limited_and_refused_for_what_they_lack_or_hold() {
    runtime().block_on(async {
        let (_, server) = Listener::start(&[]).await;
        let push = Push {
            slots: 1,
            requires: vec!["EventTypes".to_owned()],
            refuses: vec!["SubscriptionType".to_owned()],
            ..Push::default()
        };
        let service = serve(push).await;
        let types = json!({"EventTypes": ["Alert"]});
        assert_eq!(subscribe(&service, &server, json!({})).await.0, 400);
        assert_eq!(
            subscribe(&service, &server, json!({"EventTypes": [], "SubscriptionType": "RedfishEvent"})).await.0,
            400
        );
        assert_eq!(subscribe(&service, &server, json!({"EventTypes": [], "Destination": "nowhere"})).await.0, 400);
        assert_eq!(subscribe(&service, &server, types.clone()).await.0, 201);
        assert_eq!(subscribe(&service, &server, types).await.0, 503);
    });
}

#[test]
fn subscriptions_outlive_a_reset_or_do_not_as_the_options_say() {
    runtime().block_on(async {
        for (forgets, left) in [(true, 0), (false, 1)] {
            let (_, server) = Listener::start(&[]).await;
            let service = serve(Push { forgets, ..Push::default() }).await;
            subscribe(&service, &server, json!({})).await;
            service.reset_bmc();
            assert_eq!(service.subscriptions().len(), left);
        }
    });
}

#[test]
fn a_test_event_is_delivered_and_headers_of_a_subscription_are_told_to_nobody() {
    runtime().block_on(async {
        let (listener, server) = Listener::start(&[]).await;
        let service = serve(Push { sse: None, ..Push::default() }).await;
        let (_, uri) = subscribe(&service, &server, json!({"HttpHeaders": [{"X-Token": "hush"}]})).await;
        assert!(!get_json(&service, &uri).await.to_string().contains("hush"));
        let event_service = get_json(&service, SERVICE).await;
        assert!(event_service["ServerSentEventUri"].is_null());
        let target = event_service["Actions"]["#EventService.SubmitTestEvent"]["target"].as_str().unwrap();
        let sent =
            asked(&service, Method::POST, target).json(&json!({"Message": "test", "MessageId": "Test.1.0.Test"}));
        assert_eq!(sent.send().await.unwrap().status(), 204);
        assert!(wait_until(SOON, || listener.messages() == ["test"]));
    });
}
