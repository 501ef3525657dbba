//! An RMCP+ session without a socket: it is given datagrams and the time, and says what to send and when to be woken.
//!
//! One request is in flight at a time, since there are BMCs that crash under more. An answer is taken only when session, sequence number, function, command and
//! request number all fit, so a late answer is never taken for another request's.

#[cfg(test)]
mod fake;
mod login;
mod receive;
#[cfg(test)]
mod tests;

use super::crypto::{Exchange, Keys};
use super::handshake::{self, Privilege};
use super::message::{self, Packet, Request, Response, payload};
use super::refusal;
use super::timing::{Awaiting, RequestNumbers, RoundTrip};
use crate::{CipherSuite, ConnectError, RungReport, Secret};
use rand::Rng as _;
use rand::rngs::StdRng;
use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

/// An idle session may have expired at the BMC after this time (§6.12.15 gives 60 s ± 3 s; some BMCs wait less).
const MAY_HAVE_EXPIRED: Duration = Duration::from_secs(20);
/// How long a close may take before the BMC is left to expire the session itself.
const CLOSE_DEADLINE: Duration = Duration::from_secs(1);
/// How long the list of cipher suites is waited for: some BMCs never send one.
const SUITES_DEADLINE: Duration = Duration::from_millis(600);
/// How many handshakes are begun before a login is given up.
const MAX_HANDSHAKES: u32 = 8;

/// Who logs in and how.
#[derive(Debug, Clone)]
pub struct Config {
    /// The user's name, at most 16 bytes.
    pub user: String,
    /// The password, at most 20 bytes.
    pub password: Secret,
    /// The suite to use; `None`: 17, then 3.
    pub cipher: Option<CipherSuite>,
    /// How long one request may take, retransmissions included.
    pub request_deadline: Duration,
}

/// Names a request, so that its answer can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestId(u64);

/// Why a request has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// No answer, not even in a new session.
    #[error("no answer within {:.1} s", .0.as_secs_f64())]
    Timeout(Duration),
    /// The BMC said "node busy" until the deadline.
    #[error("the BMC is busy (0xc0)")]
    Busy,
    /// The privilege is too low, and no higher one could be had.
    #[error("the user's privilege is too low (0xd4)")]
    Denied,
    /// The session is gone and could not be opened again.
    #[error("the session is lost: {0}")]
    Lost(ConnectError),
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A rung of the ladder holds. With another suite or privilege a rung may be climbed anew.
    Climbed(RungReport),
    /// The session is open; the whole ladder up to the privilege holds.
    Up,
    /// The first login failed. Nothing more will happen.
    Refused(ConnectError),
    /// A request is done.
    Answered(RequestId, Result<Response, RequestError>),
    /// The session is closed. Nothing more will happen.
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Capabilities { ask_for_rmcp_plus: bool },
    Suites { portion: u8 },
    Open,
    Rakp1,
    Rakp3,
    Privilege,
    Request,
    Close,
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
    keys: Keys,
    console_session: u32,
    bmc_session: u32,
    sent: u32,
    /// The highest sequence number received. With one request in flight whatever is not higher is late or a repetition.
    received: u32,
}

