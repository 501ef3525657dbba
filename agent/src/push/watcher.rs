//! Listens to one BMC: a stream where it offers one, else a subscription where there is a listener, else nothing.

use super::desk::{Turn, Way};
use super::routes::{Post, Routes, prefix};
use super::{Bell, Seat, key, stored};
use crate::clock::SystemClock;
use crate::poll::outcome;
use crate::spooler::Spooler;
use outband_bmc::redfish::memory::Memory;
use outband_bmc::redfish::push::record;
use outband_bmc::redfish::push::service::{Service, Wanted};
use outband_bmc::redfish::push::watch::{Refusal, Stream, Watch};
use outband_schemas::{Clock, Lane, Observation, Section, TargetId, Timestamp};
use rand::RngExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// A stream on which nothing comes for so long, not even a comment, is renewed: iDRACs close it after an hour, and a connection may be dead without a word.
const SILENCE: Duration = Duration::from_secs(900);
/// How often it is looked whether a subscription still stands: a BMC that was reset may have lost it.
const STANDS: Duration = Duration::from_secs(600);
/// How often it is looked whether the session is another one by now, which is a sign of such a reset. No request is made for that.
const SAME_SESSION: Duration = Duration::from_secs(5);
/// After how long a BMC that offers nothing is asked again; a new session asks at once.
const RECHECK: Duration = Duration::from_secs(6 * 3600);
/// The same for one that has no room.
const RECHECK_FULL: Duration = Duration::from_secs(900);
/// Waits between tries that fail.
const FIRST_WAIT: Duration = Duration::from_secs(2);
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// A stream that lasted so long was a good one, and is opened again at once when it ends.
const LASTED: Duration = Duration::from_secs(60);
/// Posts come over this channel; each stream is one of its own, numbered by the time.
const POSTS: u64 = 0;

/// The ways that may be used.
#[derive(Debug, Clone)]
pub(super) struct Ways {
    pub(super) stream: bool,
    /// The listener's URL and what it knows.
    pub(super) posts: Option<(String, Arc<Routes>)>,
}

pub(super) struct Watcher {
    target: TargetId,
    stream: bool,
    posts: Option<Destination>,
    wanted: Option<Wanted>,
    context: String,
    log: Duration,
    seat: Arc<Seat>,
    sessions: watch::Receiver<Option<Arc<Watch>>>,
    spooler: Spooler,
    bells: mpsc::UnboundedSender<Bell>,
    /// A subscription is being asked for; given up meanwhile, it may have been made.
    subscribing: AtomicBool,
    /// The id of the last event of a stream.
    last_id: Mutex<Option<String>>,
    /// What was last said of how it is listened.
    said: Mutex<String>,
}

/// Where this BMC posts to.
struct Destination {
    routes: Arc<Routes>,
    path: String,
    inbox: tokio::sync::Mutex<mpsc::Receiver<Post>>,
}

/// How listening ended.
enum Ended {
    /// Try again after so long.
    Again(Duration),
    /// It failed; try again after a while, and so long at least.
    Failed(Option<Duration>),
}

impl Watcher {
    #[expect(clippy::too_many_arguments, reason = "each is another thing, named at the one call")]
    pub(super) fn new(
        target: TargetId,
        context: String,
        ways: Ways,
        log: Duration,
        seat: Arc<Seat>,
        sessions: watch::Receiver<Option<Arc<Watch>>>,
        spooler: Spooler,
        bells: mpsc::UnboundedSender<Bell>,
    ) -> Self {
        let named = context.clone();
        let (wanted, posts) = match ways.posts {
            None => (None, None),
            Some((url, routes)) => {
                let (path, inbox) = routes.open(&target, &mut rand::rng());
                let own_prefix = format!("{url}{}", prefix(&target));
                let wanted = Wanted { destination: format!("{url}{path}"), own_prefix, context };
                (Some(wanted), Some(Destination { routes, path, inbox: tokio::sync::Mutex::new(inbox) }))
            }
        };
        let (subscribing, last_id, said) = (AtomicBool::default(), Mutex::default(), Mutex::default());
        Self {
            target,
            stream: ways.stream,
            posts,
            wanted,
            context: named,
            log,
            seat,
            sessions,
            spooler,
            bells,
            subscribing,
            last_id,
            said,
        }
    }

