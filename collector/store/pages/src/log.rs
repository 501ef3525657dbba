//! The write-ahead log: what SQLite writes there, and how its checksums chain. <https://www.sqlite.org/fileformat2.html#walformat>

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Bytes before the first frame.
pub(crate) const HEADER: u64 = 32;
/// Bytes before the page of a frame.
pub(crate) const FRAME: u64 = 24;

/// Where the page of a frame begins, frames counted from 0.
pub(crate) fn page_of(frame: u64, page_size: u64) -> u64 {
    HEADER + frame * (FRAME + page_size) + FRAME
}

/// Where the checksum lies on which a frame's own goes on: in the frame before, or in the header.
pub(crate) fn before(frame: u64, page_size: u64) -> u64 {
    match frame {
        0 => HEADER - 8,
        frame => page_of(frame - 1, page_size) - 8,
    }
}

/// The page size that a log's header names, in bytes.
pub(crate) fn page_size(header: &[u8]) -> Option<u64> {
    let bytes: [u8; 4] = header.get(8..12)?.try_into().ok()?;
    let size = u32::from_be_bytes(bytes);
    (size.is_power_of_two() && (512..=65_536).contains(&size)).then_some(u64::from(size))
}

fn words(bytes: &[u8]) -> (u32, u32) {
    let word = |b: &[u8]| b.try_into().map_or(0, u32::from_be_bytes);
    (word(&bytes[..4]), word(&bytes[4..8]))
}

/// Goes on with a checksum over bytes, a multiple of eight of them, by the order of bytes of whoever began the log.
fn go_on(sum: (u32, u32), bytes: &[u8], big_endian: bool) -> (u32, u32) {
    if big_endian { add::<true>(sum, bytes) } else { add::<false>(sum, bytes) }
}

fn add<const BIG_ENDIAN: bool>((mut s0, mut s1): (u32, u32), bytes: &[u8]) -> (u32, u32) {
    let read = |b: [u8; 4]| if BIG_ENDIAN { u32::from_be_bytes(b) } else { u32::from_le_bytes(b) };
    for &[a, b, c, d, e, f, g, h] in bytes.as_chunks::<8>().0 {
        s0 = s0.wrapping_add(read([a, b, c, d])).wrapping_add(s1);
        s1 = s1.wrapping_add(read([e, f, g, h])).wrapping_add(s0);
    }
    (s0, s1)
}

/// Whether a frame is what was written: `before` is the checksum that it goes on from, in the eight bytes of the file. The order of bytes is that of the machine
/// that began the log; most likely this one's.
pub(crate) fn is_whole(before: &[u8; 8], header: &[u8; FRAME as usize], page: &[u8]) -> bool {
    let own = cfg!(target_endian = "big");
    [own, !own].into_iter().any(|order| {
        let begun = go_on(words(before), &header[..8], order);
        go_on(begun, page, order) == words(&header[16..])
    })
}

/// Which frames SQLite has written over in place in a transaction that is not committed: their checksums are put right at its end.
#[derive(Debug, Default)]
pub(crate) struct Rewrites {
    /// The frame whose header was written last, while its page is not there yet.
    begun: Option<u64>,
    /// From this frame on, checksums may be behind.
    from: Option<u64>,
}

impl Rewrites {
    /// Learns of bytes that are written at this place.
    pub(crate) fn write(&mut self, at: u64, bytes: &[u8], page_size: u64) {
        let Some(at) = at.checked_sub(HEADER) else { return *self = Self::default() };
        let (frame, within) = (at / (FRAME + page_size), at % (FRAME + page_size));
        let behind = if within < FRAME {
            self.begun = Some(frame);
            // While checksums are behind, SQLite leaves out those of further frames.
            bytes.get(8..FRAME as usize).is_some_and(|sums| sums.iter().all(|b| *b == 0))
        } else {
            self.begun != Some(frame)
        };
        if within >= FRAME && within + bytes.len() as u64 >= FRAME + page_size {
            self.begun = None;
        }
        if behind {
            self.from = Some(self.from.map_or(frame, |from| from.min(frame)));
        } else if within < FRAME && self.from.is_some_and(|from| frame <= from) {
            self.from = None;
        }
    }

    /// Whether the frame's checksum is one that can be relied on.
    pub(crate) fn is_settled(&self, frame: u64) -> bool {
        self.from.is_none_or(|from| frame < from)
    }
}

/// How far a log was found whole.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    header: [u8; HEADER as usize],
    frames: u64,
    sum: [u8; 8],
}

