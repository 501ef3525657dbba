//! The messages by which a session is opened (IPMI 2.0 §13.17 to §13.23), and what precedes them.

use super::crypto::Hash;
use super::message::Request;
use crate::{AuthType, CipherSuite};
use ipmi_rs_core::connection::NetFn;

/// What a user may do on a channel (§6.8). More than what is needed is not asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Privilege {
    /// May read.
    User = 2,
    /// May also clear logs and switch power.
    Operator = 3,
    /// May do everything.
    Administrator = 4,
}

impl Privilege {
    /// The next higher privilege.
    pub(super) fn raised(self) -> Option<Self> {
        match self {
            Self::User => Some(Self::Operator),
            Self::Operator => Some(Self::Administrator),
            Self::Administrator => None,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Operator => "Operator",
            Self::Administrator => "Administrator",
        }
    }

    /// Byte 24 of RAKP message 1: look the user up by name alone, since BMCs differ in how they match name and role.
    pub(super) fn role(self) -> u8 {
        0x10 | self as u8
    }
}

/// A status other than success in an Open Session Response or a RAKP message (§13.24).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Status(pub(super) u8);

impl Status {
    pub(super) const NO_RESOURCES: Status = Status(0x01);
    pub(super) const INVALID_SESSION: Status = Status(0x02);
    pub(super) const INVALID_ROLE: Status = Status(0x09);
    pub(super) const UNAUTHORIZED_ROLE: Status = Status(0x0A);
    pub(super) const NO_RESOURCES_FOR_ROLE: Status = Status(0x0B);
    pub(super) const INVALID_NAME_LENGTH: Status = Status(0x0C);
    pub(super) const UNAUTHORIZED_NAME: Status = Status(0x0D);
    pub(super) const INVALID_CODE: Status = Status(0x0F);

    /// Whether the BMC does not want the algorithms.
    pub(super) fn is_about_algorithms(self) -> bool {
        matches!(self.0, 0x03..=0x07 | 0x10..=0x12)
    }

    pub(super) fn text(self) -> &'static str {
        match self.0 {
            0x01 => "insufficient resources to create a session",
            0x02 => "invalid session ID",
            0x03 => "invalid payload type",
            0x04 => "invalid authentication algorithm",
            0x05 => "invalid integrity algorithm",
            0x06 => "no matching authentication payload",
            0x07 => "no matching integrity payload",
            0x08 => "inactive session ID",
            0x09 => "invalid role",
            0x0A => "unauthorized role or privilege level requested",
            0x0B => "insufficient resources to create a session at the requested role",
            0x0C => "invalid name length",
            0x0D => "unauthorized name",
            0x0E => "unauthorized GUID",
            0x0F => "invalid integrity check value",
            0x10 => "invalid confidentiality algorithm",
            0x11 => "no cipher suite match with proposed security algorithms",
            0x12 => "illegal or unrecognized parameter",
            _ => "a status that no specification names",
        }
    }
}

/// A message that cannot be what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

fn le32(bytes: &[u8], at: usize) -> Result<u32, Malformed> {
    bytes.get(at..).and_then(|b| b.first_chunk()).map(|b| u32::from_le_bytes(*b)).ok_or(Malformed)
}

fn sixteen(bytes: &[u8], at: usize) -> Result<[u8; 16], Malformed> {
    bytes.get(at..).and_then(|b| b.first_chunk()).copied().ok_or(Malformed)
}

fn status(bytes: &[u8]) -> Result<Status, Malformed> {
    bytes.get(1).copied().map(Status).ok_or(Malformed)
}

/// Get Channel Authentication Capabilities for the channel in use (§22.13).
pub(super) fn capabilities_request(ask_for_rmcp_plus: bool, privilege: Privilege) -> Request {
    let channel = if ask_for_rmcp_plus { 0x8E } else { 0x0E };
    Request::new(NetFn::App, 0x38, [channel, privilege as u8])
}

/// What a channel can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Capabilities {
    pub(super) rmcp_plus: bool,
    /// Whether the BMC key (K_G) is set, so that a user's password alone does not log in.
    pub(super) bmc_key: bool,
    /// A bit for each authentication type of IPMI 1.5, by its number.
    types: u8,
}

impl Capabilities {
    pub(super) fn parse(data: &[u8]) -> Result<Self, Malformed> {
        let &[_channel, types, login, extended, ..] = data else { return Err(Malformed) };
        // Some BMCs leave the "extended" bit of the types clear and still say "RMCP+" in the extended byte.
        Ok(Self {
            rmcp_plus: (types & 0x80 != 0 || extended != 0) && extended & 0x02 != 0,
            bmc_key: login & 0x20 != 0,
            types: types & 0x3F,
        })
    }

    /// The authentication types of IPMI 1.5 that it offers, best first.
    pub(super) fn auth_types(&self) -> Vec<AuthType> {
        let all = [AuthType::Md5, AuthType::Md2, AuthType::Password];
        all.into_iter().filter(|auth| self.types & (1 << auth.id()) != 0).collect()
    }
}

/// Get Channel Cipher Suites, the given portion of the list (§22.15).
pub(super) fn suites_request(portion: u8) -> Request {
    Request::new(NetFn::App, 0x54, [0x0E, 0x00, 0x80 | (portion & 0x3F)])
}

/// The suite ids in a list of cipher suite records (§22.15.2). Broken records end the list.
pub(super) fn suite_ids(records: &[u8]) -> Vec<u8> {
    let mut ids = Vec::new();
    let mut rest = records;
    loop {
        match rest {
            [0xC0, id, after @ ..] | [0xC1, id, _, _, _, after @ ..] => {
                ids.push(*id);
                let tags = after.iter().take_while(|b| **b & 0xC0 != 0xC0).count();
                rest = &after[tags..];
            }
            _ => return ids,
        }
    }
}

