//! A session without a socket, of RMCP+ or, where that is named, of IPMI 1.5 (`v15`): it is given datagrams and the time, and says what to send and when to be
//! woken.
//!
//! One request is in flight at a time, since there are BMCs that crash under more. An answer is taken only when session, sequence number, function, command and
//! request number all fit, so a late answer is never taken for another request's; what a network may do to all of it is tried in `rig`.

#[cfg(test)]
pub(super) mod fake;
mod few;
mod login;
mod receive;
#[cfg(test)]
mod rig;
mod send;
mod terms;
#[cfg(test)]
mod tests;
mod v15;
mod window;

use super::crypto::{Exchange, Keys};
use super::handshake::Privilege;
use super::message::{self, Packet, Request};
use super::refusal;
use super::timing::{Awaiting, RequestNumbers, RoundTrip};
use crate::{AuthType, CipherSuite, ConnectError, RungReport};
use few::Few;
use rand::rngs::StdRng;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};
pub use terms::{Config, Event, KEEP_ALIVE, RequestError, RequestId};
use v15::Activation;
use window::Window;

/// An idle session may have expired at the BMC after this time (§6.12.15 gives 60 s ± 3 s; some BMCs wait less).
const MAY_HAVE_EXPIRED: Duration = Duration::from_secs(20);
/// How many handshakes are begun before a login is given up.
const MAX_HANDSHAKES: u32 = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Capabilities { ask_for_rmcp_plus: bool },
    Suites { portion: u8 },
    Open,
    Rakp1,
    Rakp3,
    Challenge,
    Activate,
    Privilege,
    Request,
    KeepAlive,
    Close,
}

impl Step {
    /// Whether it is one of RMCP+'s own messages, and none of IPMI.
    fn is_handshake(self) -> bool {
        matches!(self, Self::Open | Self::Rakp1 | Self::Rakp3)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Connecting,
    Up,
    Closing,
    Dead,
}

/// Why a handshake is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    FirstLogin,
    /// The session seems to have expired.
    Renew,
    /// A command was refused at this privilege.
    Raise {
        from: Privilege,
    },
}

/// An open session.
struct Open {
    secured: Secured,
    bmc_session: u32,
    sent: u32,
    /// Of the BMC's packets. Only those secured as the session is are taken, so one window is enough: of numbers with authentication, or of numbers without.
    received: Window,
}

impl Open {
    fn touch(&self) -> usize {
        match &self.secured {
            Secured::Plus { keys, .. } => keys.touch() ^ self.sent as usize,
            Secured::V15 { .. } => 0,
        }
    }
}

/// How packets of a session are made and believed.
enum Secured {
    Plus { keys: Box<Keys>, console_session: u32 },
    V15 { auth: AuthType, password: [u8; 16] },
}

/// What is asked: something by itself, or one of a list that others put to their BMCs as well.
#[derive(Debug)]
enum Asked {
    One(Request),
    Of(Arc<[Request]>, usize),
}

impl Asked {
    fn request(&self) -> Option<&Request> {
        match self {
            Self::One(request) => Some(request),
            Self::Of(list, at) => list.get(*at),
        }
    }
}

/// What only a login looks at: kept away from what every answer touches, which with a thousand sessions is what a poll costs.
struct Login {
    config: Config,
    random: StdRng,
    purpose: Purpose,
    ponged: Option<bool>,
    bmc_key: bool,
    suite_records: Vec<u8>,
    offered: Option<Vec<u8>>,
    suites: Vec<CipherSuite>,
    tried: Vec<CipherSuite>,
    ceiling: Privilege,
    handshakes: u32,
    /// A refusal was doubted in this login: the next one is believed.
    doubted: bool,
    /// The error to report if what is tried instead fails too.
    kept: Option<ConnectError>,
    climbed: Vec<RungReport>,
    exchange: Option<Exchange>,
    activation: Option<Activation>,
}

