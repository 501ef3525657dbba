//! The rungs of a Redfish connection: reach, protocol, TLS, login, privilege; and what to do when one breaks.

use super::expand::Form;
use super::http::{Http, HttpError, Method, Reply};
use super::knowledge::Knowledge;
use super::lenient::{self, link, text};
use super::memory::Memory;
use super::route::Role;
use super::transport::Login;
use super::walk::Answer;
use crate::quirk::Platform;
use crate::{ConnectError, Fingerprint, Rung, RungReport, Target, Trust};
use outband_schemas::Cause;
use serde_json::Value;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// How long to look for the reason why nothing answered.
const DIAGNOSE_WITHIN: Duration = Duration::from_secs(2);

/// A climbed ladder.
pub(super) struct Climbed {
    pub(super) http: Http,
    pub(super) root: Value,
    pub(super) login: Login,
    pub(super) memory: Memory,
    pub(super) first: Option<First>,
    pub(super) reports: Vec<RungReport>,
}

/// A broken rung, without the rungs below it.
pub(super) struct Broken {
    rung: Rung,
    cause: Cause,
    detail: String,
    remedy: &'static str,
    offered: Option<Fingerprint>,
}

impl Broken {
    /// Whether the BMC refused user and password, so that trying again may lock the account.
    pub(super) fn is_refusal(&self) -> bool {
        self.rung == Rung::Login && self.cause == Cause::Denied
    }
}

fn broken(rung: Rung, cause: Cause, detail: impl Into<String>, remedy: &'static str) -> Broken {
    Broken { rung, cause, detail: detail.into(), remedy, offered: None }
}

pub(super) async fn climb(target: &Target, knowledge: &Knowledge) -> Result<Climbed, ConnectError> {
    let mut reports = Vec::new();
    match climb_noting(target, knowledge, &mut reports).await {
        Ok(climbed) => Ok(Climbed { reports, ..climbed }),
        Err(Broken { rung, cause, detail, remedy, offered }) => {
            Err(ConnectError { rung, cause, detail, remedy: remedy.to_owned(), offered, climbed: reports })
        }
    }
}

async fn climb_noting(
    target: &Target,
    knowledge: &Knowledge,
    reports: &mut Vec<RungReport>,
) -> Result<Climbed, Broken> {
    let mut held = |rung, found: String| reports.push(RungReport { rung, found });
    let http = Http::new(target).map_err(|e| match e {
        HttpError::Tls(e) => broken(
            Rung::Security,
            Cause::Certificate,
            e.to_string(),
            "mend the CA file, or pin the certificate instead",
        ),
        HttpError::Setup(e) => broken(
            Rung::Reach,
            Cause::Unreachable,
            e.to_string(),
            "this is a fault of the agent's set-up, not of the BMC",
        ),
    })?;
    let reply = http.get("/redfish/v1/", 4 << 20).await;
    held(Rung::Reach, reached(target, &reply).await?);
    let (mut root, found) = root(&http, reply)?;
    held(Rung::Protocol, found);
    held(Rung::Security, security(&http, &target.trust));
    let login = log_in(&http, &root).await?;
    let logged_in = match &login {
        Login::Session { .. } => format!("session for {}", target.credentials.user),
        Login::Basic { why } => format!("user and password with every request ({why})"),
    };
    if root.get("Systems").is_none() && root.get("Chassis").is_none() {
        // Some show the rest of the root only to those who logged in.
        if let Answer::Http { status: 200..=299, body, .. } = http.send(Method::Get, "/redfish/v1/", None).await.answer
        {
            root = lenient::parse(&body).unwrap_or(root);
        }
    }
    let mut memory = Memory::default();
    memory.learn_features(&root, Platform::of(&root));
    if let Some(lessons) = knowledge.of(&root) {
        memory.expander.adopt(lessons);
    }
    let first = match privilege(&http, &root, &login, &mut memory).await {
        Ok((found, first)) => {
            held(Rung::Login, logged_in);
            held(Rung::Privilege, found);
            first
        }
        Err(e) => {
            // User and password that go with every request are only now seen to be right.
            if e.rung > Rung::Login {
                held(Rung::Login, logged_in);
            }
            // The session is ours, and nobody else will end it.
            if let Login::Session { uri: Some(uri) } = &login {
                drop(http.send(Method::Delete, uri, None).await);
            }
            return Err(e);
        }
    };
    Ok(Climbed { http, root, login, memory, first, reports: Vec::new() })
}

