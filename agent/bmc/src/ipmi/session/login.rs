//! Logging in: from the first word to a session with enough privilege, and what is tried when a step fails.

use super::super::crypto::{Exchange, Hash, Keys, same};
use super::super::handshake::{self, Capabilities, Malformed, Opened, Status};
use super::super::message::{self, Response, payload};
use super::super::refusal;
use super::{Event, MAX_HANDSHAKES, Open, Purpose, RequestError, Session, State, Step};
use crate::{CipherSuite, ConnectError, Rung, RungReport};
use ipmi_rs_core::connection::NetFn;
use rand::Rng as _;
use std::time::Instant;

impl Session {
    pub(super) fn open_datagram(&mut self, tag: u8) -> Option<Vec<u8>> {
        let suite = *self.suites.first()?;
        let console_session = loop {
            match self.random.next_u32() {
                0 => {}
                id => break id,
            }
        };
        self.exchange = Some(Exchange {
            hash: Hash::of(suite),
            console_session,
            bmc_session: 0,
            console_random: [0; 16],
            bmc_random: [0; 16],
            guid: [0; 16],
            role: self.privilege.role(),
            user: self.config.user.clone().into_bytes(),
            password: self.config.password.expose().as_bytes().to_vec(),
        });
        let body = handshake::open_request(tag, self.privilege, console_session, suite);
        Some(message::wrap_plain(payload::OPEN_REQUEST, &body))
    }

    pub(super) fn rakp1_datagram(&mut self, tag: u8) -> Option<Vec<u8>> {
        let exchange = self.exchange.as_mut()?;
        self.random.fill_bytes(&mut exchange.console_random);
        let body = handshake::rakp1(tag, exchange.bmc_session, &exchange.console_random, exchange.role, &exchange.user);
        Some(message::wrap_plain(payload::RAKP1, &body))
    }

    /// An IPMI message outside a session: only the two queries before the handshake have one.
    pub(super) fn take_outside_session(&mut self, body: &[u8], now: Instant) -> bool {
        let Some(answer) = message::decode(body).filter(|a| a.checksums_hold && a.netfn == NetFn::App) else {
            return false;
        };
        let Some(awaiting) = self.awaiting.as_ref().filter(|a| a.token == answer.rq_seq) else { return false };
        let Response { completion, data } = answer.response;
        match awaiting.step {
            Step::Capabilities { ask_for_rmcp_plus } if answer.command == 0x38 => {
                self.finish_awaiting(now);
                if self.ponged.is_none() {
                    self.ponged = Some(true);
                }
                self.took_capabilities(ask_for_rmcp_plus, completion, &data, now);
                true
            }
            Step::Suites { portion } if answer.command == 0x54 => {
                self.finish_awaiting(now);
                self.took_suites(portion, completion, &data, now);
                true
            }
            _ => false,
        }
    }

