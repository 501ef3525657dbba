//! Many lines over one table in virtual time: every answer reaches the line that asked.

use super::super::handshake::Privilege;
use super::super::message::Request;
use super::super::poll::Patience;
use super::super::session::fake::{FakeBmc, config};
use super::super::session::{Config, RequestError};
use super::super::timing::some_time;
use super::table::{LOOKED_AT, Table};
use super::{Command, LineId, Opened, Told};
use crate::Rung;
use ipmi_rs_core::connection::NetFn;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// A network between a table and BMCs that loses, doubles, delays and reorders, from a seed.
struct Rig {
    table: Table,
    bmcs: HashMap<SocketAddr, FakeBmc>,
    /// BMCs that take longer for each answer.
    slow: HashMap<SocketAddr, Duration>,
    under_way: Vec<(Instant, SocketAddr, Vec<u8>)>,
    random: StdRng,
    /// Of a hundred datagrams.
    lost: u32,
    doubled: u32,
    now: Instant,
    begun: Instant,
}

fn peer(n: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 10_000 + n))
}

fn readings(numbers: impl IntoIterator<Item = u8>) -> Arc<[Request]> {
    numbers.into_iter().map(|n| Request::new(NetFn::SensorEvent, 0x2D, [n])).collect()
}

impl Rig {
    fn new(bmcs: u16, seed: u64) -> Self {
        let now = some_time();
        Self {
            table: Table::default(),
            bmcs: (0..bmcs).map(|n| (peer(n), FakeBmc::new())).collect(),
            slow: HashMap::new(),
            under_way: Vec::new(),
            random: StdRng::seed_from_u64(seed),
            lost: 0,
            doubled: 0,
            now,
            begun: now,
        }
    }

    fn open(&mut self, line: u64, at: SocketAddr) -> oneshot::Receiver<Opened> {
        let (tell, told) = oneshot::channel();
        let login: Box<(Config, StdRng)> = {
            let config = Config { request_deadline: Duration::from_secs(10), ..config() };
            Box::new((config, StdRng::seed_from_u64(line)))
        };
        self.table.command(Command::Open { line: LineId(line), peer: at, login, tell }, self.now);
        told
    }

    fn ask(&mut self, line: u64, requests: &Arc<[Request]>) -> oneshot::Receiver<Told> {
        self.ask_until(line, requests, None)
    }

    fn ask_until(&mut self, line: u64, requests: &Arc<[Request]>, until: Option<Instant>) -> oneshot::Receiver<Told> {
        let (tell, told) = oneshot::channel();
        self.table.command(
            Command::Ask { line: LineId(line), requests: requests.clone(), patience: Patience::default(), until, tell },
            self.now,
        );
        told
    }

    fn strikes(&mut self, of_a_hundred: u32) -> bool {
        self.random.random_range(0..100) < of_a_hundred
    }

    /// Goes on until nobody waits for anything, or until so long after the start.
    fn run(&mut self, most: Duration) {
        loop {
            let outbox = std::mem::take(self.table.outbox());
            for (to, datagram) in outbox.v4.some(0, usize::MAX) {
                if self.strikes(self.lost) {
                    continue;
                }
                let Some(answer) = self.bmcs.get_mut(&to).and_then(|bmc| bmc.answer(datagram)) else { continue };
                let copies = if self.strikes(self.doubled) { 2 } else { 1 };
                for _ in 0..copies {
                    if self.strikes(self.lost) {
                        continue;
                    }
                    let delay = self.slow.get(&to).copied().unwrap_or(Duration::from_millis(2));
                    let jitter = Duration::from_micros(self.random.random_range(0..1000));
                    self.under_way.push((self.now + delay + jitter, to, answer.clone()));
                }
            }
            let next = self.under_way.iter().map(|(at, ..)| *at).chain(self.table.poll_timeout()).min();
            let Some(next) = next.filter(|at| at.duration_since(self.begun) < most) else { return };
            self.now = self.now.max(next);
            let now = self.now;
            for (_, from, datagram) in self.under_way.extract_if(.., |(at, ..)| *at <= now).collect::<Vec<_>>() {
                self.table.handle_datagram(now, from, &datagram);
            }
            self.table.handle_timeout(now);
        }
    }
}

const LONG: Duration = Duration::from_secs(600);

fn values(told: Told) -> Vec<u8> {
    told.replies.into_each().map(|(result, _)| result.unwrap().data[0]).collect()
}

#[test]
fn each_of_many_lines_gets_its_own_answers_in_order() {
    let mut rig = Rig::new(50, 1);
    let opened: Vec<_> = (0..50).map(|n| rig.open(n, peer(n as u16))).collect();
    rig.run(LONG);
    assert!(opened.into_iter().all(|mut o| o.try_recv().unwrap().is_ok()));
    let asked: Vec<_> = (0..50u8).map(|n| (n, rig.ask(n.into(), &readings(n..n + 20)))).collect();
    rig.run(LONG);
    for (n, mut told) in asked {
        assert_eq!(values(told.try_recv().unwrap()), (n..n + 20).collect::<Vec<_>>());
    }
}

