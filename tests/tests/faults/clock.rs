//! Wall clocks that jump by a day and by a year, there and back, under either program: while it runs, and over a restart.

use crate::ground::Ground;
use outband_tests::{skip, wait_until};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) const DAY: i64 = 86_400;
const YEAR: i64 = 365 * DAY;

/// The wall clocks of both programs, each with a step of its own; and whether their disks take anything.
pub(crate) struct Clocks {
    files: [(&'static str, PathBuf); 2],
}

impl Clocks {
    /// Under the programs that `ground` starts from now on. `None` where there is no C compiler.
    pub(crate) fn under(ground: &mut Ground) -> Option<Self> {
        let root = ground.root.path().to_owned();
        let library = root.join("clock.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/clock.c");
        let built = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).status();
        if !built.is_ok_and(|s| s.success()) {
            return None;
        }
        let files = ["outband-agent", "outband-collector"].map(|program| {
            let file = root.join(format!("{program}.clock"));
            std::fs::write(&file, [0; 16]).unwrap();
            ground.stack.set_env(program, "LD_PRELOAD", library.to_str().unwrap());
            ground.stack.set_env(program, "OUTBAND_TEST_CLOCK", file.to_str().unwrap());
            (program, file)
        });
        Some(Self { files })
    }

    /// Puts a program's wall clock so many seconds beside the machine's.
    pub(crate) fn set(&self, program: &str, secs: i64) {
        self.put(program, secs, 0);
    }

    /// Lets a program write nothing to its databases, as on a disk that the system has made read-only after an error; or lets it again.
    pub(crate) fn read_only(&self, program: &str, yes: bool) {
        self.put(program, i64::from(yes), 8);
    }

    fn put(&self, program: &str, value: i64, at: u64) {
        let (_, file) = self.files.iter().find(|(name, _)| *name == program).unwrap();
        // One write of eight bytes, in place: the program has the file mapped.
        std::fs::OpenOptions::new().write(true).open(file).unwrap().write_all_at(&value.to_le_bytes(), at).unwrap();
    }
}

#[test]
fn clocks_that_jump_lose_nothing_and_double_nothing() {
    let mut ground = Ground::new(2, "");
    let Some(clocks) = Clocks::under(&mut ground) else { return skip("jumping clocks: there is no C compiler") };
    ground.start();
    ground.flows(10);
    for step in [DAY, -DAY, YEAR, -YEAR] {
        clocks.set("outband-agent", step);
        ground.happen(1);
        ground.flows(4);
        // A certificate may not be valid yet, or not any more, in the eyes of an agent that starts now: then it waits with what it sees.
        ground.stack.kill_agent().unwrap();
        ground.stack.start_agent().unwrap();
        ground.happen(1);
        clocks.set("outband-agent", 0);
        ground.flows(4);
        ground.each_event_is_there_once();
    }
    for step in [DAY, -DAY, YEAR, -YEAR] {
        let told = |ground: &Ground| ground.log("outband-collector").matches("the wall clock ").count();
        let before = told(&ground);
        clocks.set("outband-collector", step);
        ground.happen(1);
        ground.flows(4);
        assert!(wait_until(crate::ground::PATIENCE, || told(&ground) > before), "{step}: {}", ground.tails());
        ground.stack.kill_collector().unwrap();
        ground.stack.start_collector().unwrap();
        ground.happen(1);
        ground.flows(4);
        clocks.set("outband-collector", 0);
        ground.stack.stop_collector().unwrap();
        ground.stack.start_collector().unwrap();
        ground.flows(2);
        ground.each_event_is_there_once();
    }
    ground.stop();
    let compared = ground.ledger();
    let gaps = ground.number("SELECT count(*) FROM gap WHERE agent IS NOT NULL AND server IS NULL");
    eprintln!(
        "16 jumps: {} log entries, each stored once; {compared} records compared with the spool; {gaps} gaps",
        ground.written()
    );
    assert_eq!((ground.number("SELECT count(DISTINCT spool_id) FROM lane"), gaps), (1, 0), "nothing was given up");
    let doubled = "SELECT count(*) FROM (SELECT 1 FROM ticket GROUP BY server, component, fault HAVING count(*) > 1)";
    assert_eq!(ground.number(doubled), 0, "a ticket is doubled");
}
