//! HMAC (RFC 2104) of short messages under a key that signs thousands of them.
//!
//! The key fills the first block of both hashes, so what each has come to after it is kept, and a packet of RMCP+ costs two blocks and not four. The hashes'
//! compression is that of the `sha1` and `sha2` crates, by the processor's own instructions where it has them.

use sha1::Digest;

/// Bytes of a block of either hash.
const BLOCK: usize = 64;
/// Bytes of the longest code.
const LONGEST: usize = 32;

/// A hash by its compression (FIPS 180-4 §6.1.2, §6.2.2); `N` is the number of its words.
trait Compress<const N: usize>: Digest {
    /// What it begins with (§5.3).
    const INITIAL: [u32; N];

    fn compress(state: &mut [u32; N], blocks: &[[u8; BLOCK]]);
}

impl Compress<5> for sha1::Sha1 {
    const INITIAL: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];

    fn compress(state: &mut [u32; 5], blocks: &[[u8; BLOCK]]) {
        sha1::block_api::compress(state, blocks);
    }
}

impl Compress<8> for sha2::Sha256 {
    const INITIAL: [u32; 8] =
        [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

    fn compress(state: &mut [u32; 8], blocks: &[[u8; BLOCK]]) {
        sha2::block_api::compress256(state, blocks);
    }
}

/// A code, or the beginning of one.
#[derive(Clone, Copy)]
pub(super) struct Code {
    bytes: [u8; LONGEST],
    len: usize,
}

impl Code {
    fn of<const N: usize>(state: [u32; N]) -> Self {
        let mut code = Self { bytes: [0; LONGEST], len: (N * 4).min(LONGEST) };
        for (to, word) in code.bytes.as_chunks_mut::<4>().0.iter_mut().zip(state) {
            *to = word.to_be_bytes();
        }
        code
    }

    /// That of a suite without codes.
    pub(super) fn none() -> Self {
        Self { bytes: [0; LONGEST], len: 0 }
    }

    /// Its beginning.
    pub(super) fn truncated(self, len: usize) -> Self {
        Self { len: len.min(self.len), ..self }
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// A key, worked in.
#[derive(Clone, Copy)]
pub(super) struct Keyed<const N: usize> {
    inner: [u32; N],
    outer: [u32; N],
}

/// HMAC-SHA1.
pub(super) type Sha1Keyed = Keyed<5>;
/// HMAC-SHA256.
pub(super) type Sha256Keyed = Keyed<8>;

impl Keyed<5> {
    pub(super) fn new(key: &[u8]) -> Self {
        Self::of::<sha1::Sha1>(key)
    }

    pub(super) fn sign(&self, message: &[u8]) -> Code {
        self.code::<sha1::Sha1>(message)
    }
}

impl Keyed<8> {
    pub(super) fn new(key: &[u8]) -> Self {
        Self::of::<sha2::Sha256>(key)
    }

    pub(super) fn sign(&self, message: &[u8]) -> Code {
        self.code::<sha2::Sha256>(message)
    }
}

impl<const N: usize> Keyed<N> {
    /// Reads both states.
    pub(super) fn touch(&self) -> usize {
        self.inner.first().zip(self.outer.last()).map_or(0, |(a, b)| (a ^ b) as usize)
    }

    fn of<H: Compress<N>>(key: &[u8]) -> Self {
        let mut block = [0; BLOCK];
        // A key shorter than a block is padded with zeros; a longer one is hashed first.
        let hashed = (key.len() > BLOCK).then(|| H::digest(key));
        let short = hashed.as_deref().unwrap_or(key);
        block.iter_mut().zip(short).for_each(|(to, from)| *to = *from);
        let begun = |pad: u8| {
            let mut state = H::INITIAL;
            H::compress(&mut state, &[block.map(|byte| byte ^ pad)]);
            state
        };
        Self { inner: begun(0x36), outer: begun(0x5c) }
    }

    fn code<H: Compress<N>>(&self, message: &[u8]) -> Code {
        let inner = finish::<N, H>(self.inner, message);
        finish::<N, H>(self.outer, inner.as_slice())
    }
}

/// Ends a hash that has taken one block before the message (FIPS 180-4 §5.1.1).
fn finish<const N: usize, H: Compress<N>>(mut state: [u32; N], message: &[u8]) -> Code {
    let (blocks, rest) = message.as_chunks::<BLOCK>();
    if !blocks.is_empty() {
        H::compress(&mut state, blocks);
    }
    let mut last = [[0u8; BLOCK]; 2];
    let bytes = last.as_flattened_mut();
    if let Some((begin, [end, ..])) = bytes.split_at_mut_checked(rest.len()) {
        begin.copy_from_slice(rest);
        *end = 0x80;
    }
    // The length in bits stands in the last eight bytes.
    let used = if rest.len() + 9 <= BLOCK { 1 } else { 2 };
    let bits = u64::try_from(BLOCK + message.len()).unwrap_or(u64::MAX).wrapping_mul(8);
    if let Some(end) = bytes.get_mut(..used * BLOCK).and_then(<[u8]>::last_chunk_mut) {
        *end = bits.to_be_bytes();
    }
    H::compress(&mut state, last.get(..used).unwrap_or_default());
    Code::of(state)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hmac::{Hmac, KeyInit, Mac};
    use proptest::prelude::*;

    fn by_the_crate<M: Mac + KeyInit>(key: &[u8], message: &[u8]) -> Vec<u8> {
        let mut mac = <M as KeyInit>::new_from_slice(key).unwrap();
        mac.update(message);
        mac.finalize().into_bytes().to_vec()
    }

    proptest! {
        #[test]
        fn keys_and_messages_of_any_length_are_signed_as_the_hmac_crate_does(
            key in proptest::collection::vec(any::<u8>(), 0..150),
            message in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            prop_assert_eq!(Sha1Keyed::new(&key).sign(&message).as_slice().to_vec(), by_the_crate::<Hmac<sha1::Sha1>>(&key, &message));
            prop_assert_eq!(Sha256Keyed::new(&key).sign(&message).as_slice().to_vec(), by_the_crate::<Hmac<sha2::Sha256>>(&key, &message));
        }
    }
}
