//! Where bytes lie that are looked at once an hour: a file that nobody else sees and that is gone with the program.
//!
//! What wear is learnt from takes tens of kilobytes a server, and is turned over once an hour. On the disk it takes no memory; the kernel keeps of it what it has
//! room for. Nothing here outlives the program: what does is in the store.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Each has a place of so many bytes. A file has holes: what is not written of it takes no room on the disk.
const PLACE: u64 = 1 << 20;
/// What is to be kept free of the volume, in bytes: what agents send comes first.
const KEEP_FREE: u64 = 256 << 20;
/// That is looked at each so manyth time that something is put away.
const LOOK: u64 = 256;

/// Why something is not there any more.
#[derive(Debug, thiserror::Error)]
pub(super) enum Lost {
    /// The file cannot be read.
    #[error("reading what was put aside: {0}")]
    Read(#[source] io::Error),
    /// It is not what was put there.
    #[error("what was put aside has changed on the disk")]
    Changed,
}

/// Where something lies. To be handed back with [`Attic::take`], else its place stays taken.
#[derive(Debug)]
pub(super) struct Spot {
    place: u64,
    length: usize,
    sum: u32,
}

/// The file, where there is one.
#[derive(Debug, Default)]
pub(super) struct Attic {
    file: Option<File>,
    /// So many places are there, and these of them are free.
    places: u64,
    free: Vec<u64>,
    puts: u64,
    /// The volume is nearly full, or the file cannot be written: what comes stays in memory.
    closed: bool,
}

impl Attic {
    /// One in a directory.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        Ok(Self { file: Some(tempfile::tempfile_in(dir)?), ..Self::default() })
    }

    /// Puts bytes away. `None`: there is no room for them.
    pub(super) fn put(&mut self, bytes: &[u8]) -> Option<Spot> {
        let file = self.file.as_ref().filter(|_| bytes.len() as u64 <= PLACE)?;
        if self.puts.is_multiple_of(LOOK) {
            self.closed = !has_room(file);
        }
        self.puts += 1;
        if self.closed {
            return None;
        }
        let place = self.free.last().copied().unwrap_or(self.places);
        if let Err(error) = file.write_all_at(bytes, place * PLACE) {
            tracing::warn!(%error, "what is learnt of slow wear cannot be put aside and stays in memory");
            self.closed = true;
            return None;
        }
        if self.free.pop().is_none() {
            self.places += 1;
        }
        Some(Spot { place, length: bytes.len(), sum: crc32c::crc32c(bytes) })
    }

    /// Takes bytes back.
    pub(super) fn take(&mut self, spot: Spot) -> Result<Vec<u8>, Lost> {
        let mut bytes = vec![0; spot.length];
        self.free.push(spot.place);
        let file = self.file.as_ref().ok_or(Lost::Changed)?;
        file.read_exact_at(&mut bytes, spot.place * PLACE).map_err(Lost::Read)?;
        if crc32c::crc32c(&bytes) == spot.sum { Ok(bytes) } else { Err(Lost::Changed) }
    }
}

fn has_room(file: &File) -> bool {
    nix::sys::statvfs::fstatvfs(file).is_ok_and(|s| s.blocks_available().saturating_mul(s.fragment_size()) >= KEEP_FREE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attic() -> Attic {
        Attic::open(&std::env::temp_dir()).unwrap()
    }

    #[test]
    fn what_is_taken_is_what_was_put_and_its_place_is_used_again() {
        let mut attic = attic();
        let bytes = |n: u8| vec![n; 700 + usize::from(n) * 300];
        let spots: Vec<Spot> = (0..20).map(|n| attic.put(&bytes(n)).unwrap()).collect();
        let places = attic.places;
        for (n, spot) in (0..).zip(spots) {
            assert_eq!(attic.take(spot).unwrap(), bytes(n));
        }
        (0..20).for_each(|n| assert!(attic.put(&bytes(n)).is_some()));
        assert_eq!(attic.places, places);
    }

    #[test]
    fn bytes_that_changed_on_the_disk_are_lost_and_not_taken() {
        let mut attic = attic();
        let spot = attic.put(&[7; 100]).unwrap();
        attic.file.as_ref().unwrap().write_all_at(&[8], spot.place * PLACE + 50).unwrap();
        assert!(matches!(attic.take(spot), Err(Lost::Changed)));
        let spot = attic.put(&[7; 100]).unwrap();
        attic.file.as_ref().unwrap().set_len(0).unwrap();
        assert!(matches!(attic.take(spot), Err(Lost::Read(_))));
    }

    #[test]
    fn without_a_file_nothing_is_put_away() {
        assert!(Attic::default().put(&[1]).is_none());
    }
}
