//! The tickets that a model would have opened, day by day.

use super::judge::{Alarm, Judge, Outcome, as_f64};
use super::replay::Replay;
use super::source::{Days, Histories, date};
use outband_health::model::{Attribute, Day, DiskModel, HORIZON, History, Verdict, Watch};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Instant;

/// Budgets that the table shows, in false tickets per 100 drive-months.
const BUDGETS: [f64; 6] = [0.02, 0.05, 0.1, 0.2, 0.5, 1.0];

/// The score at which a ticket opens.
pub const THRESHOLD: f64 = 0.5;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ask {
    /// The first day that counts.
    pub from: Day,
    /// The last.
    pub to: Day,
    /// False tickets per 100 drive-months that the operator allows.
    pub budget: f64,
}

/// Drive-days of about the same probability.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Bin {
    /// How many.
    pub rows: usize,
    /// The sum of what was foretold.
    pub foretold: f64,
    /// How many failed within 30 days.
    pub failed: usize,
}

/// What came out.
#[derive(Debug)]
pub struct Report {
    /// Scores of the drives with new errors, by drive and day, from 30 days before the period: 0.5 and more opens a ticket.
    pub alarms: Vec<Alarm>,
    /// The same for counting alone: which errors rose today, and by how much over a month. What a model has to beat.
    pub plain: Vec<Alarm>,
    /// Scored drive-days by probability, ten bins.
    pub bins: [Bin; 10],
    /// Drive-days without new errors, which all get one probability.
    pub quiet: Bin,
}

/// Replays a history that is in memory. The model sees no day later than the one that it scores; the threshold follows the outcomes known
/// by that day.
pub fn run(model: &DiskModel, history: &Histories, ask: Ask, say: &mut dyn FnMut(&str)) -> Report {
    match run_on(model, history, history.days(), ask, say) {
        Ok(report) => report,
        Err(never) => match never {},
    }
}

/// The same of a history whose readings come from elsewhere.
pub fn run_on<D: Days>(
    model: &DiskModel,
    history: &Histories,
    days: D,
    ask: Ask,
    say: &mut dyn FnMut(&str),
) -> Result<Report, D::Error> {
    let mut report =
        Report { alarms: Vec::new(), plain: Vec::new(), bins: [Bin::default(); 10], quiet: Bin::default() };
    let Some(first) = days.first() else { return Ok(report) };
    let begin = (ask.from - HORIZON).max(first);
    let running = running(history, begin, ask.to);
    let mut ends: BTreeMap<Day, Vec<usize>> = BTreeMap::new();
    for (drive, life) in history.lives.iter().enumerate().filter(|(_, l)| l.failed && l.last >= begin) {
        ends.entry(life.last).or_default().push(drive);
    }
    let mut watch: Watch<usize> = Watch::new(model);
    let mut replay = Replay::of(&history.lives, days);
    let mut row = Vec::new();
    let mut spent = 0.0;
    for day in first..=ask.to {
        replay.go_on(day)?;
        if day < begin {
            if (day - first) % 90 == 0 {
                say(&format!("{}: read", date(day)));
            }
            continue;
        }
        let drives = usize::try_from(day - begin).ok().and_then(|i| running.get(i)).copied().unwrap_or(0);
        watch.begin(day, u64::from(drives));
        watch.survey(day, replay.running(day));
        ends.get(&day).into_iter().flatten().for_each(|drive| watch.failed(drive));
        watch.decide(ask.budget);
        let started = Instant::now();
        for (drive, known) in replay.awake() {
            let Some(life) = history.lives.get(drive) else { continue };
            let judged = watch.judge(model, &drive, (known, &life.drive), day, &mut row);
            let Verdict::Scored(score) = judged.verdict else { continue };
            let above = judged.threshold - score.margin;
            report.alarms.push(Alarm { drive, day, score: 1.0 / (1.0 + above.exp()) });
            report.plain.push(Alarm { drive, day, score: plain(known, day) });
            if (ask.from..=ask.to - HORIZON).contains(&day) {
                report.count(judged.probability.unwrap_or_default(), life.fails_within(day, HORIZON));
            }
        }
        spent += started.elapsed().as_secs_f64();
        if (day - begin) % 30 == 0 {
            say(&format!("{}: {} scores", date(day), report.alarms.len()));
        }
    }
    report.quiet = quiet(model, history, ask, &report.bins);
    say(&format!("{:.1} µs a scored drive-day", 1e6 * spent / as_f64(report.alarms.len().max(1))));
    report.alarms.sort_by_key(|a| (a.drive, a.day));
    report.plain.sort_by_key(|a| (a.drive, a.day));
    Ok(report)
}

/// Drives that run on each day.
fn running(history: &Histories, from: Day, to: Day) -> Vec<u32> {
    let on = |day| history.lives.iter().filter(|l| l.is_read_on(day)).count();
    (from..=to).map(|day| u32::try_from(on(day)).unwrap_or(u32::MAX)).collect()
}

