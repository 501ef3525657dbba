//! One poll of one section of one BMC, from the session to the spool.

use super::bmc::{Connect, Session};
use super::outcome;
use super::pins::{PinError, Pins};
use super::schedule::{Job, Outcome};
use crate::config::TargetConfig;
use crate::spooler::{self, Body, Spooler};
use outband_bmc::{Address, Bookmark, ConnectError, Rung, Trust};
use outband_bmc::{PollError, Polled};
use outband_schemas::{Cause, Clock, Lane, Section, Timestamp};
use std::time::Duration;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// How long a BMC may take to end a session; it does so by itself after a while.
pub(super) const CLOSE_WITHIN: Duration = Duration::from_secs(3);
/// Waits between tries to write to a spool that has no room.
const SPOOL_WAITS: [u64; 8] = [1, 2, 5, 10, 30, 60, 60, 60];

/// What every poll needs.
#[derive(Debug, Clone)]
pub(super) struct Tools<C, K> {
    pub(super) connect: C,
    pub(super) clock: K,
    pub(super) spooler: Spooler,
    pub(super) pins: Pins,
    pub(super) poll_deadline: Duration,
}

/// What a poll is about, and what is known from the last one.
#[derive(Debug)]
pub(super) struct Task<S> {
    pub(super) job: Job,
    pub(super) config: TargetConfig,
    pub(super) session: Option<S>,
    /// Why the BMC was silent at the last poll, if it was.
    pub(super) silent: Option<Cause>,
    /// When this section was last read.
    pub(super) last_read: Option<Timestamp>,
    pub(super) cancel: CancellationToken,
}

/// What is left of it.
#[derive(Debug)]
pub(super) struct Finished<S> {
    pub(super) job: Job,
    pub(super) session: Option<S>,
    pub(super) outcome: Outcome,
    pub(super) silent: Option<Cause>,
    pub(super) read_at: Option<Timestamp>,
    /// It was given up on request; its outcome says nothing of the BMC.
    pub(super) cancelled: bool,
}

/// Why a poll brought nothing.
enum Failure {
    Connect { error: ConnectError, detail: String },
    Poll(PollError),
    Cancelled,
}

impl From<PollError> for Failure {
    fn from(error: PollError) -> Self {
        Self::Poll(error)
    }
}

