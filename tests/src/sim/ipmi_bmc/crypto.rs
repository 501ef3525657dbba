//! The algorithms of cipher suites 1 to 3 and 15 to 17 (IPMI 2.0 §13.28, table 22-20), seen from the BMC.

use aes::Aes128;
use aes::cipher::block_padding::NoPadding;
use aes::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;

/// A cipher suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suite {
    /// RAKP-HMAC-SHA1; packets are neither signed nor encrypted.
    One,
    /// RAKP-HMAC-SHA1, HMAC-SHA1-96; packets are not encrypted.
    Two,
    /// RAKP-HMAC-SHA1, HMAC-SHA1-96, AES-CBC-128.
    Three,
    /// RAKP-HMAC-SHA256; packets are neither signed nor encrypted.
    Fifteen,
    /// RAKP-HMAC-SHA256, HMAC-SHA256-128; packets are not encrypted.
    Sixteen,
    /// RAKP-HMAC-SHA256, HMAC-SHA256-128, AES-CBC-128.
    Seventeen,
}

impl Suite {
    /// All of them.
    pub const ALL: [Suite; 6] =
        [Suite::One, Suite::Two, Suite::Three, Suite::Fifteen, Suite::Sixteen, Suite::Seventeen];

    /// Its number.
    pub fn id(self) -> u8 {
        match self {
            Suite::One => 1,
            Suite::Two => 2,
            Suite::Three => 3,
            Suite::Fifteen => 15,
            Suite::Sixteen => 16,
            Suite::Seventeen => 17,
        }
    }

    /// Numbers of the authentication, integrity and confidentiality algorithms.
    pub(super) fn algorithms(self) -> [u8; 3] {
        match self {
            Suite::One => [1, 0, 0],
            Suite::Two => [1, 1, 0],
            Suite::Three => [1, 1, 1],
            Suite::Fifteen => [3, 0, 0],
            Suite::Sixteen => [3, 4, 0],
            Suite::Seventeen => [3, 4, 1],
        }
    }

    /// The whole HMAC over the parts, one after the other.
    pub(super) fn hmac(self, key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
        match self {
            Suite::One | Suite::Two | Suite::Three => digest::<Hmac<Sha1>>(key, parts),
            Suite::Fifteen | Suite::Sixteen | Suite::Seventeen => digest::<Hmac<Sha256>>(key, parts),
        }
    }

    /// As many bytes of an HMAC as integrity checks carry.
    pub(super) fn check_len(self) -> usize {
        match self {
            Suite::One | Suite::Two | Suite::Three => 12,
            Suite::Fifteen | Suite::Sixteen | Suite::Seventeen => 16,
        }
    }

    /// Whether packets end with an integrity check.
    pub(super) fn signs(self) -> bool {
        !matches!(self, Suite::One | Suite::Fifteen)
    }

    /// Whether payloads are encrypted.
    pub(super) fn encrypts(self) -> bool {
        matches!(self, Suite::Three | Suite::Seventeen)
    }

    /// The payload type of an IPMI message in a session: encrypted, authenticated, or neither (table 13-8).
    pub(super) fn payload_type(self) -> u8 {
        u8::from(self.encrypts()) << 7 | u8::from(self.signs()) << 6
    }
}

fn digest<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    // HMAC takes keys of any length.
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else { return Vec::new() };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

/// Keys K1 and K2 of a session.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    pub(super) integrity: Vec<u8>,
    aes: [u8; 16],
}

impl Keys {
    pub(super) fn of(suite: Suite, session_key: &[u8]) -> Self {
        let integrity = suite.hmac(session_key, &[&[1; 20]]);
        let mut aes = [0; 16];
        aes.copy_from_slice(&suite.hmac(session_key, &[&[2; 20]])[..16]);
        Self { integrity, aes }
    }

    /// The vector, then the message with its padding (§13.29).
    pub(super) fn encrypt(&self, message: &[u8]) -> Vec<u8> {
        let iv: [u8; 16] = rand::random();
        let pad = (16 - (message.len() + 1) % 16) % 16;
        let mut plain = message.to_vec();
        plain.extend(1..=pad as u8);
        plain.push(pad as u8);
        let length = plain.len();
        let cipher = cbc::Encryptor::<Aes128>::new(&self.aes.into(), &iv.into());
        // The padding above made it whole blocks, so this cannot fail.
        cipher.encrypt_padded::<NoPadding>(&mut plain, length).map(|coded| [&iv, coded].concat()).unwrap_or_default()
    }

    pub(super) fn decrypt(&self, payload: &[u8]) -> Option<Vec<u8>> {
        let (iv, coded) = payload.split_first_chunk::<16>()?;
        let mut coded = coded.to_vec();
        let cipher = cbc::Decryptor::<Aes128>::new(&self.aes.into(), &(*iv).into());
        let mut plain = cipher.decrypt_padded::<NoPadding>(&mut coded).ok()?.to_vec();
        let pad = usize::from(plain.pop()?);
        let padding = plain.split_off(plain.len().checked_sub(pad)?);
        padding.iter().zip(1u8..).all(|(byte, should)| *byte == should).then_some(plain)
    }
}
