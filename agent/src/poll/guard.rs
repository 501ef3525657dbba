//! Keeps us from locking a BMC's door: BMCs lock an account after a few wrong passwords.
//!
//! At most [`MOST`] logins of one user at one BMC may be refused within [`WINDOW`], whoever tried: this agent, the same agent before a restart or a
//! reload, or another command of it. So refusals are on disk, in one small file below the data directory, without any secret. What BMCs count is
//! refusals of a user, so that is what is counted here, whatever the password was.
//!
//! Constraints, written before the code:
//! - the last try that is allowed is on record before it is made, so that a crash in its midst counts as a refusal;
//! - a record that cannot be read holds logins for as long as it may hold refusals that count; one that cannot be written allows no last try;
//! - a clock that is set back ages nothing: what lies in the future happened now. One that is set ahead ages nothing in a process that runs.

mod book;

use crate::clock::SystemClock;
use book::Fault;
use outband_bmc::Address;
use outband_schemas::{Clock, Timestamp};
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How many refused logins of one user a BMC may see from us within [`WINDOW`].
pub const MOST: usize = 2;
/// An hour.
pub const WINDOW: Duration = Duration::from_secs(3600);
/// The wait after a refusal: long enough for someone to see it and mend the password.
pub const PAUSE: Duration = Duration::from_secs(300);
/// How long to wait for the end of another try.
const SOON: Duration = Duration::from_secs(10);

/// Says whether a login may be tried. Clones share what they know.
#[derive(Clone)]
pub struct Guard {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    clock: Box<dyn Clock + Send + Sync>,
    own: Mutex<HashMap<String, Own>>,
}

/// What this process knows of one user at one BMC.
#[derive(Default)]
struct Own {
    refused: Vec<Instant>,
    /// Tries that are not on record.
    trying: usize,
}

/// Why a login may not be tried now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Held {
    /// It was refused too often.
    #[error(
        "not tried: {MOST} logins of {user:?} at {bmc} were refused within the last hour, and one more may lock the account; it may be tried again after {until}"
    )]
    Refused {
        /// The user.
        user: String,
        /// The BMC.
        bmc: String,
        /// From when it may be tried.
        until: Timestamp,
    },
    /// As many tries as are allowed are being made at this moment.
    #[error(
        "not tried: other logins of {user:?} at {bmc} are not answered yet, and more refusals might lock the account"
    )]
    Trying {
        /// The user.
        user: String,
        /// The BMC.
        bmc: String,
        /// When to look again.
        until: Timestamp,
    },
    /// The record does not say how often it was refused.
    #[error(
        "not tried: how many logins were refused is not known, and one more may lock an account: {why}; it may be tried again after {until}"
    )]
    Unknown {
        /// What is wrong with the record.
        why: String,
        /// From when it may be tried.
        until: Timestamp,
    },
}

impl Held {
    /// From when the login may be tried.
    pub fn until(&self) -> Timestamp {
        match self {
            Self::Refused { until, .. } | Self::Trying { until, .. } | Self::Unknown { until, .. } => *until,
        }
    }
}

impl Guard {
    /// The guard whose record is kept below an agent's data directory. Nothing is made there until a login is refused.
    pub fn of(data_dir: &Path) -> Self {
        Self::with(data_dir, SystemClock)
    }

    /// The same, with another clock.
    pub fn with(data_dir: &Path, clock: impl Clock + Send + Sync + 'static) -> Self {
        let inner = Inner { path: data_dir.join("logins.json"), clock: Box::new(clock), own: Mutex::default() };
        Self { inner: Arc::new(inner) }
    }

    /// The file of the record, for people.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Whether a record can be kept here: the directory is there, and may be written.
    pub fn is_usable(&self) -> bool {
        book::may_write(&self.inner.path)
    }