/// A session with one BMC.
pub struct Session {
    config: Config,
    random: StdRng,
    state: State,
    purpose: Purpose,
    awaiting: Option<Awaiting<Step>>,
    queue: VecDeque<(RequestId, Request)>,
    outbox: VecDeque<Vec<u8>>,
    events: VecDeque<Event>,
    next_id: u64,
    next_tag: u8,
    numbers: RequestNumbers,
    round_trip: RoundTrip,
    last_heard: Option<Instant>,
    ponged: Option<bool>,
    bmc_key: bool,
    suite_records: Vec<u8>,
    offered: Option<Vec<u8>>,
    suites: Vec<CipherSuite>,
    tried: Vec<CipherSuite>,
    privilege: Privilege,
    ceiling: Privilege,
    handshakes: u32,
    /// The error to report if what is tried instead fails too.
    kept: Option<ConnectError>,
    climbed: Vec<RungReport>,
    exchange: Option<Exchange>,
    open: Option<Open>,
    /// Whether the request at the head of the queue has been through a renewed session already.
    renewed_for_head: bool,
    /// Whether what is not answered must not be sent again in a new session.
    at_most_once: bool,
    ignored: u64,
    logins: u64,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("user", &self.config.user)
            .field("state", &self.state)
            .field("suites", &self.suites)
            .field("privilege", &self.privilege)
            .field("awaiting", &self.awaiting)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// Begins to log in. `random` must be cryptographically strong: nonces and session ids come from it.
    pub fn connect(config: Config, random: StdRng, now: Instant) -> Self {
        let suites = config.cipher.map_or_else(|| vec![CipherSuite::Seventeen, CipherSuite::Three], |s| vec![s]);
        let mut session = Self {
            config,
            random,
            state: State::Connecting,
            purpose: Purpose::FirstLogin,
            awaiting: None,
            queue: VecDeque::new(),
            outbox: VecDeque::new(),
            events: VecDeque::new(),
            next_id: 0,
            next_tag: 0,
            numbers: RequestNumbers::default(),
            round_trip: RoundTrip::default(),
            last_heard: None,
            ponged: None,
            bmc_key: false,
            suite_records: Vec::new(),
            offered: None,
            suites,
            tried: Vec::new(),
            privilege: Privilege::User,
            ceiling: Privilege::Administrator,
            handshakes: 0,
            kept: None,
            climbed: Vec::new(),
            exchange: None,
            open: None,
            renewed_for_head: false,
            at_most_once: false,
            ignored: 0,
            logins: 0,
        };
        let (user_len, password_len) = (session.config.user.len(), session.config.password.expose().len());
        if password_len > 20 {
            session.refuse(refusal::password_too_long(password_len), now);
        } else if user_len > 16 {
            session.refuse(refusal::user_too_long(user_len), now);
        } else {
            session.begin(Step::Capabilities { ask_for_rmcp_plus: true }, now);
        }
        session
    }

    /// Queues a request; its answer comes as [`Event::Answered`].
    pub fn request(&mut self, request: Request, now: Instant) -> RequestId {
        let id = RequestId(self.next_id);
        self.next_id += 1;
        if matches!(self.state, State::Dead | State::Closing) {
            let gone = refusal::silent_at("the session's end", Duration::ZERO);
            let error = self.kept.clone().unwrap_or(gone);
            self.events.push_back(Event::Answered(id, Err(RequestError::Lost(error))));
        } else {
            self.queue.push_back((id, request));
            self.start_next(now);
        }
        id
    }

    /// From now on a request that is not answered is given up and not sent again in a new session: a BMC that restarts because of it would do so twice.
    pub fn at_most_once(&mut self) {
        self.at_most_once = true;
    }

    /// Ends the session at the BMC; ends with [`Event::Closed`].
    pub fn close(&mut self, now: Instant) {
        if self.open.is_some() && self.state == State::Up {
            self.state = State::Closing;
            self.begin(Step::Close, now);
        } else {
            self.state = State::Dead;
            self.awaiting = None;
            self.events.push_back(Event::Closed);
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
        self.outbox.pop_front()
    }

    /// When [`Session::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.awaiting.as_ref().map(Awaiting::wake_at)
    }

    /// What happened next.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The rungs that hold.
    pub fn climbed(&self) -> &[RungReport] {
        &self.climbed
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

    /// Takes a datagram that came from the BMC's address.
    pub fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) {
        let taken = match message::parse(datagram) {
            Some(Packet::Pong { ipmi }) => {
                self.ponged = Some(ipmi);
                true
            }
            Some(Packet::V15(body)) => self.take_outside_session(body, now),
            Some(Packet::Plus(packet)) => self.take_plus(&packet, now),
            None => false,
        };
        if taken {
            self.last_heard = Some(now);
        } else {
            self.ignored += 1;
            tracing::debug!(bytes = datagram.len(), "datagram ignored: not what was waited for");
        }
    }

