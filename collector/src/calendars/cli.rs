//! `outband-collector calendar`: looking at calendars, and taking in a new year.

use super::{Error, Shelf, checked};
use clap::{Subcommand, ValueEnum};
use outband_schemas::Timestamp;
use outband_ticket::calendar::ical::{Import, Terms, import};
use outband_ticket::calendar::{Weekday, tzdb_version};
use outband_ticket::{Calendar, CalendarRevision};
use serde::Serialize;
use std::fmt::Write as _;
use std::fs;
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// What is asked of the calendars.
#[derive(Debug, Subcommand)]
pub enum Ask {
    /// List the calendars that clocks may name, and until when the holidays of each are known.
    List {
        /// How to print.
        #[arg(short, long, value_enum, default_value_t = Format::Text)]
        output: Format,
    },
    /// Print a calendar as JSON.
    Show {
        /// Its name.
        name: String,
    },
    /// Check every calendar; exit code 1 where one is of no use, a warning where its holidays are known for less than 60 days more.
    Check {
        /// How to print.
        #[arg(short, long, value_enum, default_value_t = Format::Text)]
        output: Format,
    },
    /// Take in holidays from iCalendar files as a new revision of a calendar.
    ///
    /// Events marked 班, 补班, 上班 or "working day" become make-up days, others that last whole days become holidays, and closed
    /// hours become breaks. What is not understood is listed. In the years that the files tell of, they take the place of what was
    /// known before. A running collector counts by the new revision after SIGHUP.
    Import {
        /// The calendar: one that exists, or the name of a new one.
        name: String,
        /// The files.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// The years to take, e.g. 2027 or 2027-2028.
        #[arg(long, value_name = "YEARS")]
        years: String,
        /// For a new name: the calendar from which it takes zone and hours.
        #[arg(long, value_name = "NAME", default_value = "weekdays-9-18")]
        like: String,
        /// For a new name: its zone, e.g. Asia/Shanghai.
        #[arg(long, value_name = "ZONE")]
        tz: Option<String>,
        /// Say what would change, and keep nothing.
        #[arg(long)]
        dry_run: bool,
    },
}

/// For how many days ahead holidays should be known.
const AHEAD_DAYS: i64 = 60;

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// The language of people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lang {
    /// English.
    En,
    /// Chinese.
    Zh,
}

impl Lang {
    /// That of the locale, as POSIX ranks the variables.
    pub fn of_environment() -> Self {
        let set = |key: &&str| std::env::var(key).ok().filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_MESSAGES", "LANG"].iter().find_map(set);
        if locale.is_some_and(|l| l.starts_with("zh")) { Self::Zh } else { Self::En }
    }

    fn of(self, en: &'static str, zh: &'static str) -> &'static str {
        if self == Self::Zh { zh } else { en }
    }
}

/// A calendar as it is listed.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    revision: u32,
    zone: String,
    /// The first and the last date whose holidays are known.
    valid_from: Option<String>,
    valid_until: Option<String>,
    source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<State>,
}

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Right,
    /// Its holidays are known for less than [`AHEAD_DAYS`] more.
    EndsSoon,
    NeverOpen,
}

impl Row {
    fn of(revision: &CalendarRevision) -> Self {
        Self {
            name: revision.id.clone(),
            revision: revision.revision,
            zone: revision.spec.tz.clone(),
            valid_from: revision.valid_from.clone(),
            valid_until: revision.valid_until.clone(),
            source: revision.source.clone(),
            state: None,
        }
    }

    fn checked(&self, lang: Lang) -> String {
        let (name, until) = (&self.name, self.valid_until.as_deref().unwrap_or("-"));
        match (self.state, lang) {
            (Some(State::NeverOpen), _) => {
                format!("{name}: {}", lang.of("never open from now on", "从现在起再无服务时间"))
            }
            (Some(State::EndsSoon), Lang::En) => {
                format!(
                    "{name}: holidays are known until {until} only; later answers are flagged. Import the next year."
                )
            }
            (Some(State::EndsSoon), Lang::Zh) => {
                format!("{name}: 节假日仅已知至 {until}，之后的结果会加注标记。请导入下一年日历。")
            }
            _ => format!("{name}: {}", lang.of("right", "正常")),
        }
    }
}

fn state(calendar: &Calendar, now: Timestamp) -> State {
    let soon = Timestamp::from_millis(now.as_millis().saturating_add(AHEAD_DAYS * 86_400_000));
    match calendar.valid() {
        _ if calendar.opens_at(now).is_none() => State::NeverOpen,
        Some((_, end)) if end < soon => State::EndsSoon,
        _ => State::Right,
    }
}

