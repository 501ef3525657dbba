//! The collector's one directory on disk: store, certificates, tokens, and the addresses it listens on. Nobody else may
//! read it (0700), and no secret in it (0600).

use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory cannot be made or its permissions cannot be set.
    #[error("cannot use the data directory {path}: {source}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file in it cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file in it cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// No place for it is known.
    #[error(
        "no data directory: set [data] dir in the config, or STATE_DIRECTORY, XDG_STATE_HOME or HOME in the environment"
    )]
    NoPlace,
}

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrecy {
    /// 0600: a key or a token.
    Secret,
    /// 0644: a certificate, an address.
    Public,
}

/// The collector's data directory.
#[derive(Debug, Clone)]
pub struct DataDir {
    root: PathBuf,
}

/// What a running collector says of itself in `run.json`, so that port 0 in the config can be found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunInfo {
    /// Where agents connect.
    pub agents_addr: SocketAddr,
    /// Where operators connect.
    pub operators_addr: SocketAddr,
    /// The process.
    pub pid: u32,
}

impl DataDir {
    /// Opens the directory at `root`, making it with mode 0700 where it does not exist. An existing one is closed to others.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, Error> {
        let root = root.into();
        let fail = |source| Error::Directory { path: root.clone(), source };
        let is_new = !root.exists();
        DirBuilder::new().recursive(true).mode(0o700).create(&root).map_err(fail)?;
        if is_new && let Some(parent) = root.parent() {
            give_to_owner_of(parent, &root).map_err(fail)?;
        }
        let mode = fs::metadata(&root).map_err(fail)?.permissions().mode();
        if mode & 0o077 != 0 {
            fs::set_permissions(&root, fs::Permissions::from_mode(0o700)).map_err(fail)?;
        }
        Ok(Self { root })
    }

    /// Where the directory is when the config does not say: systemd's `STATE_DIRECTORY`, else `outband-collector` in
    /// `XDG_STATE_HOME`, else in `~/.local/state`. `env` looks up an environment variable.
    pub fn default_root(env: impl Fn(&str) -> Option<String>) -> Result<PathBuf, Error> {
        let set = |key| env(key).filter(|v| !v.is_empty());
        if let Some(dirs) = set("STATE_DIRECTORY") {
            // systemd lists several, colon separated, where the unit names several.
            return Ok(PathBuf::from(dirs.split(':').next().unwrap_or(&dirs)));
        }
        if let Some(base) = set("XDG_STATE_HOME") {
            return Ok(Path::new(&base).join("outband-collector"));
        }
        let home = set("HOME").ok_or(Error::NoPlace)?;
        Ok(Path::new(&home).join(".local/state/outband-collector"))
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The path of a file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The file's text; `None` where there is no such file.
    pub fn read(&self, name: &str) -> Result<Option<String>, Error> {
        let path = self.path(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::Read { path, source }),
        }
    }

    /// Writes the file as a whole or not at all: a crash leaves the old one or the new one.
    pub fn write(&self, name: &str, text: &str, secrecy: Secrecy) -> Result<PathBuf, Error> {
        let path = self.path(name);
        replace(&path, text, secrecy).map_err(|source| Error::Write { path: path.clone(), source })?;
        Ok(path)
    }

    /// Says where this process listens.
    pub fn write_run_info(&self, info: &RunInfo) -> Result<PathBuf, Error> {
        let text = serde_json::to_string_pretty(info).map_err(|e| Error::Write {
            path: self.path(RUN_INFO),
            source: io::Error::new(io::ErrorKind::InvalidData, e),
        })?;
        self.write(RUN_INFO, &text, Secrecy::Public)
    }

    /// Takes back what [`DataDir::write_run_info`] said: a stopped collector listens nowhere.
    pub fn remove_run_info(&self) -> Result<(), Error> {
        let path = self.path(RUN_INFO);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::Write { path, source: e }),
            _ => Ok(()),
        }
    }
}

const RUN_INFO: &str = "run.json";

fn replace(path: &Path, text: &str, secrecy: Secrecy) -> io::Result<()> {
    let mode = match secrecy {
        Secrecy::Secret => 0o600,
        Secrecy::Public => 0o644,
    };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    // A left-over of a crash may have other permissions: `mode` counts only for a file that open() makes.
    match fs::remove_file(&new) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
    file.write_all(text.as_bytes())?;
    if let Some(parent) = path.parent() {
        give_to_owner_of(parent, &new)?;
    }
    file.sync_all()?;
    fs::rename(&new, path)?;
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

/// What root makes in the service's directory is the service's, which could not read it otherwise.
fn give_to_owner_of(parent: &Path, path: &Path) -> io::Result<()> {
    let (theirs, ours) = (fs::metadata(parent)?, fs::metadata(path)?);
    // Nobody but root owns what is not its own; and what is made in root's directories (/var/lib, /tmp) stays its maker's.
    if ours.uid() == 0 && theirs.uid() != 0 {
        chown(path, Some(theirs.uid()), Some(theirs.gid()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn the_directory_and_its_secrets_are_closed_to_others() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = DataDir::open(tmp.path().join("a/b")).unwrap();
        let secret = dir.write("x.key", "k", Secrecy::Secret).unwrap();
        assert_eq!((mode(dir.root()), mode(&secret)), (0o700, 0o600));
    }

    #[test]
    fn an_open_directory_is_closed() {
        let tmp = tempfile::tempdir().unwrap();
        let root = tmp.path().join("d");
        fs::create_dir(&root).unwrap();
        fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(mode(DataDir::open(&root).unwrap().root()), 0o700);
    }

    #[test]
    fn a_left_over_of_a_crash_neither_stops_a_write_nor_lends_it_its_permissions() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = DataDir::open(tmp.path()).unwrap();
        fs::write(dir.path("x.key.new"), "half").unwrap();
        let path = dir.write("x.key", "whole", Secrecy::Secret).unwrap();
        assert_eq!((dir.read("x.key").unwrap().as_deref(), mode(&path)), (Some("whole"), 0o600));
    }

    #[test]
    fn what_root_makes_in_the_services_directory_is_the_services() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = DataDir::open(tmp.path().join("d")).unwrap();
        if fs::metadata(dir.root()).unwrap().uid() != 0 {
            eprintln!("SKIPPED: only root can give a file away");
            return;
        }
        chown(dir.root(), Some(12_345), Some(12_345)).unwrap();
        let file = dir.write("agent.token", "t", Secrecy::Secret).unwrap();
        let inner = DataDir::open(dir.path("tokens.d")).unwrap();
        assert_eq!([fs::metadata(file).unwrap().uid(), fs::metadata(inner.root()).unwrap().uid()], [12_345; 2]);
    }

    #[test]
    fn systemd_names_the_place_before_xdg_and_home() {
        let all = |k: &str| match k {
            "STATE_DIRECTORY" => Some("/var/lib/outband-collector:/var/lib/other".to_owned()),
            "XDG_STATE_HOME" => Some("/x".to_owned()),
            _ => Some("/h".to_owned()),
        };
        assert_eq!(DataDir::default_root(all).unwrap(), Path::new("/var/lib/outband-collector"));
        let home = |k: &str| (k == "HOME").then(|| "/h".to_owned());
        assert_eq!(DataDir::default_root(home).unwrap(), Path::new("/h/.local/state/outband-collector"));
        assert!(matches!(DataDir::default_root(|_| None), Err(Error::NoPlace)));
    }
}
