//! Histories of drives as tables: who they are, and on which days what of them changed. In memory, or where it is larger than that in a
//! file by day.

use super::Error;
use crate::backtest::spill::{Row, Spill};
use crate::backtest::table::Table;
use jiff::civil::Date;
use outband_health::model::{Attribute, Day, Drive, Smart, Vendor};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::path::{Path, PathBuf};

/// A drive and its fate.
#[derive(Debug, Clone)]
pub struct Life {
    /// Its id in the tables.
    pub id: String,
    /// Its model, as it names itself.
    pub model: String,
    /// What does not change of it.
    pub drive: Drive,
    /// The first day it was seen.
    pub first: Day,
    /// The day it failed, or the last on which it was seen.
    pub last: Day,
    /// Whether it failed.
    pub failed: bool,
}

impl Life {
    /// Whether it was read on `day`. The day of failure has no reading.
    pub fn is_read_on(&self, day: Day) -> bool {
        self.first <= day && if self.failed { day < self.last } else { day <= self.last }
    }

    /// Whether it failed in the `days` days after `day`.
    pub fn fails_within(&self, day: Day, days: Day) -> bool {
        self.failed && (1..=days).contains(&(self.last - day))
    }
}

/// What one drive reported on one day on which something had changed.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// The day.
    pub day: Day,
    /// The drive, by its place in [`Histories::lives`].
    pub drive: usize,
    /// The values.
    pub smart: Smart,
}

/// Everything that was read, in memory: about 180 bytes a row.
#[derive(Debug, Clone, Default)]
pub struct Histories {
    /// The drives.
    pub lives: Vec<Life>,
    /// What changed, by day and drive.
    pub readings: Vec<Reading>,
}

impl Histories {
    /// Reads `drive,model,vendor,tb,first_day,last_day,failed` and `drive,day,poh,smart_5,…`; both may be compressed (`.zst`).
    /// Columns are found by their names, those of attributes may be missing; bad lines are left out, values that cannot be read count as
    /// not reported, and both are told to `say`.
    pub fn read(drives: &Path, changes: &Path, say: &mut dyn FnMut(&str)) -> Result<Self, Error> {
        let mut history = Self::of_drives(drives, say)?;
        let mut readings = Vec::new();
        history.each_change(changes, say, |reading| {
            readings.push(reading);
            Ok(())
        })?;
        readings.sort_by_key(|r| (r.day, r.drive));
        history.readings = readings;
        Ok(history)
    }

    /// Reads the drives, and puts what changed into a file in `dir`, so that memory holds no more than they: about 160 bytes a row there.
    pub fn spill(drives: &Path, changes: &Path, dir: &Path, say: &mut dyn FnMut(&str)) -> Result<(Self, Spilt), Error> {
        let history = Self::of_drives(drives, say)?;
        let unwritten = |source| Error::Write { path: dir.to_owned(), source };
        let from = history.lives.iter().map(|l| l.first).min().unwrap_or_default();
        let mut spilt =
            Spilt { from, first: None, rows: 0, spill: Spill::new(dir).map_err(unwritten)?, dir: dir.to_owned() };
        history.each_change(changes, say, |reading| spilt.push(&reading))?;
        Ok((history, spilt))
    }

    fn of_drives(drives: &Path, say: &mut dyn FnMut(&str)) -> Result<Self, Error> {
        Ok(Histories { lives: lives(drives, say)?, readings: Vec::new() })
    }

    /// Reads the table of changes, line by line.
    fn each_change(
        &self,
        changes: &Path,
        say: &mut dyn FnMut(&str),
        mut take: impl FnMut(Reading) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let places: BTreeMap<&str, usize> = self.lives.iter().enumerate().map(|(n, l)| (l.id.as_str(), n)).collect();
        let names: Vec<String> = Attribute::ALL.iter().map(|a| format!("smart_{}", a.number())).collect();
        let columns: Vec<(&str, bool)> = [("drive", true), ("day", true), ("poh", false)]
            .into_iter()
            .chain(names.iter().map(|name| (name.as_str(), false)))
            .collect();
        let mut table = Table::open(changes, &columns)?;
        let mut unread = Unread::default();
        let mut told = 0.25;
        while table.next()? {
            let Some((&drive, life)) =
                places.get(table.text(0).as_str()).and_then(|drive| Some((drive, self.lives.get(*drive)?)))
            else {
                table.bad("this drive is not in the other table");
                continue;
            };
            let Some(day) = day(&table.text(1)) else {
                table.bad("no day (YYYY-MM-DD)");
                continue;
            };
            if !(life.first..=life.last).contains(&day) {
                table.bad("the drive was not there on this day");
                continue;
            }
            let mut smart = Smart { hours: unread.number(&table, 2, "poh"), ..Smart::default() };
            for (((i, raw), attribute), name) in smart.raw.iter_mut().enumerate().zip(Attribute::ALL).zip(&names) {
                *raw = unread.number(&table, 3 + i, name).map(|v| attribute.counted(v));
            }
            take(Reading { day, drive, smart })?;
            if table.share() >= told {
                say(&format!("{}: {:.0} % read", changes.display(), 100.0 * told));
                told += 0.25;
            }
        }
        table.complaints().iter().for_each(|c| say(c));
        unread.tell(changes, say);
        Ok(())
    }
}

