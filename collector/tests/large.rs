//! What operators wait for at size, over TLS: of a store that `a_month_of_a_large_site` of the store's tests left in `OUTBAND_DIR`.
//! `OUTBAND_DIR=/var/tmp/month cargo test --release -p outband-collector --test large -- --ignored --nocapture`; `OUTBAND_SERVERS` (10000) and `OUTBAND_RAW_DAYS`
//! (20) as it was filled.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "tests")]

mod common;

use common::{Home, WithToken};
use outband_collector::app::Collector;
use outband_proto::telemetry::telemetry_service_client::TelemetryServiceClient;
use outband_proto::telemetry::{ListLatestReadingsRequest, ListReadingsRequest};
use outband_schemas::Timestamp;
use std::path::Path;
use std::time::{Duration, Instant};

const DAY_MS: i64 = 86_400_000;

fn said(what: &str, mut all: Vec<Duration>) {
    all.sort();
    let of = |part: usize| all[(all.len() * part / 100).min(all.len() - 1)];
    println!("{what}: {} asks, p50 {:.2?}, p99 {:.2?}, worst {:.2?}", all.len(), of(50), of(99), of(100));
}

async fn readings(client: &mut TelemetryServiceClient<WithToken>, ask: &ListReadingsRequest, most: usize) -> usize {
    let (mut rows, mut ask) = (0, ask.clone());
    loop {
        let answer = client.list_readings(ask.clone()).await.unwrap().into_inner();
        rows += answer.readings.len() + answer.summaries.len();
        ask.page_token = answer.next_page_token;
        if ask.page_token.is_empty() || rows >= most {
            return rows;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn what_operators_wait_for_at_a_large_site() {
    let Some(dir) = std::env::var_os("OUTBAND_DIR") else { return };
    let number = |name: &str, or: i64| std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(or);
    let (servers, raw_days) = (number("OUTBAND_SERVERS", 10_000), number("OUTBAND_RAW_DAYS", 20));
    let home = Home::new();
    // The first midnight after its days.
    let end: Timestamp = std::fs::read_to_string(Path::new(&dir).join("filled")).unwrap().trim().parse().unwrap();
    std::os::unix::fs::symlink(dir, home.dir()).unwrap();
    let begun = Instant::now();
    let collector = Collector::start(home.config()).await.unwrap();
    collector.settled().await;
    println!("started after {:.1?}", begun.elapsed());
    let names = || std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let checks = || names().filter_map(|t| std::fs::read_to_string(t.path().join("comm")).ok());
    while checks().any(|name| name.trim().ends_with("-check")) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    println!("checked after {:.1?}", begun.elapsed());
    let mut client = TelemetryServiceClient::new(home.operator(&collector).await);
    let ask = |n: i64, parent: String, sensor: i64, kind: &str, resolution: &str| ListReadingsRequest {
        parent,
        component: format!("board/Sensor {sensor}"),
        kind: kind.to_owned(),
        from_ms: end.as_millis() - (n % (raw_days - 1) + 2) * DAY_MS,
        to_ms: end.as_millis() - (n % (raw_days - 1) + 1) * DAY_MS,
        resolution: resolution.to_owned(),
        page_size: 1000,
        ..ListReadingsRequest::default()
    };
    let server = |n: i64| format!("servers/s{:05}", n * 7919 % servers);
    // Only an administrator may have the kernel forget what it read.
    let synced = std::process::Command::new("sync").status().is_ok_and(|s| s.success());
    let cold = synced && std::fs::write("/proc/sys/vm/drop_caches", "3").is_ok();
    for round in [if cold { "cold" } else { "first" }, "warm"] {
        for (what, resolution) in [("a series-day of readings, two pages", ""), ("a series-day of five minutes", "5m")]
        {
            let mut all = Vec::new();
            for n in 0..300 {
                let request = ask(n, server(n), 4, "temperature", resolution);
                let begun = Instant::now();
                let rows = readings(&mut client, &request, usize::MAX).await;
                all.push(begun.elapsed());
                assert_eq!(rows, if resolution.is_empty() { 1440 } else { 288 });
            }
            said(&format!("{what}, {round}"), all);
        }
        let mut all = Vec::new();
        for n in 0..5 {
            let request = ask(n, "servers/-".to_owned(), 4, "temperature", "5m");
            let begun = Instant::now();
            assert_eq!(readings(&mut client, &request, 288_000).await, 288_000);
            all.push(begun.elapsed());
        }
        said(&format!("a day of one temperature of 1,000 servers, five minutes, 288 pages, {round}"), all);
        let mut all = Vec::new();
        for n in 0..300 {
            let request = ListLatestReadingsRequest { parent: server(n), page_size: 1000, ..Default::default() };
            let begun = Instant::now();
            let rows = client.list_latest_readings(request).await.unwrap().into_inner().readings.len();
            all.push(begun.elapsed());
            assert_eq!(rows, 80);
        }
        said(&format!("latest of a server, {round}"), all);
    }
    collector.stop().await.unwrap();
}
