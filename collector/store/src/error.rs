//! Why the store did not do what it was asked.

use outband_schemas::{AgentId, Lane};

/// The error of the backend underneath, whichever it is.
pub type Backend = Box<dyn std::error::Error + Send + Sync>;

/// Why the store did not do what it was asked. Unless a variant says otherwise, nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot write (or read) now: disk full, read-only, I/O error. The same call may succeed later.
    #[error("the store is not available: {doing}: {source}")]
    Unavailable {
        /// What was tried.
        doing: &'static str,
        /// What the backend says.
        source: Backend,
    },
    /// The store was closed, or its writer ended.
    #[error("the store is closed")]
    Closed,
    /// Something stored is not what was written: the file is damaged.
    #[error("the store is damaged: {what}: {detail}")]
    Damaged {
        /// The thing that cannot be read.
        what: String,
        /// How it shows.
        detail: String,
    },
    /// The store was written by a newer version.
    #[error("the store has schema {found}, this version knows {known}: run the newer version")]
    NewerSchema {
        /// The schema found.
        found: i64,
        /// The newest schema that this version knows.
        known: i64,
    },
    /// A migration that was applied earlier is not the one this version holds.
    #[error("migration {number} was applied with checksum {found}, this version holds {known}")]
    MigrationChanged {
        /// The migration.
        number: i64,
        /// The checksum recorded in the store.
        found: String,
        /// The checksum of this version's file.
        known: String,
    },
    /// A newer hello of the same agent took over: this stream must end.
    #[error("a newer stream of agent {agent} took over")]
    Fenced {
        /// The agent.
        agent: AgentId,
    },
    /// A batch does not follow on what is stored, and nothing says that the entries between will never come.
    #[error("lane {} is stored through {mark}, and a batch begins at {first_seq}{}", lane.as_str(), skip_words(.skipped))]
    Jump {
        /// The lane.
        lane: Lane,
        /// Everything through this is stored.
        mark: i64,
        /// The batch's first sequence.
        first_seq: i64,
        /// The range that the batch says was skipped, where it says so.
        skipped: Option<(i64, i64)>,
    },
    /// An entry came again under its sequence with another content: the agent's spool is not what its id says.
    #[error("lane {} holds another body under {seq}: the agent's spool was rolled back", lane.as_str())]
    DifferentBody {
        /// The lane.
        lane: Lane,
        /// The sequence.
        seq: i64,
    },
    /// Someone else changed it since it was read. Read it again.
    #[error("{what} was changed meanwhile")]
    Conflict {
        /// What, e.g. `ticket 12`.
        what: String,
    },
    /// There is no such thing.
    #[error("there is no {what}")]
    NotFound {
        /// What, e.g. `ticket 12`.
        what: String,
    },
    /// A page token that no listing gave out.
    #[error("the page token is not one of this listing")]
    BadToken,
    /// The backend refused for a reason that is a mistake of the program, not of the machine.
    #[error("the store refused: {doing}: {source}")]
    Refused {
        /// What was tried.
        doing: &'static str,
        /// What the backend says.
        source: Backend,
    },
}

fn skip_words(skipped: &Option<(i64, i64)>) -> String {
    match skipped {
        Some((first, last)) => format!(" after skipping {first} to {last}"),
        None => String::new(),
    }
}
