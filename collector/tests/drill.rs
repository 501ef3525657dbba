//! Exercises and thresholds over gRPC, at a collector that runs.

#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

mod common;

use common::{Home, PATIENCE, WithToken, with_token};
use outband_collector::app::Collector;
use outband_proto::drill::drill_service_client::DrillServiceClient;
use outband_proto::drill::{Drill, EndDrillRequest, GetDrillRequest, ListDrillsRequest, StartDrillRequest};
use outband_proto::maintenance::Selector;
use outband_proto::threshold::threshold_service_client::ThresholdServiceClient;
use outband_proto::threshold::{
    CreateThresholdRequest, EndThresholdRequest, ListParametersRequest, ListThresholdsRequest, Threshold,
};
use outband_proto::ticket::ticket_service_client::TicketServiceClient;
use outband_proto::ticket::{GetTicketRequest, State, Ticket, TransitionTicketRequest};
use outband_schemas::{AgentId, Identity, ServerId, SiteId, TargetId, Timestamp};
use outband_store::{AgentTarget, Applied, ServerRecord, Store};
use std::time::Duration;
use tokio::time::{sleep, timeout};
use tonic::Code;
use tonic::transport::Channel;

/// A collector that knows one server.
async fn known(home: &Home) -> (Collector, Channel) {
    let collector = home.start().await;
    let server = ServerRecord {
        id: ServerId::new("srv-1").unwrap(),
        site: SiteId::new("dc1").unwrap(),
        identity: Identity { serial: Some("SN1".to_owned()), ..Identity::default() },
        targets: vec![AgentTarget { agent: AgentId::new("a1").unwrap(), target: TargetId::new("bmc1").unwrap() }],
        first_seen: Timestamp::from_secs(1_800_000_000),
        last_seen: Timestamp::from_secs(1_800_000_000),
        merged_into: None,
        rev: 0,
    };
    let applied = Applied { servers: vec![server], ..Applied::default() };
    collector.store().apply(applied, Timestamp::from_secs(1_800_000_000)).unwrap();
    let channel = home.channel(collector.operators_addr()).await;
    (collector, channel)
}

fn drill() -> StartDrillRequest {
    let drill = Drill {
        server: "servers/srv-1".to_owned(),
        fault: "disk_failure".to_owned(),
        component: "disk/Bay 3".to_owned(),
        pages: true,
        reason: "night duty".to_owned(),
        ..Drill::default()
    };
    StartDrillRequest { drill: Some(drill), lasts_secs: 600, ..StartDrillRequest::default() }
}

struct Desk {
    drills: DrillServiceClient<WithToken>,
    tickets: TicketServiceClient<WithToken>,
}

impl Desk {
    fn new(home: &Home, channel: &Channel) -> Self {
        let token = home.token("operator");
        Self {
            drills: DrillServiceClient::new(with_token(channel.clone(), &token)),
            tickets: TicketServiceClient::new(with_token(channel.clone(), &token)),
        }
    }

    async fn shown(&mut self, name: &str) -> Drill {
        let request = GetDrillRequest { name: name.to_owned() };
        self.drills.get_drill(request).await.unwrap().into_inner().drill.unwrap()
    }

    async fn until(&mut self, name: &str, is_so: impl Fn(&Drill, Option<&Ticket>) -> bool) -> (Drill, Option<Ticket>) {
        timeout(PATIENCE, async {
            loop {
                let drill = self.shown(name).await;
                let ticket = match drill.ticket.as_str() {
                    "" => None,
                    ticket => {
                        let request = GetTicketRequest { name: ticket.to_owned(), ..GetTicketRequest::default() };
                        self.tickets.get_ticket(request).await.unwrap().into_inner().ticket
                    }
                };
                if is_so(&drill, ticket.as_ref()) {
                    return (drill, ticket);
                }
                sleep(Duration::from_millis(50)).await;
            }
        })
        .await
        .unwrap()
    }
}

#[tokio::test]
async fn a_drill_makes_a_marked_ticket_measures_what_people_do_and_closes_it_at_the_end() {
    let home = Home::new();
    let (collector, channel) = known(&home).await;
    let mut desk = Desk::new(&home, &channel);
    let started = desk.drills.start_drill(drill()).await.unwrap().into_inner().drill.unwrap();
    let (_, ticket) = desk.until(&started.name, |_, ticket| ticket.is_some()).await;
    let ticket = ticket.unwrap();
    assert!(ticket.title.starts_with("DRILL: Disk failed"), "{}", ticket.title);
    assert_eq!(ticket.cause, "drill.synthetic");
    let begin = TransitionTicketRequest {
        name: ticket.name.clone(),
        action: "start".to_owned(),
        why: "on it".to_owned(),
        etag: ticket.etag.clone(),
        ..TransitionTicketRequest::default()
    };
    desk.tickets.transition_ticket(begin).await.unwrap();
    let taken = |drill: &Drill| drill.measures.iter().any(|m| m.what == "taken" && m.after_ms.is_some());
    desk.until(&started.name, |drill, _| taken(drill)).await;
    let end = EndDrillRequest { name: started.name.clone(), ..EndDrillRequest::default() };
    let ended = desk.drills.end_drill(end).await.unwrap().into_inner().drill.unwrap();
    assert!(ended.ended_at_ms.is_some());
    let closed = |_: &Drill, ticket: Option<&Ticket>| ticket.is_some_and(|t| t.state() == State::Closed);
    desk.until(&started.name, closed).await;
    let listed = |all| ListDrillsRequest { all };
    assert!(desk.drills.list_drills(listed(false)).await.unwrap().into_inner().drills.is_empty());
    assert_eq!(desk.drills.list_drills(listed(true)).await.unwrap().into_inner().drills.len(), 1);
    collector.stop().await.unwrap();
}

