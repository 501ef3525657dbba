//! Two models side by side on one period: what there is to know before a person puts the new one in use. Nothing is put in use here.

use super::backtest::{Ask, Report, THRESHOLD, paired};
use super::judge::{Judge, Outcome};
use super::source::{self, date};
use outband_health::model::{Day, DiskModel};
use std::fmt::Write as _;

/// Budgets at which the two are compared, in false tickets per 100 drive-months.
const BUDGETS: [f64; 3] = [0.05, 0.1, 0.2];

/// A model and what its back-test brought.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// The model.
    pub model: &'a DiskModel,
    /// Its alarms.
    pub report: &'a Report,
}

/// The table: each figure before and after. The recalls are compared by the failures that one of the two foretold and the other did not, with
/// the middle 95 % of 2,000 resamplings of the failed drives.
pub fn table(before: Side<'_>, after: Side<'_>, judge: &Judge<'_>, ask: Ask) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let mut line = |l: String| writeln!(text, "{l}").unwrap_or_default();
    let named = |side: Side<'_>| format!("{} (trained to {})", side.model.version, side.model.trained_to);
    line(format!(
        "before: {}; after: {}; asked of {} to {}, {} failures",
        named(before),
        named(after),
        date(ask.from),
        date(ask.to),
        judge.failures
    ));
    for side in [before, after] {
        if source::day(&side.model.trained_to).is_some_and(|to| to >= ask.from) {
            line(format!(
                "{} was trained on days of this period: it knows what came, and looks better than it is",
                side.model.version
            ));
        }
    }
    if judge.months <= 0.0 {
        line("no ticket can be judged: the period has to be longer than 30 days, in which drives run".to_owned());
        return text;
    }
    line(format!("{:<34}{:>9}{:>9}  difference", "", "before", "after"));
    let row = |what: String, values: (f64, f64), more: &str| {
        format!("{what:<34}{:>9.4}{:>9.4}  {:+.4}{more}", values.0, values.1, values.1 - values.0)
    };
    for budget in BUDGETS {
        let within = |side: Side<'_>| judge.within(&side.report.alarms, budget);
        let (Some(old), Some(new)) = (within(before), within(after)) else { continue };
        line(row(format!("recall at false <= {budget}"), (old.recall, new.recall), &resampled(&old, &new, judge)));
        line(row(format!("precision at false <= {budget}"), (old.precision(), new.precision()), ""));
        line(lead(format!("median lead at false <= {budget}, days"), &old, &new));
    }
    let runs = |side: Side<'_>| judge.at(&side.report.alarms, THRESHOLD);
    let (old, new) = (runs(before), runs(after));
    line(row(format!("as it runs: false tickets ({})", ask.budget), (old.false_rate, new.false_rate), ""));
    line(row("as it runs: recall".to_owned(), (old.recall, new.recall), &resampled(&old, &new, judge)));
    line(row("as it runs: precision".to_owned(), (old.precision(), new.precision()), ""));
    let (old, new) = (before.report.calibration_error(), after.report.calibration_error());
    line(row("calibration error, with new errors".to_owned(), (old.0, new.0), ""));
    line(row("calibration error, all drives".to_owned(), (old.1, new.1), ""));
    line("Nothing was put in use: that is for a person to do ([predict] model in collector.toml).".to_owned());
    text
}

fn resampled(old: &Outcome, new: &Outcome, judge: &Judge<'_>) -> String {
    let (_, low, high) = paired(new, old, judge.failures);
    format!("  (95 % of resampled fleets {low:+.4} to {high:+.4})")
}

/// Whole days; nothing where no ticket came true.
fn lead(what: String, old: &Outcome, new: &Outcome) -> String {
    let told = |days: Option<Day>| days.map_or_else(|| "-".to_owned(), |d| d.to_string());
    let difference = old.lead.zip(new.lead).map_or_else(|| "-".to_owned(), |(old, new)| format!("{:+}", new - old));
    format!("{what:<34}{:>9}{:>9}  {difference}", told(old.lead), told(new.lead))
}

#[cfg(test)]
mod tests;
