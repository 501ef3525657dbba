//! Logging in: from the first word to a session with enough privilege, and what is tried when a step fails.

use super::super::crypto::{Exchange, Hash, Keys, same};
use super::super::handshake::{self, Capabilities, Malformed, Opened, Status};
use super::super::message::{self, payload};
use super::super::refusal;
use super::window::{Reach, Window};
use super::{Event, MAX_HANDSHAKES, Open, Purpose, RequestError, Secured, Session, State, Step};
use crate::{CipherSuite, ConnectError, Rung, RungReport};
use ipmi_rs_core::connection::NetFn;
use rand::Rng as _;
use std::time::Instant;

/// Portions of 16 bytes, each of three suites or more, that are asked for at most.
const MOST_PORTIONS: u8 = 15;

impl Session {
    pub(super) fn open_datagram(&mut self, tag: u8) -> Option<Vec<u8>> {
        let suite = *self.login.suites.first()?;
        let console_session = loop {
            match self.login.random.next_u32() {
                0 => {}
                id => break id,
            }
        };
        self.login.exchange = Some(Exchange {
            hash: Hash::of(suite),
            console_session,
            bmc_session: 0,
            console_random: [0; 16],
            bmc_random: [0; 16],
            guid: [0; 16],
            role: self.privilege.role(),
            user: self.login.config.user.clone().into_bytes(),
            password: self.login.config.password.expose().as_bytes().to_vec(),
            bmc_key: self.login.config.bmc_key.as_ref().map(|key| key.expose().to_vec()).unwrap_or_default(),
        });
        let body = handshake::open_request(tag, self.privilege, console_session, suite);
        Some(message::wrap_plain(payload::OPEN_REQUEST, &body))
    }

    pub(super) fn rakp1_datagram(&mut self, tag: u8) -> Option<Vec<u8>> {
        let exchange = self.login.exchange.as_mut()?;
        self.login.random.fill_bytes(&mut exchange.console_random);
        let body = handshake::rakp1(tag, exchange.bmc_session, &exchange.console_random, exchange.role, &exchange.user);
        Some(message::wrap_plain(payload::RAKP1, &body))
    }

    /// An IPMI message outside a session: the queries before the handshake, the challenge of IPMI 1.5, and the refusal to answer one.
    pub(super) fn take_outside_session(&mut self, body: &[u8], now: Instant) -> bool {
        let Some(answer) = message::decode(body).filter(|a| a.checksums_hold && a.netfn == NetFn::App) else {
            return false;
        };
        let Some(awaiting) = self.awaiting.as_ref().filter(|a| a.token == answer.rq_seq) else { return false };
        let response = answer.response;
        let (completion, data) = (response.completion, &response.data);
        match awaiting.step {
            Step::Capabilities { ask_for_rmcp_plus } if answer.command == 0x38 => {
                self.finish_awaiting(now);
                if self.login.ponged.is_none() {
                    self.login.ponged = Some(true);
                }
                self.took_capabilities(ask_for_rmcp_plus, completion, data, now);
                true
            }
            Step::Suites { portion } if answer.command == 0x54 => {
                self.finish_awaiting(now);
                self.took_suites(portion, completion, data, now);
                true
            }
            Step::Challenge if answer.command == 0x39 => {
                self.finish_awaiting(now);
                self.took_challenge(&response, now);
                true
            }
            Step::Activate if answer.command == 0x3A && completion != 0 => {
                self.finish_awaiting(now);
                self.activation_refused(completion, now);
                true
            }
            _ => false,
        }
    }

