//! `outband-collector train` and `outband-collector backtest --drives`.

use super::backtest::{self, Ask};
use super::compare::{self, Side};
use super::judge::Judge;
use super::source::{self, Histories, date};
use super::{Error, card, fit};
use crate::outfile::OutFile;
use clap::Args;
use outband_health::model::{Day, DiskModel};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The tables of a history.
#[derive(Debug, Args)]
struct Tables {
    /// The drives: drive,model,vendor,tb,first_day,last_day,failed. May be compressed (.zst).
    #[arg(long, value_name = "FILE")]
    drives: PathBuf,
    /// What changed of them: drive,day,poh,smart_5,smart_10,…; a row for each day with a change. May be compressed (.zst).
    #[arg(long, value_name = "FILE")]
    changes: PathBuf,
}

/// Train a disk model on a history, and write it with its card.
#[derive(Debug, Args)]
pub struct Train {
    #[command(flatten)]
    tables: Tables,
    /// The last day to learn from; by default the last of the history.
    #[arg(long, value_name = "DATE", value_parser = parse)]
    to: Option<Day>,
    /// First train on what is before this day and measure on what follows; the figures go on the card.
    #[arg(long, value_name = "DATE", value_parser = parse)]
    validate_from: Option<Day>,
    /// The last day of the validation; by default the last of the history.
    #[arg(long, value_name = "DATE", value_parser = parse, requires = "validate_from")]
    validate_to: Option<Day>,
    /// A model's file that the new one is compared with, on the validation: recall, precision, lead, calibration and what the budget came to,
    /// before and after. Nothing is put in use by it.
    #[arg(long, value_name = "FILE", requires = "validate_from")]
    compare: Option<PathBuf>,
    /// False tickets per 100 drive-months that are allowed.
    #[arg(long, value_name = "N", default_value_t = 0.1)]
    budget: f64,
    /// The model's name and version: letters, digits, dots, dashes, underscores.
    #[arg(long, value_name = "NAME", value_parser = named, default_value = "disk-own")]
    version: String,
    /// Where the data come from, for the card.
    #[arg(long, value_name = "TEXT", default_value = "own fleet")]
    cite: String,
    /// The directory for NAME.json and NAME.md.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// A history of disks, and what is asked of it. None of it is required where the history is another.
#[derive(Debug, Args)]
pub struct Disks {
    /// The drives: drive,model,vendor,tb,first_day,last_day,failed. May be compressed (.zst).
    #[arg(long, value_name = "FILE", required = false, requires_all = ["changes", "from", "to"])]
    drives: PathBuf,
    /// What changed of them: drive,day,poh,smart_5,smart_10,…; a row for each day with a change. May be compressed (.zst).
    #[arg(long, value_name = "FILE", required = false, requires = "drives")]
    changes: PathBuf,
    /// The first day that counts.
    #[arg(long, value_name = "DATE", value_parser = parse, required = false, requires = "drives")]
    from: Day,
    /// The last day that counts.
    #[arg(long, value_name = "DATE", value_parser = parse, required = false, requires = "drives")]
    to: Day,
    /// The disk model's file; by default the model that this program ships.
    #[arg(long, value_name = "FILE", requires = "drives")]
    model: Option<PathBuf>,
    /// False tickets per 100 drive-months that are allowed.
    #[arg(long, value_name = "N", default_value_t = 0.1)]
    budget: f64,
}

fn parse(text: &str) -> Result<Day, String> {
    source::day(text).filter(|_| text.len() == 10).ok_or_else(|| format!("{text} is no day (YYYY-MM-DD)"))
}

/// A name that is one of a file, too, and of no other directory.
fn named(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let named = !text.is_empty() && !text.starts_with(['.', '-']) && text.chars().all(fits);
    named
        .then(|| text.to_owned())
        .ok_or_else(|| format!("{text} is no name of letters, digits, dots, dashes, underscores"))
}

impl Tables {
    fn read(&self, say: &mut dyn FnMut(&str)) -> Result<Histories, Error> {
        let history = Histories::read(&self.drives, &self.changes, say)?;
        say(&format!("{} drives, {} rows", history.lives.len(), history.readings.len()));
        Ok(history)
    }
}

impl Train {
    /// Trains, writes the model and its card, and tells what was measured. What cannot be read, judged or written is told before hours of
    /// training.
    pub fn run(&self, say: &mut dyn FnMut(&str)) -> Result<String, Error> {
        let before = self.compare.as_deref().map(super::load).transpose()?;
        let (json, card) = (Out::new(self.file("json"))?, Out::new(self.file("md"))?);
        let history = self.tables.read(say)?;
        let last = super::replay::Replay::days(&history).ok_or(Error::Empty("the tables hold no reading"))?.1;
        let validation = self.validate_from.map(|from| (from, self.validate_to.unwrap_or(last)));
        let measured = validation.map(|period| self.validate(&history, period, before.as_ref(), say)).transpose()?;
        let (model, facts) = fit::fit(&history, self.to.unwrap_or(last), &self.version, say)?;
        json.write(&serde_json::to_vec(&model).map_err(|e| Error::Grow(e.to_string()))?)?;
        card.write(card::write(&model, &facts, &self.cite, measured.as_deref()).as_bytes())?;
        let files = format!("{} and {}\n", self.file("json").display(), self.file("md").display());
        Ok(measured.unwrap_or_default() + &files)
    }

