//! The targets file: the CSV that `targets_csv` of agent.toml names. What stands in it already is kept, line by line.

use super::report::Target;
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const HEADER: [&str; 4] = ["id", "url", "credentials", "fingerprint"];

/// The file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Reading or writing failed.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What stands in it is no targets file.
    #[error("{path} is there already and is no targets file ({why}); name another one")]
    NotOne {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

/// Adds `targets` to the file at `path`, or makes it. Returns how many were added: those whose URL stands in it already are not.
pub(super) fn add(path: &Path, targets: &[Target]) -> Result<usize, FileError> {
    let io = |source| FileError::Io { path: path.to_owned(), source };
    let old = match fs::read_to_string(path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(io(error)),
    };
    let known = old.as_deref().map_or_else(|| Ok(Known::default()), |text| Known::of(path, text))?;
    let mut writer = csv::Writer::from_writer(Vec::new());
    let columns = if known.columns.is_empty() { HEADER.map(str::to_owned).to_vec() } else { known.columns.clone() };
    let mut added = 0;
    let write = |writer: &mut csv::Writer<Vec<u8>>, row: &[String]| {
        writer.write_record(row).map_err(|e| io(io::Error::other(e)))
    };
    if known.columns.is_empty() {
        write(&mut writer, &columns)?;
    }
    let mut ids = known.ids;
    for target in targets.iter().filter(|t| !known.urls.contains(&t.url)) {
        let id = free(&target.id, &mut ids);
        let cell = |column: &String| match column.to_ascii_lowercase().as_str() {
            "id" => id.clone(),
            "url" => target.url.clone(),
            "credentials" => target.credentials.clone(),
            "fingerprint" => target.fingerprint.map(|f| f.to_string()).unwrap_or_default(),
            _ => String::new(),
        };
        write(&mut writer, &columns.iter().map(cell).collect::<Vec<_>>())?;
        added += 1;
    }
    let new = writer.into_inner().map_err(|e| io(io::Error::other(e.to_string())))?;
    let mut text = old.unwrap_or_default();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(&String::from_utf8_lossy(&new));
    replace(path, text.as_bytes()).map_err(io)?;
    Ok(added)
}

/// Writes beside the file and renames, so that a full disk or a kill leaves the old one whole.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let fresh = path.with_file_name(name);
    let write = || {
        let mut file = fs::File::create(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    };
    write().inspect_err(|_| {
        if let Err(error) = fs::remove_file(&fresh) {
            tracing::debug!(%error, "what was begun is left beside the file");
        }
    })
}

fn free(wished: &str, taken: &mut BTreeSet<String>) -> String {
    let numbered = (2..).map(|n| format!("{wished}-{n}"));
    let id = std::iter::once(wished.to_owned()).chain(numbered).find(|id| !taken.contains(id)).unwrap_or_default();
    taken.insert(id.clone());
    id
}

/// What stands in a file.
#[derive(Default)]
struct Known {
    columns: Vec<String>,
    ids: BTreeSet<String>,
    urls: BTreeSet<String>,
}

impl Known {
    fn of(path: &Path, text: &str) -> Result<Self, FileError> {
        let not_one = |why: String| FileError::NotOne { path: path.to_owned(), why };
        let text = text.trim_start_matches('\u{feff}');
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let mut reader =
            csv::ReaderBuilder::new().trim(csv::Trim::All).comment(Some(b'#')).from_reader(text.as_bytes());
        let columns: Vec<String> =
            reader.headers().map_err(|e| not_one(e.to_string()))?.iter().map(str::to_owned).collect();
        let at = |name: &str| {
            columns
                .iter()
                .position(|c| c.eq_ignore_ascii_case(name))
                .ok_or_else(|| not_one(format!("it has no column {name}")))
        };
        let (id, url, _) = (at("id")?, at("url")?, at("credentials")?);
        let mut known = Self { columns, ..Self::default() };
        for record in reader.records() {
            let record = record.map_err(|e| not_one(e.to_string()))?;
            known.ids.extend(record.get(id).map(str::to_owned));
            known.urls.extend(record.get(url).map(str::to_owned));
        }
        Ok(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(n: u8) -> Target {
        let url = format!("https://10.0.0.{n}");
        Target { id: format!("bmc-10-0-0-{n}"), url, credentials: "monitor".to_owned(), fingerprint: None }
    }

    #[test]
    fn what_stands_in_the_file_is_kept_and_only_what_is_new_is_added() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("targets.csv");
        let hand = "url,id,credentials,cipher\n# rack 1\nhttps://10.0.0.1,r1u1,monitor,\nipmi://10.0.0.9,bmc-10-0-0-2,monitor,3";
        fs::write(&path, hand).unwrap();
        assert_eq!(add(&path, &[target(1), target(2)]).unwrap(), 1);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, format!("{hand}\nhttps://10.0.0.2,bmc-10-0-0-2-2,monitor,\n"));
        assert_eq!(add(&path, &[target(1), target(2)]).unwrap(), 0);
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn a_new_file_has_a_header() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("targets.csv");
        assert_eq!(add(&path, &[target(3)]).unwrap(), 1);
        let expected = "id,url,credentials,fingerprint\nbmc-10-0-0-3,https://10.0.0.3,monitor,\n";
        assert_eq!(fs::read_to_string(&path).unwrap(), expected);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn another_kind_of_file_is_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notes.csv");
        fs::write(&path, "name,phone\na,1\n").unwrap();
        assert!(matches!(add(&path, &[target(3)]), Err(FileError::NotOne { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "name,phone\na,1\n");
    }
}
