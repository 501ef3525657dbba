//! Sessions of RMCP+ (IPMI 2.0 §13): opened, proven by RAKP 1 to 4, guarded by a window of sequence numbers.

use super::crypto::{Keys, Suite};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A user of the BMC.
#[derive(Debug, Clone)]
pub struct User {
    /// The name.
    pub name: String,
    /// The password; IPMI 2.0 looks at its first 20 bytes.
    pub password: String,
    /// The highest privilege: 2 User, 3 Operator, 4 Administrator.
    pub privilege: u8,
}

/// A session of which nothing is heard for so long is gone (§6.12.15).
const IDLE: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Session {
    console: [u8; 4],
    suite: Suite,
    opened: Opened,
    seen: Window,
    sent: u32,
    heard: Instant,
    pub(super) privilege: u8,
    pub(super) highest: u8,
    pub(super) closing: bool,
}

#[derive(Debug)]
enum Opened {
    Asked,
    Challenged { console_random: [u8; 16], own_random: [u8; 16], role: u8, user: User },
    Up(Keys),
}

/// Which sequence numbers were seen: the highest, and a bit for each of the 31 below it.
#[derive(Debug, Default)]
struct Window {
    highest: u32,
    bits: u32,
}

impl Window {
    /// Whether a number is new and near enough; if so it counts as seen.
    fn take(&mut self, sequence: u32) -> bool {
        if sequence == 0 {
            return false;
        }
        if sequence > self.highest {
            let ahead = sequence - self.highest;
            if ahead > 16 && self.highest != 0 {
                return false;
            }
            self.bits = self.bits.checked_shl(ahead).unwrap_or(0) | 1;
            self.highest = sequence;
            return true;
        }
        let behind = self.highest - sequence;
        if behind > 15 || self.bits >> behind & 1 == 1 {
            return false;
        }
        self.bits |= 1 << behind;
        true
    }
}

#[derive(Debug)]
pub(super) struct Sessions {
    open: HashMap<u32, Session>,
    pub(super) users: Vec<User>,
    suites: Vec<Suite>,
    limit: usize,
    guid: [u8; 16],
    /// By how much sequence numbers go up.
    pub(super) step: u32,
    /// The last suite is advertised, and no session is opened with it.
    pub(super) is_on_paper: bool,
}

/// Status codes of table 13-15.
const NO_RESOURCES: u8 = 0x01;
const INVALID_SESSION: u8 = 0x02;
const INVALID_ROLE: u8 = 0x09;
const UNAUTHORIZED_ROLE: u8 = 0x0a;
const UNAUTHORIZED_NAME: u8 = 0x0d;
const INVALID_CHECK: u8 = 0x0f;
const NO_MATCHING_SUITE: u8 = 0x11;

impl Sessions {
    pub(super) fn new(users: Vec<User>, suites: Vec<Suite>, limit: usize, guid: [u8; 16]) -> Self {
        Self { open: HashMap::new(), users, suites, limit, guid, step: 1, is_on_paper: false }
    }

    /// Sessions that are up.
    pub(super) fn count(&self) -> usize {
        self.open.values().filter(|s| matches!(s.opened, Opened::Up(_))).count()
    }

    pub(super) fn suites(&self) -> &[Suite] {
        &self.suites
    }

    pub(super) fn forget(&mut self) {
        self.open.clear();
    }

