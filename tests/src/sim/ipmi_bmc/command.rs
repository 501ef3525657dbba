//! What each command does (IPMI 2.0 appendix G). The answer begins with its completion code.

use super::sel;
use super::session::Sessions;
use super::{Bmc, Quirk, fru};
use crate::sim::machine::{Happening, Machine};

/// Completion codes of table 5-2.
const INVALID_COMMAND: u8 = 0xc1;
const TIMED_OUT: u8 = 0xc3;
const RESERVATION_CANCELLED: u8 = 0xc5;
const REQUEST_TOO_SHORT: u8 = 0xc7;
const OUT_OF_RANGE: u8 = 0xc9;
const CANNOT_RETURN: u8 = 0xca;
const NOT_PRESENT: u8 = 0xcb;
const INVALID_FIELD: u8 = 0xcc;
const PRIVILEGE_TOO_LOW: u8 = 0xd4;

/// Privilege levels (table 22-18).
const OPERATOR: u8 = 3;
const ADMINISTRATOR: u8 = 4;

/// A request as it came out of its envelope.
pub(super) struct Request<'a> {
    pub(super) net_fn: u8,
    pub(super) command: u8,
    pub(super) data: &'a [u8],
    /// The session that it came in.
    pub(super) session: Option<u32>,
}

/// Answers a request; `None`: says nothing.
pub(super) fn answer(bmc: &mut Bmc, request: &Request<'_>) -> Option<Vec<u8>> {
    let outcome = match (request.net_fn, request.command) {
        (0x06, 0x54) if bmc.options.ignore_cipher_query || bmc.options.quirks.has(Quirk::SilentAboutSuites) => {
            return None;
        }
        (0x06, 0x38) => channel_authentication(request.data),
        (0x06, 0x54) => cipher_suites(&bmc.sessions, request.data),
        (0x06, 0x37) => Ok(bmc.guid.to_vec()),
        _ => match request.session {
            None => Err(PRIVILEGE_TOO_LOW),
            Some(session) => in_session(bmc, session, request),
        },
    };
    Some(match outcome {
        Ok(data) => [&[0][..], &data].concat(),
        Err(code) => vec![code],
    })
}

type Outcome = Result<Vec<u8>, u8>;

fn byte(data: &[u8], at: usize) -> Result<u8, u8> {
    data.get(at).copied().ok_or(REQUEST_TOO_SHORT)
}

fn word(data: &[u8], at: usize) -> Result<u16, u8> {
    Ok(u16::from_le_bytes([byte(data, at)?, byte(data, at + 1)?]))
}

fn channel_authentication(data: &[u8]) -> Outcome {
    byte(data, 1)?;
    // Extended data; users with names; IPMI 2.0 only; no OEM.
    Ok(vec![1, 0x80, 0x04, 0x02, 0, 0, 0, 0])
}

fn cipher_suites(sessions: &Sessions, data: &[u8]) -> Outcome {
    let index = usize::from(byte(data, 2)? & 0x3f);
    let records: Vec<u8> = sessions
        .suites()
        .iter()
        .flat_map(|suite| {
            let [authentication, integrity, confidentiality] = suite.algorithms();
            [0xc0, suite.id(), authentication, 0x40 | integrity, 0x80 | confidentiality]
        })
        .collect();
    Ok([&[1][..], records.chunks(16).nth(index).unwrap_or_default()].concat())
}

