//! Polls of every section against a BMC with any records, any log and any FRU data, whose answers are refused, cut or replaced here and there.
//!
//! Must hold: every poll ends after a bounded number of requests, and the collector can read what it made.

#![no_main]

use ipmi_rs_core::connection::NetFn;
use libfuzzer_sys::fuzz_target;
use outband_bmc::ipmi::message::{Data, Request, Response};
use outband_bmc::ipmi::poll::{Ask, Poller};
use outband_bmc::ipmi::session::RequestError;
use outband_fuzz::script::Script;
use outband_fuzz::{Standing, run, seeds, survive_the_wire};
use outband_schemas::Section;
use std::time::Duration;

const MOST_REQUESTS: u32 = 50_000;

struct Table<'a> {
    records: Vec<Vec<u8>>,
    log: Vec<Vec<u8>>,
    fru: &'a [u8],
    mischief: Script<'a>,
    asked: u32,
}

impl Ask for Table<'_> {
    async fn ask(&mut self, request: Request) -> Result<Response, RequestError> {
        self.asked += 1;
        assert!(self.asked < MOST_REQUESTS, "a poll that does not end");
        let mut honest = self.answer(&request);
        match self.mischief.byte() {
            code @ 0xC0..=0xDF => Ok(Response { completion: code, data: Data::new() }),
            0xE0 => Ok(Response { completion: 0, data: self.mischief.slice().into() }),
            0xE1 => Err(RequestError::Timeout(Duration::from_secs(4))),
            0xE2 => {
                honest.data.truncate(usize::from(self.mischief.byte()));
                Ok(honest)
            }
            0xE3 => {
                honest.data.extend_from_slice(self.mischief.slice());
                Ok(honest)
            }
            0xE4 => {
                let (at, bits) = (usize::from(self.mischief.byte()), self.mischief.byte());
                if let Some(byte) = honest.data.get_mut(at) {
                    *byte ^= bits;
                }
                Ok(honest)
            }
            0xE5 => Err(RequestError::Busy),
            0xE6 => Err(RequestError::Denied),
            _ => Ok(honest),
        }
    }
}

fn ok(data: Vec<u8>) -> Response {
    Response { completion: 0, data: data.into() }
}

fn refused(completion: u8) -> Response {
    Response { completion, data: Data::new() }
}

impl Table<'_> {
    fn answer(&self, request: &Request) -> Response {
        let data = &request.data;
        let byte = |at: usize| data.get(at).copied().unwrap_or(0);
        let word = |at: usize| u16::from_le_bytes([byte(at), byte(at + 1)]);
        match (request.netfn, request.command) {
            (NetFn::App, 0x01) => ok(vec![0x20, 1, 2, 3, 2, 0xBF, 1, 2, 3, 4, 5]),
            (NetFn::App, 0x37) => ok((1..=16).collect()),
            (NetFn::Storage, 0x20) => {
                let mut info = vec![0x51];
                info.extend((self.records.len() as u16).to_le_bytes());
                info.extend([0; 11]);
                ok(info)
            }
            (NetFn::Storage, 0x22 | 0x42) => ok(vec![1, 0]),
            (NetFn::Storage, 0x23) => part(&self.records, word(2), byte(4), byte(5)),
            (NetFn::Storage, 0x40) => {
                let mut info = vec![0x51];
                info.extend((self.log.len() as u16).to_le_bytes());
                info.extend([0; 11]);
                ok(info)
            }
            (NetFn::Storage, 0x43) => part(&self.log, word(2), byte(4), byte(5)),
            (NetFn::Storage, 0x48) => ok(vec![1, 2, 3, 0x65]),
            (NetFn::Storage, 0x10) => ok([&(self.fru.len() as u16).to_le_bytes()[..], &[0]].concat()),
            (NetFn::Storage, 0x11) => {
                let from = usize::from(word(1)).min(self.fru.len());
                let to = (from + usize::from(byte(3))).min(self.fru.len());
                ok([&[(to - from) as u8], &self.fru[from..to]].concat())
            }
            (NetFn::Chassis, 0x01) => ok(vec![1, 0, byte(0)]),
            (NetFn::Chassis, 0x07) => ok(vec![4, 1]),
            // DCMI's power, and a controller behind the BMC that answers anything.
            (_, 0x02) => ok(vec![0xDC, 0xF4, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40]),
            (NetFn::App, 0x34) => ok(vec![byte(4), byte(2) | 4, 0, byte(1), byte(5), byte(6), 0, 40, 0xC0, 0, 0, 0]),
            (NetFn::SensorEvent, 0x2D) => ok(vec![byte(0), 0x40, byte(0), 0x80]),
            (NetFn::SensorEvent, 0x23) => ok(vec![0, 1, 0, 1, 0, 0, byte(1)]),
            (NetFn::SensorEvent, 0x27) => ok(vec![0x3F, 1, 2, 3, 4, 5, 6]),
            _ => refused(0xC1),
        }
    }
}

/// Part of the record with an id: its place in the list.
fn part(list: &[Vec<u8>], id: u16, offset: u8, count: u8) -> Response {
    let index = if id == 0xFFFF { list.len().saturating_sub(1) } else { usize::from(id) };
    let Some(record) = list.get(index) else { return refused(0xCB) };
    let next = if index + 1 < list.len() { index as u16 + 1 } else { 0xFFFF };
    let from = usize::from(offset).min(record.len());
    let to = (from + usize::from(count)).min(record.len());
    ok([&next.to_le_bytes()[..], &record[from..to]].concat())
}

fuzz_target!(init: seeds::plant(seeds::ipmi_poll), |data: &[u8]| {
    let mut script = Script(data);
    let records = (0..script.byte() % 24).map(|id| [&[id, 0], script.slice()].concat()).collect();
    let log = (1..=script.byte() % 24).map(|id| [&[id, 0], script.take(14)].concat()).collect();
    let len = usize::from(script.word() % 2048);
    let fru = script.take(len);
    let mut table = Table { records, log, fru, mischief: script, asked: 0 };
    let mut poller = Poller::default();
    let mut bookmark = None;
    for section in [Section::Sensors, Section::Log, Section::Inventory, Section::Log, Section::Sensors] {
        if let Ok(outcome) = run(poller.poll(&mut table, section, bookmark.as_ref(), &Standing)) {
            survive_the_wire(section, outcome.observations);
            bookmark = outcome.bookmark.or(bookmark);
        }
    }
});
