//! BMCs that lie among BMCs that do not, with the real programs: the agent goes on, the others are read as before, what is missing is told, and
//! nothing wrong is stored.

#![allow(clippy::expect_used, reason = "helpers of a test, outside of its functions")]

use outband_tests::sim::fleet::{self, Bmc};
use outband_tests::sim::ipmi_bmc::Lies;
use outband_tests::sim::machine::{Machine, RAILS, Shared};
use outband_tests::sim::redfish_bmc::{Fault, Misdeed, Where};
use outband_tests::world::{World, eventually};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const REDFISH: usize = 0;
const IPMI: usize = 1;
const HONEST: [usize; 2] = [2, 3];

/// What a server really measures, by the name under which it is stored; the same for both protocols.
type Truth = BTreeMap<String, f64>;

fn truth(m: &Machine) -> Truth {
    let t = &m.thermal;
    let mut truth = Truth::new();
    let mut add = |key: String, value: f64| truth.insert(key, value);
    for (name, celsius) in [
        ("inlettemp", t.inlet),
        ("exhausttemp", t.exhaust),
        ("cpu1temp", t.cpus[0]),
        ("cpu2temp", t.cpus[1]),
        ("dimmtemp", t.memory),
        ("pchtemp", t.chipset),
    ] {
        add(format!("{name} temperature"), celsius);
    }
    for (i, fan) in t.fans.iter().enumerate() {
        add(format!("fan{} fan_speed", i + 1), fan.rpm);
        add(format!("fan{}duty fan_duty", i + 1), fan.duty);
    }
    for (rail, volts) in RAILS.iter().zip(&m.volts) {
        add(format!("{} voltage", plain(rail.name)), *volts);
    }
    for (i, psu) in m.psus.iter().enumerate() {
        add(format!("psu/{} input_voltage", i + 1), psu.input_volts);
        add(format!("psu/{} input_power", i + 1), psu.input_watts);
        add(format!("psu/{} output_power", i + 1), psu.output_watts);
    }
    add("totalpower power".into(), m.input_watts());
    add("systempowercontrol power".into(), m.input_watts());
    for dimm in &m.dimms {
        add(format!("memory/DIMM_{} correctable_errors", dimm.slot), dimm.corrected as f64);
        add(format!("memory/DIMM_{} uncorrectable_errors", dimm.slot), 0.0);
    }
    add("bmc/1 clock_offset".into(), m.spec.clock_offset_s as f64);
    for drive in &m.drives {
        let mut of_drive = |kind: &str, value: f64| add(format!("disk/Disk{} {kind}", drive.bay), value);
        of_drive("temperature", drive.celsius);
        of_drive("power_on_hours", drive.power_on_hours);
        of_drive("power_cycles", drive.power_cycles as f64);
        of_drive("reallocated_sectors", drive.reallocated as f64);
        of_drive("pending_sectors", drive.pending as f64);
        of_drive("offline_uncorrectable", drive.offline_uncorrectable as f64);
        of_drive("reported_uncorrectable", drive.reported_uncorrectable as f64);
        of_drive("command_timeouts", drive.command_timeouts as f64);
        of_drive("crc_errors", drive.crc_errors as f64);
        of_drive("failure_predicted", f64::from(u8::from(drive.failure_predicted)));
        if let Some(life) = drive.life_left {
            of_drive("life_left", life);
        }
    }
    truth
}

fn plain(name: &str) -> String {
    name.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_lowercase()
}

/// Half a step of the coarser protocol, and a little for the moment between two looks at the machine.
fn tolerance(kind: &str) -> f64 {
    match kind {
        "temperature" => 1.5,
        "fan_speed" => 60.0,
        // BMCs give their time in whole seconds.
        "fan_duty" | "life_left" | "power_on_hours" | "clock_offset" => 1.0,
        "voltage" => 0.07,
        "input_voltage" => 4.0,
        "input_power" | "output_power" => 12.0,
        "power" => 24.0,
        _ => 0.0,
    }
}

/// Looks at a machine all the time; what it measured at least and at most.
struct Witness {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<BTreeMap<String, (f64, f64)>>,
}

impl Witness {
    fn of(machine: &Shared) -> Self {
        let (machine, stop) = (machine.clone(), Arc::new(AtomicBool::new(false)));
        let ended = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut seen: BTreeMap<String, (f64, f64)> = BTreeMap::new();
            while !ended.load(Ordering::Relaxed) {
                for (name, value) in truth(&machine.now()) {
                    let (low, high) = seen.entry(name).or_insert((value, value));
                    (*low, *high) = (low.min(value), high.max(value));
                }
                // The pace of looking, not a wait for anything.
                std::thread::park_timeout(Duration::from_millis(40));
            }
            seen
        });
        Self { stop, thread }
    }

    fn testimony(self) -> BTreeMap<String, (f64, f64)> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("a witness")
    }
}

