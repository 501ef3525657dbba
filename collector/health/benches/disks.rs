//! What the disk model costs: a drive-day with its windows, a drive-day with its explanation, and a fleet of so many drives on a day.
//!
//! `cargo bench -p outband-health --bench disks -- 120000`

#![allow(clippy::print_stdout, reason = "its output is its answer")]
#![allow(clippy::disallowed_methods, reason = "a bench measures time")]
#![allow(clippy::cast_precision_loss, reason = "counts of a bench")]

use outband_health::model::{
    Attribute, DiskModel, Drive, Field, History, Peers, Polled, SHIPPED, Smart, Verdict, Watch, explain,
};
use std::time::Instant;

/// The last day of the histories.
const TODAY: i32 = 400;

/// A stream of numbers that looks random and is always the same.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// A drive over 400 days. One that ails shows something new in its medium every few days up to today, in as many attributes as there are.
fn history(dice: &mut Dice, ails: bool) -> History {
    let mut history = History::default();
    let mut smart = Smart { hours: Some(20_000.0), ..Smart::default() };
    for raw in &mut smart.raw {
        *raw = Some(0.0);
    }
    history.read(0, &smart);
    for day in 1..=TODAY {
        if ails && (dice.below(4) == 0 || day > TODAY - 2) {
            for attribute in Attribute::ALL {
                if let Some(raw) = smart.raw.get_mut(attribute as usize).and_then(Option::as_mut) {
                    *raw += dice.below(9) as f64;
                }
            }
            smart.hours = smart.hours.map(|h| h + 24.0);
            history.read(day, &smart);
        }
    }
    history
}

fn main() {
    let count = std::env::args().filter_map(|a| a.parse().ok()).next().unwrap_or(120_000_usize);
    let model: DiskModel = match serde_json::from_str(SHIPPED) {
        Ok(model) => model,
        Err(error) => {
            println!("the shipped model is none: {error}");
            return;
        }
    };
    let drive = Drive::of(None, Some("ST4000DM000"), Some(4_000_000_000_000), false);
    let mut dice = Dice(1);
    let peers = Peers::default();
    // As many kinds of histories as fit into no cache, each used by several drives.
    let ailing: Vec<History> = (0..2000).map(|_| history(&mut dice, true)).collect();
    let sound: Vec<History> = (0..2000).map(|_| history(&mut dice, false)).collect();

    let (mut row, mut scored) = (Vec::new(), 0_usize);
    let begun = Instant::now();
    for known in ailing.iter().cycle().take(count) {
        scored += usize::from(matches!(model.judge(known, &drive, &peers, TODAY, &mut row), Verdict::Scored(_)));
    }
    let took = begun.elapsed().as_secs_f64();
    println!(
        "{count} drives that all ail, windows included: {took:.2} s, {:.1} µs a drive ({scored} scored)",
        1e6 * took / count as f64
    );

    let begun = Instant::now();
    let some = count.min(2000);
    let mut parts = 0;
    for known in ailing.iter().take(some) {
        model.judge(known, &drive, &peers, TODAY, &mut row);
        parts += explain(&model.forest, &row, known, TODAY).reasons.len();
    }
    let took = begun.elapsed().as_secs_f64();
    println!("a drive with its explanation: {:.0} µs ({parts} reasons)", 1e6 * took / some as f64);

    // A day as it runs: each drive's polls are closed, one in fifty ails, the threshold follows.
    let names: Vec<u32> = (0..u32::try_from(count).unwrap_or(u32::MAX)).collect();
    let mut fleet: Vec<(History, Polled)> = names
        .iter()
        .map(|n| {
            let of = if n % 50 == 0 { &ailing } else { &sound };
            let known = of.get(*n as usize % of.len()).cloned().unwrap_or_default();
            let mut polled = Polled::default();
            for _ in 0..2 {
                for attribute in Attribute::ALL {
                    polled.take(TODAY + 1, Field::Raw(attribute), known.track(attribute).now().unwrap_or(0.0));
                }
            }
            (known, polled)
        })
        .collect();
    let mut watch = Watch::new(&model);
    let begun = Instant::now();
    watch.begin(TODAY + 1, count as u64);
    watch.decide(0.1);
    let (mut scored, mut opened) = (0_usize, 0_usize);
    for (name, (known, polled)) in names.iter().zip(&mut fleet) {
        polled.close(known);
        let judged = watch.judge(&model, name, (known, &drive), TODAY + 1, &mut row);
        scored += usize::from(matches!(judged.verdict, Verdict::Scored(_)));
        opened += usize::from(judged.opens);
    }
    let took = begun.elapsed().as_secs_f64();
    println!(
        "a day of {count} drives, one in fifty of which ails: {took:.2} s ({scored} scored, {opened} above the threshold)"
    );
}