    pub(super) fn took_capabilities(&mut self, asked_for_rmcp_plus: bool, completion: u8, data: &[u8], now: Instant) {
        if self.purpose == Purpose::FirstLogin && self.climbed.is_empty() {
            self.climb(Rung::Reach, "the BMC answers".to_owned());
        }
        match (completion, Capabilities::parse(data)) {
            (0, Ok(found)) if found.rmcp_plus => {
                self.bmc_key = found.bmc_key;
                self.climb(Rung::Protocol, "RMCP+ (IPMI 2.0)".to_owned());
                self.begin(Step::Suites { portion: 0 }, now);
            }
            (0, Ok(_)) => self.refuse(refusal::ipmi_1_5(), now),
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
        self.suite_records.extend(records);
        // The list comes in portions of 16 bytes; a shorter one is the last (§22.15).
        if records.len() == 16 && portion < 0x3F {
            self.begin(Step::Suites { portion: portion + 1 }, now);
        } else {
            self.suites_known(now);
        }
    }

    pub(super) fn suites_known(&mut self, now: Instant) {
        let ids = handshake::suite_ids(&self.suite_records);
        if !ids.is_empty() {
            if self.config.cipher.is_none() && self.suites.iter().any(|s| ids.contains(&s.id())) {
                self.suites.retain(|s| ids.contains(&s.id()));
            }
            self.offered = Some(ids);
        }
        self.begin(Step::Open, now);
    }

    pub(super) fn took_opened(&mut self, body: &[u8], now: Instant) -> Result<(), Malformed> {
        let Some(&suite) = self.suites.first() else { return Err(Malformed) };
        match handshake::parse_opened(body, suite)? {
            Opened::Open(bmc_session) => {
                if let Some(exchange) = &mut self.exchange {
                    exchange.bmc_session = bmc_session;
                }
                if self.purpose == Purpose::FirstLogin {
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
        let offered = match &self.offered {
            Some(ids) => format!("offered: {}", ids.iter().map(u8::to_string).collect::<Vec<_>>().join(", ")),
            None => "the BMC lists none".to_owned(),
        };
        format!("cipher suite {} ({offered})", suite.id())
    }

    pub(super) fn took_rakp2(&mut self, body: &[u8], now: Instant) -> Result<(), Malformed> {
        let Some(exchange) = &mut self.exchange else { return Err(Malformed) };
        match handshake::parse_rakp2(body, exchange.hash)? {
            Ok(rakp2) => {
                exchange.bmc_random = rakp2.random;
                exchange.guid = rakp2.guid;
                if same(&exchange.rakp2_code(), &rakp2.code) {
                    self.begin(Step::Rakp3, now);
                } else {
                    // Lets the BMC free the half-open session.
                    let bmc_session = exchange.bmc_session;
                    self.next_tag = self.next_tag.wrapping_add(1);
                    let farewell = handshake::rakp3(self.next_tag, Status::INVALID_CODE.0, bmc_session, &[]);
                    self.outbox.push_back(message::wrap_plain(payload::RAKP3, &farewell));
                    let error = self.wrong_password("the BMC's key exchange code (RAKP message 2) does not fit it");
                    self.try_other_suite_or_refuse(error, now);
                }
            }
            Err(status) => self.status_refused("RAKP message 1", status, now),
        }
        Ok(())
    }

    pub(super) fn took_rakp4(&mut self, body: &[u8], now: Instant) -> Result<(), Malformed> {
        let Some(exchange) = &self.exchange else { return Err(Malformed) };
        match handshake::parse_rakp4(body, exchange.hash)? {
            Ok(code) => {
                let session_key = exchange.session_key();
                if same(&exchange.rakp4_code(&session_key), &code) {
                    self.open = Some(Open {
                        keys: Keys::derive(exchange.hash, &session_key),
                        console_session: exchange.console_session,
                        bmc_session: exchange.bmc_session,
                        sent: 0,
                        received: 0,
                    });
                    self.exchange = None;
                    self.opened(now);
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
        if self.purpose == Purpose::FirstLogin {
            self.climb(Rung::Login, format!("user {}", self.config.user));
        }
        self.begin(Step::Privilege, now);
    }

    pub(super) fn came_up(&mut self, now: Instant) {
        if self.purpose == Purpose::FirstLogin {
            self.climb(Rung::Privilege, self.privilege.name().to_owned());
            self.events.push_back(Event::Up);
        }
        self.state = State::Up;
        self.handshakes = 0;
        self.kept = None;
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
        self.purpose = purpose;
        self.renewed_for_head = true;
        // What worked once is what works.
        self.suites.truncate(1);
        self.begin(Step::Open, now);
    }

    pub(super) fn next_suite(&mut self, reason: &str, now: Instant) {
        if !self.suites.is_empty() {
            self.tried.push(self.suites.remove(0));
        }
        if self.suites.is_empty() {
            let error = refusal::suite_refused(&self.tried, self.offered.as_deref(), reason);
            self.suites.extend(self.tried.last());
            self.refuse(error, now);
        } else {
            self.begin(Step::Open, now);
        }
    }

    /// For what a broken implementation of one suite can look like too.
    pub(super) fn try_other_suite_or_refuse(&mut self, error: ConnectError, now: Instant) {
        if self.suites.len() > 1 {
            self.kept.get_or_insert(error);
            self.tried.push(self.suites.remove(0));
            self.begin(Step::Open, now);
        } else {
            self.refuse(error, now);
        }
    }

    pub(super) fn status_refused(&mut self, step: &str, status: Status, now: Instant) {
        match status {
            Status::NO_RESOURCES | Status::NO_RESOURCES_FOR_ROLE => self.refuse(refusal::out_of_sessions(status), now),
            Status::UNAUTHORIZED_NAME | Status::INVALID_NAME_LENGTH => {
                self.refuse(refusal::unknown_user(&self.config.user, status), now);
            }
            Status::INVALID_ROLE | Status::UNAUTHORIZED_ROLE => {
                let how = format!("{step} is answered with {} (status {:#04x})", status.text(), status.0);
                self.privilege_refused(&how, now);
            }
            Status::INVALID_CODE => {
                let error = self.wrong_password("the BMC refuses its code (RAKP message 4, status 0x0f)");
                self.try_other_suite_or_refuse(error, now);
            }
            // A lost answer and a repeated message leave some BMCs with a session that they no longer know.
            Status::INVALID_SESSION if self.handshakes < MAX_HANDSHAKES => self.begin(Step::Open, now),
            other => self.refuse(refusal::login_refused(step, other), now),
        }
    }

    /// Some BMCs match a user only at the very privilege that he has, so a refused one is followed by the next higher.
    pub(super) fn privilege_refused(&mut self, how: &str, now: Instant) {
        let error = refusal::privilege_too_low(&self.config.user, self.privilege, how);
        let farewell = self.close_datagram();
        self.outbox.extend(farewell);
        self.open = None;
        match self.privilege.raised() {
            Some(higher) if self.purpose == Purpose::FirstLogin && self.handshakes < MAX_HANDSHAKES => {
                self.kept.get_or_insert(error);
                self.privilege = higher;
                self.begin(Step::Open, now);
            }
            _ => self.refuse(error, now),
        }
    }

    pub(super) fn wrong_password(&self, how: &str) -> ConnectError {
        refusal::wrong_password(how, self.config.password.expose().len(), self.bmc_key)
    }

    pub(super) fn climb(&mut self, rung: Rung, found: String) {
        let report = RungReport { rung, found };
        // A second attempt, with another suite or privilege, climbs a rung anew.
        self.climbed.retain(|held| held.rung < rung);
        self.climbed.push(report.clone());
        self.events.push_back(Event::Climbed(report));
    }

    /// A handshake failed.
    pub(super) fn refuse(&mut self, error: ConnectError, now: Instant) {
        self.awaiting = None;
        self.exchange = None;
        self.open = None;
        if let Purpose::Raise { from } = self.purpose
            && self.handshakes < MAX_HANDSHAKES
        {
            tracing::debug!(%error, "a higher privilege cannot be had");
            self.ceiling = from;
            self.privilege = from;
            self.purpose = Purpose::Renew;
            self.answer_head(Err(RequestError::Denied), now);
            self.begin(Step::Open, now);
            return;
        }
        let mut error = self.kept.take().unwrap_or(error);
        error.climbed.clone_from(&self.climbed);
        self.state = State::Dead;
        self.kept = Some(error.clone());
        for (id, _) in self.queue.drain(..) {
            self.events.push_back(Event::Answered(id, Err(RequestError::Lost(error.clone()))));
        }
        if self.purpose == Purpose::FirstLogin {
            self.events.push_back(Event::Refused(error));
        }
    }
}