    /// Does what is due by now.
    pub fn handle_timeout(&mut self, now: Instant) {
        let Some(awaiting) = &self.awaiting else { return };
        if awaiting.is_over(now) {
            self.expire(now);
        } else if awaiting.wants_transmission(now) {
            let expired = awaiting.step == Step::Request
                && awaiting.transmissions >= 2
                && !self.renewed_for_head
                && !self.at_most_once
                && self.last_heard.is_none_or(|t| now.duration_since(t) >= MAY_HAVE_EXPIRED);
            if expired {
                self.log_in_again(Purpose::Renew, now);
            } else {
                self.transmit(now);
            }
        }
    }

    fn start_next(&mut self, now: Instant) {
        if self.state == State::Up && self.awaiting.is_none() && !self.queue.is_empty() {
            self.begin(Step::Request, now);
        }
    }

    fn begin(&mut self, step: Step, now: Instant) {
        let whole = self.config.request_deadline;
        let deadline = match step {
            Step::Suites { .. } => whole.min(SUITES_DEADLINE),
            Step::Close => whole.min(CLOSE_DEADLINE),
            _ => whole,
        };
        if step == Step::Open {
            self.handshakes += 1;
            self.exchange = None;
        }
        self.awaiting = Some(Awaiting::new(step, now, deadline, self.round_trip.timeout()));
        self.transmit(now);
    }

    /// Sends what is awaited once more, or for the first time.
    fn transmit(&mut self, now: Instant) {
        let Some(mut awaiting) = self.awaiting.take() else { return };
        let is_ipmi = !matches!(awaiting.step, Step::Open | Step::Rakp1 | Step::Rakp3);
        if is_ipmi {
            if awaiting.transmissions == 0 || awaiting.wants_new_number {
                awaiting.token = self.numbers.next(now);
            }
        } else {
            // A BMC may make a new random number for a repeated message: only the answer to the last one counts.
            self.next_tag = self.next_tag.wrapping_add(1);
            awaiting.token = self.next_tag;
        }
        let token = awaiting.token;
        let datagram = match awaiting.step {
            Step::Capabilities { ask_for_rmcp_plus } => {
                if awaiting.transmissions > 0 {
                    self.outbox.push_back(message::ping(token));
                }
                let request = handshake::capabilities_request(ask_for_rmcp_plus, self.privilege);
                Some(message::wrap_v15(&message::encode(&request, token)))
            }
            Step::Suites { portion } => {
                let request = handshake::suites_request(portion);
                Some(message::wrap_plain(payload::IPMI, &message::encode(&request, token)))
            }
            Step::Open => self.open_datagram(token),
            Step::Rakp1 => self.rakp1_datagram(token),
            Step::Rakp3 => self.exchange.as_ref().map(|e| {
                message::wrap_plain(payload::RAKP3, &handshake::rakp3(token, 0, e.bmc_session, &e.rakp3_code()))
            }),
            Step::Privilege => self.sealed(&handshake::privilege_request(self.privilege), token),
            Step::Request => match self.queue.front().map(|(_, request)| request.clone()) {
                Some(request) => self.sealed(&request, token),
                None => None,
            },
            Step::Close => match self.open.as_ref().map(|o| o.bmc_session) {
                Some(bmc_session) => self.sealed(&handshake::close_request(bmc_session), token),
                None => None,
            },
        };
        self.outbox.extend(datagram);
        awaiting.sent(now);
        self.awaiting = Some(awaiting);
    }

    fn sealed(&mut self, request: &Request, rq_seq: u8) -> Option<Vec<u8>> {
        let open = self.open.as_mut()?;
        let mut iv = [0; 16];
        self.random.fill_bytes(&mut iv);
        // A repetition has a sequence number of its own, else the BMC takes it for a replay.
        open.sent = open.sent.checked_add(1).unwrap_or(1);
        Some(message::wrap_sealed(&open.keys, open.bmc_session, open.sent, iv, &message::encode(request, rq_seq)))
    }

    fn close_datagram(&mut self) -> Option<Vec<u8>> {
        let bmc_session = self.open.as_ref()?.bmc_session;
        let number = self.numbers.any();
        self.sealed(&handshake::close_request(bmc_session), number)
    }
}
