//! The shell of a Redfish client: a thin loop over `reqwest` that feeds a [`Walk`].

use super::action::Hand;
use super::http::{Http, Method, Reply};
use super::knowledge::Knowledge;
use super::ladder::{self, First};
use super::lenient;
use super::memory::Memory;
use super::push::watch::Watch;
use super::walk::{Answer, Limits, Walk};
use crate::{Bookmark, ConnectError, Fingerprint, PollStats, RungReport, Target};
use crate::{PollError, Polled, Standing};
use outband_schemas::{Cause, Clock, Gap, Observation, Section, Source};
use serde_json::Value;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::Instant;

/// How a client proves who it is.
#[derive(Debug, Clone)]
pub(super) enum Login {
    /// A session: to be deleted at this URI, where the BMC told it.
    Session { uri: Option<String> },
    /// Every request carries user and password, as the BMC gives no session.
    Basic { why: String },
}

/// What the handles on one session have in common.
#[derive(Debug)]
struct Shared {
    root: Value,
    memory: Mutex<Memory>,
    /// What was read while connecting.
    first: Mutex<Option<First>>,
    /// Held while logging in, so that two handles do not both.
    login: tokio::sync::Mutex<Login>,
    refused_logins: AtomicU64,
    knowledge: Knowledge,
}

/// A BMC with an open Redfish session, or another handle on it.
#[derive(Debug)]
pub struct Client {
    http: Http,
    shared: Arc<Shared>,
    climbed: Vec<RungReport>,
}

impl Client {
    /// Climbs the ladder up to and including the privilege rung. What is learned of the BMC's platform is shared through `knowledge`.
    pub async fn connect(target: &Target, knowledge: &Knowledge) -> Result<Self, ConnectError> {
        let climbed = ladder::climb(target, knowledge).await?;
        let shared = Shared {
            root: climbed.root,
            memory: Mutex::new(climbed.memory),
            first: Mutex::new(climbed.first),
            login: tokio::sync::Mutex::new(climbed.login),
            refused_logins: AtomicU64::new(0),
            knowledge: knowledge.clone(),
        };
        Ok(Self { http: climbed.http, shared: Arc::new(shared), climbed: climbed.reports })
    }

    /// A handle on the same session for what the BMC tells by itself.
    pub fn watch(&self) -> Watch {
        Watch::new(self.share())
    }

    pub(super) fn http(&self) -> &Http {
        &self.http
    }

    pub(super) fn root(&self) -> &Value {
        &self.shared.root
    }

