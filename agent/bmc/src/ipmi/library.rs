//! What is known of sensor repositories beyond one session: servers of one model share it in memory, and it is kept over restarts.

use super::repository::{Records, Repository, Stamp};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The first bytes of what stands on a shelf.
const MAGIC: &[u8; 8] = b"OBSDR\0\0\x01";
const DIGEST_LEN: usize = 32;
/// Between so many new repositories those that nobody uses any more are let go.
const SWEEP_EVERY: usize = 64;

/// Where bytes are kept over restarts. What is lost or spoilt there costs a reading of the repository and nothing else.
pub trait Shelf: Send + Sync {
    /// What was put up under a name.
    fn take_down(&self, name: &str) -> Option<Vec<u8>>;

    /// Puts up what is to be found under a name from now on.
    fn put_up(&self, name: &str, bytes: &[u8]);
}

/// The repositories that are known.
#[derive(Clone, Default)]
pub struct Library(Arc<Inside>);

#[derive(Default)]
struct Inside {
    /// By what their records hold: two servers of one model and firmware have the same.
    shared: Mutex<HashMap<[u8; DIGEST_LEN], Weak<Repository>>>,
    shelf: Option<Box<dyn Shelf>>,
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Library").field("is_kept", &self.0.shelf.is_some()).finish_non_exhaustive()
    }
}

/// A repository as it was read, and of whom.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Kept {
    /// What the BMC said of itself: device id and GUID. Some share a GUID, some count no firmware up: it is one sign among others.
    pub(super) identity: Vec<u8>,
    pub(super) stamp: Stamp,
    pub(super) records: Records,
}

impl Library {
    /// A library that outlasts the process.
    pub fn on(shelf: Box<dyn Shelf>) -> Self {
        Self(Arc::new(Inside { shared: Mutex::default(), shelf: Some(shelf) }))
    }

    /// Whether anything is kept.
    pub(super) fn is_kept(&self) -> bool {
        self.0.shelf.is_some()
    }

    /// What the records say; one and the same for all that have the same records.
    pub(super) fn repository(&self, records: &Records) -> Arc<Repository> {
        if !records.is_complete() {
            return Arc::new(Repository::of(records));
        }
        let digest = digest(&records.encode());
        let mut shared = self.0.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = shared.get(&digest).and_then(Weak::upgrade) {
            return known;
        }
        if shared.len() % SWEEP_EVERY == SWEEP_EVERY - 1 {
            shared.retain(|_, known| known.strong_count() > 0);
        }
        let repository = Arc::new(Repository::of(records));
        shared.insert(digest, Arc::downgrade(&repository));
        repository
    }

    /// What was kept of a target.
    pub(super) fn recall(&self, target: &str) -> Option<Kept> {
        Kept::decode(&self.0.shelf.as_ref()?.take_down(target)?)
    }

    /// Keeps what was read of a target.
    pub(super) fn keep(&self, target: &str, kept: &Kept) {
        if let Some(shelf) = &self.0.shelf {
            shelf.put_up(target, &kept.encode());
        }
    }
}

fn digest(bytes: &[u8]) -> [u8; DIGEST_LEN] {
    Sha256::digest(bytes).into()
}

impl Kept {
    fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.push(u8::try_from(self.identity.len()).unwrap_or(u8::MAX));
        out.extend(self.identity.iter().take(usize::from(u8::MAX)));
        out.extend(self.stamp.encode());
        out.extend(self.records.encode());
        out.extend(digest(&out));
        out
    }

    /// `None` where a bit is not as it was written.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (body, code) = bytes.split_last_chunk::<DIGEST_LEN>()?;
        if digest(body) != *code {
            return None;
        }
        let (&len, rest) = body.strip_prefix(MAGIC)?.split_first()?;
        let (identity, rest) = rest.split_at_checked(usize::from(len))?;
        let (stamp, rest) = Stamp::decode(rest)?;
        Some(Self { identity: identity.to_vec(), stamp, records: Records::decode(rest)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kept(records: Vec<(u16, Vec<u8>)>) -> Kept {
        Kept { identity: vec![1, 2, 3], stamp: Stamp::default(), records: Records::complete(records) }
    }

    #[test]
    fn one_turned_bit_makes_what_is_kept_worthless() {
        let bytes = kept(vec![(1, vec![1, 0, 0x51, 0x12, 2, 9, 9])]).encode();
        assert!(Kept::decode(&bytes).is_some());
        for bit in 0..bytes.len() * 8 {
            let mut bent = bytes.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Kept::decode(&bent), None, "bit {bit}");
        }
    }

    #[test]
    fn servers_with_the_same_records_share_one_repository() {
        let (library, records) = (Library::default(), kept(vec![(1, vec![1, 0, 0x51, 0x12, 0])]).records);
        let (first, second) = (library.repository(&records), library.repository(&records.clone()));
        assert!(Arc::ptr_eq(&first, &second));
        let other = library.repository(&kept(vec![(1, vec![2, 0, 0x51, 0x12, 0])]).records);
        assert!(!Arc::ptr_eq(&first, &other));
    }

    proptest! {
        #[test]
        fn what_is_kept_reads_back(records in proptest::collection::vec((any::<u16>(), proptest::collection::vec(any::<u8>(), 0..70)), 0..20)) {
            let kept = kept(records);
            prop_assert_eq!(Kept::decode(&kept.encode()), Some(kept));
        }
    }
}
