//! What comes back: which answers are taken, and what happens when none comes.

use super::super::bridge;
use super::super::handshake::Malformed;
use super::super::message::{self, Answer, Plus, Request, Response, payload};
use super::super::refusal;
use super::{Event, Purpose, RequestError, Secured, Session, State, Step};
use ipmi_rs_core::connection::NetFn;
use std::time::Instant;

impl Session {
    pub(super) fn take_plus(&mut self, packet: &Plus<'_>, now: Instant) -> bool {
        let Some(awaiting) = &self.awaiting else { return false };
        let expected = match awaiting.step {
            Step::Open => payload::OPEN_RESPONSE,
            Step::Rakp1 => payload::RAKP2,
            Step::Rakp3 => payload::RAKP4,
            _ => payload::IPMI,
        };
        if packet.kind != expected {
            return false;
        }
        if expected == payload::IPMI {
            return match packet.session {
                0 => self.take_outside_session(packet.payload, now),
                _ => self.take_inside_session(packet, now),
            };
        }
        let for_us = packet.session == 0
            && packet.payload.first() == Some(&awaiting.token)
            && packet.payload.get(4..8).is_none_or(|id| {
                // A refusal need not repeat our session id; zeros stand for "none".
                id == [0; 4] || self.login.exchange.as_ref().is_some_and(|e| e.console_session.to_le_bytes() == *id)
            });
        if !for_us {
            return false;
        }
        let done = match awaiting.step {
            Step::Open => self.took_opened(packet.payload, now),
            Step::Rakp1 => self.took_rakp2(packet.payload, now),
            _ => self.took_rakp4(packet.payload, now),
        };
        // Nothing vouches for it: it may have been cut off on its way, so the answer is still waited for.
        if let Err(Malformed) = done {
            self.malformed = true;
        }
        done.is_ok()
    }

    pub(super) fn take_inside_session(&mut self, packet: &Plus<'_>, now: Instant) -> bool {
        let Some(open) = &mut self.open else { return false };
        let Secured::Plus { keys, console_session } = &open.secured else { return false };
        if packet.session != *console_session || !packet.is_authentic(keys) {
            return false;
        }
        // Where the packet is authentic, the message's own checksums, which some BMCs get wrong, add nothing.
        let plain = keys.open(packet.payload).filter(|plain| keys.sign() || message::sums_hold(plain));
        let Some(plain) = plain.filter(|_| open.received.take(packet.sequence)) else { return false };
        self.take_message(&plain, now)
    }

    /// A message in the session that is as good as it will get.
    pub(super) fn take_message(&mut self, message: &[u8], now: Instant) -> bool {
        if self.asks_controller(|request, token| bridge::answers(request, token, message)) {
            self.finish_awaiting(now);
            self.answer_head(Ok(Response { completion: 0, data: message.into() }), now);
            return true;
        }
        message::decode(message).is_some_and(|answer| self.take_answer(answer, now))
    }

    /// Whether what is awaited is the answer of a controller behind the BMC, of which, and of the number it was sent under, `holds`.
    pub(super) fn asks_controller(&self, holds: impl FnOnce(&Request, u8) -> bool) -> bool {
        let awaiting = self.awaiting.as_ref().filter(|a| a.step == Step::Request);
        awaiting
            .zip(self.head())
            .is_some_and(|(awaiting, request)| bridge::is_wrapped(request) && holds(request, awaiting.token))
    }

