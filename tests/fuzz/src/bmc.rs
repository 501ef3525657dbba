//! A BMC that speaks RMCP+, or IPMI 1.5 with MD5, honestly (IPMI 2.0 §13, §22.16), so that a target gets past the handshake and can lie where it wants to.

use aes::Aes128;
use cbc::cipher::{Array, BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use outband_bmc::CipherSuite;
use sha1::Sha1;
use sha2::Sha256;

/// The user that may log in.
pub const USER: &str = "poller";
/// That user's password.
pub const PASSWORD: &str = "poll-secret";

const RMCP: [u8; 4] = [6, 0, 0xFF, 7];
const GUID: [u8; 16] = [3; 16];

/// A request that came in the session: enough to answer it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// The function, even.
    pub netfn: u8,
    /// The request's number.
    pub rq_seq: u8,
    /// The command.
    pub command: u8,
    /// Its data.
    pub data: Vec<u8>,
}

/// A BMC with at most one session.
#[derive(Debug, Default)]
pub struct Bmc {
    /// It speaks IPMI 1.5.
    v15: bool,
    sha256: bool,
    proves: bool,
    signs: bool,
    encrypts: bool,
    console_session: [u8; 4],
    bmc_session: u32,
    console_random: Vec<u8>,
    role_and_user: Vec<u8>,
    /// Integrity and cipher key.
    keys: Option<(Vec<u8>, [u8; 16])>,
    sent: u32,
    /// The last message tag of a handshake.
    pub tag: u8,
    /// The last request in the session.
    pub asked: Option<Asked>,
}

impl Bmc {
    /// A BMC that takes this suite.
    pub fn new(suite: CipherSuite) -> Self {
        Self { v15: suite.id().is_none(), ..Self::default() }
    }

    /// Forgets the session, as a BMC's reset does.
    pub fn forget(&mut self) {
        self.keys = None;
    }

    /// The honest answer to a datagram.
    pub fn answer(&mut self, datagram: &[u8]) -> Option<Vec<u8>> {
        let packet = datagram.strip_prefix(&RMCP)?;
        if packet[0] == 0 {
            let asked = Self::take_apart(&packet[10..])?;
            self.tag = asked.rq_seq;
            let answer = match asked.command {
                0x39 => Self::message(&asked, 0, &[&[9, 9, 9, 9][..], &[0x5A; 16]].concat()),
                0x38 if self.v15 => Self::message(&asked, 0, &[1, 4, 4, 0, 0, 0, 0, 0]),
                _ => Self::respond(&asked),
            };
            return Some(outside(&answer));
        }
        if packet[0] != 6 {
            let asked = Self::take_apart(packet.get(26..)?)?;
            self.tag = asked.rq_seq;
            if asked.command == 0x3A && asked.netfn == 6 {
                self.console_session = [9; 4];
                self.keys = Some((Vec::new(), [0; 16]));
                self.sent = u32::from_le_bytes(*asked.data.get(18..)?.first_chunk()?).wrapping_sub(1);
                let number = self.sent;
                self.sent = 0u32.wrapping_sub(1);
                let answer = Self::message(&asked, 0, &[2, 7, 7, 7, 7, 1, 0, 0, 0, 4]);
                let sealed = self.seal(&answer);
                (self.sent, self.console_session) = (number, [7; 4]);
                return sealed;
            }
            return self.inside(asked);
        }
        let body = packet.get(12..12 + usize::from(u16::from_le_bytes([packet[10], packet[11]])))?;
        let (kind, session) = (packet[1], &packet[2..6]);
        match kind & 0x3F {
            0x10 => Some(self.opened(body)),
            0x12 => Some(self.rakp2(body)),
            0x14 => self.rakp4(body),
            _ if session == [0; 4] => Some(plain(0, &Self::respond(&Self::take_apart(body)?))),
            _ => {
                let message = if self.encrypts { self.decrypt(body)? } else { body.to_vec() };
                self.inside(Self::take_apart(&message)?)
            }
        }
    }

