//! Agents that knocked without an invite, and wait for an operator to approve their six words.
//!
//! Kept in memory: of strangers nothing is written to the disk. An agent that waits for a collector that was restarted knocks again by itself, with the same key and
//! so under the same words; who waited for ten minutes has to be told to.

use crate::tls::AgentKey;
use outband_proto::enrol::IssuedCertificate;
use outband_schemas::{AgentId, Timestamp};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use subtle::ConstantTimeEq;

/// How long one waits.
pub const WAITS: Duration = Duration::from_secs(600);
/// So many wait at most, and so many from one address.
pub const AT_MOST: usize = 32;
/// See [`AT_MOST`].
pub const OF_ONE_ADDRESS: usize = 4;

/// What its agent asks with.
pub type Handle = [u8; 16];

/// One that knocked.
#[derive(Debug, Clone)]
pub struct Knock {
    /// Its six words, separated by blanks.
    pub words: String,
    /// What it would like to be called.
    pub wish: Option<AgentId>,
    /// Its key.
    pub key: AgentKey,
    /// From where.
    pub peer: Option<IpAddr>,
    /// When.
    pub asked_at: Timestamp,
    /// Until when it waits.
    pub expires_at: Timestamp,
}

#[derive(Debug)]
struct Waiting {
    handle: Handle,
    knock: Knock,
    issued: Option<IssuedCertificate>,
}

/// Why nobody more may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many agents wait to be approved; try again in ten minutes")]
pub struct Crowded;

/// Those that wait.
#[derive(Debug, Default)]
pub struct Pending(Mutex<Vec<Waiting>>);

impl Pending {
    /// Lets one wait. The same key again takes the place of the first.
    pub fn add(&self, knock: Knock, handle: Handle) -> Result<(), Crowded> {
        let mut waiting = self.lock(knock.asked_at);
        waiting.retain(|w| w.knock.words != knock.words);
        let open = || waiting.iter().filter(|w| w.issued.is_none());
        let of_address = open().filter(|w| w.knock.peer == knock.peer).count();
        if open().count() >= AT_MOST || of_address >= OF_ONE_ADDRESS {
            return Err(Crowded);
        }
        waiting.push(Waiting { handle, knock, issued: None });
        Ok(())
    }

    /// Those that nobody approved yet, the oldest first.
    pub fn open(&self, now: Timestamp) -> Vec<Knock> {
        self.lock(now).iter().filter(|w| w.issued.is_none()).map(|w| w.knock.clone()).collect()
    }

    /// The one of these words, if nobody approved it yet.
    pub fn of_words(&self, words: &str, now: Timestamp) -> Option<Knock> {
        self.open(now).into_iter().find(|k| k.words == words)
    }

    /// Has a certificate ready for the one of these words.
    pub fn approve(&self, words: &str, issued: IssuedCertificate, now: Timestamp) {
        if let Some(one) = self.lock(now).iter_mut().find(|w| w.knock.words == words) {
            one.issued = Some(issued);
        }
    }

    /// What became of a knock: its certificate, or nothing yet; `None`: it is not known, or no longer.
    pub fn of_handle(&self, handle: &[u8], now: Timestamp) -> Option<Option<IssuedCertificate>> {
        let waiting = self.lock(now);
        let mine = waiting.iter().find(|w| bool::from(w.handle.as_slice().ct_eq(handle)));
        mine.map(|w| w.issued.clone())
    }

    fn lock(&self, now: Timestamp) -> MutexGuard<'_, Vec<Waiting>> {
        // The list is whole after every statement, so a panic elsewhere leaves nothing half done.
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|w| now < w.knock.expires_at);
        waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn knock(words: &str, peer: u8) -> Knock {
        let key = AgentKey::of_request(&request()).unwrap();
        let peer = Some(IpAddr::from([10, 0, 0, peer]));
        Knock { words: words.to_owned(), wish: None, key, peer, asked_at: NOW, expires_at: NOW.plus(WAITS) }
    }

    fn request() -> Vec<u8> {
        let key = rcgen::KeyPair::generate().unwrap();
        rcgen::CertificateParams::default().serialize_request(&key).unwrap().der().to_vec()
    }

    #[test]
    fn one_that_waits_is_forgotten_after_ten_minutes() {
        let pending = Pending::default();
        pending.add(knock("a", 1), [1; 16]).unwrap();
        let last = NOW.plus(WAITS - Duration::from_secs(1));
        assert!(pending.of_words("a", last).is_some() && pending.of_handle(&[1; 16], last) == Some(None));
        let over = NOW.plus(WAITS);
        assert!(pending.of_words("a", over).is_none() && pending.of_handle(&[1; 16], over).is_none());
    }

    #[test]
    fn who_asks_with_another_handle_gets_nothing() {
        let pending = Pending::default();
        pending.add(knock("a", 1), [1; 16]).unwrap();
        pending.approve("a", IssuedCertificate::default(), NOW);
        assert_eq!(pending.of_handle(&[1; 16], NOW), Some(Some(IssuedCertificate::default())));
        assert_eq!((pending.of_handle(&[2; 16], NOW), pending.of_handle(&[1; 4], NOW)), (None, None));
        assert!(pending.of_words("a", NOW).is_none(), "it is approved once");
    }

    #[test]
    fn few_wait_from_one_address_and_not_many_from_all() {
        let pending = Pending::default();
        let add = |number: usize, peer: u8| pending.add(knock(&format!("words {number}"), peer), [number as u8; 16]);
        for number in 0..OF_ONE_ADDRESS {
            add(number, 1).unwrap();
        }
        assert_eq!(add(99, 1), Err(Crowded));
        add(0, 1).unwrap();
        for number in OF_ONE_ADDRESS..AT_MOST {
            add(number, 2 + u8::try_from(number / OF_ONE_ADDRESS).unwrap()).unwrap();
        }
        assert_eq!(add(99, 200), Err(Crowded));
    }
}