    pub(super) fn take_answer(&mut self, answer: Answer, now: Instant) -> bool {
        let Some(awaiting) = self.awaiting.as_ref().filter(|a| a.token == answer.rq_seq) else { return false };
        let asked = match awaiting.step {
            Step::Privilege => Some((NetFn::App, 0x3B)),
            Step::KeepAlive => Some((NetFn::App, 0x01)),
            Step::Close => Some((NetFn::App, 0x3C)),
            Step::Request => self.head().map(|r| (r.netfn, r.command)),
            _ => None,
        };
        // Functions beyond those that have a name come back as their answer's number.
        let fits = asked.is_some_and(|(netfn, command)| {
            netfn.request_value() == answer.netfn.request_value() && command == answer.command
        });
        if !fits {
            return false;
        }
        let step = awaiting.step;
        match (step, answer.response.completion) {
            (Step::Privilege | Step::Request, 0xC0) => {
                if let Some(awaiting) = &mut self.awaiting {
                    awaiting.answered_busy(now);
                }
            }
            (Step::Privilege, 0) => {
                self.finish_awaiting(now);
                self.came_up(now);
            }
            (Step::Privilege, code) => {
                self.finish_awaiting(now);
                let how = format!("Set Session Privilege Level is answered with completion code {code:#04x}");
                self.privilege_refused(&how, now);
            }
            // The BMC carried it; the answer proper is a message of its own.
            (Step::Request, 0) if answer.response.data.is_empty() && self.asks_controller(|_, _| true) => {}
            (Step::Request, 0xD4) => {
                self.finish_awaiting(now);
                match self.privilege.raised().filter(|p| *p <= self.login.ceiling) {
                    Some(higher) => {
                        let from = self.privilege;
                        self.privilege = higher;
                        self.log_in_again(Purpose::Raise { from }, now);
                    }
                    None => self.answer_head(Err(RequestError::Denied), now),
                }
            }
            (Step::Request, _) => {
                self.finish_awaiting(now);
                self.answer_head(Ok(answer.response), now);
            }
            // Whatever it says, the session is there.
            (Step::KeepAlive, _) => self.finish_awaiting(now),
            _ => {
                self.finish_awaiting(now);
                self.open = None;
                self.state = State::Dead;
                self.events.push(Event::Closed);
            }
        }
        true
    }

    pub(super) fn answer_head(&mut self, result: Result<Response, RequestError>, now: Instant) {
        if let Some((id, _)) = self.queue.pop() {
            self.events.push(Event::Answered(id, result));
        }
        self.renewed_for_head = false;
        self.start_next(now);
    }

    pub(super) fn finish_awaiting(&mut self, now: Instant) {
        if let Some(done) = self.awaiting.take() {
            match done.sample(now) {
                Some(sample) => self.round_trip.learn(sample),
                None => self.round_trip.keep_back(done.last_timeout(), self.request_deadline),
            }
            if !done.step.is_handshake() {
                self.numbers.done(done.token, done.owed_answers(), now);
            }
        }
    }

    pub(super) fn expire(&mut self, now: Instant) {
        let Some(over) = self.awaiting.take() else { return };
        let waited = now.duration_since(over.begun);
        if !over.step.is_handshake() {
            self.numbers.done(over.token, over.transmissions, now);
        }
        if self.malformed && (over.step.is_handshake() || over.step == Step::Activate) {
            let error = refusal::malformed("answer in the session's handshake");
            self.try_other_suite_or_refuse(error, now);
            return;
        }
        match over.step {
            Step::Capabilities { .. } => {
                let error = match self.login.ponged {
                    Some(claims_ipmi) => refusal::no_ipmi(waited, claims_ipmi),
                    None => refusal::no_answer(waited),
                };
                self.refuse(error, now);
            }
            Step::Suites { .. } => self.suites_known(now),
            Step::Open => self.try_other_suite_or_refuse(refusal::silent_at("Open Session", waited), now),
            Step::Rakp1 => self.try_other_suite_or_refuse(refusal::silent_at("RAKP message 1", waited), now),
            Step::Rakp3 => self.try_other_suite_or_refuse(refusal::silent_at("RAKP message 3", waited), now),
            Step::Challenge => self.refuse(refusal::silent_at("Get Session Challenge", waited), now),
            Step::Activate => self.refuse(refusal::silent_at_activation(waited), now),
            Step::KeepAlive => {
                self.lapsed = true;
                self.start_next(now);
            }
            Step::Privilege => self.refuse(refusal::silent_at("Set Session Privilege Level", waited), now),
            Step::Request if over.was_busy => self.answer_head(Err(RequestError::Busy), now),
            // The BMC is well, and it is a controller behind it that is silent.
            Step::Request if self.head().is_some_and(bridge::is_wrapped) => {
                self.answer_head(Err(RequestError::Timeout(waited)), now);
            }
            Step::Request if !self.renewed_for_head => self.log_in_again(Purpose::Renew, now),
            Step::Request => self.answer_head(Err(RequestError::Timeout(waited)), now),
            Step::Close => {
                self.open = None;
                self.state = State::Dead;
                self.events.push(Event::Closed);
            }
        }
    }
}
