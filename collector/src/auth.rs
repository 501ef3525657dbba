//! Lets a call in when it carries a token of a role that may make it, or comes over a connection that an agent's certificate opened.

use crate::audit::{Caller, Refusals};
use crate::enrol::{self, AgentIdentity, Presented};
use crate::grant::Live;
use crate::rights::{self, Reach};
use crate::token::{Principal, Role, Tokens};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use tonic::body::Body;
use tonic::codegen::http::{self, Extensions, HeaderMap};
use tonic::codegen::{BoxFuture, Context, Poll, Service};
use tonic::server::NamedService;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};
use tonic::{Request, Status};

/// The tokens in force; a reload replaces them for calls that come after it.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    tokens: Arc<RwLock<Arc<Tokens>>>,
    refusals: Option<Refusals>,
    access: Option<Live>,
    agents: Option<enrol::Live>,
}

impl Gate {
    /// A gate that knows these tokens.
    pub fn new(tokens: Tokens) -> Self {
        Self { tokens: Arc::new(RwLock::new(Arc::new(tokens))), refusals: None, access: None, agents: None }
    }

    /// The gate, with a place to note whom it refused.
    #[must_use]
    pub fn noting(self, refusals: Refusals) -> Self {
        Self { refusals: Some(refusals), ..self }
    }

    /// The gate, letting in whoever has a temporary access, too.
    #[must_use]
    pub fn with_access(self, access: Live) -> Self {
        Self { access: Some(access), ..self }
    }

    /// The gate, letting in agents by the certificates that this collector issued and did not revoke.
    #[must_use]
    pub fn with_agents(self, agents: enrol::Live) -> Self {
        Self { agents: Some(agents), ..self }
    }

    /// Puts other tokens in force.
    pub fn replace(&self, tokens: Tokens) {
        // A holder that panicked left a whole value: it is replaced in one step.
        *self.tokens.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(tokens);
    }

    /// The names that only customers have.
    pub fn customers(&self) -> BTreeSet<String> {
        self.tokens().customers()
    }

    /// The service, behind this gate.
    pub fn guard<S>(&self, service: S) -> Guarded<S> {
        Guarded { gate: self.clone(), service }
    }

