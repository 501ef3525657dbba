//! Readings by server, in a file without a name: a history is larger than memory, and comes in whatever order.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// One reading.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Row {
    /// What the server's clock said, in seconds since 1970.
    pub(crate) at: u32,
    /// The channel, a number of the server's own.
    pub(crate) channel: u32,
    pub(crate) value: f64,
}

const BYTES: usize = 16;
/// So many readings of a server are written at once.
const TOGETHER: usize = 256;

/// What waits to be written of one server, and where its written pieces lie: offset and readings.
type Spilt = (Vec<Row>, Vec<(u64, usize)>);

/// Readings of many servers, in the order in which each server's came.
pub(crate) struct Spill {
    file: BufWriter<File>,
    /// By server: what is not written yet, and where the rest is (offset, readings).
    servers: Vec<Spilt>,
    end: u64,
}

impl Spill {
    /// Begins one, in a directory with room for 16 bytes a reading.
    pub(crate) fn new(dir: &Path) -> io::Result<Self> {
        let file = BufWriter::with_capacity(1 << 20, tempfile::tempfile_in(dir)?);
        Ok(Self { file, servers: Vec::new(), end: 0 })
    }

    /// Takes in a reading of a server; servers are numbered from 0.
    pub(crate) fn push(&mut self, server: usize, row: Row) -> io::Result<()> {
        if self.servers.len() <= server {
            self.servers.resize_with(server + 1, Default::default);
        }
        let Some((fresh, _)) = self.servers.get_mut(server) else { return Ok(()) };
        fresh.push(row);
        if fresh.len() == TOGETHER { self.write(server) } else { Ok(()) }
    }

    fn write(&mut self, server: usize) -> io::Result<()> {
        let Some((fresh, places)) = self.servers.get_mut(server) else { return Ok(()) };
        places.push((self.end, fresh.len()));
        self.end += (fresh.len() * BYTES) as u64;
        for row in fresh.drain(..) {
            self.file.write_all(&row.bytes())?;
        }
        Ok(())
    }

    /// Puts the readings of a server into the order of time, those of one moment as they came.
    pub(crate) fn sort(&mut self, server: usize) -> io::Result<()> {
        let mut rows = self.of(server)?;
        rows.sort_by_key(|row| row.at);
        let Some((fresh, places)) = self.servers.get_mut(server) else { return Ok(()) };
        let mut sorted = rows.as_slice();
        let mut bytes = Vec::new();
        for (offset, count) in places {
            let (piece, rest) = sorted.split_at_checked(*count).unwrap_or((sorted, &[]));
            bytes.clear();
            bytes.extend(piece.iter().flat_map(Row::bytes));
            self.file.get_ref().write_all_at(&bytes, *offset)?;
            sorted = rest;
        }
        *fresh = sorted.to_vec();
        Ok(())
    }

    /// The readings of a server one after the other. What was pushed since the last [`Spill::flush`] may be missing.
    pub(crate) fn rows(&self, server: usize) -> Rows<'_> {
        let none: (&[Row], &[(u64, usize)]) = (&[], &[]);
        let (fresh, places) = self.servers.get(server).map_or(none, |(fresh, places)| (fresh, places));
        Rows { file: self.file.get_ref(), places: places.iter(), fresh, piece: Vec::new(), at: 0 }
    }

    /// Makes all that was pushed readable.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }

    /// All readings of a server.
    pub(crate) fn of(&mut self, server: usize) -> io::Result<Vec<Row>> {
        self.file.flush()?;
        let mut rows = Vec::new();
        let mut all = self.rows(server);
        while let Some(row) = all.next()? {
            rows.push(row);
        }
        Ok(rows)
    }
}

/// The readings of one server, a piece at a time.
pub(crate) struct Rows<'a> {
    file: &'a File,
    places: std::slice::Iter<'a, (u64, usize)>,
    /// Those that are in no piece yet: the last ones.
    fresh: &'a [Row],
    piece: Vec<u8>,
    /// Where in the piece the next one is.
    at: usize,
}

impl Rows<'_> {
    /// The next one.
    pub(crate) fn next(&mut self) -> io::Result<Option<Row>> {
        if self.at == self.piece.len() {
            let Some((offset, count)) = self.places.next() else {
                let Some((first, rest)) = self.fresh.split_first() else { return Ok(None) };
                self.fresh = rest;
                return Ok(Some(*first));
            };
            self.piece.resize(count * BYTES, 0);
            self.file.read_exact_at(&mut self.piece, *offset)?;
            self.at = 0;
        }
        let next = self.piece.get(self.at..).and_then(row);
        self.at += BYTES;
        Ok(next)
    }
}

impl Row {
    fn bytes(&self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        let (at, rest) = bytes.split_at_mut(4);
        let (channel, value) = rest.split_at_mut(4);
        at.copy_from_slice(&self.at.to_le_bytes());
        channel.copy_from_slice(&self.channel.to_le_bytes());
        value.copy_from_slice(&self.value.to_le_bytes());
        bytes
    }
}

fn row(bytes: &[u8]) -> Option<Row> {
    Some(Row {
        at: u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?),
        channel: u32::from_le_bytes(bytes.get(4..8)?.try_into().ok()?),
        value: f64::from_le_bytes(bytes.get(8..BYTES)?.try_into().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_server_gets_its_own_readings_back_in_their_order() {
        let mut spill = Spill::new(&std::env::temp_dir()).unwrap();
        let row = |n: u32| Row { at: n, channel: n % 7, value: f64::from(n) / 3.0 };
        for n in 0..3000 {
            spill.push(n as usize % 3, row(n)).unwrap();
        }
        for server in 0..3 {
            let expected: Vec<Row> = (0..3000).filter(|n| n % 3 == server).map(row).collect();
            assert_eq!(spill.of(server as usize).unwrap(), expected);
        }
        assert_eq!(spill.of(9).unwrap(), []);
    }

    #[test]
    fn readings_are_put_into_the_order_of_time_where_they_lie() {
        let mut spill = Spill::new(&std::env::temp_dir()).unwrap();
        let row = |n: u32| Row { at: n * 7919 % 1000, channel: n, value: f64::from(n) };
        for n in 0..1000 {
            spill.push(1, row(n)).unwrap();
            spill.push(0, row(n)).unwrap();
        }
        spill.sort(1).unwrap();
        let mut sorted: Vec<Row> = (0..1000).map(row).collect();
        assert_eq!(spill.of(0).unwrap(), sorted);
        sorted.sort_by_key(|row| row.at);
        assert_eq!(spill.of(1).unwrap(), sorted);
    }
}
