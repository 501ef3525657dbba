//! Orders, real programs around simulated BMCs: asked for by one person, approved by another, done once, and seen at the BMC.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of a test, outside of its functions")]

use outband_bmc::action::ActionError;
use outband_bmc::client::Bmc;
use outband_bmc::{Credentials, Secret, Target, Trust};
use outband_tests::process::program_path;
use outband_tests::sim::fleet;
use outband_tests::sim::ipmi_bmc::{self, IpmiBmc};
use outband_tests::sim::machine::{Fault, FaultKind, Happening, Machine, Shared};
use outband_tests::sim::redfish_bmc::{self, Login, RedfishServer};
use outband_tests::world::{Answer, World, eventually};
use serde_json::Value;
use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

const REDFISH: usize = 0;
const IPMI: usize = 1;
const BOTH: [usize; 2] = [REDFISH, IPMI];

/// A site on which everything may be asked for; ann and bob work there.
struct Desk {
    world: World,
    servers: Vec<String>,
}

fn desk(agent_allows: &str, collector_more: &str, agent: impl Fn(String) -> String) -> Desk {
    let mut world = World::new(fleet::sound_site(2, 5)).expect("a site");
    let toml = fs::read_to_string(world.stack.collector_toml()).unwrap();
    let orders = "[orders]\nallow = [\"identify\", \"identify_off\", \"collect\", \"reset_bmc\", \"clear_sel\"]\n\
                  per_site_per_hour = 99\nper_model_per_hour = 99\nat_once = 9\n";
    fs::write(world.stack.collector_toml(), format!("{toml}\n{orders}{collector_more}")).unwrap();
    let allow = format!("[orders]\nallow = [{agent_allows}]\n[credentials.bmc]\n");
    world.edit_agent(|toml| agent(toml.replace("[credentials.bmc]\n", &allow))).unwrap();
    for who in ["ann", "bob"] {
        let mut made = Command::new(program_path("outband-collector"));
        made.args(["token", "operator", who, "--config"]).arg(world.stack.collector_toml());
        let made = made.stdin(Stdio::null()).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let path = world.root.path().join(format!("{who}.token"));
        fs::write(&path, made.stdout).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(path, mode).unwrap();
    }
    world.stack.start_collector().unwrap();
    world.stack.start_agent().unwrap();
    let servers = BOTH.iter().map(|s| world.known(*s).expect("a server")).collect();
    Desk { world, servers }
}

const EVERYTHING: &str = "\"identify\", \"identify_off\", \"collect\", \"reset_bmc\", \"clear_sel\"";

