//! An agent joins by a line or by six words, streams with its certificate, and is shut out: the programs, as an operator uses them.

#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

use outband_tests::process::program_path;
use outband_tests::sim::fleet;
use outband_tests::world::{World, eventually};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// A site whose agent is not started, and an admin's token.
fn site() -> World {
    let mut world = World::new(fleet::sound_site(1, 5)).unwrap();
    let mut make = Command::new(program_path("outband-collector"));
    make.args(["token", "admin", "zhao", "--config"]).arg(world.stack.collector_toml());
    let made = make.stdin(Stdio::null()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let token = admin(&world);
    fs::write(&token, made.stdout).unwrap();
    fs::set_permissions(token, fs::Permissions::from_mode(0o600)).unwrap();
    world.stack.start_collector().unwrap();
    world
}

fn admin(world: &World) -> PathBuf {
    world.root.path().join("admin.token")
}

fn outband(world: &World, words: &[&str]) -> Output {
    let mut command = world.stack.outband();
    command.args(words).arg("--token-file").arg(admin(world)).stdin(Stdio::null());
    command.output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// `outband-agent join` into the agent's data directory, with this on its standard input.
fn join(world: &World, line: &[u8]) -> Output {
    let mut command = Command::new(program_path("outband-agent"));
    command.args(["join", "--dir"]).arg(world.root.path().join("agent"));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(line).unwrap();
    child.wait_with_output().unwrap()
}

/// Has the agent's config say what `join` printed.
fn adopt(world: &World) {
    let dir = world.root.path().join("agent").display().to_string();
    let adopted = |toml: String| {
        let lines = toml.lines().map(|line| match line.split_once(" = ") {
            Some(("ca_file", _)) => format!("ca_file = '{dir}/ca.pem'"),
            Some(("token_file", _)) => format!("identity_file = '{dir}/identity.pem'"),
            _ => line.to_owned(),
        });
        lines.collect::<Vec<_>>().join("\n") + "\n"
    };
    world.edit_agent(adopted).unwrap();
}

/// The one agent, as operators see it.
fn agent(world: &World) -> Option<Value> {
    world.list("agents", &["agents"]).unwrap().into_iter().next()
}

#[test]
fn an_agent_joins_by_a_line_streams_by_its_certificate_and_is_cut_off_when_it_is_revoked() {
    let mut world = site();
    let invited = outband(&world, &["agent", "invite", "--site", "dc1", "--agent", "a1"]);
    assert!(invited.status.success(), "{}", said(&invited));
    let joined = join(&world, &invited.stdout);
    assert!(joined.status.success(), "{}", said(&joined));
    let printed = String::from_utf8_lossy(&joined.stdout).into_owned();
    assert!(printed.contains("id = \"a1\"") && printed.contains("identity_file = "), "{printed}");
    let again = join(&world, &invited.stdout);
    assert_eq!(again.status.code(), Some(1), "{}", said(&again));
    assert!(said(&again).contains("lets nobody in"), "{}", said(&again));
    let key = world.root.path().join("agent/identity.pem");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);

    adopt(&world);
    world.stack.start_agent().unwrap();
    world.known(0).unwrap();
    let seen = agent(&world).unwrap();
    assert_eq!((&seen["connected"], &seen["identity"]), (&Value::Bool(true), &Value::from("certificate")), "{seen}");

    let revoked = outband(&world, &["agent", "revoke", "a1", "--why", "stolen"]);
    assert!(revoked.status.success(), "{}", said(&revoked));
    let gone = eventually(|| agent(&world).filter(|a| a["connected"] == Value::Bool(false)));
    assert_eq!(gone.unwrap()["identity"], "revoked", "{}", world.logs());
    let told = eventually(|| world.logs().contains("the certificate of agent a1 was revoked").then_some(()));
    assert!(told.is_some(), "the agent's log says why\n{}", world.logs());
    let verified = outband(&world, &["audit", "verify"]);
    assert!(verified.status.success(), "{}", said(&verified));
}

#[test]
fn an_agent_joins_by_six_words_that_an_operator_reads_and_approves() {
    let mut world = site();
    let toml = fs::read_to_string(world.stack.agent_toml()).unwrap();
    let address = toml.split_once("https://").unwrap().1.split_once('"').unwrap().0.to_owned();
    let mut command = Command::new(program_path("outband-agent"));
    command.args(["join", "--collector", &address, "--agent", "a1", "--dir"]).arg(world.root.path().join("agent"));
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let words = lines.find(|line| line.split_whitespace().count() == 6).unwrap().trim().to_owned();

    let pending = outband(&world, &["agent", "pending", "-o", "json"]);
    let pending: Value = serde_json::from_slice(&pending.stdout).unwrap();
    assert_eq!(
        (&pending["agents"][0]["words"], &pending["agents"][0]["agent"]),
        (&words.as_str().into(), &"agents/a1".into())
    );
    let others = "abandon abandon abandon abandon abandon abandon";
    let refused = outband(&world, &["agent", "approve", others, "--site", "dc1"]);
    assert_eq!(refused.status.code(), Some(3), "{}", said(&refused));
    let approved = outband(&world, &["agent", "approve", &words, "--site", "dc1"]);
    assert!(approved.status.success(), "{}", said(&approved));
    let rest: Vec<String> = lines.collect();
    assert!(child.wait().unwrap().success(), "{rest:?}");

    adopt(&world);
    world.stack.start_agent().unwrap();
    world.known(0).unwrap();
    assert_eq!(agent(&world).unwrap()["identity"], "certificate");
}