    pub(super) fn took_capabilities(&mut self, asked_for_rmcp_plus: bool, completion: u8, data: &[u8], now: Instant) {
        if self.login.purpose == Purpose::FirstLogin && self.login.climbed.is_empty() {
            self.climb(Rung::Reach, "the BMC answers".to_owned());
        }
        match (completion, Capabilities::parse(data)) {
            (0, Ok(found)) if let Some(wanted) = self.v15() => {
                self.climb(Rung::Protocol, "IPMI 1.5".to_owned());
                let offered = found.auth_types();
                if offered.contains(&wanted) {
                    self.begin(Step::Challenge, now);
                } else {
                    self.refuse(refusal::auth_not_offered(wanted, &offered), now);
                }
            }
            (0, Ok(found)) if found.rmcp_plus => {
                self.login.bmc_key = found.bmc_key;
                self.climb(Rung::Protocol, "RMCP+ (IPMI 2.0)".to_owned());
                self.begin(Step::Suites { portion: 0 }, now);
            }
            (0, Ok(found)) => self.refuse(refusal::ipmi_1_5(&found.auth_types()), now),
            (0, Err(Malformed)) => {
                self.refuse(refusal::malformed("answer to Get Channel Authentication Capabilities"), now)
            }
            // IPMI 1.5 knows no bit 7 in the channel number.
            (0xCC | 0xC9, _) if asked_for_rmcp_plus => {
                self.begin(Step::Capabilities { ask_for_rmcp_plus: false }, now);
            }
            (code, _) => self.refuse(refusal::odd_capabilities(code), now),
        }
    }

    pub(super) fn took_suites(&mut self, portion: u8, completion: u8, data: &[u8], now: Instant) {
        let records = if completion == 0 { data.get(1..).unwrap_or_default() } else { &[] };
        self.login.suite_records.extend(records);
        // The list comes in portions of 16 bytes; a shorter one is the last (§22.15). Of one that does not end enough is known soon.
        if records.len() == 16 && portion < MOST_PORTIONS {
            self.begin(Step::Suites { portion: portion + 1 }, now);
        } else {
            self.suites_known(now);
        }
    }

    pub(super) fn suites_known(&mut self, now: Instant) {
        let ids = handshake::suite_ids(&self.login.suite_records);
        if !ids.is_empty() {
            let listed = |suite: &CipherSuite| suite.id().is_some_and(|id| ids.contains(&id));
            if self.login.config.cipher.is_none() && self.login.suites.iter().any(listed) {
                self.login.suites.retain(listed);
            }
            self.login.offered = Some(ids);
        }
        self.begin(Step::Open, now);
    }

    pub(super) fn took_opened(&mut self, body: &[u8], now: Instant) -> Result<(), Malformed> {
        let Some(&suite) = self.login.suites.first() else { return Err(Malformed) };
        let opened = handshake::parse_opened(body, suite)?;
        self.finish_awaiting(now);
        match opened {
            Opened::Open(bmc_session) => {
                if let Some(exchange) = &mut self.login.exchange {
                    exchange.bmc_session = bmc_session;
                }
                if self.login.purpose == Purpose::FirstLogin {
                    self.climb(Rung::Security, self.suite_found(suite));
                }
                self.begin(Step::Rakp1, now);
            }
            Opened::OtherAlgorithms => self.next_suite("it chose other algorithms", now),
            Opened::Refused(status) if status.is_about_algorithms() => self.next_suite(status.text(), now),
            Opened::Refused(status) => self.status_refused("Open Session", status, now),
        }
        Ok(())
    }

    pub(super) fn suite_found(&self, suite: CipherSuite) -> String {
        let offered = match &self.login.offered {
            Some(ids) => format!("offered: {}", ids.iter().map(u8::to_string).collect::<Vec<_>>().join(", ")),
            None => "the BMC lists none".to_owned(),
        };
        match (suite, suite.weakness()) {
            (CipherSuite::V15(_), weakness) => format!("{suite}; weak: {}", weakness.unwrap_or_default()),
            (_, None) => format!("cipher suite {suite} ({offered})"),
            (_, Some(weakness)) => format!("cipher suite {suite} ({offered}); weak: {weakness}"),
        }
    }

    pub(super) fn took_rakp2(&mut self, body: &[u8], now: Instant) -> Result<(), Malformed> {
        let Some(hash) = self.login.exchange.as_ref().map(|e| e.hash) else { return Err(Malformed) };
        let rakp2 = handshake::parse_rakp2(body, hash)?;
        self.finish_awaiting(now);
        let Some(exchange) = &mut self.login.exchange else { return Err(Malformed) };
        match rakp2 {
            Ok(rakp2) => {
                exchange.bmc_random = rakp2.random;
                exchange.guid = rakp2.guid;
                if same(&exchange.rakp2_code(), &rakp2.code) {
                    self.begin(Step::Rakp3, now);
                    return Ok(());
                }
                let bmc_session = exchange.bmc_session;
                if self.doubts_refusal() {
                    // A BMC that counts wrong passwords must not count this one.
                    self.leave_half_open(bmc_session, Status::NO_RESOURCES);
                    self.begin(Step::Open, now);
                } else {
                    self.leave_half_open(bmc_session, Status::INVALID_CODE);
                    let error = self.wrong_password("the BMC's key exchange code (RAKP message 2) does not fit it");
                    self.try_other_suite_or_refuse(error, now);
                }
            }
            Err(status) => self.status_refused("RAKP message 1", status, now),
        }
        Ok(())
    }

