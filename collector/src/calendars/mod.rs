//! The calendars that are kept: one file for each revision in `calendars/` of the data directory, never changed afterwards,
//! beside those that come with the program. The newest revision of each name is in force.

pub mod cli;

use crate::config::Config;
use crate::datadir::{self, DataDir, Secrecy};
use outband_ticket::calendar::shipped::{self, shipped};
use outband_ticket::{Calendar, CalendarError, CalendarRevision, Calendars};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::{fs, io};

/// Why calendars cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data directory.
    #[error(transparent)]
    DataDir(#[from] datadir::Error),
    /// A file, or their directory.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file that holds no revision.
    #[error("{path} holds no calendar: {source}")]
    Parse {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A calendar that cannot be used.
    #[error("calendar {name}: {source}")]
    Calendar {
        /// Its name.
        name: String,
        /// What is wrong with it.
        source: CalendarError,
    },
    /// No calendar has that name.
    #[error("no calendar is named {0:?}; `outband-collector calendar list` names them")]
    Unknown(String),
    /// A name that is none.
    #[error("{0:?} is no name of a calendar: small letters, digits and hyphens, at most 64")]
    Name(String),
    /// Years that are none.
    #[error("{0:?} are no years such as 2027 or 2027-2028")]
    Years(String),
}

/// Where revisions are kept.
#[derive(Debug, Clone)]
pub struct Shelf {
    dir: DataDir,
}

const FOLDER: &str = "calendars";

impl Shelf {
    /// That of a data directory.
    pub fn new(dir: DataDir) -> Self {
        Self { dir }
    }

    /// Every kept revision, by name and number.
    fn kept(&self) -> Result<BTreeMap<(String, u32), CalendarRevision>, Error> {
        let folder = self.dir.path(FOLDER);
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(source) => return Err(Error::File { path: folder, source }),
        };
        let mut all = BTreeMap::new();
        for entry in entries {
            let path = entry.map_err(|source| Error::File { path: folder.clone(), source })?.path();
            // A file that a crash left half written has another ending.
            if path.extension().is_none_or(|ending| ending != "json") {
                continue;
            }
            let text = fs::read_to_string(&path).map_err(|source| Error::File { path: path.clone(), source })?;
            let revision: CalendarRevision =
                serde_json::from_str(&text).map_err(|source| Error::Parse { path: path.clone(), source })?;
            all.insert((revision.id.clone(), revision.revision), revision);
        }
        Ok(all)
    }

    /// The newest revision of each name: what is kept before what is shipped.
    pub fn newest(&self) -> Result<BTreeMap<String, CalendarRevision>, Error> {
        let mut newest = BTreeMap::new();
        for (name, _) in shipped::NAMES {
            if let Some(revision) = shipped(name) {
                let revision = revision.map_err(|source| Error::Calendar { name: name.to_owned(), source })?;
                newest.insert(name.to_owned(), revision);
            }
        }
        newest.extend(self.kept()?.into_iter().map(|((name, _), revision)| (name, revision)));
        Ok(newest)
    }

    /// The newest revision of one name.
    pub fn named(&self, name: &str) -> Result<CalendarRevision, Error> {
        self.newest()?.remove(name).ok_or_else(|| Error::Unknown(name.to_owned()))
    }

    /// Keeps a revision.
    pub fn keep(&self, revision: &CalendarRevision) -> Result<PathBuf, Error> {
        let name = &revision.id;
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
            return Err(Error::Name(name.clone()));
        }
        checked(revision)?;
        let folder = self.dir.path(FOLDER);
        fs::create_dir_all(&folder).map_err(|source| Error::File { path: folder.clone(), source })?;
        let file = format!("{FOLDER}/{name}.{}.json", revision.revision);
        let path = self.dir.path(&file);
        if path.exists() {
            return Err(Error::File { path, source: io::ErrorKind::AlreadyExists.into() });
        }
        let text = serde_json::to_string_pretty(revision).map_err(|source| Error::Parse { path, source })?;
        Ok(self.dir.write(&file, &text, Secrecy::Public)?)
    }
}

