//! A BMC without a socket, for tests of the session: it answers datagrams, and can be told to misbehave.

use super::super::crypto::{Exchange, Hash, Keys, same};
use super::super::handshake::Privilege;
use super::super::message::{self, Packet, payload};
use super::super::timing::some_time;
use super::{Config, Event, RequestId, Session};
use crate::{CipherSuite, Secret};
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::time::{Duration, Instant};

pub(super) const USER: &str = "poller";
pub(super) const PASSWORD: &str = "poll-secret";
pub(super) const DEADLINE: Duration = Duration::from_secs(4);

/// A command that came in an open session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) command: u8,
    pub(super) rq_seq: u8,
    pub(super) sequence: u32,
}

pub(super) struct FakeBmc {
    pub(super) suites: Vec<CipherSuite>,
    pub(super) lists_suites: bool,
    pub(super) rmcp_plus: bool,
    pub(super) password: &'static str,
    /// The highest privilege that the user may have.
    pub(super) limit: Privilege,
    /// The privilege that Get Sensor Reading needs.
    pub(super) needed: Privilege,
    /// Status of every Open Session Response.
    pub(super) open_status: u8,
    /// Whether a BMC key (K_G) takes the place of the user's key in the session key.
    pub(super) has_bmc_key: bool,
    /// How many times to say "node busy".
    pub(super) busy: u32,
    pub(super) seen: Vec<Seen>,
    pub(super) opened: u32,
    pub(super) exchange: Option<Exchange>,
    pub(super) keys: Option<Keys>,
    pub(super) privilege: u8,
    pub(super) console_session: u32,
    pub(super) bmc_session: u32,
    pub(super) sent: u32,
}

impl FakeBmc {
    pub(super) fn new() -> Self {
        Self {
            suites: vec![CipherSuite::Three, CipherSuite::Seventeen],
            lists_suites: true,
            rmcp_plus: true,
            password: PASSWORD,
            limit: Privilege::Administrator,
            needed: Privilege::User,
            open_status: 0,
            has_bmc_key: false,
            busy: 0,
            seen: Vec::new(),
            opened: 0,
            exchange: None,
            keys: None,
            privilege: 0,
            console_session: 0,
            bmc_session: 0x5150_0000,
            sent: 0,
        }
    }

    /// Forgets the session, as a BMC does that expired it.
    pub(super) fn forget(&mut self) {
        self.keys = None;
    }

    pub(super) fn has_session(&self) -> bool {
        self.keys.is_some()
    }

    pub(super) fn answer(&mut self, datagram: &[u8]) -> Option<Vec<u8>> {
        match message::parse(datagram)? {
            Packet::V15(body) => self.command(body, None).map(|answer| message::wrap_v15(&answer)),
            Packet::Plus(packet) => match packet.kind {
                payload::OPEN_REQUEST => Some(self.open(packet.payload)),
                payload::RAKP1 => Some(self.rakp1(packet.payload)),
                payload::RAKP3 => self.rakp3(packet.payload),
                _ if packet.session == 0 => {
                    self.command(packet.payload, None).map(|answer| message::wrap_plain(payload::IPMI, &answer))
                }
                _ => {
                    let keys = self.keys.clone()?;
                    if packet.session != self.bmc_session || !packet.is_authentic(&keys) {
                        return None;
                    }
                    let answer = self.command(&keys.open(packet.payload)?, Some(packet.sequence))?;
                    let sealed = self.seal(&answer);
                    if self.seen.last().is_some_and(|s| s.command == 0x3C) {
                        self.keys = None;
                    }
                    sealed
                }
            },
            Packet::Pong { .. } => None,
        }
    }

    /// Seals a message with the next sequence number.
    pub(super) fn seal(&mut self, answer: &[u8]) -> Option<Vec<u8>> {
        self.sent += 1;
        Some(message::wrap_sealed(self.keys.as_ref()?, self.console_session, self.sent, [7; 16], answer))
    }