    /// Listens until told to leave; then the BMC keeps nothing of it.
    pub(super) async fn run(self, leave: CancellationToken) {
        let kept = stored(&self.spooler, &self.target).await;
        self.seat.desk().restore(kept);
        tokio::select! {
            biased;
            () = leave.cancelled() => {}
            () = self.mind() => {}
            () = self.take_posts() => {}
            () = self.listen() => {}
        }
        if let Some(posts) = &self.posts {
            posts.routes.close(&self.target, &posts.path);
        }
        self.unsubscribe().await;
        self.store().await;
    }

    /// Does what the desk says is due.
    async fn mind(&self) {
        loop {
            let Turn { ring, slow, overdue, next } = self.seat.desk().turn(SystemClock.now(), Instant::now());
            if ring {
                self.bell(Bell::Ring(self.target.clone()));
            }
            if let Some(slow) = slow {
                self.bell(Bell::Slow(self.target.clone(), slow.then_some(self.log)));
            }
            let events = overdue.into_iter().map(Observation::Event).collect::<Vec<_>>();
            self.keep(events).await;
            let next = next.unwrap_or_else(|| Instant::now() + STANDS);
            tokio::select! {
                () = self.seat.changed.notified() => {}
                () = sleep_until(next) => {}
            }
        }
    }

    /// Reads what is posted.
    async fn take_posts(&self) {
        let Some(posts) = &self.posts else { return std::future::pending().await };
        let mut inbox = posts.inbox.lock().await;
        while let Some(post) = inbox.recv().await {
            match post {
                Post::Body(body) => self.read(&body, None, POSTS),
                Post::Knock => self.want(),
            }
        }
        std::future::pending().await
    }

    /// Listens in whichever session is open.
    async fn listen(&self) {
        let mut sessions = self.sessions.clone();
        let mut failures = 0;
        loop {
            let session = sessions.borrow_and_update().clone();
            let Some(session) = session else {
                if sessions.changed().await.is_err() {
                    return;
                }
                continue;
            };
            let ended = tokio::select! {
                biased;
                _ = sessions.changed() => None,
                ended = self.listen_in(&session) => Some(ended),
            };
            drop(session);
            // A stream ends with its session; a subscription does not.
            self.deaf();
            let wait = match ended {
                None => continue,
                Some(Ended::Again(wait)) => {
                    failures = 0;
                    wait
                }
                Some(Ended::Failed(at_least)) => {
                    let wait = FIRST_WAIT.saturating_mul(1 << failures.min(16)).min(LONGEST_WAIT);
                    failures += 1;
                    wait.mul_f64(rand::rng().random_range(0.5..=1.0))
                        .max(at_least.unwrap_or_default().min(LONGEST_WAIT))
                }
            };
            tokio::select! {
                biased;
                _ = sessions.changed() => {}
                () = sleep(wait) => {}
            }
        }
    }

    async fn listen_in(&self, session: &Watch) -> Ended {
        let service = match session.service().await {
            Ok(service) => service,
            Err(refusal) => return self.refused(refusal),
        };
        if self.wanted.is_none() {
            self.unsubscribe_in(session).await;
        }
        let mut why = "it offers no stream of events".to_owned();
        if self.stream && service.stream.is_some() {
            match self.listen_to_stream(session, &service).await {
                Ok(ended) => return ended,
                Err(Refusal::NotOffered(detail)) => why = detail,
                // The way that is left takes its place.
                Err(Refusal::Full(detail)) if self.wanted.is_some() && service.subscriptions.is_some() => why = detail,
                Err(refusal) => return self.refused(refusal),
            }
        }
        match &self.wanted {
            Some(wanted) if service.subscriptions.is_some() => {
                tracing::debug!(target = %self.target, why, "a subscription instead of a stream");
                match self.subscribe(session, &service, wanted).await {
                    Ok(ended) => ended,
                    Err(refusal) => self.refused(refusal),
                }
            }
            Some(_) => self.refused(Refusal::NotOffered(format!("{why}, and no subscriptions"))),
            None => self.refused(Refusal::NotOffered(why)),
        }
    }

