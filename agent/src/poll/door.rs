//! The way into one BMC, for every poll of it: one session, shared where the protocol allows it, opened by one at a time and closed by the last.

use super::bmc::{Connect, Session};
use super::guard::{Guard, Held, PAUSE};
use super::one::close;
use super::outcome;
use super::pins::{Change, PinError, Pins};
use crate::config::TargetConfig;
use outband_bmc::{Address, ConnectError, Rung, Trust};
use outband_schemas::Cause;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex as Cell, PoisonError};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// A handle on a session. Those on one session are a family: the last of them to be put down closes it.
#[derive(Debug)]
pub(super) struct Visit<S> {
    pub(super) session: S,
    family: Arc<Family>,
    /// It was not open before this visit.
    pub(super) fresh: bool,
    /// It was opened for this visit, and others may use it at the same time.
    pub(super) shared: bool,
}

/// What the handles on one session have in common.
#[derive(Debug, Default)]
struct Family {
    /// How many of its refused logins are on record.
    refusals_noted: AtomicU64,
}

/// What is behind the door of one BMC.
#[derive(Debug)]
pub(super) struct Door<S> {
    inside: Mutex<Inside<S>>,
    silent: Cell<Option<Cause>>,
}

#[derive(Debug)]
struct Inside<S> {
    kept: Option<Visit<S>>,
    /// Why nobody who asked by then gets in: a poll that waited while another one tried in vain does not try too.
    barred: Option<Box<(Instant, Refusal)>>,
    shut: bool,
}

/// What opening a session takes.
#[derive(Debug, Clone)]
pub(crate) struct Keys<C> {
    pub(crate) connect: C,
    pub(crate) pins: Pins,
    pub(crate) guard: Guard,
    pub(crate) deadline: Duration,
}

/// Why there is no session.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Refusal {
    /// The ladder broke.
    #[error("{0}")]
    Broken(ConnectError),
    /// The BMC refused the login.
    #[error("{0}")]
    Login(ConnectError),
    /// The login was not tried.
    #[error("{0}")]
    Held(#[from] Held),
    /// The certificate is not the pinned one; nothing is asked until it is accepted.
    #[error("the certificate has changed: pinned {}, now offered {}", .0.pinned, .0.offered)]
    Changed(Change),
    /// What is pinned cannot be known.
    #[error("{0}")]
    Pin(Arc<PinError>),
}

impl From<PinError> for Refusal {
    fn from(error: PinError) -> Self {
        Self::Pin(Arc::new(error))
    }
}

impl<S: Session> Door<S> {
    pub(super) fn new() -> Self {
        Self { inside: Mutex::new(Inside { kept: None, barred: None, shut: false }), silent: Cell::default() }
    }

    /// A handle on the session that is open, or on a new one.
    pub(super) async fn enter<C>(&self, keys: &Keys<C>, config: &TargetConfig) -> Result<Visit<S>, Refusal>
    where
        C: Connect<Session = S>,
    {
        let asked = Instant::now();
        let mut inside = self.inside.lock().await;
        if let Some((until, refusal)) = inside.barred.as_deref()
            && asked <= *until
        {
            return Err(refusal.clone());
        }
        if let Some(kept) = inside.kept.take() {
            let visit = kept.share();
            return Ok(match visit {
                Some(visit) => {
                    inside.kept = Some(kept);
                    visit
                }
                None => kept,
            });
        }
        let session = match keys.open(config).await {
            Ok(session) => session,
            Err(refusal) => {
                inside.bar(refusal.clone());
                return Err(refusal);
            }
        };
        let visit = Visit { session, family: Arc::default(), fresh: true, shared: false };
        inside.kept = visit.share();
        Ok(Visit { shared: inside.kept.is_some(), ..visit })
    }

    /// Lets nobody in for the reason that a visit has met.
    pub(super) async fn bar(&self, refusal: Refusal) {
        self.inside.lock().await.bar(refusal);
    }

