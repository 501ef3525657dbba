//! `outband-collector backtest --readings` says of files what the detectors say of the same readings in memory, in whatever order the files are.
#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

use outband_health::drift::{Drift, RackMode};
use outband_schemas::ComponentId;
use outband_tests::sim::wear::write::write;
use outband_tests::sim::wear::{Plan, Rack, at, server};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use support_wear::{component, happen, kind};

mod support_wear;

const PLAN: Plan = Plan { seed: 5, racks: 2, servers: 10, hours: 2 * 730 };

/// An alarm as a line of the program's file.
type Line = String;

/// What the detectors say of one rack: each day is judged an hour after it has ended.
fn in_memory(number: usize, alarms: &mut BTreeSet<Line>) {
    let rack = Rack::new(&PLAN, number);
    let ids: Vec<Vec<ComponentId>> =
        (0..PLAN.servers).map(|s| rack.names(s).iter().map(|n| component(n)).collect()).collect();
    let drifts = RefCell::new(vec![(Drift::default(), false); PLAN.servers]);
    let mut judge = |hour: i64| {
        let mut drifts = drifts.borrow_mut();
        let mode = RackMode::of(drifts.iter().map(|d| &d.0));
        for (n, (drift, closed)) in drifts.iter_mut().enumerate().filter(|(_, d)| d.1) {
            *closed = false;
            for sign in drift.signs(&mode).iter().filter(|s| s.score >= 1.0) {
                let (part, class) = (sign.component.slot(), sign.class.as_str());
                alarms.insert(format!("{},{part},{class},{},{:.4}", server(number, n), at(hour), sign.score));
            }
        }
    };
    let (mut judged, mut newest) = (0, 0);
    rack.run(
        |row| {
            let date = (row.true_hour - 1).div_euclid(24);
            if date > judged {
                judged = date;
                judge(date * 24 + 1);
            }
            newest = row.true_hour;
            let (drift, closed) = &mut drifts.borrow_mut()[row.server];
            let id = &ids[row.server][row.component];
            *closed |= drift.take(id, kind(row.kind).unwrap(), "", row.value, at(row.hour.min(row.true_hour)));
        },
        |h| happen(&mut drifts.borrow_mut()[h.server].0, &h),
    );
    judge(newest);
}

/// What the program says of files.
fn by_program(dir: &Path, readings: &Path) -> (BTreeSet<Line>, String) {
    let alarms = dir.join("alarms.csv");
    let answer = Command::new(outband_tests::bin("outband-collector").unwrap())
        .arg("backtest")
        .args(["--readings".as_ref(), readings.as_os_str()])
        .args(["--events".as_ref(), dir.join("events.csv").as_os_str()])
        .args(["--topology".as_ref(), dir.join("topology.csv").as_os_str()])
        .args(["--truth".as_ref(), dir.join("truth.csv").as_os_str()])
        .args(["--alarms".as_ref(), alarms.as_os_str()])
        .output()
        .unwrap();
    assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    let text = fs::read_to_string(alarms).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("server,component,class,at,score"));
    (lines.map(str::to_owned).collect(), String::from_utf8(answer.stdout).unwrap())
}

#[test]
fn files_are_judged_as_memory_is_in_the_order_of_time_and_by_server_and_component() {
    let dir = tempfile::tempdir().unwrap();
    write(&PLAN, dir.path()).unwrap();
    let mut expected = BTreeSet::new();
    (0..PLAN.racks).for_each(|rack| in_memory(rack, &mut expected));
    assert!(expected.len() > 20, "the simulated time has to show something: {}", expected.len());

    let (said, table) = by_program(dir.path(), &dir.path().join("readings.csv"));
    assert_eq!(said, expected);
    assert!(table.contains("of 20 servers in 2 racks"), "{table}");

    // By server: the order of each one's readings stays.
    let text = fs::read_to_string(dir.path().join("readings.csv")).unwrap();
    let (head, body) = text.split_once('\n').unwrap();
    let mut lines: Vec<&str> = body.lines().collect();
    lines.sort_by_key(|line| line.split(',').next());
    let by_server = dir.path().join("by-server.csv");
    fs::write(&by_server, format!("{head}\n{}\n", lines.join("\n"))).unwrap();
    assert_eq!(by_program(dir.path(), &by_server).0, expected);

    // By component: what the clocks said is all there is to sort by, so a clock that was off may move what it said.
    let jumpy: BTreeSet<String> = clocks_off();
    lines.sort_by_key(|line| line.split(',').take(3).collect::<Vec<_>>());
    fs::write(&by_server, format!("{head}\n{}\n", lines.join("\n"))).unwrap();
    let steady = |all: BTreeSet<Line>| -> BTreeSet<Line> {
        all.into_iter().filter(|l| !jumpy.contains(l.split(',').next().unwrap())).collect()
    };
    assert_eq!(steady(by_program(dir.path(), &by_server).0), steady(expected));
}

/// The servers whose clocks were off for a while.
fn clocks_off() -> BTreeSet<String> {
    let mut off = BTreeSet::new();
    for number in 0..PLAN.racks {
        let note = |row: outband_tests::sim::wear::Row| {
            if row.hour != row.true_hour {
                off.insert(server(number, row.server));
            }
        };
        Rack::new(&PLAN, number).run(note, |_| {});
    }
    off
}

#[test]
fn bad_lines_are_counted_shown_and_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    file("events.csv", "server,component,event,at\ns1,,firmware,soon\ns1,,sneezed,1700000000\n");
    file("topology.csv", "server,rack\ns1,r1\n");
    file("truth.csv", "server,component,class,onset,fails_at\n");
    let readings = "server,component,kind,at,value\ns1,fan1,fan_speed,1700000000,9000\ns1,fan1,fan_speed,soon,9000\n\
                    s1,fan1,loudness,1700003600,1\ns1,fan1,fan_speed,1700003600,fast\ns1,fan1,fan_speed,1700003600,\n";
    file("readings.csv", readings);
    let answer = Command::new(outband_tests::bin("outband-collector").unwrap())
        .current_dir(dir.path())
        .args(["backtest", "--readings", "readings.csv", "--events", "events.csv", "--alarms", "alarms.csv"])
        .output()
        .unwrap();
    let said = String::from_utf8(answer.stderr).unwrap();
    assert!(answer.status.success(), "{said}");
    for part in
        ["readings.csv: bad lines, left out: 3", "line 3: ", "events.csv: bad lines, left out: 1", "\"sneezed\""]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(String::from_utf8(answer.stdout).unwrap().starts_with("1 readings of 1 servers"));
}
