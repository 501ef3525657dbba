//! Tables that people and other programs wrote: columns in any order, found by name; a bad line is counted and shown, not fatal.

use super::Error;
use csv::ByteRecord;
use outband_schemas::Timestamp;
use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// So many bad lines are shown.
const SHOWN: usize = 5;

/// A table that is being read.
pub(crate) struct Table {
    path: PathBuf,
    rows: csv::Reader<Box<dyn Read>>,
    row: ByteRecord,
    columns: Vec<Option<usize>>,
    /// The bytes of the file, and how many of them have been read.
    size: u64,
    read: Rc<Cell<u64>>,
    /// How many lines were bad, and the first of them.
    bad: u64,
    shown: Vec<String>,
}

/// Counts what is read through it.
struct Counted {
    file: File,
    read: Rc<Cell<u64>>,
}

impl Read for Counted {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buf)?;
        self.read.set(self.read.get() + n as u64);
        Ok(n)
    }
}

impl Table {
    /// Opens a file, compressed where its name ends in `.zst`. Each column that is marked has to be there.
    pub(crate) fn open(path: &Path, columns: &[(&str, bool)]) -> Result<Self, Error> {
        let failed = |source| Error::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        let read = Rc::new(Cell::new(0));
        let file = BufReader::with_capacity(1 << 17, Counted { file, read: Rc::clone(&read) });
        let bytes: Box<dyn Read> = if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("zst")) {
            let decoder = ruzstd::decoding::StreamingDecoder::new(file);
            Box::new(decoder.map_err(|e| failed(io::Error::new(io::ErrorKind::InvalidData, e.to_string())))?)
        } else {
            Box::new(file)
        };
        let mut rows = csv::ReaderBuilder::new().flexible(true).buffer_capacity(1 << 17).from_reader(bytes);
        let head = rows.byte_headers().map_err(|e| failed(e.into()))?;
        let names: Vec<String> = head.iter().map(plain).collect();
        let columns: Vec<(&str, bool, Option<usize>)> = columns
            .iter()
            .map(|(name, needed)| (*name, *needed, names.iter().position(|n| n.eq_ignore_ascii_case(name))))
            .collect();
        if let Some((name, ..)) = columns.iter().find(|(_, needed, at)| *needed && at.is_none()) {
            let all: Vec<&str> = columns.iter().map(|c| c.0).collect();
            return Err(Error::Column { path: path.to_owned(), name: (*name).to_owned(), all: all.join(",") });
        }
        let columns = columns.into_iter().map(|c| c.2).collect();
        let row = ByteRecord::new();
        Ok(Self { path: path.to_owned(), rows, row, columns, size, read, bad: 0, shown: Vec::new() })
    }

    /// Goes on to the next line; `false` at the end.
    pub(crate) fn next(&mut self) -> Result<bool, Error> {
        self.rows
            .read_byte_record(&mut self.row)
            .map_err(|e| Error::Read { path: self.path.clone(), source: io::Error::other(e) })
    }

    /// The value in a column, blanks around it taken off; empty where there is none.
    pub(crate) fn bytes(&self, column: usize) -> &[u8] {
        let at = self.columns.get(column).copied().flatten();
        at.and_then(|at| self.row.get(at)).map_or(&[], <[u8]>::trim_ascii)
    }

    /// The same as text; what is not UTF-8 is replaced.
    pub(crate) fn text(&self, column: usize) -> String {
        String::from_utf8_lossy(self.bytes(column)).into_owned()
    }

    /// Counts this line as bad.
    pub(crate) fn bad(&mut self, what: &str) {
        self.bad += 1;
        if self.shown.len() < SHOWN {
            let line = self.row.position().map_or(0, csv::Position::line);
            let whole: Vec<String> = self.row.iter().map(|v| String::from_utf8_lossy(v).into_owned()).collect();
            let whole: String = whole.join(",").chars().take(80).collect();
            self.shown.push(format!("line {line}: {what}: {whole}"));
        }
    }

    /// What was wrong with it, in words; empty: nothing.
    pub(crate) fn complaints(&self) -> Vec<String> {
        if self.bad == 0 {
            return Vec::new();
        }
        let mut said = vec![format!("{}: bad lines, left out: {}", self.path.display(), self.bad)];
        said.extend(self.shown.iter().map(|line| format!("  {line}")));
        if self.bad > self.shown.len() as u64 {
            said.push("  ...".to_owned());
        }
        said
    }

    /// How much of the file has been read, 0 to 1.
    pub(crate) fn share(&self) -> f64 {
        self.read.get() as f64 / self.size.max(1) as f64
    }
}

fn plain(name: &[u8]) -> String {
    String::from_utf8_lossy(name).trim_start_matches('\u{feff}').trim().to_owned()
}

/// How times are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Style {
    /// RFC 3339.
    #[default]
    Text,
    /// Seconds since 1970.
    Seconds,
}

/// Reads times, in seconds since 1970. A time without a zone is UTC.
#[derive(Debug, Default)]
pub(crate) struct Times {
    last: Vec<u8>,
    secs: u32,
    /// How the last one was written.
    pub(crate) style: Style,
}

impl Times {
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Option<u32> {
        // Many lines in turn have the same time.
        if bytes == self.last && !bytes.is_empty() {
            return Some(self.secs);
        }
        let text = std::str::from_utf8(bytes).ok()?;
        let (secs, style) = match text.parse::<f64>() {
            Ok(secs) => (secs.floor(), Style::Seconds),
            Err(_) => {
                let at = text.parse::<Timestamp>().or_else(|_| format!("{text}Z").parse::<Timestamp>()).ok()?;
                (at.as_secs() as f64, Style::Text)
            }
        };
        if !(0.0..=f64::from(u32::MAX)).contains(&secs) {
            return None;
        }
        self.last.clear();
        self.last.extend_from_slice(bytes);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the range that was checked")]
        let secs = secs as u32;
        (self.secs, self.style) = (secs, style);
        Some(secs)
    }
}

impl Style {
    /// A time as the input has it.
    pub(crate) fn write(self, secs: u32) -> String {
        match self {
            Self::Text => Timestamp::from_secs(i64::from(secs)).to_string(),
            Self::Seconds => secs.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_rfc_3339_or_seconds_and_without_a_zone_utc() {
        let mut times = Times::default();
        assert_eq!(times.read(b"2026-01-31T08:00:00Z"), Some(1_769_846_400));
        assert_eq!(times.read(b"2026-01-31T16:00:00+08:00"), Some(1_769_846_400));
        assert_eq!(times.read(b"2026-01-31 08:00:00"), Some(1_769_846_400));
        assert_eq!(times.style, Style::Text);
        assert_eq!(times.read(b"1769846400.7"), Some(1_769_846_400));
        assert_eq!(times.style, Style::Seconds);
        for bad in ["", "soon", "-5", "NaN", "2026-13-01T00:00:00Z"] {
            assert_eq!(times.read(bad.as_bytes()), None, "{bad}");
        }
    }
}
