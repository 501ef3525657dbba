//! What travels by hand when an agent joins: the line of an invite, and six words.
//!
//! Both are made at the collector's side and read at the agent's, or the other way round, and both name the collector's CA by its hash: whoever
//! sits between the two has another CA, and is found out before a secret is told.

use crate::{AgentId, SiteId};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// What a line begins with; the number is the version of its form.
const PREFIX: &str = "outband-invite-1";
/// The longest line that is read at all.
const MAX_LINE: usize = 2048;
/// So many addresses at most.
const MAX_ADDRESSES: usize = 8;

/// Why a text is no line of an invite. Never holds the secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// Not the four parts of a line.
    #[error("this is no line of `outband agent invite`: it begins with {PREFIX}/ and has four parts, separated by /")]
    Shape,
    /// An address that is none.
    #[error("{0:?} in the line is no HOST:PORT")]
    Address(String),
    /// A hash or a secret that is cut short or mistyped.
    #[error("the {what} in the line is not {digits} hexadecimal digits: was the line copied as a whole?")]
    Hex {
        /// Which part.
        what: &'static str,
        /// How long it should be.
        digits: usize,
    },
}

/// One invite, as one line: where the collector is, which CA it has, and a secret. The secret is never printed by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct InviteLine {
    /// `HOST:PORT`, one at least.
    addresses: Vec<String>,
    /// SHA-256 of the CA's certificate (DER).
    pub ca_sha256: [u8; 32],
    /// What lets one agent in, once.
    pub secret: [u8; 16],
}

impl fmt::Debug for InviteLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InviteLine").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl InviteLine {
    /// A line of these parts.
    pub fn new(addresses: Vec<String>, ca_sha256: [u8; 32], secret: [u8; 16]) -> Result<Self, LineError> {
        if addresses.is_empty() || addresses.len() > MAX_ADDRESSES {
            return Err(LineError::Shape);
        }
        if let Some(bad) = addresses.iter().find(|a| !is_address(a)) {
            return Err(LineError::Address(bad.clone()));
        }
        Ok(Self { addresses, ca_sha256, secret })
    }

    /// `HOST:PORT` of one collector, tried in turn.
    pub fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// The line as text, secret included: to be shown once.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}/{}/{}/{}", self.addresses.join(","), hex(&self.ca_sha256), hex(&self.secret))
    }
}

impl FromStr for InviteLine {
    type Err = LineError;

    fn from_str(text: &str) -> Result<Self, LineError> {
        let text = text.trim();
        if text.len() > MAX_LINE {
            return Err(LineError::Shape);
        }
        let parts: Vec<&str> = text.split('/').collect();
        let [PREFIX, addresses, ca, secret] = parts.as_slice() else { return Err(LineError::Shape) };
        let addresses = addresses.split(',').map(str::to_owned).collect();
        let ca = unhex(ca).ok_or(LineError::Hex { what: "hash of the CA", digits: 64 })?;
        let secret = unhex(secret).ok_or(LineError::Hex { what: "secret", digits: 32 })?;
        Self::new(addresses, ca, secret)
    }
}

/// Whether this is `HOST:PORT`, `[V6]:PORT` for an IPv6 address.
pub fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let host_is_good = match bare {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host.len() <= 253
                && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c))
        }
    };
    host_is_good && !port.starts_with('+') && port.parse::<u16>().is_ok_and(|p| p != 0)
}

/// An agent's certificate begins so long before it is issued: clocks differ.
pub const BACKDATED: Duration = Duration::from_secs(24 * 60 * 60);

const IDENTITY: &str = "outband://";

/// The URI among the alternative names of an agent's certificate: `outband://SITE/agents/AGENT`.
pub fn identity_uri(site: &SiteId, agent: &AgentId) -> String {
    format!("{IDENTITY}{site}/agents/{agent}")
}

/// Site and agent of such a URI; `None`: it is another one.
pub fn read_identity_uri(uri: &str) -> Option<(SiteId, AgentId)> {
    let (site, agent) = uri.strip_prefix(IDENTITY)?.split_once("/agents/")?;
    Some((SiteId::new(site).ok()?, AgentId::new(agent).ok()?))
}

/// Why six words are none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WordsError {
    /// Too few or too many.
    #[error("six words are wanted, these are {0}")]
    Count(usize),
    /// A word that stands in no list.
    #[error("{0:?} is none of the words that an agent shows")]
    Unknown(String),
}

/// What is hashed (SHA-256) for the six words: the CA's certificate hash, then the public key of the agent's request (SubjectPublicKeyInfo, DER).
pub fn words_input(ca_sha256: &[u8; 32], public_key: &[u8]) -> Vec<u8> {
    [b"outband join 1\0".as_slice(), ca_sha256, public_key].concat()
}

/// The first 66 bits of a hash as six words of the BIP 39 list, in which the first four letters tell each word from all others.
pub fn words(hash: &[u8; 32]) -> [&'static str; 6] {
    let list: Vec<&'static str> = list().collect();
    let mut bits = hash.iter().flat_map(|byte| (0..8).rev().map(move |bit| usize::from((byte >> bit) & 1)));
    std::array::from_fn(|_| {
        let index = bits.by_ref().take(11).fold(0, |sum, bit| (sum << 1) | bit);
        list.get(index).copied().unwrap_or_default()
    })
}

