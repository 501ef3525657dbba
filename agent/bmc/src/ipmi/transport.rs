//! The thin UDP loop around a session: sockets and deadlines, nothing of IPMI.

use super::action;
use super::message::{Request, Response};
use super::poll::{Ask, Poller};
use super::refusal;
use super::session::{Config, Event, RequestError, Session};
use crate::action::ActionError;
use crate::{Address, Bookmark, ConnectError, PollStats, RungReport, Target};
use crate::{PollError, Polled, Standing};
use outband_schemas::{Clock, LogEvent, Section};
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

impl Client {
    /// Climbs the ladder up to and including [`crate::Rung::Privilege`].
    pub async fn connect(target: &Target) -> Result<Self, ConnectError> {
        let mut link = Link::open(target).await?;
        loop {
            match link.next_event().await {
                Event::Up => return Ok(Self { link, poller: Poller::default() }),
                Event::Refused(error) => return Err(error),
                Event::Climbed(_) | Event::Closed | Event::Answered(..) => {}
            }
        }
    }

    /// Polls one section. `bookmark` is that of the last stored [`Section::Log`] poll.
    pub async fn poll(
        &mut self,
        section: Section,
        bookmark: Option<&Bookmark>,
        clock: &(impl Clock + Sync),
    ) -> Result<Polled, PollError> {
        self.poller.poll(&mut self.link, section, bookmark, clock).await
    }

    /// Has the chassis' identify light blink, or not.
    pub async fn identify(&mut self, on: bool) -> Result<String, ActionError> {
        action::identify(&mut self.link, on).await
    }

    /// Restarts the BMC. Drop the client afterwards: the session went with it.
    pub async fn reset(&mut self) -> Result<String, ActionError> {
        self.link.session.at_most_once();
        action::reset(&mut self.link).await
    }

    /// Clears the event log where it holds `read`, oldest first, and nothing else.
    pub async fn clear_log(&mut self, read: &[LogEvent]) -> Result<String, ActionError> {
        action::clear(&mut self.link, read).await
    }

    /// The rungs that held while connecting.
    pub fn climbed(&self) -> &[RungReport] {
        self.link.session.climbed()
    }

    /// What was sent and received so far.
    pub fn stats(&self) -> PollStats {
        PollStats { connections: self.link.session.logins(), ..self.link.stats }
    }

    /// What this session has met that says how to go on with the BMC.
    pub fn standing(&self) -> Standing {
        Standing { refused_logins: u64::from(self.link.refused), ..Standing::default() }
    }

    /// Ends the session at the BMC.
    pub async fn close(mut self) -> Result<(), PollError> {
        self.link.session.close(now());
        while self.link.next_event().await != Event::Closed {}
        Ok(())
    }
}

/// A session with its socket.
#[derive(Debug)]
struct Link {
    socket: UdpSocket,
    session: Session,
    stats: PollStats,
    /// A login that renewed the session was refused.
    refused: bool,
    buffer: Vec<u8>,
}

impl Link {
    async fn open(target: &Target) -> Result<Self, ConnectError> {
        let (Address::Ipmi { host, port } | Address::Redfish { host, port }) = &target.address;
        let socket = connected_socket(host, *port).await.map_err(|e| refusal::unreachable(&e.to_string()))?;
        let random =
            StdRng::try_from_rng(&mut SysRng).map_err(|e| refusal::unreachable(&format!("no randomness: {e}")))?;
        let config = Config {
            user: target.credentials.user.clone(),
            password: target.credentials.password.clone(),
            cipher: target.cipher,
            request_deadline: target.request_deadline,
        };
        Ok(Self {
            socket,
            session: Session::connect(config, random, now()),
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

impl Ask for Link {
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
                    return Err(RequestError::Lost(refusal::unreachable("the session is closed")));
                }
                // An answer to a request whose poll was cancelled.
                Event::Answered(..) | Event::Climbed(_) | Event::Up | Event::Refused(_) => {}
            }
        }
    }
}

impl Drop for Link {
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