fn in_session(bmc: &mut Bmc, session: u32, request: &Request<'_>) -> Outcome {
    let data = request.data;
    let machine = bmc.machine.clone();
    let mut machine = machine.now();
    match (request.net_fn, request.command) {
        // App: device id, self test, device GUID, privilege, close.
        (0x06, 0x01) => Ok(vec![0x20, 0x81, 0x03, 0x15, 0x02, 0xbf, 0x57, 0x01, 0x00, 0x88, 0x22, 0, 0, 0, 0]),
        (0x06, 0x04) => Ok(vec![0x55, 0]),
        (0x06, 0x08) => Ok(bmc.guid.to_vec()),
        (0x06, 0x3b) => set_privilege(&mut bmc.sessions, session, byte(data, 0)? & 0x0f),
        (0x06, 0x3c) => {
            let id = u32::from_le_bytes(data.get(..4).and_then(|d| d.try_into().ok()).ok_or(REQUEST_TOO_SHORT)?);
            // 87h: no such session.
            if bmc.sessions.close(session, id) { Ok(Vec::new()) } else { Err(0x87) }
        }
        // Restarting, the light, clearing the log: not for everybody.
        (0x06, 0x02) => {
            at_least(&mut bmc.sessions, session, ADMINISTRATOR)?;
            bmc.resets = true;
            Ok(Vec::new())
        }
        (0x00, 0x04) => {
            at_least(&mut bmc.sessions, session, OPERATOR)?;
            machine.identify =
                data.first().is_none_or(|secs| *secs > 0) || data.get(1).is_some_and(|force| force & 1 > 0);
            Ok(Vec::new())
        }
        (0x0a, 0x47) => {
            at_least(&mut bmc.sessions, session, OPERATOR)?;
            event_log(bmc, &mut machine, request.command, data)
        }
        // Chassis: capabilities, status.
        (0x00, 0x00) => Ok(vec![0, 0x20, 0x20, 0x20, 0x20]),
        (0x00, 0x01) => Ok(vec![0x61, 0, 0x40]),
        // Sensors: thresholds, hysteresis, event enables, reading.
        (0x04, 0x27) => bmc.sensor(data).map(|s| s.raw_limits()).map(|(mask, raw)| [&[mask][..], &raw].concat()),
        (0x04, 0x25) => bmc.sensor(data).map(|_| vec![1, 1]),
        (0x04, 0x29) => bmc.sensor(data).map(|_| vec![0xc0, 0, 0, 0, 0]),
        (0x04, 0x2d) => bmc.sensor(data).and_then(|s| bmc.options.quirks.reading(s, s.reading(&machine))),
        (0x0a, 0x20..=0x23) => repository(bmc, request.command, data),
        (0x0a, 0x10 | 0x11) => fru_inventory(&machine, request.command, data),
        (0x0a, 0x40..=0x49) => event_log(bmc, &mut machine, request.command, data),
        _ => Err(INVALID_COMMAND),
    }
}

fn at_least(sessions: &mut Sessions, id: u32, wanted: u8) -> Result<(), u8> {
    let session = sessions.get(id).ok_or(INVALID_FIELD)?;
    if session.privilege >= wanted { Ok(()) } else { Err(PRIVILEGE_TOO_LOW) }
}

fn set_privilege(sessions: &mut Sessions, id: u32, wanted: u8) -> Outcome {
    let session = sessions.get(id).ok_or(INVALID_FIELD)?;
    if wanted > session.highest {
        // 81h: the level exceeds the user's.
        return Err(0x81);
    }
    if wanted != 0 {
        session.privilege = wanted;
    }
    Ok(vec![session.privilege])
}

fn repository(bmc: &mut Bmc, command: u8, data: &[u8]) -> Outcome {
    let records = &bmc.records;
    match command {
        0x20 => {
            let mut out = vec![0x51];
            out.extend(bmc.options.quirks.announced(records.len()).to_le_bytes());
            out.extend(0x4000u16.to_le_bytes());
            out.extend(bmc.repository_stamp.to_le_bytes());
            out.extend(0u32.to_le_bytes());
            out.push(0x22);
            Ok(out)
        }
        0x22 => {
            bmc.sdr_reservation = bmc.sdr_reservation % 0xffff + 1;
            Ok(bmc.sdr_reservation.to_le_bytes().to_vec())
        }
        0x23 => {
            let (reservation, id) = (word(data, 0)?, word(data, 2)?);
            let (offset, count) = (usize::from(byte(data, 4)?), usize::from(byte(data, 5)?));
            if offset > 0 && reservation != bmc.sdr_reservation {
                return Err(RESERVATION_CANCELLED);
            }
            let quirks = &bmc.options.quirks;
            bmc.record_reads += 1;
            if quirks.has(Quirk::ReservationsLost) && bmc.record_reads.is_multiple_of(3) {
                bmc.sdr_reservation = bmc.sdr_reservation % 0xffff + 1;
                return Err(RESERVATION_CANCELLED);
            }
            let index = match id {
                0 => 0,
                0xffff => records.len().saturating_sub(1),
                id => usize::from(id) - 1,
            };
            if index + 1 == records.len() && quirks.has(Quirk::LastRecordTimesOut) {
                return Err(TIMED_OUT);
            }
            let record = records.get(index).ok_or(NOT_PRESENT)?;
            let count = count.min(record.len().saturating_sub(offset));
            if count == 0 {
                return Err(OUT_OF_RANGE);
            }
            if count > bmc.options.max_read {
                return Err(CANNOT_RETURN);
            }
            let last = quirks.after_the_last(records.len());
            let next = if index + 1 < records.len() { index as u16 + 2 } else { last };
            Ok([&next.to_le_bytes()[..], &record[offset..offset + count]].concat())
        }
        _ => Err(INVALID_COMMAND),
    }
}

