//! The bytes of RMCP, the two session wrappers and IPMI messages (IPMI 2.0 §13.1 to §13.8).

use super::crypto::{Keys, same, v15_code};
use crate::AuthType;
use ipmi_rs_core::connection::NetFn;

/// RMCP version 1.0, no acknowledge wanted, class IPMI.
const RMCP_IPMI: [u8; 4] = [6, 0, 0xFF, 7];
const AUTH_NONE: u8 = 0;
const AUTH_RMCP_PLUS: u8 = 6;
const BMC_ADDRESS: u8 = 0x20;
const CONSOLE_ADDRESS: u8 = 0x81;

/// Payload types of RMCP+ (§13.27.3).
pub(super) mod payload {
    pub(in super::super) const IPMI: u8 = 0x00;
    pub(in super::super) const OPEN_REQUEST: u8 = 0x10;
    pub(in super::super) const OPEN_RESPONSE: u8 = 0x11;
    pub(in super::super) const RAKP1: u8 = 0x12;
    pub(in super::super) const RAKP2: u8 = 0x13;
    pub(in super::super) const RAKP3: u8 = 0x14;
    pub(in super::super) const RAKP4: u8 = 0x15;
}

/// A command for the BMC.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The function that the command belongs to.
    pub netfn: NetFn,
    /// The logical unit, 0 to 3.
    pub lun: u8,
    /// The command.
    pub command: u8,
    /// Its data.
    pub data: Vec<u8>,
}

impl Request {
    /// A command for logical unit 0.
    pub fn new(netfn: NetFn, command: u8, data: impl Into<Vec<u8>>) -> Self {
        Self { netfn, lun: 0, command, data: data.into() }
    }
}

/// The data of an answer. Nearly all are short, and need no memory of their own.
pub type Data = smallvec::SmallVec<[u8; 24]>;

/// What the BMC answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The completion code; 0 is success (§5.2).
    pub completion: u8,
    /// The data after it.
    pub data: Data,
}

/// An IPMI message from the BMC, with all that it is matched by.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    pub(super) netfn: NetFn,
    pub(super) command: u8,
    pub(super) rq_seq: u8,
    pub(super) checksums_hold: bool,
    pub(super) response: Response,
}

/// A datagram, taken apart. Nothing in it is believed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Packet<'a> {
    /// The answer to a presence ping, and whether it claims IPMI.
    Pong { ipmi: bool },
    /// In the wrapper of IPMI 1.5, which is also that of messages outside any session.
    V15(V15<'a>),
    /// In the wrapper of RMCP+.
    Plus(Plus<'a>),
}

/// A packet in the wrapper of IPMI 1.5.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct V15<'a> {
    pub(super) auth: Option<AuthType>,
    pub(super) session: u32,
    pub(super) sequence: u32,
    pub(super) payload: &'a [u8],
    code: Option<&'a [u8; 16]>,
}

impl V15<'_> {
    /// Whether it is authenticated in this way, by somebody who has the password.
    pub(super) fn is_authentic(&self, auth: AuthType, password: &[u8; 16]) -> bool {
        self.auth == Some(auth)
            && self
                .code
                .is_some_and(|code| same(&v15_code(auth, password, self.session, self.sequence, self.payload), code))
    }
}

/// A packet in the wrapper of RMCP+.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plus<'a> {
    pub(super) kind: u8,
    pub(super) encrypted: bool,
    pub(super) authenticated: bool,
    pub(super) session: u32,
    pub(super) sequence: u32,
    pub(super) payload: &'a [u8],
    /// From the authentication type on: what the code is over, with the code at its end.
    wrapper: &'a [u8],
}

impl Plus<'_> {
    /// Whether it is secured as the session's suite has it, and the code at its end, where there is one, is the right one.
    pub(super) fn is_authentic(&self, keys: &Keys) -> bool {
        let len = keys.code_len();
        if self.encrypted != keys.encrypt() || self.authenticated != keys.sign() {
            return false;
        }
        !keys.sign()
            || self
                .wrapper
                .split_at_checked(self.wrapper.len().saturating_sub(len))
                .is_some_and(|(signed, code)| code.len() == len && same(keys.code(signed).as_slice(), code))
    }
}

fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0u8, |sum, b| sum.wrapping_add(*b)).wrapping_neg()
}

fn le32(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|b| u32::from_le_bytes(*b))
}

/// Takes a datagram apart; `None` where it is none of ours.
pub(super) fn parse(datagram: &[u8]) -> Option<Packet<'_>> {
    let (rmcp, rest) = datagram.split_first_chunk::<4>()?;
    if rmcp[0] != 6 {
        return None;
    }
    match rmcp[3] & 0x1F {
        6 => {
            // ASF: IANA number 4542, then the type; 0x40 is a pong (ASF 2.0 §3.2.4.3).
            let is_pong = rest.first_chunk() == Some(&4542u32.to_be_bytes()) && rest.get(4) == Some(&0x40);
            is_pong.then(|| Packet::Pong { ipmi: rest.get(16).is_some_and(|b| b & 0x80 != 0) })
        }
        7 => match *rest.first()? {
            AUTH_RMCP_PLUS => {
                let flags = *rest.get(1)?;
                let len = usize::from(u16::from_le_bytes(*rest.get(10..12)?.first_chunk()?));
                Some(Packet::Plus(Plus {
                    kind: flags & 0x3F,
                    encrypted: flags & 0x80 != 0,
                    authenticated: flags & 0x40 != 0,
                    session: le32(rest.get(2..6)?)?,
                    sequence: le32(rest.get(6..10)?)?,
                    payload: rest.get(12..12 + len)?,
                    wrapper: rest,
                }))
            }
            auth => {
                let auth = match auth {
                    AUTH_NONE => None,
                    1 => Some(AuthType::Md2),
                    2 => Some(AuthType::Md5),
                    4 => Some(AuthType::Password),
                    _ => return None,
                };
                let after = rest.get(9..)?;
                let (code, after) = match auth {
                    None => (None, after),
                    Some(_) => after.split_first_chunk().map(|(code, after)| (Some(code), after))?,
                };
                let (len, message) = after.split_first()?;
                Some(Packet::V15(V15 {
                    auth,
                    sequence: le32(rest.get(1..5)?)?,
                    session: le32(rest.get(5..9)?)?,
                    payload: message.get(..usize::from(*len))?,
                    code,
                }))
            }
        },
        _ => None,
    }
}

/// A presence ping (ASF 2.0 §3.2.4.2).
pub(super) fn ping(tag: u8) -> Vec<u8> {
    vec![6, 0, 0xFF, 6, 0, 0, 0x11, 0xBE, 0x80, tag, 0, 0]
}

/// The IPMI message of a request (§13.8).
pub(super) fn encode(request: &Request, rq_seq: u8) -> Vec<u8> {
    let mut out = Vec::with_capacity(request.data.len() + 7);
    encode_into(&mut out, request, rq_seq);
    out
}

fn encode_into(out: &mut Vec<u8>, request: &Request, rq_seq: u8) {
    let head = [BMC_ADDRESS, (request.netfn.request_value() << 2) | (request.lun & 3)];
    out.extend(head);
    out.push(checksum(&head));
    let body = [CONSOLE_ADDRESS, rq_seq << 2, request.command];
    out.extend(body);
    out.extend(&request.data);
    out.push(checksum(&body).wrapping_add(checksum(&request.data)));
}

/// Whether both sums of a message hold (§13.8).
pub(super) fn sums_hold(message: &[u8]) -> bool {
    message.split_first_chunk::<3>().is_some_and(|(head, body)| checksum(head) == 0 && checksum(body) == 0)
}

