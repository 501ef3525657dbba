//! Lets a call in when it carries a token with the permission that its service needs.

use crate::token::{Principal, Role, Tokens};
use std::sync::{Arc, PoisonError, RwLock};
use tonic::service::Interceptor;
use tonic::{Request, Status};

/// The tokens in force; a reload replaces them for calls that come after it.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    tokens: Arc<RwLock<Arc<Tokens>>>,
}

impl Gate {
    /// A gate that knows these tokens.
    pub fn new(tokens: Tokens) -> Self {
        Self { tokens: Arc::new(RwLock::new(Arc::new(tokens))) }
    }

    /// Puts other tokens in force.
    pub fn replace(&self, tokens: Tokens) {
        // A holder that panicked left a whole value: it is replaced in one step.
        *self.tokens.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(tokens);
    }

    /// An interceptor for services that need `role`.
    pub fn only(&self, role: Role) -> Guard {
        Guard { gate: self.clone(), role }
    }

    fn tokens(&self) -> Arc<Tokens> {
        self.tokens.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Stands before one service. Puts the [`Principal`] into the request's extensions.
#[derive(Debug, Clone)]
pub struct Guard {
    gate: Gate,
    role: Role,
}

impl Interceptor for Guard {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let need = self.role;
        let header = request.metadata().get("authorization").ok_or_else(|| {
            Status::unauthenticated(format!(
                "no token: send `authorization: Bearer TOKEN` with the token of an {need} (the collector made one on its first start: {})",
                need.token_file()
            ))
        })?;
        let presented = header
            .to_str()
            .ok()
            .and_then(|h| h.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .ok_or_else(|| Status::unauthenticated("the authorization header is not `Bearer TOKEN`"))?;
        let tokens = self.gate.tokens();
        let principal = tokens
            .find(presented)
            .ok_or_else(|| Status::unauthenticated("this token is not known here, or it was revoked"))?;
        if principal.role != need {
            return Err(Status::permission_denied(format!(
                "permission {} is missing: this is the token of an {}, and this service takes those of an {need}",
                need.permission(),
                principal.role
            )));
        }
        request.extensions_mut().insert(principal.clone());
        Ok(request)
    }
}

/// Who makes this call. An error only where a service stands without a [`Guard`].
pub fn principal<T>(request: &Request<T>) -> Result<Principal, Status> {
    request
        .extensions()
        .get::<Principal>()
        .cloned()
        .ok_or_else(|| Status::internal("this service was started without its guard"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datadir::DataDir;
    use tonic::Code;

    fn guard() -> (tempfile::TempDir, Guard, String, String) {
        let tmp = tempfile::tempdir().unwrap();
        let dir = DataDir::open(tmp.path().join("d")).unwrap();
        let gate = Gate::new(Tokens::load_or_make(&dir).unwrap());
        let read = |r: Role| dir.read(&r.token_file()).unwrap().unwrap().trim().to_owned();
        let guard = gate.only(Role::Operator);
        (tmp, guard, read(Role::Agent), read(Role::Operator))
    }

    fn call(guard: &mut Guard, header: Option<&str>) -> Result<Principal, Code> {
        let mut request = Request::new(());
        if let Some(header) = header {
            request.metadata_mut().insert("authorization", header.parse().unwrap());
        }
        guard.call(request).map_err(|s| s.code()).map(|r| principal(&r).unwrap())
    }

    #[test]
    fn a_call_gets_in_with_a_token_of_the_role_and_with_nothing_else() {
        let (_tmp, mut guard, agent, operator) = guard();
        assert_eq!(call(&mut guard, None), Err(Code::Unauthenticated));
        assert_eq!(call(&mut guard, Some("Basic eDp5")), Err(Code::Unauthenticated));
        assert_eq!(call(&mut guard, Some("Bearer nobody")), Err(Code::Unauthenticated));
        assert_eq!(call(&mut guard, Some(&format!("Bearer {agent}"))), Err(Code::PermissionDenied));
        assert_eq!(call(&mut guard, Some(&format!("bearer {operator}"))).map(|p| p.name), Ok("operator".to_owned()));
    }

    #[test]
    fn a_reload_takes_a_token_away_from_the_next_call() {
        let (_tmp, mut guard, _, operator) = guard();
        let header = format!("Bearer {operator}");
        assert!(call(&mut guard, Some(&header)).is_ok());
        guard.gate.replace(Tokens::default());
        assert_eq!(call(&mut guard, Some(&header)), Err(Code::Unauthenticated));
    }

    #[test]
    fn a_refusal_names_the_permission_and_never_the_token() {
        let (_tmp, mut guard, agent, _) = guard();
        let mut request = Request::new(());
        request.metadata_mut().insert("authorization", format!("Bearer {agent}").parse().unwrap());
        let status = guard.call(request).unwrap_err();
        assert!(status.message().contains("fleet.operate"), "{status}");
        assert!(!status.to_string().contains(&agent));
    }
}