    /// The answer that a sensor's reading would have under a request number. Its value is the sensor's number, so that a mix-up shows.
    pub(super) fn reading(rq_seq: u8, number: u8) -> Vec<u8> {
        respond(0x05, rq_seq, 0x2D, &[0, number, 0x40, 0, 0])
    }

    fn command(&mut self, body: &[u8], sequence: Option<u32>) -> Option<Vec<u8>> {
        let &[_, netfn_lun, _, _, seq, command, ref rest @ ..] = body else { return None };
        let (netfn, rq_seq, data) = (netfn_lun >> 2, seq >> 2, &rest[..rest.len() - 1]);
        if let Some(sequence) = sequence {
            self.seen.push(Seen { command, rq_seq, sequence });
        }
        let data = match (netfn, command) {
            (6, 0x38) => {
                vec![
                    0,
                    1,
                    if self.rmcp_plus { 0x80 } else { 0x04 },
                    if self.has_bmc_key { 0x24 } else { 4 },
                    if self.rmcp_plus { 3 } else { 0 },
                    0,
                    0,
                    0,
                    0,
                ]
            }
            (6, 0x54) if self.lists_suites => {
                let mut list = vec![0, 1];
                for suite in &self.suites {
                    list.extend([0xC0, suite.id(), 1, 0x41, 0x81]);
                }
                list
            }
            (6, 0x54) => return None,
            _ if self.busy > 0 => {
                self.busy -= 1;
                vec![0xC0]
            }
            (6, 0x3B) => vec![0, data[0]],
            (6, 0x3C) => vec![0],
            (4, 0x2D) if self.privilege < self.needed as u8 => vec![0xD4],
            (4, 0x2D) => return Some(Self::reading(rq_seq, data[0])),
            _ => vec![0xC1],
        };
        Some(respond(netfn | 1, rq_seq, command, &data))
    }

    fn open(&mut self, body: &[u8]) -> Vec<u8> {
        let algorithms = [body[12], body[20], body[28]];
        let suite = match algorithms {
            [1, 1, 1] => CipherSuite::Three,
            _ => CipherSuite::Seventeen,
        };
        let status = match self.open_status {
            0 if !self.suites.contains(&suite) => 0x11,
            status => status,
        };
        if status != 0 {
            return message::wrap_plain(payload::OPEN_RESPONSE, &[&[body[0], status, 0, 0], &body[4..8]].concat());
        }
        self.bmc_session += 1;
        self.exchange = Some(Exchange {
            hash: Hash::of(suite),
            console_session: u32::from_le_bytes([body[4], body[5], body[6], body[7]]),
            bmc_session: self.bmc_session,
            console_random: [0; 16],
            bmc_random: [0; 16],
            guid: [3; 16],
            role: 0,
            user: Vec::new(),
            password: self.password.as_bytes().to_vec(),
        });
        let mut out = vec![body[0], 0, body[1], 0];
        out.extend(&body[4..8]);
        out.extend(self.bmc_session.to_le_bytes());
        out.extend(&body[8..32]);
        message::wrap_plain(payload::OPEN_RESPONSE, &out)
    }

    fn rakp1(&mut self, body: &[u8]) -> Vec<u8> {
        let exchange = self.exchange.as_mut().unwrap();
        exchange.console_random = body[8..24].try_into().unwrap();
        exchange.role = body[24];
        exchange.user = body[28..].to_vec();
        // A new random number each time: only the last exchange counts.
        exchange.bmc_random = [exchange.bmc_random[0].wrapping_add(1); 16];
        let status = if exchange.user != USER.as_bytes() {
            0x0D
        } else if exchange.role & 0x0F > self.limit as u8 {
            0x0A
        } else {
            0
        };
        let mut out = vec![body[0], status, 0, 0];
        out.extend(exchange.console_session.to_le_bytes());
        if status == 0 {
            out.extend(exchange.bmc_random);
            out.extend(exchange.guid);
            out.extend(exchange.rakp2_code());
        }
        message::wrap_plain(payload::RAKP2, &out)
    }