/// Reads an IPMI message; `None` where it is too short or a request.
pub(super) fn decode(message: &[u8]) -> Option<Answer> {
    let (&last, body) = message.split_last()?;
    let (&[to, netfn_lun, first_sum, from, seq_lun, command, completion], data) = body.split_first_chunk::<7>()?;
    if to != CONSOLE_ADDRESS || !NetFn::is_response_value(netfn_lun >> 2) {
        return None;
    }
    let second = checksum(&body[3..]);
    Some(Answer {
        netfn: NetFn::from(netfn_lun >> 2),
        command,
        rq_seq: seq_lun >> 2,
        checksums_hold: from == BMC_ADDRESS && checksum(&[to, netfn_lun]) == first_sum && second == last,
        response: Response { completion, data: data.into() },
    })
}

/// Wraps a message outside any session as IPMI 1.5 does (§13.6).
pub(super) fn wrap_v15(message: &[u8]) -> Vec<u8> {
    let mut out = RMCP_IPMI.to_vec();
    out.push(AUTH_NONE);
    out.extend([0; 8]);
    out.push(u8::try_from(message.len()).unwrap_or(u8::MAX));
    out.extend(message);
    out
}

/// Wraps a message in a session of IPMI 1.5 (§13.6).
pub(super) fn wrap_v15_authentic(
    auth: AuthType,
    password: &[u8; 16],
    session: u32,
    sequence: u32,
    message: &[u8],
) -> Vec<u8> {
    let mut out = RMCP_IPMI.to_vec();
    out.push(auth.id());
    out.extend(sequence.to_le_bytes());
    out.extend(session.to_le_bytes());
    out.extend(v15_code(auth, password, session, sequence, message));
    out.push(u8::try_from(message.len()).unwrap_or(u8::MAX));
    out.extend(message);
    out
}

/// Wraps a payload in RMCP+ outside any session.
pub(super) fn wrap_plain(kind: u8, body: &[u8]) -> Vec<u8> {
    wrap(kind, 0, 0, body)
}