    async fn listen_to_stream(&self, session: &Watch, service: &Service) -> Result<Ended, Refusal> {
        let last_id = self.last_id.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut stream = session.open(service, last_id.as_deref()).await?;
        let opened = Instant::now();
        let now = SystemClock.now();
        self.say("events come over a stream");
        self.hear(Way::Stream, now);
        // A subscription that another way left behind is of no more use.
        self.unsubscribe_in(session).await;
        let channel = u64::try_from(now.as_millis()).unwrap_or(1);
        let why = self.follow(session, &mut stream, channel).await;
        tracing::debug!(target = %self.target, why, "the stream has ended");
        if stream.skipped() > 0 {
            tracing::warn!(target = %self.target, skipped = stream.skipped(), "events of the stream were too large; the log was read instead");
        }
        let asked = stream.retry().map(|r| r.min(LONGEST_WAIT));
        Ok(if opened.elapsed() >= LASTED {
            Ended::Again(asked.unwrap_or(Duration::from_secs(1)))
        } else {
            Ended::Failed(asked)
        })
    }

    /// Reads the stream to its end, and says how it ended.
    async fn follow(&self, session: &Watch, stream: &mut Stream, channel: u64) -> String {
        let mut skipped = 0;
        loop {
            match timeout(SILENCE, stream.next()).await {
                Err(_) => return format!("nothing came for {} minutes", SILENCE.as_secs() / 60),
                Ok(Err(why)) => return why,
                Ok(Ok(None)) => {}
                Ok(Ok(Some(event))) => {
                    self.read_in(Some(session), event.data.as_bytes(), Some(&event.id), channel);
                    if !event.id.is_empty() {
                        *self.last_id.lock().unwrap_or_else(PoisonError::into_inner) = Some(event.id);
                    }
                }
            }
            if stream.skipped() > skipped {
                skipped = stream.skipped();
                self.want();
            }
        }
    }

    async fn subscribe(&self, session: &Watch, service: &Service, wanted: &Wanted) -> Result<Ended, Refusal> {
        self.subscribing.store(true, Ordering::Relaxed);
        let made = session.subscribe(service, wanted).await;
        self.subscribing.store(false, Ordering::Relaxed);
        let uri = made?;
        self.seat.desk().kept.subscription = Some(uri.clone());
        self.store().await;
        if !session.stands(&uri, wanted).await? {
            // Made and not there: trying again and again would only fill the BMC's log.
            session.unsubscribe(&uri).await?;
            self.seat.desk().kept.subscription = None;
            return Err(Refusal::NotOffered(format!("{uri}: a subscription was accepted and does not stand")));
        }
        self.say("events are posted by a subscription");
        self.hear(Way::Subscription, SystemClock.now());
        let mut mark = session.session();
        let mut looked = Instant::now();
        loop {
            sleep(SAME_SESSION).await;
            if mark == session.session() && looked.elapsed() < STANDS {
                continue;
            }
            (mark, looked) = (session.session(), Instant::now());
            match session.stands(&uri, wanted).await {
                Ok(true) => {}
                Ok(false) => {
                    tracing::info!(target = %self.target, "the BMC has lost or suspended the subscription; making it again");
                    return Ok(Ended::Again(Duration::ZERO));
                }
                // Whether it stands is not known; the next look will tell.
                Err(Refusal::Failed { cause, detail, .. }) => {
                    tracing::debug!(target = %self.target, cause = cause.as_str(), detail, "the subscription could not be looked at");
                }
                Err(refusal) => return Err(refusal),
            }
        }
    }

    fn refused(&self, refusal: Refusal) -> Ended {
        match refusal {
            Refusal::NotOffered(why) => {
                self.say(&format!("it is polled: {why}"));
                self.seat.desk().rest();
                Ended::Again(RECHECK)
            }
            Refusal::Full(why) => {
                if self.say(&format!("it is polled: {why}")) {
                    tracing::warn!(target = %self.target, why, "the BMC has no room for another listener; delete what is no longer needed there");
                }
                Ended::Again(RECHECK_FULL)
            }
            Refusal::Expired => {
                // A poll renews the session.
                self.want();
                Ended::Failed(None)
            }
            Refusal::Failed { cause, detail, retry_after } => {
                tracing::debug!(target = %self.target, cause = cause.as_str(), detail, "cannot listen yet");
                Ended::Failed(retry_after)
            }
        }
    }