    /// The answer to a request in the session.
    fn inside(&mut self, asked: Asked) -> Option<Vec<u8>> {
        let answer = Self::respond(&asked);
        let closes = asked.command == 0x3C && asked.netfn == 6;
        self.asked = Some(asked);
        let sealed = self.seal(&answer);
        if closes {
            self.forget();
        }
        sealed
    }

    /// A message of the handshake with the right tag and session, whatever else it holds.
    pub fn handshake(&self, kind: u8, status: u8, rest: &[u8]) -> Vec<u8> {
        if self.v15 {
            let command = if kind & 2 == 0 { 0x3A } else { 0x39 };
            let asked = Asked { netfn: 6, rq_seq: self.tag, command, data: Vec::new() };
            return outside(&Self::message(&asked, status, rest));
        }
        plain(kind, &[&[self.tag, status, 0, 0], &self.console_session[..], rest].concat())
    }

    /// The message that answers a request.
    pub fn message(asked: &Asked, completion: u8, data: &[u8]) -> Vec<u8> {
        let mut out = vec![0x81, (asked.netfn | 1) << 2];
        out.push(sum(&out));
        out.extend([0x20, asked.rq_seq << 2, asked.command, completion]);
        out.extend(data);
        out.push(sum(&out[3..]));
        out
    }

    /// Encrypts and signs a message.
    pub fn seal(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        let (_, cipher) = self.keys.as_ref()?;
        if !self.encrypts {
            return self.sign(message);
        }
        let padding = (16 - (message.len() + 1) % 16) % 16;
        let mut body = message.to_vec();
        body.extend((1..=padding).map(|n| n as u8));
        body.push(padding as u8);
        let iv = [9; 16];
        let mut encryptor = cbc::Encryptor::<Aes128>::new(&(*cipher).into(), &iv.into());
        for chunk in body.as_chunks_mut::<16>().0 {
            let mut block = Array(*chunk);
            encryptor.encrypt_block(&mut block);
            *chunk = block.0;
        }
        self.sign(&[&iv[..], &body].concat())
    }

    /// Signs what need not be a ciphertext.
    pub fn sign(&mut self, payload: &[u8]) -> Option<Vec<u8>> {
        let (integrity, _) = self.keys.as_ref()?;
        self.sent = self.sent.wrapping_add(1);
        if self.v15 {
            let mut password = PASSWORD.as_bytes().to_vec();
            password.resize(16, 0);
            let sequence = self.sent.to_le_bytes();
            let code = Md5::digest([&password[..], &self.console_session, payload, &sequence, &password].concat());
            let header = [&[2][..], &sequence, &self.console_session].concat();
            return Some([&RMCP[..], &header, &code, &[payload.len() as u8], payload].concat());
        }
        let mut packet = vec![6, u8::from(self.encrypts) << 7 | u8::from(self.signs) << 6];
        packet.extend(self.console_session);
        packet.extend(self.sent.to_le_bytes());
        packet.extend((payload.len() as u16).to_le_bytes());
        packet.extend(payload);
        if !self.signs {
            return Some([&RMCP[..], &packet].concat());
        }
        let padding = (4 - (packet.len() + 2) % 4) % 4;
        packet.extend(std::iter::repeat_n(0xFF, padding));
        packet.extend([padding as u8, 7]);
        let mut code = self.hmac(integrity, &[&packet]);
        code.truncate(if self.sha256 { 16 } else { 12 });
        Some([&RMCP[..], &packet, &code].concat())
    }

    fn take_apart(message: &[u8]) -> Option<Asked> {
        let &[_, netfn_lun, _, _, seq, command, ref data @ .., _] = message else { return None };
        Some(Asked { netfn: netfn_lun >> 2, rq_seq: seq >> 2, command, data: data.to_vec() })
    }

