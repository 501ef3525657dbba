//! Sessions of the Redfish specification (DSP0266 §13): created by POST, carried by `X-Auth-Token`, ended by DELETE, limited in number.

use super::{Doors, Options, error, locked};
use crate::sim::https::{Answer, Call};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Who may log in.
#[derive(Debug, Clone)]
pub struct Login {
    /// The user's name.
    pub user: String,
    /// The password.
    pub password: String,
}

const COLLECTION: &str = "/redfish/v1/SessionService/Sessions";
/// Where older services take logins.
const OLD_COLLECTION: &str = "/redfish/v1/Sessions";

#[derive(Debug)]
pub(super) struct Sessions {
    login: Option<Login>,
    doors: Doors,
    limit: usize,
    idle: Option<Duration>,
    lock_out: Option<u32>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Token → session.
    open: BTreeMap<String, Session>,
    logins: u64,
    failed: u64,
    failed_in_a_row: u32,
}

#[derive(Debug)]
struct Session {
    id: String,
    used: Instant,
}

impl Sessions {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            login: options.login.clone(),
            doors: options.doors,
            limit: if options.max_sessions == 0 { 16 } else { options.max_sessions },
            idle: options.session_idle,
            lock_out: options.lock_out,
            state: Mutex::default(),
        }
    }

    pub(super) fn open(&self) -> usize {
        self.state().open.len()
    }

    pub(super) fn forget(&self) {
        self.state().open.clear();
    }

    /// Sessions opened, and logins refused for their user or password.
    pub(super) fn counts(&self) -> (u64, u64) {
        let state = self.state();
        (state.logins, state.failed)
    }

    pub(super) fn forget_counts(&self) {
        let mut state = self.state();
        (state.logins, state.failed) = (0, 0);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = locked(&self.state);
        if let Some(idle) = self.idle {
            state.open.retain(|_, s| s.used.elapsed() < idle);
        }
        state
    }

    /// Answers what concerns sessions, and refuses what needs one and has none; `None`: go on.
    pub(super) fn handle(&self, call: &Call) -> Option<Answer> {
        let path = call.path.trim_end_matches('/');
        if call.method == "POST" && (path == COLLECTION || path == OLD_COLLECTION) {
            return Some(match (self.doors, path) {
                (Doors::BasicOnly, _) | (Doors::Old, COLLECTION) => error(405, "Base.1.8.OperationNotAllowed"),
                (Doors::New, OLD_COLLECTION) => error(404, "Base.1.8.ResourceMissingAtURI"),
                _ => self.log_in(call),
            });
        }
        if !matches!(path, "/redfish" | "/redfish/v1") && !self.allowed(call) {
            return Some(error(401, "Base.1.8.NoValidSession"));
        }
        if path == COLLECTION && call.method == "GET" {
            let members: Vec<_> = self
                .state()
                .open
                .values()
                .map(|s| serde_json::json!({"@odata.id": format!("{COLLECTION}/{}", s.id)}))
                .collect();
            return Some(Answer::json(
                serde_json::json!({"@odata.id": COLLECTION, "@odata.type": "#SessionCollection.SessionCollection", "Name": "Sessions",
                    "Members@odata.count": members.len(), "Members": members})
                .to_string(),
            ));
        }
        let id = path.strip_prefix(COLLECTION).or_else(|| path.strip_prefix(OLD_COLLECTION))?.strip_prefix('/')?;
        let mut state = self.state();
        if !state.open.values().any(|s| s.id == id) {
            return None;
        }
        if call.method == "DELETE" {
            state.open.retain(|_, s| s.id != id);
            return Some(Answer::status(204, ""));
        }
        drop(state);
        Some(Answer::json(self.session(&format!("{COLLECTION}/{id}"), id).to_string()))
    }

    fn session(&self, uri: &str, id: &str) -> serde_json::Value {
        let user = self.login.as_ref().map_or("root", |l| l.user.as_str());
        serde_json::json!({"@odata.id": uri, "@odata.type": "#Session.v1_3_0.Session", "Id": id, "Name": "User Session", "UserName": user})
    }

    fn log_in(&self, call: &Call) -> Answer {
        if self.login.is_some() {
            let said: serde_json::Value = serde_json::from_slice(&call.body).unwrap_or_default();
            if !self.is_right(said["UserName"].as_str(), said["Password"].as_str()) {
                return error(401, "Base.1.8.ResourceAtUriUnauthorized");
            }
        }
        let mut state = self.state();
        if state.open.len() >= self.limit {
            return error(503, "Base.1.8.SessionLimitExceeded");
        }
        let (token, id) = (format!("{:032x}", rand::random::<u128>()), format!("{:012x}", rand::random::<u64>() >> 16));
        state.open.insert(token.clone(), Session { id: id.clone(), used: Instant::now() });
        state.logins += 1;
        let base = if self.doors == Doors::Old { OLD_COLLECTION } else { COLLECTION };
        let uri = format!("{base}/{id}");
        let (body, location) = match (self.doors, &call.host) {
            (Doors::AbsoluteLocation, Some(host)) => {
                let said = serde_json::json!({"Messages": [{"MessageID": "Base.0.10.Created"}], "Name": "Extended Information"});
                (said, format!("https://{host}{uri}/"))
            }
            _ => (self.session(&uri, &id), uri),
        };
        Answer::status(201, body.to_string()).with("x-auth-token", token).with("location", location)
    }

    /// Whether user and password are right. Those that are not are counted, and too many of them lock everybody out.
    fn is_right(&self, user: Option<&str>, password: Option<&str>) -> bool {
        let Some(login) = &self.login else { return true };
        let mut state = self.state();
        let locked_out = self.lock_out.is_some_and(|most| state.failed_in_a_row >= most);
        if locked_out || user != Some(login.user.as_str()) || password != Some(login.password.as_str()) {
            state.failed += 1;
            state.failed_in_a_row = state.failed_in_a_row.saturating_add(1);
            return false;
        }
        state.failed_in_a_row = 0;
        true
    }

    fn allowed(&self, call: &Call) -> bool {
        if self.login.is_none() {
            return true;
        }
        if let Some(token) = &call.token
            && let Some(session) = self.state().open.get_mut(token)
        {
            session.used = Instant::now();
            return true;
        }
        let Some(said) = call.authorization.as_deref().and_then(|a| a.strip_prefix("Basic ")) else { return false };
        if self.doors == Doors::NoBasic {
            return false;
        }
        let said = unbase64(said).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let (user, password) = said.split_once(':').unwrap_or((&said, ""));
        self.is_right(Some(user), Some(password))
    }
}

/// RFC 4648 §4, for Basic authentication; `None`: it is none.
fn unbase64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=').bytes().map(|b| match b {
        b'A'..=b'Z' => Some(b - b'A'),
        b'a'..=b'z' => Some(b - b'a' + 26),
        b'0'..=b'9' => Some(b - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    });
    let digits: Vec<u8> = digits.collect::<Option<_>>()?;
    let mut out = Vec::new();
    for chunk in digits.chunks(4) {
        let word = chunk.iter().chain([0, 0, 0].iter()).take(4).fold(0u32, |w, d| w << 6 | u32::from(*d));
        out.extend_from_slice(word.to_be_bytes().get(1..chunk.len())?);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::unbase64;

    #[test]
    fn base64_agrees_with_the_vectors_of_rfc_4648() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(unbase64(coded).unwrap(), plain.as_bytes());
        }
    }
}
