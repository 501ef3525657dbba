//! Sensor repositories on disk, one file a BMC, so that a restart need not read them again.

use outband_bmc::ipmi::library::Shelf;
use std::fmt::Write as _;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// A directory of repositories. A file may vanish or be spoilt at any time: it is checked by whoever reads it, and read anew from the BMC.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// The folder within the agent's own directory.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn within(data_dir: &Path) -> io::Result<Self> {
        let path = data_dir.join("sdr");
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    /// Names hold slashes and colons; in hex they hold neither, and stay apart.
    fn path(&self, name: &str) -> PathBuf {
        let mut file = String::with_capacity(name.len() * 2);
        for byte in name.bytes().take(120) {
            // Writing to a string cannot fail.
            write!(file, "{byte:02x}").ok();
        }
        self.0.join(file)
    }
}

impl Shelf for Folder {
    fn take_down(&self, name: &str) -> Option<Vec<u8>> {
        std::fs::read(self.path(name)).ok()
    }

    fn put_up(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        let beside = path.with_extension("new");
        if let Err(error) = std::fs::write(&beside, bytes).and_then(|()| std::fs::rename(&beside, &path)) {
            tracing::warn!(name, %error, "what was read of the sensors cannot be kept; it is read again after a restart");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_up_is_found_under_its_name_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::within(dir.path()).unwrap();
        folder.put_up("ipmi://[fd00::1]:623", b"one");
        folder.put_up("ipmi://[fd00::1]:6230", b"two");
        assert_eq!(folder.take_down("ipmi://[fd00::1]:623").unwrap(), b"one");
        assert_eq!(folder.take_down("ipmi://[fd00::2]:623"), None);
    }
}
