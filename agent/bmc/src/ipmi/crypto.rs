//! The arithmetic of RMCP+ (IPMI 2.0 §13.20 to §13.32): key exchange codes, session keys, AES-CBC-128 payloads; and the codes of IPMI 1.5 (§22.17.1).

use super::keyed::{Code, Sha1Keyed, Sha256Keyed};
use crate::{AuthType, CipherSuite};
use aes::Aes128;
use aes::cipher::generic_array::GenericArray;
use aes::cipher::{BlockDecrypt, BlockEncrypt, KeyInit};
use md2::Md2;
use md5::Md5;
use sha1::Digest;
use std::ops::Deref;
use subtle::ConstantTimeEq;

const BLOCK: usize = 16;

/// The hash that a cipher suite builds its codes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hash {
    /// Suite 0: every code is empty, and proves nothing.
    None,
    Sha1,
    Sha256,
}

impl Hash {
    pub(super) fn of(suite: CipherSuite) -> Self {
        match suite {
            CipherSuite::Zero | CipherSuite::V15(_) => Self::None,
            CipherSuite::One | CipherSuite::Two | CipherSuite::Three => Self::Sha1,
            CipherSuite::Fifteen | CipherSuite::Sixteen | CipherSuite::Seventeen => Self::Sha256,
        }
    }

    /// Length of a packet's integrity code, and of the one in RAKP message 4.
    pub(super) fn code_len(self) -> usize {
        match self {
            Self::None => 0,
            Self::Sha1 => 12,
            Self::Sha256 => 16,
        }
    }

