//! The checksum of a page.

/// Bytes at the end of each page that are not SQLite's: what `SQLITE_FCNTL_RESERVE_BYTES` is to be set to.
pub const RESERVED: u8 = 8;

const TAIL: usize = RESERVED as usize;

/// Says that there is a checksum, whatever the header of the file says. No text ends so: it is not UTF-8.
const MARK: [u8; 4] = [0xfe, b'O', b'B', 0x01];

/// Over the number, too: a page that was written to another one's place does not pass.
fn sum(content: &[u8], number: u32) -> [u8; 4] {
    crc32c::crc32c_append(crc32c::crc32c(&number.to_le_bytes()), content).to_le_bytes()
}

/// Whether so many bytes are a page.
pub(crate) fn is_page(bytes: usize) -> bool {
    bytes.is_power_of_two() && (512..=65_536).contains(&bytes)
}

/// Puts the checksum at the end of the page.
pub(crate) fn seal(page: &mut [u8], number: u32) {
    let (content, tail) = page.split_at_mut(page.len() - TAIL);
    tail[..4].copy_from_slice(&sum(content, number));
    tail[4..].copy_from_slice(&MARK);
}

/// Whether the page is what was written there.
pub(crate) fn is_whole(page: &[u8], number: u32) -> bool {
    let (content, tail) = page.split_at(page.len() - TAIL);
    tail[..4] == sum(content, number) && tail[4..] == MARK
}

/// Whether the page says that it has a checksum.
pub(crate) fn is_marked(page: &[u8]) -> bool {
    page.ends_with(&MARK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn one_to_three_flipped_bits_anywhere_in_a_page_are_noticed(
            content in proptest::collection::vec(any::<u8>(), 512..=512),
            number in 1u32..,
            flips in proptest::collection::btree_set(0usize..4096, 1..=3),
        ) {
            let mut page = content;
            seal(&mut page, number);
            prop_assert!(is_whole(&page, number));
            for bit in flips {
                page[bit / 8] ^= 1 << (bit % 8);
            }
            prop_assert!(!is_whole(&page, number));
        }

        #[test]
        fn a_page_in_the_place_of_another_is_noticed(number in 1u32.., other in 1u32..) {
            let mut page = vec![7; 4096];
            seal(&mut page, number);
            prop_assert_eq!(is_whole(&page, other), number == other);
        }
    }

    #[test]
    fn a_page_of_zeros_is_none_that_was_written() {
        assert!(!is_whole(&[0; 4096], 3));
    }
}