/// What the first request says of the way to the BMC. Only where it says nothing a connection of its own is tried.
async fn reached(target: &Target, reply: &Reply) -> Result<String, Broken> {
    match reply.peer {
        Some(address) => Ok(format!("{address} accepts connections")),
        None if reply.tls_failure => Ok(format!("{} accepts connections", target.address.authority())),
        None => reach(target).await,
    }
}

async fn reach(target: &Target) -> Result<String, Broken> {
    let authority = target.address.authority();
    let unreachable = |detail: String, remedy| broken(Rung::Reach, Cause::Unreachable, detail, remedy);
    // The first request had its whole time already.
    let patience = target.request_deadline.min(DIAGNOSE_WITHIN);
    let resolved = tokio::time::timeout(patience, tokio::net::lookup_host(&authority)).await;
    let addresses: Vec<_> = match resolved {
        Ok(Ok(found)) => found.collect(),
        Ok(Err(e)) => {
            return Err(unreachable(
                format!("the name in {authority} does not resolve: {e}"),
                "check the name, or give the address",
            ));
        }
        Err(_) => {
            return Err(unreachable(
                format!("the name in {authority} was not resolved in time"),
                "check the agent's DNS servers",
            ));
        }
    };
    let attempt = async {
        let mut last = None;
        for address in &addresses {
            match TcpStream::connect(address).await {
                Ok(_) => return Ok(*address),
                Err(e) => last = Some(e),
            }
        }
        Err(last.map_or_else(|| "the name has no address".to_owned(), |e| e.to_string()))
    };
    match tokio::time::timeout(patience, attempt).await {
        Ok(Ok(address)) => Ok(format!("{address} accepts connections")),
        Ok(Err(e)) if e.contains("refused") => Err(unreachable(
            format!("{authority} refused the connection"),
            "the host is there but its web service is not: check the port, and whether the BMC's HTTPS is enabled",
        )),
        Ok(Err(e)) => Err(unreachable(format!("{authority}: {e}"), "check the route to the management network")),
        Err(_) => Err(broken(
            Rung::Reach,
            Cause::Timeout,
            format!("{authority} did not answer within {:?}", target.request_deadline),
            "check address, route and firewall; a BMC that restarts is back after some minutes",
        )),
    }
}

fn root(http: &Http, reply: Reply) -> Result<(Value, String), Broken> {
    if reply.tls_failure {
        let shown = http.shown();
        let offered = shown.changed.map(|(_, offered)| offered).or(shown.certificate);
        return Err(Broken { offered, ..tls_broken(http, &reply) });
    }
    let not_redfish = |detail: String, remedy| broken(Rung::Protocol, Cause::NotSupported, detail, remedy);
    let body = match reply.answer {
        Answer::Http { status: 200..=299, body, .. } => body,
        // A root behind a login is against the specification but still a root; the login will show.
        Answer::Http { status: 401, .. } => {
            return Ok((serde_json::json!({}), "a service root that wants a login first".to_owned()));
        }
        Answer::Http { status: 429 | 503, .. } => {
            return Err(broken(
                Rung::Protocol,
                Cause::Busy,
                "the web service answers that it is busy",
                "wait: a BMC that restarts is back after some minutes",
            ));
        }
        Answer::Http { status, .. } => {
            return Err(not_redfish(
                format!("/redfish/v1/ answered HTTP {status}"),
                "this is a web server but no Redfish service: check the port, or use ipmi://",
            ));
        }
        Answer::Failed { cause: Cause::Timeout, detail } => {
            return Err(broken(
                Rung::Protocol,
                Cause::Timeout,
                format!("the web service accepted the connection and fell silent: {detail}"),
                "raise the request deadline, or restart the BMC",
            ));
        }
        Answer::Failed { cause, detail } => {
            return Err(broken(
                Rung::Protocol,
                cause,
                format!("no HTTP answer: {detail}"),
                "check that the port is the BMC's HTTPS port",
            ));
        }
    };
    let root = lenient::parse(&body).map_err(|e| {
        not_redfish(format!("/redfish/v1/: {e}"), "this is a web server but no Redfish service: check the port")
    })?;
    let is_root = root.get("RedfishVersion").is_some()
        || ["Systems", "Chassis", "Managers"].iter().any(|f| link(&root, f).is_some())
        || text(&root, "@odata.type").or_else(|| text(&root, "Type")).is_some_and(|t| t.contains("ServiceRoot"));
    if !is_root {
        let said = lenient::error_of(&root).map(|e| format!(" ({e})")).unwrap_or_default();
        return Err(not_redfish(
            format!("/redfish/v1/ is JSON but no service root{said}"),
            "check the port; update the BMC's firmware if its Redfish is switched off by age",
        ));
    }
    let version = text(&root, "RedfishVersion").map_or_else(|| "Redfish".to_owned(), |v| format!("Redfish {v}"));
    let mut maker: Vec<String> = ["Vendor", "Product"].iter().filter_map(|f| text(&root, f)).collect();
    let platform = Platform::of(&root);
    if maker.is_empty() && platform.is_known() {
        maker.push(platform.to_string());
    }
    Ok((root, if maker.is_empty() { version } else { format!("{version}, {}", maker.join(" ")) }))
}

