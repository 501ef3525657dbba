//! The arithmetic of RMCP+ (IPMI 2.0 §13.20 to §13.32): key exchange codes, session keys, AES-CBC-128 payloads.

use crate::CipherSuite;
use aes::Aes128;
use cbc::cipher::{Array, BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use hmac::digest::Digest;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;
use subtle::ConstantTimeEq;

const BLOCK: usize = 16;

/// The hash that a cipher suite builds its codes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hash {
    Sha1,
    Sha256,
}

impl Hash {
    pub(super) fn of(suite: CipherSuite) -> Self {
        match suite {
            CipherSuite::Three => Self::Sha1,
            CipherSuite::Seventeen => Self::Sha256,
        }
    }

    /// Length of a packet's integrity code, and of the one in RAKP message 4.
    pub(super) fn code_len(self) -> usize {
        match self {
            Self::Sha1 => 12,
            Self::Sha256 => 16,
        }
    }

    /// Length of the whole HMAC, as RAKP messages 2 and 3 carry it.
    pub(super) fn full_len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// HMAC over the parts, one after the other.
    pub(super) fn hmac(self, key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
        // A key shorter than a block is padded with zeros anyway (RFC 2104); a longer one is hashed first.
        let mut block = [0u8; 64];
        let hashed;
        let short = if key.len() <= block.len() {
            key
        } else {
            hashed = match self {
                Self::Sha1 => Sha1::digest(key).to_vec(),
                Self::Sha256 => Sha256::digest(key).to_vec(),
            };
            &hashed
        };
        for (to, from) in block.iter_mut().zip(short) {
            *to = *from;
        }
        fn run<M: Mac>(mut mac: M, parts: &[&[u8]]) -> Vec<u8> {
            parts.iter().for_each(|p| mac.update(p));
            mac.finalize().into_bytes().to_vec()
        }
        match self {
            Self::Sha1 => run(Hmac::<Sha1>::new(&block.into()), parts),
            Self::Sha256 => run(Hmac::<Sha256>::new(&block.into()), parts),
        }
    }
}

/// Whether two codes are the same, in a time that does not depend on where they differ.
pub(super) fn same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// What both sides have said by RAKP message 2: all that the codes are made of.
#[derive(Clone)]
pub(super) struct Exchange {
    pub(super) hash: Hash,
    pub(super) console_session: u32,
    pub(super) bmc_session: u32,
    pub(super) console_random: [u8; 16],
    pub(super) bmc_random: [u8; 16],
    pub(super) guid: [u8; 16],
    /// Requested privilege with the name-only look-up bit: byte 24 of RAKP message 1.
    pub(super) role: u8,
    pub(super) user: Vec<u8>,
    pub(super) password: Vec<u8>,
}

impl Exchange {
    fn name(&self) -> [u8; 2] {
        [self.role, u8::try_from(self.user.len()).unwrap_or(u8::MAX)]
    }

    /// Key exchange code of RAKP message 2 (§13.21).
    pub(super) fn rakp2_code(&self) -> Vec<u8> {
        self.hash.hmac(
            &self.password,
            &[
                &self.console_session.to_le_bytes(),
                &self.bmc_session.to_le_bytes(),
                &self.console_random,
                &self.bmc_random,
                &self.guid,
                &self.name(),
                &self.user,
            ],
        )
    }

    /// Key exchange code of RAKP message 3 (§13.22).
    pub(super) fn rakp3_code(&self) -> Vec<u8> {
        self.hash
            .hmac(&self.password, &[&self.bmc_random, &self.console_session.to_le_bytes(), &self.name(), &self.user])
    }

    /// The session integrity key (§13.31). Without a BMC key the user's key takes its place.
    pub(super) fn session_key(&self) -> Vec<u8> {
        self.hash.hmac(&self.password, &[&self.console_random, &self.bmc_random, &self.name(), &self.user])
    }

    /// Integrity code of RAKP message 4 (§13.23).
    pub(super) fn rakp4_code(&self, session_key: &[u8]) -> Vec<u8> {
        let mut code =
            self.hash.hmac(session_key, &[&self.console_random, &self.bmc_session.to_le_bytes(), &self.guid]);
        code.truncate(self.hash.code_len());
        code
    }
}

/// The keys of an open session (§13.32).
#[derive(Clone)]
pub(super) struct Keys {
    hash: Hash,
    integrity: Vec<u8>,
    cipher: [u8; BLOCK],
}

impl Keys {
    pub(super) fn derive(hash: Hash, session_key: &[u8]) -> Self {
        let integrity = hash.hmac(session_key, &[&[1; 20]]);
        let long = hash.hmac(session_key, &[&[2; 20]]);
        let mut cipher = [0; BLOCK];
        for (to, from) in cipher.iter_mut().zip(long) {
            *to = from;
        }
        Self { hash, integrity, cipher }
    }

    pub(super) fn hash(&self) -> Hash {
        self.hash
    }

    /// The code that ends a packet.
    pub(super) fn code(&self, signed: &[u8]) -> Vec<u8> {
        let mut code = self.hash.hmac(&self.integrity, &[signed]);
        code.truncate(self.hash.code_len());
        code
    }

