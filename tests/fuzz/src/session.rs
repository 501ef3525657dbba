//! A session against a BMC, or somebody in its place, that says whatever it likes: before the handshake, within it, and inside the open session.
//!
//! Must hold: no request is answered twice; none is left without an answer; an answer is that of its own request; it all comes to an end.

use crate::bmc::{self, Bmc};
use crate::script::Script;
use ipmi_rs_core::connection::NetFn;
use outband_bmc::ipmi::Privilege;
use outband_bmc::ipmi::message::Request;
use outband_bmc::ipmi::session::{Config, Event, KEEP_ALIVE, RequestId, Session};
use outband_bmc::{AuthType, CipherSuite, Secret};
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::time::{Duration, Instant};

/// More wake-ups than any session needs that has these few requests.
const MOST_WAKES: u32 = 4000;
const MOST_REQUESTS: usize = 16;

struct Rig {
    session: Session,
    bmc: Bmc,
    now: Instant,
    under_way: Vec<Vec<u8>>,
    delivered: Vec<Vec<u8>>,
    asked: Vec<(RequestId, bool)>,
    /// Whether the BMC itself lied, so that its answers prove nothing.
    lied: bool,
    up: bool,
    closed: bool,
}

impl Rig {
    /// Lets the BMC hear what is sent; looks at what happened.
    fn settle(&mut self) {
        while let Some(datagram) = self.session.poll_transmit() {
            self.under_way.extend(self.bmc.answer(&datagram));
        }
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::Up => self.up = true,
                Event::Answered(id, answer) => {
                    let index = self.asked.iter().position(|(i, _)| *i == id).expect("an answer to what was asked");
                    assert!(!std::mem::replace(&mut self.asked[index].1, true), "answered twice");
                    if let Ok(answer) = answer
                        && !self.lied
                    {
                        assert_eq!(answer.data.first().copied(), Some(index as u8), "another request's answer");
                    }
                }
                Event::Climbed(_) | Event::Refused(_) | Event::Closed => {}
            }
        }
    }

    fn deliver(&mut self, datagram: &[u8]) {
        self.session.handle_datagram(self.now, datagram);
        self.settle();
    }

    fn ask(&mut self, netfn: u8, lun: u8, command: u8, data: &[u8]) {
        if self.asked.len() < MOST_REQUESTS {
            let data = [&[self.asked.len() as u8], data].concat();
            let request = Request { netfn: NetFn::from(netfn & 0x3E), lun: lun & 3, command, data };
            // The session's own commands are answered without their data.
            self.lied |= netfn & 0x3E == 6 && matches!(command, 0x38 | 0x3C | 0x54);
            let id = self.session.request(request, self.now);
            self.asked.push((id, false));
            self.settle();
        }
    }

    fn wake(&mut self) -> bool {
        let Some(at) = self.session.poll_timeout() else { return false };
        self.now = self.now.max(at);
        self.session.handle_timeout(self.now);
        self.settle();
        true
    }

    fn step(&mut self, script: &mut Script<'_>) {
        match script.byte() % 19 {
            0 | 1 => {
                if !self.under_way.is_empty() {
                    let datagram = self.under_way.remove(0);
                    self.deliver(&datagram);
                    self.delivered.push(datagram);
                }
            }
            2 => drop(self.wake()),
            3 => self.deliver(script.slice()),
            4 => {
                let header = [6, 0, 0xFF, 7];
                self.deliver(&[&header[..], script.slice()].concat());
            }
            5 => {
                self.lied = true;
                if let Some(datagram) = self.bmc.seal(script.slice()) {
                    self.deliver(&datagram);
                }
            }
            6 => {
                self.lied = true;
                let (completion, data) = (script.byte(), script.slice());
                if let Some(asked) = self.bmc.asked.clone()
                    && let Some(datagram) = self.bmc.seal(&Bmc::message(&asked, completion, data))
                {
                    self.deliver(&datagram);
                }
            }
            7 => {
                if let Some(datagram) = self.bmc.sign(script.slice()) {
                    self.deliver(&datagram);
                }
            }
            8 => {
                let index = usize::from(script.byte());
                if let Some(datagram) = self.delivered.get(index).cloned() {
                    self.deliver(&datagram);
                }
            }
            9 => self.ask(script.byte(), script.byte(), script.byte(), script.slice()),
            10 => {
                let kind = [0x11, 0x13, 0x15, 0][usize::from(script.byte() % 4)];
                let datagram = self.bmc.handshake(kind, script.byte(), script.slice());
                self.deliver(&datagram);
            }
            11 => {
                let (at, bits) = (usize::from(script.byte()), script.byte());
                if let Some(mut datagram) = self.under_way.first().cloned() {
                    let len = datagram.len();
                    datagram[at % len] ^= bits;
                    self.deliver(&datagram);
                }
            }
            12 => {
                let len = usize::from(script.byte());
                if let Some(datagram) = self.under_way.first().cloned() {
                    self.deliver(&datagram[..len.min(datagram.len())]);
                }
            }
            13 => self.under_way.clear(),
            14 => self.bmc.forget(),
            15 => {
                self.now += Duration::from_millis(u64::from(script.word()));
                self.session.handle_timeout(self.now);
                self.settle();
            }
            16 => {
                self.session.handle_unreachable("connection refused", self.now);
                self.settle();
            }
            17 => {
                let time = u64::from(script.word());
                self.session.finish_by((time > 0).then(|| self.now + Duration::from_millis(time)));
            }
            _ => {
                // A message outside of any session, in either wrapper, that fits what is asked first.
                let (command, rq_seq) = (if script.byte() & 1 == 0 { 0x38 } else { 0x54 }, script.byte() & 0x3F);
                let asked = bmc::Asked { netfn: 6, rq_seq, command, data: Vec::new() };
                let message = Bmc::message(&asked, script.byte(), script.slice());
                self.deliver(&bmc::plain(0, &message));
            }
        }
    }
}