fn tls_broken(http: &Http, reply: &Reply) -> Broken {
    if let Some((pinned, offered)) = http.shown().changed {
        return broken(
            Rung::Security,
            Cause::Certificate,
            format!("the certificate has changed: pinned {pinned}, now offered {offered}"),
            "if the BMC or its certificate was replaced, accept the new one (--accept-new-cert); if not, somebody stands between",
        );
    }
    let detail = match &reply.answer {
        Answer::Failed { detail, .. } => detail.clone(),
        Answer::Http { .. } => String::new(),
    };
    let lower = detail.to_ascii_lowercase();
    if lower.contains("invalid certificate") || lower.contains("unknownissuer") || lower.contains("not valid for") {
        return broken(
            Rung::Security,
            Cause::Certificate,
            format!("the certificate is not trusted: {detail}"),
            "give the CA that signed it, check the name it is made out to, or pin it instead",
        );
    }
    if lower.contains("corrupt message") || lower.contains("invalidcontenttype") {
        return broken(
            Rung::Protocol,
            Cause::NotSupported,
            format!("what answers does not speak TLS: {detail}"),
            "check that the port is the BMC's HTTPS port",
        );
    }
    broken(
        Rung::Security,
        Cause::Certificate,
        format!("no TLS handshake (TLS 1.2 and 1.3 were offered): {detail}"),
        "a BMC that has only TLS 1.0 or 1.1 needs new firmware; until then use ipmi://",
    )
}

fn security(http: &Http, trust: &Trust) -> String {
    let shown = http.shown();
    let version = shown.version.unwrap_or("TLS");
    let print = shown.certificate.map(|c| c.to_string()).unwrap_or_default();
    let how = match trust {
        Trust::Pinned(_) => "as pinned",
        Trust::FirstUse => "seen for the first time: pin it",
        Trust::Ca(_) => "vouched for by the CA",
    };
    format!("{version}, certificate {print}, {how}")
}

/// Opens a session, or falls back to user and password with every request where the BMC has no sessions.
pub(super) async fn log_in(http: &Http, root: &Value) -> Result<Login, Broken> {
    let advertised = link(root, "Sessions").map(|u| u.trim_end_matches('/').to_owned());
    // iDRAC 8 answers 405 on the one path, others 404 on the other.
    let usual = ["/redfish/v1/SessionService/Sessions", "/redfish/v1/Sessions"].map(str::to_owned);
    let others = usual.iter().filter(|u| Some(*u) != advertised.as_ref()).cloned();
    let uris: Vec<String> = advertised.clone().into_iter().chain(others).collect();
    let credentials = http.credentials.clone();
    let body = serde_json::json!({"UserName": credentials.user, "Password": credentials.password.expose()}).to_string();
    http.set_token(None);
    let mut why = "the BMC offers no sessions".to_owned();
    for uri in uris {
        let reply = http.send(Method::Post, &uri, Some(body.clone().into_bytes())).await;
        let (status, said) = match &reply.answer {
            Answer::Http { status, body, .. } => (*status, lenient::parse(body).ok()),
            Answer::Failed { cause, detail } => {
                return Err(broken(
                    Rung::Login,
                    *cause,
                    format!("no answer to the login: {detail}"),
                    "try again; restart the BMC if it stays so",
                ));
            }
        };
        let error = said.as_ref().and_then(lenient::error_of).map(|e| format!(": {e}")).unwrap_or_default();
        let no_room = ["SessionLimit", "RAC0218", "maximum number of user sessions", "NoSpaceforSession"]
            .iter()
            .any(|w| error.contains(w));
        match status {
            200..=299 => match reply.headers.get("x-auth-token") {
                Some(token) => {
                    http.set_token(Some(token.clone()));
                    let location = reply.headers.get("location").and_then(|l| l.to_str().ok()).map(path_of);
                    let uri = location.flatten().or_else(|| said.as_ref().and_then(lenient::target));
                    return Ok(Login::Session { uri });
                }
                None => why = format!("the login at {uri} gave no token"),
            },
            // Agents that were killed leave sessions behind until they expire, half an hour later on most BMCs.
            _ if no_room => {
                why = format!("the BMC is out of sessions (HTTP {status}{error})");
                break;
            }
            404 | 405 | 501 => why = format!("HTTP {status} at {uri}"),
            // iLO 4 advertises a spelling that proxies and emulators refuse like any unknown path.
            401 if !usual.contains(&uri) => why = format!("HTTP {status} at {uri}{error}"),
            400 | 401 | 403 => {
                return Err(broken(
                    Rung::Login,
                    Cause::Denied,
                    format!("the BMC refused user {:?} (HTTP {status}{error})", credentials.user),
                    "check user and password; the user may be locked after failed attempts, or not allowed to use Redfish",
                ));
            }
            429 | 503 => {
                return Err(broken(
                    Rung::Login,
                    Cause::Busy,
                    format!("the BMC is too busy to log in (HTTP {status}{error})"),
                    "it is out of sessions, or restarting: end stale sessions or wait",
                ));
            }
            _ => why = format!("HTTP {status} at {uri}{error}"),
        }
    }
    http.use_basic();
    Ok(Login::Basic { why })
}

