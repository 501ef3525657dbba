//! Secrets: read from files that are closed to others, or from systemd's credentials, each time one is needed, so that a new one is taken
//! over without a restart. Never printed.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read the secret in {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Others may read it.
    #[error("{path} may be read by others (mode {mode:03o}): chmod 600 it")]
    Open {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// There is nothing in it.
    #[error("{path} is empty")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A credential is named, but systemd gave none.
    #[error(
        "the credential {name:?} is named, but CREDENTIALS_DIRECTORY is not set: write LoadCredential= into the unit, or the path of a file here"
    )]
    NoCredentials {
        /// Its name.
        name: String,
    },
}

/// A secret that shows itself nowhere.
#[derive(Clone)]
pub(super) struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// The secret itself, to be handed to whoever it is for.
    pub(super) fn show(&self) -> &str {
        &self.0
    }

    /// The first line of a file; of a systemd credential where the path is a name only.
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        Self::read_with(path, std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from).as_deref())
    }

    fn read_with(path: &Path, credentials: Option<&Path>) -> Result<Self, Error> {
        let name_only = path.components().count() == 1 && path.is_relative();
        let file = match (name_only, credentials) {
            (true, Some(dir)) => dir.join(path),
            (true, None) => return Err(Error::NoCredentials { name: path.display().to_string() }),
            (false, _) => path.to_owned(),
        };
        let fail = |source| Error::Read { path: file.clone(), source };
        let mode = std::fs::metadata(&file).map_err(fail)?.permissions().mode() & 0o777;
        // systemd closes its credentials itself; with access lists, their mode does not show it.
        if !name_only && mode & 0o077 != 0 {
            return Err(Error::Open { path: file, mode });
        }
        let text = std::fs::read_to_string(&file).map_err(fail)?;
        match text.lines().next().map(str::trim).filter(|line| !line.is_empty()) {
            Some(line) => Ok(Self(line.to_owned())),
            None => Err(Error::Empty { path: file }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(mode: u32, text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (dir, path)
    }

    #[test]
    fn a_secret_that_others_may_read_is_refused() {
        let (_dir, path) = file(0o644, "s3cret\n");
        assert!(matches!(Secret::read_with(&path, None), Err(Error::Open { mode: 0o644, .. })));
    }

    #[test]
    fn a_secret_is_its_files_first_line_and_never_printed() {
        let (_dir, path) = file(0o600, "s3cret\n");
        let secret = Secret::read_with(&path, None).unwrap();
        assert_eq!(secret.show(), "s3cret");
        assert!(!format!("{secret:?}").contains("s3cret"));
    }

    #[test]
    fn a_name_without_a_slash_is_a_credential() {
        let (dir, _) = file(0o440, "s3cret");
        assert_eq!(Secret::read_with(Path::new("token"), Some(dir.path())).unwrap().show(), "s3cret");
        assert!(matches!(Secret::read_with(Path::new("token"), None), Err(Error::NoCredentials { .. })));
    }
}