    /// Pads and encrypts a payload; the initialisation vector goes before it (§13.29).
    pub(super) fn seal(&self, iv: [u8; BLOCK], plain: &[u8]) -> Vec<u8> {
        let padding = (BLOCK - (plain.len() + 1) % BLOCK) % BLOCK;
        let mut body = plain.to_vec();
        body.extend((1..=padding).map(|n| u8::try_from(n).unwrap_or(0)));
        body.push(u8::try_from(padding).unwrap_or(0));
        let mut encryptor = cbc::Encryptor::<Aes128>::new(&self.cipher.into(), &iv.into());
        for chunk in body.as_chunks_mut::<BLOCK>().0 {
            let mut block = Array(*chunk);
            encryptor.encrypt_block(&mut block);
            *chunk = block.0;
        }
        let mut sealed = iv.to_vec();
        sealed.append(&mut body);
        sealed
    }

    /// Undoes [`Keys::seal`]; `None` where the payload has no such shape.
    pub(super) fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let (iv, body) = sealed.split_first_chunk::<BLOCK>()?;
        if body.is_empty() || body.len() % BLOCK != 0 {
            return None;
        }
        let mut plain = body.to_vec();
        let mut decryptor = cbc::Decryptor::<Aes128>::new(&self.cipher.into(), &(*iv).into());
        for chunk in plain.as_chunks_mut::<BLOCK>().0 {
            let mut block = Array(*chunk);
            decryptor.decrypt_block(&mut block);
            *chunk = block.0;
        }
        let padding = usize::from(plain.pop()?);
        // Some BMCs pad with a whole block more than needed; what stands in the padding is their business.
        let kept = plain.len().checked_sub(padding).filter(|_| padding <= BLOCK)?;
        plain.truncate(kept);
        Some(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn exchange(hash: Hash) -> Exchange {
        let bytes = |from: u8| std::array::from_fn(|i| from + i as u8);
        Exchange {
            hash,
            console_session: 0xA0B1_C2D3,
            bmc_session: 0x0102_0304,
            console_random: bytes(0),
            bmc_random: bytes(16),
            guid: bytes(32),
            role: 0x12,
            user: b"poller".to_vec(),
            password: b"poll-secret".to_vec(),
        }
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    // The expected values were computed with Python's hmac, hashlib and cryptography.

    #[test]
    fn the_key_exchange_of_suite_3_is_byte_exact() {
        let exchange = exchange(Hash::Sha1);
        assert_eq!(hex(&exchange.rakp2_code()), "a760d90d22469e4c467d07d83d837b84e68ccfa1");
        assert_eq!(hex(&exchange.rakp3_code()), "95cd3e7e72e92a59bf9888c5b2e58e1c490337a8");
        let key = exchange.session_key();
        assert_eq!(hex(&key), "54042eef5fcda6c424094f35778206aca381cc3d");
        assert_eq!(hex(&exchange.rakp4_code(&key)), "81fe0b08a1bcddd5eb07fe97");
    }

    #[test]
    fn the_key_exchange_of_suite_17_is_byte_exact() {
        let exchange = exchange(Hash::Sha256);
        assert_eq!(hex(&exchange.rakp2_code()), "f182161e3ea996e7004205912ee9706f9e5cfa7e63032290e9c0dcc326af57ab");
        assert_eq!(hex(&exchange.rakp3_code()), "d2103f0e3626cbc2bcbeefdb5271741b36a93dee40239f59e10ab0fa415b7569");
        let key = exchange.session_key();
        assert_eq!(hex(&key), "f131f005c77b27e69fb39eaf515636c8e0a92cc5c692ebd807ceb8e430c17fcc");
        assert_eq!(hex(&exchange.rakp4_code(&key)), "381534a61ce30dbc0d03a1b0a0131460");
    }

    #[test]
    fn a_key_longer_than_a_block_is_hashed_first() {
        // RFC 4231, test case 6.
        let code = Hash::Sha256.hmac(&[0xAA; 131], &[b"Test Using Larger Than Block-Size Key - Hash Key First"]);
        assert_eq!(hex(&code), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    }

    #[test]
    fn a_payload_with_more_padding_than_there_is_data_is_refused() {
        let keys = Keys::derive(Hash::Sha1, &[1; 20]);
        // One block whose last byte says "15 of padding" is empty; with 16 it cannot be.
        let body: Vec<u8> = keys.seal([0; 16], &[]);
        assert_eq!(keys.open(&body), Some(Vec::new()));
        assert_eq!(keys.open(&body[..20]), None);
        assert_eq!(keys.open(&[]), None);
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_again(plain in proptest::collection::vec(any::<u8>(), 0..200), iv: [u8; 16], key: [u8; 20]) {
            for hash in [Hash::Sha1, Hash::Sha256] {
                let keys = Keys::derive(hash, &key);
                prop_assert_eq!(keys.open(&keys.seal(iv, &plain)), Some(plain.clone()));
            }
        }

        #[test]
        fn opening_random_bytes_never_panics(sealed in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(plain) = Keys::derive(Hash::Sha1, b"k").open(&sealed) {
                prop_assert!(plain.len() < sealed.len());
            }
        }
    }
}