    /// Length of the whole HMAC, as RAKP messages 2 and 3 carry it.
    pub(super) fn full_len(self) -> usize {
        match self {
            Self::None => 0,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// HMAC over the parts, one after the other.
    pub(super) fn hmac(self, key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
        Signer::new(self, key).sign(&parts.concat()).as_slice().to_vec()
    }
}

/// The hash of a suite with a key worked in.
#[derive(Clone)]
enum Signer {
    None,
    Sha1(Sha1Keyed),
    Sha256(Sha256Keyed),
}

impl Signer {
    fn new(hash: Hash, key: &[u8]) -> Self {
        match hash {
            Hash::None => Self::None,
            Hash::Sha1 => Self::Sha1(Sha1Keyed::new(key)),
            Hash::Sha256 => Self::Sha256(Sha256Keyed::new(key)),
        }
    }

    fn sign(&self, message: &[u8]) -> Code {
        match self {
            Self::None => Code::none(),
            Self::Sha1(keyed) => keyed.sign(message),
            Self::Sha256(keyed) => keyed.sign(message),
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
    /// K_G; empty where there is none.
    pub(super) bmc_key: Vec<u8>,
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
        let key = if self.bmc_key.is_empty() { &self.password } else { &self.bmc_key };
        self.hash.hmac(key, &[&self.console_random, &self.bmc_random, &self.name(), &self.user])
    }

    /// Integrity code of RAKP message 4 (§13.23).
    pub(super) fn rakp4_code(&self, session_key: &[u8]) -> Vec<u8> {
        let mut code =
            self.hash.hmac(session_key, &[&self.console_random, &self.bmc_session.to_le_bytes(), &self.guid]);
        code.truncate(self.hash.code_len());
        code
    }
}

/// The keys of an open session (§13.32), as far as its suite has any.
#[derive(Clone)]
pub(super) struct Keys {
    code_len: usize,
    signer: Signer,
    cipher: Option<Aes128>,
}

impl Keys {
    pub(super) fn derive(suite: CipherSuite, session_key: &[u8]) -> Self {
        use CipherSuite::{Fifteen, One, Seventeen, Sixteen, Three, Two, V15, Zero};
        let hash = Hash::of(suite);
        let signs = match suite {
            Zero | One | Fifteen | V15(_) => Hash::None,
            Two | Three | Sixteen | Seventeen => hash,
        };
        let integrity = hash.hmac(session_key, &[&[1; 20]]);
        let long = hash.hmac(session_key, &[&[2; 20]]);
        let mut cipher = [0; BLOCK];
        for (to, from) in cipher.iter_mut().zip(long) {
            *to = from;
        }
        let cipher = matches!(suite, Three | Seventeen).then(|| Aes128::new(&cipher.into()));
        Self { code_len: signs.code_len(), signer: Signer::new(signs, &integrity), cipher }
    }

    /// Reads all of them.
    pub(super) fn touch(&self) -> usize {
        let signer = match &self.signer {
            Signer::None => 0,
            Signer::Sha1(keyed) => keyed.touch(),
            Signer::Sha256(keyed) => keyed.touch(),
        };
        // One block each way reads the whole schedule.
        let mut block = GenericArray::default();
        if let Some(cipher) = &self.cipher {
            cipher.encrypt_block(&mut block);
            cipher.decrypt_block(&mut block);
        }
        self.code_len ^ signer ^ usize::from(block.first().copied().unwrap_or(0))
    }

    /// Whether packets end with a code.
    pub(super) fn sign(&self) -> bool {
        self.code_len > 0
    }

    /// Whether payloads are encrypted.
    pub(super) fn encrypt(&self) -> bool {
        self.cipher.is_some()
    }

    /// Length of the code that ends a packet, in bytes.
    pub(super) fn code_len(&self) -> usize {
        self.code_len
    }

    /// The code that ends a packet.
    pub(super) fn code(&self, signed: &[u8]) -> Code {
        self.signer.sign(signed).truncated(self.code_len)
    }

    /// The initialisation vector of the packet of a number that no other packet of the session has: nobody without the key can foresee it (NIST SP 800-38A,
    /// appendix C: the cipher itself over a nonce). Zeros without a cipher.
    pub(super) fn vector(&self, sequence: u32) -> [u8; BLOCK] {
        let mut vector = [0; BLOCK];
        if let Some(cipher) = &self.cipher {
            if let Some(begin) = vector.first_chunk_mut() {
                *begin = sequence.to_le_bytes();
            }
            cipher.encrypt_block(GenericArray::from_mut_slice(&mut vector));
        }
        vector
    }

    /// Pads and encrypts what stands in `packet` from `start` on: the initialisation vector, and the payload after it (§13.29). Nothing without a cipher.
    pub(super) fn seal(&self, packet: &mut Vec<u8>, start: usize) {
        let Some(cipher) = &self.cipher else { return };
        let len = packet.len().saturating_sub(start + BLOCK);
        let padding = (BLOCK - (len + 1) % BLOCK) % BLOCK;
        packet.extend((1..=padding).map(|n| u8::try_from(n).unwrap_or(0)));
        packet.push(u8::try_from(padding).unwrap_or(0));
        let Some((iv, body)) = packet.get_mut(start..).and_then(<[u8]>::split_first_chunk_mut::<BLOCK>) else { return };
        let mut before = *iv;
        for chunk in body.as_chunks_mut::<BLOCK>().0 {
            for (byte, last) in chunk.iter_mut().zip(before) {
                *byte ^= last;
            }
            cipher.encrypt_block(GenericArray::from_mut_slice(chunk));
            before = *chunk;
        }
    }

    /// Undoes [`Keys::seal`]; `None` where the payload has no such shape.
    pub(super) fn open(&self, sealed: &[u8]) -> Option<Plain> {
        let Some(cipher) = &self.cipher else { return Some(Plain::of(sealed)) };
        let (iv, body) = sealed.split_first_chunk::<BLOCK>()?;
        if body.is_empty() || body.len() % BLOCK != 0 {
            return None;
        }
        let mut plain = Plain::of(body);
        let mut before = *iv;
        for chunk in plain.as_mut_slice().as_chunks_mut::<BLOCK>().0 {
            let sealed = *chunk;
            cipher.decrypt_block(GenericArray::from_mut_slice(chunk));
            for (byte, last) in chunk.iter_mut().zip(before) {
                *byte ^= last;
            }
            before = sealed;
        }
        let (padding, rest) = plain.split_last()?;
        let padding = usize::from(*padding);
        // Some BMCs pad with a whole block more than needed; what stands in the padding is their business.
        let kept = rest.len().checked_sub(padding).filter(|_| padding <= BLOCK)?;
        plain.truncate(kept);
        Some(plain)
    }
}

/// A payload in the clear. Nearly every one is a block or two, and needs no memory of its own.
#[derive(Clone)]
pub(super) enum Plain {
    Short([u8; 2 * BLOCK], usize),
    Long(Vec<u8>),
}

impl Plain {
    fn of(bytes: &[u8]) -> Self {
        let mut short = [0; 2 * BLOCK];
        match short.get_mut(..bytes.len()) {
            Some(begin) => {
                begin.copy_from_slice(bytes);
                Self::Short(short, bytes.len())
            }
            None => Self::Long(bytes.to_vec()),
        }
    }

    fn as_mut_slice(&mut self) -> &mut [u8] {
        match self {
            Self::Short(bytes, len) => bytes.get_mut(..*len).unwrap_or_default(),
            Self::Long(bytes) => bytes,
        }
    }

    fn truncate(&mut self, to: usize) {
        match self {
            Self::Short(_, len) => *len = to.min(*len),
            Self::Long(bytes) => bytes.truncate(to),
        }
    }
}

impl Deref for Plain {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Short(bytes, len) => bytes.get(..*len).unwrap_or_default(),
            Self::Long(bytes) => bytes,
        }
    }
}

/// What a message of IPMI 1.5 is authenticated with (§22.17.1). `password` is padded with zeros.
pub(super) fn v15_code(auth: AuthType, password: &[u8; 16], session: u32, sequence: u32, message: &[u8]) -> [u8; 16] {
    fn run<D: Digest>(parts: [&[u8]; 5]) -> [u8; 16] {
        let mut digest = D::new();
        parts.iter().for_each(|p| digest.update(p));
        let mut code = [0; 16];
        for (to, from) in code.iter_mut().zip(digest.finalize()) {
            *to = from;
        }
        code
    }
    let parts: [&[u8]; 5] = [password, &session.to_le_bytes(), message, &sequence.to_le_bytes(), password];
    match auth {
        AuthType::Md2 => run::<Md2>(parts),
        AuthType::Md5 => run::<Md5>(parts),
        AuthType::Password => *password,
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
            bmc_key: Vec::new(),
        }
    }

