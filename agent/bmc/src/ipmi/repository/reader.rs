//! Records, read in parts that shrink until the BMC can send them.

use super::super::message::Response;
use super::super::poll::Ask;
use super::super::sdr;
use super::{Records, Store};
use crate::PollError;
use std::collections::HashSet;

/// What is asked for first in one part. It shrinks at a BMC that cannot send so much.
const LONGEST_PART: u8 = 0x40;
const SHORTEST_PART: u8 = 2;
/// No BMC has so many records; a list that does not end has a loop.
const MAX_RECORDS: usize = 4096;
/// How many records in a row may be refused before the list is given up.
const LONGEST_HOLE: u16 = 4;
/// How often a reservation may be lost within one record.
const MAX_RESERVATIONS: u32 = 16;

/// Reads records of one store; the reservation and the size of a part are kept from one to the next.
pub(super) struct Reader<'a, A> {
    ask: &'a mut A,
    store: Store,
    reservation: Option<u16>,
    part: u8,
}

/// Part of a record could not be read.
pub(super) enum PartError {
    /// The BMC refuses it.
    Refused(u8),
    /// The whole section is lost.
    Fatal(PollError),
}

impl<'a, A: Ask + Send> Reader<'a, A> {
    pub(super) fn new(ask: &'a mut A, store: Store) -> Self {
        Self { ask, store, reservation: None, part: LONGEST_PART }
    }

    /// Follows the list of records.
    pub(super) async fn all(&mut self, announced: u16) -> Result<Records, PollError> {
        let (mut list, mut unread) = (Vec::new(), Vec::new());
        let (mut id, mut visited) = (0u16, HashSet::new());
        let mut complete = true;
        while visited.insert(id) && visited.len() <= MAX_RECORDS {
            let (next, bytes) = match self.record(id).await {
                Ok(found) => found,
                Err(PartError::Fatal(failure)) => return Err(failure),
                Err(PartError::Refused(code)) => {
                    // The record after the last one is refused where a BMC has no end mark (Inspur), and the last where it counts one too many (Dell).
                    if visited.len() >= usize::from(announced).max(1) {
                        break;
                    }
                    complete = false;
                    unread.push(PollError::refused(&format!("Get SDR, record {id:#06x}"), code));
                    match self.after(id).await? {
                        Some(next) => {
                            id = next;
                            continue;
                        }
                        None => break,
                    }
                }
            };
            list.push((id, bytes));
            // 0 would begin anew; some BMCs end their list so.
            if next == 0xFFFF || next == 0 {
                break;
            }
            id = next;
        }
        Ok(Records { list, unread, complete })
    }

    /// The next record that can be read after one that cannot, which would have named it: most BMCs number theirs one after the other.
    async fn after(&mut self, id: u16) -> Result<Option<u16>, PollError> {
        for next in (1..=LONGEST_HOLE).map_while(|step| id.checked_add(step)) {
            match self.extend(next, &mut Vec::new(), sdr::HEADER_LEN).await {
                Ok(_) => return Ok(Some(next)),
                Err(PartError::Refused(_)) => {}
                Err(PartError::Fatal(failure)) => return Err(failure),
            }
        }
        Ok(None)
    }

    /// One record, as far as the BMC gives it, and the id of the next.
    pub(super) async fn record(&mut self, id: u16) -> Result<(u16, Vec<u8>), PartError> {
        let mut bytes = Vec::new();
        let next = self.extend(id, &mut bytes, sdr::HEADER_LEN).await?;
        let Some((kind, len)) = sdr::announced(&bytes) else { return Ok((next, bytes)) };
        if matches!(kind, 0x01..=0x03 | 0x08 | 0x09 | 0x10..=0x12) {
            match self.extend(id, &mut bytes, len).await {
                Ok(_) => {}
                Err(PartError::Fatal(failure)) => return Err(PartError::Fatal(failure)),
                // A header that promises too much: what is there is enough, or the parser will say so.
                Err(PartError::Refused(code)) => {
                    tracing::debug!(
                        id,
                        code,
                        have = bytes.len(),
                        promised = len,
                        "an SDR is shorter than its header says"
                    );
                }
            }
        }
        Ok((next, bytes))
    }

    /// Reads on until `bytes` has `len`, or the BMC has no more.
    async fn extend(&mut self, id: u16, bytes: &mut Vec<u8>, len: usize) -> Result<u16, PartError> {
        let mut next = 0xFFFF;
        let mut reservations = 0;
        while bytes.len() < len {
            let Ok(offset) = u8::try_from(bytes.len()) else { break };
            let count = self.part.min(u8::try_from(len - bytes.len()).unwrap_or(u8::MAX));
            let reservation = self.reserved().await?;
            let request = self.store.get(reservation, id, offset, count);
            match self.ask.ask(request).await {
                Ok(Response { completion: 0, data }) => {
                    let Some((id, part)) = data.split_first_chunk::<2>() else {
                        return Err(PartError::Fatal(PollError::malformed("Get SDR")));
                    };
                    next = u16::from_le_bytes(*id);
                    if part.is_empty() {
                        break;
                    }
                    // More than was asked for is not trusted to be this record.
                    bytes.extend(&part[..part.len().min(usize::from(count))]);
                }
                // Another reader took the reservation: that costs us a new one, nothing else.
                Ok(Response { completion: 0xC5, .. }) if reservations < MAX_RESERVATIONS => {
                    reservations += 1;
                    self.reservation = None;
                }
                // 0xCA by the book; 0xC7, 0xC8 and 0xFF from those who count differently.
                Ok(Response { completion: 0xCA | 0xC7 | 0xC8 | 0xFF, .. }) if count > SHORTEST_PART => {
                    self.part = (count - count.div_ceil(4)).max(SHORTEST_PART);
                }
                Ok(Response { completion, .. }) => return Err(PartError::Refused(completion)),
                Err(error) => return Err(PartError::Fatal(PollError::unanswered("Get SDR", &error))),
            }
        }
        Ok(next)
    }

    async fn reserved(&mut self) -> Result<u16, PartError> {
        if let Some(reservation) = self.reservation {
            return Ok(reservation);
        }
        let reservation = match self.ask.ask(self.store.reserve()).await {
            Ok(Response { completion: 0, data }) => data.first_chunk().map_or(0, |b| u16::from_le_bytes(*b)),
            // Without reservations, 0 is the one to give.
            Ok(_) => 0,
            Err(error) => return Err(PartError::Fatal(PollError::unanswered("Reserve SDR Repository", &error))),
        };
        self.reservation = Some(reservation);
        Ok(reservation)
    }
}