/// Stored values that the machine never measured, and how many were compared.
fn wrong(history: &[Value], seen: &BTreeMap<String, (f64, f64)>) -> (usize, Vec<String>) {
    let mut compared = 0;
    let mut wrong = Vec::new();
    for reading in history {
        let text = |field: &str| reading[field].as_str().unwrap_or_default();
        let (component, kind) = (text("component"), text("kind"));
        if let Some(state) = reading["state"].as_str() {
            compared += 1;
            if state != "ok" {
                wrong.push(format!("{component} is {state}: {reading}"));
            }
            continue;
        }
        let Some(value) = reading["value"].as_f64() else { continue };
        compared += 1;
        let keys = [format!("{} {kind}", plain(text("sensor"))), format!("{component} {kind}")];
        match keys.iter().find_map(|key| seen.get(key)) {
            None if matches!(kind, "reallocation_events") => {}
            None => wrong.push(format!("nobody measures {component} {kind}: {reading}")),
            Some((low, high)) => {
                let t = tolerance(kind);
                if !(low - t..=high + t).contains(&value) {
                    wrong.push(format!("{component} {kind} is {value}, and was {low} to {high}"));
                }
            }
        }
    }
    (compared, wrong)
}

struct Scene {
    world: World,
    names: Vec<String>,
}

impl Scene {
    /// A site with its four servers known; fans differ, so that one is not taken for another.
    fn new() -> Self {
        let world = World::new(fleet::sound_site(4, 11)).expect("a site");
        for server in &world.site {
            for (i, fan) in server.machine.now().thermal.fans.iter_mut().enumerate() {
                fan.vigour = 0.76 + 0.04 * i as f64;
            }
        }
        let mut world = world;
        world.stack.start_collector().expect("a collector");
        world.stack.start_agent().expect("an agent");
        let names = (0..4).map(|i| world.known(i).expect("a server")).collect();
        Self { world, names }
    }

    /// How often the fans of a server were read so far: that which was read least.
    fn polls(&self, server: usize) -> usize {
        let ask = ["readings", &self.names[server], "--component", "fan", "--kind", "fan_speed", "--from", "10m"];
        let history = self.world.list("readings", &[&ask[..], &["--limit", "0"]].concat()).expect("an answer");
        let mut polls: BTreeMap<String, usize> = BTreeMap::new();
        for reading in history {
            *polls.entry(reading["component"].to_string()).or_default() += 1;
        }
        polls.into_values().min().unwrap_or_default()
    }

    fn history(&self, server: usize) -> Vec<Value> {
        let ask = ["readings", &self.names[server], "--from", "10m", "--limit", "0"];
        self.world.list("readings", &ask).expect("an answer")
    }

    /// Waits for a gap of a server that is as `is` says.
    fn gap(&self, server: usize, is: impl Fn(&Value) -> bool) {
        let ask = ["gaps", &self.names[server], "--limit", "0"];
        let mut last = Vec::new();
        let found = eventually(|| {
            last = self.world.list("gaps", &ask).expect("an answer");
            last.iter().any(&is).then_some(())
        });
        assert!(found.is_some(), "no such gap among {last:#?}\n{}", self.world.logs());
    }

    /// Waits until a server was polled so many times more.
    fn polled(&self, server: usize, more: usize) {
        let goal = self.polls(server) + more;
        let there = eventually(|| (self.polls(server) >= goal).then_some(()));
        assert!(there.is_some(), "server {server} is at {} of {goal} polls\n{}", self.polls(server), self.world.logs());
    }

    /// What holds whatever a liar does: the programs run, the honest are read in their rhythm, nobody blames a sound part.
    fn assert_unmoved(&mut self, before: [usize; 2], since: Instant) {
        let elapsed = since.elapsed().as_secs();
        assert!(self.world.stack.runs().expect("a look"), "a program ended\n{}", self.world.logs());
        for (server, before) in HONEST.into_iter().zip(before) {
            let polls = (self.polls(server) - before) as u64;
            // One a second; a loaded machine may lose some, a liar that held up the others would cost most.
            assert!(polls * 2 >= elapsed, "server {server}: {polls} polls in {elapsed} s");
            eprintln!("honest server {server}: {polls} polls in {elapsed} s");
        }
        let tickets = self.world.list("tickets", &["tickets", "list", "--all"]).expect("an answer");
        let of_part = |t: &&Value| t["fault"] != "bmc_silent";
        assert_eq!(tickets.iter().filter(of_part).count(), 0, "{tickets:#?}");
    }
}