impl<C: Connect, K: Clock + Clone + Send + Sync + 'static> Tools<C, K> {
    /// Does the task. What was seen is in the spool, or its loss is logged, when this returns.
    pub(super) async fn run(self, mut task: Task<C::Session>) -> Finished<C::Session> {
        let polled_at = self.clock.now();
        let result = self.poll(&mut task).await;
        let Task { job, config, session, silent, last_read, cancel } = task;
        let mut done = Finished { job, session, outcome: Outcome::Done, silent: None, read_at: None, cancelled: false };
        let target = &config.id;
        let now = self.clock.now();
        let section = done.job.section;
        match result {
            Ok(Polled { mut observations, bookmark }) => {
                if done.job.missed > 0 {
                    tracing::warn!(%target, section = section.as_str(), missed = done.job.missed, "polls take longer than their cadence");
                    observations.push(outcome::overrun(&done.job, last_read.unwrap_or(polled_at), now));
                }
                if silent.is_some() {
                    tracing::info!(%target, "answers again");
                }
                done.read_at = Some(polled_at);
                let set = outcome::set(target, section, polled_at, observations);
                let marks = bookmark.map(|b| (target.to_string(), b.0.into_bytes())).into_iter().collect();
                self.keep(target.as_str(), section.lane(), outcome::bodies(set), marks, &cancel).await;
            }
            Err(Failure::Cancelled) => {
                done.cancelled = true;
                done.silent = silent;
            }
            Err(failure) => {
                let (cause, detail, whole) = match failure {
                    Failure::Connect { error, detail } => {
                        done.outcome = if outcome::is_login_refusal(&error) {
                            Outcome::LeaveAlone(super::guard::PAUSE)
                        } else {
                            Outcome::TargetFailed
                        };
                        (error.cause, detail, true)
                    }
                    Failure::Poll(error) => {
                        done.outcome = Outcome::SectionFailed;
                        (error.cause, error.detail, false)
                    }
                    Failure::Cancelled => (Cause::Cancelled, String::new(), false),
                };
                let changed = whole && silent != Some(cause);
                if changed || !whole {
                    tracing::warn!(%target, section = section.as_str(), cause = cause.as_str(), detail, "not read");
                } else {
                    tracing::debug!(%target, section = section.as_str(), cause = cause.as_str(), detail, "still not read");
                }
                done.silent = whole.then_some(cause);
                // News of a BMC that fell silent must not wait behind a backlog of readings.
                let lane = if changed { Lane::Event } else { section.lane() };
                let gap = outcome::silent(target, cause, detail, now, config.target.address.to_string());
                let set = outcome::set(target, section, polled_at, vec![gap]);
                self.keep(target.as_str(), lane, outcome::bodies(set), Vec::new(), &cancel).await;
            }
        }
        done
    }

    /// Reads the section; a session that was open before and fails is replaced once, for sessions expire while idle.
    async fn poll(&self, task: &mut Task<C::Session>) -> Result<Polled, Failure> {
        let section = task.job.section;
        let bookmark = match section {
            Section::Log => self.bookmark(&task.config).await,
            _ => None,
        };
        if let Some(session) = task.session.take() {
            match self.in_session(session, task, bookmark.as_ref()).await {
                Err(Failure::Poll(error)) if outcome::may_be_the_session(&error) => {
                    tracing::debug!(target = %task.config.id, detail = error.detail, "trying again in a new session");
                }
                other => return other,
            }
        }
        let session = tokio::select! {
            biased;
            () = task.cancel.cancelled() => return Err(Failure::Cancelled),
            session = self.connect(&task.config) => session?,
        };
        self.in_session(session, task, bookmark.as_ref()).await
    }

    /// Reads the section in `session`, and keeps the session in the task if it still stands.
    async fn in_session(
        &self,
        mut session: C::Session,
        task: &mut Task<C::Session>,
        bookmark: Option<&Bookmark>,
    ) -> Result<Polled, Failure> {
        let deadline = patience(self.poll_deadline, task.job.section);
        let result = tokio::select! {
            biased;
            () = task.cancel.cancelled() => Err(Failure::Cancelled),
            result = timeout(deadline, session.poll(task.job.section, bookmark)) => match result {
                Ok(result) => result.map_err(Failure::from),
                Err(_) => Err(Failure::Poll(PollError {
                    cause: Cause::Cancelled,
                    detail: format!("the poll was given up after {} s (poll_deadline)", deadline.as_secs()),
                })),
            },
        };
        match result {
            Ok(polled) => {
                task.session = Some(session);
                Ok(polled)
            }
            Err(failure) => {
                close(session, task.config.id.as_str()).await;
                Err(failure)
            }
        }
    }

    async fn connect(&self, config: &TargetConfig) -> Result<C::Session, Failure> {
        let mut target = config.target.clone();
        let by_pin = target.trust == Trust::FirstUse && matches!(target.address, Address::Redfish { .. });
        if by_pin {
            match self.pins.get(&config.id) {
                Ok(Some(pin)) => target.trust = Trust::Pinned(pin),
                Ok(None) => {}
                Err(error) => return Err(no_pin(&error)),
            }
        }
        let pinned = match &target.trust {
            Trust::Pinned(pin) => Some(*pin),
            Trust::FirstUse | Trust::Ca(_) => None,
        };
        let session = match timeout(self.poll_deadline, self.connect.connect(&target)).await {
            Ok(Ok(session)) => session,
            Ok(Err(error)) => {
                let detail = outcome::connect_detail(&config.id, &error, pinned);
                return Err(Failure::Connect { error, detail });
            }
            Err(_) => return Err(too_slow(self.poll_deadline)),
        };
        if let (true, Trust::FirstUse, Some(offered)) = (by_pin, &target.trust, session.certificate()) {
            tracing::info!(target = %config.id, fingerprint = %offered, "certificate pinned on first use");
            if let Err(error) = self.pins.set(&config.id, offered) {
                close(session, config.id.as_str()).await;
                return Err(no_pin(&error));
            }
        }
        Ok(session)
    }

    async fn bookmark(&self, config: &TargetConfig) -> Option<Bookmark> {
        match self.spooler.bookmark(config.id.as_str()).await {
            Ok(bytes) => bytes.and_then(|b| String::from_utf8(b).ok()).map(Bookmark),
            Err(error) => {
                // The log is read from its start; entries are stored once however often they are read.
                tracing::warn!(target = %config.id, %error, "the log's bookmark could not be read");
                None
            }
        }
    }

    /// Writes to the spool; where it has no room, tries again while this target's polls wait.
    pub(super) async fn keep(
        &self,
        target: &str,
        lane: Lane,
        bodies: Vec<Body>,
        bookmarks: Vec<(String, Vec<u8>)>,
        cancel: &CancellationToken,
    ) {
        keep(&self.spooler, target, lane, bodies, bookmarks, cancel).await;
    }
}