    fn tokens(&self) -> Arc<Tokens> {
        self.tokens.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// With which certificate a call comes that brings no token; `None`: with none.
    fn presented(&self, headers: &HeaderMap, extensions: &Extensions) -> Result<Option<Presented>, Status> {
        let Some(live) = self.agents.as_ref().filter(|_| !headers.contains_key(http::header::AUTHORIZATION)) else {
            return Ok(None);
        };
        let certificates = extensions.get::<TlsConnectInfo<TcpConnectInfo>>().and_then(TlsConnectInfo::peer_certs);
        let Some(leaf) = certificates.as_ref().and_then(|all| all.first()) else { return Ok(None) };
        let identity = AgentIdentity::of_certificate(leaf)
            .ok_or_else(|| Status::unauthenticated("this certificate is not an agent's"))?;
        let presented = Presented { identity, live: live.clone() };
        presented.check()?;
        Ok(Some(presented))
    }

    /// Who makes a call of `method`, `package.Service/Method`, if he may.
    fn admit(
        &self,
        method: &str,
        headers: &HeaderMap,
        extensions: &Extensions,
        presented: Option<&Presented>,
    ) -> Result<Principal, Status> {
        let roles = rights::allowed(method);
        if let Some(Presented { identity, .. }) = presented {
            let principal = Principal {
                role: Role::Agent,
                name: identity.agent.to_string(),
                shared: false,
                sites: BTreeSet::new(),
                customers: BTreeSet::new(),
                only: None,
            };
            return self.may(principal, method, roles, extensions);
        }
        let header = headers.get(http::header::AUTHORIZATION).ok_or_else(|| {
            let role = if roles == [Role::Agent] { Role::Agent } else { Role::Operator };
            Status::unauthenticated(format!(
                "no {}token: send `authorization: Bearer TOKEN` with the token of an {role} (the collector made one on its first start: {})",
                if role == Role::Agent { "certificate (outband-agent join) and no " } else { "" },
                role.token_file()
            ))
        })?;
        let presented = header
            .to_str()
            .ok()
            .and_then(|h| h.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .ok_or_else(|| Status::unauthenticated("the authorization header is not `Bearer TOKEN`"))?;
        let tokens = self.tokens();
        let temporary = self.access.as_ref().and_then(|access| access.find(presented));
        let principal = tokens
            .find(presented)
            .or(temporary.as_ref())
            .ok_or_else(|| Status::unauthenticated("this token is not known here, or it was revoked"))?;
        self.may(principal.clone(), method, roles, extensions)
    }

    /// Whether this principal may call it.
    fn may(
        &self,
        principal: Principal,
        method: &str,
        roles: &[Role],
        extensions: &Extensions,
    ) -> Result<Principal, Status> {
        let beyond = principal.is_limited() && rights::reach(method) == Reach::Fleet;
        if beyond && roles.contains(&principal.role) {
            let detail = "the token is limited, and this is about the whole fleet".to_owned();
            self.refused(&principal, extensions, method, detail);
            return Err(Status::permission_denied(format!(
                "permission {method} is missing: this token is limited to some customers or sites, and that is about all of them"
            )));
        }
        if !roles.contains(&principal.role) {
            let words: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
            let needed = if words.is_empty() { "nobody".to_owned() } else { words.join(", ") };
            let why = format!(
                "permission {method} is missing: this is the token of role {}, it is for {needed}",
                principal.role
            );
            let detail = format!("the role is {}, needed is {needed}", principal.role);
            self.refused(&principal, extensions, method, detail);
            return Err(Status::permission_denied(why));
        }
        Ok(principal)
    }

    fn refused(&self, principal: &Principal, extensions: &Extensions, method: &str, detail: String) {
        if let Some(refusals) = &self.refusals {
            let peer = peer(extensions).map(|addr| addr.ip().to_string());
            refusals.note(Caller { principal: principal.clone(), peer }, method, detail);
        }
    }
}

fn peer(extensions: &Extensions) -> Option<SocketAddr> {
    let tls = extensions.get::<TlsConnectInfo<TcpConnectInfo>>().map(TlsConnectInfo::get_ref);
    tls.or_else(|| extensions.get::<TcpConnectInfo>()).and_then(TcpConnectInfo::remote_addr)
}

/// A service behind a [`Gate`]. Puts the [`Principal`] into the request's extensions.
#[derive(Debug, Clone)]
pub struct Guarded<S> {
    gate: Gate,
    service: S,
}

impl<S: NamedService> NamedService for Guarded<S> {
    const NAME: &'static str = S::NAME;
}

impl<S, B> Service<http::Request<B>> for Guarded<S>
where
    S: Service<http::Request<B>, Response = http::Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<B>) -> Self::Future {
        let method = request.uri().path().trim_start_matches('/');
        let admitted = self.gate.presented(request.headers(), request.extensions()).and_then(|presented| {
            let principal = self.gate.admit(method, request.headers(), request.extensions(), presented.as_ref())?;
            Ok((principal, presented))
        });
        match admitted {
            Ok((principal, presented)) => {
                let changes = rights::changes(method);
                request.extensions_mut().insert(principal);
                if let Some(presented) = presented {
                    request.extensions_mut().insert(presented);
                }
                let answer = self.service.call(request);
                if changes { Box::pin(whole(answer)) } else { Box::pin(answer) }
            }
            Err(status) => Box::pin(std::future::ready(Ok(status.into_http()))),
        }
    }
}

/// What has begun to change something is brought to its end, with its entry in the audit log and its answer, although whoever asked has
/// gone: he will ask again, under the same id.
async fn whole(
    answer: impl Future<Output = Result<http::Response<Body>, Infallible>> + Send + 'static,
) -> Result<http::Response<Body>, Infallible> {
    match tokio::spawn(answer).await {
        Ok(answer) => answer,
        Err(error) => {
            tracing::error!(%error, "a change was not brought to its end");
            Ok(Status::internal("the collector failed; see its log").into_http())
        }
    }
}

