//! Which of some logins a BMC accepts: each tried once, none so often that the BMC locks the account.

use super::report::Bmc;
use crate::poll::guard::Guard;
use crate::poll::outcome;
use outband_bmc::client;
use outband_bmc::{Address, Credentials, Target, Trust};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::timeout;

/// How long a BMC may take for one login, session and all.
const LOGIN_WITHIN: Duration = Duration::from_secs(60);
const CLOSE_WITHIN: Duration = Duration::from_secs(3);

/// A login to try.
#[derive(Debug, Clone)]
pub(super) struct Login {
    /// The name of its `[credentials.NAME]`.
    pub(super) profile: String,
    pub(super) credentials: Credentials,
}

/// What became of the logins at one door of a BMC.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// The profile that was let in.
    pub(super) accepted: Option<String>,
    /// Profiles that were refused, or not tried, and why.
    pub(super) others: Vec<(String, String)>,
}

impl Entry {
    pub(super) fn profile(&self) -> Option<&str> {
        self.accepted.as_deref()
    }

    /// For people; `None` where nothing was tried.
    pub(super) fn words(&self) -> Option<String> {
        match (&self.accepted, self.others.as_slice()) {
            (Some(profile), _) => Some(profile.clone()),
            (None, []) => None,
            (None, others) => {
                let words: Vec<String> = others.iter().map(|(profile, why)| format!("{profile}: {why}")).collect();
                Some(format!("none ({})", words.join("; ")))
            }
        }
    }

    pub(super) fn json(&self) -> Value {
        let others: Vec<Value> = self.others.iter().map(|(p, why)| json!({"profile": p, "why": why})).collect();
        json!({"accepted": self.accepted, "refused": others})
    }
}

/// Tries the logins at both doors of a BMC, one after another.
pub(super) async fn try_all(mut bmc: Bmc, logins: Vec<Login>, guard: Guard, ipmi_port: u16, within: Duration) -> Bmc {
    let host = bmc.address.to_string();
    if let Some((port, root)) = &bmc.found.redfish {
        // What was shown a moment ago: a password goes to no other.
        let trust = root.certificate.map_or(Trust::FirstUse, Trust::Pinned);
        let door = Door { address: Address::Redfish { host: host.clone(), port: *port }, trust, within };
        bmc.redfish = door.try_all(&logins, &guard).await;
    }
    if bmc.found.ipmi.is_some_and(|p| p.rmcp_plus || !p.channel) {
        let door = Door { address: Address::Ipmi { host, port: ipmi_port }, trust: Trust::FirstUse, within };
        // The login that the one door accepted goes first at the other.
        let mut logins = logins;
        logins.sort_by_key(|l| Some(l.profile.as_str()) != bmc.redfish.profile());
        bmc.ipmi = door.try_all(&logins, &guard).await;
    }
    bmc
}

struct Door {
    address: Address,
    trust: Trust,
    within: Duration,
}

impl Door {
    async fn try_all(&self, logins: &[Login], guard: &Guard) -> Entry {
        let mut entry = Entry::default();
        for login in logins {
            match self.try_one(login, guard).await {
                Tried::In => {
                    entry.accepted = Some(login.profile.clone());
                    return entry;
                }
                Tried::Refused(why) => entry.others.push((login.profile.clone(), why)),
                Tried::NoAnswer(why) => {
                    // The next login would fare no better.
                    entry.others.push((login.profile.clone(), why));
                    return entry;
                }
            }
        }
        entry
    }

    async fn try_one(&self, login: &Login, guard: &Guard) -> Tried {
        let attempt = match guard.begin(&login.credentials.user, &self.address) {
            Ok(attempt) => attempt,
            Err(held) => return Tried::Refused(held.to_string()),
        };
        let target = Target {
            address: self.address.clone(),
            credentials: login.credentials.clone(),
            cipher: None,
            trust: self.trust.clone(),
            request_deadline: self.within,
        };
        match timeout(LOGIN_WITHIN, client::Bmc::connect(&target)).await {
            Ok(Ok(bmc)) => {
                attempt.accepted();
                if let Ok(Err(error)) = timeout(CLOSE_WITHIN, bmc.close()).await {
                    tracing::warn!(address = %self.address, %error, "the session could not be ended; the BMC ends it by itself");
                }
                Tried::In
            }
            Ok(Err(error)) if outcome::is_login_refusal(&error) => {
                attempt.refused();
                Tried::Refused("refused".to_owned())
            }
            Ok(Err(error)) => Tried::NoAnswer(error.detail),
            Err(_) => Tried::NoAnswer(format!("no session within {} s", LOGIN_WITHIN.as_secs())),
        }
    }
}

enum Tried {
    In,
    Refused(String),
    NoAnswer(String),
}
