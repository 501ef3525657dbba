//! Spoilt trees by the hundred thousand: `cargo bench -p outband-tests --bench redfish_mutants -- 100000 7` walks so many mutants of a seed and counts
//! panics, walks without end, and values that are not there. More numbers after these: only the mutants with these numbers.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program whose output is a count")]

#[path = "../tests/support_redfish/mod.rs"]
mod support_redfish;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use support_redfish::mutant::{Dice, Stand, Tally, run};
use support_redfish::{servable, trees};

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|a| a.parse::<u64>().ok());
    let mutants = usize::try_from(numbers.next().unwrap_or(100_000)).unwrap();
    let seed = numbers.next().unwrap_or(7);
    let only: Vec<usize> = numbers.filter_map(|n| usize::try_from(n).ok()).collect();
    let Some((dir, _)) = trees() else { return };
    let mut dice = Dice(seed);
    let stands: Vec<Stand> = servable(dir).0.iter().map(|name| Stand::new(name, &dir.join(name), &mut dice)).collect();
    // A panic is counted, not shown: there would be one message each.
    std::panic::set_hook(Box::new(|_| {}));
    if !only.is_empty() {
        let one = |number: usize| run(&stands, seed, number, number + 1);
        let findings = only.into_iter().map(one).flat_map(|t| [t.panics, t.hangs, t.lies].concat());
        return findings.for_each(|finding| println!("{finding}"));
    }
    let (began, next) = (Instant::now(), AtomicUsize::new(0));
    let work = || {
        let mut tally = Tally::default();
        loop {
            let from = next.fetch_add(500, Ordering::Relaxed);
            if from >= mutants {
                return tally;
            }
            tally.add(run(&stands, seed, from, (from + 500).min(mutants)));
        }
    };
    let mut tally = Tally::default();
    std::thread::scope(|scope| {
        let other = scope.spawn(work);
        tally.add(work());
        tally.add(other.join().unwrap());
    });
    for (what, list) in [("PANIC", &tally.panics), ("HANG", &tally.hangs), ("INVENTED", &tally.lies)] {
        list.iter().for_each(|finding| println!("{what} {finding}"));
    }
    println!("{:?}", tally.by_kind);
    println!(
        "seed {seed}: {} mutants of {} trees in {:?}, {} observations; the slowest walk took {:?}",
        tally.mutants,
        stands.len(),
        began.elapsed(),
        tally.readings,
        tally.slowest
    );
    println!(
        "{} panics, {} hangs, {} values that are not there",
        tally.panics.len(),
        tally.hangs.len(),
        tally.lies.len()
    );
}
