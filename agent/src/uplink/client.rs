//! The connection: TLS, the bearer token, keep-alive, and coming back after a failure.

#[cfg(test)]
mod tests;

use super::backoff::Backoff;
use super::session::{self, Action, Session};
use super::{Credential, Link, Options, Settings};
use crate::orders::Ask;
use crate::spooler::{self, Held, Spooler};
use outband_proto::ingest::{StreamRequest, StreamResponse, ingest_service_client::IngestServiceClient};
use outband_schemas::SpoolId;
use rand::Rng;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

const CONNECT_WITHIN: Duration = Duration::from_secs(10);
const WELCOME_WITHIN: Duration = Duration::from_secs(30);
const PING_EVERY: Duration = Duration::from_secs(20);
const PONG_WITHIN: Duration = Duration::from_secs(20);
const LAST_WORDS_WITHIN: Duration = Duration::from_secs(2);
/// Batches that wait between session and connection.
const QUEUED: usize = 2;

/// Why an attempt, or a stream, ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file that the config names cannot be read.
    #[error("{path} cannot be read: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The token file holds what cannot go into a header.
    #[error("{path} holds no token: one line of printable ASCII is wanted")]
    Token {
        /// The file.
        path: PathBuf,
    },
    /// The endpoint is no https URL: the token would go in the clear.
    #[error("{0:?} is no collector address; write https://HOST:PORT")]
    Address(String),
    /// No connection.
    #[error("{0}")]
    Connect(String),
    /// The collector refused, or the stream broke.
    #[error("{}: {}", .0.code(), .0.message())]
    Status(#[from] Box<tonic::Status>),
    /// The collector closed the stream without a word.
    #[error("the collector closed the stream")]
    Closed,
    /// No Welcome in time.
    #[error("the collector did not say Welcome within {} s", WELCOME_WITHIN.as_secs())]
    NoWelcome,
    /// The protocol says that the stream is over.
    #[error(transparent)]
    Session(#[from] session::Error),
    /// The spool does not answer.
    #[error(transparent)]
    Spool(#[from] spooler::Error),
    /// The settings changed: say Hello again.
    #[error("the settings changed")]
    Again,
}

/// How a connection to a collector is made.
pub trait Dial: Send + Sync {
    /// A connection to this endpoint, ready for a stream, and the token that goes with it; none where the connection itself says who comes.
    fn dial(
        &self,
        endpoint: &str,
        options: &Options,
    ) -> impl Future<Output = Result<(Channel, Option<MetadataValue<Ascii>>), Error>> + Send;
}

/// TLS over TCP, the collector known by the CA, the agent by its certificate or its token.
#[derive(Debug, Clone, Copy)]
pub struct Tls;

impl Dial for Tls {
    async fn dial(&self, endpoint: &str, options: &Options) -> Result<(Channel, Option<MetadataValue<Ascii>>), Error> {
        let channel = connect(endpoint, options).await?;
        Ok((channel, token(&options.credential).await?))
    }
}

/// The endpoint, with pings: a line that is silently gone is noticed within the two times.
pub fn kept_alive(endpoint: Endpoint) -> Endpoint {
    pinged(endpoint, PING_EVERY, PONG_WITHIN)
}

fn pinged(endpoint: Endpoint, every: Duration, within: Duration) -> Endpoint {
    endpoint
        .connect_timeout(CONNECT_WITHIN)
        .http2_keep_alive_interval(every)
        .keep_alive_timeout(within)
        .keep_alive_while_idle(true)
}

/// Brings what the spool holds to the collector, until cancelled. Never fails: whatever ends a stream, it tells `link` and tries again.
pub async fn run(
    settings: watch::Receiver<Settings>,
    spooler: Spooler,
    link: watch::Sender<Link>,
    orders: mpsc::Sender<Ask>,
    rng: impl Rng + Send,
    cancel: CancellationToken,
) {
    run_over(Tls, settings, spooler, link, orders, rng, cancel).await;
}

/// Like [`run`], over connections made by `dial`.
pub async fn run_over(
    dial: impl Dial,
    mut settings: watch::Receiver<Settings>,
    spooler: Spooler,
    link: watch::Sender<Link>,
    orders: mpsc::Sender<Ask>,
    mut rng: impl Rng + Send,
    cancel: CancellationToken,
) {
    let mut backoff = Backoff::default();
    let mut turn = 0usize;
    while !cancel.is_cancelled() {
        let now = settings.borrow_and_update().clone();
        let count = now.options.endpoints.len().max(1);
        let endpoint = now.options.endpoints.get(turn % count).cloned().unwrap_or_default();
        let mut attempt = Attempt {
            dial: &dial,
            settings: &mut settings,
            now,
            spooler: &spooler,
            link: &link,
            orders: &orders,
            backoff: &mut backoff,
            acked: false,
        };
        let ended = tokio::select! {
            biased;
            () = cancel.cancelled() => break,
            ended = attempt.run(&endpoint) => ended,
        };
        let Err(error) = ended;
        let acked = attempt.acked;
        report(&endpoint, &error);
        link.send_modify(|l| *l = Link { connected: None, last_error: Some(format!("{endpoint}: {error}")) });
        if matches!(error, Error::Again) {
            continue;
        }
        if acked && matches!(&error, Error::Session(ended) if ended.is_for_a_new_stream()) {
            // The first address again: after a failover, this is the way back.
            turn = 0;
            continue;
        }
        turn = turn.wrapping_add(1);
        // The other addresses at once; the wait is between rounds.
        let wait = if turn.is_multiple_of(count) { backoff.next(&mut rng) } else { Duration::ZERO };
        tokio::select! {
            () = cancel.cancelled() => break,
            () = tokio::time::sleep(wait) => {}
            () = changed(&mut settings) => {}
        }
    }
    link.send_modify(|l| l.connected = None);
}

fn report(endpoint: &str, error: &Error) {
    use outband_proto::ingest::go_away::Reason;
    match error {
        Error::Again => tracing::info!(endpoint, "saying Hello again"),
        Error::Session(session::Error::GoAway { reason: Reason::Shutdown, .. }) => {
            tracing::info!(endpoint, "the collector shuts down; the spool keeps what comes");
        }
        Error::Session(ended) if ended.is_for_a_new_stream() => {
            tracing::info!(endpoint, "the collector wants a new stream");
        }
        Error::Session(session::Error::GoAway { reason: Reason::ProtocolVersion, .. }) => {
            tracing::error!(endpoint, %error, "the collector is older than this agent; the spool keeps what comes");
        }
        Error::Session(ended) if ended.needs_new_spool_id() => {
            tracing::error!(endpoint, %error, "this spool lost commits or was rolled back; it takes a new id and sends again what is not acknowledged");
        }
        Error::Session(session::Error::Protocol(_)) | Error::Spool(_) => {
            tracing::error!(endpoint, %error, "the stream ended");
        }
        _ => tracing::warn!(endpoint, %error, "not connected to the collector; the spool keeps what comes"),
    }
}

async fn renew(spooler: &Spooler, id: SpoolId) {
    if let Err(error) = spooler.renew(id).await {
        tracing::error!(%error, "the spool could not take a new id");
    }
}

enum Never {}

struct Attempt<'a, D> {
    dial: &'a D,
    settings: &'a mut watch::Receiver<Settings>,
    now: Settings,
    spooler: &'a Spooler,
    link: &'a watch::Sender<Link>,
    orders: &'a mpsc::Sender<Ask>,
    backoff: &'a mut Backoff,
    /// Whether the stream brought anything.
    acked: bool,
}

impl<D: Dial> Attempt<'_, D> {
    /// Connects and streams until something ends it.
    async fn run(&mut self, endpoint: &str) -> Result<Never, Error> {
        let (channel, token) = self.dial.dial(endpoint, &self.now.options).await?;
        let mut held = self.spooler.held();
        let first = *held.borrow_and_update();
        let Err(ended) = self.stream(endpoint, channel, token, held, first).await;
        if let Error::Session(error) = &ended
            && error.needs_new_spool_id()
        {
            renew(self.spooler, first.id).await;
        }
        Err(ended)
    }

    async fn stream(
        &mut self,
        endpoint: &str,
        channel: Channel,
        token: Option<MetadataValue<Ascii>>,
        mut held: watch::Receiver<Held>,
        first: Held,
    ) -> Result<Never, Error> {
        let mut session = Session::new(&self.now.announce, first);

        let (up, outbox) = mpsc::channel(QUEUED);
        self.obey(&mut session, first.id, &up).await?;
        let mut request = tonic::Request::new(ReceiverStream::new(outbox));
        if let Some(token) = token {
            request.metadata_mut().insert("authorization", token);
        }
        let mut client = IngestServiceClient::new(channel);
        let opening = tokio::time::timeout(WELCOME_WITHIN, client.stream(request)).await;
        let opening = opening.map_err(|_| Error::NoWelcome)?;
        let mut down = opening.map_err(Box::new)?.into_inner();

        let mut welcome_until = Some(tokio::time::Instant::now() + WELCOME_WITHIN);
        loop {
            let message = tokio::select! {
                // In this order, so that what happens depends on what came, not on chance.
                biased;
                message = down.message() => Some(message.map_err(Box::new)?.ok_or(Error::Closed)?),
                changed = held.changed() => {
                    changed.map_err(|_| spooler::Error::Closed)?;
                    let now = *held.borrow_and_update();
                    if now.id != first.id {
                        return Err(spooler::Error::Replaced.into());
                    }
                    session.handle_held(now);
                    None
                }
                () = changed(self.settings) => return Err(Error::Again),
                () = sleep_until(welcome_until) => return Err(Error::NoWelcome),
            };
            if let Some(message) = message {
                self.take(&mut session, message, endpoint)?;
                if session.is_welcomed() {
                    welcome_until = None;
                }
            }
            match self.obey(&mut session, first.id, &up).await {
                // The way up is shut; what comes down says why.
                Err(Error::Closed) => last_words(&mut down).await?,
                done => done?,
            }
        }
    }

    fn take(&mut self, session: &mut Session, message: StreamResponse, endpoint: &str) -> Result<(), Error> {
        let welcomed = session.is_welcomed();
        session.handle_message(message)?;
        if !welcomed && session.is_welcomed() {
            tracing::info!(endpoint, "connected to the collector");
            self.link.send_modify(|l| *l = Link { connected: Some(endpoint.to_owned()), last_error: None });
        }
        if session.is_acked() {
            self.acked = true;
            self.backoff.reset();
        }
        Ok(())
    }

    /// Does what the session wants done.
    async fn obey(&self, session: &mut Session, id: SpoolId, up: &mpsc::Sender<StreamRequest>) -> Result<(), Error> {
        while let Some(action) = session.poll_action() {
            match action {
                Action::Send(message) => up.send(message).await.map_err(|_| Error::Closed)?,
                Action::Peek { lane, after, max_bytes } => {
                    let peek = self.spooler.peek(id, lane, after, max_bytes).await?;
                    session.handle_peek(lane, peek)?;
                }
                Action::Release { lane, through } => match self.spooler.release(id, lane, through).await {
                    // What is on the disk can be delivered all the same, and the next Ack releases this too.
                    Err(error) if error.is_full() => {
                        tracing::warn!(lane = lane.as_str(), %error, "what the collector has cannot be noted as released");
                    }
                    done => done?,
                },
                Action::Order(order) => self.hand_on(Ask::Order(order)),
                Action::Revoke(id) => self.hand_on(Ask::Revoke(id)),
            }
        }
        Ok(())
    }
}

