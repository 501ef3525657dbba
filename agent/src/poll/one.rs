//! One poll of one section of one BMC, from the session to the spool.

use super::bmc::{Connect, Session};
use super::door::{Door, Keys, Refusal, Visit};
use super::guard::PAUSE;
use super::outcome;
use super::pins::Change;
use super::schedule::{Job, Outcome};
use crate::config::TargetConfig;
use crate::push::Push;
use crate::spooler::{self, Body, Spooler};
use outband_bmc::{Bookmark, ConnectError, PollError, Polled, Rung, Standing};
use outband_schemas::{Cause, Clock, Lane, Section, TargetId, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

/// How long a BMC may take to end a session; it does so by itself after a while.
pub(super) const CLOSE_WITHIN: Duration = Duration::from_secs(3);
/// How long after its time a poll may take to tell what it has read.
const TELL_WITHIN: Duration = Duration::from_secs(2);
/// How often at least it is looked whether a changed certificate was accepted.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// Waits between tries to write to a spool that takes nothing, in seconds; the last one over and over.
const SPOOL_WAITS: [u64; 6] = [1, 2, 5, 10, 30, 60];

/// What every poll needs.
#[derive(Debug, Clone)]
pub(super) struct Tools<C, K> {
    pub(super) keys: Keys<C>,
    pub(super) clock: K,
    pub(super) spooler: Spooler,
    /// Told of targets whose session is open and can be shared.
    pub(super) opened: mpsc::UnboundedSender<TargetId>,
    pub(super) push: Push,
}

/// What a poll is about, and what is known from the last one.
#[derive(Debug)]
pub(super) struct Task<S> {
    pub(super) job: Job,
    pub(super) config: Arc<TargetConfig>,
    pub(super) door: Arc<Door<S>>,
    /// When this section was last read.
    pub(super) last_read: Option<Timestamp>,
    pub(super) cancel: CancellationToken,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) job: Job,
    pub(super) outcome: Outcome,
    /// Why the BMC is silent, if it is.
    pub(super) silent: Option<Cause>,
    /// Why the section was not read, in words.
    pub(super) trouble: Option<String>,
    pub(super) read_at: Option<Timestamp>,
    /// It was given up on request; its outcome says nothing of the BMC.
    pub(super) cancelled: bool,
    /// How long the BMC, which told something, wants to be left alone now.
    pub(super) rest: Option<Duration>,
    /// The BMC is asked for nothing more, whatever else is in flight.
    pub(super) stopped: bool,
    /// Something was put off to spare the BMC: a poll of the section, soon, goes on with it.
    pub(super) more: bool,
}

/// Why a poll brought nothing, or why it is the last one for a while.
#[derive(Debug)]
enum Failure {
    NoSession(Refusal),
    /// This section; another may fare better.
    Section(PollError),
    /// The BMC answered, that it is busy.
    Busy(PollError, Option<Duration>),
    Changed(Change),
    Cancelled,
}

/// What a poll brought: something read, a reason to stop, or both.
#[derive(Debug, Default)]
struct Brought {
    polled: Option<Polled>,
    failure: Option<Failure>,
    rest: Option<Duration>,
}

impl From<Failure> for Brought {
    fn from(failure: Failure) -> Self {
        Self { failure: Some(failure), ..Self::default() }
    }
}

