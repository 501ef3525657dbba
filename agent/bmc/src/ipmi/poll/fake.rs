//! A BMC as a table of records, for tests of the polls: answers at once, and misbehaves as told.

use super::super::message::{Request, Response};
use super::super::session::RequestError;
use super::{Ask, PollError, Polled, Poller};
use crate::Bookmark;
use outband_schemas::{Clock, LogEvent, Observation, Reading, Section, Timestamp};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

pub(super) struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(1_800_000_000)
    }
}

/// Runs a future that never waits.
fn run<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a poll over a table waits for nothing"),
    }
}

/// What a sensor answers to Get Sensor Reading: data, or a completion code, or nothing at all.
#[derive(Debug, Clone)]
pub(super) enum Says {
    Data(Vec<u8>),
    Code(u8),
    Nothing,
}

pub(super) struct Table {
    pub(super) sdrs: Vec<Vec<u8>>,
    /// What the last record gives as its next.
    pub(super) last_next: u16,
    /// How many records the repository announces; `None`: as many as there are.
    pub(super) announced: Option<u16>,
    /// More bytes than this at once are refused with 0xCA.
    pub(super) max_part: u8,
    /// Every so many Get SDR the reservation is lost.
    pub(super) lose_reservation_every: u32,
    /// Completion code for records of this id.
    pub(super) refused_sdr: Option<(u16, u8)>,
    pub(super) sdr_stamp: u32,
    pub(super) sensors: Vec<(u8, Says)>,
    pub(super) factors: Option<[u8; 7]>,
    pub(super) sel: Vec<[u8; 16]>,
    pub(super) sel_erased: u32,
    pub(super) sel_overflow: bool,
    /// Whole SEL records are refused with 0xCA.
    pub(super) sel_in_parts: bool,
    /// Records are found by their place in the log and not by their own id, as in a BMC that mixes the two up.
    pub(super) sel_by_place: bool,
    /// The id after which Get SEL Entry is not answered any more.
    pub(super) sel_silent_after: Option<u16>,
    /// What a controller behind the BMC answers to Get Sensor Reading, by its address; others are not carried to.
    pub(super) behind: Option<(u8, Vec<u8>)>,
    /// The answers to Get Chassis Status and to DCMI's Get Power Reading.
    pub(super) chassis: Option<Vec<u8>>,
    pub(super) dcmi: Option<Vec<u8>>,
    /// The answer to Get Sensor Hysteresis.
    pub(super) hysteresis: Option<[u8; 2]>,
    /// It has device SDRs and no repository.
    pub(super) is_device: bool,
    /// Nothing is answered.
    pub(super) is_silent: bool,
    /// So many requests are answered; then the time of the poll is over.
    pub(super) time_for: usize,
    pub(super) asked: Vec<Request>,
    pub(super) reservation: u16,
    pub(super) get_sdrs: u32,
}

impl Table {
    pub(super) fn new() -> Self {
        Self {
            sdrs: Vec::new(),
            last_next: 0xFFFF,
            announced: None,
            max_part: 0xFF,
            lose_reservation_every: 0,
            refused_sdr: None,
            sdr_stamp: 1,
            sensors: Vec::new(),
            factors: None,
            sel: Vec::new(),
            sel_erased: 0,
            sel_overflow: false,
            sel_in_parts: false,
            sel_by_place: false,
            sel_silent_after: None,
            behind: None,
            chassis: None,
            dcmi: None,
            hysteresis: None,
            is_device: false,
            is_silent: false,
            time_for: usize::MAX,
            asked: Vec::new(),
            reservation: 0,
            get_sdrs: 0,
        }
    }

    /// Adds a temperature sensor of the board with this number, and what it says.
    pub(super) fn temperature(mut self, number: u8, says: Says) -> Self {
        self.sdrs.push(full_record(number, 0));
        self.sensors.push((number, says));
        self
    }

    pub(super) fn poll(&mut self, poller: &mut Poller, section: Section) -> Result<Polled, PollError> {
        run(poller.poll(self, section, None, &Noon))
    }

    pub(super) fn log(&mut self, bookmark: Option<&Bookmark>) -> Result<Polled, PollError> {
        run(Poller::default().poll(self, Section::Log, bookmark, &Noon))
    }

    /// How often a command was put to it.
    pub(super) fn count(&self, netfn: u8, command: u8) -> usize {
        self.asked.iter().filter(|r| r.netfn.request_value() == netfn && r.command == command).count()
    }

    fn get_sdr(&mut self, data: &[u8]) -> Vec<u8> {
        let &[r0, r1, i0, i1, offset, count] = data else { return vec![0xC7] };
        self.get_sdrs += 1;
        if self.lose_reservation_every > 0 && self.get_sdrs.is_multiple_of(self.lose_reservation_every) {
            self.reservation += 1;
        }
        if offset > 0 && u16::from_le_bytes([r0, r1]) != self.reservation {
            return vec![0xC5];
        }
        let id = u16::from_le_bytes([i0, i1]);
        if let Some((_, code)) = self.refused_sdr.filter(|(refused, _)| *refused == id) {
            return vec![code];
        }
        let index = usize::from(id.max(1)) - 1;
        let Some(record) = self.sdrs.get(index) else { return vec![0xCB] };
        if count > self.max_part {
            return vec![0xCA];
        }
        let next = if index + 1 < self.sdrs.len() { id.max(1) + 1 } else { self.last_next };
        let part = record.iter().skip(usize::from(offset)).take(usize::from(count));
        [0].into_iter().chain(next.to_le_bytes()).chain(part.copied()).collect()
    }