    /// Ends a visit; the session stays open for the next one if it is `good`.
    pub(super) async fn leave(&self, visit: Visit<S>, good: bool, target: &str) {
        let mut inside = self.inside.lock().await;
        let is_kept = inside.kept.as_ref().is_some_and(|kept| Arc::ptr_eq(&kept.family, &visit.family));
        if good && is_kept {
            return;
        }
        if good && inside.kept.is_none() && !inside.shut {
            inside.kept = Some(Visit { fresh: false, shared: false, ..visit });
            return;
        }
        let kept = if is_kept { inside.kept.take() } else { None };
        drop(inside);
        for visit in kept.into_iter().chain([visit]) {
            visit.put_down(target).await;
        }
    }

    /// Closes the session once the last visit is over; there is no other.
    pub(super) async fn shut(&self, target: &str) {
        let mut inside = self.inside.lock().await;
        inside.shut = true;
        let kept = inside.kept.take();
        drop(inside);
        if let Some(kept) = kept {
            kept.put_down(target).await;
        }
    }

    /// Notes why the BMC is silent, or that it is not, and says what it was before.
    pub(super) fn hear(&self, silent: Option<Cause>) -> Option<Cause> {
        std::mem::replace(&mut *self.silent.lock().unwrap_or_else(PoisonError::into_inner), silent)
    }
}

impl<S> Inside<S> {
    fn bar(&mut self, refusal: Refusal) {
        let now = Instant::now();
        // A password that was refused is not tried again at once by whoever comes next.
        let until = if matches!(refusal, Refusal::Login(_)) { now + PAUSE } else { now };
        self.barred = Some(Box::new((until, refusal)));
    }
}

impl<S: Session> Visit<S> {
    /// How many refused logins of the session are not on record yet; they are from now on.
    pub(super) fn fresh_refusals(&self) -> u64 {
        let refused = self.session.standing().refused_logins;
        refused.saturating_sub(self.family.refusals_noted.fetch_max(refused, Ordering::Relaxed))
    }

    fn share(&self) -> Option<Self> {
        Some(Self { session: self.session.share()?, family: self.family.clone(), fresh: false, shared: false })
    }

    async fn put_down(self, target: &str) {
        let changed = self.session.standing().changed_certificate.is_some();
        // To whoever has another certificate now, not even a good-bye is said.
        if Arc::into_inner(self.family).is_some() && !changed {
            close(self.session, target).await;
        }
    }
}

impl<C: Connect> Keys<C> {
    /// A session that is nobody else's.
    pub(crate) async fn open(&self, config: &TargetConfig) -> Result<C::Session, Refusal> {
        let mut target = config.target.clone();
        let by_pin = target.trust == Trust::FirstUse && matches!(target.address, Address::Redfish { .. });
        if by_pin && let Some(pin) = self.pins.get(&config.id)? {
            target.trust = Trust::Pinned(pin);
        }
        let pinned = match &target.trust {
            Trust::Pinned(pin) => Some(*pin),
            Trust::FirstUse | Trust::Ca(_) => None,
        };
        if let Some(pinned) = pinned
            && let Some(change) = self.pins.changed(&config.id, pinned)?
        {
            return Err(Refusal::Changed(change));
        }
        let attempt = self.guard.begin(&target.credentials.user, &target.address)?;
        let session = match timeout(self.deadline, self.connect.connect(&target)).await {
            Ok(Ok(session)) => session,
            Ok(Err(error)) if outcome::is_login_refusal(&error) => {
                attempt.refused();
                return Err(Refusal::Login(error));
            }
            Ok(Err(error)) => {
                return Err(match (error.cause, pinned, error.offered) {
                    (Cause::Certificate, Some(pinned), Some(offered)) => {
                        let change = Change { pinned, offered };
                        self.pins.note_change(&config.id, change)?;
                        Refusal::Changed(change)
                    }
                    _ => Refusal::Broken(error),
                });
            }
            Err(_) => return Err(Refusal::Broken(too_slow(self.deadline))),
        };
        attempt.accepted();
        if let (true, Trust::FirstUse, Some(offered)) = (by_pin, &target.trust, session.certificate()) {
            tracing::info!(target = %config.id, fingerprint = %offered, "certificate pinned on first use");
            if let Err(error) = self.pins.set(&config.id, offered) {
                close(session, config.id.as_str()).await;
                return Err(error.into());
            }
        }
        Ok(session)
    }
}