    fn sealed(keys: &Keys, iv: [u8; 16], plain: &[u8]) -> Vec<u8> {
        let mut packet = [&iv[..], plain].concat();
        keys.seal(&mut packet, 0);
        packet
    }

    fn opened(keys: &Keys, sealed: &[u8]) -> Option<Vec<u8>> {
        keys.open(sealed).map(|plain| plain.to_vec())
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
    fn the_codes_of_ipmi_1_5_are_byte_exact() {
        // MD5 by Python's hashlib, MD2 by the algorithm of RFC 1319 written in Python.
        let mut password = [0; 16];
        password[..11].copy_from_slice(b"poll-secret");
        let code = |auth| hex(&v15_code(auth, &password, 0x0102_0304, 7, b"\x20\x18\xc8\x81\x04\x01\x7a"));
        assert_eq!(code(AuthType::Md5), "f02626ce2e9f7d7b7c5b01d4c66d9c71");
        assert_eq!(code(AuthType::Md2), "86d858c5b52f6d5ed6751283be114960");
        assert_eq!(code(AuthType::Password), hex(&password));
    }

    #[test]
    fn a_key_longer_than_a_block_is_hashed_first() {
        // RFC 4231, test case 6.
        let code = Hash::Sha256.hmac(&[0xAA; 131], &[b"Test Using Larger Than Block-Size Key - Hash Key First"]);
        assert_eq!(hex(&code), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    }

    #[test]
    fn no_two_packets_of_a_session_have_the_same_vector_and_other_keys_make_others() {
        let (ours, others) = (Keys::derive(CipherSuite::Three, &[1; 20]), Keys::derive(CipherSuite::Three, &[2; 20]));
        let mut vectors: Vec<_> = (1..=300).flat_map(|number| [ours.vector(number), others.vector(number)]).collect();
        vectors.sort_unstable();
        vectors.dedup();
        assert_eq!(vectors.len(), 600);
        // The cipher itself over the number.
        let cipher = ours.cipher.as_ref().unwrap();
        let mut number = GenericArray::from(ours.vector(0x0102_0304));
        cipher.decrypt_block(&mut number);
        assert_eq!(number.as_slice(), [4, 3, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_payload_with_more_padding_than_there_is_data_is_refused() {
        let keys = Keys::derive(CipherSuite::Three, &[1; 20]);
        // One block whose last byte says "15 of padding" is empty; with 16 it cannot be.
        let body = sealed(&keys, [0; 16], &[]);
        assert_eq!(opened(&keys, &body), Some(Vec::new()));
        assert_eq!(opened(&keys, &body[..20]), None);
        assert_eq!(opened(&keys, &[]), None);
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_again(plain in proptest::collection::vec(any::<u8>(), 0..200), iv: [u8; 16], key: [u8; 20]) {
            for suite in [CipherSuite::Three, CipherSuite::Seventeen] {
                let keys = Keys::derive(suite, &key);
                prop_assert_eq!(opened(&keys, &sealed(&keys, iv, &plain)), Some(plain.clone()));
            }
        }

        #[test]
        fn opening_random_bytes_never_panics(sealed in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(plain) = Keys::derive(CipherSuite::Seventeen, b"k").open(&sealed) {
                prop_assert!(plain.len() < sealed.len());
            }
        }
    }
}
