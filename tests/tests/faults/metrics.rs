//! The figures that the collector tells of itself, as a scrape finds them, and the alert rules that rest on them.

use crate::ground::{Ground, PATIENCE};
use outband_tests::wait::free_port;
use outband_tests::{skip, wait_until};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The answer to a request, head and body.
fn ask(port: u16, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

fn scrape(port: u16) -> String {
    let (head, body) = ask(port, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    body
}

/// Of one figure, the value of the line that begins so.
fn value(page: &str, line: &str) -> Option<f64> {
    page.lines().find_map(|l| l.strip_prefix(line)?.trim().parse().ok())
}

fn alerts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/alerts.yml")
}

fn names(text: &str) -> BTreeSet<&str> {
    let word = |c: char| !(c.is_ascii_lowercase() || c == '_');
    text.split(word).filter(|w| w.starts_with("outband_collector_")).collect()
}

/// What `promtool` says, where it is installed.
fn promtool(words: &[&str], input: Option<&str>) -> Option<(bool, String)> {
    let mut child = match Command::new("promtool")
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
    {
        Ok(child) => child,
        Err(_) => {
            skip("promtool is not installed (Debian package prometheus)");
            return None;
        }
    };
    child.stdin.take().unwrap().write_all(input.unwrap_or_default().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].map(|b| String::from_utf8_lossy(&b).into_owned()).concat();
    Some((output.status.success(), said))
}

#[test]
fn everything_that_can_fill_up_is_told_and_every_alert_rests_on_something_told() {
    let port = free_port().unwrap();
    let mut ground = Ground::new(2, &format!("[metrics]\nlisten = \"127.0.0.1:{port}\"\n"));
    ground.start();
    ground.happen(2);
    ground.flows(10);
    let caught_up = || {
        let page = scrape(port);
        value(&page, "outband_collector_ingest_log_waiting_rows").is_some_and(|n| n < 5.0)
            && value(&page, "outband_collector_head_readings").is_some_and(|n| n > 10.0)
            && value(&page, "outband_collector_agent_lag_entries{agent=\"a1\",lane=\"event\"}") == Some(0.0)
    };
    assert!(wait_until(PATIENCE, caught_up), "{}", scrape(port));
    let page = scrape(port);
    for (line, least, most) in [
        ("outband_collector_disk_free_bytes", 1.0, 1e15),
        ("outband_collector_disk_keep_free_bytes", 0.0, 0.0),
        ("outband_collector_store_size_bytes{file=\"main\"}", 1.0, 1e9),
        ("outband_collector_store_size_bytes{file=\"wal\"}", 1.0, 1e9),
        ("outband_collector_ingest_log_rows", 10.0, 1e6),
        ("outband_collector_quarantine_rows", 0.0, 0.0),
        ("outband_collector_outbox_unsent_notices", 0.0, 0.0),
        ("outband_collector_history_size_bytes{resolution=\"raw\"}", 0.0, 1e9),
        ("outband_collector_agent_connected{agent=\"a1\"}", 1.0, 1.0),
        ("outband_collector_agent_silent_seconds{agent=\"a1\"}", 0.0, 90.0),
        ("outband_collector_connections{listener=\"agents\",peer=\"known\"}", 1.0, 1.0),
        ("outband_collector_connections{listener=\"agents\",peer=\"stranger\"}", 0.0, 0.0),
        ("outband_collector_certificate_remaining_seconds", 86_400.0, 1e9),
        ("outband_collector_store_damaged", 0.0, 0.0),
        ("outband_collector_open_files", 10.0, 1e4),
    ] {
        let found = value(&page, line);
        assert!(found.is_some_and(|v| (least..=most).contains(&v)), "{line}: {found:?}\n{page}");
    }
    // A figure of which there is nothing has no lines: a channel whose notices wait is not there while none wait.
    let quiet = BTreeSet::from(["outband_collector_outbox_oldest_seconds"]);
    let rules = std::fs::read_to_string(alerts()).unwrap();
    let told = names(&page);
    let untold: Vec<_> = names(&rules).into_iter().filter(|n| !told.contains(n) && !quiet.contains(n)).collect();
    assert!(untold.is_empty(), "deploy/alerts.yml rests on what is not told: {untold:?}");
    let files = ask(port, "GET / HTTP/1.1\r\n\r\n").0;
    assert!(files.starts_with("HTTP/1.1 404 "), "{files}");
    assert!(ask(port, "DELETE /metrics HTTP/1.1\r\n\r\n").0.starts_with("HTTP/1.1 405 "));
    if let Some((right, said)) = promtool(&["check", "metrics"], Some(&page)) {
        assert!(right && said.trim().is_empty(), "{said}");
    }
    if let Some((right, said)) = promtool(&["check", "rules", alerts().to_str().unwrap()], None) {
        assert!(right, "{said}");
    }
    // A secret is nowhere in it.
    let token = std::fs::read_to_string(ground.stack.collector_dir().join("agent.token")).unwrap();
    assert!(!page.contains(token.trim()));
    ground.stop();
}
