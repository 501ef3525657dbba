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
        self.hash.hmac(
            &self.password,
            &[&self.bmc_random, &self.console_session.to_le_bytes(), &self.name(), &self.user],
        )
    }

    /// The session integrity key (§13.31). Without a BMC key the user's key takes its place.
    pub(super) fn session_key(&self) -> Vec<u8> {
        self.hash.hmac(&self.password, &[&self.console_random, &self.bmc_random, &self.name(), &self.user])
    }

    /// Integrity code of RAKP message 4 (§13.23).
    pub(super) fn rakp4_code(&self, session_key: &[u8]) -> Vec<u8> {
        let mut code = self
            .hash
            .hmac(session_key, &[&self.console_random, &self.bmc_session.to_le_bytes(), &self.guid]);
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
