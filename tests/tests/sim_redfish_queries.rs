//! The simulated Redfish service: `$expand`, `$select`, pages, ETags, latencies and accounts, over resources in memory.
#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

#[allow(dead_code, reason = "each test file uses its own part")]
mod support_sim;

use outband_tests::sim::redfish_bmc::{
    Drift, Etag, Expand, FailingMember, Fault, Misdeed, NextLink, Options, Pages, RedfishMap, RedfishTree, Service,
    Support, Where,
};
use outband_tests::{shared_dir, skip};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use support_sim::{Wire, asked, get, get_json, runtime};

const ROOT: &str = "/redfish/v1";
const CHASSIS: &str = "/redfish/v1/Chassis";

/// Three chassis, of which each has a thermal resource and contains the next; `expand` is what the root advertises.
fn map(expand: Value) -> RedfishMap {
    let link = |path: String| json!({"@odata.id": path});
    let map = RedfishMap::new([(
        ROOT,
        json!({"Chassis": {"@odata.id": CHASSIS}, "ProtocolFeaturesSupported": {"ExpandQuery": expand, "OnlyMemberQuery": true}}),
    )]);
    let members: Vec<Value> = (1..=3).map(|n| link(format!("{CHASSIS}/{n}"))).collect();
    map.put(CHASSIS, &json!({"Members": members, "Members@odata.count": 3}));
    for n in 1..=3 {
        let path = format!("{CHASSIS}/{n}");
        map.put(
            &path,
            &json!({"Id": n.to_string(), "Name": format!("Chassis {n}"), "Status": {"Health": "OK", "State": "Enabled"},
            "Thermal": link(format!("{path}/Thermal")), "Links": {"Contains": [link(format!("{CHASSIS}/{}", n % 3 + 1))]}}),
        );
        map.put(&format!("{path}/Thermal"), &json!({"Temperatures": [{"MemberId": "0", "ReadingCelsius": 20 + n}]}));
    }
    map
}

fn all() -> Value {
    json!({"ExpandAll": true, "NoLinks": true, "Links": true, "Levels": true, "MaxLevels": 2})
}

async fn serve(options: Options) -> Service {
    map(all()).serve(options).await.unwrap()
}

/// Names of the members; `-` for one that is a link.
async fn members(service: &Service, path: &str) -> Vec<String> {
    let collection = get_json(service, path).await;
    let members = collection["Members"].as_array().unwrap();
    members.iter().map(|m| m["Name"].as_str().unwrap_or("-").to_owned()).collect()
}

#[test]
fn expand_does_what_the_service_root_advertises() {
    runtime().block_on(async {
        let service = serve(Options::default()).await;
        assert_eq!(members(&service, &format!("{CHASSIS}?$expand=.")).await, ["Chassis 1", "Chassis 2", "Chassis 3"]);
        let two = get_json(&service, &format!("{CHASSIS}?$expand=.($levels=2)")).await;
        assert_eq!(two["Members"][1]["Thermal"]["Temperatures"][0]["ReadingCelsius"], 22);
        assert!(two["Members"][1]["Links"]["Contains"][0]["Name"].is_null());
        let links = get_json(&service, &format!("{CHASSIS}/3?$expand=~")).await;
        assert_eq!(links["Links"]["Contains"][0]["Name"], "Chassis 1");
        assert_eq!(get(&service, &format!("{CHASSIS}?$expand=.($levels=3)")).await.unwrap().0, 400);
        assert_eq!(get(&service, &format!("{CHASSIS}?$expand=.($levels=0)")).await.unwrap().0, 400);

        let no_links = map(json!({"NoLinks": true})).serve(Options::default()).await.unwrap();
        assert_eq!(members(&no_links, &format!("{CHASSIS}?$expand=.")).await[0], "Chassis 1");
        assert_eq!(get(&no_links, &format!("{CHASSIS}?$expand=*")).await.unwrap().0, 400);
        let none = map(json!({"NoLinks": false})).serve(Options::default()).await.unwrap();
        assert_eq!(members(&none, &format!("{CHASSIS}?$expand=.")).await, ["-"; 3]);
    });
}