/// Values that could not be read.
#[derive(Debug, Default)]
struct Unread {
    count: u64,
    shown: Vec<String>,
}

/// So many of them are shown.
const SHOWN: usize = 5;

impl Unread {
    fn number(&mut self, table: &Table, column: usize, name: &str) -> Option<f64> {
        let text = table.text(column);
        if text.is_empty() {
            return None;
        }
        let value = text.parse().ok().filter(|v: &f64| v.is_finite() && *v >= 0.0);
        if value.is_none() {
            self.count += 1;
            if self.shown.len() < SHOWN {
                self.shown.push(format!("{name} of {}, {}: {text:.40}", table.text(0), table.text(1)));
            }
        }
        value
    }

    fn tell(&self, path: &Path, say: &mut dyn FnMut(&str)) {
        if self.count > 0 {
            say(&format!("{}: could not read {} values; they count as not reported", path.display(), self.count));
            self.shown.iter().for_each(|line| say(&format!("  {line}")));
        }
    }
}

/// What changed, in a file by day.
pub struct Spilt {
    from: Day,
    first: Option<Day>,
    rows: u64,
    spill: Spill,
    dir: PathBuf,
}

/// Where power-on hours stand in a spilt row, behind the attributes; and that there was a row at all.
const HOURS: u32 = Attribute::COUNT as u32;
const NOTHING: u32 = HOURS + 1;

impl Spilt {
    /// How many rows there are.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    fn push(&mut self, reading: &Reading) -> Result<(), Error> {
        let place = usize::try_from(reading.day - self.from).unwrap_or_default();
        let at = u32::try_from(reading.drive).unwrap_or(u32::MAX);
        let Smart { hours, raw } = reading.smart;
        let values = (0..).zip(raw).chain([(HOURS, hours)]).filter_map(|(channel, v)| Some((channel, v?)));
        for (channel, value) in values.chain([(NOTHING, 0.0)]) {
            let row = Row { at, channel, value };
            self.spill.push(place, row).map_err(|source| Error::Write { path: self.dir.clone(), source })?;
        }
        self.first = Some(self.first.map_or(reading.day, |first| first.min(reading.day)));
        self.rows += 1;
        Ok(())
    }
}

/// Readings, day by day.
pub trait Days {
    /// Why a day cannot be read.
    type Error;

    /// The first day with a reading.
    fn first(&self) -> Option<Day>;

    /// Gives the readings of a day. Days are asked for in order, each once.
    fn day(&mut self, day: Day, take: &mut dyn FnMut(&Reading)) -> Result<(), Self::Error>;
}

impl Days for Spilt {
    type Error = Error;

    fn first(&self) -> Option<Day> {
        self.first
    }

    fn day(&mut self, day: Day, take: &mut dyn FnMut(&Reading)) -> Result<(), Error> {
        let Ok(place) = usize::try_from(day - self.from) else { return Ok(()) };
        let rows = self.spill.of(place).map_err(|source| Error::Read { path: self.dir.clone(), source })?;
        let mut smart = Smart::default();
        for Row { at, channel, value } in rows {
            if let Some(raw) = smart.raw.get_mut(channel as usize) {
                *raw = Some(value);
            } else if channel == HOURS {
                smart.hours = Some(value);
            } else {
                take(&Reading { day, drive: at as usize, smart });
                smart = Smart::default();
            }
        }
        Ok(())
    }
}

/// Readings in memory, by day.
#[derive(Debug)]
pub struct InMemory<'a>(&'a [Reading]);

impl Histories {
    /// Its readings, day by day.
    pub fn days(&self) -> InMemory<'_> {
        InMemory(&self.readings)
    }
}

impl Days for InMemory<'_> {
    type Error = Infallible;

    fn first(&self) -> Option<Day> {
        self.0.first().map(|r| r.day)
    }

    fn day(&mut self, day: Day, take: &mut dyn FnMut(&Reading)) -> Result<(), Infallible> {
        while let Some((reading, rest)) = self.0.split_first().filter(|(r, _)| r.day <= day) {
            take(reading);
            self.0 = rest;
        }
        Ok(())
    }
}

