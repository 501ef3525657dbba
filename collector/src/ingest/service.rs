//! The stream's shell: reads messages, hands batches to the store, sends what the session says.

use crate::auth;
use crate::enrol::{Live, Presented};
use crate::ingest::registry::{Connection, Registry};
use crate::ingest::session::{Farewell, Session, Step};
use crate::token::Principal;
use outband_proto::ingest::ingest_service_server::IngestService;
use outband_proto::ingest::{StreamRequest, StreamResponse};
use outband_schemas::{AgentId, Clock, Lane};
use outband_store::{AgentHello, Committed, Epoch, Store, StoreError};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

/// How many bytes of bodies an agent may have on their way: a few batches, so that a commit never waits for the network.
const WINDOW: usize = 8 << 20;
/// The largest message: one batch.
pub const MAX_MESSAGE: usize = 16 << 20;
/// How often a quiet but connected agent is noted as alive. The transport's own pings find out when it is not.
const HEARD_EVERY: Duration = Duration::from_secs(10);
/// How long an agent may take to say Hello.
const HELLO_WITHIN: Duration = Duration::from_secs(30);
/// How long a store may take for what it already has when the collector stops.
const DRAIN: Duration = Duration::from_secs(5);

/// How long a stream stands, about: then a new one, so that agents come back to their first address after a failover, show a certificate that is still good, and
/// spread over what balances them. None loses anything by it.
const AGE: Duration = Duration::from_secs(3600);

/// The ingest service over a store.
#[derive(Debug)]
pub struct Ingest<S, C> {
    store: S,
    clock: Arc<C>,
    registry: Registry,
    shutdown: CancellationToken,
    age: Duration,
    agents: Option<Live>,
}

impl<S: Store, C: Clock + Send + Sync + 'static> Ingest<S, C> {
    /// A service that ends its streams with a GoAway when `shutdown` is cancelled.
    pub fn new(store: S, clock: Arc<C>, registry: Registry, shutdown: CancellationToken) -> Self {
        Self { store, clock, registry, shutdown, age: AGE, agents: None }
    }

    /// The same, where nobody speaks with a token for an agent that was revoked.
    pub fn refusing(self, agents: Live) -> Self {
        Self { agents: Some(agents), ..self }
    }

    /// The same, whose streams stand for about so long.
    pub fn with_age(self, age: Duration) -> Self {
        Self { age, ..self }
    }
}

/// Not `async fn`s: the trait is tonic's, and so is its macro.
#[tonic::async_trait]
impl<S: Store, C: Clock + Send + Sync + 'static> IngestService for Ingest<S, C> {
    type StreamStream = ReceiverStream<Result<StreamResponse, Status>>;

    async fn stream(&self, request: Request<Streaming<StreamRequest>>) -> Result<Response<Self::StreamStream>, Status> {
        let principal = auth::principal(&request)?;
        let presented = request.extensions().get::<Presented>().cloned();
        let (out, answers) = mpsc::channel(64);
        let link = Link {
            store: self.store.clone(),
            clock: self.clock.clone(),
            registry: self.registry.clone(),
            shutdown: self.shutdown.clone(),
            age: self.age,
            principal,
            presented,
            agents: self.agents.clone(),
            out,
        };
        tokio::spawn(link.run(request.into_inner()));
        Ok(Response::new(ReceiverStream::new(answers)))
    }
}

/// Why a stream came to its end.
enum End {
    /// The agent hung up, or the line broke.
    Gone,
    /// It is told why.
    Farewell(Farewell),
    /// It has no business here.
    Denied(String),
}

impl From<Farewell> for End {
    fn from(farewell: Farewell) -> Self {
        Self::Farewell(farewell)
    }
}

/// One stream.
struct Link<S, C> {
    store: S,
    clock: Arc<C>,
    registry: Registry,
    shutdown: CancellationToken,
    age: Duration,
    principal: Principal,
    /// The certificate that it came with, if it did not come with a token.
    presented: Option<Presented>,
    agents: Option<Live>,
    out: mpsc::Sender<Result<StreamResponse, Status>>,
}

/// The next message that somebody wants to be sent; never, where nobody can.
async fn next(down: &mut Option<mpsc::Receiver<StreamResponse>>) -> Option<StreamResponse> {
    match down {
        Some(down) => down.recv().await,
        None => std::future::pending().await,
    }
}

/// Three to five quarters of the age, by the agent and the number of its stream: agents that came all at once after a restart do not go all at once again.
fn spread(age: Duration, agent: &AgentId, epoch: Epoch) -> Duration {
    let mut hasher = std::hash::DefaultHasher::new();
    (agent.as_str(), epoch.0).hash(&mut hasher);
    age.mul_f64(0.75 + (hasher.finish() % 1024) as f64 / 2048.0)
}

