//! A BMC without a socket, for tests of the session: it answers datagrams, and can be told to misbehave.

use super::super::crypto::{Exchange, Hash, Keys, same};
use super::super::handshake::Privilege;
use super::super::message::{self, Packet, payload};
use super::super::timing::some_time;
use super::window::{Reach, Window};
use super::{Config, Event, RequestId, Session};
use crate::{AuthType, CipherSuite, Secret};
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::time::{Duration, Instant};

pub(in crate::ipmi) const USER: &str = "poller";
pub(in crate::ipmi) const PASSWORD: &str = "poll-secret";
/// `has_bmc_key`: which it is.
pub(in crate::ipmi) const BMC_KEY: [u8; 3] = [0xB0, 0x0C, 0x51];
pub(in crate::ipmi) const DEADLINE: Duration = Duration::from_secs(4);

/// A command that came in an open session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ipmi) struct Seen {
    pub(in crate::ipmi) command: u8,
    pub(in crate::ipmi) rq_seq: u8,
    pub(in crate::ipmi) sequence: u32,
}

pub(in crate::ipmi) struct FakeBmc {
    pub(in crate::ipmi) suites: Vec<CipherSuite>,
    pub(in crate::ipmi) lists_suites: bool,
    pub(in crate::ipmi) rmcp_plus: bool,
    pub(in crate::ipmi) password: &'static str,
    /// The highest privilege that the user may have.
    pub(in crate::ipmi) limit: Privilege,
    /// The privilege that Get Sensor Reading needs.
    pub(in crate::ipmi) needed: Privilege,
    /// Status of every Open Session Response.
    pub(in crate::ipmi) open_status: u8,
    /// Whether a BMC key (K_G) takes the place of the user's key in the session key.
    pub(in crate::ipmi) has_bmc_key: bool,
    /// How many times to say "node busy".
    pub(in crate::ipmi) busy: u32,
    /// The command that it does not answer in a session.
    pub(in crate::ipmi) leaves_out: Option<u8>,
    pub(in crate::ipmi) seen: Vec<Seen>,
    pub(in crate::ipmi) opened: u32,
    /// The status of each RAKP message 3 that ended a handshake.
    pub(in crate::ipmi) farewells: Vec<u8>,
    /// What it accepts of IPMI 1.5.
    pub(in crate::ipmi) v15: Option<AuthType>,
    pub(in crate::ipmi) suite: CipherSuite,
    pub(in crate::ipmi) exchange: Option<Exchange>,
    pub(in crate::ipmi) keys: Option<Keys>,
    pub(in crate::ipmi) received: Window,
    pub(in crate::ipmi) privilege: u8,
    pub(in crate::ipmi) console_session: u32,
    pub(in crate::ipmi) bmc_session: u32,
    pub(in crate::ipmi) sent: u32,
}

