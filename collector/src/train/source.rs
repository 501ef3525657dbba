//! Histories of drives as tables: who they are, and on which days what of them changed.

use super::Error;
use crate::backtest::table::Table;
use jiff::civil::Date;
use outband_health::model::{Attribute, Day, Drive, Smart, Vendor};
use std::collections::BTreeMap;
use std::path::Path;

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
    /// Columns are found by their names, those of attributes may be missing; bad lines are left out and told to `say`.
    pub fn read(drives: &Path, changes: &Path, say: &mut dyn FnMut(&str)) -> Result<Self, Error> {
        let (lives, places) = lives(drives, say)?;
        let names: Vec<String> = Attribute::ALL.iter().map(|a| format!("smart_{}", a.number())).collect();
        let columns: Vec<(&str, bool)> = [("drive", true), ("day", true), ("poh", false)]
            .into_iter()
            .chain(names.iter().map(|name| (name.as_str(), false)))
            .collect();
        let mut table = Table::open(changes, &columns)?;
        let mut readings = Vec::new();
        let mut told = 0.25;
        while table.next()? {
            let Some(&drive) = places.get(&table.text(0)) else {
                table.bad("this drive is not in the other table");
                continue;
            };
            let Some(day) = day(&table.text(1)) else {
                table.bad("no day (YYYY-MM-DD)");
                continue;
            };
            let mut smart = Smart { hours: number(&table, 2), ..Smart::default() };
            for (i, raw) in smart.raw.iter_mut().enumerate() {
                *raw = number(&table, 3 + i);
            }
            readings.push(Reading { day, drive, smart });
            if table.share() >= told {
                say(&format!("{}: {:.0} % read", changes.display(), 100.0 * told));
                told += 0.25;
            }
        }
        table.complaints().iter().for_each(|c| say(c));
        readings.sort_by_key(|r| (r.day, r.drive));
        Ok(Histories { lives, readings })
    }
}

fn lives(path: &Path, say: &mut dyn FnMut(&str)) -> Result<(Vec<Life>, BTreeMap<String, usize>), Error> {
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
    let (mut lives, mut places) = (Vec::new(), BTreeMap::new());
    while table.next()? {
        let (Some(first), Some(last)) = (day(&table.text(4)), day(&table.text(5))) else {
            table.bad("no day (YYYY-MM-DD)");
            continue;
        };
        let (id, kind) = (table.text(0), table.text(2).to_ascii_uppercase());
        let rotating = matches!(kind.as_str(), "SSD" | "NVME").then_some(false);
        let drive = Drive { vendor: vendor(&kind), capacity: number(&table, 3), rotating };
        places.insert(id.clone(), lives.len());
        lives.push(Life { id, model: table.text(1), drive, first, last, failed: table.bytes(6) == b"1" });
    }
    table.complaints().iter().for_each(|c| say(c));
    Ok((lives, places))
}

fn number(table: &Table, column: usize) -> Option<f64> {
    table.text(column).parse().ok().filter(|v: &f64| v.is_finite())
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