impl<D> Attempt<'_, D> {
    /// The stream never waits for a BMC: what finds no room comes again, for the collector repeats what got no answer.
    fn hand_on(&self, ask: Ask) {
        if self.orders.try_send(ask).is_err() {
            tracing::warn!("too many orders at once; this one waits until the collector sends it again");
        }
    }
}

async fn last_words(down: &mut tonic::Streaming<StreamResponse>) -> Result<(), Error> {
    use outband_proto::ingest::stream_response::Message;
    while let Ok(message) = tokio::time::timeout(LAST_WORDS_WITHIN, down.message()).await {
        match message.map_err(Box::new)?.and_then(|m| m.message) {
            Some(Message::GoAway(g)) => {
                return Err(session::Error::of(g).into());
            }
            Some(_) => {}
            None => break,
        }
    }
    Err(Error::Closed)
}

/// Waits for new settings; for ever, where nobody can bring any.
async fn changed(settings: &mut watch::Receiver<Settings>) {
    if settings.changed().await.is_err() {
        std::future::pending().await
    }
}

async fn sleep_until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// A connection to this endpoint, with the agent's certificate where it has one.
pub(crate) async fn connect(endpoint: &str, options: &Options) -> Result<Channel, Error> {
    let address = kept_alive(secured(endpoint, options).await?);
    address.tcp_nodelay(true).connect().await.map_err(|e| Error::Connect(chain(&e)))
}