impl Chain {
    /// Goes on through this frame, from the beginning where the log was begun anew. Answers the first that is not whole, counted from 0.
    pub(crate) fn follow(&mut self, path: &Path, frames: u64) -> io::Result<Option<u64>> {
        let file = File::open(path)?;
        let mut header = [0; HEADER as usize];
        file.read_exact_at(&mut header, 0)?;
        if header != self.header {
            *self = Self { header, frames: 0, sum: header[24..].try_into().unwrap_or_default() };
        }
        let Some(page_size) = page_size(&header) else { return Ok(Some(0)) };
        let mut bytes = vec![0; usize::try_from(FRAME + page_size).unwrap_or_default()];
        while self.frames < frames {
            file.read_exact_at(&mut bytes, page_of(self.frames, page_size) - FRAME)?;
            let (head, page) = bytes.split_at(FRAME as usize);
            let head = head.try_into().unwrap_or([0; FRAME as usize]);
            if !is_whole(&self.sum, &head, page) {
                return Ok(Some(self.frames));
            }
            self.sum = head[16..].try_into().unwrap_or_default();
            self.frames += 1;
        }
        Ok(None)
    }
}

/// A log that is damaged in its middle: SQLite believes it up to there, and what was committed after is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// The first frame that cannot be believed, from 1.
    pub frame: u64,
    /// Commits known to be beyond it; there may be more.
    pub commits: u64,
}

/// Looks whether commits lie beyond a damaged frame of this log, before SQLite opens it. A log that a crash ended early has none: each commit is on
/// the disk before the next begins. What a failed transaction left behind is told from commits: each such rest has one at most.
pub fn cut(log: &Path) -> io::Result<Option<Cut>> {
    let file = match File::open(log) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let length = file.metadata()?.len();
    if length < HEADER + FRAME {
        return Ok(None);
    }
    let mut header = [0; HEADER as usize];
    file.read_exact_at(&mut header, 0)?;
    let Some(page_size) = page_size(&header) else { return Ok(None) };
    let big_endian = header[3] & 1 == 1;
    let header_is_whole = go_on((0, 0), &header[..24], big_endian) == words(&header[24..]);
    let (mut first, mut run, mut most) = ((!header_is_whole).then_some(0), 0, 0);
    let mut sum: [u8; 8] = header[24..].try_into().unwrap_or_default();
    let mut bytes = vec![0; usize::try_from(FRAME + page_size).unwrap_or_default()];
    for frame in 0..(length - HEADER) / (FRAME + page_size) {
        file.read_exact_at(&mut bytes, page_of(frame, page_size) - FRAME)?;
        let (head, page) = bytes.split_at(FRAME as usize);
        let head: [u8; FRAME as usize] = head.try_into().unwrap_or_default();
        // Frames of an earlier round of the log have other salts.
        let is_of_now = head[8..16] == header[16..24];
        if is_of_now && is_whole(&sum, &head, page) {
            let is_commit = head[4..8] != [0; 4];
            run += u64::from(first.is_some() && is_commit);
            most = most.max(run);
        } else {
            first.get_or_insert(frame);
            run = 0;
        }
        sum = head[16..].try_into().unwrap_or_default();
    }
    Ok(first.filter(|_| most > 1).map(|frame| Cut { frame: frame + 1, commits: most }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: u64 = 512;

    fn header(sums: u8) -> [u8; 24] {
        let mut bytes = [1; 24];
        bytes[8..].fill(sums);
        bytes
    }

    #[test]
    fn a_frame_that_is_written_after_its_header_is_settled() {
        let mut log = Rewrites::default();
        log.write(page_of(0, PAGE) - FRAME, &header(9), PAGE);
        log.write(page_of(0, PAGE), &[0; 512], PAGE);
        assert!(log.is_settled(0));
    }

    #[test]
    fn a_page_written_over_in_place_is_not_settled_until_headers_are_written_again() {
        let mut log = Rewrites::default();
        for frame in 0..3 {
            log.write(page_of(frame, PAGE) - FRAME, &header(9), PAGE);
            log.write(page_of(frame, PAGE), &[0; 512], PAGE);
        }
        log.write(page_of(2, PAGE), &[1; 512], PAGE);
        log.write(page_of(1, PAGE), &[1; 512], PAGE);
        assert_eq!([0, 1, 2].map(|f| log.is_settled(f)), [true, false, false]);
        log.write(page_of(3, PAGE) - FRAME, &header(0), PAGE);
        log.write(page_of(3, PAGE), &[0; 512], PAGE);
        assert!(!log.is_settled(3));
        for frame in 1..4 {
            log.write(page_of(frame, PAGE) - FRAME, &header(9), PAGE);
        }
        assert!((0..4).all(|f| log.is_settled(f)));
    }

    #[test]
    fn a_page_written_in_two_parts_is_settled() {
        let mut log = Rewrites::default();
        log.write(page_of(0, PAGE) - FRAME, &header(9), PAGE);
        log.write(page_of(0, PAGE), &[0; 100], PAGE);
        log.write(page_of(0, PAGE) + 100, &[0; 412], PAGE);
        assert!(log.is_settled(0));
        log.write(page_of(0, PAGE) + 100, &[0; 412], PAGE);
        assert!(!log.is_settled(0), "in place");
    }
}