impl<C: Connect, K: Clock + Clone + Send + Sync + 'static> Tools<C, K> {
    /// Does the task. What was seen is in the spool, or its loss is logged, when this returns.
    pub(super) async fn run(self, task: Task<C::Session>) -> Finished {
        let polled_at = self.clock.now();
        let Brought { polled, failure, rest } = self.poll(&task).await;
        let Task { job, config, door, last_read, cancel } = task;
        let (target, section) = (&config.id, job.section);
        let mut done = Finished {
            outcome: Outcome::Done,
            silent: None,
            trouble: None,
            read_at: polled.is_some().then_some(polled_at),
            cancelled: false,
            stopped: false,
            more: polled.as_ref().is_some_and(|p| p.more.is_some()),
            rest,
            job,
        };
        if let Some(Polled { mut observations, bookmark, more }) = polled {
            observations.extend(more.map(|what| outcome::put_off(section, &what, self.clock.now())));
            if done.job.missed > 0 {
                tracing::warn!(%target, section = section.as_str(), missed = done.job.missed, "polls take longer than their cadence");
                observations.push(outcome::overrun(&done.job, last_read.unwrap_or(polled_at), self.clock.now()));
            }
            if failure.is_none() && door.hear(None).is_some() {
                tracing::info!(%target, "answers again");
            }
            let heard = match section {
                Section::Log => self.push.log_read(target, polled_at, &mut observations),
                _ => None,
            };
            let set = outcome::set(target, section, polled_at, observations);
            let marks = bookmark.map(|b| (target.to_string(), b.0.into_bytes())).into_iter().chain(heard).collect();
            self.keep(target.as_str(), section.lane(), outcome::bodies(set), marks, &cancel).await;
        }
        let Some(failure) = failure else { return done };
        if matches!(failure, Failure::Cancelled) {
            (done.cancelled, done.trouble) = (true, Some("it was given up on request".to_owned()));
            return done;
        }
        let Meaning { outcome, cause, detail, silent } = meaning(failure, &config, self.clock.now());
        (done.outcome, done.silent) = (outcome, silent.then_some(cause));
        done.trouble = Some(detail.clone());
        done.stopped = matches!(outcome, Outcome::LeaveAlone(_));
        let before = door.hear(done.silent);
        let news = done.silent.is_some() && before != done.silent;
        if news || done.silent.is_none() {
            tracing::warn!(%target, section = section.as_str(), cause = cause.as_str(), detail, "not read");
        } else {
            tracing::debug!(%target, section = section.as_str(), cause = cause.as_str(), detail, "still not read");
        }
        // News of a BMC that fell silent must not wait behind a backlog of readings.
        let lane = if news { Lane::Event } else { section.lane() };
        let gap = outcome::silent(target, cause, detail, self.clock.now(), config.target.address.to_string());
        let set = outcome::set(target, section, polled_at, vec![gap]);
        self.keep(target.as_str(), lane, outcome::bodies(set), Vec::new(), &cancel).await;
        done
    }

    /// Reads the section; a session that was open before and fails is replaced once, for sessions expire while idle.
    async fn poll(&self, task: &Task<C::Session>) -> Brought {
        let bookmark = match task.job.section {
            Section::Log => self.bookmark(&task.config).await,
            _ => None,
        };
        let mut again = false;
        loop {
            let visit = tokio::select! {
                biased;
                () = task.cancel.cancelled() => return Failure::Cancelled.into(),
                visit = task.door.enter(&self.keys, &task.config) => match visit {
                    Ok(visit) => visit,
                    Err(refusal) => return Failure::NoSession(refusal).into(),
                },
            };
            if visit.shared {
                self.push.opened(&task.config, visit.session.watch());
                if self.opened.send(task.config.id.clone()).is_err() {
                    return Failure::Cancelled.into();
                }
            }
            let fresh = visit.fresh;
            let brought = self.in_session(visit, task, bookmark.as_ref()).await;
            match &brought.failure {
                Some(Failure::Section(error)) if !fresh && !again && outcome::may_be_the_session(error) => {
                    tracing::debug!(target = %task.config.id, detail = error.detail, "trying again in a new session");
                    again = true;
                }
                _ => return brought,
            }
        }
    }

    /// Reads the section in a session, which stays open if it still stands.
    async fn in_session(
        &self,
        mut visit: Visit<C::Session>,
        task: &Task<C::Session>,
        bookmark: Option<&Bookmark>,
    ) -> Brought {
        let patience = patience(self.keys.deadline, task.job.section);
        let until = Instant::now() + patience;
        let poll = timeout_at(until + TELL_WITHIN, visit.session.poll(task.job.section, bookmark, until));
        let result = tokio::select! {
            biased;
            () = task.cancel.cancelled() => None,
            result = poll => Some(result.unwrap_or_else(|_| Err(PollError {
                cause: Cause::Cancelled,
                detail: format!("the poll was given up after {} s (poll_deadline)", patience.as_secs()),
            }))),
        };
        let credentials = &task.config.target.credentials;
        for _ in 0..visit.fresh_refusals() {
            self.keys.guard.refused(&credentials.user, &task.config.target.address);
        }
        let brought = match result {
            None => Failure::Cancelled.into(),
            Some(result) => self.judge(result, visit.session.standing(), &task.config),
        };
        if let Some(Failure::NoSession(refusal)) = &brought.failure {
            task.door.bar(refusal.clone()).await;
        }
        let good = matches!(brought.failure, None | Some(Failure::Busy(..)));
        match brought.failure {
            // The target goes, or the agent does: while its session is open, what push has at the BMC is taken back.
            Some(Failure::Cancelled) => self.push.leave(&task.config.id).await,
            _ if !good => self.push.closing(&task.config.id),
            _ => {}
        }
        task.door.leave(visit, good, task.config.id.as_str()).await;
        brought
    }

    /// What the result of a poll comes to, given what its session has met.
    fn judge(&self, result: Result<Polled, PollError>, standing: Standing, config: &TargetConfig) -> Brought {
        let (polled, error) = match result {
            Ok(polled) => (Some(polled), None),
            Err(error) => (None, Some(error)),
        };
        let failure = if let Some((pinned, offered)) = standing.changed_certificate {
            let change = Change { pinned, offered };
            Some(match self.keys.pins.note_change(&config.id, change) {
                Ok(()) => Failure::Changed(change),
                Err(error) => Failure::NoSession(error.into()),
            })
        } else if standing.refused_logins > 0 {
            let why = error.map_or_else(|| "it had to log in again".to_owned(), |e| e.detail);
            Some(Failure::NoSession(Refusal::Login(no_longer(&config.target.credentials.user, &why))))
        } else {
            error.map(|error| match error.cause {
                Cause::Busy => Failure::Busy(error, standing.wants_rest),
                _ => Failure::Section(error),
            })
        };
        Brought { polled, failure, rest: standing.wants_rest }
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

/// A client that logged in again was refused.
fn no_longer(user: &str, why: &str) -> ConnectError {
    ConnectError {
        rung: Rung::Login,
        cause: Cause::Denied,
        detail: format!("the BMC no longer accepts user {user:?}: {why}"),
        remedy: "check user and password: they were changed at the BMC, or the account is locked".to_owned(),
        offered: None,
        climbed: Vec::new(),
    }
}

/// What a failure means for the schedule, and what is told of it.
struct Meaning {
    outcome: Outcome,
    cause: Cause,
    detail: String,
    /// Nothing can be read of this BMC, as opposed to: nothing now, or nothing of this section.
    silent: bool,
}

fn meaning(failure: Failure, config: &TargetConfig, now: Timestamp) -> Meaning {
    let of = |outcome, cause, detail| Meaning { outcome, cause, detail, silent: true };
    match failure {
        Failure::NoSession(refusal) => {
            let detail = refusal.to_string();
            match refusal {
                Refusal::Changed(change) => meaning(Failure::Changed(change), config, now),
                Refusal::Login(error) => of(Outcome::LeaveAlone(PAUSE), error.cause, detail),
                Refusal::Held(held) => {
                    of(Outcome::LeaveAlone(held.until().since(now).min(PAUSE)), Cause::Denied, detail)
                }
                Refusal::Pin(_) => of(Outcome::TargetFailed, Cause::Certificate, detail),
                Refusal::Broken(error) => match error.cause {
                    Cause::Busy => Meaning { silent: false, ..of(Outcome::Busy(None), Cause::Busy, detail) },
                    // The login is right; what it may do is not, and somebody has to mend that.
                    Cause::Denied => of(Outcome::LeaveAlone(PAUSE), Cause::Denied, detail),
                    cause => of(Outcome::TargetFailed, cause, detail),
                },
            }
        }
        Failure::Changed(change) => {
            let wait = LOOK_AGAIN.min(config.cadence.sensors);
            of(Outcome::LeaveAlone(wait), Cause::Certificate, outcome::changed_certificate(&config.id, change))
        }
        Failure::Busy(error, asked) => Meaning { silent: false, ..of(Outcome::Busy(asked), error.cause, error.detail) },
        Failure::Section(error) => Meaning { silent: false, ..of(Outcome::SectionFailed, error.cause, error.detail) },
        Failure::Cancelled => Meaning { silent: false, ..of(Outcome::SectionFailed, Cause::Cancelled, String::new()) },
    }
}

/// Writes to the spool; where that takes nothing, tries again until it does: meanwhile the target is not polled, so that what waits is one poll. What
/// was seen is lost only where the agent ends before.
pub(crate) async fn keep(
    spooler: &Spooler,
    target: &str,
    lane: Lane,
    bodies: Vec<Body>,
    bookmarks: Vec<(String, Vec<u8>)>,
    cancel: &CancellationToken,
) {
    let mut waits = SPOOL_WAITS.iter().chain(std::iter::repeat(&SPOOL_WAITS[SPOOL_WAITS.len() - 1]));
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
pub(crate) async fn close<S: Session>(session: S, target: &str) {
    match timeout(CLOSE_WITHIN, session.close()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(target, %error, "the session could not be ended"),
        Err(_) => tracing::debug!(target, "the BMC did not end the session in time"),
    }
}

/// How long a poll may take. A log that is read for the first time, entry by entry, and a first inventory take many times what sensors take; given
/// up half-way they would begin anew at every poll and never end.
fn patience(poll_deadline: Duration, section: Section) -> Duration {
    match section {
        Section::Log | Section::Inventory => poll_deadline.saturating_mul(10),
        Section::Sensors | Section::Drives | Section::Host => poll_deadline,
    }
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
