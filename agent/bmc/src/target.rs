//! What a client needs to know of a BMC before it speaks to it.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The device of the BMC, where none is named.
pub const DEVICE: &str = "/dev/ipmi0";

/// Where a BMC listens, and what it speaks there. Text form: `ipmi://HOST[:PORT]`, `https://HOST[:PORT]`, or `local://[DEVICE]`.
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
    /// The agent's own server: its BMC through the kernel's driver, its drives by smartctl, its load. Nobody logs in.
    Local {
        /// The device, [`DEVICE`] by default.
        device: String,
        /// smartctl, where it is not to be looked for. No part of the text form.
        smartctl: Option<String>,
    },
}

/// The text is no address of a BMC.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No URL at all.
    #[error("{text:?} is no BMC address: {why}; write ipmi://HOST[:PORT], https://HOST[:PORT] or local://")]
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
    /// Host and port; `None` where no network leads there.
    pub fn host_port(&self) -> Option<(&str, u16)> {
        match self {
            Address::Ipmi { host, port } | Address::Redfish { host, port } => Some((host.as_str(), *port)),
            Address::Local { .. } => None,
        }
    }

    /// Whether it is the agent's own server.
    pub fn is_local(&self) -> bool {
        matches!(self, Address::Local { .. })
    }

    /// Host and port, as one writes them in a URL; of the agent's own server, the device.
    pub fn authority(&self) -> String {
        let (host, port) = match self {
            Address::Ipmi { host, port } | Address::Redfish { host, port } => (host, port),
            Address::Local { device, .. } => return device.clone(),
        };
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self {
            Address::Ipmi { .. } => "ipmi",
            Address::Redfish { .. } => "https",
            Address::Local { .. } => "local",
        };
        write!(f, "{scheme}://{}", self.authority())
    }
}

impl FromStr for Address {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let not_url = |why: &str| AddressError::NotUrl { text: text.to_owned(), why: why.to_owned() };
        if let Some(device) = text.strip_prefix("local://") {
            let is_path = device.starts_with("/dev/") && device.chars().all(|c| c.is_ascii_graphic());
            let device = match device {
                "" => DEVICE,
                path if is_path && !path.contains("..") => path,
                _ => return Err(not_url("what follows local:// is no device; leave it out for /dev/ipmi0")),
            };
            return Ok(Address::Local { device: device.to_owned(), smartctl: None });
        }
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
            _ => Err(not_url("its scheme is none of ipmi, https and local")),
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
    /// IPMI: the BMC key (K_G, §13.31), where the BMC has one set.
    pub bmc_key: Option<BmcKey>,
}

impl Credentials {
    /// A user and a password, and nothing else.
    pub fn new(user: impl Into<String>, password: Secret) -> Self {
        Self { user: user.into(), password, bmc_key: None }
    }
}

/// A BMC key (K_G): 1 to 20 bytes, the same for all users of a BMC. Text form: hex digits. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct BmcKey(Vec<u8>);

impl BmcKey {
    /// The key itself; empty where it is all zeros, which means that there is none.
    pub fn expose(&self) -> &[u8] {
        if self.0.iter().all(|byte| *byte == 0) { &[] } else { &self.0 }
    }
}

impl fmt::Debug for BmcKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BmcKey(…)")
    }
}

/// The text is no BMC key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a BMC key (K_G) is 1 to 20 bytes in hex: 2 to 40 digits")]
pub struct BmcKeyError;

impl FromStr for BmcKey {
    type Err = BmcKeyError;
    fn from_str(text: &str) -> Result<Self, BmcKeyError> {
        let digits = text.strip_prefix("0x").unwrap_or(text).as_bytes();
        if digits.is_empty() || digits.len() > 40 || !digits.len().is_multiple_of(2) {
            return Err(BmcKeyError);
        }
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok()).ok_or(BmcKeyError);
        let byte = |pair: &[u8]| match pair {
            [high, low] => Ok(digit(*high)? << 4 | digit(*low)?),
            _ => Err(BmcKeyError),
        };
        digits.chunks_exact(2).map(byte).collect::<Result<_, _>>().map(Self)
    }
}

/// How an IPMI session proves who speaks and hides what is said: a cipher suite of RMCP+ (IPMI 2.0 table 22-20), or the session of IPMI 1.5. Text form: the
/// suite's id, or `1.5-md5`, `1.5-md2`, `1.5-password`.
///
/// Only [`CipherSuite::Seventeen`] and [`CipherSuite::Three`] are used without being named in a target's configuration: every other one has a
/// [`CipherSuite::weakness`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CipherSuite {
    /// Nothing at all: no password is asked for.
    Zero,
    /// RAKP-HMAC-SHA1, no integrity, no encryption.
    One,
    /// RAKP-HMAC-SHA1, HMAC-SHA1-96, no encryption.
    Two,
    /// RAKP-HMAC-SHA1, HMAC-SHA1-96, AES-CBC-128.
    Three,
    /// RAKP-HMAC-SHA256, no integrity, no encryption.
    Fifteen,
    /// RAKP-HMAC-SHA256, HMAC-SHA256-128, no encryption.
    Sixteen,
    /// RAKP-HMAC-SHA256, HMAC-SHA256-128, AES-CBC-128.
    Seventeen,
    /// No suite of RMCP+: the session of IPMI 1.5.
    V15(AuthType),
}

/// How a message of IPMI 1.5 is authenticated (§13.6, table 13-8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AuthType {
    /// MD2 of password, session, message and sequence number.
    Md2,
    /// MD5 of the same.
    Md5,
    /// The password itself, in each message.
    Password,
}

