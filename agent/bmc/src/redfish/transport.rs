//! The shell of a Redfish client: a thin loop over `reqwest` that feeds a [`Walk`].

use super::http::{Http, Method, Reply};
use super::ladder;
use super::lenient;
use super::memory::Memory;
use super::walk::{Answer, Get, Limits, Walk};
use crate::{Bookmark, ConnectError, Fingerprint, PollStats, RungReport, Target};
use crate::{PollError, Polled};
use outband_schemas::{Cause, Clock, Gap, Observation, Section, Source};
use serde_json::Value;
use tokio::task::JoinSet;

/// Requests in flight at one BMC: more bring some of them down, one alone doubles the time of a poll.
const IN_FLIGHT: usize = 2;

/// How a client proves who it is.
#[derive(Debug, Clone)]
pub(super) enum Login {
    /// A session: to be deleted at this URI, where the BMC told it.
    Session { uri: Option<String> },
    /// Every request carries user and password, as the BMC gives no session.
    Basic { why: String },
}

/// A BMC with an open Redfish session.
#[derive(Debug)]
pub struct Client {
    http: Http,
    root: Value,
    login: Login,
    memory: Memory,
    climbed: Vec<RungReport>,
}

impl Client {
    /// Climbs the ladder up to and including the privilege rung.
    pub async fn connect(target: &Target) -> Result<Self, ConnectError> {
        let climbed = ladder::climb(target).await?;
        Ok(Self {
            http: climbed.http,
            root: climbed.root,
            login: climbed.login,
            memory: Memory::default(),
            climbed: climbed.reports,
        })
    }

    /// Polls one section. What could not be read becomes gaps; an error means that nothing at all could be read.
    pub async fn poll(
        &mut self,
        section: Section,
        bookmark: Option<&Bookmark>,
        clock: &(impl Clock + Sync),
    ) -> Result<Polled, PollError> {
        let began = clock.now();
        let memory = std::mem::take(&mut self.memory);
        let mut walk = Walk::new(section, &self.root, memory, bookmark, Limits::default(), began);
        self.drive(&mut walk, clock).await;
        let outcome = walk.finish(clock.now());
        self.memory = outcome.memory;
        if let Some((cause, detail)) = outcome.failed {
            return Err(PollError { cause, detail });
        }
        let mut observations = outcome.observations;
        if let (Section::Inventory, Login::Basic { why }) = (section, &self.login) {
            observations.push(Observation::Gap(Gap {
                component: None,
                cause: Cause::NotSupported,
                detail: format!("no session, so every request carries user and password: {why}"),
                observed_at: began,
                source: Source("/redfish/v1/SessionService".to_owned()),
                span: None,
            }));
        }
        Ok(Polled { observations, bookmark: outcome.bookmark })
    }

    async fn drive(&mut self, walk: &mut Walk, clock: &(impl Clock + Sync)) {
        let mut running: JoinSet<(Get, Reply)> = JoinSet::new();
        let mut logged_in_again = false;
        loop {
            while running.len() < IN_FLIGHT {
                let Some(get) = walk.poll_get() else { break };
                self.start(&mut running, get, walk.max_body());
            }
            // A task that was cancelled or panicked leaves its request in flight, which `finish` tells of.
            let (get, reply) = match running.join_next().await {
                None => return,
                Some(Err(_)) => continue,
                Some(Ok(done)) => done,
            };
            let expired =
                matches!(reply.answer, Answer::Http { status: 401, .. }) && matches!(self.login, Login::Session { .. });
            if expired && reply.token != self.http.token() {
                // Somebody else's 401 brought a new token meanwhile.
                self.start(&mut running, get, walk.max_body());
            } else if expired && !std::mem::replace(&mut logged_in_again, true) {
                match ladder::log_in(&mut self.http, &self.root).await {
                    Ok(login) => {
                        self.login = login;
                        self.start(&mut running, get, walk.max_body());
                    }
                    Err(_) => walk.handle_body(&get, reply.answer, clock.now()),
                }
            } else {
                walk.handle_body(&get, reply.answer, clock.now());
            }
        }
    }

    fn start(&self, running: &mut JoinSet<(Get, Reply)>, get: Get, max_body: usize) {
        let http = self.http.clone();
        running.spawn(async move {
            let reply = http.get(&get.uri, max_body).await;
            (get, reply)
        });
    }

    /// The rungs that held.
    pub fn climbed(&self) -> &[RungReport] {
        &self.climbed
    }

    /// The certificate that the BMC offered.
    pub fn certificate(&self) -> Option<Fingerprint> {
        self.http.certificate()
    }

    /// What was sent and received so far.
    pub fn stats(&self) -> PollStats {
        self.http.stats()
    }

    /// Ends the session at the BMC.
    pub async fn close(self) -> Result<(), PollError> {
        let Login::Session { uri: Some(uri) } = &self.login else { return Ok(()) };
        match self.http.send(Method::Delete, uri, None).await.answer {
            Answer::Http { status: 200..=299 | 404, .. } => Ok(()),
            Answer::Http { status, body } => {
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
