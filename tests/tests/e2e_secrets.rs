//! No password and no token is anywhere but where it belongs: not in logs at their wordiest, in files, in answers, or in what others see of a process.

#![allow(clippy::expect_used, reason = "helpers of a test, outside of its functions")]

use outband_tests::sim::fleet;
use outband_tests::sim::machine::{Fault, FaultKind};
use outband_tests::world::{World, eventually};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A password that no BMC takes: failures have more to tell than successes.
const WRONG: &str = "wr0ng-horse-staple";

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

fn holds(bytes: &[u8], secret: &str) -> bool {
    bytes.windows(secret.len()).any(|w| w == secret.as_bytes())
}

#[test]
fn no_secret_is_in_logs_files_answers_or_the_process_table() {
    let mut world = World::new(fleet::sound_site(4, 5)).expect("a site");
    let root = world.root.path().to_owned();
    let bad = root.join("bad.password");
    fs::write(&bad, WRONG).and_then(|()| fs::set_permissions(&bad, fs::Permissions::from_mode(0o600))).expect("a file");
    let refused = [2, 3].map(|i: usize| world.site[i].plan.spec.name.clone());
    let edit = |toml: String| {
        let mut text = toml;
        for name in &refused {
            let at = text.find(&format!("id = \"{name}\"")).expect("a target");
            text.replace_range(at.., &text[at..].replacen("credentials = \"bmc\"", "credentials = \"bad\"", 1));
        }
        text.replace(
            "[[targets]]\nid = \"r1-u01\"",
            &format!(
                "[credentials.bad]\nuser = \"monitor\"\npassword_file = '{}'\n[[targets]]\nid = \"r1-u01\"",
                bad.display()
            ),
        )
    };
    world.edit_agent(edit).expect("its config");
    world.stack.set_log("trace");
    world.stack.start_collector().expect("a collector");
    world.stack.start_agent().expect("an agent");
    let servers = [0, 1].map(|i| world.known(i).expect("a server"));
    {
        let mut machine = world.site[0].machine.now();
        let onset = machine.time;
        machine.add_fault(Fault { kind: FaultKind::DiskWears { bay: 3 }, onset, over: 40.0 });
    }
    let ticket = eventually(|| world.tickets_of(&servers[0]).expect("an answer").pop());
    assert!(ticket.is_some(), "no ticket\n{}", world.logs());
    for name in &refused {
        let told = eventually(|| {
            let gaps = world.list("gaps", &["gaps"]).expect("an answer");
            gaps.iter().any(|g| g["component"] == format!("bmc/{name}").as_str()).then_some(())
        });
        assert!(told.is_some(), "{name} was not refused");
    }

    let data = world.stack.collector_dir();
    let read = |name: &str| fs::read_to_string(data.join(name)).expect("a token").trim().to_owned();
    let key = fs::read_to_string(data.join("ca.key")).or_else(|_| fs::read_to_string(data.join("ca-key.pem")));
    let mut secrets = vec![
        ("the BMCs' password".to_owned(), world.login.password.clone()),
        ("the refused password".to_owned(), WRONG.to_owned()),
        ("the agents' token".to_owned(), read("agent.token")),
        ("the operators' token".to_owned(), read("operator.token")),
    ];
    if let Some(line) = key.ok().and_then(|pem| pem.lines().nth(1).map(str::to_owned)) {
        secrets.push(("the CA's key".to_owned(), line));
    }
    let mut found = Vec::new();
    let mut look = |place: &str, bytes: &[u8]| {
        let here = secrets.iter().filter(|(_, secret)| holds(bytes, secret));
        found.extend(here.map(|(name, _)| format!("{name} in {place}")));
        bytes.len()
    };

    let mut looked = 0;
    for pid in world.stack.processes() {
        for file in ["cmdline", "environ"] {
            let place = format!("/proc/{pid}/{file}");
            looked += look(&place, &fs::read(&place).expect("a process of ours"));
        }
    }
    for words in [
        vec!["servers"],
        vec!["servers", "get", &servers[0]],
        vec!["health"],
        vec!["health", &servers[1]],
        vec!["readings", &servers[0]],
        vec!["readings", &servers[1], "--from", "10m"],
        vec!["events"],
        vec!["gaps"],
        vec!["tickets", "list", "--all"],
        vec!["agents"],
    ] {
        let answer = world.ask(&[&words[..], &["-o", "json"]].concat()).expect("an answer");
        assert_eq!(answer.code, Some(0), "{words:?}: {answer:?}");
        looked += look(&format!("outband {words:?}"), answer.out.as_bytes());
        looked += look(&format!("outband {words:?}, standard error"), answer.err.as_bytes());
    }
    world.stack.stop_agent().expect("an end");
    world.stack.stop_collector().expect("an end");

    // Where secrets belong, for their owner only.
    let homes = ["bmc.password", "bad.password", "agent.token", "operator.token"];
    let mut all = Vec::new();
    files(&root, &mut all);
    let mut seen = Vec::new();
    for path in &all {
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let bytes = fs::read(path).expect("a file");
        if homes.contains(&name) || bytes.windows(11).any(|w| w == b"PRIVATE KEY") {
            let mode = fs::metadata(path).expect("a file").permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{}", path.display());
            continue;
        }
        seen.push(name.to_owned());
        looked += look(&path.display().to_string(), &bytes);
    }
    for must in ["outband-agent.log", "outband-collector.log", "spool.db", "store.db"] {
        assert!(seen.iter().any(|n| n == must), "{must} was not looked at: {seen:?}");
    }
    eprintln!("{looked} bytes in {} files, processes and answers looked at", seen.len());
    assert_eq!(found, Vec::<String>::new());
}