#[test]
fn loss_doubles_and_reordering_never_bring_another_requests_answer() {
    for seed in 0..20 {
        let mut rig = Rig::new(20, seed);
        (rig.lost, rig.doubled) = (10, 20);
        let opened: Vec<_> = (0..20).map(|n| rig.open(n, peer(n as u16))).collect();
        rig.run(LONG);
        assert!(opened.into_iter().all(|mut o| o.try_recv().unwrap().is_ok()), "seed {seed}");
        let asked: Vec<_> = (0..20u8).map(|n| (n, rig.ask(n.into(), &readings(n..n + 30)))).collect();
        rig.run(LONG);
        for (n, mut told) in asked {
            assert_eq!(values(told.try_recv().unwrap()), (n..n + 30).collect::<Vec<_>>(), "seed {seed}");
        }
    }
}

#[test]
fn two_lines_to_one_bmc_are_told_apart() {
    let mut rig = Rig::new(1, 3);
    // The fake keeps one session: the second login takes it over, and the first line has to log in again. Each still gets what it asked for.
    let mut first = rig.open(1, peer(0));
    rig.run(LONG);
    let mut second = rig.open(2, peer(0));
    rig.run(LONG);
    assert!(first.try_recv().unwrap().is_ok() && second.try_recv().unwrap().is_ok());
    let mut told = rig.ask(1, &readings([11, 12]));
    rig.run(LONG);
    assert_eq!(values(told.try_recv().unwrap()), [11, 12]);
    let mut told = rig.ask(2, &readings([21]));
    rig.run(LONG);
    assert_eq!(values(told.try_recv().unwrap()), [21]);
}

#[test]
fn a_dead_and_a_slow_bmc_cost_the_others_no_time() {
    let mut rig = Rig::new(10, 4);
    rig.bmcs.remove(&peer(0));
    rig.slow.insert(peer(1), Duration::from_secs(3));
    let _dead = rig.open(0, peer(0));
    let opened: Vec<_> = (1..10).map(|n| rig.open(n, peer(n as u16))).collect();
    rig.run(LONG);
    drop(opened);
    let begun = rig.now;
    let mut asked: Vec<_> = (1..10u64).map(|n| rig.ask(n, &readings(0..20))).collect();
    rig.run(LONG);
    let slow = asked.remove(0).try_recv().unwrap();
    assert_eq!(values(slow), (0..20).collect::<Vec<_>>());
    for mut told in asked {
        let (_, last) = told.try_recv().unwrap().replies.into_each().last().unwrap();
        assert!(last.duration_since(begun) < Duration::from_millis(20 * 4), "{:?}", last.duration_since(begun));
    }
}

#[test]
fn a_slow_bmc_is_soon_asked_everything_once_only() {
    let mut rig = Rig::new(1, 5);
    rig.slow.insert(peer(0), Duration::from_millis(3000));
    let mut opened = rig.open(0, peer(0));
    rig.run(LONG);
    assert!(opened.try_recv().unwrap().is_ok());
    let mut told = rig.ask(0, &readings(0..10));
    rig.run(LONG);
    let before = told.try_recv().unwrap().facts.stats.datagrams_sent;
    let mut told = rig.ask(0, &readings(0..10));
    rig.run(LONG);
    assert_eq!(told.try_recv().unwrap().facts.stats.datagrams_sent - before, 10);
}

#[test]
fn a_bmc_that_answers_each_request_late_holds_a_list_no_longer_than_its_time() {
    let mut rig = Rig::new(1, 5);
    rig.slow.insert(peer(0), Duration::from_millis(3000));
    let mut opened = rig.open(0, peer(0));
    rig.run(LONG);
    assert!(opened.try_recv().unwrap().is_ok());
    let until = rig.now + Duration::from_secs(31);
    let mut told = rig.ask_until(0, &readings(0..100), Some(until));
    rig.run(LONG);
    let told = told.try_recv().unwrap();
    let mut replies: Vec<_> = told.replies.into_each().collect();
    assert_eq!(replies.pop(), Some((Err(RequestError::OutOfTime), until)));
    let values: Vec<_> = replies.into_iter().map(|(result, _)| result.unwrap().data[0]).collect();
    assert_eq!(values, (0..10).collect::<Vec<_>>());
    // The next list has a time of its own.
    let mut told = rig.ask(0, &readings(0..30));
    rig.run(LONG);
    assert_eq!(self::values(told.try_recv().unwrap()), (0..30).collect::<Vec<_>>());
}