#[tokio::test]
async fn a_drill_that_could_not_be_is_refused_with_what_is_wrong() {
    let home = Home::new();
    let (collector, channel) = known(&home).await;
    let mut desk = Desk::new(&home, &channel);
    let asked = drill().drill.unwrap();
    let wrong = [
        (Drill { server: "servers/srv-9".to_owned(), ..asked.clone() }, 600, Code::NotFound),
        (Drill { fault: "bad_mood".to_owned(), ..asked.clone() }, 600, Code::InvalidArgument),
        (Drill { fault: "power_feed_lost".to_owned(), ..asked.clone() }, 600, Code::InvalidArgument),
        (Drill { reason: String::new(), ..asked.clone() }, 600, Code::InvalidArgument),
        (Drill { component: "Bay 3".to_owned(), ..asked.clone() }, 600, Code::InvalidArgument),
        (asked.clone(), 90_000, Code::InvalidArgument),
        (asked, -1, Code::InvalidArgument),
    ];
    for (drill, lasts_secs, code) in wrong {
        let request = StartDrillRequest { drill: Some(drill), lasts_secs, ..StartDrillRequest::default() };
        assert_eq!(desk.drills.start_drill(request.clone()).await.unwrap_err().code(), code, "{request:?}");
    }
    collector.stop().await.unwrap();
}

#[tokio::test]
async fn a_threshold_is_set_listed_with_its_author_and_ended_and_a_wrong_one_is_refused() {
    let home = Home::new();
    let (collector, channel) = known(&home).await;
    let mut desk = ThresholdServiceClient::new(with_token(channel, &home.token("operator")));
    let hour = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap() + 3_600_000;
    let asked = Threshold {
        selector: Some(Selector { model: "R750".to_owned(), ..Selector::default() }),
        parameter: "disk.increases".to_owned(),
        value: 6.0,
        reason: "this firmware counts twice".to_owned(),
        until_ms: hour,
        ..Threshold::default()
    };
    let create = |threshold: Threshold| CreateThresholdRequest {
        threshold: Some(threshold),
        ..CreateThresholdRequest::default()
    };
    let kept = desk.create_threshold(create(asked.clone())).await.unwrap().into_inner().threshold.unwrap();
    assert!(kept.in_force && !kept.author.is_empty(), "{kept:?}");
    for wrong in [
        Threshold { parameter: "disk.colour".to_owned(), ..asked.clone() },
        Threshold { value: 0.0, ..asked.clone() },
        Threshold { value: f64::NAN, ..asked.clone() },
        Threshold { until_ms: 1, ..asked.clone() },
        Threshold { until_ms: hour + 400 * 86_400_000, ..asked.clone() },
        Threshold { reason: String::new(), ..asked.clone() },
        Threshold { selector: None, ..asked.clone() },
    ] {
        let refused = desk.create_threshold(create(wrong.clone())).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{wrong:?}");
    }
    let listed = |all| ListThresholdsRequest { all };
    assert_eq!(desk.list_thresholds(listed(false)).await.unwrap().into_inner().thresholds, std::slice::from_ref(&kept));
    let end = EndThresholdRequest { name: kept.name.clone(), ..EndThresholdRequest::default() };
    let ended = desk.end_threshold(end).await.unwrap().into_inner().threshold.unwrap();
    assert!(!ended.in_force);
    assert!(desk.list_thresholds(listed(false)).await.unwrap().into_inner().thresholds.is_empty());
    let all = desk.list_thresholds(listed(true)).await.unwrap().into_inner().thresholds;
    assert_eq!(all[0].changes.iter().map(|c| c.what.as_str()).collect::<Vec<_>>(), ["create", "end"]);
    let parameters = desk.list_parameters(ListParametersRequest {}).await.unwrap().into_inner().parameters;
    let increases = parameters.iter().find(|p| p.name == "disk.increases").unwrap();
    assert_eq!((increases.usual, increases.rules.len()), (Some(3.0), 1));
    collector.stop().await.unwrap();
}
