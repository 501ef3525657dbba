//! A client of one BMC, over a line of a hub or over a socket of its own: sockets and deadlines, nothing of IPMI.

use super::action;
use super::hub::{Hub, Line};
use super::message::{Request, Response};
use super::poll::{Ask, Poller};
use super::refusal;
use super::sensor::Precision;
use super::session::{Config, Event, RequestError, Session};
use crate::action::ActionError;
use crate::{Bookmark, ConnectError, PollStats, RungReport, Target};
use crate::{PollError, Polled, Standing};
use outband_schemas::{Clock, LogEvent, Section, Source};
use rand::SeedableRng;
use rand::rngs::{StdRng, SysRng};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Instant;
use tokio::net::{UdpSocket, lookup_host};
use tokio::time::timeout_at;

/// No answer of a BMC is longer: RMCP+ payloads have at most 255 bytes of data with their wrapping, a few OEM ones a kilobyte.
const LONGEST_DATAGRAM: usize = 2048;

/// A BMC with an open RMCP+ session.
#[derive(Debug)]
pub struct Client {
    link: Link,
    poller: Poller,
}

/// The way to the BMC.
#[derive(Debug)]
enum Link {
    /// A line of a hub, for those that poll many.
    Line(Line),
    /// A socket of its own, for a probe and for orders.
    Own(Box<Own>),
}

impl Client {
    /// Climbs the ladder up to and including [`crate::Rung::Privilege`], over a socket of its own.
    pub async fn connect(target: &Target) -> Result<Self, ConnectError> {
        let mut own = Own::open(target).await?;
        loop {
            match own.next_event().await {
                Event::Up => return Ok(Self { link: Link::Own(Box::new(own)), poller: Poller::default() }),
                Event::Refused(error) => return Err(*error),
                Event::Climbed(_) | Event::Closed | Event::Answered(..) => {}
            }
        }
    }

    /// The same over a line of a hub, whose loop has to run meanwhile.
    pub async fn connect_through(hub: &Hub, target: &Target) -> Result<Self, ConnectError> {
        let line = Line::open(hub, target).await?;
        Ok(Self { link: Link::Line(line), poller: Poller::knowing(hub.library(), target.address.to_string()) })
    }

    /// How exact the sensors are that were polled, by the source that their readings name.
    pub fn precisions(&self) -> impl Iterator<Item = (&Source, Precision)> {
        self.poller.precisions()
    }

    /// Polls one section, for no longer than until `until`: what was read by then is told, and the rest is a gap. `bookmark` is that of the last stored
    /// [`Section::Log`] poll.
    pub async fn poll(
        &mut self,
        section: Section,
        bookmark: Option<&Bookmark>,
        until: Option<Instant>,
        clock: &(impl Clock + Sync),
    ) -> Result<Polled, PollError> {
        self.link.finish_by(until);
        let polled = match &mut self.link {
            Link::Line(line) => self.poller.poll(line, section, bookmark, clock).await,
            Link::Own(own) => self.poller.poll(&mut **own, section, bookmark, clock).await,
        };
        self.link.finish_by(None);
        polled
    }

    /// Has the chassis' identify light blink, or not.
    pub async fn identify(&mut self, on: bool) -> Result<String, ActionError> {
        action::identify(&mut self.link, on).await
    }

    /// Restarts the BMC. Drop the client afterwards: the session went with it.
    pub async fn reset(&mut self) -> Result<String, ActionError> {
        match &mut self.link {
            Link::Line(line) => line.at_most_once(),
            Link::Own(own) => own.session.at_most_once(),
        }
        action::reset(&mut self.link).await
    }

    /// Clears the event log where it holds `read`, oldest first, and nothing else.
    pub async fn clear_log(&mut self, read: &[LogEvent]) -> Result<String, ActionError> {
        action::clear(&mut self.link, read).await
    }

    /// The rungs that held while connecting.
    pub fn climbed(&self) -> &[RungReport] {
        match &self.link {
            Link::Line(line) => line.climbed(),
            Link::Own(own) => own.session.climbed(),
        }
    }

    /// What was sent and received so far.
    pub fn stats(&self) -> PollStats {
        match &self.link {
            Link::Line(line) => line.stats(),
            Link::Own(own) => PollStats { connections: own.session.logins(), ..own.stats },
        }
    }

    /// What this session has met that says how to go on with the BMC.
    pub fn standing(&self) -> Standing {
        let refused = match &self.link {
            Link::Line(line) => line.was_refused(),
            Link::Own(own) => own.refused,
        };
        Standing { refused_logins: u64::from(refused), ..Standing::default() }
    }