/// Waits until the certificate with which an agent came has ended, by the collector's clock; for ever, where it came with none.
async fn ended(presented: Option<&Presented>, clock: &impl Clock) {
    let Some(Presented { identity, .. }) = presented else { return std::future::pending().await };
    loop {
        let left = identity.not_after.since(clock.now());
        if left.is_zero() {
            return;
        }
        // In steps: the clock may be set meanwhile.
        tokio::time::sleep(left.min(HEARD_EVERY)).await;
    }
}

/// The store's answer to one batch.
struct Answer {
    lane: Lane,
    bytes: usize,
    result: Result<Committed, StoreError>,
}

impl<S: Store, C: Clock + Send + Sync + 'static> Link<S, C> {
    /// Whether what it came with still speaks for this agent.
    fn not_revoked(&self, agent: &AgentId) -> Result<(), End> {
        match (&self.presented, &self.agents) {
            (Some(presented), _) => presented.check().map_err(|status| End::Denied(status.message().to_owned())),
            (None, Some(live)) if live.revoked(agent).is_some() => {
                tracing::warn!(%agent, "somebody speaks with a token for an agent that was revoked; refused");
                Err(End::Denied(format!(
                    "agent {agent} was revoked: no token speaks for it any more, only a certificate issued since (outband agent invite --agent {agent} --site SITE)"
                )))
            }
            (None, _) => Ok(()),
        }
    }

    async fn run(self, messages: impl Stream<Item = Result<StreamRequest, Status>> + Unpin + Send) {
        let end = match self.serve(messages).await {
            Ok(()) => return,
            Err(end) => end,
        };
        let last = match end {
            End::Gone => return,
            End::Farewell(farewell) => Ok(farewell.message()),
            End::Denied(why) => Err(Status::permission_denied(why)),
        };
        // The agent may be gone already; then there is nobody to tell.
        self.out.send(last).await.unwrap_or_default();
    }

    async fn serve(
        &self,
        mut messages: impl Stream<Item = Result<StreamRequest, Status>> + Unpin + Send,
    ) -> Result<(), End> {
        let mut session = Session::new(WINDOW);
        let first = tokio::select! {
            () = self.shutdown.cancelled() => return Err(Farewell::shutdown().into()),
            first = tokio::time::timeout(HELLO_WITHIN, messages.next()) => first,
        };
        let first = first.map_err(|_| Farewell::protocol("no Hello in time"))?;
        let Some(Ok(first)) = first else { return Err(End::Gone) };
        let Step::Admit(hello) = session.handle_message(first)? else {
            return Err(Farewell::protocol("the first message must be Hello").into());
        };
        let mut connection = self.admit(&mut session, &hello).await?;
        let agent = hello.agent;
        let result = self.exchange(&mut session, &agent, &mut connection, messages).await;
        drop(connection);
        match &result {
            Err(End::Farewell(farewell)) => {
                tracing::info!(%agent, reason = ?farewell.reason, "stream ended: {}", farewell.detail)
            }
            _ => tracing::info!(%agent, "agent disconnected"),
        }
        result
    }

    async fn admit(&self, session: &mut Session, hello: &AgentHello) -> Result<Connection, End> {
        let agent = &hello.agent;
        if !self.principal.speaks_for(agent) {
            tracing::warn!(%agent, token = %self.principal.name, "an agent's own token was used by another agent");
            return Err(End::Denied(format!(
                "permission ingest.stream of agent {agent} is missing: this token speaks for agent {} only",
                self.principal.name
            )));
        }
        if let Some(Presented { identity, .. }) = self.presented.as_ref().filter(|p| p.identity.site != hello.site) {
            tracing::warn!(%agent, site = %hello.site, "an agent says that it is at another site than its certificate");
            return Err(End::Denied(format!(
                "permission ingest.stream of site {} is missing: this certificate is of agent {agent} at site {}",
                hello.site, identity.site
            )));
        }
        self.not_revoked(agent)?;
        let now = self.clock.now();
        let (tell, told) = oneshot::channel();
        // Not on a blocking thread: when a site comes back, thousands of hellos wait for one commit.
        let done = move |result| {
            // Nobody waits once the line broke.
            tell.send(result).unwrap_or_default();
        };
        self.store.hello_then(hello.clone(), now, Box::new(done));
        let admission = told.await.map_err(|_| End::Farewell(Farewell::shutdown()))?.map_err(|e| {
            tracing::error!(%agent, error = %e, "an agent cannot be admitted");
            session.handle_store_error(&e)
        })?;
        let connection = self.registry.connect(agent, admission.epoch, now);
        if let Some(presented) = &self.presented {
            connection.identified(presented.identity.not_after);
        }
        // Whoever was revoked since he was let in, and before there was a connection to cut.
        self.not_revoked(agent)?;
        let welcome = session.handle_admission(&admission)?;
        tracing::info!(%agent, site = %hello.site, version = %hello.version, targets = hello.targets.len(), spool = %hello.spool_id, "agent connected");
        self.send(welcome).await?;
        Ok(connection)
    }

    async fn exchange(
        &self,
        session: &mut Session,
        agent: &AgentId,
        connection: &mut Connection,
        mut messages: impl Stream<Item = Result<StreamRequest, Status>> + Unpin + Send,
    ) -> Result<(), End> {
        // Unbounded, as the store's writer must never wait; the session's window bounds it.
        let (tell, mut told) = mpsc::unbounded_channel::<Answer>();
        let mut down = connection.messages();
        let aged = tokio::time::sleep(spread(self.age, agent, connection.epoch()));
        let ended = ended(self.presented.as_ref(), &*self.clock);
        tokio::pin!(aged, ended);
        let mut heard = tokio::time::interval(HEARD_EVERY);
        heard.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = connection.fenced() => return Err(Farewell::fenced().into()),
                () = connection.cut_off() => {
                    tracing::warn!(%agent, "the agent was revoked: its stream is cut");
                    return Err(End::Denied(format!("agent {agent} was revoked")));
                }
                () = &mut ended => {
                    tracing::warn!(%agent, "the agent's certificate has ended and was not renewed: its stream is cut");
                    self.drain(session, agent, &mut told).await?;
                    return Err(End::Denied(format!("the certificate of agent {agent} has ended")));
                }
                Some(answer) = told.recv() => self.acknowledge(session, agent, answer).await?,
                () = self.shutdown.cancelled() => {
                    self.drain(session, agent, &mut told).await?;
                    return Err(Farewell::shutdown().into());
                }
                () = &mut aged => {
                    self.drain(session, agent, &mut told).await?;
                    return Err(Farewell::aged().into());
                }
                Some(message) = next(&mut down) => self.send(message).await?,
                _ = heard.tick() => self.note_alive(agent),
                message = messages.next(), if session.has_room() => match message {
                    None | Some(Err(_)) => return Err(End::Gone),
                    Some(Ok(message)) => if let Err(end) = self.take(session, agent, message, &tell) {
                        self.drain(session, agent, &mut told).await?;
                        return Err(end);
                    },
                },
            }
        }
    }

    fn take(
        &self,
        session: &mut Session,
        agent: &AgentId,
        message: StreamRequest,
        tell: &mpsc::UnboundedSender<Answer>,
    ) -> Result<(), End> {
        match session.handle_message(message).inspect_err(|f| tracing::warn!(%agent, "protocol error: {}", f.detail))? {
            Step::Submit { batch, bytes } => {
                let lane = batch.lane;
                let tell = tell.clone();
                self.store.commit_then(
                    batch,
                    self.clock.now(),
                    Box::new(move |result| {
                        // Nobody listens once the stream ended: the agent learns the mark from its next Welcome.
                        tell.send(Answer { lane, bytes, result }).unwrap_or_default();
                    }),
                );
            }
            Step::Ordered(result) => {
                tracing::warn!(%agent, order = %result.id, "an answer to an order came beside the event lane, and is not taken");
            }
            Step::Admit(_) => return Err(Farewell::protocol("a second Hello on one stream").into()),
        }
        Ok(())
    }

    async fn acknowledge(&self, session: &mut Session, agent: &AgentId, answer: Answer) -> Result<(), End> {
        match answer.result {
            Ok(committed) => self.send(session.handle_committed(answer.lane, answer.bytes, committed)).await,
            Err(error) => {
                match &error {
                    StoreError::Fenced { .. } | StoreError::Closed => {}
                    StoreError::Jump { .. } | StoreError::DifferentBody { .. } => {
                        tracing::warn!(%agent, %error, "a batch was refused");
                    }
                    _ => tracing::error!(%agent, %error, "a batch cannot be stored; the agent keeps it"),
                }
                Err(session.handle_store_error(&error).into())
            }
        }
    }

    /// Acknowledges what the store still finishes, so that the agent need not send it again.
    async fn drain(
        &self,
        session: &mut Session,
        agent: &AgentId,
        told: &mut mpsc::UnboundedReceiver<Answer>,
    ) -> Result<(), End> {
        let deadline = tokio::time::Instant::now() + DRAIN;
        while session.is_waiting() {
            match tokio::time::timeout_at(deadline, told.recv()).await {
                Ok(Some(answer)) => self.acknowledge(session, agent, answer).await?,
                Ok(None) | Err(_) => break,
            }
        }
        Ok(())
    }

    fn note_alive(&self, agent: &AgentId) {
        let (store, agent, now) = (self.store.clone(), agent.clone(), self.clock.now());
        tokio::task::spawn_blocking(move || {
            if let Err(error) = store.heard(&agent, now) {
                tracing::warn!(%agent, %error, "cannot note that the agent is alive");
            }
        });
    }

    async fn send(&self, message: StreamResponse) -> Result<(), End> {
        self.out.send(Ok(message)).await.map_err(|_| End::Gone)
    }
}

#[cfg(test)]
mod tests;