fn too_slow(deadline: Duration) -> ConnectError {
    ConnectError {
        rung: Rung::Reach,
        cause: Cause::Timeout,
        detail: format!("no session within {} s", deadline.as_secs()),
        remedy: "look whether the BMC is overloaded; poll_deadline gives it more time".to_owned(),
        offered: None,
        climbed: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use outband_bmc::{Bookmark, Credentials, Fingerprint, PollError, Polled, Secret, Standing, Target};
    use outband_schemas::{Section, TargetId};
    use std::sync::atomic::AtomicUsize;

    /// Sessions that may be had or not, and how often somebody tried.
    #[derive(Debug, Clone, Default)]
    struct Bmc {
        refuses: bool,
        tries: Arc<AtomicUsize>,
        open: Arc<AtomicUsize>,
    }

    impl Connect for Bmc {
        type Session = Bmc;

        async fn connect(&self, _: &Target) -> Result<Bmc, ConnectError> {
            self.tries.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            if self.refuses {
                let error = too_slow(Duration::ZERO);
                return Err(ConnectError { rung: Rung::Login, cause: Cause::Denied, ..error });
            }
            self.open.fetch_add(1, Ordering::SeqCst);
            Ok(self.clone())
        }
    }

    impl Session for Bmc {
        async fn poll(&mut self, _: Section, _: Option<&Bookmark>, _: Instant) -> Result<Polled, PollError> {
            Ok(Polled::default())
        }

        fn share(&self) -> Option<Self> {
            Some(self.clone())
        }

        fn certificate(&self) -> Option<Fingerprint> {
            None
        }

        fn watch(&self) -> Option<outband_bmc::redfish::push::watch::Watch> {
            None
        }

        fn standing(&self) -> Standing {
            Standing::default()
        }

        async fn close(self) -> Result<(), PollError> {
            self.open.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        }
    }

    fn keys(dir: &tempfile::TempDir, connect: &Bmc) -> Keys<Bmc> {
        let (pins, guard) = (Pins::of(dir.path()), Guard::of(dir.path()));
        Keys { connect: connect.clone(), pins, guard, deadline: Duration::from_secs(5) }
    }

    fn config() -> TargetConfig {
        let target = Target {
            address: "https://bmc".parse().unwrap(),
            credentials: Credentials::new("u", Secret::new("p")),
            cipher: None,
            trust: Trust::FirstUse,
            request_deadline: Duration::from_secs(5),
        };
        TargetConfig { id: TargetId::new("a").unwrap(), target, cadence: Default::default(), push: Default::default() }
    }

    #[tokio::test]
    async fn a_login_that_is_refused_is_not_tried_by_those_who_waited_or_come_right_after() {
        let (dir, bmc) = (tempfile::tempdir().unwrap(), Bmc { refuses: true, ..Bmc::default() });
        let (door, keys, config) = (Door::new(), keys(&dir, &bmc), config());
        let (first, second) = tokio::join!(door.enter(&keys, &config), door.enter(&keys, &config));
        assert!(matches!((first, second), (Err(Refusal::Login(_)), Err(Refusal::Login(_)))));
        assert!(door.enter(&keys, &config).await.is_err());
        assert_eq!(bmc.tries.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn two_share_one_session_which_the_last_of_them_closes_when_it_is_no_good_any_more() {
        let (dir, bmc) = (tempfile::tempdir().unwrap(), Bmc::default());
        let (door, keys, config) = (Door::new(), keys(&dir, &bmc), config());
        let (first, second) = tokio::join!(door.enter(&keys, &config), door.enter(&keys, &config));
        let (first, second) = (first.unwrap(), second.unwrap());
        assert_eq!(bmc.tries.load(Ordering::SeqCst), 1);
        door.leave(first, false, "a").await;
        assert_eq!(bmc.open.load(Ordering::SeqCst), 1, "the other still uses it");
        let third = door.enter(&keys, &config).await.unwrap();
        assert_eq!(bmc.open.load(Ordering::SeqCst), 2, "a new one for who comes now");
        door.leave(second, true, "a").await;
        assert_eq!(bmc.open.load(Ordering::SeqCst), 1);
        door.leave(third, true, "a").await;
        assert_eq!(bmc.open.load(Ordering::SeqCst), 1, "kept for the next");
        door.shut("a").await;
        assert_eq!(bmc.open.load(Ordering::SeqCst), 0);
    }
}