impl Desk {
    fn ask(&self, who: &str, words: &[&str]) -> Answer {
        let mut command = self.world.stack.outband();
        command.args(words).arg("--token-file").arg(self.world.root.path().join(format!("{who}.token")));
        let output = command.env("LC_ALL", "C").stdin(Stdio::null()).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Answer { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    fn said(&self, who: &str, words: &[&str]) -> Value {
        let answer = self.ask(who, &[words, &["-o", "json"]].concat());
        assert_eq!(answer.code, Some(0), "{words:?}: {}", answer.err);
        serde_json::from_str(&answer.out).unwrap()
    }

    /// Ann asks for something; the order's number.
    fn request(&self, kind: &str, server: usize, more: &[&str]) -> String {
        let words = [&["orders", "request", kind, &self.servers[server], "--why", "a test"], more].concat();
        let order = &self.said("ann", &words)["orders"][0];
        assert_eq!(order["state"], "requested");
        order["name"].as_str().unwrap().trim_start_matches("orders/").to_owned()
    }

    /// Ann asks, bob approves.
    fn order(&self, kind: &str, server: usize, more: &[&str]) -> String {
        let number = self.request(kind, server, more);
        self.said("bob", &["orders", "approve", &number]);
        number
    }

    fn get(&self, number: &str) -> Value {
        self.said("bob", &["orders", "get", number])
    }

    /// The order once `is` holds of its state.
    fn until(&self, number: &str, is: impl Fn(&str) -> bool) -> Value {
        let found = eventually(|| Some(self.get(number)).filter(|o| is(o["state"].as_str().unwrap_or_default())));
        found.unwrap_or_else(|| panic!("{:#}\n{}", self.get(number), self.world.logs()))
    }

    fn settled(&self, number: &str) -> Value {
        self.until(number, |s| !["requested", "approved", "sent"].contains(&s))
    }

    fn light(&self, server: usize) -> bool {
        self.world.site[server].machine.now().identify
    }
}

#[test]
fn a_light_blinks_after_somebody_else_approved_and_not_before() {
    let desk = desk(EVERYTHING, "", |toml| toml);
    let rehearsed =
        desk.ask("ann", &["orders", "request", "identify", &desk.servers[REDFISH], "--why", "x", "--dry-run"]);
    assert!(rehearsed.out.contains("would be sent: identify to agent a1"), "{}{}", rehearsed.out, rehearsed.err);
    assert!(
        desk.said("ann", &["orders", "list", "--all"])["orders"].as_array().unwrap().is_empty(),
        "a dry run asks for nothing"
    );
    for server in BOTH {
        let number = desk.request("identify", server, &[]);
        let own = desk.ask("ann", &["orders", "approve", &number]);
        assert!(own.code == Some(5) && own.err.contains("somebody else"), "{own:?}");
        assert!(!desk.light(server));
        desk.said("bob", &["orders", "approve", &number]);
        let done = desk.settled(&number);
        assert_eq!(done["state"], "done", "{done:#}");
        assert!(desk.light(server), "{done:#}");
        let what: Vec<&str> = done["changes"].as_array().unwrap().iter().map(|c| c["what"].as_str().unwrap()).collect();
        assert_eq!(what, ["request", "approve", "send", "done"]);
        let off = desk.order("identify_off", server, &[]);
        assert_eq!(desk.settled(&off)["state"], "done");
        assert!(!desk.light(server));
    }
}

#[test]
fn what_the_agents_config_does_not_allow_is_refused_there() {
    let desk = desk("\"collect\"", "", |toml| toml);
    let refused = desk.settled(&desk.order("identify", REDFISH, &[]));
    assert_eq!(refused["state"], "refused", "{refused:#}");
    assert!(refused["detail"].as_str().unwrap().contains("does not allow identify"), "{refused:#}");
    assert!(!desk.light(REDFISH));
}

#[test]
fn a_stop_holds_what_is_approved_and_a_killed_agent_repeats_nothing() {
    let mut desk = desk(EVERYTHING, "", |toml| toml);
    desk.said("ann", &["orders", "stop", "--why", "odd answers"]);
    let held = desk.order("identify", REDFISH, &[]);
    let waits = desk.get(&held);
    assert!(waits["waits_for"].as_str().unwrap().contains("stopped by ann: odd answers"), "{waits:#}");
    // Another order that is settled afterwards shows that there was time to send this one.
    let rejected = desk.request("identify", IPMI, &[]);
    desk.said("bob", &["orders", "reject", &rejected, "--why", "not now"]);
    assert_eq!(desk.settled(&rejected)["state"], "rejected");
    assert!(desk.get(&held)["state"] == "approved" && !desk.light(REDFISH));
    desk.said("bob", &["orders", "resume", "--why", "fine again"]);
    assert_eq!(desk.settled(&held)["state"], "done");
    assert!(desk.light(REDFISH));

    desk.world.site[IPMI].machine.now().silent = true;
    let cut_off = desk.order("identify", IPMI, &[]);
    // Of the two orders so far, the second has to have begun.
    let begun = eventually(|| (desk.world.logs().matches("carrying out an order").count() == 2).then_some(()));
    assert!(begun.is_some(), "{}", desk.world.logs());
    desk.world.stack.kill_agent().unwrap();
    desk.world.site[IPMI].machine.now().silent = false;
    desk.world.stack.start_agent().unwrap();
    let unknown = desk.settled(&cut_off);
    assert_eq!(unknown["state"], "unknown", "{unknown:#}");
    assert!(unknown["detail"].as_str().unwrap().contains("not repeated"), "{unknown:#}");
    let after = desk.settled(&desk.order("collect", IPMI, &[]));
    assert_eq!(after["state"], "done", "{after:#}");
    assert!(!desk.light(IPMI), "it was not done again");
}

#[test]
fn an_order_that_nobody_could_carry_out_in_time_expires() {
    let mut desk = desk(EVERYTHING, "expires_after = \"1m\"\n", |toml| toml);
    desk.world.stack.stop_agent().unwrap();
    let number = desk.order("identify", REDFISH, &[]);
    let waits = eventually(|| {
        let order = desk.get(&number);
        order["waits_for"].as_str().is_some_and(|w| w.contains("not connected")).then_some(())
    });
    assert!(waits.is_some(), "{:#}", desk.get(&number));
    let mut over = desk.settled_within_two_waits(&number);
    assert_eq!(over["state"].take(), "expired", "{over:#}");
    desk.world.stack.start_agent().unwrap();
    assert!(!desk.light(REDFISH));
}

impl Desk {
    fn settled_within_two_waits(&self, number: &str) -> Value {
        let is_over = || Some(self.get(number)).filter(|o| o["state"] != "approved");
        eventually(is_over).or_else(|| eventually(is_over)).unwrap_or_else(|| panic!("{:#}", self.get(number)))
    }
}

#[test]
fn a_bmc_is_reset_once_and_polled_on_afterwards() {
    let desk = desk(EVERYTHING, "", |toml| toml);
    for server in BOTH {
        let number = desk.order("reset_bmc", server, &[]);
        let done = desk.settled(&number);
        assert_eq!(done["state"], "done", "{done:#}\n{}", desk.world.logs());
        let newest = || {
            let ask = ["readings", &desk.servers[server], "--component", "fan"];
            let readings = desk.world.list("readings", &ask).unwrap();
            readings.iter().filter_map(|r| r["observed_at"].as_str().map(str::to_owned)).max().unwrap_or_default()
        };
        let before = newest();
        assert!(eventually(|| (newest() > before).then_some(())).is_some(), "{}", desk.world.logs());
        assert!(eventually(|| (desk.world.site[server].bmc.open_sessions() > 0).then_some(())).is_some());
        assert_eq!(desk.world.site[server].machine.now().bmc_resets, 1);
    }
}

#[test]
fn a_log_is_cleared_only_when_every_entry_of_it_is_stored() {
    // The log is read once, and then not for an hour, whatever the BMCs push.
    let desk = desk(EVERYTHING, "", |toml| {
        toml.replace("log = \"1s\"", "log = \"1h\"").replace("[poll]\n", "[push]\nsse = false\n[poll]\n")
    });
    for server in BOTH {
        let machine = || desk.world.site[server].machine.now();
        let stored = || desk.world.list("events", &["events", &desk.servers[server]]).unwrap().len();
        assert!(eventually(|| (stored() == machine().log.len()).then_some(())).is_some(), "{}", desk.world.logs());
        machine().log(Happening::SystemBoot, true);
        let before = machine().log.len();
        let failed = desk.settled(&desk.order("clear_sel", server, &[]));
        assert_eq!(failed["state"], "failed", "{failed:#}");
        assert!(failed["detail"].as_str().unwrap().contains("not stored at the collector yet"), "{failed:#}");
        assert_eq!(machine().log.len(), before, "nothing was cleared");
    }
    desk.world.edit_agent(|toml| toml.replace("log = \"1h\"", "log = \"1s\"")).unwrap();
    desk.world.stack.reload_agent().unwrap();
    for server in BOTH {
        let machine = || desk.world.site[server].machine.now();
        let stored = || desk.world.list("events", &["events", &desk.servers[server]]).unwrap().len();
        let entries = machine().log.len();
        assert!(eventually(|| (stored() >= entries).then_some(())).is_some(), "{}", desk.world.logs());
        let done = desk.settled(&desk.order("clear_sel", server, &[]));
        assert_eq!(done["state"], "done", "{done:#}");
        assert!(machine().log.entries().any(|e| e.happening == Happening::LogCleared), "{done:#}");
        assert!(stored() >= entries, "what was cleared there is kept here");
    }
}

#[test]
fn what_is_collected_is_kept_with_the_order_and_told_to_its_ticket() {
    let desk = desk(EVERYTHING, "", |toml| toml);
    {
        let mut machine = desk.world.site[REDFISH].machine.now();
        let onset = machine.time;
        machine.add_fault(Fault { kind: FaultKind::DiskWears { bay: 3 }, onset, over: 40.0 });
    }
    let ticket = eventually(|| desk.world.tickets_of(&desk.servers[REDFISH]).unwrap().first().cloned());
    let ticket = ticket.expect("a ticket")["name"].as_str().unwrap().trim_start_matches("tickets/").to_owned();
    let number = desk.order("collect", REDFISH, &["--ticket", &ticket]);
    let done = desk.settled(&number);
    assert_eq!(done["state"], "done", "{done:#}");
    let path = desk.world.root.path().join("bundle.json");
    assert_eq!(desk.ask("ann", &["orders", "file", &number, path.to_str().unwrap()]).code, Some(0));
    let bundle: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let machine = desk.world.site[REDFISH].machine.now();
    assert_eq!(bundle["inventory"][0]["identity"]["serial"], machine.spec.serial.as_str());
    assert!(bundle["log"].as_array().is_some_and(|l| !l.is_empty() && l.iter().all(|e| e["raw"] != "")), "{bundle:#}");
    let password = &desk.world.login.password;
    assert!(!bundle.to_string().contains(password.as_str()));
    let told = eventually(|| {
        let ticket = desk.said("ann", &["tickets", "get", &ticket]).to_string();
        ticket.contains(&format!("Order {number} (collect at")).then_some(ticket)
    });
    let told = told.unwrap_or_else(|| panic!("{}", desk.world.logs()));
    assert_eq!(told.matches(&format!("Order {number} (collect at")).count(), 1);
    assert!(told.contains("asked for by ann, approved by bob"), "{told}");
}

/// A client of a BMC, logged in.
async fn client(url: &str) -> Bmc {
    let target = Target {
        address: url.parse().unwrap(),
        credentials: Credentials::new("monitor", Secret::new("secret-1")),
        cipher: None,
        trust: Trust::FirstUse,
        request_deadline: Duration::from_secs(5),
    };
    Bmc::connect(&target).await.expect("a session")
}

#[tokio::test]
async fn a_login_that_may_only_look_is_told_so_and_changes_nothing() {
    let plan = fleet::sound_site(1, 3).remove(0);
    let machine = Shared::new(Machine::new(plan.spec, Vec::new()), 1.0);
    let login = Login { user: "monitor".to_owned(), password: "secret-1".to_owned() };
    let options = redfish_bmc::Options { login: Some(login), read_only: true, ..Default::default() };
    let redfish = RedfishServer::serve(machine.clone(), options).await.unwrap();
    let mut options = ipmi_bmc::Options::new("monitor", "secret-1");
    options.users[0].privilege = 2;
    let ipmi = IpmiBmc::start(machine.clone(), options).await.unwrap();
    for url in [redfish.url(), ipmi.url()] {
        let mut bmc = client(&url).await;
        for result in [bmc.identify(true).await, bmc.reset().await] {
            let error = result.unwrap_err();
            assert!(
                matches!(error, ActionError::Denied(_)) && error.to_string().contains("Operator"),
                "{url}: {error}"
            );
        }
    }
    assert!(!machine.now().identify && machine.now().bmc_resets == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn redfishtool_sees_the_light_that_was_switched_on() {
    if Command::new("redfishtool").arg("-V").output().is_err() {
        return outband_tests::skip("redfishtool is not installed (Debian package redfishtool)");
    }
    let plan = fleet::sound_site(1, 3).remove(0);
    let machine = Shared::new(Machine::new(plan.spec, Vec::new()), 1.0);
    let login = Login { user: "monitor".to_owned(), password: "secret-1".to_owned() };
    let options = redfish_bmc::Options { login: Some(login), ..Default::default() };
    let service = RedfishServer::serve(machine, options).await.unwrap();
    let mut bmc = client(&service.url()).await;
    for (on, shows) in [(true, "Blinking"), (false, "Off")] {
        bmc.identify(on).await.unwrap();
        let mut tool = tokio::process::Command::new("redfishtool");
        tool.args(["-r", &service.addr.to_string(), "-S", "Always", "-A", "Basic", "-u", "monitor", "-p", "secret-1"]);
        let output = tool.args(["raw", "GET", "/redfish/v1/Systems/1"]).output().await.unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            text.contains(&format!("\"IndicatorLED\": \"{shows}\"")),
            "{text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