/// A session with one BMC.
pub struct Session {
    state: State,
    privilege: Privilege,
    awaiting: Option<Awaiting<Step>>,
    queue: Few<(RequestId, Asked)>,
    outbox: Few<Vec<u8>>,
    /// Memory for the next datagram.
    spare: Vec<u8>,
    events: Few<Event>,
    next_id: u64,
    next_tag: u8,
    numbers: RequestNumbers,
    round_trip: RoundTrip,
    /// As configured.
    request_deadline: Duration,
    keep_alive: Option<Duration>,
    last_heard: Option<Instant>,
    open: Option<Open>,
    /// When the time of whoever asks is over.
    finish_by: Option<Instant>,
    /// What kept the session open was not answered: the next request needs a new one.
    lapsed: bool,
    /// Something came in answer to the step that is awaited which has not the shape of one.
    malformed: bool,
    /// Whether the request at the head of the queue has been through a renewed session already.
    renewed_for_head: bool,
    /// Whether what is not answered must not be sent again in a new session.
    at_most_once: bool,
    ignored: u64,
    logins: u64,
    login: Box<Login>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("user", &self.login.config.user)
            .field("state", &self.state)
            .field("suites", &self.login.suites)
            .field("privilege", &self.privilege)
            .field("awaiting", &self.awaiting)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// Begins to log in. `random` must be cryptographically strong: nonces and session ids come from it.
    pub fn connect(config: Config, random: StdRng, now: Instant) -> Self {
        let suites = config.cipher.map_or_else(|| vec![CipherSuite::Seventeen, CipherSuite::Three], |s| vec![s]);
        let (privilege, request_deadline, keep_alive) = (config.privilege, config.request_deadline, config.keep_alive);
        let login = Login {
            config,
            random,
            purpose: Purpose::FirstLogin,
            ponged: None,
            bmc_key: false,
            suite_records: Vec::new(),
            offered: None,
            suites,
            tried: Vec::new(),
            ceiling: Privilege::Administrator,
            handshakes: 0,
            doubted: false,
            kept: None,
            climbed: Vec::new(),
            exchange: None,
            activation: None,
        };
        let mut session = Self {
            state: State::Connecting,
            privilege,
            awaiting: None,
            queue: Few::default(),
            outbox: Few::default(),
            spare: Vec::new(),
            events: Few::default(),
            next_id: 0,
            next_tag: 0,
            numbers: RequestNumbers::default(),
            round_trip: RoundTrip::default(),
            request_deadline,
            keep_alive,
            last_heard: None,
            open: None,
            finish_by: None,
            lapsed: false,
            malformed: false,
            renewed_for_head: false,
            at_most_once: false,
            ignored: 0,
            logins: 0,
            login: Box::new(login),
        };
        let (user_len, password_len) = (session.login.config.user.len(), session.login.config.password.expose().len());
        let most = if session.v15().is_some() { 16 } else { 20 };
        if password_len > most {
            session.refuse(refusal::password_too_long(password_len, most), now);
        } else if user_len > 16 {
            session.refuse(refusal::user_too_long(user_len), now);
        } else {
            session.begin(Step::Capabilities { ask_for_rmcp_plus: true }, now);
        }
        session
    }

    /// Queues a request; its answer comes as [`Event::Answered`].
    pub fn request(&mut self, request: Request, now: Instant) -> RequestId {
        self.ask(Asked::One(request), now)
    }

    /// Queues one of a list of requests; `None` where the list has no such place.
    pub fn request_of(&mut self, list: &Arc<[Request]>, at: usize, now: Instant) -> Option<RequestId> {
        (at < list.len()).then(|| self.ask(Asked::Of(list.clone(), at), now))
    }

    fn ask(&mut self, asked: Asked, now: Instant) -> RequestId {
        let id = RequestId(self.next_id);
        self.next_id += 1;
        if matches!(self.state, State::Dead | State::Closing) {
            let gone = refusal::silent_at("the session's end", Duration::ZERO);
            let error = self.login.kept.clone().unwrap_or(gone);
            self.events.push(Event::Answered(id, Err(RequestError::Lost(Box::new(error)))));
        } else {
            self.queue.push((id, asked));
            if self.is_out_of_time(now) {
                self.give_up_requests(now);
                return id;
            }
            // Whatever is answered keeps the session open as well.
            if let Some(idle) = self.awaiting.take_if(|a| a.step == Step::KeepAlive) {
                self.numbers.done(idle.token, idle.transmissions, now);
            }
            self.start_next(now);
        }
        id
    }

    /// From now on a request that is not answered is given up and not sent again in a new session: a BMC that restarts because of it would do so twice.
    pub fn at_most_once(&mut self) {
        self.at_most_once = true;
    }

    /// Until when requests are waited for altogether; `None`: each for its own deadline. A BMC that answers every one at the last moment would hold a poll of a
    /// hundred sensors, and whoever waits for it, for many minutes. What is under way of a login goes on: the next request needs it.
    pub fn finish_by(&mut self, until: Option<Instant>) {
        self.finish_by = until;
    }

    fn is_out_of_time(&self, now: Instant) -> bool {
        self.finish_by.is_some_and(|until| until <= now)
    }

    /// Whether somebody waits for an answer, and may get one.
    fn is_asked(&self) -> bool {
        !self.queue.is_empty() && matches!(self.state, State::Connecting | State::Up)
    }

    fn give_up_requests(&mut self, now: Instant) {
        if let Some(over) = self.awaiting.take_if(|a| a.step == Step::Request) {
            self.numbers.done(over.token, over.transmissions, now);
        }
        for (id, _) in self.queue.take() {
            self.events.push(Event::Answered(id, Err(RequestError::OutOfTime)));
        }
        self.renewed_for_head = false;
    }