/// Writes to the spool; where it has no room, tries again a few times before what was seen is lost.
pub(crate) async fn keep(
    spooler: &Spooler,
    target: &str,
    lane: Lane,
    bodies: Vec<Body>,
    bookmarks: Vec<(String, Vec<u8>)>,
    cancel: &CancellationToken,
) {
    let mut waits = SPOOL_WAITS.iter();
    loop {
        let error = match spooler.append(lane, bodies.clone(), bookmarks.clone()).await {
            Ok(()) => return,
            Err(error) => error,
        };
        let again = error.is_full() || matches!(error, spooler::Error::Replaced);
        match waits.next() {
            Some(secs) if again && !cancel.is_cancelled() => {
                tracing::warn!(target, lane = lane.as_str(), %error, "the spool takes nothing; polls of this target wait");
                tokio::select! {
                    () = sleep(Duration::from_secs(*secs)) => {}
                    () = cancel.cancelled() => {}
                }
            }
            _ => {
                tracing::error!(target, lane = lane.as_str(), %error, "what a poll saw is lost");
                return;
            }
        }
    }
}

/// Ends a session; that it did not end is worth a word, for BMCs have few.
pub(super) async fn close<S: Session>(session: S, target: &str) {
    match timeout(CLOSE_WITHIN, session.close()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(target, %error, "the session could not be ended"),
        Err(_) => tracing::debug!(target, "the BMC did not end the session in time"),
    }
}

fn no_pin(error: &PinError) -> Failure {
    let error = ConnectError {
        rung: Rung::Security,
        cause: Cause::Certificate,
        detail: error.to_string(),
        remedy: "mend the file, or its permissions".to_owned(),
        offered: None,
        climbed: Vec::new(),
    };
    Failure::Connect { detail: error.to_string(), error }
}

/// How long a poll may take. A log that is read for the first time, entry by entry, and a first inventory take many times what sensors take; given
/// up half-way they would begin anew at every poll and never end.
fn patience(poll_deadline: Duration, section: Section) -> Duration {
    match section {
        Section::Log | Section::Inventory => poll_deadline.saturating_mul(10),
        Section::Sensors | Section::Drives | Section::Host => poll_deadline,
    }
}

fn too_slow(deadline: Duration) -> Failure {
    let error = ConnectError {
        rung: Rung::Reach,
        cause: Cause::Timeout,
        detail: format!("no session within {} s", deadline.as_secs()),
        remedy: "look whether the BMC is overloaded; poll_deadline gives it more time".to_owned(),
        offered: None,
        climbed: Vec::new(),
    };
    Failure::Connect { detail: error.to_string(), error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_log_gets_more_time_than_sensors() {
        let deadline = Duration::from_secs(180);
        assert_eq!(patience(deadline, Section::Sensors), deadline);
        assert_eq!(patience(deadline, Section::Log), deadline * 10);
    }
}