    /// Every command but those of the session is answered with its own data.
    fn respond(asked: &Asked) -> Vec<u8> {
        let data = match (asked.netfn, asked.command) {
            (6, 0x38) => vec![1, 0x80, 4, 3, 0, 0, 0, 0],
            (6, 0x54) => vec![1, 0xC0, 3, 1, 0x41, 0x81, 0xC0, 17, 3, 0x44, 0x81],
            (6, 0x3C) => Vec::new(),
            _ => asked.data.clone(),
        };
        Self::message(asked, 0, &data)
    }

    fn opened(&mut self, body: &[u8]) -> Vec<u8> {
        self.tag = body[0];
        self.console_session.copy_from_slice(&body[4..8]);
        self.sha256 = body[12] == 3;
        (self.proves, self.signs, self.encrypts) = (body[12] != 0, body[20] != 0, body[28] != 0);
        self.bmc_session = self.bmc_session.wrapping_add(1) | 0x5150_0000;
        self.handshake(0x11, 0, &[&self.bmc_session.to_le_bytes()[..], &body[8..32]].concat())
    }

    fn rakp2(&mut self, body: &[u8]) -> Vec<u8> {
        self.tag = body[0];
        self.console_random = body[8..24].to_vec();
        self.role_and_user = [&[body[24], body[27]], &body[28..]].concat();
        let bmc_session = self.bmc_session.to_le_bytes();
        let parts =
            [&self.console_session[..], &bmc_session, &self.console_random, &[7; 16], &GUID, &self.role_and_user];
        let code = self.hmac(PASSWORD.as_bytes(), &parts);
        self.handshake(0x13, 0, &[&[7; 16][..], &GUID, &code].concat())
    }

    fn rakp4(&mut self, body: &[u8]) -> Option<Vec<u8>> {
        self.tag = body[0];
        if body[1] != 0 {
            return None;
        }
        let key = self.hmac(PASSWORD.as_bytes(), &[&self.console_random, &[7; 16], &self.role_and_user]);
        let mut long = self.hmac(&key, &[&[2; 20]]);
        long.resize(32, 0);
        self.keys = Some((self.hmac(&key, &[&[1; 20]]), *long.first_chunk()?));
        self.sent = 0;
        let mut code = self.hmac(&key, &[&self.console_random, &self.bmc_session.to_le_bytes(), &GUID]);
        code.truncate(if self.sha256 { 16 } else { 12 });
        Some(self.handshake(0x15, 0, &code))
    }

    fn decrypt(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let (_, cipher) = self.keys.as_ref()?;
        let (iv, body) = sealed.split_first_chunk::<16>()?;
        let mut plain = body.to_vec();
        let mut decryptor = cbc::Decryptor::<Aes128>::new(&(*cipher).into(), &(*iv).into());
        for chunk in plain.as_chunks_mut::<16>().0 {
            let mut block = Array(*chunk);
            decryptor.decrypt_block(&mut block);
            *chunk = block.0;
        }
        let padding = usize::from(plain.pop()?);
        plain.truncate(plain.len().checked_sub(padding)?);
        Some(plain)
    }

    fn hmac(&self, key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
        fn run<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
            let mut mac = <M as KeyInit>::new_from_slice(key).expect("a key of any length will do");
            parts.iter().for_each(|p| mac.update(p));
            mac.finalize().into_bytes().to_vec()
        }
        if !self.proves {
            return Vec::new();
        }
        if self.sha256 { run::<Hmac<Sha256>>(key, parts) } else { run::<Hmac<Sha1>>(key, parts) }
    }
}

/// A message outside of any session, in the wrapper of IPMI 1.5.
fn outside(message: &[u8]) -> Vec<u8> {
    [&RMCP[..], &[0; 9], &[message.len() as u8], message].concat()
}

/// A payload outside of any session.
pub fn plain(kind: u8, body: &[u8]) -> Vec<u8> {
    [&RMCP[..], &[6, kind], &[0; 8], &(body.len() as u16).to_le_bytes(), body].concat()
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0u8, |s, b| s.wrapping_add(*b)).wrapping_neg()
}
