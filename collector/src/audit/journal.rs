//! What an administrator does on the collector's machine: left in the data directory by a command, which may not open the store while
//! the collector runs, and taken into the audit log by the collector.

use crate::datadir::{self, DataDir, Secrecy};
use outband_schemas::Timestamp;
use outband_store::StoreError;
use outband_store::audit::{Actor, Answer, Audit, Deed, Outcome, Sha256Hash};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// Where it is left.
const WAITING: &str = "audit.d";

/// Why it cannot be left or taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data directory failed.
    #[error(transparent)]
    DataDir(#[from] datadir::Error),
    /// A file of it cannot be read, understood or removed.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug, Serialize, Deserialize)]
struct Left {
    actor: Actor,
    deed: Deed,
}

/// Leaves a deed of whoever runs this command. Before the deed is done: what cannot be logged is not done.
pub fn leave(dir: &DataDir, at: Timestamp, command: &str, resource: String, detail: String) -> Result<(), Error> {
    let deed = Deed {
        at,
        role: "administrator of the machine".to_owned(),
        method: format!("outband-collector {command}"),
        resource,
        detail,
        outcome: Outcome::Done,
        request_id: None,
        before: None,
        after: None,
    };
    let left = Left { actor: Actor { name: user(), peer: None }, deed };
    let waiting = DataDir::open(dir.path(WAITING))?;
    let path = waiting.path("entry");
    let text = serde_json::to_string(&left).map_err(|e| Error::File { path, source: e.into() })?;
    // By time, so that they are taken in their order.
    let name = format!("{:016}-{}.json", at.as_millis(), std::process::id());
    waiting.write(&name, &text, Secrecy::Secret)?;
    Ok(())
}

/// Takes what was left into the audit log; each once, whatever happens meanwhile. Answers how many.
pub fn take<S: Audit>(store: &S, dir: &DataDir) -> Result<usize, Error> {
    let root = dir.path(WAITING);
    let failed = |path: &PathBuf| {
        let path = path.clone();
        move |source| Error::File { path, source }
    };
    let entries = match fs::read_dir(&root) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(0),
        other => other.map_err(failed(&root))?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed(&root))?.path();
        if path.extension().is_some_and(|e| e == "json") {
            paths.push(path);
        }
    }
    paths.sort();
    for path in &paths {
        let text = fs::read_to_string(path).map_err(failed(path))?;
        let Left { actor, deed } = serde_json::from_str(&text).map_err(io::Error::from).map_err(failed(path))?;
        let id = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        let answer = Answer { request_id: id, digest: Sha256Hash::default(), body: Vec::new() };
        match store.audit_answer(actor, deed, Some(answer)) {
            // It was taken, and the file outlived a crash.
            Ok(_) | Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        fs::remove_file(path).map_err(failed(path))?;
    }
    Ok(paths.len())
}

/// The user who runs this process, as the machine calls him; with whom he was before `sudo`.
fn user() -> String {
    let name = fs::metadata("/proc/self").map(|m| m.uid()).map(named).unwrap_or_else(|_| "unknown".to_owned());
    match std::env::var("SUDO_USER") {
        Ok(before) if !before.is_empty() => format!("os:{name} ({before})"),
        _ => format!("os:{name}"),
    }
}

fn named(uid: u32) -> String {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let of_uid = |line: &&str| line.split(':').nth(2) == Some(uid.to_string().as_str());
    let name = users.lines().find(of_uid).and_then(|line| line.split(':').next());
    name.map_or_else(|| uid.to_string(), ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use outband_store::SqliteStore;
    use outband_store::audit::AuditFilter;
    use outband_store::sqlite::Options;
    use outband_store::{Page, Store};

    #[test]
    fn what_was_left_is_taken_once_in_its_order_even_where_its_file_stays() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = DataDir::open(tmp.path().join("d")).unwrap();
        let store = SqliteStore::open(&Options::new(dir.root())).unwrap();
        assert_eq!(take(&store, &dir).unwrap(), 0);
        leave(&dir, Timestamp::from_secs(2), "calendar import", "calendars/cn".to_owned(), "2027".to_owned()).unwrap();
        leave(&dir, Timestamp::from_secs(1), "token", "tokens/viewer.li".to_owned(), String::new()).unwrap();
        let kept = fs::read_dir(dir.path(WAITING)).unwrap().map(|e| e.unwrap().path());
        let kept: Vec<(PathBuf, String)> = kept.map(|p| (p.clone(), fs::read_to_string(p).unwrap())).collect();
        assert_eq!(take(&store, &dir).unwrap(), 2);
        for (path, text) in kept {
            fs::write(path, text).unwrap();
        }
        take(&store, &dir).unwrap();
        let all = store.audited(&AuditFilter::default(), &Page::first(9)).unwrap().rows;
        let told: Vec<(&str, &str)> = all.iter().map(|e| (e.deed.method.as_str(), e.deed.resource.as_str())).collect();
        assert_eq!(
            told,
            [("outband-collector calendar import", "calendars/cn"), ("outband-collector token", "tokens/viewer.li")]
        );
        assert!(all[0].actor.name.starts_with("os:"), "{}", all[0].actor.name);
        assert!(fs::read_dir(dir.path(WAITING)).unwrap().next().is_none());
        store.close().unwrap();
    }
}
