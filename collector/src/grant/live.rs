//! The temporary accesses that the door knows of.

use crate::token::{Principal, Role};
use outband_schemas::{Clock, Timestamp};
use outband_store::StoreError;
use outband_store::audit::Sha256Hash;
use outband_store::grant::{Grant, Grants};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use subtle::ConstantTimeEq;

type Known = Vec<(Sha256Hash, Principal, Timestamp)>;

/// The open accesses, and the time by which they are over. Clones share them.
#[derive(Clone)]
pub struct Live {
    known: Arc<RwLock<Arc<Known>>>,
    clock: Arc<dyn Clock + Send + Sync>,
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").finish_non_exhaustive()
    }
}

impl Live {
    /// Those that are stored, over by this clock.
    pub fn of<S: Grants>(store: &S, clock: Arc<dyn Clock + Send + Sync>) -> Result<Self, StoreError> {
        let live = Self { known: Arc::default(), clock };
        live.refresh(store)?;
        Ok(live)
    }

    /// Reads anew which are open.
    pub fn refresh<S: Grants>(&self, store: &S) -> Result<(), StoreError> {
        // Under the lock: of two who refresh at a time, the later reading stays.
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let open = store.open_grants()?;
        *known = Arc::new(
            open.into_iter().filter_map(|(grant, digest)| Some((digest, principal(&grant)?, grant.until))).collect(),
        );
        Ok(())
    }

    /// Whose token this is, as long as the access lasts. The time it takes does not depend on how much of a token is right.
    pub fn find(&self, presented: &str) -> Option<Principal> {
        let digest: [u8; 32] = Sha256::digest(presented.as_bytes()).into();
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut found = None;
        for (other, principal, until) in known.iter() {
            if bool::from(other.0.ct_eq(&digest)) {
                found = Some((principal, *until));
            }
        }
        found.filter(|(_, until)| self.clock.now() < *until).map(|(principal, _)| principal.clone())
    }
}

/// Who comes with this token. None whose role may not be given away, whatever is stored.
fn principal(grant: &Grant) -> Option<Principal> {
    let role: Role = super::ROLES.into_iter().find(|role| role.as_str() == grant.role)?;
    Some(Principal {
        role,
        name: grant.holder.clone(),
        shared: false,
        sites: BTreeSet::new(),
        customers: BTreeSet::new(),
        only: Some(grant.ticket),
    })
}