    /// What may be done at the BMC.
    pub(crate) fn hand(&self) -> Hand<'_> {
        Hand { http: &self.http, root: &self.shared.root }
    }

    /// A second handle on the same session, for a poll at the same time. The two share what they know, and the limit of requests in flight.
    pub fn share(&self) -> Self {
        Self { http: self.http.clone(), shared: self.shared.clone(), climbed: self.climbed.clone() }
    }

    /// Polls one section. What could not be read becomes gaps; an error means that nothing at all could be read. `until` ends the poll: what was read by
    /// then is told, and the rest is a gap.
    pub async fn poll(
        &mut self,
        section: Section,
        bookmark: Option<&Bookmark>,
        until: Option<Instant>,
        clock: &(impl Clock + Sync),
    ) -> Result<Polled, PollError> {
        let began = clock.now();
        if let Some(first) = self.shared.first.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let at = began.minus(first.read.elapsed());
            self.remembering(|memory| memory.seed(&first.uri, &first.body, at));
        }
        let mut walk = self
            .remembering(|memory| Walk::new(section, &self.shared.root, memory, bookmark, Limits::default(), began));
        self.drive(&mut walk, until, clock).await;
        let (outcome, lessons) =
            self.remembering(|memory| (walk.finish(memory, clock.now()), memory.expander.lessons()));
        if outcome.failed.is_none() {
            self.shared.knowledge.learn(&self.shared.root, lessons);
        }
        if let Some((cause, detail)) = outcome.failed {
            return Err(PollError { cause, detail });
        }
        let mut observations = outcome.observations;
        if section == Section::Inventory
            && let Login::Basic { why } = &*self.shared.login.lock().await
        {
            observations.push(Observation::Gap(Gap {
                component: None,
                cause: Cause::NotSupported,
                detail: format!("no session, so every request carries user and password: {why}"),
                observed_at: began,
                source: Source("/redfish/v1/SessionService".to_owned()),
                span: None,
            }));
        }
        Ok(Polled { observations, bookmark: outcome.bookmark, more: outcome.more })
    }

    /// The memory, for the length of one call: another handle's walk uses it between two of ours.
    pub(super) fn remembering<T>(&self, f: impl FnOnce(&mut Memory) -> T) -> T {
        f(&mut self.shared.memory.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// One request at a time: two walks at once are what a BMC can bear.
    async fn drive(&self, walk: &mut Walk, until: Option<Instant>, clock: &(impl Clock + Sync)) {
        let whole = self.drive_to_end(walk, clock);
        match until {
            None => whole.await,
            // The request in flight is dropped with the rest; `finish` tells of both.
            Some(until) => tokio::time::timeout_at(until, whole).await.unwrap_or(()),
        }
    }

    async fn drive_to_end(&self, walk: &mut Walk, clock: &(impl Clock + Sync)) {
        let mut logged_in_again = false;
        while let Some(get) = self.remembering(|memory| walk.poll_get(memory)) {
            let began = Instant::now();
            let ask =
                || self.http.get_if_changed(&get.uri, get.if_none_match.as_deref(), get.patience, walk.max_body());
            let mut reply = ask().await;
            if self.expired(&reply).await && !std::mem::replace(&mut logged_in_again, true) && self.renew(&reply).await
            {
                reply = ask().await;
            }
            let took = began.elapsed();
            let refused = matches!(reply.answer, Answer::Http { status: 401, .. }) && self.count_refusal().await;
            self.remembering(|memory| {
                memory.took(&get, took);
                walk.handle_body(memory, &get, reply.answer, clock.now());
            });
            if refused {
                return walk.stop("the BMC refuses user and password");
            }
        }
    }

    /// After a 401 that no new login could mend: user and password that go with every request were refused with this one, and would be with the next.
    async fn count_refusal(&self) -> bool {
        if matches!(*self.shared.login.lock().await, Login::Basic { .. }) {
            self.shared.refused_logins.fetch_add(1, Ordering::Relaxed);
        }
        self.shared.refused_logins.load(Ordering::Relaxed) > 0
    }

    async fn expired(&self, reply: &Reply) -> bool {
        matches!(reply.answer, Answer::Http { status: 401, .. })
            && matches!(*self.shared.login.lock().await, Login::Session { .. })
    }

    /// Logs in again, unless the other handle did meanwhile. Whether the request is worth another try.
    async fn renew(&self, refused: &Reply) -> bool {
        let mut login = self.shared.login.lock().await;
        if refused.token != self.http.token() {
            return true;
        }
        match ladder::log_in(&self.http, &self.shared.root).await {
            Ok(renewed) => {
                *login = renewed;
                true
            }
            Err(broken) => {
                self.shared.refused_logins.fetch_add(u64::from(broken.is_refusal()), Ordering::Relaxed);
                false
            }
        }
    }

    /// The rungs that held.
    pub fn climbed(&self) -> &[RungReport] {
        &self.climbed
    }

    /// The certificate that the BMC offered.
    pub fn certificate(&self) -> Option<Fingerprint> {
        self.http.certificate()
    }

    /// What this session has met that says how to go on with the BMC.
    pub fn standing(&self) -> Standing {
        Standing {
            changed_certificate: self.http.shown().changed,
            refused_logins: self.shared.refused_logins.load(Ordering::Relaxed),
            wants_rest: self.http.wants_rest(),
        }
    }

    /// What was sent and received so far.
    pub fn stats(&self) -> PollStats {
        self.http.stats()
    }

    /// Ends the session at the BMC, for every handle on it.
    pub async fn close(self) -> Result<(), PollError> {
        let Login::Session { uri: Some(uri) } = &*self.shared.login.lock().await else { return Ok(()) };
        match self.http.send(Method::Delete, uri, None).await.answer {
            Answer::Http { status: 200..=299 | 404, .. } => Ok(()),
            Answer::Http { status, body, .. } => {
                let said = lenient::parse(&body).ok().and_then(|b| lenient::error_of(&b)).unwrap_or_default();
                Err(PollError {
                    cause: Cause::BmcError,
                    detail: format!("the session was not deleted: HTTP {status} {said}"),
                })
            }
            Answer::Failed { cause, detail } => {
                Err(PollError { cause, detail: format!("the session was not deleted: {detail}") })
            }
        }
    }
}
