//! A zip file, written piece by piece: files as they are, not packed (APPNOTE 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16).

/// 1 January 1980: an export says the same whenever it is made.
const DATE: u16 = 0x0021;
const VERSION: u16 = 20;
/// Names are UTF-8.
const FLAGS: u16 = 0x0800;

/// The file does not fit: more than 4 GiB, or more than 65 535 files in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a zip file holds at most 4 GiB and 65535 files; export fewer sites at a time")]
pub struct TooLarge;

/// What was written so far.
#[derive(Debug, Default)]
pub struct Zip {
    directory: Vec<u8>,
    files: u16,
    at: u32,
}

impl Zip {
    /// A file, as the bytes that come next.
    pub fn file(&mut self, name: &str, content: &[u8]) -> Result<Vec<u8>, TooLarge> {
        let size = u32::try_from(content.len()).map_err(|_| TooLarge)?;
        let length = u16::try_from(name.len()).map_err(|_| TooLarge)?;
        let mut entry = Vec::with_capacity(26);
        for word in [VERSION, FLAGS, 0, 0, DATE] {
            entry.extend(word.to_le_bytes());
        }
        for long in [crc32(content), size, size] {
            entry.extend(long.to_le_bytes());
        }
        entry.extend(length.to_le_bytes());
        entry.extend(0_u16.to_le_bytes());

        self.directory.extend(b"PK\x01\x02");
        self.directory.extend(VERSION.to_le_bytes());
        self.directory.extend(&entry);
        // No comment, on the first disk, no attributes.
        self.directory.extend([0; 10]);
        self.directory.extend(self.at.to_le_bytes());
        self.directory.extend(name.as_bytes());

        let mut out = b"PK\x03\x04".to_vec();
        out.extend(entry);
        out.extend(name.as_bytes());
        out.extend(content);
        self.files = self.files.checked_add(1).ok_or(TooLarge)?;
        let written = u32::try_from(out.len()).map_err(|_| TooLarge)?;
        self.at = self.at.checked_add(written).ok_or(TooLarge)?;
        Ok(out)
    }

    /// The last bytes.
    pub fn end(self) -> Result<Vec<u8>, TooLarge> {
        let size = u32::try_from(self.directory.len()).map_err(|_| TooLarge)?;
        let mut out = self.directory;
        out.extend(b"PK\x05\x06\0\0\0\0");
        out.extend(self.files.to_le_bytes());
        out.extend(self.files.to_le_bytes());
        out.extend(size.to_le_bytes());
        out.extend(self.at.to_le_bytes());
        out.extend(0_u16.to_le_bytes());
        Ok(out)
    }
}

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut n = 0;
    while n < 256 {
        let (mut value, mut bit) = (n as u32, 0);
        while bit < 8 {
            value = if value & 1 == 1 { 0xedb8_8320 ^ (value >> 1) } else { value >> 1 };
            bit += 1;
        }
        table[n] = value;
        n += 1;
    }
    table
};

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| TABLE[usize::from(crc as u8 ^ byte)] ^ (crc >> 8);
    !bytes.iter().fold(u32::MAX, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_one_that_everybody_computes() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
    }

    #[test]
    fn the_directory_leads_to_every_file() {
        let mut zip = Zip::default();
        let mut out = zip.file("a.txt", b"one").unwrap();
        let second = u32::try_from(out.len()).unwrap();
        out.extend(zip.file("目录/b", b"two").unwrap());
        let directory = out.len();
        out.extend(zip.end().unwrap());
        let long = |at: usize| u32::from_le_bytes(out[at..at + 4].try_into().unwrap());
        let end = out.len() - 22;
        assert_eq!((&out[end..end + 4], long(end + 16) as usize), (&b"PK\x05\x06"[..], directory));
        let next = directory + 46 + "a.txt".len();
        assert_eq!((&out[next..next + 4], long(next + 42)), (&b"PK\x01\x02"[..], second));
        assert_eq!(&out[second as usize..second as usize + 4], b"PK\x03\x04");
    }
}
