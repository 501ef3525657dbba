//! Captured trees with one resource spoilt, walked in memory: the walk neither panics nor goes on for ever, and tells nothing that is not there.
//!
//! `OUTBAND_MUTANTS=100000 OUTBAND_MUTANT_SEED=7` makes it a long run; `cargo bench -p outband-tests --bench redfish_mutants` is the same with counts.

#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

mod support_redfish;

use outband_schemas::{Observation, Quality, Section, Timestamp, Value};
use std::sync::OnceLock;
use support_redfish::mutant::{Dice, Stand, Tally, run, told, unchanged};
use support_redfish::oracle::Oracle;
use support_redfish::times::means;
use support_redfish::{servable, trees};

fn stands() -> Option<&'static [Stand]> {
    static STANDS: OnceLock<Vec<Stand>> = OnceLock::new();
    let (dir, _) = trees()?;
    let made = STANDS.get_or_init(|| {
        let mut dice = Dice(1);
        servable(dir).0.iter().map(|name| Stand::new(name, &dir.join(name), &mut dice)).collect()
    });
    Some(made)
}

fn stand(name: &str) -> Option<&'static Stand> {
    stands()?.iter().find(|s| s.name == name)
}

fn number(name: &str, otherwise: usize) -> usize {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn unchanged_trees_give_the_oracle_nothing_to_say() {
    let Some(stands) = stands() else { return };
    let lies = unchanged(stands);
    assert!(
        lies.is_empty(),
        "{} of them:\n{}",
        lies.len(),
        lies.iter().take(40).cloned().collect::<Vec<_>>().join("\n")
    );
}

#[test]
fn mutants_of_every_tree_neither_panic_nor_hang_nor_make_up_a_value() {
    let Some(stands) = stands() else { return };
    let (mutants, seed) = (number("OUTBAND_MUTANTS", 3000), number("OUTBAND_MUTANT_SEED", 1));
    let seed = u64::try_from(seed).unwrap();
    let half = mutants / 2;
    let mut tally = Tally::default();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| run(stands, seed, 0, half));
        tally.add(run(stands, seed, half, mutants));
        tally.add(first.join().unwrap());
    });
    let bad: Vec<String> = [("PANIC", &tally.panics), ("HANG", &tally.hangs), ("INVENTED", &tally.lies)]
        .into_iter()
        .flat_map(|(what, list)| list.iter().map(move |l| format!("{what} {l}")))
        .collect();
    eprintln!(
        "{} mutants, {} observations, the slowest walk took {:?}; {:?}",
        tally.mutants, tally.readings, tally.slowest, tally.by_kind
    );
    assert!(
        bad.is_empty(),
        "{} panics, {} hangs, {} invented; the first:\n{}",
        tally.panics.len(),
        tally.hangs.len(),
        tally.lies.len(),
        bad.iter().take(30).cloned().collect::<Vec<_>>().join("\n")
    );
}

/// What the oracle says after one observation was falsified.
fn planted(tree: &str, section: Section, falsify: impl FnOnce(&mut Vec<Observation>) -> bool) -> Option<usize> {
    let (mut observations, tree, inline) = told(stand(tree)?, section);
    assert!(falsify(&mut observations), "there is something to falsify");
    Some(Oracle { tree, inline, spoilt: None }.lies(observations.iter()).len())
}

#[test]
fn a_number_that_was_made_up_is_found_out() {
    let lies = planted("hpe-emu-DL360", Section::Sensors, |told| {
        told.iter_mut().any(|o| match o {
            Observation::Reading(r) if r.quality == Quality::Good => match &mut r.value {
                Some(Value::Number(n)) => {
                    *n += 0.123;
                    true
                }
                _ => false,
            },
            _ => false,
        })
    });
    assert!(lies.is_none_or(|n| n == 1), "{lies:?}");
}

#[test]
fn a_state_that_was_made_up_is_found_out() {
    let lies = planted("hpe-emu-DL360", Section::Sensors, |told| {
        told.iter_mut().any(|o| match o {
            Observation::Reading(r) => match &mut r.value {
                Some(Value::State { text, .. }) => {
                    text.push_str(", Splendid");
                    true
                }
                _ => false,
            },
            _ => false,
        })
    });
    assert!(lies.is_none_or(|n| n == 1), "{lies:?}");
}

#[test]
fn a_time_a_serial_and_a_clock_that_were_made_up_are_found_out() {
    let time = planted("hpe-emu-DL360", Section::Log, |told| {
        told.iter_mut().any(|o| match o {
            Observation::Event(e) if e.bmc_time.is_some() => {
                e.bmc_time = e.bmc_time.map(|t| Timestamp::from_millis(t.as_millis() + 1000));
                true
            }
            _ => false,
        })
    });
    assert!(time.is_none_or(|n| n == 1), "{time:?}");
    let inventory = planted("hpe-emu-DL360", Section::Inventory, |told| {
        told.iter_mut().any(|o| match o {
            Observation::Inventory(i) => {
                i.bmc_clock_offset_ms = i.bmc_clock_offset_ms.map(|o| o + 1);
                i.parts.first_mut().is_some_and(|p| p.serial.replace("MADEUP".to_owned()).as_deref() != Some("MADEUP"))
            }
            _ => false,
        })
    });
    assert!(inventory.is_none_or(|n| n == 2), "{inventory:?}");
}

#[test]
fn the_oracle_reads_times_as_a_calendar_does() {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    for (text, time) in [
        ("2024-08-08T18:48:07-05:00", "2024-08-08T23:48:07Z"),
        ("2024-02-29 23:59:59", "2024-02-29T23:59:59Z"),
        ("1999-12-31T23:00:00.500Z", "1999-12-31T23:00:00.500Z"),
        ("2023-01-01T00:30:00+0100", "2022-12-31T23:30:00Z"),
    ] {
        assert!(means(text, at(time)), "{text}");
    }
    assert!(!means("2024-08-08T18:48:07Z", at("2024-08-08T18:48:08Z")));
}