    /// Ends the session at the BMC; ends with [`Event::Closed`].
    pub fn close(&mut self, now: Instant) {
        if self.open.is_some() && self.state == State::Up {
            self.state = State::Closing;
            self.begin(Step::Close, now);
        } else {
            self.state = State::Dead;
            self.awaiting = None;
            self.events.push(Event::Closed);
        }
    }

    /// The datagram that closes the open session at once, for a shell that cannot wait for an answer.
    pub fn abandon(&mut self) -> Option<Vec<u8>> {
        let datagram = self.close_datagram();
        self.open = None;
        self.state = State::Dead;
        self.awaiting = None;
        datagram
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.outbox.pop()
    }

    /// Memory for the next datagram: that of one which was sent.
    pub fn lend(&mut self, memory: Vec<u8>) {
        self.spare = memory;
    }

    /// Nothing is asked for a while: gives back what memory only work needs. A session is idle nearly all of the time.
    pub fn rest(&mut self) {
        self.spare = Vec::new();
        self.outbox.shrink();
        self.queue.shrink();
        self.events.shrink();
        if self.state == State::Up {
            self.login.exchange = None;
            self.login.suite_records = Vec::new();
        }
    }

    /// The request at the head of the queue.
    fn head(&self) -> Option<&Request> {
        self.queue.first().and_then(|(_, asked)| asked.request())
    }

    /// When [`Session::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let wake = self.awaiting.as_ref().map(Awaiting::wake_at).or_else(|| self.keep_alive_at());
        match self.finish_by.filter(|_| self.is_asked()) {
            Some(until) => Some(wake.map_or(until, |wake| wake.min(until))),
            None => wake,
        }
    }

    fn keep_alive_at(&self) -> Option<Instant> {
        let idle = self.state == State::Up && self.awaiting.is_none() && !self.lapsed;
        Some(self.last_heard.filter(|_| idle)? + self.keep_alive?)
    }

    /// The privilege that it has, or asks for.
    pub fn privilege(&self) -> Privilege {
        self.privilege
    }

    /// What happened next.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop()
    }

    /// The rungs that hold.
    pub fn climbed(&self) -> &[RungReport] {
        &self.login.climbed
    }

    /// How many datagrams were not what was waited for, and were not believed.
    pub fn ignored(&self) -> u64 {
        self.ignored
    }

    /// How many sessions were opened.
    pub fn logins(&self) -> u64 {
        self.logins
    }

    /// The network says that nobody is there (an ICMP message). Only a first login believes it at once: a BMC that restarts is "unreachable" for a while.
    pub fn handle_unreachable(&mut self, detail: &str, now: Instant) {
        let first_word = matches!(self.awaiting.as_ref().map(|a| a.step), Some(Step::Capabilities { .. }));
        if first_word && self.last_heard.is_none() {
            self.refuse(refusal::unreachable(detail), now);
        }
    }

    /// Takes a datagram that came from the BMC's address; whether it was what is waited for.
    pub fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) -> bool {
        let taken = match message::parse(datagram) {
            Some(Packet::Pong { ipmi }) => {
                self.login.ponged = Some(ipmi);
                true
            }
            Some(Packet::V15(packet)) => self.take_v15(&packet, now),
            Some(Packet::Plus(packet)) => self.take_plus(&packet, now),
            None => false,
        };
        if taken {
            self.last_heard = Some(now);
        } else {
            self.ignored += 1;
            tracing::debug!(bytes = datagram.len(), "datagram ignored: not what was waited for");
        }
        taken
    }

    /// Reads a little of all that an answer will need, so that the memory of many sessions is waited for at once and not one after the other.
    pub fn touch(&self) -> usize {
        let awaited = self.awaiting.as_ref().map_or(0, |a| usize::from(a.token) ^ a.transmissions as usize);
        let open = self.open.as_ref().map_or(0, |open| open.touch());
        awaited
            ^ open
            ^ usize::from(self.events.is_empty())
            ^ usize::from(self.queue.is_empty())
            ^ usize::from(self.lapsed)
            ^ self.logins as usize
    }

    /// Does what is due by now.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.is_asked() && self.is_out_of_time(now) {
            self.give_up_requests(now);
        }
        let Some(awaiting) = &self.awaiting else {
            if self.keep_alive_at().is_some_and(|at| at <= now) {
                self.begin(Step::KeepAlive, now);
            }
            return;
        };
        if awaiting.is_over(now) {
            self.expire(now);
        } else if awaiting.wants_transmission(now) {
            let expired = awaiting.step == Step::Request
                && awaiting.transmissions >= 2
                && !self.renewed_for_head
                && !self.at_most_once
                && !self.asks_controller(|_, _| true)
                && self.last_heard.is_none_or(|t| now.duration_since(t) >= MAY_HAVE_EXPIRED);
            if expired {
                self.log_in_again(Purpose::Renew, now);
            } else {
                self.transmit(now);
            }
        }
    }
}
