//! What goes out: the next step, its datagram, and when it is sent again.

use super::super::handshake;
use super::super::message::{self, Request, payload};
use super::super::timing::Awaiting;
use super::{Open, Purpose, Secured, Session, State, Step};
use std::time::{Duration, Instant};

/// How long a close may take before the BMC is left to expire the session itself.
const CLOSE_DEADLINE: Duration = Duration::from_secs(1);
/// How long the list of cipher suites is waited for: some BMCs never send one.
const SUITES_DEADLINE: Duration = Duration::from_millis(600);

impl Open {
    /// The packet of a request, in the memory of `out`.
    fn seal(&mut self, request: &Request, rq_seq: u8, out: Vec<u8>) -> Vec<u8> {
        // A repetition has a sequence number of its own, else the BMC takes it for a replay.
        self.sent = self.sent.checked_add(1).unwrap_or(1);
        match &self.secured {
            Secured::Plus { keys, .. } => {
                let iv = keys.vector(self.sent);
                message::wrap_request(keys, self.bmc_session, self.sent, iv, request, rq_seq, out)
            }
            Secured::V15 { auth, password } => {
                let message = message::encode(request, rq_seq);
                message::wrap_v15_authentic(*auth, password, self.bmc_session, self.sent, &message)
            }
        }
    }
}

impl Session {
    pub(super) fn start_next(&mut self, now: Instant) {
        if self.state != State::Up || self.awaiting.is_some() || self.queue.is_empty() {
            return;
        }
        // What must not be asked twice was not asked yet, but the one who asks it wants no second session either.
        if std::mem::take(&mut self.lapsed) && !self.at_most_once {
            self.log_in_again(Purpose::Renew, now);
        } else {
            self.begin(Step::Request, now);
        }
    }

    /// Begins what opens a session, or another one.
    pub(super) fn begin_login(&mut self, now: Instant) {
        let step = if self.v15().is_some() { Step::Challenge } else { Step::Open };
        self.begin(step, now);
    }

    pub(super) fn begin(&mut self, step: Step, now: Instant) {
        let whole = self.request_deadline;
        let deadline = match step {
            Step::Suites { .. } => whole.min(SUITES_DEADLINE),
            Step::Close => whole.min(CLOSE_DEADLINE),
            _ => whole,
        };
        if matches!(step, Step::Open | Step::Challenge) {
            self.login.handshakes += 1;
            self.login.exchange = None;
            self.login.activation = None;
        }
        self.malformed = false;
        self.awaiting = Some(Awaiting::new(step, now, deadline, self.round_trip.timeout()));
        self.transmit(now);
    }

    /// Sends what is awaited once more, or for the first time.
    pub(super) fn transmit(&mut self, now: Instant) {
        let Some(mut awaiting) = self.awaiting.take() else { return };
        if !awaiting.step.is_handshake() {
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
                    self.outbox.push(message::ping(token));
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
            Step::Rakp3 => self.login.exchange.as_ref().map(|e| {
                message::wrap_plain(payload::RAKP3, &handshake::rakp3(token, 0, e.bmc_session, &e.rakp3_code()))
            }),
            Step::Challenge => self.v15().map(|auth| {
                let request = handshake::challenge_request(auth, self.login.config.user.as_bytes());
                message::wrap_v15(&message::encode(&request, token))
            }),
            Step::Activate => self.activation_datagram(token),
            Step::Privilege => self.sealed(&handshake::privilege_request(self.privilege), token),
            Step::Request => match (&mut self.open, self.queue.first().and_then(|(_, asked)| asked.request())) {
                (Some(open), Some(request)) => Some(open.seal(request, token, std::mem::take(&mut self.spare))),
                _ => None,
            },
            Step::KeepAlive => self.sealed(&handshake::device_request(), token),
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
        Some(self.open.as_mut()?.seal(request, rq_seq, Vec::new()))
    }

    pub(super) fn close_datagram(&mut self) -> Option<Vec<u8>> {
        let bmc_session = self.open.as_ref()?.bmc_session;
        let number = self.numbers.any();
        self.sealed(&handshake::close_request(bmc_session), number)
    }
}
