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
            self.file.write_all(&row.at.to_le_bytes())?;
            self.file.write_all(&row.channel.to_le_bytes())?;
            self.file.write_all(&row.value.to_le_bytes())?;
        }
        Ok(())
    }

    /// All readings of a server.
    pub(crate) fn of(&mut self, server: usize) -> io::Result<Vec<Row>> {
        self.file.flush()?;
        let Some((fresh, places)) = self.servers.get(server) else { return Ok(Vec::new()) };
        let mut rows = Vec::with_capacity(places.iter().map(|p| p.1).sum::<usize>() + fresh.len());
        let mut bytes = Vec::new();
        for (offset, count) in places {
            bytes.resize(count * BYTES, 0);
            self.file.get_ref().read_exact_at(&mut bytes, *offset)?;
            rows.extend(bytes.chunks_exact(BYTES).filter_map(row));
        }
        rows.extend_from_slice(fresh);
        Ok(rows)
    }
}

fn row(bytes: &[u8]) -> Option<Row> {
    Some(Row {
        at: u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?),
        channel: u32::from_le_bytes(bytes.get(4..8)?.try_into().ok()?),
        value: f64::from_le_bytes(bytes.get(8..)?.try_into().ok()?),
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
}
