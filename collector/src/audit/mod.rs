//! Who did what: callers as the audit log names them, and requests that may come twice.

pub mod journal;
mod refusals;

pub use refusals::{Refusals, Waiting, run};

use crate::auth;
use crate::token::Principal;
use outband_schemas::Timestamp;
use outband_store::audit::{Actor, Deed, Outcome, Sha256Hash};
use prost::Message;
use sha2::{Digest, Sha256};
use tonic::{Request, Status};

/// Who makes a call, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who.
    pub principal: Principal,
    /// The address, where it is known.
    pub peer: Option<String>,
}

impl Caller {
    /// Whose request this is. An error only where a service stands without its gate.
    pub fn of<T>(request: &Request<T>) -> Result<Self, Status> {
        let peer = request.remote_addr().map(|addr| addr.ip().to_string());
        Ok(Self { principal: auth::principal(request)?, peer })
    }

    /// As the log names it.
    pub fn actor(&self) -> Actor {
        Actor { name: self.principal.name.clone(), peer: self.peer.clone() }
    }

    /// Something done by this caller.
    pub fn did(&self, at: Timestamp, method: &str, resource: String, detail: String) -> Deed {
        Deed {
            at,
            role: self.principal.role.as_str().to_owned(),
            method: method.to_owned(),
            resource,
            detail,
            outcome: Outcome::Done,
            request_id: None,
            before: None,
            after: None,
        }
    }
}

/// The longest id of a request.
const MAX_ID: usize = 64;

/// The id that a request carries, if any. The error says what is wrong with it.
pub fn request_id(text: &str) -> Result<Option<String>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    if text.len() > MAX_ID || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(format!("an id is 1 to {MAX_ID} printable ASCII characters, best a UUID"));
    }
    Ok(Some(text.to_owned()))
}

/// What tells one request from another under the same id.
pub fn digest(method: &str, request: &impl Message) -> Sha256Hash {
    let mut hash = Sha256::new();
    hash.update(method.as_bytes());
    // No name of a method holds a zero byte.
    hash.update([0]);
    hash.update(request.encode_to_vec());
    Sha256Hash(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use outband_proto::ticket::CommentTicketRequest;

    #[test]
    fn an_id_that_could_not_be_written_down_is_none() {
        assert_eq!(request_id(""), Ok(None));
        assert_eq!(request_id("6f2c-1"), Ok(Some("6f2c-1".to_owned())));
        for bad in ["a b", "编号", &"x".repeat(65)] {
            assert!(request_id(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn another_method_or_another_body_is_another_request() {
        let one = CommentTicketRequest { text: "a".to_owned(), ..Default::default() };
        let two = CommentTicketRequest { text: "b".to_owned(), ..Default::default() };
        assert_eq!(digest("m", &one), digest("m", &one));
        assert_ne!(digest("m", &one), digest("m", &two));
        assert_ne!(digest("m", &one), digest("n", &one));
    }
}
