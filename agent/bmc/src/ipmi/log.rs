//! The poll of the event log: the records since the last one that was read.

use super::message::{Request, Response};
use super::poll::{Ask, gap, require};
use super::repository::Repository;
use super::sel::{self, Cursor, Info, RawRecord};
use crate::{Bookmark, PollError, Polled};
use ipmi_rs_core::connection::NetFn;
use outband_schemas::{Cause, Clock, Observation};
use std::collections::HashSet;

/// How many records one poll reads at most; the next goes on from there.
const MAX_RECORDS: usize = 4096;
const MAX_RESERVATIONS: u32 = 16;
/// What is asked for in one part of a record by a BMC that cannot send it whole.
const PART: u8 = 8;

/// A record under an id, and the id of the next.
struct Entry {
    next: u16,
    record: RawRecord,
}

/// Why there is no record under an id.
enum NoEntry {
    /// The BMC refuses it.
    Refused(u8),
    /// The answer is too short.
    Malformed,
    /// No answer.
    Unanswered(PollError),
}

/// Reads what is new in the log.
pub(super) async fn poll(
    ask: &mut (impl Ask + Send),
    repository: Option<&Repository>,
    bookmark: Option<&Bookmark>,
    clock: &(impl Clock + Sync),
) -> Result<Polled, PollError> {
    let data = require(ask, "Get SEL Info", Request::new(NetFn::Storage, 0x40, [])).await?;
    let info = Info::parse(&data).ok_or_else(|| PollError::malformed("Get SEL Info"))?;
    let before = bookmark.and_then(Cursor::read);
    let mut cursor = Cursor { last_id: None, last_record: String::new(), erased: info.erased, overflow: info.overflow };
    let mut observations = Vec::new();
    if info.overflow && !before.as_ref().is_some_and(|b| b.overflow) {
        let failure = PollError {
            cause: Cause::BmcError,
            detail: format!("the event log is full ({} records) and drops new ones: clear it", info.entries),
        };
        observations.push(gap("SEL", failure, "sel", clock.now()));
    }
    let mut reader = Reader { ask, reservation: 0, in_parts: false };
    let mut id = match reader.start(before, info, &mut cursor).await? {
        Some(id) if info.entries > 0 => id,
        _ => return Ok(Polled { observations, bookmark: Some(cursor.write()), more: None }),
    };
    let known = |owner, lun, number| repository.and_then(|r| r.known(owner, lun, number));
    let (mut asked, mut seen) = (HashSet::new(), HashSet::new());
    while asked.insert(id) && seen.len() < MAX_RECORDS {
        let failure = match reader.entry(id).await {
            Ok(entry) => {
                // Some BMCs give one record under two ids.
                if seen.insert(entry.record) {
                    cursor.last_id = Some(entry.record.id());
                    cursor.last_record = entry.record.hex();
                    observations.push(Observation::Event(sel::event(entry.record, known, clock.now())));
                }
                if entry.next == 0xFFFF || entry.next == 0 {
                    break;
                }
                id = entry.next;
                continue;
            }
            // The log was emptied, or its last record went, while it was read.
            Err(NoEntry::Refused(0xCB)) => break,
            Err(NoEntry::Refused(code)) => PollError::refused(&format!("Get SEL Entry {id:#06x}"), code),
            Err(NoEntry::Malformed) => PollError::malformed(&format!("Get SEL Entry {id:#06x}")),
            Err(NoEntry::Unanswered(failure)) => failure,
        };
        if seen.is_empty() {
            return Err(failure);
        }
        // What was read is kept; the next poll goes on after it.
        observations.push(gap("SEL", failure, &format!("sel:{id}"), clock.now()));
        break;
    }
    Ok(Polled { observations, bookmark: Some(cursor.write()), more: None })
}

struct Reader<'a, A> {
    ask: &'a mut A,
    reservation: u16,
    in_parts: bool,
}

