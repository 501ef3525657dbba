//! What a client needs to know of a BMC before it speaks to it.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Where a BMC listens, and what it speaks there. Text form: `ipmi://HOST[:PORT]` or `https://HOST[:PORT]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// RMCP+ over UDP.
    Ipmi {
        /// Name or address, without brackets.
        host: String,
        /// UDP port, 623 by default.
        port: u16,
    },
    /// Redfish over HTTPS.
    Redfish {
        /// Name or address, without brackets.
        host: String,
        /// TCP port, 443 by default.
        port: u16,
    },
}

/// The text is no address of a BMC.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No URL at all.
    #[error("{text:?} is no BMC address: {why}; write ipmi://HOST[:PORT] or https://HOST[:PORT]")]
    NotUrl {
        /// The text.
        text: String,
        /// Why.
        why: String,
    },
    /// A user or a password stands in the URL, where logs would show it.
    #[error("a BMC address must not hold a user or a password; give them by --user and a password file")]
    HoldsCredentials,
    /// Plain HTTP.
    #[error("{host} is addressed by plain http, which would send the password in the clear; use https://")]
    PlainHttp {
        /// The host.
        host: String,
    },
}

impl Address {
    /// Host and port, as one writes them in a URL.
    pub fn authority(&self) -> String {
        let (Address::Ipmi { host, port } | Address::Redfish { host, port }) = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self {
            Address::Ipmi { .. } => "ipmi",
            Address::Redfish { .. } => "https",
        };
        write!(f, "{scheme}://{}", self.authority())
    }
}

impl FromStr for Address {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let not_url = |why: &str| AddressError::NotUrl { text: text.to_owned(), why: why.to_owned() };
        let url = url::Url::parse(text).map_err(|e| not_url(&e.to_string()))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(AddressError::HoldsCredentials);
        }
        let host = url.host_str().filter(|h| !h.is_empty()).ok_or_else(|| not_url("it names no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(not_url("it has a path"));
        }
        match url.scheme() {
            "ipmi" => Ok(Address::Ipmi { host, port: url.port().unwrap_or(623) }),
            "https" => Ok(Address::Redfish { host, port: url.port().unwrap_or(443) }),
            "http" => Err(AddressError::PlainHttp { host }),
            _ => Err(not_url("its scheme is neither ipmi nor https")),
        }
    }
}

/// A password. Neither `Debug` nor `Display` shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Who logs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user's name.
    pub user: String,
    /// The password.
    pub password: Secret,
}

/// An RMCP+ cipher suite that is good enough to be used (IPMI 2.0 table 22-20).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CipherSuite {
    /// RAKP-HMAC-SHA1, HMAC-SHA1-96, AES-CBC-128.
    Three,
    /// RAKP-HMAC-SHA256, HMAC-SHA256-128, AES-CBC-128.
    Seventeen,
}

impl CipherSuite {
    /// The suite's id.
    pub fn id(self) -> u8 {
        match self {
            Self::Three => 3,
            Self::Seventeen => 17,
        }
    }

    /// The suite of an id.
    pub fn from_id(id: u8) -> Option<Self> {
        match id {
            3 => Some(Self::Three),
            17 => Some(Self::Seventeen),
            _ => None,
        }
    }
}

/// SHA-256 of a certificate in DER form. Text form: 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The text is no fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint is the SHA-256 of a certificate: 64 hex digits, colons allowed")]
pub struct FingerprintError;

impl FromStr for Fingerprint {
    type Err = FingerprintError;
    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let hex: Vec<u8> = text.bytes().filter(|b| *b != b':').collect();
        let mut out = [0u8; 32];
        if hex.len() != 64 {
            return Err(FingerprintError);
        }
        for (byte, pair) in out.iter_mut().zip(hex.chunks_exact(2)) {
            let digits = pair.iter().map(|b| char::from(*b).to_digit(16)).collect::<Option<Vec<_>>>();
            *byte = match digits.as_deref() {
                Some([high, low]) => u8::try_from(high * 16 + low).map_err(|_| FingerprintError)?,
                _ => return Err(FingerprintError),
            };
        }
        Ok(Fingerprint(out))
    }
}

/// Whom a Redfish client believes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// The certificate pinned before; any other is refused.
    Pinned(Fingerprint),
    /// Nothing is pinned yet: take what is offered first and report it, so that it can be pinned.
    FirstUse,
    /// A CA, in PEM form; the name is checked too.
    Ca(String),
}

/// One BMC and how to speak to it.
#[derive(Debug, Clone)]
pub struct Target {
    /// Where it listens.
    pub address: Address,
    /// Who logs in.
    pub credentials: Credentials,
    /// IPMI: the suite to use; `None`: 17, then 3.
    pub cipher: Option<CipherSuite>,
    /// Redfish: whom to believe.
    pub trust: Trust,
    /// How long one request may take, retransmissions included.
    pub request_deadline: Duration,
}

/// How far a target's logs have been read. Opaque to everybody but the client that made it; kept in the spool with the entries it covers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bookmark(pub String);

/// What a client has sent and received since it connected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct PollStats {
    /// HTTP requests, or IPMI requests (retransmissions not counted).
    pub requests: u64,
    /// Datagrams sent, retransmissions included; 0 for Redfish.
    pub datagrams_sent: u64,
    /// Datagrams received; 0 for Redfish.
    pub datagrams_received: u64,
    /// Bytes of payload sent: of UDP datagrams, or of HTTP bodies.
    pub bytes_sent: u64,
    /// Bytes of payload received.
    pub bytes_received: u64,
    /// TCP connections opened, or RMCP+ sessions.
    pub connections: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_back_and_has_its_protocols_port() {
        assert_eq!("ipmi://10.0.0.1".parse(), Ok(Address::Ipmi { host: "10.0.0.1".into(), port: 623 }));
        assert_eq!("https://bmc1:8443/".parse(), Ok(Address::Redfish { host: "bmc1".into(), port: 8443 }));
        assert_eq!("https://[fd00::1]".parse::<Address>().map(|a| a.to_string()), Ok("https://[fd00::1]:443".into()));
    }

    #[test]
    fn credentials_in_an_address_are_refused_without_repeating_them() {
        let error = "https://root:calvin@bmc1".parse::<Address>().unwrap_err();
        assert!(!error.to_string().contains("calvin"));
    }

    #[test]
    fn plain_http_is_refused() {
        assert!(matches!("http://bmc1".parse::<Address>(), Err(AddressError::PlainHttp { .. })));
    }

    #[test]
    fn a_secret_does_not_show_in_debug_output() {
        assert!(!format!("{:?}", Secret::new("hunter2")).contains("hunter2"));
    }

    #[test]
    fn a_fingerprint_reads_back_with_or_without_colons() {
        let print = Fingerprint([0xab; 32]);
        assert_eq!(print.to_string().parse(), Ok(print));
        assert_eq!(["AB"; 32].join(":").parse(), Ok(print));
        assert!("zz".repeat(32).parse::<Fingerprint>().is_err());
    }
}