#[test]
fn an_ipmi_bmc_that_lies_costs_only_itself_and_no_wrong_value_is_stored() {
    let mut scene = Scene::new();
    let (since, before) = (Instant::now(), HONEST.map(|s| scene.polls(s)));
    let witness = Witness::of(&scene.world.site[IPMI].machine);
    let lie = |told: &dyn Fn(&mut Lies)| {
        let mut lies = Lies::default();
        told(&mut lies);
        match &scene.world.site[IPMI].bmc {
            Bmc::Ipmi(bmc) => bmc.set_lies(lies),
            Bmc::Redfish(_) => panic!("not the liar"),
        }
    };
    // Now and then: every answer can be had by asking again.
    lie(&|lies| {
        (lies.truncate_every, lies.flip_every, lies.double_every, lies.lose_every) = (17, 29, 3, 31);
        lies.late_every = (23, Duration::from_millis(400));
    });
    scene.polled(IPMI, 4);
    // Three of four answers are bad in one way or another.
    lie(&|lies| {
        (lies.lose_every, lies.truncate_every, lies.flip_every) = (2, 3, 5);
        lies.late_every = (7, Duration::from_millis(900));
    });
    scene.gap(IPMI, |g| g["cause"].as_str().is_some_and(|c| !c.is_empty()));
    lie(&|_| {});
    scene.polled(IPMI, 2);

    let seen = witness.testimony();
    let (compared, wrong) = wrong(&scene.history(IPMI), &seen);
    assert_eq!(wrong, Vec::<String>::new(), "of {compared}");
    assert!(compared > 200, "only {compared} values");
    eprintln!("IPMI liar: {compared} stored values compared, {} wrong", wrong.len());
    scene.assert_unmoved(before, since);
}

#[test]
fn a_redfish_bmc_that_lies_costs_only_itself_and_no_wrong_value_is_stored() {
    let mut scene = Scene::new();
    let (since, before) = (Instant::now(), HONEST.map(|s| scene.polls(s)));
    let witness = Witness::of(&scene.world.site[REDFISH].machine);
    let lie = |at: &str, misdeed: Misdeed| match &scene.world.site[REDFISH].bmc {
        Bmc::Redfish(service) => {
            service.set_faults(vec![Fault::always(Where::At(format!("/redfish/v1{at}")), misdeed)])
        }
        Bmc::Ipmi(_) => panic!("not the liar"),
    };
    for (at, misdeed, cause) in [
        ("/Chassis/1/Thermal", Misdeed::Html(200), "bmc_error"),
        ("/Chassis/1/Power", Misdeed::TruncatedJson, "malformed"),
        ("/Chassis/1/Thermal", Misdeed::Status(503), "busy"),
        ("/Systems/1/Storage/RAID1/Drives/3", Misdeed::Hang, "timeout"),
    ] {
        lie(at, misdeed);
        scene.gap(REDFISH, |g| g["cause"] == cause && g["source"].as_str().is_some_and(|s| s.contains(at)));
    }

    // Numbers that are none, and numbers as text.
    let (cpu, fan) = {
        let machine = scene.world.site[REDFISH].machine.now();
        (machine.thermal.cpus[0], machine.thermal.fans[0].rpm)
    };
    let well = json!({"State": "Enabled", "Health": "OK"});
    let odd = json!({
        "@odata.id": "/redfish/v1/Chassis/1/Thermal",
        "Temperatures": [
            {"MemberId": "0", "Name": "Inlet Temp", "PhysicalContext": "Intake", "ReadingCelsius": null, "Status": well},
            {"MemberId": "1", "Name": "Exhaust Temp", "ReadingCelsius": "N/A", "Status": well},
            {"MemberId": "2", "Name": "CPU1 Temp", "PhysicalContext": "CPU", "ReadingCelsius": format!("{cpu:.1}"), "Status": well},
            17, null,
        ],
        "Fans": [
            {"MemberId": "0", "Name": "Fan 1", "Reading": format!("{fan:.0}"), "ReadingUnits": "RPM", "Status": well},
            {"MemberId": "1", "Name": "Fan 2", "Reading": null, "ReadingUnits": "RPM", "Status": well},
        ],
    });
    lie("/Chassis/1/Thermal", Misdeed::Body(odd.to_string().into()));
    let told = eventually(|| {
        let latest = scene.world.list("readings", &["readings", &scene.names[REDFISH]]).expect("an answer");
        let of = |sensor: &str| latest.iter().find(|r| r["sensor"] == sensor && r["kind"] != "state").cloned();
        let quality = |sensor: &str| of(sensor).map(|r| (r["quality"].clone(), r["value"].is_number()));
        let coerced = Some((json!("suspect"), true));
        let missing = Some((json!("unavailable"), false));
        (quality("Inlet Temp") == missing
            && quality("Exhaust Temp") == missing
            && quality("Fan 2") == missing
            && quality("CPU1 Temp") == coerced
            && quality("Fan 1") == coerced)
            .then_some(())
    });
    let latest = scene.world.ask(&["readings", &scene.names[REDFISH], "-o", "csv"]).expect("an answer");
    assert!(told.is_some(), "{}\n{}", latest.out, scene.world.logs());
    match &scene.world.site[REDFISH].bmc {
        Bmc::Redfish(service) => service.set_faults(Vec::new()),
        Bmc::Ipmi(_) => panic!("not the liar"),
    }
    scene.polled(REDFISH, 2);

    let seen = witness.testimony();
    let (compared, wrong) = wrong(&scene.history(REDFISH), &seen);
    assert_eq!(wrong, Vec::<String>::new(), "of {compared}");
    assert!(compared > 300, "only {compared} values");
    eprintln!("Redfish liar: {compared} stored values compared, {} wrong", wrong.len());
    scene.assert_unmoved(before, since);
}