impl AuthType {
    /// The number that packets carry.
    pub fn id(self) -> u8 {
        match self {
            Self::Md2 => 1,
            Self::Md5 => 2,
            Self::Password => 4,
        }
    }
}

impl CipherSuite {
    /// The suite's id; `None` for a session of IPMI 1.5, which has none.
    pub fn id(self) -> Option<u8> {
        match self {
            Self::Zero => Some(0),
            Self::One => Some(1),
            Self::Two => Some(2),
            Self::Three => Some(3),
            Self::Fifteen => Some(15),
            Self::Sixteen => Some(16),
            Self::Seventeen => Some(17),
            Self::V15(_) => None,
        }
    }

    /// The suite of an id.
    pub fn from_id(id: u8) -> Option<Self> {
        match id {
            0 => Some(Self::Zero),
            1 => Some(Self::One),
            2 => Some(Self::Two),
            3 => Some(Self::Three),
            15 => Some(Self::Fifteen),
            16 => Some(Self::Sixteen),
            17 => Some(Self::Seventeen),
            _ => None,
        }
    }

    /// What is weak about it, in words for an operator; `None` where nothing is.
    pub fn weakness(self) -> Option<&'static str> {
        match self {
            Self::Three | Self::Seventeen => None,
            Self::Zero => Some("no password is asked for, and nothing is authenticated or encrypted"),
            Self::One | Self::Fifteen => {
                Some("packets are neither authenticated nor encrypted once the session is open")
            }
            Self::Two | Self::Sixteen => Some("packets are not encrypted"),
            Self::V15(AuthType::Md2 | AuthType::Md5) => {
                Some("packets are not encrypted, and a password of at most 16 bytes is guarded by a broken hash")
            }
            Self::V15(AuthType::Password) => Some("the password itself stands unencrypted in every packet"),
        }
    }
}

impl fmt::Display for CipherSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V15(AuthType::Md2) => f.write_str("1.5-md2"),
            Self::V15(AuthType::Md5) => f.write_str("1.5-md5"),
            Self::V15(AuthType::Password) => f.write_str("1.5-password"),
            suite => write!(f, "{}", suite.id().unwrap_or_default()),
        }
    }
}

/// The text names no cipher suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "3 and 17 are good; weaker, and used only where named, are 0, 1, 2, 15, 16, \"1.5-md5\", \"1.5-md2\" and \"1.5-password\"; leave it out to try 17, then 3"
)]
pub struct CipherSuiteError;

impl FromStr for CipherSuite {
    type Err = CipherSuiteError;
    fn from_str(text: &str) -> Result<Self, CipherSuiteError> {
        match text {
            "1.5-md2" => Ok(Self::V15(AuthType::Md2)),
            "1.5-md5" => Ok(Self::V15(AuthType::Md5)),
            "1.5-password" => Ok(Self::V15(AuthType::Password)),
            id => id.parse().ok().and_then(Self::from_id).ok_or(CipherSuiteError),
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
    /// IPMI: the suite to use, which may be a weak one; `None`: 17, then 3.
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
    fn the_agents_own_server_is_addressed_by_its_device_or_none() {
        let local = |device: &str| Ok(Address::Local { device: device.into(), smartctl: None });
        assert_eq!("local://".parse(), local("/dev/ipmi0"));
        assert_eq!("local:///dev/ipmi1".parse(), local("/dev/ipmi1"));
        assert_eq!("local://".parse::<Address>().map(|a| a.to_string()), Ok("local:///dev/ipmi0".into()));
        for wrong in
            ["local", "local:", "local://10.0.0.1", "local:///etc/passwd", "local:///dev/../etc/x", "local:///dev/a b"]
        {
            assert!(wrong.parse::<Address>().is_err(), "{wrong}");
        }
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
    fn a_bmc_key_is_hex_of_at_most_twenty_bytes_and_does_not_show() {
        let key: BmcKey = "0x00ff10".parse().unwrap();
        assert_eq!(key.expose(), [0, 0xff, 0x10]);
        assert!(!format!("{key:?}").contains("ff"));
        assert!("0000".parse::<BmcKey>().unwrap().expose().is_empty());
        for wrong in ["", "0x", "abc", "zz", &"00".repeat(21)] {
            assert!(wrong.parse::<BmcKey>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_cipher_suite_reads_back_and_only_two_have_no_weakness() {
        let auth = [AuthType::Md2, AuthType::Md5, AuthType::Password].map(CipherSuite::V15);
        let suites: Vec<_> = (0..=20).filter_map(CipherSuite::from_id).chain(auth).collect();
        assert_eq!(suites.len(), 10);
        for suite in &suites {
            assert_eq!(suite.to_string().parse(), Ok(*suite));
        }
        let strong: Vec<_> = suites.into_iter().filter(|s| s.weakness().is_none()).collect();
        assert_eq!(strong, [CipherSuite::Three, CipherSuite::Seventeen]);
        assert!(["4", "md5", "", "-1"].iter().all(|wrong| wrong.parse::<CipherSuite>().is_err()));
    }

    #[test]
    fn a_fingerprint_reads_back_with_or_without_colons() {
        let print = Fingerprint([0xab; 32]);
        assert_eq!(print.to_string().parse(), Ok(print));
        assert_eq!(["AB"; 32].join(":").parse(), Ok(print));
        assert!("zz".repeat(32).parse::<Fingerprint>().is_err());
    }
}
