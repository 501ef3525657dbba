//! The agent's own program at so many BMCs, spool and all, its uplink to nowhere: what it takes, and whether every poll ends within its period. What was polled
//! when is read from the spool when the agent has ended.

use crate::Args;
use crate::fleet::{Fleet, PASSWORD, Sick, USER};
use crate::many::{SENSORS, is_of_sensor, percentile};
use crate::process::{cpu_of, memory_of};
use outband_proto::convert::decode_set;
use outband_schemas::{Observation, ObservationSet, Section, TargetId};
use outband_spool::{Lane, Options, Spool};
use outband_tests::process::{self, Child};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// One look at the program.
#[derive(Clone, Copy)]
struct Look {
    /// Milliseconds since the Unix epoch.
    at: i64,
    cpu: Duration,
    simulator: Duration,
    resident_kb: f64,
    anonymous_kb: f64,
}

pub(crate) fn run(args: &Args) {
    process::build(&["outband-agent"], true).unwrap();
    let period = args.seconds("--every").unwrap_or(Duration::from_secs(60));
    let lasts = Duration::from_secs(60 * args.number("--minutes").unwrap_or(6) as u64);
    println!(
        "| BMCs | cold start s | polls of sensors after it | longest poll s | longest from one poll to the next s | left out | not whole | % of a core | ms CPU a poll | MB | of that anonymous | spool MB | simulator % of a core |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    // What the program takes without any BMC is not theirs.
    let suite = args.value("--suite").unwrap_or("17");
    let fleet = |bmcs| if args.has("--awake") { Fleet::bmcs(bmcs, Sick::default()) } else { Fleet::napping(bmcs) };
    let none = one(&fleet(0), period, Duration::from_secs(15), suite);
    println!("without BMCs: {:.1} MB, of that {:.1} anonymous", none.resident_kb / 1000.0, none.anonymous_kb / 1000.0);
    for bmcs in args.list("--bmcs", "1000,10000") {
        let with = one(&fleet(bmcs), period, lasts, suite);
        let each = |of: fn(&Look) -> f64| (of(&with) - of(&none)) / bmcs as f64;
        let (resident, anonymous) = (each(|l| l.resident_kb), each(|l| l.anonymous_kb));
        println!(
            "{bmcs} BMCs: {resident:.1} KB a BMC beside what the program takes without any, of that {anonymous:.1} anonymous"
        );
    }
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

fn put(dir: &Path, name: &str, content: &str) {
    std::fs::write(dir.join(name), content).unwrap();
    std::fs::set_permissions(dir.join(name), std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// Runs the agent at a fleet and tells of it; the last look at it.
fn one(fleet: &Fleet, period: Duration, lasts: Duration, suite: &str) -> Look {
    let bmcs = fleet.at.len();
    let dir = tempfile::tempdir_in(std::env::var_os("OUTBAND_DIR").unwrap_or_else(|| "/var/tmp".into())).unwrap();
    let mut targets = "id,url,credentials,cipher\n".to_owned();
    for (n, at) in fleet.at.iter().enumerate() {
        writeln!(targets, "b{n:05},ipmi://{at},c,{suite}").unwrap();
    }
    put(dir.path(), "targets.csv", &targets);
    put(dir.path(), "ca.pem", "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n");
    put(dir.path(), "token", "token");
    put(dir.path(), "pass", PASSWORD);
    let config = format!(
        "targets_csv = \"targets.csv\"\n[agent]\nid = \"a1\"\nsite = \"dc1\"\ndata_dir = \"data\"\n[collector]\nendpoints = [\"https://127.0.0.1:1\"]\n\
         ca_file = \"ca.pem\"\ntoken_file = \"token\"\n[cadence]\nsensors = \"{}s\"\nlog = \"{}s\"\n[credentials.c]\nuser = \"{USER}\"\npassword_file = \"pass\"\n",
        period.as_secs(),
        period.as_secs(),
    );
    put(dir.path(), "agent.toml", &config);
    let log = std::fs::File::create(dir.path().join("log")).unwrap();
    let mut command = Command::new(process::program_path("outband-agent"));
    // As the unit has it.
    command.env("MALLOC_ARENA_MAX", std::env::var("MALLOC_ARENA_MAX").unwrap_or_else(|_| "2".to_owned()));
    command.arg("run").arg("--config").arg(dir.path().join("agent.toml")).stderr(log).stdout(Stdio::null());
    let begun = now();
    let mut agent = Child::start("outband-agent", command.current_dir(dir.path())).unwrap();
    let mut looks = Vec::new();
    let end = Instant::now() + lasts;
    while Instant::now() < end {
        std::thread::sleep(Duration::from_secs(1));
        if let Some(status) = agent.ended().unwrap() {
            let log = std::fs::read_to_string(dir.path().join("log")).unwrap();
            panic!("the agent ended: {status}\n{log}");
        }
        let (resident_kb, anonymous_kb) = memory_of(agent.id());
        let simulator = cpu_of(fleet.pid());
        looks.push(Look { at: now(), cpu: cpu_of(agent.id()), simulator, resident_kb, anonymous_kb });
    }
    let ended = now();
    agent.stop(Duration::from_secs(30)).unwrap();
    let spool = dir.path().join("data/spool.db");
    let size = std::fs::metadata(&spool).unwrap().len() as f64 / 1e6;
    let seen = Seen::read(&spool, ended);
    if std::env::var_os("OUTBAND_DIR").is_some() {
        std::fs::copy(dir.path().join("log"), Path::new(&std::env::var_os("OUTBAND_DIR").unwrap()).join("agent.log"))
            .unwrap();
    }
    if bmcs > 0 {
        seen.tell(bmcs, begun, &looks, size);
    }
    looks.last().copied().unwrap()
}

/// A poll of sensors.
struct Poll {
    begun: i64,
    ended: i64,
    readings: usize,
    left_out: bool,
}

/// What the spool holds.
struct Seen {
    polls: BTreeMap<TargetId, Vec<Poll>>,
    ended: i64,
}

impl Seen {
    fn read(path: &Path, ended: i64) -> Self {
        let spool = Spool::open(path, Options { quota_bytes: 64 << 30, ..Options::default() }, 7, 0).unwrap().spool;
        let mut seen = Self { polls: BTreeMap::new(), ended };
        for lane in Lane::ALL {
            let mut after = 0;
            loop {
                let peek = spool.peek(lane, after, 4 << 20).unwrap();
                if peek.bodies.is_empty() {
                    break;
                }
                after = peek.first_seq + peek.bodies.len() as i64 - 1;
                peek.bodies.iter().for_each(|body| seen.take(decode_set(body).unwrap().set));
            }
        }
        seen
    }

    fn take(&mut self, set: ObservationSet) {
        if set.section != Section::Sensors || set.polled_at.as_millis() > self.ended {
            return;
        }
        let begun = set.polled_at.as_millis();
        let mut poll = Poll { begun, ended: begun, readings: 0, left_out: false };
        for observation in &set.observations {
            poll.readings += usize::from(is_of_sensor(observation));
            match observation {
                Observation::Reading(reading) => {
                    poll.ended = poll.ended.max(reading.observed_at.as_millis());
                }
                Observation::Gap(gap) => poll.left_out |= gap.detail.contains("left out"),
                Observation::Event(_) | Observation::Inventory(_) => {}
            }
        }
        self.polls.entry(set.target).or_default().push(poll);
    }

    fn tell(mut self, bmcs: usize, begun: i64, looks: &[Look], spool_mb: f64) {
        let whole = |poll: &&Poll| poll.readings == SENSORS;
        let first = |polls: &Vec<Poll>| polls.iter().find(whole).map(|p| p.ended);
        let firsts: Vec<_> = self.polls.values().filter_map(first).collect();
        let cold = firsts.iter().max().copied().unwrap_or(self.ended);
        if firsts.len() < bmcs {
            println!("only {} of {bmcs} BMCs were polled whole", firsts.len());
        }
        let (mut took, mut apart, mut left_out, mut not_whole) = (Vec::new(), Vec::new(), 0, 0);
        for polls in self.polls.values_mut() {
            polls.sort_by_key(|p| p.begun);
            let warm: Vec<_> = polls.iter().filter(|p| p.begun >= cold).collect();
            took.extend(warm.iter().map(|p| (p.ended - p.begun) as f64 / 1000.0));
            apart.extend(warm.windows(2).map(|two| (two[1].begun - two[0].begun) as f64 / 1000.0));
            left_out += warm.iter().filter(|p| p.left_out).count();
            not_whole += warm.iter().filter(|p| p.readings != SENSORS).count();
        }
        took.sort_by(f64::total_cmp);
        apart.sort_by(f64::total_cmp);
        let (Some(from), Some(to)) = (looks.iter().find(|l| l.at >= cold), looks.last()) else { return };
        let span = (to.at - from.at) as f64 / 1000.0;
        let share = |of: fn(&Look) -> Duration| (of(to) - of(from)).as_secs_f64() / span * 100.0;
        println!(
            "| {bmcs} | {:.1} | {} | {:.2} | {:.1} | {left_out} | {not_whole} | {:.1} | {:.3} | {:.1} | {:.1} | {spool_mb:.0} | {:.1} |",
            (cold - begun) as f64 / 1000.0,
            took.len(),
            percentile(&took, 1.0),
            percentile(&apart, 1.0),
            share(|l| l.cpu),
            (to.cpu - from.cpu).as_secs_f64() * 1000.0 / took.len() as f64,
            to.resident_kb / 1000.0,
            to.anonymous_kb / 1000.0,
            share(|l| l.simulator),
        );
        println!(
            "  {span:.0} s after the cold start; a poll takes {:.2} s in the middle, 99 % within {:.2} s; {:.1} s of CPU for the cold start, {:.1} MB at most",
            percentile(&took, 0.5),
            percentile(&took, 0.99),
            from.cpu.as_secs_f64(),
            looks.iter().map(|l| l.resident_kb).fold(0.0, f64::max) / 1000.0,
        );
    }
}