fn lives(path: &Path, say: &mut dyn FnMut(&str)) -> Result<Vec<Life>, Error> {
    let columns = [
        ("drive", true),
        ("model", true),
        ("vendor", false),
        ("tb", false),
        ("first_day", true),
        ("last_day", true),
        ("failed", true),
    ];
    let mut table = Table::open(path, &columns)?;
    let (mut lives, mut unread) = (Vec::new(), Unread::default());
    let mut seen = BTreeSet::new();
    while table.next()? {
        let (Some(first), Some(last)) = (day(&table.text(4)), day(&table.text(5))) else {
            table.bad("no day (YYYY-MM-DD)");
            continue;
        };
        let (id, kind) = (table.text(0), table.text(2).to_ascii_uppercase());
        let rotating = matches!(kind.as_str(), "SSD" | "NVME").then_some(false);
        if last < first || !seen.insert(id.clone()) {
            table.bad("it ends before it begins, or stands twice");
            continue;
        }
        let drive = Drive {
            family: outband_health::model::family(&table.text(1)),
            vendor: vendor(&kind),
            capacity: unread.number(&table, 3, "tb"),
            rotating,
        };
        lives.push(Life { id, model: table.text(1), drive, first, last, failed: table.bytes(6) == b"1" });
    }
    table.complaints().iter().for_each(|c| say(c));
    unread.tell(path, say);
    Ok(lives)
}

/// A day as the tables write it.
pub fn day(text: &str) -> Option<Day> {
    let date: Date = text.get(..10)?.parse().ok()?;
    Some((date - Date::constant(1970, 1, 1)).get_days())
}

/// A day, as the tables write it.
pub fn date(day: Day) -> String {
    let span = jiff::Span::new().try_days(day).ok();
    let date = span.and_then(|s| Date::constant(1970, 1, 1).checked_add(s).ok());
    date.map_or_else(|| format!("day {day}"), |d| d.to_string())
}

fn vendor(text: &str) -> Vendor {
    match text {
        "ST" | "SEAGATE" => Vendor::Seagate,
        "HGST" | "HITACHI" => Vendor::Hgst,
        "WDC" | "WD" => Vendor::Wdc,
        _ => Vendor::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const DRIVES: &str = "drive,model,vendor,tb,first_day,last_day,failed
A,ST4000DM000,ST,4.0,2015-01-01,2015-03-01,0
B,ST4000DM000,ST,much,2015-01-05,2015-02-01,1
B,ST4000DM000,ST,4.0,2015-01-05,2015-02-01,1
C,X,SSD,4.0,2015-03-01,2015-01-01,0
";
    const CHANGES: &str = "drive,day,poh,smart_5,smart_187,smart_188,smart_197
A,2015-01-01,100,0,0,4295032833,0
A,2015-01-20,556,8,-1,1,
A,2015-01-20,557,9,0,1,2
A,9999-01-01,1,0,0,0,0
B,2015-01-05,9,0,0,x,1e400
Z,2015-01-05,9,0,0,0,0
B,2015-01-20,9,16,0,0,3
";

    fn files() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let (drives, changes) = (dir.path().join("drives.csv"), dir.path().join("changes.csv"));
        fs::write(&drives, DRIVES).unwrap();
        fs::write(&changes, CHANGES).unwrap();
        (dir, drives, changes)
    }

    /// What each day gives.
    fn all<D: Days<Error: std::fmt::Debug>>(mut days: D) -> Vec<String> {
        let mut said = Vec::new();
        let first = days.first().unwrap();
        for day in first..first + 60 {
            days.day(day, &mut |reading| said.push(format!("{reading:?}"))).unwrap();
        }
        said
    }

    #[test]
    fn a_file_by_day_gives_what_memory_gives() {
        let (dir, drives, changes) = files();
        let history = Histories::read(&drives, &changes, &mut |_| {}).unwrap();
        let (spilt, rows) = Histories::spill(&drives, &changes, dir.path(), &mut |_| {}).unwrap();
        assert_eq!((rows.rows(), history.readings.len(), spilt.lives.len()), (5, 5, 2));
        let (ours, theirs) = (all(rows), all(history.days()));
        assert_eq!(ours.len(), 5);
        assert_eq!(ours, theirs);
    }

    #[test]
    fn what_cannot_be_read_is_counted_and_told_and_counts_as_not_reported() {
        let (_dir, drives, changes) = files();
        let mut said = Vec::new();
        let history = Histories::read(&drives, &changes, &mut |line| said.push(line.to_owned())).unwrap();
        let said = said.join("\n");
        assert!(said.contains("drives.csv: could not read 1 values"), "{said}");
        assert!(said.contains("changes.csv: could not read 3 values"), "{said}");
        assert!(said.contains("smart_188 of B, 2015-01-05: x"), "{said}");
        assert!(said.contains("bad lines, left out: 2"), "{said}");
        assert_eq!(history.lives[1].drive.capacity, None);
        let raw = |n: usize, a: Attribute| history.readings[n].smart.raw[a as usize];
        assert_eq!(raw(0, Attribute::CommandTimeouts), Some(1.0), "the low 16 bits, as agents send them");
        assert_eq!(raw(1, Attribute::PendingSectors), None, "1e400 is no number");
        assert_eq!(raw(2, Attribute::ReportedUncorrectable), None, "a counter is not below zero");
    }
}
