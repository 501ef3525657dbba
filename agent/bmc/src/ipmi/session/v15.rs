//! The session of IPMI 1.5 (§6.12, §22.16, §22.17): a challenge, its answer, and packets authenticated one by one. Weak: used only where it is named.

use super::super::handshake::{self, Malformed};
use super::super::message::{self, Response, V15};
use super::super::refusal;
use super::window::{Reach, Window};
use super::{Open, Secured, Session, Step};
use crate::{AuthType, CipherSuite, Rung};
use rand::Rng as _;
use std::time::Instant;

/// What is known between the challenge and the activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Activation {
    temporary: u32,
    challenge: [u8; 16],
    /// The first number of the BMC's packets.
    first: u32,
}

impl Session {
    /// How packets of IPMI 1.5 are authenticated, where the configuration names such a session.
    pub(super) fn v15(&self) -> Option<AuthType> {
        match self.login.config.cipher {
            Some(CipherSuite::V15(auth)) => Some(auth),
            _ => None,
        }
    }

    /// The password as packets of IPMI 1.5 are made with it.
    pub(super) fn padded_password(&self) -> [u8; 16] {
        let mut padded = [0; 16];
        for (to, from) in padded.iter_mut().zip(self.login.config.password.expose().bytes()) {
            *to = from;
        }
        padded
    }

    pub(super) fn activation_datagram(&mut self, rq_seq: u8) -> Option<Vec<u8>> {
        let (auth, activation) = (self.v15()?, self.login.activation?);
        let request = handshake::activate_request(auth, self.privilege, &activation.challenge, activation.first);
        let message = message::encode(&request, rq_seq);
        Some(message::wrap_v15_authentic(auth, &self.padded_password(), activation.temporary, 0, &message))
    }

    pub(super) fn took_challenge(&mut self, response: &Response, now: Instant) {
        match (response.completion, handshake::parse_challenge(&response.data)) {
            (0, Ok((temporary, challenge))) => {
                // Not 0, and so far from the end that no session comes there.
                let first = (self.login.random.next_u32() & 0x3FFF_FFFF) | 1;
                self.login.activation = Some(Activation { temporary, challenge, first });
                self.begin(Step::Activate, now);
            }
            (0, Err(Malformed)) => self.refuse(refusal::malformed("answer to Get Session Challenge"), now),
            (code, _) => self.refuse(refusal::no_challenge(&self.login.config.user, code), now),
        }
    }

    /// A refusal of the activation, which no BMC authenticates.
    pub(super) fn activation_refused(&mut self, completion: u8, now: Instant) {
        match completion {
            // An answer was lost, and the message that repeats the request is a stranger's.
            0x85 if self.login.handshakes < super::MAX_HANDSHAKES => self.begin_login(now),
            0x86 => self.privilege_refused("Activate Session is answered with completion code 0x86", now),
            code => self.refuse(refusal::not_activated("Activate Session", code), now),
        }
    }

    /// A packet in a session of IPMI 1.5, or in none.
    pub(super) fn take_v15(&mut self, packet: &V15<'_>, now: Instant) -> bool {
        let step = self.awaiting.as_ref().map(|a| a.step);
        match (self.v15(), step) {
            (Some(auth), Some(Step::Activate)) if packet.auth.is_some() => self.take_activation(packet, auth, now),
            (Some(auth), _) if packet.auth.is_some() => self.take_in_v15(packet, auth, now),
            _ if packet.auth.is_none() && (packet.session == 0 || step == Some(Step::Activate)) => {
                self.take_outside_session(packet.payload, now)
            }
            _ => false,
        }
    }

    fn take_activation(&mut self, packet: &V15<'_>, auth: AuthType, now: Instant) -> bool {
        let password = self.padded_password();
        let Some(activation) = self.login.activation.filter(|_| packet.is_authentic(auth, &password)) else {
            return false;
        };
        let token = self.awaiting.as_ref().map(|a| a.token);
        let answer = message::decode(packet.payload)
            .filter(|a| a.checksums_hold && a.command == 0x3A && Some(a.rq_seq) == token);
        let Some(answer) = answer else { return false };
        if answer.response.completion != 0 {
            self.finish_awaiting(now);
            self.activation_refused(answer.response.completion, now);
            return true;
        }
        let Ok(activated) = handshake::parse_activated(&answer.response.data) else {
            self.malformed = true;
            return false;
        };
        self.finish_awaiting(now);
        self.login.activation = None;
        if activated.auth != auth.id() {
            self.refuse(refusal::unauthenticated_after_login(auth), now);
            return true;
        }
        if self.login.purpose == super::Purpose::FirstLogin {
            self.climb(Rung::Security, self.suite_found(CipherSuite::V15(auth)));
        }
        self.open = Some(Open {
            secured: Secured::V15 { auth, password },
            bmc_session: activated.session,
            // The next packet has the number that the BMC wants first.
            sent: activated.first.wrapping_sub(1),
            received: Window::after(activation.first.wrapping_sub(1), Reach::v15(auth != AuthType::Password)),
        });
        self.opened(now);
        true
    }

    fn take_in_v15(&mut self, packet: &V15<'_>, auth: AuthType, now: Instant) -> bool {
        let password = self.padded_password();
        let Some(open) = &mut self.open else { return false };
        let fits = packet.session == open.bmc_session
            && packet.is_authentic(auth, &password)
            && message::sums_hold(packet.payload)
            && open.received.take(packet.sequence);
        fits && self.take_message(packet.payload, now)
    }
}