    /// Whether a refusal by something that nothing vouches for, a bit of which the network may have turned, is worth another handshake: once in a login. A wrong
    /// password is told, and stops the polls of a BMC, only where it repeats; and never is it tried more than three times, of which a BMC can count two.
    fn doubts_refusal(&mut self) -> bool {
        !std::mem::replace(&mut self.login.doubted, true) && self.login.handshakes < MAX_HANDSHAKES
    }

    /// Lets the BMC free a session that is not opened any further.
    fn leave_half_open(&mut self, bmc_session: u32, why: Status) {
        self.next_tag = self.next_tag.wrapping_add(1);
        let farewell = handshake::rakp3(self.next_tag, why.0, bmc_session, &[]);
        self.outbox.push(message::wrap_plain(payload::RAKP3, &farewell));
    }

    pub(super) fn took_rakp4(&mut self, body: &[u8], now: Instant) -> Result<(), Malformed> {
        let (Some(hash), Some(&suite)) = (self.login.exchange.as_ref().map(|e| e.hash), self.login.suites.first())
        else {
            return Err(Malformed);
        };
        let rakp4 = handshake::parse_rakp4(body, hash)?;
        self.finish_awaiting(now);
        let Some(exchange) = &self.login.exchange else { return Err(Malformed) };
        match rakp4 {
            Ok(code) => {
                let session_key = exchange.session_key();
                if same(&exchange.rakp4_code(&session_key), &code) {
                    let keys = Box::new(Keys::derive(suite, &session_key));
                    self.open = Some(Open {
                        received: Window::after(0, Reach::plus(keys.sign())),
                        secured: Secured::Plus { keys, console_session: exchange.console_session },
                        bmc_session: exchange.bmc_session,
                        sent: 0,
                    });
                    self.login.exchange = None;
                    self.opened(now);
                } else if self.login.suites.len() == 1 && self.doubts_refusal() {
                    self.begin(Step::Open, now);
                } else {
                    let how = "the user's key holds, but the session key (RAKP message 4) does not";
                    let error = self.wrong_password(how);
                    self.try_other_suite_or_refuse(error, now);
                }
            }
            Err(status) => self.status_refused("RAKP message 3", status, now),
        }
        Ok(())
    }

    pub(super) fn opened(&mut self, now: Instant) {
        self.logins += 1;
        if self.login.purpose == Purpose::FirstLogin {
            self.climb(Rung::Login, format!("user {}", self.login.config.user));
        }
        self.begin(Step::Privilege, now);
    }

    pub(super) fn came_up(&mut self, now: Instant) {
        if self.login.purpose == Purpose::FirstLogin {
            self.climb(Rung::Privilege, self.privilege.name().to_owned());
            self.events.push(Event::Up);
        }
        self.state = State::Up;
        self.login.handshakes = 0;
        self.login.doubted = false;
        self.login.kept = None;
        self.start_next(now);
    }

    /// Opens a new session for the request at the head of the queue, which stays there.
    pub(super) fn log_in_again(&mut self, purpose: Purpose, now: Instant) {
        tracing::debug!(?purpose, "logging in again");
        let farewell = self.close_datagram();
        self.outbox.extend(farewell);
        self.open = None;
        self.awaiting = None;
        self.state = State::Connecting;
        self.login.purpose = purpose;
        self.renewed_for_head = true;
        // What worked once is what works.
        self.login.suites.truncate(1);
        self.lapsed = false;
        self.begin_login(now);
    }

    pub(super) fn next_suite(&mut self, reason: &str, now: Instant) {
        if !self.login.suites.is_empty() {
            self.login.tried.push(self.login.suites.remove(0));
        }
        if self.login.suites.is_empty() {
            let error = refusal::suite_refused(&self.login.tried, self.login.offered.as_deref(), reason);
            self.login.suites.extend(self.login.tried.last());
            self.refuse(error, now);
        } else {
            self.begin(Step::Open, now);
        }
    }