    /// Says how it is listened, if that is news.
    fn say(&self, how: &str) -> bool {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let news = *said != how;
        if news {
            tracing::info!(target = %self.target, "{how}");
            how.clone_into(&mut said);
        }
        news
    }

    fn hear(&self, way: Way, now: Timestamp) {
        self.seat.desk().listen(way, now);
        self.seat.changed.notify_one();
    }

    fn deaf(&self) {
        self.seat.desk().listen_no_more();
        self.seat.changed.notify_one();
    }

    fn want(&self) {
        self.seat.desk().want();
        self.seat.changed.notify_one();
    }

    fn read(&self, body: &[u8], stream_id: Option<&str>, channel: u64) {
        let session = self.sessions.borrow().clone();
        self.read_in(session.as_deref(), body, stream_id, channel);
    }

    fn read_in(&self, session: Option<&Watch>, body: &[u8], stream_id: Option<&str>, channel: u64) {
        let at = SystemClock.now();
        let read = match session {
            Some(session) => session.read(body, stream_id, at),
            None => record::read(body, stream_id, &Memory::default(), at),
        };
        match read {
            Ok(delivery) => {
                let (records, ignored) = (delivery.records.len(), delivery.ignored);
                let news = self.seat.desk().heard(delivery, channel, at);
                tracing::debug!(target = %self.target, records, ignored, news, "heard");
            }
            Err(error) => {
                tracing::debug!(target = %self.target, %error, "something came that cannot be read; the log is");
                self.seat.desk().want();
            }
        }
        self.seat.changed.notify_one();
    }

    /// Deletes the subscription, in the session that is open.
    async fn unsubscribe(&self) {
        let session = self.sessions.borrow().clone();
        let Some(session) = session else { return };
        if let (true, Some(wanted)) = (self.subscribing.load(Ordering::Relaxed), &self.wanted)
            && let Err(why) = session.sweep(wanted).await
        {
            tracing::warn!(target = %self.target, %why, "a subscription that was being made may stay; the next start deletes it");
        }
        self.unsubscribe_in(&session).await;
    }

    async fn unsubscribe_in(&self, session: &Watch) {
        let Some(uri) = self.seat.desk().kept.subscription.clone() else { return };
        // One of a run that had a listener is known by its context.
        let of_old = || Wanted { destination: String::new(), own_prefix: String::new(), context: self.context.clone() };
        match session.forget(&uri, &self.wanted.clone().unwrap_or_else(of_old)).await {
            Ok(()) => self.seat.desk().kept.subscription = None,
            Err(why) => {
                tracing::warn!(target = %self.target, uri, %why, "the subscription could not be deleted; the next start does it")
            }
        }
    }

    async fn store(&self) {
        let bytes = self.seat.desk().take_changes();
        if let Some(bytes) = bytes
            && let Err(error) = self.spooler.append(Lane::Event, Vec::new(), vec![(key(&self.target), bytes)]).await
        {
            tracing::warn!(target = %self.target, %error, "what was heard is not on the disk");
        }
    }

    /// Puts events into the spool, with what is to be stored.
    async fn keep(&self, events: Vec<Observation>) {
        if events.is_empty() {
            return self.store().await;
        }
        let set = outcome::set(&self.target, Section::Log, SystemClock.now(), events);
        let marks = self.seat.desk().take_changes().map(|bytes| (key(&self.target), bytes)).into_iter().collect();
        if let Err(error) = self.spooler.append(Lane::Event, outcome::bodies(set), marks).await {
            tracing::error!(target = %self.target, %error, "events that were heard are lost");
        }
    }

    fn bell(&self, bell: Bell) {
        if self.bells.send(bell).is_err() {
            tracing::debug!(target = %self.target, "the poller hears no bells any more");
        }
    }
}