fn json(rows: &[Row]) -> String {
    // Text, numbers and nothing else: they cannot fail.
    serde_json::to_string_pretty(rows).unwrap_or_default()
}

/// Answers, for printing; `false` where something is of no use.
pub fn answer(ask: Ask, shelf: &Shelf, now: Timestamp) -> Result<(String, bool), Error> {
    answer_in(Lang::of_environment(), ask, shelf, now)
}

fn answer_in(lang: Lang, ask: Ask, shelf: &Shelf, now: Timestamp) -> Result<(String, bool), Error> {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let mut say = |line: String| writeln!(out, "{line}").unwrap_or_default();
    match ask {
        Ask::List { output: Format::Json } => say(json(&shelf.newest()?.values().map(Row::of).collect::<Vec<_>>())),
        Ask::List { output: Format::Text } => {
            for (name, revision) in shelf.newest()? {
                let until = revision.valid_until.as_deref().unwrap_or("-");
                let (tz, number) = (&revision.spec.tz, revision.revision);
                let (word, known) = (lang.of("revision", "修订"), lang.of("holidays known until", "节假日有效至"));
                say(format!("{name:<24} {word} {number:<4} {tz:<20} {known} {until:<12} {}", revision.source));
            }
            say(format!("{} {}", lang.of("time zone data", "时区数据"), tzdb_version()));
        }
        Ask::Show { name } => {
            let revision = shelf.named(&name)?;
            let text = serde_json::to_string_pretty(&revision);
            say(text.map_err(|source| Error::Parse { path: name.into(), source })?);
        }
        Ask::Check { output } => {
            let mut rows = Vec::new();
            for revision in shelf.newest()?.values() {
                rows.push(Row { state: Some(state(&checked(revision)?, now)), ..Row::of(revision) });
            }
            match output {
                Format::Json => say(json(&rows)),
                Format::Text => rows.iter().for_each(|row| say(row.checked(lang))),
            }
            return Ok((out, rows.iter().all(|row| row.state != Some(State::NeverOpen))));
        }
        Ask::Import { name, files, years, like, tz, dry_run } => {
            let base = match shelf.named(&name) {
                Ok(known) => known,
                Err(Error::Unknown(_)) => fresh(&name, shelf.named(&like)?, tz),
                Err(other) => return Err(other),
            };
            let import = read(&files, &base, span(&years)?)?;
            let source: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
            let next = base.with(&import, &source.join(", "), now);
            base.changes(&next).iter().for_each(|change| say(format!("  {change}")));
            import.unknown.iter().for_each(|u| say(format!("not taken: {}:{}: {}", u.file, u.line, u.what)));
            let (holidays, worked) = (import.holidays.len(), import.make_up.len());
            say(format!(
                "{} events: {holidays} holidays, {worked} make-up days, {} dates with hours, {} with breaks; {} days in other years, {} things not taken",
                import.events,
                import.overrides.len(),
                import.breaks.len(),
                import.outside,
                import.unknown.len()
            ));
            if import.years().is_none() {
                say("nothing was kept: the files tell of no day in these years".to_owned());
                return Ok((out, false));
            }
            if dry_run {
                checked(&next)?;
                say("nothing was kept: a dry run".to_owned());
            } else {
                let path = shelf.keep(&next)?;
                say(format!("kept {name} revision {} as {}", next.revision, path.display()));
                say("A running collector counts by it after: systemctl reload outband-collector (or SIGHUP)."
                    .to_owned());
            }
        }
    }
    Ok((out, true))
}

/// A calendar of a new name, before its first import.
fn fresh(name: &str, like: CalendarRevision, tz: Option<String>) -> CalendarRevision {
    let mut spec = like.spec;
    spec.tz = tz.unwrap_or(spec.tz);
    CalendarRevision { id: name.to_owned(), revision: 0, spec, ..like }
}

fn read(files: &[PathBuf], base: &CalendarRevision, years: RangeInclusive<i16>) -> Result<Import, Error> {
    let texts = files.iter().map(|path| {
        let text = fs::read_to_string(path).map_err(|source| Error::File { path: path.clone(), source })?;
        Ok((path.display().to_string(), text))
    });
    let texts: Vec<(String, String)> = texts.collect::<Result<_, Error>>()?;
    let named: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let terms = Terms { tz: base.spec.tz.clone(), years, make_up_as: Weekday::Fri };
    import(&named, &terms).map_err(|source| Error::Calendar { name: base.id.clone(), source })
}