    /// For what a broken implementation of one suite can look like too.
    pub(super) fn try_other_suite_or_refuse(&mut self, error: ConnectError, now: Instant) {
        if self.login.suites.len() > 1 {
            self.login.kept.get_or_insert(error);
            self.login.tried.push(self.login.suites.remove(0));
            self.begin(Step::Open, now);
        } else {
            self.refuse(error, now);
        }
    }

    pub(super) fn status_refused(&mut self, step: &str, status: Status, now: Instant) {
        match status {
            Status::NO_RESOURCES | Status::NO_RESOURCES_FOR_ROLE => self.refuse(refusal::out_of_sessions(status), now),
            Status::UNAUTHORIZED_NAME | Status::INVALID_NAME_LENGTH if self.doubts_refusal() => {
                self.begin(Step::Open, now);
            }
            Status::UNAUTHORIZED_NAME | Status::INVALID_NAME_LENGTH => {
                self.refuse(refusal::unknown_user(&self.login.config.user, status), now);
            }
            Status::INVALID_ROLE | Status::UNAUTHORIZED_ROLE => {
                let how = format!("{step} is answered with {} (status {:#04x})", status.text(), status.0);
                self.privilege_refused(&how, now);
            }
            // Another suite is as good a second try.
            Status::INVALID_CODE if self.login.suites.len() == 1 && self.doubts_refusal() => {
                self.begin(Step::Open, now)
            }
            Status::INVALID_CODE => {
                let error = self.wrong_password("the BMC refuses its code (RAKP message 4, status 0x0f)");
                self.try_other_suite_or_refuse(error, now);
            }
            // A lost answer and a repeated message leave some BMCs with a session that they no longer know.
            Status::INVALID_SESSION if self.login.handshakes < MAX_HANDSHAKES => self.begin(Step::Open, now),
            other => self.refuse(refusal::login_refused(step, other), now),
        }
    }

    /// Some BMCs match a user only at the very privilege that he has, so a refused one is followed by the next higher.
    pub(super) fn privilege_refused(&mut self, how: &str, now: Instant) {
        let error = refusal::privilege_too_low(&self.login.config.user, self.privilege, how);
        let farewell = self.close_datagram();
        self.outbox.extend(farewell);
        self.open = None;
        match self.privilege.raised() {
            Some(higher) if self.login.purpose == Purpose::FirstLogin && self.login.handshakes < MAX_HANDSHAKES => {
                self.login.kept.get_or_insert(error);
                self.privilege = higher;
                self.begin_login(now);
            }
            _ => self.refuse(error, now),
        }
    }

    pub(super) fn wrong_password(&self, how: &str) -> ConnectError {
        let ours = self.login.config.bmc_key.is_some();
        refusal::wrong_password(how, self.login.config.password.expose().len(), self.login.bmc_key, ours)
    }

    pub(super) fn climb(&mut self, rung: Rung, found: String) {
        let report = RungReport { rung, found };
        // A second attempt, with another suite or privilege, climbs a rung anew.
        self.login.climbed.retain(|held| held.rung < rung);
        self.login.climbed.push(report.clone());
        self.events.push(Event::Climbed(report));
    }

    /// A handshake failed.
    pub(super) fn refuse(&mut self, error: ConnectError, now: Instant) {
        self.awaiting = None;
        self.login.exchange = None;
        self.open = None;
        if let Purpose::Raise { from } = self.login.purpose
            && self.login.handshakes < MAX_HANDSHAKES
        {
            tracing::debug!(%error, "a higher privilege cannot be had");
            self.login.ceiling = from;
            self.privilege = from;
            self.login.purpose = Purpose::Renew;
            self.answer_head(Err(RequestError::Denied), now);
            self.begin_login(now);
            return;
        }
        let mut error = self.login.kept.take().unwrap_or(error);
        error.climbed.clone_from(&self.login.climbed);
        self.state = State::Dead;
        self.login.kept = Some(error.clone());
        for (id, _) in self.queue.take() {
            self.events.push(Event::Answered(id, Err(RequestError::Lost(Box::new(error.clone())))));
        }
        if self.login.purpose == Purpose::FirstLogin {
            self.events.push(Event::Refused(Box::new(error)));
        }
    }
}