fn wrap(flags: u8, session: u32, sequence: u32, body: &[u8]) -> Vec<u8> {
    let mut out = RMCP_IPMI.to_vec();
    out.extend([AUTH_RMCP_PLUS, flags]);
    out.extend(session.to_le_bytes());
    out.extend(sequence.to_le_bytes());
    out.extend(u16::try_from(body.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend(body);
    out
}

/// What stands around the data of a message in a sealed packet takes at most so many bytes.
const AROUND: usize = 96;

/// The sealed packet of a request in an open session, in the memory of `out`.
pub(super) fn wrap_request(
    keys: &Keys,
    session: u32,
    sequence: u32,
    iv: [u8; 16],
    request: &Request,
    rq_seq: u8,
    mut out: Vec<u8>,
) -> Vec<u8> {
    out.clear();
    out.reserve(request.data.len() + AROUND);
    seal(keys, session, sequence, iv, out, |out| encode_into(out, request, rq_seq))
}

/// Encrypts and signs a payload of an open session, as far as its suite does (§13.6, table 13-8).
#[cfg(test)]
pub(super) fn wrap_sealed(keys: &Keys, session: u32, sequence: u32, iv: [u8; 16], body: &[u8]) -> Vec<u8> {
    seal(keys, session, sequence, iv, Vec::with_capacity(body.len() + AROUND), |out| out.extend(body))
}

/// Header, vector, payload, padding, trailer and code, all in one empty buffer.
fn seal(
    keys: &Keys,
    session: u32,
    sequence: u32,
    iv: [u8; 16],
    mut out: Vec<u8>,
    body: impl FnOnce(&mut Vec<u8>),
) -> Vec<u8> {
    out.extend(RMCP_IPMI);
    let flags = (u8::from(keys.encrypt()) << 7) | (u8::from(keys.sign()) << 6);
    out.extend([AUTH_RMCP_PLUS, flags | payload::IPMI]);
    out.extend(session.to_le_bytes());
    out.extend(sequence.to_le_bytes());
    let len_at = out.len();
    out.extend([0; 2]);
    let start = out.len();
    if keys.encrypt() {
        out.extend(iv);
    }
    body(&mut out);
    keys.seal(&mut out, start);
    let sealed = u16::try_from(out.len() - start).unwrap_or(u16::MAX);
    for (to, from) in out.iter_mut().skip(len_at).zip(sealed.to_le_bytes()) {
        *to = from;
    }
    if !keys.sign() {
        return out;
    }
    let signed_from = RMCP_IPMI.len();
    let padding = (4 - (out.len() - signed_from + 2) % 4) % 4;
    out.extend(std::iter::repeat_n(0xFF, padding));
    out.push(u8::try_from(padding).unwrap_or(0));
    out.push(7);
    let code = keys.code(out.get(signed_from..).unwrap_or_default());
    out.extend(code.as_slice());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CipherSuite;
    use proptest::prelude::*;

    fn keys(suite: CipherSuite, session_key: &str) -> Keys {
        let key: Vec<u8> = (0..session_key.len())
            .step_by(2)
            .map(|i| u8::from_str_radix(&session_key[i..i + 2], 16).unwrap())
            .collect();
        Keys::derive(suite, &key)
    }

    fn sealed(suite: CipherSuite, session_key: &str) -> String {
        let request = Request::new(NetFn::SensorEvent, 0x2D, [0x3B]);
        let iv = std::array::from_fn(|i| 48 + i as u8);
        let packet = wrap_sealed(&keys(suite, session_key), 0x0102_0304, 7, iv, &encode(&request, 5));
        packet.iter().map(|b| format!("{b:02x}")).collect()
    }

    // The expected packets were built with Python's hmac, hashlib and cryptography.

    #[test]
    fn a_packet_of_suite_3_is_byte_exact() {
        assert_eq!(
            sealed(CipherSuite::Three, "54042eef5fcda6c424094f35778206aca381cc3d"),
            "0600ff0706c004030201070000002000303132333435363738393a3b3c3d3e3fd8b13236fbd8bb64874c271677fc2435\
             ffff0207d59ea73a520e7066b29e8dc3"
        );
    }

    #[test]
    fn a_packet_of_suite_17_is_byte_exact() {
        assert_eq!(
            sealed(CipherSuite::Seventeen, "f131f005c77b27e69fb39eaf515636c8e0a92cc5c692ebd807ceb8e430c17fcc"),
            "0600ff0706c004030201070000002000303132333435363738393a3b3c3d3e3fdbda1ce37eeff7cafaac1aff0ae34e9c\
             ffff020730cc5ca77565898ddb3b54a30f1f3539"
        );
    }

    #[test]
    fn a_packet_with_one_bit_turned_is_not_authentic() {
        let keys = Keys::derive(CipherSuite::Three, b"key");
        let packet = wrap_sealed(&keys, 1, 2, [9; 16], b"hello");
        for bit in 0..packet.len() * 8 {
            let mut bent = packet.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            if let Some(Packet::Plus(plus)) = parse(&bent) {
                // The RMCP header and its sequence number stand outside of what is signed.
                assert!(bit < 32 || !plus.is_authentic(&keys), "bit {bit}");
            }
        }
    }

    #[test]
    fn a_wrong_checksum_is_told() {
        let request = Request::new(NetFn::App, 1, []);
        let mut answer = vec![CONSOLE_ADDRESS, 0x1C];
        answer.push(checksum(&answer));
        answer.extend([BMC_ADDRESS, 9 << 2, request.command, 0, 42]);
        answer.push(checksum(&answer[3..]));
        assert!(decode(&answer).unwrap().checksums_hold);
        *answer.last_mut().unwrap() ^= 1;
        assert!(!decode(&answer).unwrap().checksums_hold);
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            decode(&bytes);
            let mut rmcp = vec![6, 0, 0xFF, 7];
            rmcp.extend(&bytes);
            for datagram in [&bytes, &rmcp] {
                if let Some(Packet::Plus(plus)) = parse(datagram) {
                    prop_assert!(!plus.is_authentic(&Keys::derive(CipherSuite::Seventeen, b"k")));
                }
            }
        }
    }
}