/// Six words as somebody typed them, as the list has them: parted by anything but letters, in any case.
pub fn read_words(text: &str) -> Result<[&'static str; 6], WordsError> {
    let typed: Vec<&str> = text.split(|c: char| !c.is_alphabetic()).filter(|w| !w.is_empty()).collect();
    let found: Result<Vec<&'static str>, WordsError> = typed
        .iter()
        .map(|word| {
            list().find(|w| w.eq_ignore_ascii_case(word)).ok_or_else(|| WordsError::Unknown((*word).to_owned()))
        })
        .collect();
    <[&'static str; 6]>::try_from(found?).map_err(|others| WordsError::Count(others.len()))
}

/// 2,048 words. Source: BIP 39, english.txt (public, MIT).
fn list() -> impl Iterator<Item = &'static str> {
    include_str!("enrol/words.txt").lines()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let mut out = [0; N];
    for (i, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok()?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn address() -> impl Strategy<Value = String> {
        let host = prop_oneof!["[a-z0-9][a-z0-9.-]{0,20}", any::<std::net::Ipv6Addr>().prop_map(|a| format!("[{a}]"))];
        (host, 1u16..).prop_map(|(host, port)| format!("{host}:{port}"))
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(addresses in prop::collection::vec(address(), 1..=8), ca: [u8; 32], secret: [u8; 16]) {
            let line = InviteLine::new(addresses, ca, secret).unwrap();
            prop_assert_eq!(format!(" {}\n", line.reveal()).parse(), Ok(line));
        }

        #[test]
        fn no_text_makes_the_reader_panic_and_what_it_takes_it_can_write(
            text in prop_oneof![".{0,200}", "outband-invite-1/[a-zA-Z0-9:.,]{0,20}/[0-9a-fA-Fé]{62,66}/[0-9a-fA-F]{30,34}"]
        ) {
            if let Ok(line) = text.parse::<InviteLine>() {
                prop_assert_eq!(line.reveal().parse(), Ok(line));
            }
        }

        #[test]
        fn a_line_that_lost_or_changed_a_character_is_another_or_none(at in 0usize..140, with in proptest::char::any()) {
            let line = InviteLine::new(vec!["collector.example:7442".to_owned()], [7; 32], [9; 16]).unwrap();
            let mut text: Vec<char> = line.reveal().chars().collect();
            let at = at % text.len();
            if with.is_alphanumeric() { text[at] = with } else { text.remove(at); }
            let text: String = text.into_iter().collect();
            prop_assume!(text != line.reveal());
            prop_assert_ne!(text.parse().ok(), Some(line));
        }

        #[test]
        fn six_words_are_read_as_they_are_shown(hash: [u8; 32]) {
            let shown = words(&hash);
            prop_assert_eq!(read_words(&shown.join(" ")), Ok(shown));
            prop_assert_eq!(read_words(&shown.join("-").to_uppercase()), Ok(shown));
        }
    }

    #[test]
    fn an_identity_is_read_as_it_is_written_and_nothing_else_is() {
        let (site, agent) = (SiteId::new("dc.1").unwrap(), AgentId::new("a-1").unwrap());
        let uri = identity_uri(&site, &agent);
        assert_eq!(read_identity_uri(&uri), Some((site, agent)));
        for other in ["", "outband://dc1", "outband://dc1/agents/", "outband://dc1/agents/a/b", "https://dc1/agents/a"]
        {
            assert_eq!(read_identity_uri(other), None, "{other}");
        }
    }

    #[test]
    fn the_secret_is_never_printed() {
        let line = InviteLine::new(vec!["c:1".to_owned()], [7; 32], [0xab; 16]).unwrap();
        assert!(line.reveal().contains("abab") && !format!("{line:?}").contains("ab, ab"));
        assert!(!format!("{line:?}").contains("171"));
    }

    #[test]
    fn what_is_no_line_is_refused_by_name() {
        let good = InviteLine::new(vec!["c:1".to_owned()], [7; 32], [9; 16]).unwrap().reveal();
        let read = |text: &str| text.parse::<InviteLine>();
        assert_eq!(read(""), Err(LineError::Shape));
        assert_eq!(read(&good.replace("invite-1", "invite-2")), Err(LineError::Shape));
        assert_eq!(read(&good.replace("c:1", "c")), Err(LineError::Address("c".to_owned())));
        assert_eq!(read(&good.replace("c:1", "c:0")), Err(LineError::Address("c:0".to_owned())));
        assert_eq!(read(good.trim_end_matches('9')), Err(LineError::Hex { what: "secret", digits: 32 }));
        assert_eq!(read(&good.replace("0707", "07")), Err(LineError::Hex { what: "hash of the CA", digits: 64 }));
    }

    #[test]
    fn every_word_is_in_the_list_once_and_known_by_its_first_letters() {
        let all: Vec<&str> = list().collect();
        let beginnings: BTreeSet<&str> = all.iter().map(|w| &w[..w.len().min(4)]).collect();
        assert_eq!((all.len(), beginnings.len()), (2048, 2048));
    }

    #[test]
    fn another_bit_is_another_word() {
        let mut hash = [0; 32];
        assert_eq!(words(&hash), ["abandon"; 6]);
        hash[8] = 0x40;
        assert_eq!(words(&hash), ["abandon", "abandon", "abandon", "abandon", "abandon", "ability"]);
        assert_eq!(read_words("one two"), Err(WordsError::Count(2)));
        assert_eq!(read_words("one zwo"), Err(WordsError::Unknown("zwo".to_owned())));
    }
}
