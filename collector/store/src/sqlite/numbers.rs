//! Numbers that are given out: from memory, out of blocks of which the store knows that they are taken.

use super::ticket;
use super::writer::Writer;
use crate::StoreError;
use crate::store::Sequence;
use std::sync::{Mutex, PoisonError};

/// The largest block. One that is begun when the process dies is lost, which harms nothing.
const MOST: u64 = 256;

/// What is left of the block of a sequence.
#[derive(Debug, Default)]
struct Block {
    next: u64,
    left: u64,
    /// How many were given out since the start.
    given: u64,
}

/// The blocks of all sequences. Each is an eighth of what was given out since the start: a few tickets leave no hole behind at a restart, and a fleet that comes
/// at once costs a few commits.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    tickets: Mutex<Block>,
    servers: Mutex<Block>,
}

impl Numbers {
    /// The next number. Durably taken before it is given out.
    pub(super) fn next(&self, sequence: Sequence, writer: &Writer) -> Result<u64, StoreError> {
        let (block, name) = match sequence {
            Sequence::Ticket => (&self.tickets, "ticket"),
            Sequence::Server => (&self.servers, "server"),
        };
        let mut block = block.lock().unwrap_or_else(PoisonError::into_inner);
        if block.left == 0 {
            let size = (block.given / 8).clamp(1, MOST);
            let last = writer.write(move |db, _| ticket::reserve(db, name, size))?;
            *block = Block { next: last - size + 1, left: size, given: block.given };
        }
        let number = block.next;
        block.next += 1;
        block.left -= 1;
        block.given += 1;
        Ok(number)
    }
}