#[test]
fn expand_fails_in_the_ways_of_the_field() {
    runtime().block_on(async {
        let asked = format!("{CHASSIS}?$expand=.");
        for (expand, wanted) in [
            (Expand::Ignored, vec!["-"; 3]),
            (Expand::Partly, vec!["Chassis 1", "-", "Chassis 3"]),
            (Expand::Short(2), vec!["Chassis 1", "Chassis 2"]),
        ] {
            let service = serve(Options { expand, ..Options::default() }).await;
            assert_eq!(members(&service, &asked).await, wanted, "{expand:?}");
        }
        let hollow = serve(Options { expand: Expand::Hollow, ..Options::default() }).await;
        assert!(get_json(&hollow, &asked).await["Members"][0]["Status"].is_null());
        for (expand, status) in [(Expand::Refused(501), 501), (Expand::Refused(400), 400), (Expand::AtMost(2), 507)] {
            let service = serve(Options { expand, ..Options::default() }).await;
            let (said, body) = get(&service, &asked).await.unwrap();
            assert_eq!(said, status, "{}", String::from_utf8_lossy(&body));
            assert_eq!(members(&service, CHASSIS).await.len(), 3);
        }
    });
}

#[test]
fn a_member_that_fails_is_seen_in_an_expanded_answer_as_the_options_say() {
    runtime().block_on(async {
        let asked = format!("{CHASSIS}?$expand=.");
        let faults = vec![Fault::always(Where::At(format!("{CHASSIS}/2")), Misdeed::Status(500))];
        let serve = |failing_member| serve(Options { failing_member, faults: faults.clone(), ..Options::default() });
        assert_eq!(members(&serve(FailingMember::Link).await, &asked).await, ["Chassis 1", "-", "Chassis 3"]);
        assert_eq!(members(&serve(FailingMember::Missing).await, &asked).await, ["Chassis 1", "Chassis 3"]);
        assert!(get_json(&serve(FailingMember::Error).await, &asked).await["Members"][1]["error"].is_object());
        assert_eq!(get(&serve(FailingMember::Whole).await, &asked).await.unwrap().0, 500);
    });
}

#[test]
fn an_expanded_request_costs_its_own_latency_and_half_of_each_members() {
    runtime().block_on(async {
        let ms = Duration::from_millis;
        let latency_at =
            vec![(Where::At(format!("{CHASSIS}/2")), ms(4000)), (Where::Holding("Thermal".into()), ms(100))];
        let options = Options { latency: ms(200), latency_at, virtual_time: true, ..Options::default() };
        let began = std::time::Instant::now();
        let service = serve(options).await;
        get_json(&service, CHASSIS).await;
        get_json(&service, &format!("{CHASSIS}?$expand=.")).await;
        get_json(&service, &format!("{CHASSIS}?$expand=.($levels=2)")).await;
        let modelled: Vec<_> = service.modelled().into_iter().map(|(_, d)| d).collect();
        assert_eq!(modelled, [ms(200), ms(200 + 100 + 2000 + 100), ms(200 + 100 + 2000 + 100 + 3 * 50)]);
        assert!(began.elapsed() < ms(2000), "nothing was waited for");
        let stats = service.stats();
        assert_eq!((stats.requests, stats.longest, stats.modelled), (3, ms(2550), ms(5150)));
        assert_eq!(service.accounts()[1].expanded, 3);
        service.reset_stats();
        assert_eq!(service.stats().requests, 0);
    });
}

#[test]
fn latencies_are_waited_for_and_a_serial_service_lets_the_others_queue() {
    runtime().block_on(async {
        let ms = Duration::from_millis;
        for (serial, at_least, at_most) in [(true, 900, 60_000), (false, 300, 900)] {
            let service = serve(Options { latency: ms(300), serial, ..Options::default() }).await;
            // The handshakes are done before the clock starts.
            let [mut a, mut b, mut c] =
                [Wire::open(&service).await, Wire::open(&service).await, Wire::open(&service).await];
            let began = std::time::Instant::now();
            let (a, b, c) = tokio::join!(a.get(CHASSIS), b.get(CHASSIS), c.get(CHASSIS));
            let took = began.elapsed();
            assert!(a.is_some() && b.is_some() && c.is_some());
            assert!(took >= ms(at_least) && took < ms(at_most), "{serial}: {took:?}");
            let stats = service.stats();
            assert_eq!((stats.max_in_flight, stats.connections, stats.max_connections), (3, 3, 3));
        }
    });
}