/// The path of a `Location`, which may be a whole URL.
pub(super) fn path_of(location: &str) -> Option<String> {
    if location.starts_with('/') {
        return Some(location.to_owned());
    }
    url::Url::parse(location).ok().map(|u| u.path().to_owned())
}

/// A collection that was read to see whether one may. Polls go on with it.
#[derive(Debug)]
pub(super) struct First {
    pub(super) uri: String,
    pub(super) body: Value,
    pub(super) read: Instant,
}

async fn privilege(
    http: &Http,
    root: &Value,
    login: &Login,
    memory: &mut Memory,
) -> Result<(String, Option<First>), Broken> {
    // Systems are few: they may come with their members at once.
    for (field, role) in [("Systems", Role::System), ("Chassis", Role::Chassis), ("Managers", Role::Manager)] {
        let Some(uri) = link(root, field) else { continue };
        let mut form = memory.expander.first(&uri, role);
        let began = Instant::now();
        let mut reply = http.get(&memory.expander.uri(&uri, form), 4 << 20).await;
        let expand_refused =
            matches!(reply.answer, Answer::Http { status: 400 | 402 | 404..=428 | 430..=502 | 504.., .. });
        if form != Form::Plain && expand_refused {
            memory.expander.failed(&uri);
            form = Form::Plain;
            reply = http.get(&uri, 4 << 20).await;
        } else if form == Form::Plain {
            memory.expander.took(began.elapsed());
        }
        let elapsed = began.elapsed();
        match reply.answer {
            Answer::Http { status: 200..=299, body, .. } => {
                let body = lenient::parse(&body).ok().filter(|b| lenient::error_of(b).is_none());
                if let Some(body) = body.as_ref().filter(|_| form == Form::Expanded) {
                    memory.expander.took_expanded(elapsed, lenient::list(body, "Members").len());
                }
                let first = body.map(|body| First { uri, body, read: Instant::now() });
                return Ok((format!("{field} can be read"), first));
            }
            Answer::Http { status: 401, .. } => {
                let (detail, remedy) = match login {
                    Login::Session { .. } => {
                        ("the BMC gave a session and does not accept it".to_owned(), "restart the BMC")
                    }
                    Login::Basic { why } => (
                        format!("{why}, and the BMC refused user and password sent with a request"),
                        "check user and password; end stale sessions in the BMC's web interface, or wait until they expire",
                    ),
                };
                return Err(broken(Rung::Login, Cause::Denied, detail, remedy));
            }
            Answer::Http { status: 403, body, .. } => {
                let said = lenient::parse(&body).ok().and_then(|b| lenient::error_of(&b)).unwrap_or_default();
                return Err(broken(
                    Rung::Privilege,
                    Cause::Denied,
                    format!("{uri} may not be read: {said}"),
                    "give the user a role with the privilege Login, e.g. ReadOnly",
                ));
            }
            // Whatever else is wrong there is a matter of polls, which tell of it.
            Answer::Http { .. } => {}
            Answer::Failed { cause, detail } => {
                return Err(broken(
                    Rung::Privilege,
                    cause,
                    format!("no answer from {uri}: {detail}"),
                    "raise the request deadline, or restart the BMC",
                ));
            }
        }
    }
    Ok(("nothing that needs one".to_owned(), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_may_be_a_path_or_a_whole_url() {
        assert_eq!(path_of("/redfish/v1/Sessions/1").as_deref(), Some("/redfish/v1/Sessions/1"));
        assert_eq!(path_of("https://bmc/redfish/v1/Sessions/1").as_deref(), Some("/redfish/v1/Sessions/1"));
        assert_eq!(path_of("nonsense"), None);
    }
}
