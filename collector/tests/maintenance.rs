//! Maintenance windows and incidents over gRPC.

#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

mod common;

use common::{Home, WithToken, with_token};
use outband_collector::app::Collector;
use outband_proto::incident::ListIncidentsRequest;
use outband_proto::incident::incident_service_client::IncidentServiceClient;
use outband_proto::maintenance::maintenance_service_client::MaintenanceServiceClient;
use outband_proto::maintenance::{
    CreateWindowRequest, EndWindowRequest, ListWindowsRequest, Selector, UpdateWindowRequest, Window,
};
use tonic::Code;

async fn desk(home: &Home, collector: &Collector) -> MaintenanceServiceClient<WithToken> {
    let channel = home.channel(collector.operators_addr()).await;
    MaintenanceServiceClient::new(with_token(channel, &home.token("operator")))
}

fn window() -> Window {
    Window {
        selector: Some(Selector { rack: "R1".to_owned(), ..Selector::default() }),
        lasts_secs: 3600,
        zone: "Asia/Shanghai".to_owned(),
        reason: "new PDU".to_owned(),
        ..Window::default()
    }
}

#[tokio::test]
async fn a_window_is_made_edited_and_ended_and_every_change_names_its_author() {
    let home = Home::new();
    let collector = home.start().await;
    let mut desk = desk(&home, &collector).await;
    let create = CreateWindowRequest { window: Some(window()), ..Default::default() };
    let made = desk.create_window(create).await.unwrap().into_inner().window.unwrap();
    assert_eq!((made.kind.as_str(), made.author.is_empty()), ("maintenance", false));
    assert!(made.covers_until_ms.is_some(), "it begins now where nothing else is said: {made:?}");

    let longer = Window { name: made.name.clone(), lasts_secs: 7200, etag: made.etag.clone(), ..Window::default() };
    let edit = UpdateWindowRequest { window: Some(longer), ..Default::default() };
    let edited = desk.update_window(edit.clone()).await.unwrap().into_inner().window.unwrap();
    assert_eq!((edited.lasts_secs, &edited.reason), (7200, &made.reason));
    let late = desk.update_window(edit).await.unwrap_err();
    assert_eq!(late.code(), Code::Aborted, "{late}");

    let end = EndWindowRequest { name: made.name.clone(), ..Default::default() };
    let ended = desk.end_window(end).await.unwrap().into_inner().window.unwrap();
    assert!(ended.ended_at_ms.is_some() && ended.covers_until_ms.is_none());
    let listed = |all| ListWindowsRequest { all };
    assert!(desk.list_windows(listed(false)).await.unwrap().into_inner().windows.is_empty());
    let all = desk.list_windows(listed(true)).await.unwrap().into_inner().windows;
    let changes: Vec<&str> = all[0].changes.iter().map(|c| c.what.as_str()).collect();
    assert_eq!(changes, ["create", "edit", "end"]);
    assert!(all[0].changes.iter().all(|c| c.who == made.author));
    collector.stop().await.unwrap();
}

#[tokio::test]
async fn a_window_that_covers_everything_says_nothing_or_is_never_is_refused() {
    let home = Home::new();
    let collector = home.start().await;
    let mut desk = desk(&home, &collector).await;
    for bad in [
        Window { selector: None, ..window() },
        Window { reason: String::new(), ..window() },
        Window { lasts_secs: 0, ..window() },
        Window { zone: "Mars/Olympus".to_owned(), ..window() },
        Window { recurrence: "FREQ=YEARLY".to_owned(), ..window() },
        Window { kind: "party".to_owned(), ..window() },
        Window { starts: "tomorrow".to_owned(), ..window() },
    ] {
        let status = desk
            .create_window(CreateWindowRequest { window: Some(bad.clone()), ..Default::default() })
            .await
            .unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{bad:?}: {status}");
    }
    let nothing =
        desk.end_window(EndWindowRequest { name: "windows/9".to_owned(), ..Default::default() }).await.unwrap_err();
    assert_eq!(nothing.code(), Code::NotFound);
    collector.stop().await.unwrap();
}

#[tokio::test]
async fn incidents_are_listed_and_none_are_there_at_first() {
    let home = Home::new();
    let collector = home.start().await;
    let channel = home.channel(collector.operators_addr()).await;
    let mut incidents = IncidentServiceClient::new(with_token(channel, &home.token("operator")));
    let answer = incidents.list_incidents(ListIncidentsRequest::default()).await.unwrap().into_inner();
    assert!(answer.incidents.is_empty() && answer.next_page_token.is_empty());
    collector.stop().await.unwrap();
}