    /// Ends the session at the BMC.
    pub async fn close(self) -> Result<(), PollError> {
        match self.link {
            Link::Line(line) => line.close().await,
            Link::Own(mut own) => {
                own.session.close(now());
                while own.next_event().await != Event::Closed {}
            }
        }
        Ok(())
    }
}

impl Link {
    fn finish_by(&mut self, until: Option<Instant>) {
        match self {
            Self::Line(line) => line.finish_by(until),
            Self::Own(own) => own.session.finish_by(until),
        }
    }
}

impl Ask for Link {
    async fn ask(&mut self, request: Request) -> Result<Response, RequestError> {
        match self {
            Link::Line(line) => line.ask(request).await,
            Link::Own(own) => own.ask(request).await,
        }
    }
}

/// A session with a socket of its own.
#[derive(Debug)]
struct Own {
    socket: UdpSocket,
    session: Session,
    stats: PollStats,
    /// A login that renewed the session was refused.
    refused: bool,
    buffer: Vec<u8>,
}

impl Own {
    async fn open(target: &Target) -> Result<Self, ConnectError> {
        let Some((host, port)) = target.address.host_port() else {
            return Err(refusal::unreachable("no network leads to this address"));
        };
        let socket = connected_socket(host, port).await.map_err(|e| refusal::unreachable(&e.to_string()))?;
        let random =
            StdRng::try_from_rng(&mut SysRng).map_err(|e| refusal::unreachable(&format!("no randomness: {e}")))?;
        Ok(Self {
            socket,
            session: Session::connect(Config::of(target), random, now()),
            stats: PollStats::default(),
            refused: false,
            buffer: vec![0; LONGEST_DATAGRAM],
        })
    }

    async fn next_event(&mut self) -> Event {
        loop {
            while let Some(datagram) = self.session.poll_transmit() {
                self.stats.datagrams_sent += 1;
                self.stats.bytes_sent += datagram.len() as u64;
                if let Err(error) = self.socket.send(&datagram).await {
                    self.session.handle_unreachable(&error.to_string(), now());
                }
            }
            if let Some(event) = self.session.poll_event() {
                return event;
            }
            // A session that waits for nothing has nothing to tell.
            let Some(wake_at) = self.session.poll_timeout() else { return Event::Closed };
            match timeout_at(wake_at.into(), self.socket.recv(&mut self.buffer)).await {
                Ok(Ok(len)) => {
                    self.stats.datagrams_received += 1;
                    self.stats.bytes_received += len as u64;
                    self.session.handle_datagram(now(), &self.buffer[..len]);
                }
                Ok(Err(error)) => self.session.handle_unreachable(&error.to_string(), now()),
                Err(_elapsed) => self.session.handle_timeout(now()),
            }
        }
    }
}

impl Ask for Own {
    async fn ask(&mut self, request: Request) -> Result<Response, RequestError> {
        self.stats.requests += 1;
        let id = self.session.request(request, now());
        loop {
            match self.next_event().await {
                Event::Answered(answered, result) if answered == id => {
                    self.refused |= matches!(&result, Err(RequestError::Lost(error)) if error.is_login_refusal());
                    return result;
                }
                Event::Closed => {
                    return Err(RequestError::Lost(Box::new(refusal::unreachable("the session is closed"))));
                }
                // An answer to a request whose poll was cancelled.
                Event::Answered(..) | Event::Climbed(_) | Event::Up | Event::Refused(_) => {}
            }
        }
    }
}

impl Drop for Own {
    /// A client that is dropped rather than closed still says good-bye once: leaked sessions lock a BMC's door.
    fn drop(&mut self) {
        if let Some(datagram) = self.session.abandon()
            && let Err(error) = self.socket.try_send(&datagram)
        {
            tracing::debug!(%error, "the session could not be closed; the BMC will expire it");
        }
    }
}

async fn connected_socket(host: &str, port: u16) -> std::io::Result<UdpSocket> {
    let mut last = std::io::Error::new(std::io::ErrorKind::NotFound, format!("{host} has no address"));
    for address in lookup_host((host, port)).await? {
        let any = match address {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let socket = UdpSocket::bind(any).await?;
        match socket.connect(address).await {
            Ok(()) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The one clock of this module; everything else is given the time.
#[expect(clippy::disallowed_methods, reason = "this is the transport that reads the clock")]
fn now() -> Instant {
    Instant::now()
}