    fn get_sel(&self, data: &[u8]) -> Option<Vec<u8>> {
        let &[_, _, i0, i1, offset, count] = data else { return Some(vec![0xC7]) };
        let id = u16::from_le_bytes([i0, i1]);
        let own = |r: &[u8; 16]| u16::from_le_bytes([r[0], r[1]]);
        let index = match id {
            0 => Some(0),
            _ if self.sel_by_place => Some(usize::from(id) - 1),
            _ => self.sel.iter().position(|r| own(r) == id),
        };
        let Some(index) = index else { return Some(vec![0xCB]) };
        let Some(record) = self.sel.get(index) else { return Some(vec![0xCB]) };
        if self.sel_silent_after.is_some_and(|last| own(record) > last) {
            return None;
        }
        if self.sel_in_parts && count > 8 {
            return Some(vec![0xCA]);
        }
        let place = u16::try_from(index + 2).unwrap();
        let next = self.sel.get(index + 1).map_or(0xFFFF, |r| if self.sel_by_place { place } else { own(r) });
        let part = record.iter().skip(usize::from(offset)).take(usize::from(count));
        Some([0].into_iter().chain(next.to_le_bytes()).chain(part.copied()).collect())
    }

    fn answer(&mut self, request: &Request) -> Option<Vec<u8>> {
        let data = request.data.as_slice();
        if self.is_silent {
            return None;
        }
        Some(match (request.netfn.request_value(), request.command) {
            (0x0A, 0x20 | 0x22 | 0x23) if self.is_device => vec![0xC1],
            (4, 0x20..=0x22) if !self.is_device => vec![0xC1],
            (4, 0x20) => {
                let head = [0, u8::try_from(self.sdrs.len()).unwrap(), 0x81];
                head.into_iter().chain(self.sdr_stamp.to_le_bytes()).collect()
            }
            (0x0A, 0x20) => {
                let count = self.announced.unwrap_or(u16::try_from(self.sdrs.len()).unwrap());
                let mut out = vec![0, 0x51];
                out.extend(count.to_le_bytes());
                out.extend([0, 0]);
                out.extend(self.sdr_stamp.to_le_bytes());
                out.extend([0; 5]);
                out
            }
            (0x0A | 4, 0x22) => {
                self.reservation += 1;
                [0].into_iter().chain(self.reservation.to_le_bytes()).collect()
            }
            (0x0A, 0x23) | (4, 0x21) => self.get_sdr(data),
            (0x0A, 0x40) => {
                let mut out = vec![0, 0x51];
                out.extend(u16::try_from(self.sel.len()).unwrap().to_le_bytes());
                out.extend([0; 6]);
                out.extend(self.sel_erased.to_le_bytes());
                out.push(if self.sel_overflow { 0x82 } else { 2 });
                out
            }
            (0x0A, 0x42) => vec![0, 9, 0],
            (0x0A, 0x43) => self.get_sel(data)?,
            (4, 0x2D) => match self.sensors.iter().find(|(n, _)| *n == data[0]).map(|(_, says)| says.clone()) {
                Some(Says::Data(data)) => [vec![0], data].concat(),
                Some(Says::Code(code)) => vec![code],
                Some(Says::Nothing) => return None,
                None => vec![0xCB],
            },
            (6, 0x34) => match (&self.behind, data) {
                (Some((address, answer)), [_, to, function, _, us, sequence, command, ..]) if to == address => {
                    let head = [0, *us, function | 4, 0, *to, *sequence, *command, 0];
                    [&head[..], answer, &[0]].concat()
                }
                _ => vec![0x83],
            },
            (0, 0x01) => self.chassis.as_ref().map_or(vec![0xC1], |data| [&[0][..], data].concat()),
            (0x2C, 0x02) => self.dcmi.as_ref().map_or(vec![0xC1], |data| [&[0][..], data].concat()),
            (4, 0x25) => self.hysteresis.map_or(vec![0xC9], |h| [&[0][..], &h].concat()),
            (4, 0x23) => match self.factors {
                Some(factors) => [&[0][..], &factors].concat(),
                None => vec![0xC1],
            },
            _ => vec![0xC1],
        })
    }
}

impl Ask for Table {
    fn ask(&mut self, request: Request) -> impl Future<Output = Result<Response, RequestError>> + Send {
        let answer = self.answer(&request);
        self.asked.push(request);
        std::future::ready(match answer {
            _ if self.asked.len() > self.time_for => Err(RequestError::OutOfTime),
            None => Err(RequestError::Timeout(Duration::from_secs(1))),
            Some(bytes) => Ok(Response { completion: bytes[0], data: bytes[1..].into() }),
        })
    }
}

/// A full record of a temperature sensor named `T<number>`, y = x.
pub(super) fn full_record(number: u8, linearization: u8) -> Vec<u8> {
    let mut record = vec![0, 0, 0x51, 1, 0, 0x20, 0, number, 7, 1, 0x7F, 0x40, 1, 1, 0, 0, 0, 0, 0, 0];
    record.extend([0, 1, 0, linearization, 1, 0, 0, 0, 0, 0]);
    record.extend([0; 17]);
    let name = format!("T{number}");
    record.push(0xC0 | u8::try_from(name.len()).unwrap());
    record.extend(name.as_bytes());
    record[4] = u8::try_from(record.len() - 5).unwrap();
    record
}

pub(super) fn readings(outcome: &Polled) -> Vec<&Reading> {
    outcome.observations.iter().filter_map(|o| if let Observation::Reading(r) = o { Some(r) } else { None }).collect()
}

pub(super) fn events(outcome: &Polled) -> Vec<&LogEvent> {
    outcome.observations.iter().filter_map(|o| if let Observation::Event(e) = o { Some(e) } else { None }).collect()
}

pub(super) fn gaps(outcome: &Polled) -> usize {
    outcome.observations.iter().filter(|o| matches!(o, Observation::Gap(_))).count()
}
