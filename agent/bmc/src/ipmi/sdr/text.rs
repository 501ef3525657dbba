//! Text as IPMI codes it: names in records (IPMI 2.0 §43.15) and fields of FRU data (Platform Management FRU Information Storage Definition §13).

/// A type/length byte and the text after it. Empty where there is none; cut where the record ends early. Blanks at its end are kept: a shared record's
/// numbers follow them.
///
/// The book counts characters, and many a record counts bytes. The two differ where characters are not bytes; what is there tells which is meant.
pub(super) fn name(record: &[u8], at: usize) -> String {
    let Some((&type_len, rest)) = record.get(at..).and_then(<[u8]>::split_first) else { return String::new() };
    let len = usize::from(type_len & 0x1F);
    let bytes = rest.get(..len).unwrap_or(rest);
    match type_len >> 6 {
        // A record that ends after two bytes for each counts characters.
        0 => unicode(bytes, Some(rest).filter(|r| r.len() == 2 * len)),
        1 => packed(bytes, len, 4, bcd),
        2 => packed(bytes, len, 6, six_bit),
        code => text(code, bytes),
    }
}

/// Text of an SDR or FRU type code other than FRU's binary: 0 Unicode, 1 BCD plus, 2 six-bit ASCII, 3 eight-bit.
pub(in super::super) fn text(code: u8, bytes: &[u8]) -> String {
    let text = match code & 3 {
        0 => unicode(bytes, None),
        1 => bcd(bytes),
        2 => six_bit(bytes),
        // Latin-1, unless it happens to be good UTF-8.
        _ => std::str::from_utf8(bytes).map_or_else(|_| bytes.iter().map(|b| char::from(*b)).collect(), str::to_owned),
    };
    until_nul(text)
}

fn until_nul(mut text: String) -> String {
    text.truncate(text.find('\0').unwrap_or(text.len()));
    text
}

/// Unicode, which the book leaves at that: two bytes a character in what is `wide`; else UTF-8 where it is good, else two bytes a character all the same. Of two
/// the low one is first, or the high one.
fn unicode(bytes: &[u8], wide: Option<&[u8]>) -> String {
    let trimmed = bytes.iter().rposition(|b| *b != 0).map_or(&[][..], |last| bytes.get(..=last).unwrap_or(bytes));
    let narrow = || std::str::from_utf8(trimmed).ok().filter(|t| !t.chars().any(char::is_control)).map(str::to_owned);
    wide.and_then(utf16)
        .or_else(narrow)
        .or_else(|| utf16(bytes))
        .unwrap_or_else(|| until_nul(String::from_utf8_lossy(bytes).into_owned()))
}

/// `None` where it is no text that anybody would write.
fn utf16(bytes: &[u8]) -> Option<String> {
    [u16::from_le_bytes, u16::from_be_bytes].into_iter().find_map(|unit| {
        let units = bytes.as_chunks::<2>().0.iter().map(|pair| unit(*pair)).take_while(|unit| *unit != 0);
        let text = char::decode_utf16(units).collect::<Result<String, _>>().ok()?;
        let reads = |c: char| c.is_alphanumeric() || c.is_ascii_graphic() || c == ' ';
        (!text.is_empty() && text.chars().all(reads)).then_some(text)
    })
}

/// A name of `len` characters, or in `len` bytes, of so many bits each: characters where the bytes beyond them are missing or nothing but padding.
fn packed(bytes: &[u8], len: usize, bits: usize, decode: fn(&[u8]) -> String) -> String {
    let is_padding = |beyond: &[u8]| !beyond.is_empty() && beyond.iter().all(|b| *b == 0);
    let counts_characters = bytes.len() < len || bytes.get((len * bits).div_ceil(8)..).is_some_and(is_padding);
    decode(bytes).chars().take(if counts_characters { len } else { usize::MAX }).collect()
}

fn bcd(bytes: &[u8]) -> String {
    let character = |nibble: u8| match nibble {
        0..=9 => char::from(b'0' + nibble),
        0xA => ' ',
        0xB => '-',
        0xC => '.',
        0xD => ':',
        0xE => ',',
        _ => '_',
    };
    bytes.iter().flat_map(|b| [b >> 4, b & 0x0F]).map(character).collect()
}

fn six_bit(bytes: &[u8]) -> String {
    let mut out = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().rev().fold(0u32, |bits, b| bits << 8 | u32::from(*b));
        let characters = group.len() * 8 / 6;
        out.extend((0..characters).map(|i| char::from(0x20 + (bits >> (6 * i) & 0x3F) as u8)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_in_four_codes() {
        assert_eq!(text(3, b"Plain"), "Plain");
        assert_eq!(text(3, &[b'T', 0xB0]), "T°");
        assert_eq!(text(0, "温度".as_bytes()), "温度");
        assert_eq!(text(1, &[0x12, 0xB3, 0xC4]), "12-3.4");
        // "IPMI" in six bits: 29h 30h 2Dh 29h, packed from the low end.
        assert_eq!(text(2, &[0x29, 0xDC, 0xA6]), "IPMI");
    }

    #[test]
    fn a_packed_name_is_read_whether_its_length_counts_bytes_or_characters() {
        // Seven characters in four bytes, then with the padding that some put behind.
        for name_of in [&[0x44, 0x12, 0xB3, 0x4C, 0x5A][..], &[0x47, 0x12, 0xB3, 0x4C, 0x5A]] {
            assert_eq!(name(name_of, 0).trim(), "12-34.5");
        }
        assert_eq!(name(&[0x47, 0x12, 0xB3, 0x4C, 0x5A, 0, 0, 0, 0, 0, 0], 0), "12-34.5");
        assert_eq!(name(&[0x83, 0x29, 0xDC, 0xA6], 0), "IPMI");
        assert_eq!(name(&[0x84, 0x29, 0xDC, 0xA6], 0), "IPMI");
        assert_eq!(name(&[0x83, 0x29, 0xDC, 0xA6, 0, 0, 0, 0, 0, 0], 0), "IPMI");
        // Five characters: the sixth and seventh of four bytes are not of the name.
        assert_eq!(name(&[0x85, 0x29, 0xDC, 0xA6, 0x21], 0), "IPMIA");
    }

    #[test]
    fn a_unicode_name_is_read_in_one_byte_or_two_a_character() {
        assert_eq!(name(b"\x04CPU1", 0), "CPU1");
        assert_eq!(name(b"\x08C\0P\0U\x001\0", 0), "CPU1");
        assert_eq!(name(b"\x04C\0P\0U\x001\0", 0), "CPU1");
        assert_eq!(name(b"\x08\0C\0P\0U\x001", 0), "CPU1");
        // 风扇 in UTF-16, the low byte first; a length in characters.
        assert_eq!(name(&[0x02, 0xCE, 0x98, 0x47, 0x62], 0), "风扇");
    }

    #[test]
    fn what_is_in_no_code_still_is_some_text() {
        assert!(!name(&[0x04, 0xFF, 0xD8, 0x01, 0xDC], 0).is_empty());
        assert_eq!(name(&[0x00], 0), "");
        assert_eq!(name(&[], 0), "");
    }
}