#[test]
fn one_connection_that_is_kept_is_counted_once_and_none_is_kept_where_none_should_be() {
    runtime().block_on(async {
        for (no_keep_alive, wanted) in [(false, 1), (true, 3)] {
            let service = serve(Options { no_keep_alive, ..Options::default() }).await;
            let mut wire = Wire::open(&service).await;
            for _ in 0..3 {
                if wire.get(CHASSIS).await.is_none() {
                    wire = Wire::open(&service).await;
                    wire.get(CHASSIS).await.unwrap();
                }
            }
            let stats = service.stats();
            assert_eq!((stats.connections, stats.max_in_flight, stats.requests), (wanted, 1, 3));
            let connections: Vec<_> = service.accounts().iter().map(|r| (r.connection, r.status)).collect();
            assert_eq!(connections.last(), Some(&(wanted, Some(200))));
        }
    });
}

/// A collection of 7, in pages of 3.
async fn paged(next: NextLink, top_skip: Support) -> Service {
    let map = map(all());
    let members: Vec<Value> = (0..7).map(|n| json!({"Name": n.to_string()})).collect();
    map.put("/redfish/v1/Entries", &json!({"Members": members}));
    let pages = vec![Pages { place: Where::At("/redfish/v1/Entries".to_owned()), size: 3, next }];
    map.serve(Options { pages, top_skip, ..Options::default() }).await.unwrap()
}

/// Members of a collection and of the pages that its links lead to, 9 pages at most.
async fn followed(service: &Service, path: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut next = Some(path.to_owned());
    for _ in 0..9 {
        let Some(path) = next else { break };
        let page = get_json(service, &path).await;
        assert_eq!(page["Members@odata.count"], 7);
        out.push(page["Members"].as_array().unwrap().iter().map(|m| m["Name"].as_str().unwrap()).collect());
        next = page["Members@odata.nextLink"].as_str().map(str::to_owned);
    }
    out
}

#[test]
fn a_collection_comes_in_pages_by_skip_by_token_or_in_a_loop() {
    runtime().block_on(async {
        for next in [NextLink::Skip, NextLink::SkipToken] {
            let service = paged(next, Support::Advertised).await;
            assert_eq!(followed(&service, "/redfish/v1/Entries").await, ["012", "345", "6"], "{next:?}");
        }
        let service = paged(NextLink::Loop, Support::Advertised).await;
        assert_eq!(followed(&service, "/redfish/v1/Entries").await, ["012"; 9]);
    });
}

#[test]
fn top_and_skip_work_within_pages_where_they_are_supported() {
    runtime().block_on(async {
        let service = paged(NextLink::Skip, Support::Yes).await;
        assert_eq!(followed(&service, "/redfish/v1/Entries?$top=5&$skip=1").await, ["123", "45"]);
        assert_eq!(followed(&service, "/redfish/v1/Entries?$skip=6").await, ["6"]);
        let ignores = paged(NextLink::Skip, Support::No).await;
        assert_eq!(followed(&ignores, "/redfish/v1/Entries?$top=1").await, ["012", "345", "6"]);
        let refuses = paged(NextLink::Skip, Support::Refused(501)).await;
        assert_eq!(get(&refuses, "/redfish/v1/Entries?$top=1").await.unwrap().0, 501);
    });
}

#[test]
fn pages_that_were_captured_are_served_and_skipped_through() {
    runtime().block_on(async {
        let map = map(all());
        let page = |from: usize, to: usize| (from..to).map(|n| json!({"Name": n.to_string()})).collect::<Vec<_>>();
        let next = |skip| format!("/redfish/v1/Entries?$skip={skip}");
        map.put(
            "/redfish/v1/Entries",
            &json!({"Members": page(0, 3), "Members@odata.count": 7, "Members@odata.nextLink": next(3)}),
        );
        map.put(&next(3), &json!({"Members": page(3, 6), "Members@odata.count": 7, "Members@odata.nextLink": next(6)}));
        map.put(&next(6), &json!({"Members": page(6, 7), "Members@odata.count": 7}));
        let service = map.serve(Options::default()).await.unwrap();
        assert_eq!(followed(&service, "/redfish/v1/Entries").await, ["012", "345", "6"]);
        assert_eq!(followed(&service, &next(5)).await, ["56"], "a page that nobody captured");
    });
}

#[test]
fn select_and_only_make_the_answer_smaller() {
    runtime().block_on(async {
        let service = serve(Options { select: Support::Yes, ..Options::default() }).await;
        let selected = get_json(&service, &format!("{CHASSIS}/1?$select=Name,Status/Health")).await;
        assert_eq!(
            selected,
            json!({"@odata.id": format!("{CHASSIS}/1"), "Name": "Chassis 1", "Status": {"Health": "OK"}})
        );
        let expanded = get_json(&service, &format!("{CHASSIS}?$expand=.&$select=Name")).await;
        assert_eq!(expanded["Members"][2], json!({"@odata.id": format!("{CHASSIS}/3"), "Name": "Chassis 3"}));
        assert_eq!(get_json(&service, &format!("{CHASSIS}?only")).await["Members@odata.count"], 3);
        service.put(CHASSIS, &json!({"Members": [{"@odata.id": format!("{CHASSIS}/2")}]}));
        assert_eq!(get_json(&service, &format!("{CHASSIS}?only")).await["Name"], "Chassis 2");
    });
}

