//! Certificates pinned on first use: one file per target, so that an operator can see, accept and remove them.
//!
//! A certificate that changed leaves a second file, `TARGET.changed`: while it lies there, the BMC is asked for nothing, whatever restarts. Accepting a
//! certificate removes it.

use outband_bmc::Fingerprint;
use outband_schemas::TargetId;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Why a pin could not be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// The file cannot be read or written.
    #[error("the pinned certificate {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds no fingerprint.
    #[error(
        "the pinned certificate {0} holds no fingerprint; accept the certificate again by `outband-agent accept-cert`"
    )]
    Malformed(PathBuf),
}

/// A certificate that was offered in place of the pinned one, and is not accepted yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The one that was expected.
    pub pinned: Fingerprint,
    /// The one that was offered.
    pub offered: Fingerprint,
}

/// The directory of pins.
#[derive(Debug, Clone)]
pub struct Pins {
    dir: PathBuf,
}

impl Pins {
    /// The pins kept below an agent's data directory. Nothing is made until the first pin is kept.
    pub fn of(data_dir: &Path) -> Self {
        Self { dir: data_dir.join("pins") }
    }

    /// The file of a target's pin.
    pub fn path(&self, target: &TargetId) -> PathBuf {
        self.dir.join(format!("{target}.pin"))
    }

    /// The pin of a target; `None` where none was kept. A pin that cannot be read is an error, never "none": trust must not grow by damage.
    pub fn get(&self, target: &TargetId) -> Result<Option<Fingerprint>, PinError> {
        let path = self.path(target);
        match fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().map(Some).map_err(|_| PinError::Malformed(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(PinError::Io { path, source }),
        }
    }

    /// Keeps a pin in place of the one that was; a change that waited to be accepted no longer does.
    pub fn set(&self, target: &TargetId, pin: Fingerprint) -> Result<(), PinError> {
        self.write(self.path(target), &pin.to_string())?;
        self.accept(target)
    }

    /// The change that waits to be accepted, where `pinned` is still what is expected. One that cannot be read still waits.
    pub fn changed(&self, target: &TargetId, pinned: Fingerprint) -> Result<Option<Change>, PinError> {
        let path = self.change_path(target);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(PinError::Io { path, source }),
        };
        let mut prints = text.split_whitespace().map(str::parse);
        match (prints.next(), prints.next()) {
            (Some(Ok(then)), Some(Ok(offered))) => Ok((then == pinned).then_some(Change { pinned, offered })),
            _ => Err(PinError::Malformed(path)),
        }
    }

    /// Notes a change that is to be accepted before the BMC is asked for anything.
    pub fn note_change(&self, target: &TargetId, change: Change) -> Result<(), PinError> {
        self.write(self.change_path(target), &format!("{} {}", change.pinned, change.offered))
    }

    /// Forgets a change: the BMC is asked again, and has to offer the pinned certificate.
    pub fn accept(&self, target: &TargetId) -> Result<(), PinError> {
        let path = self.change_path(target);
        match fs::remove_file(&path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(PinError::Io { path, source }),
        }
    }

    fn change_path(&self, target: &TargetId) -> PathBuf {
        self.dir.join(format!("{target}.changed"))
    }

    fn write(&self, path: PathBuf, text: &str) -> Result<(), PinError> {
        let write = || {
            fs::create_dir_all(&self.dir)?;
            let mut fresh = path.clone().into_os_string();
            fresh.push(".new");
            let mut file = fs::File::create(&fresh)?;
            writeln!(file, "{text}")?;
            file.sync_all()?;
            fs::rename(&fresh, &path)
        };
        write().map_err(|source| PinError::Io { path: path.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_pin_is_an_error_and_not_a_first_use() {
        let dir = tempfile::tempdir().unwrap();
        let (pins, target) = (Pins::of(dir.path()), TargetId::new("bmc1").unwrap());
        assert!(pins.get(&target).unwrap().is_none());
        pins.set(&target, Fingerprint([7; 32])).unwrap();
        assert_eq!(pins.get(&target).unwrap(), Some(Fingerprint([7; 32])));
        fs::write(pins.path(&target), "").unwrap();
        assert!(matches!(pins.get(&target), Err(PinError::Malformed(_))));
    }

    #[test]
    fn a_change_waits_until_a_certificate_is_accepted_or_another_one_is_expected() {
        let dir = tempfile::tempdir().unwrap();
        let (pins, target) = (Pins::of(dir.path()), TargetId::new("bmc1").unwrap());
        let [one, two] = [1, 2].map(|n| Fingerprint([n; 32]));
        pins.set(&target, one).unwrap();
        let change = Change { pinned: one, offered: two };
        pins.note_change(&target, change).unwrap();
        assert_eq!(pins.changed(&target, one).unwrap(), Some(change));
        assert_eq!(pins.changed(&target, two).unwrap(), None, "a pin in the config was changed");
        pins.set(&target, one).unwrap();
        assert_eq!(pins.changed(&target, one).unwrap(), None, "the old one is accepted again");
        fs::write(dir.path().join("pins/bmc1.changed"), "?").unwrap();
        assert!(pins.changed(&target, one).is_err());
    }
}