/// The calendars by which clocks count: those of the config before those that are kept, each in its newest revision, and the usual one,
/// which `[sla]` writes out or names.
pub fn in_force(dir: &DataDir, config: &Config) -> Result<Calendars, Error> {
    let mut all = BTreeMap::new();
    for (name, revision) in Shelf::new(dir.clone()).newest()? {
        all.insert(name, checked(&revision)?);
    }
    for (name, hours) in &config.calendars {
        all.insert(name.clone(), checked(&hours.revision(name))?);
    }
    let usual = match &config.sla.calendar {
        Some(name) => all.get(name).cloned().ok_or_else(|| Error::Unknown(name.clone()))?,
        None => {
            let written = config.sla.calendar_of_its_own();
            written.map_err(|source| Error::Calendar { name: "[sla]".to_owned(), source })?
        }
    };
    Ok(Calendars::new(usual, all))
}

fn checked(revision: &CalendarRevision) -> Result<Calendar, Error> {
    Calendar::try_from(revision).map_err(|source| Error::Calendar { name: revision.id.clone(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use outband_schemas::Timestamp;

    fn shelf() -> (tempfile::TempDir, Shelf) {
        let root = tempfile::tempdir().unwrap();
        let dir = DataDir::open(root.path()).unwrap();
        (root, Shelf::new(dir))
    }

    #[test]
    fn what_is_kept_takes_the_place_of_what_is_shipped_and_is_never_overwritten() {
        let (root, shelf) = shelf();
        let mut revision = shelf.named("cn-9-18").unwrap();
        revision.revision += 1;
        revision.imported_at = Timestamp::from_secs(1_800_000_000);
        let path = shelf.keep(&revision).unwrap();
        assert!(path.starts_with(root.path().join("calendars")), "{}", path.display());
        assert_eq!(shelf.named("cn-9-18").unwrap(), revision);
        assert!(shelf.keep(&revision).is_err());
        let force = in_force(&shelf.dir, &Config::default()).unwrap();
        assert_eq!(force.business(Some("cn-9-18")).basis().revision, revision.revision);
    }

    #[test]
    fn the_config_names_the_usual_calendar_and_adds_others() {
        let (_root, shelf) = shelf();
        let config = |text: &str| Config::parse(text).unwrap();
        let named = config(
            "[sla]\ncalendar = 'night'\n[calendars.night]\ntimezone = 'Asia/Shanghai'\nhours = [['22:00', '06:00']]\nvalid_until = '2027-12-31'",
        );
        let force = in_force(&shelf.dir, &named).unwrap();
        // Wednesday, 23:00 in Shanghai.
        let night = "2026-01-07T15:00:00Z".parse().unwrap();
        assert!(force.business(None).is_open(night) && force.business(Some("night")).is_open(night));
        assert!(!force.business(Some("cn-9-18")).is_open(night));
        assert_eq!(force.business(None).basis().calendar, "night");
        assert!(force.business(None).valid().is_some());
        let unknown = in_force(&shelf.dir, &config("[sla]\ncalendar = 'nigth'"));
        assert!(matches!(unknown, Err(Error::Unknown(name)) if name == "nigth"));
    }

    #[test]
    fn the_tenth_revision_is_newer_than_the_ninth() {
        let (_root, shelf) = shelf();
        let mut revision = shelf.named("24x7").unwrap();
        for number in [10, 9] {
            revision.revision = number;
            shelf.keep(&revision).unwrap();
        }
        assert_eq!(shelf.named("24x7").unwrap().revision, 10);
    }

    #[test]
    fn a_name_that_leaves_the_folder_is_refused() {
        let (_root, shelf) = shelf();
        let mut revision = shelf.named("24x7").unwrap();
        revision.id = "../tokens".to_owned();
        assert!(matches!(shelf.keep(&revision), Err(Error::Name(_))));
    }

    #[test]
    fn a_file_that_is_no_calendar_is_named() {
        let (root, shelf) = shelf();
        fs::create_dir(root.path().join("calendars")).unwrap();
        fs::write(root.path().join("calendars/x.1.json"), "{}").unwrap();
        assert!(shelf.newest().unwrap_err().to_string().contains("x.1.json"));
    }
}
