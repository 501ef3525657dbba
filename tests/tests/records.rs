//! Records of a customer, real programs: exported and verified, held, erased.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of a test, outside of its functions")]

use outband_tests::process::program_path;
use outband_tests::sim::fleet;
use outband_tests::sim::machine::{Fault, FaultKind};
use outband_tests::world::{Answer, World, eventually};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// A site with a ticket on which wang, of the customer, has said something. Zhao keeps the records.
struct Desk {
    world: World,
    site: String,
    ticket: String,
}

fn desk() -> Desk {
    let mut world = World::new(fleet::sound_site(1, 5)).expect("a site");
    for (role, who) in [("admin", "zhao"), ("operator", "wang")] {
        let mut made = Command::new(program_path("outband-collector"));
        made.args(["token", role, who, "--config"]).arg(world.stack.collector_toml());
        let made = made.stdin(Stdio::null()).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let path = world.root.path().join(format!("{who}.token"));
        fs::write(&path, made.stdout).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    world.stack.start_collector().unwrap();
    world.stack.start_agent().unwrap();
    let server = world.known(0).expect("a server");
    {
        let mut machine = world.site[0].machine.now();
        let onset = machine.time;
        machine.add_fault(Fault { kind: FaultKind::DiskWears { bay: 3 }, onset, over: 40.0 });
    }
    let ticket = eventually(|| world.tickets_of(&server).unwrap().first().cloned()).expect("a ticket");
    let ticket = ticket["name"].as_str().unwrap().trim_start_matches("tickets/").to_owned();
    let mut desk = Desk { world, site: String::new(), ticket };
    let site = desk.said("zhao", &["servers"])["servers"][0]["site"].as_str().unwrap().to_owned();
    desk.site = site.trim_start_matches("sites/").to_owned();
    let said = desk.ask("wang", &["tickets", "comment", &desk.ticket, "wang was at the rack"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    desk
}

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
        serde_json::from_str(&answer.out).unwrap_or_else(|e| panic!("{words:?}: {e}: {}", answer.out))
    }

    fn export(&self, file: &Path) {
        let said = self.ask("zhao", &["record", "export", "--site", &self.site, file.to_str().unwrap()]);
        assert_eq!(said.code, Some(0), "{}", said.err);
    }

    fn verified(&self, file: &Path) -> Answer {
        self.ask("zhao", &["record", "verify", file.to_str().unwrap()])
    }

    fn ticket(&self) -> Value {
        self.said("zhao", &["tickets", "get", &self.ticket])
    }

    /// What people have put into the ticket. All else in it may change at any time: its clocks run in business hours, its disk wears on.
    fn of_people(&self) -> Value {
        let mut ticket = self.ticket();
        ["assignee", "accesses", "comments", "resolution", "root_cause"].map(|part| ticket[part].take()).into()
    }

    fn audit_is_whole(&self) {
        let whole = self.ask("zhao", &["audit", "verify"]);
        assert_eq!(whole.code, Some(0), "{}{}", whole.out, whole.err);
    }
}

#[test]
fn an_export_is_verified_and_one_bit_that_flips_anywhere_in_it_is_found() {
    let desk = desk();
    let file = desk.world.root.path().join("evidence.zip");
    desk.export(&file);
    let sound = desk.verified(&file);
    assert_eq!(sound.code, Some(0), "{}{}", sound.out, sound.err);
    let bytes = fs::read(&file).unwrap();
    assert!(bytes.windows(20).any(|w| w == b"wang was at the rack"));
    let broken = desk.world.root.path().join("broken.zip");
    for part in 0..24 {
        let mut spoilt = bytes.clone();
        // Each in another place, the first and the last byte among them.
        let at = part * (bytes.len() - 1) / 23;
        spoilt[at] ^= 1 << (part % 8);
        fs::write(&broken, spoilt).unwrap();
        let found = desk.verified(&broken);
        assert!(found.code != Some(0), "the bit {} of byte {at} of {}: {}", part % 8, bytes.len(), found.out);
    }
    let told = desk.said("zhao", &["audit", "list"]).to_string();
    assert!(told.contains("RecordService/ExportCustomer") && told.contains("manifest sha256:"), "{told}");
}

#[test]
fn what_is_held_is_not_erased_a_dry_run_changes_nothing_and_then_the_name_is_nowhere() {
    let desk = desk();
    let erase = |more: &[&str]| {
        let words = ["record", "erase-customer", "--site", &desk.site, "--person", "wang"];
        desk.ask("zhao", &[&words[..], more].concat())
    };
    let before = desk.of_people();
    assert!(before.to_string().contains("wang was at the rack"), "{before}");
    let counted = erase(&["-o", "json"]);
    assert_eq!(counted.code, Some(0), "{}", counted.err);
    let counted: Value = serde_json::from_str(&counted.out).unwrap();
    assert!(counted["ticket_entries"].to_string().trim_matches('"').parse::<u32>().unwrap() >= 1, "{counted:#}");
    assert_eq!(desk.of_people(), before, "a dry run changes nothing");

    let held = desk.ask("zhao", &["record", "holds", "add", "--site", &desk.site, "--why", "a dispute"]);
    assert_eq!(held.code, Some(0), "{}", held.err);
    let refused = erase(&["--yes"]);
    assert!(refused.code != Some(0) && refused.err.contains("held"), "{refused:?}");
    assert_eq!(desk.of_people(), before, "nothing of what is held is erased");
    let released = desk.ask("zhao", &["record", "holds", "release", "1", "--why", "settled"]);
    assert_eq!(released.code, Some(0), "{}", released.err);

    let erased = erase(&["--yes"]);
    assert_eq!(erased.code, Some(0), "{}", erased.err);
    let after = desk.ticket().to_string();
    assert!(!after.contains("wang"), "{after}");
    desk.audit_is_whole();
    let file = desk.world.root.path().join("evidence.zip");
    desk.export(&file);
    assert_eq!(desk.verified(&file).code, Some(0));
    assert!(!fs::read(&file).unwrap().windows(4).any(|w| w == b"wang"));
}
