//! A file that somebody asked for: there whole, or as it was before. It is written beside its place and moved there at the end, so that an hour's work
//! that fails neither leaves half of it nor takes away the last one.

use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::{Builder, TempPath};

/// A file in the making. Dropped before [`OutFile::keep`], it is gone.
#[derive(Debug)]
pub struct OutFile {
    out: BufWriter<File>,
    /// Where it lies, and where it goes; `None`: it goes into something that is no file, a pipe for example, as it is written.
    place: Option<(TempPath, PathBuf)>,
}

impl OutFile {
    /// A file that will be at `path`. What cannot be written there is known now.
    pub fn new(path: &Path) -> io::Result<Self> {
        if fs::metadata(path).is_ok_and(|m| !m.is_file()) {
            let out = BufWriter::new(File::options().write(true).open(path)?);
            return Ok(Self { out, place: None });
        }
        // A link stays one: what it shows is written.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let beside = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // As readable as any file that this user makes, unless there is one that says otherwise.
        let mode = fs::metadata(&path).map_or_else(|_| Permissions::from_mode(0o666), |m| m.permissions());
        let (out, place) = Builder::new().permissions(mode).tempfile_in(beside)?.into_parts();
        Ok(Self { out: BufWriter::new(out), place: Some((place, path)) })
    }

    /// Puts it where it belongs.
    pub fn keep(self) -> io::Result<()> {
        let out = self.out.into_inner().map_err(io::IntoInnerError::into_error)?;
        let Some((from, to)) = self.place else { return Ok(()) };
        out.sync_all()?;
        from.persist(to).map_err(|e| e.error)
    }
}

impl Write for OutFile {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.out.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn what_is_not_finished_leaves_what_was_there_and_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.csv");
        fs::write(&path, "before").unwrap();
        let mut out = OutFile::new(&path).unwrap();
        out.write_all(b"half").unwrap();
        out.flush().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "before");
        drop(out);
        assert_eq!(
            (fs::read_to_string(&path).unwrap().as_str(), names(dir.path())),
            ("before", vec!["out.csv".into()])
        );
    }

    #[test]
    fn what_is_finished_takes_its_place_with_the_rights_of_what_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let (path, link) = (dir.path().join("out.csv"), dir.path().join("link.csv"));
        fs::write(&path, "before").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let mut out = OutFile::new(&link).unwrap();
        out.write_all(b"whole").unwrap();
        out.keep().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "whole");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(names(dir.path()).len(), 2);
    }

    #[test]
    fn what_is_no_file_is_written_and_not_replaced() {
        let mut out = OutFile::new(Path::new("/dev/null")).unwrap();
        out.write_all(b"gone").unwrap();
        out.keep().unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn what_cannot_be_written_is_known_at_once() {
        assert!(OutFile::new(Path::new("/nowhere/at/all.csv")).is_err());
    }
}