impl<A: Ask + Send> Reader<'_, A> {
    /// The id to begin at, or `None` where nothing is new. Moves the cursor to the bookmark where that still holds.
    async fn start(
        &mut self,
        before: Option<Cursor>,
        info: Info,
        cursor: &mut Cursor,
    ) -> Result<Option<u16>, PollError> {
        let Some((before, last_id)) = before.and_then(|b| b.last_id.map(|id| (b, id))) else { return Ok(Some(0)) };
        if info.entries == 0 {
            return Ok(None);
        }
        match self.entry(last_id).await {
            Ok(found) if before.is_still(found.record, info) => {
                cursor.last_id = before.last_id;
                cursor.last_record = before.last_record;
                Ok(Some(found.next).filter(|next| *next != 0xFFFF && *next != 0))
            }
            // Cleared, wrapped or never ours: all of it is read again. What was read before has its own key and is not stored twice.
            Ok(_) | Err(NoEntry::Refused(_) | NoEntry::Malformed) => Ok(Some(0)),
            Err(NoEntry::Unanswered(failure)) => Err(failure),
        }
    }

    /// Get SEL Entry (§31.5): whole, or in two parts at a BMC that cannot.
    async fn entry(&mut self, id: u16) -> Result<Entry, NoEntry> {
        if !self.in_parts {
            match self.part(id, 0, 0xFF).await {
                Err(NoEntry::Refused(0xCA | 0xC7 | 0xC8)) => self.in_parts = true,
                Ok((next, bytes)) => return entry(next, &bytes),
                Err(other) => return Err(other),
            }
        }
        let mut whole = Vec::with_capacity(sel::RECORD_LEN);
        let mut next = 0xFFFF;
        for offset in (0u8..).step_by(usize::from(PART)).take(sel::RECORD_LEN / usize::from(PART)) {
            let (after, bytes) = self.part(id, offset, PART).await?;
            next = after;
            whole.extend(bytes);
        }
        entry(next, &whole)
    }

    async fn part(&mut self, id: u16, offset: u8, count: u8) -> Result<(u16, Vec<u8>), NoEntry> {
        for _ in 0..MAX_RESERVATIONS {
            if offset != 0 && self.reservation == 0 {
                self.reserve().await?;
            }
            let mut data = self.reservation.to_le_bytes().to_vec();
            data.extend(id.to_le_bytes());
            data.extend([offset, count]);
            match self.ask.ask(Request::new(NetFn::Storage, 0x43, data)).await {
                Ok(Response { completion: 0, data }) => {
                    let (next, bytes) = data.split_first_chunk::<2>().ok_or(NoEntry::Malformed)?;
                    return Ok((u16::from_le_bytes(*next), bytes.to_vec()));
                }
                Ok(Response { completion: 0xC5, .. }) => self.reserve().await?,
                Ok(Response { completion, .. }) => return Err(NoEntry::Refused(completion)),
                Err(error) => return Err(NoEntry::Unanswered(PollError::unanswered("Get SEL Entry", &error))),
            }
        }
        Err(NoEntry::Refused(0xC5))
    }

    async fn reserve(&mut self) -> Result<(), NoEntry> {
        match self.ask.ask(Request::new(NetFn::Storage, 0x42, [])).await {
            Ok(Response { completion: 0, data }) => {
                self.reservation = data.first_chunk().map_or(0, |b| u16::from_le_bytes(*b));
                Ok(())
            }
            Ok(Response { completion, .. }) => Err(NoEntry::Refused(completion)),
            Err(error) => Err(NoEntry::Unanswered(PollError::unanswered("Reserve SEL", &error))),
        }
    }
}

fn entry(next: u16, bytes: &[u8]) -> Result<Entry, NoEntry> {
    let record = bytes.first_chunk().copied().map(RawRecord).ok_or(NoEntry::Malformed)?;
    Ok(Entry { next, record })
}