    fn rakp3(&mut self, body: &[u8]) -> Option<Vec<u8>> {
        let exchange = self.exchange.clone()?;
        if body[1] != 0 || !same(&exchange.rakp3_code(), &body[8..]) {
            return None;
        }
        let key = if self.has_bmc_key {
            Exchange { password: b"bmc-key".to_vec(), ..exchange.clone() }.session_key()
        } else {
            exchange.session_key()
        };
        self.keys = Some(Keys::derive(exchange.hash, &key));
        self.console_session = exchange.console_session;
        self.privilege = exchange.role & 0x0F;
        self.opened += 1;
        let mut out = vec![body[0], 0, 0, 0];
        out.extend(exchange.console_session.to_le_bytes());
        out.extend(exchange.rakp4_code(&key));
        Some(message::wrap_plain(payload::RAKP4, &out))
    }
}

fn respond(netfn: u8, rq_seq: u8, command: u8, data: &[u8]) -> Vec<u8> {
    let sum = |bytes: &[u8]| bytes.iter().fold(0u8, |s, b| s.wrapping_add(*b)).wrapping_neg();
    let mut out = vec![0x81, netfn << 2];
    out.push(sum(&out));
    out.extend([0x20, rq_seq << 2, command]);
    out.extend(data);
    out.push(sum(&out[3..]));
    out
}

/// A session and a BMC, with a time of their own.
pub(super) struct Pair {
    pub(super) session: Session,
    pub(super) bmc: FakeBmc,
    pub(super) now: Instant,
    pub(super) begun: Instant,
}

pub(super) fn config() -> Config {
    Config { user: USER.to_owned(), password: Secret::new(PASSWORD), cipher: None, request_deadline: DEADLINE }
}

impl Pair {
    pub(super) fn new(config: Config, bmc: FakeBmc) -> Self {
        let now = some_time();
        Self { session: Session::connect(config, StdRng::seed_from_u64(7), now), bmc, now, begun: now }
    }

    /// With an open session, or not at all.
    pub(super) fn up(bmc: FakeBmc) -> Self {
        let mut pair = Self::new(config(), bmc);
        let events = pair.run();
        assert!(events.contains(&Event::Up), "{events:?}");
        pair
    }

    /// What the session sends now.
    pub(super) fn sent(&mut self) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.session.poll_transmit()).collect()
    }

    /// Lets what the session sends reach the BMC; what it answers is under way.
    pub(super) fn answers(&mut self) -> Vec<Vec<u8>> {
        self.sent().iter().filter_map(|d| self.bmc.answer(d)).collect()
    }

    pub(super) fn deliver(&mut self, datagram: &[u8]) {
        self.session.handle_datagram(self.now, datagram);
    }

    /// Lets time pass until the session wants to be woken.
    pub(super) fn wake(&mut self) {
        self.now = self.session.poll_timeout().unwrap();
        self.session.handle_timeout(self.now);
    }

    pub(super) fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.session.poll_event()).collect()
    }

    /// Runs over a perfect network until the session waits for nothing; gives what happened.
    pub(super) fn run(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            let answers = self.answers();
            if answers.is_empty() {
                events.extend(self.events());
                match self.session.poll_timeout() {
                    Some(_) => self.wake(),
                    None if self.session.outbox.is_empty() => return events,
                    None => {}
                }
            }
            answers.iter().for_each(|a| self.deliver(a));
        }
    }

    pub(super) fn ask(&mut self, sensor: u8) -> RequestId {
        let request = super::Request::new(ipmi_rs_core::connection::NetFn::SensorEvent, 0x2D, [sensor]);
        self.session.request(request, self.now)
    }
}
