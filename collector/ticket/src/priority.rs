//! How urgent a ticket is.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The severity of a ticket, the gravest first. The number is that of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Priority {
    /// Service down, or about to be.
    P1 = 1,
    /// A part failed, or redundancy is lost.
    P2 = 2,
    /// A failure is predicted; redundancy is intact or unknown.
    P3 = 3,
    /// Advice.
    P4 = 4,
}

impl Priority {
    /// Every priority, the gravest first.
    pub const ALL: [Priority; 4] = [Self::P1, Self::P2, Self::P3, Self::P4];

    /// The stable number, 1 to 4.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The priority of a stable number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.number() == number)
    }

    /// The word used in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::P1 => "P1",
            Self::P2 => "P2",
            Self::P3 => "P3",
            Self::P4 => "P4",
        }
    }

    /// The priority of an impact: one level up where redundancy is already gone.
    pub fn of(impact: Impact, redundancy: Redundancy) -> Self {
        let base = match impact {
            Impact::ServiceDown => Self::P1,
            Impact::PartFailed => Self::P2,
            Impact::FailurePredicted => Self::P3,
            Impact::Advice => Self::P4,
        };
        match (redundancy, base) {
            (Redundancy::Intact | Redundancy::Unknown, base) => base,
            (Redundancy::Gone, Self::P1 | Self::P2) => Self::P1,
            (Redundancy::Gone, Self::P3) => Self::P2,
            (Redundancy::Gone, Self::P4) => Self::P3,
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a condition means for the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Impact {
    /// The service is down, or about to be.
    ServiceDown,
    /// A part failed, or redundancy is lost.
    PartFailed,
    /// A failure is predicted.
    FailurePredicted,
    /// Nothing fails: advice.
    Advice,
}

/// Whether another part can take over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Redundancy {
    /// It can.
    Intact,
    /// Nobody knows.
    Unknown,
    /// It already had to: the next failure stops the server.
    Gone,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_redundancy_raises_a_ticket_one_level_and_never_beyond_p1() {
        assert_eq!(Priority::of(Impact::FailurePredicted, Redundancy::Unknown), Priority::P3);
        assert_eq!(Priority::of(Impact::FailurePredicted, Redundancy::Gone), Priority::P2);
        assert_eq!(Priority::of(Impact::PartFailed, Redundancy::Gone), Priority::P1);
        assert_eq!(Priority::of(Impact::ServiceDown, Redundancy::Gone), Priority::P1);
    }
}
