//! Bodies packed: one zstd frame (RFC 8878) of one body, made once when an agent keeps it, and sent and stored as it is.
//!
//! A body that is not packed is read all the same: an observation set begins with the tag of a field, 0x0a or more, and never with the four bytes of a frame.
//! Bodies are small and much alike, so a dictionary that was trained on what BMCs say makes their frames smaller. A frame names its
//! dictionary; one that was ever shipped is kept for ever, since stores and spools hold frames that need it.

use std::cell::RefCell;
use std::sync::LazyLock;
use zstd::bulk::{Compressor, Decompressor};
use zstd::dict::{DecoderDictionary, EncoderDictionary};
use zstd::zstd_safe;

/// The largest body, unpacked.
pub const MAX_BODY: usize = 16 << 20;
/// As a frame begins.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// A poll's body of 7,220 bytes takes 1,495 at this level; at level 6 it takes 1,343, and four times as long.
const LEVEL: i32 = 3;
/// What a body was before it was packed, at the least: less is not worth a frame.
const LEAST: usize = 64;

/// The dictionary of format 1, trained on what BMCs say. Never to be changed: a better one is another file with the next id.
const DICTIONARY: &[u8] = include_bytes!("pack_1.dict");
const DICTIONARY_ID: u32 = 1;

static ENCODER: LazyLock<EncoderDictionary<'static>> = LazyLock::new(|| EncoderDictionary::copy(DICTIONARY, LEVEL));
static DECODER: LazyLock<DecoderDictionary<'static>> = LazyLock::new(|| DecoderDictionary::copy(DICTIONARY));

thread_local! {
    static PACKER: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static UNPACKER: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Why a packed body cannot be unpacked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnpackError {
    /// A later version packed it.
    #[error("the body needs dictionary {0}, which this version does not have")]
    Dictionary(u32),
    /// It does not say how large it is, or is larger than any body may be.
    #[error("the packed body says that it has {0:?} bytes; {MAX_BODY} is the most")]
    Size(Option<u64>),
    /// The bytes are no frame.
    #[error("the packed body is damaged: {0}")]
    Damaged(String),
}

/// Whether a body is packed.
pub fn is_packed(body: &[u8]) -> bool {
    body.starts_with(&MAGIC)
}

/// The body packed; as it is, where that is not smaller.
pub fn pack(body: Vec<u8>) -> Vec<u8> {
    if body.len() < LEAST || is_packed(&body) {
        return body;
    }
    let packed = PACKER.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = Compressor::with_prepared_dictionary(&ENCODER).ok();
        }
        slot.as_mut().and_then(|packer| packer.compress(&body).ok())
    });
    packed.filter(|p| p.len() < body.len()).unwrap_or(body)
}

/// The body unpacked into `room`, which is cleared first and may be used again for the next; one that is not packed is handed through as it is.
pub fn unpack<'a>(body: &'a [u8], room: &'a mut Vec<u8>) -> Result<&'a [u8], UnpackError> {
    if !is_packed(body) {
        return Ok(body);
    }
    let id = zstd_safe::get_dict_id_from_frame(body).map_or(0, std::num::NonZeroU32::get);
    if id != 0 && id != DICTIONARY_ID {
        return Err(UnpackError::Dictionary(id));
    }
    let size = zstd_safe::get_frame_content_size(body).ok().flatten();
    let bytes = size.and_then(|s| usize::try_from(s).ok()).filter(|s| *s <= MAX_BODY).ok_or(UnpackError::Size(size))?;
    room.clear();
    room.reserve(bytes);
    UNPACKER.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = Some(Decompressor::with_prepared_dictionary(&DECODER).map_err(damaged)?);
        }
        let Some(unpacker) = slot else { return Err(UnpackError::Damaged("no room to unpack it".to_owned())) };
        unpacker.decompress_to_buffer(body, room).map_err(damaged)
    })?;
    if room.len() != bytes {
        return Err(UnpackError::Damaged(format!("{} bytes came out, {bytes} were said", room.len())));
    }
    Ok(room)
}

fn damaged(error: std::io::Error) -> UnpackError {
    UnpackError::Damaged(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn unpacked(body: &[u8]) -> Result<Vec<u8>, UnpackError> {
        unpack(body, &mut Vec::new()).map(<[u8]>::to_vec)
    }

    proptest! {
        #[test]
        fn what_was_packed_comes_out_as_it_was(body: Vec<u8>, repeat in 1usize..200) {
            let body = body.repeat(repeat);
            prop_assume!(!is_packed(&body));
            let packed = pack(body.clone());
            prop_assert!(packed.len() <= body.len());
            prop_assert_eq!(unpacked(&packed), Ok(body));
        }

        #[test]
        fn a_damaged_frame_is_an_error_or_other_bytes_within_the_limit_and_never_a_panic(place: prop::sample::Index, bit in 0u8..8) {
            let mut packed = pack(b"/redfish/v1/Chassis/1/Sensors/Fan".repeat(20));
            prop_assert!(is_packed(&packed));
            let place = place.index(packed.len());
            packed[place] ^= 1 << bit;
            prop_assert!(unpacked(&packed).is_ok_and(|b| b.len() <= MAX_BODY) || unpacked(&packed).is_err());
        }
    }

    #[test]
    fn a_frame_that_says_it_is_larger_than_any_body_is_refused_before_room_is_made() {
        let huge = zstd::bulk::compress(&vec![0; MAX_BODY + 1], 1).unwrap();
        assert_eq!(unpacked(&huge), Err(UnpackError::Size(Some(MAX_BODY as u64 + 1))));
    }

    #[test]
    fn a_frame_of_another_dictionary_is_refused_by_its_number() {
        let mut other = DICTIONARY.to_vec();
        other[4..8].copy_from_slice(&77u32.to_le_bytes());
        let packed = Compressor::with_dictionary(3, &other).unwrap().compress(&[7; 500]).unwrap();
        assert_eq!(unpacked(&packed), Err(UnpackError::Dictionary(77)));
    }

    #[test]
    fn a_frame_without_a_dictionary_is_read_too() {
        let packed = zstd::bulk::compress(&[7; 500], 3).unwrap();
        assert_eq!(unpacked(&packed), Ok(vec![7; 500]));
    }

    #[test]
    fn the_dictionary_is_the_one_that_was_shipped() {
        assert_eq!(DICTIONARY[4..8], DICTIONARY_ID.to_le_bytes());
    }
}
