//! How the agent comes to a certificate of its own, and keeps one.
//!
//! [`chain`] looks at which CA a collector has before anything is said to it; [`join`] asks with an invite or with six words; [`identity`] is the file
//! that holds key and certificate; [`renew`] replaces it in a running agent.

pub mod args;
pub mod chain;
pub mod identity;
pub mod join;
pub mod renew;

use sha2::{Digest, Sha256};

/// SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}