impl FakeBmc {
    pub(in crate::ipmi) fn new() -> Self {
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
            leaves_out: None,
            seen: Vec::new(),
            opened: 0,
            farewells: Vec::new(),
            v15: None,
            suite: CipherSuite::Seventeen,
            exchange: None,
            keys: None,
            received: Window::after(0, Reach::plus(true)),
            privilege: 0,
            console_session: 0,
            bmc_session: 0x5150_0000,
            sent: 0,
        }
    }

    /// Forgets the session, as a BMC does that expired it.
    pub(in crate::ipmi) fn forget(&mut self) {
        self.keys = None;
    }

    pub(in crate::ipmi) fn has_session(&self) -> bool {
        self.keys.is_some()
    }

    pub(in crate::ipmi) fn answer(&mut self, datagram: &[u8]) -> Option<Vec<u8>> {
        match message::parse(datagram)? {
            Packet::V15(packet) => self.answer_v15(&packet),
            Packet::Plus(packet) => match packet.kind {
                payload::OPEN_REQUEST => self.open(packet.payload),
                payload::RAKP1 => self.rakp1(packet.payload),
                payload::RAKP3 => self.rakp3(packet.payload),
                _ if packet.session == 0 => {
                    self.command(packet.payload, None).map(|answer| message::wrap_plain(payload::IPMI, &answer))
                }
                _ => {
                    let keys = self.keys.clone()?;
                    if packet.session != self.bmc_session || !packet.is_authentic(&keys) {
                        return None;
                    }
                    if !self.received.take(packet.sequence) {
                        return None;
                    }
                    let answer = self.command(&keys.open(packet.payload)?, Some(packet.sequence))?;
                    let sealed = self.seal(&answer);
                    if answer[5] == 0x3C {
                        self.keys = None;
                    }
                    sealed
                }
            },
            Packet::Pong { .. } => None,
        }
    }

    /// A session of IPMI 1.5 is one with keys that are of no use.
    fn answer_v15(&mut self, packet: &message::V15<'_>) -> Option<Vec<u8>> {
        let password = self.padded();
        let Some(auth) = packet.auth else {
            return self.command(packet.payload, None).map(|answer| message::wrap_v15(&answer));
        };
        if Some(auth) != self.v15 || !packet.is_authentic(auth, &password) {
            return None;
        }
        let &[_, netfn_lun, _, _, seq, command, ref data @ .., _] = packet.payload else { return None };
        if command == 0x3A && netfn_lun == 0x18 {
            if packet.session != 0x7E3F_0000 | (self.bmc_session & 0xFFFF) || data.get(2..18)? != [0x5A; 16] {
                return Some(message::wrap_v15(&respond(7, seq >> 2, command, &[0x85])));
            }
            if data[1] > self.limit as u8 {
                return Some(message::wrap_v15(&respond(7, seq >> 2, command, &[0x86])));
            }
            self.bmc_session += 1;
            self.console_session = self.bmc_session;
            self.privilege = data[1];
            self.suite = CipherSuite::V15(auth);
            self.keys = Some(Keys::derive(self.suite, &[]));
            self.received = Window::after(99, Reach::v15(auth != AuthType::Password));
            self.opened += 1;
            self.sent = u32::from_le_bytes(*data[18..].first_chunk()?).wrapping_sub(1);
            let mut out = vec![0, auth.id()];
            out.extend(self.bmc_session.to_le_bytes());
            out.extend(100u32.to_le_bytes());
            out.push(data[1]);
            let answer = respond(7, seq >> 2, command, &out);
            return Some(message::wrap_v15_authentic(auth, &password, packet.session, 0, &answer));
        }
        self.keys.as_ref()?;
        let fits = packet.session == self.bmc_session && self.received.take(packet.sequence);
        let answer = self.command(packet.payload, Some(packet.sequence)).filter(|_| fits)?;
        let sealed = self.seal(&answer);
        if command == 0x3C {
            self.keys = None;
        }
        sealed
    }

    fn padded(&self) -> [u8; 16] {
        let mut padded = [0; 16];
        padded.iter_mut().zip(self.password.bytes()).for_each(|(to, from)| *to = from);
        padded
    }

    /// Seals a message with the next sequence number.
    pub(in crate::ipmi) fn seal(&mut self, answer: &[u8]) -> Option<Vec<u8>> {
        self.sent += 1;
        if let CipherSuite::V15(auth) = self.suite {
            self.keys.as_ref()?;
            return Some(message::wrap_v15_authentic(auth, &self.padded(), self.bmc_session, self.sent, answer));
        }
        Some(message::wrap_sealed(self.keys.as_ref()?, self.console_session, self.sent, [7; 16], answer))
    }

    /// The answer that a sensor's reading would have under a request number. Its value is the sensor's number, so that a mix-up shows.
    pub(in crate::ipmi) fn reading(rq_seq: u8, number: u8) -> Vec<u8> {
        respond(0x05, rq_seq, 0x2D, &[0, number, 0x40, 0, 0])
    }

    fn command(&mut self, body: &[u8], sequence: Option<u32>) -> Option<Vec<u8>> {
        let &[to, netfn_lun, first, from, seq, command, ref data @ .., last] = body else { return None };
        let sum = |bytes: &[u8]| bytes.iter().fold(0u8, |s, b| s.wrapping_add(*b));
        if sum(&[to, netfn_lun, first]) != 0 || sum(&[from, seq, command, last]).wrapping_add(sum(data)) != 0 {
            return None;
        }
        let (netfn, rq_seq) = (netfn_lun >> 2, seq >> 2);
        if let Some(sequence) = sequence {
            self.seen.push(Seen { command, rq_seq, sequence });
        }
        let data = match (netfn, command) {
            (6, 0x38) => {
                vec![
                    0,
                    1,
                    self.v15.map_or(0, |auth| 1 << auth.id()) | if self.rmcp_plus { 0x80 } else { 0 },
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
                    list.extend([0xC0, suite.id().unwrap(), 1, 0x41, 0x81]);
                }
                list
            }
            (6, 0x54) => return None,
            (6, 0x39) if data.get(1..)? == [USER.as_bytes(), &[0; 10]].concat() => {
                // A new temporary session: only the last one counts.
                self.bmc_session += 1;
                let mut out = vec![0];
                out.extend((0x7E3F_0000 | (self.bmc_session & 0xFFFF)).to_le_bytes());
                out.extend([0x5A; 16]);
                out
            }
            (6, 0x39) => vec![0x81],
            // Everything else is for those who are logged in.
            _ if sequence.is_none() || self.leaves_out == Some(command) => return None,
            _ if self.busy > 0 => {
                self.busy -= 1;
                vec![0xC0]
            }
            (6, 0x01) => vec![0, 0x20, 1, 2, 3, 2, 0xBF, 1, 2, 3, 4, 5],
            (6, 0x3B) => vec![0, *data.first()?],
            (6, 0x3C) => vec![0],
            (4, 0x2D) if self.privilege < self.needed as u8 => vec![0xD4],
            (4, 0x2D) => [&[0, *data.first()?, 0x40, 0, 0][..], &data[1..]].concat(),
            _ => vec![0xC1],
        };
        Some(respond(netfn | 1, rq_seq, command, &data))
    }

    fn open(&mut self, body: &[u8]) -> Option<Vec<u8>> {
        let algorithms = [*body.get(12)?, *body.get(20)?, *body.get(28)?];
        let suite = match algorithms {
            [0, 0, 0] => CipherSuite::Zero,
            [1, 0, 0] => CipherSuite::One,
            [1, 1, 0] => CipherSuite::Two,
            [1, 1, 1] => CipherSuite::Three,
            [3, 0, 0] => CipherSuite::Fifteen,
            [3, 4, 0] => CipherSuite::Sixteen,
            [3, 4, 1] => CipherSuite::Seventeen,
            _ => CipherSuite::V15(AuthType::Md5),
        };
        let status = match self.open_status {
            0 if !self.suites.contains(&suite) => 0x11,
            status => status,
        };
        if status != 0 {
            let refusal = [&[body[0], status, 0, 0], &body[4..8]].concat();
            return Some(message::wrap_plain(payload::OPEN_RESPONSE, &refusal));
        }
        self.bmc_session += 1;
        // The session before, if there was one, has another id.
        self.keys = None;
        self.suite = suite;
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
            bmc_key: Vec::new(),
        });
        let mut out = vec![body[0], 0, body[1], 0];
        out.extend(&body[4..8]);
        out.extend(self.bmc_session.to_le_bytes());
        out.extend(body.get(8..32)?);
        Some(message::wrap_plain(payload::OPEN_RESPONSE, &out))
    }

    fn rakp1(&mut self, body: &[u8]) -> Option<Vec<u8>> {
        let Some(exchange) = self.exchange.as_mut().filter(|e| body.get(4..8) == Some(&e.bmc_session.to_le_bytes()))
        else {
            return Some(message::wrap_plain(payload::RAKP2, &[*body.first()?, 2, 0, 0, 0, 0, 0, 0]));
        };
        exchange.console_random = *body.get(8..)?.first_chunk()?;
        exchange.role = *body.get(24)?;
        exchange.user = body.get(28..28 + usize::from(*body.get(27)?))?.to_vec();
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
        Some(message::wrap_plain(payload::RAKP2, &out))
    }

    fn rakp3(&mut self, body: &[u8]) -> Option<Vec<u8>> {
        let exchange = self.exchange.clone()?;
        if *body.get(1)? != 0 {
            self.farewells.push(body[1]);
            return None;
        }
        if body[4..8] != exchange.bmc_session.to_le_bytes() || !same(&exchange.rakp3_code(), &body[8..]) {
            return None;
        }
        let key = if self.has_bmc_key {
            Exchange { bmc_key: BMC_KEY.to_vec(), ..exchange.clone() }.session_key()
        } else {
            exchange.session_key()
        };
        let keys = Keys::derive(self.suite, &key);
        self.received = Window::after(0, Reach::plus(keys.sign()));
        self.sent = 0;
        self.keys = Some(keys);
        self.console_session = exchange.console_session;
        self.privilege = exchange.role & 0x0F;
        self.opened += 1;
        let mut out = vec![body[0], 0, 0, 0];
        out.extend(exchange.console_session.to_le_bytes());
        out.extend(exchange.rakp4_code(&key));
        Some(message::wrap_plain(payload::RAKP4, &out))
    }
}

