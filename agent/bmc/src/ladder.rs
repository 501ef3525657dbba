//! The ladder a client climbs when it connects. When a login fails, the rung that broke says what to do; "unable to establish session" says nothing.

use crate::Fingerprint;
use outband_schemas::Cause;
use serde::Serialize;
use std::fmt;

/// A step on the way to the first reading, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rung {
    /// Packets reach the address and something answers.
    Reach,
    /// What answers speaks the protocol (RMCP/ASF ping or channel capabilities; a Redfish service root).
    Protocol,
    /// A cipher suite is agreed on, or TLS is up and the certificate trusted.
    Security,
    /// User and password are right.
    Login,
    /// The privilege is enough to read sensors.
    Privilege,
    /// A first reading came.
    FirstReading,
}

impl Rung {
    /// Every rung, lowest first.
    pub const ALL: [Rung; 6] =
        [Self::Reach, Self::Protocol, Self::Security, Self::Login, Self::Privilege, Self::FirstReading];
}

impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Rung::Reach => "reach",
            Rung::Protocol => "protocol",
            Rung::Security => "cipher/TLS",
            Rung::Login => "login",
            Rung::Privilege => "privilege",
            Rung::FirstReading => "first reading",
        })
    }
}

/// A rung that held, and what was found there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RungReport {
    /// The rung.
    pub rung: Rung,
    /// E.g. `cipher suite 17`, `TLS 1.3, certificate 4f…, pinned`.
    pub found: String,
}

/// Why a client could not connect: the rung that broke, with its remedy. Holds no secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{rung}: {detail}; {remedy}")]
pub struct ConnectError {
    /// The rung that broke.
    pub rung: Rung,
    /// What kind of failure, for gaps.
    #[serde(serialize_with = "cause_word")]
    pub cause: Cause,
    /// What happened.
    pub detail: String,
    /// What to do about it: the likely cause and the next step.
    pub remedy: String,
    /// The certificate that was offered and not believed.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "hex")]
    pub offered: Option<Fingerprint>,
    /// The rungs that held.
    pub climbed: Vec<RungReport>,
}

impl ConnectError {
    /// Whether the BMC refused user and password, so that trying again may lock the account.
    pub fn is_login_refusal(&self) -> bool {
        self.rung == Rung::Login && self.cause == Cause::Denied
    }
}

fn hex<S: serde::Serializer>(print: &Option<Fingerprint>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&print.map(|p| p.to_string()).unwrap_or_default())
}

fn cause_word<S: serde::Serializer>(cause: &Cause, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(cause.as_str())
}