#[test]
fn a_bmc_that_falls_silent_ends_its_list_early_and_says_so() {
    let mut rig = Rig::new(1, 6);
    let mut opened = rig.open(0, peer(0));
    rig.run(LONG);
    assert!(opened.try_recv().unwrap().is_ok());
    rig.bmcs.clear();
    let mut told = rig.ask(0, &readings(0..10));
    rig.run(LONG);
    let told = told.try_recv().unwrap();
    assert!(told.replies.len() < 10);
    let (last, _) = told.replies.into_each().last().unwrap();
    assert!(matches!(last, Err(RequestError::Timeout(_) | RequestError::Lost(_))));
}

#[test]
fn a_list_ends_after_as_many_requests_without_an_answer_as_there_is_patience() {
    for (patience, most) in [(Patience::untried(), 1), (Patience::default(), 2)] {
        let mut rig = Rig::new(1, 6);
        let mut opened = rig.open(0, peer(0));
        rig.run(LONG);
        assert!(opened.try_recv().unwrap().is_ok());
        // It answers everything else, so that the session holds.
        rig.bmcs.values_mut().for_each(|bmc| bmc.leaves_out = Some(0x2D));
        let (tell, mut told) = oneshot::channel();
        let requests = readings(0..10);
        rig.table.command(Command::Ask { line: LineId(0), requests, patience, until: None, tell }, rig.now);
        rig.run(LONG);
        let replies: Vec<_> = told.try_recv().unwrap().replies.into_each().map(|(result, _)| result).collect();
        assert!(replies.iter().all(|r| matches!(r, Err(RequestError::Timeout(_)))), "{replies:?}");
        assert_eq!(replies.len(), most);
    }
}

#[test]
fn who_is_not_there_breaks_the_first_rung_at_once() {
    let mut rig = Rig::new(0, 7);
    let mut opened = rig.open(0, peer(0));
    rig.table.handle_unreachable(peer(0), "Connection refused", rig.now);
    let error = opened.try_recv().unwrap().unwrap_err();
    assert_eq!(error.rung, Rung::Reach);
    assert_eq!(rig.table.len(), 0);
}

#[test]
fn a_line_that_is_dropped_says_good_bye_and_is_forgotten() {
    let mut rig = Rig::new(1, 8);
    let mut opened = rig.open(0, peer(0));
    rig.run(LONG);
    assert!(opened.try_recv().unwrap().is_ok() && rig.bmcs[&peer(0)].has_session());
    rig.table.command(Command::Abandon(LineId(0)), rig.now);
    rig.run(LONG);
    assert!(!rig.bmcs[&peer(0)].has_session());
    assert_eq!(rig.table.len(), 0);
}

#[test]
fn a_list_nobody_waits_for_any_more_is_not_gone_on_with() {
    let mut rig = Rig::new(1, 9);
    let mut opened = rig.open(0, peer(0));
    rig.run(LONG);
    assert!(opened.try_recv().unwrap().is_ok());
    let seen = rig.bmcs[&peer(0)].seen.len();
    drop(rig.ask(0, &readings(0..50)));
    rig.run(LONG);
    assert!(rig.bmcs[&peer(0)].seen.len() <= seen + LOOKED_AT);
    // What comes after it is answered all the same.
    let mut told = rig.ask(0, &readings([7]));
    rig.run(LONG);
    assert_eq!(values(told.try_recv().unwrap()), [7]);
}

#[test]
fn the_privilege_that_a_session_came_to_need_is_asked_for_at_once_by_the_next() {
    let mut rig = Rig::new(1, 10);
    rig.bmcs.get_mut(&peer(0)).unwrap().needed = Privilege::Operator;
    for (line, logins) in [(0, 2), (1, 1)] {
        let mut opened = rig.open(line, peer(0));
        rig.run(LONG);
        assert!(opened.try_recv().unwrap().is_ok());
        let mut told = rig.ask(line, &readings([7]));
        rig.run(LONG);
        let told = told.try_recv().unwrap();
        assert_eq!((told.facts.stats.connections, values(told)), (logins, vec![7]));
        rig.table.command(Command::Abandon(LineId(line)), rig.now);
        rig.run(LONG);
    }
    // A user who may no longer do that is logged in with what is left.
    let bmc = rig.bmcs.get_mut(&peer(0)).unwrap();
    (bmc.needed, bmc.limit) = (Privilege::User, Privilege::User);
    let mut refused = rig.open(2, peer(0));
    rig.run(LONG);
    assert_eq!(refused.try_recv().unwrap().unwrap_err().rung, Rung::Privilege);
    let mut opened = rig.open(3, peer(0));
    rig.run(LONG);
    assert!(opened.try_recv().unwrap().is_ok());
}