/// The address, by TLS alone.
async fn secured(endpoint: &str, options: &Options) -> Result<Endpoint, Error> {
    if !endpoint.starts_with("https://") {
        return Err(Error::Address(endpoint.to_owned()));
    }
    let address = Endpoint::from_shared(endpoint.to_owned()).map_err(|_| Error::Address(endpoint.to_owned()))?;
    let ca = read(&options.ca_file).await?;
    let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca));
    if let Some(name) = &options.server_name {
        tls = tls.domain_name(name.clone());
    }
    if let Credential::Identity { file, .. } = &options.credential {
        let pem = read(file).await?;
        tls = tls.identity(Identity::from_pem(&pem, &pem));
    }
    address.tls_config(tls).map_err(|e| Error::Connect(chain(&e)))
}

async fn token(credential: &Credential) -> Result<Option<MetadataValue<Ascii>>, Error> {
    let Credential::Token(path) = credential else { return Ok(None) };
    let text = read(path).await?;
    let bad = || Error::Token { path: path.to_owned() };
    let text = text.trim();
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(bad());
    }
    let mut value: MetadataValue<Ascii> = format!("Bearer {text}").parse().map_err(|_| bad())?;
    value.set_sensitive(true);
    Ok(Some(value))
}

async fn read(path: &Path) -> Result<String, Error> {
    tokio::fs::read_to_string(path).await.map_err(|source| Error::File { path: path.to_owned(), source })
}

/// An error with its causes: tonic's own words are only "transport error".
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = error.source();
    }
    text
}