pub(super) fn respond(netfn: u8, rq_seq: u8, command: u8, data: &[u8]) -> Vec<u8> {
    let sum = |bytes: &[u8]| bytes.iter().fold(0u8, |s, b| s.wrapping_add(*b)).wrapping_neg();
    let mut out = vec![0x81, netfn << 2];
    out.push(sum(&out));
    out.extend([0x20, rq_seq << 2, command]);
    out.extend(data);
    out.push(sum(&out[3..]));
    out
}

/// A session and a BMC, with a time of their own.
pub(in crate::ipmi) struct Pair {
    pub(in crate::ipmi) session: Session,
    pub(in crate::ipmi) bmc: FakeBmc,
    pub(in crate::ipmi) now: Instant,
    pub(in crate::ipmi) begun: Instant,
}

pub(in crate::ipmi) fn config() -> Config {
    Config {
        user: USER.to_owned(),
        password: Secret::new(PASSWORD),
        bmc_key: None,
        cipher: None,
        privilege: Privilege::User,
        request_deadline: DEADLINE,
        keep_alive: None,
    }
}

impl Pair {
    pub(in crate::ipmi) fn new(config: Config, bmc: FakeBmc) -> Self {
        let now = some_time();
        Self { session: Session::connect(config, StdRng::seed_from_u64(7), now), bmc, now, begun: now }
    }