/// The three algorithm numbers of a suite: authentication, integrity, confidentiality (tables 13-17 to 13-19).
fn algorithms(suite: CipherSuite) -> [u8; 3] {
    match suite {
        CipherSuite::Zero | CipherSuite::V15(_) => [0, 0, 0],
        CipherSuite::One => [1, 0, 0],
        CipherSuite::Two => [1, 1, 0],
        CipherSuite::Three => [1, 1, 1],
        CipherSuite::Fifteen => [3, 0, 0],
        CipherSuite::Sixteen => [3, 4, 0],
        CipherSuite::Seventeen => [3, 4, 1],
    }
}

pub(super) fn open_request(tag: u8, privilege: Privilege, console_session: u32, suite: CipherSuite) -> Vec<u8> {
    let mut out = vec![tag, privilege as u8, 0, 0];
    out.extend(console_session.to_le_bytes());
    for (kind, algorithm) in (0u8..).zip(algorithms(suite)) {
        out.extend([kind, 0, 0, 8, algorithm, 0, 0, 0]);
    }
    out
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opened {
    Refused(Status),
    /// The BMC's session id.
    Open(u32),
    /// Success, but with other algorithms than those asked for.
    OtherAlgorithms,
}

pub(super) fn parse_opened(body: &[u8], suite: CipherSuite) -> Result<Opened, Malformed> {
    match status(body)? {
        Status(0) => {
            let chosen = [16, 24, 32].map(|at| body.get(at).map(|b| b & 0x3F));
            if chosen != algorithms(suite).map(Some) {
                return Ok(Opened::OtherAlgorithms);
            }
            match le32(body, 8)? {
                0 => Err(Malformed),
                id => Ok(Opened::Open(id)),
            }
        }
        refused => Ok(Opened::Refused(refused)),
    }
}

pub(super) fn rakp1(tag: u8, bmc_session: u32, random: &[u8; 16], role: u8, user: &[u8]) -> Vec<u8> {
    let mut out = vec![tag, 0, 0, 0];
    out.extend(bmc_session.to_le_bytes());
    out.extend(random);
    out.extend([role, 0, 0, u8::try_from(user.len()).unwrap_or(u8::MAX)]);
    out.extend(user);
    out
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rakp2 {
    pub(super) random: [u8; 16],
    pub(super) guid: [u8; 16],
    pub(super) code: Vec<u8>,
}

pub(super) fn parse_rakp2(body: &[u8], hash: Hash) -> Result<Result<Rakp2, Status>, Malformed> {
    match status(body)? {
        Status(0) => Ok(Ok(Rakp2 {
            random: sixteen(body, 8)?,
            guid: sixteen(body, 24)?,
            code: body.get(40..40 + hash.full_len()).ok_or(Malformed)?.to_vec(),
        })),
        refused => Ok(Err(refused)),
    }
}

pub(super) fn rakp3(tag: u8, status: u8, bmc_session: u32, code: &[u8]) -> Vec<u8> {
    let mut out = vec![tag, status, 0, 0];
    out.extend(bmc_session.to_le_bytes());
    out.extend(code);
    out
}

pub(super) fn parse_rakp4(body: &[u8], hash: Hash) -> Result<Result<Vec<u8>, Status>, Malformed> {
    match status(body)? {
        Status(0) => Ok(Ok(body.get(8..8 + hash.code_len()).ok_or(Malformed)?.to_vec())),
        refused => Ok(Err(refused)),
    }
}

/// Get Session Challenge (§22.16).
pub(super) fn challenge_request(auth: AuthType, user: &[u8]) -> Request {
    let mut data = vec![auth.id()];
    data.extend(user.iter().copied().chain(std::iter::repeat(0)).take(16));
    Request::new(NetFn::App, 0x39, data)
}

/// The session's temporary id and the challenge.
pub(super) fn parse_challenge(data: &[u8]) -> Result<(u32, [u8; 16]), Malformed> {
    Ok((le32(data, 0)?, sixteen(data, 4)?))
}

/// Activate Session (§22.17). The BMC's own numbers begin with `first`, which must not be 0.
pub(super) fn activate_request(auth: AuthType, privilege: Privilege, challenge: &[u8; 16], first: u32) -> Request {
    let mut data = vec![auth.id(), privilege as u8];
    data.extend(challenge);
    data.extend(first.to_le_bytes());
    Request::new(NetFn::App, 0x3A, data)
}

/// What the BMC says of the session that it activated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Activated {
    /// The number of the authentication type of the packets that follow.
    pub(super) auth: u8,
    pub(super) session: u32,
    /// The first sequence number that it takes.
    pub(super) first: u32,
}

pub(super) fn parse_activated(data: &[u8]) -> Result<Activated, Malformed> {
    let auth = *data.first().ok_or(Malformed)? & 0x0F;
    match le32(data, 1)? {
        0 => Err(Malformed),
        session => Ok(Activated { auth, session, first: le32(data, 5)? }),
    }
}

/// Set Session Privilege Level (§22.18).
pub(super) fn privilege_request(privilege: Privilege) -> Request {
    Request::new(NetFn::App, 0x3B, [privilege as u8])
}

/// Get Device ID (§20.1): what every BMC answers to everybody who is logged in.
pub(super) fn device_request() -> Request {
    Request::new(NetFn::App, 0x01, [])
}

/// Close Session (§22.19).
pub(super) fn close_request(bmc_session: u32) -> Request {
    Request::new(NetFn::App, 0x3C, bmc_session.to_le_bytes())
}