/// Runs a script over a session of RMCP+ or, where `v15`, of IPMI 1.5.
///
/// # Panics
/// Where something does not hold.
pub fn run(data: &[u8], v15: bool) {
    let mut script = Script(data);
    let how = script.byte();
    let suite = match how >> 5 {
        _ if v15 => CipherSuite::V15(AuthType::Md5),
        1 => CipherSuite::Two,
        2 => CipherSuite::Sixteen,
        3 => CipherSuite::One,
        4 => CipherSuite::Fifteen,
        5 => CipherSuite::Zero,
        _ if how & 1 == 0 => CipherSuite::Three,
        _ => CipherSuite::Seventeen,
    };
    let unsigned = matches!(suite, CipherSuite::Zero | CipherSuite::One | CipherSuite::Fifteen);
    let config = Config {
        user: bmc::USER.to_owned(),
        password: Secret::new(bmc::PASSWORD),
        bmc_key: None,
        cipher: (how & 2 != 0 || suite.weakness().is_some()).then_some(suite),
        privilege: Privilege::User,
        request_deadline: Duration::from_secs(4),
        keep_alive: (how & 16 != 0).then_some(KEEP_ALIVE),
    };
    let now = Instant::now();
    let mut rig = Rig {
        session: Session::connect(config, StdRng::seed_from_u64(7), now),
        bmc: Bmc::new(suite),
        now,
        under_way: Vec::new(),
        delivered: Vec::new(),
        asked: Vec::new(),
        // What nobody signs, anybody may have said.
        lied: unsigned,
        up: false,
        closed: false,
    };
    rig.settle();
    if how & 4 != 0 {
        // Honest until the session is open; an error here is one of the rig.
        while !rig.up {
            let datagram = rig.under_way.remove(0);
            rig.deliver(&datagram);
            rig.delivered.push(datagram);
        }
        rig.ask(4, 0, 0x2D, &[]);
    }
    while !script.is_over() {
        if how & 8 != 0 && script.0.len() == 1 {
            rig.closed = true;
            rig.session.close(rig.now);
            rig.settle();
        }
        rig.step(&mut script);
    }
    // From here on nobody answers.
    let mut wakes = 0;
    while rig.wake() {
        wakes += 1;
        assert!(wakes < MOST_WAKES, "the session never gives up");
    }
    assert!(rig.closed || rig.asked.iter().all(|(_, answered)| *answered), "a request was forgotten");
}
