//! Many BMCs through one socket: a hub holds the sessions of all, and one loop drives them.
//!
//! [`Hub`] is the handle that clients open lines with; [`Driver::run`] is the loop. What it drives is `table`, which knows neither sockets nor clocks; `wire` moves
//! datagrams in batches; a [`Line`] is a client's end of one session. Between polls a line costs memory, and two datagrams now and then
//! that keep its session open; no task, no socket, no buffer.

mod line;
mod outbox;
mod pace;
mod peers;
mod replies;
mod table;
#[cfg(test)]
mod tests;
mod wire;

pub use line::Line;

use super::library::Library;
use super::message::Request;
use super::poll::Patience;
use super::refusal;
use super::session::Config;
use crate::{ConnectError, PollStats, RungReport};
use pace::Pace;
use rand::rngs::StdRng;
use replies::Replies;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use table::Table;
use tokio::sync::{mpsc, oneshot};
use wire::Wires;

/// After such a time what the kernel had no room for is tried again.
const AGAIN: Duration = Duration::from_millis(1);
/// How many commands are taken in one turn of the loop.
const COMMANDS: usize = 256;

/// Names a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct LineId(u64);

/// What a line has sent and met so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Facts {
    stats: PollStats,
    /// A login that renewed the session was refused.
    refused: bool,
}

/// What came of a list of requests; shorter than the list where the rest was given up.
#[derive(Debug)]
struct Told {
    replies: Replies,
    facts: Facts,
}

/// What a client wants of the loop.
#[derive(Debug)]
enum Command {
    Open {
        line: LineId,
        peer: SocketAddr,
        login: Box<(Config, StdRng)>,
        tell: oneshot::Sender<Opened>,
    },
    /// Requests, how long a BMC that does not answer is asked on, and when the time for them is over.
    Ask {
        line: LineId,
        requests: Arc<[Request]>,
        patience: Patience,
        until: Option<Instant>,
        tell: oneshot::Sender<Told>,
    },
    AtMostOnce(LineId),
    Close {
        line: LineId,
        tell: oneshot::Sender<()>,
    },
    Abandon(LineId),
}

/// What a hub's sockets have moved so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Datagrams, of both directions.
    pub datagrams: u64,
    /// System calls that moved them.
    pub calls: u64,
}

/// [`Traffic`] as the loop counts it.
#[derive(Debug, Default)]
struct Moved {
    datagrams: AtomicU64,
    calls: AtomicU64,
}

impl Moved {
    /// One call moved so many.
    fn note(&self, datagrams: usize) {
        self.datagrams.fetch_add(u64::try_from(datagrams).unwrap_or(0), Ordering::Relaxed);
        self.calls.fetch_add(1, Ordering::Relaxed);
    }
}

type Opened = Result<(Vec<RungReport>, Facts), ConnectError>;

/// Opens lines. The loop ends when the last handle and the last line are gone.
#[derive(Debug, Clone)]
pub struct Hub {
    commands: mpsc::UnboundedSender<Command>,
    lines: Arc<AtomicU64>,
    library: Library,
    moved: Arc<Moved>,
}

impl Hub {
    /// A hub and its loop, which somebody has to run.
    pub fn new(library: Library) -> (Self, Driver) {
        let (commands, inbox) = mpsc::unbounded_channel();
        let moved = Arc::<Moved>::default();
        (Self { commands, lines: Arc::default(), library, moved: moved.clone() }, Driver { inbox, moved })
    }

    /// What went through the sockets so far.
    pub fn traffic(&self) -> Traffic {
        Traffic {
            datagrams: self.moved.datagrams.load(Ordering::Relaxed),
            calls: self.moved.calls.load(Ordering::Relaxed),
        }
    }

    /// What is known of sensor repositories.
    pub(crate) fn library(&self) -> &Library {
        &self.library
    }

    fn next_line(&self) -> LineId {
        LineId(self.lines.fetch_add(1, Ordering::Relaxed))
    }
}

/// The loop of a hub.
#[derive(Debug)]
pub struct Driver {
    inbox: mpsc::UnboundedReceiver<Command>,
    moved: Arc<Moved>,
}

impl Driver {
    /// Drives every session until the last handle is gone. Wants a thread of its own, with a current-thread runtime: it may not be sent to another. What goes
    /// wrong, with a BMC or with the socket of an address family, is told to the lines that it concerns.
    pub async fn run(mut self) {
        let mut table = Table::default();
        let mut wires = Wires::new(self.moved.clone());
        let mut pace = Pace::default();
        let mut commands = Vec::with_capacity(COMMANDS);
        loop {
            let wake = match table.poll_timeout() {
                // What the kernel had no room for is tried again soon.
                _ if !table.outbox().is_empty() => now() + AGAIN,
                Some(wake) => wake,
                None => now() + Duration::from_secs(3600),
            };
            tokio::select! {
                count = self.inbox.recv_many(&mut commands, COMMANDS) => {
                    if count == 0 {
                        wires.flush(&mut table, now());
                        return;
                    }
                    for command in commands.drain(..) {
                        match (wires.opened_for(&command), command) {
                            (Err(error), Command::Open { peer, tell, .. }) => {
                                let detail = format!("no socket for {peer}: {error}");
                                // Whoever no longer waits need not know.
                                tell.send(Err(refusal::unreachable(&detail))).ok();
                            }
                            (_, command) => table.command(command, now()),
                        }
                    }
                }
                () = wires.readable() => {
                    if let Some(wait) = pace.gather() {
                        gather(wait);
                        // Whoever shares the thread, as in tests, has a turn.
                        tokio::task::yield_now().await;
                    }
                    let taken = wires.receive(&mut table, now);
                    pace.note(taken, now());
                }
                () = tokio::time::sleep_until(wake.into()) => table.handle_timeout(now()),
            }
            wires.flush(&mut table, now());
        }
    }
}

/// Lets datagrams gather. The thread sleeps, since a timer of the runtime would not let it: every datagram that comes meanwhile wakes the reactor, and thousands of
/// wakes a second cost more than all else that is done for an answer. Whoever wants something of the loop waits as much longer.
#[expect(
    clippy::disallowed_methods,
    reason = "the loop has a thread of its own, and this is what it does between batches"
)]
fn gather(wait: Duration) {
    std::thread::sleep(wait);
}

/// The one clock of this room; everything else is given the time.
#[expect(clippy::disallowed_methods, reason = "this is the transport that reads the clock")]
fn now() -> Instant {
    Instant::now()
}