/// All drive-days that can be judged, less those that were scored.
fn quiet(model: &DiskModel, history: &Histories, ask: Ask, scored: &[Bin]) -> Bin {
    let days = |from: Day, to: Day| usize::try_from(to - from + 1).unwrap_or(0);
    let mut all = Bin::default();
    for life in &history.lives {
        let first = life.first.max(ask.from);
        let last = (ask.to - HORIZON).min(if life.failed { life.last - 1 } else { life.last });
        all.rows += days(first, last);
        all.failed += if life.failed { days(first.max(life.last - HORIZON), last) } else { 0 };
    }
    let rows = all.rows - scored.iter().map(|b| b.rows).sum::<usize>().min(all.rows);
    let failed = all.failed - scored.iter().map(|b| b.failed).sum::<usize>().min(all.failed);
    Bin { rows, foretold: model.quiet * as_f64(rows), failed }
}

/// Counting alone: which errors rose today, and by how much over a month.
fn plain(known: &History, day: Day) -> f64 {
    let rose = |attribute| {
        let track = known.track(attribute);
        let month = track.now().zip(track.at(day - 30)).map_or(0.0, |(now, then)| now - then);
        (track.last_rise() == Some(day)).then_some(month.max(0.0).ln_1p())
    };
    rose(Attribute::ReportedUncorrectable).map_or(0.0, |month| 1.0 + month)
        + rose(Attribute::PendingSectors).map_or(0.0, |_| 1.0)
        + rose(Attribute::ReallocatedSectors).map_or(0.0, |month| 0.3 * month)
}

impl Report {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a probability times ten, clamped")]
    fn count(&mut self, probability: f64, failed: bool) {
        let bin = (probability * 10.0).clamp(0.0, 9.0) as usize;
        if let Some(bin) = self.bins.get_mut(bin) {
            bin.rows += 1;
            bin.foretold += probability;
            bin.failed += usize::from(failed);
        }
    }

    /// Expected calibration error, the mean distance of what was foretold from what came: over the scored drive-days, and over all.
    pub fn calibration_error(&self) -> (f64, f64) {
        let of = |bins: &mut dyn Iterator<Item = &Bin>| {
            let (rows, off) =
                bins.fold((0, 0.0), |(n, sum), b| (n + b.rows, sum + (b.foretold - as_f64(b.failed)).abs()));
            off / as_f64(rows.max(1))
        };
        (of(&mut self.bins.iter()), of(&mut self.bins.iter().chain(std::iter::once(&self.quiet))))
    }

    /// The judge's table.
    pub fn table(&self, judge: &Judge<'_>, budget: f64) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let mut line = |l: String| writeln!(text, "{l}").unwrap_or_default();
        line(format!("failures in the period {}, drive-months {:.0}", judge.failures, judge.months));
        if judge.months <= 0.0 {
            line("no ticket can be judged: the period has to be longer than 30 days, in which drives run".to_owned());
            return text;
        }
        for wanted in BUDGETS {
            if let Some(outcome) = judge.within(&self.alarms, wanted) {
                line(format!("false <= {wanted:<4}  {outcome}"));
            }
        }
        line(format!("as it runs     {}  (asked: {budget})", judge.at(&self.alarms, THRESHOLD)));
        for wanted in [0.1, 0.2] {
            if let (Some(ours), Some(plain)) = (judge.within(&self.alarms, wanted), judge.within(&self.plain, wanted)) {
                let (difference, low, high) = paired(&ours, &plain, judge.failures);
                line(format!("counting only, {wanted:<4} {plain}"));
                line(format!("  recall above it by {difference:.3}, 95 % of resampled fleets {low:.3} to {high:.3}"));
            }
        }
        let (scored, all) = self.calibration_error();
        line(format!("calibration error (30 days): drives with new errors {scored:.4}, all drives {all:.4}"));
        let told = |name: &str, bin: &Bin| {
            let n = as_f64(bin.rows.max(1));
            let (foretold, came) = (bin.foretold / n, as_f64(bin.failed) / n);
            format!("  {name:<6} {:8} drive-days  foretold {foretold:.4}  came {came:.4}", bin.rows)
        };
        line(told("quiet", &self.quiet));
        for (i, bin) in self.bins.iter().enumerate().filter(|(_, b)| b.rows > 0) {
            line(told(&format!("{i}0 %"), bin));
        }
        text
    }
}

/// How much more of the failures `a` foretold than `b`, and the middle 95 % of 2,000 resamplings of the failed drives.
pub(super) fn paired(a: &Outcome, b: &Outcome, failures: usize) -> (f64, f64, f64) {
    let mut gains: Vec<f64> = a.foretold.keys().filter(|d| !b.foretold.contains_key(*d)).map(|_| 1.0).collect();
    gains.extend(b.foretold.keys().filter(|d| !a.foretold.contains_key(*d)).map(|_| -1.0));
    gains.resize(failures.max(gains.len()), 0.0);
    let n = gains.len().max(1);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        gains.get(usize::try_from(state % u64::try_from(n).unwrap_or(1)).unwrap_or(0)).copied().unwrap_or(0.0)
    };
    let mut means: Vec<f64> = (0..2000).map(|_| (0..n).map(|_| draw()).sum::<f64>() / as_f64(n)).collect();
    means.sort_by(f64::total_cmp);
    let at = |i: usize| means.get(i).copied().unwrap_or(f64::NAN);
    (gains.iter().sum::<f64>() / as_f64(n), at(50), at(1949))
}