fn span(text: &str) -> Result<RangeInclusive<i16>, Error> {
    let bad = || Error::Years(text.to_owned());
    let year = |text: &str| text.parse::<i16>().ok().filter(|year| (1970..=2200).contains(year)).ok_or_else(bad);
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let years = year(first)?..=year(last)?;
    if years.is_empty() { Err(bad()) } else { Ok(years) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datadir::DataDir;

    const NEXT_YEAR: &str = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART;VALUE=DATE:20270101\nDTEND;VALUE=DATE:20270104\nSUMMARY:元旦（休）\n\
        END:VEVENT\nBEGIN:VEVENT\nDTSTART;VALUE=DATE:20270110\nSUMMARY:元旦（班）\nEND:VEVENT\nBEGIN:VEVENT\n\
        DTSTART;VALUE=DATE:20270115\nSUMMARY:腊八节\nEND:VEVENT\nEND:VCALENDAR\n";

    fn now() -> Timestamp {
        "2026-11-20T00:00:00Z".parse().unwrap()
    }

    fn shelf() -> (tempfile::TempDir, Shelf, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("2027.ics");
        fs::write(&file, NEXT_YEAR).unwrap();
        let shelf = Shelf::new(DataDir::open(root.path().join("data")).unwrap());
        (root, shelf, file)
    }

    fn take(name: &str, file: PathBuf, dry_run: bool) -> Ask {
        let (like, tz) = ("weekdays-9-18".to_owned(), Some("Asia/Shanghai".to_owned()));
        Ask::Import { name: name.to_owned(), files: vec![file], years: "2027".to_owned(), like, tz, dry_run }
    }

    #[test]
    fn a_new_year_becomes_the_next_revision_and_what_was_not_taken_is_said() {
        let (_root, shelf, file) = shelf();
        let before = shelf.named("cn-9-18").unwrap();
        let (text, good) = answer(take("cn-9-18", file.clone(), true), &shelf, now()).unwrap();
        assert!(good && text.contains("2027-01-02: – → closed") && text.contains("腊八节"), "{text}");
        assert_eq!(shelf.named("cn-9-18").unwrap(), before, "a dry run keeps nothing");
        answer(take("cn-9-18", file, false), &shelf, now()).unwrap();
        let after = shelf.named("cn-9-18").unwrap();
        assert_eq!((after.revision, after.valid_until.as_deref()), (before.revision + 1, Some("2027-12-31")));
        assert_eq!(after.imported_at, now());
    }

    #[test]
    fn a_new_name_begins_with_revision_one_in_its_own_zone() {
        let (_root, shelf, file) = shelf();
        answer(take("beijing", file, false), &shelf, now()).unwrap();
        let made = shelf.named("beijing").unwrap();
        assert_eq!((made.revision, made.spec.tz.as_str()), (1, "Asia/Shanghai"));
        assert_eq!((made.valid_from.as_deref(), made.spec.make_up.len()), (Some("2027-01-01"), 1));
    }

    #[test]
    fn a_calendar_whose_holidays_soon_end_is_warned_of() {
        let (_root, shelf, _) = shelf();
        let check = |lang, output| answer_in(lang, Ask::Check { output }, &shelf, now()).unwrap();
        let (text, good) = check(Lang::En, Format::Text);
        assert!(good && text.contains("cn-9-18: holidays are known until 2026-12-31 only"), "{text}");
        assert!(text.contains("24x7: right"), "{text}");
        assert!(check(Lang::Zh, Format::Text).0.contains("cn-9-18: 节假日仅已知至 2026-12-31"));
        let rows: serde_json::Value = serde_json::from_str(&check(Lang::Zh, Format::Json).0).unwrap();
        let found = rows.as_array().unwrap().iter().find(|row| row["name"] == "cn-9-18").unwrap();
        assert_eq!((&found["state"], &found["valid_until"]), (&"ends_soon".into(), &"2026-12-31".into()));
    }

    #[test]
    fn files_without_a_day_in_the_years_keep_nothing() {
        let (_root, shelf, file) = shelf();
        let ask = take("cn-9-18", file, false);
        let Ask::Import { name, files, like, tz, dry_run, .. } = ask else { panic!("it is an import") };
        let ask = Ask::Import { name, files, years: "2030-2031".to_owned(), like, tz, dry_run };
        assert!(!answer(ask, &shelf, now()).unwrap().1);
        assert!(matches!(span("2030-2029"), Err(Error::Years(_))));
        assert!(matches!(span("soon"), Err(Error::Years(_))));
    }
}
