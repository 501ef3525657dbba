//! Closed files of history, kept apart from the archive: each is encrypted once, and the archives name it.
//!
//! A file of history whose span is over hardly changes any more, and there are years of them. So a backup may leave them in a
//! directory of its own, one encrypted file each, named by what it holds (`raw-2026-W47.db-<SHA-256>.age`); one that is there
//! already is not written again. In the archive stands, in the file's place, `<name>.apart` with the sum.

use super::{Error, failed, open};
use age::x25519::Recipient;
use age::{Decryptor, Encryptor, Identity};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// The end of the name that stands in an archive for a file that is kept apart.
pub(super) const APART: &str = "apart";

/// Where closed files go.
#[derive(Debug, Clone, Copy)]
pub struct Apart<'a> {
    /// The directory; it has to be there.
    pub dir: &'a Path,
    /// A file whose span ended before this is closed, in milliseconds since 1970.
    pub before: i64,
}

/// Its name in the directory.
fn place(dir: &Path, name: &str, sum: &str) -> PathBuf {
    dir.join(format!("{name}-{sum}.age"))
}

/// Keeps a file apart, unless it is there already; answers its sum. Nobody writes to it meanwhile.
pub(super) fn keep(path: &Path, name: &str, dir: &Path, recipients: &[Recipient]) -> Result<String, Error> {
    let read = failed("cannot back up", path);
    // Opened once: to close it would end what keeps it still for this process.
    let mut file = File::open(path).map_err(&read)?;
    let sum = sum(&file).map_err(&read)?;
    file.rewind().map_err(&read)?;
    let to = place(dir, name, &sum);
    let write = failed("cannot write", &to);
    if to.exists() {
        return Ok(sum);
    }
    let people = recipients.iter().map(|r| r as &dyn age::Recipient);
    // Mode 0600, and gone where anything below fails: under its name there is only ever a whole file.
    let out = tempfile::NamedTempFile::new_in(dir).map_err(&write)?;
    let mut encrypted = Encryptor::with_recipients(people)?.wrap_output(BufWriter::new(out)).map_err(&write)?;
    io::copy(&mut file, &mut encrypted).map_err(&write)?;
    let mut out = encrypted.finish().map_err(&write)?;
    out.flush().map_err(&write)?;
    let out = out.into_inner().map_err(|e| write(e.into_error()))?;
    out.as_file().sync_all().map_err(&write)?;
    out.persist(&to).map_err(|e| write(e.error))?;
    File::open(dir).and_then(|d| d.sync_all()).map_err(&write)?;
    Ok(sum)
}

/// Puts the files that are kept apart into a restored directory, in place of what names them there.
pub(super) fn fetch(
    staged: &Path,
    from: &Path,
    dir: Option<&Path>,
    identities: &[Box<dyn Identity + Send + Sync>],
) -> Result<(), Error> {
    let history = staged.join("history");
    let entries = match fs::read_dir(&history) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(failed("cannot read", &history)(e)),
    };
    for entry in entries {
        let path = entry.map_err(failed("cannot read", &history))?.path();
        if path.extension().is_none_or(|e| e != APART) {
            continue;
        }
        let foreign = |why: String| Error::Foreign { path: from.to_owned(), why };
        let name = path.file_stem().and_then(|n| n.to_str()).unwrap_or_default().to_owned();
        let sum = fs::read_to_string(&path).map_err(failed("cannot read", &path))?;
        let Some(dir) = dir else {
            return Err(foreign(format!("{name} is kept apart from it: name the directory with --history")));
        };
        if sum.len() != 64 || !sum.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(foreign(format!("what it says of {name} is no sum")));
        }
        let apart = place(dir, &name, &sum);
        let undecrypted = |source| Error::Decrypt { path: apart.clone(), source };
        let decryptor = Decryptor::new_buffered(open(&apart)?).map_err(undecrypted)?;
        let clear = decryptor.decrypt(identities.iter().map(|i| &**i as &dyn Identity)).map_err(undecrypted)?;
        let to = path.with_extension("");
        unpack(clear, &to, &sum).map_err(failed("cannot restore", &apart))?;
        fs::remove_file(&path).map_err(failed("cannot remove", &path))?;
    }
    Ok(())
}

fn unpack(mut clear: impl Read, to: &Path, sum: &str) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    io::copy(&mut clear, &mut file)?;
    file.sync_all()?;
    match self::sum(File::open(to)?)? {
        found if found == sum => Ok(()),
        found => Err(io::Error::other(format!("it has the SHA-256 {found}, not {sum}"))),
    }
}

fn sum(mut from: impl Read) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(hash.finalize().iter().map(|b| format!("{b:02x}")).collect()),
            n => hash.update(buffer.get(..n).unwrap_or_default()),
        }
    }
}
