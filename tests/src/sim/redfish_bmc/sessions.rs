//! Sessions of the Redfish specification (DSP0266 §13): created by POST, carried by `X-Auth-Token`, ended by DELETE, limited in number.

use super::{error, locked};
use crate::sim::https::{Answer, Call};
use std::collections::BTreeMap;
use std::sync::Mutex;

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
    limit: usize,
    /// Token → id.
    open: Mutex<BTreeMap<String, String>>,
}

impl Sessions {
    pub(super) fn new(login: Option<Login>, limit: usize) -> Self {
        Self { login, limit: if limit == 0 { 16 } else { limit }, open: Mutex::new(BTreeMap::new()) }
    }

    pub(super) fn open(&self) -> usize {
        locked(&self.open).len()
    }

    pub(super) fn forget(&self) {
        locked(&self.open).clear();
    }

    /// Answers what concerns sessions, and refuses what needs one and has none; `None`: go on.
    pub(super) fn handle(&self, call: &Call) -> Option<Answer> {
        let path = call.path.trim_end_matches('/');
        if call.method == "POST" && (path == COLLECTION || path == OLD_COLLECTION) {
            return Some(self.log_in(call));
        }
        if !matches!(path, "/redfish" | "/redfish/v1") && !self.allowed(call) {
            return Some(error(401, "Base.1.8.NoValidSession"));
        }
        if path == COLLECTION && call.method == "GET" {
            let members = locked(&self.open)
                .values()
                .map(|id| serde_json::json!({"@odata.id": format!("{COLLECTION}/{id}")}))
                .collect::<Vec<_>>();
            return Some(Answer::json(
                serde_json::json!({"@odata.id": COLLECTION, "@odata.type": "#SessionCollection.SessionCollection", "Name": "Sessions",
                    "Members@odata.count": members.len(), "Members": members})
                .to_string(),
            ));
        }
        let id = path.strip_prefix(COLLECTION)?.strip_prefix('/')?;
        let mut open = locked(&self.open);
        if !open.values().any(|i| i == id) {
            return None;
        }
        if call.method == "DELETE" {
            open.retain(|_, i| i != id);
            return Some(Answer::status(204, ""));
        }
        Some(Answer::json(self.session(id)))
    }

    fn session(&self, id: &str) -> String {
        let user = self.login.as_ref().map_or("root", |l| l.user.as_str());
        serde_json::json!({"@odata.id": format!("{COLLECTION}/{id}"), "@odata.type": "#Session.v1_3_0.Session", "Id": id,
            "Name": "User Session", "UserName": user})
        .to_string()
    }

    fn log_in(&self, call: &Call) -> Answer {
        if let Some(login) = &self.login {
            let said: serde_json::Value = serde_json::from_slice(&call.body).unwrap_or_default();
            if said["UserName"] != login.user.as_str() || said["Password"] != login.password.as_str() {
                return error(401, "Base.1.8.ResourceAtUriUnauthorized");
            }
        }
        let mut open = locked(&self.open);
        if open.len() >= self.limit {
            return error(503, "Base.1.8.SessionLimitExceeded");
        }
        let (token, id) = (format!("{:032x}", rand::random::<u128>()), format!("{:012x}", rand::random::<u64>() >> 16));
        open.insert(token.clone(), id.clone());
        Answer::Whole {
            status: 201,
            headers: vec![("x-auth-token", token), ("location", format!("{COLLECTION}/{id}"))],
            content_type: "application/json",
            body: self.session(&id).into(),
        }
    }

    fn allowed(&self, call: &Call) -> bool {
        let Some(login) = &self.login else { return true };
        if call.token.as_ref().is_some_and(|t| locked(&self.open).contains_key(t)) {
            return true;
        }
        let pair = base64(format!("{}:{}", login.user, login.password).as_bytes());
        call.authorization.as_deref().and_then(|a| a.strip_prefix("Basic ")) == Some(pair.as_str())
    }
}

/// RFC 4648 §4, for Basic authentication.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().chain([0, 0].iter()).take(3).fold(0u32, |w, b| w << 8 | u32::from(*b));
        for i in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * i) & 63) as usize];
            out.push(if i <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_agrees_with_the_vectors_of_rfc_4648() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }
}