    /// Trains on what is before a period, and measures on the period.
    fn validate(
        &self,
        history: &Histories,
        (from, to): (Day, Day),
        before: Option<&DiskModel>,
        say: &mut dyn FnMut(&str),
    ) -> Result<String, Error> {
        let judge = Judge::new(history, from, to);
        if judge.months <= 0.0 {
            return Err(Error::Short { from: date(from), to: date(to) });
        }
        let (model, _) = fit::fit(history, from - 1, &self.version, say)?;
        let ask = Ask { from, to, budget: self.budget };
        let report = backtest::run(&model, history, ask, say);
        let table = report.table(&judge, ask.budget);
        let compared = before.map(|old| {
            say(&format!("asking {}", old.version));
            let of_old = backtest::run(old, history, ask, say);
            let (old, new) = (Side { model: old, report: &of_old }, Side { model: &model, report: &report });
            compare::table(old, new, &judge, ask)
        });
        let compared = compared.unwrap_or_default();
        let asked = (date(from), date(to));
        Ok(format!("trained to {}, asked of {} to {}\n{table}{compared}", model.trained_to, asked.0, asked.1))
    }

    fn file(&self, end: &str) -> PathBuf {
        self.out.join(format!("{}.{end}", self.version))
    }
}

impl Disks {
    /// Replays, writes the alarms, and gives the judge's table.
    pub fn run(&self, alarms: &Path, say: &mut dyn FnMut(&str)) -> Result<String, Error> {
        let model = match &self.model {
            Some(path) => super::load(path)?,
            None => super::shipped()?,
        };
        if source::day(&model.trained_to).is_some_and(|to| self.from <= to) {
            say(&format!("{} was trained to {}: of days before, it knows what came", model.version, model.trained_to));
        }
        let unwritten = |source| Error::Write { path: alarms.to_owned(), source };
        // What cannot be written is known before an hour's work.
        let mut out = OutFile::new(alarms).map_err(unwritten)?;
        let dir = alarms.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let (history, rows) = Histories::spill(&self.drives, &self.changes, dir, say)?;
        say(&format!("{} drives, {} rows", history.lives.len(), rows.rows()));
        let ask = Ask { from: self.from, to: self.to, budget: self.budget };
        let report = backtest::run_on(&model, &history, rows, ask, say)?;
        writeln!(out, "drive,day,score").map_err(unwritten)?;
        for alarm in &report.alarms {
            let id = history.lives.get(alarm.drive).map_or("", |l| l.id.as_str());
            writeln!(out, "{id},{},{:.6}", date(alarm.day), alarm.score).map_err(unwritten)?;
        }
        out.keep().map_err(unwritten)?;
        Ok(report.table(&Judge::new(&history, ask.from, ask.to), ask.budget))
    }
}

/// A file that is to be written, and its place.
struct Out {
    path: PathBuf,
    file: OutFile,
}

impl Out {
    fn new(path: PathBuf) -> Result<Self, Error> {
        match OutFile::new(&path) {
            Ok(file) => Ok(Self { path, file }),
            Err(source) => Err(Error::Write { path, source }),
        }
    }

    fn write(self, bytes: &[u8]) -> Result<(), Error> {
        let Self { path, mut file } = self;
        file.write_all(bytes).and_then(|()| file.keep()).map_err(|source| Error::Write { path, source })
    }
}

#[cfg(test)]
mod tests;