async fn etag(service: &Service, path: &str, held: Option<&str>) -> (u16, String) {
    let mut request = asked(service, Method::GET, path);
    if let Some(held) = held {
        request = request.header("if-none-match", held);
    }
    let response = request.send().await.unwrap();
    let tag = response.headers().get("etag").map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default();
    (response.status().as_u16(), tag)
}

#[test]
fn an_etag_holds_until_a_reading_drifts() {
    runtime().block_on(async {
        let path = format!("{CHASSIS}/1/Thermal");
        let drift = Some(Drift { seed: 3, every: None });
        let service = serve(Options { etag: Etag::Weak, drift, ..Options::default() }).await;
        let (status, tag) = etag(&service, &path, None).await;
        assert!(status == 200 && tag.starts_with("W/\""), "{status} {tag}");
        assert_eq!(etag(&service, &path, Some(&tag)).await, (304, tag.clone()));
        assert_eq!(service.stats().not_modified, 1);
        let before = get_json(&service, &path).await;
        let changed = (0..50).any(|_| {
            service.tick();
            service.resource(&path).unwrap() != before
        });
        assert!(changed);
        assert_eq!(etag(&service, &path, Some(&tag)).await.0, 200);
    });
}

#[test]
fn a_frozen_etag_hides_a_change_and_a_restless_one_never_holds() {
    runtime().block_on(async {
        let path = format!("{CHASSIS}/1");
        let frozen = serve(Options { etag: Etag::Frozen, ..Options::default() }).await;
        let (_, tag) = etag(&frozen, &path, None).await;
        frozen.put(&path, &json!({"Name": "Another"}));
        assert_eq!(etag(&frozen, &path, Some(&tag)).await.0, 304);
        let restless = serve(Options { etag: Etag::Restless, ..Options::default() }).await;
        let (_, tag) = etag(&restless, &path, None).await;
        assert_eq!(etag(&restless, &path, Some(&tag)).await.0, 200);
        let none = serve(Options::default()).await;
        assert_eq!(etag(&none, &path, Some(&tag)).await, (200, String::new()));
    });
}

#[test]
fn a_log_grows_wraps_and_is_cleared_on_command() {
    runtime().block_on(async {
        let entries = "/redfish/v1/Managers/1/LogServices/Sel/Entries";
        let map = map(all());
        map.put("/redfish/v1/Managers/1/LogServices/Sel", &json!({"Entries": {"@odata.id": entries}}));
        let service = map.serve(Options::default()).await.unwrap();
        let entry = |n: u32| json!({"@odata.id": format!("{entries}/{n}"), "Name": n.to_string(), "Id": n.to_string()});
        (1..=4).for_each(|n| service.append_entry(entries, &entry(n), false, Some(3)));
        assert_eq!(members(&service, entries).await, ["2", "3", "4"]);
        assert_eq!(get_json(&service, &format!("{entries}/4")).await["Id"], "4");
        service.append_entry(entries, &entry(5), true, Some(3));
        assert_eq!(members(&service, entries).await, ["5", "2", "3"]);
        assert_eq!(get(&service, &format!("{entries}/4")).await.unwrap().0, 404, "it went with the log's end");
        let clear = "/redfish/v1/Managers/1/LogServices/Sel/Actions/LogService.ClearLog";
        assert_eq!(asked(&service, Method::POST, clear).send().await.unwrap().status(), 204);
        assert!(members(&service, entries).await.is_empty());
    });
}

