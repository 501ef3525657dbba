//! Erasures that are not over yet: what the running program learnt of servers over weeks is in its memory, too, and would come back from there.
//!
//! The erasure itself ([`crate::keeping::Keeping::erase_customer`]) notes the servers in its own transaction. Whoever keeps what is learnt forgets them and
//! then says so; it does that before it reads or writes anything that was kept of them, after a crash too.

use crate::StoreError;
use outband_schemas::ServerId;

/// A server of which everything that was learnt is to be forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErasedServer {
    /// The server.
    pub server: ServerId,
    /// Keys of drives that had been taken out of it, as far as they are not noted with the drives themselves.
    pub drives: Vec<String>,
}

/// Tells of erasures that are not over. Verbs block, as those of [`crate::Store`].
pub trait Erasures {
    /// The servers of which what was learnt is to be forgotten.
    fn erasures(&self) -> Result<Vec<ErasedServer>, StoreError>;

    /// What was learnt of these servers is forgotten: it is erased once more, with whatever was written meanwhile, and the erasure is over.
    fn forgotten(&self, erased: &[ErasedServer]) -> Result<(), StoreError>;
}
