//! Certificates pinned on first use: one file per target, so that an operator can see, accept and remove them.

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

    /// Keeps a pin in place of the one that was.
    pub fn set(&self, target: &TargetId, pin: Fingerprint) -> Result<(), PinError> {
        let path = self.path(target);
        let write = || {
            fs::create_dir_all(&self.dir)?;
            let fresh = self.dir.join(format!("{target}.pin.new"));
            let mut file = fs::File::create(&fresh)?;
            writeln!(file, "{pin}")?;
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
}
