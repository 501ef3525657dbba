//! The stream's shell: reads messages, hands batches to the store, sends what the session says.

use crate::auth;
use crate::ingest::registry::{Connection, Registry};
use crate::ingest::session::{Farewell, Session, Step};
use crate::token::Principal;
use outband_proto::ingest::ingest_service_server::IngestService;
use outband_proto::ingest::{StreamRequest, StreamResponse};
use outband_schemas::{AgentId, Clock, Lane};
use outband_store::{AgentHello, Committed, Store, StoreError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
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

/// The ingest service over a store.
#[derive(Debug)]
pub struct Ingest<S, C> {
    store: S,
    clock: Arc<C>,
    registry: Registry,
    shutdown: CancellationToken,
}

impl<S: Store, C: Clock + Send + Sync + 'static> Ingest<S, C> {
    /// A service that ends its streams with a GoAway when `shutdown` is cancelled.
    pub fn new(store: S, clock: Arc<C>, registry: Registry, shutdown: CancellationToken) -> Self {
        Self { store, clock, registry, shutdown }
    }
}

/// Not `async fn`s: the trait is tonic's, and so is its macro.
#[tonic::async_trait]
impl<S: Store, C: Clock + Send + Sync + 'static> IngestService for Ingest<S, C> {
    type StreamStream = ReceiverStream<Result<StreamResponse, Status>>;

    async fn stream(&self, request: Request<Streaming<StreamRequest>>) -> Result<Response<Self::StreamStream>, Status> {
        let principal = auth::principal(&request)?;
        let (out, answers) = mpsc::channel(64);
        let link = Link {
            store: self.store.clone(),
            clock: self.clock.clone(),
            registry: self.registry.clone(),
            shutdown: self.shutdown.clone(),
            principal,
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
    principal: Principal,
    out: mpsc::Sender<Result<StreamResponse, Status>>,
}

/// The next message that somebody wants to be sent; never, where nobody can.
async fn next(down: &mut Option<mpsc::Receiver<StreamResponse>>) -> Option<StreamResponse> {
    match down {
        Some(down) => down.recv().await,
        None => std::future::pending().await,
    }
}

/// The store's answer to one batch.
struct Answer {
    lane: Lane,
    bytes: usize,
    result: Result<Committed, StoreError>,
}

impl<S: Store, C: Clock + Send + Sync + 'static> Link<S, C> {
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
        let (store, asked, now) = (self.store.clone(), hello.clone(), self.clock.now());
        let admission = tokio::task::spawn_blocking(move || store.hello(&asked, now))
            .await
            .map_err(|_| End::Farewell(Farewell::shutdown()))?
            .map_err(|e| {
                tracing::error!(%agent, error = %e, "an agent cannot be admitted");
                session.handle_store_error(&e)
            })?;
        let connection = self.registry.connect(agent, admission.epoch, now);
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
        let mut heard = tokio::time::interval(HEARD_EVERY);
        heard.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = connection.fenced() => return Err(Farewell::fenced().into()),
                Some(answer) = told.recv() => self.acknowledge(session, agent, answer).await?,
                () = self.shutdown.cancelled() => {
                    self.drain(session, agent, &mut told).await?;
                    return Err(Farewell::shutdown().into());
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
