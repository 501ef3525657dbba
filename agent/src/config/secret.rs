//! Secrets come from files that only their reader may open, or from the environment: never from flags or configs.

use outband_bmc::Secret;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Longer than any password or token; a wrong path to a large file is noticed instead of read.
const MAX_BYTES: u64 = 4096;

/// Why a secret could not be read. Never holds the secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be opened or read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Others than its owner may read it.
    #[error("{path} may be read by others (mode {mode:04o}); run: chmod 600 {path}")]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its mode bits.
        mode: u32,
    },
    /// There is nothing in it.
    #[error("{0} is empty; write the secret into it, one line")]
    Empty(PathBuf),
    /// It holds no text, or too much of it.
    #[error("{0} holds no secret: at most 4096 bytes of UTF-8 in one line")]
    NotText(PathBuf),
    /// The environment variable is not set.
    #[error("the environment variable {0} is not set, is empty or is not UTF-8")]
    NoVariable(String),
}

/// Reads a secret from a file of mode 0600 (or stricter), or from systemd's credentials directory, whose files systemd itself
/// guards. One trailing line end is cut.
pub fn from_file(path: &Path, credentials_dir: Option<&Path>) -> Result<Secret, SecretError> {
    let io = |source| SecretError::Io { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(io)?;
    is_guarded(&file, path, credentials_dir)?;
    let mut bytes = Vec::new();
    file.by_ref().take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(io)?;
    let text = String::from_utf8(bytes).map_err(|_| SecretError::NotText(path.to_owned()))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() {
        return Err(SecretError::Empty(path.to_owned()));
    }
    if line.len() as u64 > MAX_BYTES || line.contains(['\n', '\r', '\0']) {
        return Err(SecretError::NotText(path.to_owned()));
    }
    Ok(Secret::new(line))
}

/// Whether a file that holds a secret can be read, and by nobody else.
pub fn check_mode(path: &Path, credentials_dir: Option<&Path>) -> Result<(), SecretError> {
    let file = File::open(path).map_err(|source| SecretError::Io { path: path.to_owned(), source })?;
    is_guarded(&file, path, credentials_dir)
}

fn is_guarded(file: &File, path: &Path, credentials_dir: Option<&Path>) -> Result<(), SecretError> {
    let meta = file.metadata().map_err(|source| SecretError::Io { path: path.to_owned(), source })?;
    let mode = meta.permissions().mode() & 0o7777;
    let guarded = credentials_dir.is_some_and(|dir| path.starts_with(dir));
    if mode & 0o077 != 0 && !guarded {
        return Err(SecretError::TooOpen { path: path.to_owned(), mode });
    }
    Ok(())
}

/// Reads a secret from an environment variable.
pub fn from_env(name: &str) -> Result<Secret, SecretError> {
    match std::env::var(name) {
        Ok(value) if !value.is_empty() => Ok(Secret::new(value)),
        Ok(_) | Err(_) => Err(SecretError::NoVariable(name.to_owned())),
    }
}

/// Where systemd put the credentials of this service (`LoadCredential=`).
pub fn credentials_dir() -> Option<PathBuf> {
    std::env::var_os("CREDENTIALS_DIRECTORY").filter(|d| !d.is_empty()).map(PathBuf::from)
}

/// The file that a config's path means: an absolute path is itself; a relative one is looked for in systemd's credentials
/// directory, then beside the config.
pub fn resolve(path: &str, config_dir: &Path, credentials_dir: Option<&Path>) -> PathBuf {
    match credentials_dir.map(|dir| dir.join(path)) {
        Some(credential) if credential.exists() => credential,
        Some(_) | None => config_dir.join(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn file(dir: &Path, bytes: &[u8], mode: u32) -> PathBuf {
        let path = dir.join("pass");
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn the_line_end_is_not_part_of_the_secret() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(from_file(&file(dir.path(), b"hunter 2 \n", 0o600), None).unwrap().expose(), "hunter 2 ");
        assert_eq!(from_file(&file(dir.path(), b"hunter2\r\n", 0o600), None).unwrap().expose(), "hunter2");
    }

    #[test]
    fn a_file_that_others_may_read_is_refused_with_the_command_that_mends_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(dir.path(), b"hunter2\n", 0o640);
        let error = from_file(&path, None).unwrap_err().to_string();
        assert!(error.contains(&format!("chmod 600 {}", path.display())), "{error}");
        assert!(!error.contains("hunter2"));
    }

    #[test]
    fn systemds_credentials_directory_is_trusted() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(dir.path(), b"hunter2", 0o440);
        assert_eq!(from_file(&path, Some(dir.path())).unwrap().expose(), "hunter2");
        assert_eq!(resolve("pass", Path::new("/etc"), Some(dir.path())), path);
        assert_eq!(resolve("other", Path::new("/etc"), Some(dir.path())), Path::new("/etc/other"));
    }

    #[test]
    fn an_empty_or_binary_or_many_lined_file_is_no_secret() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(from_file(&file(dir.path(), b"\n", 0o600), None), Err(SecretError::Empty(_))));
        assert!(matches!(from_file(&file(dir.path(), b"\xff\xfe", 0o600), None), Err(SecretError::NotText(_))));
        assert!(matches!(from_file(&file(dir.path(), b"a\nb\n", 0o600), None), Err(SecretError::NotText(_))));
        assert!(matches!(from_file(&file(dir.path(), &[b'a'; 5000], 0o600), None), Err(SecretError::NotText(_))));
    }
}