/// Who makes this call. An error only where a service stands without its gate.
pub fn principal<T>(request: &Request<T>) -> Result<Principal, Status> {
    request
        .extensions()
        .get::<Principal>()
        .cloned()
        .ok_or_else(|| Status::internal("this service was started without its gate"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datadir::DataDir;
    use crate::token::make;
    use tonic::Code;

    const LIST: &str = "outband.ticket.v1.TicketService/ListTickets";
    const MOVE: &str = "outband.ticket.v1.TicketService/TransitionTicket";
    const STREAM: &str = "outband.ingest.v1.IngestService/Stream";

    fn gate() -> (tempfile::TempDir, DataDir, Gate) {
        let tmp = tempfile::tempdir().unwrap();
        let dir = DataDir::open(tmp.path().join("d")).unwrap();
        let gate = Gate::new(Tokens::load_or_make(&dir).unwrap());
        (tmp, dir, gate)
    }

    fn first(dir: &DataDir, role: Role) -> String {
        dir.read(&role.token_file()).unwrap().unwrap().trim().to_owned()
    }

    fn ask(gate: &Gate, method: &str, header: Option<&str>) -> Result<Principal, Status> {
        let mut headers = HeaderMap::new();
        if let Some(header) = header {
            headers.insert("authorization", header.parse().unwrap());
        }
        gate.admit(method, &headers, &Extensions::new(), None)
    }

    fn code(gate: &Gate, method: &str, header: Option<&str>) -> Option<Code> {
        ask(gate, method, header).err().map(|status| status.code())
    }

    #[test]
    fn a_call_gets_in_with_a_token_of_a_role_that_may_and_with_nothing_else() {
        let (_tmp, dir, gate) = gate();
        let (agent, operator) = (first(&dir, Role::Agent), first(&dir, Role::Operator));
        assert_eq!(code(&gate, LIST, None), Some(Code::Unauthenticated));
        assert_eq!(code(&gate, LIST, Some("Basic eDp5")), Some(Code::Unauthenticated));
        assert_eq!(code(&gate, LIST, Some("Bearer nobody")), Some(Code::Unauthenticated));
        assert_eq!(code(&gate, LIST, Some(&format!("Bearer {agent}"))), Some(Code::PermissionDenied));
        assert_eq!(code(&gate, STREAM, Some(&format!("Bearer {operator}"))), Some(Code::PermissionDenied));
        assert_eq!(ask(&gate, LIST, Some(&format!("bearer {operator}"))).unwrap().name, "operator");
        assert_eq!(code(&gate, STREAM, Some(&format!("Bearer {agent}"))), None);
    }

    #[test]
    fn a_viewer_looks_and_does_not_touch() {
        let (_tmp, dir, gate) = gate();
        let (token, _) = make(&dir, Role::Viewer, "li").unwrap();
        gate.replace(Tokens::load_or_make(&dir).unwrap());
        let header = format!("Bearer {}", token.reveal());
        assert_eq!(code(&gate, LIST, Some(&header)), None);
        assert_eq!(code(&gate, MOVE, Some(&header)), Some(Code::PermissionDenied));
    }

    #[test]
    fn a_reload_takes_a_token_away_from_the_next_call() {
        let (_tmp, dir, gate) = gate();
        let header = format!("Bearer {}", first(&dir, Role::Operator));
        assert_eq!(code(&gate, LIST, Some(&header)), None);
        gate.replace(Tokens::default());
        assert_eq!(code(&gate, LIST, Some(&header)), Some(Code::Unauthenticated));
    }

    #[tokio::test]
    async fn a_change_that_has_begun_is_brought_to_its_end_though_its_caller_is_gone() {
        let (begin, begun) = tokio::sync::oneshot::channel();
        let (go_on, may_go_on) = tokio::sync::oneshot::channel::<()>();
        let (end, ended) = tokio::sync::oneshot::channel();
        let asked = tokio::spawn(whole(async move {
            begin.send(()).unwrap();
            may_go_on.await.unwrap();
            end.send(()).unwrap();
            Ok(Status::ok("").into_http())
        }));
        begun.await.unwrap();
        asked.abort();
        assert!(asked.await.unwrap_err().is_cancelled());
        go_on.send(()).unwrap();
        assert_eq!(ended.await, Ok(()));
    }

    #[test]
    fn a_refusal_names_the_permission_and_never_the_token() {
        let (_tmp, dir, gate) = gate();
        let agent = first(&dir, Role::Agent);
        let status = ask(&gate, LIST, Some(&format!("Bearer {agent}"))).unwrap_err();
        assert!(status.message().contains("TicketService/ListTickets"), "{status}");
        assert!(!status.to_string().contains(&agent));
    }
}