fn fru_inventory(machine: &Machine, command: u8, data: &[u8]) -> Outcome {
    let contents = fru::contents(machine, byte(data, 0)?).ok_or(NOT_PRESENT)?;
    if command == 0x10 {
        return Ok([&(contents.len() as u16).to_le_bytes()[..], &[0]].concat());
    }
    let (offset, count) = (usize::from(word(data, 1)?), usize::from(byte(data, 3)?));
    let rest = contents.get(offset..).filter(|r| !r.is_empty()).ok_or(OUT_OF_RANGE)?;
    let some = &rest[..count.min(rest.len())];
    Ok([&[some.len() as u8][..], some].concat())
}

fn event_log(bmc: &mut Bmc, machine: &mut Machine, command: u8, data: &[u8]) -> Outcome {
    match command {
        0x40 => {
            let (added, erased, overflowed) = machine.log.stamps();
            let mut out = vec![0x51];
            out.extend((machine.log.len() as u16).to_le_bytes());
            out.extend(((machine.log.free() * 16).min(0xffff) as u16).to_le_bytes());
            out.extend((added as u32).to_le_bytes());
            out.extend((erased as u32).to_le_bytes());
            out.push(0x0a | if overflowed { 0x80 } else { 0 });
            Ok(out)
        }
        0x42 => {
            bmc.sel_reservation = bmc.sel_reservation % 0xffff + 1;
            bmc.sel_written = machine.log.written();
            Ok(bmc.sel_reservation.to_le_bytes().to_vec())
        }
        0x43 => {
            let (reservation, id) = (word(data, 0)?, word(data, 2)?);
            let (offset, count) = (usize::from(byte(data, 4)?), usize::from(byte(data, 5)?));
            if offset > 0 && reservation != bmc.sel_reservation {
                return Err(RESERVATION_CANCELLED);
            }
            let entries: Vec<_> = machine.log.entries().collect();
            let index = match id {
                0 => 0,
                0xffff => entries.len().saturating_sub(1),
                id => {
                    let own = |id| entries.iter().position(|e| e.id == id);
                    let twice = bmc.options.quirks.has(Quirk::EntryUnderTwoIds);
                    own(id).or_else(|| own(id & 0x7fff).filter(|_| twice)).ok_or(NOT_PRESENT)?
                }
            };
            let record = sel::record(entries.get(index).ok_or(NOT_PRESENT)?);
            let mut next = entries.get(index + 1).map_or(0xffff, |e| e.id);
            if bmc.options.quirks.has(Quirk::EntryUnderTwoIds) && id & 0x8000 == 0 {
                next = entries.get(index).map_or(next, |e| e.id | 0x8000);
            }
            let rest = record.get(offset..).filter(|r| !r.is_empty()).ok_or(OUT_OF_RANGE)?;
            Ok([&next.to_le_bytes()[..], &rest[..count.min(rest.len())]].concat())
        }
        0x44 => {
            let raw: [u8; 16] = data.try_into().map_err(|_| REQUEST_TOO_SHORT)?;
            let time = machine.bmc_time();
            Ok(machine.log.append(time, Happening::Raw(raw), true).to_le_bytes().to_vec())
        }
        0x47 => {
            if data.get(2..5) != Some(b"CLR") {
                return Err(INVALID_FIELD);
            }
            // An entry that is added cancels the reservation (§31.4.2).
            if word(data, 0)? != bmc.sel_reservation || machine.log.written() != bmc.sel_written {
                return Err(RESERVATION_CANCELLED);
            }
            if byte(data, 5)? == 0xaa {
                let time = machine.bmc_time();
                machine.log.clear(time);
            }
            Ok(vec![1])
        }
        0x48 => Ok((machine.bmc_time() as u32).to_le_bytes().to_vec()),
        0x49 => {
            let wanted = i64::from(u32::from(word(data, 0)?) | u32::from(word(data, 2)?) << 16);
            machine.spec.clock_offset_s += wanted - machine.bmc_time();
            Ok(Vec::new())
        }
        _ => Err(INVALID_COMMAND),
    }
}