    /// Open Session Request (§13.17) → Response (§13.18).
    pub(super) fn open(&mut self, request: &[u8]) -> Option<Vec<u8>> {
        self.open.retain(|_, s| s.heard.elapsed() < IDLE);
        let tag = *request.first()?;
        let console: [u8; 4] = request.get(4..8)?.try_into().ok()?;
        let asked = [request.get(12)? & 0x3f, request.get(20)? & 0x3f, request.get(28)? & 0x3f];
        let refused = |status| Some([&[tag, status, 0, 0][..], &console].concat());
        if self.open.len() >= self.limit {
            return refused(NO_RESOURCES);
        }
        let kept = self.suites.len() - usize::from(self.is_on_paper);
        let Some(suite) = self.suites.iter().take(kept).copied().find(|s| s.algorithms() == asked) else {
            return refused(NO_MATCHING_SUITE);
        };
        let id = loop {
            let id = rand::random::<u32>();
            if id != 0 && !self.open.contains_key(&id) {
                break id;
            }
        };
        let session = Session {
            console,
            suite,
            opened: Opened::Asked,
            seen: Window::default(),
            sent: 0,
            heard: Instant::now(),
            privilege: 2,
            highest: 4,
            closing: false,
        };
        self.open.insert(id, session);
        let role = if request[1] & 0x0f == 0 { 4 } else { request[1] & 0x0f };
        let mut out = vec![tag, 0, role, 0];
        out.extend(console);
        out.extend(id.to_le_bytes());
        for (kind, algorithm) in (0u8..).zip(suite.algorithms()) {
            out.extend([kind, 0, 0, 8, algorithm, 0, 0, 0]);
        }
        Some(out)
    }

    /// RAKP 1 → 2 (§13.20, §13.21).
    pub(super) fn rakp1(&mut self, request: &[u8]) -> Option<Vec<u8>> {
        let tag = *request.first()?;
        let id = u32::from_le_bytes(request.get(4..8)?.try_into().ok()?);
        let Some(session) = self.open.get_mut(&id) else { return Some(vec![tag, INVALID_SESSION, 0, 0, 0, 0, 0, 0]) };
        let console = session.console;
        let console_random: [u8; 16] = request.get(8..24)?.try_into().ok()?;
        let role = *request.get(24)?;
        let length = usize::from(*request.get(27)?);
        let name = request.get(28..28 + length)?;
        let user = self.users.iter().find(|u| u.name.as_bytes() == name);
        let status = match user {
            None => UNAUTHORIZED_NAME,
            Some(_) if !(2..=4).contains(&(role & 0x0f)) => INVALID_ROLE,
            Some(user) if role & 0x0f > user.privilege => UNAUTHORIZED_ROLE,
            Some(_) => 0,
        };
        let (Some(user), 0) = (user, status) else {
            self.open.remove(&id);
            return Some([&[tag, status, 0, 0][..], &console].concat());
        };
        let own_random: [u8; 16] = rand::random();
        let proof = session.suite.hmac(
            password(user),
            &[&console, &id.to_le_bytes(), &console_random, &own_random, &self.guid, &[role, length as u8], name],
        );
        session.opened = Opened::Challenged { console_random, own_random, role, user: user.clone() };
        Some([&[tag, 0, 0, 0][..], &console, &own_random, &self.guid, &proof].concat())
    }

    /// RAKP 3 → 4 (§13.22, §13.23).
    pub(super) fn rakp3(&mut self, request: &[u8]) -> Option<Vec<u8>> {
        let tag = *request.first()?;
        let id = u32::from_le_bytes(request.get(4..8)?.try_into().ok()?);
        let Some(session) = self.open.get_mut(&id) else { return Some(vec![tag, INVALID_SESSION, 0, 0, 0, 0, 0, 0]) };
        let console = session.console;
        let Opened::Challenged { console_random, own_random, role, user } = &session.opened else { return None };
        let name = user.name.as_bytes();
        let who = [&[*role, name.len() as u8][..], name].concat();
        let expected = session.suite.hmac(password(user), &[own_random, &console, &who]);
        if request.get(1) != Some(&0) {
            // The console gave up; nothing is answered.
            self.open.remove(&id);
            return None;
        }
        if request.get(8..) != Some(&expected[..]) {
            self.open.remove(&id);
            return Some([&[tag, INVALID_CHECK, 0, 0][..], &console].concat());
        }
        let session_key = session.suite.hmac(password(user), &[console_random, own_random, &who]);
        let mut check = session.suite.hmac(&session_key, &[console_random, &id.to_le_bytes(), &self.guid]);
        check.truncate(session.suite.check_len());
        session.highest = (role & 0x0f).min(user.privilege);
        session.opened = Opened::Up(Keys::of(session.suite, &session_key));
        session.heard = Instant::now();
        Some([&[tag, 0, 0, 0][..], &console, &check].concat())
    }