    /// Whether `user` may try to log in at `bmc` now. Say of the attempt what came of it; one that is dropped was not refused.
    pub fn begin(&self, user: &str, bmc: &Address) -> Result<Attempt, Held> {
        let key = key(user, bmc);
        let now = self.inner.clock.now();
        let held = |until| Held::Refused { user: user.to_owned(), bmc: bmc.to_string(), until };
        let mut all = self.inner.own();
        let own = all.entry(key.clone()).or_default();
        if let Some(wait) = own.wait(Instant::now()) {
            return Err(held(now.plus(wait)));
        }
        let path = &self.inner.path;
        let unknown = |fault: Fault| Held::Unknown { until: fault.until(now), why: fault.to_string() };
        let seen = book::read(path, now).map_err(unknown)?;
        let trying = || Held::Trying { user: user.to_owned(), bmc: bmc.to_string(), until: now.plus(SOON) };
        if seen.refused(&key).is_empty() {
            if own.trying >= MOST {
                return Err(trying());
            }
            own.trying += 1;
            drop(all);
            return Ok(Attempt { guard: self.clone(), key, recorded: None, open: true });
        }
        // Others may have written since: what counts is what stands there now, and it is written as it is understood.
        let room = book::change(path, now, |book| match book.refused(&key) {
            refused if refused.len() >= MOST => Err(held(book::free_at(refused))),
            refused if refused.len() + own.trying >= MOST => Err(trying()),
            _ => {
                book.note(&key, now);
                Ok(())
            }
        });
        room.map_err(unknown)??;
        drop(all);
        Ok(Attempt { guard: self.clone(), key, recorded: Some(now), open: true })
    }

    /// Notes a refusal of a login that was not begun here, such as that of a client which renewed its session.
    pub fn refused(&self, user: &str, bmc: &Address) {
        self.note(&key(user, bmc), None);
    }

    /// Puts a refusal on record, if it is not there already.
    fn note(&self, key: &str, recorded: Option<Timestamp>) {
        self.inner.own().entry(key.to_owned()).or_default().refused.push(Instant::now());
        if recorded.is_some() {
            return;
        }
        let now = self.inner.clock.now();
        if let Err(error) = book::change(&self.inner.path, now, |book| book.note(key, now)) {
            tracing::error!(%error, "a refused login could not be put on record: a restart forgets it, and may lock the BMC's account");
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("path", &self.inner.path).finish_non_exhaustive()
    }
}

impl Inner {
    fn own(&self) -> MutexGuard<'_, HashMap<String, Own>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Own {
    /// How long until the refusals that this process saw allow another try.
    fn wait(&mut self, now: Instant) -> Option<Duration> {
        self.refused.retain(|at| now.duration_since(*at) < WINDOW);
        let oldest = self.refused.iter().rev().nth(MOST - 1)?;
        Some(WINDOW.saturating_sub(now.duration_since(*oldest)))
    }
}

/// A login that is being tried.
#[must_use = "say what came of it"]
#[derive(Debug)]
pub struct Attempt {
    guard: Guard,
    key: String,
    /// When it was put on record as a refusal, in case that we do not live to see its end.
    recorded: Option<Timestamp>,
    open: bool,
}

impl Attempt {
    /// The BMC refused it.
    pub fn refused(mut self) {
        self.guard.note(&self.key, self.recorded);
        self.end();
    }

    /// The BMC accepted it. Earlier refusals go on counting until they are an hour old.
    pub fn accepted(self) {}

    fn end(&mut self) {
        self.open = false;
        let mut all = self.guard.inner.own();
        let Some(own) = all.get_mut(&self.key) else { return };
        if self.recorded.is_none() {
            own.trying = own.trying.saturating_sub(1);
        }
        if own.trying == 0 && own.refused.is_empty() {
            all.remove(&self.key);
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.open {
            return;
        }
        self.end();
        let Some(at) = self.recorded else { return };
        let inner = &self.guard.inner;
        if let Err(error) = book::change(&inner.path, inner.clock.now(), |book| book.take_back(&self.key, at)) {
            tracing::warn!(%error, "a login that was not refused stays on record as refused, for an hour");
        }
    }
}

/// One user's account at one BMC, whatever protocol leads to it.
fn key(user: &str, bmc: &Address) -> String {
    let (host, port, usual) = match bmc {
        Address::Ipmi { host, port } => (host, port, 623),
        Address::Redfish { host, port } => (host, port, 443),
        // Nobody logs in there.
        Address::Local { device, .. } => return device.clone(),
    };
    let host = host.to_ascii_lowercase();
    if *port == usual { format!("{user}@{host}") } else { format!("{user}@{host}:{port}") }
}

#[cfg(test)]
mod tests;