#[test]
fn faults_of_the_body_leave_it_as_the_field_has_it() {
    runtime().block_on(async {
        let service = serve(Options::default()).await;
        let path = format!("{CHASSIS}/1");
        let spoilt = async |misdeed| {
            service.set_faults(vec![Fault::always(Where::At(path.clone()), misdeed)]);
            get(&service, &path).await
        };
        let body = async |misdeed| spoilt(misdeed).await.unwrap().1;
        let said = |body: &[u8]| serde_json::from_slice::<Value>(body);
        let proper = body(Misdeed::Slow(Duration::ZERO)).await;

        assert!(said(&body(Misdeed::ErrorAs200).await).unwrap()["error"].is_object());
        assert_eq!(body(Misdeed::Before("{}\n".into())).await, [b"{}\n", &proper[..]].concat());
        assert_eq!(body(Misdeed::After("\0".into())).await, [&proper[..], b"\0"].concat());
        assert_eq!(body(Misdeed::Bom).await, [b"\xef\xbb\xbf", &proper[..]].concat());
        let latin1 = body(Misdeed::Latin1).await;
        assert!(String::from_utf8(latin1.clone()).is_err() && latin1.contains(&0xb0));
        let controls = body(Misdeed::ControlCharacters).await;
        assert!(said(&controls).is_err() && controls.contains(&b'\r'));
        let wrong = said(&body(Misdeed::WrongTypes).await).unwrap();
        assert!(wrong["Name"].is_number() && wrong["Links"]["Contains"].is_object(), "{wrong}");
        assert_eq!(body(Misdeed::Drip(16, Duration::from_millis(1))).await, proper);
        assert!(spoilt(Misdeed::Reset).await.is_err());
        service.set_faults(vec![Fault::always(Where::At(path.clone()), Misdeed::RetryAfter(429, 7))]);
        let busy = asked(&service, Method::GET, &path).send().await.unwrap();
        assert_eq!((busy.status().as_u16(), busy.headers()["retry-after"].to_str().unwrap()), (429, "7"));
        service.set_faults(vec![Fault::always(Where::At(path.clone()), Misdeed::Redirect(308, CHASSIS.to_owned()))]);
        let moved = asked(&service, Method::GET, &path).send().await.unwrap();
        assert_eq!((moved.status().as_u16(), moved.headers()["location"].to_str().unwrap()), (308, CHASSIS));
    });
}

/// Characters that a path in a request does not have as they are.
const ODD: [char; 5] = ['#', '?', ' ', '"', '%'];

#[test]
fn in_every_captured_tree_an_expanded_collection_holds_what_its_members_are_by_themselves() {
    let Some(archive) = shared_dir().map(|d| d.join("data/redfish-trees.tar.zst")).filter(|a| a.exists()) else {
        skip("no captured Redfish trees: set OUTBAND_SHARED, or put them in ../shared");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let output =
        std::process::Command::new("tar").arg("--zstd").arg("-xf").arg(archive).arg("-C").arg(dir.path()).output();
    match output {
        Ok(output) if output.status.success() => {}
        other => return skip(format!("tar: {other:?}")),
    }
    let mut collections = 0;
    runtime().block_on(async {
        for tree in std::fs::read_dir(dir.path()).unwrap() {
            let tree = tree.unwrap().path();
            let Ok(content) = RedfishTree::open(&tree) else { continue };
            let paths: Vec<String> = content.paths().filter(|p| !p.contains(ODD)).map(str::to_owned).collect();
            let service = Service::start(content, Options { expand: Expand::Yes, ..Options::default() }).await.unwrap();
            let mut wire = Wire::open(&service).await;
            for path in paths {
                let links = |v: &Value| -> Vec<String> {
                    let members = v["Members"]
                        .as_array()
                        .into_iter()
                        .flatten()
                        .filter(|m| m.as_object().is_some_and(|m| m.len() == 1));
                    members
                        .filter_map(|m| Some(m["@odata.id"].as_str().filter(|l| !l.contains(ODD))?.to_owned()))
                        .collect()
                };
                let Some(plain) = service.resource(&path) else { continue };
                let links = links(&plain);
                if links.is_empty() || links.len() != plain["Members"].as_array().map_or(0, Vec::len) {
                    continue;
                }
                let expanded: Value =
                    serde_json::from_slice(&wire.get(&format!("{path}?$expand=.")).await.unwrap()).unwrap();
                let members = expanded["Members"].as_array().unwrap();
                assert_eq!(members.len(), links.len(), "{}: {path}", tree.display());
                for at in [0, links.len() - 1] {
                    let alone: Value = serde_json::from_slice(&wire.get(&links[at]).await.unwrap()).unwrap_or_default();
                    let there = service.resource(&links[at]).is_some();
                    let wanted = if there { alone } else { json!({"@odata.id": links[at]}) };
                    assert_eq!(members[at], wanted, "{}: {path}", tree.display());
                }
                collections += 1;
            }
        }
    });
    assert!(collections > 500, "{collections}");
}