    /// The message inside an authenticated and encrypted packet (from the authentication type on), and its session.
    pub(super) fn unwrap(&mut self, packet: &[u8]) -> Option<(u32, Vec<u8>)> {
        let id = u32::from_le_bytes(packet.get(2..6)?.try_into().ok()?);
        let sequence = u32::from_le_bytes(packet.get(6..10)?.try_into().ok()?);
        let length = usize::from(u16::from_le_bytes(packet.get(10..12)?.try_into().ok()?));
        let session = self.open.get_mut(&id)?;
        let Opened::Up(keys) = &session.opened else { return None };
        // A suite demands what it has of every packet, and what it has not is not taken either.
        if packet.get(1)? & 0xc0 != session.suite.payload_type() {
            return None;
        }
        if session.suite.signs() {
            let (covered, check) = packet.split_at_checked(packet.len().checked_sub(session.suite.check_len())?)?;
            if session.suite.hmac(&keys.integrity, &[covered])[..check.len()] != *check {
                return None;
            }
        }
        if !session.seen.take(sequence) {
            return None;
        }
        session.heard = Instant::now();
        let payload = packet.get(12..12 + length)?;
        let message = if session.suite.encrypts() { keys.decrypt(payload)? } else { payload.to_vec() };
        Some((id, message))
    }

    /// A message as a packet of its session (from the authentication type on).
    pub(super) fn wrap(&mut self, id: u32, message: &[u8]) -> Option<Vec<u8>> {
        let session = self.open.get_mut(&id)?;
        let Opened::Up(keys) = &session.opened else { return None };
        session.sent += self.step;
        let payload = if session.suite.encrypts() { keys.encrypt(message) } else { message.to_vec() };
        let mut out = vec![0x06, session.suite.payload_type()];
        out.extend(session.console);
        out.extend(session.sent.to_le_bytes());
        out.extend((payload.len() as u16).to_le_bytes());
        out.extend(payload);
        if session.suite.signs() {
            let pad = (4 - (out.len() + 2) % 4) % 4;
            out.extend(std::iter::repeat_n(0xff, pad));
            out.extend([pad as u8, 0x07]);
            let check = session.suite.hmac(&keys.integrity, &[&out]);
            out.extend(&check[..session.suite.check_len()]);
        }
        if session.closing {
            self.open.remove(&id);
        }
        Some(out)
    }

    pub(super) fn get(&mut self, id: u32) -> Option<&mut Session> {
        self.open.get_mut(&id)
    }

    /// Ends a session by its id or, where that is 0, by its handle; whether there was one.
    pub(super) fn close(&mut self, own: u32, id: u32) -> bool {
        if own == id {
            // The answer still goes out in it.
            return self.open.get_mut(&id).map(|s| s.closing = true).is_some();
        }
        self.open.remove(&id).is_some()
    }
}

fn password(user: &User) -> &[u8] {
    let bytes = user.password.as_bytes();
    &bytes[..bytes.len().min(20)]
}

#[cfg(test)]
mod tests {
    use super::Window;

    #[test]
    fn a_sequence_number_is_taken_once_and_only_near_the_highest() {
        let mut window = Window::default();
        assert!(window.take(1) && window.take(3) && window.take(2));
        assert!(!window.take(2) && !window.take(3));
        assert!(window.take(19) && !window.take(36) && !window.take(3));
        assert!(!window.take(0));
    }
}
