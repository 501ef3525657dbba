//! The network between agents and collector: lines in memory that are late, held up, cut in the middle of a message, or gone without a word.

use super::lock;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::sync::{mpsc, watch};

/// So much a line holds in either direction before the sender has to wait.
const BUFFER: usize = 64 << 10;

/// How a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// It carries.
    Open,
    /// What is sent waits: lost packets are sent again once the way is free.
    Held,
    /// It carries nothing any more, and neither end is told.
    Gone,
    /// It is reset, in the middle of what it carries.
    Cut,
}

struct Line {
    agent: usize,
    flow: watch::Sender<Flow>,
}

#[derive(Default)]
struct Way {
    blocked: bool,
    /// The most that a piece takes, in milliseconds.
    latency_ms: u64,
}

struct State {
    ways: Vec<Way>,
    lines: Vec<Line>,
    /// Where the collector takes lines; `None`: nobody listens.
    door: Option<mpsc::UnboundedSender<io::Result<DuplexStream>>>,
    rng: StdRng,
}

/// The network. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Net(Arc<Mutex<State>>);

impl Net {
    /// Sound ways for so many agents.
    pub(crate) fn new(agents: usize, seed: u64) -> Self {
        let ways = (0..agents).map(|_| Way { blocked: false, latency_ms: 5 }).collect();
        Self(Arc::new(Mutex::new(State { ways, lines: Vec::new(), door: None, rng: StdRng::seed_from_u64(seed) })))
    }

    /// The collector listens from now on: what it is to serve.
    pub(crate) fn listen(&self) -> mpsc::UnboundedReceiver<io::Result<DuplexStream>> {
        let (door, lines) = mpsc::unbounded_channel();
        lock(&self.0).door = Some(door);
        lines
    }

    /// The collector does not listen any more.
    pub(crate) fn deafen(&self) {
        lock(&self.0).door = None;
    }

    /// A line of an agent to the collector.
    pub(crate) async fn dial(&self, agent: usize) -> io::Result<DuplexStream> {
        let wait = self.late(agent);
        tokio::time::sleep(wait).await;
        loop {
            if let Some(made) = self.connect(agent) {
                return made;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// A line; `None` while the way is blocked.
    fn connect(&self, agent: usize) -> Option<io::Result<DuplexStream>> {
        let mut state = lock(&self.0);
        if state.ways[agent].blocked {
            return None;
        }
        let (near, near_inner) = tokio::io::duplex(BUFFER);
        let (far, far_inner) = tokio::io::duplex(BUFFER);
        if state.door.as_ref().is_none_or(|door| door.send(Ok(far)).is_err()) {
            return Some(Err(io::ErrorKind::ConnectionRefused.into()));
        }
        let (flow, seen) = watch::channel(Flow::Open);
        state.lines.retain(|line| !line.flow.is_closed());
        state.lines.push(Line { agent, flow });
        tokio::spawn(self.clone().carry(agent, near_inner, far_inner, seen));
        Some(Ok(near))
    }

    /// Blocks an agent's way, or frees it.
    pub(crate) fn block(&self, agent: usize, blocked: bool) {
        let mut state = lock(&self.0);
        state.ways[agent].blocked = blocked;
        let flow = if blocked { Flow::Held } else { Flow::Open };
        for line in state.lines.iter().filter(|l| l.agent == agent) {
            line.flow.send_if_modified(|f| matches!(*f, Flow::Open | Flow::Held) && std::mem::replace(f, flow) != flow);
        }
    }

    /// How late pieces may be, in milliseconds.
    pub(crate) fn slow(&self, agent: usize, latency_ms: u64) {
        lock(&self.0).ways[agent].latency_ms = latency_ms;
    }

    /// Cuts the lines of an agent, or has them vanish.
    pub(crate) fn end(&self, agent: usize, flow: Flow) {
        let state = lock(&self.0);
        state.lines.iter().filter(|l| l.agent == agent).for_each(|l| set(l, flow));
    }

    /// Cuts all lines, or has them vanish.
    pub(crate) fn end_all(&self, flow: Flow) {
        lock(&self.0).lines.iter().for_each(|l| set(l, flow));
    }

    fn late(&self, agent: usize) -> Duration {
        let mut state = lock(&self.0);
        let most = state.ways[agent].latency_ms.max(1);
        Duration::from_millis(state.rng.random_range(0..=most))
    }

    async fn carry(self, agent: usize, near: DuplexStream, far: DuplexStream, flow: watch::Receiver<Flow>) {
        let (near_out, near_in) = tokio::io::split(near);
        let (far_out, far_in) = tokio::io::split(far);
        let up = self.one_way(agent, near_out, far_in, flow.clone());
        let down = self.one_way(agent, far_out, near_in, flow.clone());
        let mut ended = flow;
        tokio::select! {
            biased;
            _ = ended.wait_for(|f| *f == Flow::Cut) => {}
            _ = async { tokio::join!(up, down) } => {}
        }
    }

    async fn one_way(
        &self,
        agent: usize,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
        mut flow: watch::Receiver<Flow>,
    ) {
        let mut buffer = vec![0; 16 << 10];
        loop {
            let bytes = from.read(&mut buffer).await.unwrap_or(0);
            tokio::time::sleep(self.late(agent)).await;
            // Whoever holds the sender is gone only with the whole simulation.
            let now = flow.wait_for(|f| *f != Flow::Held).await.map_or(Flow::Gone, |f| *f);
            if now == Flow::Gone {
                return std::future::pending().await;
            }
            if bytes == 0 {
                // The far end may be gone already.
                return to.shutdown().await.unwrap_or_default();
            }
            let half = lock(&self.0).rng.random_range(0..bytes);
            // In two parts, so that a cut falls into a message.
            if to.write_all(&buffer[..half]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
            if to.write_all(&buffer[half..bytes]).await.is_err() {
                return;
            }
        }
    }
}

fn set(line: &Line, flow: Flow) {
    line.flow.send_if_modified(|f| *f != Flow::Cut && std::mem::replace(f, flow) != flow);
}
