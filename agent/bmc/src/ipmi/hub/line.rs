//! A client's end of one session in a hub.

use super::super::message::{Request, Response};
use super::super::poll::{Ask, Patience, Reply};
use super::super::refusal;
use super::super::session::{Config, RequestError};
use super::replies::Replies;
use super::{Command, Facts, Hub, LineId, now};
use crate::{ConnectError, PollStats, RungReport, Target};
use outband_schemas::{Clock, Timestamp};
use rand::SeedableRng;
use rand::rngs::{StdRng, SysRng};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use tokio::net::lookup_host;
use tokio::sync::{mpsc, oneshot};

/// An open session in a hub. Dropped rather than closed, it still says good-bye: leaked sessions lock a BMC's door.
#[derive(Debug)]
pub struct Line {
    commands: mpsc::UnboundedSender<Command>,
    id: LineId,
    climbed: Vec<RungReport>,
    facts: Facts,
    /// When the time for what is asked is over.
    until: Option<Instant>,
}

impl Line {
    /// Climbs the ladder up to and including [`crate::Rung::Privilege`].
    pub async fn open(hub: &Hub, target: &Target) -> Result<Self, ConnectError> {
        let Some((host, port)) = target.address.host_port() else {
            return Err(refusal::unreachable("no network leads to this address"));
        };
        let unreachable = |detail: &str| refusal::unreachable(detail);
        let peers = lookup_host((host, port)).await.map_err(|e| unreachable(&e.to_string()))?;
        let mut last = unreachable(&format!("{host} has no address"));
        for peer in peers {
            match Self::open_at(hub, target, peer).await {
                Ok(line) => return Ok(line),
                // A name with several addresses may have one that leads nowhere.
                Err(error) if error.cause == outband_schemas::Cause::Unreachable => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    async fn open_at(hub: &Hub, target: &Target, peer: SocketAddr) -> Result<Self, ConnectError> {
        let random = StdRng::try_from_rng(&mut SysRng);
        let random = random.map_err(|e| refusal::unreachable(&format!("no randomness: {e}")))?;
        let login = Box::new((Config::of(target), random));
        let id = hub.next_line();
        // From here on, giving up drops the line, and with it what the loop holds of it.
        let mut line =
            Self { commands: hub.commands.clone(), id, climbed: Vec::new(), facts: Facts::default(), until: None };
        let (tell, told) = oneshot::channel();
        let gone = || refusal::unreachable("the loop that speaks IPMI has ended");
        line.commands.send(Command::Open { line: id, peer, login, tell }).map_err(|_| gone())?;
        (line.climbed, line.facts) = told.await.map_err(|_| gone())??;
        Ok(line)
    }

    /// From now on a request that is not answered is given up and not sent again in a new session.
    pub fn at_most_once(&mut self) {
        // A loop that has ended sends nothing at all.
        self.commands.send(Command::AtMostOnce(self.id)).ok();
    }

    /// Until when what is asked from now on is waited for altogether; `None`: each request for its own deadline.
    pub fn finish_by(&mut self, until: Option<Instant>) {
        self.until = until;
    }

    /// The rungs that held while connecting.
    pub fn climbed(&self) -> &[RungReport] {
        &self.climbed
    }

    /// What was sent and received until the last answer.
    pub fn stats(&self) -> PollStats {
        self.facts.stats
    }

    /// Whether a login that renewed the session was refused.
    pub fn was_refused(&self) -> bool {
        self.facts.refused
    }

    /// Ends the session at the BMC.
    pub async fn close(self) {
        let (tell, told) = oneshot::channel();
        if self.commands.send(Command::Close { line: self.id, tell }).is_ok() {
            // A loop that has ended has said good-bye to nobody; the BMC expires the session.
            told.await.ok();
        }
    }

    /// Puts requests, one after the other; `None` where the loop has ended.
    async fn put(&mut self, requests: Arc<[Request]>, patience: Patience) -> Option<Replies> {
        let (tell, told) = oneshot::channel();
        self.commands.send(Command::Ask { line: self.id, requests, patience, until: self.until, tell }).ok()?;
        let told = told.await.ok()?;
        self.facts = told.facts;
        Some(told.replies)
    }
}

fn lost() -> RequestError {
    RequestError::Lost(Box::new(refusal::unreachable("the session is closed")))
}

impl Ask for Line {
    async fn ask(&mut self, request: Request) -> Result<Response, RequestError> {
        let replies = self.put(Arc::from([request]), Patience::default()).await;
        replies.and_then(|replies| replies.into_each().last()).map_or_else(|| Err(lost()), |(result, _)| result)
    }

    /// All of them in one go: the loop puts one after the other, and nobody is woken before the last is answered.
    async fn ask_each(
        &mut self,
        requests: &Arc<[Request]>,
        patience: Patience,
        clock: &(impl Clock + Sync),
    ) -> Vec<Reply> {
        let replies = self.put(requests.clone(), patience).await;
        let (instant, stamp) = (now(), clock.now());
        let Some(replies) = replies.filter(|replies| !replies.is_empty() || requests.is_empty()) else {
            return vec![Reply { result: Err(lost()), at: stamp }];
        };
        let dated = |at: Instant| {
            let ago = i64::try_from(instant.saturating_duration_since(at).as_millis()).unwrap_or(0);
            Timestamp::from_millis(stamp.as_millis() - ago)
        };
        replies.into_each().map(|(result, at)| Reply { result, at: dated(at) }).collect()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // Of a line that was closed the loop knows nothing any more.
        self.commands.send(Command::Abandon(self.id)).ok();
    }
}