    /// With an open session, or not at all.
    pub(in crate::ipmi) fn up(bmc: FakeBmc) -> Self {
        let mut pair = Self::new(config(), bmc);
        let events = pair.run();
        assert!(events.contains(&Event::Up), "{events:?}");
        pair
    }

    /// What the session sends now.
    pub(in crate::ipmi) fn sent(&mut self) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.session.poll_transmit()).collect()
    }

    /// Lets what the session sends reach the BMC; what it answers is under way.
    pub(in crate::ipmi) fn answers(&mut self) -> Vec<Vec<u8>> {
        self.sent().iter().filter_map(|d| self.bmc.answer(d)).collect()
    }

    pub(in crate::ipmi) fn deliver(&mut self, datagram: &[u8]) {
        self.session.handle_datagram(self.now, datagram);
    }

    /// Lets time pass until the session wants to be woken.
    pub(in crate::ipmi) fn wake(&mut self) {
        self.now = self.session.poll_timeout().unwrap();
        self.session.handle_timeout(self.now);
    }

    pub(in crate::ipmi) fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.session.poll_event()).collect()
    }

    /// Runs over a perfect network until the session waits for nothing; gives what happened.
    pub(in crate::ipmi) fn run(&mut self) -> Vec<Event> {
        self.run_bending(|_| ())
    }

    /// The same over a network that does something to the answers.
    pub(in crate::ipmi) fn run_bending(&mut self, mut bend: impl FnMut(&mut Vec<u8>)) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            let mut answers = self.answers();
            answers.iter_mut().for_each(&mut bend);
            if answers.is_empty() {
                events.extend(self.events());
                match self.session.awaiting {
                    Some(_) => self.wake(),
                    None if self.session.outbox.is_empty() => return events,
                    None => {}
                }
            }
            answers.iter().for_each(|a| self.deliver(a));
        }
    }

    pub(in crate::ipmi) fn ask(&mut self, sensor: u8) -> RequestId {
        let request = super::Request::new(ipmi_rs_core::connection::NetFn::SensorEvent, 0x2D, [sensor]);
        self.session.request(request, self.now)
    }
}
